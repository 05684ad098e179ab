/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The daemon's port over a card that is an array: every buffer is somewhere, whatever card and
 * clients do, and frames keep their order.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/port.h"

#define BUFFERS 1200u
#define RING    256u

/* --- a card of arrays beneath nic.h --- */

struct nic_queue {
	struct frame rx[64]; /* that nic_rx() gives next */
	size_t rx_count;
	struct frame tx[RING]; /* that nic_tx() took */
	size_t tx_count;
	size_t tx_room;
	bool returns; /* sent buffers come back */
	size_t most;  /* that it had at once */
	uint16_t longest;
	unsigned flushed;
	bool fresh;                      /* it holds nothing as yet */
	const struct dma_region *frames; /* NULL: it stands still */
};

static struct nic_queue card[3];
static bool gone;
static uint16_t mtu_set;
static int mtu_error;

struct nic_queue *nic_queue(struct nic *nic, unsigned index)
{
	(void)nic;
	return &card[index];
}

size_t nic_rx(struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n)
{
	(void)pool;
	assert_true(q->rx_count <= n);
	n = q->rx_count;
	memcpy(frames, q->rx, n * sizeof(*frames));
	q->rx_count = 0;
	return n;
}

size_t nic_tx(struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n)
{
	size_t taken = 0;

	if (q->returns) {
		for (size_t i = 0; i < q->tx_count; i++)
			assert_int_equal(nic_pool_put(pool, &q->tx[i].offset, 1), 1);
		q->tx_count = 0;
	}
	while (taken < n) { /* whole frames */
		size_t entries = 0, len = 0;

		do {
			assert_true(taken + entries < n);
			assert_in_range(frames[taken + entries].len, 1, NIC_BUFFER_SIZE);
			len += frames[taken + entries].len;
		} while ((frames[taken + entries++].flags & FRAME_MORE) != 0);
		if (q->tx_count + entries > q->tx_room || len > q->longest)
			break;
		for (; entries > 0; entries--)
			q->tx[q->tx_count++] = frames[taken++];
		if (q->tx_count > q->most)
			q->most = q->tx_count;
	}
	return taken;
}

size_t nic_pool_get(struct nic_pool *pool, uint32_t *offsets, size_t n)
{
	if (n > pool->top)
		n = pool->top;
	pool->top -= (uint32_t)n;
	memcpy(offsets, pool->free + pool->top, n * sizeof(*offsets));
	return n;
}

size_t nic_pool_put(struct nic_pool *pool, const uint32_t *offsets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(pool->top < pool->size);
		for (uint32_t j = 0; j < pool->top; j++)
			assert_int_not_equal(pool->free[j], offsets[i]); /* not given back twice */
		pool->free[pool->top++] = offsets[i];
	}
	return n;
}

int nic_pool_init(struct nic_pool *pool, const struct dma_region *region)
{
	*pool = (struct nic_pool){
		.region = region, .size = (uint32_t)(region->size / NIC_BUFFER_STRIDE)};
	pool->free = calloc(pool->size, sizeof(*pool->free));
	assert_non_null(pool->free);
	while (pool->top < pool->size) {
		pool->free[pool->top] = pool->top * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
		pool->top++;
	}
	return 0;
}

void nic_pool_fini(struct nic_pool *pool)
{
	free(pool->free);
}

size_t nic_tx_held(const struct nic_queue *q)
{
	return q->tx_count;
}

size_t nic_rx_held(const struct nic_queue *q)
{
	return q->fresh ? 0 : 7;
}

const struct dma_region *nic_queue_frames(const struct nic *nic, unsigned index)
{
	(void)nic;
	return card[index].frames;
}

int nic_queue_stop(struct nic *nic, unsigned index)
{
	(void)nic;
	if (gone)
		return -ENODEV;
	card[index].frames = NULL;
	card[index].tx_count = 0;
	return 0;
}

int nic_queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	(void)nic;
	assert_null(card[index].frames);
	card[index].frames = frames;
	card[index].fresh = true;
	return gone ? -ENODEV : 0;
}

/* Seven, and what was sent. */
void nic_held(const struct nic_queue *q, uint32_t *offsets)
{
	uint32_t first = 7 * (uint32_t)(q - card);

	for (uint32_t i = first; i < first + nic_rx_held(q); i++)
		*offsets++ = i * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
	for (size_t i = 0; i < q->tx_count; i++)
		*offsets++ = q->tx[i].offset;
}

int nic_pool_claim(struct nic_pool *pool, const uint32_t *offsets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t at = 0;

		while (at < pool->top && pool->free[at] != offsets[i])
			at++;
		if (at == pool->top)
			return -EINVAL;
		pool->free[at] = pool->free[--pool->top];
	}
	return 0;
}

void nic_flush(struct nic_queue *q)
{
	q->flushed++;
}

bool nic_gone(const struct nic *nic)
{
	(void)nic;
	return gone;
}

