/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cards that the driver knows, and what they can.
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

/* Frames: 8254x: Linux's limit, of a field of 14 bits (8254x 3.3.3); 82574 7.1.1: 9.0 KiB, 82576
 * 1.3: 9.5 KiB.
 */
static const struct e1000_limits limits[] = {
	[E1000_8254X] = {.queues = 1, .frame = 16128, .buffer_kib = 48},
	[E1000_82574] = {.queues = 2, .frame = 9216, .buffer_kib = 20},
	[E1000_82576] = {.queues = 16, .frame = 9728, .buffer_kib = 64},
};

const struct e1000_limits *e1000_limits(const struct e1000_model *model)
{
	return &limits[model->family];
}

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
