/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Wires: the specification, loop, sink, gen, and pcap files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <byteswap.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nicsim/wire_kind.h"
#include "port_double.h"

struct fixture {
	struct loop *loop;
	struct port_double port;
	char dir[64];
	char in[96];
	char out[96];
	char spec[256];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test_wire.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->in, sizeof(f->in), "%s/in.pcap", f->dir);
	snprintf(f->out, sizeof(f->out), "%s/out.pcap", f->dir);
	assert_int_equal(loop_create(&f->loop), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_destroy(f->loop);
	unlink(f->in);
	unlink(f->out);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Opens what must not open; the message is one line and says `part`. */
static void refused(struct fixture *f, const char *spec, int error, const char *part)
{
	struct sim_error why = {0};
	struct wire *wire = NULL;

	port_double_init(&f->port);
	assert_int_equal(wire_open(&wire, spec, f->loop, &f->port.port, &why), -error);
	assert_null(wire);
	if (!strstr(why.text, part))
		fail_msg("%s: '%s' does not say '%s'", spec, why.text, part);
	assert_null(strchr(why.text, '\n'));
	assert_int_equal(f->port.changes, 0);
	port_double_free(&f->port);
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

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		refused(*state, table[i].spec, table[i].error, table[i].part);
}

/* However long a name is, the message fits and says what to do. */
static void test_long_specification(void **state)
{
	char spec[4096];

	memset(spec, 'x', sizeof(spec) - 1);
	spec[sizeof(spec) - 1] = '\0';
	refused(*state, spec, EINVAL, "or sink");
	memcpy(spec, "gen:", 4);
	refused(*state, spec, EINVAL, "SIZE must be");
	memcpy(spec, "tap:", 4);
	refused(*state, spec, ENAMETOOLONG, "more than 15");
	memcpy(spec, "cable:", 6);
	refused(*state, spec, ENAMETOOLONG, "take a shorter one");
	memcpy(spec, "pcap:", 5);
	refused(*state, spec, ENAMETOOLONG, "File name too long");
}

static void make_frame(uint8_t *frame, size_t len, unsigned int n)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + n * 13);
}

static void expect_frame(const struct port_double *port, size_t n, const uint8_t *frame, size_t len)
{
	size_t got;
	const uint8_t *bytes = port_double_frame(port, n, &got);

	assert_int_equal(got, len);
	assert_memory_equal(bytes, frame, len);
}

/* Lengths of all kinds, both limits included. */
static size_t length(unsigned int n)
{
	return n % 5 == 0 ? SIM_FRAME_MAX : n % 5 == 1 ? SIM_FRAME_MIN : 60 + n % 1455;
}

struct wanted {
	struct port_double *port;
	size_t frames;
	unsigned int sendable;
	unsigned int lost;
};

static bool arrived(void *ctx)
{
	const struct wanted *it = ctx;

	return it->port->frames >= it->frames && it->port->sendable >= it->sendable &&
	       it->port->lost >= it->lost;
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
		make_frame(frame, length(sent), sent);
		if (wire_send(port->wire, frame, length(sent)))
			break;
		assert_true(sent < 100000);
	}
	assert_int_equal(wire_send(port->wire, frame, length(sent)), -EAGAIN);
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
		size_t len = i + 2 < sent ? length(i) : SIM_FRAME_MAX;

		make_frame(frame, len, i);
		expect_frame(port, i, frame, len);
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
	expect_frame(port, n, frame, size);
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

/* Capture files as others write them, made here byte by byte. */
struct capture {
	FILE *file;
	bool swapped; /* in the other byte order */
};

static void put32(struct capture *c, uint32_t value)
{
	if (c->swapped)
		value = bswap_32(value);
	assert_int_equal(fwrite(&value, sizeof(value), 1, c->file), 1);
}

static void capture_begin(struct capture *c, uint32_t magic, uint32_t type)
{
	put32(c, magic);
	put32(c, c->swapped ? 2 << 16 | 4 : 2 | 4 << 16); /* version 2.4 */
	put32(c, 0);
	put32(c, 0);
	put32(c, 262144);
	put32(c, type);
}

static void capture_open(struct capture *c, const char *name, uint32_t magic, uint32_t type)
{
	*c = (struct capture){.file = fopen(name, "w")};
	assert_non_null(c->file);
	capture_begin(c, magic, type);
}

static void capture_frame(struct capture *c, const uint8_t *frame, uint32_t len, uint32_t wire_len)
{
	put32(c, 1000);
	put32(c, 5);
	put32(c, len);
	put32(c, wire_len);
	assert_int_equal(fwrite(frame, 1, len, c->file), len);
}

static void capture_close(struct capture *c)
{
	assert_int_equal(fclose(c->file), 0);
}

#define MICRO 0xa1b2c3d4u
#define NANO  0xa1b23c4du

