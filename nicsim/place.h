/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sockets with a name in the file system: those of cards and of the control.
 */
#ifndef NICSIM_PLACE_H
#define NICSIM_PLACE_H

#include <sys/un.h>

#include "nicsim/nicsim.h"

/* Binds a new Unix socket of that type (SOCK_STREAM, SOCK_DGRAM) to `path`; non-blocking. A socket
 * file that nobody listens on is replaced. Returns the descriptor or -errno, and then why.
 * -EINVAL: the path is too long or empty; -EADDRINUSE; -EEXIST: what is there is no socket.
 */
int place_socket(const char *path, int type, struct sockaddr_un *address, struct sim_error *why);

#endif
