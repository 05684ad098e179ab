/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cards that the driver knows, and how its models differ.
 *
 * Which bits of TCR make a model, and what each needs, are as Linux's r8169 and FreeBSD's re(4)
 * have them; that models after the 8168B receive a frame into one buffer alone is FreeBSD's word.
 * From the 8168D on Linux also loads firmware into the PHY of many, which makes it better with bad
 * cables: all go without, and without the PHYs' tables of analog settings.
 */
#include "nic/rtl8168/rtl8168.h"

#define VENDOR 0x10EC

/* How much the receiver reads and writes at a time. */
#define RCR_B (RCR_THRESHOLD | RCR_BURST)
#define RCR_C (RCR_128 | RCR_MULTIPLE | RCR_BURST)
#define RCR_D (RCR_128 | RCR_BURST)
#define RCR_G (RCR_C | RCR_EARLY_OFF)

#define MTPS_MOST  0x3F
#define MTPS_EARLY 0x27

static const struct rtl8168_model models[] = {
	{0x7C8, 0x300, "Realtek RTL8168B", RCR_B, PHY_MDIO, 0, STOP_REQUEST, JUMBO_ALWAYS,
		MTPS_MOST, QUIRK_INTX | QUIRK_CHAINS | QUIRK_NARROW | QUIRK_OVERFLOW},
	{0x7C8, 0x380, "Realtek RTL8168B", RCR_B, PHY_MDIO, 0, STOP_REQUEST, JUMBO_B, MTPS_MOST,
		QUIRK_INTX | QUIRK_CHAINS | QUIRK_NARROW},
	{0x7C8, 0x3C0, "Realtek RTL8168C", RCR_C, PHY_MDIO, 0, STOP_REQUEST, JUMBO_C, MTPS_MOST, 0},
	{0x7C8, 0x3C8, "Realtek RTL8168CP", RCR_C, PHY_MDIO, 0, STOP_REQUEST, JUMBO_C, MTPS_MOST,
		0},
	{0x7C8, 0x280, "Realtek RTL8168D", RCR_D, PHY_MDIO, 0x80, STOP_REQUEST, JUMBO_C, MTPS_MOST,
		0},
	{0x7CF, 0x288, "Realtek RTL8168DP", RCR_D, PHY_OCP_GATED, 0x80, STOP_POLL, JUMBO_DP,
		MTPS_MOST, QUIRK_DASH},
	{0x7CF, 0x28A, "Realtek RTL8168DP", RCR_D, PHY_MDIO_GATED, 0x80, STOP_POLL, JUMBO_DP,
		MTPS_MOST, QUIRK_DASH},
	{0x7CF, 0x28B, "Realtek RTL8168DP", RCR_D, PHY_MDIO_GATED, 0x80, STOP_POLL, JUMBO_E,
		MTPS_MOST, QUIRK_DASH},
	{0x7C8, 0x2C0, "Realtek RTL8168E", RCR_D, PHY_MDIO, 0x80, STOP_REQUEST, JUMBO_E, MTPS_MOST,
		0},
	{0x7C8, 0x2C8, "Realtek RTL8168E-VL", RCR_C, PHY_MDIO, 0, STOP_EMPTY, JUMBO_ALWAYS,
		MTPS_EARLY, QUIRK_PAD},
	{0x7CF, 0x480, "Realtek RTL8168F", RCR_C, PHY_MDIO, 0, STOP_EMPTY, JUMBO_ALWAYS, MTPS_EARLY,
		QUIRK_ALL_GROUPS},
	{0x7CF, 0x481, "Realtek RTL8168F", RCR_C, PHY_MDIO, 0, STOP_EMPTY, JUMBO_ALWAYS, MTPS_EARLY,
		0},
	{0x7C8, 0x488, "Realtek RTL8411", RCR_C, PHY_MDIO, 0, STOP_EMPTY, JUMBO_ALWAYS, MTPS_EARLY,
		0},
	{0x7CE, 0x4C0, "Realtek RTL8168G", RCR_G, PHY_OCP, 0xC0, STOP_EMPTY, JUMBO_ALWAYS,
		MTPS_EARLY, QUIRK_TAKEN | QUIRK_ERI_POWER},
	{0x7CF, 0x509, "Realtek RTL8168GU", RCR_G, PHY_OCP, 0xC0, STOP_EMPTY, JUMBO_ALWAYS,
		MTPS_EARLY, QUIRK_TAKEN},
	{0x7CF, 0x5C8, "Realtek RTL8411B", RCR_G, PHY_OCP, 0xC0, STOP_EMPTY, JUMBO_ALWAYS,
		MTPS_EARLY, QUIRK_TAKEN},
	{0x7CE, 0x540, "Realtek RTL8168H", RCR_G, PHY_OCP, 0xC0, STOP_EMPTY, JUMBO_ALWAYS,
		MTPS_EARLY, QUIRK_TAKEN},
	/* A second MAC of their management processor's would have to be stopped first. */
	{0x7CC, 0x500, "Realtek RTL8168EP", .quirks = QUIRK_REFUSED},
	{0x7CF, 0x54A, "Realtek RTL8168FP", .quirks = QUIRK_REFUSED},
};

const struct rtl8168_model *rtl8168_find_model(uint32_t tcr)
{
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if ((tcr >> TCR_XID_SHIFT & models[i].mask) == models[i].xid)
			return &models[i];
	return NULL;
}

bool rtl8168_serves(const struct pci_id *id, const char **why)
{
	if (id->vendor != VENDOR)
		return false;
	if (id->device == 0x8168 || id->device == 0x8161)
		return true;
	if (id->device == 0x8136)
		*why = "a card of 100 Mbit/s of the family, which rtl8168 does not drive";
	if (id->device == 0x8125)
		*why = "another family of 2.5 Gbit/s, which rtl8168 does not drive";
	return false;
}
