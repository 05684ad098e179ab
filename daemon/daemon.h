/* SPDX-License-Identifier: BSD-3-Clause
 *
 * daemon: what all driver daemons share. A daemon serves one card's scheme: it takes frames from
 * clients to the card and back, asleep when there is nothing to do. Its own main is a few lines
 * (ixgbed.c).
 *
 *     options.h     the command line
 *     resources.h   the card, its memory, the scheme: from pcid, or opened by itself
 *     port.h        the card as the scheme's core sees it
 *     loop.h        waiting, polling, sleeping
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

struct daemon_program {
	const char *name;   /* of the program, "ixgbed" */
	const char *driver; /* of nic/, the only one that it serves with: "ixgbe" */
	uint16_t mtu_max;   /* of its cards, at most */
	uint32_t offloads;  /* that --offloads stands for, enum nic_offload; 0: none */
	bool flow_control;  /* some of its cards have --pause and --drop */
};

/* Reads the command line, serves until told to stop, returns the exit status: 0 stopped by a
 * signal, 1 failure, 2 wrong usage.
 */
int daemon_main(const struct daemon_program *program, int argc, char **argv);

#endif
