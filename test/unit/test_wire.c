/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Wires: the specification, loop, sink, gen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nicsim/wire_kind.h"
#include "port_double.h"

struct fixture {
	struct loop *loop;
	struct port_double port;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(loop_create(&f->loop), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_destroy(f->loop);
	free(f);
	return 0;
}

static void test_specifications(void **state)
{
	static const struct {
		const char *spec;
		int error;
		const char *part;
	} table[] = {
		{"", EINVAL, "tap:IF, loop, cable:NAME, pcap:IN[,OUT], gen:SIZE[@RATE] or sink"},
		{"rope:x", EINVAL, "wire rope:x: no such kind"},
		{"LOOP", EINVAL, "no such kind"},
		{"loo", EINVAL, "no such kind"},
		{"loops", EINVAL, "no such kind"},
		{"two\nlines", EINVAL, "two?lines"},
		{"loop:", EINVAL, "write loop"},
		{"sink:a", EINVAL, "write sink"},
		{"tap", EINVAL, "write tap:IF"},
		{"tap:", EINVAL, "write tap:IF"},
		{"tap:0123456789abcdef", ENAMETOOLONG, "more than 15 characters"},
		{"tap:t%d", EINVAL, "without '%'"},
		{"cable", EINVAL, "write cable:NAME"},
		{"cable:", EINVAL, "write cable:NAME"},
		{"pcap", EINVAL, "write pcap:IN[,OUT]"},
		{"pcap:-", EINVAL, "names no file"},
		{"pcap:,", EINVAL, "names no file"},
		{"pcap:-,", EINVAL, "names no file"},
		{"gen", EINVAL, "write gen:SIZE[@RATE]"},
		{"gen:", EINVAL, "write gen:SIZE[@RATE]"},
		{"gen:59", EINVAL, "SIZE must be a number from 60 to 16384"},
		{"gen:16385", EINVAL, "SIZE must be"},
		{"gen:-60", EINVAL, "SIZE must be"},
		{"gen:60x", EINVAL, "SIZE must be"},
		{"gen: 60", EINVAL, "SIZE must be"},
		{"gen:99999999999999999999", EINVAL, "SIZE must be"},
		{"gen:@5", EINVAL, "SIZE must be"},
		{"gen:60@", EINVAL, "RATE must be a number of frames a second from 1 to 100000000"},
		{"gen:60@0", EINVAL, "RATE must be"},
		{"gen:60@100000001", EINVAL, "RATE must be"},
		{"gen:60@5k", EINVAL, "RATE must be"},
		{"gen:60@5@5", EINVAL, "RATE must be"},
	};

	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		port_double_refused(f->loop, table[i].spec, table[i].error, table[i].part);
}

/* However long a name is, the message fits and says what to do. */
static void test_long_specification(void **state)
{
	struct fixture *f = *state;
	char spec[4096];

	memset(spec, 'x', sizeof(spec) - 1);
	spec[sizeof(spec) - 1] = '\0';
	port_double_refused(f->loop, spec, EINVAL, "or sink");
	memcpy(spec, "gen:", 4);
	port_double_refused(f->loop, spec, EINVAL, "SIZE must be");
	memcpy(spec, "tap:", 4);
	port_double_refused(f->loop, spec, ENAMETOOLONG, "more than 15");
	memcpy(spec, "cable:", 6);
	port_double_refused(f->loop, spec, ENAMETOOLONG, "take a shorter one");
	memcpy(spec, "pcap:", 5);
	port_double_refused(f->loop, spec, ENAMETOOLONG, "File name too long");
}

static void test_lengths(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[SIM_FRAME_MAX + 1] = {0};

	port_double_open(&f->port, "loop", f->loop);
	assert_string_equal(wire_name(f->port.wire), "loop");
	assert_int_equal(wire_send(f->port.wire, frame, SIM_FRAME_MIN - 1), -EINVAL);
	assert_int_equal(wire_send(f->port.wire, frame, SIM_FRAME_MAX + 1), -EINVAL);
	assert_int_equal(wire_send(f->port.wire, frame, SIM_FRAME_MIN), 0);
	assert_int_equal(wire_send(f->port.wire, frame, SIM_FRAME_MAX), 0);
	run_turns(f->loop, 4);
	assert_int_equal(f->port.frames, 2);
	port_double_close(&f->port);
}

/* A card without room, then with little, then with enough: each frame comes back once, in order. */
static void test_loop_backpressure(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX];
	unsigned int sent = 0;
	struct wanted all = {.port = port};

