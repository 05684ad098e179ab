/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The process that receives, and its owner's side of the socket between the two. An order and its
 * descriptor come in one message. To TAKE there is an answer, with the memory; of what is to be
 * closed the owner says when it has closed its own descriptor, so that the last one is here.
 */
#include "scheme/receiver.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scheme/closer.h"
#include "scheme/rings_linux.h"
#include "scheme/socket.h"

#define RIGHTS_MAX 253 /* descriptors that a message can have (Linux's SCM_MAX_FD) */
#define ANSWER_S   10  /* for a process that waits for nobody */

enum order { TAKE, CLOSE, HANG_UP };

struct answer {
	int32_t error;
	struct scheme_request request;
};

struct receiver {
	int channel;           /* -1: the process is gone */
	atomic_uint *unclosed; /* shared with it */
};

/* --- messages --- */

static int send_with(int fd, const void *data, size_t len, const int *fds, size_t n)
{
	int ret;

	do {
		ret = scheme_send_with(fd, data, len, fds, n, 0);
	} while (ret == -EINTR);
	return ret;
}

/* Receives a message with all descriptors that came along. There is room for as many as there can
 * be: what has none the kernel closes at once, here. Returns its length; -errno.
 */
static ssize_t receive_with(
	int fd, void *data, size_t len, int flags, int fds[RIGHTS_MAX], unsigned *count)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	*count = 0;
	do {
		n = recvmsg(fd, &msg, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return -errno;
	}
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *count * sizeof(int));
	}
	return n;
}

/* --- the process --- */

static int judge(const struct scheme_request *request, size_t len, const int *fds, unsigned count)
{
	int ret = scheme_request_check(request, len);

	if (ret < 0 || !scheme_request_has_rings(request)) {
		return ret;
	}
	return count == SCHEME_REQUEST_FDS ? scheme_rings_judge(request, fds) : -EINVAL;
}

/* receiver_take(), where what is not handed back can be closed. */
static int take(struct closer *closer, int connection, struct scheme_request *request,
	int ring_fds[SCHEME_REQUEST_FDS])
{
	int fds[RIGHTS_MAX];
	unsigned count;
	ssize_t n = receive_with(connection, request, sizeof(*request), MSG_DONTWAIT, fds, &count);
	int ret = n < 0 ? (int)n : judge(request, (size_t)n, fds, count);

	if (ret == 0 && scheme_request_has_rings(request)) {
		memcpy(ring_fds, fds, SCHEME_REQUEST_FDS * sizeof(fds[0]));
		return 0;
	}
	while (count > 0) {
		closer_close(closer, fds[--count]);
	}
	return ret;
}

static int answer(struct closer *closer, int channel, int connection)
{
	struct answer a = {.error = 0};
	int ring_fds[SCHEME_REQUEST_FDS] = {-1, -1};

	a.error = take(closer, connection, &a.request, ring_fds);
	close(connection); /* the owner has it, too */
	unsigned n = ring_fds[0] < 0 ? 0 : SCHEME_REQUEST_FDS;
	int ret = send_with(channel, &a, sizeof(a), ring_fds, n);
	while (n > 0) {
		close(ring_fds[--n]); /* memfds, and not the last of them */
	}
	return ret;
}

/* The next order; false: there will be none. */
static bool obey(struct closer *closer, int channel)
{
	enum order order;
	int fds[RIGHTS_MAX];
	unsigned count;
	char closed;

	if (receive_with(channel, &order, sizeof(order), 0, fds, &count) != sizeof(order)) {
		return false;
	}
	if (count != 1) { /* the kernel had no number for it */
		return false;
	}
	if (order == TAKE) {
		return answer(closer, channel, fds[0]) == 0;
	}
	(void)recv(channel, &closed, sizeof(closed), 0);
	if (order == HANG_UP) {
		closer_hang_up(closer, fds[0]);
	} else {
		closer_close(closer, fds[0]);
	}
	return true;
}

