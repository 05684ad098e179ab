/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a client says, message by message, and what it is told. server.c moves the bytes.
 */
#ifndef NICSIM_SESSION_H
#define NICSIM_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "nicsim/pci.h"
#include "pci/vfio_user.h"

#define SESSION_MESSAGE 8192u  /* the longest: a whole config space and a header fit twice */
#define SESSION_BUFFER  65536u /* of each direction */
#define SESSION_FDS     64u    /* in one message: a full MSI-X table's */
#define SESSION_PASSES  8u     /* replies on their way that carry a descriptor */

struct descriptors {
	int fd[SESSION_FDS];
	unsigned count;
};

struct session {
	struct function *fn;
	bool versioned;         /* the client said VERSION */
	bool hangs_up;          /* a fault: the connection ends before the message at hand */
	struct descriptors fds; /* came with the message at hand */
	/* Descriptors that go out with the byte at `at` of out[]; not the session's own. */
	struct {
		unsigned at;
		int fd;
	} pass[SESSION_PASSES];
	unsigned passes;
	unsigned out_len;
	uint8_t out[SESSION_BUFFER]; /* replies that are not sent yet */
};

/* Whether there is room for any reply. */
bool session_has_room(const struct session *session);
/* Deals with one message, of header->size bytes in all, and closes the descriptors it did not take.
 * There is room for its reply.
 */
void session_command(
	struct session *session, const struct vfio_user_header *header, const uint8_t *payload);
void session_close_fds(struct descriptors *fds);

#endif
