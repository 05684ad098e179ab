/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cable: the other end is another card, which may be in another process. Between them is a stream
 * of records: four bytes (length, type, zero), then so many bytes of frame, or of a link's speed.
 * Frames gather while the card sends and go out together when it is done, so that a system call
 * carries hundreds. A card without room stops the reading here, which fills the socket, which stops
 * the other's sending: nothing is lost but to a link that goes down.
 *
 * The two ends are on one machine, hence of one byte order.
 *
 * Where both are in one process, and both cards take bursts, frames go straight from one card to
 * the other: no system call, and no copy but the card's. The stream stays for the state of the
 * link; while something is under way in it, which frames would overtake, they wait.
 */
#include "nicsim/wire_kind.h"
#include "nicsim/wire_plug.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_BYTES (64u * 1024)
#define AGAIN_NS    10000000u   /* the second end looks so often for a first */
#define HELLO_NS    1000000000u /* a peer that says nothing for so long is no cable */
#define LINGER_NS   1000000000u /* a peer that left waits so long for the card to take the rest */

enum { HELLO = 1, LINK_UP, LINK_DOWN, FRAME };

struct record {
	uint16_t len;
	uint8_t type;
	uint8_t zero;
};

/* The first record of either side. */
static const char hello[8] = "cable 1";

/* Kept free in `out` for the state of the link. */
#define RESERVE (2 * sizeof(struct record) + sizeof(hello) + sizeof(uint32_t))

struct cable {
	struct wire wire;
	struct wire_plug plug;
	struct loop_io listener; /* watched while the first end is alone */
	struct loop_io peer;     /* fd -1: nobody there */
	uint32_t events;         /* watched for on peer; 0: not in the loop */
	struct wire_fifo in;
	struct wire_fifo out;
	struct loop_work deliver;
	struct loop_work flush;
	struct loop_timer timer; /* what for, follows from the rest: see fire() */
	bool greeted;            /* the peer is a cable */
	bool peer_up;
	uint32_t peer_mbit; /* 0: any */
	uint64_t told;      /* the last state of our link that is in `out`, as state_of() has it */
	bool full;          /* the card has no room */
	bool ended;         /* the peer left; the rest in `in` is still delivered */
	bool blocked;       /* the card waits to send */
	bool stuck;         /* the socket is full */
	/* In this process: */
	struct cable *next; /* of all cables */
	struct cable *twin; /* the other end, if frames may go straight there */
	uint64_t put;       /* records into the stream to the peer */
	uint64_t taken;     /* records of the peer's */
	bool held;          /* the card had no room for what the twin has */
};

/* All of the process: an end finds the other one here. */
static struct cable *cables;

static struct cable *of(struct wire *wire)
{
	return (struct cable *)wire;
}

static void search(struct cable *it);

static void update_carrier(struct cable *it)
{
	bool alike = !it->wire.mbit || !it->peer_mbit || it->wire.mbit == it->peer_mbit;

	it->wire.lit = it->greeted && it->peer_up;
	wire_carrier(&it->wire, it->wire.linked && it->wire.lit && alike);
}

/* What the peer is to know. 0: our link is down. */
static uint64_t state_of(const struct cable *it)
{
	return it->wire.linked ? UINT64_C(1) + it->wire.mbit : 0;
}

static void watch(struct cable *it)
{
	/* A hang-up is always reported: as an edge, once, while it cannot be dealt with. */
	uint32_t events = it->full ? (uint32_t)EPOLLET : (uint32_t)EPOLLIN;

	if (it->stuck)
		events |= EPOLLOUT;
	if (it->ended)
		events = 0;
	if (events == it->events)
		return;
	if (!events)
		loop_remove(it->wire.loop, &it->peer);
	else if (it->events)
		(void)loop_modify(it->wire.loop, &it->peer, events);
	else
		(void)loop_add(it->wire.loop, &it->peer, events);
	it->events = events;
}

static void wake_sender(struct cable *it)
{
	if (!it->blocked)
		return;
	it->blocked = false;
	it->wire.port.sendable(it->wire.port.ctx);
}

/* Whether the connection leads to this very process. */
static bool is_own(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid();
}

