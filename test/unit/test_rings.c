/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared rings in the core, with a card in memory and a client that writes to its ring memory by
 * hand, in order or not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheme/ring_layout.h"
#include "scheme/rings.h"
#include "scheme/server.h"
#include "scheme/wire.h"
#include "test/unit/memory_port.h"

#define RX    64u
#define TX    128u
#define BYTES ((size_t)1 << 20)

struct bench {
	struct memory_port port;
	struct scheme *scheme;
	int64_t handle;
	struct scheme_rings rings;
	struct ring_client *client;
	_Atomic uint64_t *rx, *tx;
	uint8_t *frames;
	union {
		struct scheme_status status;
		_Alignas(RING_APART) uint8_t bytes[4096];
	} page;
	struct ring_driver *driver;
};

static void init_rings(struct bench *b)
{
	scheme_rings_init(&b->rings, b->frames, BYTES, b->client, b->driver, RX, TX);
}

static int set_up(void **state)
{
	struct bench *b =
		aligned_alloc(RING_APART, (sizeof(*b) + RING_APART - 1) & ~(RING_APART - 1ul));
	size_t bytes = (ring_bytes(RX, TX) + 4095) & ~(size_t)4095;

	assert_non_null(b);
	memset(b, 0, sizeof(*b));
	struct scheme_port port = memory_port_init(&b->port);
	assert_int_equal(scheme_create(&b->scheme, "card", &port), 0);
	b->handle = scheme_handle_open(b->scheme, "", SCHEME_READ | SCHEME_WRITE, &b->page.status);
	assert_true(b->handle > 0);
	b->client = aligned_alloc(4096, bytes);
	b->frames = calloc(1, BYTES);
	assert_true(b->client != NULL && b->frames != NULL);
	memset(b->client, 0, bytes);
	b->rx = (_Atomic uint64_t *)((char *)b->client + RING_SLOTS);
	b->tx = b->rx + RX;
	b->driver = ring_driver_of(&b->page.status);
	init_rings(b);
	assert_int_equal(scheme_handle_rings(b->scheme, b->handle, &b->rings), 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	scheme_destroy(b->scheme);
	free(b->client);
	free(b->frames);
	free(b);
	return 0;
}

static ssize_t exchange(struct bench *b)
{
	return scheme_handle_exchange(b->scheme, b->handle);
}

/* What a client in order does. */
static void provide_rx(struct bench *b, uint32_t index)
{
	struct scheme_frame empty = {.offset = scheme_ring_buffer(index)};

	ring_store(&b->rx[b->client->rx_provided % RX], &empty);
	b->client->rx_provided++;
}

static void provide_tx(struct bench *b, uint32_t index, size_t len, uint8_t mark)
{
	struct scheme_frame full = {.offset = scheme_ring_buffer(index), .len = (uint16_t)len};

	memory_port_frame(b->frames + full.offset, len, mark);
	ring_store(&b->tx[b->client->tx_provided % TX], &full);
	b->client->tx_provided++;
}

/* One entry more, as it is. */
static void provide_entry(struct bench *b, uint32_t offset, size_t len, unsigned flags)
{
	struct scheme_frame entry = {
		.offset = offset, .len = (uint16_t)len, .flags = (uint16_t)flags};

	ring_store(&b->tx[b->client->tx_provided % TX], &entry);
	b->client->tx_provided++;
}

/* A frame in entries of those lengths, of which 0 is the end, from a buffer on, with gaps. */
static void provide_chain(struct bench *b, uint32_t index, const size_t *lens, uint8_t mark)
{
	uint8_t frame[2 * SCHEME_FRAME_MAX];
	size_t len = 0, at = 0;

	for (unsigned i = 0; lens[i] > 0; i++) {
		len += lens[i];
	}
	assert_true(len <= sizeof(frame));
	memory_port_frame(frame, len, mark);
	for (unsigned i = 0; lens[i] > 0; i++) {
		uint32_t offset = scheme_ring_buffer(index) + (uint32_t)at + 16 * i;
		memcpy(b->frames + offset, frame + at, lens[i]);
		at += lens[i];
		provide_entry(b, offset, lens[i], at < len ? SCHEME_FRAME_MORE : 0);
	}
}

static void set_jumbo(struct bench *b)
{
	b->port.mtu = 9710;
	scheme_tick(b->scheme);
}

static void assert_sent(const struct bench *b, unsigned i, size_t len, uint8_t mark)
{
	uint8_t frame[SCHEME_FRAME_MAX];

	memory_port_frame(frame, len, mark);
	assert_int_equal(b->port.tx[i % PORT_FRAMES].len, len);
	assert_memory_equal(b->port.tx[i % PORT_FRAMES].data, frame, len);
}

static void frames_are_received(void **state)
{
	struct bench *b = *state;
	uint8_t frame[PORT_ROOM];

	memory_port_receive(&b->port, 60, 1);
	memory_port_receive(&b->port, 1514, 2);
	memory_port_receive(&b->port, 64, 3);
	assert_int_equal(exchange(b), 0); /* no buffer yet: they wait */
	provide_rx(b, 7);
	provide_rx(b, 3);
	assert_int_equal(exchange(b), 2);
	assert_int_equal(b->driver->rx_taken, 2);
	assert_int_equal(b->driver->rx_returned, 2);
	const struct scheme_frame first = ring_load(&b->rx[0]), second = ring_load(&b->rx[1]);
	assert_int_equal(first.offset, scheme_ring_buffer(7));
	assert_int_equal(first.len, 60);
	assert_int_equal(first.flags, 0);
	assert_int_equal(second.len, 1514);
	memory_port_frame(frame, 1514, 2);
	assert_memory_equal(b->frames + scheme_ring_buffer(3), frame, 1514);
	assert_int_equal(b->port.rx_tail, 2); /* the third still waits */
	assert_int_equal(b->page.status.received, 2);
}

static void frames_are_sent_as_they_are_judged(void **state)
{
	struct bench *b = *state;

	provide_tx(b, 0, 60, 1);
	provide_tx(b, 1, 13, 2);   /* no header */
	provide_tx(b, 2, 1515, 3); /* too long */
	provide_tx(b, 3, 1514, 4);
	provide_tx(b, 4, 64, 5);
	struct scheme_frame more = ring_load(&b->tx[4]);
	more.flags = SCHEME_FRAME_ERROR; /* nothing that a frame to be sent has */
	ring_store(&b->tx[4], &more);
	assert_int_equal(exchange(b), 5);
	assert_int_equal(b->port.sent, 2);
	assert_sent(b, 0, 60, 1);
	assert_sent(b, 1, 1514, 4);
	assert_int_equal(b->driver->tx_done, 5);
	assert_int_equal(b->page.status.sent, 2);
	assert_int_equal(b->page.status.refused, 3);
	assert_int_equal(b->page.status.error, -EINVAL);
	assert_int_equal(b->page.status.writes, 5);
	b->port.link.up = false;
	scheme_tick(b->scheme);
	provide_tx(b, 5, 60, 6);
	provide_tx(b, 6, 60, 7);
	assert_int_equal(exchange(b), 2);
	assert_int_equal(b->port.sent, 2);
	assert_int_equal(b->page.status.no_link, 2);
	assert_int_equal(b->page.status.error, -ENETDOWN);
}

/* Whole, or not at all. */
static void large_frames_are_received(void **state)
{
	struct bench *b = *state;
	uint8_t frame[SCHEME_FRAME_MAX];
	static const uint16_t lens[] = {2048, 2048, 904, 60};

	set_jumbo(b);
	memory_port_receive(&b->port, 5000, 1);
	memory_port_receive(&b->port, 60, 2);
	provide_rx(b, 0);
	provide_rx(b, 1);
	assert_int_equal(exchange(b), 0);
	assert_int_equal(b->driver->rx_taken, 0);
	assert_false(scheme_rings_sleep(&b->rings, SCHEME_RING_RX)); /* two are as none */
	provide_rx(b, 2);
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_RX));
	scheme_rings_awake(&b->rings);
	assert_int_equal(exchange(b), 1);
	provide_rx(b, 3);
	assert_int_equal(exchange(b), 1);
	memory_port_frame(frame, 5000, 1);
	for (uint32_t i = 0; i < 4; i++) {
		const struct scheme_frame entry = ring_load(&b->rx[i]);
		assert_int_equal(entry.offset, scheme_ring_buffer(i));
		assert_int_equal(entry.len, lens[i]);
		assert_int_equal(entry.flags, i < 2 ? SCHEME_FRAME_MORE : 0);
		if (i < 3) {
			assert_memory_equal(b->frames + entry.offset, frame + i * 2048ul, lens[i]);
		}
	}
	assert_int_equal(b->page.status.received, 2);
}

