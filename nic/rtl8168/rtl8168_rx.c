/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive: empty buffers to the card, received frames from it. A descriptor is whose its own bit
 * says, so there is no tail to write, and no register is ever touched.
 */
#include "nic/chain.h"
#include "nic/rtl8168/rtl8168.h"

#define RX_CRC 4u /* lies behind a frame */

size_t rtl8168_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct rtl8168_queue *q = (struct rtl8168_queue *)head;
	struct ring *ring = &head->rx;
	size_t room = ring_room(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++, ring->tail++) {
		uint32_t offset = offsets[i];
		uint64_t last = (ring->tail & ring->mask) == ring->mask ? DESC_EOR : 0;

		/* The card writes to multiples of 8. */
		if (!rx_buffer_in_order(q->rx_span, offset) || offset % BUFFER_ALIGN) {
			nic_count(&head->bad_offsets);
			break;
		}
		ring->buffer[ring->tail & ring->mask] = offset;
		dma_write(ring_word(ring, ring->tail, 1), piece_iova(q->iova, offset));
		/* The address, before the bit that gives it to the card. */
		dma_write_barrier();
		dma_write(ring_word(ring, ring->tail, 0), DESC_OWN | last | NIC_BUFFER_SIZE);
	}
	ring->shown = ring->tail;
	return i;
}

static void damaged(struct frame *frames, size_t n, bool keep_len)
{
	for (size_t i = 0; i < n; i++) {
		frames[i].flags = FRAME_ERROR;
		if (!keep_len)
			frames[i].len = 0;
	}
}

/* Data of `total` bytes in n buffers that are full but for the last. The CRC's last bytes may be
 * all that came into that one, and then it carries nothing.
 */
static void divide(struct frame *frames, size_t n, uint32_t total)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t len = total < NIC_BUFFER_SIZE ? total : NIC_BUFFER_SIZE;

		total -= len;
		frames[i].len = (uint16_t)len;
		frames[i].flags = len == 0 ? FRAME_ERROR : total ? FRAME_MORE : 0;
	}
}

/* A frame from the head on: its entries, which are the oldest of n slots that the card may have
 * written. 0: it has not come whole, or n ends before it does.
 *
 * What goes on beyond the largest frame, begins in its middle, or has another one begin there, is a
 * lie of the card's; the next frame is where the next FS is.
 */
static size_t take(struct rtl8168_queue *q, struct frame *frames, size_t n)
{
	const struct ring *ring = &q->head.rx;
	uint32_t parts = __atomic_load_n(&q->rx_parts, __ATOMIC_RELAXED);
	uint32_t total, room;
	uint64_t word = 0;
	bool possible;
	size_t i = 0;

	do {
		possible = i < parts;
		if (!possible)
			break;
		if (i == n)
			return 0;
		word = dma_read(ring_word(ring, ring->head + (uint32_t)i, 0));
		if (word & DESC_OWN)
			return 0;
		frames[i].offset = ring->buffer[(ring->head + i) & ring->mask];
		possible = !(word & DESC_FS) == (i != 0);
		if (!possible)
			break;
		i++;
	} while (!(word & DESC_LS));
	if (i == 0)
		i = 1;
	/* The last one tells of all: the length, with the CRC, and errors. */
	total = (uint32_t)(word & RX_LENGTH);
	room = (uint32_t)i * NIC_BUFFER_SIZE;
	possible &=
		total >= FRAME_LEAST + RX_CRC && total <= room && total > room - NIC_BUFFER_SIZE;
	if (!possible) {
		nic_count(&q->head.bad_writebacks);
		damaged(frames, i, false);
		return i;
	}
	total -= RX_CRC;
	divide(frames, i, total);
	if (word & RX_RES) {
		damaged(frames, i, true);
	} else if (total > __atomic_load_n(&q->rx_max, __ATOMIC_RELAXED)) {
		nic_count(&q->rx_long);
		damaged(frames, i, true);
	} else {
		nic_count(&q->stats.rx_frames);
		nic_add(&q->stats.rx_bytes, total);
	}
	return i;
}

size_t rtl8168_rx_return(struct nic_queue *head, struct frame *frames, size_t n)
{
	struct rtl8168_queue *q = (struct rtl8168_queue *)head;
	struct ring *ring = &head->rx;
	/* Slots beyond are not the card's, and hold no buffer. */
	size_t bound = ring_owned(ring);
	size_t i = 0;

	if (n > bound)
		n = bound;
	while (i < n) {
		size_t entries = take(q, frames + i, n - i);

		if (!entries)
			break;
		i += entries;
		ring->head += (uint32_t)entries;
	}
	/* The reads of OWN, before the caller's reads of the data that they announced. */
	dma_read_barrier();
	return i;
}
