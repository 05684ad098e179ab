/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registrar, transport and client library together, on a card in memory. The test's own thread is
 * the server, which moves only when it is told to; a client's call that blocks runs in a thread of
 * its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheme/linux.h"
#include "test/unit/memory_port.h"

#define NAME    "0000-01-00.0_ixgbe"
#define LIMIT_S 20
#define NOBODY  65534

/* --- the server --- */

struct bench {
	char root[256];
	struct memory_port port;
	struct scheme *core;
	struct scheme_registrar *registrar;
	struct scheme_linux *transport;
	unsigned let_in;
	struct scheme_client last; /* without its descriptors */
};

static void serve(struct bench *b)
{
	struct scheme_client client;

	while (b->registrar != NULL && scheme_registrar_next(b->registrar, &client) == 1) {
		b->let_in++;
		b->last = client;
		(void)scheme_linux_adopt(b->transport, &client);
	}
	if (b->transport != NULL) {
		scheme_tick(b->core);
		(void)scheme_linux_round(b->transport);
	}
}

static time_t deadline(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + LIMIT_S;
}

/* Serves until the condition holds. */
#define SERVE_UNTIL(b, condition)                                 \
	do {                                                      \
		time_t end_ = deadline();                         \
		while (!(condition)) {                            \
			assert_true(deadline() - LIMIT_S < end_); \
			serve(b);                                 \
		}                                                 \
	} while (0)

static void start(struct bench *b, const char *name, const struct scheme_access *access)
{
	struct scheme_port port = memory_port_init(&b->port);

	assert_int_equal(scheme_create(&b->core, name, &port), 0);
	assert_int_equal(scheme_registrar_create(&b->registrar, name, access), 0);
	assert_int_equal(scheme_linux_create(&b->transport, b->core), 0);
}

static void stop(struct bench *b)
{
	scheme_linux_destroy(b->transport);
	scheme_registrar_destroy(b->registrar);
	scheme_destroy(b->core);
	b->transport = NULL;
	b->registrar = NULL;
	b->core = NULL;
}

static void use_root(struct bench *b)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(b->root, sizeof(b->root), "%s/scheme-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->root));
	assert_int_equal(chmod(b->root, 0755), 0); /* credentials decide, not the folder */
	setenv("SCHEME_ROOT", b->root, 1);
}

static const struct scheme_access only_us = {.group = (gid_t)-1};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	use_root(b);
	start(b, NAME, &only_us);
	*state = b;
	return 0;
}

static void path_of(const struct bench *b, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/network/%s", b->root, name);
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	char path[400];

	stop(b);
	path_of(b, "", path, sizeof(path));
	assert_int_equal(rmdir(path), 0); /* nothing is left in it */
	assert_int_equal(rmdir(b->root), 0);
	free(b);
	return 0;
}

/* --- clients --- */

struct opening {
	const char *url;
	int flags;
	const struct scheme_status *status;
	int result;
	atomic_bool done;
};

static void *open_thread(void *arg)
{
	struct opening *o = arg;

	o->result = scheme_open(o->url, o->flags, &o->status);
	atomic_store(&o->done, true);
	return NULL;
}

static int open_url(
	struct bench *b, const char *url, int flags, const struct scheme_status **status)
{
	struct opening o = {.url = url, .flags = flags};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, open_thread, &o), 0);
	SERVE_UNTIL(b, atomic_load(&o.done));
	pthread_join(thread, NULL);
	if (status != NULL) {
		*status = o.status;
	} else {
		scheme_unmap_status(o.status);
	}
	return o.result;
}