/* What it lacked buffers for went to somebody else: what comes next may need less. */
static void what_waits_may_be_smaller(void **state)
{
	struct bench *b = *state;
	uint8_t data[SCHEME_FRAME_MAX];
	int64_t other = scheme_handle_open(b->scheme, "", SCHEME_READ, NULL);

	set_jumbo(b);
	provide_rx(b, 0);
	memory_port_receive(&b->port, 5000, 1);
	assert_int_equal(exchange(b), 0);
	assert_int_equal(scheme_handle_read(b->scheme, other, data, sizeof(data)), 5000);
	assert_int_equal(exchange(b), 0);
	memory_port_receive(&b->port, 60, 2);
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_RX));
	assert_int_equal(exchange(b), 1);
}

static void large_frames_are_sent(void **state)
{
	struct bench *b = *state;
	static const size_t lens[][8] = {
		{9724}, {10, 1, 2000, 2048, 2989}, {4096, 4096}, {2047, 1, 2049}, {13, 1}};
	static const size_t longer[] = {2000, 2000, 2000, 2000, 1725, 0};
	size_t many[SCHEME_RING_CHAIN + 2] = {0};

	set_jumbo(b);
	for (uint32_t i = 0; i < 5; i++) {
		size_t len = 0;
		for (unsigned k = 0; lens[i][k] > 0; k++) {
			len += lens[i][k];
		}
		provide_chain(b, 8 * i, lens[i], (uint8_t)i);
		assert_int_equal(exchange(b), 1);
		assert_sent(b, i, len, (uint8_t)i);
		assert_int_equal(b->driver->tx_done, b->client->tx_provided);
	}
	for (unsigned i = 0; i < SCHEME_RING_CHAIN; i++) {
		many[i] = 243;
	}
	provide_chain(b, 0, many, 7);
	provide_chain(b, 50, longer, 8);
	provide_chain(b, 60, lens[3], 9);
	provide_entry(b, scheme_ring_buffer(60), 60, SCHEME_FRAME_MORE);
	provide_entry(b, scheme_ring_buffer(61), 0, 0); /* an empty one */
	provide_entry(b, scheme_ring_buffer(60), 60, SCHEME_FRAME_MORE);
	provide_entry(b, scheme_ring_buffer(61), 60, SCHEME_FRAME_MORE | 4);
	provide_entry(b, scheme_ring_buffer(60), 60, 0);
	assert_int_equal(exchange(b), 5);
	assert_sent(b, 5, 9720, 7);
	assert_sent(b, 6, 4097, 9);
	assert_int_equal(b->port.sent, 7);
	assert_int_equal(b->driver->tx_done, b->client->tx_provided);
	assert_int_equal(b->page.status.sent, 7);
	assert_int_equal(b->page.status.refused, 3);
}

