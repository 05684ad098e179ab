/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a plain descriptor does not do: say why a frame cannot be sent, wait for what became of a
 * value, and move many frames by one system call.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "scheme/frame.h"
#include "scheme/scheme.h"
#include "scheme/socket.h"

#define VERDICT_MS 2000

int scheme_judge(const struct scheme_status *status, const void *frame, size_t len)
{
	int ret = scheme_frame_check(
		frame, len, atomic_load_explicit(&status->mtu, memory_order_relaxed));

	if (ret == 0 && atomic_load_explicit(&status->link_up, memory_order_relaxed) == 0) {
		ret = -ENETDOWN;
	}
	if (ret == 0 && atomic_load_explicit(&status->owned, memory_order_relaxed) != 0) {
		ret = -EBUSY;
	}
	return ret;
}

/* Waits until the driver has dealt with one write more than `before`. */
static int verdict(int fd, const struct scheme_status *status, uint32_t before)
{
	struct pollfd hung_up = {.fd = fd};
	long deadline = scheme_now() + VERDICT_MS;

	/* Acquire, with the driver's release of `writes`: its `error` was stored ahead of it. */
	while (atomic_load_explicit(&status->writes, memory_order_acquire) == before) {
		long left = deadline - scheme_now();
		struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

		/* Not by `present`: a driver that died is followed by another. */
		if (poll(&hung_up, 1, 0) == 1) {
			return -EPIPE;
		}
		if (left <= 0) {
			return -ETIMEDOUT;
		}
		syscall(SYS_futex, &status->writes, FUTEX_WAIT, before, &limit, NULL, 0);
	}
	return atomic_load_explicit(&status->error, memory_order_relaxed);
}

static bool is_value(const struct scheme_status *status)
{
	return status != NULL && atomic_load_explicit(&status->value, memory_order_relaxed) != 0;
}

/* A driver that left without reading what was written is a reset. */
static int error_of_socket(void)
{
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static ssize_t write_value(int fd, const struct scheme_status *status, const void *data, size_t len)
{
	uint32_t before = atomic_load_explicit(&status->writes, memory_order_relaxed);

	if (len == 0) {
		return -EINVAL; /* an empty message would be no write */
	}
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
	if (n < 0) {
		return error_of_socket();
	}
	int ret = verdict(fd, status, before);
	return ret < 0 ? ret : n;
}

ssize_t scheme_write(int fd, const struct scheme_status *status, const void *data, size_t len)
{
	if (is_value(status)) {
		return write_value(fd, status, data, len);
	}
	int ret = status != NULL ? scheme_judge(status, data, len) : 0;
	if (ret < 0) {
		return ret;
	}
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
	return n < 0 ? error_of_socket() : n;
}

int scheme_write_burst(
	int fd, const struct scheme_status *status, const struct iovec *frames, unsigned n)
{
	struct mmsghdr messages[SCHEME_BURST] = {0};
	int ret = 0;
	unsigned good = 0;

	if (is_value(status)) {
		return -EINVAL;
	}
	for (; good < n && good < SCHEME_BURST; good++) {
		const struct iovec *frame = &frames[good];
		ret = status != NULL ? scheme_judge(status, frame->iov_base, frame->iov_len) : 0;
		if (ret < 0) {
			break;
		}
		messages[good].msg_hdr.msg_iov = (struct iovec *)(uintptr_t)frame;
		messages[good].msg_hdr.msg_iovlen = 1;
	}
	if (good == 0) {
		return ret;
	}
	ret = sendmmsg(fd, messages, good, MSG_NOSIGNAL);
	return ret < 0 ? error_of_socket() : ret;
}

int scheme_read_burst(int fd, struct iovec *frames, unsigned n)
{
	struct mmsghdr messages[SCHEME_BURST] = {0};
	unsigned got = 0;

	if (n > SCHEME_BURST) {
		n = SCHEME_BURST;
	}
	for (unsigned i = 0; i < n; i++) {
		messages[i].msg_hdr.msg_iov = &frames[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int ret;
	do { /* a reset is reported ahead of what was sent before it */
		ret = recvmmsg(fd, messages, n, MSG_WAITFORONE, NULL);
	} while (ret < 0 && errno == ECONNRESET);
	if (ret < 0) {
		return -errno;
	}
	/* Behind the last frame of a driver that left, empty messages are received without end. */
	while (got < (unsigned)ret && messages[got].msg_len > 0) {
		frames[got].iov_len = messages[got].msg_len;
		got++;
	}
	return (int)got;
}
