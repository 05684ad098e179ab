/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared rings from end to end: registrar, transport and the client's library, on a card in memory.
 * The test's own thread is the server, which moves only when it is told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheme/linux.h"
#include "scheme/ring.h"
#include "scheme/ring_layout.h"
#include "test/unit/memory_port.h"

#define NAME    "card"
#define LIMIT_S 20
#define RW      (SCHEME_READ | SCHEME_WRITE)

/* --- the server --- */

struct bench {
	char root[256];
	struct memory_port port;
	struct scheme *core;
	struct scheme_registrar *registrar;
	struct scheme_linux *transport;
	bool keeps; /* duplicates of what comes, as pcid does */
	struct scheme_client kept;
};

static void keep(struct bench *b, const struct scheme_client *client)
{
	b->kept = *client;
	b->kept.fd = dup(client->fd);
	b->kept.status_fd = dup(client->status_fd);
	b->kept.reader_fd = dup(client->reader_fd);
	for (unsigned i = 0; i < SCHEME_REQUEST_FDS; i++) {
		b->kept.ring_fds[i] = dup(client->ring_fds[i]);
	}
	b->kept.resumed = true;
	b->keeps = false;
}

static void serve(struct bench *b)
{
	struct scheme_client client;

	while (scheme_registrar_next(b->registrar, &client) == 1) {
		if (b->keeps) {
			keep(b, &client);
		}
		(void)scheme_linux_adopt(b->transport, &client);
	}
	scheme_tick(b->core);
	(void)scheme_linux_round(b->transport);
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Serves until the condition holds. */
#define SERVE_UNTIL(b, condition)                     \
	do {                                          \
		time_t end_ = now_s() + LIMIT_S;      \
		while (!(condition)) {                \
			assert_true(now_s() <= end_); \
			serve(b);                     \
		}                                     \
	} while (0)

static void start(struct bench *b)
{
	struct scheme_port port = memory_port_init(&b->port);

	assert_int_equal(scheme_create(&b->core, NAME, &port), 0);
	assert_int_equal(scheme_linux_create(&b->transport, b->core), 0);
}

static int set_up(void **state)
{
	const struct scheme_access only_us = {.group = (gid_t)-1};
	const char *tmp = getenv("TMPDIR");
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->root, sizeof(b->root), "%s/rings-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->root));
	setenv("SCHEME_ROOT", b->root, 1);
	start(b);
	assert_int_equal(scheme_registrar_create(&b->registrar, NAME, &only_us), 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	char path[400];

	scheme_linux_destroy(b->transport);
	scheme_registrar_destroy(b->registrar);
	scheme_destroy(b->core);
	snprintf(path, sizeof(path), "%s/network", b->root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(b->root), 0);
	free(b);
	return 0;
}

/* --- clients --- */

struct opening {
	const char *url;
	int flags;
	const struct scheme_ring_options *options;
	struct scheme_ring *ring;
	int result;
	atomic_bool done;
};

static void *open_thread(void *arg)
{
	struct opening *o = arg;

	o->result = scheme_open_ring(o->url, o->flags, o->options, &o->ring);
	atomic_store(&o->done, true);
	return NULL;
}

static int try_open(struct bench *b, const char *url, int flags,
	const struct scheme_ring_options *options, struct scheme_ring **ring)
{
	struct opening o = {.url = url, .flags = flags, .options = options};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, open_thread, &o), 0);
	SERVE_UNTIL(b, atomic_load(&o.done));
	pthread_join(thread, NULL);
	*ring = o.ring;
	return o.result;
}

static struct scheme_ring *open_ring(struct bench *b, int flags)
{
	const struct scheme_ring_options small = {.rx_size = 64, .tx_size = 64, .memory = -1};
	struct scheme_ring *ring;

	assert_int_equal(try_open(b, "network:", flags | O_CLOEXEC, &small, &ring), 0);
	return ring;
}

static void send_one(struct scheme_ring *ring, uint32_t buffer, size_t len, uint8_t mark)
{
	struct scheme_frame frame = {.offset = scheme_ring_buffer(buffer), .len = (uint16_t)len};

	memory_port_frame(scheme_ring_frames(ring, NULL) + frame.offset, len, mark);
	assert_int_equal(scheme_ring_tx_provide(ring, &frame, 1), 1);
}

