/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a driver that dies leaves to the next one, in the state memory that outlives both: how many
 * there were, what clients had set, and what was on its way. It was written by a process that may
 * have gone mad: numbers only, each checked where it is used, and none is an index.
 */
#ifndef DAEMON_AGAIN_H
#define DAEMON_AGAIN_H

#include <stdatomic.h>
#include <stdint.h>

#include "daemon/port.h"

#define AGAIN_OFFSET 0xf000u /* in the state memory, behind the header */

struct again {
	_Atomic uint32_t magic;
	_Atomic uint32_t serving;   /* 0: the driver ended in order */
	_Atomic uint32_t restarts;  /* drivers that died and were followed by another */
	_Atomic uint32_t in_flight; /* frames that a death now would lose */
	_Atomic uint32_t mtu;
	_Atomic uint32_t promiscuous;
	_Atomic uint64_t lost; /* the sum of in_flight at each death */
};

/* A driver begins: counts the one that died before, if one did, with at most `limit` frames lost,
 * and brings what clients had set into the configuration, an MTU of `mtu_max` at most. `state` is
 * the state memory.
 */
struct again *again_begin(void *state, struct nic_config *config, uint32_t limit, uint16_t mtu_max);
/* What the driver before left on its way, until again_begin(). */
uint32_t again_in_flight(const void *state);
/* A hand-over came to nothing, and the card is started afresh: that counts as a death. */
void again_failed(struct again *again, uint32_t lost, uint32_t limit);
/* It ends in order. */
void again_end(struct again *again);
/* Once a round: what is on its way, stored when it has changed. */
void again_note(struct again *again, const struct port *port);
/* A client has set something. */
void again_set(struct again *again, const struct port *port);

#endif
