/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The four verbs. No register is ever read here; one tail is written a burst, and none for an empty
 * one.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/ixgbe/ixgbe.h"

/* A frame as received: header at least, one buffer at most. A larger one cannot be: MAXFRS holds
 * frames to the MTU's size, which a buffer holds.
 */
#define RX_MIN 14u
#define RX_MAX NIC_BUFFER_SIZE

#define TX_MIN 14u
/* Descriptors of one frame: the card's own store of 40 less WTHRESH, which is 0 (7.2.3.3). */
#define TX_CHAIN_MAX 40u
/* A data descriptor in the advanced format; the card appends the CRC. */
#define TX_COMMAND (TX_DATA | TX_IFCS | TX_DEXT)

/* At most that many descriptors stand between two RS (on 64-byte frames, one write-back for 32). */
#define TX_RS_EVERY 32u

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline struct ixgbe_queue *ixgbe_queue(struct nic_queue *q)
{
	return (struct ixgbe_queue *)q;
}

static inline uint64_t bus_address(const struct ixgbe_queue *q, uint32_t offset)
{
	return q->iova[offset >> DMA_CHUNK_SHIFT] + (offset & (DMA_CHUNK_SIZE - 1));
}

/* --- receive --- */

static inline bool buffer_in_order(const struct ixgbe_queue *q, uint32_t offset)
{
	return offset >= NIC_BUFFER_HEAD && offset <= q->rx_last_offset &&
	       (offset & (DMA_CHUNK_SIZE - 1)) <= DMA_CHUNK_SIZE - NIC_BUFFER_SIZE;
}

static void rx_publish(struct ixgbe_queue *q)
{
	struct ring *ring = &q->head.rx;

	/* The descriptors, before the tail that gives them to the card. */
	dma_write_barrier();
	reg_write(q->bar, q->rdt, ring->tail & ring->mask);
	ring->shown = ring->tail;
}

static size_t rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;
	uint32_t tail = ring->tail;
	uint32_t mask = ring->mask;
	size_t room = ring_room(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++) {
		uint32_t offset = offsets[i];

		if (unlikely(!buffer_in_order(q, offset))) {
			nic_count(&q->head.bad_offsets);
			break;
		}
		ring->buffer[tail & mask] = offset;
		dma_write(ring_word(ring, tail, 0), bus_address(q, offset));
		/* The header's address; its bit 0 is where DD will be. */
		dma_write(ring_word(ring, tail, 1), 0);
		tail++;
	}
	ring->tail = tail;

	/* Few tail writes while the card has plenty, each at once when it is short of buffers. */
	if (ring_kept(ring) >= q->rx_batch ||
		(ring_kept(ring) && ring_owned(ring) < ring_size(ring) / 2))
		rx_publish(q);
	return i;
}

/* What is not one good frame in one buffer. Each write-back gives its buffer back to the caller;
 * one that cannot be is counted and gives an entry of no length. False: nothing was written back.
 *
 * The MTU's frame fits a buffer, so a card that begins one without ending it is out of order: all
 * is dropped to the next EOP.
 */
static bool rx_odd(struct ixgbe_queue *q, uint64_t word, struct frame *frame)
{
	uint16_t len = (uint16_t)(word >> RX_LENGTH_SHIFT);
	bool torn = q->rx_whole != (RX_DD | RX_EOP);

	if (!(word & RX_DD))
		return false;
	q->rx_whole = word & RX_EOP ? RX_DD | RX_EOP : UINT64_MAX;
	if (torn || !(word & RX_EOP) || len < RX_MIN || len > RX_MAX) {
		nic_count(&q->head.bad_writebacks);
		len = 0;
	}
	frame->len = len;
	frame->flags = FRAME_ERROR;
	return true;
}

static size_t rx_return(struct nic_queue *head, struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;
	uint32_t at = ring->head;
	uint32_t mask = ring->mask;
	/* Slots beyond hold no buffer, but the DD of an earlier round. */
	size_t bound = ring_owned(ring);
	size_t i;

	if (n > bound)
		n = bound;
	for (i = 0; i < n; i++, at++) {
		/* One read: DD, EOP and length are of the same moment. */
		uint64_t word = dma_read(ring_word(ring, at, 1));
		uint16_t len = (uint16_t)(word >> RX_LENGTH_SHIFT);

		frames[i].offset = ring->buffer[at & mask];
		if (likely((word & (RX_DD | RX_EOP | RX_RXE)) == q->rx_whole &&
			    len - RX_MIN <= RX_MAX - RX_MIN)) {
			frames[i].len = len;
			frames[i].flags = 0;
		} else if (!rx_odd(q, word, &frames[i])) {
			break;
		}
	}
	ring->head = at;
	/* The reads of DD, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

/* --- transmit --- */

/* len is at most that of the largest frame, thus less than any region. */
static inline bool piece_in_order(const struct ixgbe_queue *q, uint32_t offset, uint32_t len)
{
	return offset <= q->region_size - len &&
	       (offset & (DMA_CHUNK_SIZE - 1)) <= DMA_CHUNK_SIZE - len;
}

static inline void tx_write(struct ixgbe_queue *q, uint32_t at, uint32_t offset, uint64_t word)
{
	struct ring *ring = &q->head.tx;

	ring->buffer[at & ring->mask] = offset;
	dma_write(ring_word(ring, at, 0), bus_address(q, offset));
	dma_write(ring_word(ring, at, 1), word);
}

/* The entries of the chain at frames[0 .. n), and its length in *total; 0 if it is not in order. */
static size_t tx_measure(const struct ixgbe_queue *q, const struct frame *frames, size_t n,
	uint32_t max, uint32_t *total)
{
	if (n > TX_CHAIN_MAX)
		n = TX_CHAIN_MAX;
	*total = 0;
	for (size_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];

		if (f->len == 0 || f->len > max - *total || f->flags & ~FRAME_MORE ||
			!piece_in_order(q, f->offset, f->len))
			return 0;
		*total += f->len;
		if (!(f->flags & FRAME_MORE))
			return *total >= TX_MIN ? i + 1 : 0;
	}
	return 0;
}

