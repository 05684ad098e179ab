/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Clients whose descriptors take an hour to close hold nobody up: sockets with SO_LINGER and data
 * that their peer does not read. A test that waits for one is ended by SIGALRM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheme/closer.h"
#include "scheme/linux.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define NAME      "card"
#define LIMIT_S   50
#define HOUR_S    3600
#define MAX_FDS   253 /* of a message */
#define MAX_PEERS 400

struct bench {
	char root[256];
	struct scheme_registrar *registrar;
	int listener; /* TCP, whose peers do not read */
	unsigned peers;
	int peer[MAX_PEERS];
	unsigned let_in;
};

/* Of small buffers, and segments that fit into them: what is read is made room for at once. */
static int tcp_socket(void)
{
	const int least = 1, segment = 536;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)), 0);
	return fd;
}

static int set_up(void **state)
{
	const struct scheme_access only_us = {.group = (gid_t)-1};
	const struct sockaddr_in loopback = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *tmp = getenv("TMPDIR");
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->root, sizeof(b->root), "%s/closer-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->root));
	setenv("SCHEME_ROOT", b->root, 1);
	assert_int_equal(scheme_registrar_create(&b->registrar, NAME, &only_us), 0);
	b->listener = tcp_socket();
	assert_int_equal(
		bind(b->listener, (const struct sockaddr *)&loopback, sizeof(loopback)), 0);
	assert_int_equal(listen(b->listener, 8), 0);
	*state = b;
	alarm(LIMIT_S);
	return 0;
}

/* Whoever reads it comes to its end: its other end is closed. */
static void assert_closed(int peer)
{
	static char bytes[65536];
	struct pollfd p = {.fd = peer, .events = POLLIN};
	ssize_t n;

	do {
		assert_int_equal(poll(&p, 1, LIMIT_S * 1000), 1);
		n = read(peer, bytes, sizeof(bytes));
	} while (n > 0);
	assert_int_equal(n, 0);
	close(peer);
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	char path[400];

	scheme_registrar_destroy(b->registrar);
	for (unsigned i = 0; i < b->peers; i++) {
		assert_closed(b->peer[i]);
	}
	close(b->listener);
	snprintf(path, sizeof(path), "%s/network", b->root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(b->root), 0);
	free(b);
	alarm(0);
	return 0;
}

/* A descriptor whose close lasts an hour. */
static int lingering(struct bench *b)
{
	const struct linger hour = {.l_onoff = 1, .l_linger = HOUR_S};
	static const char bytes[65536];
	struct sockaddr_in at;
	socklen_t size = sizeof(at);
	int fd = tcp_socket();

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_true(b->peers < MAX_PEERS);
	b->peer[b->peers] = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(b->peer[b->peers++] >= 0);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
	}
	assert_int_equal(errno, EAGAIN);
	return fd;
}

static int dial(const struct bench *b)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/network/" NAME, b->root);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Sends a message with `n` times the descriptor, and closes that; errno, or 0. */
static int send_with(int fd, const void *data, size_t len, int passenger, unsigned n)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(n * sizeof(int))}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int))};

	for (unsigned i = 0; i < n; i++) {
		memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &passenger, sizeof(int));
	}
	int error = sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? errno : 0;
	close(passenger);
	return error;
}

static void serve(struct bench *b)
{
	struct scheme_client client;

	while (scheme_registrar_next(b->registrar, &client) == 1) {
		b->let_in++;
		assert_int_equal(scheme_answer(client.fd, 0, client.reader_fd), 0);
		scheme_registrar_hang_up(b->registrar, client.fd);
		close(client.status_fd);
		close(client.reader_fd);
	}
}

