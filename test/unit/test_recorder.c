/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The flight recorder's ring: what is read is what was written, whatever else lies there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci/recorder.h"

struct world {
	uint8_t *memory;
	struct flight_record *found; /* room for all */
	struct recorder recorder;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->memory = calloc(1, FLIGHT_BYTES);
	w->found = calloc(FLIGHT_SLOTS, sizeof(*w->found));
	assert_int_equal(recorder_open(&w->recorder, w->memory, FLIGHT_BYTES), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	free(w->memory);
	free(w->found);
	free(w);
	return 0;
}

static struct flight_record *slot(struct world *w, uint32_t i)
{
	return (struct flight_record *)(w->memory + FLIGHT_FIRST) + i;
}

static struct flight_ring *header(struct world *w)
{
	return (struct flight_ring *)w->memory;
}

static void add(struct world *w, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		recorder_add(&w->recorder, FLIGHT_WRITE, 0, 4 * i, i);
}

static struct recorder_found read_all(struct world *w, int expected)
{
	struct recorder_found found;

	assert_int_equal(recorder_read(w->memory, FLIGHT_BYTES, w->found, &found), expected);
	return found;
}

static void test_empty(void **state)
{
	struct recorder_found found = read_all(*state, -ENODATA);

	assert_int_equal(found.records, 0);
	assert_int_equal(found.torn, 0);
}

static void test_what_was_written_is_read(void **state)
{
	struct world *w = *state;
	struct recorder_found found;

	recorder_add(&w->recorder, FLIGHT_READ, 4, 0x1234, 0xfeedbeef);
	recorder_add(&w->recorder, FLIGHT_PUBLISH, 0, 0x6018, 17);
	found = read_all(w, 0);
	assert_int_equal(found.records, 2);
	assert_int_equal(found.torn, 0);
	assert_int_equal(flight_kind(&w->found[0]), FLIGHT_READ);
	assert_int_equal(flight_where(&w->found[0]), 4);
	assert_int_equal(flight_sequence(&w->found[0]), 0);
	assert_int_equal(w->found[0].offset, 0x1234);
	assert_int_equal(w->found[0].value, 0xfeedbeef);
	assert_int_equal(flight_kind(&w->found[1]), FLIGHT_PUBLISH);
	assert_int_equal(flight_sequence(&w->found[1]), 1);
	assert_true(w->found[1].time >= w->found[0].time);
	assert_true(recorder_ns(&found.clock, w->found[0].time) >= 0);
	assert_true(recorder_ns(&found.clock, w->found[1].time) < INT64_C(600000000000));
}

static void test_the_last_ones_stay(void **state)
{
	struct world *w = *state;

	add(w, 0, 2 * FLIGHT_SLOTS + 5);
	assert_int_equal(read_all(w, 0).records, FLIGHT_SLOTS);
	assert_int_equal(w->found[0].value, FLIGHT_SLOTS + 5);
	assert_int_equal(w->found[FLIGHT_SLOTS - 1].value, 2 * FLIGHT_SLOTS + 4);
}

static void test_sequence_numbers_wrap(void **state)
{
	struct world *w = *state;

	w->recorder.next = UINT32_MAX - 2;
	add(w, 0, 7);
	assert_int_equal(read_all(w, 0).records, 7);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(w->found[i].value, i);
}

/* Killed between the first store and the last: the slot's old record is not passed off as one. */
static void test_a_torn_record_is_none(void **state)
{
	struct world *w = *state;
	struct recorder_found found;

	add(w, 0, FLIGHT_SLOTS + 3);
	slot(w, 3)->seal = 0;
	slot(w, 3)->value = 0xbad;
	found = read_all(w, 0);
	assert_int_equal(found.records, FLIGHT_SLOTS - 1);
	assert_int_equal(found.torn, 1);
	assert_int_equal(w->found[0].value, 4);
	assert_int_equal(w->found[FLIGHT_SLOTS - 2].value, FLIGHT_SLOTS + 2);
}

static void test_a_new_writer_goes_on(void **state)
{
	struct world *w = *state;

	add(w, 0, 10);
	slot(w, 10)->time = 1; /* torn: its successor overwrites it */
	header(w)->clock.start_ns = 4711;
	assert_int_equal(recorder_open(&w->recorder, w->memory, FLIGHT_BYTES), 0);
	assert_int_equal(w->recorder.next, 10);
	assert_int_equal(w->recorder.clock.start_ns, 4711); /* the first one's clock */
	add(w, 10, 2);
	assert_int_equal(read_all(w, 0).records, 12);
	assert_int_equal(w->found[11].value, 11);
}

static void test_hostile_headers(void **state)
{
	struct world *w = *state;
	const struct flight_ring good = *header(w);
	struct recorder_found found;

	add(w, 0, 3);
	header(w)->magic++;
	read_all(w, -EINVAL);
	*header(w) = good;
	header(w)->version++;
	read_all(w, -EINVAL);
	*header(w) = good;
	header(w)->record_size = 0;
	read_all(w, -EINVAL);
	*header(w) = good;
	header(w)->slots = FLIGHT_SLOTS * 2;
	read_all(w, -EINVAL);
	*header(w) = good;
	assert_int_equal(recorder_read(w->memory, FLIGHT_BYTES - 1, w->found, &found), -EINVAL);
	assert_int_equal(recorder_open(&w->recorder, w->memory, FLIGHT_BYTES - 1), -EINVAL);
	assert_int_equal(recorder_open(&w->recorder, w->memory + 4, FLIGHT_BYTES), -EINVAL);
	header(w)->clock.hz = 0; /* no division by it, and no clock to go on with */
	assert_int_equal(read_all(w, 0).records, 3);
	(void)recorder_ns(&header(w)->clock, UINT64_MAX);
	assert_int_equal(recorder_open(&w->recorder, w->memory, FLIGHT_BYTES), 0);
	read_all(w, -ENODATA);
}

static void test_hostile_records(void **state)
{
	struct world *w = *state;
	struct recorder_found found;

	add(w, 0, 4);
	slot(w, 1)->seal = flight_seal(1, FLIGHT_KINDS, 0); /* no kind */
	slot(w, 2)->seal = flight_seal(3, FLIGHT_WRITE, 0); /* another slot's */
	found = read_all(w, 0);
	assert_int_equal(found.records, 2);
	assert_int_equal(found.torn, 2);
	assert_int_equal(flight_sequence(&w->found[0]), 0);
	assert_int_equal(flight_sequence(&w->found[1]), 3);
	/* Any bytes: never more than there is room for, in order, of known kinds. */
	srand(20);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = FLIGHT_FIRST; i < FLIGHT_BYTES; i++)
			w->memory[i] = (uint8_t)(rand() & (i % 24 < 21 ? 0xff : 0x0f));
		if (recorder_read(w->memory, FLIGHT_BYTES, w->found, &found) != 0)
			continue;
		assert_in_range(found.records, 1, FLIGHT_SLOTS);
		for (uint32_t i = 0; i < found.records; i++) {
			assert_in_range(flight_kind(&w->found[i]), 1, FLIGHT_KINDS - 1);
			if (i > 0)
				assert_in_range(flight_sequence(&w->found[i]) -
							flight_sequence(&w->found[i - 1]),
					1, FLIGHT_SLOTS - 1);
		}
	}
}

