/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a card's scheme is called: network:0000-01-00.0_ixgbe for the function 0000:01:00.0 and the
 * program ixgbed, network:a_ixgbe for the card behind the socket /x/a.sock, network:sim-loop_ixgbe
 * for sim:loop.
 */
#ifndef PCID_NAME_H
#define PCID_NAME_H

#include "scheme/scheme.h"

struct pcid_name {
	char scheme[SCHEME_NAME_MAX]; /* the card's part, "_", the program's without the d of daemon
				       */
	char card[SCHEME_NAME_MAX];   /* the first part alone: $NAME in commands */
};

/* Makes the names of the card at `address` (as pci_open() takes it) with that driver. -EINVAL: it
 * cannot be a scheme's name: too long, or of characters that do not print.
 */
int pcid_name(struct pcid_name *out, const char *address, const char *program);

#endif