void nic_mac(const struct nic *nic, uint8_t mac[6])
{
	(void)nic;
	memset(mac, 0x42, 6);
}

int nic_link(struct nic *nic, struct nic_link *link)
{
	(void)nic;
	*link = (struct nic_link){.up = true, .mbit = 10000};
	return gone ? -ENODEV : 0;
}

int nic_stats(struct nic *nic, struct nic_stats *stats)
{
	(void)nic;
	*stats = (struct nic_stats){.rx_frames = 1, .tx_bytes = 2, .bad_writebacks = 3};
	return 0;
}

int nic_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	(void)nic;
	*stats = (struct nic_queue_stats){
		.rx_frames = UINT64_MAX, .rx_dropped = index, .tx_frames = UINT64_MAX - index};
	return 0;
}

int nic_set_promiscuous(struct nic *nic, bool on)
{
	(void)nic;
	return on ? 0 : -ENODEV;
}

int nic_set_mtu(struct nic *nic, uint16_t mtu)
{
	(void)nic;
	if (mtu_error == 0)
		mtu_set = mtu;
	return mtu_error;
}

static struct nic_module cage = {.text = ""};

void nic_module(const struct nic *nic, struct nic_module *module)
{
	(void)nic;
	*module = cage;
}

const char *nic_model(const struct nic *nic)
{
	(void)nic;
	return "array";
}

const char *nic_irq_name(const struct nic *nic)
{
	(void)nic;
	return "none";
}

void pci_delay_us(unsigned us)
{
	(void)us;
}

/* --- the port under test --- */

static struct dma_region region;
static struct port port;
static struct scheme_port table;

static int setup(void **state)
{
	const struct nic_config config = {
		.queues = 1, .rx_ring = RING, .tx_ring = RING, .frames = &region, .mtu = 1500};
	struct pci_error why;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		card[i] = (struct nic_queue){.tx_room = RING, .longest = 1518, .frames = &region};
	gone = false;
	mtu_error = 0;
	region.size = (size_t)BUFFERS * NIC_BUFFER_STRIDE;
	region.base = calloc(1, region.size);
	if (region.base == NULL || port_init(&port, NULL, &config, &why) != 0)
		return -1;
	table = port_table(&port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	port_fini(&port);
	free(region.base);
	return 0;
}

/* Every buffer is in the pool, in the card's hands, or in the port's. */
static void assert_all_there(size_t held_by_card)
{
	size_t reserved = port.reserved_end - port.reserved_at;

	assert_int_equal(port.pool.top + reserved + port.tx_queued + card[0].tx_count +
				 card[1].tx_count + card[2].tx_count + (port.rx_end - port.rx_at) +
				 held_by_card,
		BUFFERS);
}

/* The card receives a frame of that length and those flags. */
static void arrive_on(unsigned index, uint16_t len, uint16_t flags)
{
	struct frame frame = {.len = len, .flags = flags};

	assert_int_equal(nic_pool_get(&port.pool, &frame.offset, 1), 1);
	card[index].rx[card[index].rx_count++] = frame;
}

static void arrive(uint16_t len, uint16_t flags)
{
	arrive_on(0, len, flags);
}

static void test_received_in_order(void **state)
{
	struct scheme_buffer frames[SCHEME_BURST_PIECES];

	(void)state;
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 0);
	for (uint16_t i = 0; i < 64; i++)
		arrive((uint16_t)(60 + i), 0);
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), SCHEME_BURST);
	assert_int_equal(frames[0].len, 60);
	assert_ptr_equal(frames[0].data, region.base + port.rx[0].offset);
	table.rx_pop(table.ctx, 5);
	assert_true(port_has_frames(&port));
	assert_int_equal(table.rx_peek(table.ctx, frames, 3), 3);
	assert_int_equal(frames[2].len, 67);
	table.rx_pop(table.ctx, 59);
	assert_false(port_has_frames(&port));
	assert_int_equal(port.taken, 64);
	assert_all_there(0);
}

static void test_damaged_and_endless_are_dropped(void **state)
{
	struct scheme_buffer frames[SCHEME_BURST_PIECES];

	(void)state;
	arrive(60, 0);
	arrive(61, FRAME_ERROR);
	for (unsigned i = 0; i < PORT_PIECES; i++) /* one buffer more than the largest has */
		arrive(2048, FRAME_MORE);
	arrive(100, 0);
	arrive(62, 0);
	arrive(2048, FRAME_MORE);
	arrive(100, FRAME_ERROR);
	arrive(0, FRAME_ERROR);
	arrive(63, 0);
	arrive(2048, FRAME_MORE); /* and no end */
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 3);
	assert_int_equal(frames[0].len, 60);
	assert_int_equal(frames[1].len, 62);
	assert_int_equal(frames[2].len, 63);
	assert_int_equal(port.rx_damaged, 3);
	assert_int_equal(port.rx_chained, 2);
	assert_all_there(0);
}

