/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver and a client at full speed, each in a thread of its own, over real rings, both going to
 * sleep whenever they can: every frame comes once and unchanged, and nobody sleeps for ever. Both
 * map memory at the same addresses, so that TSan sees whether what orders their accesses is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheme/linux.h"
#include "scheme/ring.h"
#include "test/unit/memory_port.h"

#define NAME    "threads"
#define FRAMES  20000u
#define LIMIT_S 60

/* --- one mapping for all who map the same memory (the linker's --wrap; with 64-bit offsets mmap()
 * is mmap64()) --- */

#define MAPS 8

static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	ino_t inode;
	void *at;
	size_t len;
	unsigned users;
} maps[MAPS];

void *__real_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);

void *__wrap_mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	struct stat st;
	unsigned i = 0;

	if ((flags & MAP_SHARED) == 0 || fd < 0 || fstat(fd, &st) != 0) {
		return __real_mmap64(at, len, prot, flags, fd, offset);
	}
	pthread_mutex_lock(&maps_lock);
	while (i < MAPS && (maps[i].users == 0 || maps[i].inode != st.st_ino)) {
		i++;
	}
	if (i == MAPS) {
		for (i = 0; i < MAPS - 1 && maps[i].users > 0; i++) {
		}
		maps[i].inode = st.st_ino;
		maps[i].len = (size_t)st.st_size;
		/* The status page is the server's first, who writes there. */
		maps[i].at = __real_mmap64(NULL, maps[i].len, prot, flags, fd, offset);
	}
	maps[i].users++;
	pthread_mutex_unlock(&maps_lock);
	return maps[i].at;
}

int __wrap_munmap(void *at, size_t len)
{
	int ret = 0;
	unsigned i = 0;

	pthread_mutex_lock(&maps_lock);
	while (i < MAPS && (maps[i].users == 0 || maps[i].at != at)) {
		i++;
	}
	if (i == MAPS) {
		ret = __real_munmap(at, len);
	} else if (--maps[i].users == 0) {
		ret = __real_munmap(at, maps[i].len);
	}
	pthread_mutex_unlock(&maps_lock);
	return ret;
}

/* --- driver and client --- */

struct bench {
	struct memory_port port;
	struct scheme *core;
	struct scheme_registrar *registrar;
	struct scheme_linux *transport;
	atomic_bool stop;
};

/* As daemon/loop.c has it. */
static void *serve(void *arg)
{
	struct bench *b = arg;
	struct scheme_client client;

	while (!atomic_load(&b->stop)) {
		struct pollfd fds[] = {
			{.fd = scheme_linux_fd(b->transport), .events = POLLIN},
			{.fd = scheme_registrar_fd(b->registrar), .events = POLLIN},
		};
		if (scheme_registrar_next(b->registrar, &client) == 1) {
			(void)scheme_linux_adopt(b->transport, &client);
		}
		scheme_tick(b->core);
		if (scheme_linux_round(b->transport) > 0) {
			continue;
		}
		scheme_linux_arm(b->transport, b->port.rx_head != b->port.rx_tail, true);
		/* A time-out only for `stop`: a lost wake-up would be one without end. */
		(void)poll(fds, 2, 1000);
	}
	return NULL;
}

static void wait_for(struct scheme_ring *ring, unsigned verbs)
{
	/* Without the spinning of scheme_ring_wait(). */
	struct pollfd fd = {.fd = scheme_ring_fd(ring), .events = POLLIN};
	int ret = scheme_ring_sleep(ring, verbs);

	if (ret == 0) {
		assert_int_equal(poll(&fd, 1, LIMIT_S * 1000), 1);
		ret = scheme_ring_awake(ring);
	}
	assert_true(ret >= 0);
}

/* Frames to the card, which echoes them, and back. */
static void all_frames_come_back(struct scheme_ring *ring)
{
	uint8_t *memory = scheme_ring_frames(ring, NULL), expected[PORT_ROOM];
	uint32_t sent = 0, received = 0, offset;
	struct scheme_frame frame;

	for (uint32_t i = 0; i < 64; i++) {
		offset = scheme_ring_buffer(i);
		assert_int_equal(scheme_ring_rx_provide(ring, &offset, 1), 1);
	}
	while (received < FRAMES) {
		bool idle = true;
		while (scheme_ring_tx_return(ring, &offset, 1) == 1) {
			idle = false;
		}
		while (sent < FRAMES && sent - received < 200 && scheme_ring_tx_held(ring) < 64) {
			frame = (struct scheme_frame){.offset = scheme_ring_buffer(64 + sent % 64),
				.len = (uint16_t)(60 + sent % 200)};
			memory_port_frame(memory + frame.offset, frame.len, (uint8_t)sent);
			assert_int_equal(scheme_ring_tx_provide(ring, &frame, 1), 1);
			sent++;
			idle = false;
		}
		while (scheme_ring_rx_return(ring, &frame, 1) == 1) {
			assert_int_equal(frame.len, 60 + received % 200);
			memory_port_frame(expected, frame.len, (uint8_t)received);
			assert_memory_equal(memory + frame.offset, expected, frame.len);
			assert_int_equal(scheme_ring_rx_provide(ring, &frame.offset, 1), 1);
			received++;
			idle = false;
		}
		if (idle) {
			wait_for(ring, SCHEME_RING_RX | SCHEME_RING_TX);
		}
	}
}

static void two_threads(void **state)
{
	const struct scheme_ring_options small = {.rx_size = 64, .tx_size = 64, .memory = -1};
	const struct scheme_access only_us = {.group = (gid_t)-1};
	const char *tmp = getenv("TMPDIR");
	struct bench *b = calloc(1, sizeof(*b));
	struct scheme_ring *ring;
	char root[256], path[300];
	pthread_t server;

	(void)state;
	assert_non_null(b);
	snprintf(root, sizeof(root), "%s/rings-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(root));
	setenv("SCHEME_ROOT", root, 1);
	struct scheme_port port = memory_port_init(&b->port);
	b->port.echo = true;
	assert_int_equal(scheme_create(&b->core, NAME, &port), 0);
	assert_int_equal(scheme_linux_create(&b->transport, b->core), 0);
	assert_int_equal(scheme_registrar_create(&b->registrar, NAME, &only_us), 0);
	assert_int_equal(pthread_create(&server, NULL, serve, b), 0);
	assert_int_equal(scheme_open_ring("network:" NAME, O_RDWR | O_CLOEXEC, &small, &ring), 0);
	for (unsigned i = 0; i < 3; i++) { /* page, ring memory, frames */
		assert_int_equal(maps[i].users, 2);
	}
	all_frames_come_back(ring);
	scheme_ring_close(ring);
	atomic_store(&b->stop, true);
	pthread_join(server, NULL);
	scheme_linux_destroy(b->transport);
	scheme_registrar_destroy(b->registrar);
	scheme_destroy(b->core);
	snprintf(path, sizeof(path), "%s/network", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
