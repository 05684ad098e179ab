/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cables: two ends that come and go, and what passes between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nicsim/wire_kind.h"
#include "port_double.h"

struct fixture {
	struct loop *loop;
	struct port_double a;
	struct port_double b;
	char dir[64];
	char path[80]; /* of the cable's socket */
	char lock[88];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test_cable.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(setenv("NICSIM_ROOT", f->dir, 1), 0);
	snprintf(f->path, sizeof(f->path), "%s/nicsim-x.cable", f->dir);
	snprintf(f->lock, sizeof(f->lock), "%s.lock", f->path);
	assert_int_equal(loop_create(&f->loop), 0);
	*state = f;
	return 0;
}

/* Nothing is left behind, else the directory cannot go. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_destroy(f->loop);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static bool both_up(void *ctx)
{
	const struct fixture *f = ctx;

	return f->a.carrier && f->b.carrier;
}

static bool both_down(void *ctx)
{
	const struct fixture *f = ctx;

	return !f->a.carrier && !f->b.carrier;
}

static void plug_both(struct fixture *f)
{
	port_double_open(&f->a, "cable:x", f->loop);
	port_double_open(&f->b, "cable:x", f->loop);
	assert_true(run_until(f->loop, both_up, f));
}

/* Frames from..to have arrived at the port as its frames from 0 on. */
static void expect_frames(const struct port_double *port, unsigned int from, unsigned int to)
{
	const uint8_t *record = port->bytes;
	uint8_t frame[SIM_FRAME_MAX];

	assert_int_equal(port->frames, to - from);
	for (unsigned int i = from; i < to; i++) {
		uint16_t len;

		memcpy(&len, record, sizeof(len));
		assert_int_equal(len, frame_length(i));
		make_frame(frame, len, i);
		assert_memory_equal(record + sizeof(len), frame, len);
		record += sizeof(len) + len;
	}
}

/* Sends until there is no room; returns the number of the frame that found none. */
static unsigned int send_all(struct port_double *port, unsigned int from, unsigned int to)
{
	uint8_t frame[SIM_FRAME_MAX];
	unsigned int i;

	for (i = from; i < to; i++) {
		make_frame(frame, frame_length(i), i);
		if (wire_send(port->wire, frame, frame_length(i)))
			break;
	}
	return i;
}

/* Sends until even the sockets are full; returns the number of frames. */
static unsigned int fill(struct fixture *f, struct port_double *port)
{
	unsigned int sent = 0;

	for (unsigned int before = ~0u; sent != before;) {
		before = sent;
		sent = send_all(port, sent, 100000);
		run_turns(f->loop, 5);
	}
	assert_in_range(sent, 1, 99999);
	port->sendable = 0;
	return sent;
}

