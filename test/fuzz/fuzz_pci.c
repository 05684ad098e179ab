/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a vfio-user server that answers anything to pci/: its config space's capabilities, its
 * regions, lengths, errors, descriptors, what nobody asked for, silence. Nothing leaks, each call
 * ends, what fails says why, and what the client itself sends is in order.
 *
 * There is no server and no time: the calls by which the client reaches either (sendmsg, recvmsg,
 * recv, poll, the clock) end here. The input's first bytes are what the client does, four each; the
 * rest is how it is answered, and where that has ended answers are good ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "pci/pci.h"
#include "pci/vfio_user.h"
#include "program.h"

#define BAR_SIZE  0x8000u
#define MESSAGE   8192u
#define CALLS_MAX 100000u /* of poll, in one input: a wait that does not end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server {
	struct program program;
	uint64_t ns;
	unsigned waits;
	/* The client's message as far as it came. */
	uint8_t in[MESSAGE];
	size_t in_len;
	/* What it has not read yet, the descriptors that come with its first byte, and whether
	 * anything follows. */
	uint8_t out[4 * MESSAGE];
	size_t out_at, out_len;
	int fd[4];
	unsigned fds;
	bool closed;
	uint8_t config[256];
} server;

static int sealed, unsealed; /* memory that a BAR may lie in */

/* --- the server --- */

static void say(struct server *s, const void *data, size_t size)
{
	if (size > sizeof(s->out) - s->out_len)
		size = sizeof(s->out) - s->out_len;
	memcpy(s->out + s->out_len, data, size);
	s->out_len += size;
}

static void pass(struct server *s, int fd)
{
	if (s->fds < sizeof(s->fd) / sizeof(*s->fd))
		s->fd[s->fds++] = fd;
}

static size_t describe_region(struct server *s, const uint8_t *request, uint8_t *reply)
{
	const struct {
		struct vfio_info_cap_header head;
		uint32_t areas, reserved;
		struct vfio_region_sparse_mmap_area area[2];
	} sparse = {{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0}, 2, 0,
		{{0x1000, 0x1000}, {0x6000, 0x2000}}};
	struct vfio_region_info info;
	size_t size = sizeof(info);
	uint32_t how = word(&s->program, 1);

	memcpy(&info, request, sizeof(info));
	info.argsz = sizeof(info);
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info.cap_offset = 0;
	info.offset = 0;
	info.size = info.index == VFIO_PCI_CONFIG_REGION_INDEX ? 4096 : BAR_SIZE;
	if (how & 1) {
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
		pass(s, how & 2 ? unsealed : sealed);
	}
	if (how & 4) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = sizeof(info);
		size += sizeof(sparse);
		info.argsz = (uint32_t)size;
		memcpy(reply + sizeof(info), &sparse, sizeof(sparse));
	}
	memcpy(reply, &info, sizeof(info));
	return size;
}

static size_t answer_access(struct server *s, bool write, const uint8_t *request, uint8_t *reply)
{
	struct vfio_user_region_access access;
	uint32_t value;

	memcpy(&access, request, sizeof(access));
	if (access.count > 4)
		abort(); /* we have no wider accesses */
	memcpy(reply, &access, sizeof(access));
	if (write)
		return sizeof(access);
	value = word(&s->program, 4);
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX &&
		access.offset <= sizeof(s->config) - access.count)
		memcpy(&value, s->config + access.offset, access.count);
	memcpy(reply + sizeof(access), &value, access.count);
	return sizeof(access) + access.count;
}

/* A good reply's payload. */
static size_t answer(struct server *s, const struct vfio_user_header *head, const uint8_t *payload,
	uint8_t *reply)
{
	static const uint8_t version[] =
		"\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096}}";
	static const uint32_t info[4] = {16, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET, 9, 5};
	struct vfio_irq_info irq;

	switch (head->command) {
	case VFIO_USER_VERSION: memcpy(reply, version, sizeof(version)); return sizeof(version);
	case VFIO_USER_DEVICE_GET_INFO: memcpy(reply, info, sizeof(info)); return sizeof(info);
	case VFIO_USER_DEVICE_GET_REGION_INFO: return describe_region(s, payload, reply);
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		memcpy(&irq, payload, sizeof(irq));
		irq.argsz = sizeof(irq);
		irq.flags = VFIO_IRQ_INFO_EVENTFD;
		irq.count = 5;
		memcpy(reply, &irq, sizeof(irq));
		return sizeof(irq);
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE:
		return answer_access(s, head->command == VFIO_USER_REGION_WRITE, payload, reply);
	default: return 0;
	}
}

