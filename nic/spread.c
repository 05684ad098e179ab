/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which queue a frame goes to, where a card spreads them by a table that it picks an entry of by a
 * hash (receive-side scaling).
 */
#include "nic/driver.h"

void nic_spread(const struct nic *nic, uint8_t *table, unsigned entries)
{
	unsigned running[NIC_MAX_QUEUES];
	unsigned count = 0, queue = 0;

	do /* there is one at least */
		if (nic->queue[queue]->frames)
			running[count++] = queue;
	while (++queue < nic->queues);
	for (unsigned i = 0; i < entries; i++) {
		unsigned home = i % nic->queues;

		if (count && !nic->queue[home]->frames)
			home = running[i / nic->queues % count];
		table[i] = (uint8_t)home;
	}
}
