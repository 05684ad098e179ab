/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: programs that do anything to a scheme: requests that are none, each path, frames and
 * values of any length, descriptors of any memory, rings with anything in them, connections that
 * end at any moment; and drivers that follow one another meanwhile, as pcid has them. A frame that
 * goes to the card has a length that it may have, who is refused is told, nothing leaks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "program.h"
#include "scheme/linux.h"
#include "scheme/ring_layout.h"
#include "scheme/rings.h"

#define CLIENTS 4u
#define QUEUES  2u
#define ORDER   6u /* of rings: 64 slots */
#define MTU     1500u
#define ROOM    2048u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct client {
	int fd; /* -1: none */
	bool answered;
	uint8_t *rings; /* its own mapping of what it brought, or NULL */
};

/* A connection as its owner keeps it for the next driver. */
struct kept {
	struct scheme_client client;
	bool held;
};

static struct bench {
	struct scheme *core;
	struct scheme_linux *transport;
	struct scheme_port port;
	struct client client[CLIENTS];
	struct kept kept[CLIENTS];
	unsigned kept_count;
	unsigned waiting; /* frames that came */
	uint16_t mtu;
	bool promiscuous, up, reserved;
	bool owned[QUEUES];
	int set_error;
} bench;

static struct scheme_registrar *registrar;
static char folder[] = "/tmp/fuzz_scheme.XXXXXX", path_of_socket[64];
static int odd; /* memory that is not sealed, and of another size */

/* --- the card --- */

static uint8_t received[ROOM], sent[SCHEME_BURST][ROOM];

static size_t rx_peek(void *ctx, struct scheme_buffer *frames, size_t n)
{
	struct bench *b = ctx;

	if (n > b->waiting)
		n = b->waiting;
	for (size_t i = 0; i < n; i++)
		frames[i] = (struct scheme_buffer){.data = received, .len = 60 + i};
	return n;
}

static void rx_pop(void *ctx, size_t n)
{
	struct bench *b = ctx;

	if (n > b->waiting)
		abort();
	b->waiting -= (unsigned)n;
}

static size_t tx_reserve(void *ctx, struct scheme_buffer *buffers, size_t n)
{
	(void)ctx;
	if (n > SCHEME_BURST)
		abort();
	for (size_t i = 0; i < n; i++)
		buffers[i] = (struct scheme_buffer){.data = sent[i], .len = ROOM};
	return n;
}

static void tx_push(void *ctx, size_t len)
{
	struct bench *b = ctx;

	if (len > b->mtu + 18u || (len > 0 && len < 14))
		abort();
}

static void get_mac(void *ctx, uint8_t mac[6])
{
	(void)ctx;
	memcpy(mac, "\x02\0\0\0\0\1", 6);
}

static void get_link(void *ctx, struct scheme_link *link)
{
	const struct bench *b = ctx;

	*link = (struct scheme_link){b->up, 10000, b->owned[0]};
}

static size_t get_text(void *ctx, char *text, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(text, size, "frames %u\n", 1u);
}

static uint16_t get_mtu(void *ctx)
{
	return ((struct bench *)ctx)->mtu;
}

/* Of one buffer. */
static int set_mtu(void *ctx, uint16_t mtu)
{
	struct bench *b = ctx;

	if (mtu > ROOM - 18)
		return -EINVAL;
	if (b->set_error == 0)
		b->mtu = mtu;
	return b->set_error;
}

static bool get_promiscuous(void *ctx)
{
	return ((struct bench *)ctx)->promiscuous;
}

static int set_promiscuous(void *ctx, bool on)
{
	struct bench *b = ctx;

	b->promiscuous = on;
	return b->set_error;
}

/* --- its queues --- */

static int own(void *ctx, unsigned index, struct scheme_rings *rings, bool resumed, uint32_t *lost)
{
	struct bench *b = ctx;

	if (index >= QUEUES)
		abort();
	*lost = 0;
	if (b->owned[index])
		return -EBUSY;
	if (resumed && scheme_rings_resume(rings, true, lost) != 0)
		return -EPROTO;
	b->owned[index] = true;
	return 0;
}