/* It waits for its end; the driver sleeps meanwhile. */
static void a_frame_without_end_waits(void **state)
{
	struct bench *b = *state;

	set_jumbo(b);
	provide_tx(b, 0, 60, 1);
	memory_port_frame(b->frames + 4096, 3000, 2);
	provide_entry(b, 4096, 2000, SCHEME_FRAME_MORE);
	assert_int_equal(exchange(b), 1);
	assert_int_equal(b->driver->tx_taken, 1);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 0);
	assert_false(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	provide_entry(b, 6096, 1000, 0);
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	assert_int_equal(exchange(b), 1);
	assert_sent(b, 1, 3000, 2);
	/* It leaves in the middle of one: nothing is left to be done. */
	provide_entry(b, 4096, 2000, SCHEME_FRAME_MORE);
	scheme_rings_end(&b->rings);
	provide_entry(b, 6096, 1000, 0);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 0);
	assert_int_equal(exchange(b), 0);
	assert_int_equal(b->port.sent, 2);
}

static void a_frame_has_no_more_entries_than_a_card_takes(void **state)
{
	struct bench *b = *state;
	struct scheme_frame entries[TX];

	set_jumbo(b);
	for (unsigned ends = 0; ends < 2; ends++) {
		b->client->tx_provided = b->driver->tx_done = 0;
		init_rings(b);
		for (unsigned i = 0; i < SCHEME_RING_CHAIN; i++) {
			provide_entry(b, 64 + 100 * i, 100, SCHEME_FRAME_MORE);
		}
		if (ends > 0) {
			provide_entry(b, 64, 100, 0);
		}
		assert_int_equal(exchange(b), -EPROTO);
	}
	assert_int_equal(b->port.sent, 0);
	/* One whose end is taken away while it is looked at. */
	b->client->tx_provided = 0;
	init_rings(b);
	provide_entry(b, 64, 100, SCHEME_FRAME_MORE);
	provide_entry(b, 64, 100, 0);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 2);
	b->client->tx_provided = 1;
	provide_entry(b, 64, 100, SCHEME_FRAME_MORE);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, TX, TX), -EPROTO);
}

