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

#include "fake_card.h"
#include "nic/pool.h"

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

static void refills_and_reclaims_through_a_card(void **state)
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
	struct nic_pool pool;
	struct nic_queue *q;
	struct nic *nic;
	unsigned passed = 0;

	(void)state;
	assert_int_equal(nic_open(&nic, fn, &config, &why), 0);
	assert_int_equal(nic_pool_init(&pool, memory), 0);
	/* Fewer buffers than the ring takes, and among them one that is none. */
	pool.top = pool.size = 51;
	pool.free[20] = 7;
	q = nic_queue(nic, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_within_chunks),
		cmocka_unit_test(claims_what_is_free),
		cmocka_unit_test(gives_the_warmest_first_and_takes_no_more_than_it_gave),
		cmocka_unit_test(refills_and_reclaims_through_a_card),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
