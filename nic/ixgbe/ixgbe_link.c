/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Link and PHY. The link is configured by the EEPROM and comes up by itself; what is done here
 * undoes what an earlier driver may have left behind. A link that is up, or that manageability
 * firmware vetoes touching (MMNGC), is left alone, and none is ever reset while the card runs.
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

static int start_82599(struct ixgbe *dev)
{
	bool optical = dev->model->media == IXGBE_SFP || dev->model->media == IXGBE_QSFP;
	uint32_t autoc;
	uint32_t autoc2;
	int rc;

	if (read_links(dev) & LINKS_UP)
		return 0;
	/* AUTOC is written by firmware too (link establishment, 82599 datasheet 3.7.4.5). */
	rc = ixgbe_sync_acquire(dev, SYNC_MAC_CSR);
	if (rc)
		return rc;
	autoc = reg_read(&dev->nic.bar, AUTOC);
	autoc2 = reg_read(&dev->nic.bar, AUTOC2) & ~AUTOC2_LINK_DISABLE;
	if (optical) {
		/* 10 Gbit/s serial over SFI (8.2.3.22.19, 8.2.3.22.22); the transmitter on: Linux
		 * turns it off with SDP3 when it leaves a card.
		 */
		autoc = (autoc & ~AUTOC_LMS_MASK) | AUTOC_LMS_10G_SERIAL;
		autoc2 = (autoc2 & ~AUTOC2_SERIAL_MASK) | AUTOC2_SERIAL_SFI;
		if (reg_read(&dev->nic.bar, ESDP) & ESDP_SDP3_OUT)
			reg_clear(&dev->nic.bar, ESDP, ESDP_SDP3);
	}
	reg_write(&dev->nic.bar, AUTOC2, autoc2);
	restart_82599(dev, autoc);
	ixgbe_sync_release(dev, SYNC_MAC_CSR);
	return 0;
}

int ixgbe_link_start(struct ixgbe *dev)
{
	if (reg_read(&dev->nic.bar, MMNGC) & MMNGC_MNG_VETO)
		return 0;
	switch (dev->model->family) {
	case IXGBE_82599: return start_82599(dev);
	case IXGBE_X540:
	case IXGBE_X550: return start_copper(dev);
	default: return 0; /* X550EM: its firmware's */
	}
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
	if (!(links & LINKS_UP))
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
