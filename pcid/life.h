/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver's life: started, ready, serving clients that pcid lets in, ended. Private to the card.
 */
#ifndef PCID_LIFE_H
#define PCID_LIFE_H

#include "pcid/card.h"

/* Starts the driver and hands it the card. Says what is wrong. -errno. */
int life_begin(struct card *card);
/* What is to be done when no driver serves the card any more: the card falls silent, then its
 * clients read end of file, then memory and scheme go. Does nothing twice.
 */
void life_end(struct card *card);

#endif