static void test_time(void **state)
{
	const struct flight_clock clock = {.hz = 2500000000, .start_ticks = 1000};
	const struct flight_clock wild = {.hz = UINT64_MAX, .start_ticks = UINT64_MAX};

	(void)state;
	assert_int_equal(recorder_ns(&clock, 1000), 0);
	assert_int_equal(recorder_ns(&clock, 1000 + 5), 2);
	assert_int_equal(recorder_ns(&clock, 1000 + UINT64_C(2500000000) * 86400), 86400000000000);
	assert_int_equal(recorder_ns(&clock, 1000 + UINT64_C(2499999999)), 999999999);
	assert_int_equal(recorder_ns(&clock, 0), -400);
	assert_int_equal(recorder_ns(&wild, UINT64_MAX - 7), -7);
	assert_int_equal(recorder_ns(&wild, 0), INT64_MIN);
}

static void test_kinds_have_names(void **state)
{
	(void)state;
	for (int kind = 1; kind < FLIGHT_KINDS; kind++)
		assert_string_not_equal(recorder_kind((uint8_t)kind), "unknown");
	assert_string_equal(recorder_kind(FLIGHT_NONE), "unknown");
	assert_string_equal(recorder_kind(FLIGHT_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_ones_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sequence_numbers_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_torn_record_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_new_writer_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_records, setup, teardown),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
