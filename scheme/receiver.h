/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receives what strangers send along, and closes it, in a process of its own. A close that no
 * signal ends (of a FUSE file whose server does not answer) holds up the end of the process that
 * has the descriptor, and the exec of whoever it forks. So no process that has an end to come to,
 * or drivers to start, ever has one: what it gets are memfds, and connections.
 */
#ifndef SCHEME_RECEIVER_H
#define SCHEME_RECEIVER_H

#include <stdbool.h>

#include "scheme/wire.h"

struct receiver;

/* Starts the process. It ends when nobody has the receiver any more, this process or one forked
 * since; one that was killed is followed by another. -errno of socketpair(2), mmap(2), fork(2).
 */
int receiver_create(struct receiver **out);
/* Does not wait: what was given is closed by the process, which then ends. */
void receiver_destroy(struct receiver *r);
/* Takes the next message from a connection, and judges it. 0: a request, and with it the memory
 * where it asks for rings, else -1. -EAGAIN: there is none now; as scheme_request_check() and
 * scheme_rings_judge(); -EIO: the process does not answer.
 */
int receiver_take(struct receiver *r, int connection, struct scheme_request *request,
	int ring_fds[SCHEME_REQUEST_FDS]);
/* closer_close() and closer_hang_up() there (scheme/closer.h). Where there is no process to be had
 * the descriptor stays open here.
 */
void receiver_close(struct receiver *r, int fd);
void receiver_hang_up(struct receiver *r, int fd);
/* Nothing more should be taken now: see CLOSER_ENOUGH. */
bool receiver_full(const struct receiver *r);

#endif
