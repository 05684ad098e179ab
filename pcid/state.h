/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The memory that holds a driver's state and outlives it.
 */
#ifndef PCID_STATE_H
#define PCID_STATE_H

/* New zeroed memory of PCID_STATE_BYTES, sealed against resizing: its descriptor, or -errno. */
int state_create(void);
/* Maps it, from whoever made it. -EINVAL: not of that size, or not sealed; -ENOMEM. */
int state_map(int memfd, void **out);
void state_unmap(void *state);

#endif
