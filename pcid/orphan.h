/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Drivers that outlived their pcid. Which process drives a card is noted beside the schemes'
 * sockets, for a pcid that finds the card taken.
 */
#ifndef PCID_ORPHAN_H
#define PCID_ORPHAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "pcid/card.h"

/* The card's driver is ready. Without a note (disk full, ...) nothing but the hint is missing. */
void orphan_note(const struct card *card);
/* It has ended. */
void orphan_forget(const struct card *card);
/* Whether a process that was noted for the card's address still runs; which, and for what scheme.
 */
bool orphan_find(const struct card *card, pid_t *pid, char name[SCHEME_NAME_MAX]);

#endif
