/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The vfio-user server: a stream of messages in, replies out. Many posted register writes come in
 * one recvmsg(); nothing is allocated per message.
 *
 * The peer may send anything. A message that is well framed but wrong gets an error reply; one that
 * leaves the position of the next in doubt ends the connection.
 */
#include "nicsim/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nicsim/place.h"
#include "nicsim/session.h"
#include "pci/vfio_user.h"

struct server {
	struct loop *loop;
	struct session session;
	void (*log)(void *ctx, const char *text);
	void *ctx;
	struct sockaddr_un address;
	struct loop_io listener, client;
	uint32_t events;         /* what the client's descriptor waits for */
	bool stalled;            /* whole messages wait until there is room for their replies */
	struct descriptors tail; /* came with the message that in[] ends in */
	unsigned in_len;
	uint8_t in[SESSION_BUFFER];
};

static void say(const struct server *server, const char *text)
{
	if (server->log)
		server->log(server->ctx, text);
}

/* --- the connection --- */

static void client_leaves(struct server *server, const char *why)
{
	loop_remove(server->loop, &server->client);
	close(server->client.fd);
	server->client.fd = -1;
	session_close_fds(&server->session.fds);
	session_close_fds(&server->tail);
	server->stalled = false;
	server->in_len = 0;
	server->session.out_len = 0;
	server->session.passes = 0;
	server->session.versioned = false;
	server->session.hangs_up = false;
	server->session.fn->attended = false;
	dma_unmap_all(server->session.fn->dma);
	if (server->session.fn->ops->left)
		server->session.fn->ops->left(server->session.fn->card);
	function_reset(server->session.fn);
	say(server, why);
	if (server->listener.fd < 0) {
		loop_stop(server->loop);
		return;
	}
	/* Somebody may be waiting already: the listener is level triggered. */
	loop_add(server->loop, &server->listener, EPOLLIN);
}

/* One sendmsg(): up to the next byte that carries a descriptor, or from one that does. */
static ssize_t send_piece(struct server *server)
{
	struct session *session = &server->session;
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {session->out, session->out_len};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	unsigned next = 0;
	ssize_t n;

	if (session->passes && session->pass[0].at == 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &session->pass[0].fd, sizeof(int));
		next = 1;
	}
	if (next < session->passes)
		part.iov_len = session->pass[next].at;
	n = sendmsg(server->client.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return n;
	session->passes -= next;
	for (unsigned i = 0; i < session->passes; i++) {
		session->pass[i] = session->pass[i + next];
		session->pass[i].at -= (unsigned)n;
	}
	return n;
}

static bool send_out(struct server *server)
{
	while (server->session.out_len) {
		ssize_t n = send_piece(server);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		server->session.out_len -= (unsigned)n;
		memmove(server->session.out, server->session.out + n, server->session.out_len);
	}
	return true;
}

/* Moves all of `from` to the end of `to`; what does not fit is closed. */
static void append_descriptors(struct descriptors *to, struct descriptors *from)
{
	for (unsigned i = 0; i < from->count; i++) {
		if (to->count < SESSION_FDS)
			to->fd[to->count++] = from->fd[i];
		else
			close(from->fd[i]);
	}
	from->count = 0;
}

/* Handles the whole messages in in[]. Returns false when the stream makes no sense. */
static bool handle(struct server *server)
{
	unsigned at = 0;
	bool sane = true;

	server->stalled = false;
	while (server->in_len - at >= sizeof(struct vfio_user_header) &&
		!server->session.hangs_up) {
		struct vfio_user_header header;

		memcpy(&header, server->in + at, sizeof(header));
		if (header.size < sizeof(header) || header.size > SESSION_MESSAGE ||
			(header.flags & VFIO_USER_TYPE_MASK) != 0) {
			sane = false;
			break;
		}
		if (server->in_len - at < header.size)
			break;
		if (!session_has_room(&server->session)) {
			server->stalled = true;
			break;
		}
		if (at + header.size == server->in_len)
			append_descriptors(&server->session.fds, &server->tail);
		session_command(&server->session, &header, server->in + at + sizeof(header));
		at += header.size;
	}
	server->in_len -= at;
	if (at)
		memmove(server->in, server->in + at, server->in_len);
	return sane;
}

/* One recvmsg(): the kernel ends it after a piece that carries descriptors, so that what came
 * belongs to the message that the piece ends in. 1: go on, 0: the client is gone, -EPROTO.
 */
static int receive(struct server *server)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(SESSION_FDS * sizeof(int))];
	} control;
	struct iovec part = {server->in + server->in_len, SESSION_BUFFER - server->in_len};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(server->client.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	/* in[] held no whole message: what came before belongs to the one at its head. */
	append_descriptors(&server->session.fds, &server->tail);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(server->tail.fd, CMSG_DATA(c), bytes);
		server->tail.count = (unsigned)(bytes / sizeof(int));
	}
	if (msg.msg_flags & MSG_CTRUNC)
		return -EPROTO;
	server->in_len += (unsigned)n;
	return n > 0;
}