static int open_frames(struct bench *b, int flags, const struct scheme_status **status)
{
	int fd = open_url(b, "network:" NAME, flags | O_NONBLOCK, status);

	assert_true(fd >= 0);
	return fd;
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

static void write_frame(int fd, size_t len, uint8_t mark)
{
	uint8_t frame[4096];

	memory_port_frame(frame, len, mark);
	assert_int_equal(write(fd, frame, len), len);
}

/* A connection by hand, as any language makes it. */
static int dial(const struct bench *b)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/network/" NAME, b->root);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static struct scheme_request good_request(void)
{
	struct scheme_request request;

	assert_int_equal(scheme_request_make(&request, "", SCHEME_READ | SCHEME_WRITE), 0);
	return request;
}

/* Sends a request, and returns what the reply says. */
static int shake(struct bench *b, int fd, const void *request, size_t len)
{
	struct scheme_reply reply = {0};

	assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
	SERVE_UNTIL(b, can_read(fd));
	assert_int_equal(recv(fd, &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply.magic, SCHEME_MAGIC);
	return reply.error;
}

static void assert_end(int fd)
{
	char byte;

	assert_true(can_read(fd));
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* Runs a piece of client in a process of its own, and serves it to its end: its exit code, or minus
 * the signal. */
static int in_child(struct bench *b, int (*run)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		_exit(run());
	}
	SERVE_UNTIL(b, waitpid(child, &status, WNOHANG) == child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- opening --- */

static void values_end(void **state)
{
	struct bench *b = *state;
	char text[4096] = {0};
	int fd = open_url(b, "network:" NAME "/mac", O_RDONLY, NULL);

	SERVE_UNTIL(b, can_read(fd));
	assert_int_equal(read(fd, text, sizeof(text)), 6);
	assert_memory_equal(text, "\x52\x54\x00\x12\x34\x56", 6);
	SERVE_UNTIL(b, can_read(fd));
	assert_int_equal(read(fd, text, sizeof(text)), 0);
	close(fd);
	fd = open_url(b, "network:/stats", O_RDONLY, NULL);
	SERVE_UNTIL(b, can_read(fd));
	assert_true(read(fd, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "tx_frames 0\nhandles 0\n"));
	close(fd);
	assert_int_equal(b->last.uid, getuid());
	assert_int_equal(b->last.pid, getpid());
	assert_int_equal(b->last.id, 2);
}

static void opening_says_why_not(void **state)
{
	struct bench *b = *state;
	char path[400];
	static const char *const bad[] = {"", "network", "net:x", "network:a b", "network:.x",
		"network:x/\n",
		"network:0123456789012345678901234567890123456789012345678901234567890123"};
	static const struct scheme_status *status;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(scheme_open(bad[i], O_RDONLY, NULL), -EINVAL);
	}
	assert_int_equal(scheme_open("network:", O_ACCMODE, NULL), -EINVAL);
	assert_int_equal(scheme_open("network:", O_RDONLY | O_CREAT, NULL), -EINVAL);
	assert_int_equal(scheme_open("network:other", O_RDONLY, &status), -ENOENT);
	assert_int_equal(open_url(b, "network:" NAME "/nonsense", O_RDONLY, NULL), -ENOENT);
	assert_int_equal(open_url(b, "network:/mac", O_RDWR, NULL), -EACCES);
	/* A socket whose owner died. */
	path_of(b, "zombie", path, sizeof(path));
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", path);
	int dead = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(dead, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(dead);
	assert_int_equal(scheme_open("network:zombie", O_RDONLY, NULL), -ECONNREFUSED);
	unlink(path);
	setenv("SCHEME_ROOT", "/nonexistent", 1);
	assert_int_equal(scheme_open("network:", O_RDONLY, NULL), -ENOENT);
	setenv("SCHEME_ROOT", b->root, 1);
}

static void flags_are_honoured(void **state)
{
	struct bench *b = *state;
	char byte;
	int fd = open_url(b, "network:", O_RDONLY | O_NONBLOCK | O_CLOEXEC, NULL);

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	fd = open_url(b, "network:", O_RDONLY, NULL);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
}

static int append_name(void *ctx, const char *name)
{
	char *names = ctx;

	snprintf(names + strlen(names), 256 - strlen(names), "%s ", name);
	return strcmp(name, "b") == 0 ? 7 : 0;
}

/* The first card, and the list, pass over sockets that nobody listens on. */
static void dead_sockets_are_passed_over(void **state)
{
	struct bench *b = *state;
	struct scheme_registrar *second, *twin;
	char path[400], names[256] = "";

	path_of(b, "0-dead", path, sizeof(path));
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", path);
	int dead = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(dead, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(dead);
	int fd = open_url(b, "network:", O_RDONLY, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(scheme_registrar_create(&second, "b", &only_us), 0);
	assert_int_equal(scheme_list(append_name, names), 7);
	assert_string_equal(names, NAME " b ");
	/* A live name is taken, a dead one is replaced, something else is left alone. */
	assert_int_equal(scheme_registrar_create(&twin, "b", &only_us), -EADDRINUSE);
	assert_int_equal(scheme_registrar_create(&twin, "0-dead", &only_us), 0);
	names[0] = '\0';
	assert_int_equal(scheme_list(append_name, names), 7);
	assert_string_equal(names, "0-dead " NAME " b ");
	scheme_registrar_destroy(twin);
	scheme_registrar_destroy(second);
	int file = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(scheme_registrar_create(&twin, "0-dead", &only_us), -EEXIST);
	close(file);
	unlink(path);
	assert_int_equal(scheme_registrar_create(&twin, "../x", &only_us), -EINVAL);
	names[0] = '\0';
	assert_int_equal(scheme_list(append_name, names), 0);
	assert_string_equal(names, NAME " ");
}

static void long_folders_work(void **state)
{
	struct bench *b = *state;
	char path[sizeof(b->root) + 16];
	size_t len = strlen(b->root);

	stop(b);
	snprintf(b->root + len, sizeof(b->root) - len, "/%0100d", 7);
	assert_int_equal(mkdir(b->root, 0755), 0);
	setenv("SCHEME_ROOT", b->root, 1);
	start(b, NAME, &only_us);
	int fd = open_url(b, "network:", O_RDONLY, NULL);
	assert_true(fd >= 0);
	close(fd);
	stop(b);
	path_of(b, "", path, sizeof(path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(b->root), 0);
	b->root[len] = '\0';
}

/* --- frames --- */

static void frames_go_out_and_come_back(void **state)
{
	struct bench *b = *state;
	uint8_t data[2048];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);

	b->port.echo = true;
	for (unsigned i = 0; i < 100; i++) {
		size_t len = 60 + 14 * i;
		memory_port_frame(data, len, (uint8_t)i);
		assert_int_equal(scheme_write(fd, status, data, len), len);
		SERVE_UNTIL(b, can_read(fd));
		memset(data, 0, sizeof(data));
		assert_int_equal(read(fd, data, sizeof(data)), len);
		assert_int_equal(data[len - 1], i);
	}
	assert_int_equal(status->sent, 100);
	assert_int_equal(status->received, 100);
	assert_int_equal(status->writes, 100);
	scheme_unmap_status(status);
	close(fd);
}

/* Small ones between large ones, by bursts both ways, and by a read that is too short. */
static void large_frames_move(void **state)
{
	struct bench *b = *state;
	static const size_t lens[] = {60, 9724, 61, 2048, 2049, 9723, 4096, 4097, 62, 8193};
	static uint8_t data[10][SCHEME_FRAME_MAX], frame[SCHEME_FRAME_MAX];
	struct iovec iov[10];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);

	b->port.echo = true;
	b->port.mtu = 9710;
	SERVE_UNTIL(b, status->mtu == 9710);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 10; i++) {
			memory_port_frame(data[i], lens[i], (uint8_t)(round + i));
			iov[i] = (struct iovec){data[i], lens[i]};
		}
		assert_int_equal(scheme_write_burst(fd, status, iov, 10), 10);
		SERVE_UNTIL(b, status->received == 10 * (round + 1ul));
		memset(data, 0, sizeof(data));
		for (unsigned i = 0; i < 10; i++) {
			iov[i].iov_len = i == 1 ? 3000 : SCHEME_FRAME_MAX;
		}
		assert_int_equal(scheme_read_burst(fd, iov, 10), 10);
		for (unsigned i = 0; i < 10; i++) {
			size_t len = i == 1 ? 3000 : lens[i];
			memory_port_frame(frame, lens[i], (uint8_t)(round + i));
			assert_int_equal(iov[i].iov_len, len);
			assert_memory_equal(data[i], frame, len);
		}
	}
	assert_int_equal(scheme_write(fd, status, frame, 9725), -EMSGSIZE);
	assert_int_equal(status->sent, 200);
	scheme_unmap_status(status);
	close(fd);
}

/* As many of the largest as are promised wait for who does not read, and for who does not serve. */
static void large_frames_wait(void **state)
{
	struct bench *b = *state;
	static uint8_t data[SCHEME_FRAME_MAX];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);
	uint64_t before;
	unsigned n = 0;

	b->port.mtu = 9710;
	for (unsigned i = 0; i < 100; i++) {
		memory_port_receive(&b->port, SCHEME_FRAME_MAX, (uint8_t)i);
	}
	do {
		before = status->received;
		serve(b);
	} while (status->received > before);
	assert_in_range(before, SCHEME_QUEUE_LARGE, 99);
	assert_int_equal(b->port.rx_tail, before); /* the rest waits for it */
	memory_port_frame(data, 9724, 1);
	while (send(fd, data, 9724, MSG_DONTWAIT) == 9724) {
		n++;
	}
	assert_int_equal(errno, EAGAIN);
	assert_true(n >= SCHEME_QUEUE_LARGE);
	SERVE_UNTIL(b, status->sent == n);
	for (unsigned i = 0; i < 100; i++) {
		SERVE_UNTIL(b, can_read(fd));
		assert_int_equal(read(fd, data, sizeof(data)), SCHEME_FRAME_MAX);
		assert_int_equal(data[14], (uint8_t)i);
	}
	scheme_unmap_status(status);
	close(fd);
}

static void bursts_move_many(void **state)
{
	struct bench *b = *state;
	static uint8_t data[SCHEME_BURST + 1][PORT_ROOM];
	struct iovec iov[SCHEME_BURST + 1];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);

	b->port.echo = true;
	for (unsigned i = 0; i <= SCHEME_BURST; i++) {
		memory_port_frame(data[i], 60 + i, (uint8_t)i);
		iov[i] = (struct iovec){data[i], 60 + i};
	}
	assert_int_equal(scheme_read_burst(fd, iov, 2), -EAGAIN);
	assert_int_equal(scheme_write_burst(fd, status, iov, SCHEME_BURST + 1), SCHEME_BURST);
	SERVE_UNTIL(b, status->received == SCHEME_BURST);
	for (unsigned i = 0; i <= SCHEME_BURST; i++) {
		memset(data[i], 0, PORT_ROOM);
		iov[i] = (struct iovec){data[i], i == 3 ? 20 : PORT_ROOM};
	}
	assert_int_equal(scheme_read_burst(fd, iov, SCHEME_BURST + 1), SCHEME_BURST);
	for (unsigned i = 0; i < SCHEME_BURST; i++) {
		assert_int_equal(iov[i].iov_len, i == 3 ? 20 : 60 + i);
		assert_int_equal(data[i][14], i);
	}
	/* It stops ahead of the first that cannot be sent. */
	iov[2].iov_len = 13;
	assert_int_equal(scheme_write_burst(fd, status, iov, 4), 2);
	assert_int_equal(scheme_write_burst(fd, status, iov + 2, 2), -EINVAL);
	assert_int_equal(scheme_write_burst(fd, status, iov, 0), 0);
	SERVE_UNTIL(b, status->sent == SCHEME_BURST + 2);
	/* The last frames, then the end. */
	SERVE_UNTIL(b, status->received == SCHEME_BURST + 2);
	stop(b);
	for (unsigned i = 0; i < 8; i++) {
		iov[i] = (struct iovec){data[i], PORT_ROOM};
	}
	assert_int_equal(scheme_read_burst(fd, iov, 8), 2);
	assert_int_equal(scheme_read_burst(fd, iov, 8), 0);
	assert_int_equal(scheme_write_burst(fd, NULL, iov, 1), -EPIPE);
	scheme_unmap_status(status);
	close(fd);
}

static void writes_tell_what_they_came_to(void **state)
{
	struct bench *b = *state;
	uint8_t data[1600];
	const struct scheme_status *status;
	int fd = open_frames(b, O_WRONLY, &status);

	memory_port_frame(data, sizeof(data), 1);
	assert_int_equal(scheme_write(fd, status, data, 13), -EINVAL);
	assert_int_equal(scheme_write(fd, status, data, 1515), -EMSGSIZE);
	b->port.link.up = false;
	serve(b);
	assert_int_equal(scheme_write(fd, status, data, 60), -ENETDOWN);
	assert_int_equal(status->writes, 0); /* none of them was sent to the driver */
	/* A plain write cannot know: it is counted. */
	assert_int_equal(scheme_write(fd, NULL, data, 60), 60);
	SERVE_UNTIL(b, status->no_link == 1);
	assert_int_equal(status->error, -ENETDOWN);
	b->port.link.up = true;
	serve(b);
	assert_int_equal(scheme_write(fd, NULL, data, 1515), 1515);
	assert_int_equal(scheme_write(fd, NULL, data, 13), 13);
	SERVE_UNTIL(b, status->refused == 2);
	scheme_unmap_status(status);
	close(fd);
}

struct setting {
	int fd;
	const struct scheme_status *status;
	const char *text;
	ssize_t result;
	atomic_bool done;
};

static void *set_thread(void *arg)
{
	struct setting *s = arg;

	s->result = scheme_write(s->fd, s->status, s->text, strlen(s->text));
	atomic_store(&s->done, true);
	return NULL;
}

static ssize_t set_value(struct bench *b, int fd, const struct scheme_status *st, const char *text)
{
	struct setting s = {.fd = fd, .status = st, .text = text};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, set_thread, &s), 0);
	SERVE_UNTIL(b, atomic_load(&s.done));
	pthread_join(thread, NULL);
	return s.result;
}

