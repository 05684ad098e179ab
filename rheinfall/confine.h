/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What rheinfall does without once its schemes are open. Frames are anyone's bytes, and so are the
 * files that it replays: whoever takes it over shall find little to do it with.
 */
#ifndef RHEINFALL_CONFINE_H
#define RHEINFALL_CONFINE_H

/* Gives up all capabilities but that of root to pass over file permissions, where it had that one
 * (a recording may lie anywhere), and the way to new ones; and every system call that it does not
 * make: they fail with EPERM. Opening files and schemes stays, since both happen later too. 0 or
 * -errno: then some or all of it is not in force.
 */
int confine(void);

#endif