static void provide_one(struct scheme_ring *ring, uint32_t buffer)
{
	uint32_t offset = scheme_ring_buffer(buffer);

	assert_int_equal(scheme_ring_rx_provide(ring, &offset, 1), 1);
}

static void assert_received(struct scheme_ring *ring, uint32_t buffer, size_t len, uint8_t mark)
{
	uint8_t expected[PORT_ROOM];
	struct scheme_frame frame;

	assert_int_equal(scheme_ring_rx_return(ring, &frame, 1), 1);
	assert_int_equal(frame.offset, scheme_ring_buffer(buffer));
	assert_int_equal(frame.len, len);
	memory_port_frame(expected, len, mark);
	assert_memory_equal(scheme_ring_frames(ring, NULL) + frame.offset, expected, len);
}

static bool can_read(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static bool would_sleep(struct bench *b, bool frames_wait, bool can_send)
{
	scheme_linux_arm(b->transport, frames_wait, can_send);
	return !can_read(scheme_linux_fd(b->transport));
}

/* --- in order --- */

static void frames_go_there_and_back(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	const struct scheme_status *status = scheme_ring_status(ring);
	uint32_t offset;
	size_t size;

	assert_int_equal(status->mtu, 1500);
	assert_true(scheme_ring_frames(ring, &size) != NULL && size >= 256 * SCHEME_RING_STRIDE);
	b->port.echo = true;
	for (unsigned i = 0; i < 500; i++) {
		provide_one(ring, i % 100);
		send_one(ring, 100 + i % 100, 60 + i, (uint8_t)i);
		SERVE_UNTIL(b, scheme_ring_wait(ring, SCHEME_RING_RX, 0) == 1);
		assert_received(ring, i % 100, 60 + i, (uint8_t)i);
		assert_int_equal(scheme_ring_tx_return(ring, &offset, 1), 1);
		assert_int_equal(offset, scheme_ring_buffer(100 + i % 100));
		assert_int_equal(scheme_ring_rx_held(ring) + scheme_ring_tx_held(ring), 0);
	}
	assert_int_equal(status->sent, 500);
	assert_int_equal(status->received, 500);
	scheme_ring_close(ring);
	SERVE_UNTIL(b, scheme_open_handles(b->core) == 0);
}

static void a_ring_is_filled_and_no_more(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	struct scheme_frame frames[100];
	uint32_t offsets[100];

	for (uint32_t i = 0; i < 100; i++) {
		offsets[i] = scheme_ring_buffer(i);
		frames[i] = (struct scheme_frame){.offset = scheme_ring_buffer(100 + i), .len = 60};
	}
	assert_int_equal(scheme_ring_rx_provide(ring, offsets, 100), 64);
	assert_int_equal(scheme_ring_rx_provide(ring, offsets, 1), 0);
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 100), 64);
	SERVE_UNTIL(b, b->port.sent == 64);
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 100), 0); /* not fetched yet */
	assert_int_equal(scheme_ring_tx_return(ring, offsets, 100), 64);
	assert_int_equal(offsets[63], scheme_ring_buffer(163));
	assert_int_equal(scheme_ring_tx_return(ring, offsets, 100), 0);
	assert_int_equal(scheme_ring_rx_held(ring), 64);
	scheme_ring_close(ring);
	ring = open_ring(b, O_RDONLY);
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 1), 0);
	scheme_ring_close(ring);
	ring = open_ring(b, O_WRONLY);
	assert_int_equal(scheme_ring_rx_provide(ring, offsets, 1), 0);
	scheme_ring_close(ring);
}

