/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it. No register is ever read.
 */
#include "nic/e1000/e1000.h"

#define TX_MIN 14u
/* Descriptors of one frame: ours, as the class says; the cards set no limit of their own. */
#define TX_CHAIN_MAX 40u

/* The descriptors of the frame that begins at frames[0 .. n); 0: it is not in order. */
static uint32_t measure(const struct e1000_queue *q, const struct frame *frames, size_t n)
{
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t bytes = 0;

	if (n > TX_CHAIN_MAX)
		n = TX_CHAIN_MAX;
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		uint32_t within = f->offset & (DMA_CHUNK_SIZE - 1);

		if (f->len == 0 || f->len > max - bytes || f->flags & ~FRAME_MORE ||
			(uint64_t)f->offset + f->len > q->region_size ||
			within + f->len > DMA_CHUNK_SIZE)
			return 0;
		bytes += f->len;
		if (!(f->flags & FRAME_MORE))
			return bytes >= TX_MIN ? i + 1 : 0;
	}
	return 0;
}

static void fill(struct e1000_queue *q, const struct frame *piece, uint64_t command)
{
	struct ring *ring = &q->head.tx;
	uint32_t within = piece->offset & (DMA_CHUNK_SIZE - 1);

	ring->buffer[ring->tail & ring->mask] = piece->offset;
	dma_write(
		ring_word(ring, ring->tail, 0), q->iova[piece->offset >> DMA_CHUNK_SHIFT] + within);
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

size_t e1000_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct e1000_queue *q = (struct e1000_queue *)head;
	struct ring *ring = &head->tx;
	uint32_t reported = ring->tail;
	size_t done = 0;

	while (done < n) {
		uint32_t entries = measure(q, frames + done, n - done);

		if (!entries)
			nic_count(&head->bad_offsets);
		if (!entries || entries > ring_room(ring))
			break;
		for (uint32_t i = 0; i < entries; i++)
			fill(q, &frames[done + i], TX_IFCS | (i + 1 < entries ? 0 : TX_EOP));
		done += entries;
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
	reg_publish(q->bar, TDT, ring->tail & ring->mask);
	return done;
}

size_t e1000_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	struct e1000_queue *q = (struct e1000_queue *)head;
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