static void values_are_set_with_a_verdict(void **state)
{
	struct bench *b = *state;
	const struct scheme_status *status;
	int fd = open_url(b, "network:/mtu", O_RDWR, &status);

	assert_int_equal(set_value(b, fd, status, "1400\n"), 5);
	assert_int_equal(b->port.mtu, 1400);
	assert_int_equal(status->mtu, 1400);
	assert_int_equal(set_value(b, fd, status, "many"), -EINVAL);
	b->port.set_error = -EIO;
	assert_int_equal(set_value(b, fd, status, "1300"), -EIO);
	b->port.set_error = 0;
	assert_int_equal(set_value(b, fd, status, "1300"), 4);
	assert_int_equal(b->port.mtu, 1300);
	assert_int_equal(scheme_write(fd, status, "", 0), -EINVAL);
	scheme_unmap_status(status);
	close(fd);
}

/* --- sharing --- */

static void clients_share_frames(void **state)
{
	struct bench *b = *state;
	uint8_t data[128];
	unsigned seen[256] = {0};
	int got[2] = {0};
	int fds[2] = {open_frames(b, O_RDONLY, NULL), open_frames(b, O_RDWR, NULL)};

	for (unsigned i = 0; i < 256; i++) {
		memory_port_receive(&b->port, 60, (uint8_t)i);
	}
	SERVE_UNTIL(b, b->port.rx_tail == b->port.rx_head);
	for (unsigned i = 0; i < 2; i++) {
		while (read(fds[i], data, sizeof(data)) == 60) {
			seen[data[59]]++;
			got[i]++;
		}
		close(fds[i]);
	}
	assert_int_equal(got[0], 128); /* turn by turn */
	assert_int_equal(got[1], 128);
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(seen[i], 1);
	}
}

