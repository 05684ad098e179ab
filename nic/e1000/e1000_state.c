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
	struct nic_running it = {
		.nic = &dev->nic,
		.device = dev->model->device,
		.stats = &dev->sum,
	};

	for (unsigned i = 0; i < dev->nic.queues; i++) {
		struct e1000_queue *q = e1000_queue(dev->nic.queue[i]);

		it.books[i] = (struct nic_books){
			.tx_done = &q->tx_done,
			.rs_head = &q->rs_head,
			.rs_tail = &q->rs_tail,
			.rs = q->rs,
			.torn = &q->rx_torn,
			.bare = true,
			.stats = &q->count,
		};
	}
	return it;
}

void e1000_state_save(struct e1000 *dev)
{
	const struct nic_running it = running(dev);

	for (unsigned i = 0; i < dev->nic.queues; i++)
		dev->sum.rx_length_errors += e1000_queue(dev->nic.queue[i])->rx_too_long;
	nic_state_save(&it);
}

int e1000_state_load(struct e1000 *dev)
{
	const struct nic_running it = running(dev);
	int rc = nic_state_load(&it);

	for (unsigned i = 0; i < dev->nic.queues && !rc; i++) {
		struct e1000_queue *q = e1000_queue(dev->nic.queue[i]);

		if (q->head.frames)
			e1000_queue_use(q, q->head.frames);
	}
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

/* Of the 82576: whether the enable bits of both directions say so. */
static bool enabled(struct e1000 *dev, unsigned i, bool so)
{
	if (!e1000_is(dev, E1000_82576))
		return true;
	return !(reg_read(&dev->nic.bar, RXDCTL(i)) & RXDCTL_ENABLE) != so &&
	       !(reg_read(&dev->nic.bar, TXDCTL(i)) & TXDCTL_ENABLE) != so;
}

static bool queue_runs(struct e1000 *dev, unsigned i)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);
	const struct nic_queue *q = dev->nic.queue[i];

	return enabled(dev, i, true) && ring_runs(dev, &q->rx, place.rx, RDBAL(i), RDT(i)) &&
	       ring_runs(dev, &q->tx, place.tx, TDBAL(i), TDT(i));
}

/* Disabled, or with rings that were left empty. */
static bool queue_stands(struct e1000 *dev, unsigned i)
{
	if (e1000_is(dev, E1000_82576))
		return enabled(dev, i, false);
	return reg_read(&dev->nic.bar, RDH(i)) == reg_read(&dev->nic.bar, RDT(i)) &&
	       reg_read(&dev->nic.bar, TDH(i)) == reg_read(&dev->nic.bar, TDT(i));
}

int e1000_state_compare(struct e1000 *dev)
{
	bool on = e1000_any_runs(dev);
	bool same = !(reg_read(&dev->nic.bar, RCTL) & RCTL_EN) != on &&
		    !(reg_read(&dev->nic.bar, TCTL) & TCTL_EN) != on;

	for (unsigned i = 0; i < dev->nic.queues && same; i++)
		same = dev->nic.queue[i]->frames ? queue_runs(dev, i) : queue_stands(dev, i);
	return same ? 0 : nic_fail(&dev->nic, -EINVAL, "state: the card does not run as it says");
}
