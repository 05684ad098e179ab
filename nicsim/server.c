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
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pci/vfio_user.h"

#define MESSAGE_MAX 8192u  /* a whole config space and a header fit twice */
#define BUFFER      65536u /* of each direction */
#define FDS_MAX     64u    /* in one message: a full MSI-X table's */
#define REGIONS     9u     /* VFIO_PCI_NUM_REGIONS */
#define PAYLOAD_MAX (MESSAGE_MAX - (unsigned)sizeof(struct vfio_user_header))

struct descriptors {
	int fd[FDS_MAX];
	unsigned count;
};

struct server {
	struct loop *loop;
	struct function *fn;
	void (*log)(void *ctx, const char *text);
	void *ctx;
	struct sockaddr_un address;
	struct loop_io listener, client;
	uint32_t events;         /* what the client's descriptor waits for */
	bool versioned;          /* the client said VERSION */
	bool stalled;            /* whole messages wait until there is room for their replies */
	struct descriptors fds;  /* came with the message at the head of in[] */
	struct descriptors tail; /* came with the message that in[] ends in */
	unsigned in_len, out_len;
	uint8_t in[BUFFER], out[BUFFER];
};

static void say(const struct server *server, const char *text)
{
	if (server->log)
		server->log(server->ctx, text);
}

static void close_descriptors(struct descriptors *fds)
{
	for (unsigned i = 0; i < fds->count; i++)
		close(fds->fd[i]);
	fds->count = 0;
}

/* --- replies --- */

static void reply(struct server *server, const struct vfio_user_header *request,
	const void *payload, uint32_t len)
{
	struct vfio_user_header header = {.id = request->id,
		.command = request->command,
		.size = (uint32_t)sizeof(header) + len,
		.flags = VFIO_USER_REPLY};

	if (request->flags & VFIO_USER_NO_REPLY)
		return;
	memcpy(server->out + server->out_len, &header, sizeof(header));
	if (len)
		memcpy(server->out + server->out_len + sizeof(header), payload, len);
	server->out_len += header.size;
}

static void reply_error(struct server *server, const struct vfio_user_header *request, int rc)
{
	struct vfio_user_header header = {.id = request->id,
		.command = request->command,
		.size = sizeof(header),
		.flags = VFIO_USER_REPLY | VFIO_USER_ERROR,
		.error = (uint32_t)-rc};

	if (request->flags & VFIO_USER_NO_REPLY)
		return;
	memcpy(server->out + server->out_len, &header, sizeof(header));
	server->out_len += header.size;
}

/* --- commands: each gets the payload and replies, or returns -errno for an error reply --- */

static int on_version(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	/* This server sends no message of its own, so nothing of the client's offer matters. */
	static const char text[] =
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096}}";
	struct vfio_user_version version;
	uint8_t out[sizeof(version) + sizeof(text)];

	if (len < sizeof(version))
		return -EINVAL;
	memcpy(&version, payload, sizeof(version));
	if (version.major != 0)
		return -ENOTSUP;
	if (len > sizeof(version) && payload[len - 1] != '\0')
		return -EINVAL;
	if (server->versioned)
		return -EINVAL;
	server->versioned = true;
	version.minor = 0;
	memcpy(out, &version, sizeof(version));
	memcpy(out + sizeof(version), text, sizeof(text));
	reply(server, h, out, sizeof(out));
	return 0;
}

static int on_dma_map(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_dma_map map;
	int fd = -1, rc;

	if (len < sizeof(map))
		return -EINVAL;
	memcpy(&map, payload, sizeof(map));
	if (map.argsz < sizeof(map) || server->fds.count > 1)
		return -EINVAL;
	if (server->fds.count)
		fd = server->fds.fd[--server->fds.count];
	rc = dma_map(server->fn->dma, map.address, map.size, map.flags, fd, map.offset);
	if (rc)
		return rc;
	reply(server, h, NULL, 0);
	return 0;
}

static int on_dma_unmap(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_dma_unmap unmap;
	int rc;

	if (len < sizeof(unmap))
		return -EINVAL;
	memcpy(&unmap, payload, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap))
		return -EINVAL;
	if (unmap.flags == VFIO_DMA_UNMAP_FLAG_ALL && unmap.address == 0 && unmap.size == 0)
		dma_unmap_all(server->fn->dma);
	else if (unmap.flags)
		return -ENOTSUP;
	else if ((rc = dma_unmap(server->fn->dma, unmap.address, unmap.size)))
		return rc;
	reply(server, h, &unmap, sizeof(unmap));
	return 0;
}

static int on_device_info(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_device_info info = {0};
	const uint32_t size = offsetof(struct vfio_device_info, num_irqs) + sizeof(info.num_irqs);

	if (len < size)
		return -EINVAL;
	memcpy(&info, payload, size);
	if (info.argsz < size)
		return -EINVAL;
	info.argsz = size;
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.num_regions = REGIONS;
	info.num_irqs = IRQ_KINDS;
	reply(server, h, &info, size);
	return 0;
}

