/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a driver that answers anything to a program that opens a scheme: its reply, the
 * descriptors with it, the status page, the indices of rings, frames of any length. Each call ends,
 * nothing leaks, buffers come back in the order in which they were provided and no length is beyond
 * one.
 *
 * The driver has its turn whenever the program waits (poll, futex), which is when time passes, too.
 * The input's first bytes are what the program does, four each; the rest is the driver's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "program.h"
#include "scheme/ring.h"
#include "scheme/ring_layout.h"
#include "scheme/scheme.h"
#include "scheme/socket.h"
#include "scheme/wire.h"

#define SIZE      64u /* of each ring */
#define BURST     32u
#define WAITS_MAX 10000u /* in one input: a wait that does not end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct driver {
	struct program program;
	uint64_t ns;
	unsigned waits;
	int listener, client;
	struct scheme_status *page; /* its own mapping; NULL: none was handed over */
	uint8_t *rings;             /* the client's memory */
	size_t rings_size;
} driver;

static char folder[] = "/tmp/fuzz_client.XXXXXX";

/* --- the driver --- */

static int make_page(struct driver *d, uint32_t how)
{
	size_t size = how & 1 ? word(&d->program, 2) : SCHEME_STATUS_SIZE;
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		abort();
	if (!(how & 2) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		abort();
	if (size == SCHEME_STATUS_SIZE && !(how & 2)) {
		d->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (d->page == MAP_FAILED)
			abort();
		d->page->mtu = 1500;
		d->page->link_up = 1;
	}
	return fd;
}

/* The rings of a request, if there are any. */
static void take_rings(struct driver *d, struct msghdr *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fd[SCHEME_REQUEST_FDS];
	struct stat st;

	if (!c)
		return;
	if (c->cmsg_len != CMSG_LEN(sizeof(fd)))
		abort();
	memcpy(fd, CMSG_DATA(c), sizeof(fd));
	if (fstat(fd[SCHEME_FD_RINGS], &st) || st.st_size <= 0)
		abort();
	d->rings_size = (size_t)st.st_size;
	d->rings = mmap(
		NULL, d->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd[SCHEME_FD_RINGS], 0);
	if (d->rings == MAP_FAILED)
		abort();
	for (unsigned i = 0; i < SCHEME_REQUEST_FDS; i++)
		close(fd[i]);
}

static void hear(struct driver *d)
{
	struct scheme_request request;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(SCHEME_REQUEST_FDS * sizeof(int))];
	} control;
	struct iovec part = {&request, sizeof(request)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	/* What a client sends is in order. */
	if (recvmsg(d->client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(request) ||
		scheme_request_check(&request, sizeof(request)) != 0)
		abort();
	take_rings(d, &message);
}

static void reply(struct driver *d)
{
	struct {
		struct scheme_reply reply;
		uint8_t more[8];
	} out = {.reply = {.magic = SCHEME_MAGIC}};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec part = {&out, sizeof(out.reply)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	uint32_t how = word(&d->program, 1);
	unsigned fds = how & 1 ? word(&d->program, 1) % 5 : 1;
	int fd[4] = {-1, -1, -1, -1};

	if (how & 2)
		out.reply.error = (int32_t)word(&d->program, 4);
	if (how & 4)
		out.reply.magic ^= 1;
	if (how & 8)
		part.iov_len = word(&d->program, 1) % sizeof(out);
	for (unsigned i = 0; i < fds; i++)
		fd[i] = i ? dup(STDERR_FILENO) : make_page(d, how >> 4);
	if (fds) {
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), fd, fds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
	}
	(void)sendmsg(d->client, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (unsigned i = 0; i < fds; i++)
		close(fd[i]);
}

/* What it can write to while the handle is open. */
static void scribble(struct driver *d, uint32_t what)
{
	struct ring_driver *indices = d->page ? ring_driver_of(d->page) : NULL;
	uint32_t where = word(&d->program, 2), value;

	switch (what) {
	case 0:
		if (indices)
			indices->rx_returned += where & 0xff;
		break;
	case 1:
		if (indices)
			indices->tx_done += where & 0xff;
		break;
	case 2:
		if (indices)
			indices->sleeps = where;
		break;
	case 3:
		value = word(&d->program, 4);
		if (d->page)
			((_Atomic uint32_t *)(void *)d->page)[where % 1024] = value;
		break;
	default:
		value = word(&d->program, 4);
		if (d->rings)
			((_Atomic uint32_t *)(void *)d->rings)[where % (d->rings_size / 4)] = value;
	}
}

static void act(struct driver *d)
{
	static uint8_t frame[SCHEME_FRAME_MAX + 100];
	uint32_t what = word(&d->program, 1);

	if (d->program.at == d->program.end)
		return;
	switch (what % 8) {
	case 5:
		(void)send(d->client, frame, word(&d->program, 2) % sizeof(frame),
			MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 6: (void)recv(d->client, frame, sizeof(frame), MSG_DONTWAIT); break;
	case 7:
		if (what >= 0xf0) {
			shutdown(d->client, SHUT_RDWR);
			break;
		}
		if (d->page)
			d->page->writes++;
		break;
	default: scribble(d, what % 8);
	}
}

/* The program waits. */
static void turn(struct driver *d)
{
	if (++d->waits > WAITS_MAX)
		abort();
	if (d->client < 0) {
		d->client = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
		if (d->client < 0)
			return;
		hear(d);
		if (word(&d->program, 1) < 0xf0)
			reply(d);
		else
			shutdown(d->client, SHUT_RDWR);
		return;
	}
	act(d);
}

/* --- where the program waits --- */

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	int found;

	turn(&driver);
	found = __real_poll(fds, n, 0);
	if (found == 0 && ms > 0)
		driver.ns += (uint64_t)ms * 1000000;
	return found;
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number != SYS_futex)
		return __real_syscall(number, a, b, c, d, e, f);
	turn(&driver);
	driver.ns += 500000000;
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	driver.ns += 1000;
	*now = (struct timespec){(time_t)(driver.ns / 1000000000), (long)(driver.ns % 1000000000)};
	return 0;
}

/* --- the program: a plain handle --- */

static void plain(const char *url, const uint8_t (*acts)[4], unsigned n)
{
	static uint8_t data[SCHEME_FRAME_MAX + 100];
	const struct scheme_status *status = NULL;
	int fd = scheme_open(url, O_RDWR | O_NONBLOCK | O_CLOEXEC, &status);

	if (fd < 0) {
		if (fd < -4095 || status || !scheme_strerror(fd)[0])
			abort();
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *what = acts[i];
		size_t len = (what[2] | (size_t)what[3] << 8) % sizeof(data);
		struct iovec frames[3] = {{data, len}, {data, 60}, {data, sizeof(data)}};
		int got;

		switch (what[0] % 4) {
		case 0:
			if (scheme_write(fd, status, data, len) > (ssize_t)len)
				abort();
			break;
		case 1:
			if (scheme_write_burst(fd, status, frames, 3) > 3)
				abort();
			break;
		case 2:
			got = scheme_read_burst(fd, frames, 3);
			if (got > 3 || (got > 0 && frames[got - 1].iov_len > sizeof(data)))
				abort();
			break;
		default: turn(&driver);
		}
	}
	scheme_unmap_status(status);
	close(fd);
}

/* --- with rings --- */

/* What was provided and did not come back, in its order. */
struct queue {
	uint32_t offset[2 * SIZE];
	uint32_t head, tail;
};

static void put(struct queue *q, uint32_t offset)
{
	q->offset[q->tail++ % (2 * SIZE)] = offset;
}

static void expect(struct queue *q, uint32_t offset)
{
	if (q->head == q->tail || q->offset[q->head++ % (2 * SIZE)] != offset)
		abort();
}

static void verb(struct scheme_ring *ring, struct queue *rx, struct queue *tx, const uint8_t *what)
{
	struct scheme_frame frames[BURST];
	uint32_t offsets[BURST];
	size_t n = 1 + what[1] % BURST, done;

	switch (what[0] % 6) {
	case 0:
		for (size_t i = 0; i < n; i++)
			offsets[i] = scheme_ring_buffer((uint32_t)(what[2] + i) % SIZE);
		done = scheme_ring_rx_provide(ring, offsets, n);
		for (size_t i = 0; i < done; i++)
			put(rx, offsets[i]);
		break;
	case 1:
		done = scheme_ring_rx_return(ring, frames, n);
		for (size_t i = 0; i < done; i++) {
			expect(rx, frames[i].offset);
			if (frames[i].len > SCHEME_RING_BUFFER)
				abort();
		}
		break;
	case 2:
		for (size_t i = 0; i < n; i++)
			frames[i] = (struct scheme_frame){
				scheme_ring_buffer(SIZE + (uint32_t)(what[2] + i) % SIZE), 60,
				what[3] >> i % 8 & 1};
		done = scheme_ring_tx_provide(ring, frames, n);
		for (size_t i = 0; i < done; i++)
			put(tx, frames[i].offset);
		break;
	case 3:
		done = scheme_ring_tx_return(ring, offsets, n);
		for (size_t i = 0; i < done; i++)
			expect(tx, offsets[i]);
		break;
	case 4: (void)scheme_ring_wait(ring, what[1] & 3, what[2] % 4); return;
	default: turn(&driver); return;
	}
	if (done > n)
		abort();
}

static void ringed(const char *url, const uint8_t (*acts)[4], unsigned n)
{
	static const struct scheme_ring_options options = {
		.memory = -1, .rx_size = SIZE, .tx_size = SIZE};
	static struct queue rx, tx;
	struct scheme_ring *ring;
	int ret = scheme_open_ring(url, O_RDWR | O_CLOEXEC, &options, &ring);

	if (ret < 0)
		return;
	rx.head = rx.tail = tx.head = tx.tail = 0;
	for (unsigned i = 0; i < n; i++) {
		verb(ring, &rx, &tx, acts[i]);
		if (scheme_ring_rx_held(ring) != rx.tail - rx.head ||
			scheme_ring_tx_held(ring) != tx.tail - tx.head ||
			rx.tail - rx.head > SIZE || tx.tail - tx.head > SIZE)
			abort();
	}
	scheme_ring_close(ring);
}

/* --- before and after --- */

static void clean(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/network/card", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/network", folder);
	rmdir(path);
	rmdir(folder);
}

