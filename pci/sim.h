/* SPDX-License-Identifier: BSD-3-Clause
 *
 * "sim:WIRE": a software card for one program, by nicsim in a process of its own. Private to pci/.
 */
#ifndef PCI_SIM_H
#define PCI_SIM_H

#include <stdbool.h>

#include "pci/pci.h"

bool sim_is(const char *address);

/* Starts nicsim with a card on that wire: a socket that is connected to it, or -errno. The process
 * is nobody's child, and ends when the last copy of the socket is closed: whatever becomes of us.
 * -ENOENT: no nicsim; -EINVAL: it makes no such card (the text is its own); -ETIMEDOUT.
 */
int sim_start(const char *address, struct pci_error *why);

/* Ends the card and waits until its process is gone, its files written: 10 s at most. Leaves the
 * socket open.
 */
void sim_end(int socket);

#endif
