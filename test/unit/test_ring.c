/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bookkeeping of a ring: fill, room, the slots that are kept back, and indices that wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nic/ring.h"

static void counts_around_the_wrap(void **state)
{
	(void)state;
	for (uint32_t start = UINT32_MAX - 70; start != 70; start++) {
		struct ring ring = {
			.head = start, .shown = start + 10, .tail = start + 17, .mask = 63};

		assert_int_equal(ring_size(&ring), 64);
		assert_int_equal(ring_held(&ring), 17);
		assert_int_equal(ring_owned(&ring), 10);
		assert_int_equal(ring_kept(&ring), 7);
		assert_int_equal(ring_room(&ring), 43);
	}
}

/* A full ring leaves a line: then a line at whose start the tail stands is software's whole. */
static void full_leaves_a_line(void **state)
{
	struct ring ring = {.head = 5, .tail = 5 + 60, .mask = 63};

	(void)state;
	assert_int_equal(ring_room(&ring), 0);
	for (ring.head = 0; ring.head < 256; ring.head++) {
		ring.tail = ring.head + ring_size(&ring) - RING_LINE;
		if (ring.tail % RING_LINE)
			continue;
		for (uint32_t slot = ring.tail; slot < ring.tail + RING_LINE; slot++)
			for (uint32_t held = ring.head; held != ring.tail; held++)
				assert_int_not_equal(slot & ring.mask, held & ring.mask);
	}
}

static void words_lie_two_a_slot(void **state)
{
	uint64_t memory[128];
	struct ring ring = {.mask = 63, .words = (dma_word __dma *)(uintptr_t)memory};

	(void)state;
	dma_write(ring_word(&ring, 0, 0), 1);
	dma_write(ring_word(&ring, 64, 1), 2);
	dma_write(ring_word(&ring, UINT32_MAX, 0), 3);
	dma_write(ring_word(&ring, 127, 1), 4);
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[1], 2);
	assert_int_equal(memory[126], 3);
	assert_int_equal(memory[127], 4);
}

static void pop_gives_the_oldest_in_order(void **state)
{
	uint32_t buffer[64];
	uint32_t out[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		buffer[i] = 1000 + i;
	for (uint32_t head = UINT32_MAX - 130; head != 130; head++)
		for (uint32_t n = 0; n <= 60; n += 15) {
			struct ring ring = {
				.head = head, .tail = head + 60, .mask = 63, .buffer = buffer};

			ring_pop(&ring, out, n);
			assert_int_equal(ring.head, (uint32_t)(head + n));
			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(out[i], 1000 + ((head + i) & 63));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_around_the_wrap),
		cmocka_unit_test(full_leaves_a_line),
		cmocka_unit_test(words_lie_two_a_slot),
		cmocka_unit_test(pop_gives_the_oldest_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
