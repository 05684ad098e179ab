/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The list of a model's registers, for people and for the test of its documentation.
 */
#include "nicsim/registers.h"

#include <stdio.h>

#include "nicsim/ixgbe/model.h"

static void print(const struct ixgbe_register *reg)
{
	printf("0x%05x", reg->offset);
	if (reg->count > 1)
		printf(" %u times, 0x%x apart", reg->count, reg->stride);
	if (reg->alias) {
		printf(": 0x%05x by another address\n", reg->alias);
		return;
	}
	printf(": 0x%08x after a reset, ", reg->reset);
	if (reg->writable)
		printf("writable 0x%08x", reg->writable);
	else
		fputs("not writable", stdout);
	puts(reg->cleared ? ", cleared by reading" : reg->acts ? ", acts" : "");
}

int registers_main(int argc, char **argv)
{
	const struct ixgbe_model *model = argc == 2 ? ixgbe_find_model(argv[1]) : NULL;

	if (!model) {
		fprintf(stderr, "usage: nicsim registers CARD, one of " IXGBE_MODEL_NAMES "\n");
		return 2;
	}
	ixgbe_list_registers(model, print);
	return 0;
}
