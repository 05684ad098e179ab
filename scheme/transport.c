/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Linux transport: one SOCK_SEQPACKET connection a handle, each message a frame or a value.
 *
 * Frames are sent straight from where the core has them and received straight to where they will be
 * sent from, a burst in a system call; a handle has one burst each way in a round. epoll is
 * edge-triggered: an event sets a flag, EAGAIN clears it, so that waiting for a buffer costs no
 * wake-up and a round costs one system call beyond those that move something. A handle with shared
 * rings moves frames without any: messages on its connection are wake-ups, both ways.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scheme/linux.h"
#include "scheme/rings_linux.h"
#include "scheme/socket.h"

#define EVENTS 64
#define WAKES  4 /* that are received at a time */

struct connection {
	int fd;
	uint32_t id; /* the registrar's */
	int64_t handle;
	struct scheme_status *page;
	bool frames; /* its writes need a buffer of the port, its reads wait for frames */
	bool reads;  /* is sent to; not any more after a value's end of file */
	bool writes;
	bool readable;              /* may have messages for us */
	bool full;                  /* its socket has no room: waiting for EPOLLOUT */
	bool gone;                  /* the peer has left: what it wrote is still taken */
	bool dead;                  /* to be closed */
	bool held;                  /* not answered yet, and not served */
	struct scheme_rings *rings; /* or NULL: frames are messages */
	bool owns;                  /* a queue of the card, by these rings */
};

struct scheme_linux {
	struct scheme *core;
	int epoll;
	int kick; /* an eventfd that wakes the sleeper at once */
	unsigned count, start;
	struct connection *connections[SCHEME_MAX_HANDLES];
	/* The burst under way. */
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	struct iovec iov[SCHEME_BURST_PIECES];
	struct mmsghdr messages[SCHEME_BURST];
};

int scheme_linux_create(struct scheme_linux **out, struct scheme *core)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
	struct scheme_linux *t = calloc(1, sizeof(*t));
	int ret;

	if (t == NULL) {
		return -ENOMEM;
	}
	t->core = core;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll < 0) {
		ret = -errno;
		goto fail_epoll;
	}
	t->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->kick < 0) {
		ret = -errno;
		goto fail_kick;
	}
	if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->kick, &event) < 0) {
		ret = -errno;
		goto fail_add;
	}
	*out = t;
	return 0;

fail_add:
	close(t->kick);
fail_kick:
	close(t->epoll);
fail_epoll:
	free(t);
	return ret;
}