static void frames_are_taken_whole(void **state)
{
	struct bench *b = *state;
	static const size_t three[] = {100, 100, 100, 0};
	struct scheme_frame entries[TX];

	provide_chain(b, 0, three, 1);
	provide_tx(b, 10, 60, 2);
	provide_chain(b, 20, three, 3);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 7);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, 2, 9), 0);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, 6, 9), 4);
	assert_int_equal(entries[3].len, 60);
	assert_int_equal(b->driver->tx_taken, 4);
	provide_tx(b, 10, 60, 2);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, 64, 1), 3);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, 64, 1), 1);
}

static void no_buffer_parks(void **state)
{
	struct bench *b = *state;

	b->port.limit = 0;
	provide_tx(b, 0, 60, 1);
	assert_int_equal(exchange(b), 0);
	assert_int_equal(b->driver->tx_taken, 0);
	b->port.limit = 1;
	assert_int_equal(exchange(b), 1);
	assert_sent(b, 0, 60, 1);
}

static void a_round_has_its_budget(void **state)
{
	struct bench *b = *state;

	b->port.echo = true;
	for (uint32_t i = 0; i < TX; i++) {
		provide_tx(b, i, 60, (uint8_t)i);
	}
	for (uint32_t i = 0; i < RX; i++) {
		provide_rx(b, TX + i);
	}
	assert_int_equal(exchange(b), TX); /* what was there came after the look for frames */
	assert_int_equal(exchange(b), RX);
	assert_int_equal(b->port.rx_head - b->port.rx_tail, TX - RX);
}

