/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The threads that close. An interruptible wait ends with a signal, so while a thread closes it is
 * sent one every few milliseconds: all but file systems' waits are cut short. Descriptors that go
 * with one call of the system share a signal: the first ends the waits of all.
 */
#include "scheme/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "scheme/linux.h"

#define TICK      SIGURG
#define TICK_NS   5000000
#define END_NS    200000000
#define SECOND_NS 1000000000

#ifndef sigev_notify_thread_id /* glibc 2.36 has no name for it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct victim {
	int fd;
	int hang_up;
};

struct closer {
	int in, out; /* a pipe of victims */
	atomic_uint *unclosed;
	unsigned threads;
	pthread_t thread[CLOSER_THREADS];
};

static void on_tick(int number)
{
	(void)number;
}

static void end_of(const struct victim *victim)
{
	if (victim->hang_up != 0) {
		scheme_hang_up(victim->fd);
	} else {
		close(victim->fd);
	}
}

static void *work(void *argument)
{
	static const struct itimerspec ticks = {{.tv_nsec = TICK_NS}, {.tv_nsec = TICK_NS}};
	static const struct itimerspec none;
	struct closer *c = argument;
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK};
	struct victim victim;
	timer_t timer;
	ssize_t n;

	event.sigev_notify_thread_id = gettid();
	int ticking = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
	while ((n = read(c->out, &victim, sizeof(victim))) != 0) {
		if (n != sizeof(victim)) {
			continue; /* a tick that came late */
		}
		if (ticking) {
			timer_settime(timer, 0, &ticks, NULL);
		}
		end_of(&victim);
		if (ticking) {
			timer_settime(timer, 0, &none, NULL);
		}
		atomic_fetch_sub_explicit(c->unclosed, 1, memory_order_relaxed);
	}
	if (ticking) {
		timer_delete(timer);
	}
	return NULL;
}

int closer_create(struct closer **out, atomic_uint *unclosed)
{
	struct closer *c = calloc(1, sizeof(*c));
	int ends[2];

	if (c == NULL) {
		return -ENOMEM;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		int ret = -errno;
		free(c);
		return ret;
	}
	c->out = ends[0];
	c->in = ends[1];
	c->unclosed = unclosed;
	(void)fcntl(c->in, F_SETFL, O_NONBLOCK);
	*out = c;
	return 0;
}

void closer_destroy(struct closer *c)
{
	struct timespec end;
	bool held_up = false;

	close(c->in);
	clock_gettime(CLOCK_REALTIME, &end); /* what pthread_timedjoin_np() goes by */
	end.tv_nsec += END_NS;
	end.tv_sec += end.tv_nsec / SECOND_NS;
	end.tv_nsec %= SECOND_NS;
	for (unsigned i = 0; i < c->threads; i++) {
		if (pthread_timedjoin_np(c->thread[i], NULL, &end) != 0) {
			pthread_detach(c->thread[i]);
			held_up = true;
		}
	}
	if (!held_up) { /* else the rest is that thread's */
		close(c->out);
		free(c);
	}
}

static void start_thread(struct closer *c)
{
	const struct sigaction tick = {.sa_handler = on_tick};
	sigset_t others, before;

	if (sigaction(TICK, &tick, NULL) < 0) {
		return;
	}
	sigfillset(&others);
	sigdelset(&others, TICK);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	if (pthread_create(&c->thread[c->threads], NULL, work, c) == 0) {
		c->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void give(struct closer *c, int fd, bool hang_up)
{
	const struct victim victim = {.fd = fd, .hang_up = hang_up};
	unsigned before = atomic_fetch_add_explicit(c->unclosed, 1, memory_order_relaxed);

	if (before >= c->threads && c->threads < CLOSER_THREADS) {
		start_thread(c);
	}
	if (c->threads == 0 || write(c->in, &victim, sizeof(victim)) < 0) {
		atomic_fetch_sub_explicit(c->unclosed, 1, memory_order_relaxed);
	}
}

void closer_close(struct closer *c, int fd)
{
	give(c, fd, false);
}

void closer_hang_up(struct closer *c, int fd)
{
	shutdown(fd, SHUT_RDWR);
	give(c, fd, true);
}
