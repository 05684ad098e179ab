/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A fake card with memory and one queue each way, to be opened by the ixgbe driver.
 */
#ifndef TEST_IXGBE_BENCH_H
#define TEST_IXGBE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "fake_card.h"

struct bench {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic_config config;
	struct nic *nic;
	struct pci_error why;
};

static inline struct bench bench_new(uint16_t device)
{
	struct bench b = {.fn = fake_card_new(device)};

	b.frames = fake_region_new(b.fn, 8192);
	b.rings = fake_region_new(b.fn, 8192);
	b.config = (struct nic_config){.queues = 1,
		.rx_ring = 128,
		.tx_ring = 64,
		.rings = b.rings,
		.frames = b.frames,
		.mtu = 1500,
		.interrupts = true};
	fake_now_us = fake_slack_us = 0;
	return b;
}

/* Closes it, too. Whatever happened: the card is quiet and nothing is left open. */
static inline void bench_free(struct bench *b)
{
	nic_close(b->nic);
	assert_false(b->fn->bus_master);
	assert_int_equal(b->fn->bars, 0);
	assert_int_equal(b->fn->irq_enabled, 0);
	assert_int_equal(b->fn->misuse, 0);
	assert_int_equal(b->fn->wild, 0);
	fake_region_free(b->frames);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
}

static inline int open_it(struct bench *b)
{
	return nic_open(&b->nic, b->fn, &b->config, &b->why);
}

#endif
