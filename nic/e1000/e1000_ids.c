/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cards that the driver knows.
 */
#include "nic/e1000/e1000.h"

static const struct e1000_model models[] = {
	{0x100E, E1000_8254X, "Intel 82540EM"},
	{0x100F, E1000_8254X, "Intel 82545EM"},
	{0x10D3, E1000_82574, "Intel 82574L"},
	{0x10F6, E1000_82574, "Intel 82574LA"},
	{0x10C9, E1000_82576, "Intel 82576"},
};

/* Linux's igbvf, over any of the 82576's functions. */
#define DEVICE_82576_VF 0x10CA

const struct e1000_model *e1000_find_model(const struct pci_id *id)
{
	if (id->vendor != 0x8086)
		return NULL;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (models[i].device == id->device)
			return &models[i];
	return NULL;
}

bool e1000_serves(const struct pci_id *id, const char **why)
{
	if (id->vendor == 0x8086 && id->device == DEVICE_82576_VF) {
		*why = "a virtual function, which e1000 does not drive: give it the physical one";
		return false;
	}
	return e1000_find_model(id) != NULL;
}
