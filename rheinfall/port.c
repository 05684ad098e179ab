/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A URL that is open for frames, and the little that is asked of its card beside them.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fail(struct failure *why, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return error;
}

void run_wait(const struct run *run, const struct awaited *awaited, size_t n, uint64_t until_ns)
{
	struct pollfd set[3];
	nfds_t used = 0;
	bool wait = true;
	for (size_t i = 0; i < n && i < 2; i++) {
		struct port *p = awaited[i].port;
		if (!awaited[i].events)
			continue;
		set[used++] = (struct pollfd){
			.fd = p->fd, .events = p->ring ? POLLIN : awaited[i].events};
		wait = !(p->ring && !ring_sleep(p, awaited[i].events)) && wait;
	}
	/* Once interrupted, it says nothing new: what is still waited for now is only stragglers.
	 */
	if (!*run->interrupted)
		set[used++] = (struct pollfd){.fd = run->wake_fd, .events = POLLIN};
	if (run->live.on)
		until_ns = least(until_ns, run->live.next_ns);

	uint64_t now = now_ns();
	uint64_t ns = until_ns > now ? until_ns - now : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
	/* Its result does not matter: all is non-blocking, and tried again. */
	if (wait)
		(void)ppoll(set, used, until_ns == UINT64_MAX ? NULL : &timeout, NULL);
	for (size_t i = 0; i < n && i < 2; i++)
		if (awaited[i].events && awaited[i].port->ring)
			ring_awake(awaited[i].port);
}

/* --- values --- */

static int value_url(const struct port *p, const char *path, char *url, size_t size)
{
	return snprintf(url, size, "%s%s", p->name, path) < (int)size ? 0 : -ENAMETOOLONG;
}

