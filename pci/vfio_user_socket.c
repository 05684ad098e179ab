/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The server is not trusted: whatever it sends, no buffer overflows, no wait is without end, and no
 * descriptor is leaked. After the first message that is not in order the connection is given up,
 * since nothing would put the two sides in step again.
 */
#include "pci/vfio_user_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pci/function.h"
#include "pci/vfio_user.h"

#define MAX_UNASKED 16u        /* commands of the server that are refused before we give up */
#define MAX_PAYLOAD (2u << 20) /* of such a command: what it may be, and a header to spare */
#define CONTROL     CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)

/* Why connect() failed, in words that say what to do. */
static int explain_connect(const char *address, const char *path, int error, struct pci_error *why)
{
	struct stat status;

	switch (error) {
	case ENOENT:
		return pci_fail(
			why, -ENOENT, "%s: no such socket: start the server first", address);
	case ECONNREFUSED:
		if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
			return pci_fail(why, -ENOENT, "%s: that file is no socket", address);
		return pci_fail(why, -ENOENT,
			"%s: nobody serves that socket any more: start the server again", address);
	case EACCES:
		return pci_fail(why, -EACCES,
			"%s: not allowed: be its owner, or have write permission on the socket",
			address);
	case EAGAIN:
		return pci_fail(why, -ETIMEDOUT,
			"%s: the server takes no connection: is another program using it?",
			address);
	case EPROTOTYPE:
		return pci_fail(
			why, -EPROTO, "%s: what listens there is no vfio-user server", address);
	default: return pci_fail(why, -error, "%s: can't connect: %s", address, strerror(error));
	}
}

int vfio_user_connect(const char *address, const char *path, struct pci_error *why)
{
	const struct timeval patience = {.tv_sec = VFIO_USER_CONNECT_MS / 1000};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return pci_fail(why, -errno, "%s: %s", address, strerror(errno));
	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	/* Also bounds how long connect() waits for room in the server's backlog. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
		connect(fd, (const struct sockaddr *)&to, sizeof(to))) {
		error = explain_connect(address, path, errno, why);
		close(fd);
		return error;
	}
	return fd;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the socket: 0, or -ETIMEDOUT. What became of it the next call tells. */
static int await(int fd, short events, int64_t end)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = end - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (left <= 0)
			return -ETIMEDOUT;
	}
}

/* A closed connection has many names. */
static int closed(int error)
{
	return error == ECONNRESET || error == EPIPE || error == ENOTCONN ? -ENODEV : -error;
}

static int send_all(
	int fd, struct iovec *part, size_t parts, const int *fds, unsigned nfds, int64_t end)
{
	union {
		struct cmsghdr head;
		uint8_t space[CONTROL];
	} control;
	struct msghdr message = {.msg_iov = part, .msg_iovlen = parts};
	int error;

	if (nfds) {
		memset(&control, 0, sizeof(control));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * nfds);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	}
	while (message.msg_iovlen) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			error = await(fd, POLLOUT, end);
			if (error)
				return error;
			continue;
		}
		if (n < 0)
			return closed(errno);
		message.msg_control = NULL;
		message.msg_controllen = 0;
		while (message.msg_iovlen && (size_t)n >= message.msg_iov->iov_len) {
			n -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Keeps one descriptor where one may come; closes the rest. False: there were too many. */
static bool take_fds(struct msghdr *message, int *one)
{
	bool welcome = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (one && *one < 0) {
				*one = fd;
			} else {
				close(fd);
				welcome = false;
			}
		}
	}
	return welcome;
}