/* Moves the connection on as far as it goes; NULL, or why it ends. */
static const char *serve(struct server *server, uint32_t events)
{
	static const char left[] = "the client left";
	int more = 1;

	if (!send_out(server))
		return left;
	if (server->stalled) {
		if (events & (EPOLLHUP | EPOLLERR))
			return left;
	} else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		more = receive(server);
		if (more < 0)
			return "the client was thrown out: too many descriptors";
	}
	if (!handle(server)) {
		send_out(server); /* what it may still want to know */
		return "the client was thrown out: no vfio-user message";
	}
	if (server->session.hangs_up)
		return "the client was thrown out: a fault";
	return more && send_out(server) ? NULL : left;
}

static void on_client(struct loop_io *io, uint32_t events)
{
	struct server *server = (struct server *)((char *)io - offsetof(struct server, client));
	const char *end = serve(server, events);
	uint32_t wait;

	if (end) {
		client_leaves(server, end);
		return;
	}
	wait = server->stalled ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN;
	if (server->session.out_len)
		wait |= EPOLLOUT;
	if (wait != server->events) {
		server->events = wait;
		loop_modify(server->loop, io, wait);
	}
}

static void on_connect(struct loop_io *io, uint32_t events)
{
	struct server *server = (struct server *)((char *)io - offsetof(struct server, listener));
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	server->client.fd = fd;
	server->events = EPOLLIN;
	if (loop_add(server->loop, &server->client, EPOLLIN) < 0) {
		close(fd);
		server->client.fd = -1;
		return;
	}
	server->session.fn->attended = true;
	loop_remove(server->loop, &server->listener);
	if (server->session.fn->fault)
		fault_restart(server->session.fn->fault);
	say(server, "a client came");
}

/* --- the socket --- */

static int listen_at(struct server *server, const char *path, struct sim_error *why)
{
	int fd = place_socket(path, SOCK_STREAM, &server->address, why);
	int rc;

	if (fd < 0)
		return fd;
	server->listener.fd = fd;
	rc = listen(fd, 8) < 0 ? -errno : loop_add(server->loop, &server->listener, EPOLLIN);
	if (rc == 0)
		return 0;
	snprintf(why->text, sizeof(why->text), "socket %s: %s", path, strerror(-rc));
	server->listener.fd = -1;
	unlink(path);
	close(fd);
	return rc;
}

/* One without a socket yet; NULL: out of memory. */
static struct server *new_server(
	struct loop *loop, struct function *fn, void (*log)(void *ctx, const char *text), void *ctx)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->loop = loop;
	server->session.fn = fn;
	server->log = log;
	server->ctx = ctx;
	server->listener = (struct loop_io){.ready = on_connect, .fd = -1};
	server->client = (struct loop_io){.ready = on_client, .fd = -1};
	return server;
}

int server_create(struct server **out, struct loop *loop, const char *path, struct function *fn,
	void (*log)(void *ctx, const char *text), void *ctx, struct sim_error *why)
{
	struct server *server = new_server(loop, fn, log, ctx);
	int rc;

	if (!server) {
		snprintf(why->text, sizeof(why->text), "socket %s: out of memory", path);
		return -ENOMEM;
	}
	rc = listen_at(server, path, why);
	if (rc) {
		free(server);
		return rc;
	}
	function_reset(fn);
	*out = server;
	return 0;
}

int server_attach(struct server **out, struct loop *loop, int fd, struct function *fn,
	void (*log)(void *ctx, const char *text), void *ctx, struct sim_error *why)
{
	struct server *server;
	int type = 0, rc;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
		snprintf(why->text, sizeof(why->text),
			"--fd %d is no stream socket: it is for who starts nicsim with one", fd);
		return -EINVAL;
	}
	server = new_server(loop, fn, log, ctx);
	if (!server) {
		snprintf(why->text, sizeof(why->text), "--fd %d: out of memory", fd);
		return -ENOMEM;
	}
	function_reset(fn);
	server->events = EPOLLIN;
	server->client.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	rc = server->client.fd < 0 ? -errno : loop_add(loop, &server->client, EPOLLIN);
	if (rc) {
		snprintf(why->text, sizeof(why->text), "--fd %d: %s", fd, strerror(-rc));
		if (server->client.fd >= 0)
			close(server->client.fd);
		free(server);
		return rc;
	}
	*out = server;
	return 0;
}

/* Neither a client nor, after the one that was there, a socket. */
static void close_listener(struct server *server)
{
	loop_remove(server->loop, &server->listener);
	close(server->listener.fd);
	server->listener.fd = -1;
	unlink(server->address.sun_path);
}

int server_remove(struct server *server)
{
	bool listened = server->listener.fd >= 0;

	if (!listened && server->client.fd < 0)
		return -EALREADY;
	if (server->client.fd >= 0)
		client_leaves(server, "the card was removed");
	if (listened)
		close_listener(server);
	return 0;
}

int server_insert(struct server *server, struct sim_error *why)
{
	char path[sizeof(server->address.sun_path)];

	if (server->listener.fd >= 0 || server->client.fd >= 0) {
		snprintf(why->text, sizeof(why->text), "it is there");
		return -EALREADY;
	}
	memcpy(path, server->address.sun_path, sizeof(path));
	return listen_at(server, path, why);
}

bool server_has_client(const struct server *server)
{
	return server->client.fd >= 0;
}

void server_destroy(struct server *server)
{
	if (!server)
		return;
	if (server->client.fd >= 0) {
		loop_remove(server->loop, &server->client);
		close(server->client.fd);
		session_close_fds(&server->session.fds);
		session_close_fds(&server->tail);
	}
	if (server->listener.fd >= 0)
		close_listener(server);
	free(server);
}
