/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether the card is well (nic/check.c): what it is to be asked.
 */
#include "nic/ixgbe/ixgbe_path.h"

int ixgbe_check(struct nic *nic, unsigned index)
{
	struct ixgbe_queue *q = ixgbe_queue(nic->queue[index]);
	const struct nic_pulse pulse = {
		.rdh = RDH(index),
		.rdt = q->rdt,
		.tdh = TDH(index),
		.tdt = q->tdt,
		.rx_dd = RX_DD,
		.tx_dd = TX_DD,
		.rs = q->rs,
		.rs_head = q->rs_head,
		.rs_tail = q->rs_tail,
		.rx_where = "82599 datasheet 7.1.10",
		.tx_where = "82599 datasheet 7.2.3.5",
	};

	if (q->place.rings) /* one ring for two cards has no such heads */
		return 0;
	return nic_check_queue(nic, index, &pulse, &q->seen);
}