static void access_is_kept(void **state)
{
	struct bench *b = *state;

	for (uint32_t access = SCHEME_READ; access <= SCHEME_WRITE; access++) {
		int64_t id = scheme_handle_open(b->scheme, "", access, NULL);
		init_rings(b);
		b->client->rx_provided = b->client->tx_provided = b->driver->rx_returned = 0;
		assert_int_equal(scheme_handle_rings(b->scheme, id, &b->rings), 0);
		provide_rx(b, 0);
		provide_tx(b, 1, 60, 1);
		memory_port_receive(&b->port, 60, 1);
		assert_int_equal(scheme_handle_exchange(b->scheme, id), 1);
		assert_int_equal(b->driver->rx_returned, access == SCHEME_READ);
		b->port.rx_tail = b->port.rx_head;
		scheme_handle_close(b->scheme, id);
	}
	assert_int_equal(b->port.sent, 1);
	int64_t tap = scheme_handle_open(b->scheme, "/tap", SCHEME_READ, NULL);
	assert_int_equal(scheme_handle_rings(b->scheme, tap, &b->rings), -EINVAL);
	assert_int_equal(scheme_handle_rings(b->scheme, 0, &b->rings), -EBADF);
	assert_int_equal(scheme_handle_exchange(b->scheme, tap), -EBADF);
}

/* Each ends with -EPROTO, and nothing was touched. */
static void rules_are_kept(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *what;
		bool rx;
		uint32_t provided;
		struct scheme_frame slot;
	} bad[] = {
		{"an index beyond the ring", false, TX + 1, {64, 60, 0}},
		{"an index backwards", false, UINT32_MAX, {64, 60, 0}},
		{"a frame outside", false, 1, {BYTES - 59, 60, 0}},
		{"far outside", false, 1, {UINT32_MAX, 60, 0}},
		{"an index beyond the ring", true, RX + 1, {64, 0, 0}},
		{"an index backwards", true, 0x80000000, {64, 0, 0}},
		{"no head", true, 1, {63, 0, 0}},
		{"a buffer that ends outside", true, 1, {BYTES - 2047, 0, 0}},
		{"far outside", true, 1, {UINT32_MAX - 64, 0, 0}},
	};

	memory_port_receive(&b->port, 60, 1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		init_rings(b);
		b->client->rx_provided = bad[i].rx ? bad[i].provided : 0;
		b->client->tx_provided = bad[i].rx ? 0 : bad[i].provided;
		ring_store(bad[i].rx ? &b->rx[0] : &b->tx[0], &bad[i].slot);
		if (exchange(b) != -EPROTO) {
			fail_msg("%s: taken", bad[i].what);
		}
		assert_int_equal(b->port.sent, 0);
		assert_int_equal(b->port.rx_tail, 0);
	}
	/* The last that is right. */
	init_rings(b);
	b->client->rx_provided = b->client->tx_provided = 1;
	ring_store(&b->rx[0], &(struct scheme_frame){.offset = BYTES - 2048});
	ring_store(&b->tx[0], &(struct scheme_frame){.offset = BYTES - 60, .len = 60});
	assert_int_equal(exchange(b), 2);
	/* Back behind what was seen and not taken. */
	b->port.limit = 0;
	provide_tx(b, 0, 60, 1);
	provide_tx(b, 0, 60, 1);
	assert_int_equal(exchange(b), 0);
	b->client->tx_provided--;
	scheme_rings_end(&b->rings);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 2);
}

static void indices_wrap(void **state)
{
	struct bench *b = *state;

	b->client->tx_provided = b->driver->tx_taken = b->driver->tx_done = UINT32_MAX - 1;
	uint32_t lost;
	assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
	assert_int_equal(lost, 0);
	for (uint32_t i = 0; i < 5; i++) {
		provide_tx(b, i, 60, (uint8_t)i);
	}
	assert_int_equal(exchange(b), 5);
	assert_int_equal(b->driver->tx_done, 3);
	for (unsigned i = 0; i < 5; i++) {
		assert_sent(b, i, 60, (uint8_t)i);
	}
}

/* --- one driver after another --- */

