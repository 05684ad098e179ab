/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The flight recorder: its clock, its start, and reading what it left.
 */
#include "pci/recorder.h"

#include <errno.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "pci/function.h"

#define NS_A_SECOND UINT64_C(1000000000)
#define MEASURE_NS  2000000u
#define HZ_MAX      UINT64_C(100000000000)
#define MASK        (FLIGHT_SLOTS - 1)

_Static_assert((FLIGHT_SLOTS & MASK) == 0, "slots by sequence must not jump where that wraps");

/* --- the clock --- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

static bool tsc_is_constant(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
#else
	return false;
#endif
}

/* The rate is measured: what CPUID says of it is left out on many processors and in guests. */
static void start_clock(struct recorder *recorder)
{
	uint64_t ns, ticks;

	recorder->tsc = tsc_is_constant();
	recorder->clock.hz = NS_A_SECOND;
	recorder->clock.start_realtime_ns = clock_ns(CLOCK_REALTIME);
	recorder->clock.start_ns = clock_ns(CLOCK_MONOTONIC_RAW);
	recorder->clock.start_ticks = recorder_now(recorder);
	if (!recorder->tsc)
		return;
	do {
		ns = clock_ns(CLOCK_MONOTONIC_RAW) - recorder->clock.start_ns;
		ticks = recorder_now(recorder) - recorder->clock.start_ticks;
	} while (ns < MEASURE_NS);
	/* ticks fit: not even a long stop in between makes 2^64 / 10^9 of them (6 s at 3 GHz). */
	if (ticks < UINT64_MAX / NS_A_SECOND)
		recorder->clock.hz = ticks * NS_A_SECOND / ns;
	else
		recorder->clock.hz = ticks / (ns / NS_A_SECOND);
}

int64_t recorder_ns(const struct flight_clock *clock, uint64_t time)
{
	bool before = time < clock->start_ticks;
	uint64_t ticks = before ? clock->start_ticks - time : time - clock->start_ticks;
	uint64_t hz = clock->hz == 0 || clock->hz > HZ_MAX ? NS_A_SECOND : clock->hz;
	uint64_t seconds = ticks / hz;
	/* In two steps: the remainder is below 10^11, and 10^11 * 10^6 fits. */
	uint64_t rest = ticks % hz * (NS_A_SECOND / 1000) / hz * 1000 +
			ticks % hz * (NS_A_SECOND / 1000) % hz * 1000 / hz;
	int64_t ns;

	if (seconds > INT64_MAX / NS_A_SECOND - 1)
		return before ? INT64_MIN : INT64_MAX;
	ns = (int64_t)(seconds * NS_A_SECOND + rest);
	return before ? -ns : ns;
}

/* --- writing --- */

static bool is_ring(const struct flight_ring *ring)
{
	return ring->magic == FLIGHT_RING_MAGIC && ring->version == FLIGHT_VERSION &&
	       ring->record_size == sizeof(struct flight_record) && ring->slots == FLIGHT_SLOTS;
}

static bool is_sealed(const struct flight_record *record, uint32_t slot)
{
	return flight_kind(record) != FLIGHT_NONE && flight_kind(record) < FLIGHT_KINDS &&
	       (flight_sequence(record) & MASK) == slot;
}

/* A copy whose parts belong together: the seal is the same before and after. */
static struct flight_record copy_slot(const struct flight_record *slot)
{
	struct flight_record record = {
		.seal = __atomic_load_n(&slot->seal, __ATOMIC_ACQUIRE),
		.time = __atomic_load_n(&slot->time, __ATOMIC_RELAXED),
		.offset = __atomic_load_n(&slot->offset, __ATOMIC_RELAXED),
		.value = __atomic_load_n(&slot->value, __ATOMIC_RELAXED),
	};

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&slot->seal, __ATOMIC_RELAXED) != record.seal)
		record.seal = 0;
	return record;
}

static const struct flight_record *slots_of(const void *memory)
{
	return (const struct flight_record *)((const uint8_t *)memory + FLIGHT_FIRST);
}

/* The sequence behind the newest record; false: there is none. In a ring that somebody spoilt
 * sequences may be in no order: then it is the one of some record.
 */
