/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next (nic/state.h), and whether the card itself runs with
 * the rings that its state tells of.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"
#include "nic/state.h"

/* The driver's own form of what the state holds as one bit. */
static bool torn(const struct ixgbe_queue *q)
{
	return q->rx_whole != (RX_DD | RX_EOP);
}

static struct nic_running running(struct ixgbe *dev, bool is_torn[NIC_MAX_QUEUES])
{
	struct nic_running it = {
		.nic = &dev->nic,
		.device = dev->model->device,
		.stats = &dev->sum,
	};

	for (unsigned i = 0; i < dev->nic.queues; i++) {
		struct ixgbe_queue *q = (struct ixgbe_queue *)dev->nic.queue[i];

		is_torn[i] = torn(q);
		it.books[i] = (struct nic_books){
			.tx_done = &q->tx_done,
			.rs_head = &q->rs_head,
			.rs_tail = &q->rs_tail,
			.rs = q->rs,
			.torn = &is_torn[i],
			.stats = &dev->queue_sum[i],
		};
	}
	return it;
}

void ixgbe_state_save(struct ixgbe *dev)
{
	bool is_torn[NIC_MAX_QUEUES];
	const struct nic_running it = running(dev, is_torn);

	nic_state_save(&it);
}

int ixgbe_state_load(struct ixgbe *dev)
{
	bool is_torn[NIC_MAX_QUEUES] = {false};
	const struct nic_running it = running(dev, is_torn);
	int rc = nic_state_load(&it);

	for (unsigned i = 0; i < dev->nic.queues && !rc; i++) {
		struct ixgbe_queue *q = (struct ixgbe_queue *)dev->nic.queue[i];

		q->rx_whole = is_torn[i] ? UINT64_MAX : RX_DD | RX_EOP;
		if (q->head.frames)
			ixgbe_queue_use(q, q->head.frames);
	}
	return rc;
}

static bool ring_runs(struct ixgbe *dev, const struct ring *ring, size_t place, uint32_t base_low,
	uint32_t base_high, uint32_t length, uint32_t tail)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);

	return reg_read(&dev->nic.bar, base_low) == (uint32_t)iova &&
	       reg_read(&dev->nic.bar, base_high) == (uint32_t)(iova >> 32) &&
	       reg_read(&dev->nic.bar, length) == ring_size(ring) * RING_DESCRIPTOR &&
	       reg_read(&dev->nic.bar, tail) == (ring->shown & ring->mask);
}

static bool queue_runs(struct ixgbe *dev, unsigned i)
{
	const struct nic_queue *q = dev->nic.queue[i];
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);

	return (reg_read(&dev->nic.bar, RXDCTL(i)) & RXDCTL_ENABLE) &&
	       (reg_read(&dev->nic.bar, TXDCTL(i)) & TXDCTL_ENABLE) &&
	       ring_runs(dev, &q->rx, place.rx, RDBAL(i), RDBAH(i), RDLEN(i), RDT(i)) &&
	       ring_runs(dev, &q->tx, place.tx, TDBAL(i), TDBAH(i), TDLEN(i), TDT(i));
}

static bool queue_stands(struct ixgbe *dev, unsigned i)
{
	return !(reg_read(&dev->nic.bar, RXDCTL(i)) & RXDCTL_ENABLE) &&
	       !(reg_read(&dev->nic.bar, TXDCTL(i)) & TXDCTL_ENABLE);
}

int ixgbe_state_compare(struct ixgbe *dev)
{
	bool same = (reg_read(&dev->nic.bar, RXCTRL) & RXCTRL_RXEN) &&
		    (reg_read(&dev->nic.bar, DMATXCTL) & DMATXCTL_TE);

	for (unsigned i = 0; i < dev->nic.queues && same; i++)
		same = dev->nic.queue[i]->frames ? queue_runs(dev, i) : queue_stands(dev, i);
	return same ? 0 : nic_fail(&dev->nic, -EINVAL, "state: the card does not run as it says");
}
