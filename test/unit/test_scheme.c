/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scheme's core under a transport in memory that does as Redox's kernel does: a program's call
 * is a packet, answered at once or parked and answered by a later round, oldest first; fevent asks
 * for a packet whenever a handle becomes ready.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheme/server.h"
#include "scheme/wire.h"
#include "test/unit/memory_port.h"

#define RW (SCHEME_READ | SCHEME_WRITE)

/* --- the kernel's double --- */

#define PACKETS 64u

struct packet {
	bool write; /* else it reads */
	int64_t handle;
	uint8_t data[SCHEME_FRAME_MAX];
	size_t size;
	ssize_t result; /* SCHEME_PARKED: not answered yet */
};

struct bench {
	struct memory_port port;
	struct scheme *scheme;
	struct packet packets[PACKETS]; /* in the order of their making */
	unsigned count;
	uint32_t ready[SCHEME_MAX_HANDLES]; /* what was told of the handle in that slot */
	unsigned told_read, told_write;
	struct scheme_status page;
};

static void serve(struct bench *b, struct packet *p)
{
	p->result = !p->write ? scheme_handle_read(b->scheme, p->handle, p->data, p->size)
			      : scheme_handle_write(b->scheme, p->handle, p->data, p->size);
}

/* A program's call: its packet's number. */
static unsigned call(struct bench *b, bool write, int64_t handle, const void *data, size_t size)
{
	struct packet *p = &b->packets[b->count];

	assert_true(b->count < PACKETS && size <= sizeof(p->data));
	p->write = write;
	p->handle = handle;
	p->size = size;
	if (data != NULL) {
		memcpy(p->data, data, size);
	}
	serve(b, p);
	return b->count++;
}

/* What the daemon does each round: parked packets again, oldest first, then events. */
static void round_of(struct bench *b, const int64_t *watched, unsigned n)
{
	scheme_tick(b->scheme);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->packets[i].result == SCHEME_PARKED) {
			serve(b, &b->packets[i]);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t now = scheme_handle_ready(b->scheme, watched[i]);
		uint32_t *before = &b->ready[watched[i] % SCHEME_MAX_HANDLES];
		b->told_read += (now & ~*before & SCHEME_EVENT_READ) != 0;
		b->told_write += (now & ~*before & SCHEME_EVENT_WRITE) != 0;
		*before = now;
	}
}

static int64_t open_path(struct bench *b, const char *path, uint32_t access)
{
	return scheme_handle_open(b->scheme, path, access, NULL);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	struct scheme_port port = memory_port_init(&b->port);
	assert_int_equal(scheme_create(&b->scheme, "0000-01-00.0_ixgbe", &port), 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	scheme_destroy(b->scheme);
	free(b);
	return 0;
}

static void read_all(struct bench *b, const char *path, char *text, size_t size)
{
	int64_t id = open_path(b, path, SCHEME_READ);

	assert_true(id > 0);
	ssize_t n = scheme_handle_read(b->scheme, id, text, size - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(scheme_handle_read(b->scheme, id, text + n, 1), 0);
	scheme_handle_close(b->scheme, id);
}

static long stat_of(struct bench *b, const char *name)
{
	char text[4096], line[64];

	read_all(b, "/stats", text, sizeof(text));
	snprintf(line, sizeof(line), "\n%s ", name);
	const char *at = strstr(text, line);
	return at != NULL ? strtol(at + strlen(line), NULL, 10) : -1;
}

/* --- paths, ids, names --- */

static void only_known_paths_open(void **state)
{
	struct bench *b = *state;
	static const char *const good[] = {
		"", "/mac", "/link", "/stats", "/mtu", "/promisc", "/tap"};
	static const char *const bad[] = {
		"/", "/ma", "/mac/", "/macs", "mac", "/MAC", "/queue/0", " "};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(open_path(b, good[i], SCHEME_READ) > 0);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_path(b, bad[i], SCHEME_READ), -ENOENT);
	}
}

static void only_some_paths_are_written(void **state)
{
	struct bench *b = *state;
	static const char *const good[] = {"", "/mtu", "/promisc"};
	static const char *const bad[] = {"/mac", "/link", "/stats", "/tap"};

	for (unsigned i = 0; i < 3; i++) {
		assert_true(open_path(b, good[i], SCHEME_WRITE) > 0);
		assert_true(open_path(b, good[i], RW) > 0);
		assert_int_equal(open_path(b, good[i], 0), -EACCES);
		assert_int_equal(open_path(b, good[i], 4), -EACCES);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(open_path(b, bad[i], SCHEME_WRITE), -EACCES);
		assert_int_equal(open_path(b, bad[i], RW), -EACCES);
	}
}