static ssize_t value_read(const struct port *p, const char *path, void *data, size_t size)
{
	char url[sizeof(p->name) + 16];
	int err = value_url(p, path, url, sizeof(url));
	int fd = err ? err : scheme_open(url, O_RDONLY | O_CLOEXEC, NULL);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, data, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

static int value_write(const struct port *p, const char *path, const char *text)
{
	char url[sizeof(p->name) + 16];
	const struct scheme_status *status;
	int err = value_url(p, path, url, sizeof(url));
	int fd = err ? err : scheme_open(url, O_WRONLY | O_CLOEXEC, &status);
	if (fd < 0)
		return fd;
	ssize_t n = scheme_write(fd, status, text, strlen(text));
	scheme_unmap_status(status);
	close(fd);
	return n < 0 ? (int)n : 0;
}

int port_mac(const struct port *p, uint8_t mac[6], struct failure *why)
{
	ssize_t n = value_read(p, "/mac", mac, 6);
	if (n < 0)
		return fail(why, (int)n, "%s/mac: %s", p->name, scheme_strerror((int)n));
	if (n != 6)
		return fail(why, -EPROTO, "%s/mac: %zd bytes instead of 6: not a network card's",
			p->name, n);
	return 0;
}

static int promisc_on(struct port *p)
{
	char was[2];
	ssize_t n = value_read(p, "/promisc", was, sizeof(was));
	if (n < 0)
		return (int)n;
	if (n > 0 && was[0] == '1')
		return 0;
	int err = value_write(p, "/promisc", "1\n");
	if (err && err != -EINTR) /* a signal: it may be on, and this program is about to end */
		return err;
	p->restore_promisc = true;
	return 0;
}

/* --- opening --- */

static int take_first(void *ctx, const char *name)
{
	snprintf(ctx, SCHEME_NAME_MAX, "%s", name);
	return 1;
}

int port_open(struct port *p, const char *url, int access, struct buffers *buffers, bool promisc,
	struct failure *warning, struct failure *why)
{
	char name[SCHEME_NAME_MAX], path[SCHEME_PATH_MAX];
	warning->text[0] = '\0';
	*p = (struct port){.fd = -1, .buffers = buffers};
	if (scheme_parse(url, name, path) < 0)
		return fail(why, -EINVAL, "%s: %s", url, scheme_strerror(-EINVAL));
	bool queue = strncmp(path, "/queue/", strlen("/queue/")) == 0;
	if (queue && !buffers)
		return fail(
			why, -EINVAL, "%s: a queue is owned by its rings; use it with --ring", url);
	if (strcmp(path, "") != 0 && strcmp(path, "/tap") != 0 && !queue)
		return fail(why, -EINVAL,
			"%s: not a path of frames; network:NAME, network:NAME/tap and "
			"network:NAME/queue/N are",
			url);
	if (strcmp(path, "/tap") == 0 && access != O_RDONLY)
		return fail(why, -EINVAL,
			"%s: a tap is read only; use it with --receive or --write", url);

	if (strcmp(path, "/tap") == 0 && buffers)
		return fail(why, -EINVAL, "%s: a tap has no rings; use it without --ring", url);

	/* The first card now may be another later: all is opened by the one name. */
	if (name[0] == '\0' && scheme_list(take_first, name) != 1)
		return fail(why, -ENOENT,
			"%s: no network scheme is there; start pcid, or set SCHEME_ROOT", url);
	snprintf(p->name, sizeof(p->name), "network:%s", name);

	char full[sizeof(p->name) + SCHEME_PATH_MAX];
	snprintf(full, sizeof(full), "%s%s", p->name, path);
	p->fd = buffers ? ring_open(p, full, access)
			: scheme_open(full, access | O_NONBLOCK | O_CLOEXEC, &p->status);
	if (p->fd < 0)
		return fail(why, p->fd, "%s: %s", full, scheme_strerror(p->fd));

	if (promisc) {
		int err = promisc_on(p);
		if (err && err != -EINTR)
			(void)fail(warning, err,
				"%s/promisc: %s; only frames to the card's own address arrive",
				p->name, scheme_strerror(err));
	}
	return 0;
}

void port_close(struct port *p)
{
	if (p->fd < 0)
		return;
	if (p->restore_promisc)
		(void)value_write(
			p, "/promisc", "0\n"); /* a driver that left has no filter either */
	if (p->ring) {
		scheme_ring_close(p->ring);
	} else {
		scheme_unmap_status(p->status);
		close(p->fd);
	}
	p->fd = -1;
}

/* --- frames --- */

static bool no_room(int error)
{
	return error == -EAGAIN || error == -EINTR;
}

int port_send_one(struct port *p, const uint8_t *frame, size_t len)
{
	if (p->ring)
		return ring_send_one(p, frame, len);
	ssize_t n = scheme_write(p->fd, p->status, frame, len);
	if (n < 0)
		return no_room((int)n) ? 0 : (int)n;
	p->written++;
	return 1;
}

int port_send(struct port *p, struct batch *batch)
{
	if (p->ring)
		return ring_send(p, batch);
	int n = scheme_write_burst(
		p->fd, p->status, batch->frame + batch->first, batch->n - batch->first);
	if (n < 0)
		return no_room(n) ? 0 : n;
	p->written += (uint32_t)n;
	batch->first += (unsigned)n;
	return n;
}

int port_receive(struct port *p, struct batch *batch, unsigned max)
{
	if (p->ring)
		return ring_receive(p, batch, max);
	for (unsigned i = 0; i < max && i < SCHEME_BURST; i++)
		batch->frame[i] = (struct iovec){.iov_base = batch->data[i], .iov_len = FRAME_MAX};
	batch->first = batch->n = 0;
	int n = scheme_read_burst(p->fd, batch->frame, max);
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return no_room(n) ? 0 : n;
	batch->n = (unsigned)n;
	return n;
}

int port_failed(const struct port *p, int error, struct failure *why)
{
	if (error == -EPIPE)
		return fail(why, error, "%s: its driver has left", p->name);
	return fail(why, error, "%s: %s", p->name, scheme_strerror(error));
}

/* --- waiting --- */

static bool link_up(const struct port *p)
{
	return atomic_load_explicit(&p->status->link_up, memory_order_relaxed);
}

static bool driver_left(const struct port *p)
{
	/* POLLHUP alone: there may still be frames to read. The page's `present` is 0 as well while
	 * a driver that died is being replaced. */
	struct pollfd poll_fd = {.fd = p->fd};
	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & (POLLHUP | POLLERR);
}

/* The page has no event for these changes; they are rare, and looked for this often. */
#define LOOK_NS 5000000ull

int port_await_link(struct port *p, struct run *run, struct failure *why)
{
	uint64_t end = now_ns() + run->options->link_wait_ns;
	while (!link_up(p)) {
		if (*run->interrupted)
			return 0;
		if (driver_left(p))
			return port_failed(p, -EPIPE, why);
		uint64_t now = now_ns();
		if (now >= end)
			return fail(why, -ENETDOWN,
				"%s: no link within %.3g s; is the other end plugged in?", p->name,
				(double)run->options->link_wait_ns / (double)SECOND_NS);
		report_live(run, now);
		run_wait(run, NULL, 0, least(end, now + LOOK_NS));
	}
	return 0;
}

uint32_t port_settle(struct port *p, struct run *run, uint64_t limit_ns)
{
	uint32_t before = p->written;
	uint64_t since = now_ns();
	bool interrupted = *run->interrupted;
	for (;;) {
		/* Read first: what has been dealt with by a driver that left still counts. */
		bool left = driver_left(p);
		uint32_t waiting =
			p->written - atomic_load_explicit(&p->status->writes, memory_order_acquire);
		uint64_t now = now_ns();
		if (waiting != before)
			since = now;
		before = waiting;
		if (waiting == 0 || left || now - since > limit_ns ||
			*run->interrupted != interrupted)
			return waiting;
		report_live(run, now);
		run_wait(run, NULL, 0, now + LOOK_NS / 5);
	}
}
