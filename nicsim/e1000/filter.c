/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames are for this card: address filters (82574 datasheet 7.1.1) and the VLAN filter.
 */
#include "nicsim/filter.h"
#include "nicsim/e1000/card.h"

/* A reset loads the first receive address from the EEPROM. */
void e1000_filter_reset(struct e1000 *card)
{
	*e1000_reg(card, E1000_RAL(0)) = card->nvm[0] | (uint32_t)card->nvm[1] << 16;
	*e1000_reg(card, E1000_RAH(0)) = E1000_RAH_VALID | card->nvm[2];
}

static bool exact(struct e1000 *card, const uint8_t *address)
{
	/* Bits 16 and 17 of RAH say what kind of address it is: 0, a destination. */
	return sim_address_exact(
		e1000_reg(card, E1000_RAL(0u)), E1000_RA_COUNT, E1000_RAH_VALID, address);
}

static bool hashed(struct e1000 *card, const uint8_t *address)
{
	return sim_address_hashed(e1000_reg(card, E1000_MTA(0u)),
		E1000_RCTL_OFFSET(*e1000_reg(card, E1000_RCTL)), address);
}

static bool vlan_passes(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	uint32_t control = *e1000_reg(card, E1000_RCTL);

	if (!(control & E1000_RCTL_VFE) || len < 18 ||
		sim_be16(frame + 12) != *e1000_reg(card, E1000_VET))
		return true;
	return sim_tag_passes(e1000_reg(card, E1000_VFTA(0u)), sim_be16(frame + 14),
		control & E1000_RCTL_CFIEN, control & E1000_RCTL_CFI);
}

bool e1000_filter(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	uint32_t control = *e1000_reg(card, E1000_RCTL);
	bool passes;

	if (!(frame[0] & 1))
		passes = (control & E1000_RCTL_UPE) || exact(card, frame);
	else if (sim_is_broadcast(frame))
		passes = (control & (E1000_RCTL_BAM | E1000_RCTL_MPE)) || exact(card, frame);
	else
		passes = (control & E1000_RCTL_MPE) || exact(card, frame) || hashed(card, frame);
	return passes && vlan_passes(card, frame, len);
}
