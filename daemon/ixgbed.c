/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ixgbed: the daemon for Intel's 82599, X540 and X550.
 */
#include "daemon/daemon.h"
#include "nic/nic.h"

int main(int argc, char **argv)
{
	/* Tags stay where they are: handles without metadata have nowhere else for them. */
	static const struct daemon_program ixgbed = {.name = "ixgbed",
		.driver = "ixgbe",
		.mtu_max = NIC_MTU_MAX,
		.flow_control = true,
		.offloads = NIC_RX_CHECKSUM | NIC_RX_HASH | NIC_RX_TYPE | NIC_TX_META};

	return daemon_main(&ixgbed, argc, argv);
}
