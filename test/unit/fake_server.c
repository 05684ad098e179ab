/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pci/vfio_user.h"

#define MAX_MESSAGE 4096u

/* A message with at most one descriptor more than it may have. */
struct message {
	struct vfio_user_header head;
	uint8_t payload[MAX_MESSAGE];
	int fd[16];
	unsigned fds;
};

static void need(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "fake server: %s: %s\n", what, strerror(errno));
	abort();
}

static bool read_all(int socket, void *data, size_t size, struct message *m)
{
	uint8_t *at = data;

	while (size) {
		union {
			struct cmsghdr head;
			uint8_t space[CMSG_SPACE(sizeof(m->fd))];
		} control;
		struct iovec part = {at, size};
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&message);
		if (c) {
			m->fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(m->fd, CMSG_DATA(c), m->fds * sizeof(int));
		}
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool receive(int socket, struct message *m)
{
	m->fds = 0;
	if (!read_all(socket, &m->head, sizeof(m->head), m))
		return false;
	need(m->head.size >= sizeof(m->head) && m->head.size - sizeof(m->head) <= MAX_MESSAGE,
		"the client's message has no possible size");
	return read_all(socket, m->payload, m->head.size - sizeof(m->head), m);
}

/* Sends `size` bytes with n copies of a descriptor. The client may be gone. */
static void transmit(int socket, const void *data, size_t size, int fd, unsigned n)
{
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int) * 20)];
	} control;
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memset(&control, 0, sizeof(control));
	if (n) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * n);
		for (unsigned i = 0; i < n; i++)
			memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
		need(errno == EPIPE || errno == ECONNRESET, "sendmsg");
}

/* Asks the client for memory, which it refuses; counts the refusals that come at once. */
static void ask_for_memory(struct fake *f, int socket, unsigned times, bool with_fd)
{
	uint32_t size = f->mischief.value;

	struct {
		struct vfio_user_header head;
		struct vfio_user_dma_access access;
	} ask = {{0x7777, VFIO_USER_DMA_READ, sizeof(ask), 0, 0}, {0x1000, 64}};

	if (size)
		ask.head.size = size;
	for (unsigned i = 0; i < times; i++)
		transmit(socket, &ask, sizeof(ask), f->bar_fd, with_fd);
	if (times == 1 && !with_fd && !size) {
		struct vfio_user_header reply;

		if (recv(socket, &reply, sizeof(reply), MSG_WAITALL) == sizeof(reply) &&
			reply.id == 0x7777 && reply.command == VFIO_USER_DMA_READ &&
			reply.flags == (VFIO_USER_REPLY | VFIO_USER_ERROR) && reply.error)
			f->refusals++;
	}
}

/* Sends the reply, or what the mischief makes of it. False: the connection ends here. */
static bool reply(struct fake *f, int socket, struct message *m, size_t size, int fd)
{
	const struct fake_mischief *bad = &f->mischief;
	enum fake_deed deed = FAKE_GOOD;
	unsigned fds = fd >= 0;

	m->head.flags = VFIO_USER_REPLY;
	m->head.size = (uint32_t)(sizeof(m->head) + size);
	if (bad->deed && bad->command == m->head.command && f->seen++ == bad->nth)
		deed = bad->deed;
	size = m->head.size;
	switch (deed) {
	case FAKE_GOOD: break;
	case FAKE_STALL: return true;
	case FAKE_DEAF: break; /* it heard nothing */
	case FAKE_DIE: return false;
	case FAKE_DIE_HALF: transmit(socket, &m->head, 7, -1, 0); return false;
	case FAKE_DIE_PAYLOAD: transmit(socket, m, size - 1, fd, fds); return false;
	case FAKE_WRONG_ID: m->head.id++; break;
	case FAKE_WRONG_COMMAND: m->head.command++; break;
	case FAKE_WRONG_TYPE: m->head.flags = 2; break;
	case FAKE_TINY: m->head.size = 15; break;
	case FAKE_HUGE: m->head.size = UINT32_MAX; break;
	case FAKE_SHORT: size = --m->head.size; break;
	case FAKE_LONG: size = m->head.size += 1024; break;
	case FAKE_REFUSE:
		m->head.flags |= VFIO_USER_ERROR;
		m->head.error = bad->value;
		m->head.size = (uint32_t)(size = sizeof(m->head));
		fds = 0;
		break;
	case FAKE_REFUSE_LONG: m->head.flags |= VFIO_USER_ERROR; break;
	case FAKE_FD:
		fd = f->bar_fd;
		fds++;
		break;
	case FAKE_FDS:
		fd = f->bar_fd;
		fds = 20;
		break;
	case FAKE_UNASKED: ask_for_memory(f, socket, 1, false); break;
	case FAKE_UNASKED_LATER: break;
	case FAKE_UNASKED_FD: ask_for_memory(f, socket, 1, true); break;
	case FAKE_FLOOD: ask_for_memory(f, socket, 300, false); break;
	case FAKE_PATCH: memcpy(m->payload + bad->offset, &bad->value, 4); break;
	case FAKE_TEXT:
		memcpy(m->payload + 4, bad->text, strlen(bad->text) + 1);
		size = m->head.size = (uint32_t)(sizeof(m->head) + 4 + strlen(bad->text) + 1);
		break;
	case FAKE_FLIP:
		((uint8_t *)m)[bad->value / 8 % size] ^= (uint8_t)(1u << bad->value % 8);
		break;
	}
	transmit(socket, m, size, fd, fds);
	if (deed == FAKE_UNASKED_LATER)
		ask_for_memory(f, socket, 1, false);
	return deed != FAKE_FLIP;
}

