/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it. No register is ever read.
 */
#include "nic/e1000/e1000.h"

static void fill(struct e1000_queue *q, const struct frame *piece, uint64_t command)
{
	struct ring *ring = &q->head.tx;

	ring->buffer[ring->tail & ring->mask] = piece->offset;
	dma_write(ring_word(ring, ring->tail, 0), piece_iova(q->iova, piece->offset));
	dma_write(ring_word(ring, ring->tail, 1), command | piece->len);
	ring->tail++;
}

/* Has the card report the frame that was filled in last; not shown to it yet. */
static void report(struct e1000_queue *q, uint16_t len)
{
	struct ring *ring = &q->head.tx;
	uint32_t at = ring->tail - 1;

	q->rs[q->rs_tail++ & ring->mask] = at;
	dma_write(ring_word(ring, at, 1), TX_IFCS | TX_EOP | TX_RS | len);
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
	size_t done = 0;

	while (done < n) {
		struct chain chain = tx_measure(q->region_size, frames + done, n - done, max, 0);

		if (!chain.entries)
			nic_count(&head->bad_offsets);
		if (!chain.entries || chain.entries > ring_room(ring))
			break;
		for (uint32_t i = 0; i < chain.entries; i++)
			fill(q, &frames[done + i], TX_IFCS | (i + 1 < chain.entries ? 0 : TX_EOP));
		done += chain.entries;
		nic_count(&q->count.tx_frames);
		nic_add(&q->count.tx_bytes, on_the_wire(chain.bytes));
		if (ring->tail - reported >= q->tx_every) {
			report(q, frames[done - 1].len);
			reported = ring->tail;
		}
	}
	if (!done)
		return 0;
	/* Nobody knows when more will come: the last frame reports, too. */
	if (ring->tail != reported)
		report(q, frames[done - 1].len);
	ring->shown = ring->tail;
	/* The descriptors (and the frames), before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->tdt, ring->tail & ring->mask);
	return done;
}

size_t e1000_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
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
	/* The reads of DD, before the caller's accesses to the buffers that they free. */
	dma_read_barrier();
	if (n > q->tx_done - ring->head)
		n = q->tx_done - ring->head;
	ring_pop(ring, offsets, (uint32_t)n);
	return n;
}
