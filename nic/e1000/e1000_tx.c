/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it. No register is ever read.
 */
#include "nic/e1000/e1000.h"

/* What a frame has at least for the card to pad it (82574 10.2.6.1, TCTL.PSP: of the length in the
 * descriptor; Linux takes it for the whole frame's, and pads up to there for all of these cards).
 */
#define PAD_LEAST 17u

_Static_assert(TX_ZERO + PAD_LEAST - FRAME_LEAST <= RING_DESCRIPTOR, "no room for the zeroes");

static void fill(struct e1000_queue *q, uint32_t buffer, uint64_t address, uint64_t word)
{
	struct ring *ring = &q->head.tx;

	ring->buffer[ring->tail & ring->mask] = buffer;
	dma_write(ring_word(ring, ring->tail, 0), address);
	dma_write(ring_word(ring, ring->tail, 1), word);
	ring->tail++;
}

/* Queues a frame of so many entries, and behind them `pad` zeroes: those of the very descriptor
 * that stands for them, as what lies behind the frame is not the card's to send. Returns the second
 * quadword of the last descriptor; not shown to the card yet.
 */
static uint64_t queue(
	struct e1000_queue *q, const struct frame *frames, uint32_t entries, uint32_t pad)
{
	uint64_t word = 0;

	for (uint32_t i = 0; i < entries; i++) {
		word = TX_IFCS | (i + 1 < entries || pad ? 0 : TX_EOP) | frames[i].len;
		fill(q, frames[i].offset, piece_iova(q->iova, frames[i].offset), word);
	}
	if (pad) {
		uint32_t slot = q->head.tx.tail & q->head.tx.mask;

		word = TX_IFCS | TX_EOP | pad;
		fill(q, NO_BUFFER, q->tx_ring + slot * RING_DESCRIPTOR + TX_ZERO, word);
		q->head.tx_bare++;
	}
	return word;
}

/* Has the card report the frame that was queued last. */
static void report(struct e1000_queue *q, uint64_t word)
{
	struct ring *ring = &q->head.tx;
	uint32_t at = ring->tail - 1;

	q->rs[q->rs_tail++ & ring->mask] = at;
	dma_write(ring_word(ring, at, 1), word | TX_RS);
}

/* With the CRC, and padded. */
static uint32_t on_the_wire(uint32_t bytes)
{
	return (bytes < 60 ? 60 : bytes) + 4;
}

size_t e1000_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct e1000_queue *q = e1000_queue(head);
	struct ring *ring = &head->tx;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t reported = ring->tail;
	uint64_t word = 0;
	size_t done = 0;

	while (done < n) {
		struct chain chain = tx_measure(q->region_size, frames + done, n - done, max, 0);
		uint32_t pad = chain.bytes < PAD_LEAST ? PAD_LEAST - chain.bytes : 0;

		if (!chain.entries)
			nic_count(&head->bad_offsets);
		if (!chain.entries || chain.entries + (pad != 0) > ring_room(ring))
			break;
		word = queue(q, frames + done, chain.entries, pad);
		done += chain.entries;
		nic_count(&q->count.tx_frames);
		nic_add(&q->count.tx_bytes, on_the_wire(chain.bytes));
		if (ring->tail - reported >= q->tx_every) {
			report(q, word);
			reported = ring->tail;
		}
	}
	if (!done)
		return 0;
	/* Nobody knows when more will come: the last frame reports, too. */
	if (ring->tail != reported)
		report(q, word);
	ring->shown = ring->tail;
	/* The descriptors (and the frames), before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->tdt, ring->tail & ring->mask);
	return done;
}

/* What the oldest descriptors that are done have for buffers: at most n. */
static size_t pop(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	struct e1000_queue *q = e1000_queue(head);
	struct ring *ring = &head->tx;

	/* Descriptors are done in order: one DD tells of all back to the RS before. */
	while (q->tx_done - ring->head < n && q->rs_head != q->rs_tail) {
		uint32_t at = q->rs[q->rs_head & ring->mask];

		if (!(dma_read(ring_word(ring, at, 1)) & TX_DD))
			break;
		q->rs_head++;
		q->tx_done = at + 1;
	}
	if (n > q->tx_done - ring->head)
		n = q->tx_done - ring->head;
	ring_pop(ring, offsets, (uint32_t)n);
	return n;
}

size_t e1000_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	size_t done = nic_tx_return_by(head, offsets, n, pop);

	/* The reads of DD, before the caller's accesses to the buffers that they free. */
	dma_read_barrier();
	return done;
}
