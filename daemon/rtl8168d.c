/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rtl8168d: the daemon for Realtek's RTL8168 and RTL8111.
 */
#include "daemon/daemon.h"
#include "nic/nic.h"

int main(int argc, char **argv)
{
	/* Of the RTL8168B; the others' cards say that theirs is smaller. */
	static const struct daemon_program rtl8168d = {
		.name = "rtl8168d", .driver = "rtl8168", .mtu_max = 4074};

	return daemon_main(&rtl8168d, argc, argv);
}