/* A frame of several buffers goes whole, both ways: what does not fit waits for the next call. */
static void large_frames_move_whole(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	struct scheme_frame frames[64];
	uint8_t *memory = scheme_ring_frames(ring, NULL), expected[SCHEME_FRAME_MAX];
	uint32_t offsets[64];

	b->port.echo = true;
	b->port.mtu = 9710;
	SERVE_UNTIL(b, scheme_ring_status(ring)->mtu == 9710);
	for (uint32_t i = 0; i < 64; i++) {
		offsets[i] = scheme_ring_buffer(i);
		frames[i] = (struct scheme_frame){.offset = scheme_ring_buffer(64 + i),
			.len = 1000,
			.flags = i % 5 < 4 ? SCHEME_FRAME_MORE : 0};
		memset(memory + frames[i].offset, (int)i + 1, 1000);
	}
	assert_int_equal(scheme_ring_rx_provide(ring, offsets, 64), 64);
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 4), 0);
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 64), 60); /* the last has no end */
	assert_int_equal(scheme_ring_tx_provide(ring, frames, 5), 0);   /* four are free */
	SERVE_UNTIL(b, scheme_ring_status(ring)->received == 12);
	assert_int_equal(scheme_ring_tx_return(ring, offsets, 64), 60);
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned k = 0; k < 5; k++) {
			memset(expected + 1000ul * k, (int)(5 * i + k) + 1, 1000);
		}
		/* As many entries as there is room for, of whole frames; of a large one the rest.
		 */
		size_t n = scheme_ring_rx_return(ring, frames, i == 0 ? 5 : i == 1 ? 2 : 3);
		assert_int_equal(n, i == 1 ? 2 : 3);
		if (i == 1) {
			n += scheme_ring_rx_return(ring, frames + 2, 1);
		}
		assert_int_equal(n, 3);
		for (unsigned k = 0; k < 3; k++) {
			assert_int_equal(frames[k].flags, k < 2 ? SCHEME_FRAME_MORE : 0);
			assert_int_equal(frames[k].len, k < 2 ? 2048 : 904);
			assert_memory_equal(
				memory + frames[k].offset, expected + 2048ul * k, frames[k].len);
		}
	}
	assert_int_equal(scheme_ring_rx_held(ring), 64 - 36);
	scheme_ring_close(ring);
}

/* Its own memory, for two handles. */
static void memory_is_shared_by_rings(void **state)
{
	struct bench *b = *state;
	const struct scheme_ring_options own = {.memory = scheme_ring_memory(1 << 20)};
	struct scheme_ring *one, *two;

	assert_true(own.memory >= 0);
	assert_int_equal(try_open(b, "network:" NAME, O_RDONLY, &own, &one), 0);
	assert_int_equal(try_open(b, "network:" NAME, O_WRONLY, &own, &two), 0);
	close(own.memory);
	provide_one(one, 5);
	memory_port_receive(&b->port, 100, 9);
	SERVE_UNTIL(b, scheme_ring_wait(one, SCHEME_RING_RX, 0) == 1);
	assert_received(one, 5, 100, 9);
	/* On by the other, without a copy. */
	const struct scheme_frame frame = {.offset = scheme_ring_buffer(5), .len = 100};
	assert_int_equal(scheme_ring_tx_provide(two, &frame, 1), 1);
	SERVE_UNTIL(b, b->port.sent == 1);
	assert_int_equal(b->port.tx[0].data[50], 9);
	scheme_ring_close(one);
	scheme_ring_close(two);
}

static void frames_are_shared_with_plain_handles(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDONLY);
	unsigned mine = 0;

	for (uint32_t i = 0; i < 64; i++) {
		provide_one(ring, i);
	}
	int64_t plain = scheme_handle_open(b->core, "", SCHEME_READ, NULL);
	for (unsigned i = 0; i < 200; i++) {
		struct scheme_frame frame;
		uint8_t data[PORT_ROOM];
		memory_port_receive(&b->port, 60, (uint8_t)i);
		if (i % 2 == 0) {
			assert_int_equal(
				scheme_handle_read(b->core, plain, data, sizeof(data)), 60);
			assert_int_equal(data[20], (uint8_t)i);
			continue;
		}
		SERVE_UNTIL(b, scheme_ring_rx_return(ring, &frame, 1) == 1);
		assert_int_equal(scheme_ring_frames(ring, NULL)[frame.offset + 20], (uint8_t)i);
		assert_int_equal(scheme_ring_rx_provide(ring, &frame.offset, 1), 1);
		mine++;
	}
	assert_int_equal(mine, 100);
	scheme_ring_close(ring);
}

/* --- sleeping --- */