/* Also when frames come one at a time. */
static void single_frames_are_shared(void **state)
{
	struct bench *b = *state;
	const struct scheme_status *status[2];
	int fds[2] = {open_frames(b, O_RDONLY, &status[0]), open_frames(b, O_RDWR, &status[1])};

	for (unsigned i = 0; i < 10; i++) {
		memory_port_receive(&b->port, 60, 1);
		serve(b);
	}
	assert_int_equal(status[0]->received, 5);
	assert_int_equal(status[1]->received, 5);
	for (unsigned i = 0; i < 2; i++) {
		scheme_unmap_status(status[i]);
		close(fds[i]);
	}
}

/* Who does not read is left alone; its frames wait for it, others' go on. */
static void a_slow_client_holds_nobody_up(void **state)
{
	struct bench *b = *state;
	uint8_t data[2048];
	unsigned kept = 0;
	const struct scheme_status *status;
	int slow = open_frames(b, O_RDONLY, &status);

	for (unsigned i = 0; i < 500; i++) {
		memory_port_receive(&b->port, 1518, (uint8_t)i);
	}
	uint64_t before;
	do {
		before = status->received;
		serve(b);
	} while (status->received > before);
	assert_true(before >= SCHEME_QUEUE_FRAMES);
	assert_true(before < 500);
	assert_int_equal(b->port.rx_tail, before); /* the rest waits for it */
	assert_true(would_sleep(b, true, true));
	int quick = open_frames(b, O_RDONLY, NULL);
	while (b->port.rx_tail < 500) {
		serve(b);
		while (read(quick, data, sizeof(data)) > 0) {
			kept++;
		}
	}
	SERVE_UNTIL(b, (kept += read(quick, data, sizeof(data)) > 0) + before == 500);
	for (unsigned i = 0; i < before; i++) {
		assert_int_equal(read(slow, data, sizeof(data)), 1518);
		assert_int_equal(data[20], (uint8_t)i);
	}
	/* It has room again, and its turn. */
	close(quick);
	serve(b);
	memory_port_receive(&b->port, 60, 77);
	SERVE_UNTIL(b, read(slow, data, sizeof(data)) == 60);
	assert_int_equal(data[59], 77);
	scheme_unmap_status(status);
	close(slow);
}

