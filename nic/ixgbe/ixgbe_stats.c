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
	uint32_t low = reg_read(&dev->bar, low_reg);
	uint32_t high = reg_read(&dev->bar, high_reg);

	return (uint64_t)(high & 0xF) << 32 | low;
}

static void read_all(struct ixgbe *dev, struct nic_stats *now)
{
	*now = (struct nic_stats){
		.rx_frames = reg_read(&dev->bar, GPRC),
		.rx_bytes = read_octets(dev, GORCL, GORCH),
		.tx_frames = reg_read(&dev->bar, GPTC),
		.tx_bytes = read_octets(dev, GOTCL, GOTCH),
		.rx_crc_errors = reg_read(&dev->bar, CRCERRS),
	};
	/* Without traffic classes only the first packet buffer is used, but each counter is. */
	for (unsigned i = 0; i < PACKET_BUFFERS; i++)
		now->rx_missed += reg_read(&dev->bar, RXMPC(i));
	for (unsigned i = 0; i < dev->nic.queues; i++)
		now->rx_dropped += reg_read(&dev->bar, QPRDC(i));
	now->rx_length_errors = (uint64_t)reg_read(&dev->bar, RLEC) + reg_read(&dev->bar, RUC) +
				reg_read(&dev->bar, RFC) + reg_read(&dev->bar, ROC) +
				reg_read(&dev->bar, RJC);
	now->rx_other_errors = (uint64_t)reg_read(&dev->bar, ILLERRC) + reg_read(&dev->bar, ERRBC);
}

void ixgbe_stats_clear(struct ixgbe *dev)
{
	struct nic_stats past;

	read_all(dev, &past);
	dev->sum = (struct nic_stats){0};
}

int ixgbe_stats(struct nic *nic, struct nic_stats *stats)
{
	struct ixgbe *dev = ixgbe_of(nic);
	struct nic_stats *sum = &dev->sum;
	struct nic_stats now;

	read_all(dev, &now);
	/* What a card reads while it vanishes is no count. */
	if (!pci_gone(nic->fn)) {
		sum->rx_frames += now.rx_frames;
		sum->rx_bytes += now.rx_bytes;
		sum->tx_frames += now.tx_frames;
		sum->tx_bytes += now.tx_bytes;
		sum->rx_missed += now.rx_missed;
		sum->rx_dropped += now.rx_dropped;
		sum->rx_crc_errors += now.rx_crc_errors;
		sum->rx_length_errors += now.rx_length_errors;
		sum->rx_other_errors += now.rx_other_errors;
	}
	*stats = *sum;
	return pci_gone(nic->fn) ? -ENODEV : 0;
}
