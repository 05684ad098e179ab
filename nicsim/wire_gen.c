/* SPDX-License-Identifier: BSD-3-Clause
 *
 * gen: numbered frames for ever, at a rate or as fast as the card takes them. What is sent to it is
 * thrown away.
 */
#include "nicsim/wire_kind.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S  1000000000u
#define FRAME_MIN 60u     /* Ethernet's 64 without CRC */
#define ETHERTYPE 0x88b5u /* IEEE 802, for local experiments */
#define TICK_NS   50000u  /* bursts are at least so far apart */
#define BACKLOG_NS                                                                    \
	(20u * 1000u * 1000u) /* older than this is given up: the process was stopped \
			       */

struct generator {
	struct wire wire;
	struct loop_work work;   /* as taken */
	struct loop_timer timer; /* at a rate */
	uint32_t rate;           /* a second; 0: as taken */
	uint64_t start;          /* when frame 0 of the pace was due */
	uint64_t done;           /* frames since then */
	uint64_t sequence;
	size_t size;
	uint8_t *frames; /* WIRE_BUDGET of them, alike but for their numbers */
};

static struct generator *of(struct wire *wire)
{
	return (struct generator *)wire;
}

uint64_t wire_gen_due(uint64_t elapsed, uint32_t rate)
{
	/* Frame 0 is due at once, hence the 1. */
	return elapsed / NS_PER_S * rate + elapsed % NS_PER_S * rate / NS_PER_S + 1;
}

uint64_t wire_gen_when(uint64_t n, uint32_t rate)
{
	/* Rounded up: by then wire_gen_due() says n + 1. */
	return n / rate * NS_PER_S + (n % rate * NS_PER_S + rate - 1) / rate;
}

static void number(uint8_t *frame, uint64_t sequence)
{
	sequence = htobe64(sequence);
	memcpy(frame + 14, &sequence, sizeof(sequence));
}

void wire_gen_frame(uint8_t *frame, size_t size, uint64_t sequence)
{
	/* To all, from a locally administered address. */
	static const uint8_t head[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 'g',
		'e', 'n', ETHERTYPE >> 8, ETHERTYPE & 0xff};

	memcpy(frame, head, sizeof(head));
	number(frame, sequence);
	for (size_t i = 22; i < size; i++)
		frame[i] = (uint8_t)i;
}

/* Offers the next frame; a lost one was one, too. */
static bool offer(struct generator *it, bool may_wait)
{
	number(it->frames, it->sequence);
	if (!wire_receive(&it->wire, it->frames, it->size, may_wait) && may_wait)
		return false;
	it->sequence++;
	return true;
}

/* Offers the next n, which may wait; how many were taken. */
static unsigned int offer_burst(struct generator *it, unsigned int n)
{
	struct wire_frame frames[WIRE_BUDGET];
	unsigned int taken;

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *frame = it->frames + i * it->size;

		number(frame, it->sequence + i);
		frames[i] = (struct wire_frame){frame, it->size};
	}
	taken = (unsigned int)wire_receive_burst(&it->wire, frames, n);
	it->sequence += taken;
	return taken;
}

static void run(struct loop_work *work)
{
	struct generator *it = container_of(work, struct generator, work);

	if (!it->wire.linked)
		return;
	if (wire_receives_bursts(&it->wire)) {
		if (offer_burst(it, WIRE_BUDGET) < WIRE_BUDGET)
			return;
	} else {
		for (unsigned int i = 0; i < WIRE_BUDGET; i++) {
			if (!it->wire.linked || !offer(it, true))
				return;
		}
	}
	loop_defer(it->wire.loop, &it->work);
}

