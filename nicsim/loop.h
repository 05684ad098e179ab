/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim's only thread: an epoll loop with descriptors, timers, work that is put off until the
 * event at hand is dealt with, and places that tell nobody when something is there and have to be
 * looked at (shared memory). The caller's structures are embedded in its own; nothing is allocated.
 */
#ifndef NICSIM_LOOP_H
#define NICSIM_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_io {
	void (*ready)(struct loop_io *io, uint32_t events); /* EPOLLIN, ... */
	int fd;
};

struct loop_timer {
	void (*fire)(struct loop_timer *timer);
	uint64_t due; /* private: CLOCK_MONOTONIC ns */
	struct loop_timer *next;
	bool armed;
};

struct loop_work {
	void (*run)(struct loop_work *work);
	struct loop_work *next; /* private */
	bool queued;
};

/* What a look came to: nothing can come there for now, nothing was there, something was. */
enum loop_found { LOOP_NEVER, LOOP_NOTHING, LOOP_SOMETHING };

struct loop_poll {
	enum loop_found (*look)(struct loop_poll *poll);
	struct loop_poll *next; /* private */
};

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);
/* Runs until loop_stop(). 0 or -errno of epoll. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

int loop_add(struct loop *loop, struct loop_io *io, uint32_t events);
int loop_modify(struct loop *loop, struct loop_io *io, uint32_t events);
/* Safe from within any callback: io->ready() is not called any more. Does not close io->fd. */
void loop_remove(struct loop *loop, struct loop_io *io);

/* Fires once, ns from now. Setting an armed timer moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Runs work once, soon, after the callback that is running now; descriptors get their turn between
 * two runs of the same work. Queueing queued work does nothing.
 */
void loop_defer(struct loop *loop, struct loop_work *work);
void loop_defer_cancel(struct loop *loop, struct loop_work *work);

/* Looks there in every turn, before and after events, and at least every millisecond, but not
 * between two events while looks say LOOP_NEVER. The loop spins while looks find something or there
 * is work, and for 50 us more; then it sleeps, 50 us at first, twice as long each time. While it
 * spins, descriptors get their turn after every few turns of the rest.
 */
void loop_poll_add(struct loop *loop, struct loop_poll *poll);
void loop_poll_remove(struct loop *loop, struct loop_poll *poll);

uint64_t loop_now(void); /* CLOCK_MONOTONIC, ns */

#endif
