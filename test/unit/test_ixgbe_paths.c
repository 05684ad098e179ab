/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The paths of the ixgbe data path do the same, to the byte: two cards, one driven by the plain
 * path, get the same calls and the same treatment from outside, and after each step their rings,
 * books, pools and what was returned are compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "each_path.h"
#include "fake_card.h"

#define RING    64u
#define STEPS   20000u
#define MOST    80u  /* in a burst */
#define BUFFERS 118u /* fewer than both rings hold */

struct side {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
	struct nic_pool pool;
	struct frame frame[MOST]; /* of the last call */
	uint32_t offset[MOST];
};

static struct side sides[2];
static const char *path;
static bool one_run;

static void open_side(struct side *side, const char *name, bool direct)
{
	struct nic_config config = {.queues = 1, .rx_ring = RING, .tx_ring = RING, .mtu = 1500};
	struct pci_error why;

	side->fn = fake_card_new(0x1528);
	side->fn->one_run = one_run;
	side->fn->direct = direct;
	side->frames = fake_region_new(side->fn, DMA_CHUNK_SIZE + 8192);
	side->rings = fake_region_new(side->fn, (nic_ring_bytes(&config) + 4095) & ~(size_t)4095);
	config.frames = side->frames;
	config.rings = side->rings;
	assert_int_equal(nic_open(&side->nic, side->fn, &config, &why), 0);
	side->q = nic_queue(side->nic, 0);
	side->q->verbs = ixgbe_path_verbs(name);
	assert_int_equal(nic_pool_init(&side->pool, side->frames), 0);
	/* The last in each chunk, among them. */
	memmove(side->pool.free, side->pool.free + side->pool.top - BUFFERS,
		BUFFERS * sizeof(uint32_t));
	side->pool.free[0] = (uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE;
	side->pool.free[1] = (uint32_t)side->frames->size - NIC_BUFFER_SIZE;
	side->pool.top = side->pool.size = BUFFERS;
}

static int set_up(void **state)
{
	(void)state;
	memset(sides, 0, sizeof sides);
	open_side(&sides[0], "plain", false);
	open_side(&sides[1], path, true);
	/* The indices wrap on the way. */
	for (unsigned i = 0; i < 2; i++) {
		struct ring *rx = &sides[i].q->rx;

		rx->head = rx->tail = rx->shown = UINT32_MAX - 1023;
	}
	return 0;
}

static int tear_down(void **state)
{
	int rc = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &sides[i];

		nic_pool_fini(&side->pool);
		nic_close(side->nic);
		rc |= side->fn->misuse ? -1 : 0;
		fake_region_free(side->frames);
		fake_region_free(side->rings);
		fake_card_free(side->fn);
	}
	return rc;
}

static uint32_t random_state;

static uint32_t pick(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void compare(unsigned step)
{
	const struct ixgbe_queue *a = ixgbe_queue(sides[0].q);
	const struct ixgbe_queue *b = ixgbe_queue(sides[1].q);
	const struct ring *rings[2][2] = {{&a->head.rx, &b->head.rx}, {&a->head.tx, &b->head.tx}};

	for (unsigned i = 0; i < 2; i++) {
		const struct ring *left = rings[i][0];
		const struct ring *right = rings[i][1];

		if (left->head != right->head || left->tail != right->tail ||
			left->shown != right->shown)
			fail_msg("step %u: the indices of ring %u", step, i);
		assert_memory_equal(left->buffer, right->buffer, RING * sizeof(uint32_t));
	}
	assert_memory_equal(sides[0].rings->base, sides[1].rings->base, sides[0].rings->size);
	assert_memory_equal(a->rs, b->rs, RING * sizeof *a->rs);
	assert_int_equal(a->rs_head, b->rs_head);
	assert_int_equal(a->rs_tail, b->rs_tail);
	assert_int_equal(a->tx_done, b->tx_done);
	assert_int_equal(a->rx_whole, b->rx_whole);
	assert_int_equal(a->head.bad_offsets, b->head.bad_offsets);
	assert_int_equal(a->head.bad_writebacks, b->head.bad_writebacks);
	assert_int_equal(sides[0].pool.top, sides[1].pool.top);
	assert_memory_equal(
		sides[0].pool.free, sides[1].pool.free, sides[0].pool.top * sizeof(uint32_t));
	assert_int_equal(fake_read(sides[0].fn, RDT(0)), fake_read(sides[1].fn, RDT(0)));
	assert_int_equal(fake_read(sides[0].fn, TDT(0)), fake_read(sides[1].fn, TDT(0)));
	assert_int_equal(sides[0].fn->wild, 0);
	assert_int_equal(sides[1].fn->wild, 0);
}

/* Something that lies nowhere, or only just somewhere. */
static uint32_t wild_offset(void)
{
	const uint32_t size = (uint32_t)sides[0].frames->size;
	const uint32_t chunk = (uint32_t)DMA_CHUNK_SIZE;
	const uint32_t all[] = {0, NIC_BUFFER_HEAD - 1, size, size - 59, size - NIC_BUFFER_SIZE + 1,
		UINT32_MAX, chunk - 59, chunk - NIC_BUFFER_SIZE + 1, chunk, size - 1518};

	return all[pick(sizeof all / sizeof *all)];
}

static uint64_t write_back(void)
{
	const uint64_t eop = RX_DD | RX_EOP;
	const uint64_t all[] = {eop | UINT64_C(60) << 32, eop | UINT64_C(2048) << 32,
		eop | UINT64_C(14) << 32, eop | UINT64_C(13) << 32, eop | UINT64_C(2049) << 32,
		eop | RX_RXE | UINT64_C(60) << 32, RX_DD | UINT64_C(2048) << 32, UINT64_MAX, eop};

	return all[pick(4) ? 0 : pick(sizeof all / sizeof *all)];
}

/* The n on top of the pool, with one that is none of its own now and then. */
static void take_offsets(struct side *side, size_t n, uint32_t wild, size_t where)
{
	memcpy(side->offset, side->pool.free + side->pool.top - n, n * sizeof *side->offset);
	if (wild && n)
		side->offset[where % n] = wild;
}

static size_t provide(struct side *side, size_t n, uint32_t wild, size_t where)
{
	size_t done;

	take_offsets(side, n, wild, where);
	done = nic_rx_provide(side->q, side->offset, n);
	/* What was taken is the ring's; a wild one that was right stands for another then. */
	memmove(side->pool.free + side->pool.top - n, side->pool.free + side->pool.top - n + done,
		(n - done) * sizeof(uint32_t));
	side->pool.top -= (uint32_t)done;
	return done;
}

static void make_frames(struct side *side, size_t n, uint32_t seed, uint32_t wild, size_t where)
{
	take_offsets(side, n, wild, where);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		side->frame[i] =
			(struct frame){side->offset[i], (uint16_t)(14 + (seed >> 8) % 1500),
				seed >> 28 == 0 && i + 1 < n ? FRAME_MORE : 0};
		if (side->frame[i].flags)
			side->frame[i].len = 20;
	}
	if (wild && n)
		side->frame[where % n].len = (uint16_t)(wild % 1600);
}

