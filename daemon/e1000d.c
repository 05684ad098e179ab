/* SPDX-License-Identifier: BSD-3-Clause
 *
 * e1000d: the daemon for Intel's 82540EM, 82545EM, 82574L and 82576.
 */
#include "daemon/daemon.h"
#include "nic/nic.h"

int main(int argc, char **argv)
{
	static const struct daemon_program e1000d = {
		.name = "e1000d", .driver = "e1000", .mtu_max = NIC_MTU_MAX, .flow_control = true};

	return daemon_main(&e1000d, argc, argv);
}