static void the_next_driver_goes_on(void **state)
{
	struct bench *b = *state;
	struct scheme_frame frames[4];
	uint32_t offsets[4], lost;

	for (uint32_t i = 0; i < 4; i++) {
		provide_rx(b, i);
		provide_tx(b, 10 + i, 60, (uint8_t)i);
	}
	assert_int_equal(scheme_rings_rx_take(&b->rings, offsets, 3), 3);
	assert_int_equal(scheme_rings_tx_take(&b->rings, frames, 4, 3), 3);
	frames[0].len = 77;
	scheme_rings_rx_return(&b->rings, frames, 1);
	scheme_rings_tx_return(&b->rings, 1);
	/* It dies: two buffers for frames are taken again, two frames are lost. */
	init_rings(b);
	assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
	assert_int_equal(lost, 2);
	assert_int_equal(b->driver->tx_done, 3);
	assert_int_equal(b->driver->rx_taken, 1);
	assert_true(scheme_rings_must_wake(&b->rings)); /* whatever it was about to say */
	assert_int_equal(scheme_rings_rx_take(&b->rings, offsets, 4), 3);
	assert_int_equal(offsets[0], scheme_ring_buffer(1));
	assert_int_equal(offsets[2], scheme_ring_buffer(3));
	assert_int_equal(scheme_rings_tx_take(&b->rings, frames, 4, 4), 1);
	assert_int_equal(frames[0].offset, scheme_ring_buffer(13));
	/* It hands over: what it had taken is still on its way. */
	init_rings(b);
	assert_int_equal(scheme_rings_resume(&b->rings, true, &lost), 0);
	assert_int_equal(lost, 0);
	assert_int_equal(scheme_rings_rx_held(&b->rings), 3);
	assert_int_equal(scheme_rings_tx_held(&b->rings), 1);
	scheme_handle_lost(b->scheme, b->handle, 2);
	assert_int_equal(b->page.status.lost, 2);
}

/* A frame in several entries is one that is lost. */
static void what_is_lost_is_counted_in_frames(void **state)
{
	struct bench *b = *state;
	static const size_t three[] = {100, 100, 100, 0};
	struct scheme_frame entries[TX];
	uint32_t lost;

	provide_chain(b, 0, three, 1);
	provide_tx(b, 10, 60, 2);
	assert_int_equal(scheme_rings_tx_take(&b->rings, entries, TX, TX), 4);
	init_rings(b);
	assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
	assert_int_equal(lost, 2);
	assert_int_equal(b->driver->tx_done, 4);
}

static void a_mad_driver_is_not_followed(void **state)
{
	struct bench *b = *state;
	static const uint32_t bad[][4] = {
		/* rx taken, returned, tx taken, done; both clients' are at 4 */
		{5, 4, 0, 0},
		{4, 5, 0, 0},
		{0, 0, 5, 4},
		{0, 0, 4, 5},
		{0, 0, 0x80000000, 0},
		{0, 4 - RX - 1, 0, 0},
	};
	uint32_t lost;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		init_rings(b);
		b->client->rx_provided = b->client->tx_provided = 4;
		b->driver->rx_taken = bad[i][0];
		b->driver->rx_returned = bad[i][1];
		b->driver->tx_taken = bad[i][2];
		b->driver->tx_done = bad[i][3];
		assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), -EPROTO);
	}
}

static void who_left_is_served_to_its_end(void **state)
{
	struct bench *b = *state;

	provide_tx(b, 0, 60, 1);
	provide_tx(b, 1, 60, 2);
	provide_rx(b, 2);
	memory_port_receive(&b->port, 60, 3);
	scheme_rings_end(&b->rings);
	provide_tx(b, 3, 60, 4); /* by another who has the memory */
	assert_int_equal(exchange(b), 2);
	assert_int_equal(exchange(b), 0);
	assert_int_equal(scheme_rings_tx_waiting(&b->rings), 0);
	assert_int_equal(b->port.sent, 2);
	assert_int_equal(b->port.rx_tail, 0); /* for others */
}

/* --- sleeping --- */

