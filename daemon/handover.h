/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Replacement in flight: a driver hands a card that runs to the next one, through the state memory
 * (daemon/state.h) and pcid. No frame is lost: those of the rings stay there, those at hand are in
 * the state, and those of clients stay in their sockets.
 */
#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

#include "daemon/loop.h"
#include "daemon/owner.h"
#include "daemon/port.h"
#include "daemon/resources.h"
#include "daemon/state.h"

/* Takes over card and port as they were left; the link is read. -EINVAL with `why`: what was left
 * does not check out, and a fresh start is to be made. Other errors as nic_adopt().
 */
int handover_take(struct nic **nic, struct port *port, struct owners *owners,
	struct scheme_totals *totals, struct resources *r, const struct nic_config *config,
	struct pci_error *why);
/* Leaves card and port for the next driver, and gives the function back to pcid. Ends loop, port
 * and nic. -errno with `why`.
 */
int handover_give(struct loop *loop, struct port *port, struct owners *owners, struct nic *nic,
	struct resources *r, struct pci_error *why);

#endif
