/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A trace is played: each write is done and each read is asked again, in their order, in this
 * process. The card has no memory of a client's and its wire takes everything, so what depends on
 * frames is not compared, nor on time: what its family says is outside, and the counters. Of
 * several reads of one register in a row, as polls are, only the last is compared: until then a
 * card may take its time.
 */
#include "nicsim/replay.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nicsim/kind.h"
#include "pci/recorder_format.h"

enum { EXIT_SAME = 0, EXIT_DIFFERS = 1, EXIT_NO_TRACE = 2 };

struct answer {
	struct flight_record record;
	uint64_t index; /* in the file */
	uint32_t model;
};

struct replay {
	const char *path;
	bool json;
	FILE *file;
	struct flight_trace header;
	struct loop *loop;
	struct dma *dma;
	struct card_kind kind; /* asked for, else that of the trace, else the X540 */
	void *card;
	struct function *fn;
	struct report report;
	struct loop_work work;
	uint64_t records, reads, writes, compared, differences, missing;
	bool cut; /* the file ends inside a record */
	uint32_t sequence;
	struct answer last; /* a read that is compared unless it is repeated */
	bool waits;
	int error;
};

static int trouble(const struct replay *replay, const char *what)
{
	fprintf(stderr, "nicsim: replay %s: %s\n", replay->path, what);
	return EXIT_NO_TRACE;
}

/* --- the file --- */

/* Text of the file, with nothing in it that ends a line or a string. */
static void clean(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
			*text = '?';
	}
}

static int open_trace(struct replay *replay)
{
	struct flight_trace *header = &replay->header;

	replay->file = fopen(replay->path, "rbe");
	if (!replay->file)
		return trouble(replay, strerror(errno));
	if (fread(header, sizeof(*header), 1, replay->file) != 1 ||
		header->magic != FLIGHT_TRACE_MAGIC)
		return trouble(replay, "no trace: ixgbed --record makes one");
	if (header->version != FLIGHT_VERSION ||
		header->record_size != sizeof(struct flight_record))
		return trouble(replay, "a trace of another version");
	clean(header->driver, sizeof(header->driver));
	clean(header->program, sizeof(header->program));
	clean(header->address, sizeof(header->address));
	return 0;
}

static bool next_record(struct replay *replay, struct flight_record *record)
{
	size_t n = fread(record, 1, sizeof(*record), replay->file);

	replay->cut = n != 0 && n != sizeof(*record);
	return n == sizeof(*record);
}

/* The address that the card had: what its driver read of its first receive address. */
static void find_mac(struct replay *replay, uint8_t mac[6])
{
	const struct card_registers *registers = replay->kind.family->registers;
	static const uint8_t fallback[6] = {0x02, 0, 0, 0, 0, 0x01};
	struct flight_record record;
	bool low = false, high = false;

	while (!(low && high) && next_record(replay, &record)) {
		if (flight_kind(&record) != FLIGHT_READ ||
			flight_bar(flight_where(&record)) != registers->bar)
			continue;
		if (record.offset == registers->address[0]) {
			memcpy(mac, &record.value, 4);
			low = true;
		} else if (record.offset == registers->address[1]) {
			memcpy(mac + 4, &record.value, 2);
			high = true;
		}
	}
	if (!low || !high || mac[0] & 1)
		memcpy(mac, fallback, sizeof(fallback));
	rewind(replay->file);
	(void)fseek(replay->file, (long)sizeof(replay->header), SEEK_SET);
}

/* --- comparing --- */

static uint32_t bits_compared(const struct replay *replay, const struct flight_record *record)
{
	const struct card_registers *registers = replay->kind.family->registers;

	if (flight_bar(flight_where(record)) != registers->bar)
		return 0xffffffff;
	if (registers->is_counter(replay->card, record->offset))
		return 0;
	for (unsigned i = 0; i < registers->outsides; i++) {
		const struct card_outside *outside = &registers->outside[i];
		uint32_t from = record->offset - outside->offset;

		if (record->offset >= outside->offset && from % outside->stride == 0 &&
			from / outside->stride < outside->count)
			return ~outside->bits;
	}
	return 0xffffffff;
}