static void unpair(struct cable *it)
{
	if (!it->twin)
		return;
	/* Who is blocked for want of room here learns from the connection that it is over. */
	it->twin->twin = NULL;
	it->twin->held = false;
	it->twin = NULL;
	it->held = false;
}

/* A name has two ends, and both have said hello to somebody of this process: to each other. */
static void pair(struct cable *it)
{
	if (!wire_receives_bursts(&it->wire) || !is_own(it->peer.fd))
		return;
	for (struct cable *other = cables; other; other = other->next) {
		if (other == it || !other->greeted || !wire_receives_bursts(&other->wire) ||
			strcmp(other->plug.lock_name, it->plug.lock_name) != 0 ||
			!is_own(other->peer.fd))
			continue;
		it->twin = other;
		other->twin = it;
		return;
	}
}

static void drop_peer(struct cable *it)
{
	unpair(it);
	it->ended = true;
	watch(it);
	close(it->peer.fd);
	it->peer.fd = -1;
	loop_defer_cancel(it->wire.loop, &it->deliver);
	loop_defer_cancel(it->wire.loop, &it->flush);
	loop_timer_cancel(it->wire.loop, &it->timer);
}

static void disconnect(struct cable *it)
{
	drop_peer(it);
	it->greeted = it->peer_up = it->full = it->stuck = false;
	update_carrier(it);
	wake_sender(it); /* what it has is lost like all that is sent without carrier */
	if (it->plug.listener >= 0)
		search(it);
	else
		loop_timer_set(it->wire.loop, &it->timer, AGAIN_NS);
}

static bool put(struct cable *it, uint8_t type, const void *bytes, size_t len)
{
	struct record head = {.len = (uint16_t)len, .type = type};
	uint8_t *to = wire_fifo_room(&it->out, sizeof(head) + len);

	if (!to)
		return false;
	memcpy(to, &head, sizeof(head));
	if (len)
		memcpy(to + sizeof(head), bytes, len);
	it->out.tail += sizeof(head) + len;
	it->put++;
	return true;
}

/* Its speed is told where that matters. */
static bool put_state(struct cable *it)
{
	uint32_t mbit = it->wire.mbit;

	return it->wire.linked ? put(it, LINK_UP, &mbit, mbit ? sizeof(mbit) : 0)
			       : put(it, LINK_DOWN, NULL, 0);
}

