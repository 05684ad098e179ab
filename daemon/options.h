/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The command line of driver daemons.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/cage.h"
#include "daemon/daemon.h"
#include "nic/nic.h"
#include "scheme/linux.h"

enum daemon_mode {
	MODE_ADAPTIVE, /* poll while there is work and a little longer, then sleep */
	MODE_POLL,     /* never sleep; no interrupts */
	MODE_IRQ,      /* sleep as soon as there is no work */
};

struct daemon_options {
	enum daemon_mode mode;
	bool pick_irq;
	enum pci_irq irq;
	unsigned queues;
	unsigned rx_ring, tx_ring;
	bool promiscuous;
	bool blocking_tx;
	uint16_t mtu;
	uint32_t offloads; /* enum nic_offload */
	unsigned pause;    /* enum nic_pause */
	enum nic_drop drop;
	struct cage_options cage;
	const char *record; /* a file to keep everything in, or NULL */
	/* Without pcid. */
	const char *device; /* NULL: pcid has started this */
	const char *name;   /* of the scheme; NULL: as pcid would give it */
	struct scheme_access access;
	size_t frame_bytes;
	size_t client_bytes; /* that a client who owns a queue may bring, at most */
};

/* Reads it. 0: go on; 1: all is done (--help, --version); -EINVAL: wrong, and it has said what.
 * `inherited`: pcid has started this.
 */
int daemon_options_read(struct daemon_options *options, const struct daemon_program *program,
	bool inherited, int argc, char **argv);

#endif