static void wrong_ids_are_told(void **state)
{
	struct bench *b = *state;
	int64_t closed = open_path(b, "", RW);
	scheme_handle_close(b->scheme, closed);
	const int64_t again = open_path(b, "", RW); /* the same slot, another id */
	const int64_t ids[] = {closed, 0, -1, 1, INT64_MAX, INT64_MIN, again + SCHEME_MAX_HANDLES};
	char byte = 0;
	struct scheme_buffer buffer;

	assert_int_not_equal(again, closed);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(scheme_handle_read(b->scheme, ids[i], &byte, 1), -EBADF);
		assert_int_equal(scheme_handle_write(b->scheme, ids[i], &byte, 1), -EBADF);
		assert_int_equal(scheme_handle_peek(b->scheme, ids[i], &buffer, 1), -EBADF);
		assert_int_equal(scheme_handle_reserve(b->scheme, ids[i], &buffer, 1), -EBADF);
		assert_int_equal(scheme_handle_commit(b->scheme, ids[i], 1), -EBADF);
		assert_int_equal(scheme_handle_dup(b->scheme, ids[i]), -EBADF);
		assert_int_equal(scheme_handle_fpath(b->scheme, ids[i], &byte, 1), -EBADF);
		assert_int_equal(scheme_handle_fevent(b->scheme, ids[i], 1), -EBADF);
		assert_int_equal(scheme_handle_ready(b->scheme, ids[i]), 0);
		scheme_handle_pop(b->scheme, ids[i], 1);
		scheme_handle_close(b->scheme, ids[i]);
	}
	assert_int_equal(stat_of(b, "handles"), 1); /* besides the one that asks */
}

static void handles_are_limited(void **state)
{
	struct bench *b = *state;
	int64_t last = 0;

	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		last = open_path(b, "", SCHEME_READ);
		assert_true(last > 0);
	}
	assert_int_equal(open_path(b, "", SCHEME_READ), -EMFILE);
	assert_int_equal(scheme_handle_dup(b->scheme, last), -EMFILE);
	scheme_handle_close(b->scheme, last);
	assert_true(open_path(b, "/mac", SCHEME_READ) > 0);
}

static void handles_know_their_path(void **state)
{
	struct bench *b = *state;
	char text[64] = {0};
	int64_t id = open_path(b, "/mac", SCHEME_READ);
	static const char full[] = "network:0000-01-00.0_ixgbe/mac";

	assert_int_equal(scheme_handle_fpath(b->scheme, id, text, sizeof(text)), sizeof(full) - 1);
	assert_string_equal(text, full);
	memset(text, 0, sizeof(text));
	assert_int_equal(scheme_handle_fpath(b->scheme, id, text, 8), 8);
	assert_string_equal(text, "network:");
	id = open_path(b, "", SCHEME_READ);
	assert_int_equal(scheme_handle_fpath(b->scheme, id, text, sizeof(text)), sizeof(full) - 5);
}

static void names_are_checked(void **state)
{
	struct bench *b = *state;
	struct scheme *s;
	struct scheme_port port = memory_port_init(&b->port);
	char name[SCHEME_NAME_MAX + 1];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(scheme_create(&s, "", &port), -EINVAL);
	assert_int_equal(scheme_create(&s, name, &port), -EINVAL);
	name[SCHEME_NAME_MAX - 1] = '\0';
	assert_int_equal(scheme_create(&s, name, &port), 0);
	scheme_destroy(s);
}

/* --- values --- */

static void values_are_read_once(void **state)
{
	struct bench *b = *state;
	char text[4096];

	read_all(b, "/mac", text, sizeof(text));
	assert_memory_equal(text, "\x52\x54\x00\x12\x34\x56", 7);
	read_all(b, "/link", text, sizeof(text));
	assert_string_equal(text, "up 10000\n");
	read_all(b, "/mtu", text, sizeof(text));
	assert_string_equal(text, "1500\n");
	read_all(b, "/promisc", text, sizeof(text));
	assert_string_equal(text, "0\n");
	read_all(b, "/stats", text, sizeof(text));
	assert_string_equal(text, "tx_frames 0\nhandles 0\nunclaimed 0\nrefused 0\nno_link 0\n"
				  "tap_dropped 0\n");
	read_all(b, "/cage", text, sizeof(text));
	assert_string_equal(text, "seccomp 1\nroot empty\n");
	b->port.link = (struct scheme_link){false, 10000};
	b->port.promiscuous = true;
	read_all(b, "/link", text, sizeof(text));
	assert_string_equal(text, "down 0\n");
	read_all(b, "/promisc", text, sizeof(text));
	assert_string_equal(text, "1\n");
}

