/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rounds by the processor's clock, and doorbells.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench/driver/cycles.h"

/* Whether somebody else ran is asked the kernel once for so many rounds, which are dropped
 * together.
 */
#define BATCH 16u

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

static long switches(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw + usage.ru_nvcsw;
}

static int failed(struct rig *rig, struct pci_error *why)
{
	(void)snprintf(why->text, sizeof why->text, "%s", rig_fault(rig));
	return -EIO;
}

static uint32_t measure_round(struct rig *rig, enum warmth warmth, uint32_t cost, bool *in_order)
{
	size_t (*round)(struct rig *, size_t) = rig->setting->mode->round;
	size_t n = rig->round;
	uint64_t start, taken;
	size_t done;

	rig_before(rig, warmth);
	start = cache_clock_begin();
	done = round(rig, n);
	taken = cache_clock_end() - start;
	*in_order = rig_after(rig, done);
	taken = taken > cost ? taken - cost : 0;
	return taken < UINT32_MAX ? (uint32_t)taken : UINT32_MAX;
}

bool cycles_sample(struct rig *rig, unsigned stride, unsigned rigs, enum warmth warmth,
	uint32_t *sample, size_t rounds, size_t *kept, size_t *dropped)
{
	uint32_t cost = cache_clock_cost();
	bool in_order = true;
	size_t turn = 0;

	*kept = *dropped = 0;
	/* On a machine that never leaves a batch alone, it ends all the same. */
	while (in_order && *kept + BATCH <= rounds && *kept + *dropped < 8 * rounds) {
		long before = switches();

		for (size_t i = 0; i < BATCH && in_order; i++)
			sample[*kept + i] = measure_round(
				rig + turn++ % rigs * stride, warmth, cost, &in_order);
		if (switches() == before)
			*kept += BATCH;
		else
			*dropped += BATCH;
	}
	return in_order;
}

void cycles_summarize(uint32_t *sample, size_t n, size_t round, struct cycles *cycles)
{
	size_t middle = n / 2;

	cycles->rounds = n;
	if (n == 0)
		return;
	qsort(sample, n, sizeof *sample, compare);
	cycles->min = (double)sample[0] / (double)round;
	cycles->median = (double)sample[middle] / (double)round;
}

int cycles_measure(const struct setting *setting, enum warmth warmth, size_t rounds,
	struct cycles *cycles, struct pci_error *why)
{
	uint32_t *sample = calloc(rounds, sizeof *sample);
	struct bed bed;
	size_t kept;
	int rc = -ENOMEM;

	if (!sample)
		return rc;
	rc = bed_open(&bed, setting, true, why);
	if (rc)
		goto out;
	*cycles = (struct cycles){0};
	if (rig_warm(&bed.rig[0]) &&
		cycles_sample(&bed.rig[0], 1, 1, warmth, sample, rounds, &kept, &cycles->dropped))
		cycles_summarize(sample, kept, bed.rig[0].round, cycles);
	else
		rc = failed(&bed.rig[0], why);
	bed_close(&bed);
out:
	free(sample);
	return rc;
}

int doorbells_count(const struct setting *setting, unsigned rounds, struct card_accesses *accesses,
	uint64_t *frames, struct pci_error *why)
{
	struct card_accesses before;
	struct bed bed;
	struct rig *rig = &bed.rig[0];
	bool in_order;
	int rc = bed_open(&bed, setting, false, why);

	if (rc)
		return rc;
	in_order = rig_warm(rig);
	before = card_accesses(bed.card);
	*frames = 0;
	for (unsigned i = 0; i < rounds && in_order; i++) {
		size_t done;

		rig_before(rig, WARMTH_HOT);
		done = setting->mode->round(rig, rig->round);
		*frames += done;
		in_order = rig_after(rig, done);
	}
	*accesses = card_accesses(bed.card);
	accesses->rx_tails -= before.rx_tails;
	accesses->tx_tails -= before.tx_tails;
	accesses->others -= before.others;
	if (in_order && accesses->others)
		device_complain(rig->device, "the data path made %llu accesses to other registers",
			(unsigned long long)accesses->others);
	if (rig_fault(rig))
		rc = failed(rig, why);
	bed_close(&bed);
	return rc;
}