/* Something that nobody asked for. */
static void ask(struct server *s)
{
	struct {
		struct vfio_user_header head;
		struct vfio_user_dma_access access;
	} message = {{0x7777, VFIO_USER_DMA_READ, sizeof(message), 0, 0}, {0x1000, 64}};
	uint32_t how = word(&s->program, 1);

	if (how & 1)
		message.head.size = word(&s->program, 4);
	if (how & 2)
		message.head.flags = word(&s->program, 1);
	if (how & 4)
		pass(s, sealed);
	for (uint32_t n = 1 + (how >> 3); n; n--)
		say(s, &message, sizeof(message));
}

static void spoil(struct server *s, struct vfio_user_header *head, uint8_t *payload, size_t *size)
{
	switch (word(&s->program, 1) % 12) {
	case 0: head->id ^= 1; break;
	case 1: head->command ^= (uint16_t)(1 + word(&s->program, 1)); break;
	case 2: head->flags ^= word(&s->program, 1); break;
	case 3: head->size = word(&s->program, 4); break;
	case 4:
		head->flags |= VFIO_USER_ERROR;
		head->error = word(&s->program, 2);
		head->size = sizeof(*head);
		*size = 0;
		break;
	case 5: *size = word(&s->program, 2) % (MESSAGE - sizeof(*head)); break;
	case 6: head->size += word(&s->program, 1); break;
	case 7: pass(s, word(&s->program, 1) & 1 ? sealed : unsealed); break;
	case 8: s->closed = true; break;
	case 9: /* a text */
		*size = 4 + take_bytes(&s->program, payload + 4, word(&s->program, 1));
		head->size = (uint32_t)(sizeof(*head) + *size);
		break;
	case 10: /* all of it */
		*size = take_bytes(&s->program, payload, word(&s->program, 1) * 8);
		head->size = (uint32_t)(sizeof(*head) + *size);
		break;
	default: { /* a word of it */
		size_t at = word(&s->program, 1) % 128u * 4;
		uint32_t value = word(&s->program, 4);

		memcpy(payload + at, &value, sizeof(value));
		if (at + 4 > *size) {
			*size = at + 4;
			head->size = (uint32_t)(sizeof(*head) + *size);
		}
	}
	}
}

/* A whole message of the client's. */
static void reply(struct server *s, const struct vfio_user_header *request, const uint8_t *payload)
{
	static uint8_t out[MESSAGE];
	struct vfio_user_header head = {
		.id = request->id, .command = request->command, .flags = VFIO_USER_REPLY};
	uint32_t how = word(&s->program, 1);
	size_t size;

	if (request->flags & VFIO_USER_TYPE_MASK || request->flags & VFIO_USER_NO_REPLY)
		return; /* a refusal, or posted */
	memset(out, 0, sizeof(out));
	if (how & 0x80)
		ask(s);
	if ((how & 0x7f) == 0x7f)
		return; /* silence */
	size = answer(s, request, payload, out);
	head.size = (uint32_t)(sizeof(head) + size);
	for (uint32_t n = how & 0x10 ? 1 + (how & 3) : 0; n; n--)
		spoil(s, &head, out, &size);
	say(s, &head, sizeof(head));
	say(s, out, size);
}

static void hear(struct server *s)
{
	struct vfio_user_header head;

	while (s->in_len >= sizeof(head)) {
		memcpy(&head, s->in, sizeof(head));
		if (head.size < sizeof(head) || head.size > MESSAGE)
			abort();
		if (head.size > s->in_len)
			return;
		reply(s, &head, s->in + sizeof(head));
		s->in_len -= head.size;
		memmove(s->in, s->in + head.size, s->in_len);
	}
}

