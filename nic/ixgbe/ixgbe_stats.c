/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counters (82599 datasheet 8.2.3.23). They are cleared by reading and stick or wrap within
 * minutes; the sums are kept here, in 64 bits.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

/* 36 bits. Reading the high half clears both (8.2.3.23.27), thus low first. */
static uint64_t read_octets(struct ixgbe *dev, uint32_t low_reg, uint32_t high_reg)
{
	uint32_t low = reg_read(&dev->nic.bar, low_reg);
	uint32_t high = reg_read(&dev->nic.bar, high_reg);

	return (uint64_t)(high & 0xF) << 32 | low;
}

static void read_all(struct ixgbe *dev, struct nic_stats *now)
{
	*now = (struct nic_stats){
		.rx_frames = reg_read(&dev->nic.bar, GPRC),
		.rx_bytes = read_octets(dev, GORCL, GORCH),
		.tx_frames = reg_read(&dev->nic.bar, GPTC),
		.tx_bytes = read_octets(dev, GOTCL, GOTCH),
		.rx_crc_errors = reg_read(&dev->nic.bar, CRCERRS),
	};
	/* Without traffic classes only the first packet buffer is used, but each counter is. */
	for (unsigned i = 0; i < PACKET_BUFFERS; i++)
		now->rx_missed += reg_read(&dev->nic.bar, RXMPC(i));
	now->rx_length_errors = (uint64_t)reg_read(&dev->nic.bar, RLEC) +
				reg_read(&dev->nic.bar, RUC) + reg_read(&dev->nic.bar, RFC) +
				reg_read(&dev->nic.bar, ROC) + reg_read(&dev->nic.bar, RJC);
	now->rx_other_errors =
		(uint64_t)reg_read(&dev->nic.bar, ILLERRC) + reg_read(&dev->nic.bar, ERRBC);
}

static void read_queue(struct ixgbe *dev, unsigned i, struct nic_queue_stats *now)
{
	*now = (struct nic_queue_stats){
		.rx_frames = reg_read(&dev->nic.bar, QPRC(i)),
		.rx_bytes = read_octets(dev, QBRCL(i), QBRCH(i)),
		.rx_dropped = reg_read(&dev->nic.bar, QPRDC(i)),
		.tx_frames = reg_read(&dev->nic.bar, QPTC(i)),
		.tx_bytes = read_octets(dev, QBTCL(i), QBTCH(i)),
	};
}

void ixgbe_stats_start(struct ixgbe *dev)
{
	struct nic_stats past;
	struct nic_queue_stats past_queue;

	/* Queue n counts in counter n; after a reset all count in counter 0 (RQSMR, TQSM). */
	for (unsigned n = 0; n < NIC_MAX_QUEUES / 4; n++) {
		uint32_t four = 4 * n * 0x01010101u + 0x03020100u;

		reg_write(&dev->nic.bar, RQSMR(n), four);
		reg_write(&dev->nic.bar, TQSM(n), four);
	}
	read_all(dev, &past);
	for (unsigned i = 0; i < dev->nic.queues; i++)
		read_queue(dev, i, &past_queue);
	dev->sum = (struct nic_stats){0};
	memset(dev->queue_sum, 0, sizeof dev->queue_sum);
}

static void add_queue(struct ixgbe *dev, unsigned i)
{
	struct nic_queue_stats *sum = &dev->queue_sum[i];
	struct nic_queue_stats now;

	read_queue(dev, i, &now);
	/* What a card reads while it vanishes is no count. */
	if (pci_gone(dev->nic.fn))
		return;
	sum->rx_frames += now.rx_frames;
	sum->rx_bytes += now.rx_bytes;
	sum->rx_dropped += now.rx_dropped;
	sum->tx_frames += now.tx_frames;
	sum->tx_bytes += now.tx_bytes;
}

int ixgbe_stats(struct nic *nic, struct nic_stats *stats)
{
	struct ixgbe *dev = ixgbe_of(nic);
	struct nic_stats now;

	read_all(dev, &now);
	if (!pci_gone(nic->fn))
		nic_stats_add(&dev->sum, &now);
	*stats = dev->sum;
	for (unsigned i = 0; i < nic->queues; i++) {
		add_queue(dev, i);
		stats->rx_dropped += dev->queue_sum[i].rx_dropped;
	}
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int ixgbe_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	struct ixgbe *dev = ixgbe_of(nic);

	add_queue(dev, index);
	*stats = dev->queue_sum[index];
	return pci_gone(nic->fn) ? -ENODEV : 0;
}
