/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reads a flight recorder that a driver left behind, which may have gone mad before: everything is
 * checked by recorder_read(), and numbers are all that is written of it.
 */
#include "pcid/post_mortem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pci/recorder.h"
#include "pcid/state.h"

#define STAMP_LENGTH 20u /* 20261231T235959.999Z */

struct post_mortem {
	const struct card *card;
	char end[POST_MORTEM_END];
	char stamp[32];
	struct recorder_found found;
	struct flight_record record[FLIGHT_SLOTS];
};

/* --- where --- */

static int find_folder(const char *option, char *folder, size_t size)
{
	const char *systemd = getenv("STATE_DIRECTORY");
	const char *xdg = getenv("XDG_STATE_HOME");
	int n;

	if (option != NULL)
		n = snprintf(folder, size, "%s", option);
	else if (systemd != NULL && systemd[0] == '/') /* several are separated by colons */
		n = snprintf(folder, size, "%.*s", (int)strcspn(systemd, ":"), systemd);
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(folder, size, "%s/ixgbed", xdg);
	else
		n = snprintf(folder, size, "/var/lib/ixgbed");
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* --- the text --- */

static bool is_register(uint8_t kind)
{
	return kind == FLIGHT_READ || kind == FLIGHT_WRITE || kind == FLIGHT_PUBLISH;
}

static void describe(FILE *to, const struct flight_record *r)
{
	uint8_t where = flight_where(r);

	switch (flight_kind(r)) {
	case FLIGHT_READ:
	case FLIGHT_WRITE:
	case FLIGHT_PUBLISH:
		(void)fprintf(to, "BAR %u 0x%05x  0x%0*x", flight_bar(where), r->offset,
			(int)(2 * flight_size(where)), r->value);
		return;
	case FLIGHT_CONFIG_READ:
	case FLIGHT_CONFIG_WRITE:
		(void)fprintf(to, "0x%03x, %u bytes  0x%x", r->offset, where, r->value);
		return;
	case FLIGHT_INTERRUPT: (void)fprintf(to, "%u, events 0x%x", r->offset, r->value); return;
	case FLIGHT_LINK: (void)fprintf(to, "%u Mbit/s", r->value); return;
	case FLIGHT_CLIENT: (void)fprintf(to, "%u, pid %u", r->offset, r->value); return;
	case FLIGHT_HANDLES: (void)fprintf(to, "%u open", r->value); return;
	case FLIGHT_START: (void)fprintf(to, "pid %u", r->value); return;
	case FLIGHT_RESET:
	case FLIGHT_STOP: (void)fprintf(to, "%d", (int32_t)r->value); return;
	default: (void)fprintf(to, "%u", r->value); return;
	}
}

static int64_t before_end(const struct post_mortem *report, uint32_t i)
{
	const struct flight_clock *clock = &report->found.clock;
	uint64_t last = report->record[report->found.records - 1].time;

	return (int64_t)((uint64_t)recorder_ns(clock, report->record[i].time) -
			 (uint64_t)recorder_ns(clock, last));
}

static void write_text(const struct post_mortem *report, FILE *to)
{
	const struct card *card = report->card;

	(void)fprintf(to,
		"network:%s: %s\n"
		"card %04x:%04x at %s, %s\n"
		"%u records, %u torn; seconds before the last one, kind, where, value\n\n",
		card->name.scheme, report->end, card->id.vendor, card->id.device, card->address,
		report->stamp, report->found.records, report->found.torn);
	for (uint32_t i = 0; i < report->found.records; i++) {
		const struct flight_record *r = &report->record[i];

		(void)fprintf(to, "%16.9f  %-12s  ", (double)before_end(report, i) / 1e9,
			recorder_kind(flight_kind(r)));
		describe(to, r);
		(void)fputc('\n', to);
	}
}

/* --- JSON --- */

static void write_string(FILE *to, const char *text)
{
	(void)fputc('"', to);
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == '"' || byte == '\\' || byte > '~')
			(void)fprintf(to, "\\u%04x", byte);
		else
			(void)fputc(byte, to);
	}
	(void)fputc('"', to);
}

static void write_json(const struct post_mortem *report, FILE *to)
{
	const struct card *card = report->card;

	(void)fputs("{\n\"name\": ", to);
	write_string(to, card->name.scheme);
	(void)fputs(",\n\"address\": ", to);
	write_string(to, card->address);
	(void)fputs(",\n\"end\": ", to);
	write_string(to, report->end);
	(void)fprintf(to,
		",\n\"time\": \"%s\",\n\"vendor\": %u,\n\"device\": %u,\n\"torn\": %u,\n"
		"\"records\": [",
		report->stamp, card->id.vendor, card->id.device, report->found.torn);
	for (uint32_t i = 0; i < report->found.records; i++) {
		const struct flight_record *r = &report->record[i];
		bool reg = is_register(flight_kind(r));
		uint8_t where = flight_where(r);

		(void)fprintf(to,
			"%s\n{\"sequence\": %u, \"ns\": %" PRId64
			", \"kind\": \"%s\", \"where\": %u, \"offset\": %u, \"value\": %u",
			i == 0 ? "" : ",", flight_sequence(r), before_end(report, i),
			recorder_kind(flight_kind(r)), reg ? flight_bar(where) : where, r->offset,
			r->value);
		if (reg)
			(void)fprintf(to, ", \"bytes\": %u", flight_size(where));
		(void)fputc('}', to);
	}
	(void)fputs("\n]\n}\n", to);
}

