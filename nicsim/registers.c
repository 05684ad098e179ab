/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The list of a model's registers, for people and for the test of its documentation.
 */
#include "nicsim/registers.h"

#include <stdio.h>

#include "nicsim/kind.h"

static void print(const struct card_register *reg)
{
	int digits = reg->size ? (int)(2 * reg->size) : 8;

	printf("0x%05x", reg->offset);
	if (reg->size)
		printf(" of %u byte%s", reg->size, reg->size == 1 ? "" : "s");
	if (reg->count > 1)
		printf(" %u times, 0x%x apart", reg->count, reg->stride);
	if (reg->alias) {
		printf(": 0x%05x by another address\n", reg->alias);
		return;
	}
	printf(": 0x%0*x after a reset, ", digits, reg->reset);
	if (reg->writable)
		printf("writable 0x%0*x", digits, reg->writable);
	else
		fputs("not writable", stdout);
	puts(reg->cleared ? ", cleared by reading" : reg->acts ? ", acts" : "");
}

int registers_main(int argc, char **argv)
{
	struct card_kind kind;

	if (argc != 2 || !card_find_kind(argv[1], &kind) || !kind.family->registers) {
		char names[96];

		card_names(names, sizeof(names));
		fprintf(stderr, "usage: nicsim registers CARD, one of %s\n", names);
		return 2;
	}
	kind.family->registers->tell(kind.model, print);
	return 0;
}
