/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive: empty buffers to the card, received frames from it. No register is ever read.
 */
#include "nic/e1000/e1000.h"

const struct rx_format e1000_rx_legacy = {
	RX_LEGACY_DD, RX_LEGACY_EOP, RX_LEGACY_ERRORS, RX_LEGACY_LENGTH};
const struct rx_format e1000_rx_extended = {
	RX_EXTENDED_DD, RX_EXTENDED_EOP, RX_EXTENDED_ERRORS, RX_EXTENDED_LENGTH};
const struct rx_format e1000_rx_advanced = {
	RX_EXTENDED_DD, RX_EXTENDED_EOP, RX_ADVANCED_ERRORS, RX_EXTENDED_LENGTH};

static void publish(struct e1000_queue *q)
{
	struct ring *ring = &q->head.rx;

	/* The descriptors, before the tail that gives them to the card. */
	dma_write_barrier();
	reg_publish(q->bar, q->rdt, ring->tail & ring->mask);
	ring->shown = ring->tail;
}

size_t e1000_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct e1000_queue *q = e1000_queue(head);
	struct ring *ring = &head->rx;
	size_t room = ring_room(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++, ring->tail++) {
		uint32_t offset = offsets[i];

		if (!rx_buffer_in_order(q->rx_span, offset)) {
			nic_count(&head->bad_offsets);
			break;
		}
		ring->buffer[ring->tail & ring->mask] = offset;
		dma_write(ring_word(ring, ring->tail, 0), piece_iova(q->iova, offset));
		/* Advanced: the header's address; its bit 0 is where DD will be. */
		dma_write(ring_word(ring, ring->tail, 1), 0);
	}

	/* Few tail writes while the card has plenty, each at once when it is short of buffers. */
	if (ring_kept(ring) >= q->rx_batch ||
		(ring_kept(ring) && ring_owned(ring) < ring_size(ring) / 2))
		publish(q);
	return i;
}

/* What one write-back gives that belongs to no good frame: a card that goes on beyond the largest
 * frame is out of order (or an 8254x took one of more than five buffers), and all is dropped to the
 * next EOP.
 */
static void give_up(struct e1000_queue *q, uint64_t word, struct frame *frame)
{
	nic_count(&q->head.bad_writebacks);
	frame->len = 0;
	frame->flags = FRAME_ERROR;
	q->rx_torn = !(word & q->rx->eop);
}

/* The frame that begins with a write-back, or as much as belongs to none: its entries, at most n.
 * 0: it has not come whole.
 */
static size_t take(struct e1000_queue *q, uint64_t word, struct frame *frames, size_t n)
{
	struct ring *ring = &q->head.rx;
	uint32_t max = __atomic_load_n(&q->rx_max, __ATOMIC_RELAXED);
	size_t entries = RX_ENDLESS;
	uint32_t bytes = 0;

	frames->offset = ring->buffer[ring->head & ring->mask];
	if (!q->rx_torn)
		entries = rx_chain(&q->head, q->rx, __atomic_load_n(&q->rx_parts, __ATOMIC_RELAXED),
			ring->head, frames, n);
	if (entries == RX_ENDLESS) {
		give_up(q, word, frames);
		return 1;
	}
	for (size_t i = 0; i < entries; i++)
		bytes += frames[i].len;
	if (!entries || frames->flags & FRAME_ERROR)
		return entries;
	if (bytes > max) {
		nic_count(&q->rx_too_long);
		for (size_t i = 0; i < entries; i++)
			frames[i].flags = FRAME_ERROR;
		return entries;
	}
	nic_count(&q->count.rx_frames);
	nic_add(&q->count.rx_bytes, bytes);
	return entries;
}

/* The same for a good frame in one buffer; false: it is none. */
static bool take_one(const struct e1000_queue *q, uint64_t word, struct frame *frame)
{
	const struct rx_format *rx = q->rx;
	const struct ring *ring = &q->head.rx;
	uint32_t max = __atomic_load_n(&q->rx_max, __ATOMIC_RELAXED);
	uint32_t len = (word >> rx->length) & 0xFFFF;

	if ((word & (rx->eop | rx->errors)) != rx->eop || q->rx_torn || len < FRAME_LEAST ||
		len > NIC_BUFFER_SIZE || len > max)
		return false;
	*frame = (struct frame){
		.offset = ring->buffer[ring->head & ring->mask], .len = (uint16_t)len};
	return true;
}

size_t e1000_rx_return(struct nic_queue *head, struct frame *frames, size_t n)
{
	struct e1000_queue *q = e1000_queue(head);
	struct ring *ring = &head->rx;
	/* Slots beyond hold no buffer, but the DD of an earlier round. */
	size_t bound = ring_owned(ring);
	uint64_t good = 0, bytes = 0;
	size_t i = 0;

	if (n > bound)
		n = bound;
	while (i < n) {
		/* One read: DD, EOP and length are of the same moment. */
		uint64_t word = dma_read(ring_word(ring, ring->head, 1));
		size_t entries = 1;

		if (!(word & q->rx->dd))
			break;
		if (take_one(q, word, &frames[i])) {
			good++;
			bytes += frames[i].len;
		} else {
			entries = take(q, word, &frames[i], n - i);
		}
		if (!entries)
			break;
		i += entries;
		ring->head += (uint32_t)entries;
	}
	nic_add(&q->count.rx_frames, good);
	nic_add(&q->count.rx_bytes, bytes);
	/* The reads of DD, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

void e1000_flush(struct nic_queue *head)
{
	/* Transmit keeps nothing back. */
	if (ring_kept(&head->rx))
		publish(e1000_queue(head));
}