static void test_large_frames_are_received(void **state)
{
	static const struct frame all[] = {{0, 60, 0}, {0, 2048, FRAME_MORE}, {0, 2048, FRAME_MORE},
		{0, 2048, FRAME_MORE}, {0, 2048, FRAME_MORE}, {0, 1532, 0}, {0, 61, 0},
		{0, 2048, FRAME_MORE}, {0, 1, 0}};
	struct scheme_buffer pieces[SCHEME_BURST_PIECES];

	(void)state;
	for (size_t i = 0; i < 9; i++)
		arrive(all[i].len, all[i].flags);
	assert_int_equal(table.rx_peek(table.ctx, pieces, SCHEME_BURST), 4);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(pieces[i].len, all[i].len);
		assert_int_equal(pieces[i].more, all[i].flags == FRAME_MORE);
		assert_ptr_equal(pieces[i].data, region.base + port.rx[i].offset);
	}
	assert_int_equal(table.rx_peek(table.ctx, pieces, 2), 2);
	table.rx_pop(table.ctx, 2);
	assert_all_there(0);
	assert_int_equal(table.rx_peek(table.ctx, pieces, SCHEME_BURST), 2);
	assert_int_equal(pieces[0].len, 61);
	assert_true(pieces[1].more);
	table.rx_pop(table.ctx, 2);
	assert_false(port_has_frames(&port));
	assert_int_equal(port.taken, 4);
	assert_int_equal(port.rx_chained, 0);
	assert_all_there(0);
}

static void send(size_t n, size_t len)
{
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];

	assert_int_equal(table.tx_reserve(table.ctx, buffers, n), n);
	for (size_t i = 0; i < n; i++)
		table.tx_push(table.ctx, len);
}

static void test_reserved_stay_reserved(void **state)
{
	struct scheme_buffer first[SCHEME_BURST_PIECES];
	struct scheme_buffer again[SCHEME_BURST_PIECES];

	(void)state;
	assert_int_equal(table.tx_reserve(table.ctx, first, 4), 4);
	assert_int_equal(first[0].len, NIC_BUFFER_SIZE);
	assert_int_equal(table.tx_reserve(table.ctx, again, 6), 6);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(first[i].data, again[i].data);
	table.tx_push(table.ctx, 60);
	table.tx_push(table.ctx, 0); /* free again */
	assert_int_equal(port.tx_queued, 1);
	assert_ptr_equal(region.base + port.tx[0].offset, first[0].data);
	assert_int_equal(table.tx_reserve(table.ctx, again, 2), 2);
	assert_ptr_equal(again[0].data, first[2].data);
	assert_ptr_equal(again[1].data, first[3].data);
	assert_all_there(0);
}

static void set_jumbo(void)
{
	for (unsigned i = 0; i < 3; i++)
		card[i].longest = 9728;
	assert_int_equal(table.set_mtu(table.ctx, 9710), 0);
}

static void test_large_frames_are_sent(void **state)
{
	static const uint16_t lens[] = {60, 9728, 2048, 2049};
	static const struct frame entries[] = {{0, 60, 0}, {0, 2048, FRAME_MORE},
		{0, 2048, FRAME_MORE}, {0, 2048, FRAME_MORE}, {0, 2048, FRAME_MORE}, {0, 1536, 0},
		{0, 2048, 0}, {0, 2048, FRAME_MORE}, {0, 1, 0}};
	struct scheme_buffer pieces[SCHEME_BURST_PIECES];
	struct scheme_buffer again[SCHEME_BURST_PIECES];
	size_t at = 0;

	(void)state;
	assert_int_equal(table.tx_reserve(table.ctx, pieces, 7), 7);
	set_jumbo(); /* what was reserved is free again */
	assert_all_there(0);
	assert_int_equal(port.reserved_end, 0);
	assert_int_equal(table.tx_reserve(table.ctx, pieces, SCHEME_BURST), SCHEME_BURST);
	for (size_t i = 0; i < SCHEME_BURST_PIECES; i++)
		assert_int_equal(pieces[i].more, i % 5 != 4);
	for (size_t i = 0; i < 4; i++)
		table.tx_push(table.ctx, lens[i]);
	table.tx_push(table.ctx, 0);
	assert_int_equal(port.tx_queued, 9);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(port.tx[i].len, entries[i].len);
		assert_int_equal(port.tx[i].flags, entries[i].flags);
	}
	for (size_t i = 0; i < 4; i++) /* where they were put */
		for (size_t k = 0; k < (lens[i] + 2047u) / 2048; k++, at++)
			assert_ptr_equal(region.base + port.tx[at].offset, pieces[5 * i + k].data);
	assert_all_there(0);
	assert_int_equal(table.tx_reserve(table.ctx, again, SCHEME_BURST), SCHEME_BURST);
	assert_ptr_equal(again[0].data, pieces[25].data);
	assert_int_equal(port.taken, 4);
	/* Whole, or not at all. */
	card[0].tx_room = 5;
	assert_int_equal(port_flush(&port), 1);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_queued, 8);
	card[0].tx_room = RING;
	assert_int_equal(port_flush(&port), 8);
	assert_all_there(0);
}

