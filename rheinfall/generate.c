/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends a numbered stream and reads what comes back, in turns of a burst each, so that neither
 * waits for the other: a mirror that cannot write stops reading, hence who only wrote would come to
 * a stop with it.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SEND_TURN    32u
#define RECEIVE_TURN 2 /* bursts */
/* What --rate may be behind and catch up with; more is forgotten, not sent in one burst. */
#define MAX_DEBT_NS (SECOND_NS / 100)
/* One way: how long the driver may do nothing with what waits before its end is not awaited. */
#define SETTLE_NS (10 * SECOND_NS)

struct generator {
	struct run *run;
	struct port *port;
	struct stamp stamp; /* of the next frame; its number is that of frames sent */
	bool sending;
	bool blocked; /* the port had no room */
	/* --rate: frame number due_from + n is due at due_ns + n / rate */
	uint64_t due_from, due_ns;
	/* --window: frames that are not waited for any more */
	uint64_t given_up;
	uint64_t progress_ns; /* when a frame was last sent, or came back for the first time */
	uint64_t unique;      /* different frames that came back */
};

uint16_t clock_identity(void)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id"; /* a UUID, new at each boot */
	char text[36] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 ||
		read(fd, text, sizeof(text)) != (ssize_t)sizeof(text)) /* no /proc: equal to none */
		(void)getrandom(text, sizeof(text), 0);
	if (fd >= 0)
		close(fd);
	uint32_t sum = 0;
	for (size_t i = 0; i < sizeof(text); i++)
		sum = sum * 0x01000193u ^ (uint8_t)text[i]; /* FNV-1 */
	return (uint16_t)(sum >> 16 ^ sum);
}

static uint64_t due(const struct generator *g, uint64_t number)
{
	uint64_t n = number - g->due_from, rate = g->run->options->rate;
	return g->due_ns + n / rate * SECOND_NS + n % rate * SECOND_NS / rate;
}

/* How many more frames may be away. */
static uint64_t window_room(const struct generator *g)
{
	/* Below zero if some that were given up came back after all. */
	int64_t away = (int64_t)(g->stamp.number - g->given_up - g->unique);
	uint64_t window = g->run->options->window;
	if (window == 0)
		return SEND_TURN;
	if (away <= 0)
		return window;
	return (uint64_t)away < window ? window - (uint64_t)away : 0;
}

/* How many frames --count, --rate and --window allow in this turn. */
static uint64_t allowance(struct generator *g, uint64_t now)
{
	const struct options *o = g->run->options;
	uint64_t n = SEND_TURN, number = g->stamp.number;
	if (o->count > 0)
		n = least(n, o->count - number);
	if (window_room(g) == 0 && now - g->progress_ns > o->drain_ns)
		g->given_up = number - g->unique;
	n = least(n, window_room(g));
	if (o->rate > 0 && n > 0) {
		if (due(g, number) + MAX_DEBT_NS < now) {
			g->due_from = number;
			g->due_ns = now;
		}
		while (n > 0 && due(g, number + n - 1) > now)
			n--;
	}
	return n;
}

static size_t length_of(const struct options *o, uint64_t number)
{
	return o->size[o->sizes == 1 ? 0 : number % o->sizes];
}

/* Prepares the next n frames. */
static void fill(struct generator *g, unsigned n)
{
	struct batch *batch = &g->run->batch[0];
	struct stamp stamp = g->stamp;
	batch->first = 0;
	batch->n = n;
	for (unsigned i = 0; i < n; i++, stamp.number++) {
		size_t len = length_of(g->run->options, stamp.number);
		stamp.sent_ns = now_ns();
		payload_fill(&g->run->result.meter->tables, batch->data[i], len, &stamp);
		batch->frame[i] = (struct iovec){.iov_base = batch->data[i], .iov_len = len};
	}
	g->stamp.sent_ns = stamp.sent_ns;
}

/* Sends n frames, by as few system calls as --burst allows. Returns how many went, or -errno. */
static int send_frames(struct generator *g, unsigned n)
{
	const struct options *o = g->run->options;
	struct result *r = &g->run->result;
	struct batch *batch = &g->run->batch[0];
	unsigned done = 0;
	g->blocked = false;
	while (done < n && !g->blocked) {
		unsigned some = n - done < o->burst ? n - done : o->burst;
		/* What there is no room for is prepared again, with the time of that. */
		fill(g, some);
		int sent =
			some > 1 ? port_send(g->port, batch)
				 : port_send_one(g->port, batch->data[0], batch->frame[0].iov_len);
		if (sent < 0)
			return done > 0 ? (int)done : sent;
		for (int i = 0; i < sent; i++)
			r->tx.bytes += batch->frame[i].iov_len;
		g->stamp.number += (unsigned)sent;
		r->tx.frames = r->meter->limit = g->stamp.number;
		if (sent > 0)
			r->tx.last_ns = g->progress_ns = g->stamp.sent_ns;
		g->blocked = (unsigned)sent < some;
		done += (unsigned)sent;
	}
	return (int)done;
}

