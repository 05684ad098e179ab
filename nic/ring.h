/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bookkeeping of one descriptor ring, written once for all drivers. Descriptors are 16 bytes:
 * two quadwords, four descriptors a cache line.
 *
 *          head            shown        tail
 *     ......[ card's        [ kept back  [ software's ......
 *
 * The three indices run freely through 32 bits and are masked where a slot is touched, so that
 * tail - head is the fill, without a special case for full or empty. The card owns the slots
 * [head, shown); it was told `shown` by the last tail write. Slots from head on may be done
 * already: only the descriptors tell.
 *
 * At most size - 4 slots are ever outstanding. Then the tail never meets the card's head (equal
 * means none), and the line that holds the tail's slot, where the tail stands at a line's start,
 * belongs to software whole: it may be stored by one 64-byte write. A line with a single slot of
 * the card's must not be: even identical bytes would erase a write-back that came in between.
 */
#ifndef NIC_RING_H
#define NIC_RING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pci/mem.h"

#define RING_DESCRIPTOR 16u /* bytes */
#define RING_LINE       4u  /* descriptors in a cache line */

struct ring {
	uint32_t head;  /* the oldest slot not yet returned to the caller */
	uint32_t tail;  /* the next slot to fill */
	uint32_t shown; /* the tail that the card knows */
	uint32_t mask;  /* slots - 1 */
	dma_word __dma *words;
	uint32_t *buffer; /* what the caller named, per slot */
};

static inline uint32_t ring_size(const struct ring *ring)
{
	return ring->mask + 1;
}

/* Slots that were provided and not returned. */
static inline uint32_t ring_held(const struct ring *ring)
{
	return ring->tail - ring->head;
}

static inline uint32_t ring_room(const struct ring *ring)
{
	return ring_size(ring) - RING_LINE - ring_held(ring);
}

/* Slots that were filled but not yet shown to the card. */
static inline uint32_t ring_kept(const struct ring *ring)
{
	return ring->tail - ring->shown;
}

/* Slots that the card may have done something with. */
static inline uint32_t ring_owned(const struct ring *ring)
{
	return ring->shown - ring->head;
}

/* Word 0 or 1 of the descriptor at a free-running index. */
static inline dma_word __dma *ring_word(const struct ring *ring, uint32_t index, unsigned word)
{
	return ring->words + (size_t)(index & ring->mask) * 2 + word;
}

/* A few words, or very many. */
static inline void ring_copy(uint32_t *to, const uint32_t *from, uint32_t n)
{
	for (; n >= 16; n -= 16, to += 16, from += 16)
		memcpy(to, from, 16 * sizeof *to);
	for (; n; n--)
		*to++ = *from++;
}

/* How many of n slots from a free-running index on come before the ring's end. */
static inline uint32_t ring_before_end(const struct ring *ring, uint32_t index, uint32_t n)
{
	uint32_t left = ring_size(ring) - (index & ring->mask);

	return left < n ? left : n;
}

/* Copies the buffers of n slots from a free-running index on out; n <= ring_size(). */
static inline void ring_peek(const struct ring *ring, uint32_t index, uint32_t *out, uint32_t n)
{
	uint32_t first = ring_before_end(ring, index, n);

	ring_copy(out, ring->buffer + (index & ring->mask), first);
	ring_copy(out + first, ring->buffer, n - first);
}

/* The other way: those slots' buffers are these. */
static inline void ring_name(
	const struct ring *ring, uint32_t index, const uint32_t *in, uint32_t n)
{
	uint32_t first = ring_before_end(ring, index, n);

	memcpy(ring->buffer + (index & ring->mask), in, first * sizeof *in);
	memcpy(ring->buffer, in + first, (n - first) * sizeof *in);
}

/* Copies the n oldest slots' buffers out and returns those slots to software; n <= ring_held(). */
static inline void ring_pop(struct ring *ring, uint32_t *out, uint32_t n)
{
	ring_peek(ring, ring->head, out, n);
	ring->head += n;
}

#endif
