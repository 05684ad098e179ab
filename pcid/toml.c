/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The TOML reader: recursive descent over text that was first checked to be clean UTF-8. Source of
 * every rule: TOML v1.0.0, toml.io/en/v1.0.0.
 */
#include "pcid/toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *at;
	const char *end;
	unsigned line;
	struct toml_error *why;
};

const char *toml_type_name(enum toml_type type)
{
	switch (type) {
	case TOML_STRING: return "a string";
	case TOML_INTEGER: return "an integer";
	case TOML_ARRAY: return "an array";
	case TOML_TABLE: return "a table";
	}
	return "nothing";
}

__attribute__((format(printf, 2, 3))) static void set_error(
	struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(r->why->text, sizeof(r->why->text), format, args);
	va_end(args);
	r->why->line = r->line;
}

/* A macro, so that whoever reads (also an analyzer) sees that it is never 0. */
#define refuse(r, ...) (set_error(r, __VA_ARGS__), -EINVAL)

/* The next character, -1 at the end of the text. */
static int peek(const struct reader *r)
{
	return r->at < r->end ? (unsigned char)*r->at : -1;
}

static bool at_newline(const struct reader *r)
{
	return r->at < r->end &&
	       (*r->at == '\n' || (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n'));
}

/* What stands at the reader's place, for an error. */
static const char *here(const struct reader *r, char buffer[8])
{
	int c = peek(r);

	if (c < 0)
		return "end of file";
	if (at_newline(r))
		return "end of line";
	if (c < 0x20 || c >= 0x7f)
		return "a character that is not ASCII";
	(void)snprintf(buffer, 8, "'%c'", c);
	return buffer;
}

static int unexpected(struct reader *r, const char *expected)
{
	char buffer[8];

	return refuse(r, "unexpected %s; expected %s", here(r, buffer), expected);
}

/* --- the text as such --- */

/* Length of the UTF-8 sequence at `at`, or 0: ill-formed (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	unsigned char lead = at[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (n == 0 || n > left || lead > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) ||
		(lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
		return 0;
	return n;
}

static int check_text(struct reader *r)
{
	unsigned start = r->line;

	for (const char *at = r->at; at < r->end;) {
		unsigned char c = (unsigned char)*at;
		size_t n = utf8_length((const unsigned char *)at, (size_t)(r->end - at));

		if (n == 0)
			return refuse(r, "text that is no UTF-8; expected a text file");
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f ||
			(c == '\r' && (at + 1 == r->end || at[1] != '\n')))
			return refuse(r,
				"control character 0x%02x; expected text, tabs and line ends", c);
		if (c == '\n')
			r->line++;
		at += n;
	}
	r->line = start;
	return 0;
}

static void skip_blanks(struct reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t')
		r->at++;
}

static void skip_comment(struct reader *r)
{
	if (peek(r) != '#')
		return;
	while (r->at < r->end && !at_newline(r))
		r->at++;
}

static void skip_newline(struct reader *r)
{
	if (*r->at == '\r')
		r->at++;
	r->at++;
	r->line++;
}

/* Blanks, comments and line ends. */
static void skip_space(struct reader *r)
{
	for (;;) {
		skip_blanks(r);
		skip_comment(r);
		if (!at_newline(r))
			return;
		skip_newline(r);
	}
}

static int end_of_line(struct reader *r)
{
	skip_blanks(r);
	skip_comment(r);
	if (r->at == r->end)
		return 0;
	if (!at_newline(r))
		return unexpected(r, "the end of the line");
	skip_newline(r);
	return 0;
}

/* --- values --- */

static struct toml_value *make(const struct reader *r, enum toml_type type)
{
	struct toml_value *value = calloc(1, sizeof(*value));

	if (value != NULL) {
		value->type = type;
		value->line = r->line;
	}
	return value;
}

static void append(struct toml_value *parent, struct toml_value *child)
{
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

void toml_free(struct toml_value *root)
{
	while (root != NULL) {
		struct toml_value *next = root->next;

		toml_free(root->first); /* as deep as TOML_MAX_DEPTH and the headers' two levels */
		free(root->key);
		free(root->string);
		free(root);
		root = next;
	}
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static size_t utf8_encode(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* The escape behind a backslash; writes at most 4 bytes, never more than were read. */
static int read_escape(struct reader *r, char *out, size_t *written)
{
	static const char plain[] = "btnfr\"\\";
	static const char means[] = "\b\t\n\f\r\"\\";
	int c = peek(r);
	const char *which = c > 0 ? strchr(plain, c) : NULL;
	unsigned digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t code = 0;

	if (which != NULL) {
		r->at++;
		*out = means[which - plain];
		*written = 1;
		return 0;
	}
	if (digits == 0)
		return unexpected(
			r, "an escape: \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX");
	r->at++;
	for (unsigned i = 0; i < digits; i++) {
		int digit = hex_digit(peek(r));

		if (digit < 0)
			return unexpected(r, "a hexadecimal digit");
		code = code << 4 | (uint32_t)digit;
		r->at++;
	}
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return refuse(r, "escape U+%04X; expected a character other than NUL", code);
	*written = utf8_encode(code, out);
	return 0;
}

/* A basic ("") or literal ('') string of one line. */
static int read_string(struct reader *r, char **out)
{
	int quote = peek(r);
	size_t len = 0;
	char *text;
	int error;

	if (r->end - r->at >= 3 && r->at[1] == quote && r->at[2] == quote)
		return refuse(r, "a string over several lines; expected one in single quotes or "
				 "double quotes");
	r->at++;
	/* As long as in the text: an escape never becomes longer than it was. */
	while (r->at + len < r->end && r->at[len] != quote && r->at[len] != '\n')
		len += quote == '"' && r->at[len] == '\\' ? 2 : 1;
	text = malloc(len + 1);
	if (text == NULL)
		return -ENOMEM;
	len = 0;
	while (peek(r) != quote) {
		size_t n = 1;

		if (r->at == r->end || at_newline(r)) {
			error = refuse(r, "a string without end; expected %c", quote);
			goto failed;
		}
		if (quote == '"' && peek(r) == '\\') {
			r->at++;
			error = read_escape(r, text + len, &n);
			if (error != 0)
				goto failed;
		} else {
			text[len] = *r->at++;
		}
		len += n;
	}
	r->at++;
	text[len] = '\0';
	*out = text;
	return 0;
failed:
	free(text);
	return error;
}

static bool ends_value(const struct reader *r)
{
	int c = peek(r);

	return c < 0 || c == ' ' || c == '\t' || c == ',' || c == ']' || c == '}' || c == '#' ||
	       at_newline(r);
}

static int read_integer(struct reader *r, int64_t *out)
{
	bool minus = peek(r) == '-';
	bool sign = minus || peek(r) == '+';
	uint64_t limit = (uint64_t)INT64_MAX + (minus ? 1 : 0);
	uint64_t base = 10;
	uint64_t value = 0;
	const char *start;
	bool digit_before = false;

	if (sign)
		r->at++;
	if (r->end - r->at >= 2 && r->at[0] == '0' && r->at[1] == 'x' && !sign) {
		base = 16;
		r->at += 2;
	}
	for (start = r->at; !ends_value(r); r->at++) {
		int digit = hex_digit(peek(r));

		if (peek(r) == '_' && digit_before) {
			digit_before = false;
			continue;
		}
		if (digit < 0 || (uint64_t)digit >= base)
			return unexpected(
				r, base == 16 ? "hexadecimal digits" : "an integer, decimal or 0x");
		if (value > (limit - (uint64_t)digit) / base)
			return refuse(r, "a number too large; expected one of at most 63 bits");
		value = value * base + (uint64_t)digit;
		digit_before = true;
	}
	if (!digit_before)
		return unexpected(r, "a digit");
	if (base == 10 && *start == '0' && r->at - start > 1)
		return refuse(r, "a number that begins with 0; expected decimal without it, or 0x");
	*out = minus ? (int64_t)(0 - value) : (int64_t)value;
	return 0;
}

static int read_value(struct reader *r, unsigned depth, struct toml_value **out);

static int read_array(struct reader *r, unsigned depth, struct toml_value *array)
{
	struct toml_value *child;
	int error;

	r->at++;
	for (;;) {
		skip_space(r);
		if (peek(r) == ']')
			break;
		error = read_value(r, depth, &child);
		if (error != 0)
			return error;
		append(array, child);
		skip_space(r);
		if (peek(r) == ',')
			r->at++;
		else if (peek(r) != ']')
			return unexpected(r, "',' or ']'");
	}
	r->at++;
	return 0;
}

static bool bare_key_character(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int read_key(struct reader *r, char **out)
{
	const char *start = r->at;

	if (peek(r) == '"' || peek(r) == '\'')
		return read_string(r, out);
	while (bare_key_character(peek(r)))
		r->at++;
	if (r->at == start)
		return unexpected(r, "a key");
	*out = strndup(start, (size_t)(r->at - start));
	return *out == NULL ? -ENOMEM : 0;
}

static struct toml_value *find(const struct toml_value *table, const char *key)
{
	struct toml_value *child = table->first;

	while (child != NULL && strcmp(child->key, key) != 0)
		child = child->next;
	return child;
}

/* key = value, into the table. */
static int read_pair(struct reader *r, unsigned depth, struct toml_value *table)
{
	struct toml_value *other;
	struct toml_value *child;
	char *key;
	unsigned line = r->line;
	int error = read_key(r, &key);

	if (error != 0)
		return error;
	other = find(table, key);
	if (other != NULL) {
		error = refuse(r, "duplicate key '%.64s'; expected it once (line %u has it)", key,
			other->line);
		goto failed;
	}
	if (table->count >= TOML_MAX_KEYS) {
		error = refuse(r, "too many keys; expected at most %u in a table", TOML_MAX_KEYS);
		goto failed;
	}
	skip_blanks(r);
	if (peek(r) != '=') {
		error = unexpected(
			r, peek(r) == '.' ? "'=' (keys with dots are not supported)" : "'='");
		goto failed;
	}
	r->at++;
	skip_blanks(r);
	error = read_value(r, depth, &child);
	if (error != 0)
		goto failed;
	child->key = key;
	child->line = line;
	append(table, child);
	return 0;
failed:
	free(key);
	return error;
}

/* { key = value, ... } on one line (TOML 1.0: no line end inside, no comma at the end). */
static int read_inline_table(struct reader *r, unsigned depth, struct toml_value *table)
{
	int error;

	r->at++;
	skip_blanks(r);
	if (peek(r) == '}') {
		r->at++;
		return 0;
	}
	for (;;) {
		skip_blanks(r);
		error = read_pair(r, depth, table);
		if (error != 0)
			return error;
		skip_blanks(r);
		if (peek(r) == '}')
			break;
		if (peek(r) != ',')
			return unexpected(r, "',' or '}' on the same line");
		r->at++;
	}
	r->at++;
	return 0;
}

static int read_value(struct reader *r, unsigned depth, struct toml_value **out)
{
	static const char expected[] = "a string, an integer, an array or an inline table";
	int c = peek(r);
	bool number = c == '+' || c == '-' || (c >= '0' && c <= '9');
	enum toml_type type = c == '"' || c == '\'' ? TOML_STRING
			      : number              ? TOML_INTEGER
			      : c == '['            ? TOML_ARRAY
						    : TOML_TABLE;
	struct toml_value *value;
	int error = 0;

	if (type == TOML_TABLE && c != '{')
		return unexpected(r, expected);
	if ((type == TOML_ARRAY || type == TOML_TABLE) && depth >= TOML_MAX_DEPTH)
		return refuse(
			r, "arrays too deep in one another; expected at most %u", TOML_MAX_DEPTH);
	value = make(r, type);
	if (value == NULL)
		return -ENOMEM;
	switch (type) {
	case TOML_STRING: error = read_string(r, &value->string); break;
	case TOML_INTEGER: error = read_integer(r, &value->integer); break;
	case TOML_ARRAY: error = read_array(r, depth + 1, value); break;
	case TOML_TABLE: error = read_inline_table(r, depth + 1, value); break;
	}
	if (error != 0) {
		toml_free(value);
		return error;
	}
	*out = value;
	return 0;
}

/* --- the document --- */

/* [[key]]: a new table at the end of root's array `key`. */
static int read_header(struct reader *r, struct toml_value *root, struct toml_value **table)
{
	struct toml_value *array;
	char *key;
	int error;

	if (r->end - r->at < 2 || r->at[1] != '[')
		return refuse(r, "a [table]; expected an array of tables, as [[drivers]]");
	r->at += 2;
	skip_blanks(r);
	error = read_key(r, &key);
	if (error != 0)
		return error;
	array = find(root, key);
	if (array != NULL && array->headers == 0) {
		error = refuse(r, "duplicate key '%.64s'; expected it once (line %u has it)", key,
			array->line);
		goto failed;
	}
	skip_blanks(r);
	if (r->end - r->at < 2 || r->at[0] != ']' || r->at[1] != ']') {
		error = unexpected(r, "']]'");
		goto failed;
	}
	r->at += 2;
	if (array == NULL) {
		if (root->count >= TOML_MAX_KEYS) {
			error = refuse(
				r, "too many keys; expected at most %u in a table", TOML_MAX_KEYS);
			goto failed;
		}
		array = make(r, TOML_ARRAY);
		if (array == NULL) {
			error = -ENOMEM;
			goto failed;
		}
		array->key = key;
		append(root, array);
	} else {
		free(key);
	}
	array->headers++;
	*table = make(r, TOML_TABLE);
	if (*table == NULL)
		return -ENOMEM;
	append(array, *table);
	return end_of_line(r);
failed:
	free(key);
	return error;
}

int toml_parse(struct toml_value **out, const char *text, size_t len, struct toml_error *why)
{
	struct reader r = {.at = text, .end = text + len, .line = 1, .why = why};
	struct toml_value *root;
	struct toml_value *table;
	int error;

	if (len > TOML_MAX_SIZE)
		return refuse(&r, "a file of %zu bytes; expected at most %zu", len, TOML_MAX_SIZE);
	error = check_text(&r);
	if (error != 0)
		return error;
	root = make(&r, TOML_TABLE);
	if (root == NULL)
		return -ENOMEM;
	table = root;
	for (skip_space(&r); r.at < r.end; skip_space(&r)) {
		if (peek(&r) == '[') {
			error = read_header(&r, root, &table);
		} else {
			error = read_pair(&r, 0, table);
			if (error == 0)
				error = end_of_line(&r);
		}
		if (error != 0) {
			toml_free(root);
			return error;
		}
	}
	*out = root;
	return 0;
}
