/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit: frames to the card, sent ones' buffers from it. No register is ever read.
 */
#include "nic/chain.h"
#include "nic/rtl8168/rtl8168.h"

#define TX_WIRE 60u /* what a frame is filled up to */
#define TX_CRC  4u

void rtl8168_tx_poll(const struct rtl8168_queue *q)
{
	reg_publish8(q->bar, TPPOLL, TPPOLL_NPQ);
}

static void give(struct ring *ring, uint32_t at, uint64_t word)
{
	if ((at & ring->mask) == ring->mask)
		word |= DESC_EOR;
	dma_write(ring_word(ring, at, 0), word | DESC_OWN);
}

/* Queues a frame of so many entries, and behind them `pad` zeroes. */
static void queue(
	struct rtl8168_queue *q, const struct frame *frames, uint32_t entries, uint32_t pad)
{
	struct ring *ring = &q->head.tx;
	uint32_t slots = entries + (pad != 0);

	for (uint32_t i = 0; i < slots; i++) {
		bool data = i < entries;
		uint32_t at = ring->tail + i;
		uint32_t offset = data ? frames[i].offset : NO_BUFFER;

		ring->buffer[at & ring->mask] = offset;
		dma_write(ring_word(ring, at, 1), data ? piece_iova(q->iova, offset) : q->pad);
	}
	/* The addresses (and the frames), before the bits that give them to the card; the first
	 * one's last, so that it finds no half of a frame.
	 */
	dma_write_barrier();
	for (uint32_t i = slots; i-- > 0;) {
		uint32_t len = i < entries ? frames[i].len : pad;

		if (i == 0)
			dma_write_barrier();
		give(ring, ring->tail + i,
			len | (i == 0 ? DESC_FS : 0) | (i + 1 == slots ? DESC_LS : 0));
	}
	q->head.tx_bare += slots - entries;
	ring->tail += slots;
}

/* The frame that was queued last is looked at, whether it was sent. */
static void look(struct rtl8168_queue *q)
{
	q->rs[q->rs_tail++ & q->head.tx.mask] = q->head.tx.tail - 1;
}

size_t rtl8168_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct rtl8168_queue *q = (struct rtl8168_queue *)head;
	struct ring *ring = &head->tx;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t looked = ring->tail;
	size_t done = 0;

	while (done < n) {
		struct chain chain = tx_measure(q->region_size, frames + done, n - done, max, 0);
		uint32_t wire = chain.bytes < TX_WIRE ? TX_WIRE : chain.bytes;
		uint32_t pad = q->pad ? wire - chain.bytes : 0;

		if (!chain.entries)
			nic_count(&head->bad_offsets);
		if (!chain.entries || chain.entries + (pad != 0) > ring_room(ring))
			break;
		queue(q, frames + done, chain.entries, pad);
		done += chain.entries;
		nic_count(&q->stats.tx_frames);
		nic_add(&q->stats.tx_bytes, wire + TX_CRC);
		if (ring->tail - looked >= q->tx_every) {
			look(q);
			looked = ring->tail;
		}
	}
	if (!done)
		return 0;
	/* Nobody knows when more will come: the last frame is looked at, too. */
	if (ring->tail != looked)
		look(q);
	ring->shown = ring->tail;
	/* The descriptors, before the word that has the card look for them. */
	dma_write_barrier();
	rtl8168_tx_poll(q);
	return done;
}

/* Descriptors are done in order: one tells of all back to the one looked at before. */
static bool reported(struct rtl8168_queue *q)
{
	const struct ring *ring = &q->head.tx;
	uint32_t at;

	if (q->rs_head == q->rs_tail)
		return false;
	at = q->rs[q->rs_head & ring->mask];
	if (dma_read(ring_word(ring, at, 0)) & DESC_OWN)
		return false;
	q->rs_head++;
	q->tx_done = at + 1;
	return true;
}

size_t rtl8168_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	struct rtl8168_queue *q = (struct rtl8168_queue *)head;
	struct ring *ring = &head->tx;
	bool moved = false;
	size_t done = 0;

	while (done < n) {
		uint32_t offset;

		if (ring->head == q->tx_done) {
			if (!reported(q))
				break;
			moved = true;
		}
		offset = ring->buffer[ring->head++ & ring->mask];
		if (offset == NO_BUFFER)
			head->tx_bare--;
		else
			offsets[done++] = offset;
	}
	/* The reads of OWN, before the caller's accesses to the buffers that they free. */
	dma_read_barrier();
	/* A word that comes while the card sends gets lost: once more (Linux, FreeBSD). */
	if (moved && q->rs_head != q->rs_tail)
		rtl8168_tx_poll(q);
	return done;
}