static void a_flood_has_its_share(void **state)
{
	struct bench *b = *state;
	int flood = open_frames(b, O_WRONLY, NULL);
	int modest = open_frames(b, O_WRONLY, NULL);

	for (unsigned i = 0; i < 100; i++) {
		write_frame(flood, 60, 1);
	}
	write_frame(modest, 60, 2);
	assert_int_equal(scheme_linux_round(b->transport), SCHEME_BURST + 1);
	unsigned found = 0;
	for (unsigned i = 0; i < b->port.sent; i++) {
		found += b->port.tx[i].data[59] == 2;
	}
	assert_int_equal(found, 1);
	SERVE_UNTIL(b, b->port.sent == 101);
	close(flood);
	close(modest);
}

/* --- sleeping --- */

static void the_server_sleeps_when_it_can(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);

	serve(b);
	assert_true(would_sleep(b, false, true));
	/* A client that wrote wakes it, once, while there is no buffer. */
	b->port.limit = 0;
	write_frame(fd, 60, 1);
	assert_false(can_read(scheme_registrar_fd(b->registrar))); /* who is handed on is not its */
	assert_false(would_sleep(b, false, false));
	assert_int_equal(scheme_linux_round(b->transport), 0);
	assert_true(would_sleep(b, false, false));
	/* A buffer is free again: what waited moves, also if its owner only armed. */
	b->port.limit = 1;
	assert_false(would_sleep(b, false, true));
	assert_int_equal(scheme_linux_round(b->transport), 1);
	serve(b);
	assert_true(would_sleep(b, false, true));
	/* Frames that came between the round and the sleep. */
	memory_port_receive(&b->port, 60, 1);
	assert_false(would_sleep(b, true, true));
	assert_int_equal(scheme_linux_round(b->transport), 1);
	assert_true(would_sleep(b, false, true));
	assert_int_equal(read(fd, data, sizeof(data)), 60);
	/* A client that left with frames unsent, and no buffer. */
	b->port.limit = 0;
	write_frame(fd, 60, 9);
	close(fd);
	assert_false(would_sleep(b, false, false));
	assert_int_equal(scheme_linux_round(b->transport), 0);
	assert_true(would_sleep(b, false, false));
	assert_int_equal(status->present, 1);
	b->port.limit = 1;
	SERVE_UNTIL(b, status->present == 0);
	assert_int_equal(b->port.sent, 2);
	assert_int_equal(b->port.tx[1].data[59], 9);
	assert_true(would_sleep(b, false, true));
	scheme_unmap_status(status);
}

/* Also while frames cannot be sent, a value is served. */
static void values_wait_for_no_buffer(void **state)
{
	struct bench *b = *state;
	const struct scheme_status *status;
	int frames = open_frames(b, O_RDWR, NULL);

	b->port.limit = 0;
	write_frame(frames, 60, 1);
	int fd = open_url(b, "network:/promisc", O_WRONLY, &status);
	assert_int_equal(write(fd, "1", 1), 1);
	assert_false(would_sleep(b, false, false));
	SERVE_UNTIL(b, b->port.promiscuous);
	serve(b);
	assert_true(would_sleep(b, false, false));
	scheme_unmap_status(status);
	close(fd);
	close(frames);
}

static void taps_wake_the_server(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int tap = open_url(b, "network:/tap", O_RDONLY | O_NONBLOCK, NULL);
	int fd = open_frames(b, O_WRONLY, NULL);

	serve(b);
	write_frame(fd, 60, 1);
	(void)scheme_linux_round(b->transport);
	(void)would_sleep(b, false, true);
	SERVE_UNTIL(b, read(tap, data, sizeof(data)) == 60);
	assert_true(would_sleep(b, false, true));
	close(tap);
	close(fd);
}

/* --- misbehaviour --- */

static int write_and_die(void)
{
	uint8_t frame[60];
	int fd = scheme_open("network:", O_RDWR, NULL);

	if (fd < 0) {
		return 1;
	}
	memory_port_frame(frame, sizeof(frame), 5);
	for (int i = 0; i < 5; i++) {
		if (write(fd, frame, sizeof(frame)) != 60) {
			return 2;
		}
	}
	kill(getpid(), SIGKILL);
	return 3;
}