static ssize_t move(void *ctx, unsigned index, uint32_t access, struct scheme_moved *moved)
{
	const struct bench *b = ctx;

	(void)access;
	if (!b->owned[index])
		abort();
	*moved = (struct scheme_moved){.received = 1};
	return index == 1 && b->waiting > 100 ? -EPROTO : 0;
}

static unsigned room(void *ctx, unsigned index)
{
	return ((struct bench *)ctx)->owned[index] ? SCHEME_RING_RX | SCHEME_RING_TX : 0;
}

static void leave(void *ctx, unsigned index)
{
	((struct bench *)ctx)->owned[index] = false;
}

static size_t queue_text(void *ctx, unsigned index, char *text, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(text, size, "queue %u\n", index);
}

/* --- the server --- */

static void start(struct bench *b)
{
	if (scheme_create(&b->core, "card", &b->port) != 0 ||
		scheme_linux_create(&b->transport, b->core) != 0)
		abort();
}

static struct scheme_client copy_of(const struct scheme_client *c)
{
	struct scheme_client copy = *c;

	copy.fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	copy.status_fd = fcntl(c->status_fd, F_DUPFD_CLOEXEC, 0);
	copy.reader_fd = fcntl(c->reader_fd, F_DUPFD_CLOEXEC, 0);
	for (unsigned i = 0; i < SCHEME_REQUEST_FDS; i++)
		if (c->ring_fds[i] >= 0)
			copy.ring_fds[i] = fcntl(c->ring_fds[i], F_DUPFD_CLOEXEC, 0);
	return copy;
}

static void forget(const struct scheme_client *c)
{
	close(c->fd);
	close(c->status_fd);
	close(c->reader_fd);
	for (unsigned i = 0; i < SCHEME_REQUEST_FDS; i++)
		if (c->ring_fds[i] >= 0)
			close(c->ring_fds[i]);
}

static void serve(struct bench *b, uint32_t how)
{
	struct scheme_client client;

	while (scheme_registrar_next(registrar, &client) == 1) {
		bool keep = b->kept_count < CLIENTS;
		struct scheme_client copy;

		if (keep)
			copy = copy_of(&client);
		client.held = how & 1;
		if (scheme_linux_adopt(b->transport, &client) == 0 && keep)
			b->kept[b->kept_count++] = (struct kept){copy, client.held};
		else if (keep)
			forget(&copy);
	}
	scheme_tick(b->core);
	(void)scheme_linux_round(b->transport);
	if (how & 2)
		scheme_linux_arm(b->transport, b->waiting > 0, true);
}

/* Those that are held are answered by their owner; or it is gone, and whom it kept with it. */
static void release(struct bench *b, uint32_t how)
{
	bool gone = !(how & 1);

	if (gone)
		scheme_linux_drop_held(b->transport);
	for (unsigned i = 0; i < b->kept_count;) {
		struct kept *k = &b->kept[i];
		bool held = k->held;

		if (held && !gone)
			(void)scheme_answer(k->client.fd, 0, k->client.reader_fd);
		if (held)
			scheme_linux_release(b->transport, k->client.id);
		k->held = false;
		if (held && gone) {
			forget(&k->client);
			*k = b->kept[--b->kept_count];
		} else {
			i++;
		}
	}
}

/* Another driver, of one that handed over or died. */
static void follow(struct bench *b)
{
	scheme_linux_leave(b->transport);
	scheme_destroy(b->core);
	memset(b->owned, 0, sizeof(b->owned));
	start(b);
	for (unsigned i = 0; i < b->kept_count; i++) {
		struct scheme_client copy = copy_of(&b->kept[i].client);

		copy.resumed = true;
		copy.held = b->kept[i].held;
		(void)scheme_linux_adopt(b->transport, &copy);
	}
}

/* --- the clients --- */

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->rings)
		munmap(c->rings, ring_bytes(1u << ORDER, 1u << ORDER));
	*c = (struct client){.fd = -1};
}

