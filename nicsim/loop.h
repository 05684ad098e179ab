/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim's only thread: an epoll loop with descriptors, timers, and work that is put off until the
 * event at hand is dealt with. The caller's structures are embedded in its own; nothing is
 * allocated.
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

uint64_t loop_now(void); /* CLOCK_MONOTONIC, ns */

#endif