static long stat_of(struct bench *b, const char *name)
{
	char text[4096] = {0}, line[64];
	int64_t id = scheme_handle_open(b->core, "/stats", SCHEME_READ, NULL);

	if (id == -EMFILE) {
		return -EMFILE; /* too many to ask */
	}
	assert_true(scheme_handle_read(b->core, id, text, sizeof(text) - 1) > 0);
	scheme_handle_close(b->core, id);
	snprintf(line, sizeof(line), "\n%s ", name);
	const char *at = strstr(text, line);
	assert_non_null(at);
	return strtol(at + strlen(line), NULL, 10);
}

static void a_killed_client_is_cleared_away(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int fd = open_frames(b, O_RDWR, NULL);

	assert_int_equal(in_child(b, write_and_die), -SIGKILL);
	SERVE_UNTIL(b, stat_of(b, "handles") == 1);
	assert_int_equal(b->port.sent, 5); /* a plain write means queued */
	memory_port_receive(&b->port, 60, 1);
	SERVE_UNTIL(b, read(fd, data, sizeof(data)) == 60);
	close(fd);
	SERVE_UNTIL(b, stat_of(b, "handles") == 0);
	assert_int_equal(stat_of(b, "refused"), 0);
}

/* Killed with frames unread: which its peer sees as a reset. */
static void a_killed_reader_is_cleared_away(void **state)
{
	struct bench *b = *state;
	int fd = open_frames(b, O_RDWR, NULL);

	for (unsigned i = 0; i < 1000; i++) {
		memory_port_receive(&b->port, 1514, 1);
	}
	for (unsigned i = 0; i < 50; i++) {
		serve(b);
	}
	write_frame(fd, 60, 1);
	close(fd);
	SERVE_UNTIL(b, stat_of(b, "handles") == 0);
	assert_int_equal(b->port.sent, 1);
	serve(b);
	assert_true(would_sleep(b, false, true));
}

/* Who shuts one direction down has ended the connection; what it wrote before is sent. */
static void half_closed_is_closed(void **state)
{
	struct bench *b = *state;
	static const int ways[] = {SHUT_RD, SHUT_WR};

	for (unsigned i = 0; i < 2; i++) {
		int fd = open_frames(b, O_RDWR, NULL);
		write_frame(fd, 60, 1);
		assert_int_equal(shutdown(fd, ways[i]), 0);
		memory_port_receive(&b->port, 60, 1);
		SERVE_UNTIL(b, stat_of(b, "handles") == 0);
		assert_int_equal(b->port.sent, i + 1);
		close(fd);
	}
}

static void strange_messages_do_no_harm(void **state)
{
	struct bench *b = *state;
	static uint8_t big[150000];
	const struct scheme_status *status;
	int fd = open_frames(b, O_RDWR, &status);
	int pipes[2];

	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(send(fd, big, 0, 0), 0); /* empty ones are nothing */
	}
	assert_int_equal(write(fd, big, 3000), 3000);
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	/* Descriptors are refused, by Linux before 6.16 closed; test_closer.c has more of them. */
	assert_int_equal(pipe(pipes), 0);
	struct iovec iov = {big, 60};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int))}};
	memcpy(CMSG_DATA(&control.head), &pipes[1], sizeof(int));
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t sent = -1;
	SERVE_UNTIL(b, (sent = sendmsg(fd, &msg, MSG_DONTWAIT)) == 60 || errno == EPERM);
	if (sent < 0) {
		SERVE_UNTIL(b, write(fd, big, 60) == 60);
	}
	close(pipes[1]);
	SERVE_UNTIL(b, status->sent == 1);
	assert_int_equal(status->refused, 2);
	assert_int_equal(status->error, -EMSGSIZE);
	assert_true(can_read(pipes[0]));
	assert_int_equal(read(pipes[0], big, 1), 0); /* nobody holds the other end */
	close(pipes[0]);
	scheme_unmap_status(status);
	close(fd);
}

