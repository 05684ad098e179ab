/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the processor's clock costs, and whether its caches obey.
 */
#include <stdlib.h>

#include "bench/driver/cache.h"

#define SAMPLES 2001u

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

static uint32_t median(uint32_t *sample, size_t n)
{
	qsort(sample, n, sizeof *sample, compare);
	return sample[n / 2];
}

uint32_t cache_clock_cost(void)
{
	uint32_t sample[SAMPLES];

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t start = cache_clock_begin();

		sample[i] = (uint32_t)(cache_clock_end() - start);
	}
	return median(sample, SAMPLES);
}

uint32_t cache_reload(enum warmth warmth)
{
	static _Alignas(CACHE_LINE) volatile uint8_t lines[64][CACHE_LINE];
	uint32_t sample[SAMPLES];

	for (unsigned i = 0; i < SAMPLES; i++) {
		volatile uint8_t *line = lines[i % 64];
		uint64_t start;

		*line = (uint8_t)i;
		cache_push((const void *)(uintptr_t)line, 1, warmth);
		cache_settle();
		/* A hint takes its time. */
		for (unsigned wait = 0; wait < 200; wait++)
			__asm__ volatile("" : : : "memory");
		start = cache_clock_begin();
		(void)*line;
		sample[i] = (uint32_t)(cache_clock_end() - start);
	}
	return median(sample, SAMPLES);
}

const char *cache_cannot(enum warmth warmth)
{
	uint32_t cost, hot, cold;

	if (!CACHE_CLOCK)
		return "no clock of this processor's is used: x86-64 alone";
	if (warmth == WARMTH_HOT)
		return NULL;
	cost = cache_clock_cost();
	hot = cache_reload(WARMTH_HOT) - cost;
	cold = cache_reload(warmth) - cost;
	if (warmth == WARMTH_DRAM)
		return cold > hot + 50 ? NULL : "clflush has no effect here";
	/* From the next level on it takes some ten cycles more; and less than from memory. */
	if (cold <= hot + 10)
		return "cldemote has no effect here: a demoted line is reloaded as fast as a hot "
		       "one";
	return cold < cache_reload(WARMTH_DRAM) - cost
		       ? NULL
		       : "a demoted line is reloaded as slowly as from memory";
}

double cache_core_cycles(void)
{
#if defined(__x86_64__)
	uint32_t cost = cache_clock_cost();
	uint64_t value = 3;
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 200; i++) {
		uint64_t start = cache_clock_begin();

		__asm__ volatile(".rept 256\n\timul %0, %0\n\t.endr" : "+r"(value));
		start = cache_clock_end() - start - cost;
		if (start < best)
			best = start;
	}
	return 3.0 * 256 / (double)best;
#else
	return 0;
#endif
}
