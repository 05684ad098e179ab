/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frame pool: how a region is cut, LIFO order, bounds; and nic_rx()/nic_tx() over a card in
 * memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "each_path.h"
#include "fake_card.h"
#include "nic/pool.h"

/* Of the cards. */
static const char *path;

static void cuts_within_chunks(void **state)
{
	static const struct {
		size_t size;
		uint32_t buffers;
	} cases[] = {
		{4096, 1},
		{8192, 3},
		{DMA_CHUNK_SIZE - 4096, 991},
		{DMA_CHUNK_SIZE, 992},
		{DMA_CHUNK_SIZE + 4096, 993},
		{3 * DMA_CHUNK_SIZE, 2976},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dma_region region = {.size = cases[i].size};
		struct nic_pool pool;
		uint32_t last = 0;

		assert_int_equal(nic_pool_init(&pool, &region), 0);
		assert_int_equal(pool.size, cases[i].buffers);
		for (uint32_t k = 0; k < cases[i].buffers; k++) {
			uint32_t offset;

			assert_int_equal(nic_pool_get(&pool, &offset, 1), 1);
			assert_true(offset >= last + NIC_BUFFER_HEAD);
			assert_true(offset + NIC_BUFFER_SIZE <= region.size);
			assert_int_equal(offset >> DMA_CHUNK_SHIFT,
				(offset + NIC_BUFFER_SIZE - 1) >> DMA_CHUNK_SHIFT);
			assert_int_equal(offset >> DMA_CHUNK_SHIFT,
				(offset - NIC_BUFFER_HEAD) >> DMA_CHUNK_SHIFT);
			last = offset + NIC_BUFFER_SIZE;
		}
		assert_int_equal(nic_pool_get(&pool, &last, 1), 0);
		nic_pool_fini(&pool);
	}
}

static void claims_what_is_free(void **state)
{
	struct dma_region region = {.size = 16384}; /* 7 buffers */
	struct nic_pool pool;
	uint32_t all[7], left[7];

	(void)state;
	assert_int_equal(nic_pool_init(&pool, &region), 0);
	assert_int_equal(nic_pool_get(&pool, all, 7), 7);
	assert_int_equal(nic_pool_claim(&pool, all, 1), -EINVAL);
	assert_int_equal(nic_pool_put(&pool, all, 7), 7);

	assert_int_equal(nic_pool_claim(&pool, (uint32_t[]){all[2], all[2]}, 2), -EINVAL);
	assert_int_equal(nic_pool_claim(&pool, (uint32_t[]){all[2], all[3] + 1}, 2), -EINVAL);
	assert_int_equal(nic_pool_claim(&pool, all, 0), 0);
	assert_int_equal(pool.top, 7);
	assert_int_equal(nic_pool_claim(&pool, (uint32_t[]){all[5], all[0], all[3]}, 3), 0);
	assert_int_equal(nic_pool_get(&pool, left, 7), 4);
	assert_int_equal(left[0], all[1]);
	assert_int_equal(left[1], all[2]);
	assert_int_equal(left[2], all[4]);
	assert_int_equal(left[3], all[6]);
	nic_pool_fini(&pool);
}

static void gives_the_warmest_first_and_takes_no_more_than_it_gave(void **state)
{
	struct dma_region region = {.size = 16384};
	struct nic_pool pool;
	uint32_t got[8], again[8];

	(void)state;
	assert_int_equal(nic_pool_init(&pool, &region), 0);
	assert_int_equal(pool.size, 7);
	assert_int_equal(nic_pool_get(&pool, got, 8), 7);
	assert_int_equal(nic_pool_put(&pool, got, 3), 3);
	assert_int_equal(nic_pool_put(&pool, got + 6, 1), 1);
	assert_int_equal(nic_pool_get(&pool, again, 1), 1);
	assert_int_equal(again[0], got[6]);
	assert_int_equal(nic_pool_put(&pool, got, 8), 4);
	assert_int_equal(pool.top, 7);
	assert_int_equal(nic_pool_put(&pool, got, 1), 0);
	nic_pool_fini(&pool);
}

