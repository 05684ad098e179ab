/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From whatever state a card is in to one that runs, and back to one that is quiet.
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"

/* Limits of our own, where nobody sets one. */
#define RESET_US 10000u /* as Linux waits */
#define EMPTY_US 10000u /* of what a queue that was stopped has left */
#define STOP_US  100u   /* as Linux waits */
#define LIST_US  5000u

/* --- reset --- */

/* The receiver takes nothing more, and what is in the card goes out, if the link lets it. None of
 * it is worth an error: the reset comes all the same.
 */
static void calm(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;

	reg_clear(bar, RCR, RCR_ACCEPT);
	if (dev->model->quirks & QUIRK_TAKEN)
		reg_set(bar, MISC, MISC_RXDV_GATED);
	switch (dev->model->stop) {
	case STOP_POLL: (void)reg_poll8(bar, TPPOLL, TPPOLL_NPQ, 0, EMPTY_US); break;
	case STOP_EMPTY:
		reg_write8(bar, CR, reg_read8(bar, CR) | CR_STOP);
		(void)reg_poll(bar, TCR, TCR_EMPTY, TCR_EMPTY, EMPTY_US);
		break;
	default:
		reg_write8(bar, CR, reg_read8(bar, CR) | CR_STOP);
		pci_delay_us(STOP_US);
		break;
	}
}

/* The PHY and its link stay as they are, and so do address and interrupt mask. */
int rtl8168_reset(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	uint16_t mask = reg_read16(bar, IMR);
	int rc;

	calm(dev);
	reg_write8(bar, CR, CR_RST);
	/* One that the card has not heard shows by what it leaves enabled. */
	rc = reg_poll8(bar, CR, CR_RST | CR_RE | CR_TE, 0, RESET_US);
	if (rc == -ETIMEDOUT)
		return nic_fail(&dev->nic, rc,
			"reset did not end within %u ms (CR, 0x37): power-cycle the card",
			RESET_US / 1000);
	if (!rc)
		reg_write16(bar, IMR, mask == UINT16_MAX ? 0 : mask);
	return rc;
}

uint32_t rtl8168_read_sure(struct rtl8168 *dev, uint32_t reg)
{
	uint32_t value = reg_read(&dev->nic.bar, reg);

	return value == UINT32_MAX ? reg_read(&dev->nic.bar, reg) : value;
}

/* Register `reg` of the MAC, behind OCPDR. */
static void change_mac(struct rtl8168 *dev, uint32_t reg, uint32_t clear, uint32_t set)
{
	const struct pci_bar *bar = &dev->nic.bar;
	uint32_t value;

	reg_write(bar, OCPDR, reg << OCP_REG_SHIFT);
	value = reg_read(bar, OCPDR) & UINT16_MAX;
	reg_write(bar, OCPDR, OCPDR_WRITE | reg << OCP_REG_SHIFT | ((value & ~clear) | set));
}

/* From the 8168G on firmware has the card while no driver does, to be woken by a frame. What of it
 * takes long is not waited for: some firmware is not there.
 */
static void take(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;

	reg_set(bar, MISC, MISC_RXDV_GATED);
	(void)reg_poll8(bar, MCU, MCU_EMPTY, MCU_EMPTY, LIST_US);
	reg_write8(bar, CR, reg_read8(bar, CR) & (uint8_t) ~(CR_TE | CR_RE));
	reg_write8(bar, MCU, reg_read8(bar, MCU) & (uint8_t)~MCU_OOB);
	change_mac(dev, MAC_LIST, MAC_LIST_OLD, 0);
	(void)reg_poll8(bar, MCU, MCU_LIST_READY, MCU_LIST_READY, LIST_US);
	change_mac(dev, MAC_LIST, 0, MAC_LIST_NEW);
	(void)reg_poll8(bar, MCU, MCU_LIST_READY, MCU_LIST_READY, LIST_US);
}

/* The card has read it from its EEPROM. */
static int read_mac(struct rtl8168 *dev)
{
	uint32_t low = rtl8168_read_sure(dev, IDR0);
	uint32_t high = rtl8168_read_sure(dev, IDR4);

	for (unsigned i = 0; i < 6; i++)
		dev->nic.mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	/* An address of one station (IEEE 802.3, 3.2.3), and none that is all zero. */
	if ((dev->nic.mac[0] & 1) || (low == 0 && (high & UINT16_MAX) == 0))
		return nic_fail(&dev->nic, -EIO, "no valid MAC address in its EEPROM (IDR0, 0x00)");
	return 0;
}

/* --- start and stop --- */

