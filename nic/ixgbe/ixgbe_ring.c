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
/* At most that many descriptors stand between two RS (on 64-byte frames, one write-back for 32). */
#define TX_RS_EVERY 32u

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Out of the loops, so that these keep their registers. */
#define rare __attribute__((noinline, cold))

#define CHUNK ((uint32_t)DMA_CHUNK_SIZE)

static inline struct ixgbe_queue *ixgbe_queue(struct nic_queue *q)
{
	return (struct ixgbe_queue *)q;
}

static rare void refuse(struct ixgbe_queue *q)
{
	nic_count(&q->head.bad_offsets);
}

/* --- receive --- */

static void rx_publish(struct ixgbe_queue *q)
{
	struct ring *ring = &q->head.rx;

	/* The descriptors, before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->rdt, ring->tail & ring->mask);
	ring->shown = ring->tail;
}

static size_t rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;
	dma_word __dma *words = ring->words;
	uint32_t *buffer = ring->buffer;
	const uint64_t *iova = q->iova;
	uint32_t tail = ring->tail;
	uint32_t mask = ring->mask;
	uint32_t span = q->rx_span;
	size_t room = ring_room(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++, tail++) {
		uint32_t offset = offsets[i];
		uint32_t within = offset & (CHUNK - 1);
		uint32_t slot = tail & mask;

		/* In the region, behind its metadata, and in one chunk. */
		if (unlikely(offset - NIC_BUFFER_HEAD > span || within > CHUNK - NIC_BUFFER_SIZE)) {
			refuse(q);
			break;
		}
		buffer[slot] = offset;
		dma_write(words + 2 * slot, iova[offset >> DMA_CHUNK_SHIFT] + within);
		/* The header's address; its bit 0 is where DD will be. */
		dma_write(words + 2 * slot + 1, 0);
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
static rare bool rx_odd(struct ixgbe_queue *q, uint64_t word, struct frame *frame)
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
	const dma_word __dma *words = ring->words;
	const uint32_t *buffer = ring->buffer;
	uint64_t whole = q->rx_whole;
	uint32_t at = ring->head;
	uint32_t mask = ring->mask;
	/* Slots beyond hold no buffer, but the DD of an earlier round. */
	size_t bound = ring_owned(ring);
	size_t i;

	if (n > bound)
		n = bound;
	for (i = 0; i < n; i++, at++) {
		uint32_t slot = at & mask;
		/* One read: DD, EOP and length are of the same moment. */
		uint64_t word = dma_read(words + 2 * slot + 1);
		uint16_t len = (uint16_t)(word >> RX_LENGTH_SHIFT);

		frames[i].offset = buffer[slot];
		if (likely((word & (RX_DD | RX_EOP | RX_RXE)) == whole &&
			    len - RX_MIN <= RX_MAX - RX_MIN)) {
			frames[i].len = len;
			frames[i].flags = 0;
		} else {
			if (!rx_odd(q, word, &frames[i]))
				break;
			whole = q->rx_whole;
		}
	}
	ring->head = at;
	/* The reads of DD, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

/* --- transmit --- */

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
		refuse(q);
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

static size_t tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
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
	q->rx_span = q->region_size - NIC_BUFFER_STRIDE;
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
