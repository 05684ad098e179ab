/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ids of the families: those of the paper's ixgbed. doc/ixgbe-ids.md says which were tried.
 */
#include "nic/ixgbe/ixgbe.h"

static const struct ixgbe_model models[] = {
	{0x10F7, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 KX4"},
	{0x10F8, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 combined backplane"},
	{0x10F9, IXGBE_82599, IXGBE_CX4, "Intel 82599 CX4"},
	{0x10FB, IXGBE_82599, IXGBE_SFP, "Intel 82599ES SFI/SFP+"},
	{0x10FC, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 XAUI/BX4"},
	{0x1507, IXGBE_82599, IXGBE_SFP, "Intel 82599 SFP+ EM"},
	{0x1514, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 KX4 mezzanine"},
	{0x1517, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 KR"},
	{0x151C, IXGBE_82599, IXGBE_COPPER, "Intel 82599 10GBASE-T"},
	{0x1529, IXGBE_82599, IXGBE_SFP, "Intel 82599 SFP+ FCoE"},
	{0x152A, IXGBE_82599, IXGBE_BACKPLANE, "Intel 82599 backplane FCoE"},
	{0x154A, IXGBE_82599, IXGBE_SFP, "Intel X520-4 SFP+"},
	{0x154D, IXGBE_82599, IXGBE_SFP, "Intel X520 SFP+ SF2"},
	{0x154F, IXGBE_82599, IXGBE_LCO, "Intel 82599 LS"},
	{0x1557, IXGBE_82599, IXGBE_SFP, "Intel 82599EN SFP+"},
	{0x1558, IXGBE_82599, IXGBE_QSFP, "Intel X520-Q1 QSFP+"},

	{0x1528, IXGBE_X540, IXGBE_COPPER, "Intel X540-T2"},
	{0x1560, IXGBE_X540, IXGBE_COPPER, "Intel X540-T1"},

	{0x1563, IXGBE_X550, IXGBE_COPPER, "Intel X550-T2"},
	{0x15D1, IXGBE_X550, IXGBE_COPPER, "Intel X550-T1"},

	{0x15AA, IXGBE_X550EM_X, IXGBE_BACKPLANE, "Intel X552 KX4"},
	{0x15AB, IXGBE_X550EM_X, IXGBE_BACKPLANE, "Intel X552 KR"},
	{0x15AC, IXGBE_X550EM_X, IXGBE_SFP, "Intel X552 SFP+"},
	{0x15AD, IXGBE_X550EM_X, IXGBE_COPPER, "Intel X552/X557-AT 10GBASE-T"},
	{0x15AE, IXGBE_X550EM_X, IXGBE_COPPER, "Intel X552 1000BASE-T"},
	{0x15B0, IXGBE_X550EM_X, IXGBE_BACKPLANE, "Intel X552 XFI"},

	{0x15C2, IXGBE_X550EM_A, IXGBE_BACKPLANE, "Intel X553 KR"},
	{0x15C3, IXGBE_X550EM_A, IXGBE_BACKPLANE, "Intel X553 KR (L)"},
	{0x15C4, IXGBE_X550EM_A, IXGBE_SFP, "Intel X553 SFP+ (N)"},
	{0x15C6, IXGBE_X550EM_A, IXGBE_BACKPLANE, "Intel X553 SGMII"},
	{0x15C7, IXGBE_X550EM_A, IXGBE_BACKPLANE, "Intel X553 SGMII (L)"},
	{0x15C8, IXGBE_X550EM_A, IXGBE_COPPER, "Intel X553/X557-AT 10GBASE-T"},
	{0x15CE, IXGBE_X550EM_A, IXGBE_SFP, "Intel X553 SFP+"},
	{0x15E4, IXGBE_X550EM_A, IXGBE_COPPER, "Intel X553 1000BASE-T"},
	{0x15E5, IXGBE_X550EM_A, IXGBE_COPPER, "Intel X553 1000BASE-T (L)"},

	{0x10ED, IXGBE_VF, IXGBE_NONE, "Intel 82599 virtual function"},
	{0x1515, IXGBE_VF, IXGBE_NONE, "Intel X540 virtual function"},
	{0x1565, IXGBE_VF, IXGBE_NONE, "Intel X550 virtual function"},
	{0x15A8, IXGBE_VF, IXGBE_NONE, "Intel X552 virtual function"},
	{0x15C5, IXGBE_VF, IXGBE_NONE, "Intel X553 virtual function"},
};

const struct ixgbe_model *ixgbe_find_model(const struct pci_id *id)
{
	if (id->vendor != 0x8086)
		return NULL;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (models[i].device == id->device)
			return &models[i];
	return NULL;
}

bool ixgbe_serves(const struct pci_id *id, const char **why)
{
	const struct ixgbe_model *model = ixgbe_find_model(id);

	if (model && model->family == IXGBE_VF) {
		*why = "a virtual function, which ixgbe does not drive: give it the physical one";
		return false;
	}
	return model != NULL;
}
