/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counters (8254x 13.7). They are cleared by reading and stick within minutes; the sums are kept
 * here, in 64 bits. Of queues the cards count little: what each got and sent, its user does.
 */
#include <errno.h>

#include "nic/e1000/e1000.h"

/* Reading the high half clears both (8254x 13.7.27), thus low first. */
static uint64_t read_octets(struct e1000 *dev, uint32_t low_reg, uint32_t high_reg)
{
	uint32_t low = reg_read(&dev->nic.bar, low_reg);
	uint32_t high = reg_read(&dev->nic.bar, high_reg);

	return (uint64_t)high << 32 | low;
}

static void read_all(struct e1000 *dev, struct nic_stats *now)
{
	*now = (struct nic_stats){
		.rx_frames = reg_read(&dev->nic.bar, GPRC),
		.rx_bytes = read_octets(dev, GORCL, GORCH),
		.tx_frames = reg_read(&dev->nic.bar, GPTC),
		.tx_bytes = read_octets(dev, GOTCL, GOTCH),
		.rx_missed = reg_read(&dev->nic.bar, MPC),
		.rx_crc_errors = reg_read(&dev->nic.bar, CRCERRS),
	};
	/* RNBC counts frames that waited for a buffer, most of which came: it is no loss. */
	now->rx_length_errors = (uint64_t)reg_read(&dev->nic.bar, RLEC) +
				reg_read(&dev->nic.bar, RUC) + reg_read(&dev->nic.bar, RFC) +
				reg_read(&dev->nic.bar, ROC) + reg_read(&dev->nic.bar, RJC);
	now->rx_other_errors = (uint64_t)reg_read(&dev->nic.bar, ALGNERRC) +
			       reg_read(&dev->nic.bar, RXERRC) + reg_read(&dev->nic.bar, SEC);
}

/* The 82576 counts what its queues drop (8.19.76). */
static void add_dropped(struct e1000 *dev, unsigned i)
{
	uint32_t dropped =
		e1000_is(dev, E1000_82576) ? reg_read(&dev->nic.bar, RQDPC(i)) & RQDPC_MASK : 0;

	if (!pci_gone(dev->nic.fn))
		e1000_queue(dev->nic.queue[i])->count.rx_dropped += dropped;
}

void e1000_stats_clear(struct e1000 *dev)
{
	struct nic_stats past;

	read_all(dev, &past);
	for (unsigned i = 0; i < dev->nic.queues; i++) {
		add_dropped(dev, i);
		e1000_queue(dev->nic.queue[i])->count = (struct nic_queue_stats){0};
	}
	dev->sum = (struct nic_stats){0};
}

int e1000_stats(struct nic *nic, struct nic_stats *stats)
{
	struct e1000 *dev = e1000_of(nic);
	struct nic_stats now;

	read_all(dev, &now);
	/* What a card reads while it vanishes is no count. */
	if (!pci_gone(nic->fn))
		nic_stats_add(&dev->sum, &now);
	*stats = dev->sum;
	for (unsigned i = 0; i < nic->queues; i++) {
		struct e1000_queue *q = e1000_queue(nic->queue[i]);

		add_dropped(dev, i);
		stats->rx_dropped += q->count.rx_dropped;
		stats->rx_length_errors += __atomic_load_n(&q->rx_too_long, __ATOMIC_RELAXED);
	}
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int e1000_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	const struct nic_queue_stats *count = &e1000_queue(nic->queue[index])->count;

	add_dropped(e1000_of(nic), index);
	*stats = (struct nic_queue_stats){
		.rx_frames = __atomic_load_n(&count->rx_frames, __ATOMIC_RELAXED),
		.rx_bytes = __atomic_load_n(&count->rx_bytes, __ATOMIC_RELAXED),
		.tx_frames = __atomic_load_n(&count->tx_frames, __ATOMIC_RELAXED),
		.tx_bytes = __atomic_load_n(&count->tx_bytes, __ATOMIC_RELAXED),
		.rx_dropped = count->rx_dropped,
	};
	return pci_gone(nic->fn) ? -ENODEV : 0;
}
