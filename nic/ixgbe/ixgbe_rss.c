/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive-side scaling (82599 datasheet 7.1.2.8): the card computes Microsoft's Toeplitz hash over
 * addresses and ports, and the hash's lowest bits pick an entry of a table, which names the queue.
 * What is neither IPv4 nor IPv6 has no hash and goes to queue 0.
 *
 * Fragments are hashed by their addresses alone, as their ports are not in each: a UDP frame in
 * pieces may come to another queue than its neighbours in one.
 */
#include "nic/ixgbe/ixgbe.h"

#define FIELDS \
	(MRQC_TCP_IPV4 | MRQC_IPV4 | MRQC_IPV6 | MRQC_TCP_IPV6 | MRQC_UDP_IPV4 | MRQC_UDP_IPV6)

void ixgbe_rss_spread(struct ixgbe *dev)
{
	/* From the X550 on the table has 512 entries. */
	bool large = dev->model->family != IXGBE_82599 && dev->model->family != IXGBE_X540;
	unsigned registers = RETA_COUNT + (large ? ERETA_COUNT : 0);
	uint8_t table[4 * (RETA_COUNT + ERETA_COUNT)];

	nic_spread(&dev->nic, table, 4 * registers);
	for (unsigned n = 0; n < registers; n++) {
		uint32_t four = 0;

		for (unsigned i = 0; i < 4; i++)
			four |= (uint32_t)table[4 * n + i] << 8 * i;
		reg_write(&dev->nic.bar, n < RETA_COUNT ? RETA(n) : ERETA(n - RETA_COUNT), four);
	}
}

void ixgbe_rss_start(struct ixgbe *dev)
{
	if (dev->nic.queues == 1 && !(dev->nic.config.offloads & NIC_RX_HASH))
		return;
	for (unsigned n = 0; n < RSSRK_COUNT; n++)
		reg_write(&dev->nic.bar, RSSRK(n), NIC_RSS_KEY);
	ixgbe_rss_spread(dev);
	reg_set(&dev->nic.bar, RXCSUM, RXCSUM_PCSD);
	reg_write(&dev->nic.bar, MRQC, MRQC_RSS | FIELDS);
}
