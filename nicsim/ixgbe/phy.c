/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The copper PHY behind MDIO: IEEE 802.3 clause 45; vendor registers as Linux's driver uses them.
 */
#include "nicsim/ixgbe/card.h"

#define PHY_ADDRESS 0u

enum { MMD_PMA = 1, MMD_PCS = 3, MMD_XS = 4, MMD_AN = 7, MMD_VENDOR = 30 };

void ixgbe_phy_reset(struct ixgbe *card)
{
	card->phy = (struct ixgbe_phy){
		.advertise = 0x0d01, .advertise_10g = 0x1001, .provision = 0x9c00};
	ixgbe_link_changed(card);
}

static uint16_t status(const struct ixgbe *card)
{
	return ixgbe_link(card) ? 0x002e : 0x000a; /* link, negotiation done */
}

static uint16_t phy_read(const struct ixgbe *card, unsigned mmd, unsigned reg)
{
	const struct ixgbe_phy *phy = &card->phy;
	bool middle = card->model->rows == ROW_X550; /* knows 2.5 and 5 Gbit/s (802.3bz), too */

	if (mmd != MMD_PMA && mmd != MMD_PCS && mmd != MMD_XS && mmd != MMD_AN && mmd != MMD_VENDOR)
		return 0xffff;
	switch (reg) {
	case 2: return (uint16_t)(card->model->phy >> 16); /* the identifier is in every MMD */
	case 3: return (uint16_t)card->model->phy;
	case 5: return 0x009a; /* MMDs 1, 3, 4, 7 are present */
	case 8: return 0x8000; /* somebody answers: who scans for PHYs looks here */
	default: break;
	}
	switch (mmd << 16 | reg) {
	case MMD_PMA << 16 | 0x0: return 0x2040; /* 10 Gbit/s */
	case MMD_PMA << 16 | 0x1: return ixgbe_link(card) ? 0x0006 : 0x0002;
	case MMD_PMA << 16 | 0x4:
		return middle ? 0x6031 : 0x0031; /* 10G, 1G, 100M; 5G, 2.5G */
	/* 10GBASE-T, 1000BASE-T, 100BASE-TX; more in register 21. */
	case MMD_PMA << 16 | 0xb: return middle ? 0x40a4 : 0x00a4;
	case MMD_PMA << 16 | 0x15: return middle ? 0x0003 : 0; /* 2.5GBASE-T, 5GBASE-T */
	case MMD_AN << 16 | 0x0: return 0x1000;
	case MMD_AN << 16 | 0x1: return status(card);
	case MMD_AN << 16 | 0x10: return phy->advertise;
	case MMD_AN << 16 | 0x13: return ixgbe_link(card) ? 0x0c01 : 0;
	case MMD_AN << 16 | 0x20: return phy->advertise_10g;
	case MMD_AN << 16 | 0x21: return ixgbe_link(card) ? 0x7c00 : 0;
	case MMD_AN << 16 | 0xc400: return phy->provision;
	case MMD_AN << 16 | 0xc800: return ixgbe_link(card) ? 0x0007 : 0; /* 10 Gbit/s, full */
	case MMD_AN << 16 | 0xe820: return ixgbe_link(card) ? 0x8800 : 0;
	case MMD_VENDOR << 16 | 0x0: return phy->low_power ? 0x0800 : 0;
	case MMD_VENDOR << 16 | 0x1: return ixgbe_link(card) ? 0x0008 : 0;
	case MMD_VENDOR << 16 | 0xcc02: return 0x0003; /* the PHY has left its reset */
	default: return 0;
	}
}

static void phy_write(struct ixgbe *card, unsigned mmd, unsigned reg, uint16_t value)
{
	struct ixgbe_phy *phy = &card->phy;

	switch (mmd << 16 | reg) {
	case MMD_AN << 16 | 0x10: phy->advertise = value; break;
	case MMD_AN << 16 | 0x20: phy->advertise_10g = value; break;
	case MMD_AN << 16 | 0xc400: phy->provision = value; break;
	case MMD_VENDOR << 16 | 0x0:
		phy->low_power = (value & 0x0800) != 0;
		ixgbe_link_changed(card);
		break;
	default: break; /* the other controls have nothing to control here */
	}
}

/* An MDIO command ends at once. Operations: 0 address, 1 write, 2 read and increment, 3 read. */
void ixgbe_write_msca(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	unsigned operation = (value >> 26) & 3, mmd = (value >> 16) & 0x1f;
	bool ours = card->model->media == MEDIA_COPPER && ((value >> 21) & 0x1f) == PHY_ADDRESS &&
		    (value & 0x30000000) == 0;
	uint32_t *data = ixgbe_reg(card, MSRWD);

	if (!(value & MSCA_COMMAND))
		return;
	*ixgbe_reg(card, offset) &= ~MSCA_COMMAND;
	if (operation == 0) {
		card->phy.address = (uint16_t)value;
		return;
	}
	if (operation == 1) {
		if (ours)
			phy_write(card, mmd, card->phy.address, (uint16_t)*data);
		return;
	}
	*data = (*data & 0xffff) |
		(ours ? (uint32_t)phy_read(card, mmd, card->phy.address) << 16 : 0xffff0000);
	if (operation == 2)
		card->phy.address++;
}
