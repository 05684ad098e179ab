/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From the flight recorder's ring to a file, by the one thread that fills the ring: nothing is torn
 * here.
 */
#include "daemon/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(struct trace *trace, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0 && trace->error == 0) {
		ssize_t n = write(trace->fd, at, size);

		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			trace->error = n == 0 ? -ENOSPC : -errno;
		}
	}
}

/* What an earlier daemon wrote, which may have died for a reason: FILE.old. */
static void keep_old(const char *path)
{
	char old[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		(size_t)snprintf(old, sizeof(old), "%s.old", path) < sizeof(old))
		(void)rename(path, old);
}

int trace_open(struct trace *trace, const char *path, const struct recorder *recorder,
	struct pci_function *fn, const char *driver, const char *program, struct pci_error *why)
{
	const struct pci_id *id = pci_ident(fn);
	struct flight_trace header = {
		.magic = FLIGHT_TRACE_MAGIC,
		.version = FLIGHT_VERSION,
		.record_size = sizeof(struct flight_record),
		.clock = recorder->clock,
		.vendor = id->vendor,
		.device = id->device,
		.subvendor = id->subvendor,
		.subdevice = id->subdevice,
		.class = id->class_code,
		.revision = id->revision,
	};

	*trace = (struct trace){.fd = -1, .next = recorder->next, .recorder = recorder};
	(void)snprintf(header.driver, sizeof(header.driver), "%s", driver);
	(void)snprintf(header.program, sizeof(header.program), "%s", program);
	(void)snprintf(header.address, sizeof(header.address), "%s", pci_address(fn));
	keep_old(path);
	trace->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	if (trace->fd < 0)
		trace->error = -errno;
	else
		put(trace, &header, sizeof(header));
	if (trace->error == 0)
		return 0;
	if (trace->fd >= 0)
		(void)close(trace->fd);
	trace->fd = -1;
	(void)snprintf(
		why->text, sizeof(why->text), "--record %.160s: %s", path, strerror(-trace->error));
	return trace->error;
}

void trace_drain(struct trace *trace)
{
	const struct recorder *recorder = trace->recorder;
	uint32_t waiting;

	if (trace->fd < 0)
		return;
	waiting = recorder->next - trace->next;
	if (waiting > FLIGHT_SLOTS) {
		uint32_t lost = waiting - FLIGHT_SLOTS;
		const struct flight_record overrun = {
			.time = recorder_now(recorder),
			.value = lost,
			.seal = flight_seal(trace->next + lost - 1, FLIGHT_OVERRUN, 0),
		};

		put(trace, &overrun, sizeof(overrun));
		trace->next += lost;
		waiting = FLIGHT_SLOTS;
	}
	while (waiting > 0 && trace->error == 0) {
		uint32_t at = trace->next % FLIGHT_SLOTS;
		uint32_t n = FLIGHT_SLOTS - at < waiting ? FLIGHT_SLOTS - at : waiting;

		put(trace, &recorder->slot[at], n * sizeof(struct flight_record));
		trace->next += n;
		waiting -= n;
	}
	if (trace->error != 0) {
		(void)close(trace->fd);
		trace->fd = -1;
	}
}

int trace_close(struct trace *trace)
{
	trace_drain(trace);
	if (trace->fd >= 0 && close(trace->fd) != 0)
		trace->error = -errno;
	trace->fd = -1;
	return trace->error;
}