/* --- the commands: each returns the size of the reply's payload, or -errno --- */

static int get_region(struct fake *f, struct message *m, int *fd)
{
	struct vfio_region_info info;
	/* struct vfio_region_info_cap_sparse_mmap with two areas */
	const struct {
		struct vfio_info_cap_header head;
		uint32_t areas, reserved;
		struct vfio_region_sparse_mmap_area area[2];
	} sparse = {
		{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0},
		2,
		0,
		{{0x1000, 0x1000}, {0x6000, 0x2000}},
	};

	memcpy(&info, m->payload, sizeof(info));
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info.size = info.index == 0 ? FAKE_BAR_SIZE : info.index == 7 ? sizeof(f->config) : 0;
	info.argsz = sizeof(info);
	info.cap_offset = 0;
	info.offset = 0;
	if (info.index == 0 && !f->not_mappable) {
		*fd = f->bar_fd;
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
		if (!f->whole) {
			info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
			info.cap_offset = sizeof(info);
			info.argsz += sizeof(sparse);
			memcpy(m->payload + sizeof(info), &sparse, sizeof(sparse));
		}
	}
	memcpy(m->payload, &info, sizeof(info));
	return (int)info.argsz;
}

static int access_region(struct fake *f, struct message *m)
{
	bool write = m->head.command == VFIO_USER_REGION_WRITE;
	struct vfio_user_region_access access;
	uint8_t *memory;
	size_t size;

	memcpy(&access, m->payload, sizeof(access));
	memory = access.region == 0 ? f->bar : access.region == 7 ? f->config : NULL;
	size = access.region == 0 ? FAKE_BAR_SIZE : sizeof(f->config);
	if (!memory || access.count > 8 || access.offset > size - access.count)
		return -EINVAL;
	if (access.region == 0)
		(write ? &f->writes : &f->reads)[0]++;
	if (access.region == 0 && write && m->head.flags & VFIO_USER_NO_REPLY)
		f->posted++;
	if (!write) {
		memcpy(m->payload + sizeof(access), memory + access.offset, access.count);
		return (int)(sizeof(access) + access.count);
	}
	memcpy(memory + access.offset, m->payload + sizeof(access), access.count);
	return sizeof(access);
}

static int set_irqs(struct fake *f, struct message *m)
{
	struct vfio_irq_set set;

	memcpy(&set, m->payload, sizeof(set));
	f->irq_messages++;
	if (set.index > 2)
		return -EINVAL;
	if (set.flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK)) {
		f->unmasks++;
		return 0;
	}
	if (set.flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) && !set.count) {
		for (unsigned i = 0; i < FAKE_VECTORS; i++) {
			if (f->irq[set.index][i] >= 0)
				close(f->irq[set.index][i]);
			f->irq[set.index][i] = -1;
		}
		return 0;
	}
	if (set.flags != (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER) ||
		m->fds != set.count || set.start + set.count > FAKE_VECTORS)
		return -EINVAL;
	for (unsigned i = 0; i < set.count; i++) {
		f->irq[set.index][set.start + i] = m->fd[i];
		m->fd[i] = -1;
	}
	return 0;
}

static int map(struct fake *f, struct message *m)
{
	struct vfio_user_dma_map request;

	memcpy(&request, m->payload, sizeof(request));
	if (m->fds != 1 || request.flags != 3 || f->maps == 8)
		return -EINVAL;
	f->map[f->maps] =
		(struct fake_map){request.address, request.size, request.offset, m->fd[0]};
	f->maps++;
	m->fd[0] = -1;
	return 0;
}

static int unmap(struct fake *f, struct message *m)
{
	struct vfio_user_dma_unmap request;

	memcpy(&request, m->payload, sizeof(request));
	for (unsigned i = 0; i < f->maps; i++) {
		if (f->map[i].iova != request.address || f->map[i].size != request.size)
			continue;
		close(f->map[i].fd);
		f->map[i] = f->map[--f->maps];
		return sizeof(request);
	}
	return -ENOENT;
}

