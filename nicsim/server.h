/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A vfio-user server on a Unix socket for one function. One client at a time: further ones wait in
 * the listening socket's backlog. When a client leaves, or breaks the protocol, its maps are
 * dropped, the function is reset, and the next one is served.
 */
#ifndef NICSIM_SERVER_H
#define NICSIM_SERVER_H

#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/pci.h"

struct server;

/* Listens at `path`. A socket file that nobody listens on is replaced. `log` gets a line when a
 * client comes, leaves or is thrown out; may be NULL.
 */
int server_create(struct server **out, struct loop *loop, const char *path, struct function *fn,
	void (*log)(void *ctx, const char *text), void *ctx, struct sim_error *why);
/* The same for a client that is there already: at the other end of `fd`, a stream socket. When it
 * has left, the loop stops. `fd` stays open and the caller's, so that the client can see by its end
 * that all is over, files written too, when the process has ended. -EINVAL: no such socket.
 */
int server_attach(struct server **out, struct loop *loop, int fd, struct function *fn,
	void (*log)(void *ctx, const char *text), void *ctx, struct sim_error *why);
/* The card is taken out while it runs: its client, if any, is thrown out, and nobody can connect
 * any more. -EALREADY: it is out. One of server_attach() ends with that.
 */
int server_remove(struct server *server);
/* A card that was taken out is there again, as after power-on. -EALREADY: it is there; or why its
 * socket cannot be had.
 */
int server_insert(struct server *server, struct sim_error *why);
bool server_has_client(const struct server *server);
/* Also removes the socket file. */
void server_destroy(struct server *server);

#endif