/* --- the calls of the client --- */

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_nanosleep(
	clockid_t clock, int flags, const struct timespec *ask, struct timespec *left);

/* Of a long message the first part alone is taken at first. */
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct server *s = &server;
	ssize_t sum = 0;

	(void)fd, (void)flags;
	if (s->closed) {
		errno = EPIPE;
		return -1;
	}
	for (size_t i = 0; i < (size_t)message->msg_iovlen && i < 2; i++) {
		const struct iovec *part = &message->msg_iov[i];

		if (part->iov_len > sizeof(s->in) - s->in_len)
			abort();
		memcpy(s->in + s->in_len, part->iov_base, part->iov_len);
		s->in_len += part->iov_len;
		sum += (ssize_t)part->iov_len;
	}
	hear(s);
	return sum;
}

static ssize_t give(struct server *s, void *to, size_t size, bool peek)
{
	size_t left = s->out_len - s->out_at;

	if (!left && !s->closed) {
		errno = EAGAIN;
		return -1;
	}
	if (size > left)
		size = left;
	memcpy(to, s->out + s->out_at, size);
	if (!peek)
		s->out_at += size;
	if (s->out_at == s->out_len)
		s->out_at = s->out_len = 0;
	return (ssize_t)size;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	struct server *s = &server;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	size_t room = message->msg_controllen;
	ssize_t n;

	(void)fd, (void)flags;
	message->msg_controllen = 0;
	n = give(s, message->msg_iov->iov_base, message->msg_iov->iov_len, false);
	if (n <= 0 || !s->fds || room < CMSG_SPACE(sizeof(s->fd)))
		return n;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(s->fds * sizeof(int));
	for (unsigned i = 0; i < s->fds; i++) {
		int copy = fcntl(s->fd[i], F_DUPFD_CLOEXEC, 0);

		memcpy(CMSG_DATA(c) + i * sizeof(int), &copy, sizeof(int));
	}
	message->msg_controllen = CMSG_SPACE(s->fds * sizeof(int));
	s->fds = 0;
	return n;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	(void)fd;
	return give(&server, to, size, flags & MSG_PEEK);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct server *s = &server;

	(void)n;
	if (ms < 0 || ++s->waits > CALLS_MAX)
		abort();
	fds->revents = fds->events & POLLIN && (s->closed || s->out_at < s->out_len) ? POLLIN : 0;
	if (fds->revents)
		return 1;
	s->ns += (uint64_t)ms * 1000000;
	return 0;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd, (void)address, (void)size;
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	server.ns += 1000;
	*now = (struct timespec){(time_t)(server.ns / 1000000000), (long)(server.ns % 1000000000)};
	return 0;
}

int __wrap_clock_nanosleep(
	clockid_t clock, int flags, const struct timespec *ask, struct timespec *left)
{
	(void)clock, (void)flags, (void)left;
	server.ns += (uint64_t)ask->tv_sec * 1000000000 + (uint64_t)ask->tv_nsec;
	return 0;
}

/* --- the client --- */

struct client {
	struct pci_function *fn;
	struct pci_bar bar;
	bool mapped;
	struct dma_region *region[4];
};

static void check(int result, const struct pci_error *why)
{
	if (result > 0 || result < -4095 ||
		(result < 0 && (!memchr(why->text, '\0', sizeof(why->text)) || !why->text[0])))
		abort();
}

static void map_bar(struct client *c, uint32_t index, uint32_t alive)
{
	struct pci_error why = {""};
	int result;

	if (c->mapped)
		pci_bar_unmap(&c->bar);
	c->mapped = false;
	result = pci_bar_map(c->fn, index % 6, alive * 4, &c->bar, &why);
	check(result, &why);
	c->mapped = result == 0;
}

static void interrupts(struct client *c, uint32_t kind, uint32_t vectors)
{
	int fd[32];

	if (pci_irq_enable(c->fn, (enum pci_irq)(kind % PCI_IRQ_KINDS), vectors % 33, fd) != 0)
		return;
	for (uint32_t i = 0; i < vectors % 33; i++)
		if (fcntl(fd[i], F_GETFL) < 0)
			abort();
	(void)pci_irq_unmask(c->fn);
}

