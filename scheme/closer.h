/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Closes what strangers gave, without waiting. A close may last as long as a stranger likes: that
 * of a socket with SO_LINGER until its peer has read, of a FUSE file until its server has answered,
 * of large memory until it is freed; and so may that of a connection in which such descriptors lie
 * unread. So it is done by threads of their own.
 */
#ifndef SCHEME_CLOSER_H
#define SCHEME_CLOSER_H

#include <stdatomic.h>

/* A thread is made when all there are have something to do. Each may be held up for ever, by a file
 * system of a stranger's own whose answer no signal cuts short.
 */
#define CLOSER_THREADS 8
/* Descriptors that wait for a thread, before nothing more should be received from strangers. There
 * is room for 512 and more: for a page, which is what the pipe of an ordinary user who has very
 * many gets (pipe(7)).
 */
#define CLOSER_ENOUGH 128

struct closer;

/* *unclosed counts what was given and is not closed yet. Makes no thread yet. -errno of pipe2(2),
 * -ENOMEM. Its threads take SIGURG, which the process otherwise ignores, for their own: it cuts
 * waits short.
 */
int closer_create(struct closer **out, atomic_uint *unclosed);
/* What was given is closed, as far as that takes no more than 200 ms. */
void closer_destroy(struct closer *c);
/* Closes the descriptor, soon. Where that cannot be handed over (there is no room, or no thread to
 * be had) it stays open: that costs a number, closing it might cost all time.
 */
void closer_close(struct closer *c, int fd);
/* scheme_hang_up(): the connection ends at once, the descriptor is closed soon. */
void closer_hang_up(struct closer *c, int fd);

#endif
