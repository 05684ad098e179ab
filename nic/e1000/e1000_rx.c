/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive: empty buffers to the card, received frames from it. No register is ever read.
 */
#include "nic/e1000/e1000.h"

/* A frame as received: header at least, one buffer at most. Without RCTL.LPE the card drops what is
 * longer than 1522 bytes with the CRC (8254x 13.4.22).
 */
#define RX_MIN 14u
#define RX_MAX NIC_BUFFER_SIZE

const struct e1000_rx_format e1000_rx_legacy = {
	RX_LEGACY_DD, RX_LEGACY_EOP, RX_LEGACY_ERRORS, RX_LEGACY_LENGTH};
const struct e1000_rx_format e1000_rx_advanced = {
	RX_ADVANCED_DD, RX_ADVANCED_EOP, RX_ADVANCED_ERRORS, RX_ADVANCED_LENGTH};

static void publish(struct e1000_queue *q)
{
	struct ring *ring = &q->head.rx;

	/* The descriptors, before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, RDT, ring->tail & ring->mask);
	ring->shown = ring->tail;
}

size_t e1000_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct e1000_queue *q = (struct e1000_queue *)head;
	struct ring *ring = &head->rx;
	size_t room = ring_room(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++, ring->tail++) {
		uint32_t offset = offsets[i];
		uint32_t within = offset & (DMA_CHUNK_SIZE - 1);

		/* In the region, behind its metadata, and in one chunk. */
		if (offset - NIC_BUFFER_HEAD > q->rx_span ||
			within > DMA_CHUNK_SIZE - NIC_BUFFER_SIZE) {
			nic_count(&head->bad_offsets);
			break;
		}
		ring->buffer[ring->tail & ring->mask] = offset;
		dma_write(ring_word(ring, ring->tail, 0),
			q->iova[offset >> DMA_CHUNK_SHIFT] + within);
		/* Advanced: the header's address; its bit 0 is where DD will be. */
		dma_write(ring_word(ring, ring->tail, 1), 0);
	}

	/* Few tail writes while the card has plenty, each at once when it is short of buffers. */
	if (ring_kept(ring) >= q->rx_batch ||
		(ring_kept(ring) && ring_owned(ring) < ring_size(ring) / 2))
		publish(q);
	return i;
}

/* A frame fits a buffer, so a card that begins one without ending it is out of order: all is
 * dropped to the next EOP.
 */
static void judge(struct e1000_queue *q, uint64_t word, struct frame *frame)
{
	uint16_t len = (uint16_t)(word >> q->rx->length);
	bool end = word & q->rx->eop;

	frame->flags = word & q->rx->errors ? FRAME_ERROR : 0;
	frame->len = len;
	if (q->rx_torn || !end || len < RX_MIN || len > RX_MAX) {
		nic_count(&q->head.bad_writebacks);
		frame->len = 0;
		frame->flags = FRAME_ERROR;
	}
	q->rx_torn = !end;
}

size_t e1000_rx_return(struct nic_queue *head, struct frame *frames, size_t n)
{
	struct e1000_queue *q = (struct e1000_queue *)head;
	struct ring *ring = &head->rx;
	/* Slots beyond hold no buffer, but the DD of an earlier round. */
	size_t bound = ring_owned(ring);
	size_t i;

	if (n > bound)
		n = bound;
	for (i = 0; i < n; i++, ring->head++) {
		/* One read: DD, EOP and length are of the same moment. */
		uint64_t word = dma_read(ring_word(ring, ring->head, 1));

		if (!(word & q->rx->dd))
			break;
		frames[i].offset = ring->buffer[ring->head & ring->mask];
		judge(q, word, &frames[i]);
	}
	/* The reads of DD, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

void e1000_flush(struct nic_queue *head)
{
	/* Transmit keeps nothing back. */
	if (ring_kept(&head->rx))
		publish((struct e1000_queue *)head);
}