static void requests_are_judged(void **state)
{
	struct bench *b = *state;
	struct scheme_request r, long_request[2];
	int fd;

	struct {
		struct scheme_request request;
		size_t len;
		int error;
	} bad[] = {
		{good_request(), sizeof(r) - 1, -EPROTO},
		{good_request(), 1, -EPROTO},
		{good_request(), sizeof(r), -EPROTO}, /* magic */
		{good_request(), sizeof(r), -EPROTO}, /* version */
		{good_request(), sizeof(r), -EPROTO}, /* reserved */
		{good_request(), sizeof(r), -EINVAL}, /* path_len */
		{good_request(), sizeof(r), -EINVAL}, /* flags */
		{good_request(), sizeof(r), -EINVAL},
		{good_request(), sizeof(r), -EINVAL}, /* path: longer than it says */
		{good_request(), sizeof(r), -EINVAL}, /* without a slash */
		{good_request(), sizeof(r), -EINVAL}, /* does not print */
		{good_request(), sizeof(r), -EINVAL}, /* a NUL inside */
		{good_request(), sizeof(r), -ENOENT},
	};
	bad[2].request.magic++;
	bad[3].request.version += 2;
	bad[4].request.reserved = 1;
	memset(bad[5].request.path, '/', SCHEME_PATH_MAX);
	bad[5].request.path_len = SCHEME_PATH_MAX;
	bad[6].request.flags = 0;
	bad[7].request.flags = 4 | SCHEME_READ;
	strcpy(bad[8].request.path, "/mac");
	strcpy(bad[9].request.path, "mac");
	bad[9].request.path_len = 3;
	strcpy(bad[10].request.path, "/m\tc");
	bad[10].request.path_len = 4;
	memcpy(bad[11].request.path, "/ma\0c", 5);
	bad[11].request.path_len = 5;
	memset(bad[12].request.path, '/', SCHEME_PATH_MAX - 1);
	bad[12].request.path_len = SCHEME_PATH_MAX - 1;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = dial(b);
		assert_int_equal(shake(b, fd, &bad[i].request, bad[i].len), bad[i].error);
		assert_end(fd);
		close(fd);
	}
	memset(long_request, 0, sizeof(long_request));
	long_request[0] = good_request();
	fd = dial(b);
	assert_int_equal(shake(b, fd, long_request, sizeof(r) + 1), -EPROTO);
	assert_end(fd);
	close(fd);
	fd = dial(b);
	assert_int_equal(shake(b, fd, &r, 0), -EPROTO); /* an empty message */
	close(fd);
	assert_int_equal(b->let_in, 1); /* of these only the path that is not there */
	r = good_request();
	fd = dial(b);
	assert_int_equal(shake(b, fd, &r, sizeof(r)), 0);
	close(fd);
	fd = dial(b); /* leaves before it is heard */
	close(fd);
	serve(b);
	SERVE_UNTIL(b, stat_of(b, "handles") == 0);
}

/* Silence is answered, and holds nobody up; of those that wait there are at most 64. */
static void the_silent_are_few_and_end(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = good_request();
	int fds[64];

	assert_int_equal(scheme_registrar_timeout(b->registrar), -1);
	for (unsigned i = 0; i < 64; i++) {
		fds[i] = dial(b);
		serve(b);
	}
	int ms = scheme_registrar_timeout(b->registrar);
	assert_true(ms >= 0 && ms <= 2000);
	int late = dial(b);
	assert_int_equal(send(late, &request, sizeof(request), 0), sizeof(request));
	serve(b);
	serve(b);
	assert_false(can_read(scheme_registrar_fd(b->registrar))); /* no busy waiting either */
	assert_int_equal(b->let_in, 0);
	close(fds[63]);
	SERVE_UNTIL(b, can_read(late));
	assert_int_equal(b->let_in, 1);
	close(late);
	for (unsigned i = 0; i < 63; i++) {
		struct scheme_reply reply = {0};
		SERVE_UNTIL(b, can_read(fds[i]));
		assert_int_equal(recv(fds[i], &reply, sizeof(reply), 0), sizeof(reply));
		assert_int_equal(reply.error, -ETIMEDOUT);
		assert_end(fds[i]);
		close(fds[i]);
	}
	assert_int_equal(scheme_registrar_timeout(b->registrar), -1);
}

/* The handles are all taken: one more is told so, and one that closes makes room. */
static void too_many_are_told(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = good_request();
	static int fds[SCHEME_MAX_HANDLES];

	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		fds[i] = dial(b);
		assert_int_equal(shake(b, fds[i], &request, sizeof(request)), 0);
	}
	int fd = dial(b);
	assert_int_equal(shake(b, fd, &request, sizeof(request)), -EMFILE);
	assert_end(fd);
	close(fd);
	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		close(fds[i]);
	}
	SERVE_UNTIL(b, stat_of(b, "handles") == 0);
}

/* --- who may --- */

static int become_nobody(const gid_t *groups, size_t n)
{
	return setgroups(n, groups) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ? -1 : 0;
}

static int nobody_opens(void)
{
	if (become_nobody(NULL, 0) < 0) {
		return 100;
	}
	int fd = scheme_open("network:", O_RDONLY, NULL);
	return fd >= 0 ? 0 : -fd;
}

static int member_opens(void)
{
	static const gid_t groups[] = {4711, 4242};

	if (become_nobody(groups, 2) < 0) {
		return 100;
	}
	int fd = scheme_open("network:", O_RDONLY, NULL);
	return fd >= 0 ? 0 : -fd;
}

static int page_descriptor(int fd, const struct scheme_request *request);

/* Given its page, another user can neither map nor open it to write. */
static int nobody_forges(void)
{
	struct scheme_request request = good_request();
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[64];

	snprintf(
		addr.sun_path, sizeof(addr.sun_path), "%.80s/network/" NAME, getenv("SCHEME_ROOT"));
	if (become_nobody(NULL, 0) < 0) {
		return 100;
	}
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		return 101;
	}
	int page = page_descriptor(fd, &request);
	if (page < 0) {
		return 102;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", page);
	if (open(path, O_RDWR) >= 0 || errno != EACCES) {
		return 103;
	}
	return fchmod(page, 0666) < 0 && errno == EPERM ? 0 : 104;
}

/* These need another user; as an ordinary one there is only "our own", which all others here are.
 */