static void a_sleeping_client_is_woken_once(void **state)
{
	struct bench *b = *state;

	provide_tx(b, 0, 60, 1);
	assert_int_equal(exchange(b), 1);
	assert_false(scheme_rings_must_wake(&b->rings)); /* it is awake */
	b->client->sleeping = SCHEME_RING_RX;
	provide_tx(b, 0, 60, 1);
	assert_int_equal(exchange(b), 1);
	assert_false(scheme_rings_must_wake(&b->rings)); /* it sleeps for something else */
	provide_rx(b, 1);
	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(exchange(b), 1);
	assert_true(scheme_rings_must_wake(&b->rings));
	assert_true(scheme_rings_must_wake(&b->rings)); /* until it was */
	scheme_rings_woken(&b->rings);
	assert_int_equal(b->client->sleeping, 0);
	provide_rx(b, 1);
	memory_port_receive(&b->port, 60, 1);
	assert_int_equal(exchange(b), 1);
	assert_false(scheme_rings_must_wake(&b->rings));
}

static void the_driver_says_what_it_sleeps_for(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->driver->sleeps & 3, 0);
	assert_false(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	uint64_t first = b->driver->sleeps;
	assert_int_equal(first & 3, SCHEME_RING_TX);
	scheme_rings_awake(&b->rings);
	assert_int_equal(b->driver->sleeps & 3, 0);
	assert_false(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	assert_true(b->driver->sleeps > first);
	provide_rx(b, 0);
	assert_false(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_RX));
	provide_tx(b, 0, 60, 1);
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_TX));
	b->client->tx_provided = TX + 5;
	assert_true(scheme_rings_sleep(&b->rings, SCHEME_RING_TX)); /* to be found, and hung up */
}

/* Random moves of a client that is mostly in order, against a model of what must come out. */
static void any_sequence_is_in_order(void **state)
{
	struct bench *b = *state;
	uint32_t sent = 0, received = 0, expected = 0, marks = 0, lost;
	uint8_t frame[PORT_ROOM];

	srand(1);
	for (unsigned step = 0; step < 30000; step++) {
		switch (rand() % 5) {
		case 0:
			if (b->client->tx_provided - b->driver->tx_done < TX) {
				provide_tx(b, b->client->tx_provided % 200,
					60 + b->client->tx_provided % 1400,
					(uint8_t)b->client->tx_provided);
			}
			break;
		case 1:
			if (b->client->rx_provided - received < RX) {
				provide_rx(b, 200 + b->client->rx_provided % 200);
			}
			break;
		case 2:
			if (b->port.rx_head - b->port.rx_tail < 100) {
				memory_port_receive(&b->port, 60 + marks % 1400, (uint8_t)marks);
				marks++;
			}
			break;
		case 3:
			b->port.limit = (unsigned)rand() % PORT_BUFFERS;
			assert_true(exchange(b) >= 0);
			break;
		default:
			if (rand() % 20 == 0) {
				init_rings(b);
				assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
				assert_int_equal(
					lost, 0); /* between two rounds nothing is under way */
			}
		}
		for (; sent != b->port.sent; sent++) {
			assert_sent(b, sent, 60 + sent % 1400, (uint8_t)sent);
		}
		assert_int_equal(sent, b->driver->tx_done);
		for (; received != b->driver->rx_returned; received++, expected++) {
			struct scheme_frame slot = ring_load(&b->rx[received % RX]);
			assert_int_equal(slot.offset, scheme_ring_buffer(200 + received % 200));
			assert_int_equal(slot.len, 60 + expected % 1400);
			memory_port_frame(frame, slot.len, (uint8_t)expected);
			assert_memory_equal(b->frames + slot.offset, frame, slot.len);
		}
	}
	assert_true(sent > 1000 && received > 1000);
	assert_int_equal(b->page.status.sent, sent);
	assert_int_equal(b->page.status.received, received);
}