static size_t tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.tx;
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t room = ring_room(ring);
	uint32_t tail = ring->tail;
	uint32_t since = 0; /* descriptors since the last RS */
	uint64_t word = 0;
	size_t i = 0;

	while (i < n && room) {
		uint32_t len = frames[i].len;
		uint32_t chain = 1;

		if (unlikely(frames[i].flags || len - TX_MIN > max - TX_MIN ||
			     !piece_in_order(q, frames[i].offset, len))) {
			chain = (uint32_t)tx_measure(q, frames + i, n - i, max, &len);
			if (!chain) {
				nic_count(&q->head.bad_offsets);
				break;
			}
			if (chain > room)
				break;
			for (uint32_t k = 0; k + 1 < chain; k++, i++)
				tx_write(q, tail++, frames[i].offset,
					frames[i].len | TX_COMMAND |
						(uint64_t)len << TX_PAYLEN_SHIFT);
		}
		word = frames[i].len | TX_COMMAND | TX_EOP | (uint64_t)len << TX_PAYLEN_SHIFT;
		room -= chain;
		since += chain;
		if (since >= q->tx_every) {
			since = 0;
			word |= TX_RS;
			q->rs[q->rs_tail++ & ring->mask] = tail;
		}
		tx_write(q, tail++, frames[i++].offset, word);
	}

	/* Nobody knows when more will come: the last frame reports, too. It is still software's. */
	if (since) {
		q->rs[q->rs_tail++ & ring->mask] = tail - 1;
		dma_write(ring_word(ring, tail - 1, 1), word | TX_RS);
	}
	if (tail != ring->tail) {
		ring->tail = ring->shown = tail;
		/* The descriptors (and the frames), before the tail that gives them to the card. */
		dma_write_barrier();
		reg_write(q->bar, q->tdt, tail & ring->mask);
	}
	return i;
}

static size_t tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
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

static void flush(struct nic_queue *head)
{
	struct ixgbe_queue *q = ixgbe_queue(head);

	/* tx_provide() keeps nothing back. */
	if (ring_kept(&q->head.rx))
		rx_publish(q);
}

const struct nic_verbs ixgbe_verbs = {
	.rx_provide = rx_provide,
	.rx_return = rx_return,
	.tx_provide = tx_provide,
	.tx_return = tx_return,
	.flush = flush,
};

/* --- life --- */

uint32_t ixgbe_frame_max(uint16_t mtu)
{
	return mtu + 14u + 4u;
}

static int ring_create(
	struct ring *ring, const struct dma_region *memory, size_t place, uint32_t slots)
{
	ring->mask = slots - 1;
	ring->words = (dma_word __dma *)(uintptr_t)(memory->base + place);
	ring->buffer = calloc(slots, sizeof *ring->buffer);
	return ring->buffer ? 0 : -ENOMEM;
}

int ixgbe_queue_create(struct ixgbe *dev, unsigned index)
{
	const struct nic_config *config = &dev->config;
	struct nic_ring_place place = nic_place_rings(config, index);
	struct ixgbe_queue *q = calloc(1, sizeof *q);

	if (!q)
		return -ENOMEM;
	dev->nic.queue[index] = &q->head;
	q->head.verbs = &ixgbe_verbs;
	q->head.fn = dev->nic.fn;
	q->bar = &dev->bar;
	q->iova = config->frames->iova;
	q->region_size = (uint32_t)config->frames->size;
	q->rx_last_offset = q->region_size - NIC_BUFFER_SIZE;
	q->rdt = RDT(index);
	q->tdt = TDT(index);
	q->rx_batch = config->rx_ring / 4 < 32 ? config->rx_ring / 4 : 32;
	q->rx_whole = RX_DD | RX_EOP;
	q->tx_every = config->tx_ring / 4 < TX_RS_EVERY ? config->tx_ring / 4 : TX_RS_EVERY;
	q->tx_max = ixgbe_frame_max(config->mtu);
	q->rs = calloc(config->tx_ring, sizeof *q->rs);
	if (!q->rs || ring_create(&q->head.rx, config->rings, place.rx, config->rx_ring) ||
		ring_create(&q->head.tx, config->rings, place.tx, config->tx_ring)) {
		ixgbe_queue_destroy(dev, index);
		return -ENOMEM;
	}
	return 0;
}

void ixgbe_queue_destroy(struct ixgbe *dev, unsigned index)
{
	struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[index]);

	if (!q)
		return;
	free(q->head.rx.buffer);
	free(q->head.tx.buffer);
	free(q->rs);
	free(q);
	dev->nic.queue[index] = NULL;
}
