/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Link and PHY. The link is configured by the EEPROM and comes up by itself; what is done here
 * undoes what an earlier driver may have left behind, and fits an 82599 to the module in its cage,
 * at the start and whenever that changes. A link that is up, or that manageability firmware vetoes
 * touching (MMNGC), is left alone.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

#define MDIO_US       10000u /* a command takes some 50 us at 2.5 MHz */
#define PHY_ADDRESSES 32u

/* IEEE 802.3 clause 45 */
#define MDIO_PMA_PMD       1u
#define MDIO_PMA_PMD_ID    2u
#define MDIO_VENDOR_1      30u
#define MDIO_VENDOR_1_CTRL 0u
#define PHY_LOW_POWER      0x0800u /* of the X540's and X550's PHY: Linux sets it on closing */

/* One clause 45 access: an address cycle, then a read or write cycle (82599 datasheet 3.7.5). */
static int mdio(struct ixgbe *dev, uint32_t where, uint32_t cycle)
{
	int rc;

	reg_write(&dev->nic.bar, MSCA, where | MSCA_ADDRESS | MSCA_COMMAND);
	rc = nic_wait(&dev->nic, MSCA, MSCA_COMMAND, 0, MDIO_US,
		"an MDIO address cycle did not end", "MSCA.MDI_CMD, 82599 datasheet 8.2.3.22.11");
	if (rc)
		return rc;
	reg_write(&dev->nic.bar, MSCA, where | cycle | MSCA_COMMAND);
	return nic_wait(&dev->nic, MSCA, MSCA_COMMAND, 0, MDIO_US, "an MDIO cycle did not end",
		"MSCA.MDI_CMD, 82599 datasheet 8.2.3.22.11");
}

static uint32_t mdio_where(unsigned phy, uint32_t device, uint32_t reg)
{
	return phy << MSCA_PHY_SHIFT | device << MSCA_DEVICE_SHIFT | reg;
}

static int mdio_read(
	struct ixgbe *dev, unsigned phy, uint32_t device, uint32_t reg, uint16_t *value)
{
	int rc = mdio(dev, mdio_where(phy, device, reg), MSCA_READ);

	if (!rc)
		*value = (uint16_t)(reg_read(&dev->nic.bar, MSRWD) >> MSRWD_READ_SHIFT);
	return rc;
}

/* Wakes the copper PHY. Where none answers there is nothing to do. */
static int wake_phy(struct ixgbe *dev)
{
	uint16_t value = 0;
	unsigned phy;
	int rc;

	for (phy = 0; phy < PHY_ADDRESSES; phy++) {
		rc = mdio_read(dev, phy, MDIO_PMA_PMD, MDIO_PMA_PMD_ID, &value);
		if (rc)
			return rc;
		if (value != 0 && value != 0xFFFF)
			break;
	}
	if (phy == PHY_ADDRESSES)
		return 0;
	rc = mdio_read(dev, phy, MDIO_VENDOR_1, MDIO_VENDOR_1_CTRL, &value);
	if (rc || value == 0xFFFF || !(value & PHY_LOW_POWER))
		return rc;
	reg_write(&dev->nic.bar, MSRWD, value & ~PHY_LOW_POWER);
	return mdio(dev, mdio_where(phy, MDIO_VENDOR_1, MDIO_VENDOR_1_CTRL), MSCA_WRITE);
}

static int start_copper(struct ixgbe *dev)
{
	uint32_t resource = dev->port ? SYNC_PHY1 : SYNC_PHY0;
	int rc = ixgbe_sync_acquire(dev, resource);

	if (rc)
		return rc;
	rc = wake_phy(dev);
	ixgbe_sync_release(dev, resource);
	return rc;
}

/* Restarts the 82599's link (82599 datasheet 4.6.4.2). Silicon differs: a restart while the state
 * machine is in its first state is lost, so Linux toggles the highest bit of the link mode with the
 * first restart, waits until the state moved on, and restarts with the true mode. Nor is it an
 * error where the state stays: there may be no module or no partner, which nic_link() tells.
 */
