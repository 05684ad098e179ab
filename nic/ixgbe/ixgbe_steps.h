/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Steps of the data path that the verbs and nic_forward() share, a descriptor at a time; four are
 * in ixgbe_lines.h.
 */
#ifndef NIC_IXGBE_STEPS_H
#define NIC_IXGBE_STEPS_H

#include "nic/chain.h"
#include "nic/ixgbe/ixgbe_lines.h"

/* Few tail writes while the card has plenty, each at once when it is short of buffers. */
static always void rx_show(struct ixgbe_queue *q)
{
	struct ring *ring = &q->head.rx;
	uint32_t kept = ring_kept(ring);

	if (kept && (kept >= q->rx_batch || ring_owned(ring) < ring_size(ring) / 2))
		ixgbe_publish(q, ring, q->rdt_direct, q->rdt, ring->tail);
}

/* The card reports the descriptor at `at`. */
static inline void tx_note(struct ixgbe_queue *q, uint32_t at)
{
	q->rs[q->rs_tail++ & q->head.tx.mask] = at;
}

/* Has the card report the frame whose last descriptor is at `at`; not shown to it yet. */
static inline void tx_report(struct ixgbe_queue *q, uint32_t at)
{
	dma_word __dma *word = ring_word(&q->head.tx, at, 1);

	tx_note(q, at);
	dma_write(word, dma_read(word) | TX_RS);
}

/* One whole frame; `report` is TX_RS or 0. */
static always bool tx_fill_one(struct ixgbe_queue *q, uint32_t tail, const struct frame *frame,
	uint32_t max, uint64_t report)
{
	struct ring *ring = &q->head.tx;
	uint32_t offset = frame->offset;
	uint32_t len = tx_len(frame);
	size_t slot = tail & ring->mask;

	if (unlikely(len - TX_MIN > max - TX_MIN || !piece_in_order(q->region_size, offset, len)))
		return false;
	ring->buffer[slot] = offset;
	dma_write(ring->words + 2 * slot,
		q->iova[offset >> DMA_CHUNK_SHIFT] + (offset & WITHIN_CHUNK));
	dma_write(ring->words + 2 * slot + 1,
		len | (uint64_t)len << TX_PAYLEN_SHIFT | TX_WORD | TX_EOP | report);
	return true;
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

/* Shows the card what was queued up to `at`, at least one frame. */
static always void tx_publish(struct ixgbe_queue *q, uint32_t at)
{
	q->head.tx.tail = at;
	ixgbe_publish(q, &q->head.tx, q->tdt_direct, q->tdt, at);
}

/* Whether there is an RS that the card has answered: the frames up to it are sent. */
static always bool tx_answered(const struct ixgbe_queue *q, uint32_t report)
{
	const struct ring *ring = &q->head.tx;

	return report != q->rs_tail &&
	       (dma_read(ring_word(ring, q->rs[report & ring->mask], 1)) & TX_DD);
}

#endif