static void wake(const struct connection *c)
{
	syscall(SYS_futex, &c->page->writes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void free_rings(struct connection *c)
{
	if (c->rings != NULL) {
		scheme_rings_unmap(c->rings);
		free(c->rings);
	}
}

static void close_connection(struct scheme_linux *t, struct connection *c, bool hang_up)
{
	/* The registrar has a duplicate: closing alone would neither end the connection nor take it
	 * out of the set. */
	(void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	scheme_handle_close(t->core, c->handle);
	if (hang_up) {
		scheme_hang_up(c->fd);
	} else {
		close(c->fd);
	}
	wake(c);
	free_rings(c);
	munmap(c->page, SCHEME_STATUS_SIZE);
	free(c);
}

static void destroy(struct scheme_linux *t, bool hang_up)
{
	if (t == NULL) {
		return;
	}
	for (unsigned i = 0; i < t->count; i++) {
		close_connection(t, t->connections[i], hang_up);
	}
	close(t->kick);
	close(t->epoll);
	free(t);
}

void scheme_linux_destroy(struct scheme_linux *t)
{
	destroy(t, true);
}

void scheme_linux_leave(struct scheme_linux *t)
{
	destroy(t, false);
}

unsigned scheme_linux_count(const struct scheme_linux *t)
{
	return t->count;
}

int scheme_linux_fd(const struct scheme_linux *t)
{
	return t->epoll;
}

static int set_events(struct scheme_linux *t, struct connection *c, int op, uint32_t more)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | more, .data.ptr = c};

	return epoll_ctl(t->epoll, op, c->fd, &event) < 0 ? -errno : 0;
}

/* --- a new client --- */

int scheme_answer(int fd, int error, int page)
{
	struct scheme_reply reply = {.magic = SCHEME_MAGIC, .error = error};

	return scheme_send_with(fd, &reply, sizeof(reply), &page, error == 0 ? 1 : 0, MSG_DONTWAIT);
}

/* Gives the handle its rings, where it asked for them. */
static int add_rings(
	struct scheme_linux *t, struct connection *c, const struct scheme_client *client)
{
	uint32_t lost;

	if (!scheme_request_has_rings(&client->request)) {
		return 0;
	}
	struct scheme_rings *rings = calloc(1, sizeof(*rings));
	if (rings == NULL) {
		return -ENOMEM;
	}
	int ret = scheme_rings_map(rings, &client->request, client->ring_fds, c->page);
	if (ret < 0) {
		free(rings);
		return ret;
	}
	c->rings = rings;
	c->owns = scheme_queue_path(client->request.path) >= 0;
	if (c->owns) {
		return scheme_handle_own(t->core, c->handle, rings, client->resumed);
	}
	ret = scheme_handle_rings(t->core, c->handle, rings);
	if (ret == 0 && client->resumed) {
		ret = scheme_rings_resume(rings, false, &lost);
		if (ret == 0) {
			scheme_handle_lost(t->core, c->handle, lost);
		}
	}
	return ret;
}

static int adopt(struct scheme_linux *t, const struct scheme_client *client)
{
	const struct scheme_request *request = &client->request;
	int ret;

	if (t->count == SCHEME_MAX_HANDLES) {
		return -EMFILE;
	}
	struct connection *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		return -ENOMEM;
	}
	c->fd = client->fd;
	c->id = client->id;
	c->held = client->held;
	c->frames = request->path[0] == '\0';
	c->reads = (request->flags & SCHEME_READ) != 0;
	c->writes = (request->flags & SCHEME_WRITE) != 0;
	c->page = mmap(
		NULL, SCHEME_STATUS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, client->status_fd, 0);
	if (c->page == MAP_FAILED) {
		ret = -errno;
		goto fail_map;
	}
	c->handle = scheme_handle_open(t->core, request->path, request->flags, c->page);
	if (c->handle < 0) {
		ret = (int)c->handle;
		goto fail_open;
	}
	if (client->resumed) {
		scheme_handle_resume(t->core, c->handle);
	}
	ret = add_rings(t, c, client);
	if (ret < 0) {
		goto fail_answer;
	}
	if (!client->resumed && !client->held) {
		ret = scheme_answer(c->fd, 0, client->reader_fd);
		if (ret < 0) {
			goto fail_answer;
		}
	}
	ret = set_events(t, c, EPOLL_CTL_ADD, 0);
	if (ret < 0) {
		goto fail_answer;
	}
	t->connections[t->count++] = c;
	return 0;

fail_answer:
	scheme_handle_close(t->core, c->handle);
	free_rings(c);
fail_open:
	munmap(c->page, SCHEME_STATUS_SIZE);
fail_map:
	free(c);
	return ret;
}

static void close_all(const struct scheme_client *client)
{
	close(client->status_fd);
	close(client->reader_fd);
	for (size_t i = 0; i < SCHEME_REQUEST_FDS; i++) {
		if (client->ring_fds[i] >= 0) {
			close(client->ring_fds[i]);
		}
	}
}

void scheme_linux_refuse(const struct scheme_client *client, int error)
{
	if (client->held) {
		close(client->fd);
	} else {
		if (!client->resumed) {
			(void)scheme_answer(client->fd, error, -1);
		}
		scheme_hang_up(client->fd);
	}
	close_all(client);
}

int scheme_linux_adopt(struct scheme_linux *t, const struct scheme_client *client)
{
	int ret = adopt(t, client);

	if (ret < 0) {
		scheme_linux_refuse(client, ret);
	} else {
		close_all(client);
	}
	return ret;
}

void scheme_linux_release(struct scheme_linux *t, uint32_t id)
{
	for (unsigned i = 0; i < t->count; i++) {
		struct connection *c = t->connections[i];
		if (c->id == id && !c->dead) {
			c->held = false;
		}
	}
}

