/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counters (8254x 13.7). They are cleared by reading and stick within minutes; the sums are kept
 * here, in 64 bits.
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

void e1000_stats_clear(struct e1000 *dev)
{
	struct nic_stats past;

	read_all(dev, &past);
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
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

/* All is that queue's. */
int e1000_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	struct nic_stats all;
	int rc = e1000_stats(nic, &all);

	(void)index;
	*stats = (struct nic_queue_stats){
		.rx_frames = all.rx_frames,
		.rx_bytes = all.rx_bytes - 4 * all.rx_frames,
		.tx_frames = all.tx_frames,
		.tx_bytes = all.tx_bytes,
	};
	return rc;
}
