/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From whatever state a card is in to one that runs, and back to one that is quiet. The order is
 * that of the 8254x manual's chapter 14 (82574 datasheet 4.6, 82576 datasheet 4.5); each step names
 * its section, and where a model differs.
 */
#include <errno.h>

#include "nic/e1000/e1000.h"

/* Limits of our own, where no manual sets one. */
#define MASTER_US 80000u /* as Linux waits */
#define RESET_US  10000u
#define EEPROM_US 20000u

/* --- reset --- */

/* 82574 datasheet 5.4.1.1, master disable. One that does not end is for the reset to cut off. */
static void disable_master(struct e1000 *dev)
{
	if (dev->model->family == E1000_8254X)
		return;
	reg_set(&dev->nic.bar, CTRL, CTRL_GIO_MASTER_DISABLE);
	(void)reg_poll(&dev->nic.bar, STATUS, STATUS_GIO_MASTER, 0, MASTER_US);
}

/* 8254x 14.3, 82574 4.6.3. The PHY and its link stay as they are. */
static int reset(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	bool owned;
	int rc;

	e1000_irq_mask(dev);
	reg_write(bar, RCTL, 0);
	reg_write(bar, TCTL, TCTL_PSP);
	pci_delay_us(10000); /* what is under way ends (Linux waits as long) */
	/* How the packet buffer is divided holds from the reset on, and outlives it: a driver
	 * before may have left too little for a large frame to be sent (8254x 13.4.12).
	 */
	if (!e1000_is(dev, E1000_82576))
		reg_write(bar, PBA, e1000_limits(dev->model)->buffer_kib);
	disable_master(dev);
	/* Firmware must not be at the PHY when the MAC is reset (Linux, FreeBSD). One that does not
	 * let go is reset all the same.
	 */
	owned = e1000_is(dev, E1000_82574) && e1000_own_phy(dev) == 0;
	reg_set(bar, CTRL, CTRL_RST);
	/* No register is touched for a while: 1 us in the manuals, 5 ms where the EEPROM is read
	 * anew (Linux).
	 */
	pci_delay_us(5000);
	rc = nic_wait(&dev->nic, CTRL, CTRL_RST, 0, RESET_US, "reset did not end",
		"CTRL.RST, 8254x manual 13.4.1");
	if (owned)
		e1000_disown_phy(dev);
	if (rc)
		return rc;
	/* 8254x tell nobody when they have read their EEPROM: 20 ms (Linux). Whether it came to
	 * anything shows in the address.
	 */
	if (dev->model->family == E1000_8254X)
		pci_delay_us(EEPROM_US);
	else
		(void)reg_poll(bar, EECD, EECD_AUTO_RD, EECD_AUTO_RD, EEPROM_US);
	e1000_irq_mask(dev);
	return 0;
}

/* The 82574, after each reset: two bits that Linux and FreeBSD set. Without the second it may stop
 * sending, above all with ASPM, over completions that go wrong on the bus: an erratum, they say.
 */
static void work_round(struct e1000 *dev)
{
	if (!e1000_is(dev, E1000_82574))
		return;
	reg_set(&dev->nic.bar, GCR, GCR_22);
	reg_set(&dev->nic.bar, GCR2, GCR2_0);
}

/* The card has put the EEPROM's address into its first filter (8254x 13.5.2). */
static int read_mac(struct e1000 *dev)
{
	uint32_t low = reg_read(&dev->nic.bar, RAL(0));
	uint32_t high = reg_read(&dev->nic.bar, RAH(0));

	for (unsigned i = 0; i < 6; i++)
		dev->nic.mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	/* An address of one station (IEEE 802.3, 3.2.3), and none that is all zero. */
	if (!(high & RAH_AV) || (dev->nic.mac[0] & 1) || (low == 0 && (high & 0xFFFF) == 0))
		return nic_fail(&dev->nic, -EIO,
			"no valid MAC address in its EEPROM (RAL, RAH, 8254x manual 13.5.2)");
	return 0;
}

/* --- receive and transmit: 8254x 14.4, 14.5, 82574 4.6.5, 4.6.6, 82576 4.5.9, 4.5.10 --- */

static void init_receive(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;

	e1000_filter_start(dev);
	if (e1000_is(dev, E1000_82576)) {
		reg_write(bar, RFCTL, 0);
	} else {
		/* Written back at once, interrupts without delay: throttling bounds them. */
		reg_write(bar, RDTR, 0);
		reg_write(bar, RADV, 0);
	}
	/* Extended descriptors, which two queues want (82574 10.2.5.25), for one, too. */
	if (e1000_is(dev, E1000_82574))
		reg_write(bar, RFCTL, RFCTL_EXSTEN);
	if (!e1000_is(dev, E1000_8254X))
		reg_write(bar, MRQC, 0); /* all to queue 0 */
}

static void init_transmit(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;

	if (e1000_is(dev, E1000_82576))
		return;
	reg_write(bar, TIDV, 0);
	reg_write(bar, TADV, 0);
	/* 8254x 13.4.34, of copper: 10, 8 and 6 byte times. */
	reg_write(bar, TIPG, 10u | 8u << 10 | 6u << 20);
}

/* --- start and stop --- */

