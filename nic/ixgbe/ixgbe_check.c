/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether the card is well: a head that has passed a descriptor whose write-back never came. Heads
 * move when a descriptor is dealt with (82599 datasheet 7.1.10, 7.2.3.4), write-backs may come
 * later, but not seconds later. A queue that merely stands still may have its reasons: nothing
 * comes, or the far end takes nothing.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe_steps.h"

/* Slots that the card has dealt with, by its head, since our own head. */
static uint32_t passed(struct ixgbe *dev, const struct ring *ring, uint32_t head_register)
{
	return (reg_read(&dev->nic.bar, head_register) - ring->head) & ring->mask;
}

static bool rx_done(const struct ring *ring)
{
	return dma_read(ring_word(ring, ring->head, 1)) & RX_DD;
}

/* Whether it is late; or nothing is known. */
static bool rx_late(struct ixgbe *dev, unsigned i)
{
	const struct ring *ring = &dev->nic.queue[i]->rx;

	if (!ring_owned(ring) || rx_done(ring))
		return false;
	/* Looked at once more, after the head. */
	return passed(dev, ring, RDH(i)) > 0 && !rx_done(ring);
}

static bool tx_late(struct ixgbe *dev, unsigned i)
{
	const struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[i]);
	const struct ring *ring = &q->head.tx;
	uint32_t report = q->rs_head;

	if (report == q->rs_tail || tx_answered(q, report))
		return false;
	return passed(dev, ring, TDH(i)) > q->rs[report & ring->mask] - ring->head &&
	       !tx_answered(q, report);
}

/* How often in a row, with the same slot. */
static unsigned again(unsigned times, bool late, bool moved)
{
	if (!late)
		return 0;
	return moved ? 1 : times + 1;
}

int ixgbe_check(struct nic *nic, unsigned index)
{
	struct ixgbe *dev = ixgbe_of(nic);
	struct ixgbe_queue *q = ixgbe_queue(nic->queue[index]);
	bool rx_moved = q->seen.rx_head != q->head.rx.head;
	bool tx_moved = q->seen.rs_head != q->rs_head;

	if (q->place.rings) /* one ring for two cards has no such heads */
		return 0;
	q->seen.rx_late = again(q->seen.rx_late, rx_late(dev, index), rx_moved);
	q->seen.tx_late = again(q->seen.tx_late, tx_late(dev, index), tx_moved);
	q->seen.rx_head = q->head.rx.head;
	q->seen.rs_head = q->rs_head;
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (q->seen.rx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"receive queue %u: a descriptor is used up and not written back (RDH, "
			"82599 datasheet 7.1.10): the card must be reset",
			index);
	if (q->seen.tx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"transmit queue %u: a frame is sent and not reported (TDH, 82599 "
			"datasheet 7.2.3.5): the card must be reset",
			index);
	if (!rx_moved)
		reg_publish(q->bar, q->rdt, q->head.rx.shown & q->head.rx.mask);
	if (!tx_moved && q->rs_head != q->rs_tail)
		reg_publish(q->bar, q->tdt, q->head.tx.shown & q->head.tx.mask);
	return 0;
}