static void compare(struct replay *replay)
{
	const struct answer *last = &replay->last;
	const struct flight_record *record = &last->record;
	unsigned size = flight_size(flight_where(record));
	uint32_t bits = bits_compared(replay, record) & (0xffffffffu >> (32 - 8 * size));

	replay->waits = false;
	if (!bits)
		return;
	replay->compared++;
	if (!((record->value ^ last->model) & bits))
		return;
	if (replay->json)
		printf("%s\n    {\"record\": %" PRIu64
		       ", \"sequence\": %u, \"bar\": %u, \"offset\": \"0x%05x\", "
		       "\"recorded\": \"0x%08x\", \"model\": \"0x%08x\"}",
			replay->differences ? "," : "", last->index, flight_sequence(record),
			flight_bar(flight_where(record)), record->offset, record->value,
			last->model);
	else
		printf("record %" PRIu64 ": BAR %u 0x%05x: the card answered 0x%08x, %s 0x%08x\n",
			last->index, flight_bar(flight_where(record)), record->offset,
			record->value, replay->kind.name, last->model);
	replay->differences++;
}

/* --- playing --- */

static bool in_bar(const struct replay *replay, const struct flight_record *record)
{
	unsigned bar = flight_bar(flight_where(record)), size = flight_size(flight_where(record));
	uint32_t all = bar < 6 ? replay->fn->ident->bar_size[bar] : 0;

	return (size == 1 || size == 2 || size == 4) && record->offset % size == 0 &&
	       record->offset < all;
}

/* Of config space the card takes over what decides whether it answers and what it may do: the
 * command register, also as its driver found it.
 */
static void play_config(struct replay *replay, const struct flight_record *record)
{
	uint16_t command = (uint16_t)record->value;

	if (record->offset == PCI_CFG_COMMAND && flight_where(record) >= 2)
		function_config_write(replay->fn, PCI_CFG_COMMAND, &command, sizeof(command));
}

/* False: no access of a card of this kind. */
static bool play_access(struct replay *replay, const struct flight_record *record)
{
	bool read = flight_kind(record) == FLIGHT_READ;
	unsigned bar = flight_bar(flight_where(record)), size = flight_size(flight_where(record));

	if (!in_bar(replay, record))
		return false;
	if (replay->waits && !(read && replay->last.record.offset == record->offset &&
				     flight_where(&replay->last.record) == flight_where(record)))
		compare(replay);
	if (!read) {
		replay->writes++;
		function_write(replay->fn, bar, record->offset, size, record->value);
		return true;
	}
	replay->reads++;
	replay->last = (struct answer){.record = *record, .index = replay->records};
	replay->last.model = (uint32_t)function_read(replay->fn, bar, record->offset, size);
	replay->waits = true;
	return true;
}

/* 0, or EXIT_NO_TRACE. */
static int play(struct replay *replay, const struct flight_record *record)
{
	char text[64];

	if (replay->records > 0)
		replay->missing += flight_sequence(record) - replay->sequence - 1;
	replay->sequence = flight_sequence(record);
	switch (flight_kind(record)) {
	case FLIGHT_READ:
	case FLIGHT_WRITE:
	case FLIGHT_PUBLISH:
		if (play_access(replay, record))
			return 0;
		break;
	case FLIGHT_CONFIG_READ:
	case FLIGHT_CONFIG_WRITE: play_config(replay, record); return 0;
	case FLIGHT_RESET:
		if (replay->waits)
			compare(replay);
		function_reset(replay->fn);
		return 0;
	case FLIGHT_OVERRUN: replay->missing += record->value; return 0;
	default:
		if (flight_kind(record) != FLIGHT_NONE && flight_kind(record) < FLIGHT_KINDS)
			return 0; /* an event */
		break;
	}
	snprintf(text, sizeof(text), "record %" PRIu64 " is no record of this card's kind",
		replay->records);
	return trouble(replay, text);
}

/* One record a turn of the loop: what the card puts off is done before the next. */
static void on_work(struct loop_work *work)
{
	struct replay *replay = (struct replay *)((char *)work - offsetof(struct replay, work));
	struct flight_record record;

	if (!next_record(replay, &record)) {
		if (replay->waits)
			compare(replay);
		loop_stop(replay->loop);
		return;
	}
	replay->error = play(replay, &record);
	replay->records++;
	if (replay->error)
		loop_stop(replay->loop);
	else
		loop_defer(replay->loop, work);
}