static int start(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);
	int rc = reset(dev);

	if (rc)
		return rc;
	work_round(dev);
	rc = read_mac(dev);
	if (rc)
		return rc;
	/* Tells firmware that a driver is there (82574 10.2.2.4). */
	if (dev->model->family != E1000_8254X)
		reg_set(&dev->nic.bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	rc = e1000_link_start(dev);
	if (rc)
		return rc;
	e1000_stats_clear(dev);
	init_receive(dev);
	init_transmit(dev);
	/* Now that no ring of an earlier driver is left, the card may reach memory. */
	rc = pci_set_bus_master(dev->nic.fn, true);
	if (rc)
		return nic_fail(&dev->nic, rc, "bus mastering cannot be turned on");
	for (unsigned i = 0; i < nic->queues; i++) {
		const struct dma_region *frames = nic_config_frames(&nic->config, i);

		rc = frames ? e1000_queue_start(dev, i, frames) : 0;
		if (rc)
			return rc;
	}
	e1000_rss_start(dev);
	e1000_run(dev);
	return e1000_irq_start(dev);
}

/* Each wait is bounded, and what comes after it is done all the same: bus mastering goes off. */
static void stop(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);

	e1000_irq_stop(dev);
	for (unsigned i = 0; i < nic->queues; i++)
		(void)e1000_queue_stop(dev, i);
	disable_master(dev);
	if (dev->model->family != E1000_8254X)
		reg_clear(&dev->nic.bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	(void)pci_set_bus_master(dev->nic.fn, false);
}

/* --- books --- */

static int create(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);
	const struct e1000_limits *limits;

	dev->model = e1000_find_model(pci_ident(nic->fn));
	nic->model = dev->model->name;
	/* Some hang when they send from above, unless on PCI-X (Linux): those can do without. */
	nic->narrow = e1000_is(dev, E1000_8254X);
	limits = e1000_limits(dev->model);
	nic->mtu_max = (uint16_t)(limits->frame - (e1000_frame_max(0) + 4));
	if (nic->mtu_max > NIC_MTU_MAX)
		nic->mtu_max = NIC_MTU_MAX;
	if (nic->queues > limits->queues)
		return nic_fail(nic, -EINVAL, "it has %u queue pair%s, not %u", limits->queues,
			limits->queues > 1 ? "s" : "", nic->queues);
	if (nic->config.in_place)
		return nic_fail(nic, -ENOTSUP, "it does not forward in place");
	if (nic->config.drop == NIC_DROP_ALWAYS && !e1000_is(dev, E1000_82576))
		return nic_fail(nic, -ENOTSUP, "it cannot drop what finds no buffer");
	for (unsigned i = 0; i < nic->queues; i++) {
		int rc = e1000_queue_create(dev, i);

		if (rc)
			return rc;
	}
	return 0;
}

static void destroy(struct nic *nic)
{
	for (unsigned i = 0; i < nic->queues; i++)
		e1000_queue_destroy(e1000_of(nic), i);
}

/* --- from one process to the next --- */

static int load(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);
	int rc = e1000_state_load(dev);

	if (!rc)
		rc = e1000_state_compare(dev);
	return rc ? rc : read_mac(dev);
}

static int resume(struct nic *nic)
{
	/* Off until armed: what the vectors miss while they change hands lies in the rings. */
	e1000_irq_mask(e1000_of(nic));
	return e1000_irq_start(e1000_of(nic));
}

static void save(struct nic *nic)
{
	e1000_state_save(e1000_of(nic));
}

/* --- while it runs --- */

static int queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	struct e1000 *dev = e1000_of(nic);
	int rc;

	e1000_halt(dev);
	rc = e1000_queue_start(dev, index, frames);
	if (rc)
		return rc;
	if (nic->queues > 1)
		e1000_rss_spread(dev);
	e1000_run(dev);
	return 0;
}

static int queue_stop(struct nic *nic, unsigned index)
{
	struct e1000 *dev = e1000_of(nic);

	/* First nothing more is led there. */
	nic->queue[index]->frames = NULL;
	if (nic->queues > 1)
		e1000_rss_spread(dev);
	return e1000_queue_stop(dev, index);
}

static void set_promiscuous(struct nic *nic)
{
	e1000_write_rctl(e1000_of(nic), e1000_any_runs(e1000_of(nic)));
}

static void set_mtu(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);

	for (unsigned i = 0; i < nic->queues; i++)
		e1000_queue_set_mtu(e1000_queue(nic->queue[i]), nic->config.mtu);
	/* The queues' bounds, before larger frames come. */
	dma_write_barrier();
	e1000_write_thresholds(dev);
	e1000_write_size(dev);
	e1000_write_rctl(dev, e1000_any_runs(dev));
}

const struct nic_driver e1000_driver = {
	.name = "e1000",
	.serves = e1000_serves,
	.size = sizeof(struct e1000),
	.bar = 0,
	.bar_bytes = 0x20000, /* 128 KiB on all of them */
	.alive = STATUS,
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.save = save,
	.load = load,
	.resume = resume,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.check = e1000_check,
	.irq_ack = e1000_irq_ack,
	.irq_arm = e1000_irq_arm,
	.irq_arm_queue = e1000_irq_arm_queue,
	.link = e1000_link,
	.stats = e1000_stats,
	.queue_stats = e1000_queue_stats,
	.set_promiscuous = set_promiscuous,
	.set_addresses = e1000_set_addresses,
	.set_vlans = e1000_set_vlans,
	.set_mtu = set_mtu,
};
