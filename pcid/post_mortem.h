/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The post-mortem: what a driver's flight recorder holds, as text for people and as JSON for
 * programs. pcid knows no registers: they are told by their offsets.
 */
#ifndef PCID_POST_MORTEM_H
#define PCID_POST_MORTEM_H

#include "pcid/card.h"

#define POST_MORTEM_KEPT 10u /* of each card; older ones go */

/* Where they go: the option's folder, else $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/ixgbed,
 * else /var/lib/ixgbed. -ENAMETOOLONG.
 */
int post_mortem_folder(const char *option, char *folder, size_t size);

/* Writes NAME-TIME.txt and NAME-TIME.json into the folder, which it makes if need be, and deletes
 * older ones. `end`: how the driver ended, a line. `path` becomes the text's. -ENODATA: nothing
 * was recorded; -errno.
 */
int post_mortem_write(
	const struct card *card, const char *end, const char *folder, char *path, size_t size);

#endif
