/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames are for this port: address filters (82599 datasheet 7.1.1.1) and the VLAN filter
 * (7.1.1.2).
 */
#include "nicsim/filter.h"
#include "nicsim/ixgbe/card.h"

/* A software reset loads the first receive address from the EEPROM. */
void ixgbe_filter_reset(struct ixgbe *card)
{
	const uint16_t *mac = ixgbe_nvm_mac(card);

	card->rar_top = mac ? 1 : 0;
	if (!mac)
		return;
	*ixgbe_reg(card, RAL(0)) = mac[0] | (uint32_t)mac[1] << 16;
	*ixgbe_reg(card, RAH(0)) = RAH_VALID | mac[2];
}

/* Keeps track of how many addresses a search must look at. */
void ixgbe_write_rah(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	unsigned n = (offset - RAH(0)) / 8;

	if (value & RAH_VALID) {
		if (card->rar_top <= n)
			card->rar_top = n + 1;
	} else {
		while (card->rar_top && !(*ixgbe_reg(card, RAH(card->rar_top - 1)) & RAH_VALID))
			card->rar_top--;
	}
}

static bool exact(struct ixgbe *card, const uint8_t *address)
{
	return sim_address_exact(ixgbe_reg(card, RAL(0u)), card->rar_top, RAH_VALID, address);
}

/* The tables for groups and for single stations. */
static bool hashed(struct ixgbe *card, uint32_t table, const uint8_t *address)
{
	uint32_t control = *ixgbe_reg(card, MCSTCTRL);

	return control & MCSTCTRL_ENABLE &&
	       sim_address_hashed(ixgbe_reg(card, table), MCSTCTRL_OFFSET(control), address);
}

static bool vlan_passes(struct ixgbe *card, const uint8_t *frame, size_t len)
{
	uint32_t control = *ixgbe_reg(card, VLNCTRL);

	if (!(control & VLNCTRL_FILTER) || len < 18 ||
		sim_be16(frame + 12) != VLNCTRL_TYPE(control))
		return true;
	return sim_tag_passes(ixgbe_reg(card, VFTA(0u)), sim_be16(frame + 14),
		control & VLNCTRL_CFI_COMPARED, control & VLNCTRL_CFI);
}

bool ixgbe_filter(struct ixgbe *card, const uint8_t *frame, size_t len)
{
	uint32_t control = *ixgbe_reg(card, FCTRL);
	bool passes;

	if (!(frame[0] & 1))
		passes =
			(control & FCTRL_UPE) || exact(card, frame) || hashed(card, UTA(0u), frame);
	else if (sim_is_broadcast(frame))
		passes = (control & (FCTRL_BAM | FCTRL_MPE)) || exact(card, frame);
	else
		passes =
			(control & FCTRL_MPE) || exact(card, frame) || hashed(card, MTA(0u), frame);
	return passes && vlan_passes(card, frame, len);
}
