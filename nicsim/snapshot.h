/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A block of words that somebody else writes at any time, and one among them that means something
 * only with the others (a tail, with its ring's base and length).
 */
#ifndef NICSIM_SNAPSHOT_H
#define NICSIM_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_WORDS    16u
#define SNAPSHOT_ATTEMPTS 4u

/* A test puts its own here, to write between any two reads. */
#ifndef SNAPSHOT_LOAD
#define SNAPSHOT_LOAD(word) atomic_load_explicit(word, memory_order_relaxed)
#endif

/* The block as it stood at one moment: the other words are read before and after the tail, and must
 * be the same. False: it does not stand still; `now` is of no use then.
 */
static inline bool snapshot_take(
	const _Atomic(uint32_t) *block, unsigned tail, uint32_t now[SNAPSHOT_WORDS])
{
	for (unsigned attempt = 0; attempt < SNAPSHOT_ATTEMPTS; attempt++) {
		uint32_t differ = 0;

		for (unsigned i = 0; i < SNAPSHOT_WORDS; i++) {
			if (i != tail)
				now[i] = SNAPSHOT_LOAD(&block[i]);
		}
		/* Order the first reading before that of the tail, and that before the second. */
		atomic_thread_fence(memory_order_acquire);
		now[tail] = SNAPSHOT_LOAD(&block[tail]);
		atomic_thread_fence(memory_order_acquire);
		for (unsigned i = 0; i < SNAPSHOT_WORDS; i++) {
			if (i != tail)
				differ |= SNAPSHOT_LOAD(&block[i]) ^ now[i];
		}
		if (!differ)
			return true;
	}
	return false;
}

#endif
