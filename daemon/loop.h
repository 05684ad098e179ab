/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The loop of a daemon's only thread. It polls while there is work, and for a budget of idle time
 * more; then it publishes what was kept back, arms the interrupts, looks once more, and sleeps on
 * one epoll. Nothing wakes it by time but the counters of the card, which must be read twice a
 * minute.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/options.h"
#include "daemon/owner.h"
#include "daemon/port.h"
#include "daemon/resources.h"

struct loop;

/* Everything that it needs to run, and what it waits on. -errno with `why`. */
int loop_create(struct loop **out, struct resources *resources, struct port *port,
	struct owners *owners, enum daemon_mode mode, struct pci_error *why);
void loop_destroy(struct loop *loop);
/* Runs until a signal (0), or until the card is gone: -ENODEV with `why`. Clients are not served
 * any more then. Those that pcid keeps notice nothing when the loop is destroyed; others read end
 * of file. Without the pcid that started it it goes on for who is there, and ends with the last.
 */
int loop_run(struct loop *loop, struct pci_error *why);
/* pcid has said STOP: another driver follows, and the card is to be handed back as it runs. */
bool loop_hands_over(const struct loop *loop);
/* The scheme that it serves. */
struct scheme *loop_scheme(const struct loop *loop);

#endif
