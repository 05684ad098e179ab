/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether the card is well. It has no heads to compare; but what it gives back it gives back in
 * order, and it says when it has nothing left to send. Write-backs may come late, but not seconds
 * late.
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"

static bool owned(const struct ring *ring, uint32_t at)
{
	return dma_read(ring_word(ring, at, 0)) & DESC_OWN;
}

/* One was passed over: the card has given the next one back. */
static bool rx_late(const struct ring *rx)
{
	return ring_owned(rx) > 1 && owned(rx, rx->head) && !owned(rx, rx->head + 1);
}

static bool tx_late(const struct rtl8168_queue *q)
{
	const struct ring *tx = &q->head.tx;

	return q->rs_head != q->rs_tail && owned(tx, q->rs[q->rs_head & tx->mask]) &&
	       !(reg_read8(q->bar, TPPOLL) & TPPOLL_NPQ);
}

int rtl8168_check(struct nic *nic, unsigned index)
{
	struct rtl8168_queue *q = rtl8168_queue_of(rtl8168_of(nic));
	struct nic_seen *seen = &q->seen;
	bool tx_moved = seen->rs_head != q->rs_head;
	uint16_t isr = reg_read16(&nic->bar, ISR);

	(void)index;
	seen->rx_late =
		nic_late(seen->rx_late, rx_late(&q->head.rx), seen->rx_head != q->head.rx.head);
	seen->tx_late = nic_late(seen->tx_late, tx_late(q), tx_moved);
	seen->rx_head = q->head.rx.head;
	seen->rs_head = q->rs_head;
	if (pci_gone(nic->fn))
		return -ENODEV;
	/* Some of its bits are always zero: all ones are a reading that failed, and say nothing. */
	if (isr != UINT16_MAX && isr & IRQ_SERR)
		return nic_fail(nic, -EIO,
			"it was refused an access to memory (ISR.SERR, 0x3E): the card must be "
			"reset");
	if (seen->rx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"a receive descriptor was passed over and not written back: the card must "
			"be reset");
	if (seen->tx_late >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"a frame is sent and not reported (TPPoll.NPQ, 0x38): the card must be "
			"reset");
	if (!tx_moved && q->rs_head != q->rs_tail)
		rtl8168_tx_poll(q);
	return 0;
}
