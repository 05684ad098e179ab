/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The copper PHY behind PHYAR (IEEE 802.3 clause 22; pages by register 31, as the RTL8211B has
 * them), and the link. The other end of the wire always offers 1000BASE-T in full duplex, without
 * pause frames; negotiation is over at once.
 */
#include "nicsim/mii.h"
#include "nicsim/rtl8168/card.h"

#define PAGE 31u

static void defaults(struct rtl8168_phy *phy)
{
	memset(phy, 0, sizeof(*phy));
	phy->reg[0][MII_BMCR] = 0x1140;
	phy->reg[0][MII_ID1] = 0x001c; /* RTL8211B */
	phy->reg[0][MII_ID2] = 0xc912;
	phy->reg[0][MII_ADVERTISE] = 0x0de1;
	phy->reg[0][MII_CONTROL_1000] = 0x0300;
	phy->reg[0][MII_EXTENDED] = 0x3000;
	phy->link_fell = true;
}

void rtl8168_phy_reset(struct rtl8168 *card)
{
	defaults(&card->phy);
	rtl8168_link_changed(card);
}

/* --- the link --- */

bool rtl8168_loops(const struct rtl8168 *card)
{
	return card->phy.reg[0][MII_BMCR] & BMCR_LOOPBACK ||
	       (rtl8168_get(card, RTL_TCR, 4) & TCR_LOOPBACK) == TCR_LOOPBACK;
}

/* What the other end of the cable sees of us: also while the MAC is reset. */
static bool sends(const struct rtl8168 *card)
{
	return !card->pulled &&
	       !(card->phy.reg[0][MII_BMCR] & (BMCR_POWEROFF | BMCR_ISOLATE | BMCR_LOOPBACK));
}

bool rtl8168_link(const struct rtl8168 *card)
{
	return card->carrier && sends(card);
}

void rtl8168_link_changed(struct rtl8168 *card)
{
	bool was = card->linked;

	if (card->wire)
		wire_set_link(card->wire, sends(card)); /* may say at once what carrier there is */
	card->linked = rtl8168_link(card);
	if (!card->linked)
		card->phy.link_fell = true;
	if (card->linked != was)
		rtl8168_cause(card, INT_LINK);
}

void rtl8168_carrier(void *ctx, bool up)
{
	struct rtl8168 *card = ctx;

	if (card->carrier == up)
		return;
	card->carrier = up;
	rtl8168_link_changed(card);
}

void rtl8168_pull_cable(struct rtl8168 *card, bool pulled)
{
	card->pulled = pulled;
	rtl8168_link_changed(card);
}

uint32_t rtl8168_read_phystatus(struct rtl8168 *card)
{
	return rtl8168_link(card) ? PHYSTATUS_1000 | PHYSTATUS_LINK | PHYSTATUS_FULL : 0;
}

/* --- PHYAR (RTL8169 datasheet 6.20) --- */

static uint16_t phy_read(struct rtl8168 *card, unsigned reg)
{
	struct rtl8168_phy *phy = &card->phy;
	bool up = rtl8168_link(card);
	uint16_t value;

	if (reg == PAGE)
		return phy->page;
	if (phy->page)
		return phy->page < RTL8168_PHY_PAGES ? phy->reg[phy->page][reg] : 0;
	switch (reg) {
	case MII_BMSR:
		value = BMSR_STATIC | (up ? BMSR_DONE : 0) |
			(up && !phy->link_fell ? BMSR_LINK : 0);
		phy->link_fell = !up;
		return value;
	case MII_PARTNER: return up ? 0x41e1 : 0;
	case MII_EXPANSION: return up ? 0x0005 : 0;
	case MII_STATUS_1000_T: return up ? 0x3c00 : 0;
	default: return phy->reg[0][reg];
	}
}

/* A restart of negotiation is over at once; it is seen as a link that fell and is back. */
static void write_bmcr(struct rtl8168 *card, uint16_t value)
{
	struct rtl8168_phy *phy = &card->phy;
	bool was = card->linked;

	if (value & BMCR_RESET)
		defaults(phy);
	phy->reg[0][MII_BMCR] = value & (uint16_t) ~(BMCR_RESET | BMCR_RESTART);
	rtl8168_link_changed(card);
	if (value & (BMCR_RESET | BMCR_RESTART)) {
		phy->link_fell = true;
		if (was && card->linked)
			rtl8168_cause(card, INT_LINK);
	}
}

static void phy_write(struct rtl8168 *card, unsigned reg, uint16_t value)
{
	struct rtl8168_phy *phy = &card->phy;

	if (reg == PAGE) {
		phy->page = value;
	} else if (phy->page) {
		if (phy->page < RTL8168_PHY_PAGES)
			phy->reg[phy->page][reg] = value;
	} else if (reg == MII_BMCR) {
		write_bmcr(card, value);
	} else if (reg == MII_ADVERTISE || reg > MII_STATUS_1000_T ||
		   (reg > MII_EXPANSION && reg < MII_STATUS_1000_T)) {
		if (reg != MII_EXTENDED)
			phy->reg[0][reg] = value;
	}
}

/* A command ends at once: the flag falls after a write and rises after a read. */
void rtl8168_write_phyar(struct rtl8168 *card, uint32_t written)
{
	unsigned reg = written >> 16 & 0x1f;
	uint32_t result = written & 0x001fffff;

	if (written & PHYAR_FLAG)
		phy_write(card, reg, (uint16_t)written);
	else
		result = PHYAR_FLAG | (result & 0x001f0000) | phy_read(card, reg);
	rtl8168_put(card, RTL_PHYAR, 4, result);
}