	port_double_open(port, "loop", f->loop);
	assert_true(port->carrier);
	port->room = 0;
	for (;; sent++) {
		make_frame(frame, frame_length(sent), sent);
		if (wire_send(port->wire, frame, frame_length(sent)))
			break;
		assert_true(sent < 100000);
	}
	assert_int_equal(wire_send(port->wire, frame, frame_length(sent)), -EAGAIN);
	run_turns(f->loop, 4);
	assert_int_equal(port->frames, 0);
	assert_int_equal(port->sendable, 0);

	port->room = 3;
	wire_resume(port->wire);
	run_turns(f->loop, 4);
	assert_int_equal(port->frames, 3);
	port->room = SIZE_MAX;
	wire_resume(port->wire);
	all.frames = sent;
	all.sendable = 1;
	assert_true(run_until(f->loop, arrived, &all));
	assert_int_equal(port->sendable, 1);
	/* Promised is room for any frame. */
	for (unsigned int i = 0; i < 2; i++, sent++) {
		make_frame(frame, SIM_FRAME_MAX, sent);
		assert_int_equal(wire_send(port->wire, frame, SIM_FRAME_MAX), 0);
		all.frames++;
	}
	assert_true(run_until(f->loop, arrived, &all));
	assert_int_equal(port->frames, sent);
	for (unsigned int i = 0; i < sent; i++) {
		size_t len = i + 2 < sent ? frame_length(i) : SIM_FRAME_MAX;

		make_frame(frame, len, i);
		port_double_expect(port, i, frame, len);
	}
	port_double_close(port);
}

static void test_loop_budget(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = {0};

	port_double_open(&f->port, "loop", f->loop);
	for (unsigned int i = 0; i < 3 * WIRE_BUDGET; i++)
		assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	run_turns(f->loop, 1);
	assert_int_equal(f->port.frames, WIRE_BUDGET);
	run_turns(f->loop, 3);
	assert_int_equal(f->port.frames, 3 * WIRE_BUDGET);
	port_double_close(&f->port);
}

static void test_loop_link_down(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[SIM_FRAME_MAX] = {0};

	port_double_open(&f->port, "loop", f->loop);
	while (wire_send(f->port.wire, frame, sizeof(frame)) == 0)
		;
	wire_set_link(f->port.wire, false);
	assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0); /* lost */
	run_turns(f->loop, 4);
	assert_int_equal(f->port.frames, 0);
	assert_int_equal(f->port.sendable, 1);
	wire_set_link(f->port.wire, true);
	assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	run_turns(f->loop, 4);
	assert_int_equal(f->port.frames, 1);
	port_double_close(&f->port);
}

static void test_sink(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = {0};

	port_double_open(&f->port, "sink", f->loop);
	assert_true(f->port.carrier);
	for (unsigned int i = 0; i < 100000; i++)
		assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	run_turns(f->loop, 4);
	assert_int_equal(f->port.frames, 0);
	port_double_close(&f->port);
}

static void test_gen_frame(void **state)
{
	static const uint8_t head[22] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 'g', 'e',
		'n', 0x88, 0xb5, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	uint8_t frame[64];

	(void)state;
	memset(frame, 0xaa, sizeof(frame));
	wire_gen_frame(frame, 60, 0x0123456789abcdef);
	assert_memory_equal(frame, head, sizeof(head));
	for (unsigned int i = 22; i < 60; i++)
		assert_int_equal(frame[i], i);
	assert_int_equal(frame[60], 0xaa);
}

