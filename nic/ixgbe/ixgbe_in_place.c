/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Queues in place: one ring is the receive ring of `from` and the transmit ring of `to`. A slot
 * keeps its buffer for ever; its second quadword is what was received, then what is to be sent:
 *
 *          sent         at           shown
 *     .....[ to be sent [ to receive [ ..... not given again yet
 *
 * The descriptors are legacy ones: these the card leaves their address at the write-back (7.1.5),
 * and none is written back after sending, but the head (7.2.3.5.2). What is not sent is a null
 * descriptor (7.2.3.2.2): the slots go round in order. The head is reported at every `every`th slot
 * and by that many the card gets slots to receive into, so that up to every - 1 wait for later
 * frames: that is a quarter of the ring at most.
 *
 * `from` knows `at` and `shown`, `to` knows `sent` and, as its tail, `at` again: where the two
 * differ one of the queues was begun anew, and they are no pair any more.
 */
#include "nic/ixgbe/ixgbe_path.h"

/* --- buffers --- */

size_t ixgbe_in_place_fill(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;
	size_t room = ring_size(ring) - ring_held(ring);
	size_t i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++) {
		uint32_t offset = offsets[i];
		uint32_t within = offset & (CHUNK - 1);

		if (offset - NIC_BUFFER_HEAD > q->rx_span || within > CHUNK - NIC_BUFFER_SIZE) {
			ixgbe_refuse(q);
			break;
		}
		ring->buffer[ring->tail & ring->mask] = offset;
		dma_write(ring_word(ring, ring->tail, 0),
			q->iova[offset >> DMA_CHUNK_SHIFT] + within);
		dma_write(ring_word(ring, ring->tail, 1), 0);
		ring->tail++;
	}
	if (n && ring_held(ring) == ring_size(ring)) {
		q->place.shown = ring_size(ring) - RING_LINE;
		/* The descriptors, before the tail that gives them to the card. */
		dma_write_barrier();
		reg_publish(q->bar, q->rdt, q->place.shown);
	}
	return i;
}

/* --- which queues fit together --- */

const char *ixgbe_in_place_objection(const struct nic_queue *from, const struct nic_queue *to)
{
	const struct ixgbe_in_place *in = &((const struct ixgbe_queue *)from)->place;
	const struct ixgbe_in_place *out = &((const struct ixgbe_queue *)to)->place;

	if (!pci_dma_same(in->rings, out->rings) || in->rx_iova != out->tx_iova ||
		from->rx.mask != to->tx.mask)
		return "the receive ring of the one is not the transmit ring of the other";
	for (uint32_t i = 0; i < from->frames->chunks; i++)
		if (from->frames->iova[i] != to->frames->iova[i])
			return "their frame memory is not at the same addresses";
	if (in->at != out->tail)
		return "one of them was begun anew: close both, or stop both";
	return NULL;
}

bool ixgbe_in_place_pair(struct ixgbe_queue *q, struct ixgbe_queue *out)
{
	if (ixgbe_in_place_objection(&q->head, &out->head))
		return false;
	q->place.output = out;
	out->place.input = q;
	return true;
}
