/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ixgbed: the daemon for Intel's 82599, X540 and X550.
 */
#include "daemon/daemon.h"
#include "nic/nic.h"

int main(int argc, char **argv)
{
	static const struct daemon_program ixgbed = {
		.name = "ixgbed", .driver = "ixgbe", .mtu_max = NIC_MTU_MAX};

	return daemon_main(&ixgbed, argc, argv);
}