static void the_server_sleeps_when_it_can(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);

	serve(b);
	assert_true(would_sleep(b, false, true));
	provide_one(ring, 0); /* nothing for it to do */
	assert_false(can_read(scheme_linux_fd(b->transport)));
	send_one(ring, 1, 60, 1);
	assert_true(can_read(scheme_linux_fd(b->transport)));
	serve(b);
	assert_int_equal(b->port.sent, 1);
	send_one(ring, 2, 60, 2); /* unseen */
	assert_false(would_sleep(b, false, true));
	assert_true(can_read(scheme_linux_fd(b->transport)));
	serve(b);
	assert_true(would_sleep(b, false, true));
	/* Without a buffer of the card a frame wakes nobody. */
	serve(b);
	b->port.limit = 0;
	assert_true(would_sleep(b, false, false));
	send_one(ring, 3, 60, 3);
	assert_false(can_read(scheme_linux_fd(b->transport)));
	b->port.limit = 64;
	serve(b);
	/* A frame that finds no buffer waits for one. */
	struct scheme_frame frame;
	memory_port_receive(&b->port, 60, 1);
	serve(b);
	assert_int_equal(scheme_ring_rx_return(ring, &frame, 1), 1);
	memory_port_receive(&b->port, 60, 2);
	serve(b);
	assert_true(would_sleep(b, true, true));
	provide_one(ring, 4);
	assert_true(can_read(scheme_linux_fd(b->transport)));
	SERVE_UNTIL(b, scheme_ring_rx_return(ring, &frame, 1) == 1);
	scheme_ring_close(ring);
}

static void the_client_sleeps_when_it_can(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	struct scheme_frame frame;

	assert_int_equal(scheme_ring_wait(ring, SCHEME_RING_RX | SCHEME_RING_TX, 1), 0);
	provide_one(ring, 0);
	assert_int_equal(scheme_ring_sleep(ring, SCHEME_RING_RX), 0);
	serve(b);
	assert_false(can_read(scheme_ring_fd(ring)));
	memory_port_receive(&b->port, 60, 1);
	serve(b);
	assert_true(can_read(scheme_ring_fd(ring)));
	assert_int_equal(scheme_ring_awake(ring), 1);
	assert_false(can_read(scheme_ring_fd(ring)));
	assert_int_equal(scheme_ring_sleep(ring, SCHEME_RING_RX), 1);
	assert_int_equal(scheme_ring_rx_return(ring, &frame, 1), 1);
	/* Awake, it is told of nothing. */
	send_one(ring, 1, 60, 1);
	SERVE_UNTIL(b, b->port.sent == 1);
	assert_false(can_read(scheme_ring_fd(ring)));
	/* The end is an event. */
	assert_int_equal(scheme_ring_sleep(ring, SCHEME_RING_RX), 0);
	scheme_linux_destroy(b->transport);
	assert_int_equal(scheme_linux_create(&b->transport, b->core), 0);
	assert_int_equal(scheme_ring_awake(ring), -EPIPE);
	assert_int_equal(scheme_ring_wait(ring, SCHEME_RING_RX, -1), -EPIPE);
	assert_int_equal(scheme_ring_wait(ring, SCHEME_RING_TX, -1), 1); /* what came before it */
	scheme_ring_close(ring);
}

static void one_driver_follows_another(void **state)
{
	struct bench *b = *state;

	b->keeps = true;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	for (uint32_t i = 0; i < 10; i++) {
		provide_one(ring, i);
		send_one(ring, 100 + i, 60, (uint8_t)i);
	}
	memory_port_receive(&b->port, 60, 1);
	SERVE_UNTIL(b, b->port.sent == 10);
	assert_int_equal(scheme_ring_sleep(ring, SCHEME_RING_RX), 1);
	assert_received(ring, 0, 60, 1);
	assert_int_equal(scheme_ring_sleep(ring, SCHEME_RING_RX), 0);
	scheme_linux_leave(b->transport);
	scheme_destroy(b->core);
	start(b);
	struct scheme_client again = b->kept;
	assert_int_equal(scheme_linux_adopt(b->transport, &again), 0);
	serve(b);
	assert_true(can_read(scheme_ring_fd(ring))); /* whoever died may have been about to */
	assert_int_equal(scheme_ring_awake(ring), 0);
	memory_port_receive(&b->port, 61, 2);
	serve(b);
	assert_received(ring, 1, 61, 2);
	send_one(ring, 110, 60, 7);
	SERVE_UNTIL(b, b->port.sent == 1);
	const struct scheme_status *status = scheme_ring_status(ring);
	assert_int_equal(status->sent, 11);
	assert_int_equal(status->received, 2);
	assert_int_equal(status->lost, 0);
	scheme_ring_close(ring);
	SERVE_UNTIL(b, scheme_open_handles(b->core) == 0);
}

