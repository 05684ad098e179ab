/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The event loop: places that have to be looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "nicsim/loop.h"

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct place {
	struct loop_poll poll;
	struct loop_timer end;
	struct loop_work work;
	struct loop_io io;
	struct loop *loop;
	enum loop_found says;
	unsigned looks, runs, events;
	unsigned stop_after; /* looks */
};

static enum loop_found look(struct loop_poll *poll)
{
	struct place *it = container_of(poll, struct place, poll);

	if (++it->looks == it->stop_after)
		loop_stop(it->loop);
	return it->says;
}

static void end(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct place, end)->loop);
}

static void begin(struct loop_timer *timer)
{
	(void)timer;
}

static void again(struct loop_work *work)
{
	struct place *it = container_of(work, struct place, work);

	it->runs++;
	loop_defer(it->loop, work);
}

/* From here on there is something to look for. */
static void ready(struct loop_io *io, uint32_t events)
{
	struct place *it = container_of(io, struct place, io);
	uint64_t count;

	(void)events;
	assert_int_equal(read(io->fd, &count, sizeof(count)), sizeof(count));
	it->events++;
	it->says = LOOP_NOTHING;
}

static void start(struct place *it, enum loop_found says)
{
	*it = (struct place){.poll.look = look,
		.end.fire = end,
		.work.run = again,
		.io.ready = ready,
		.says = says};
	assert_int_equal(loop_create(&it->loop), 0);
	loop_poll_add(it->loop, &it->poll);
}

static void stop(struct place *it)
{
	loop_poll_remove(it->loop, &it->poll);
	loop_destroy(it->loop);
}

/* Where nothing can come nobody looks, until something else happens. */
static void never(void **state)
{
	struct place it;

	(void)state;
	start(&it, LOOP_NEVER);
	loop_timer_set(it.loop, &it.end, 20 * 1000 * 1000);
	assert_int_equal(loop_run(it.loop), 0);
	assert_in_range(it.looks, 1, 2);
	stop(&it);
}

/* Where nothing was, the loop looks again by itself: it would wait for ever else. */
static void nothing_yet(void **state)
{
	struct place it;

	(void)state;
	start(&it, LOOP_NOTHING);
	it.stop_after = 20;
	loop_timer_set(it.loop, &it.end, 0); /* for a first turn */
	it.end.fire = begin;
	assert_int_equal(loop_run(it.loop), 0);
	assert_int_equal(it.looks, 20);
	stop(&it);
}

/* An event that makes it worth looking: the looks after it count, not that before. */
static void an_event_changes_it(void **state)
{
	struct place it;

	(void)state;
	start(&it, LOOP_NEVER);
	it.stop_after = 50;
	it.io.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(it.io.fd >= 0);
	assert_int_equal(loop_add(it.loop, &it.io, EPOLLIN), 0);
	assert_int_equal(loop_run(it.loop), 0);
	assert_int_equal(it.events, 1);
	assert_int_equal(it.looks, 50);
	close(it.io.fd);
	stop(&it);
}

/* However much there is to do, descriptors get their turn. */
static void descriptors_under_load(void **state)
{
	struct place it;

	(void)state;
	start(&it, LOOP_SOMETHING);
	it.io.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(it.io.fd >= 0);
	assert_int_equal(loop_add(it.loop, &it.io, EPOLLIN), 0);
	loop_defer(it.loop, &it.work);
	it.stop_after = 200;
	assert_int_equal(loop_run(it.loop), 0);
	assert_int_equal(it.events, 0);
	assert_int_equal(eventfd_write(it.io.fd, 1), 0);
	it.stop_after = it.looks + 100;
	assert_int_equal(loop_run(it.loop), 0);
	assert_int_equal(it.events, 1);
	assert_true(it.runs > 100);
	loop_defer_cancel(it.loop, &it.work);
	close(it.io.fd);
	stop(&it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never),
		cmocka_unit_test(nothing_yet),
		cmocka_unit_test(an_event_changes_it),
		cmocka_unit_test(descriptors_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