static void expect_file(const char *name, unsigned int frames)
{
	uint8_t want[SIM_FRAME_MAX], got[SIM_FRAME_MAX];
	uint32_t head[6];
	uint64_t before = 0;
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	assert_int_equal(fread(head, 4, 6, file), 6);
	assert_int_equal(head[0], NANO);
	assert_int_equal(head[5], 1); /* Ethernet */
	for (unsigned int i = 0; i < frames; i++) {
		size_t len = length(i);
		uint64_t now;

		assert_int_equal(fread(head, 4, 4, file), 4);
		assert_true(head[1] < 1000000000u);
		now = head[0] * 1000000000ull + head[1];
		assert_true(now >= before);
		before = now;
		assert_int_equal(head[2], len);
		assert_int_equal(head[3], len);
		assert_int_equal(fread(got, 1, len, file), len);
		make_frame(want, len, i);
		assert_memory_equal(got, want, len);
	}
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
}

static void test_pcap_play(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX];
	struct wanted all = {.port = port, .frames = 500};
	struct sim_error why = {0};
	struct capture c;

	capture_open(&c, f->in, MICRO, 1);
	for (unsigned int i = 0; i < 500; i++) {
		make_frame(frame, length(i), i);
		capture_frame(&c, frame, (uint32_t)length(i), (uint32_t)length(i));
	}
	capture_close(&c);
	snprintf(f->spec, sizeof(f->spec), "pcap:%s", f->in);
	port_double_init(port);
	if (wire_open(&port->wire, f->spec, f->loop, &port->port, &why))
		fail_msg("%s", why.text);
	assert_true(port->carrier);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 0); /* the link is down */
	port->room = 0;
	wire_set_link(port->wire, true);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 0); /* the card cannot receive yet */
	for (unsigned int i = 1; i <= 10; i++) {
		port->room = 7;
		wire_resume(port->wire);
		run_turns(f->loop, 3);
		assert_int_equal(port->frames, 7 * i);
	}
	wire_set_link(port->wire, false);
	port->room = SIZE_MAX;
	wire_resume(port->wire);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 70);
	wire_set_link(port->wire, true);
	run_turns(f->loop, 1);
	assert_int_equal(port->frames, 70 + WIRE_BUDGET);
	assert_true(run_until(f->loop, arrived, &all));
	wire_resume(port->wire);
	run_turns(f->loop, 3);
	assert_int_equal(port->frames, 500); /* once */
	assert_string_equal(port->broken.text, "");
	for (unsigned int i = 0; i < 500; i++) {
		make_frame(frame, length(i), i);
		expect_frame(port, i, frame, length(i));
	}
	port_double_close(port);
}

/* What is recorded can be played again, and is in the file without closing it. */
static bool has_size(void *ctx)
{
	struct fixture *f = ctx;
	struct stat st;
	size_t want = 24;

	for (unsigned int i = 0; i < 200; i++)
		want += 16 + length(i);
	return !stat(f->out, &st) && (size_t)st.st_size == want;
}

static void test_pcap_record(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX];
	struct wanted all = {.port = port, .frames = 200};

	snprintf(f->spec, sizeof(f->spec), "pcap:-,%s", f->out);
	port_double_open(port, f->spec, f->loop);
	expect_file(f->out, 0);
	for (unsigned int i = 0; i < 200; i++) {
		make_frame(frame, length(i), i);
		assert_int_equal(wire_send(port->wire, frame, length(i)), 0);
	}
	assert_true(run_until(f->loop, has_size, f));
	expect_file(f->out, 200);
	assert_int_equal(wire_send(port->wire, frame, length(199)), 0);
	port_double_close(port);

	assert_int_equal(rename(f->out, f->in), 0);
	snprintf(f->spec, sizeof(f->spec), "pcap:%s,%s", f->in, f->out);
	port_double_open(port, f->spec, f->loop);
	assert_true(run_until(f->loop, arrived, &all));
	for (unsigned int i = 0; i < 200; i++) {
		size_t len;
		const uint8_t *bytes = port_double_frame(port, i, &len);

		assert_int_equal(wire_send(port->wire, bytes, len), 0);
	}
	port_double_close(port);
	expect_file(f->out, 200);
}

static void refused_file(struct fixture *f, const char *part)
{
	snprintf(f->spec, sizeof(f->spec), "pcap:%s,%s", f->in, f->out);
	refused(f, f->spec, EINVAL, part);
	/* Nothing was begun. */
	assert_int_equal(access(f->out, F_OK), -1);
}