/* As many as the port may have before the card does, by its memory. */
static void test_large_frames_leave_the_card_its_buffers(void **state)
{
	struct nic_config config = {.queues = 1, .rx_ring = RING, .tx_ring = RING, .mtu = 9710};
	struct dma_region small = {.size = 672u * NIC_BUFFER_STRIDE, .base = region.base};
	struct scheme_buffer pieces[SCHEME_BURST_PIECES];
	struct pci_error why;
	size_t frames = 0, n;

	(void)state;
	port_fini(&port);
	config.frames = &small;
	assert_int_equal(port_init(&port, NULL, &config, &why), 0);
	table = port_table(&port);
	card[0].tx_room = 0;
	card[0].tx_count = 1;
	while ((n = table.tx_reserve(table.ctx, pieces, SCHEME_BURST)) > 0) {
		frames += n;
		while (n-- > 0)
			table.tx_push(table.ctx, 9724);
	}
	assert_int_equal(frames, 96 / 5);
	assert_true(port.pool.top >= 2 * RING + PORT_BURST);
}

static void test_a_full_ring_holds_up_and_goes_on(void **state)
{
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	size_t sent = 0;
	size_t n;

	(void)state;
	while ((n = table.tx_reserve(table.ctx, buffers, SCHEME_BURST)) > 0) {
		for (size_t i = 0; i < n; i++)
			table.tx_push(table.ctx, 60 + sent++ % 1000);
	}
	/* The ring's and a burst of ours. */
	assert_int_equal(sent, RING + PORT_BURST);
	assert_false(port_can_send(&port));
	assert_int_equal(port_flush(&port), 0);
	assert_all_there(0);
	for (size_t i = 0; i < RING; i++)
		assert_int_equal(card[0].tx[i].len, 60 + i);
	card[0].returns = true;
	assert_int_equal(port_flush(&port), PORT_BURST);
	assert_int_equal(card[0].tx[0].len, 60 + RING);
	assert_true(port_can_send(&port));
	assert_int_equal(port.tx_refused, 0);
	assert_all_there(0);
}

static void test_an_empty_pool_is_filled_by_what_was_sent(void **state)
{
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	uint32_t away[BUFFERS];
	size_t n;

	(void)state;
	send(32, 100);
	assert_int_equal(port_flush(&port), 32);
	n = nic_pool_get(&port.pool, away, BUFFERS); /* the rest is elsewhere */
	assert_int_equal(table.tx_reserve(table.ctx, buffers, 4), 0);
	assert_false(port_can_send(&port));
	card[0].returns = true;
	assert_int_equal(table.tx_reserve(table.ctx, buffers, 4), 4);
	assert_all_there(n);
}

/* A frame that the driver does not take must not keep those behind it for ever. */
static void test_a_refused_frame_is_dropped(void **state)
{
	(void)state;
	card[0].longest = 1000;
	send(1, 1400);
	send(1, 60);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_refused, 1);
	assert_int_equal(port_flush(&port), 1);
	assert_int_equal(card[0].tx[0].len, 60);
	set_jumbo();
	card[0].longest = 5000;
	card[0].tx_count = 0;
	send(1, 9000);
	send(1, 61);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_refused, 2);
	assert_int_equal(port.tx_queued, 1);
	assert_int_equal(port_flush(&port), 1);
	assert_all_there(1);
	/* Of a card that is gone nothing is judged. */
	gone = true;
	card[0].tx_count = 0;
	card[0].tx_room = 0;
	send(1, 60);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_queued, 1);
	assert_int_equal(port.tx_refused, 2);
}

/* Each frame is sent before the next is given; one that is not sent holds up, and nothing else. */
static void test_blocking(void **state)
{
	(void)state;
	port.blocking = true;
	card[0].returns = true;
	send(30, 60);
	assert_int_equal(port_flush(&port), 30);
	assert_int_equal(card[0].most, 1);
	assert_int_equal(card[0].flushed, 30);
	assert_all_there(0);
	card[0].longest = 1000; /* one that the driver does not take */
	send(1, 60);
	send(1, 1400);
	send(1, 61);
	assert_int_equal(port_flush(&port), 1);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_refused, 1);
	assert_int_equal(port_flush(&port), 1);
	card[0].returns = false; /* it stands still */
	send(3, 62);
	assert_int_equal(port_flush(&port), 1);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port_flush(&port), 0);
	assert_int_equal(port.tx_queued, 2);
	assert_int_equal(card[0].tx_count, 1);
	assert_int_equal(port.tx_refused, 1);
	card[0].returns = true;
	assert_int_equal(port_flush(&port), 2);
	assert_int_equal(card[0].most, 1);
	assert_all_there(0);
	card[0].longest = 9728; /* in several buffers */
	set_jumbo();
	send(2, 9000);
	assert_int_equal(port_flush(&port), 10);
	assert_int_equal(card[0].most, 5);
	assert_all_there(0);
	card[0].returns = false;
	gone = true;
	send(2, 60);
	assert_int_equal(port_flush(&port), 1);
	assert_int_equal(port_flush(&port), 0);
}