static bool can_read(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Serves until there is an answer, and returns the error in it. It may lie behind another: who sent
 * descriptors along, and was not read to the end, is told of that first.
 */
static int answer(struct bench *b, int fd)
{
	struct scheme_reply reply = {0};
	ssize_t n;

	while (!can_read(fd)) {
		serve(b);
	}
	do {
		n = recv(fd, &reply, sizeof(reply), 0);
	} while (n < 0 && errno == ECONNRESET);
	assert_int_equal(n, sizeof(reply));
	close(fd);
	return reply.error;
}

static struct scheme_request plain(void)
{
	struct scheme_request request;

	assert_int_equal(scheme_request_make(&request, "", SCHEME_READ), 0);
	return request;
}

static void assert_served(struct bench *b)
{
	struct scheme_request request = plain();
	int fd = dial(b);

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(answer(b, fd), 0);
}

static void what_came_with_a_request(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = plain(), rings;
	int fd;

	assert_int_equal(scheme_request_make_rings(&rings, "", SCHEME_READ, 64, 64), 0);
	fd = dial(b);
	assert_int_equal(send_with(fd, &request, sizeof(request), lingering(b), 1), 0);
	assert_int_equal(answer(b, fd), 0);
	for (unsigned n = 1; n <= 4; n++) {
		fd = dial(b);
		assert_int_equal(send_with(fd, &rings, sizeof(rings), lingering(b), n), 0);
		assert_int_equal(answer(b, fd), -EINVAL);
	}
	fd = dial(b);
	assert_int_equal(send_with(fd, "x", 1, lingering(b), MAX_FDS), 0);
	assert_int_equal(answer(b, fd), -EPROTO);
	assert_served(b);
}

/* As much as there may be, again and again: more than the process may have open. */
static void a_flood(void **state)
{
	struct bench *b = *state;
	struct scheme_request rings;

	assert_int_equal(scheme_request_make_rings(&rings, "", SCHEME_READ, 64, 64), 0);
	for (unsigned i = 0; i < 20; i++) {
		int fd = dial(b);

		assert_int_equal(send_with(fd, &rings, sizeof(rings), lingering(b), MAX_FDS), 0);
		assert_int_equal(answer(b, fd), -EINVAL);
	}
	assert_served(b);
}

/* Connections that end with messages in them that nobody has read. */
static void what_lies_unread(void **state)
{
	struct bench *b = *state;
	int hung_up = dial(b), left = dial(b);

	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(send_with(hung_up, "x", 1, lingering(b), 2), 0);
		assert_int_equal(send_with(left, "", 0, lingering(b), 2), 0);
	}
	close(left);
	assert_int_equal(answer(b, hung_up), -EPROTO);
	assert_served(b);
	/* Of who has not even been accepted tear_down() tells. */
	left = dial(b);
	assert_int_equal(send_with(left, "x", 1, lingering(b), 2), 0);
	close(left);
}

static bool knows_rights(void)
{
	int on = 1;
	socklen_t size = sizeof(on);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int ret = getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, &size);

	close(fd);
	return ret == 0;
}

/* Whoever is let in sends no descriptors to a driver, not even beforehand. */
static void rights_end_with_the_request(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = plain();
	struct scheme_client client;
	int fd = dial(b);

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(send_with(fd, "x", 1, lingering(b), 1), 0);
	assert_int_equal(answer(b, fd), -EPROTO);
	fd = dial(b);
	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_int_equal(answer(b, fd), -EPROTO);
	assert_int_equal(b->let_in, 0);
	fd = dial(b);
	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	while (scheme_registrar_next(b->registrar, &client) != 1) {
	}
	int error = send_with(fd, "x", 1, open("/dev/null", O_RDONLY | O_CLOEXEC), 1);
	scheme_registrar_hang_up(b->registrar, client.fd);
	close(client.status_fd);
	close(client.reader_fd);
	close(fd);
	if (!knows_rights()) { /* Linux before 6.16 */
		skip();
	}
	assert_int_equal(error, EPERM);
}

/* Without timers, which this limit forbids, nothing cuts a wait short. */
static int set_up_without_timers(void **state)
{
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	int ret = set_up(state);
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &before), 0);
	return ret;
}

/* All threads are held up: from then on nobody is heard, who would bring more, and nobody waited
 * for. When the peers have gone all goes on.
 */
static void too_much_to_close(void **state)
{
	struct bench *b = *state;
	struct scheme_request request = plain(), rings;
	int early, late, last;

	for (unsigned i = 0; i < CLOSER_ENOUGH - 1; i++) {
		scheme_registrar_close(b->registrar, lingering(b));
	}
	early = dial(b);
	while (scheme_registrar_timeout(b->registrar) < 0) {
		serve(b);
	}
	assert_int_equal(scheme_request_make_rings(&rings, "", SCHEME_READ, 64, 64), 0);
	last = dial(b);
	assert_int_equal(send_with(last, &rings, sizeof(rings), lingering(b), 1), 0);
	assert_int_equal(answer(b, last), -EINVAL);
	assert_int_equal(send(early, &request, sizeof(request), 0), sizeof(request));
	late = dial(b);
	assert_int_equal(send(late, &request, sizeof(request), 0), sizeof(request));
	for (unsigned i = 0; i < 10; i++) {
		serve(b);
		assert_true(scheme_registrar_timeout(b->registrar) >= 0);
		assert_false(can_read(scheme_registrar_fd(b->registrar)));
	}
	assert_int_equal(b->let_in, 0);
	while (b->peers > 0) {
		close(b->peer[--b->peers]);
	}
	assert_int_equal(answer(b, early), 0);
	assert_int_equal(answer(b, late), 0);
	assert_int_equal(b->let_in, 2);
}

/* Room for as many as can wait: none of them is lost. */
static void more_than_threads(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 2 * CLOSER_THREADS; i++) {
		scheme_registrar_close(b->registrar, lingering(b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_came_with_a_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_flood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_lies_unread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rights_end_with_the_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			too_much_to_close, set_up_without_timers, tear_down),
		cmocka_unit_test_setup_teardown(more_than_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
