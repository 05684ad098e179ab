/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The processor's clock and caches, where they are ours to use: x86-64.
 */
#ifndef BENCH_DRIVER_CACHE_H
#define BENCH_DRIVER_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64u

/* Where the lines that the card wrote are when the driver looks: in the nearest cache, in the last
 * level of caches, in memory.
 */
enum warmth { WARMTH_HOT, WARMTH_LLC, WARMTH_DRAM };

#if defined(__x86_64__)

#define CACHE_CLOCK true

/* Time stamp counter before and after what is measured: nothing of it is left outside (Intel SDM
 * 18.17.1 and the manual's entries of RDTSC and RDTSCP).
 */
static inline uint64_t cache_clock_begin(void)
{
	uint64_t now;

	__builtin_ia32_lfence();
	now = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return now;
}

static inline uint64_t cache_clock_end(void)
{
	unsigned core;
	uint64_t now = __builtin_ia32_rdtscp(&core);

	__builtin_ia32_lfence();
	return now;
}

/* Pushes the lines of `size` bytes away. Each takes effect by cache_settle(). */
static inline void cache_push(const void *from, size_t size, enum warmth to)
{
	uintptr_t line = (uintptr_t)from & ~(uintptr_t)(CACHE_LINE - 1);

	if (to == WARMTH_HOT)
		return;
	for (; line < (uintptr_t)from + size; line += CACHE_LINE) {
		if (to == WARMTH_DRAM)
			__builtin_ia32_clflush((const void *)line);
		else /* CLDEMOTE: a hint, which processors without it take for a NOP */
			__asm__ volatile(".byte 0x0f, 0x1c, 0x00" : : "a"(line) : "memory");
	}
}

static inline void cache_settle(void)
{
	__builtin_ia32_mfence();
}

#else

#define CACHE_CLOCK false

static inline uint64_t cache_clock_begin(void)
{
	return 0;
}

static inline uint64_t cache_clock_end(void)
{
	return 0;
}

static inline void cache_push(const void *from, size_t size, enum warmth to)
{
	(void)from;
	(void)size;
	(void)to;
}

static inline void cache_settle(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

/* Cycles of the time stamp counter that a load takes from a line that the card just wrote and
 * pushed there: the median of many.
 */
uint32_t cache_reload(enum warmth warmth);
/* Why nothing can be pushed to that place here, or NULL: told from what reloading takes. */
const char *cache_cannot(enum warmth warmth);
/* Cycles that a measurement of nothing takes, to be taken off. */
uint32_t cache_clock_cost(void);
/* Cycles of the core in one of the time stamp counter, from instructions that take three each. */
double cache_core_cycles(void);

#endif
