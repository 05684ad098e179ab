/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Messages of the vfio-user protocol over a Unix socket, as its client sees them: a request, its
 * reply, each within a time, each checked.
 */
#ifndef PCI_VFIO_USER_SOCKET_H
#define PCI_VFIO_USER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pci/pci.h"

#define VFIO_USER_REPLY_MS   2000
#define VFIO_USER_CONNECT_MS 5000
#define VFIO_USER_MAX_FDS    16u /* that a request carries */

struct vfio_user_socket {
	int fd;
	uint16_t next_id;
};

struct vfio_user_request {
	uint16_t command;
	bool posted; /* no reply is asked for */
	unsigned parts;
	struct iovec part[2]; /* the payload */
	const int *fds;
	unsigned nfds;
	uint8_t *reply; /* its payload: reply_min to reply_max bytes */
	size_t reply_min, reply_max;
	int *reply_fd; /* where a descriptor may come with it: it, or -1 */
	int timeout_ms;
};

/* Connects to the server at `path`: the socket, or -errno with a text that begins with `address`.
 * -ENOENT: no such socket, or nobody serves it; -EACCES; -ETIMEDOUT: it takes no connection;
 * -EPROTO: it is a socket of another kind.
 */
int vfio_user_connect(const char *address, const char *path, struct pci_error *why);

/* Sends it and waits for the reply: the size of its payload, or -errno. With *broken false that is
 * the server's own answer to a request that reached it. With *broken true the connection is of no
 * further use: -ENODEV: the server has closed it; -ETIMEDOUT: it did not answer, or did not take
 * the request; -EPROTO: it broke the protocol.
 */
int vfio_user_call(struct vfio_user_socket *s, const struct vfio_user_request *request,
	bool *broken, struct pci_error *why);

/* Looks at what came unasked, without waiting: true when the connection is of no further use. */
bool vfio_user_idle(struct vfio_user_socket *s);

#endif
