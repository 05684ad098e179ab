/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lines for people about a card: what broke, what its driver did that the datasheet forbids
 * (--strict), what became of its clients (--verbose). A driver may do the same thing a million
 * times: at most REPORT_RATE lines a second come out, and then how many did not.
 */
#ifndef NICSIM_REPORT_H
#define NICSIM_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define REPORT_RATE 20u

struct report {
	const char *who; /* the card's socket */
	bool strict;
	bool verbose;
	uint64_t second; /* since when the lines are counted, ns */
	unsigned lines, dropped;
};

/* One line each, without newline. */
void report_strict(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void report_event(struct report *report, const char *text);
/* Always. */
void report_trouble(struct report *report, const char *text);

#endif
