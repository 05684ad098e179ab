/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive-side scaling (82574 datasheet 7.1.7, 82576 datasheet 7.1.1.7): the card computes
 * Microsoft's Toeplitz hash over addresses and ports, and the hash's lowest bits pick an entry of a
 * table, which names the queue. What has no hash goes to queue 0: what is neither IPv4 nor IPv6.
 *
 * The 82574 hashes the ports of TCP alone: UDP goes by its addresses.
 */
#include "nic/e1000/e1000.h"

#define FIELDS (MRQC_TCP_IPV4 | MRQC_IPV4 | MRQC_IPV6)

void e1000_rss_spread(struct e1000 *dev)
{
	unsigned shift = e1000_is(dev, E1000_82574) ? RETA_82574 : 0;
	uint8_t table[4 * RETA_COUNT];

	nic_spread(&dev->nic, table, 4 * RETA_COUNT);
	for (unsigned n = 0; n < RETA_COUNT; n++) {
		uint32_t four = 0;

		for (unsigned i = 0; i < 4; i++)
			four |= (uint32_t)table[4 * n + i] << (8 * i + shift);
		reg_write(&dev->nic.bar, RETA(n), four);
	}
}

void e1000_rss_start(struct e1000 *dev)
{
	if (dev->nic.queues == 1)
		return;
	for (unsigned n = 0; n < RSSRK_COUNT; n++)
		reg_write(&dev->nic.bar, RSSRK(n), NIC_RSS_KEY);
	e1000_rss_spread(dev);
	reg_set(&dev->nic.bar, RXCSUM, RXCSUM_PCSD);
	reg_write(&dev->nic.bar, MRQC,
		FIELDS | (e1000_is(dev, E1000_82574) ? MRQC_RSS_82574 | MRQC_TCP_IPV6
						     : MRQC_RSS_82576 | MRQC_TCP_IPV6_X |
							       MRQC_UDP_IPV4 | MRQC_UDP_IPV6));
}