/* Nothing of its owner's is left here but memory: nothing that it closes stays open by this. */
__attribute__((noreturn)) static void run(int channel, atomic_uint *unclosed)
{
	struct closer *closer;
	sigset_t all;

	sigfillset(&all); /* what stops its owner stops this by the channel alone */
	sigprocmask(SIG_SETMASK, &all, NULL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (channel > 0) {
		(void)close_range(0, (unsigned)channel - 1, 0);
	}
	(void)close_range((unsigned)channel + 1, ~0u, 0);
	(void)prctl(PR_SET_NAME, "scheme-receiver"); /* from here on it is one */
	if (closer_create(&closer, unclosed) == 0) {
		while (obey(closer, channel)) {
		}
		closer_destroy(closer);
	}
	_exit(0);
}

/* --- its owner --- */

static int start(struct receiver *r)
{
	static const struct timeval limit = {.tv_sec = ANSWER_S};
	int ends[2];
	int ret;

	void *shared = mmap(NULL, sizeof(*r->unclosed), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		return -errno;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		ret = -errno;
		goto fail_socketpair;
	}
	(void)setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	pid_t pid = fork();
	if (pid == 0) {
		run(ends[1], shared);
	}
	if (pid < 0) {
		ret = -errno;
		goto fail_fork;
	}
	close(ends[1]);
	r->channel = ends[0];
	r->unclosed = shared;
	return 0;

fail_fork:
	close(ends[0]);
	close(ends[1]);
fail_socketpair:
	munmap(shared, sizeof(*r->unclosed));
	return ret;
}

static void leave(struct receiver *r)
{
	if (r->channel >= 0) {
		close(r->channel);
		munmap(r->unclosed, sizeof(*r->unclosed));
	}
	r->channel = -1;
}

int receiver_create(struct receiver **out)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		return -ENOMEM;
	}
	int ret = start(r);
	if (ret < 0) {
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void receiver_destroy(struct receiver *r)
{
	leave(r);
	free(r);
}

/* What fails is tried once more, with another process. */
static int tell(struct receiver *r, enum order order, int fd)
{
	int ret = -EPIPE;

	for (unsigned tries = 0; ret < 0 && tries < 2; tries++) {
		ret = r->channel < 0 ? start(r) : 0;
		if (ret == 0) {
			ret = send_with(r->channel, &order, sizeof(order), &fd, 1);
		}
		if (ret < 0) {
			leave(r);
		}
	}
	return ret;
}

static int ask(struct receiver *r, int connection, struct scheme_request *request,
	int ring_fds[SCHEME_REQUEST_FDS])
{
	struct answer a;
	int fds[RIGHTS_MAX];
	unsigned count;

	if (tell(r, TAKE, connection) < 0) {
		return -EIO;
	}
	if (receive_with(r->channel, &a, sizeof(a), 0, fds, &count) != sizeof(a)) {
		leave(r);
		return -EIO;
	}
	*request = a.request;
	memcpy(ring_fds, fds, count * sizeof(fds[0]));
	return a.error;
}

int receiver_take(struct receiver *r, int connection, struct scheme_request *request,
	int ring_fds[SCHEME_REQUEST_FDS])
{
	struct msghdr msg = {0};

	for (size_t i = 0; i < SCHEME_REQUEST_FDS; i++) {
		ring_fds[i] = -1;
	}
	/* A look that takes nothing: whether descriptors came along. */
	if (recvmsg(connection, &msg, MSG_PEEK | MSG_DONTWAIT) < 0) {
		return -errno;
	}
	return (msg.msg_flags & MSG_CTRUNC) != 0 ? ask(r, connection, request, ring_fds)
						 : take(NULL, connection, request, ring_fds);
}

/* The owner's descriptor is not the last one: nothing is waited for. */
static void give(struct receiver *r, enum order order, int fd)
{
	if (tell(r, order, fd) == 0) {
		close(fd);
		(void)send(r->channel, "", 1, MSG_NOSIGNAL);
	}
}

void receiver_close(struct receiver *r, int fd)
{
	give(r, CLOSE, fd);
}

void receiver_hang_up(struct receiver *r, int fd)
{
	shutdown(fd, SHUT_RDWR);
	give(r, HANG_UP, fd);
}

bool receiver_full(const struct receiver *r)
{
	return r->channel >= 0 &&
	       atomic_load_explicit(r->unclosed, memory_order_relaxed) >= CLOSER_ENOUGH;
}