static void values_are_of_the_opening(void **state)
{
	struct bench *b = *state;
	char text[16] = {0};
	int64_t id = open_path(b, "/mtu", RW);

	assert_int_equal(scheme_handle_write(b->scheme, id, "1400", 4), 4);
	assert_int_equal(scheme_handle_read(b->scheme, id, text, 0), 0);
	assert_int_equal(scheme_handle_read(b->scheme, id, text, 2), 2);
	assert_int_equal(scheme_handle_read(b->scheme, id, text + 2, 9), 3);
	assert_string_equal(text, "1500\n");
	assert_int_equal(scheme_handle_read(b->scheme, id, text, 9), 0);
	int64_t again = scheme_handle_dup(b->scheme, id);
	assert_int_equal(scheme_handle_read(b->scheme, again, text, 9), 5);
	assert_memory_equal(text, "1400\n", 5);
}

static void write_only_handles_do_not_read(void **state)
{
	struct bench *b = *state;
	char byte;
	struct scheme_buffer buffer;
	int64_t frames = open_path(b, "", SCHEME_WRITE);
	int64_t mtu = open_path(b, "/mtu", SCHEME_WRITE);

	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(scheme_handle_read(b->scheme, frames, &byte, 1), -EACCES);
	assert_int_equal(scheme_handle_peek(b->scheme, frames, &buffer, 1), -EACCES);
	assert_int_equal(scheme_handle_read(b->scheme, mtu, &byte, 1), -EACCES);
}

static void numbers_are_strict(void **state)
{
	struct bench *b = *state;
	static const char *const bad[] = {"\n", " 1400", "1400 ", "+1400", "-1", "0x578",
		"1400\n\n", "14a0", "1400\r\n", "65536", "99999999999999999999", "1400\n1400",
		"00000000000000000000000000000000000000001400"};
	int64_t mtu = scheme_handle_open(b->scheme, "/mtu", RW, &b->page);
	int64_t promisc = open_path(b, "/promisc", SCHEME_WRITE);
	unsigned n = sizeof(bad) / sizeof(bad[0]);

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(
			scheme_handle_write(b->scheme, mtu, bad[i], strlen(bad[i])), -EINVAL);
		assert_int_equal(b->page.writes, i + 1);
	}
	assert_int_equal(b->page.refused, n);
	assert_int_equal(b->page.error, -EINVAL);
	assert_int_equal(b->port.mtu, 1500);
	assert_int_equal(scheme_handle_write(b->scheme, mtu, "1400\0", 5), -EINVAL);
	assert_int_equal(scheme_handle_write(b->scheme, mtu, "1400", 4), 4);
	assert_int_equal(b->port.mtu, 1400);
	assert_int_equal(b->page.error, 0);
	assert_int_equal(b->page.mtu, 1400);
	assert_int_equal(scheme_handle_write(b->scheme, mtu, "65535\n", 6), 6);
	assert_int_equal(b->port.mtu, 65535);
	assert_int_equal(scheme_handle_write(b->scheme, promisc, "2", 1), -EINVAL);
	assert_int_equal(scheme_handle_write(b->scheme, promisc, "1\n", 2), 2);
	assert_true(b->port.promiscuous);
	assert_int_equal(scheme_handle_write(b->scheme, promisc, "0", 1), 1);
	assert_false(b->port.promiscuous);
}

static void the_ports_error_is_the_verdict(void **state)
{
	struct bench *b = *state;
	int64_t mtu = scheme_handle_open(b->scheme, "/mtu", SCHEME_WRITE, &b->page);
	int64_t promisc = open_path(b, "/promisc", SCHEME_WRITE);

	assert_int_equal(b->page.value, 1);
	b->port.set_error = -EIO;
	assert_int_equal(scheme_handle_write(b->scheme, mtu, "1400", 4), -EIO);
	assert_int_equal(b->page.error, -EIO);
	assert_int_equal(b->page.mtu, 1500);
	assert_int_equal(scheme_handle_write(b->scheme, promisc, "1", 1), -EIO);
}

/* --- frames --- */

static void reads_park_and_are_answered_in_order(void **state)
{
	struct bench *b = *state;
	int64_t id = open_path(b, "", SCHEME_READ);
	unsigned first = call(b, false, id, NULL, 1000);
	unsigned second = call(b, false, id, NULL, 1000);

	round_of(b, NULL, 0);
	assert_int_equal(b->packets[first].result, SCHEME_PARKED);
	memory_port_receive(&b->port, 60, 1);
	round_of(b, NULL, 0);
	assert_int_equal(b->packets[first].result, 60);
	assert_int_equal(b->packets[first].data[59], 1);
	assert_int_equal(b->packets[second].result, SCHEME_PARKED);
	memory_port_receive(&b->port, 61, 2);
	round_of(b, NULL, 0);
	assert_int_equal(b->packets[second].result, 61);
	assert_int_equal(b->packets[second].data[60], 2);
}

