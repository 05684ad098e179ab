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

/* Two bytes again and again: then exchanging source and destination changes nothing, and both
 * directions of a connection meet in one queue (Woo and Park, "Scalable TCP Session Monitoring with
 * Symmetric Receive-side Scaling", 2012).
 */
#define KEY 0x5A6D5A6Du

#define FIELDS \
	(MRQC_TCP_IPV4 | MRQC_IPV4 | MRQC_IPV6 | MRQC_TCP_IPV6 | MRQC_UDP_IPV4 | MRQC_UDP_IPV6)

/* The queue of a table entry. Each entry has a home, which it leaves only while that stands still:
 * starting or stopping one queue moves no other queue's flows.
 */
static uint32_t queue_of(
	const struct ixgbe *dev, const unsigned *running, unsigned count, unsigned entry)
{
	unsigned home = entry % dev->nic.queues;

	if (dev->nic.queue[home]->frames || !count)
		return home;
	return running[entry / dev->nic.queues % count];
}

void ixgbe_rss_spread(struct ixgbe *dev)
{
	unsigned running[NIC_MAX_QUEUES];
	unsigned count = 0, queue = 0;
	/* From the X550 on the table has 512 entries. */
	bool large = dev->model->family != IXGBE_82599 && dev->model->family != IXGBE_X540;

	do /* there is one at least */
		if (dev->nic.queue[queue]->frames)
			running[count++] = queue;
	while (++queue < dev->nic.queues);
	for (unsigned n = 0; n < RETA_COUNT + (large ? ERETA_COUNT : 0); n++) {
		uint32_t four = 0;

		for (unsigned i = 0; i < 4; i++)
			four |= queue_of(dev, running, count, 4 * n + i) << 8 * i;
		reg_write(&dev->nic.bar, n < RETA_COUNT ? RETA(n) : ERETA(n - RETA_COUNT), four);
	}
}

void ixgbe_rss_start(struct ixgbe *dev)
{
	if (dev->nic.queues == 1 && !(dev->nic.config.offloads & NIC_RX_HASH))
		return;
	for (unsigned n = 0; n < RSSRK_COUNT; n++)
		reg_write(&dev->nic.bar, RSSRK(n), KEY);
	ixgbe_rss_spread(dev);
	reg_set(&dev->nic.bar, RXCSUM, RXCSUM_PCSD);
	reg_write(&dev->nic.bar, MRQC, MRQC_RSS | FIELDS);
}
