/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it.
 */
#include "nic/ixgbe/ixgbe_steps.h"

/* Queues the chain at frames[0 .. n): its entries. 0: nothing is written, as it is not in order
 * (counted) or there is no room for it.
 */
rare size_t ON_PATH(ixgbe_tx_chain)(struct ixgbe_queue *q, const struct frame *frames, size_t n,
	uint32_t room, uint32_t at, uint32_t max)
{
	struct chain chain = tx_measure(q->region_size, frames, n, max, 0);

	if (!chain.entries)
		ixgbe_refuse(q);
	if (chain.entries > room)
		return 0;
	for (uint32_t i = 0; i < chain.entries; i++)
		tx_write(q, at + i, &frames[i],
			TX_WORD | (uint64_t)chain.bytes << TX_PAYLEN_SHIFT |
				(i + 1 < chain.entries ? 0 : TX_EOP));
	return chain.entries;
}

/* Whole frames in whole lines, from one that begins at the tail; returns how many. */
static always size_t tx_fill_lines(const struct ixgbe_queue *q, uint32_t tail,
	const struct frame *frames, size_t n, uint32_t max)
{
	struct lines to = lines_at(&q->head.tx, tail, n);
	struct tx_bounds bounds = tx_bounds(q, max);

	return likely(q->one_run) ? tx_fill(q, to, frames, bounds, true)
				  : tx_fill(q, to, frames, bounds, false);
}

static apart size_t tx_provide_any(struct ixgbe_queue *q, const struct frame *frames, size_t n)
{
	struct ring *ring = &q->head.tx;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t room = ring_room(ring);
	uint32_t at = ring->tail;
	uint32_t end = at + (n < room ? (uint32_t)n : room); /* an entry takes a descriptor */
	uint32_t reported = at;
	const struct frame *frame = frames;

	while (at != end) {
		uint32_t group = q->tx_every - (at - reported);
		uint32_t left = end - at < group ? end - at : group;
		size_t entries = 0;

		/* There is room for all of them, and none but the last reports. */
		if (line_begins(at, left))
			entries = tx_fill_lines(q, at, frame, left, max);
		if (!entries)
			entries = tx_fill_one(q, at, frame, max, 0);
		if (!entries)
			entries = ON_PATH(ixgbe_tx_chain)(
				q, frame, n - (size_t)(frame - frames), end - at, at, max);
		if (!entries)
			break;
		frame += entries;
		at += (uint32_t)entries;
		if (at - reported >= q->tx_every) {
			tx_report(q, at - 1);
			reported = at;
		}
	}
	if (at == ring->tail)
		return 0;
	/* Nobody knows when more will come: the last frame reports, too. */
	if (at != reported)
		tx_report(q, at - 1);
	tx_publish(q, at);
	return (size_t)(frame - frames);
}

/* The same for a single frame, where each instruction counts: if there is room, and it is a whole
 * one in order.
 */
static always bool tx_provide_one(struct ixgbe_queue *q, const struct frame *frame)
{
	struct ring *ring = &q->head.tx;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t at = ring->tail;

	if (!ring_room(ring) || !tx_fill_one(q, at, frame, max, TX_RS))
		return false;
	tx_note(q, at);
	tx_publish(q, at + 1);
	return true;
}

static always size_t tx_provide(struct ixgbe_queue *q, const struct frame *frames, size_t n)
{
	if (n == 1 && tx_provide_one(q, frames))
		return 1;
	return tx_provide_any(q, frames, n);
}

/* Sent frames' buffers, at most n. */
static apart size_t tx_return(struct ixgbe_queue *q, uint32_t *offsets, size_t n)
{
	struct ring *ring = &q->head.tx;
	uint32_t report = q->rs_head;
	uint32_t done = q->tx_done;

	/* Descriptors are done in order: one DD tells of all back to the RS before. */
	while (done - ring->head < n && tx_answered(q, report))
		done = q->rs[report++ & ring->mask] + 1;
	q->rs_head = report;
	q->tx_done = done;
	/* The reads of DD, before the caller's accesses to the buffers that they free. */
	dma_read_barrier();
	if (n > done - ring->head)
		n = done - ring->head;
	ring_pop(ring, offsets, (uint32_t)n);
	return n;
}

size_t ON_PATH(ixgbe_tx_provide)(struct nic_queue *q, const struct frame *frames, size_t n)
{
	return tx_provide(ixgbe_queue(q), frames, n);
}

size_t ON_PATH(ixgbe_tx_return)(struct nic_queue *q, uint32_t *offsets, size_t n)
{
	return tx_return(ixgbe_queue(q), offsets, n);
}

/* All that is sent is taken back: the fewer buffers go round, the warmer they are. */
static apart size_t tx_reclaim_and_provide(
	struct ixgbe_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n)
{
	pool->top += (uint32_t)tx_return(q, pool->free + pool->top, pool->size - pool->top);
	return tx_provide_any(q, frames, n);
}

size_t ON_PATH(ixgbe_tx)(
	struct nic_queue *head, struct nic_pool *pool, const struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);

	if (tx_answered(q, q->rs_head) || q->tx_done != q->head.tx.head)
		return tx_reclaim_and_provide(q, pool, frames, n);
	return tx_provide(q, frames, n);
}
