/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The table of models.
 */
#include "nicsim/ixgbe/model.h"

#include <stddef.h>
#include <string.h>

#include "nicsim/ixgbe/card.h"

/* clang-format off */
static const struct ixgbe_model models[] = {
	{"x540", "Intel X540-T2", 0x1528, 0x0001, 0x200000, 384, MEDIA_COPPER, ROW_X540,
		16, 2, 8, 0x01540200},
	{"x550", "Intel X550-T2", 0x1563, 0x0001, 0x400000, 384, MEDIA_COPPER, ROW_X550,
		64, 3, 4, 0x01540221},
	{"82599", "Intel 82599ES, SFP+", 0x10fb, 0x0003, 0x80000, 512, MEDIA_SFP, ROW_82599,
		16, 2, 8, 0},
	{"82599-kx4", "Intel 82599, KX4 backplane", 0x10f7, 0x0001, 0x80000, 512, MEDIA_KX4,
		ROW_82599, 16, 2, 8, 0},
};
/* clang-format on */

#define MODELS (sizeof(models) / sizeof(*models))

const struct ixgbe_model *ixgbe_find_model(const char *name)
{
	for (size_t i = 0; i < MODELS; i++) {
		if (strcmp(models[i].name, name) == 0)
			return &models[i];
	}
	return NULL;
}

const struct ixgbe_model *ixgbe_find_id(uint16_t device)
{
	for (size_t i = 0; i < MODELS; i++) {
		if (models[i].device == device)
			return &models[i];
	}
	return NULL;
}
