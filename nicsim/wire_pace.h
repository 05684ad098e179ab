/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The time that frames take on a link. In front of the link lies what the card has taken from
 * memory and not sent yet, as in a card's packet buffer: at most WIRE_PACE_NS of it and the frame
 * that went over that. Nothing here looks at a clock.
 */
#ifndef NICSIM_WIRE_PACE_H
#define NICSIM_WIRE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Far more than a timer is late, so that the link does not run dry: at 10 Gbit/s 125 KB, where an
 * 82599's packet buffer has 160 KiB (TXPBSIZE).
 */
#define WIRE_PACE_NS 100000u

struct wire_pace {
	uint64_t at;   /* CLOCK_MONOTONIC ns, when `owed` was reckoned */
	uint64_t owed; /* ps for which the link is busy from then on */
};

/* ps that a frame takes, given without preamble and CRC: at least 60 bytes, and 24 that frames have
 * around them (preamble and delimiter 8, CRC 4, gap 12: IEEE 802.3). mbit > 0.
 */
uint64_t wire_pace_time(size_t len, unsigned mbit);
/* Whether a frame may be taken now. */
bool wire_pace_room(struct wire_pace *pace, uint64_t now);
/* A frame of that time was taken. */
void wire_pace_take(struct wire_pace *pace, uint64_t time);
/* ns until half of what may be taken has gone out; behind wire_pace_room(). */
uint64_t wire_pace_wait(const struct wire_pace *pace);

#endif
