/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The post-mortem: what a driver's flight recorder holds, as text for people and as JSON for
 * programs. pcid knows no registers: they are told by their offsets.
 */
#ifndef PCID_POST_MORTEM_H
#define PCID_POST_MORTEM_H

#include "pcid/card.h"

#define POST_MORTEM_KEPT 10u /* of each card; older ones go */

#define POST_MORTEM_END 128 /* bytes of the line that tells how the driver ended */

struct post_mortem;

/* Takes a copy of what the recorder holds now: the next driver begins a new one. `end`: how the
 * driver ended, or that it did not. The card must stay until it is written. -ENODATA: nothing was
 * recorded; -ENOMEM, -errno.
 */
int post_mortem_take(struct post_mortem **out, const struct card *card, const char *end);
/* Writes NAME-TIME.txt and NAME-TIME.json into the option's folder, else $STATE_DIRECTORY
 * (systemd), else $XDG_STATE_HOME/ixgbed, else /var/lib/ixgbed, which it makes if need be; deletes
 * older ones; and makes the line that tells where it is, or why there is none. Frees the copy.
 * -errno.
 */
int post_mortem_write(struct post_mortem *report, char *text, size_t size);

#endif