void scheme_linux_drop_held(struct scheme_linux *t)
{
	for (unsigned i = 0; i < t->count; i++) {
		t->connections[i]->dead |= t->connections[i]->held;
	}
}

/* --- rounds --- */

static void note_events(struct scheme_linux *t)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(t->epoll, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (c == NULL) {
			continue; /* the kick has done its work; edges need no reading */
		}
		c->readable = true;
		if ((events[i].events & (EPOLLRDHUP | EPOLLHUP)) != 0) {
			c->gone = true;
		}
		if (c->full && (events[i].events & EPOLLOUT) != 0) {
			c->full = false;
			(void)set_events(t, c, EPOLL_CTL_MOD, 0);
		}
	}
}

/* A message for each of n frames, of all its pieces. */
static void describe(struct scheme_linux *t, size_t n)
{
	const struct scheme_buffer *piece = t->buffers;
	struct iovec *iov = t->iov;

	for (size_t i = 0; i < n; i++) {
		t->messages[i].msg_hdr.msg_iov = iov;
		do {
			iov->iov_base = piece->data;
			iov++->iov_len = piece->len;
		} while (piece++->more);
		t->messages[i].msg_hdr.msg_iovlen = (size_t)(iov - t->messages[i].msg_hdr.msg_iov);
	}
}

/* What the core has for it, while its socket has room. */
static size_t deliver(struct scheme_linux *t, struct connection *c)
{
	ssize_t n = scheme_handle_peek(t->core, c->handle, t->buffers, SCHEME_BURST);

	if (n == 0) {
		shutdown(c->fd, SHUT_WR);
		c->reads = false;
	}
	if (n <= 0) {
		return 0;
	}
	describe(t, (size_t)n);
	int sent = sendmmsg(c->fd, t->messages, (unsigned)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0) {
		scheme_handle_pop(t->core, c->handle, (size_t)sent);
	} else if (errno == EINTR) {
		return 0;
	} else if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) {
		c->readable = c->gone = true;
		return 0;
	}
	if (sent < n) {
		c->full = true;
		(void)set_events(t, c, EPOLL_CTL_MOD, EPOLLOUT);
	}
	return sent > 0 ? (size_t)sent : 0;
}

/* Nothing could be received. */
static void note_error(struct connection *c)
{
	if (errno == ECONNRESET) {
		c->gone = true; /* what it wrote before is behind this error */
	} else if (errno != EINTR) {
		c->readable = false;
		c->dead = c->gone || errno != EAGAIN;
	}
}