static void frames_are_cut_to_the_buffer(void **state)
{
	struct bench *b = *state;
	uint8_t data[64] = {0};
	int64_t id = scheme_handle_open(b->scheme, "", SCHEME_READ, &b->page);

	memory_port_receive(&b->port, 60, 1);
	memory_port_receive(&b->port, 60, 2);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 0), 0); /* takes none */
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 20), 20);
	assert_int_equal(data[19], 1);
	assert_int_equal(data[20], 0);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 64), 60);
	assert_int_equal(data[59], 2);
	assert_int_equal(b->page.received, 2);
}

static void each_frame_goes_to_one_handle(void **state)
{
	struct bench *b = *state;
	int64_t ids[2] = {open_path(b, "", SCHEME_READ), open_path(b, "", RW)};
	unsigned seen[20] = {0};

	for (uint8_t i = 0; i < 20; i++) {
		memory_port_receive(&b->port, 60, i);
	}
	for (unsigned i = 0; i < 20; i++) {
		uint8_t data[64];
		assert_int_equal(scheme_handle_read(b->scheme, ids[i % 2], data, 64), 60);
		seen[data[59]]++;
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(seen[i], 1);
	}
}

static void frames_wait_for_readers_only(void **state)
{
	struct bench *b = *state;
	int64_t reader = open_path(b, "", SCHEME_READ);
	(void)open_path(b, "", SCHEME_WRITE);
	(void)open_path(b, "/mac", SCHEME_READ);

	for (unsigned i = 0; i < 300; i++) {
		memory_port_receive(&b->port, 60, 1);
	}
	scheme_tick(b->scheme);
	assert_int_equal(b->port.rx_tail, 0);
	scheme_handle_close(b->scheme, reader);
	scheme_tick(b->scheme);
	assert_int_equal(b->port.rx_tail, 256); /* a bounded piece of work */
	scheme_tick(b->scheme);
	assert_int_equal(b->port.rx_tail, 300);
	assert_int_equal(stat_of(b, "unclaimed"), 300);
}

static ssize_t write_frame(struct bench *b, int64_t id, size_t len)
{
	uint8_t frame[SCHEME_PIECES * PORT_ROOM + 1];

	memory_port_frame(frame, len, 7);
	return scheme_handle_write(b->scheme, id, frame, len);
}

