/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The flight recorder: the last register accesses, ring publications and events of one thread, in
 * memory that somebody else keeps (recorder_format.h), to be read after the writer has died at any
 * instruction. Cheap enough to stay on: bench/run recorder.
 */
#ifndef PCI_RECORDER_H
#define PCI_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "pci/recorder_format.h"

struct pci_function;

/* The writer's own part; what it holds is not read back from the memory. */
struct recorder {
	struct flight_record *slot;
	uint32_t next; /* sequence of the next record */
	bool tsc;
	struct flight_clock clock;
};

/* Begins to write to memory of `size` bytes, aligned to 8. Where it holds a ring already, this goes
 * on behind its last record; else it becomes an empty one. Measures the clock: 2 ms.
 * -EINVAL: below FLIGHT_BYTES, or not aligned.
 */
int recorder_open(struct recorder *recorder, void *memory, size_t size);

/* Reads and writes of the function's registers and config space are recorded from now on (NULL: no
 * more). A driver that is open already may go on to write tails unrecorded (reg_direct()). The
 * recorder is used by whichever thread uses the function: by one.
 */
void pci_record(struct pci_function *fn, struct recorder *recorder);

/* The processor's time stamp counter where it runs at one rate through all sleep states and clock
 * changes (CPUID 80000007h EDX bit 8, Intel SDM 18.17.1), else the kernel's clock.
 */
static inline uint64_t recorder_now(const struct recorder *recorder)
{
	struct timespec now;

#if defined(__x86_64__)
	if (recorder->tsc)
		return __builtin_ia32_rdtsc();
#else
	(void)recorder;
#endif
	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void recorder_add(struct recorder *recorder, enum flight_kind kind, uint8_t where,
	uint32_t offset, uint32_t value)
{
	struct flight_record *slot = &recorder->slot[recorder->next % FLIGHT_SLOTS];

	/* Whoever reads after this process died sees its stores in their order: the slot is void
	 * from the first to the last.
	 */
	__atomic_store_n(&slot->seal, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	slot->time = recorder_now(recorder);
	slot->offset = offset;
	slot->value = value;
	__atomic_store_n(
		&slot->seal, flight_seal(recorder->next, (uint8_t)kind, where), __ATOMIC_RELEASE);
	recorder->next++;
}

/* --- reading --- */

struct recorder_found {
	struct flight_clock clock;
	uint32_t records; /* in `to`, oldest first */
	uint32_t torn;    /* slots that were being written, or that make no sense */
};

/* Copies what `memory` holds, which a process wrote that may have gone mad, and may still be
 * writing. Room for FLIGHT_SLOTS records in `to`; their kinds are known ones, and their sequence
 * numbers go up. -EINVAL: there is no ring; -ENODATA: there is, and no record.
 */
int recorder_read(
	const void *memory, size_t size, struct flight_record *to, struct recorder_found *found);

/* ns of a record since the clock's start (negative: before it). */
int64_t recorder_ns(const struct flight_clock *clock, uint64_t time);
/* A word for a kind; "unknown" for others. */
const char *recorder_kind(uint8_t kind);

#endif
