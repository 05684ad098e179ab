/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state memory (pcid/state.h) as driver daemons use it. It outlives them, and each finds there
 * what another left:
 *
 *     0x00000  struct daemon_state: of a driver that handed over
 *     0x0f000  daemon/again.h: of one that died
 *     0x10000  nic_config.state: the card's rings, of a driver that handed over
 *     0x80000  pci/recorder.h: the flight recorder
 *
 * What is read there was written by a process that may have gone mad: it is copied, judged, and
 * discarded where it does not check out. It is valid between a hand-over and the start that follows
 * it, and never again.
 */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include "daemon/owner.h"
#include "daemon/port.h"

#define STATE_AGAIN 0x0f000u
#define STATE_NIC   0x10000u

struct daemon_state {
	uint64_t magic;   /* 0: nobody handed over */
	uint32_t version; /* of this layout */
	uint32_t sum;     /* of all that follows */
	struct scheme_totals totals;
	struct port_state port;
	struct owner_save owner[NIC_MAX_QUEUES];
};

_Static_assert(sizeof(struct daemon_state) <= STATE_AGAIN, "the header grew into what follows");

/* Where the card's driver keeps its own; NULL of NULL. */
void *state_nic(void *memory);
/* Leaves a state for the next driver; magic, version and sum are filled in. */
void state_leave(void *memory, const struct daemon_state *state);
/* Takes what was left, and takes it away. -EINVAL with `why`: nothing, or nothing of this version,
 * or damaged.
 */
int state_take(void *memory, struct daemon_state *state, struct pci_error *why);

#endif
