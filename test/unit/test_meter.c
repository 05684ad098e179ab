/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rheinfall's meter and its histogram, judged by what simple lists say of the same numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rheinfall/histogram.h"
#include "rheinfall/meter.h"

#define STREAM 0x1234u
#define CLOCK  7u

static struct sequence sequence;
static struct meter meter;
static uint8_t frame[FRAME_MAX];

static int clean(void **state)
{
	(void)state;
	memset(&sequence, 0, sizeof(sequence));
	memset(frame, 0, sizeof(frame));
	return 0;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* --- sequence --- */

static void note(uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++)
		sequence_note(&sequence, n);
}

static void expect(
	uint64_t unique, uint64_t missing, uint64_t duplicated, uint64_t reordered, uint64_t late)
{
	assert_int_equal(sequence.unique, unique);
	assert_int_equal(sequence_missing(&sequence), missing);
	assert_int_equal(sequence.duplicated, duplicated);
	assert_int_equal(sequence.reordered, reordered);
	assert_int_equal(sequence.late, late);
}

static void in_order(void **state)
{
	(void)state;
	note(0, 3 * METER_WINDOW + 5);
	expect(3 * METER_WINDOW + 5, 0, 0, 0, 0);
}

static void lost(void **state)
{
	(void)state;
	note(7, 100); /* the first seven */
	note(101, 1000);
	expect(93 + 899, 8, 0, 0, 0);
}

static void duplicated(void **state)
{
	(void)state;
	note(0, 10);
	note(3, 6);
	note(9, 10);
	note(9, 11);
	expect(11, 0, 5, 0, 0);
}

static void reordered(void **state)
{
	(void)state;
	note(0, 5);
	note(7, 9);
	note(5, 7); /* two that came after a higher one */
	note(9, 12);
	expect(12, 0, 0, 2, 0);
	note(5, 7);
	expect(12, 0, 2, 2, 0);
}

/* The bit that a number uses was an older number's: it must not make the newer one a duplicate. */
static void window_wraps(void **state)
{
	(void)state;
	note(0, 100);
	note(METER_WINDOW, METER_WINDOW + 50); /* 100 .. METER_WINDOW - 1 are missing */
	expect(150, METER_WINDOW - 100, 0, 0, 0);
	note(METER_WINDOW + 50, METER_WINDOW + 100);
	expect(200, METER_WINDOW - 100, 0, 0, 0);
	note(2 * METER_WINDOW - 10, 2 * METER_WINDOW);
	sequence_note(
		&sequence, METER_WINDOW + 150); /* was never seen, though 150 + k windows ... */
	expect(211, 2 * METER_WINDOW - 211, 0, 1, 0);
}

static void window_ends(void **state)
{
	(void)state;
	sequence_note(&sequence, 0);
	sequence_note(&sequence, METER_WINDOW + 1); /* window: 2 .. METER_WINDOW + 1 */
	sequence_note(&sequence, 2);
	expect(3, METER_WINDOW - 1, 0, 1, 0);
	sequence_note(&sequence, 1);
	expect(3, METER_WINDOW - 1, 0, 1, 1);
	sequence_note(&sequence, 0);
	expect(3, METER_WINDOW - 1, 0, 1, 2);
}

static void long_jump(void **state)
{
	(void)state;
	note(0, 10);
	uint64_t far = 1ull << 60;
	sequence_note(&sequence, far);
	sequence_note(&sequence, far - METER_WINDOW + 1);
	expect(12, far + 1 - 12, 0, 1, 0);
}

/* Random losses, duplicates and delays, all within the window, against a table of all numbers. */
static void against_a_table(void **state)
{
	(void)state;
	enum { N = 400000, FAR = 5000 };
	uint64_t *numbers = calloc(2 * N, sizeof(*numbers));
	uint8_t *seen = calloc(N, 1);
	size_t n = 0;
	for (uint64_t i = 0; i < N; i++) {
		uint64_t dice = next_random() % 100;
		if (dice > 0) /* else lost */
			numbers[n++] = i;
		if (dice > 90)
			numbers[n++] = i;
	}
	for (size_t i = 0; i + FAR < n; i += 7) {
		size_t other = i + next_random() % FAR;
		uint64_t swapped = numbers[i];
		numbers[i] = numbers[other];
		numbers[other] = swapped;
	}

	uint64_t unique = 0, twice = 0, behind = 0, highest = 0;
	for (size_t i = 0; i < n; i++) {
		sequence_note(&sequence, numbers[i]);
		if (seen[numbers[i]]++)
			twice++;
		else if (unique++, numbers[i] < highest)
			behind++;
		if (numbers[i] > highest)
			highest = numbers[i];
	}
	assert_true(twice > N / 20 && behind > N / 20);
	expect(unique, highest + 1 - unique, twice, behind, 0);
	free(numbers);
	free(seen);
}

/* --- meter --- */

static bool send(uint32_t stream, uint16_t clock, uint64_t number, uint64_t sent, uint64_t now)
{
	struct stamp stamp = {stream, clock, number, sent};
	payload_fill(&meter.tables, frame, 200, &stamp);
	return meter_note(&meter, frame, 200, now);
}