static void test_pcap_bad_files(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[SIM_FRAME_MAX + 1] = {0};
	struct capture c;

	snprintf(f->spec, sizeof(f->spec), "pcap:%s/none", f->dir);
	refused(f, f->spec, ENOENT, "No such file");
	snprintf(f->spec, sizeof(f->spec), "pcap:-,%s/none/out", f->dir);
	refused(f, f->spec, ENOENT, "No such file");
	snprintf(f->spec, sizeof(f->spec), "pcap:%s", f->dir);
	refused(f, f->spec, EINVAL, "no regular file");
	refused(f, "pcap:/dev/zero", EINVAL, "no regular file or FIFO: name one");
	assert_int_equal(mkfifo(f->in, 0600), 0);
	snprintf(f->spec, sizeof(f->spec), "pcap:-,%s", f->in);
	refused(f, f->spec, ENXIO,
		"No such device or address"); /* and does not wait for a reader */
	unlink(f->in);

	c.file = fopen(f->in, "w");
	assert_non_null(c.file);
	refused_file(f, "no capture file");
	fputs("this is a letter, not a capture\n", c.file);
	capture_close(&c);
	refused_file(f, "no capture file");

	capture_open(&c, f->in, MICRO, 101);
	capture_close(&c);
	refused_file(f, "type RAW: record Ethernet");

	capture_open(&c, f->in, NANO, 1);
	capture_frame(&c, frame, 60, 60);
	capture_frame(&c, frame, 96, 1514);
	capture_close(&c);
	refused_file(f, "frame 2 was cut when captured");

	capture_open(&c, f->in, MICRO, 1);
	capture_frame(&c, frame, SIM_FRAME_MIN, SIM_FRAME_MIN);
	capture_frame(&c, frame, 60, 60);
	capture_frame(&c, frame, SIM_FRAME_MIN - 1, SIM_FRAME_MIN - 1);
	capture_close(&c);
	refused_file(f, "frame 3 is shorter than an Ethernet header");

	capture_open(&c, f->in, MICRO, 1);
	capture_frame(&c, frame, SIM_FRAME_MAX + 1, SIM_FRAME_MAX + 1);
	capture_close(&c);
	refused_file(f, "frame 1 is longer than 16384 bytes");

	/* Ends within a frame. */
	capture_open(&c, f->in, MICRO, 1);
	capture_frame(&c, frame, 60, 60);
	capture_frame(&c, frame, 60, 60);
	capture_close(&c);
	assert_int_equal(truncate(f->in, 24 + 2 * 76 - 1), 0);
	refused_file(f, "broken at frame 2");
}

static void test_pcap_same_file(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = {0};
	struct capture c;
	struct stat st;

	capture_open(&c, f->in, MICRO, 1);
	capture_frame(&c, frame, 60, 60);
	capture_close(&c);
	assert_int_equal(link(f->in, f->out), 0);
	snprintf(f->spec, sizeof(f->spec), "pcap:%s,%s", f->in, f->out);
	refused(f, f->spec, EINVAL, "name two files");
	assert_int_equal(stat(f->in, &st), 0);
	assert_int_equal(st.st_size, 24 + 76); /* still there */
}

/* A file that changes while it is played ends the wire, with a word. */
static bool was_broken(void *ctx)
{
	return ((struct port_double *)ctx)->broken.text[0];
}

static void test_pcap_changed(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX] = {0};
	struct capture c;

	capture_open(&c, f->in, MICRO, 1);
	for (unsigned int i = 0; i < 50; i++)
		capture_frame(&c, frame, sizeof(frame), sizeof(frame));
	capture_close(&c);
	snprintf(f->spec, sizeof(f->spec), "pcap:%s", f->in);
	port_double_open(port, f->spec, f->loop);
	assert_int_equal(truncate(f->in, 24 + 40 * (16 + SIM_FRAME_MAX) - 100), 0);
	assert_true(run_until(f->loop, was_broken, port));
	assert_non_null(strstr(port->broken.text, "changed while it was played"));
	assert_int_equal(port->frames, 39);
	assert_false(port->carrier);
	port_double_close(port);
}