/* --- files --- */

static int write_file(const struct post_mortem *report, int folder, const char *suffix,
	void (*write)(const struct post_mortem *report, FILE *to))
{
	char name[sizeof(report->card->name.scheme) + sizeof(report->stamp) + 16];
	int fd, error = 0;
	FILE *to;

	(void)snprintf(
		name, sizeof(name), "%s-%s%s", report->card->name.scheme, report->stamp, suffix);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	to = fdopen(fd, "w");
	if (to == NULL) {
		error = -errno;
		(void)close(fd);
		return error;
	}
	write(report, to);
	if (ferror(to) != 0)
		error = -EIO;
	if (fclose(to) != 0)
		error = -errno;
	if (error != 0)
		(void)unlinkat(folder, name, 0);
	return error;
}

/* Whether a file is a post-mortem of this card. */
static bool is_ours(const char *file, const char *name, const char *suffix)
{
	static const char form[] = "dddddddd"
				   "Tdddddd.dddZ";
	size_t length = strlen(name);

	if (strlen(file) != length + 1 + STAMP_LENGTH + strlen(suffix) ||
		strncmp(file, name, length) != 0 || file[length] != '-' ||
		strcmp(file + length + 1 + STAMP_LENGTH, suffix) != 0)
		return false;
	for (size_t i = 0; i < STAMP_LENGTH; i++) {
		char c = file[length + 1 + i];

		if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
			return false;
	}
	return true;
}

/* Deletes the oldest as long as there are more than are kept: by name, which is by time. */
static void delete_old(int folder, const char *name, const char *suffix)
{
	for (;;) {
		char oldest[NAME_MAX + 1] = "";
		const struct dirent *entry;
		unsigned count = 0;
		int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *files = fd < 0 ? NULL : fdopendir(fd);

		if (files == NULL) {
			if (fd >= 0)
				(void)close(fd);
			return;
		}
		while ((entry = readdir(files)) != NULL) {
			if (!is_ours(entry->d_name, name, suffix))
				continue;
			if (count++ == 0 || strcmp(entry->d_name, oldest) < 0)
				(void)snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
		}
		(void)closedir(files);
		if (count <= POST_MORTEM_KEPT || unlinkat(folder, oldest, 0) != 0)
			return;
	}
}

static void make_stamp(char stamp[32])
{
	struct timespec now;
	struct tm utc;
	char text[24] = "";

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &utc) != NULL)
		(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &utc);
	(void)snprintf(stamp, 32, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static int write_both(const struct post_mortem *report, const char *folder)
{
	int fd, error;

	if (mkdir(folder, 0750) != 0 && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = write_file(report, fd, ".txt", write_text);
	if (error == 0)
		error = write_file(report, fd, ".json", write_json);
	delete_old(fd, report->card->name.scheme, ".txt");
	delete_old(fd, report->card->name.scheme, ".json");
	(void)close(fd);
	return error;
}

static int take(struct post_mortem *report)
{
	const struct card *card = report->card;
	void *state = NULL;
	int error = card->state_fd < 0 ? -ENODATA : state_map(card->state_fd, &state);

	if (error != 0)
		return error;
	error = recorder_read((uint8_t *)state + PCID_STATE_RECORDER,
		PCID_STATE_BYTES - PCID_STATE_RECORDER, report->record, &report->found);
	state_unmap(state);
	return error == -EINVAL ? -ENODATA : error; /* it did not get so far */
}

int post_mortem_take(struct post_mortem **out, const struct card *card, const char *end)
{
	struct post_mortem *report = malloc(sizeof(*report));
	int error;

	*out = NULL;
	if (report == NULL)
		return -ENOMEM;
	report->card = card;
	(void)snprintf(report->end, sizeof(report->end), "%s", end);
	make_stamp(report->stamp);
	error = take(report);
	if (error == 0)
		*out = report;
	else
		free(report);
	return error;
}

int post_mortem_write(struct post_mortem *report, char *text, size_t size)
{
	const struct card *card = report->card;
	char folder[PATH_MAX / 2] = "";
	int error = find_folder(card->pcid->options.post_mortems, folder, sizeof(folder));

	if (error == 0)
		error = write_both(report, folder);
	if (error == 0)
		(void)snprintf(text, size, "network:%s: post-mortem in %s/%s-%s.txt",
			card->name.scheme, folder, card->name.scheme, report->stamp);
	else
		(void)snprintf(text, size,
			"network:%s: no post-mortem: %s: %s (see --post-mortem-dir)",
			card->name.scheme, folder, strerror(-error));
	free(report);
	return error;
}
