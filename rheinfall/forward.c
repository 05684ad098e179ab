/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A frame read from one port is written to a port: the same one (mirror) or another (bridge, which
 * is two such lanes). A lane holds one frame; while its output is full it does not read, so that
 * whoever sends is held up and nothing is dropped. Lanes do not wait for each other, hence two full
 * ones still empty themselves. What cannot be sent at all is dropped and counted: when the link is
 * down, as a cable that is unplugged would, and frames of a size the other card does not send.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <string.h>

#define BURST 64u

struct lane {
	struct port *from, *to;
	struct flow *in, *out; /* what is read, what is written and dropped */
	bool swap;
	size_t held; /* length of the frame that waits, or 0 */
	uint8_t frame[FRAME_MAX];
};

static void swap_addresses(uint8_t *frame)
{
	uint8_t destination[6];
	memcpy(destination, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, destination, 6);
}

static void count(struct flow *flow, size_t len, uint64_t now)
{
	flow->frames++;
	flow->bytes += len;
	flow->last_ns = now;
}

/* Moves at most n frames; returns how many were done with, or -errno. */
static int lane_move(struct lane *l, uint64_t n, uint64_t now, struct failure *why)
{
	int done = 0;
	while ((uint64_t)done < n) {
		if (l->held == 0) {
			ssize_t len = port_receive(l->from, l->frame);
			if (len == 0)
				break;
			if (len < 0)
				return port_failed(l->from, (int)len, why);
			l->held = (size_t)len;
			if (l->in)
				count(l->in, l->held, now);
			if (l->swap && l->held >= FRAME_HEADER)
				swap_addresses(l->frame);
		}
		int sent = port_send(l->to, l->frame, l->held);
		if (sent == 0)
			break;
		if (sent == 1)
			count(l->out, l->held, now);
		else if (sent == -ENETDOWN || sent == -EMSGSIZE || sent == -EINVAL)
			l->out->dropped++;
		else
			return port_failed(l->to, sent, why);
		l->held = 0;
		done++;
	}
	return done;
}

/* Runs lanes until --count frames went through them, --duration is over, or a signal. */
static int run_lanes(struct run *run, struct lane *lanes, size_t n, struct failure *why)
{
	const struct options *o = run->options;
	uint64_t end = o->duration_ns > 0 ? now_ns() + o->duration_ns : UINT64_MAX;
	uint64_t left = o->count > 0 ? o->count : UINT64_MAX;

	while (!*run->interrupted && left > 0) {
		uint64_t now = now_ns();
		if (now >= end)
			break;
		report_live(run, now);
		bool idle = true;
		for (size_t i = 0; i < n; i++) {
			int done = lane_move(&lanes[i], least(left, BURST), now, why);
			if (done < 0)
				return done;
			left -= (uint64_t)done;
			idle = idle && done == 0;
		}
		if (!idle)
			continue;
		struct pollfd fds[2] = {0};
		for (size_t i = 0; i < n; i++) {
			const struct lane *l = &lanes[i];
			/* Lane i reads from port i and writes to the other, or to the same. */
			fds[i].fd = l->from->fd;
			if (l->held > 0)
				fds[n - 1 - i].events |= POLLOUT;
			else
				fds[i].events |= POLLIN;
		}
		run_wait(run, fds, n, end);
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
		.swap = run->options->swap};
	return run_lanes(run, &lane, 1, why);
}

int bridge(struct run *run, struct port p[2], struct failure *why)
{
	struct lane lanes[2] = {
		{.from = &p[0], .to = &p[1], .out = &run->result.lane[0]},
		{.from = &p[1], .to = &p[0], .out = &run->result.lane[1]},
	};
	return run_lanes(run, lanes, 2, why);
}
