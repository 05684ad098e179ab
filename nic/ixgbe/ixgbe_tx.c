/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it.
 */
#include "nic/ixgbe/ixgbe_path.h"

#define TX_MIN 14u
/* Descriptors of one frame: the card's own store of 40 less WTHRESH, which is 0 (7.2.3.3). */
#define TX_CHAIN_MAX 40u

/* A piece of a frame lies in the region and in one chunk. */
static inline bool piece_in_order(uint64_t region_size, uint32_t offset, uint32_t len)
{
	return (uint64_t)offset + len <= region_size && (offset & (CHUNK - 1)) + len <= CHUNK;
}

struct chain {
	uint32_t entries; /* 0: none */
	uint32_t bytes;
};

/* The chain at frames[0 .. n), if it is in order. */
static struct chain tx_measure(
	const struct ixgbe_queue *q, const struct frame *frames, size_t n, uint32_t max)
{
	uint32_t bytes = 0;

	if (n > TX_CHAIN_MAX)
		n = TX_CHAIN_MAX;
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];

		if (f->len == 0 || f->len > max - bytes || f->flags & ~FRAME_MORE ||
			!piece_in_order(q->region_size, f->offset, f->len))
			break;
		bytes += f->len;
		if (!(f->flags & FRAME_MORE) && bytes >= TX_MIN)
			return (struct chain){i + 1, bytes};
		if (!(f->flags & FRAME_MORE))
			break;
	}
	return (struct chain){0, 0};
}

/* What the descriptors of a frame have in common: a data descriptor in the advanced format, the CRC
 * appended by the card, and the frame's length.
 */
static inline uint64_t tx_word(uint32_t bytes)
{
	return TX_DATA | TX_IFCS | TX_DEXT | (uint64_t)bytes << TX_PAYLEN_SHIFT;
}

static inline void tx_write(
	struct ixgbe_queue *q, uint32_t at, const struct frame *piece, uint64_t word)
{
	struct ring *ring = &q->head.tx;
	uint32_t slot = at & ring->mask;
	uint32_t within = piece->offset & (CHUNK - 1);

	ring->buffer[slot] = piece->offset;
	dma_write(ring->words + 2 * slot, q->iova[piece->offset >> DMA_CHUNK_SHIFT] + within);
	dma_write(ring->words + 2 * slot + 1, word | piece->len);
}

/* Queues the chain at frames[0 .. n). Without entries: nothing is written, as it is not in order
 * (counted) or there is no room for it.
 */
static rare struct chain tx_queue_chain(struct ixgbe_queue *q, const struct frame *frames, size_t n,
	uint32_t room, uint32_t at, uint32_t max)
{
	struct chain chain = tx_measure(q, frames, n, max);

	if (!chain.entries)
		ixgbe_refuse(q);
	if (chain.entries > room)
		return (struct chain){0, 0};
	for (uint32_t i = 0; i < chain.entries; i++)
		tx_write(q, at + i, &frames[i],
			tx_word(chain.bytes) | (i + 1 < chain.entries ? 0 : TX_EOP));
	return chain;
}

/* Has the card report the frame whose last descriptor was written as `word`; not shown to it yet.
 */
static void tx_report(struct ixgbe_queue *q, uint32_t at, uint64_t word)
{
	struct ring *ring = &q->head.tx;

	q->rs[q->rs_tail++ & ring->mask] = at;
	dma_write(ring_word(ring, at, 1), word | TX_RS);
}

size_t ixgbe_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.tx;
	dma_word __dma *words = ring->words;
	uint32_t *buffer = ring->buffer;
	const uint64_t *iova = q->iova;
	uint64_t region_size = q->region_size;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t mask = ring->mask;
	uint32_t room = ring_room(ring);
	uint32_t at = ring->tail;
	uint32_t end = at + (n < room ? (uint32_t)n : room); /* an entry takes a descriptor */
	uint32_t reported = at;
	const struct frame *frame = frames;
	uint64_t word = 0;

	while (at != end) {
		uint32_t offset = frame->offset;
		uint32_t len = frame->len;
		uint32_t within = offset & (CHUNK - 1);
		uint32_t slot = at & mask;

		if (likely(!frame->flags && len - TX_MIN <= max - TX_MIN &&
			    piece_in_order(region_size, offset, len))) {
			word = len | tx_word(len) | TX_EOP;
			buffer[slot] = offset;
			dma_write(words + 2 * slot, iova[offset >> DMA_CHUNK_SHIFT] + within);
			dma_write(words + 2 * slot + 1, word);
			frame++;
			at++;
		} else {
			struct chain chain = tx_queue_chain(
				q, frame, n - (size_t)(frame - frames), end - at, at, max);

			if (!chain.entries)
				break;
			frame += chain.entries;
			at += chain.entries;
			word = frame[-1].len | tx_word(chain.bytes) | TX_EOP;
		}
		if (unlikely(at - reported >= q->tx_every)) {
			tx_report(q, at - 1, word);
			reported = at;
		}
	}
	if (at == ring->tail)
		return 0;
	/* Nobody knows when more will come: the last frame reports, too. */
	if (at != reported)
		tx_report(q, at - 1, word);
	ring->tail = ring->shown = at;
	/* The descriptors (and the frames), before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->tdt, at & mask);
	return (size_t)(frame - frames);
}

size_t ixgbe_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.tx;
	uint32_t ready = q->tx_done - ring->head;

	/* Descriptors are done in order: one DD tells of all back to the RS before. */
	while (ready < n && q->rs_head != q->rs_tail) {
		uint32_t at = q->rs[q->rs_head & ring->mask];

		if (!(dma_read(ring_word(ring, at, 1)) & TX_DD))
			break;
		q->rs_head++;
		q->tx_done = at + 1;
		ready = q->tx_done - ring->head;
	}
	/* The reads of DD, before the caller's accesses to the buffers that they free. */
	dma_read_barrier();
	if (n > ready)
		n = ready;
	ring_pop(ring, offsets, (uint32_t)n);
	return n;
}
