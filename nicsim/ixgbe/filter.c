/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames are for this port: address filters (82599 datasheet 7.1.1.1) and the VLAN filter
 * (7.1.1.2).
 */
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/ixgbe/card.h"

#define TAG_CFI 0x1000u

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
	uint32_t low, high;

	memcpy(&low, address, 4);
	high = RAH_VALID | (uint32_t)address[4] | (uint32_t)address[5] << 8;
	for (unsigned n = 0; n < card->rar_top; n++) {
		if (*ixgbe_reg(card, RAL(n)) == low && *ixgbe_reg(card, RAH(n)) == high)
			return true;
	}
	return false;
}

/* The tables for groups and for single stations: 12 bits of the address's last 16, which ones
 * MCSTCTRL.MO says. */
static bool hashed(struct ixgbe *card, uint32_t table, const uint8_t *address)
{
	static const unsigned shift[] = {4, 3, 2, 0};
	uint32_t control = *ixgbe_reg(card, MCSTCTRL);
	uint32_t last = (uint32_t)address[4] | (uint32_t)address[5] << 8;
	uint32_t hash = (last >> shift[MCSTCTRL_OFFSET(control)]) & 0xfff;

	if (!(control & MCSTCTRL_ENABLE))
		return false;
	return *ixgbe_reg(card, table + hash / 32 * 4) >> (hash & 31) & 1;
}

static bool vlan_passes(struct ixgbe *card, const uint8_t *frame, size_t len)
{
	uint32_t control = *ixgbe_reg(card, VLNCTRL);
	unsigned type = sim_be16(frame + 12), tag, id;

	if (!(control & VLNCTRL_FILTER) || len < 18 || type != VLNCTRL_TYPE(control))
		return true;
	tag = sim_be16(frame + 14);
	id = tag & 0xfff;
	if (control & VLNCTRL_CFI_COMPARED &&
		((control & VLNCTRL_CFI) != 0) != ((tag & TAG_CFI) != 0))
		return false;
	return *ixgbe_reg(card, VFTA(id >> 5)) >> (id & 31) & 1;
}

bool ixgbe_filter(struct ixgbe *card, const uint8_t *frame, size_t len)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint32_t control = *ixgbe_reg(card, FCTRL);
	bool passes;

	if (!(frame[0] & 1))
		passes =
			(control & FCTRL_UPE) || exact(card, frame) || hashed(card, UTA(0u), frame);
	else if (memcmp(frame, broadcast, 6) == 0)
		passes = (control & (FCTRL_BAM | FCTRL_MPE)) || exact(card, frame);
	else
		passes =
			(control & FCTRL_MPE) || exact(card, frame) || hashed(card, MTA(0u), frame);
	return passes && vlan_passes(card, frame, len);
}
