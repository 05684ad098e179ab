/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive: empty buffers to the card, received frames from it.
 */
#include "nic/ixgbe/ixgbe_path.h"

/* A frame as received: header at least, one buffer at most. A larger one cannot be: MAXFRS holds
 * frames to the MTU's size, which a buffer holds.
 */
#define RX_MIN 14u
#define RX_MAX NIC_BUFFER_SIZE

void ixgbe_rx_publish(struct ixgbe_queue *q)
{
	struct ring *ring = &q->head.rx;

	/* The descriptors, before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->rdt, ring->tail & ring->mask);
	ring->shown = ring->tail;
}

size_t ixgbe_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
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
			ixgbe_refuse(q);
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
		ixgbe_rx_publish(q);
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

size_t ixgbe_rx_return(struct nic_queue *head, struct frame *frames, size_t n)
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
