/* SPDX-License-Identifier: BSD-3-Clause
 *
 * --record FILE: everything that passes through the flight recorder, kept in a file
 * (pci/recorder_format.h). The recorder's ring is the buffer between the two.
 */
#ifndef DAEMON_TRACE_H
#define DAEMON_TRACE_H

#include "pci/pci.h"
#include "pci/recorder.h"

struct trace {
	int fd;        /* -1: nothing is kept */
	uint32_t next; /* sequence of the first record that the file does not have */
	int error;     /* why it ended before its time */
	const struct recorder *recorder;
};

/* Makes the file (for its owner alone to write; an old one becomes FILE.old) and writes its header.
 * -errno with `why`. `trace` is fit for the others after a failure too.
 */
int trace_open(struct trace *trace, const char *path, const struct recorder *recorder,
	struct pci_function *fn, const char *driver, const char *program, struct pci_error *why);
/* Writes what is new. A writer calls it before FLIGHT_SLOTS more records have come: what was
 * overwritten by then is one FLIGHT_OVERRUN in the file. Also ends the trace, when the file takes
 * no more.
 */
void trace_drain(struct trace *trace);
/* Drains and closes. 0, or -errno: since when the file lacks records. */
int trace_close(struct trace *trace);

/* So many records wait that a drain should not be put off. */
static inline bool trace_is_due(const struct trace *trace)
{
	return trace->fd >= 0 && trace->recorder->next - trace->next >= FLIGHT_SLOTS / 4;
}

#endif
