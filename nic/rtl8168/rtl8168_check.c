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

/* A receiver whose FIFO ran over may be dead (Linux resets the card each time). It is not if a
 * frame comes after all that had come was returned: then the bit has told of lost frames alone.
 */
static void look_for_overrun(struct rtl8168_queue *q, uint16_t isr, bool moved)
{
	const struct ring *rx = &q->head.rx;
	bool waits = owned(rx, rx->head); /* for a frame, with a buffer */

	if (q->overrun && moved) {
		reg_write16(q->bar, ISR, IRQ_FOVW);
		q->overrun = 0;
	} else {
		q->overrun = nic_late(q->overrun, isr & IRQ_FOVW && waits, moved);
	}
}

int rtl8168_check(struct nic *nic, unsigned index)
{
	struct rtl8168_queue *q = rtl8168_queue_of(rtl8168_of(nic));
	struct nic_seen *seen = &q->seen;
	bool rx_moved = seen->rx_head != q->head.rx.head;
	bool tx_moved = seen->rs_head != q->rs_head;
	uint16_t isr = reg_read16(&nic->bar, ISR);

	(void)index;
	/* Some of its bits are always zero: all ones are a reading that failed, and say nothing. */
	if (isr == UINT16_MAX)
		isr = 0;
	if (rtl8168_of(nic)->model->quirks & QUIRK_OVERFLOW)
		look_for_overrun(q, isr, rx_moved);
	seen->rx_late = nic_late(seen->rx_late, rx_late(&q->head.rx), rx_moved);
	seen->tx_late = nic_late(seen->tx_late, tx_late(q), tx_moved);
	seen->rx_head = q->head.rx.head;
	seen->rs_head = q->rs_head;
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (isr & IRQ_SERR)
		return nic_fail(nic, -EIO,
			"it was refused an access to memory (ISR.SERR, 0x3E): the card must be "
			"reset");
	if (q->overrun >= NIC_CHECKS)
		return nic_fail(nic, -EIO,
			"its receiver's FIFO ran over and nothing came since (ISR.FOVW, 0x3E): the "
			"card must be reset");
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