static int start(struct nic *nic)
{
	struct rtl8168 *dev = rtl8168_of(nic);
	int rc;

	rtl8168_irq_mask(dev);
	if ((dev->model->quirks & QUIRK_DASH) && rtl8168_dash(dev))
		return nic_fail(nic, -EBUSY,
			"its management processor (DASH) is at work: switch it off in the "
			"firmware's setup");
	if (dev->model->quirks & QUIRK_TAKEN)
		take(dev);
	rc = rtl8168_reset(dev);
	if (!rc)
		rc = read_mac(dev);
	if (!rc)
		rc = rtl8168_link_start(dev);
	if (rc)
		return rc;
	/* Now that no ring of an earlier driver is left, the card may reach memory. */
	rc = pci_set_bus_master(nic->fn, true);
	if (rc)
		return nic_fail(nic, rc, "bus mastering cannot be turned on");
	rc = rtl8168_queue_start(dev, nic->config.frames);
	if (rc)
		return rc;
	rtl8168_stats_clear(dev);
	return rtl8168_irq_start(dev);
}

/* Each wait is bounded, and what comes after it is done all the same: bus mastering goes off. */
static void stop(struct nic *nic)
{
	struct pci_error unread;

	nic->why = &unread;
	rtl8168_irq_stop(rtl8168_of(nic));
	(void)rtl8168_queue_stop(rtl8168_of(nic));
	(void)pci_set_bus_master(nic->fn, false);
}

/* --- books --- */

static int create(struct nic *nic)
{
	struct rtl8168 *dev = rtl8168_of(nic);
	uint32_t tcr = rtl8168_read_sure(dev, TCR);

	if (pci_gone(nic->fn))
		return nic_fail(nic, -ENODEV, "the card is gone");
	dev->model = rtl8168_find_model(tcr);
	if (!dev->model)
		return nic_fail(nic, -ENOTSUP,
			"a model that it does not know (XID %03x, TxConfig 0x%08x): a newer one?",
			tcr >> TCR_XID_SHIFT & 0x7CF, tcr);
	if (dev->model->quirks & QUIRK_REFUSED)
		return nic_fail(nic, -ENOTSUP,
			"a %s, whose management processor has a part in it, is not driven",
			dev->model->name);
	nic->model = dev->model->name;
	nic->narrow = dev->model->quirks & QUIRK_NARROW;
	/* 4 KiB with header, tag and CRC. */
	nic->mtu_max = dev->model->quirks & QUIRK_CHAINS ? 4096 - 22 : NIC_MTU_ONE_BUFFER;
	if (nic->queues != 1)
		return nic_fail(nic, -EINVAL, "it has one queue pair, not %u", nic->queues);
	if (nic->config.rx_ring > DESCRIPTORS || nic->config.tx_ring > DESCRIPTORS)
		return nic_fail(nic, -EINVAL, "its rings have up to %u descriptors", DESCRIPTORS);
	if (nic->config.in_place)
		return nic_fail(nic, -ENOTSUP, "it does not forward in place");
	if (nic->config.pause || nic->config.drop != NIC_DROP_AUTO)
		return nic_fail(nic, -ENOTSUP, "it has no flow control here");
	return rtl8168_queue_create(dev);
}

static void destroy(struct nic *nic)
{
	rtl8168_queue_destroy(rtl8168_of(nic));
}

/* --- from one process to the next --- */

static int load(struct nic *nic)
{
	struct rtl8168 *dev = rtl8168_of(nic);
	int rc = rtl8168_state_load(dev);

	if (!rc)
		rc = rtl8168_state_compare(dev);
	return rc ? rc : read_mac(dev);
}

static int resume(struct nic *nic)
{
	struct rtl8168 *dev = rtl8168_of(nic);

	/* Off until armed: what the vector misses while it changes hands lies in the rings. */
	rtl8168_irq_mask(dev);
	rtl8168_filter_resume(dev);
	return rtl8168_irq_start(dev);
}

static void save(struct nic *nic)
{
	rtl8168_state_save(rtl8168_of(nic));
}

/* --- while it runs --- */

static int queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	(void)index;
	return rtl8168_queue_start(rtl8168_of(nic), frames);
}

static int queue_stop(struct nic *nic, unsigned index)
{
	struct pci_error unread;
	int rc;

	(void)index;
	nic->why = &unread;
	rc = rtl8168_queue_stop(rtl8168_of(nic));
	nic->why = NULL;
	return rc;
}

static void set_promiscuous(struct nic *nic)
{
	rtl8168_filter_write(rtl8168_of(nic));
}

static void set_mtu(struct nic *nic)
{
	rtl8168_write_mtu(rtl8168_of(nic));
}

const struct nic_driver rtl8168_driver = {
	.name = "rtl8168",
	.serves = rtl8168_serves,
	.size = sizeof(struct rtl8168),
	.bar = 2, /* BAR 0 has the same registers as I/O ports */
	.bar_bytes = 0x1000,
	.alive = TCR,
	.one_vector = true,
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.save = save,
	.load = load,
	.resume = resume,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.check = rtl8168_check,
	.irq_ack = rtl8168_irq_ack,
	.irq_arm = rtl8168_irq_arm,
	.irq_arm_queue = rtl8168_irq_arm_queue,
	.link = rtl8168_link,
	.stats = rtl8168_stats,
	.queue_stats = rtl8168_queue_stats,
	.set_promiscuous = set_promiscuous,
	.set_mtu = set_mtu,
	.set_addresses = rtl8168_set_addresses,
};
