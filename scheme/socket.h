/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the Linux side of the scheme: where sockets lie and how they are reached, sized and
 * left.
 */
#ifndef SCHEME_SOCKET_H
#define SCHEME_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "scheme/scheme.h"
#include "scheme/wire.h"

/* A status page's size: memory is shared by whole pages. */
#define SCHEME_STATUS_SIZE 4096u

/* What SO_SNDBUF is set to, 212992 being the most that an unprivileged process may ask for by
 * default (net.core.wmem_max). The kernel doubles it and charges each message its buffer's true
 * size, 2304 bytes for a full frame (a 2 KiB allocation and the sk_buff), 16 KiB for a large one:
 * 185 and 26 fit (Linux 6.18), of which scheme.h promises SCHEME_QUEUE_FRAMES and
 * SCHEME_QUEUE_LARGE.
 */
#define SCHEME_SNDBUF 212992

/* Printable, no '/', no leading '.', 1 to SCHEME_NAME_MAX - 1 bytes. */
bool scheme_name_ok(const char *name);
/* Opens the directory of network schemes' sockets (O_PATH). -ENOENT, -ENAMETOOLONG, ... */
int scheme_directory_open(void);
/* Binds or connects `fd` to the socket `name` in a directory, whatever the length of its path. */
int scheme_bind_at(int fd, int directory, const char *name);
int scheme_connect_at(int fd, int directory, const char *name);
/* Sends a message with n descriptors, SCHEME_REQUEST_FDS at most, by sendmsg(2) with these flags
 * and MSG_NOSIGNAL. Its -errno.
 */
int scheme_send_with(int fd, const void *data, size_t len, const int *fds, size_t n, int flags);
/* The names in the directory that may be schemes, sorted, to be freed.
 * Returns how many. */
int scheme_names(char (**names)[SCHEME_NAME_MAX]);

/* SCHEME_READ, SCHEME_WRITE of open(2)'s flags; -EINVAL. */
int scheme_access_of(int flags);
/* scheme_open() of a name ("": the first card) by a request that is in order, with its descriptors.
 */
int scheme_ask(const char *name, const struct scheme_request *request, const int *fds, size_t n,
	int flags, const struct scheme_status **status);

/* Milliseconds of CLOCK_MONOTONIC. */
long scheme_now(void);

#endif
