/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive: empty buffers to the card, received frames from it.
 */
#include "nic/ixgbe/ixgbe_steps.h"

/* Whole lines, from one that begins at the tail; returns how many slots it filled. */
static always size_t rx_fill_lines(
	const struct ixgbe_queue *q, uint32_t tail, const uint32_t *offsets, size_t n)
{
	struct lines to = lines_at(&q->head.rx, tail, n);

	return likely(q->one_run) ? rx_fill(q, to, offsets, true) : rx_fill(q, to, offsets, false);
}

static inline bool rx_fill_one(struct ixgbe_queue *q, uint32_t tail, uint32_t offset)
{
	struct ring *ring = &q->head.rx;
	uint32_t within = offset & WITHIN_CHUNK;
	size_t slot = tail & ring->mask;

	/* In the region, behind its metadata, and in one chunk. */
	if (unlikely(offset - NIC_BUFFER_HEAD > q->rx_span || within > BUFFER_WITHIN))
		return false;
	ring->buffer[slot] = offset;
	dma_write(ring->words + 2 * slot, q->iova[offset >> DMA_CHUNK_SHIFT] + within);
	/* The header's address; its bit 0 is where DD will be. */
	dma_write(ring->words + 2 * slot + 1, 0);
	return true;
}

/* There is room for n. */
static always size_t rx_provide(struct ixgbe_queue *q, const uint32_t *offsets, size_t n)
{
	struct ring *ring = &q->head.rx;
	uint32_t tail = ring->tail;
	size_t i = 0;

	while (i < n) {
		size_t lines = 0;

		/* As there is room, each line is software's whole. */
		if (line_begins(tail, n - i))
			lines = rx_fill_lines(q, tail, offsets + i, n - i);
		if (!lines) {
			if (!rx_fill_one(q, tail, offsets[i])) {
				ixgbe_refuse(q);
				break;
			}
			lines = 1;
		}
		i += lines;
		tail += (uint32_t)lines;
	}
	ring->tail = tail;
	rx_show(q);
	return i;
}

/* 7.1.6.2 */
static const struct rx_format format = {RX_DD, RX_EOP, RX_RXE, RX_LENGTH_SHIFT};

/* What is not one good frame in one buffer, from the head on: its entries, at most n. Each
 * write-back gives its buffer back to the caller; one that cannot be is counted and gives an entry
 * of no length. 0: nothing was written back, or not all that belongs together.
 *
 * A card that goes on beyond the largest frame, or begins one without end where each fits a buffer,
 * is out of order: all is dropped to the next EOP.
 */
static rare size_t rx_odd(
	struct ixgbe_queue *q, uint32_t head, uint64_t word, struct frame *frame, size_t n)
{
	uint16_t len = (uint16_t)(word >> RX_LENGTH_SHIFT);
	bool torn = q->rx_whole != (RX_DD | RX_EOP);
	size_t entries = RX_ENDLESS;

	if (!(word & RX_DD))
		return 0;
	if (!torn && !(word & RX_EOP))
		entries = rx_chain(&q->head, &format,
			__atomic_load_n(&q->rx_parts, __ATOMIC_RELAXED), head, frame, n);
	if (entries != RX_ENDLESS)
		return entries;
	q->rx_whole = word & RX_EOP ? RX_DD | RX_EOP : UINT64_MAX;
	if (torn || !(word & RX_EOP) || len - RX_MIN > RX_RANGE) {
		nic_count(&q->head.bad_writebacks);
		len = 0;
	}
	frame->len = len;
	frame->flags = FRAME_ERROR;
	return 1;
}

/* Good frames in whole lines, from one that begins at the head; returns how many. */
static always size_t rx_take_lines(
	const struct ixgbe_queue *q, uint32_t head, struct frame *frames, size_t n)
{
	return rx_take(q, lines_at(&q->head.rx, head, n), frames);
}