static void test_gen_pace(void **state)
{
	static const uint32_t rates[] = {1, 3, 7, 999, 1000000, 14880952, WIRE_GEN_RATE_MAX};

	(void)state;
	assert_int_equal(wire_gen_due(0, 1000), 1);
	assert_int_equal(wire_gen_due(999999, 1000), 1);
	assert_int_equal(wire_gen_due(1000000, 1000), 2);
	assert_int_equal(wire_gen_due(3600u * 1000000000ull, 1000), 3600001);
	assert_int_equal(wire_gen_when(0, 3), 0);
	assert_int_equal(wire_gen_when(1, 3), 333333334);
	assert_int_equal(wire_gen_when(3, 3), 1000000000);
	/* A century at the highest rate. */
	assert_int_equal(wire_gen_due(100ull * 365 * 86400 * 1000000000ull, WIRE_GEN_RATE_MAX),
		100ull * 365 * 86400 * WIRE_GEN_RATE_MAX + 1);
	/* The two are each other's inverse: never late by a frame, never early. */
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		for (uint64_t n = 1; n < 3000; n++) {
			uint64_t when = wire_gen_when(n, rates[i]);

			assert_int_equal(wire_gen_due(when, rates[i]), n + 1);
			assert_int_equal(wire_gen_due(when - 1, rates[i]), n);
		}
	}
}

static void expect_sequence(const struct port_double *port, size_t n, size_t size)
{
	uint8_t frame[SIM_FRAME_MAX];

	wire_gen_frame(frame, size, n);
	port_double_expect(port, n, frame, size);
}

/* Without a rate: nothing before the link is up, then as much as there is room for, without a gap.
 */
static void test_gen_as_taken(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	struct sim_error why;
	struct wanted some = {.port = port, .frames = 150};

	port_double_init(port);
	assert_int_equal(wire_open(&port->wire, "gen:1514", f->loop, &port->port, &why), 0);
	assert_true(port->carrier);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 0);
	wire_set_link(port->wire, true);
	run_turns(f->loop, 1);
	assert_int_equal(port->frames, WIRE_BUDGET);
	port->room = 150 - WIRE_BUDGET;
	assert_true(run_until(f->loop, arrived, &some));
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 150);
	port->room = 7;
	wire_resume(port->wire);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 157);
	for (size_t n = 0; n < 157; n++)
		expect_sequence(port, n, 1514);
	wire_set_link(port->wire, false);
	port->room = SIZE_MAX;
	wire_resume(port->wire);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 157);
	port_double_close(port);
}

/* At a rate frames do not wait: the card loses and counts those that it has no room for. */
static void test_gen_at_rate(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	struct wanted some = {.port = port, .frames = 50, .lost = 100};
	size_t len;
	uint64_t next;

	port_double_open(port, "gen:60@20000", f->loop);
	port->room = 50;
	assert_true(run_until(f->loop, arrived, &some));
	assert_int_equal(port->frames, 50);
	for (size_t n = 0; n < 50; n++)
		expect_sequence(port, n, 60);
	/* The lost ones have their numbers. */
	next = 50 + port->lost;
	port->room = 1;
	some.frames = 51;
	assert_true(run_until(f->loop, arrived, &some));
	assert_int_equal(port_double_frame(port, 50, &len)[21], next & 0xff);
	port_double_close(port);
}

/* After a stop (of the process, or of the machine) it does not make up for lost time. */
static void test_gen_backlog(void **state)
{
	const struct timespec stop = {.tv_nsec = 300000000};
	struct fixture *f = *state;
	struct wanted one = {.port = &f->port, .frames = 1};

	port_double_open(&f->port, "gen:60@1000", f->loop);
	assert_true(run_until(f->loop, arrived, &one));
	nanosleep(&stop, NULL);
	f->port.frames = 0;
	run_turns(f->loop, 2); /* else 300 are due, 64 of them at once */
	assert_in_range(f->port.frames, 1, 63);
	port_double_close(&f->port);
}

