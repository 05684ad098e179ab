/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What nicsim does without once its cards are there. Its peers send it registers, descriptors and
 * frames: whoever takes it over shall not get the rights that it was started with.
 */
#ifndef NICSIM_CONFINE_H
#define NICSIM_CONFINE_H

/* Gives up all capabilities but that of root to pass over file permissions, where it had that one
 * (its sockets and locks may lie in others' folders, and go at the end), and the way to new ones. 0
 * or -errno.
 */
int confine(void);

#endif