static uint32_t region_size(const struct server *server, uint32_t region)
{
	if (region <= VFIO_PCI_BAR5_REGION_INDEX)
		return server->fn->ident->bar_size[region];
	return region == VFIO_PCI_CONFIG_REGION_INDEX ? PCI_CONFIG_SIZE : 0;
}

static int on_region_info(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_region_info info;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= REGIONS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.size = region_size(server, info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info.cap_offset = 0;
	info.offset = 0;
	reply(server, h, &info, sizeof(info));
	return 0;
}

static int on_irq_info(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_irq_info info;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= IRQ_KINDS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = irqs_flags((enum irq_kind)info.index);
	info.count = irqs_count((enum irq_kind)info.index);
	reply(server, h, &info, sizeof(info));
	return 0;
}

static int on_set_irqs(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_irq_set set;
	enum irq_kind before = server->fn->irqs.kind;
	unsigned fds = server->fds.count;
	int rc;

	if (len < sizeof(set))
		return -EINVAL;
	memcpy(&set, payload, sizeof(set));
	if (set.argsz < sizeof(set))
		return -EINVAL;
	server->fds.count = 0; /* irqs_set() takes them */
	rc = irqs_set(&server->fn->irqs, set.index, set.flags, set.start, set.count,
		payload + sizeof(set), len - (uint32_t)sizeof(set), server->fds.fd, fds);
	if (rc)
		return rc;
	reply(server, h, NULL, 0);
	if (server->fn->irqs.kind != before)
		server->fn->ops->changed(server->fn->card);
	return 0;
}

/* Where an access may go. Config space takes any piece; a BAR takes aligned powers of two. */
static int check_access(const struct server *server, const struct vfio_user_region_access *access)
{
	uint32_t size = access->region < REGIONS ? region_size(server, access->region) : 0;

	if (access->count == 0 || access->count > size || access->offset > size - access->count)
		return -EINVAL;
	if (access->region == VFIO_PCI_CONFIG_REGION_INDEX)
		return 0;
	if (access->count > 8 || (access->count & (access->count - 1)) ||
		access->offset % access->count)
		return -EINVAL;
	return 0;
}

static int on_region_read(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_region_access access;
	uint8_t out[sizeof(access) + PCI_CONFIG_SIZE];
	int rc;

	if (len < sizeof(access))
		return -EINVAL;
	memcpy(&access, payload, sizeof(access));
	rc = check_access(server, &access);
	if (rc)
		return rc;
	memcpy(out, &access, sizeof(access));
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		function_config_read(
			server->fn, (unsigned)access.offset, out + sizeof(access), access.count);
	} else {
		uint64_t value = function_read(
			server->fn, access.region, (uint32_t)access.offset, access.count);

		memcpy(out + sizeof(access), &value, access.count);
	}
	reply(server, h, out, (uint32_t)sizeof(access) + access.count);
	return 0;
}

static int on_region_write(struct server *server, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_region_access access;
	uint64_t value = 0;
	int rc;

	if (len < sizeof(access))
		return -EINVAL;
	memcpy(&access, payload, sizeof(access));
	rc = check_access(server, &access);
	if (rc)
		return rc;
	if (len - sizeof(access) < access.count)
		return -EINVAL;
	payload += sizeof(access);
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		function_config_write(server->fn, (unsigned)access.offset, payload, access.count);
	} else {
		memcpy(&value, payload, access.count);
		function_write(
			server->fn, access.region, (uint32_t)access.offset, access.count, value);
	}
	reply(server, h, &access, sizeof(access));
	return 0;
}

static int on_reset(struct server *server, const struct vfio_user_header *h, const uint8_t *payload,
	uint32_t len)
{
	(void)payload;
	(void)len;
	function_reset(server->fn);
	reply(server, h, NULL, 0);
	return 0;
}

static void dispatch(
	struct server *server, const struct vfio_user_header *h, const uint8_t *payload)
{
	static int (*const commands[])(
		struct server *, const struct vfio_user_header *, const uint8_t *, uint32_t) = {
		[VFIO_USER_VERSION] = on_version,
		[VFIO_USER_DMA_MAP] = on_dma_map,
		[VFIO_USER_DMA_UNMAP] = on_dma_unmap,
		[VFIO_USER_DEVICE_GET_INFO] = on_device_info,
		[VFIO_USER_DEVICE_GET_REGION_INFO] = on_region_info,
		[VFIO_USER_DEVICE_GET_IRQ_INFO] = on_irq_info,
		[VFIO_USER_DEVICE_SET_IRQS] = on_set_irqs,
		[VFIO_USER_REGION_READ] = on_region_read,
		[VFIO_USER_REGION_WRITE] = on_region_write,
		[VFIO_USER_DEVICE_RESET] = on_reset,
	};
	const unsigned known = sizeof(commands) / sizeof(*commands);
	int rc = -ENOTSUP;

	if (!server->versioned && h->command != VFIO_USER_VERSION)
		rc = -EINVAL;
	else if (h->command < known && commands[h->command])
		rc = commands[h->command](server, h, payload, h->size - (uint32_t)sizeof(*h));
	if (rc)
		reply_error(server, h, rc);
	close_descriptors(&server->fds);
}