static void test_pace_time(void **state)
{
	(void)state;
	assert_int_equal(wire_pace_time(60, 10000), 67200); /* 14,880,952 a second */
	assert_int_equal(wire_pace_time(SIM_FRAME_MIN, 10000), 67200);
	assert_int_equal(wire_pace_time(61, 10000), 68000);
	assert_int_equal(wire_pace_time(1514, 10000), 1230400);
	assert_int_equal(wire_pace_time(1514, 1000), 12304000);
	assert_int_equal(wire_pace_time(SIM_FRAME_MAX, 10), 13126400000);
}

/* Whoever comes back in time gets what the link can carry, whoever comes late less; nobody more. */
static void test_pace_rate(void **state)
{
	static const struct {
		size_t len;
		unsigned mbit;
	} table[] = {{60, 10000}, {1514, 10000}, {9014, 10000}, {60, 1000}, {1514, 1000}};
	const uint64_t begin = 123456789, ns = 20000000, window = 1000ull * WIRE_PACE_NS;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (unsigned late = 0; late < 2; late++) {
			uint64_t time = wire_pace_time(table[i].len, table[i].mbit), sent = 0;
			struct wire_pace pace = {0};
			uint64_t now = begin;

			for (unsigned turn = 0; now < begin + ns; turn++) {
				while (wire_pace_room(&pace, now)) {
					wire_pace_take(&pace, time);
					sent += time;
				}
				now += wire_pace_wait(&pace) +
				       (late ? 2 * WIRE_PACE_NS : turn * 7919 % 45000);
			}
			assert_true(sent <= 1000 * (now - begin) + window + time);
			if (late)
				assert_true(sent < 1000 * (now - begin) * 3 / 4);
			else
				assert_true(sent >= 1000 * ns);
		}
	}
}

static unsigned slowly(void *ctx)
{
	(void)ctx;
	return 1; /* 672 us a frame */
}

/* A wire that is slow says so, and then that it has room; bursts are cut. */
static void test_pace_of_a_wire(void **state)
{
	struct fixture *f = *state;
	struct wanted room = {.port = &f->port, .sendable = 1};
	uint8_t frame[60] = {0};
	struct wire_frame frames[8];

	for (unsigned i = 0; i < 8; i++)
		frames[i] = (struct wire_frame){frame, sizeof(frame)};
	port_double_open(&f->port, "sink", f->loop);
	wire_close(f->port.wire);
	f->port.port.speed = slowly;
	f->port.carrier = false;
	assert_int_equal(
		wire_open(&f->port.wire, "sink", f->loop, &f->port.port, &f->port.broken), 0);
	wire_set_link(f->port.wire, true);
	for (unsigned sent = 0; wire_send(f->port.wire, frame, sizeof(frame)) == 0; sent++)
		assert_true(sent < 100000);
	assert_int_equal(wire_paced(f->port.wire), 1);
	assert_true(run_until(f->loop, arrived, &room));
	assert_int_equal(wire_send_burst(f->port.wire, frames, 8), 1);
	assert_int_equal(wire_paced(f->port.wire), 2);
	room.sendable = 2;
	assert_true(run_until(f->loop, arrived, &room));
	assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	/* Without a link nothing waits, but what was promised is kept. */
	while (wire_send(f->port.wire, frame, sizeof(frame)) == 0)
		;
	wire_set_link(f->port.wire, false);
	assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	assert_int_equal(wire_send_burst(f->port.wire, frames, 8), 8);
	room.sendable = 3;
	assert_true(run_until(f->loop, arrived, &room));
	port_double_close(&f->port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_specifications, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_specification, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_link_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sink, setup, teardown),
		cmocka_unit_test(test_gen_frame),
		cmocka_unit_test(test_gen_pace),
		cmocka_unit_test(test_pace_time),
		cmocka_unit_test(test_pace_rate),
		cmocka_unit_test_setup_teardown(test_pace_of_a_wire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gen_as_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gen_at_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gen_backlog, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
