/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A strict reader for the part of TOML 1.0 that pcid's configuration uses: arrays of tables
 * ([[drivers]]), bare and quoted keys, basic and literal strings, integers (decimal and 0x, with
 * underscores), arrays over several lines, inline tables, comments. Anything else of TOML is an
 * error that names its line, not something half understood.
 */
#ifndef PCID_TOML_H
#define PCID_TOML_H

#include <stddef.h>
#include <stdint.h>

#define TOML_MAX_SIZE  ((size_t)1 << 20) /* bytes of text */
#define TOML_MAX_DEPTH 8u                /* arrays and inline tables in one another */
#define TOML_MAX_KEYS  256u              /* in one table */

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_ARRAY, TOML_TABLE };

struct toml_value {
	struct toml_value *next; /* in its array or table, in the file's order */
	char *key;               /* in a table, else NULL */
	unsigned line;           /* where it stands, from 1 */
	enum toml_type type;
	char *string;             /* TOML_STRING; holds no NUL but its last */
	int64_t integer;          /* TOML_INTEGER */
	struct toml_value *first; /* TOML_ARRAY, TOML_TABLE */
	struct toml_value *last;  /* private */
	unsigned count;           /* of elements */
	unsigned headers;         /* private: how many [[headers]] made this array */
};

struct toml_error {
	unsigned line;
	char text[192]; /* "what; expected ...", without the line */
};

/* Reads a whole document; *out is its root table. -EINVAL with `why`; -ENOMEM. */
int toml_parse(struct toml_value **out, const char *text, size_t len, struct toml_error *why);
void toml_free(struct toml_value *root);

/* "a string", "an integer", ... */
const char *toml_type_name(enum toml_type type);

#endif