/* --- the connection --- */

static void client_leaves(struct server *server, const char *why)
{
	loop_remove(server->loop, &server->client);
	close(server->client.fd);
	server->client.fd = -1;
	close_descriptors(&server->fds);
	close_descriptors(&server->tail);
	server->stalled = false;
	server->in_len = 0;
	server->out_len = 0;
	server->versioned = false;
	dma_unmap_all(server->fn->dma);
	function_reset(server->fn);
	say(server, why);
	/* Somebody may be waiting already: the listener is level triggered. */
	loop_add(server->loop, &server->listener, EPOLLIN);
}

static bool send_out(struct server *server)
{
	while (server->out_len) {
		ssize_t n = send(server->client.fd, server->out, server->out_len,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		server->out_len -= (unsigned)n;
		memmove(server->out, server->out + n, server->out_len);
	}
	return true;
}

/* Moves all of `from` to the end of `to`; what does not fit is closed. */
static void append_descriptors(struct descriptors *to, struct descriptors *from)
{
	for (unsigned i = 0; i < from->count; i++) {
		if (to->count < FDS_MAX)
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
	while (server->in_len - at >= sizeof(struct vfio_user_header)) {
		struct vfio_user_header header;

		memcpy(&header, server->in + at, sizeof(header));
		if (header.size < sizeof(header) || header.size > MESSAGE_MAX ||
			(header.flags & VFIO_USER_TYPE_MASK) != 0) {
			sane = false;
			break;
		}
		if (server->in_len - at < header.size)
			break;
		if (BUFFER - server->out_len < MESSAGE_MAX) {
			server->stalled = true;
			break;
		}
		if (at + header.size == server->in_len)
			append_descriptors(&server->fds, &server->tail);
		dispatch(server, &header, server->in + at + sizeof(header));
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
		uint8_t bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = {server->in + server->in_len, BUFFER - server->in_len};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(server->client.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	/* in[] held no whole message: what came before belongs to the one at its head. */
	append_descriptors(&server->fds, &server->tail);
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
	if (server->out_len)
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
	loop_remove(server->loop, &server->listener);
	say(server, "a client came");
}

/* --- the socket --- */

/* Removes a socket file that nobody listens on. */
static int clear_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (rc != -ECONNREFUSED)
		return rc == 0 || rc == -EAGAIN ? -EADDRINUSE : rc;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int listen_at(struct server *server, const char *path, struct sim_error *why)
{
	int fd = -1, rc;

	if (strlen(path) == 0 || strlen(path) >= sizeof(server->address.sun_path)) {
		snprintf(why->text, sizeof(why->text),
			"socket path of %zu bytes: 1 to %zu are possible", strlen(path),
			sizeof(server->address.sun_path) - 1);
		return -EINVAL;
	}
	server->address.sun_family = AF_UNIX;
	memcpy(server->address.sun_path, path, strlen(path) + 1);
	rc = clear_stale(&server->address);
	if (rc)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&server->address, sizeof(server->address)) < 0) {
		rc = -errno;
		goto fail;
	}
	server->listener.fd = fd;
	if (listen(fd, 8) == 0) {
		rc = loop_add(server->loop, &server->listener, EPOLLIN);
		if (rc == 0)
			return 0;
	} else {
		rc = -errno;
	}
	unlink(path);
fail:
	if (fd >= 0)
		close(fd);
	if (rc == -EADDRINUSE)
		snprintf(why->text, sizeof(why->text),
			"socket %s: another server listens there; end it or choose another path",
			path);
	else if (rc == -EEXIST)
		snprintf(why->text, sizeof(why->text),
			"socket %s: a file that is no socket is there; choose another path", path);
	else
		snprintf(why->text, sizeof(why->text), "socket %s: %s", path, strerror(-rc));
	return rc;
}

int server_create(struct server **out, struct loop *loop, const char *path, struct function *fn,
	void (*log)(void *ctx, const char *text), void *ctx, struct sim_error *why)
{
	struct server *server = calloc(1, sizeof(*server));
	int rc;

	if (!server) {
		snprintf(why->text, sizeof(why->text), "socket %s: out of memory", path);
		return -ENOMEM;
	}
	server->loop = loop;
	server->fn = fn;
	server->log = log;
	server->ctx = ctx;
	server->listener = (struct loop_io){.ready = on_connect, .fd = -1};
	server->client = (struct loop_io){.ready = on_client, .fd = -1};
	rc = listen_at(server, path, why);
	if (rc) {
		free(server);
		return rc;
	}
	function_reset(fn);
	*out = server;
	return 0;
}

void server_destroy(struct server *server)
{
	if (!server)
		return;
	if (server->client.fd >= 0) {
		loop_remove(server->loop, &server->client);
		close(server->client.fd);
		close_descriptors(&server->fds);
		close_descriptors(&server->tail);
	} else {
		loop_remove(server->loop, &server->listener);
	}
	close(server->listener.fd);
	unlink(server->address.sun_path);
	free(server);
}