/* --- out of order --- */

static void openings_are_judged(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring;
	struct scheme_ring_options bad = {.rx_size = 63, .memory = -1};

	assert_int_equal(scheme_open_ring("network:", O_RDWR, &bad, &ring), -EINVAL);
	bad.rx_size = 2 * SCHEME_RING_MAX;
	assert_int_equal(scheme_open_ring("network:", O_RDWR, &bad, &ring), -EINVAL);
	bad.rx_size = SCHEME_RING_MIN / 2;
	assert_int_equal(scheme_open_ring("network:", O_RDWR, &bad, &ring), -EINVAL);
	assert_int_equal(scheme_open_ring("net:", O_RDWR, NULL, &ring), -EINVAL);
	assert_int_equal(scheme_open_ring("network:", O_RDWR | O_NONBLOCK, NULL, &ring), -EINVAL);
	assert_int_equal(scheme_open_ring("network:none", O_RDWR, NULL, &ring), -ENOENT);
	assert_int_equal(scheme_ring_memory(0), -EINVAL);
	assert_int_equal(scheme_ring_memory(SCHEME_RING_MEMORY_MAX + 1), -EINVAL);
	static const char *const no_frames[] = {"network:/mac", "network:/tap", "network:/stats"};
	for (unsigned i = 0; i < sizeof(no_frames) / sizeof(no_frames[0]); i++) {
		assert_int_equal(try_open(b, no_frames[i], O_RDONLY, NULL, &ring), -EINVAL);
	}
	assert_int_equal(try_open(b, "network:/none", O_RDONLY, NULL, &ring), -ENOENT);
	assert_int_equal(scheme_open_handles(b->core), 0);
}

/* Sends a request for rings with these descriptors; returns the reply's error. */
static int ask(struct bench *b, const struct scheme_request *request, const int *fds, unsigned n)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct scheme_reply reply = {0};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(n * sizeof(int))}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)request, .iov_len = sizeof(*request)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/network/" NAME, b->root);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	if (n > 0) {
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, 0), sizeof(*request));
	SERVE_UNTIL(b, can_read(fd));
	assert_int_equal(recv(fd, &reply, sizeof(reply), 0), sizeof(reply));
	close(fd);
	return reply.error;
}

static int memory(size_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}

static void memory_is_judged(void **state)
{
	struct bench *b = *state;
	const int fixed = F_SEAL_SHRINK | F_SEAL_GROW;
	struct scheme_request request, orders;
	int pipe_fds[2];

	assert_int_equal(scheme_request_make_rings(&request, "", RW, 64, 64), 0);
	int good = memory(8192, fixed); /* ring memory or frames */
	int read_only = -1;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipe(pipe_fds), 0);
	const int bad[] = {
		memory(8192, 0),
		memory(8192, F_SEAL_SHRINK),
		memory(8192, F_SEAL_GROW),
		memory(0, fixed),
		memory(8191, fixed),
		memory(8192, fixed | F_SEAL_WRITE),
		memory(8192, fixed | F_SEAL_FUTURE_WRITE),
		memory(SCHEME_RING_MEMORY_MAX + 4096, fixed),
		open("/dev/zero", O_RDWR | O_CLOEXEC),
		open(b->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		pipe_fds[1],
		read_only,
	};
	unsigned before = descriptors();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const int frames[] = {bad[i], good}, rings[] = {good, bad[i]};
		assert_true(bad[i] >= 0);
		if (ask(b, &request, frames, 2) != -EINVAL ||
			ask(b, &request, rings, 2) != -EINVAL) {
			fail_msg("descriptor %u was taken", i);
		}
	}
	const int both[] = {good, good, good};
	assert_int_equal(ask(b, &request, both, 0), -EINVAL);
	assert_int_equal(ask(b, &request, both, 1), -EINVAL);
	assert_int_equal(ask(b, &request, both, 3), -EINVAL);
	orders = request;
	orders.rx_order = 5;
	assert_int_equal(ask(b, &orders, both, 2), -EINVAL);
	orders.rx_order = 12; /* rings larger than their memory */
	assert_int_equal(ask(b, &orders, both, 2), -EINVAL);
	orders.rx_order = 255;
	assert_int_equal(ask(b, &orders, both, 2), -EINVAL);
	orders = request;
	orders.version = SCHEME_VERSION;
	assert_int_equal(ask(b, &orders, both, 2), -EPROTO);
	orders.rx_order = orders.tx_order = 0;
	assert_int_equal(
		ask(b, &orders, both, 2), 0); /* a plain handle: what came along is closed */
	assert_int_equal(ask(b, &request, both, 2), 0);
	SERVE_UNTIL(b, scheme_open_handles(b->core) == 0);
	SERVE_UNTIL(b, descriptors() == before);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		close(bad[i]);
	}
	close(pipe_fds[0]);
	close(good);
}

