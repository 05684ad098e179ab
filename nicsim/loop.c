/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The event loop: epoll for descriptors, a list sorted by due time for timers, a FIFO for work that
 * was put off.
 */
#include "nicsim/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS     32
#define TURNS      32u      /* between two looks at the descriptors, while there are polls */
#define SPIN_NS    50000u   /* without anything to do, before it sleeps */
#define NAP_MAX_NS 1000000u /* between two looks */

struct loop {
	int epoll;
	bool stop;
	bool coarse; /* the kernel has no epoll_pwait2: waits are whole milliseconds */
	struct loop_timer *timers;
	struct loop_work *first, **last;
	struct loop_poll *polls;
	bool polling;        /* something may turn up that no descriptor tells of */
	bool spinning;       /* and not long ago something did */
	uint64_t idle_since; /* the first turn that found nothing, ns; 0: the last one did */
	uint64_t nap;        /* how long it sleeps next, ns */
	struct epoll_event events[EVENTS]; /* those that this turn still has to deliver */
	int pending;
};

uint64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->last = &loop->first;
	loop->nap = SPIN_NS;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		int rc = -errno;

		free(loop);
		return rc;
	}
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

static int control(struct loop *loop, int op, struct loop_io *io, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = io};

	return epoll_ctl(loop->epoll, op, io->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_io *io, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, io, events);
}

int loop_modify(struct loop *loop, struct loop_io *io, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, io, events);
}

void loop_remove(struct loop *loop, struct loop_io *io)
{
	control(loop, EPOLL_CTL_DEL, io, 0);
	for (int i = 0; i < loop->pending; i++) {
		if (loop->events[i].data.ptr == io)
			loop->events[i].data.ptr = NULL;
	}
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	if (!timer->armed)
		return;
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	timer->armed = false;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ns)
{
	struct loop_timer **link = &loop->timers;

	loop_timer_cancel(loop, timer);
	timer->due = loop_now() + ns;
	while (*link && (*link)->due <= timer->due)
		link = &(*link)->next;
	timer->next = *link;
	timer->armed = true;
	*link = timer;
}

void loop_defer(struct loop *loop, struct loop_work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	work->next = NULL;
	*loop->last = work;
	loop->last = &work->next;
}

void loop_defer_cancel(struct loop *loop, struct loop_work *work)
{
	struct loop_work **link = &loop->first;

	if (!work->queued)
		return;
	while (*link != work)
		link = &(*link)->next;
	*link = work->next;
	if (!*link)
		loop->last = link;
	work->queued = false;
}

void loop_poll_add(struct loop *loop, struct loop_poll *poll)
{
	poll->next = loop->polls;
	loop->polls = poll;
}

void loop_poll_remove(struct loop *loop, struct loop_poll *poll)
{
	struct loop_poll **link = &loop->polls;

	while (*link && *link != poll)
		link = &(*link)->next;
	if (*link)
		*link = poll->next;
}

/* Waits for descriptors until the first timer is due, or the next look; not at all while there is
 * work.
 */
static int wait_events(struct loop *loop)
{
	struct timespec until = {0}, *limit = &until;
	int n;

	if (loop->first || loop->spinning) {
		limit = &until;
	} else if (loop->timers || loop->polling) {
		uint64_t ns = loop->polling ? loop->nap : UINT64_MAX;

		if (loop->timers) {
			uint64_t now = loop_now();
			uint64_t left = loop->timers->due > now ? loop->timers->due - now : 0;

			ns = left < ns ? left : ns;
		}
		until.tv_sec = (time_t)(ns / 1000000000u);
		until.tv_nsec = (long)(ns % 1000000000u);
	} else {
		limit = NULL;
	}
	if (!loop->coarse) {
		n = epoll_pwait2(loop->epoll, loop->events, EVENTS, limit, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		loop->coarse = true;
	}
	return epoll_wait(loop->epoll, loop->events, EVENTS,
		limit ? (int)(until.tv_sec * 1000 + (until.tv_nsec + 999999) / 1000000) : -1);
}

static void run_timers(struct loop *loop)
{
	uint64_t now;

	if (!loop->timers)
		return;
	/* One look at the clock: a timer that sets itself again at once waits for the next turn. */
	now = loop_now();
	while (loop->timers && loop->timers->due <= now) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->armed = false;
		timer->fire(timer);
	}
}

/* Runs what was queued before now; what these queue waits for the next turn. Whether there was any.
 */
static bool run_work(struct loop *loop)
{
	struct loop_work end = {0};

	if (!loop->first)
		return false;
	loop_defer(loop, &end);
	for (struct loop_work *work; (work = loop->first);) {
		loop->first = work->next;
		if (!loop->first)
			loop->last = &loop->first;
		work->queued = false;
		if (work == &end)
			break;
		work->run(work);
	}
	return true;
}

static enum loop_found look(struct loop *loop)
{
	enum loop_found found = LOOP_NEVER;

	for (struct loop_poll *poll = loop->polls; poll; poll = poll->next) {
		enum loop_found here = poll->look(poll);

		found = here > found ? here : found;
	}
	return found;
}

static void deliver(struct loop *loop)
{
	for (int i = 0; i < loop->pending; i++) {
		struct loop_io *io = loop->events[i].data.ptr;

		if (io)
			io->ready(io, loop->events[i].events);
	}
	loop->pending = 0;
}

/* Everything once. What has turned up comes before events, which happened later or now. */
static void turn(struct loop *loop)
{
	enum loop_found found = look(loop);
	bool worked;

	if (loop->pending) {
		enum loop_found before = found;

		deliver(loop);
		found = look(loop);
		found = before > found && found != LOOP_NEVER ? before : found;
	}
	run_timers(loop);
	worked = run_work(loop);
	loop->polling = found != LOOP_NEVER;
	if (!loop->polling) {
		loop->spinning = false;
	} else if (worked || found == LOOP_SOMETHING) {
		loop->idle_since = 0;
		loop->spinning = true;
		loop->nap = SPIN_NS;
	} else if (loop->idle_since == 0) {
		loop->idle_since = loop_now();
	} else if (loop->spinning) {
		loop->spinning = loop_now() - loop->idle_since < SPIN_NS;
	} else if (loop->nap < NAP_MAX_NS) {
		loop->nap = loop->nap * 2 < NAP_MAX_NS ? loop->nap * 2 : NAP_MAX_NS;
	}
}

int loop_run(struct loop *loop)
{
	loop->stop = false;
	while (!loop->stop) {
		int n = wait_events(loop);

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->pending = n < 0 ? 0 : n;
		turn(loop);
		for (unsigned i = 1; i < TURNS && loop->spinning && !loop->stop; i++)
			turn(loop);
	}
	return 0;
}