static void forward_through_a_card(bool fused)
{
	struct pci_function *fn = fake_card_new(0x1528);
	struct dma_region *memory = fake_region_new(fn, DMA_CHUNK_SIZE);
	struct dma_region *rings = fake_region_new(fn, 4096);
	struct nic_config config = {.queues = 1,
		.rx_ring = 64,
		.tx_ring = 64,
		.mtu = 1500,
		.rings = rings,
		.frames = memory};
	struct pci_error why;
	struct nic_verbs verbs;
	struct nic_pool pool;
	struct nic_queue *q;
	struct nic *nic;
	unsigned passed = 0;

	assert_int_equal(nic_open(&nic, fn, &config, &why), 0);
	assert_int_equal(nic_pool_init(&pool, memory), 0);
	/* Fewer buffers than the ring takes, and among them one that is none. */
	pool.top = pool.size = 51;
	pool.free[20] = 7;
	q = nic_queue(nic, 0);
	verbs = *ixgbe_path_verbs(path);
	if (!fused)
		verbs.rx = NULL, verbs.tx = NULL;
	q->verbs = &verbs;
	assert_int_equal(nic_rx(q, &pool, NULL, 0), 0);
	assert_int_equal(nic_rx_held(q), 20);
	assert_int_equal(pool.top, 31);
	assert_int_equal(pool.free[0], 7);
	memmove(pool.free, pool.free + 1, 30 * sizeof *pool.free);
	pool.top = 30;
	pool.size = 50;
	for (unsigned round = 0; round < 500; round++) {
		struct frame frames[32];
		uint8_t data[100];
		size_t n, sent;

		for (unsigned i = 0; i < round % 23; i++) {
			memset(data, (int)(passed + i), sizeof data);
			assert_true(fake_receive(fn, data, 100));
		}
		n = nic_rx(q, &pool, frames, 32);
		assert_int_equal(n, round % 23);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(*nic_data(&pool, frames[i].offset), (uint8_t)(passed + i));
		passed += (unsigned)n;
		sent = nic_tx(q, &pool, frames, n);
		assert_int_equal(sent, n);
		fake_transmit(fn, 64);
		nic_tx(q, &pool, NULL, 0);
		assert_int_equal(pool.top + nic_rx_held(q) + nic_tx_held(q), 50);
		nic_rx(q, &pool, NULL, 0);
		nic_flush(q);
	}
	assert_int_equal(fn->sent_frames, passed);
	assert_int_equal(fn->wild, 0);
	nic_pool_fini(&pool);
	nic_close(nic);
	fake_region_free(memory);
	fake_region_free(rings);
	fake_card_free(fn);
}

static void refills_and_reclaims_in_the_driver(void **state)
{
	(void)state;
	forward_through_a_card(true);
}

static void refills_and_reclaims_by_the_verbs(void **state)
{
	(void)state;
	forward_through_a_card(false);
}

/* A card with rings of 64 slots. */
struct bench {
	struct pci_function *fn;
	struct dma_region *memory, *rings;
	struct nic *nic;
	struct nic_queue *q;
	struct nic_pool pool;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct nic_config config = {.queues = 1, .rx_ring = 64, .tx_ring = 64, .mtu = 1500};
	struct pci_error why;

	b->fn = fake_card_new(0x1528);
	config.frames = b->memory = fake_region_new(b->fn, DMA_CHUNK_SIZE);
	config.rings = b->rings = fake_region_new(b->fn, 4096);
	*state = b;
	if (nic_open(&b->nic, b->fn, &config, &why) || nic_pool_init(&b->pool, b->memory))
		return -1;
	b->q = nic_queue(b->nic, 0);
	b->q->verbs = ixgbe_path_verbs(path);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	nic_pool_fini(&b->pool);
	nic_close(b->nic);
	fake_region_free(b->memory);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
	free(b);
	return 0;
}

/* Receives a frame; its buffer is the caller's. */
static uint32_t receive_one(struct bench *b)
{
	struct frame frame;

	assert_true(fake_receive(b->fn, "0123456789abcd", 14));
	assert_int_equal(nic_rx(b->q, &b->pool, &frame, 1), 1);
	return frame.offset;
}

