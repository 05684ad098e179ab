/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The variants: chips that Linux's r8169 drives without firmware of Realtek's. XIDs, limits of
 * jumbo frames and the bits that turn them on are as that driver has them.
 */
#include "nicsim/rtl8168/card.h"

#define JUMBO(kib) ((kib)*1024 - 4) /* without CRC */

static const struct rtl8168_model models[] = {
	{"rtl8168", 0x8168, 0x03, 0x28b, 4, JUMBO(9), 0x04, 0x01},  /* RTL8168DP */
	{"rtl8168c", 0x8168, 0x02, 0x3c2, 2, JUMBO(6), 0x04, 0x02}, /* RTL8168C */
	{"rtl8161", 0x8161, 0x03, 0x28b, 4, JUMBO(9), 0x04, 0x01},  /* by its other number */
};

const struct rtl8168_model *rtl8168_find_model(const char *name)
{
	for (unsigned i = 0; i < sizeof(models) / sizeof(*models); i++) {
		if (strcmp(models[i].name, name) == 0)
			return &models[i];
	}
	return NULL;
}

const struct rtl8168_model *rtl8168_find_id(uint16_t device)
{
	for (unsigned i = 0; i < sizeof(models) / sizeof(*models); i++) {
		if (models[i].device == device)
			return &models[i];
	}
	return NULL;
}
