/* SPDX-License-Identifier: BSD-3-Clause
 *
 * scheme: everything is a URL. This is the client's side, the only header a program needs to use a
 * card.
 *
 *     network:                 the first card (by name)
 *     network:NAME             frames: one read is one frame (cut to the buffer), one write sends
 * one network:NAME/mac         6 bytes, then end of file network:NAME/link        "up 10000\n" or
 * "down 0\n", then end of file network:NAME/stats       counters, a "name value" line each, then
 * end of file network:NAME/mtu         the MTU in decimal; writable network:NAME/promisc     "0\n"
 * or "1\n"; writable network:NAME/tap         copies of all frames, both ways: best effort, drops
 * are counted; read only
 *
 * scheme_open() returns a plain descriptor: read(2), write(2), poll(2), O_NONBLOCK, dup(2) and
 * close(2) work on it, from any program or language. The frames' path is a mailbox, not a
 * broadcast: of several handles, each frame goes to one.
 *
 * What a plain write(2) cannot report at once is in the handle's status page, which scheme_write()
 * consults. A read of 0 is the end of file: of frames when the driver has left for good.
 *
 * Sockets lie in $SCHEME_ROOT, else /run/scheme, else $XDG_RUNTIME_DIR/scheme (the first that
 * exists).
 */
#ifndef SCHEME_SCHEME_H
#define SCHEME_SCHEME_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCHEME_PATH_MAX 192 /* what follows "network:NAME", with the NUL */
#define SCHEME_NAME_MAX 64  /* NAME, with the NUL */

/* A handle's page, written by the driver, read by the client. Counters only grow. */
struct scheme_status {
	_Atomic uint32_t link_up;
	_Atomic uint32_t link_mbit;
	_Atomic uint32_t mtu;     /* payload of the largest frame; the frame is 14 bytes longer */
	_Atomic uint32_t writes;  /* futex word: writes that the driver has dealt with */
	_Atomic int32_t error;    /* 0, or the -errno of the newest write that was refused */
	_Atomic uint32_t present; /* 1 while a driver serves the handle */
	_Atomic uint64_t sent;    /* frames given to the card */
	_Atomic uint64_t refused; /* frames too short or too long, values that are none */
	_Atomic uint64_t no_link; /* frames dropped since the link was down */
	_Atomic uint64_t received;
	_Atomic uint64_t tap_dropped; /* copies that had no room */
};

/* Opens a URL. flags: O_RDONLY, O_WRONLY or O_RDWR, with O_NONBLOCK and O_CLOEXEC. Where `status`
 * is not NULL the handle's page is mapped there; scheme_unmap_status() gives it back. Returns a
 * descriptor, or -EINVAL (no URL of this kind), -ENOENT (no such scheme or path), -EACCES (not
 * allowed to), -ECONNREFUSED (the scheme's owner is gone), -ENODEV (its driver is gone), -ETIMEDOUT
 * (no answer in 10 s), -EPROTO.
 */
int scheme_open(const char *url, int flags, const struct scheme_status **status);
void scheme_unmap_status(const struct scheme_status *status);

/* write(2) that reports what a plain one cannot: -EMSGSIZE (longer than the MTU allows), -EINVAL
 * (shorter than a header), -ENETDOWN (link down); on mtu and promisc it waits for the driver's
 * verdict (2 s at most: -ETIMEDOUT). -EAGAIN where the descriptor is non-blocking and full; -EPIPE:
 * the driver has left.
 */
ssize_t scheme_write(int fd, const struct scheme_status *status, const void *data, size_t len);

/* What a negative result of scheme_open() means, and what to do: a line for people. */
const char *scheme_strerror(int error);

/* Splits "network:NAME/path". name is empty for the first card. -EINVAL. */
int scheme_parse(const char *url, char name[SCHEME_NAME_MAX], char path[SCHEME_PATH_MAX]);
/* The directory that holds the sockets of network schemes, ending without a slash. -ENOENT,
 * -ENAMETOOLONG. */
int scheme_directory(char *out, size_t size);
/* Calls found() for each scheme by ascending name; stops when it returns non-zero, and returns
 * that. */
int scheme_list(int (*found)(void *ctx, const char *name), void *ctx);

#endif