static void test_a_smaller_mtu_drops_what_waits(void **state)
{
	(void)state;
	card[0].tx_room = 0;
	card[0].tx_count = 1; /* not empty: nothing is judged */
	send(1, 1514);
	send(1, 600);
	send(1, 619);
	send(1, 618); /* with a VLAN tag */
	mtu_error = -EINVAL;
	assert_int_equal(table.set_mtu(table.ctx, 600), -EINVAL);
	assert_int_equal(port.tx_queued, 4);
	assert_int_equal(table.mtu(table.ctx), 1500);
	mtu_error = 0;
	assert_int_equal(table.set_mtu(table.ctx, 600), 0);
	assert_int_equal(mtu_set, 600);
	assert_int_equal(table.mtu(table.ctx), 600);
	assert_int_equal(port.tx_queued, 2);
	assert_int_equal(port.tx[0].len, 600);
	assert_int_equal(port.tx[1].len, 618);
	assert_int_equal(port.tx_refused, 2);
	card[0].tx_count = 0;
	assert_all_there(0);
	/* Large ones go whole. */
	card[0].tx_count = 1;
	set_jumbo();
	send(1, 9724);
	send(1, 60);
	send(1, 5018);
	send(1, 5019);
	assert_int_equal(port.tx_queued, 2 + 5 + 1 + 3 + 3);
	assert_int_equal(table.set_mtu(table.ctx, 5000), 0);
	assert_int_equal(port.tx_queued, 2 + 1 + 3);
	assert_int_equal(port.tx[3].flags, FRAME_MORE);
	assert_int_equal(port.tx[5].len, 5018 - 2 * 2048);
	assert_int_equal(port.tx_refused, 4);
	card[0].tx_count = 0;
	assert_all_there(0);
}

static void test_draining_ends(void **state)
{
	(void)state;
	card[0].returns = true;
	send(10, 60);
	port_drain(&port, 100);
	assert_int_equal(port.tx_queued, 0);
	assert_int_equal(card[0].tx_count, 0);
	/* Also where nothing moves: after its limit. */
	card[0].tx_room = 0;
	card[0].returns = false;
	card[0].tx_count = 1;
	send(10, 60);
	port_drain(&port, 100);
	assert_int_equal(port.tx_queued, 10);
}

static void test_state_and_stats(void **state)
{
	struct scheme_link link;
	char text[4096];
	char cut[20];
	uint8_t mac[6];
	size_t n;

	(void)state;
	table.link(table.ctx, &link);
	assert_false(link.up);
	assert_int_equal(port_read_link(&port), 0);
	table.link(table.ctx, &link);
	assert_true(link.up);
	assert_int_equal(link.mbit, 10000);
	table.mac(table.ctx, mac);
	assert_int_equal(mac[5], 0x42);
	assert_int_equal(table.set_promiscuous(table.ctx, true), 0);
	assert_true(table.promiscuous(table.ctx));
	assert_int_equal(table.set_promiscuous(table.ctx, false), -ENODEV);
	assert_true(table.promiscuous(table.ctx));
	n = table.stats(table.ctx, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_non_null(strstr(text, "rx_frames 1\n"));
	assert_non_null(strstr(text, "tx_bytes 2\n"));
	assert_non_null(strstr(text, "bad_writebacks 3\n"));
	assert_non_null(strstr(text, "pool_size 1200\npool_free 1200\nrx_ring 256\nrx_held 7\n"));
	assert_non_null(strstr(text, "model array\nirq none\n"));
	assert_int_equal(text[n - 1], '\n');
	assert_true(table.stats(table.ctx, cut, sizeof(cut)) <= sizeof(cut));
}

/* Trouble is told, and each change; a good module at the start is not. */
static void test_what_a_cage_holds_is_told_once(void **state)
{
	static const struct {
		struct nic_module module;
		bool told;
	} steps[] = {{{false, ""}, false}, {{false, "good"}, false}, {{false, "good"}, false},
		{{true, "none"}, true}, {{true, "none"}, false}, {{false, "better"}, true}};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const char *news;

		cage = steps[i].module;
		news = port_module_news(&port);
		if (steps[i].told)
			assert_string_equal(news, cage.text);
		else
			assert_null(news);
		text[table.stats(table.ctx, text, sizeof(text) - 1)] = '\0';
		assert_int_equal(strstr(text, "\nmodule ") != NULL, i > 0);
	}
	assert_non_null(strstr(text, "\nmodule better\n"));
	/* One that nobody has asked is as it was. */
	cage = (struct nic_module){.text = ""};
	assert_null(port_module_news(&port));
	assert_string_equal(port.module, "better");
	cage = (struct nic_module){true, "none"};
	port.module[0] = '\0';
	assert_string_equal(port_module_news(&port), "none");
	cage = (struct nic_module){.text = ""};
}

