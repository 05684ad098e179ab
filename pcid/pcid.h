/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid: the device manager. It finds cards, starts the daemon that its configuration names for
 * each, and owns what must outlive a driver.
 *
 *     config.h, toml.h, command.h   which driver serves which function, and how it is started
 *     bus.h, judge.h, bind.h        which functions there are, which may be taken, taking them
 *     card.h                        one card: what pcid owns of it, and its driver's life
 *     channel.h                     what pcid and a driver tell one another
 *
 * One thread, one epoll: a struct source for each descriptor that may have something to say.
 */
#ifndef PCID_PCID_H
#define PCID_PCID_H

#include <stdbool.h>
#include <stdint.h>

#include "pcid/bus.h"
#include "pcid/config.h"
#include "pcid/notify.h"
#include "pcid/options.h"

struct source {
	void (*ready)(struct source *source, uint32_t events); /* EPOLLIN, ... */
	int fd;                                                /* -1: not watched */
};

struct card;

struct pcid {
	struct pcid_options options;
	struct pcid_config config;
	struct bus bus;
	char folder[4096]; /* where drivers are looked for first */
	int epoll;
	struct source signals;
	struct card *card[PCID_MAX_CARDS];
	size_t cards;
	bool stopping;
	struct notify notify;
};

/* Lines for people, with "pcid: " in front: events to stdout, what is wrong to stderr. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

/* 0 or -errno. An unwatched source has fd -1; its descriptor stays the caller's. */
int watch(struct pcid *pcid, struct source *source, int fd, uint32_t events);
int watch_for(struct pcid *pcid, const struct source *source, uint32_t events);
void unwatch(struct pcid *pcid, struct source *source);

/* --list and --dry-run. The exit status. */
int list_cards(struct pcid *pcid);
int show_starts(struct pcid *pcid);

#endif
