/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The copper PHY behind MDIC (IEEE 802.3 clause 22; registers from 16 on as Marvell's 88E1149,
 * which the 82574 contains), and the link. The other end of the wire always offers 1000BASE-T in
 * full duplex, and obeys pause frames; negotiation is over at once.
 */
#include <string.h>

#include "nicsim/e1000/card.h"
#include "nicsim/mii.h"

#define PHY_ADDRESS 1u

enum {
	SPECIFIC_CONTROL = 16,
	SPECIFIC_STATUS = 17,
	EXTENDED_CONTROL = 20,
	PAGE = 22,
};

void e1000_phy_reset(struct e1000 *card)
{
	struct e1000_phy *phy = &card->phy;

	memset(phy, 0, sizeof(*phy));
	phy->reg[MII_BMCR] = 0x1140;
	phy->reg[MII_ID1] = 0x0141; /* the BM1000 in its second revision */
	phy->reg[MII_ID2] = 0x0cb1;
	phy->reg[MII_ADVERTISE] = 0x0de1;
	phy->reg[MII_CONTROL_1000] = 0x0300;
	phy->reg[MII_EXTENDED] = 0x3000;
	phy->reg[SPECIFIC_CONTROL] = 0x0078;
	phy->reg[EXTENDED_CONTROL] = 0x0c68;
	phy->link_fell = true;
	e1000_link_changed(card);
}

/* --- the link --- */

bool e1000_loops(const struct e1000 *card)
{
	return card->phy.reg[MII_BMCR] & BMCR_LOOPBACK ||
	       (card->reg[E1000_RCTL / 4] & E1000_RCTL_LOOPBACK) == E1000_RCTL_LOOPBACK_MAC;
}

/* What the other end of the cable sees of us: also while the MAC is reset. */
static bool sends(const struct e1000 *card)
{
	return !card->pulled && !(card->phy.reg[MII_BMCR] & (BMCR_POWEROFF | BMCR_LOOPBACK));
}

static bool phy_link(const struct e1000 *card)
{
	return card->carrier && sends(card);
}

bool e1000_link(const struct e1000 *card)
{
	return phy_link(card) && card->reg[E1000_CTRL / 4] & E1000_CTRL_LINK_UP;
}

void e1000_link_changed(struct e1000 *card)
{
	bool was = card->linked;

	if (card->wire)
		wire_set_link(card->wire, sends(card)); /* may say at once what carrier there is */
	card->linked = e1000_link(card);
	if (!phy_link(card))
		card->phy.link_fell = true;
	if (was && !card->linked)
		pause_link_down(&card->pause);
	if (card->linked != was)
		e1000_cause(card, E1000_CAUSE_LSC);
}

void e1000_carrier(void *ctx, bool up)
{
	struct e1000 *card = ctx;

	if (card->carrier == up)
		return;
	card->carrier = up;
	e1000_link_changed(card);
}

void e1000_pull_cable(struct e1000 *card, bool pulled)
{
	card->pulled = pulled;
	e1000_link_changed(card);
}

/* --- MDIC (82574 datasheet 10.2.2.7) --- */

static uint16_t phy_read(struct e1000 *card, unsigned reg)
{
	struct e1000_phy *phy = &card->phy;
	bool up = phy_link(card);
	uint16_t value;

	/* Beyond the first page only what drivers read before they write it. */
	if (reg > MII_EXTENDED && reg != PAGE && phy->reg[PAGE] != 0)
		return 0;
	switch (reg) {
	case MII_BMSR:
		value = BMSR_STATIC | (up ? BMSR_DONE : 0) |
			(up && !phy->link_fell ? BMSR_LINK : 0);
		phy->link_fell = !up;
		return value;
	case MII_PARTNER: return up ? 0x45e1 : 0;
	case MII_EXPANSION: return up ? 0x0005 : 0;
	case MII_STATUS_1000_T: return up ? 0x3c00 : 0;
	/* 1000 Mbit/s, full duplex, resolved, link; a cable of 50 to 80 m. */
	case SPECIFIC_STATUS: return up ? 0xac80 : 0x8000;
	default: return phy->reg[reg];
	}
}

/* A restart of negotiation is over at once; it is seen as a link that fell and is back. */
static void write_bmcr(struct e1000 *card, uint16_t value)
{
	struct e1000_phy *phy = &card->phy;
	bool was = card->linked;

	phy->reg[MII_BMCR] = value & (uint16_t) ~(BMCR_RESET | BMCR_RESTART);
	e1000_link_changed(card);
	if (value & (BMCR_RESET | BMCR_RESTART)) {
		phy->link_fell = true;
		if (was && card->linked)
			e1000_cause(card, E1000_CAUSE_LSC);
	}
}

static void phy_write(struct e1000 *card, unsigned reg, uint16_t value)
{
	switch (reg) {
	case MII_BMCR: write_bmcr(card, value); break;
	case MII_BMSR:
	case MII_ID1:
	case MII_ID2:
	case MII_PARTNER:
	case MII_EXPANSION:
	case MII_STATUS_1000_T:
	case MII_EXTENDED: break; /* read-only */
	default:
		if (reg < MII_EXTENDED || reg == PAGE || card->phy.reg[PAGE] == 0)
			card->phy.reg[reg] = value;
		break;
	}
}

/* A command ends at once. Operations: 1 write, 2 read. */
void e1000_write_mdic(struct e1000 *card, uint32_t offset, uint32_t value)
{
	unsigned reg = value >> 16 & 0x1f, operation = value >> 26 & 3;
	uint32_t result = (value & 0x2fffffff) | E1000_MDIC_READY;

	if ((value >> 21 & 0x1f) != PHY_ADDRESS || (operation != 1 && operation != 2))
		result |= E1000_MDIC_ERROR;
	else if (operation == 1)
		phy_write(card, reg, (uint16_t)value);
	else
		result = (result & 0xffff0000) | phy_read(card, reg);
	*e1000_reg(card, offset) = result;
	if (value & E1000_MDIC_INTERRUPT)
		e1000_cause(card, E1000_CAUSE_MDAC);
}