/* What one process leaves, the next one has; not a buffer more or less. */
static void test_goes_on_in_another_process(void **state)
{
	const struct nic_config config = {
		.queues = 1, .rx_ring = RING, .tx_ring = RING, .frames = &region, .mtu = 1500};
	struct scheme_buffer frames[SCHEME_BURST_PIECES];
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	struct pci_error why;
	struct port_state left;
	struct port next;

	(void)state;
	for (uint16_t i = 0; i < 5; i++)
		arrive((uint16_t)(60 + i), 0);
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 5);
	table.rx_pop(table.ctx, 2);
	send(3, 70);
	assert_int_equal(port_flush(&port), 3);
	set_jumbo();
	card[0].tx_room = 3;
	send(4, 80);
	send(1, 5000);
	arrive(2048, FRAME_MORE);
	arrive(60, 0);
	table.rx_pop(table.ctx, 3);
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 1);
	assert_int_equal(table.tx_reserve(table.ctx, buffers, 9), 9);
	port.rx_damaged = 1;
	port.rx_chained = 2;
	port.tx_refused = 3;
	port.loop = (struct port_loop){4, 5, 6};
	memset(port.module, 'm', sizeof(port.module));
	port_save(&port, &left);

	assert_int_equal(port_init(&next, NULL, &config, &why), 0);
	assert_int_equal(port_resume(&next, &left, &why), 0);
	assert_int_equal(next.pool.top, BUFFERS - 7 - 3 - 2 - 4 - 3);
	assert_int_equal(next.rx_end - next.rx_at, 2);
	assert_memory_equal(&next.rx[next.rx_at], &port.rx[port.rx_at], 2 * sizeof(next.rx[0]));
	assert_int_equal(next.tx_queued, 4 + 3);
	assert_memory_equal(next.tx, port.tx, 7 * sizeof(next.tx[0]));
	assert_int_equal(next.rx_damaged, 1);
	assert_int_equal(next.rx_chained, 2);
	assert_int_equal(next.tx_refused, 3);
	assert_int_equal(next.loop.interrupts, 6);
	assert_int_equal(next.upgrades, 1);
	assert_int_equal(strlen(next.module), sizeof(next.module) - 1);
	port_fini(&next);
}

static void test_a_state_that_cannot_be_is_refused(void **state)
{
	const struct nic_config config = {
		.queues = 1, .rx_ring = RING, .tx_ring = RING, .frames = &region, .mtu = 1500};
	const uint32_t ours = (BUFFERS - 1) * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
	const struct port_state wrong[] = {
		{.rx_count = PORT_BURST + 1},
		{.tx_count = PORT_BURST * PORT_PIECES + 1},
		{.rx_count = UINT32_MAX, .tx_count = 1},
		{.rx_count = 1, .rx = {{.offset = ours, .len = NIC_BUFFER_SIZE + 1}}},
		{.tx_count = 1, .tx = {{.offset = ours, .flags = FRAME_MORE}}},
		{.rx_count = 1, .rx = {{.offset = ours, .flags = FRAME_ERROR}}},
		{.rx_count = 2, .rx = {{ours, 60, FRAME_MORE}, {ours - 2112, 60, FRAME_MORE}}},
		{.tx_count = 2, .tx = {{ours, 60, FRAME_MORE}, {ours - 2112, 2049, 0}}},
		{.tx_count = 2, .tx = {{ours, 60, FRAME_MORE | FRAME_ERROR}, {ours - 2112, 60, 0}}},
		{.tx_count = 6,
			.tx = {{ours, 60, FRAME_MORE}, {ours - 2112, 60, FRAME_MORE},
				{ours - 4224, 60, FRAME_MORE}, {ours - 6336, 60, FRAME_MORE},
				{ours - 8448, 60, FRAME_MORE}, {ours - 10560, 60, 0}}},
		{.tx_count = 1, .tx = {{.offset = ours + 1}}},
		{.tx_count = 1, .tx = {{.offset = UINT32_MAX}}},
		{.tx_count = 1, .tx = {{.offset = NIC_BUFFER_HEAD}}},
		{.rx_count = 1, .tx_count = 1, .rx = {{.offset = ours}}, .tx = {{.offset = ours}}},
	};
	struct pci_error why;
	struct port next;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(port_init(&next, NULL, &config, &why), 0);
		why.text[0] = '\0';
		if (port_resume(&next, &wrong[i], &why) != -EINVAL)
			fail_msg("case %zu", i);
		assert_non_null(strstr(why.text, "state of the port"));
		port_fini(&next);
	}
}

