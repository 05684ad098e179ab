/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Somebody who has the registers of nicsim's queues mapped and writes to them as fast as he can,
 * for ever: half of it what a driver would write there, in no order, the rest anything.
 *
 *     scribble FD SEED
 *
 * FD is the file of the pages, inherited. What test/test_nicsim_doorbells.py runs.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SIZE   0xe000u
#define ENABLE 0x02000000u
#define MEMORY 0x10000000u /* where the test has mapped its memory for the card */

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 32);
}

int main(int argc, char **argv)
{
	static const uint32_t areas[] = {0x1000, 0x6000, 0x7000, 0xd000};
	static const uint32_t values[] = {0, 1, 7, 8, 63, 0x80, 0x1000, 0xffff, 0xfff80, 0xffffffff,
		ENABLE, ENABLE | 1u << 16, MEMORY, MEMORY + 0x1000, 0x02000002, 0x12000002};
	/* By register of a queue: base, base, length, -, head, SRRCTL, tail, -, -, -, control */
	static const uint32_t sane[16] = {
		MEMORY, 0, 0x1000, 0, 0, 0x02000002, 200, 0, 0, 0, ENABLE};
	_Atomic(uint32_t) *page;
	uint64_t seed;

	if (argc != 3) {
		fprintf(stderr, "usage: scribble FD SEED\n");
		return 2;
	}
	seed = strtoul(argv[2], NULL, 0);
	page = mmap(
		NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, (int)strtol(argv[1], NULL, 0), 0);
	if (page == MAP_FAILED) {
		perror("scribble");
		return 1;
	}
	puts("begins");
	fflush(stdout);
	for (;;) {
		uint32_t chance = draw(&seed), queue = chance & 3 ? 0 : chance >> 2 & 63;
		uint32_t word = chance >> 8 & 15, area = areas[chance >> 12 & 3];
		uint32_t value = chance & 1 << 14 ? sane[word] : values[chance >> 15 & 15];

		atomic_store_explicit(
			&page[(area + 0x40 * queue) / 4 + word], value, memory_order_relaxed);
	}
}