static int serve(struct fake *f, struct message *m, int *fd)
{
	uint32_t word[4];

	switch (m->head.command) {
	case VFIO_USER_VERSION:
		memset(m->payload, 0, 4);
		if (!f->max_fds)
			return 4;
		return 5 + sprintf((char *)m->payload + 4,
				   "{\"capabilities\":{\"max_msg_fds\":%u}}", f->max_fds);
	case VFIO_USER_DEVICE_GET_INFO:
		memcpy(m->payload, (uint32_t[]){16, 3, 9, 5}, 16);
		return 16;
	case VFIO_USER_DEVICE_GET_REGION_INFO: return get_region(f, m, fd);
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		memcpy(word, m->payload, sizeof(word));
		word[1] = VFIO_IRQ_INFO_EVENTFD;
		word[3] = word[2] == VFIO_PCI_MSIX_IRQ_INDEX ? FAKE_VECTORS : word[2] < 2;
		memcpy(m->payload, word, sizeof(word));
		return 16;
	case VFIO_USER_DEVICE_SET_IRQS: return set_irqs(f, m);
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE: return access_region(f, m);
	case VFIO_USER_DMA_MAP: return map(f, m);
	case VFIO_USER_DMA_UNMAP: return unmap(f, m);
	case VFIO_USER_DEVICE_RESET:
		memset(f->config + 4, 0, 2); /* the command register, as a reset does */
		f->resets++;
		return 0;
	default: return -ENOTSUP;
	}
}

static void *run(void *argument)
{
	struct fake *f = argument;
	struct message *m = calloc(1, sizeof(*m));
	int socket = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);

	need(m != NULL, "memory");
	while (socket >= 0 && receive(socket, m)) {
		bool quiet = m->head.flags & VFIO_USER_NO_REPLY;
		int fd = -1;

		if (f->mischief.deed == FAKE_DEAF && f->mischief.command == m->head.command) {
			poll(&(struct pollfd){.fd = socket}, 1, -1); /* until it is closed */
			break;
		}
		int size = serve(f, m, &fd);
		bool go_on = true;

		f->last_id = m->head.id;
		if (size < 0) {
			m->head.flags = VFIO_USER_REPLY | VFIO_USER_ERROR;
			m->head.error = (uint32_t)-size;
			m->head.size = sizeof(m->head);
			if (!quiet)
				transmit(socket, m, sizeof(m->head), -1, 0);
		} else if (!quiet) {
			go_on = reply(f, socket, m, (size_t)size, fd);
		}
		for (unsigned i = 0; i < m->fds; i++) {
			if (m->fd[i] >= 0)
				close(m->fd[i]);
		}
		if (!go_on)
			break;
	}
	if (socket >= 0)
		close(socket);
	free(m);
	return NULL;
}

void fake_start(struct fake *f)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const uint32_t ids[] = {0x15288086, 0x00100000, 0x02000001};
	const uint32_t subsystem = 0x00028086;

	strcpy(f->dir, "/tmp/fake-XXXXXX");
	need(mkdtemp(f->dir) != NULL, "mkdtemp");
	snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	snprintf(f->address, sizeof(f->address), "vfio-user:%s", f->path);
	memcpy(name.sun_path, f->path, sizeof(f->path));
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(f->listener >= 0, "socket");
	need(bind(f->listener, (struct sockaddr *)&name, sizeof(name)) == 0, "bind");
	need(listen(f->listener, 4) == 0, "listen");

	f->bar_fd = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	need(f->bar_fd >= 0 && ftruncate(f->bar_fd, FAKE_BAR_SIZE) == 0, "memfd");
	if (!f->not_sealed)
		need(fcntl(f->bar_fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "seal");
	f->bar = mmap(NULL, FAKE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->bar_fd, 0);
	need(f->bar != MAP_FAILED, "mmap");

	memcpy(f->config, ids, sizeof(ids));
	memcpy(f->config + 0x2c, &subsystem, sizeof(subsystem));
	f->config[0x34] = 0x40;
	memcpy(f->config + 0x40, (uint8_t[]){0x01, 0x50}, 2);       /* power management */
	memcpy(f->config + 0x50, (uint8_t[]){0x10, 0x00, 0x02}, 3); /* PCI Express 2.0 */
	if (f->express == 0xff)
		f->config[0x41] = 0;
	else if (f->express)
		f->config[0x52] = (uint8_t)f->express;
	for (unsigned i = 0; i < 3 * FAKE_VECTORS; i++)
		f->irq[i / FAKE_VECTORS][i % FAKE_VECTORS] = -1;
	need(pthread_create(&f->thread, NULL, run, f) == 0, "thread");
}

void fake_stop(struct fake *f)
{
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	for (unsigned i = 0; i < f->maps; i++)
		close(f->map[i].fd);
	for (unsigned i = 0; i < 3 * FAKE_VECTORS; i++) {
		if (f->irq[i / FAKE_VECTORS][i % FAKE_VECTORS] >= 0)
			close(f->irq[i / FAKE_VECTORS][i % FAKE_VECTORS]);
	}
	munmap(f->bar, FAKE_BAR_SIZE);
	close(f->bar_fd);
	close(f->listener);
	unlink(f->path);
	rmdir(f->dir);
}