/* Returns how many were read, or -errno. */
static int receive_frames(struct generator *g)
{
	struct result *r = &g->run->result;
	struct batch *batch = &g->run->batch[1];
	int total = 0;
	for (unsigned i = 0; i < RECEIVE_TURN; i++) {
		int n = port_receive(g->port, batch, SCHEME_BURST);
		if (n < 0)
			return n;
		uint64_t now = now_ns();
		for (int k = 0; k < n; k++) {
			const struct iovec *frame = &batch->frame[k];
			r->rx.frames++;
			r->rx.bytes += frame->iov_len;
			r->rx.last_ns = now;
			if (meter_note(r->meter, frame->iov_base, frame->iov_len, now)) {
				g->unique++;
				g->progress_ns = now;
			}
		}
		total += n;
		if (n < (int)SCHEME_BURST)
			break;
	}
	return total;
}

/* Until when there is nothing to do but what poll reports. */
static uint64_t idle_until(const struct generator *g)
{
	const struct options *o = g->run->options;
	uint64_t until = g->progress_ns + o->drain_ns + 1;
	if (!g->sending)
		return until;
	if (o->window == 0)
		until = UINT64_MAX;
	/* It may have become due since it was asked: then there is nothing to wait for. */
	if (o->rate > 0 && !g->blocked && window_room(g) > 0)
		until = least(until, due(g, g->stamp.number));
	if (o->duration_ns > 0)
		until = least(until, g->run->result.begin_ns + o->duration_ns);
	return until;
}

static bool sending_is_over(const struct generator *g, uint64_t now)
{
	const struct options *o = g->run->options;
	return *g->run->interrupted || (o->count > 0 && g->stamp.number >= o->count) ||
	       (o->duration_ns > 0 && now - g->run->result.begin_ns >= o->duration_ns);
}

/* One turn: a burst out, a burst in. 1: go on; 0: all is done; -errno. */
static int turn(struct generator *g, struct failure *why)
{
	struct run *run = g->run;
	const struct options *o = run->options;
	uint64_t now = now_ns();
	report_live(run, now);

	int sent = 0;
	if (g->sending && sending_is_over(g, now))
		g->sending = false;
	if (g->sending) {
		sent = send_frames(g, (unsigned)allowance(g, now));
		if (sent == -ENETDOWN) {
			sent = port_await_link(g->port, run, why);
			g->due_from = g->stamp.number;
			g->due_ns = now_ns();
			if (sent < 0)
				return sent;
		} else if (sent < 0) {
			return port_failed(g->port, sent, why);
		}
	}

	int got = o->one_way ? 0 : receive_frames(g);
	if (got < 0)
		return port_failed(g->port, got, why);
	if (!g->sending) {
		if (o->one_way || g->unique == g->stamp.number ||
			now_ns() - g->progress_ns > o->drain_ns)
			return 0;
	}
	if (sent == 0 && got == 0) {
		const struct awaited port = {.port = g->port,
			.events = (short)((o->one_way ? 0 : POLLIN) |
					  (g->sending && g->blocked ? POLLOUT : 0))};
		run_wait(run, &port, 1, idle_until(g));
	}
	return 1;
}

int generate(struct run *run, struct port *p, struct failure *why)
{
	struct generator g = {.run = run, .port = p, .sending = true};
	uint8_t mac[6];
	const struct options *o = run->options;

	for (size_t i = 0; i < o->sizes; i++)
		if (o->size[i] > port_frame_max(p))
			return fail(why, -EMSGSIZE,
				"%s: frames of %u bytes are too long, its MTU allows %zu", p->name,
				o->size[i], port_frame_max(p));
	int err = port_mac(p, mac, why);
	if (err)
		return err;
	if (getrandom(&g.stamp.stream, sizeof(g.stamp.stream), 0) != sizeof(g.stamp.stream))
		return fail(why, -EIO, "no random numbers from the kernel");
	err = port_await_link(p, run, why);
	if (err)
		return err;

	g.stamp.clock = clock_identity();
	meter_init_own(run->result.meter, g.stamp.clock, g.stamp.stream);
	for (size_t i = 0; i < SCHEME_BURST; i++) {
		memcpy(run->batch[0].data[i], o->to, 6);
		memcpy(run->batch[0].data[i] + 6, mac, 6);
	}
	run->result.begin_ns = g.due_ns = g.progress_ns = now_ns();

	int more;
	do
		more = turn(&g, why);
	while (more == 1);
	run->result.ended = true;
	if (more == 0 && o->one_way && port_settle(p, run, SETTLE_NS) > 0 && !*run->interrupted)
		return fail(why, -EIO,
			"%s: its driver does not take what was sent; is it still running?",
			p->name);
	return more;
}
