/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next (nic/state.h), and whether the card itself runs with
 * the rings that its state tells of.
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"
#include "nic/state.h"

static struct nic_running running(struct rtl8168 *dev, struct nic_stats *sum)
{
	struct rtl8168_queue *q = rtl8168_queue_of(dev);

	return (struct nic_running){
		.nic = &dev->nic,
		.device = dev->model->xid,
		.stats = sum,
		.books[0] = {.tx_done = &q->tx_done,
			.rs_head = &q->rs_head,
			.rs_tail = &q->rs_tail,
			.rs = q->rs,
			.torn = &q->torn,
			.bare = q->pad != 0,
			.stats = &q->stats},
	};
}

void rtl8168_state_save(struct rtl8168 *dev)
{
	struct nic_stats sum;
	const struct nic_running it = running(dev, &sum);

	(void)rtl8168_stats(&dev->nic, &sum);
	nic_state_save(&it);
}

int rtl8168_state_load(struct rtl8168 *dev)
{
	const struct nic_running it = running(dev, &dev->sum);
	struct rtl8168_queue *q = rtl8168_queue_of(dev);
	int rc = nic_state_load(&it);

	if (!rc && q->head.frames)
		rtl8168_queue_use(q, q->head.frames);
	return rc;
}

static bool ring_lies(struct rtl8168 *dev, size_t place, uint32_t base)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);

	return reg_read(&dev->nic.bar, base) == (uint32_t)iova &&
	       reg_read(&dev->nic.bar, base + 4) == (uint32_t)(iova >> 32);
}

int rtl8168_state_compare(struct rtl8168 *dev)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, 0);
	uint8_t on = reg_read8(&dev->nic.bar, CR) & (CR_RE | CR_TE);

	if (dev->nic.queue[0]->frames ? on == (CR_RE | CR_TE) && ring_lies(dev, place.rx, RDSAR) &&
						ring_lies(dev, place.tx, TNPDS)
				      : !on)
		return 0;
	return nic_fail(&dev->nic, -EINVAL, "state: the card does not run as it says");
}
