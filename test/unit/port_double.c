/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The port that tests plug wires into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "port_double.h"

#define LIMIT_NS 20000000000u

static bool receive(void *ctx, const uint8_t *frame, size_t len, bool may_wait)
{
	struct port_double *it = ctx;
	uint16_t head = (uint16_t)len;

	if (!it->room) {
		if (!may_wait)
			it->lost++;
		return false;
	}
	it->room--;
	it->frames++;
	if (!it->keep)
		return true;
	if (it->size - it->used < sizeof(head) + len) {
		it->size = 2 * it->size + sizeof(head) + len;
		it->bytes = realloc(it->bytes, it->size);
		assert_non_null(it->bytes);
	}
	memcpy(it->bytes + it->used, &head, sizeof(head));
	memcpy(it->bytes + it->used + sizeof(head), frame, len);
	it->used += sizeof(head) + len;
	return true;
}

static size_t receive_burst(void *ctx, const struct wire_frame *frames, size_t n)
{
	struct port_double *it = ctx;
	size_t taken = 0;

	it->bursts++;
	while (taken < n && receive(ctx, frames[taken].bytes, frames[taken].len, true))
		taken++;
	return taken;
}

static void carrier(void *ctx, bool up)
{
	struct port_double *it = ctx;

	assert_true(it->carrier != up);
	it->carrier = up;
	it->changes++;
}

static void sendable(void *ctx)
{
	((struct port_double *)ctx)->sendable++;
}

static void broken(void *ctx, const struct sim_error *why)
{
	((struct port_double *)ctx)->broken = *why;
}

void port_double_init(struct port_double *it)
{
	*it = (struct port_double){.port = {.ctx = it,
					   .receive = receive,
					   .carrier = carrier,
					   .sendable = sendable,
					   .broken = broken},
		.room = SIZE_MAX,
		.keep = true};
}

void port_double_free(struct port_double *it)
{
	free(it->bytes);
	it->bytes = NULL;
}

static void open_wire(struct port_double *it, const char *spec, struct loop *loop)
{
	struct sim_error why = {0};

	if (wire_open(&it->wire, spec, loop, &it->port, &why))
		fail_msg("%s: %s", spec, why.text);
	wire_set_link(it->wire, true);
}

void port_double_open(struct port_double *it, const char *spec, struct loop *loop)
{
	port_double_init(it);
	open_wire(it, spec, loop);
}

void port_double_open_bursts(struct port_double *it, const char *spec, struct loop *loop)
{
	port_double_init(it);
	it->port.receive_burst = receive_burst;
	open_wire(it, spec, loop);
}

void port_double_close(struct port_double *it)
{
	wire_close(it->wire);
	it->wire = NULL;
	port_double_free(it);
}

const uint8_t *port_double_frame(const struct port_double *it, size_t n, size_t *len)
{
	const uint8_t *record = it->bytes;
	uint16_t head;

	assert_true(n < it->frames);
	for (;; n--) {
		memcpy(&head, record, sizeof(head));
		if (!n)
			break;
		record += sizeof(head) + head;
	}
	*len = head;
	return record + sizeof(head);
}

void port_double_expect(const struct port_double *it, size_t n, const uint8_t *frame, size_t len)
{
	size_t got;
	const uint8_t *bytes = port_double_frame(it, n, &got);

	assert_int_equal(got, len);
	assert_memory_equal(bytes, frame, len);
}

void port_double_refused(struct loop *loop, const char *spec, int error, const char *part)
{
	struct sim_error why = {0};
	struct port_double it;

	port_double_init(&it);
	assert_int_equal(wire_open(&it.wire, spec, loop, &it.port, &why), -error);
	assert_null(it.wire);
	if (!strstr(why.text, part))
		fail_msg("%s: '%s' does not say '%s'", spec, why.text, part);
	assert_null(strchr(why.text, '\n'));
	assert_int_equal(it.changes, 0);
	port_double_free(&it);
}

size_t frame_length(unsigned int n)
{
	return n % 5 == 0 ? SIM_FRAME_MAX : n % 5 == 1 ? SIM_FRAME_MIN : 60 + n % 1455;
}

void make_frame(uint8_t *frame, size_t len, unsigned int n)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + n * 13);
}

bool arrived(void *wanted)
{
	const struct wanted *it = wanted;

	return it->port->frames >= it->frames && it->port->sendable >= it->sendable &&
	       it->port->lost >= it->lost && it->port->changes >= it->changes;
}

struct until {
	struct loop_work work;
	struct loop *loop;
	bool (*holds)(void *ctx);
	void *ctx;
	uint64_t end;
	unsigned int turns;
	bool held;
};

static void look(struct loop_work *work)
{
	struct until *it = (struct until *)((char *)work - offsetof(struct until, work));

	it->held = it->holds && it->holds(it->ctx);
	if (it->held || (it->turns && !--it->turns) || loop_now() > it->end)
		loop_stop(it->loop);
	else
		loop_defer(it->loop, &it->work);
}

static bool run(struct loop *loop, bool (*holds)(void *ctx), void *ctx, unsigned int turns)
{
	struct until it = {.work.run = look,
		.loop = loop,
		.holds = holds,
		.ctx = ctx,
		.end = loop_now() + LIMIT_NS,
		.turns = turns};

	loop_defer(loop, &it.work);
	assert_int_equal(loop_run(loop), 0);
	return it.held;
}

bool run_until(struct loop *loop, bool (*holds)(void *ctx), void *ctx)
{
	return run(loop, holds, ctx, 0);
}

void run_turns(struct loop *loop, unsigned int turns)
{
	run(loop, NULL, NULL, turns);
}
