/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What faults there are, and how they are written.
 */
#include "nicsim/fault_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_MAX 3600000u

static const struct row {
	const char *name, *values, *what;
	enum fault_kind kind;
	unsigned least, most; /* values */
} rows[] = {
	{"access", "N,HOW", "the Nth register access of a client; HOW: ones, zero, error, gone",
		FAULT_ACCESS, 2, 2},
	{"message", "N,HOW", "the Nth message of a client; HOW: error, hangup", FAULT_MESSAGE, 2,
		2},
	{"removed", "", "everything reads all-ones, nothing is heard", FAULT_REMOVED, 0, 0},
	{"dma-read", "[COUNT]", "reads of memory are refused", FAULT_DMA_READ, 0, 1},
	{"dma-write", "[COUNT]", "writes to memory are refused", FAULT_DMA_WRITE, 0, 1},
	{"irq-lost", "[COUNT]", "interrupts get lost", FAULT_IRQ_LOST, 0, 1},
	{"irq-spurious", "MS", "interrupts for no reason, that often", FAULT_IRQ_SPURIOUS, 1, 1},
	{"flap", "MS", "the link falls and comes back, that often", FAULT_FLAP, 1, 1},
	{"eeprom-sum", "", "the EEPROM's checksum is wrong", FAULT_EEPROM_SUM, 0, 0},
	{"stuck", "OFFSET,CLEAR,SET", "bits of a register read so", FAULT_STUCK, 3, 3},
	{"rx-stall", "", "receiving stops", FAULT_RX_STALL, 0, 0},
	{"tx-stall", "", "sending stops", FAULT_TX_STALL, 0, 0},
	{"rx-late", "MS[,COUNT]", "received: written back that much later", FAULT_RX_LATE, 1, 2},
	{"rx-torn", "MS[,COUNT]", "received: DD first, the rest that much later", FAULT_RX_TORN, 1,
		2},
	{"rx-half", "[COUNT]", "received: the half with DD is never written", FAULT_RX_HALF, 0, 1},
	{"rx-length", "BYTES[,COUNT]", "received: another length is written", FAULT_RX_LENGTH, 1,
		2},
	{"rx-endless", "[COUNT]", "received: no end of a frame (EOP)", FAULT_RX_ENDLESS, 0, 1},
	{"rx-garbage", "[COUNT]", "received: garbage is written, with DD", FAULT_RX_GARBAGE, 0, 1},
	{"rx-early", "[COUNT]", "received: DD also on the driver's own descriptors", FAULT_RX_EARLY,
		0, 1},
	{"tx-late", "MS[,COUNT]", "sent: written back that much later", FAULT_TX_LATE, 1, 2},
	{"tx-lost", "[COUNT]", "sent: never written back", FAULT_TX_LOST, 0, 1},
	{"tx-early", "[COUNT]", "sent: DD on all descriptors", FAULT_TX_EARLY, 0, 1},
	{"tx-garbage", "[COUNT]", "sent: garbage is written, with DD", FAULT_TX_GARBAGE, 0, 1},
	{"tx-head", "INDEX[,COUNT]", "sent: another head is written to memory", FAULT_TX_HEAD, 1,
		2},
};

#define ROWS (sizeof(rows) / sizeof(*rows))

_Static_assert(FAULT_KINDS <= 32, "fault_list.lacks has a bit for each");

/* --- values --- */

static const char *const access_words[] = {"ones", "zero", "error", "gone"};
static const char *const message_words[] = {"error", "hangup"};

static bool same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && strncmp(name, text, len) == 0;
}

static bool parse_word(
	const char *const *words, unsigned count, const char *text, size_t len, uint64_t *value)
{
	for (*value = 0; *value < count; ++*value) {
		if (same(words[*value], text, len))
			return true;
	}
	return false;
}

/* A number in C's notation, of `len` characters. */
static bool parse_number(const char *text, size_t len, uint64_t *value)
{
	char digits[24], *end;

	if (len == 0 || len >= sizeof(digits) || !(text[0] >= '0' && text[0] <= '9'))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	errno = 0;
	*value = strtoull(digits, &end, 0);
	return *end == '\0' && errno == 0;
}

/* Its first value is in ms. */
static bool is_time(enum fault_kind kind)
{
	return kind == FAULT_IRQ_SPURIOUS || kind == FAULT_FLAP || kind == FAULT_RX_LATE ||
	       kind == FAULT_RX_TORN || kind == FAULT_TX_LATE;
}

static bool parse_value(
	const struct row *row, unsigned n, const char *text, size_t len, uint64_t *value)
{
	if (n == 1 && row->kind == FAULT_ACCESS)
		return parse_word(access_words, 4, text, len, value);
	if (n == 1 && row->kind == FAULT_MESSAGE)
		return parse_word(message_words, 2, text, len, value);
	if (!parse_number(text, len, value))
		return false;
	return n || !is_time(row->kind) || (*value > 0 && *value <= MS_MAX);
}

/* --- names --- */

static bool has(const struct fault_list *list, const struct row *row)
{
	return !(list->lacks >> row->kind & 1);
}

static const struct fault_bits *find_bits(
	const struct fault_list *list, const char *text, size_t len)
{
	for (unsigned i = 0; i < list->bits_count; i++) {
		if (same(list->bits[i].name, text, len))
			return &list->bits[i];
	}
	return NULL;
}

static const struct row *find_row(const struct fault_list *list, const char *text, size_t len)
{
	for (unsigned i = 0; i < ROWS; i++) {
		if (same(rows[i].name, text, len))
			return has(list, &rows[i]) ? &rows[i] : NULL;
	}
	return NULL;
}

bool fault_parse(const struct fault_list *list, const char *text, struct fault_spec *spec)
{
	size_t name = strcspn(text, "=");
	const char *rest = text + name;
	const struct row *row = find_row(list, text, name);
	unsigned values = 0;

	*spec = (struct fault_spec){.left = FAULT_ALWAYS};
	if (!row) {
		spec->kind = FAULT_BITS;
		spec->bits = find_bits(list, text, name);
		return spec->bits && !*rest;
	}
	spec->kind = row->kind;
	while (*rest) {
		size_t len = strcspn(++rest, ",");

		if (values == row->most ||
			!parse_value(row, values, rest, len, &spec->value[values]))
			return false;
		values++;
		rest += len;
	}
	/* The last value beyond those that must be there is how often it strikes. */
	if (values > row->least)
		spec->left = spec->value[row->least];
	return values >= row->least;
}

struct text {
	char *at;
	size_t left;
};

static void line(struct text *text, const char *name, const char *values, const char *what)
{
	char head[40];
	int n;

	snprintf(head, sizeof(head), "%s%s%s", name, values[0] ? "=" : "", values);
	n = snprintf(text->at, text->left, "  %-24s %s\n", head, what);
	if (n < 0 || (size_t)n >= text->left)
		text->left = 0; /* the end is cut off */
	else
		*text = (struct text){text->at + n, text->left - (size_t)n};
}

void fault_help(const struct fault_list *list, char *out, size_t size)
{
	struct text text = {out, size};

	for (unsigned i = 0; i < ROWS && text.left; i++) {
		if (has(list, &rows[i]))
			line(&text, rows[i].name, rows[i].values, rows[i].what);
		if (rows[i].kind != FAULT_STUCK)
			continue;
		for (unsigned k = 0; k < list->bits_count && text.left; k++)
			line(&text, list->bits[k].name, "", list->bits[k].what);
	}
}