/* What it wrote, while there is room for it. */
static size_t take(struct scheme_linux *t, struct connection *c)
{
	ssize_t n = scheme_handle_reserve(t->core, c->handle, t->buffers, SCHEME_BURST);
	size_t moved = 0;

	if (n <= 0) {
		return 0; /* parked: it stays readable */
	}
	describe(t, (size_t)n);
	/* Descriptors sent along, which Linux has refused since 6.16 (registrar.c), are closed by
	 * the kernel, since no room is given for them. */
	int got = recvmmsg(c->fd, t->messages, (unsigned)n, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (got < 0) {
		note_error(c);
		return 0;
	}
	for (int i = 0; i < got; i++) {
		(void)scheme_handle_commit(t->core, c->handle, t->messages[i].msg_len);
		moved += t->messages[i].msg_len > 0;
	}
	/* The end is received as empty messages without number, and is told from them by events. */
	c->dead = c->gone && (got == 0 || t->messages[got - 1].msg_len == 0);
	c->readable = c->gone || got == n;
	if (!c->frames && moved > 0) {
		wake(c);
	}
	return moved;
}

/* --- rings --- */

/* Messages say nothing but that there are some. */
static void drain(struct connection *c)
{
	char byte;

	for (unsigned i = 0; i < WAKES && c->readable; i++) {
		ssize_t n = recv(c->fd, &byte, sizeof(byte), MSG_DONTWAIT);
		if (n < 0 && errno == ECONNRESET) {
			c->gone = true;
		} else if (n < 0 && errno != EINTR) {
			c->readable = false;
		} else if (n == 0) { /* an empty message, or the end, which is an event as well */
			c->readable = !c->gone;
		}
	}
}

/* An empty socket is what makes a sleeping client's descriptor readable; where it is full it is
 * readable already.
 */
static void wake_client(const struct connection *c)
{
	const char byte = 0;

	if (scheme_rings_must_wake(c->rings) &&
		(send(c->fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
			(errno != ENOBUFS && errno != ENOMEM && errno != EINTR))) {
		scheme_rings_woken(c->rings);
	}
}

static size_t serve_rings(struct scheme_linux *t, struct connection *c)
{
	scheme_rings_awake(c->rings);
	if (c->readable) {
		drain(c);
	}
	if (c->gone && !c->rings->ended) {
		scheme_rings_end(c->rings);
	}
	ssize_t moved = scheme_handle_exchange(t->core, c->handle);
	/* Who has left is closed when all is taken that it had provided. */
	c->dead |= moved < 0 || (c->gone && (!c->writes || scheme_rings_tx_waiting(c->rings) == 0));
	/* A queue has no time for who has left: what it cannot take now it never will. */
	c->dead |= c->gone && c->owns && moved == 0;
	wake_client(c);
	return moved > 0 ? (size_t)moved : 0;
}

/* Whether there is something to do for its rings; if not, the client wakes when there is. */
static bool arm_rings(
	struct scheme_linux *t, const struct connection *c, bool frames_wait, bool can_send)
{
	/* What is sent needs a buffer of the card, whose interrupt wakes where there is none. */
	unsigned what = (can_send && c->writes ? SCHEME_RING_TX : 0) |
			(frames_wait && c->reads ? SCHEME_RING_RX : 0);

	if (c->owns) {
		what = scheme_handle_room(t->core, c->handle) &
		       ((c->writes ? SCHEME_RING_TX : 0) | (c->reads ? SCHEME_RING_RX : 0));
	}
	return scheme_rings_sleep(c->rings, what) || scheme_rings_must_wake(c->rings);
}

size_t scheme_linux_round(struct scheme_linux *t)
{
	size_t moved = 0;
	unsigned kept = 0;

	note_events(t);
	if (t->count == 0) {
		return 0;
	}
	t->start = (t->start + 1) % t->count;
	for (unsigned i = 0; i < t->count; i++) {
		struct connection *c = t->connections[(t->start + i) % t->count];
		if (c->held) {
			c->dead |= c->gone;
			continue;
		}
		if (c->rings != NULL) {
			moved += serve_rings(t, c);
			continue;
		}
		if (c->reads && !c->full && !c->gone) {
			moved += deliver(t, c);
		}
		if (c->readable) {
			moved += take(t, c);
		}
	}
	for (unsigned i = 0; i < t->count; i++) {
		if (t->connections[i]->dead) {
			close_connection(t, t->connections[i], true);
		} else {
			t->connections[kept++] = t->connections[i];
		}
	}
	t->count = kept;
	return moved;
}

/* Edges that were seen are not reported again, so whatever is still to be done wakes at once. */
void scheme_linux_arm(struct scheme_linux *t, bool frames_wait, bool can_send)
{
	const uint64_t one = 1;
	struct scheme_buffer buffer[SCHEME_PIECES];
	bool work = false;

	for (unsigned i = 0; i < t->count && !work; i++) {
		const struct connection *c = t->connections[i];
		if (c->held) {
			continue;
		}
		if (c->rings != NULL) {
			work = c->readable || arm_rings(t, c, frames_wait, can_send);
			continue;
		}
		bool can_take = can_send || !c->frames;
		bool waits = frames_wait;
		if (!c->frames) {
			waits = scheme_handle_peek(t->core, c->handle, buffer, 1) != SCHEME_PARKED;
		}
		work = (c->readable && can_take) || (c->reads && !c->full && !c->gone && waits);
	}
	if (work) {
		(void)!write(t->kick, &one, sizeof(one));
	}
}