static void set_type(uint8_t *frame, unsigned type)
{
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

static void frames_have_a_size(void **state)
{
	struct bench *b = *state;
	int64_t id = scheme_handle_open(b->scheme, "", SCHEME_WRITE, &b->page);
	uint8_t tagged[1519];

	assert_int_equal(write_frame(b, id, 13), -EINVAL);
	assert_int_equal(b->page.error, -EINVAL);
	assert_int_equal(write_frame(b, id, 14), 14);
	assert_int_equal(write_frame(b, id, 1514), 1514);
	assert_int_equal(write_frame(b, id, 1515), -EMSGSIZE);
	assert_int_equal(b->page.error, -EMSGSIZE);
	assert_int_equal(write_frame(b, id, 4096), -EMSGSIZE);
	assert_int_equal(b->page.sent, 2);
	assert_int_equal(b->page.refused, 3);
	assert_int_equal(b->page.writes, 5);
	assert_int_equal(b->port.tx[1].len, 1514);
	assert_int_equal(b->port.tx[1].data[1513], 7);

	memory_port_frame(tagged, sizeof(tagged), 7);
	set_type(tagged, 0x8100);
	assert_int_equal(scheme_handle_write(b->scheme, id, tagged, 1518), 1518);
	assert_int_equal(scheme_handle_write(b->scheme, id, tagged, 1519), -EMSGSIZE);
	set_type(tagged, 0x88a8);
	assert_int_equal(scheme_handle_write(b->scheme, id, tagged, 1518), 1518);
	set_type(tagged, 0x8101);
	assert_int_equal(scheme_handle_write(b->scheme, id, tagged, 1518), -EMSGSIZE);

	b->port.mtu = 68;
	scheme_tick(b->scheme);
	assert_int_equal(write_frame(b, id, 82), 82);
	assert_int_equal(write_frame(b, id, 83), -EMSGSIZE);
	b->port.mtu = UINT16_MAX; /* more than a chain holds */
	scheme_tick(b->scheme);
	assert_int_equal(write_frame(b, id, SCHEME_PIECES * PORT_ROOM + 1), -EMSGSIZE);
	assert_int_equal(b->port.sent, 5);
	assert_int_equal(stat_of(b, "refused"), 7);
	assert_int_equal(scheme_handle_write(b->scheme, id, "", 0), 0); /* nothing at all */
	assert_int_equal(b->page.writes, 12);
}

static void writes_park_without_a_buffer(void **state)
{
	struct bench *b = *state;
	uint8_t frame[60];
	int64_t id = scheme_handle_open(b->scheme, "", SCHEME_WRITE, &b->page);

	memory_port_frame(frame, sizeof(frame), 9);
	b->port.limit = 0;
	unsigned packet = call(b, true, id, frame, sizeof(frame));
	round_of(b, NULL, 0);
	assert_int_equal(b->packets[packet].result, SCHEME_PARKED);
	assert_int_equal(b->page.writes, 0);
	b->port.limit = 1;
	round_of(b, NULL, 0);
	assert_int_equal(b->packets[packet].result, 60);
	assert_memory_equal(b->port.tx[0].data, frame, 60);
}

static void a_link_that_is_down_takes_no_buffer(void **state)
{
	struct bench *b = *state;
	int64_t id = scheme_handle_open(b->scheme, "", SCHEME_WRITE, &b->page);

	b->port.limit = 0; /* as when the card holds all of them */
	b->port.link.up = false;
	scheme_tick(b->scheme);
	assert_int_equal(write_frame(b, id, 60), -ENETDOWN);
	assert_int_equal(write_frame(b, id, 13), -EINVAL);
	assert_int_equal(write_frame(b, id, 1515), -EMSGSIZE);
	assert_int_equal(b->page.no_link, 1);
	assert_int_equal(b->page.refused, 2);
	assert_int_equal(stat_of(b, "no_link"), 1);
	b->port.limit = 1;
	b->port.link.up = true;
	scheme_tick(b->scheme);
	assert_int_equal(write_frame(b, id, 60), 60);
	assert_int_equal(b->port.sent, 1);
}

static void read_only_handles_do_not_write(void **state)
{
	struct bench *b = *state;
	int64_t id = scheme_handle_open(b->scheme, "", SCHEME_READ, &b->page);
	int64_t mtu = open_path(b, "/mtu", SCHEME_READ);

	b->port.limit = 0;
	assert_int_equal(write_frame(b, id, 60), -EACCES);
	assert_int_equal(b->page.error, -EACCES);
	assert_int_equal(b->page.refused, 1);
	assert_int_equal(scheme_handle_write(b->scheme, mtu, "1400", 4), -EACCES);
	assert_int_equal(b->port.mtu, 1500);
}

static void bursts_keep_their_order(void **state)
{
	struct bench *b = *state;
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	static const size_t lens[] = {60, 13, 61, 0, 1515, 62};
	int64_t id = open_path(b, "", RW);

	assert_int_equal(scheme_handle_reserve(b->scheme, id, buffers, SCHEME_BURST + 8), 32);
	for (unsigned i = 0; i < 6; i++) {
		memory_port_frame(buffers[i].data, lens[i], (uint8_t)i);
	}
	for (unsigned i = 0; i < 6; i++) {
		(void)scheme_handle_commit(b->scheme, id, lens[i]);
	}
	assert_int_equal(b->port.sent, 3);
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t marks[] = {0, 2, 5};
		assert_int_equal(b->port.tx[i].len, 60 + i);
		assert_int_equal(b->port.tx[i].data[20], marks[i]);
	}
	assert_int_equal(b->port.reserved_count, 26); /* what was not used is still reserved */
	assert_int_equal(scheme_handle_reserve(b->scheme, id, buffers, 2), 2);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 60), 60);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 60), 60);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 60), SCHEME_PARKED);

	for (uint8_t i = 0; i < 40; i++) {
		memory_port_receive(&b->port, 60, i);
	}
	assert_int_equal(scheme_handle_peek(b->scheme, id, buffers, SCHEME_BURST + 8), 32);
	assert_int_equal(buffers[31].data[59], 31);
	scheme_handle_pop(b->scheme, id, 10);
	assert_int_equal(scheme_handle_peek(b->scheme, id, buffers, 32), 30);
	assert_int_equal(buffers[0].data[59], 10);
}

static void set_jumbo(struct bench *b)
{
	b->port.mtu = 9710;
	scheme_tick(b->scheme);
}

