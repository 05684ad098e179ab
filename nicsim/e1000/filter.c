/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames are for this card: address filters (82574 datasheet 7.1.1) and the VLAN filter.
 */
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/e1000/card.h"

#define TAG_CFI 0x1000u

/* A reset loads the first receive address from the EEPROM. */
void e1000_filter_reset(struct e1000 *card)
{
	*e1000_reg(card, E1000_RAL(0)) = card->nvm[0] | (uint32_t)card->nvm[1] << 16;
	*e1000_reg(card, E1000_RAH(0)) = E1000_RAH_VALID | card->nvm[2];
}

static bool exact(struct e1000 *card, const uint8_t *address)
{
	uint32_t low, high;

	memcpy(&low, address, 4);
	high = E1000_RAH_VALID | (uint32_t)address[4] | (uint32_t)address[5] << 8;
	for (unsigned n = 0; n < E1000_RA_COUNT; n++) {
		/* Bits 16 and 17 say what kind of address it is: 0, a destination. */
		if (*e1000_reg(card, E1000_RAL(n)) == low && *e1000_reg(card, E1000_RAH(n)) == high)
			return true;
	}
	return false;
}

/* 12 bits of the address's last 16, which ones RCTL.MO says. */
static bool hashed(struct e1000 *card, const uint8_t *address)
{
	static const unsigned shift[] = {4, 3, 2, 0};
	uint32_t last = (uint32_t)address[4] | (uint32_t)address[5] << 8;
	uint32_t hash = last >> shift[E1000_RCTL_OFFSET(*e1000_reg(card, E1000_RCTL))] & 0xfff;

	return *e1000_reg(card, E1000_MTA(hash / 32)) >> (hash & 31) & 1;
}

static bool vlan_passes(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	uint32_t control = *e1000_reg(card, E1000_RCTL);
	unsigned type = sim_be16(frame + 12), tag, id;

	if (!(control & E1000_RCTL_VFE) || len < 18 || type != *e1000_reg(card, E1000_VET))
		return true;
	tag = sim_be16(frame + 14);
	id = tag & 0xfff;
	if (control & E1000_RCTL_CFIEN &&
		((control & E1000_RCTL_CFI) != 0) != ((tag & TAG_CFI) != 0))
		return false;
	return *e1000_reg(card, E1000_VFTA(id >> 5)) >> (id & 31) & 1;
}

bool e1000_filter(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint32_t control = *e1000_reg(card, E1000_RCTL);
	bool passes;

	if (!(frame[0] & 1))
		passes = (control & E1000_RCTL_UPE) || exact(card, frame);
	else if (memcmp(frame, broadcast, 6) == 0)
		passes = (control & (E1000_RCTL_BAM | E1000_RCTL_MPE)) || exact(card, frame);
	else
		passes = (control & E1000_RCTL_MPE) || exact(card, frame) || hashed(card, frame);
	return passes && vlan_passes(card, frame, len);
}