static void fire(struct loop_timer *timer)
{
	struct generator *it = container_of(timer, struct generator, timer);
	uint64_t now = loop_now();
	uint64_t oldest = wire_gen_when(it->done, it->rate);
	uint64_t due, next;
	unsigned int n = 0;

	if (now - it->start > oldest + BACKLOG_NS)
		it->start = now - oldest;
	due = wire_gen_due(now - it->start, it->rate);
	if (wire_receives_bursts(&it->wire) && it->done < due && it->wire.linked) {
		n = due - it->done < WIRE_BUDGET ? (unsigned int)(due - it->done) : WIRE_BUDGET;
		n = offer_burst(it, n);
		it->done += n;
	}
	for (; it->done < due && n < WIRE_BUDGET && it->wire.linked; n++, it->done++)
		offer(it, false);
	if (!it->wire.linked)
		return;
	if (it->done < due) {
		loop_timer_set(it->wire.loop, &it->timer, 0);
		return;
	}
	now = loop_now() - it->start;
	next = wire_gen_when(it->done, it->rate);
	next = next > now ? next - now : 0;
	loop_timer_set(it->wire.loop, &it->timer, next > TICK_NS ? next : TICK_NS);
}

static void gen_link(struct wire *wire)
{
	struct generator *it = of(wire);

	loop_defer_cancel(wire->loop, &it->work);
	loop_timer_cancel(wire->loop, &it->timer);
	if (!wire->linked)
		return;
	if (!it->rate) {
		loop_defer(wire->loop, &it->work);
		return;
	}
	it->start = loop_now();
	it->done = 0;
	loop_timer_set(wire->loop, &it->timer, 0);
}

static void gen_resume(struct wire *wire)
{
	struct generator *it = of(wire);

	if (wire->linked && !it->rate)
		loop_defer(wire->loop, &it->work);
}

/* Digits alone, from min to max. */
static bool read_number(
	const char *text, size_t len, unsigned long min, unsigned long max, unsigned long *out)
{
	unsigned long value = 0;

	if (!len || len > 9)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*out = value;
	return value >= min && value <= max;
}

static int gen_open(struct wire *wire, const char *args, struct sim_error *why)
{
	struct generator *it = of(wire);
	size_t len = strcspn(args, "@");
	unsigned long size, rate = 0;

	if (!read_number(args, len, FRAME_MIN, SIM_FRAME_MAX, &size))
		return wire_fail(why, EINVAL, "wire gen:%.40s: SIZE must be a number from %u to %u",
			args, FRAME_MIN, SIM_FRAME_MAX);
	if (args[len] &&
		!read_number(args + len + 1, strlen(args + len + 1), 1, WIRE_GEN_RATE_MAX, &rate))
		return wire_fail(why, EINVAL,
			"wire gen:%.40s: RATE must be a number of frames a second from 1 to %u",
			args, WIRE_GEN_RATE_MAX);
	it->size = size;
	it->rate = (uint32_t)rate;
	it->work.run = run;
	it->timer.fire = fire;
	it->frames = malloc(WIRE_BUDGET * size);
	if (!it->frames)
		return wire_fail(why, ENOMEM, "wire gen:%.40s: out of memory", args);
	for (size_t i = 0; i < WIRE_BUDGET; i++)
		wire_gen_frame(it->frames + i * size, size, 0);
	wire_carrier(wire, true);
	return 0;
}

static void gen_close(struct wire *wire)
{
	loop_defer_cancel(wire->loop, &of(wire)->work);
	loop_timer_cancel(wire->loop, &of(wire)->timer);
	free(of(wire)->frames);
}

static size_t gen_send_burst(struct wire *wire, const struct wire_frame *frames, size_t n)
{
	(void)wire;
	(void)frames;
	return n;
}

static int gen_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	(void)wire;
	(void)frame;
	(void)len;
	return 0;
}

const struct wire_kind wire_gen = {
	.name = "gen",
	.form = "gen:SIZE[@RATE]",
	.size = sizeof(struct generator),
	.open = gen_open,
	.close = gen_close,
	.send = gen_send,
	.send_burst = gen_send_burst,
	.resume = gen_resume,
	.link = gen_link,
};
