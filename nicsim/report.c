/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lines about a card on stderr, so many a second and no more.
 */
#include "nicsim/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "nicsim/loop.h"

void report_strict(struct report *report, const char *format, ...)
{
	uint64_t now;
	va_list args;

	if (!report->strict)
		return;
	now = loop_now();
	if (now - report->second >= 1000000000u) {
		if (report->dropped)
			fprintf(stderr, "nicsim: %s: strict: %u more\n", report->who,
				report->dropped);
		report->second = now;
		report->lines = 0;
		report->dropped = 0;
	}
	if (report->lines >= REPORT_RATE) {
		report->dropped++;
		return;
	}
	report->lines++;
	fprintf(stderr, "nicsim: %s: strict: ", report->who);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void report_event(struct report *report, const char *text)
{
	if (report->verbose)
		fprintf(stderr, "nicsim: %s: %s\n", report->who, text);
}

void report_trouble(struct report *report, const char *text)
{
	fprintf(stderr, "nicsim: %s: %s\n", report->who, text);
}
