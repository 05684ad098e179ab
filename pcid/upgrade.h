/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Replacement in flight (`pcid --upgrade`): a newer driver takes the card over from the running one
 * between two bursts, without a reset.
 *
 *     coming    the newer program is started, and asked whether it is there; the old one serves
 *     stopping  the old one was told to STOP, and has not said STOPPED
 *     taking    the new one has the card, and is not READY
 *
 * What fails while it is coming changes nothing. Later the driver's program starts afresh, as after
 * a crash.
 */
#ifndef PCID_UPGRADE_H
#define PCID_UPGRADE_H

#include "pcid/card.h"

/* Begins, with that program or ("") the card's own; `asker` is answered when it is over, and is
 * the upgrade's from now on.
 */
void upgrade_begin(struct card *card, const char *program, int asker);
/* The running driver has STOPPED, and brings the card; the descriptors are the caller's. */
void upgrade_stopped(struct card *card, const struct pcid_message *message, const int *fds);
/* What the new driver has to say before it is READY: that it starts afresh, and why. */
void upgrade_said(struct card *card, const char *text);
/* It is READY: that was it. */
void upgrade_ready(struct card *card);
/* The running driver has ended. */
void upgrade_driver_ended(struct card *card);
/* A process has ended that is no card's driver: whether it was one of an upgrade. */
bool upgrade_process_ended(struct card *card, pid_t pid);
/* Gives up what is under way, for that reason; nothing where nothing is. */
void upgrade_fail(struct card *card, int error, const char *text);
/* What is due by time; ms until the next, or -1. */
int upgrade_due(struct card *card);

#endif