static void restart_82599(struct ixgbe *dev, uint32_t autoc)
{
	reg_write(&dev->nic.bar, AUTOC, (autoc | AUTOC_RESTART_AN) ^ AUTOC_LMS_TOP);
	for (unsigned i = 0; i < 10 && !pci_gone(dev->nic.fn); i++) {
		pci_delay_us(4000);
		if (reg_read(&dev->nic.bar, ANLP1) & ANLP1_STATE_MASK)
			break;
	}
	reg_write(&dev->nic.bar, AUTOC, autoc | AUTOC_RESTART_AN);
}

/* LINKS as it is now: LINK_UP may latch low, so that a first read can be of the past. Linux's and
 * DPDK's drivers read twice, too.
 */
static uint32_t read_links(struct ixgbe *dev)
{
	(void)reg_read(&dev->nic.bar, LINKS);
	return reg_read(&dev->nic.bar, LINKS);
}

/* The transmitter, which SDP3 turns off where it is wired so: off and on, so that the other end
 * looks for the speed anew, or on: Linux turns it off when it leaves a card.
 */
static void light(struct ixgbe *dev, bool flap)
{
	if (!(reg_read(&dev->nic.bar, ESDP) & ESDP_SDP3_OUT))
		return;
	if (flap) {
		reg_set(&dev->nic.bar, ESDP, ESDP_SDP3);
		pci_delay_us(100); /* as Linux waits */
	}
	reg_clear(&dev->nic.bar, ESDP, ESDP_SDP3);
}

/* Tells a module of two speeds which one (SDP5, as Linux has it wired). */
static void select_rate(struct ixgbe *dev, bool slow)
{
	uint32_t esdp = reg_read(&dev->nic.bar, ESDP) | ESDP_SDP5 | ESDP_SDP5_OUT;

	reg_write(&dev->nic.bar, ESDP, slow ? esdp & ~ESDP_SDP5 : esdp);
	pci_delay_us(40000); /* Linux: it changes its analog side */
}

/* Sets an 82599's link up: 10 or 1 Gbit/s over SFI where it has optics or a cage (8.2.3.22.19,
 * 8.2.3.22.22), as its EEPROM says elsewhere.
 */
static int set_mode(struct ixgbe *dev, bool slow)
{
	enum ixgbe_media media = dev->model->media;
	bool sfi = media == IXGBE_SFP || media == IXGBE_QSFP || media == IXGBE_LCO;
	uint32_t autoc;
	uint32_t autoc2;
	int rc;

	if (dev->module.dual)
		select_rate(dev, slow);
	/* AUTOC is written by firmware too (link establishment, 82599 datasheet 3.7.4.5). */
	rc = ixgbe_sync_acquire(dev, SYNC_MAC_CSR);
	if (rc)
		return rc;
	autoc = reg_read(&dev->nic.bar, AUTOC);
	autoc2 = reg_read(&dev->nic.bar, AUTOC2) & ~AUTOC2_LINK_DISABLE;
	if (sfi) {
		autoc &= ~(AUTOC_LMS_MASK | (slow ? AUTOC_1G_KX : 0));
		autoc |= slow ? AUTOC_LMS_1G_AN : AUTOC_LMS_10G_SERIAL;
		autoc2 = (autoc2 & ~AUTOC2_SERIAL_MASK) | AUTOC2_SERIAL_SFI;
		light(dev, dev->module.dual);
	}
	reg_write(&dev->nic.bar, AUTOC2, autoc2);
	restart_82599(dev, autoc);
	ixgbe_sync_release(dev, SYNC_MAC_CSR);
	dev->link.slow = slow;
	return 0;
}

/* For the module that there is. One that cannot be used stays dark. */
static int set_up(struct ixgbe *dev)
{
	int rc = 0;

	dev->link.looks = 0;
	switch (dev->module.kind) {
	case IXGBE_MODULE_ABSENT: break;
	case IXGBE_MODULE_UNKNOWN:
		if (reg_read(&dev->nic.bar, ESDP) & ESDP_SDP3_OUT)
			reg_set(&dev->nic.bar, ESDP, ESDP_SDP3);
		break;
	case IXGBE_MODULE_UNREAD:
	case IXGBE_MODULE_UNREADABLE: rc = set_mode(dev, false); break;
	default:
		rc = ixgbe_sfp_prepare(dev);
		if (!rc)
			rc = set_mode(dev, ixgbe_sfp_slow(&dev->module));
		break;
	}
	dev->link.set_up = !rc;
	return rc;
}

