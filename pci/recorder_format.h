/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the flight recorder's records lie in memory and in a file. Knows of no driver, card, or
 * operating system: the daemons that write, pcid that reads what they left, and the software cards
 * that a trace is played to share this header and nothing else.
 *
 * In memory: a header, and from FLIGHT_FIRST on a ring of FLIGHT_SLOTS records. In a file: a
 * header, and records until its end. Little endian.
 */
#ifndef PCI_RECORDER_FORMAT_H
#define PCI_RECORDER_FORMAT_H

#include <stdint.h>

enum flight_kind {
	FLIGHT_NONE = 0, /* an empty slot, or one that was being written when the writer died */
	/* where: flight_register() */
	FLIGHT_READ = 1,
	FLIGHT_WRITE = 2,
	FLIGHT_PUBLISH = 3, /* a write of a ring's tail; it counts as FLIGHT_WRITE */
	/* where: bytes */
	FLIGHT_CONFIG_READ = 4,
	FLIGHT_CONFIG_WRITE = 5,
	FLIGHT_RESET = 6,     /* the whole function's; value: -errno */
	FLIGHT_INTERRUPT = 7, /* offset: which; value: what the driver made of it */
	FLIGHT_LINK = 8,      /* value: Mbit/s; 0: down */
	FLIGHT_CLIENT = 9,    /* offset: the client's number; value: its process */
	FLIGHT_HANDLES = 10,  /* value: open handles, when their number has changed */
	FLIGHT_START = 11,    /* value: the writer's process */
	FLIGHT_READY = 12,
	FLIGHT_STOP = 13,    /* value: 0, or -errno */
	FLIGHT_OVERRUN = 14, /* value: records that the file lacks here */
	FLIGHT_KINDS
};

struct flight_record {
	uint64_t time; /* ticks, flight_clock */
	uint32_t offset;
	uint32_t value;
	/* Written last; 0: the rest is not to be believed. From the low end: 32 bits of sequence
	 * (the slot is its remainder by FLIGHT_SLOTS; a file's go on by one), 8 of kind, 8 of
	 * where.
	 */
	uint64_t seal;
};

static inline uint64_t flight_seal(uint32_t sequence, uint8_t kind, uint8_t where)
{
	return sequence | (uint64_t)kind << 32 | (uint64_t)where << 40;
}

static inline uint32_t flight_sequence(const struct flight_record *record)
{
	return (uint32_t)record->seal;
}

static inline uint8_t flight_kind(const struct flight_record *record)
{
	return (uint8_t)(record->seal >> 32);
}

static inline uint8_t flight_where(const struct flight_record *record)
{
	return (uint8_t)(record->seal >> 40);
}

/* A register's BAR, and its size: 4, 2 or 1 bytes. */
static inline uint8_t flight_register(unsigned bar, unsigned size)
{
	return (uint8_t)(bar | (size == 4 ? 0 : size << 4));
}

static inline unsigned flight_bar(uint8_t where)
{
	return where & 0xfu;
}

static inline unsigned flight_size(uint8_t where)
{
	return where >> 4 == 0 ? 4 : where >> 4;
}

/* ns of CLOCK_MONOTONIC_RAW = start_ns + (time - start_ticks) * 10^9 / hz. */
struct flight_clock {
	uint64_t hz; /* 10^9: ticks are CLOCK_MONOTONIC_RAW itself; else of the processor's TSC */
	uint64_t start_ticks;
	uint64_t start_ns;
	uint64_t start_realtime_ns; /* CLOCK_REALTIME at the same moment */
};

#define FLIGHT_VERSION     1u
#define FLIGHT_RING_MAGIC  UINT64_C(0x676e695274676c46) /* "FlgtRing" */
#define FLIGHT_TRACE_MAGIC UINT64_C(0x6372547467696c46) /* "FligtTrc" */

struct flight_ring {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	uint32_t slots;
	uint32_t reserved;
	struct flight_clock clock;
};

struct flight_trace {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	struct flight_clock clock;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class;
	uint8_t revision;
	uint8_t reserved[3];
	char driver[32]; /* these end with a NUL */
	char program[32];
	char address[128];
};

#define FLIGHT_FIRST 64u
#define FLIGHT_SLOTS 16384u /* a power of two */
#define FLIGHT_BYTES (FLIGHT_FIRST + FLIGHT_SLOTS * sizeof(struct flight_record))

_Static_assert(sizeof(struct flight_record) == 24, "format");
_Static_assert(sizeof(struct flight_ring) <= FLIGHT_FIRST, "format");
_Static_assert(sizeof(struct flight_trace) == 256, "format");

#endif
