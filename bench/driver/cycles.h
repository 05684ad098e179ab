/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Measures rounds by the processor's clock, and counts doorbells.
 */
#ifndef BENCH_DRIVER_CYCLES_H
#define BENCH_DRIVER_CYCLES_H

#include "bench/driver/rig.h"

struct cycles {
	double min, median; /* of a round, for each of its frames */
	size_t rounds;      /* that count */
	size_t dropped;     /* that were interrupted by another process */
};

/* -ENOMEM, -EIO with why. */
int cycles_measure(const struct setting *setting, enum warmth warmth, size_t rounds,
	struct cycles *cycles, struct pci_error *why);

/* The parts of it. Samples `rounds` rounds (or as many as can be had) of `rigs` rigs in turn, which
 * lie `stride` apart and are warm; false: see rig_fault().
 */
bool cycles_sample(struct rig *rig, unsigned stride, unsigned rigs, enum warmth warmth,
	uint32_t *sample, size_t rounds, size_t *kept, size_t *dropped);
/* Sorts the samples, of rounds of `round` frames. */
void cycles_summarize(uint32_t *sample, size_t n, size_t round, struct cycles *cycles);

/* Exactly, on a card that hears each access. -EIO with why, also where the driver touched another
 * register than a tail.
 */
int doorbells_count(const struct setting *setting, unsigned rounds, struct card_accesses *accesses,
	uint64_t *frames, struct pci_error *why);

#endif