/* One good frame; false with *word: what it is instead. */
static inline bool rx_take_one(
	const struct ixgbe_queue *q, uint32_t head, struct frame *frame, uint64_t *word)
{
	const struct ring *ring = &q->head.rx;
	size_t slot = head & ring->mask;
	uint32_t len;

	/* One read: DD, EOP and length are of the same moment. */
	*word = dma_read(ring->words + 2 * slot + 1);
	len = (*word >> RX_LENGTH_SHIFT) & 0xFFFF;
	*frame = (struct frame){.offset = ring->buffer[slot], .len = (uint16_t)len};
	return likely((*word & RX_STATUS) == q->rx_whole && len - RX_MIN <= RX_RANGE);
}

static apart size_t rx_return_any(struct ixgbe_queue *q, struct frame *frames, size_t n)
{
	struct ring *ring = &q->head.rx;
	/* Slots beyond hold no buffer, but the DD of an earlier round. */
	size_t bound = ring_owned(ring);
	uint32_t head = ring->head;
	uint64_t word;
	size_t i = 0;

	if (n > bound)
		n = bound;
	while (i < n) {
		size_t lines = 0;

		if (line_begins(head, n - i))
			lines = rx_take_lines(q, head, frames + i, n - i);
		if (!lines)
			lines = rx_take_one(q, head, &frames[i], &word)
					? 1
					: rx_odd(q, head, word, &frames[i], n - i);
		if (!lines)
			break;
		i += lines;
		head += (uint32_t)lines;
	}
	ring->head = head;
	/* The reads of DD, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

/* The same for a single frame, where each instruction counts: if there is one, and it is good. */
static always bool rx_return_one(struct ixgbe_queue *q, struct frame *frame)
{
	struct ring *ring = &q->head.rx;
	uint64_t word;

	if (!ring_owned(ring) || !rx_take_one(q, ring->head, frame, &word))
		return false;
	ring->head++;
	dma_read_barrier();
	return true;
}

static always size_t rx_return(struct ixgbe_queue *q, struct frame *frames, size_t n)
{
	if (n == 1 && rx_return_one(q, frames))
		return 1;
	return rx_return_any(q, frames, n);
}

size_t ON_PATH(ixgbe_rx_provide)(struct nic_queue *q, const uint32_t *offsets, size_t n)
{
	size_t room = ring_room(&q->rx);

	return rx_provide(ixgbe_queue(q), offsets, n < room ? n : room);
}

size_t ON_PATH(ixgbe_rx_return)(struct nic_queue *q, struct frame *frames, size_t n)
{
	return rx_return(ixgbe_queue(q), frames, n);
}

/* Fills the ring from the pool. What does not fill a line waits, while the card has plenty. Passes
 * the number of received frames on, so that ixgbe_rx() has nothing to come back for.
 */
static apart size_t rx_refill(
	struct ixgbe_queue *q, struct nic_pool *pool, bool plenty, size_t received)
{
	struct ring *ring = &q->head.rx;
	uint32_t room = ring_room(ring);
	uint32_t n = room < pool->top ? room : pool->top;
	uint32_t over = (ring->tail + n) % RING_LINE;
	uint32_t *from;
	uint32_t taken;

	if (plenty)
		n -= over < n ? over : n;
	from = pool->free + (pool->top - n);
	taken = (uint32_t)rx_provide(q, from, n);
	/* Not all only where one is no buffer of this region, which stays in the pool. */
	if (unlikely(taken < n))
		memmove(from, from + taken, (n - taken) * sizeof *from);
	pool->top -= taken;
	return received;
}

size_t ON_PATH(ixgbe_rx)(
	struct nic_queue *head, struct nic_pool *pool, struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;
	size_t received = rx_return(q, frames, n);
	bool plenty = ring_owned(ring) >= ring_size(ring) / 2;

	/* Not more often than the tail is written. */
	if (!plenty || ring_room(ring) >= q->rx_batch)
		return rx_refill(q, pool, plenty, received);
	return received;
}