static void large_frames_lie_in_pieces(void **state)
{
	struct bench *b = *state;
	static const size_t lens[] = {60, 2047, 2048, 2049, 4096, 4097, 8192, 9723, 9724};
	const unsigned n = sizeof(lens) / sizeof(lens[0]);
	uint8_t data[SCHEME_FRAME_MAX + 1], frame[SCHEME_FRAME_MAX + 1];
	int64_t id = scheme_handle_open(b->scheme, "", RW, &b->page);

	b->port.echo = true;
	assert_int_equal(write_frame(b, id, 2049), -EMSGSIZE);
	set_jumbo(b);
	for (unsigned i = 0; i < n; i++) {
		memory_port_frame(frame, lens[i], (uint8_t)i);
		assert_int_equal(scheme_handle_write(b->scheme, id, frame, lens[i]), lens[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		memory_port_frame(frame, lens[i], (uint8_t)i);
		assert_int_equal(b->port.tx[i].len, lens[i]);
		assert_memory_equal(b->port.tx[i].data, frame, lens[i]);
		size_t cut = i % 2 == 0 ? sizeof(data) : lens[i] * 2 / 3;
		size_t expected = cut < lens[i] ? cut : lens[i];
		assert_int_equal(scheme_handle_read(b->scheme, id, data, cut), expected);
		assert_memory_equal(data, frame, expected);
	}
	assert_int_equal(write_frame(b, id, 9725), -EMSGSIZE);
	memory_port_frame(frame, sizeof(frame), 1);
	set_type(frame, 0x8100);
	assert_int_equal(scheme_handle_write(b->scheme, id, frame, 9728), 9728);
	assert_int_equal(scheme_handle_write(b->scheme, id, frame, 9729), -EMSGSIZE);
	assert_memory_equal(b->port.tx[n].data, frame, 9728);
	b->port.link.up = false; /* what goes nowhere is judged as well */
	scheme_tick(b->scheme);
	assert_int_equal(scheme_handle_write(b->scheme, id, frame, 9728), -ENETDOWN);
	assert_int_equal(b->page.sent, n + 1);
	assert_int_equal(b->page.received, n);
}

static void bursts_mix_sizes(void **state)
{
	struct bench *b = *state;
	static const size_t lens[] = {60, 5000, 61, 9724, 2048};
	struct scheme_buffer pieces[SCHEME_BURST_PIECES];
	uint8_t data[SCHEME_FRAME_MAX], frame[SCHEME_FRAME_MAX];
	int64_t id = open_path(b, "", RW);

	set_jumbo(b);
	for (unsigned i = 0; i < 5; i++) {
		memory_port_receive(&b->port, lens[i], (uint8_t)i);
	}
	assert_int_equal(scheme_handle_peek(b->scheme, id, pieces, SCHEME_BURST), 5);
	for (unsigned i = 0, at = 0; i < 5; i++) {
		size_t sum = 0;
		memory_port_frame(frame, lens[i], (uint8_t)i);
		for (bool more = true; more; at++) {
			assert_true(pieces[at].len > 0 && sum + pieces[at].len <= lens[i]);
			assert_memory_equal(pieces[at].data, frame + sum, pieces[at].len);
			sum += pieces[at].len;
			more = pieces[at].more;
		}
		assert_int_equal(sum, lens[i]);
	}
	scheme_handle_pop(b->scheme, id, 3);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, sizeof(data)), 9724);
	memory_port_frame(frame, 9724, 3);
	assert_memory_equal(data, frame, 9724);

	assert_int_equal(scheme_handle_reserve(b->scheme, id, pieces, 3), 3);
	const struct scheme_buffer *second = pieces + SCHEME_PIECES;
	memory_port_frame(pieces[0].data, 60, 1);
	memory_port_frame(frame, 3000, 2);
	memcpy(second[0].data, frame, second[0].len);
	memcpy(second[1].data, frame + second[0].len, 3000 - second[0].len);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 60), 60);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 3000), 3000);
	assert_int_equal(scheme_handle_commit(b->scheme, id, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(scheme_handle_commit(b->scheme, id, 60), SCHEME_PARKED);
	assert_int_equal(b->port.sent, 2);
	assert_int_equal(b->port.tx[1].len, 3000);
	assert_memory_equal(b->port.tx[1].data, frame, 3000);
}

/* --- taps --- */

static void taps_see_both_ways(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int64_t tap = scheme_handle_open(b->scheme, "/tap", SCHEME_READ, &b->page);
	int64_t other = open_path(b, "/tap", SCHEME_READ);
	int64_t id = open_path(b, "", RW);

	assert_int_equal(b->page.value, 0);
	assert_int_equal(scheme_handle_read(b->scheme, tap, data, 64), SCHEME_PARKED);
	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 64), 60);
	assert_int_equal(write_frame(b, id, 61), 61);
	assert_int_equal(write_frame(b, id, 13), -EINVAL); /* goes nowhere: no copy */
	scheme_handle_close(b->scheme, id);
	memory_port_receive(&b->port, 62, 2);
	scheme_tick(b->scheme); /* unclaimed, but seen */
	const int64_t taps[] = {tap, other};
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(scheme_handle_read(b->scheme, taps[i], data, 64), 60);
		assert_int_equal(data[59], 1);
		assert_int_equal(scheme_handle_read(b->scheme, taps[i], data, 64), 61);
		assert_int_equal(data[60], 7);
		assert_int_equal(scheme_handle_read(b->scheme, taps[i], data, 64), 62);
		assert_int_equal(data[61], 2);
		assert_int_equal(scheme_handle_read(b->scheme, taps[i], data, 64), SCHEME_PARKED);
	}
	assert_int_equal(b->page.received, 3);
	assert_int_equal(stat_of(b, "unclaimed"), 1);
}

