/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The time that frames take on a link.
 */
#include "nicsim/wire_pace.h"

#define FRAME_MIN 60u
#define AROUND    24u
#define PS_PER_NS 1000u

uint64_t wire_pace_time(size_t len, unsigned mbit)
{
	return ((len < FRAME_MIN ? FRAME_MIN : len) + AROUND) * 8ull * 1000000 / mbit;
}

bool wire_pace_room(struct wire_pace *pace, uint64_t now)
{
	uint64_t gone = now - pace->at;

	/* `owed` is small: what would overflow is more than that by far. */
	pace->owed = gone < pace->owed / PS_PER_NS ? pace->owed - gone * PS_PER_NS : 0;
	pace->at = now;
	return pace->owed < (uint64_t)WIRE_PACE_NS * PS_PER_NS;
}

void wire_pace_take(struct wire_pace *pace, uint64_t time)
{
	pace->owed += time;
}

uint64_t wire_pace_wait(const struct wire_pace *pace)
{
	uint64_t owed = pace->owed / PS_PER_NS;

	return owed > WIRE_PACE_NS / 2 ? owed - WIRE_PACE_NS / 2 : 0;
}