/* Whatever becomes of the peer is learnt by reading, where its last words stand. */
static void write_out(struct cable *it)
{
	ssize_t n;

	if (it->told != state_of(it) && put_state(it))
		it->told = state_of(it);
	n = send(it->peer.fd, it->out.bytes + it->out.head, wire_fifo_used(&it->out),
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		it->out.head += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		it->out.head = it->out.tail;
	it->stuck = wire_fifo_used(&it->out) > 0;
	watch(it);
}

static void flush(struct loop_work *work)
{
	struct cable *it = container_of(work, struct cable, flush);

	if (it->peer.fd < 0)
		return;
	write_out(it);
	/* Our state waits while `out` is full: it goes with what comes next, or now. */
	if (it->told != state_of(it) && !it->stuck)
		loop_defer(it->wire.loop, &it->flush);
	/* Only when any frame would fit: the card need not try twice. */
	if (wire_fifo_free(&it->out) >= RESERVE + sizeof(struct record) + SIM_FRAME_MAX)
		wake_sender(it);
}

static bool is_hello(const struct record *head, const uint8_t *bytes)
{
	return head->type == HELLO && head->len == sizeof(hello) &&
	       !memcmp(bytes, hello, sizeof(hello));
}

static bool possible(const struct cable *it, const struct record *head)
{
	if (head->zero)
		return false;
	if (!it->greeted)
		return head->type == HELLO && head->len == sizeof(hello);
	if (head->type == FRAME)
		return head->len >= SIM_FRAME_MIN && head->len <= SIM_FRAME_MAX;
	if (head->type == LINK_UP && head->len == sizeof(uint32_t))
		return true;
	return (head->type == LINK_UP || head->type == LINK_DOWN) && !head->len;
}

/* Deals with a whole record. False: the card has no room for it. */
static bool take_record(struct cable *it, const struct record *head, const uint8_t *bytes)
{
	switch (head->type) {
	case HELLO:
		it->greeted = true;
		pair(it);
		loop_timer_cancel(it->wire.loop, &it->timer);
		break;
	case FRAME:
		if (!it->wire.carrier)
			return true;
		return wire_receive(&it->wire, bytes, head->len, true);
	default:
		it->peer_up = head->type == LINK_UP;
		it->peer_mbit = 0;
		if (head->len)
			memcpy(&it->peer_mbit, bytes, sizeof(it->peer_mbit));
		break;
	}
	update_carrier(it);
	return true;
}

/* Offers what was read. 1: there may be more to offer; 0: not now; -EPROTO: the peer is no cable.
 */
static int offer(struct cable *it)
{
	for (unsigned int i = 0; i < WIRE_BUDGET; i++) {
		const uint8_t *bytes = it->in.bytes + it->in.head;
		struct record head;

		if (wire_fifo_used(&it->in) < sizeof(head))
			return 0;
		memcpy(&head, bytes, sizeof(head));
		if (!possible(it, &head))
			return -EPROTO;
		if (wire_fifo_used(&it->in) < sizeof(head) + head.len)
			return 0;
		if (!it->greeted && !is_hello(&head, bytes + sizeof(head)))
			return -EPROTO;
		if (!take_record(it, &head, bytes + sizeof(head))) {
			it->full = true;
			return 0;
		}
		it->in.head += sizeof(head) + head.len;
		it->taken++;
	}
	return 1;
}

static void deliver(struct loop_work *work)
{
	struct cable *it = container_of(work, struct cable, deliver);
	int more = offer(it);

	/* What was under way to here is here. */
	if (it->twin && it->twin->put == it->taken)
		wake_sender(it->twin);
	if (more < 0 || (!more && it->ended && !it->full)) {
		disconnect(it);
		return;
	}
	if (more > 0)
		loop_defer(it->wire.loop, &it->deliver);
	else if (it->ended)
		loop_timer_set(it->wire.loop, &it->timer, LINGER_NS);
	watch(it);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct cable *it = container_of(io, struct cable, peer);
	uint8_t *room;
	ssize_t n;

	if (events & EPOLLOUT)
		loop_defer(it->wire.loop, &it->flush);
	if (it->full) {
		if (events & (EPOLLHUP | EPOLLERR))
			loop_timer_set(it->wire.loop, &it->timer, LINGER_NS);
		return;
	}
	/* What is here already comes first. */
	if (!(events & ~(uint32_t)EPOLLOUT) || it->deliver.queued)
		return;
	/* Never none: the longest record is shorter than the queue. */
	room = wire_fifo_room(&it->in, wire_fifo_free(&it->in));
	n = recv(io->fd, room, wire_fifo_free(&it->in), MSG_DONTWAIT);
	if (n > 0)
		it->in.tail += (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		it->ended = true;
	loop_defer(it->wire.loop, &it->deliver);
}

static void connected(struct cable *it, int fd)
{
	it->peer.fd = fd;
	it->ended = false;
	it->told = 0;
	it->in.head = it->in.tail = 0;
	it->out.head = it->out.tail = 0;
	it->put = it->taken = 0;
	put(it, HELLO, hello, sizeof(hello));
	loop_timer_set(it->wire.loop, &it->timer, HELLO_NS);
	write_out(it);
	loop_defer(it->wire.loop, &it->flush);
}

static void arrive(struct loop_io *io, uint32_t events)
{
	struct cable *it = container_of(io, struct cable, listener);
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	/* Others wait until this one leaves. */
	loop_remove(it->wire.loop, io);
	connected(it, fd);
}

/* Looks for a peer: the first end waits for one, the second connects or becomes the first. */
static void search(struct cable *it)
{
	struct sim_error why;
	int got = 0;

	if (it->plug.listener < 0) {
		got = wire_plug_promote(&it->plug, &why);
		if (got < 0) {
			wire_broken(&it->wire, "%s", why.text);
			return;
		}
	}
	if (it->plug.listener >= 0) {
		it->listener.fd = it->plug.listener;
		(void)loop_add(it->wire.loop, &it->listener, EPOLLIN);
		return;
	}
	got = wire_plug_connect(&it->plug);
	if (got >= 0)
		connected(it, got);
	else
		loop_timer_set(it->wire.loop, &it->timer, AGAIN_NS);
}

static void fire(struct loop_timer *timer)
{
	struct cable *it = container_of(timer, struct cable, timer);

	if (it->peer.fd < 0)
		search(it);
	else if (!it->greeted || it->full)
		disconnect(it); /* it said no hello, or left and its last frames find no room */
}

static int cable_open(struct wire *wire, const char *args, struct sim_error *why)
{
	struct cable *it = of(wire);
	int err;

	it->peer = (struct loop_io){.ready = ready, .fd = -1};
	it->listener = (struct loop_io){.ready = arrive, .fd = -1};
	it->deliver.run = deliver;
	it->flush.run = flush;
	it->timer.fire = fire;
	if (wire_fifo_create(&it->in, QUEUE_BYTES) || wire_fifo_create(&it->out, QUEUE_BYTES)) {
		err = wire_fail(why, ENOMEM, "wire cable:%.60s: out of memory", args);
		goto destroy;
	}
	err = wire_plug_open(&it->plug, args, why);
	if (err)
		goto destroy;
	it->next = cables;
	cables = it;
	search(it);
	return 0;

destroy:
	wire_fifo_destroy(&it->in);
	wire_fifo_destroy(&it->out);
	return err;
}

static void cable_close(struct wire *wire)
{
	struct cable *it = of(wire), **link = &cables;

	while (*link != it)
		link = &(*link)->next;
	*link = it->next;
	if (it->peer.fd >= 0) {
		write_out(it); /* what goes, goes */
		drop_peer(it);
	} else if (it->listener.fd >= 0) {
		loop_remove(wire->loop, &it->listener);
	}
	loop_timer_cancel(wire->loop, &it->timer);
	wire_plug_close(&it->plug);
	wire_fifo_destroy(&it->in);
	wire_fifo_destroy(&it->out);
}

/* To the card at the other end: how many it took. */
static size_t send_straight(struct cable *it, const struct wire_frame *frames, size_t n)
{
	struct cable *twin = it->twin;
	size_t taken = 0;

	if (it->put != twin->taken) { /* deliver() wakes us */
		it->blocked = true;
		return 0;
	}
	if (!twin->wire.carrier)
		return n;
	if (!twin->held)
		taken = wire_receive_burst(&twin->wire, frames, n);
	if (taken < n)
		twin->held = it->blocked = true;
	return taken;
}

static int cable_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	struct cable *it = of(wire);
	size_t need = sizeof(struct record) + len + RESERVE;

	if (it->twin)
		return send_straight(it, &(struct wire_frame){frame, len}, 1) ? 0 : -EAGAIN;
	if (wire_fifo_free(&it->out) < need && !it->stuck)
		write_out(it);
	if (wire_fifo_free(&it->out) < need) {
		it->blocked = true;
		return -EAGAIN;
	}
	put(it, FRAME, frame, len);
	loop_defer(wire->loop, &it->flush);
	return 0;
}

static size_t cable_send_burst(struct wire *wire, const struct wire_frame *frames, size_t n)
{
	size_t sent = 0;

	if (of(wire)->twin)
		return send_straight(of(wire), frames, n);
	while (sent < n && cable_send(wire, frames[sent].bytes, frames[sent].len) == 0)
		sent++;
	return sent;
}

static void cable_resume(struct wire *wire)
{
	struct cable *it = of(wire);

	if (it->held) {
		it->held = false;
		wake_sender(it->twin);
	}
	if (!it->full)
		return;
	it->full = false;
	loop_timer_cancel(wire->loop, &it->timer);
	loop_defer(wire->loop, &it->deliver);
}

static void cable_link(struct wire *wire)
{
	struct cable *it = of(wire);

	update_carrier(it);
	if (it->peer.fd < 0)
		return;
	loop_defer(wire->loop, &it->flush);
	cable_resume(wire); /* what waited for a link that is down is lost */
}

const struct wire_kind wire_cable = {
	.name = "cable",
	.form = "cable:NAME",
	.size = sizeof(struct cable),
	.open = cable_open,
	.close = cable_close,
	.send = cable_send,
	.send_burst = cable_send_burst,
	.resume = cable_resume,
	.link = cable_link,
};