/* Huge pages, where the machine has any. */
static void huge_pages_are_refused(void **state)
{
	struct bench *b = *state;
	struct scheme_request request;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	if (fd < 0) {
		skip();
	}
	assert_int_equal(scheme_request_make_rings(&request, "", RW, 64, 64), 0);
	assert_int_equal(ftruncate(fd, 2 << 20), 0); /* takes none yet */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	int good = memory(8192, F_SEAL_SHRINK | F_SEAL_GROW);
	const int fds[] = {fd, good};
	assert_int_equal(ask(b, &request, fds, 2), -EINVAL);
	close(fd);
	close(good);
}

static void who_breaks_the_rules_is_hung_up(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *good = open_ring(b, O_RDWR);
	struct scheme_ring *bad = open_ring(b, O_RDWR);
	const uint32_t outside = UINT32_MAX - 100;
	const struct scheme_frame frame = {.offset = outside, .len = 60};

	assert_int_equal(scheme_ring_tx_provide(bad, &frame, 1), 1);
	SERVE_UNTIL(b, scheme_ring_wait(bad, SCHEME_RING_RX, 0) == -EPIPE);
	assert_int_equal(scheme_open_handles(b->core), 1);
	send_one(good, 0, 60, 1);
	SERVE_UNTIL(b, b->port.sent == 1);
	scheme_ring_close(bad);
	scheme_ring_close(good);
}

static void what_a_client_left_is_sent(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *ring = open_ring(b, O_RDWR);

	b->port.limit = 3;
	for (uint32_t i = 0; i < 64; i++) {
		send_one(ring, i, 60, (uint8_t)i);
	}
	scheme_ring_close(ring);
	SERVE_UNTIL(b, scheme_open_handles(b->core) == 0);
	assert_int_equal(b->port.sent, 64);
	assert_int_equal(scheme_linux_count(b->transport), 0);
}

/* A driver that has gone mad: no index of its makes the client read or write what it must not. */
static void the_client_judges_too(void **state)
{
	struct bench *b = *state;

	b->keeps = true;
	struct scheme_ring *ring = open_ring(b, O_RDWR);
	struct scheme_status *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, b->kept.status_fd, 0);
	assert_true(page != MAP_FAILED);
	void *rings = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
		b->kept.ring_fds[SCHEME_FD_RINGS], 0);
	assert_true(rings != MAP_FAILED);
	struct ring_driver *driver = ring_driver_of(page);
	struct scheme_frame frames[64];
	uint32_t offsets[64];

	provide_one(ring, 3);
	send_one(ring, 4, 60, 1);
	driver->rx_returned = 2;
	driver->tx_done = UINT32_MAX;
	assert_int_equal(scheme_ring_rx_return(ring, frames, 64), 0);
	assert_int_equal(scheme_ring_tx_return(ring, offsets, 64), 0);
	ring_store((_Atomic uint64_t *)((char *)rings + RING_SLOTS),
		&(struct scheme_frame){.offset = UINT32_MAX, .len = UINT16_MAX});
	driver->rx_returned = 1;
	assert_int_equal(scheme_ring_rx_return(ring, frames, 64), 1);
	assert_int_equal(frames[0].offset, scheme_ring_buffer(3));
	assert_int_equal(frames[0].len, SCHEME_RING_BUFFER);
	munmap(page, 4096);
	munmap(rings, 8192);
	scheme_ring_close(ring);
	close(b->kept.fd);
	close(b->kept.status_fd);
	close(b->kept.reader_fd);
	close(b->kept.ring_fds[0]);
	close(b->kept.ring_fds[1]);
}