static void memory(struct client *c, uint32_t which, uint32_t pages)
{
	struct dma_region **region = &c->region[which % 4];
	struct pci_error why = {""};
	int result;

	if (*region) {
		pci_dma_destroy(c->fn, *region);
		*region = NULL;
		return;
	}
	result = which & 4 ? pci_dma_attach(c->fn, which & 8 ? sealed : unsealed, region, &why)
			   : pci_dma_create(c->fn, (1 + pages % 4) * 4096, region, &why);
	check(result, &why);
	if (result == 0)
		(*region)->base[0] = 1;
}

/* Another process goes on. */
static void hand_over(struct client *c)
{
	struct pci_handover handover;
	struct pci_error why = {""};
	int fd[PCI_HANDOVER_FDS];
	int result = pci_export(c->fn, &handover, fd);

	if (result)
		return;
	if (c->mapped)
		pci_bar_unmap(&c->bar);
	c->mapped = false;
	memset(c->region, 0, sizeof(c->region));
	for (uint32_t i = 0; i < handover.fds; i++)
		fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 0);
	pci_close(c->fn);
	c->fn = NULL;
	result = pci_import(&c->fn, &handover, fd, &why);
	check(result, &why);
	if (result)
		c->fn = NULL;
}

static void registers(struct client *c, uint32_t what, uint32_t offset)
{
	if (!c->mapped)
		return;
	offset = offset % (c->bar.size + 4) & ~3u;
	switch (what % 4) {
	case 0: (void)reg_read(&c->bar, offset); break;
	case 1: reg_write(&c->bar, offset, what); break;
	case 2: (void)reg_poll(&c->bar, offset, what, what & 0x10, 5000); break;
	default:
		if (reg_direct(&c->bar, offset))
			mmio_write32(reg_direct(&c->bar, offset), what);
	}
}

static void act(struct client *c, const uint8_t what[4])
{
	const uint32_t number = what[2] | (uint32_t)what[3] << 8;
	uint32_t value;
	int at;

	switch (what[0] % 10) {
	case 0:
		at = pci_find_capability(c->fn, what[1]);
		if (at > 0xff || (at > 0 && at < 0x40))
			abort();
		break;
	case 1: map_bar(c, what[1], number); break;
	case 2:
	case 3: registers(c, what[1], number); break;
	case 4: interrupts(c, what[1], number); break;
	case 5: memory(c, what[1], number); break;
	case 6: (void)pci_quiesce(c->fn); break;
	case 7: (void)pci_check_gone(c->fn); break;
	case 8: hand_over(c); break;
	default:
		if (what[1] & 1)
			(void)pci_config_read(c->fn, number, 1u << (what[1] >> 1 & 3), &value);
		else
			(void)pci_config_write(c->fn, number, 1u << (what[1] >> 1 & 3), number);
	}
}

static void prepare(void)
{
	sealed = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsealed = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (sealed < 0 || unsealed < 0 || ftruncate(sealed, BAR_SIZE) ||
		ftruncate(unsealed, 4096) ||
		fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client client = {0};
	struct pci_error why = {""};
	unsigned acts;
	int before, result;

	if (!sealed)
		prepare();
	if (size < 1)
		return 0;
	acts = data[0] % 32u;
	if (size < 1 + 4 * acts)
		return 0;
	memset(&server, 0, sizeof(server));
	server.program = (struct program){data + 1 + 4 * (size_t)acts, data + size};
	before = lowest_free();
	memcpy(server.config, "\x86\x80\xfb\x10\0\0\x10\0\1\0\0\2", 12);
	server.config[0x34] = 0x40;
	if (data[0] & 0x80)
		take_bytes(&server.program, server.config + 0x40, 64);
	result = pci_open(&client.fn, "vfio-user:/nowhere", &why);
	check(result, &why);
	if (result)
		client.fn = NULL;
	for (unsigned i = 0; i < acts && client.fn; i++)
		act(&client, data + 1 + 4 * i);
	if (client.mapped)
		pci_bar_unmap(&client.bar);
	pci_close(client.fn);
	if (lowest_free() != before)
		abort();
	return 0;
}