static void credentials_decide(void **state)
{
	struct bench *b = *state;
	const struct scheme_access group = {.group = 4242};
	const struct scheme_access anyone = {.anyone = true, .group = (gid_t)-1};

	if (getuid() != 0) {
		return;
	}
	assert_int_equal(in_child(b, nobody_opens), EACCES);
	assert_int_equal(in_child(b, member_opens), EACCES);
	assert_int_equal(b->let_in, 0);
	stop(b);
	start(b, NAME, &group);
	assert_int_equal(in_child(b, nobody_opens), EACCES);
	assert_int_equal(in_child(b, member_opens), 0);
	assert_int_equal(b->last.uid, NOBODY);
	stop(b);
	start(b, NAME, &anyone);
	assert_int_equal(in_child(b, nobody_opens), 0);
	assert_int_equal(in_child(b, nobody_forges), 0);
}

/* Sends a request, and returns the descriptor that comes with the reply. */
static int page_descriptor(int fd, const struct scheme_request *request)
{
	struct scheme_reply reply;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&reply, sizeof(reply)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int page;

	if (request != NULL && send(fd, request, sizeof(*request), 0) < 0) {
		return -1;
	}
	if (recvmsg(fd, &msg, 0) != sizeof(reply) || reply.error != 0 ||
		CMSG_FIRSTHDR(&msg) == NULL) {
		return -1;
	}
	memcpy(&page, CMSG_DATA(&control.head), sizeof(page));
	return page;
}

static void pages_are_read_only(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = good_request();
	int fd = dial(b);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	SERVE_UNTIL(b, can_read(fd));
	int page = page_descriptor(fd, NULL);
	assert_true(page >= 0);
	assert_int_equal(fcntl(page, F_GET_SEALS), seals);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_int_equal(ftruncate(page, 0), -1);
	assert_int_equal(write(page, "x", 1), -1);
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, page, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(((const struct scheme_status *)at)->present, 1);
	assert_int_equal(mprotect(at, 4096, PROT_READ | PROT_WRITE), -1);
	munmap(at, 4096);
	close(page);
	close(fd);
}

/* --- the end --- */

static void the_end_is_read_by_all(void **state)
{
	struct bench *b = *state;
	uint8_t data[2048];
	const struct scheme_status *status;
	int reader = open_frames(b, O_RDWR, &status);
	int kept = dup(b->last.fd); /* as pcid has one: the connection ends all the same */
	int mac = open_url(b, "network:/mac", O_RDONLY, NULL);
	int silent = dial(b);

	serve(b);
	memory_port_receive(&b->port, 60, 1);
	SERVE_UNTIL(b, can_read(reader));
	b->port.limit = 0;
	for (unsigned i = 0; i < 10; i++) {
		write_frame(reader, 60, 1); /* unread by the driver: no reset */
	}
	stop(b);
	assert_int_equal(read(reader, data, sizeof(data)), 60); /* what was sent is still there */
	assert_end(reader);
	assert_int_equal(read(mac, data, sizeof(data)), 6);
	assert_end(mac);
	assert_int_equal(status->present, 0);
	assert_int_equal(scheme_write(reader, NULL, data, 60), -EPIPE);
	assert_int_equal(scheme_open("network:", O_RDONLY, NULL), -ENOENT);
	struct scheme_reply reply = {0};
	assert_int_equal(recv(silent, &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply.error, -ENODEV);
	assert_end(silent);
	scheme_unmap_status(status);
	close(reader);
	close(kept);
	close(mac);
	close(silent);
}

/* A write that waits for its verdict ends with the driver. */
static void waiting_ends_with_the_driver(void **state)
{
	struct bench *b = *state;
	struct setting s = {.text = "1400"};
	pthread_t thread;

	s.fd = open_url(b, "network:/mtu", O_WRONLY, &s.status);
	serve(b);
	assert_int_equal(pthread_create(&thread, NULL, set_thread, &s), 0);
	while (!can_read(scheme_linux_fd(b->transport))) {
	}
	stop(b); /* without a round: the value is not looked at */
	pthread_join(thread, NULL);
	assert_int_equal(s.result, -EPIPE);
	scheme_unmap_status(s.status);
	close(s.fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_end),
		TEST(opening_says_why_not),
		TEST(flags_are_honoured),
		TEST(dead_sockets_are_passed_over),
		TEST(long_folders_work),
		TEST(frames_go_out_and_come_back),
		TEST(large_frames_move),
		TEST(large_frames_wait),
		TEST(bursts_move_many),
		TEST(writes_tell_what_they_came_to),
		TEST(values_are_set_with_a_verdict),
		TEST(clients_share_frames),
		TEST(single_frames_are_shared),
		TEST(a_slow_client_holds_nobody_up),
		TEST(a_flood_has_its_share),
		TEST(the_server_sleeps_when_it_can),
		TEST(values_wait_for_no_buffer),
		TEST(taps_wake_the_server),
		TEST(a_killed_client_is_cleared_away),
		TEST(a_killed_reader_is_cleared_away),
		TEST(half_closed_is_closed),
		TEST(strange_messages_do_no_harm),
		TEST(requests_are_judged),
		TEST(the_silent_are_few_and_end),
		TEST(too_many_are_told),
		TEST(credentials_decide),
		TEST(pages_are_read_only),
		TEST(the_end_is_read_by_all),
		TEST(waiting_ends_with_the_driver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
