/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A queue's registers in shared memory, against a driver that writes between any two reads: what is
 * taken for them stood there at one moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t observed(const _Atomic(uint32_t) *word);

#define SNAPSHOT_LOAD(word) observed(word)
#include "nicsim/snapshot.h"

enum { BASE, HIGH, LENGTH, HEAD = 4, TAIL = 6, CONTROL = 10 };
#define ON 0x02000000u

/* A driver sets the queue up anew, with a ring of another base. */
static const struct store {
	unsigned word;
	uint32_t value;
} stores[] = {{CONTROL, 0}, {BASE, 0x2000}, {HIGH, 2}, {LENGTH, 0x200}, {HEAD, 0}, {TAIL, 0},
	{CONTROL, ON}, {TAIL, 9}};
#define STORES (sizeof(stores) / sizeof(stores[0]))

static _Atomic(uint32_t) block[SNAPSHOT_WORDS];
static bool never_still;
static unsigned reads, first, gap, done; /* the first store comes before read `first` */

static void begin(void)
{
	memset(block, 0, sizeof(block));
	block[BASE] = 0x1000;
	block[HIGH] = 1;
	block[LENGTH] = 0x100;
	block[HEAD] = block[TAIL] = 7;
	block[CONTROL] = ON;
	reads = done = 0;
}

static uint32_t observed(const _Atomic(uint32_t) *word)
{
	/* gap 0: all stores at once */
	while (reads >= first && done < STORES && (gap == 0 || reads >= first + done * gap)) {
		block[stores[done].word] = stores[done].value;
		done++;
	}
	reads++;
	if (never_still)
		block[BASE]++;
	return *word;
}

/* Whether the block has ever looked like that. */
static bool was(const uint32_t now[SNAPSHOT_WORDS])
{
	uint32_t state[SNAPSHOT_WORDS];

	begin();
	for (unsigned i = 0; i < SNAPSHOT_WORDS; i++)
		state[i] = block[i];
	for (unsigned i = 0;; i++) {
		if (memcmp(state, now, sizeof(state)) == 0)
			return true;
		if (i == STORES)
			return false;
		state[stores[i].word] = stores[i].value;
	}
}

static void one_moment(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (first = 0; first < 80; first++) {
		for (gap = 0; gap < 40; gap++) {
			uint32_t now[SNAPSHOT_WORDS];

			begin();
			if (!snapshot_take(block, TAIL, now))
				continue;
			taken++;
			if (!was(now))
				fail_msg("mixed: stores from read %u on, %u apart", first, gap);
		}
	}
	assert_true(taken > 1000);
}

/* One that never stands still is not taken, and not waited for. */
static void restless(void **state)
{
	uint32_t now[SNAPSHOT_WORDS];

	(void)state;
	begin();
	first = UINT32_MAX;
	never_still = true;
	assert_false(snapshot_take(block, TAIL, now));
	never_still = false;
	assert_int_equal(reads, SNAPSHOT_ATTEMPTS * (2 * SNAPSHOT_WORDS - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_moment),
		cmocka_unit_test(restless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