static void dial(struct client *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	hang_up(c);
	memcpy(address.sun_path, path_of_socket, sizeof(path_of_socket));
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		abort();
	if (connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		hang_up(c);
}

static int new_memory(size_t size, uint32_t how)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		abort();
	if (!(how & 1))
		(void)fcntl(fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (how & 2 ? F_SEAL_WRITE : 0));
	return fd;
}

static void put(struct client *c, const void *data, size_t size, const int *fd, unsigned fds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fds) {
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), fd, fds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
	}
	if (c->fd >= 0)
		(void)sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A request as it should be, but for what the program says. */
static void ask(struct client *c, struct program *p)
{
	static const char *const paths[] = {"", "/mac", "/link", "/stats", "/mtu", "/promisc",
		"/cage", "/tap", "/queue/0", "/queue/1", "/queue/9", "/queue", "/queue/00",
		"/nothing"};
	const size_t bytes = (ring_bytes(1u << ORDER, 1u << ORDER) + 4095) & ~(size_t)4095;
	uint32_t how = word(p, 1), which = word(p, 1) % (sizeof(paths) / sizeof(*paths));
	uint32_t access = how & 3;
	union {
		struct scheme_request request;
		uint8_t bytes[256];
	} out = {.bytes = {0}};
	int fd[4] = {odd, odd, odd, odd};
	unsigned fds = 0;

	if (how & 4) {
		uint32_t memory = word(p, 1);

		(void)scheme_request_make_rings(
			&out.request, paths[which], access, 1u << ORDER, 1u << ORDER);
		fd[0] = new_memory(65536, memory & 3);
		fd[1] = new_memory(memory & 0x40 ? 4096 : bytes, memory >> 2 & 3);
		fds = memory >> 4 & 3 ? 2 + (memory & 1) : 2;
		if (!(memory & 0x4c) && !c->rings) {
			c->rings = mmap(NULL, ring_bytes(1u << ORDER, 1u << ORDER),
				PROT_READ | PROT_WRITE, MAP_SHARED, fd[1], 0);
			if (c->rings == MAP_FAILED)
				c->rings = NULL;
		}
	} else {
		(void)scheme_request_make(&out.request, paths[which], access);
		fds = how >> 3 & 3;
	}
	if (how & 0x20) /* bytes of it */
		out.bytes[word(p, 1) % sizeof(out.request)] = (uint8_t)word(p, 1);
	put(c, &out, how & 0x40 ? word(p, 1) : sizeof(out.request), fd, fds);
	for (unsigned i = 0; i < 2; i++)
		if (fd[i] != odd)
			close(fd[i]);
}

/* Frames and values. */
static void speak(struct client *c, struct program *p)
{
	static uint8_t frame[SCHEME_FRAME_MAX + 100];
	uint32_t how = word(p, 2);

	if (how & 0x8000) { /* a number, mostly */
		size_t n = take_bytes(p, frame, how % 12);

		put(c, frame, n, NULL, 0);
		return;
	}
	memcpy(frame, "\x02\2\2\2\2\2\3\3\3\3\3\3\x81", 12 + (how >> 14));
	put(c, frame, how & 0x2000 ? how % sizeof(frame) : how % 1600, NULL, 0);
}

static void listen_to(struct client *c)
{
	uint8_t bytes[ROOM];
	ssize_t n = c->fd < 0 ? -1 : recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct scheme_reply reply;

	if (n == 0)
		hang_up(c);
	if (n <= 0 || c->answered)
		return;
	c->answered = true; /* the first is the answer */
	if (n != sizeof(reply))
		abort();
	memcpy(&reply, bytes, sizeof(reply));
	if (reply.magic != SCHEME_MAGIC || reply.error > 0 || reply.error < -4095)
		abort();
}

