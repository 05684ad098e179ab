/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Link and PHY. The PHY negotiates by itself and the MAC follows it; a link that is up is left
 * alone, and one that is down when the driver starts is negotiated once more: an earlier driver may
 * have left the PHY in any state.
 */
#include <errno.h>

#include "nic/e1000/e1000.h"

#define MDIC_US  10000u /* a cycle takes some 64 us (8254x 13.4.8) */
#define SYNC_US  50000u
#define SYNC_GAP 50u
#define PHY      1u /* of copper cards, inside or beside the MAC (8254x 13.4.8) */

/* IEEE 802.3 clause 22 */
#define BMCR          0u
#define BMCR_RESTART  0x0200u
#define BMCR_ISOLATE  0x0400u
#define BMCR_POWEROFF 0x0800u
#define BMCR_AUTONEG  0x1000u

/* --- the PHY is shared with firmware, and the 82576's semaphores with its other port --- */

/* Sets a bit that sticks when nobody else has it. */
static int take(struct e1000 *dev, uint32_t reg, uint32_t bit)
{
	for (unsigned us = 0; us < SYNC_US && !pci_gone(dev->nic.fn); us += SYNC_GAP) {
		reg_set(&dev->nic.bar, reg, bit);
		if (reg_read(&dev->nic.bar, reg) & bit)
			return 0;
		pci_delay_us(SYNC_GAP);
	}
	return -EBUSY;
}

/* 82576 datasheet 4.7.1: the semaphore around SW_FW_SYNC, which tells who has the PHY. */
static int lock_sync(struct e1000 *dev)
{
	/* Reading 0 takes SMBI; what is left of an owner that died is taken over. */
	(void)reg_poll(&dev->nic.bar, SWSM, SWSM_SMBI, 0, SYNC_US);
	return take(dev, SWSM, SWSM_SWESMBI);
}

static void unlock_sync(struct e1000 *dev)
{
	reg_clear(&dev->nic.bar, SWSM, SWSM_SMBI | SWSM_SWESMBI);
}

static uint32_t phy_bit(struct e1000 *dev)
{
	return reg_read(&dev->nic.bar, STATUS) & STATUS_LAN_ID ? SYNC_PHY1 : SYNC_PHY0;
}

static int own_phy_82576(struct e1000 *dev)
{
	uint32_t bit = phy_bit(dev);

	for (unsigned us = 0; us < SYNC_US; us += 1000) {
		int rc = lock_sync(dev);
		uint32_t sync;

		if (rc)
			return rc;
		sync = reg_read(&dev->nic.bar, SW_FW_SYNC);
		if (!(sync & (bit | bit << SYNC_FIRMWARE_SHIFT))) {
			reg_write(&dev->nic.bar, SW_FW_SYNC, sync | bit);
			unlock_sync(dev);
			return 0;
		}
		unlock_sync(dev);
		pci_delay_us(1000);
	}
	return -EBUSY;
}

int e1000_own_phy(struct e1000 *dev)
{
	switch (dev->model->family) {
	case E1000_82574: return take(dev, EXTCNF_CTRL, EXTCNF_MDIO_SW); /* 82574 4.6.4.1 */
	case E1000_82576: return own_phy_82576(dev);
	default: return 0;
	}
}

void e1000_disown_phy(struct e1000 *dev)
{
	switch (dev->model->family) {
	case E1000_82574: reg_clear(&dev->nic.bar, EXTCNF_CTRL, EXTCNF_MDIO_SW); break;
	case E1000_82576:
		if (lock_sync(dev) == 0) {
			reg_clear(&dev->nic.bar, SW_FW_SYNC, phy_bit(dev));
			unlock_sync(dev);
		}
		break;
	default: break;
	}
}

/* --- negotiation --- */

static int mdio(struct e1000 *dev, uint32_t command)
{
	int rc;

	reg_write(&dev->nic.bar, MDIC, command | PHY << MDIC_PHY_SHIFT);
	rc = reg_poll(&dev->nic.bar, MDIC, MDIC_READY, MDIC_READY, MDIC_US);
	if (rc)
		return rc;
	return reg_read(&dev->nic.bar, MDIC) & MDIC_ERROR ? -EIO : 0;
}

