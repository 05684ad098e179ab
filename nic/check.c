/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether a card is well: a head that has passed a descriptor whose write-back never came. Heads
 * move when a descriptor is dealt with (82599 datasheet 7.1.10, 7.2.3.4; 8254x manual 3.2.6, 3.4),
 * write-backs may come later, but not seconds later. A queue that merely stands still may have its
 * reasons: nothing comes, or the far end takes nothing.
 */
#include <errno.h>

#include "nic/driver.h"

/* Slots that the card has dealt with, by its head, since our own head. */
static uint32_t passed(const struct nic *nic, const struct ring *ring, uint32_t head_register)
{
	return (reg_read(&nic->bar, head_register) - ring->head) & ring->mask;
}

static bool rx_done(const struct ring *ring, uint64_t dd)
{
	return dma_read(ring_word(ring, ring->head, 1)) & dd;
}

/* Whether it is late; or nothing is known. */
static bool rx_late(const struct nic *nic, const struct ring *ring, const struct nic_pulse *p)
{
	if (!ring_owned(ring) || rx_done(ring, p->rx_dd))
		return false;
	/* Looked at once more, after the head. */
	return passed(nic, ring, p->rdh) > 0 && !rx_done(ring, p->rx_dd);
}

static bool tx_done(const struct ring *ring, const struct nic_pulse *p)
{
	return dma_read(ring_word(ring, p->rs[p->rs_head & ring->mask], 1)) & p->tx_dd;
}

static bool tx_late(const struct nic *nic, const struct ring *ring, const struct nic_pulse *p)
{
	if (p->rs_head == p->rs_tail || tx_done(ring, p))
		return false;
	return passed(nic, ring, p->tdh) > p->rs[p->rs_head & ring->mask] - ring->head &&
	       !tx_done(ring, p);
}

int nic_check_queue(
	struct nic *nic, unsigned index, const struct nic_pulse *p, struct nic_seen *seen)
{
	const struct nic_queue *q = nic->queue[index];
	bool rx_moved = seen->rx_head != q->rx.head;
	bool tx_moved = seen->rs_head != p->rs_head;

	seen->rx_late = nic_late(seen->rx_late, rx_late(nic, &q->rx, p), rx_moved);
	seen->tx_late = nic_late(seen->tx_late, tx_late(nic, &q->tx, p), tx_moved);
	seen->rx_head = q->rx.head;
	seen->rs_head = p->rs_head;
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (seen->rx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"receive queue %u: a descriptor is used up and not written back (RDH, %s): "
			"the card must be reset",
			index, p->rx_where);
	if (seen->tx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"transmit queue %u: a frame is sent and not reported (TDH, %s): the card "
			"must be reset",
			index, p->tx_where);
	if (!rx_moved)
		reg_publish(&nic->bar, p->rdt, q->rx.shown & q->rx.mask);
	if (!tx_moved && p->rs_head != p->rs_tail)
		reg_publish(&nic->bar, p->tdt, q->tx.shown & q->tx.mask);
	return 0;
}