/* Anything into its ring memory. */
static void write_rings(struct client *c, struct program *p)
{
	struct ring_client *indices = (struct ring_client *)(void *)c->rings;
	const size_t words = ring_bytes(1u << ORDER, 1u << ORDER) / 4;
	uint32_t what = word(p, 1), where = word(p, 2), value;

	if (!c->rings)
		return;
	switch (what % 4) {
	case 0: indices->rx_provided += where & 0x7f; break;
	case 1: indices->tx_provided += where & 0x7f; break;
	case 2: { /* a slot that may be in order */
		struct scheme_frame slot = {.offset = where % 60000, .len = (uint16_t)word(p, 2)};

		slot.flags = slot.len >> 14 & 1;
		slot.len = (uint16_t)(slot.len % 1600);
		memcpy(c->rings + RING_SLOTS + (what >> 2) % 128 * sizeof(slot), &slot,
			sizeof(slot));
		break;
	}
	default: value = word(p, 4); memcpy(c->rings + where % words * 4, &value, 4);
	}
}

static void step(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 1);
	struct client *c = &b->client[what >> 4 & 3];

	switch (what & 15) {
	case 0: dial(c); break;
	case 1:
		dial(c);
		ask(c, p);
		serve(b, 0);
		break;
	case 2: ask(c, p); break;
	case 3:
	case 4: speak(c, p); break;
	case 5: listen_to(c); break;
	case 6: write_rings(c, p); break;
	case 7: put(c, "", 1, NULL, 0); break;
	case 8:
	case 9: serve(b, 0); break;
	case 10: serve(b, what >> 4); break;
	case 11: b->waiting += word(p, 1) % 64; break;
	case 12: hang_up(c); break;
	case 13: release(b, what >> 4); break;
	case 14: follow(b); break;
	default:
		b->up ^= what >> 4 & 1;
		b->set_error = what & 0x20 ? -EIO : 0;
		if (what & 0x40 && c->fd >= 0)
			shutdown(c->fd, what & 0x80 ? SHUT_RD : SHUT_WR);
	}
}

/* --- before and after --- */

static void clean(void)
{
	char path[64];

	scheme_registrar_destroy(registrar);
	snprintf(path, sizeof(path), "%s/network", folder);
	rmdir(path);
	rmdir(folder);
}

static void prepare(void)
{
	const struct scheme_access access = {.anyone = true, .group = (gid_t)-1};

	odd = memfd_create("odd", MFD_CLOEXEC);
	if (odd < 0 || !mkdtemp(folder) || setenv("SCHEME_ROOT", folder, 1) ||
		scheme_registrar_create(&registrar, "card", &access) != 0)
		abort();
	snprintf(path_of_socket, sizeof(path_of_socket), "%s/network/card", folder);
	atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {data, data + size};
	struct bench *b = &bench;
	int before;

	if (!registrar)
		prepare();
	before = lowest_free();
	*b = (struct bench){.mtu = MTU, .up = true};
	for (unsigned i = 0; i < CLIENTS; i++)
		b->client[i].fd = -1;
	b->port = (struct scheme_port){.ctx = b,
		.rx_peek = rx_peek,
		.rx_pop = rx_pop,
		.tx_reserve = tx_reserve,
		.tx_push = tx_push,
		.mac = get_mac,
		.link = get_link,
		.stats = get_text,
		.cage = get_text,
		.mtu = get_mtu,
		.set_mtu = set_mtu,
		.promiscuous = get_promiscuous,
		.set_promiscuous = set_promiscuous,
		.queues = {.ctx = b,
			.count = QUEUES,
			.own = own,
			.move = move,
			.room = room,
			.leave = leave,
			.text = queue_text}};
	start(b);
	while (program.at < program.end)
		step(b, &program);
	for (unsigned i = 0; i < CLIENTS; i++)
		hang_up(&b->client[i]);
	for (unsigned i = 0; i < 3; i++) /* who waited is let in, and found to have left */
		serve(b, 0);
	scheme_linux_destroy(b->transport);
	if (scheme_open_handles(b->core) != 0)
		abort();
	scheme_destroy(b->core);
	for (unsigned i = 0; i < b->kept_count; i++)
		forget(&b->kept[i].client);
	if (lowest_free() != before)
		abort();
	return 0;
}