/* A client owns the queue: no buffer is lost, what was received is still there, and nothing else is
 * to be had of the port until it has its queue again.
 */
static void test_the_queue_goes_and_comes_back(void **state)
{
	struct scheme_buffer frames[SCHEME_BURST_PIECES];
	struct scheme_link link = {.owned = true};
	uint32_t held[7]; /* as nic_held() says */

	(void)state;
	assert_int_equal(port_read_link(&port), 0);
	table.link(table.ctx, &link);
	assert_true(link.up && !link.owned);
	for (uint16_t i = 0; i < 3; i++)
		arrive((uint16_t)(60 + i), 0);
	assert_int_equal(table.rx_peek(table.ctx, frames, 1), 1);
	send(4, 60);
	card[0].tx_room = 2; /* and two are with the port */
	assert_int_equal(port_flush(&port), 2);
	for (uint32_t i = 0; i < 7; i++)
		held[i] = i * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
	assert_int_equal(nic_pool_claim(&port.pool, held, 7), 0);
	assert_all_there(7);

	gone = true;
	assert_int_equal(port_yield(&port, 0), -ENODEV);
	assert_all_there(7); /* as before */
	gone = false;
	assert_int_equal(port_yield(&port, 0), 0);
	assert_all_there(0);
	assert_int_equal(port.tx_refused, 2);
	table.link(table.ctx, &link);
	assert_true(link.owned);
	assert_int_equal(table.tx_reserve(table.ctx, frames, 1), 0);
	assert_false(port_can_send(&port));
	assert_int_equal(port_flush(&port), 0);
	port_drain(&port, 1);
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 3);
	assert_int_equal(frames[2].len, 62);
	table.rx_pop(table.ctx, 3);
	assert_int_equal(table.rx_peek(table.ctx, frames, SCHEME_BURST), 0);

	assert_int_equal(port_regain(&port, 0), 0);
	assert_ptr_equal(card[0].frames, &region);
	table.link(table.ctx, &link);
	assert_false(link.owned);
	assert_int_equal(table.tx_reserve(table.ctx, frames, 1), 1);
}

static void test_memory_too_small(void **state)
{
	/* Both rings, a burst each way, one that is being filled: 256 + 256 + 128 + 32. */
	struct nic_config config = {.queues = 1, .rx_ring = RING, .tx_ring = RING, .mtu = 1500};
	struct dma_region small = {.size = 671u * NIC_BUFFER_STRIDE};
	struct dma_region enough = {.size = 672u * NIC_BUFFER_STRIDE};
	struct pci_error why;
	struct port other;

	(void)state;
	config.frames = &small;
	assert_int_equal(port_init(&other, NULL, &config, &why), -ENOSPC);
	assert_non_null(strstr(why.text, "give --frames-mib 2"));
	config.frames = &enough;
	assert_int_equal(port_init(&other, NULL, &config, &why), 0);
	port_fini(&other);
	/* A receive ring more for each queue more: one queue sends at a time. */
	config.queues = 3;
	enough.size = (672u + 2 * RING - 1) * NIC_BUFFER_STRIDE;
	assert_int_equal(port_init(&other, NULL, &config, &why), -ENOSPC);
	assert_non_null(strstr(why.text, "give --frames-mib 3, or fewer or smaller ones"));
	enough.size += NIC_BUFFER_STRIDE;
	assert_int_equal(port_init(&other, NULL, &config, &why), 0);
	port_fini(&other);
}

/* --- several queues --- */

static const struct nic_config three = {
	.queues = 3, .rx_ring = 64, .tx_ring = RING, .frames = &region, .mtu = 1500};

static void init_three(void)
{
	struct pci_error why;

	port_fini(&port);
	assert_int_equal(port_init(&port, NULL, &three, &why), 0);
	table = port_table(&port);
	assert_int_equal(port_read_link(&port), 0);
}

static uint16_t take_one(void)
{
	struct scheme_buffer frame[SCHEME_PIECES];

	if (table.rx_peek(table.ctx, frame, 1) == 0)
		return 0;
	table.rx_pop(table.ctx, 1);
	return (uint16_t)frame[0].len;
}

static void test_queues_take_turns(void **state)
{
	(void)state;
	init_three();
	arrive_on(2, 100, 0);
	arrive_on(2, 101, 0);
	assert_int_equal(take_one(), 100);
	/* A burst is not broken up, and then the one behind it is asked. */
	arrive_on(0, 102, 0);
	arrive_on(1, 103, 0);
	arrive_on(2, 104, 0);
	assert_int_equal(take_one(), 101);
	assert_int_equal(take_one(), 102);
	arrive_on(0, 105, 0);
	assert_int_equal(take_one(), 103);
	assert_int_equal(take_one(), 104);
	assert_int_equal(take_one(), 105);
	/* What is of no use hides nothing. */
	arrive_on(1, 106, FRAME_ERROR);
	arrive_on(0, 107, 0);
	assert_int_equal(take_one(), 107);
	assert_int_equal(take_one(), 0);
	assert_int_equal(port.rx_damaged, 1);
	assert_all_there(0);
	port_publish(&port);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(card[i].flushed, 1);
}

