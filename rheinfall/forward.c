/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A frame read from one port is written to a port: the same one (mirror) or another (bridge, which
 * is two such lanes). A lane holds one burst; until its output has taken that it does not read, so
 * that whoever sends is held up and nothing is dropped. Lanes do not wait for each other, hence two
 * full ones still empty themselves. What cannot be sent at all is dropped and counted: when the
 * link is down, as a cable that is unplugged would, when somebody owns the other card's queue, and
 * frames of a size that card does not send.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <string.h>

struct lane {
	struct port *from, *to;
	struct flow *in, *out; /* what is read (or NULL), what is written and dropped */
	bool swap;
	struct batch *held;
};

static void swap_addresses(uint8_t *frame)
{
	uint8_t destination[6];
	memcpy(destination, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, destination, 6);
}

static void count(struct flow *flow, const struct iovec *frames, unsigned n, uint64_t now)
{
	flow->frames += n;
	for (unsigned i = 0; i < n; i++)
		flow->bytes += frames[i].iov_len;
	flow->last_ns = now;
}

static bool is_empty(const struct lane *l)
{
	return l->held->first == l->held->n;
}

/* Reads at most `max` frames; returns how many, or -errno. */
static int lane_read(struct lane *l, unsigned max, uint64_t now, struct failure *why)
{
	int n = port_receive(l->from, l->held, max);
	if (n < 0)
		return port_failed(l->from, n, why);
	if (n > 0 && l->in)
		count(l->in, l->held->frame, (unsigned)n, now);
	for (int i = 0; i < n && l->swap; i++)
		if (l->held->frame[i].iov_len >= FRAME_HEADER)
			swap_addresses(l->held->frame[i].iov_base);
	return n;
}

/* Writes what is held, as far as there is room; returns how many were done with, or -errno. */
static int lane_write(struct lane *l, uint64_t now, struct failure *why)
{
	int done = 0;
	while (!is_empty(l)) {
		const struct iovec *next = &l->held->frame[l->held->first];
		int sent = port_send(l->to, l->held);
		if (sent == 0)
			break;
		if (sent == -ENETDOWN || sent == -EBUSY || sent == -EMSGSIZE || sent == -EINVAL) {
			l->out->dropped++;
			l->held->first++;
			sent = 1;
		} else if (sent < 0) {
			return port_failed(l->to, sent, why);
		} else {
			count(l->out, next, (unsigned)sent, now);
		}
		done += sent;
	}
	return done;
}

/* Runs lanes until --count frames went through them, --duration is over, or a signal. */
static int run_lanes(struct run *run, struct lane *lanes, size_t n, struct failure *why)
{
	const struct options *o = run->options;
	uint64_t end = o->duration_ns > 0 ? now_ns() + o->duration_ns : UINT64_MAX;
	uint64_t left = o->count > 0 ? o->count : UINT64_MAX;

	while (!*run->interrupted) {
		uint64_t now = now_ns();
		if (now >= end)
			break;
		report_live(run, now);
		bool idle = true, empty = true;
		for (size_t i = 0; i < n; i++) {
			struct lane *l = &lanes[i];
			int got = 0;
			if (is_empty(l) && left > 0)
				got = lane_read(l, (unsigned)least(left, SCHEME_BURST), now, why);
			if (got < 0)
				return got;
			left -= (uint64_t)got;
			int done = lane_write(l, now, why);
			if (done < 0)
				return done;
			idle = idle && got == 0 && done == 0;
			empty = empty && is_empty(l);
		}
		if (left == 0 && empty)
			break;
		if (!idle)
			continue;
		struct awaited ports[2] = {0};
		for (size_t i = 0; i < n; i++) {
			const struct lane *l = &lanes[i];
			/* Lane i reads from port i and writes to the other, or to the same. */
			ports[i].port = l->from;
			if (!is_empty(l))
				ports[n - 1 - i].events |= POLLOUT;
			else
				ports[i].events |= left > 0 ? POLLIN : 0;
		}
		run_wait(run, ports, n, end);
	}
	for (size_t i = 0; i < n; i++)
		(void)port_settle(lanes[i].to, run, o->drain_ns);
	return 0;
}

int mirror(struct run *run, struct port *p, struct failure *why)
{
	struct lane lane = {.from = p,
		.to = p,
		.in = &run->result.rx,
		.out = &run->result.tx,
		.swap = run->options->swap,
		.held = &run->batch[0]};
	return run_lanes(run, &lane, 1, why);
}

int bridge(struct run *run, struct port p[2], struct failure *why)
{
	struct lane lanes[2] = {
		{.from = &p[0], .to = &p[1], .out = &run->result.lane[0], .held = &run->batch[0]},
		{.from = &p[1], .to = &p[0], .out = &run->result.lane[1], .held = &run->batch[1]},
	};
	return run_lanes(run, lanes, 2, why);
}
