/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap wires: files and FIFOs played, files recorded.
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
		size_t len = frame_length(i);
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
		make_frame(frame, frame_length(i), i);
		capture_frame(&c, frame, (uint32_t)frame_length(i), (uint32_t)frame_length(i));
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
		make_frame(frame, frame_length(i), i);
		port_double_expect(port, i, frame, frame_length(i));
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
		want += 16 + frame_length(i);
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
		make_frame(frame, frame_length(i), i);
		assert_int_equal(wire_send(port->wire, frame, frame_length(i)), 0);
	}
	assert_true(run_until(f->loop, has_size, f));
	expect_file(f->out, 200);
	assert_int_equal(wire_send(port->wire, frame, frame_length(199)), 0);
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
	port_double_refused(f->loop, f->spec, EINVAL, part);
	/* Nothing was begun. */
	assert_int_equal(access(f->out, F_OK), -1);
}

static void test_pcap_bad_files(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[SIM_FRAME_MAX + 1] = {0};
	struct capture c;

	snprintf(f->spec, sizeof(f->spec), "pcap:%s/none", f->dir);
	port_double_refused(f->loop, f->spec, ENOENT, "No such file");
	snprintf(f->spec, sizeof(f->spec), "pcap:-,%s/none/out", f->dir);
	port_double_refused(f->loop, f->spec, ENOENT, "No such file");
	snprintf(f->spec, sizeof(f->spec), "pcap:%s", f->dir);
	port_double_refused(f->loop, f->spec, EINVAL, "no regular file");
	port_double_refused(f->loop, "pcap:/dev/zero", EINVAL, "no regular file or FIFO: name one");
	assert_int_equal(mkfifo(f->in, 0600), 0);
	snprintf(f->spec, sizeof(f->spec), "pcap:-,%s", f->in);
	port_double_refused(f->loop, f->spec, ENXIO,
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
	port_double_refused(f->loop, f->spec, EINVAL, "name two files");
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
			make_frame(frame, frame_length(i), i);
			if (i == 100)
				wire_set_link(port->wire, false);
			if (i == 102)
				wire_set_link(port->wire, true);
			/* The pipe holds at least two. */
			capture_frame(
				&c, frame, (uint32_t)frame_length(i), (uint32_t)frame_length(i));
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
			make_frame(frame, frame_length(i), i);
			port_double_expect(port, i, frame, frame_length(i));
		}
		port_double_close(port);
	}
}

/* The card takes nothing while the writer comes, writes more than the wire holds, and goes: it is
 * all there later. The writer is held up by the FIFO, which takes no more.
 */
static void test_pcap_fifo_waits(void **state)
{
	struct fixture *f = *state;
	struct wanted some = {.port = &f->port, .frames = 1600};
	uint8_t frame[60];
	struct capture c;

	for (unsigned int link_down = 0; link_down < 2; link_down++) {
		plug_fifo(f, &c);
		if (link_down)
			wire_set_link(f->port.wire, false);
		else
			f->port.room = 0;
		capture_begin(&c, MICRO, 1);
		for (unsigned int i = 0; i < 1600; i++) {
			make_frame(frame, sizeof(frame), i);
			/* A FIFO holds 64 KiB. While the link is down the wire takes none of it. */
			if (i % 800 == 0) {
				run_turns(f->loop, 10);
				if (link_down && i) {
					wire_set_link(f->port.wire, true);
					run_turns(f->loop, 3);
					wire_set_link(f->port.wire, false);
				}
			}
			capture_frame(&c, frame, sizeof(frame), sizeof(frame));
		}
		capture_close(&c);
		run_turns(f->loop, 10);
		f->port.room = SIZE_MAX;
		wire_set_link(f->port.wire, true);
		wire_resume(f->port.wire);
		if (!link_down) {
			run_turns(f->loop, 1);
			assert_int_equal(f->port.frames, WIRE_BUDGET);
		}
		assert_true(run_until(f->loop, arrived, &some));
		run_turns(f->loop, 5);
		assert_int_equal(f->port.frames, 1600);
		assert_string_equal(f->port.broken.text, "");
		for (unsigned int i = 0; i < 1600; i++) {
			make_frame(frame, sizeof(frame), i);
			port_double_expect(&f->port, i, frame, sizeof(frame));
		}
		port_double_close(&f->port);
	}
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
