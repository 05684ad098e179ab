/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Into the background: a card that serves the program that started it, and is nobody's child, so
 * that nobody has to wait for its end.
 */
#ifndef NICSIM_DETACH_H
#define NICSIM_DETACH_H

enum { DETACH_STARTED = 1, DETACH_FAILED = 2 };

/* Splits the process in two. In the new one: 0, with *told for detach_done(), and a session of its
 * own, so that a terminal's interrupt does not reach it. In the old one, once the new one has come
 * to detach_done() or has ended without: DETACH_STARTED or DETACH_FAILED. -errno.
 */
int detach(int *told);
/* It has started: what is printed from here on goes nowhere. */
void detach_done(int told);

#endif