static void took(struct side *side, size_t n, size_t done)
{
	memmove(side->pool.free + side->pool.top - n, side->pool.free + side->pool.top - n + done,
		(n - done) * sizeof(uint32_t));
	side->pool.top -= (uint32_t)done;
}

static void paths_do_the_same(void **state)
{
	size_t received = 0, sent = 0;

	(void)state;
	random_state = 815;
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t what = pick(9);
		uint32_t n = pick(3) ? pick(MOST) : pick(5);
		uint32_t wild = pick(8) ? 0 : wild_offset();
		uint32_t where = pick(MOST);
		uint32_t seed = pick(UINT32_MAX);
		size_t done[2] = {0, 0};
		uint64_t word = 0;
		uint8_t data[14 + MOST];
		bool good = pick(8) != 0;

		memset(data, (int)step, sizeof data);
		if ((what < 2 || what == 5) && n > sides[0].pool.top)
			n = sides[0].pool.top;
		if (what == 3 && !good)
			word = write_back();
		for (unsigned i = 0; i < 2; i++) {
			struct side *side = &sides[i];

			switch (what) {
			case 0: done[i] = provide(side, n, wild, where); break;
			case 1:
				make_frames(side, n, seed, wild, where);
				done[i] = nic_tx_provide(side->q, side->frame, n);
				took(side, n, done[i]);
				break;
			case 2: done[i] = nic_rx_return(side->q, side->frame, n); break;
			case 3:
				for (uint32_t k = 0; k < n; k++)
					done[i] += good ? fake_receive(side->fn, data, 14 + k)
							: fake_write_back(side->fn, word);
				break;
			case 4: done[i] = nic_rx(side->q, &side->pool, side->frame, n); break;
			case 5:
				make_frames(side, n, seed, wild, where);
				side->pool.top -= n;
				done[i] = nic_tx(side->q, &side->pool, side->frame, n);
				for (size_t k = done[i]; k < n; k++)
					nic_pool_put(&side->pool, &side->offset[k], 1);
				break;
			case 6: done[i] = fake_transmit(side->fn, n); break;
			case 7: done[i] = nic_tx_return(side->q, side->offset, n); break;
			case 8: nic_flush(side->q); break;
			}
		}
		assert_int_equal(done[0], done[1]);
		if (what == 2 || what == 4) {
			received += done[0];
			for (unsigned i = 0; i < 2; i++)
				for (size_t k = 0; k < done[i]; k++)
					nic_pool_put(&sides[i].pool, &sides[i].frame[k].offset, 1);
			assert_memory_equal(
				sides[0].frame, sides[1].frame, done[0] * sizeof *sides[0].frame);
		}
		if (what == 7) {
			assert_memory_equal(
				sides[0].offset, sides[1].offset, done[0] * sizeof(uint32_t));
			for (unsigned i = 0; i < 2; i++)
				nic_pool_put(&sides[i].pool, sides[i].offset, done[i]);
		}
		if (what == 6)
			sent += done[0];
		compare(step);
	}
	assert_memory_equal(sides[0].frames->base, sides[1].frames->base, sides[0].frames->size);
	assert_true(received > STEPS / 8 && sent > STEPS / 4);
}

static void the_widest_is_taken(void **state)
{
	const char *const *name = ixgbe_paths;

	(void)state;
	while (!ixgbe_path_verbs(*name))
		name++;
	assert_ptr_equal(ixgbe_widest_verbs(), ixgbe_path_verbs(*name));
	assert_non_null(ixgbe_path_verbs("plain"));
	assert_null(ixgbe_path_verbs("mmx"));
}

static int group(const char *name, unsigned layout)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths_do_the_same, set_up, tear_down),
		cmocka_unit_test(the_widest_is_taken),
	};

	path = name;
	one_run = layout;
	print_message("path %s, chunks %s\n", path, one_run ? "in one run" : "in no order");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 2, group);
}