static void taps_lose_what_they_do_not_read(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int64_t tap = scheme_handle_open(b->scheme, "/tap", SCHEME_READ, &b->page);
	int64_t id = open_path(b, "", SCHEME_READ);

	for (unsigned i = 0; i < 300; i++) {
		memory_port_receive(&b->port, 60, (uint8_t)i);
		assert_int_equal(scheme_handle_read(b->scheme, id, data, 64), 60);
	}
	assert_int_equal(b->page.tap_dropped, 44);
	assert_int_equal(stat_of(b, "tap_dropped"), 44);
	for (unsigned i = 0; i < 256; i++) { /* the oldest are kept */
		assert_int_equal(scheme_handle_read(b->scheme, tap, data, 64), 60);
		assert_int_equal(data[59], (uint8_t)i);
	}
	assert_int_equal(scheme_handle_read(b->scheme, tap, data, 64), SCHEME_PARKED);
	scheme_handle_close(b->scheme, tap);
	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 64), 60);
	assert_int_equal(stat_of(b, "tap_dropped"), 44);
}

/* Any sizes, read sooner or later: the copies that a tap took, and no others, in their order. */
static void taps_take_what_fits(void **state)
{
	struct bench *b = *state;
	static struct {
		size_t len;
		uint8_t mark;
	} kept[4096];
	unsigned head = 0, tail = 0;
	uint64_t dropped = 0;
	uint8_t data[SCHEME_FRAME_MAX], frame[SCHEME_FRAME_MAX];
	int64_t tap = scheme_handle_open(b->scheme, "/tap", SCHEME_READ, &b->page);
	int64_t id = open_path(b, "", RW);

	set_jumbo(b);
	srand(1);
	for (unsigned i = 0; i < 4000; i++) {
		unsigned period = i / 500 % 4; /* mixed, large alone, small alone, read at once */
		size_t len = period == 1 ? 9724 : period == 2 ? 60 : 60 + (size_t)rand() % 9665;
		bool sends = rand() % 2 == 0;
		memory_port_frame(frame, len, (uint8_t)i);
		if (sends) {
			assert_int_equal(scheme_handle_write(b->scheme, id, frame, len), len);
		} else {
			memory_port_receive(&b->port, len, (uint8_t)i);
			assert_int_equal(
				scheme_handle_read(b->scheme, id, data, sizeof(data)), len);
		}
		if (b->page.tap_dropped == dropped) {
			kept[head].len = len;
			kept[head++].mark = (uint8_t)i;
		}
		dropped = b->page.tap_dropped;
		unsigned reads = period == 3 ? head - tail : (unsigned)rand() % 2;
		for (; reads > 0 && tail != head; reads--, tail++) {
			len = kept[tail].len;
			memory_port_frame(frame, len, kept[tail].mark);
			assert_int_equal(
				scheme_handle_read(b->scheme, tap, data, sizeof(data)), len);
			assert_memory_equal(data, frame, len);
		}
		if (tail == head) {
			assert_int_equal(
				scheme_handle_read(b->scheme, tap, data, 64), SCHEME_PARKED);
		}
	}
	assert_true(dropped > 100 && head > 1000);
	assert_int_equal(dropped + head, 4000);
	assert_int_equal(tail, head); /* the last period's end */
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(write_frame(b, id, 9724), 9724);
	}
	assert_int_equal(b->page.tap_dropped - dropped, 7); /* 53 of them are 512 KiB */
}

/* --- events --- */

static void events_are_told_when_something_changes(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int64_t ids[] = {open_path(b, "", RW), open_path(b, "/mac", SCHEME_READ),
		open_path(b, "/tap", SCHEME_READ)};

	b->port.limit = 0;
	round_of(b, ids, 3);
	assert_int_equal(b->told_read + b->told_write, 0); /* nobody asked */
	assert_int_equal(scheme_handle_fevent(b->scheme, ids[0], 4), -EINVAL);
	assert_int_equal(
		scheme_handle_fevent(b->scheme, ids[0], SCHEME_EVENT_READ | SCHEME_EVENT_WRITE), 0);
	assert_int_equal(scheme_handle_fevent(b->scheme, ids[2], SCHEME_EVENT_READ), 0);
	round_of(b, ids, 3);
	assert_int_equal(b->told_read + b->told_write, 0); /* neither frame nor buffer */
	memory_port_receive(&b->port, 60, 1);
	round_of(b, ids, 3);
	round_of(b, ids, 3);
	assert_int_equal(b->told_read, 1);
	b->port.limit = 1;
	round_of(b, ids, 3);
	assert_int_equal(b->told_write, 1);
	assert_int_equal(scheme_handle_read(b->scheme, ids[0], data, 64), 60);
	round_of(b, ids, 3);
	assert_int_equal(b->told_read, 2); /* the tap's copy */
	assert_int_equal(scheme_handle_fevent(b->scheme, ids[1], SCHEME_EVENT_READ), 0);
	round_of(b, ids, 3);
	assert_int_equal(b->told_read, 3); /* values are there at once, and so is their end */
	assert_int_equal(scheme_handle_read(b->scheme, ids[1], data, 64), 6);
	assert_int_equal(scheme_handle_ready(b->scheme, ids[1]), SCHEME_EVENT_READ);
	/* Ready to be written also when the link is down: the write is dropped at once. */
	b->port.limit = 0;
	assert_int_equal(scheme_handle_ready(b->scheme, ids[0]), 0);
	b->port.link.up = false;
	round_of(b, ids, 3);
	assert_int_equal(scheme_handle_ready(b->scheme, ids[0]), SCHEME_EVENT_WRITE);
}

