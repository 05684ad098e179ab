/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Turns of nicsim's loop, after which it stops.
 */
#ifndef TEST_FUZZ_TURNS_H
#define TEST_FUZZ_TURNS_H

#include <stdlib.h>

#include "nicsim/loop.h"

struct turns {
	struct loop_work work;
	struct loop *loop;
	unsigned left;
};

static inline void count_turn(struct loop_work *work)
{
	struct turns *turns = (struct turns *)work; /* its first member */

	if (turns->left--)
		loop_defer(turns->loop, work);
	else
		loop_stop(turns->loop);
}

static inline void turn(struct loop *loop, unsigned n)
{
	struct turns turns = {.work = {.run = count_turn}, .loop = loop, .left = n};

	loop_defer(loop, &turns.work);
	if (loop_run(loop))
		abort();
}

#endif