static int start_82599(struct ixgbe *dev)
{
	int rc = ixgbe_has_cage(dev) ? ixgbe_sfp_identify(dev) : 0;

	if (rc)
		return rc;
	dev->link.was_up = (read_links(dev) & LINKS_UP) && dev->module.kind != IXGBE_MODULE_UNKNOWN;
	dev->link.set_up = dev->link.was_up;
	return dev->link.was_up ? 0 : set_up(dev);
}

static bool is_vetoed(struct ixgbe *dev)
{
	return reg_read(&dev->nic.bar, MMNGC) & MMNGC_MNG_VETO;
}

int ixgbe_link_start(struct ixgbe *dev)
{
	if (is_vetoed(dev))
		return 0;
	switch (dev->model->family) {
	case IXGBE_82599: return start_82599(dev);
	case IXGBE_X540:
	case IXGBE_X550: return start_copper(dev);
	default: return 0; /* X550EM: its firmware's */
	}
}

void ixgbe_link_renew(struct ixgbe *dev)
{
	const struct ixgbe_module before = dev->module;

	/* What fails is tried again at the next look. */
	if (is_vetoed(dev) || ixgbe_sfp_identify(dev))
		return;
	if (dev->module.kind != before.kind || dev->module.dual != before.dual)
		dev->link.set_up = false;
	if (!dev->link.set_up)
		(void)set_up(dev);
}

/* A module of two speeds that sees light and has no link may be at the wrong one: each fourth look
 * is at 1 Gbit/s. Two ends that both do so meet at 10 Gbit/s, whenever each began.
 */
#define SPEED_LOOKS 4u

static void try_speeds(struct ixgbe *dev)
{
	bool slow;

	dev->link.looks = ixgbe_sfp_lit(dev) ? dev->link.looks + 1 : 0;
	slow = dev->link.looks % SPEED_LOOKS == SPEED_LOOKS - 1;
	if (slow != dev->link.slow)
		(void)set_mode(dev, slow);
}

/* In an empty cage the card may take the crosstalk of its own lines for a link (Linux). */
static bool is_up(struct ixgbe *dev, uint32_t links)
{
	return (links & LINKS_UP) && (dev->module.kind != IXGBE_MODULE_ABSENT ||
					     (reg_read(&dev->nic.bar, ESDP) & ESDP_SDP2));
}

void ixgbe_link_check(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);
	bool was_up = dev->link.was_up;

	if (!ixgbe_has_cage(dev))
		return;
	dev->link.was_up = is_up(dev, read_links(dev));
	if ((dev->link.was_up && dev->module.kind != IXGBE_MODULE_ABSENT) || is_vetoed(dev))
		return;
	/* Interrupts may be lost, or off, and not every board tells of modules by SDP2. */
	if (was_up || !dev->link.set_up || !ixgbe_sfp_same(dev))
		ixgbe_link_renew(dev);
	else if (dev->module.dual)
		try_speeds(dev);
}

void ixgbe_module(const struct nic *nic, struct nic_module *module)
{
	const struct ixgbe *dev = (const struct ixgbe *)nic;

	*module = (struct nic_module){dev->module.trouble, dev->module.text};
}

int ixgbe_link(struct nic *nic, struct nic_link *link)
{
	static const uint32_t mbit[] = {10, 100, 1000, 10000};
	struct ixgbe *dev = ixgbe_of(nic);
	uint32_t links = read_links(dev);
	uint32_t speed = (links >> LINKS_SPEED_SHIFT) & LINKS_SPEED_MASK;

	*link = (struct nic_link){0};
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (!is_up(dev, links))
		return 0;
	link->up = true;
	link->mbit = mbit[speed];
	if (dev->model->family >= IXGBE_X550 && (links & LINKS_SPEED_OTHER)) {
		if (speed == 3)
			link->mbit = 2500;
		else if (speed == 1)
			link->mbit = 5000;
	}
	return 0;
}