/* --- status pages --- */

static void pages_follow_the_link(void **state)
{
	struct bench *b = *state;

	(void)scheme_handle_open(b->scheme, "", RW, &b->page);
	assert_int_equal(b->page.link_up, 1);
	assert_int_equal(b->page.link_mbit, 10000);
	assert_int_equal(b->page.mtu, 1500);
	b->page.link_mbit = 77; /* not written while nothing changes */
	scheme_tick(b->scheme);
	assert_int_equal(b->page.link_mbit, 77);
	b->port.link = (struct scheme_link){false, 10000};
	scheme_tick(b->scheme);
	assert_int_equal(b->page.link_up, 0);
	assert_int_equal(b->page.link_mbit, 0);
	b->port.link = (struct scheme_link){true, 100};
	scheme_tick(b->scheme);
	assert_int_equal(b->page.link_mbit, 100);
	b->port.link = (struct scheme_link){true, 1000};
	scheme_tick(b->scheme);
	assert_int_equal(b->page.link_mbit, 1000);
	b->port.mtu = 1400;
	scheme_tick(b->scheme);
	assert_int_equal(b->page.link_up, 1);
	assert_int_equal(b->page.link_mbit, 1000);
	assert_int_equal(b->page.mtu, 1400);
}

static void pages_are_never_believed(void **state)
{
	struct bench *b = *state;
	uint8_t data[64];
	int64_t id = scheme_handle_open(b->scheme, "", RW, &b->page);

	assert_int_equal(write_frame(b, id, 60), 60);
	memset(&b->page, 0xff, sizeof(b->page));
	assert_int_equal(write_frame(b, id, 60), 60);
	assert_int_equal(write_frame(b, id, 13), -EINVAL);
	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(scheme_handle_read(b->scheme, id, data, 64), 60);
	assert_int_equal(b->page.sent, 2);
	assert_int_equal(b->page.writes, 3);
	assert_int_equal(b->page.refused, 1);
	assert_int_equal(b->page.received, 1);
	assert_int_equal(write_frame(b, id, 1515), -EMSGSIZE); /* by the MTU, not the page's */
}

static void pages_tell_who_serves(void **state)
{
	struct bench *b = *state;
	static struct scheme_status second;

	int64_t id = scheme_handle_open(b->scheme, "", RW, &b->page);
	assert_int_equal(b->page.present, 1);
	scheme_handle_close(b->scheme, id);
	assert_int_equal(b->page.present, 0);
	(void)scheme_handle_open(b->scheme, "/mac", SCHEME_READ, &second);
	assert_int_equal(second.present, 1);
	scheme_destroy(b->scheme);
	b->scheme = NULL;
	assert_int_equal(second.present, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_known_paths_open),
		TEST(only_some_paths_are_written),
		TEST(wrong_ids_are_told),
		TEST(handles_are_limited),
		TEST(handles_know_their_path),
		TEST(names_are_checked),
		TEST(values_are_read_once),
		TEST(values_are_of_the_opening),
		TEST(write_only_handles_do_not_read),
		TEST(numbers_are_strict),
		TEST(the_ports_error_is_the_verdict),
		TEST(reads_park_and_are_answered_in_order),
		TEST(frames_are_cut_to_the_buffer),
		TEST(large_frames_lie_in_pieces),
		TEST(bursts_mix_sizes),
		TEST(each_frame_goes_to_one_handle),
		TEST(frames_wait_for_readers_only),
		TEST(frames_have_a_size),
		TEST(writes_park_without_a_buffer),
		TEST(a_link_that_is_down_takes_no_buffer),
		TEST(read_only_handles_do_not_write),
		TEST(bursts_keep_their_order),
		TEST(taps_see_both_ways),
		TEST(taps_lose_what_they_do_not_read),
		TEST(taps_take_what_fits),
		TEST(events_are_told_when_something_changes),
		TEST(pages_follow_the_link),
		TEST(pages_are_never_believed),
		TEST(pages_tell_who_serves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
