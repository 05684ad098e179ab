/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames in several pieces, as all drivers take and give them. Inline: what a driver passes that is
 * constant costs nothing. Private to nic/.
 */
#ifndef NIC_CHAIN_H
#define NIC_CHAIN_H

#include "nic/driver.h"

/* Bytes that a frame has at least: its header. */
#define FRAME_LEAST 14u

/* --- to be sent --- */

/* Descriptors of one frame: the 82599's own store of 40 less WTHRESH, which is 0 (82599 datasheet
 * 7.2.3.3), and therefore the class's limit.
 */
#define TX_CHAIN_MAX 40u

/* A piece of a frame lies in the region and in one chunk. */
static inline bool piece_in_order(uint64_t region_size, uint32_t offset, uint32_t len)
{
	return (uint64_t)offset + len <= region_size &&
	       (offset & (DMA_CHUNK_SIZE - 1)) + len <= DMA_CHUNK_SIZE;
}

/* Where it is for the card: `iova` by chunks. */
static inline uint64_t piece_iova(const uint64_t *iova, uint32_t offset)
{
	return iova[offset >> DMA_CHUNK_SHIFT] + (offset & (DMA_CHUNK_SIZE - 1));
}

struct chain {
	uint32_t entries; /* 0: none */
	uint32_t bytes;
};

/* The chain at frames[0 .. n), if it is in order: at most `max` bytes, in a region of that size;
 * the first entry may have the flag `meta`.
 */
static inline struct chain tx_measure(
	uint64_t region_size, const struct frame *frames, size_t n, uint32_t max, unsigned meta)
{
	unsigned known = FRAME_MORE | meta;
	uint32_t bytes = 0;

	if (n > TX_CHAIN_MAX)
		n = TX_CHAIN_MAX;
	for (uint32_t i = 0; i < n; i++, known = FRAME_MORE) {
		const struct frame *f = &frames[i];

		if (f->len == 0 || f->len > max - bytes || f->flags & ~known ||
			!piece_in_order(region_size, f->offset, f->len))
			break;
		bytes += f->len;
		if (!(f->flags & FRAME_MORE) && bytes >= FRAME_LEAST)
			return (struct chain){i + 1, bytes};
		if (!(f->flags & FRAME_MORE))
			break;
	}
	return (struct chain){0, 0};
}

/* --- received --- */

/* A buffer lies in the region, behind its metadata, and in one chunk. `span`: how far beyond
 * NIC_BUFFER_HEAD the last one begins.
 */
static inline bool rx_buffer_in_order(uint32_t span, uint32_t offset)
{
	return offset - NIC_BUFFER_HEAD <= span &&
	       (offset & (DMA_CHUNK_SIZE - 1)) <= DMA_CHUNK_SIZE - NIC_BUFFER_SIZE;
}

/* How a card writes the second quadword of a receive descriptor back. */
struct rx_format {
	uint64_t dd, eop, errors;
	unsigned length; /* where its 16 bits begin */
};

/* It goes on beyond the largest frame. */
#define RX_ENDLESS SIZE_MAX

/* A frame in several buffers, from the head on, of up to `parts`: its entries, which are the oldest
 * of n slots that the card may have written. 0: it has not come whole, or n ends before it does.
 */
static inline size_t rx_chain(struct nic_queue *q, const struct rx_format *format, uint32_t parts,
	uint32_t head, struct frame *frames, size_t n)
{
	const struct ring *ring = &q->rx;
	bool possible = true;
	uint64_t word;
	size_t i = 0;

	do {
		uint32_t least = i ? 1 : FRAME_LEAST;
		uint32_t len;

		if (i == parts)
			return RX_ENDLESS;
		if (i == n)
			return 0;
		word = dma_read(ring_word(ring, head + (uint32_t)i, 1));
		if (!(word & format->dd))
			return 0;
		len = (word >> format->length) & 0xFFFF;
		possible &= len - least <= NIC_BUFFER_SIZE - least;
		frames[i] = (struct frame){.offset = ring->buffer[(head + i) & ring->mask],
			.len = (uint16_t)len,
			.flags = FRAME_MORE};
		i++;
	} while (!(word & format->eop));
	frames[i - 1].flags = 0;
	if (!possible)
		nic_count(&q->bad_writebacks);
	/* The last descriptor tells of the whole frame's errors. */
	for (size_t k = 0; k < i && (!possible || word & format->errors); k++) {
		frames[k].flags = FRAME_ERROR;
		if (!possible)
			frames[k].len = 0;
	}
	return i;
}

#endif