static void prepare(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[64];

	if (!mkdtemp(folder) || setenv("SCHEME_ROOT", folder, 1))
		abort();
	snprintf(path, sizeof(path), "%s/network", folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/network/card", folder);
	driver.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (mkdir(path, 0700) || driver.listener < 0 ||
		bind(driver.listener, (const struct sockaddr *)&address, sizeof(address)) ||
		listen(driver.listener, 4))
		abort();
	atexit(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t(*acts)[4] = (const void *)(data + 1);
	unsigned n;
	int before;

	if (!driver.listener)
		prepare();
	if (size < 1)
		return 0;
	n = data[0] % 64u;
	if (size < 1 + 4 * (size_t)n)
		return 0;
	driver = (struct driver){.program = {data + 1 + 4 * (size_t)n, data + size},
		.listener = driver.listener,
		.client = -1};
	before = lowest_free();
	if (data[0] & 0x80)
		ringed("network:card", acts, n);
	else
		plain(data[0] & 0x40 ? "network:card/mtu" : "network:", acts, n);
	if (driver.client >= 0)
		close(driver.client);
	if (driver.page)
		munmap(driver.page, SCHEME_STATUS_SIZE);
	if (driver.rings)
		munmap(driver.rings, driver.rings_size);
	if (lowest_free() != before)
		abort();
	return 0;
}