static int negotiate(struct e1000 *dev)
{
	uint32_t control;
	int rc = mdio(dev, BMCR << MDIC_REG_SHIFT | MDIC_OP_READ);

	if (rc)
		return rc;
	control = reg_read(&dev->nic.bar, MDIC) & MDIC_DATA_MASK & ~(BMCR_ISOLATE | BMCR_POWEROFF);
	return mdio(dev,
		BMCR << MDIC_REG_SHIFT | MDIC_OP_WRITE | control | BMCR_AUTONEG | BMCR_RESTART);
}

#define PAUSE_TIME 0xFFFFu /* in 512 bit times, 34 ms at 1 Gbit/s; a frame of 0 ends it */

void e1000_write_thresholds(struct e1000 *dev)
{
	uint32_t room = e1000_limits(dev->model)->buffer_kib * 1024;
	uint32_t high = room - (e1000_frame_max(dev->nic.config.mtu) + 4);

	if (!(dev->nic.config.pause & NIC_PAUSE_TX))
		return;
	/* What is on its way still has room: a tenth, or a whole frame (as Linux has it). The other
	 * end goes on when half of it is free. In steps of 16 bytes on the 82576, of 8 elsewhere.
	 */
	if (high > room / 10 * 9)
		high = room / 10 * 9;
	reg_write(&dev->nic.bar, FCRTL, FCRTL_XONE | (high / 2 & ~0xFu));
	reg_write(&dev->nic.bar, FCRTH, high & ~0xFu);
}

/* Flow control as configured (8254x 13.4.9 to 13.4.11, 13.4.36). By default it is off, so that a
 * slow program here does not stop its neighbours. Nothing is negotiated: both ends are set up
 * alike. What tells a pause frame is fixed in the standard (IEEE 802.3, annex 31B).
 */
static void init_flow_control(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	bool any = dev->nic.config.pause, sends = dev->nic.config.pause & NIC_PAUSE_TX;

	reg_write(bar, FCAL, any ? 0x00C28001 : 0);
	reg_write(bar, FCAH, any ? 0x0100 : 0);
	reg_write(bar, FCT, any ? 0x8808 : 0);
	reg_write(bar, FCTTV, sends ? PAUSE_TIME : 0);
	reg_write(bar, FCRTL, 0);
	reg_write(bar, FCRTH, 0);
	if (e1000_is(dev, E1000_82576))
		reg_write(bar, FCRTV, sends ? PAUSE_TIME / 2 : 0);
	e1000_write_thresholds(dev);
}

static void init_mac(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	uint32_t ctrl =
		reg_read(bar, CTRL) &
		~(CTRL_LRST | CTRL_ILOS | CTRL_FRCSPD | CTRL_FRCDPX | CTRL_RFCE | CTRL_TFCE |
			CTRL_VME | CTRL_PHY_RST | CTRL_RST | CTRL_GIO_MASTER_DISABLE);

	if (dev->nic.config.pause & NIC_PAUSE_RX)
		ctrl |= CTRL_RFCE;
	if (dev->nic.config.pause & NIC_PAUSE_TX)
		ctrl |= CTRL_TFCE;
	init_flow_control(dev);
	reg_write(bar, CTRL, ctrl | CTRL_SLU | CTRL_ASDE);
}

int e1000_link_start(struct e1000 *dev)
{
	int rc;

	init_mac(dev); /* 8254x 14.3.1 */
	if (reg_read(&dev->nic.bar, STATUS) & STATUS_LU)
		return 0;
	rc = e1000_own_phy(dev);
	if (rc == -EBUSY)
		return nic_fail(
			&dev->nic, rc, "firmware does not let go of the PHY: power-cycle the card");
	if (rc)
		return rc;
	rc = negotiate(dev);
	e1000_disown_phy(dev);
	if (rc == -ETIMEDOUT || rc == -EIO)
		return nic_fail(
			&dev->nic, rc, "its PHY does not answer (MDIC, 8254x manual 13.4.8)");
	return rc;
}

int e1000_link(struct nic *nic, struct nic_link *link)
{
	static const uint32_t mbit[] = {10, 100, 1000, 1000};
	uint32_t status = reg_read(&nic->bar, STATUS);

	*link = (struct nic_link){0};
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (status & STATUS_LU)
		*link = (struct nic_link){
			true, mbit[status >> STATUS_SPEED_SHIFT & STATUS_SPEED_MASK]};
	return 0;
}
