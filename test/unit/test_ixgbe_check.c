/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nic_check() and what is read back: a card that is out of order is noticed, one that merely stands
 * still is not taken for it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_card.h"

struct bench {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
};

static int bench_try(struct bench *b, uint32_t held, struct pci_error *why)
{
	struct nic_config config = {.queues = 1, .rx_ring = 64, .tx_ring = 64, .mtu = 1500};

	b->fn = fake_card_new(0x1528);
	config.frames = b->frames = fake_region_new(b->fn, DMA_CHUNK_SIZE);
	config.rings = b->rings = fake_region_new(b->fn, 4096);
	if (held)
		fake_hold(b->fn, held, 0x00000080, 0x00000080);
	return nic_open(&b->nic, b->fn, &config, why);
}

/* Eight buffers are the card's, one frame is to be sent. */
static void bench_open(struct bench *b)
{
	struct frame frame = {.offset = 20 * NIC_BUFFER_STRIDE, .len = 60};
	uint32_t offsets[8];

	assert_int_equal(bench_try(b, 0, NULL), 0);
	b->q = nic_queue(b->nic, 0);
	for (unsigned i = 0; i < 8; i++)
		offsets[i] = i * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
	assert_int_equal(nic_rx_provide(b->q, offsets, 8), 8);
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	nic_flush(b->q);
}

static void bench_close(struct bench *b)
{
	nic_close(b->nic);
	fake_region_free(b->frames);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
}

static void a_card_that_stands_still_is_well(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(nic_check(b.nic, NULL), 0);
	/* What was done and not fetched is not the card's fault. */
	assert_true(fake_write_back(b.fn, RX_DD | RX_EOP | 60ull << RX_LENGTH_SHIFT));
	assert_int_equal(fake_transmit(b.fn, 1), 1);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(nic_check(b.nic, NULL), 0);
	bench_close(&b);
}

static void lost_tails_are_written_again(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b);
	assert_int_equal(nic_check(b.nic, NULL), 0);
	fake_set(b.fn, RDT(0), 0);
	fake_set(b.fn, TDT(0), 0);
	assert_int_equal(nic_check(b.nic, NULL), 0);
	assert_int_equal(fake_read(b.fn, RDT(0)), 8);
	assert_int_equal(fake_read(b.fn, TDT(0)), 1);
	bench_close(&b);
}

static void what_is_not_written_back_is_noticed(void **state)
{
	struct pci_error why = {""};
	struct frame frame;
	struct bench b;

	(void)state;
	bench_open(&b);
	assert_true(fake_write_back(b.fn, 0));
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_check(b.nic, &why), 0);
	/* Late, but there: another one begins at the beginning. */
	dma_write(ring_word(&b.q->rx, 0, 1), RX_DD | RX_EOP | 60ull << RX_LENGTH_SHIFT);
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_rx_return(b.q, &frame, 1), 1);
	assert_true(fake_write_back(b.fn, 0));
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_check(b.nic, &why), -EIO);
	assert_non_null(strstr(why.text, "receive queue 0: a descriptor is used up and not"));
	bench_close(&b);
}

static void what_is_not_reported_is_noticed(void **state)
{
	struct pci_error why = {""};
	struct bench b;

	(void)state;
	bench_open(&b);
	assert_int_equal(fake_transmit(b.fn, 1), 1);
	dma_write(ring_word(&b.q->tx, 0, 1), 0);
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_check(b.nic, &why), 0);
	assert_int_equal(nic_check(b.nic, &why), -EIO);
	assert_non_null(strstr(why.text, "transmit queue 0: a frame is sent and not reported"));
	b.fn->gone = true;
	assert_int_equal(nic_check(b.nic, &why), -ENODEV);
	bench_close(&b);
}

static void a_ring_that_lies_elsewhere_is_not_started(void **state)
{
	static const uint32_t registers[] = {
		TDBAL(0), TDBAH(0), TDLEN(0), RDBAL(0), RDBAH(0), RDLEN(0), TDWBAH(0)};

	(void)state;
	for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
		struct pci_error why = {""};
		char text[40];
		struct bench b;

		assert_int_equal(bench_try(&b, registers[i], &why), -EIO);
		snprintf(text, sizeof text, "register 0x%05x does not keep", registers[i]);
		assert_non_null(strstr(why.text, text));
		assert_int_equal(b.fn->wild, 0);
		bench_close(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_that_stands_still_is_well),
		cmocka_unit_test(lost_tails_are_written_again),
		cmocka_unit_test(what_is_not_written_back_is_noticed),
		cmocka_unit_test(what_is_not_reported_is_noticed),
		cmocka_unit_test(a_ring_that_lies_elsewhere_is_not_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