/* The ring is refilled as often as its tail is written. */
static void refills_in_bulk_while_the_card_has_plenty(void **state)
{
	struct bench *b = *state;

	assert_int_equal(nic_rx(b->q, &b->pool, NULL, 0), 0);
	assert_int_equal(nic_rx_held(b->q), 60);
	for (unsigned round = 0; round < 3; round++) {
		b->fn->tail_writes = 0;
		for (unsigned left = 59; left >= 44; left--) {
			uint32_t offset = receive_one(b);

			assert_int_equal(nic_rx_held(b->q), left > 44 ? left : 60);
			assert_int_equal(b->fn->tail_writes, left > 44 ? 0 : 1);
			nic_pool_put(&b->pool, &offset, 1);
		}
	}
}

/* No part of a line while there is plenty; each buffer at once when there is not. */
static void refills_by_lines_while_the_card_has_plenty(void **state)
{
	struct bench *b = *state;
	uint32_t offsets[64];

	b->pool.top = 57; /* a line and one slot more */
	assert_int_equal(nic_rx(b->q, &b->pool, NULL, 0), 0);
	assert_int_equal(nic_rx_held(b->q), 57);
	for (unsigned i = 0; i < 17; i++)
		offsets[i] = receive_one(b);
	for (unsigned i = 0; i < 7; i++) {
		nic_pool_put(&b->pool, &offsets[i], 1);
		assert_int_equal(nic_rx(b->q, &b->pool, NULL, 0), 0);
		assert_int_equal(nic_rx_held(b->q), i < 2 ? 40 : i < 6 ? 43 : 47);
	}
	assert_int_equal(b->pool.top, 0);
	nic_flush(b->q);
	for (unsigned i = 0; i < 16; i++)
		offsets[i] = receive_one(b);
	assert_int_equal(nic_rx_held(b->q), 31);
	nic_pool_put(&b->pool, &offsets[0], 1);
	assert_int_equal(nic_rx(b->q, &b->pool, NULL, 0), 0);
	assert_int_equal(nic_rx_held(b->q), 32);
}

/* What the pool had no room for comes back when it has, without a further report of the card. */
static void reclaims_as_much_as_fits(void **state)
{
	struct bench *b = *state;
	struct frame frames[8];
	uint32_t offsets[8];

	b->pool.top = b->pool.size = 10;
	assert_int_equal(nic_pool_get(&b->pool, offsets, 8), 8);
	for (unsigned i = 0; i < 8; i++)
		frames[i] = (struct frame){.offset = offsets[i], .len = 60};
	assert_int_equal(nic_tx(b->q, &b->pool, frames, 8), 8);
	assert_int_equal(fake_transmit(b->fn, 8), 8);
	b->pool.size = 5;
	assert_int_equal(nic_tx(b->q, &b->pool, NULL, 0), 0);
	assert_int_equal(b->pool.top, 5);
	assert_int_equal(nic_tx_held(b->q), 5);
	b->pool.size = 10;
	assert_int_equal(nic_tx(b->q, &b->pool, NULL, 0), 0);
	assert_int_equal(b->pool.top, 10);
	assert_int_equal(nic_tx_held(b->q), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(b->pool.free[2 + i], offsets[i]);
}

#define WITH_CARD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int group(const char *name, unsigned layout)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_within_chunks),
		cmocka_unit_test(claims_what_is_free),
		cmocka_unit_test(gives_the_warmest_first_and_takes_no_more_than_it_gave),
		cmocka_unit_test(refills_and_reclaims_in_the_driver),
		cmocka_unit_test(refills_and_reclaims_by_the_verbs),
		WITH_CARD(refills_in_bulk_while_the_card_has_plenty),
		WITH_CARD(refills_by_lines_while_the_card_has_plenty),
		WITH_CARD(reclaims_as_much_as_fits),
	};

	path = name;
	(void)layout;
	print_message("path %s\n", path);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 1, group);
}