static int make_card(struct replay *replay)
{
	struct sim_error why = {"out of memory"};
	uint8_t mac[6];
	struct card_options options = {.module = SFP_SR, .mac = mac, .wire = "sink"};
	struct card_kind *kind = &replay->kind;

	if (!kind->family && !card_find_id(replay->header.vendor, replay->header.device, kind))
		(void)card_find_kind("x540", kind);
	options.model = kind->model;
	find_mac(replay, mac);
	replay->report.who = replay->path;
	if (loop_create(&replay->loop) || dma_create(&replay->dma) ||
		kind->family->create(
			&replay->card, &options, replay->loop, replay->dma, &replay->report, &why))
		return trouble(replay, why.text);
	replay->fn = kind->family->function(replay->card);
	function_reset(replay->fn);
	return 0;
}

static void begin(const struct replay *replay)
{
	const struct card_registers *registers = replay->kind.family->registers;
	const struct flight_trace *h = &replay->header;

	if (!replay->json)
		return;
	printf("{\n  \"device\": \"%s\",\n  \"recorded\": {\"vendor\": \"0x%04x\", "
	       "\"device\": \"0x%04x\", \"revision\": %u, \"driver\": \"%s\", "
	       "\"program\": \"%s\", \"address\": \"%s\"},\n  \"not_compared\": [\"counters\"",
		replay->kind.name, h->vendor, h->device, h->revision, h->driver, h->program,
		h->address);
	for (unsigned i = 0; i < registers->outsides; i++) {
		const struct card_outside *outside = &registers->outside[i];

		if (i == 0 || strcmp(outside->why, outside[-1].why) != 0)
			printf(", \"%s\"", outside->why);
	}
	printf("],\n  \"differences\": [");
}

static void summary(const struct replay *replay)
{
	if (replay->json) {
		printf("%s],\n  \"difference_count\": %" PRIu64 ",\n  \"records\": %" PRIu64
		       ",\n  \"reads\": %" PRIu64 ",\n  \"writes\": %" PRIu64
		       ",\n  \"compared\": %" PRIu64 ",\n  \"missing\": %" PRIu64
		       ",\n  \"cut\": %s\n}\n",
			replay->differences ? "\n  " : "", replay->differences, replay->records,
			replay->reads, replay->writes, replay->compared, replay->missing,
			replay->cut ? "true" : "false");
		return;
	}
	printf("%s (%04x:%04x, %s) on %s: %" PRIu64 " reads, %" PRIu64 " compared, %" PRIu64
	       " writes; %" PRIu64 " differences\n",
		replay->path, replay->header.vendor, replay->header.device, replay->header.program,
		replay->kind.name, replay->reads, replay->compared, replay->writes,
		replay->differences);
	if (replay->missing)
		printf("%" PRIu64 " records are missing: what follows a gap may differ for that\n",
			replay->missing);
	if (replay->cut)
		puts("the file ends inside a record");
}

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "nicsim: replay: %s %s; see nicsim --help\n", what, value);
	return EXIT_NO_TRACE;
}

static int run(struct replay *replay)
{
	int rc = open_trace(replay);

	if (rc == 0)
		rc = make_card(replay);
	if (rc)
		return rc;
	begin(replay);
	replay->work.run = on_work;
	loop_defer(replay->loop, &replay->work);
	if (loop_run(replay->loop) || ferror(replay->file))
		return trouble(replay, "cannot be read");
	if (replay->error)
		return replay->error;
	summary(replay);
	return replay->differences ? EXIT_DIFFERS : EXIT_SAME;
}

int replay_main(int argc, char **argv)
{
	enum { DEVICE, JSON };
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"json", no_argument, NULL, JSON},
		{0},
	};
	struct card_kind kind = {0};
	struct replay *replay;
	bool json = false;
	int option, rc;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case DEVICE:
			if (!card_find_kind(optarg, &kind) || !kind.family->registers)
				return usage("unknown device:", optarg);
			break;
		case JSON: json = true; break;
		case ':': return usage("a value is missing after", argv[optind - 1]);
		default: return usage("unknown option", argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return usage("expected one", "FILE");
	replay = calloc(1, sizeof(*replay));
	if (!replay)
		return usage("out of", "memory");
	replay->path = argv[optind];
	replay->json = json;
	replay->kind = kind;
	rc = run(replay);
	if (replay->card)
		replay->kind.family->destroy(replay->card);
	if (replay->dma)
		dma_destroy(replay->dma);
	if (replay->loop)
		loop_destroy(replay->loop);
	if (replay->file)
		fclose(replay->file);
	free(replay);
	return rc;
}
