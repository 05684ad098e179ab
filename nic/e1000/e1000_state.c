/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next (nic/state.h), and whether the card itself runs with
 * the rings that its state tells of.
 */
#include <errno.h>

#include "nic/e1000/e1000.h"
#include "nic/state.h"

static struct nic_running running(struct e1000 *dev)
{
	struct e1000_queue *q = e1000_queue_of(dev);

	return (struct nic_running){
		.nic = &dev->nic,
		.device = dev->model->device,
		.stats = &dev->sum,
		.books[0] = {.tx_done = &q->tx_done,
			.rs_head = &q->rs_head,
			.rs_tail = &q->rs_tail,
			.rs = q->rs,
			.torn = &q->rx_torn,
			.stats = &dev->queue_sum},
	};
}

void e1000_state_save(struct e1000 *dev)
{
	const struct nic_running it = running(dev);

	nic_state_save(&it);
}

int e1000_state_load(struct e1000 *dev)
{
	const struct nic_running it = running(dev);
	struct e1000_queue *q = e1000_queue_of(dev);
	int rc = nic_state_load(&it);

	if (!rc && q->head.frames)
		e1000_queue_use(q, q->head.frames);
	return rc;
}

static bool ring_runs(
	struct e1000 *dev, const struct ring *ring, size_t place, uint32_t base, uint32_t tail)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);

	return reg_read(&dev->nic.bar, base) == (uint32_t)iova &&
	       reg_read(&dev->nic.bar, base + 4) == (uint32_t)(iova >> 32) &&
	       reg_read(&dev->nic.bar, base + 8) == ring_size(ring) * RING_DESCRIPTOR &&
	       reg_read(&dev->nic.bar, tail) == (ring->shown & ring->mask);
}

int e1000_state_compare(struct e1000 *dev)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, 0);
	const struct nic_queue *q = dev->nic.queue[0];
	bool receives = reg_read(&dev->nic.bar, RCTL) & RCTL_EN;
	bool sends = reg_read(&dev->nic.bar, TCTL) & TCTL_EN;

	if (q->frames ? receives && sends && ring_runs(dev, &q->rx, place.rx, RDBAL, RDT) &&
				ring_runs(dev, &q->tx, place.tx, TDBAL, TDT)
		      : !receives && !sends)
		return 0;
	return nic_fail(&dev->nic, -EINVAL, "state: the card does not run as it says");
}
