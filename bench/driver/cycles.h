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

/* Exactly, on a card that hears each access. -EIO with why, also where the driver touched another
 * register than a tail.
 */
int doorbells_count(const struct setting *setting, unsigned rounds, struct card_accesses *accesses,
	uint64_t *frames, struct pci_error *why);

#endif
