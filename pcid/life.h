/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver's life: started, ready, serving clients that pcid lets in, ended. Private to the card.
 */
#ifndef PCID_LIFE_H
#define PCID_LIFE_H

#include "pcid/card.h"

/* Starts the driver and hands it the card. Says what is wrong. -errno. */
int life_begin(struct card *card);
/* Starts a process of that program, with the card's arguments: its channel's end here is the
 * caller's. -errno.
 */
int life_spawn(const struct card *card, const char *program, pid_t *pid, int *channel);
/* That process is the card's driver now, and starting; its channel is the card's. */
void life_adopt_process(struct card *card, pid_t pid, int channel);
/* Hands the running card to the driver, for it to adopt: by that function of another process, or
 * (NULL) by pcid's own. As pcid_send().
 */
int life_send_start(const struct card *card, const struct pci_handover *function, const int *fds);
/* What is to be done when no driver serves the card any more: the card falls silent, then its
 * clients read end of file, then memory and scheme go. Does nothing twice.
 */
void life_end(struct card *card);

#endif