/* Opens the wire and the other end of its FIFO. */
static void plug_fifo(struct fixture *f, struct capture *c)
{
	int fd;

	if (access(f->in, F_OK))
		assert_int_equal(mkfifo(f->in, 0600), 0);
	snprintf(f->spec, sizeof(f->spec), "pcap:%s", f->in);
	port_double_open(&f->port, f->spec, f->loop);
	assert_true(f->port.carrier);
	run_turns(f->loop, 3);
	fd = open(f->in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	*c = (struct capture){.file = fdopen(fd, "w")};
	assert_non_null(c->file);
	setbuf(c->file, NULL);
}

static void test_pcap_fifo(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX];
	struct wanted some = {.port = port};
	struct capture c;

	for (unsigned int swapped = 0; swapped < 2; swapped++) {
		plug_fifo(f, &c);
		c.swapped = swapped;
		port->room = 10;
		capture_begin(&c, swapped ? NANO : MICRO, 1);
		for (unsigned int i = 0; i < 200; i++) {
			make_frame(frame, length(i), i);
			if (i == 100)
				wire_set_link(port->wire, false);
			if (i == 102)
				wire_set_link(port->wire, true);
			/* The pipe holds at least two. */
			capture_frame(&c, frame, (uint32_t)length(i), (uint32_t)length(i));
			if (i >= 100 && i < 102)
				continue;
			some.frames = i + 1;
			if (port->room < 3) {
				run_turns(f->loop, 3);
				port->room = 10;
				wire_resume(port->wire);
			}
			assert_true(run_until(f->loop, arrived, &some));
		}
		capture_close(&c);
		run_turns(f->loop, 5);
		assert_int_equal(port->frames, 200);
		assert_string_equal(port->broken.text, "");
		assert_true(port->carrier);
		for (unsigned int i = 0; i < 200; i++) {
			make_frame(frame, length(i), i);
			expect_frame(port, i, frame, length(i));
		}
		port_double_close(port);
	}
}

/* The card takes nothing while the writer comes, writes, and goes: it is all there later. */
static void test_pcap_fifo_waits(void **state)
{
	struct fixture *f = *state;
	struct wanted some = {.port = &f->port, .frames = 300};
	uint8_t frame[60];
	struct capture c;

	plug_fifo(f, &c);
	f->port.room = 0;
	capture_begin(&c, MICRO, 1);
	for (unsigned int i = 0; i < 300; i++) {
		make_frame(frame, sizeof(frame), i);
		capture_frame(&c, frame, sizeof(frame), sizeof(frame));
	}
	capture_close(&c);
	run_turns(f->loop, 10);
	f->port.room = SIZE_MAX;
	wire_resume(f->port.wire);
	run_turns(f->loop, 1);
	assert_int_equal(f->port.frames, WIRE_BUDGET);
	assert_true(run_until(f->loop, arrived, &some));
	run_turns(f->loop, 5);
	assert_int_equal(f->port.frames, 300);
	assert_string_equal(f->port.broken.text, "");
	for (unsigned int i = 0; i < 300; i++) {
		make_frame(frame, sizeof(frame), i);
		expect_frame(&f->port, i, frame, sizeof(frame));
	}
	port_double_close(&f->port);
}

static void test_pcap_bad_fifo(void **state)
{
	static const struct {
		uint32_t magic, type, len, wire_len, frames;
		const char *part;
	} table[] = {
		{0x0a0d0d0a, 1, 0, 0, 0, "what comes is no capture in the pcap format: convert it"},
		{MICRO, 101, 0, 0, 0, "what comes holds no Ethernet frames"},
		{MICRO, 1, 60, 1514, 1, "frame 2 was cut when captured"},
		{MICRO, 1, 13, 13, 1, "frame 2 is shorter than an Ethernet header"},
		{MICRO, 1, SIM_FRAME_MAX + 1, SIM_FRAME_MAX + 1, 1, "frame 2 is longer than"},
		{MICRO, 1, 0xffffffff, 0xffffffff, 1, "frame 2 is longer than"},
		{MICRO, 1, 100, 100, 1, "frame 2 is not whole: the FIFO was closed within it"},
	};
	struct fixture *f = *state;
	uint8_t frame[60] = {0};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct capture c;

		plug_fifo(f, &c);
		capture_begin(&c, table[i].magic, table[i].type);
		if (table[i].frames) {
			capture_frame(&c, frame, 60, 60);
			put32(&c, 0);
			put32(&c, 0);
			put32(&c, table[i].len);
			put32(&c, table[i].wire_len);
		}
		capture_close(&c);
		assert_true(run_until(f->loop, was_broken, &f->port));
		if (!strstr(f->port.broken.text, table[i].part))
			fail_msg("%s", f->port.broken.text);
		assert_int_equal(f->port.frames, table[i].frames);
		assert_false(f->port.carrier);
		port_double_close(&f->port);
	}
}

/* A limit on the size of files does what a full disk does. */
static void test_pcap_disk_full(void **state)
{
	struct fixture *f = *state;
	struct port_double *port = &f->port;
	uint8_t frame[SIM_FRAME_MAX] = {0};
	struct rlimit limit, small;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = 100000, .rlim_max = limit.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	snprintf(f->spec, sizeof(f->spec), "pcap:,%s", f->out);
	port_double_open(port, f->spec, f->loop);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(wire_send(port->wire, frame, sizeof(frame)), 0);
	assert_true(run_until(f->loop, was_broken, port));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_non_null(strstr(port->broken.text, "out.pcap cannot be written: File too large"));
	assert_false(port->carrier);
	port_double_close(port);
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
		cmocka_unit_test_setup_teardown(test_gen_as_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gen_at_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gen_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_play, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_bad_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_same_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_fifo_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_bad_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_disk_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
