/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The families of cards.
 */
#include "nicsim/kind.h"

#include <stdio.h>

static const struct card_family *const families[] = {
	&ixgbe_family, &e1000_family, &rtl8168_family, NULL};

bool card_find_kind(const char *name, struct card_kind *kind)
{
	for (const struct card_family *const *family = families; *family; family++) {
		const void *model = (*family)->find(name);

		if (model) {
			*kind = (struct card_kind){name, *family, model};
			return true;
		}
	}
	return false;
}

bool card_find_id(uint16_t vendor, uint16_t device, struct card_kind *kind)
{
	for (const struct card_family *const *family = families; *family; family++) {
		const struct card_registers *registers = (*family)->registers;
		const char *name = registers ? registers->name(vendor, device) : NULL;

		if (name)
			return card_find_kind(name, kind);
	}
	return false;
}

void card_names(char *text, size_t size)
{
	size_t at = 0;

	for (const struct card_family *const *family = families; *family && at < size; family++)
		at += (size_t)snprintf(
			text + at, size - at, "%s%s", at ? ", " : "", (*family)->names);
}
