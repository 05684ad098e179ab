/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Link and PHY. The PHY negotiates by itself and the MAC follows it; a link that is up is left
 * alone, and one that is down when the driver starts is negotiated once more: an earlier driver may
 * have powered the PHY down.
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"

/* Limits of our own, each twice what Linux waits. */
#define MDIO_US 1000u
#define OCP_US  4000u
#define DP_US   200000u
#define ERI_US  20000u
#define GAP_US  20u    /* from one cycle to the next, as the datasheet has it */
#define WAKE_US 20000u /* as Linux waits */

/* IEEE 802.3 clause 22 */
#define BMCR          0u
#define BMCR_RESTART  0x0200u
#define BMCR_ISOLATE  0x0400u
#define BMCR_POWEROFF 0x0800u
#define BMCR_AUTONEG  0x1000u
#define PHY_PAGE      31u

/* Realtek's own: register 0x0E of page 0 powers the PHY's other half. */
#define PHY_POWER 14u

/* --- a register of the PHY, in each of four ways; a read leaves its value in *value --- */

static int mdio(struct rtl8168 *dev, unsigned reg, uint32_t write, uint16_t *value)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rc;

	/* The flag is written for a write and gone when it is done; a read's comes then. */
	reg_write(bar, PHYAR, write | reg << PHYAR_REG_SHIFT | *value);
	rc = reg_poll(bar, PHYAR, PHYAR_FLAG, write ? 0 : PHYAR_FLAG, MDIO_US);
	if (!rc && !write)
		*value = (uint16_t)reg_read(bar, PHYAR);
	pci_delay_us(GAP_US);
	return rc;
}

static int mdio_gated(struct rtl8168 *dev, unsigned reg, uint32_t write, uint16_t *value)
{
	int rc;

	reg_clear(&dev->nic.bar, DP_MDIO, DP_MDIO_OFF);
	rc = mdio(dev, reg, write, value);
	reg_set(&dev->nic.bar, DP_MDIO, DP_MDIO_OFF);
	return rc;
}

static int ocp_gated(struct rtl8168 *dev, unsigned reg, uint32_t write, uint16_t *value)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rc;

	reg_write(bar, OCPDR, (write ? OCPDR_WRITE | *value : 0) | reg << PHYAR_REG_SHIFT);
	reg_write(bar, OCPAR, OCPAR_PHY_WRITE);
	reg_write(bar, EPHY_RXER, 0);
	rc = reg_poll(bar, OCPAR, OCPAR_FLAG, 0, DP_US);
	if (rc || write)
		return rc;
	pci_delay_us(1000);
	reg_write(bar, OCPAR, OCPAR_PHY_READ);
	reg_write(bar, EPHY_RXER, 0);
	rc = reg_poll(bar, OCPAR, OCPAR_FLAG, OCPAR_FLAG, DP_US);
	*value = (uint16_t)reg_read(bar, OCPDR);
	return rc;
}

static int ocp(struct rtl8168 *dev, unsigned reg, uint32_t write, uint16_t *value)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rc;

	if (reg == PHY_PAGE) /* there are none */
		return 0;
	reg_write(bar, GPHY_OCP, write | (GPHY_BASE + 2 * reg) << OCP_REG_SHIFT | *value);
	rc = reg_poll(bar, GPHY_OCP, PHYAR_FLAG, write ? 0 : PHYAR_FLAG, MDIO_US);
	if (!rc && !write)
		*value = (uint16_t)reg_read(bar, GPHY_OCP);
	return rc;
}

static int phy(struct rtl8168 *dev, unsigned reg, uint32_t write, uint16_t *value)
{
	switch (dev->model->phy) {
	case PHY_MDIO_GATED: return mdio_gated(dev, reg, write, value);
	case PHY_OCP_GATED: return ocp_gated(dev, reg, write, value);
	case PHY_OCP: return ocp(dev, reg, write, value);
	default: return mdio(dev, reg, write, value);
	}
}

static int phy_write(struct rtl8168 *dev, unsigned reg, uint16_t value)
{
	return phy(dev, reg, PHYAR_FLAG, &value);
}

/* --- negotiation --- */

static int negotiate(struct rtl8168 *dev)
{
	uint16_t control = 0;
	int rc = phy_write(dev, PHY_PAGE, 0);

	if (!rc)
		rc = phy_write(dev, PHY_POWER, 0);
	if (!rc)
		rc = phy(dev, BMCR, 0, &control);
	if (rc)
		return rc;
	control &= (uint16_t) ~(BMCR_ISOLATE | BMCR_POWEROFF);
	return phy_write(dev, BMCR, control | BMCR_AUTONEG | BMCR_RESTART);
}

/* What an earlier driver switched off (Linux does, on its way out). Where nothing answers the
 * negotiation tells.
 */
static void power_up(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;

	reg_write8(bar, PMCH, reg_read8(bar, PMCH) | dev->model->pmch);
	if (dev->model->quirks & QUIRK_ERI_POWER) {
		reg_write(bar, ERIAR, ERIAR_ALL | ERI_POWER);
		if (!reg_poll(bar, ERIAR, ERIAR_FLAG, ERIAR_FLAG, ERI_US)) {
			reg_write(bar, ERIDR, rtl8168_read_sure(dev, ERIDR) | ERI_POWER_ON);
			reg_write(bar, ERIAR, ERIAR_FLAG | ERIAR_ALL | ERI_POWER);
			(void)reg_poll(bar, ERIAR, ERIAR_FLAG, 0, ERI_US);
		}
	}
	pci_delay_us(WAKE_US);
}

int rtl8168_link_start(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rc;

	if (reg_read8(bar, PHYSTATUS) & PHYSTATUS_LINK)
		return 0;
	if (dev->model->pmch)
		power_up(dev);
	rc = negotiate(dev);
	if (rc == -ETIMEDOUT)
		return nic_fail(&dev->nic, rc, "its PHY does not answer (PHYAR, 0x60)");
	return rc;
}

int rtl8168_link(struct nic *nic, struct nic_link *link)
{
	uint8_t status = reg_read8(&nic->bar, PHYSTATUS);

	*link = (struct nic_link){0};
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (status & PHYSTATUS_LINK)
		*link = (struct nic_link){true, status & PHYSTATUS_1000  ? 1000
						: status & PHYSTATUS_100 ? 100
									 : 10};
	return 0;
}

/* --- the management processor of an 8168DP --- */

bool rtl8168_dash(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	uint32_t reg = dev->model->xid == 0x28B ? 0xB8 : 0x10;

	reg_write(bar, OCPAR, OCPAR_ALL | reg);
	if (reg_poll(bar, OCPAR, OCPAR_FLAG, OCPAR_FLAG, OCP_US))
		return false; /* nobody is at home */
	return rtl8168_read_sure(dev, OCPDR) & BIT(15);
}
