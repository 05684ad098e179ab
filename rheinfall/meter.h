/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The meter: what became of numbered frames. Every frame that is read is exactly one of
 *
 *     the first of its number, a duplicate, late, corrupted, foreign
 *
 * so that for a stream whose sender counted `sent` frames, and which is all that was received,
 *
 *     received = sent - lost + duplicated + late + corrupted + foreign
 */
#ifndef RHEINFALL_METER_H
#define RHEINFALL_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rheinfall/histogram.h"
#include "rheinfall/payload.h"

/* How far behind the highest number a frame may come and still be told from a duplicate. */
#define METER_WINDOW  65536u
#define METER_STREAMS 16u

/* The numbers seen of one stream. */
struct sequence {
	uint64_t first;  /* where it begins */
	uint64_t next;   /* one above the highest number seen */
	uint64_t unique; /* different numbers seen */
	uint64_t duplicated;
	uint64_t reordered; /* came after a higher number: RFC 4737, 3.3 */
	uint64_t late;      /* behind the window: duplicate or reordered, lost was counted */
	uint64_t seen[METER_WINDOW / 64];
};

/* Number must be below UINT64_MAX. */
void sequence_note(struct sequence *s, uint64_t number);
/* Numbers below `next` that were not seen. */
uint64_t sequence_missing(const struct sequence *s);

struct meter_stream {
	uint32_t id;
	struct sequence sequence;
};

struct meter {
	struct payload_tables tables;
	bool own;       /* only streams[0] is measured, whose sender is this program */
	uint64_t limit; /* own: numbers from here on were never sent */
	uint16_t clock; /* latency is measured of frames that carry this one */
	size_t streams; /* used of stream[] */
	size_t current; /* the one of the last frame */
	uint64_t corrupted, foreign;
	struct histogram latency; /* ns */
	struct meter_stream stream[METER_STREAMS];
};

/* To measure whatever streams come. Up to METER_STREAMS, frames of more are foreign. A stream
 * begins with number 0, or with the first number seen if that is above METER_WINDOW: then it was
 * running already.
 */
void meter_init(struct meter *m, uint16_t clock);
/* To measure one stream that this program sends, from number 0; meter.limit is to be kept up. */
void meter_init_own(struct meter *m, uint16_t clock, uint32_t stream);

/* One frame that was read. True: an intact frame of a measured stream with a number not seen
 * before. */
bool meter_note(struct meter *m, const uint8_t *frame, size_t len, uint64_t now_ns);

struct meter_sum {
	uint64_t unique, lost, duplicated, reordered, late;
};
/* Over all streams. Lost are the missing ones up to the highest number that was seen, or with `own`
 * up to the limit if the stream `ended`.
 */
void meter_sum(const struct meter *m, bool ended, struct meter_sum *sum);

#endif