/* Reads exactly `size` bytes. One descriptor may come where `fd` is not NULL (*fd is -1 before). */
static int receive_all(int socket, void *data, size_t size, int *fd, int64_t end)
{
	union {
		struct cmsghdr head;
		uint8_t space[CONTROL];
	} control;
	uint8_t *at = data;
	int error;

	while (size) {
		struct iovec part = {at, size};
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			error = await(socket, POLLIN, end);
			if (error)
				return error;
			continue;
		}
		if (n < 0)
			return closed(errno);
		if (!take_fds(&message, fd))
			return -EPROTO;
		if (n == 0)
			return -ENODEV;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The server asks for memory by message, which it never needs to: all of ours came with a
 * descriptor. Takes the rest of the command away and refuses it.
 */
static int refuse(int socket, const struct vfio_user_header *command, int64_t end)
{
	struct vfio_user_header reply = {
		.id = command->id,
		.command = command->command,
		.size = sizeof(reply),
		.flags = VFIO_USER_REPLY | VFIO_USER_ERROR,
		.error = ENOTSUP,
	};
	struct iovec part = {&reply, sizeof(reply)};
	uint8_t waste[4096];
	uint32_t left = command->size - (uint32_t)sizeof(*command);
	int error;

	if (left > MAX_PAYLOAD)
		return -EPROTO;
	while (left) {
		uint32_t n = left < sizeof(waste) ? left : sizeof(waste);

		error = receive_all(socket, waste, n, NULL, end);
		if (error)
			return error;
		left -= n;
	}
	if (command->flags & VFIO_USER_NO_REPLY)
		return 0;
	return send_all(socket, &part, 1, NULL, 0, end);
}

/* Reads the head of the next reply; commands of the server before it are refused. */
static int next_reply(int socket, struct vfio_user_header *head, int *fd, int64_t end)
{
	for (unsigned i = 0; i < MAX_UNASKED; i++) {
		int error = receive_all(socket, head, sizeof(*head), fd, end);

		if (error)
			return error;
		if ((head->flags & VFIO_USER_TYPE_MASK) == VFIO_USER_REPLY)
			return 0;
		if (head->flags & VFIO_USER_TYPE_MASK || (fd && *fd >= 0))
			return -EPROTO;
		error = refuse(socket, head, end);
		if (error)
			return error;
	}
	return -EPROTO;
}

static int explain(struct pci_error *why, int error, unsigned command)
{
	switch (error) {
	case -ENODEV:
		return pci_fail(
			why, error, "the server closed the connection at command %u", command);
	case -ETIMEDOUT:
		return pci_fail(why, error, "the server does not answer command %u", command);
	case -EPROTO:
		return pci_fail(
			why, error, "not in order: the server's answer to command %u", command);
	default: return pci_fail(why, error, "command %u: %s", command, strerror(-error));
	}
}

int vfio_user_call(struct vfio_user_socket *s, const struct vfio_user_request *request,
	bool *broken, struct pci_error *why)
{
	int64_t end = now_ms() + (request->timeout_ms ? request->timeout_ms : VFIO_USER_REPLY_MS);
	struct vfio_user_header head = {
		.id = s->next_id++,
		.command = request->command,
		.size = sizeof(head),
		.flags = request->posted ? VFIO_USER_NO_REPLY : 0,
	};
	struct vfio_user_header reply;
	struct iovec part[3] = {{&head, sizeof(head)}};
	int fd = -1;
	int *one = request->reply_fd ? &fd : NULL;
	size_t size;
	int error;

	for (unsigned i = 0; i < request->parts; i++) {
		part[1 + i] = request->part[i];
		head.size += (uint32_t)request->part[i].iov_len;
	}
	*broken = true;
	error = send_all(s->fd, part, 1 + request->parts, request->fds, request->nfds, end);
	if (error)
		return explain(why, error, request->command);
	if (request->posted) {
		*broken = false;
		return 0;
	}
	error = next_reply(s->fd, &reply, one, end);
	if (error)
		goto bad;
	error = -EPROTO;
	/* What is smaller than its header wraps round, and is too large: here as in refuse(). */
	size = reply.size - (uint32_t)sizeof(reply);
	if (reply.id != head.id || reply.command != head.command)
		goto bad;
	if (reply.flags & VFIO_USER_ERROR) {
		if (size || fd >= 0)
			goto bad;
		*broken = false;
		error = reply.error && reply.error < 4096 ? -(int)reply.error : -EIO;
		return pci_fail(why, error, "the server refuses command %u: %s", request->command,
			strerror(-error));
	}
	if (size < request->reply_min || size > request->reply_max)
		goto bad;
	error = receive_all(s->fd, request->reply, size, one, end);
	if (error)
		goto bad;
	if (request->reply_fd)
		*request->reply_fd = fd;
	*broken = false;
	return (int)size;
bad:
	if (fd >= 0)
		close(fd);
	return explain(why, error, request->command);
}

bool vfio_user_idle(struct vfio_user_socket *s)
{
	int64_t end = now_ms() + VFIO_USER_REPLY_MS;

	for (unsigned i = 0; i < MAX_UNASKED; i++) {
		struct vfio_user_header head;
		ssize_t n = recv(s->fd, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <= 0)
			return true;
		if (receive_all(s->fd, &head, sizeof(head), NULL, end) ||
			head.flags & VFIO_USER_TYPE_MASK || refuse(s->fd, &head, end))
			return true;
	}
	return true;
}