/* The same with frames of all sizes, in entries as the client likes. */
static void any_sequence_of_large_frames_is_in_order(void **state)
{
	struct bench *b = *state;
	static struct {
		size_t len, entries;
	} frames[65536];
	uint32_t provided = 0, sent = 0, done = 0, received = 0, expected = 0, marks = 0, lost;
	uint8_t frame[SCHEME_FRAME_MAX];
	size_t got = 0;

	set_jumbo(b);
	srand(2);
	for (unsigned step = 0; step < 20000; step++) {
		size_t lens[8] = {0}, n = 1 + (size_t)rand() % 7, room;
		switch (rand() % 5) {
		case 0:
			room = TX - (b->client->tx_provided - b->driver->tx_done);
			if (room < n) {
				break;
			}
			frames[provided].len = 0;
			frames[provided].entries = n;
			for (size_t i = 0; i < n; i++) {
				lens[i] = (i == 0 ? 14 : 1) + (size_t)rand() % 1374;
				frames[provided].len += lens[i];
			}
			provide_chain(b, b->client->tx_provided % TX * 2, lens, (uint8_t)provided);
			provided++;
			break;
		case 1:
			for (; n > 0 && b->client->rx_provided - received < RX; n--) {
				provide_rx(b, 300 + b->client->rx_provided % 150);
			}
			break;
		case 2:
			if (b->port.rx_head - b->port.rx_tail < 100) {
				memory_port_receive(
					&b->port, 60 + marks * 977ul % 9665, (uint8_t)marks);
				marks++;
			}
			break;
		case 3:
			b->port.limit = (unsigned)rand() % PORT_BUFFERS;
			assert_true(exchange(b) >= 0);
			break;
		default:
			if (rand() % 20 == 0) {
				init_rings(b);
				assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
				assert_int_equal(lost, 0);
			}
		}
		for (; sent != b->port.sent; sent++) {
			assert_sent(b, sent, frames[sent].len, (uint8_t)sent);
			done += (uint32_t)frames[sent].entries;
		}
		assert_int_equal(done, b->driver->tx_done);
		for (; received != b->driver->rx_returned; received++) {
			struct scheme_frame slot = ring_load(&b->rx[received % RX]);
			size_t len = 60 + expected * 977ul % 9665;
			memory_port_frame(frame, len, (uint8_t)expected);
			assert_int_equal(slot.offset, scheme_ring_buffer(300 + received % 150));
			assert_true(slot.len > 0 && got + slot.len <= len);
			assert_memory_equal(b->frames + slot.offset, frame + got, slot.len);
			got += slot.len;
			assert_int_equal(slot.flags, got < len ? SCHEME_FRAME_MORE : 0);
			expected += got == len;
			got = got == len ? 0 : got;
		}
		assert_int_equal(got, 0); /* never half of one */
	}
	assert_true(sent > 1000 && expected > 1000);
	assert_int_equal(b->page.status.sent, sent);
	assert_int_equal(b->page.status.received, expected);
	assert_int_equal(b->page.status.refused, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_are_received),
		TEST(frames_are_sent_as_they_are_judged),
		TEST(large_frames_are_received),
		TEST(what_waits_may_be_smaller),
		TEST(large_frames_are_sent),
		TEST(a_frame_without_end_waits),
		TEST(a_frame_has_no_more_entries_than_a_card_takes),
		TEST(frames_are_taken_whole),
		TEST(no_buffer_parks),
		TEST(a_round_has_its_budget),
		TEST(access_is_kept),
		TEST(rules_are_kept),
		TEST(indices_wrap),
		TEST(the_next_driver_goes_on),
		TEST(what_is_lost_is_counted_in_frames),
		TEST(a_mad_driver_is_not_followed),
		TEST(who_left_is_served_to_its_end),
		TEST(a_sleeping_client_is_woken_once),
		TEST(the_driver_says_what_it_sleeps_for),
		TEST(any_sequence_is_in_order),
		TEST(any_sequence_of_large_frames_is_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