/* --- killed at any instruction --- */

/* A client in a process of its own: one turn after another. */
static _Noreturn void turn(void)
{
	const struct scheme_ring_options small = {.rx_size = 64, .tx_size = 64, .memory = -1};
	struct scheme_frame frame;
	struct scheme_ring *ring;
	uint32_t offset;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 ||
		scheme_open_ring("network:", O_RDWR | O_CLOEXEC, &small, &ring) != 0) {
		_exit(1);
	}
	uint8_t *memory = scheme_ring_frames(ring, NULL);
	for (uint32_t i = 0; i < 32; i++) {
		offset = scheme_ring_buffer(i);
		(void)scheme_ring_rx_provide(ring, &offset, 1);
	}
	for (uint32_t i = 0;; i++) {
		frame = (struct scheme_frame){.offset = scheme_ring_buffer(64 + i % 64), .len = 60};
		memory_port_frame(memory + frame.offset, frame.len, (uint8_t)i);
		(void)scheme_ring_tx_provide(ring, &frame, 1);
		while (scheme_ring_rx_return(ring, &frame, 1) == 1) {
			(void)scheme_ring_rx_provide(ring, &frame.offset, 1);
		}
		while (scheme_ring_tx_return(ring, &offset, 1) == 1) {
		}
		(void)scheme_ring_wait(ring, SCHEME_RING_RX | SCHEME_RING_TX, 0);
		if (i == 0) { /* every function was called once, and its symbol found */
			(void)raise(SIGSTOP);
		}
	}
}

/* Until the child has stopped; false: it ended. */
static bool serve_until_stopped(struct bench *b, pid_t child)
{
	int status = 0;

	SERVE_UNTIL(b, waitpid(child, &status, WNOHANG) == child);
	return WIFSTOPPED(status);
}

static void a_client_is_killed_at_any_instruction(void **state)
{
	struct bench *b = *state;
	struct scheme_ring *steady = open_ring(b, O_WRONLY);
	uint8_t expected[PORT_ROOM];
	unsigned kills = 0;

	b->port.echo = true;
	for (unsigned kill_at = 0; kill_at < 1200; kill_at += 13) {
		int status = 0;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			turn();
		}
		if (!serve_until_stopped(b, child)) {
			scheme_ring_close(steady);
			skip(); /* nothing may be traced here */
		}
		unsigned sent = b->port.sent;
		for (unsigned i = 0; i < kill_at; i++) {
			assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
			assert_int_equal(waitpid(child, &status, 0), child);
			assert_true(WIFSTOPPED(status));
			if (i % 16 == 0) {
				serve(b);
			}
		}
		assert_int_equal(kill(child, SIGKILL), 0);
		kills++;
		assert_int_equal(waitpid(child, &status, 0), child);
		SERVE_UNTIL(b, scheme_open_handles(b->core) == 1);
		for (; sent != b->port.sent; sent++) {
			const struct port_frame *frame = &b->port.tx[sent % PORT_FRAMES];
			memory_port_frame(expected, 60, frame->data[20]);
			assert_int_equal(frame->len, 60);
			assert_memory_equal(frame->data, expected, 60);
		}
	}
	unsigned sent = b->port.sent;
	assert_true(sent >= kills);
	send_one(steady, 0, 60, 1);
	SERVE_UNTIL(b, b->port.sent == sent + 1);
	scheme_ring_close(steady);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_go_there_and_back),
		TEST(a_ring_is_filled_and_no_more),
		TEST(large_frames_move_whole),
		TEST(memory_is_shared_by_rings),
		TEST(frames_are_shared_with_plain_handles),
		TEST(the_server_sleeps_when_it_can),
		TEST(the_client_sleeps_when_it_can),
		TEST(one_driver_follows_another),
		TEST(openings_are_judged),
		TEST(memory_is_judged),
		TEST(huge_pages_are_refused),
		TEST(who_breaks_the_rules_is_hung_up),
		TEST(what_a_client_left_is_sent),
		TEST(the_client_judges_too),
		TEST(a_client_is_killed_at_any_instruction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