static void test_one_sends_until_it_is_given_away(void **state)
{
	struct scheme_link link;
	uint32_t held[21] = {0};

	(void)state;
	init_three();
	for (unsigned i = 0; i < 3; i++)
		nic_held(&card[i], held + (size_t)7 * i);
	assert_int_equal(nic_pool_claim(&port.pool, held, 21), 0);
	send(3, 60);
	(void)port_flush(&port);
	assert_int_equal(card[0].tx_count, 3);
	/* Another one comes and goes: the sender stays. */
	assert_int_equal(port_yield(&port, 1), 0);
	assert_all_there(14);
	assert_int_equal(port_regain(&port, 1), 0); /* and holds nothing */
	send(1, 61);
	(void)port_flush(&port);
	assert_int_equal(card[0].tx_count, 4);
	/* It goes itself: what was queued behind it goes by the next. */
	card[0].tx_room = 0;
	send(2, 62);
	assert_int_equal(port_yield(&port, 0), 0);
	assert_all_there(7);
	table.link(table.ctx, &link);
	assert_false(link.owned);
	assert_int_equal(port_flush(&port), 2);
	assert_int_equal(card[1].tx_count, 2);
	assert_int_equal(port_regain(&port, 0), 0);
	send(1, 63);
	(void)port_flush(&port);
	assert_int_equal(card[1].tx_count, 3);
	/* Nothing comes from what others have. */
	assert_int_equal(port_yield(&port, 0), 0);
	assert_int_equal(port_yield(&port, 1), 0);
	arrive_on(0, 100, 0);
	arrive_on(2, 102, 0);
	assert_int_equal(take_one(), 102);
	assert_int_equal(take_one(), 0);
	assert_int_equal(port_yield(&port, 2), 0);
	table.link(table.ctx, &link);
	assert_true(link.owned);
	assert_int_equal(port_regain(&port, 2), 0);
	assert_true(port_can_send(&port));
}

static void test_queues_go_on_in_another_process(void **state)
{
	struct pci_error why;
	struct port_state left;
	uint32_t held[7] = {0};
	struct port next;

	(void)state;
	init_three();
	nic_held(&card[0], held);
	assert_int_equal(nic_pool_claim(&port.pool, held, 7), 0);
	assert_int_equal(port_yield(&port, 0), 0); /* to a client */
	send(3, 70);
	(void)port_flush(&port);
	assert_int_equal(card[1].tx_count, 3);
	port_save(&port, &left);
	assert_int_equal(port_init(&next, NULL, &three, &why), 0);
	assert_int_equal(port_resume(&next, &left, &why), 0);
	assert_null(next.queue[0]);
	assert_ptr_equal(next.sender, &card[1]);
	assert_int_equal(next.pool.top, BUFFERS - 2 * 7 - 3);
	port_fini(&next);
	/* The one that has something to come back sends. */
	assert_int_equal(nic_queue_start(NULL, 0, &region), 0);
	assert_int_equal(port_init(&next, NULL, &three, &why), 0);
	assert_int_equal(port_resume(&next, &left, &why), 0);
	assert_ptr_equal(next.sender, &card[1]);
	assert_int_equal(next.pool.top, BUFFERS - 2 * 7 - 3);
	port_fini(&next);
}

static void test_queues_have_lines_of_their_own(void **state)
{
	char text[4096];
	size_t n;

	(void)state;
	n = table.stats(table.ctx, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_null(strstr(text, "queue_"));
	init_three();
	n = table.stats(table.ctx, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_non_null(strstr(text, "rx_ring 64\nrx_held 21\n"));
	assert_non_null(strstr(text, "irq none\nqueue_0_rx_frames 18446744073709551615\n"
				     "queue_0_rx_dropped 0\n"));
	assert_string_equal(text + n - sizeof("queue_2_tx_frames 18446744073709551613\n") + 1,
		"queue_2_tx_frames 18446744073709551613\n");
	for (size_t size = 1; size <= n; size++)
		assert_true(table.stats(table.ctx, text, size) <= size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_received_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_damaged_and_endless_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_frames_are_received, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_frames_are_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_frames_leave_the_card_its_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved_stay_reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queues_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_sends_until_it_is_given_away, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_queues_go_on_in_another_process, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_queues_have_lines_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_ring_holds_up_and_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_an_empty_pool_is_filled_by_what_was_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_refused_frame_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocking, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_smaller_mtu_drops_what_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_draining_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_and_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_a_cage_holds_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on_in_another_process, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_state_that_cannot_be_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_queue_goes_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_too_small, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