static void own_stream(void **state)
{
	(void)state;
	meter_init_own(&meter, CLOCK, STREAM);
	meter.limit = 10;
	assert_true(send(STREAM, CLOCK, 0, 1000, 1500));
	assert_false(send(STREAM, CLOCK, 0, 1000, 9000));
	assert_true(send(STREAM, CLOCK, 5, 1000, 2000));
	assert_true(send(STREAM, CLOCK, 4, 1000, 900));    /* 0, not a huge number */
	assert_false(send(STREAM, CLOCK, 10, 1000, 2000)); /* was never sent */
	assert_false(send(STREAM + 1, CLOCK, 1, 1000, 2000));
	frame[60] ^= 1;
	assert_false(meter_note(&meter, frame, 200, 2000));

	struct meter_sum sum;
	meter_sum(&meter, false, &sum);
	assert_int_equal(sum.unique, 3);
	assert_int_equal(sum.lost, 3); /* 1, 2, 3 */
	assert_int_equal(sum.duplicated, 1);
	assert_int_equal(sum.reordered, 1);
	meter_sum(&meter, true, &sum);
	assert_int_equal(sum.lost, 7);
	assert_int_equal(meter.foreign, 1);
	assert_int_equal(meter.corrupted, 2);
	assert_int_equal(meter.latency.count, 3);
	assert_int_equal(meter.latency.min, 0);
	assert_int_equal(meter.latency.max, 1000);
}

static void other_streams(void **state)
{
	(void)state;
	meter_init(&meter, CLOCK);
	for (uint64_t n = 0; n < 10; n++) {
		assert_true(send(1, CLOCK, n, 0, 10));
		assert_true(send(2, CLOCK + 1, METER_WINDOW + 100 + 2 * n, 0, 10));
	}
	assert_true(send(3, CLOCK, METER_WINDOW, 0, 10)); /* the first METER_WINDOW are lost */

	struct meter_sum sum;
	meter_sum(&meter, true, &sum);
	assert_int_equal(sum.unique, 21);
	assert_int_equal(sum.lost, 9 + METER_WINDOW);
	assert_int_equal(meter.latency.count, 11); /* of this system's clock only */
	assert_int_equal(meter.foreign, 0);

	assert_false(send(2, CLOCK + 1, METER_WINDOW + 98, 0, 10)); /* before it was joined */
	meter_sum(&meter, true, &sum);
	assert_int_equal(sum.late, 1);
	assert_int_equal(sum.lost, 9 + METER_WINDOW);
}

static void too_many_streams(void **state)
{
	(void)state;
	meter_init(&meter, CLOCK);
	for (uint32_t id = 0; id < METER_STREAMS + 3; id++)
		assert_int_equal(send(id, CLOCK, 0, 0, 0), id < METER_STREAMS);
	assert_int_equal(meter.foreign, 3);
	assert_true(send(METER_STREAMS - 1, CLOCK, 1, 0, 0));
	assert_false(send(0, CLOCK, UINT64_MAX, 0, 0)); /* the one number that has none above it */
	assert_int_equal(meter.corrupted, 1);
}

/* --- histogram --- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void quantiles_of(uint64_t *values, size_t n)
{
	static const uint32_t shares[] = {1, 100, 2500, 5000, 9000, 9900, 9990, 9999, 10000};
	struct histogram *h = calloc(1, sizeof(*h));
	for (size_t i = 0; i < n; i++)
		histogram_add(h, values[i]);
	qsort(values, n, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (n * shares[i] + 9999) / 10000;
		uint64_t exact = values[rank > 0 ? rank - 1 : 0];
		uint64_t measured = histogram_quantile(h, shares[i]);
		assert_true(measured >= exact);
		assert_true(measured - exact <= exact / 128);
	}
	assert_int_equal(h->count, n);
	assert_int_equal(h->min, values[0]);
	assert_int_equal(h->max, values[n - 1]);
	assert_int_equal(histogram_quantile(h, 10000), values[n - 1]);
	free(h);
}

static void quantiles(void **state)
{
	(void)state;
	enum { N = 20000 };
	uint64_t *values = calloc(N, sizeof(*values));
	for (size_t n = 1; n <= N; n = n * 3 + 1) {
		for (size_t i = 0; i < n; i++)
			values[i] = next_random() % 100;
		quantiles_of(values, n);
		for (size_t i = 0; i < n; i++)
			values[i] = next_random() >> next_random() % 64;
		quantiles_of(values, n);
		for (size_t i = 0; i < n; i++)
			values[i] =
				20000 + next_random() % 1000 * (next_random() % 50 == 0 ? 500 : 1);
		quantiles_of(values, n);
	}
	values[0] = 0;
	values[1] = UINT64_MAX;
	quantiles_of(values, 2);
	free(values);
}

static void nothing_measured(void **state)
{
	(void)state;
	static const struct histogram empty;
	assert_int_equal(histogram_quantile(&empty, 5000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_order, clean),
		cmocka_unit_test_setup(lost, clean),
		cmocka_unit_test_setup(duplicated, clean),
		cmocka_unit_test_setup(reordered, clean),
		cmocka_unit_test_setup(window_wraps, clean),
		cmocka_unit_test_setup(window_ends, clean),
		cmocka_unit_test_setup(long_jump, clean),
		cmocka_unit_test_setup(against_a_table, clean),
		cmocka_unit_test_setup(own_stream, clean),
		cmocka_unit_test_setup(other_streams, clean),
		cmocka_unit_test_setup(too_many_streams, clean),
		cmocka_unit_test(quantiles),
		cmocka_unit_test(nothing_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