static void test_both_ways(void **state)
{
	struct fixture *f = *state;
	struct wanted at_a = {.port = &f->a, .frames = 1000};
	struct wanted at_b = {.port = &f->b, .frames = 1000};
	unsigned int from_a = 0, from_b = 0;

	plug_both(f);
	while (from_a < 1000 || from_b < 1000) {
		from_a = send_all(&f->a, from_a, 1000);
		from_b = send_all(&f->b, from_b, 1000);
		run_turns(f->loop, 1);
	}
	assert_true(run_until(f->loop, arrived, &at_a));
	assert_true(run_until(f->loop, arrived, &at_b));
	expect_frames(&f->a, 0, 1000);
	expect_frames(&f->b, 0, 1000);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

static void test_budget(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = {0};
	size_t before = 0;

	plug_both(f);
	for (unsigned int i = 0; i < 5 * WIRE_BUDGET; i++)
		assert_int_equal(wire_send(f->a.wire, frame, sizeof(frame)), 0);
	while (f->b.frames < 5 * WIRE_BUDGET) {
		run_turns(f->loop, 1);
		assert_in_range(f->b.frames - before, 0, WIRE_BUDGET);
		before = f->b.frames;
	}
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* The receiver has no room: the sender is stopped, and nothing is lost. */
static void test_backpressure(void **state)
{
	struct fixture *f = *state;
	struct wanted some = {.port = &f->b};
	unsigned int sent, stops = 0;

	plug_both(f);
	f->b.room = 0;
	sent = fill(f, &f->a);
	assert_int_equal(f->b.frames, 0);
	/* In small pieces, and more to send whenever there is room. */
	for (unsigned int turn = 0; sent < 3000; turn++) {
		unsigned int before = sent;

		assert_true(turn < 10000);
		f->b.room = 50;
		wire_resume(f->b.wire);
		run_turns(f->loop, 5);
		if (!f->a.sendable)
			continue;
		assert_int_equal(f->a.sendable, 1);
		f->a.sendable = 0;
		stops++;
		/* Promised is room for any frame. */
		sent = send_all(&f->a, sent, 3000);
		assert_true(sent > before);
	}
	assert_true(stops > 5);
	f->b.room = SIZE_MAX;
	some.frames = sent;
	wire_resume(f->b.wire);
	assert_true(run_until(f->loop, arrived, &some));
	expect_frames(&f->b, 0, sent);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* As many frames from..to as go out in one burst. */
static unsigned int send_burst(struct port_double *port, unsigned int from, unsigned int to)
{
	static uint8_t bytes[32][SIM_FRAME_MAX];
	struct wire_frame frames[32];

	assert_true(to - from <= 32);
	for (unsigned int i = from; i < to; i++) {
		make_frame(bytes[i - from], frame_length(i), i);
		frames[i - from] = (struct wire_frame){bytes[i - from], frame_length(i)};
	}
	return from + (unsigned int)wire_send_burst(port->wire, frames, to - from);
}

static void plug_both_bursts(struct fixture *f)
{
	port_double_open_bursts(&f->a, "cable:x", f->loop);
	port_double_open_bursts(&f->b, "cable:x", f->loop);
	assert_true(run_until(f->loop, both_up, f));
	run_turns(f->loop, 10);
	f->a.sendable = f->b.sendable = 0;
}

/* Two cards of one process that take bursts: frames are there when they are sent, both ways, as far
 * as there is room.
 */
static void test_straight(void **state)
{
	struct fixture *f = *state;
	unsigned int sent;

	plug_both_bursts(f);
	assert_int_equal(send_burst(&f->a, 0, 20), 20);
	expect_frames(&f->b, 0, 20);
	assert_int_equal(f->b.bursts, 1);
	assert_int_equal(send_burst(&f->b, 0, 3), 3);
	expect_frames(&f->a, 0, 3);

	f->b.room = 5;
	sent = send_burst(&f->a, 20, 40);
	assert_int_equal(sent, 25);
	assert_int_equal(send_burst(&f->a, sent, 40), sent);
	assert_int_equal(send_all(&f->a, sent, sent + 1), sent);
	f->b.room = 1; /* the card says when there is room, the wire does not guess */
	assert_int_equal(send_burst(&f->a, sent, 40), sent);
	assert_int_equal(f->a.sendable, 0);
	wire_resume(f->b.wire);
	assert_int_equal(f->a.sendable, 1);
	f->b.room = SIZE_MAX;
	assert_int_equal(send_all(&f->a, sent, sent + 1), sent + 1);
	assert_int_equal(send_burst(&f->a, sent + 1, 40), 40);
	expect_frames(&f->b, 0, 40);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* What is under way in the stream is not overtaken: frames wait until it is there. */
static void test_straight_in_order(void **state)
{
	struct fixture *f = *state;
	struct wanted woken = {.port = &f->a, .sendable = 1};

	plug_both_bursts(f);
	wire_set_link(f->a.wire, false);
	run_turns(f->loop, 10);
	assert_false(f->b.carrier);
	wire_set_link(f->a.wire, true);
	run_turns(f->loop, 1);
	/* The other end is about to learn that it has a link. */
	assert_true(f->a.carrier && !f->b.carrier);
	assert_int_equal(send_burst(&f->a, 0, 10), 0);
	assert_int_equal(send_all(&f->a, 0, 1), 0);
	assert_true(run_until(f->loop, arrived, &woken));
	assert_true(f->b.carrier);
	assert_int_equal(send_burst(&f->a, 0, 10), 10);
	expect_frames(&f->b, 0, 10);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* The other end leaves while it has no room: nobody waits for it, what comes then is lost. */
static void test_straight_end_leaves(void **state)
{
	struct fixture *f = *state;
	struct wanted woken = {.port = &f->a, .sendable = 1};

	plug_both_bursts(f);
	f->b.room = 1;
	assert_int_equal(send_burst(&f->a, 0, 10), 1);
	port_double_close(&f->b);
	assert_true(run_until(f->loop, arrived, &woken));
	assert_int_equal(send_burst(&f->a, 1, 10), 10);
	wire_resume(f->a.wire);
	/* And back. */
	port_double_open_bursts(&f->b, "cable:x", f->loop);
	assert_true(run_until(f->loop, both_up, f));
	run_turns(f->loop, 10);
	assert_int_equal(send_burst(&f->b, 0, 4), 4);
	expect_frames(&f->a, 0, 4);
	/* The one that has room for nothing leaves first. */
	f->a.room = 0;
	assert_int_equal(send_burst(&f->b, 4, 8), 4);
	port_double_close(&f->a);
	wire_resume(f->b.wire);
	run_turns(f->loop, 10);
	port_double_close(&f->b);
}

/* A link that is down takes nothing, and what waited for it is lost. */
static void test_straight_link(void **state)
{
	struct fixture *f = *state;

	plug_both_bursts(f);
	f->b.room = 0;
	assert_int_equal(send_burst(&f->a, 0, 5), 0);
	wire_set_link(f->b.wire, false);
	assert_int_equal(f->a.sendable, 1);
	f->b.room = SIZE_MAX;
	assert_int_equal(send_burst(&f->a, 0, 5), 5);
	assert_int_equal(f->b.frames, 0);
	assert_true(run_until(f->loop, both_down, f));
	wire_set_link(f->b.wire, true);
	assert_true(run_until(f->loop, both_up, f));
	run_turns(f->loop, 10);
	assert_int_equal(send_burst(&f->a, 0, 5), 5);
	expect_frames(&f->b, 0, 5);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

static void test_carrier(void **state)
{
	struct fixture *f = *state;
	struct sim_error why;
	uint8_t frame[60] = {0};

	port_double_open(&f->a, "cable:x", f->loop);
	run_turns(f->loop, 5);
	assert_false(f->a.carrier);
	assert_int_equal(wire_send(f->a.wire, frame, sizeof(frame)), 0); /* lost */
	port_double_init(&f->b);
	assert_int_equal(wire_open(&f->b.wire, "cable:x", f->loop, &f->b.port, &why), 0);
	run_turns(f->loop, 10);
	assert_int_equal(f->a.changes + f->b.changes, 0); /* b's link is down */
	wire_set_link(f->b.wire, true);
	assert_true(run_until(f->loop, both_up, f));
	assert_int_equal(f->b.frames, 0);
	for (unsigned int i = 1; i <= 5; i++) {
		struct port_double *port = i % 2 ? &f->a : &f->b;

		wire_set_link(port->wire, false);
		assert_false(port->carrier);
		assert_true(run_until(f->loop, both_down, f));
		wire_set_link(port->wire, true);
		assert_true(run_until(f->loop, both_up, f));
		assert_int_equal(f->a.changes, 1 + 2 * i);
		assert_int_equal(f->b.changes, 1 + 2 * i);
	}
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* Frames that wait for a card whose link goes down are lost; the next ones are not. */
/* Two ends that tell their speed are partners where it is one. */
static void test_speeds(void **state)
{
	struct fixture *f = *state;

	plug_both(f);
	wire_set_speed(f->a.wire, 10000);
	run_turns(f->loop, 10);
	assert_true(both_up(f));
	wire_set_speed(f->b.wire, 1000);
	assert_true(run_until(f->loop, both_down, f));
	assert_true(wire_lit(f->a.wire) && wire_lit(f->b.wire));
	wire_set_speed(f->a.wire, 1000);
	assert_true(run_until(f->loop, both_up, f));
	wire_set_link(f->b.wire, false);
	assert_true(run_until(f->loop, both_down, f));
	assert_false(wire_lit(f->a.wire));
	assert_true(wire_lit(f->b.wire));
	/* Told while it is down, it counts when it is up. */
	wire_set_speed(f->b.wire, 10000);
	wire_set_link(f->b.wire, true);
	run_turns(f->loop, 10);
	assert_true(both_down(f));
	wire_set_speed(f->b.wire, 0);
	assert_true(run_until(f->loop, both_up, f));
	port_double_close(&f->a);
	port_double_close(&f->b);
}

static void test_link_down_loses(void **state)
{
	struct fixture *f = *state;
	struct wanted first = {.port = &f->b, .frames = 1};
	uint8_t frame[60] = {1};
	uint8_t other[60] = {2};

	plug_both(f);
	f->b.room = 1;
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(wire_send(f->a.wire, frame, sizeof(frame)), 0);
	assert_true(run_until(f->loop, arrived, &first));
	run_turns(f->loop, 5);
	wire_set_link(f->b.wire, false);
	assert_true(run_until(f->loop, both_down, f));
	wire_set_link(f->b.wire, true);
	f->b.room = SIZE_MAX;
	assert_true(run_until(f->loop, both_up, f));
	assert_int_equal(wire_send(f->a.wire, other, sizeof(other)), 0);
	first.frames = 2;
	assert_true(run_until(f->loop, arrived, &first));
	run_turns(f->loop, 5);
	assert_int_equal(f->b.frames, 2);
	assert_int_equal(f->b.bytes[sizeof(uint16_t) + 60 + sizeof(uint16_t)], 2);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* However often the link changes while there is no room to say so, the last word is said. */
static void test_flaps_while_full(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = {0};
	unsigned int changes;

	plug_both(f);
	f->b.room = 0;
	fill(f, &f->a);
	while (!wire_send(f->a.wire, frame, sizeof(frame)))
		;
	for (unsigned int i = 0; i < 101; i++) {
		wire_set_link(f->a.wire, i % 2);
		run_turns(f->loop, 2);
	}
	changes = f->b.changes;
	assert_true(f->b.carrier);
	f->b.room = SIZE_MAX;
	wire_resume(f->b.wire);
	assert_true(run_until(f->loop, both_down, f));
	run_turns(f->loop, 1000);
	assert_false(f->b.carrier);
	assert_int_equal((f->b.changes - changes) % 2, 1);
	wire_set_link(f->a.wire, true);
	assert_true(run_until(f->loop, both_up, f));
	port_double_close(&f->a);
	port_double_close(&f->b);
}

static void test_third_end(void **state)
{
	struct fixture *f = *state;
	struct port_double c;
	struct sim_error why = {0};

	plug_both(f);
	port_double_init(&c);
	assert_int_equal(wire_open(&c.wire, "cable:x", f->loop, &c.port, &why), -EBUSY);
	assert_non_null(strstr(why.text, "cable:x: both its ends are plugged in"));
	/* Its coming harmed nobody; by path it is the same cable. */
	assert_int_equal(send_all(&f->a, 0, 1), 1);
	run_turns(f->loop, 10);
	assert_int_equal(f->b.frames, 1);
	port_double_close(&f->b);
	snprintf(why.text, sizeof(why.text), "cable:%s", f->path);
	port_double_open(&f->b, why.text, f->loop);
	assert_true(run_until(f->loop, both_up, f));
	port_double_close(&f->a);
	port_double_close(&f->b);
}

static bool listens(void *ctx)
{
	return !access(((struct fixture *)ctx)->path, F_OK);
}

/* Whichever end leaves, the other sees it, and a new one can come. */
static void test_leave_and_come(void **state)
{
	struct fixture *f = *state;

	plug_both(f);
	for (unsigned int i = 0; i < 6; i++) {
		struct port_double *leaving = i / 2 % 2 ? &f->b : &f->a;
		struct port_double *staying = leaving == &f->a ? &f->b : &f->a;
		unsigned int changes = staying->changes;
		struct wanted down = {.port = staying, .changes = changes + 1};

		assert_true(staying->carrier);
		port_double_close(leaving);
		leaving->carrier = false;
		if (i % 2) { /* time to see it, or none */
			assert_true(run_until(f->loop, arrived, &down));
			assert_false(staying->carrier);
			assert_true(run_until(f->loop, listens, f));
		}
		port_double_open(leaving, "cable:x", f->loop);
		down.changes = changes + 2;
		assert_true(run_until(f->loop, arrived, &down));
		assert_true(run_until(f->loop, both_up, f));
		staying->frames = staying->used = 0;
		assert_int_equal(send_all(leaving, 0, 3), 3);
		run_turns(f->loop, 10);
		expect_frames(staying, 0, 3);
	}
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* What was sent before leaving arrives before the carrier goes. */
static void test_last_frames(void **state)
{
	struct fixture *f = *state;
	struct wanted down = {.port = &f->b, .changes = 2};

	plug_both(f);
	assert_int_equal(send_all(&f->a, 1, 4), 4);
	port_double_close(&f->a);
	f->b.room = 0;
	run_turns(f->loop, 10);
	assert_true(f->b.carrier);
	f->b.room = SIZE_MAX;
	wire_resume(f->b.wire);
	assert_true(run_until(f->loop, arrived, &down));
	expect_frames(&f->b, 1, 4);
	port_double_close(&f->b);
}

/* A card that takes nothing learns all the same that the other end is gone; and one that waits to
 * send to an end that is gone is woken. */
static void test_leave_unread(void **state)
{
	struct fixture *f = *state;
	struct wanted down = {.port = &f->b, .changes = 2};

	plug_both(f);
	f->b.room = f->a.room = 0;
	fill(f, &f->b);
	assert_int_equal(send_all(&f->a, 1, 4), 4);
	run_turns(f->loop, 10);
	assert_int_equal(f->b.sendable, 0);
	port_double_close(&f->a);
	assert_true(run_until(f->loop, arrived, &down));
	assert_false(f->b.carrier);
	assert_int_equal(f->b.frames, 0);
	assert_int_equal(f->b.sendable, 1);
	port_double_close(&f->b);
}

static int connect_by_hand(struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, f->path, sizeof(f->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool hung_up(void *ctx)
{
	char bytes[64];
	ssize_t n;

	do
		n = recv(*(int *)ctx, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);
	return !n || errno == ECONNRESET;
}

/* Whoever speaks otherwise than a cable does is left, and the next one is welcome. */
static void test_strangers(void **state)
{
	static const struct {
		const char *name;
		uint8_t len;
		uint8_t bytes[40];
	} says[] = {
		{"http", 18, "GET / HTTP/1.0\r\n\r\n"},
		{"other version", 12, "\x08\0\x01\0cable 2"}, {"frame first", 18, "\x0e\0\x04\0"},
		{"hello twice", 24, "\x08\0\x01\0cable 1\0\x08\0\x01\0cable 1"},
		{"frame too short", 16, "\x08\0\x01\0cable 1\0\x0d\0\x04\0"},
		{"frame too long", 16, "\x08\0\x01\0cable 1\0\x01\x40\x04\0"},
		{"unknown type", 16, "\x08\0\x01\0cable 1\0\0\0\x05\0"},
		{"type 0", 16, "\x08\0\x01\0cable 1\0\0\0\0\0"},
		{"link with bytes", 16, "\x08\0\x01\0cable 1\0\x01\0\x02\0"},
		{"not zero", 16, "\x08\0\x01\0cable 1\0\0\0\x02\x01"},
		{"nothing", 0, ""}, /* and stays */
	};
	struct fixture *f = *state;

	port_double_open(&f->a, "cable:x", f->loop);
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		int fd = connect_by_hand(f);

		assert_int_equal(send(fd, says[i].bytes, says[i].len, 0), says[i].len);
		if (!run_until(f->loop, hung_up, &fd))
			fail_msg("%s", says[i].name);
		close(fd);
		assert_int_equal(f->a.changes, 0);
	}
	port_double_open(&f->b, "cable:x", f->loop);
	assert_true(run_until(f->loop, both_up, f));
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* Left without notice: a card that waits to send is woken. */
static void test_stranger_wakes_sender(void **state)
{
	static const uint8_t greeting[16] = "\x08\0\x01\0cable 1\0\0\0\x02\0";
	struct fixture *f = *state;
	int fd;

	port_double_open(&f->a, "cable:x", f->loop);
	fd = connect_by_hand(f);
	assert_int_equal(send(fd, greeting, sizeof(greeting), 0), sizeof(greeting));
	run_turns(f->loop, 10);
	assert_true(f->a.carrier);
	fill(f, &f->a);
	assert_int_equal(send(fd, "GET / HTTP", 10, 0), 10);
	run_turns(f->loop, 10);
	assert_false(f->a.carrier);
	assert_int_equal(f->a.sendable, 1);
	close(fd);
	port_double_close(&f->a);
}

/* Records come in pieces as small as a byte. */
static void test_pieces(void **state)
{
	static const uint8_t bytes[16 + 4 + 14] =
		"\x08\0\x01\0cable 1\0\0\0\x02\0\x0e\0\x04\0......frame...";
	struct fixture *f = *state;
	struct wanted one = {.port = &f->a, .frames = 1};
	int fd;

	port_double_open(&f->a, "cable:x", f->loop);
	fd = connect_by_hand(f);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(f->a.carrier, i >= 16);
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		run_turns(f->loop, 4);
	}
	assert_true(run_until(f->loop, arrived, &one));
	assert_memory_equal(f->a.bytes + 2, bytes + 20, 14);
	close(fd);
	port_double_close(&f->a);
}

/* Left behind by a process that was killed: a socket nobody listens at, and the file of locks. */
static void test_stale(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, f->path, sizeof(f->path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	fd = open(f->lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	plug_both(f);
	port_double_close(&f->a);
	port_double_close(&f->b);
}

/* Sockets and files of others are left as they are. */
static void test_foreign(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	memcpy(address.sun_path, f->path, sizeof(f->path));
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		if (types[i] != SOCK_DGRAM)
			assert_int_equal(listen(fd, 1), 0);
		port_double_refused(
			f->loop, "cable:x", EADDRINUSE, "in use by something that is no cable");
		assert_int_equal(access(f->lock, F_OK), -1);
		assert_int_equal(access(f->path, F_OK), 0);
		close(fd);
		unlink(f->path);
	}
	fd = open(f->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	port_double_refused(f->loop, "cable:x", EADDRINUSE, "in use by something that is no cable");
	assert_int_equal(access(f->path, F_OK), 0);
	close(fd);
	unlink(f->path);
	port_double_refused(
		f->loop, "cable:/none/x", ENOENT, "/none/x.lock: No such file or directory");
	assert_int_equal(symlink("/dev/null", f->lock), 0);
	assert_int_equal(
		wire_open(&f->a.wire, "cable:x", f->loop, &f->a.port, &(struct sim_error){0}),
		-ELOOP);
	unlink(f->lock);
}

/* An end that leaves has both locks, and is not run for longer than two ends are waited for. */
static void test_slow_to_leave(void **state)
{
	struct fixture *f = *state;
	struct flock both = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 2};
	struct port_double c;
	int lock = open(f->lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int held[2];
	pid_t child;
	char byte = 0;

	assert_true(lock >= 0);
	assert_int_equal(pipe2(held, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		/* The lock is of the open file: this one's own. */
		int mine = open(f->lock, O_RDWR | O_CLOEXEC);

		if (fcntl(mine, F_OFD_SETLK, &both) || write(held[1], &byte, 1) != 1)
			_exit(1);
		usleep(200000);
		_exit(0);
	}
	assert_int_equal(read(held[0], &byte, 1), 1);
	port_double_open(&c, "cable:x", f->loop);
	port_double_close(&c);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(held[0]);
	close(held[1]);
	close(lock);
}

/* Two processes that come at the same moment. */
static int meet(struct fixture *f)
{
	struct sim_error why = {0};
	struct wanted up = {.port = &f->a, .changes = 1};
	uint8_t frame[60] = {0};

	port_double_init(&f->a);
	if (wire_open(&f->a.wire, "cable:x", f->loop, &f->a.port, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 3;
	}
	wire_set_link(f->a.wire, true);
	if (!run_until(f->loop, arrived, &up))
		return 4;
	if (wire_send(f->a.wire, frame, sizeof(frame)))
		return 5;
	up.frames = 1;
	if (!run_until(f->loop, arrived, &up))
		return 6;
	port_double_close(&f->a);
	return 0;
}

/* And who come and go without a look at each other. */
static int come_and_go(struct fixture *f)
{
	struct sim_error why = {0};

	for (unsigned int i = 0; i < 300; i++) {
		port_double_init(&f->a);
		if (wire_open(&f->a.wire, "cable:x", f->loop, &f->a.port, &why)) {
			fprintf(stderr, "%s\n", why.text);
			return 3;
		}
		run_turns(f->loop, i % 3 + 1);
		port_double_close(&f->a);
	}
	return 0;
}

static void in_two_processes(struct fixture *f, int (*child)(struct fixture *f))
{
	pid_t pids[2];
	int start[2];
	char byte;

	assert_int_equal(pipe2(start, O_CLOEXEC), 0);
	for (unsigned int p = 0; p < 2; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (!pids[p]) {
			close(start[1]);
			/* An epoll descriptor would be shared with the parent. */
			if (loop_create(&f->loop) || read(start[0], &byte, 1))
				_exit(2);
			_exit(child(f));
		}
	}
	close(start[0]);
	close(start[1]);
	for (unsigned int p = 0; p < 2; p++) {
		int status;

		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(access(f->lock, F_OK), -1);
}

static void test_race(void **state)
{
	for (unsigned int i = 0; i < 20; i++)
		in_two_processes(*state, meet);
	for (unsigned int i = 0; i < 3; i++)
		in_two_processes(*state, come_and_go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_straight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_straight_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_straight_end_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_straight_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_carrier, setup, teardown),
		cmocka_unit_test_setup_teardown(test_speeds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link_down_loses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flaps_while_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_third_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_and_come, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stranger_wakes_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_to_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