static bool find_end(const struct flight_record *slot, uint32_t *end)
{
	bool found = false;

	for (uint32_t i = 0; i < FLIGHT_SLOTS; i++) {
		struct flight_record record = copy_slot(&slot[i]);

		if (!is_sealed(&record, i))
			continue;
		if (!found || (int32_t)(flight_sequence(&record) + 1 - *end) > 0)
			*end = flight_sequence(&record) + 1;
		found = true;
	}
	return found;
}

int recorder_open(struct recorder *recorder, void *memory, size_t size)
{
	struct flight_ring header;

	if (size < FLIGHT_BYTES || (uintptr_t)memory % _Alignof(struct flight_record) != 0)
		return -EINVAL;
	*recorder = (struct recorder){
		.slot = (struct flight_record *)((uint8_t *)memory + FLIGHT_FIRST)};
	start_clock(recorder);
	memcpy(&header, memory, sizeof(header));
	if (is_ring(&header) && find_end(recorder->slot, &recorder->next)) {
		/* One ring, one clock: what an earlier writer left is told by the clock that it
		 * started, if this one ticks the same way.
		 */
		if ((header.clock.hz == NS_A_SECOND) == (recorder->clock.hz == NS_A_SECOND) &&
			header.clock.hz != 0 && header.clock.hz <= HZ_MAX) {
			recorder->clock = header.clock;
			return 0;
		}
	}
	recorder->next = 0;
	memset(memory, 0, FLIGHT_BYTES);
	header = (struct flight_ring){
		.magic = FLIGHT_RING_MAGIC,
		.version = FLIGHT_VERSION,
		.record_size = sizeof(struct flight_record),
		.slots = FLIGHT_SLOTS,
		.clock = recorder->clock,
	};
	memcpy(memory, &header, sizeof(header));
	return 0;
}

void pci_record(struct pci_function *fn, struct recorder *recorder)
{
	fn->recorder = recorder;
}

/* --- reading --- */

int recorder_read(
	const void *memory, size_t size, struct flight_record *to, struct recorder_found *found)
{
	const struct flight_record *slot = slots_of(memory);
	struct flight_ring header;
	uint32_t end = 0, empty = 0;

	*found = (struct recorder_found){0};
	if (size < FLIGHT_BYTES || (uintptr_t)memory % _Alignof(struct flight_record) != 0)
		return -EINVAL;
	memcpy(&header, memory, sizeof(header));
	if (!is_ring(&header))
		return -EINVAL;
	found->clock = header.clock;
	if (!find_end(slot, &end))
		return -ENODATA;
	/* From the oldest that may be there on; each slot says whether it is the one. */
	for (uint32_t sequence = end - FLIGHT_SLOTS; sequence != end; sequence++) {
		struct flight_record record = copy_slot(&slot[sequence & MASK]);

		if (is_sealed(&record, sequence & MASK) && flight_sequence(&record) == sequence)
			to[found->records++] = record;
		else if (record.seal == 0 && record.time == 0)
			empty++; /* never written */
	}
	found->torn = FLIGHT_SLOTS - found->records - empty;
	return found->records > 0 ? 0 : -ENODATA;
}

const char *recorder_kind(uint8_t kind)
{
	static const char *const name[FLIGHT_KINDS] = {
		[FLIGHT_READ] = "read",
		[FLIGHT_WRITE] = "write",
		[FLIGHT_PUBLISH] = "publish",
		[FLIGHT_CONFIG_READ] = "config-read",
		[FLIGHT_CONFIG_WRITE] = "config-write",
		[FLIGHT_RESET] = "reset",
		[FLIGHT_INTERRUPT] = "interrupt",
		[FLIGHT_LINK] = "link",
		[FLIGHT_CLIENT] = "client",
		[FLIGHT_HANDLES] = "handles",
		[FLIGHT_START] = "start",
		[FLIGHT_READY] = "ready",
		[FLIGHT_STOP] = "stop",
		[FLIGHT_OVERRUN] = "overrun",
	};

	return kind < FLIGHT_KINDS && name[kind] != NULL ? name[kind] : "unknown";
}
