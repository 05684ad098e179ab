/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From whatever state a card is in to one that runs, and back to one that is quiet. The order is
 * that of the 8254x manual's chapter 14 (82574 datasheet 4.6, 82576 datasheet 4.5); each step names
 * its section, and where a model differs.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "nic/e1000/e1000.h"
#include "nic/state.h"

#define BAR_REGISTERS 0u
#define BAR_SIZE      0x20000u /* 128 KiB on all of them */

/* Limits of our own, where no manual sets one. */
#define MASTER_US 80000u /* as Linux waits */
#define RESET_US  10000u
#define EEPROM_US 20000u

int e1000_fail(struct e1000 *dev, int rc, const char *format, ...)
{
	char what[200];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(dev->why->text, sizeof dev->why->text, "e1000 %s: %s", pci_address(dev->nic.fn),
		what);
	return rc;
}

/* --- reset --- */

/* 82574 datasheet 5.4.1.1, master disable. One that does not end is for the reset to cut off. */
static void disable_master(struct e1000 *dev)
{
	if (dev->model->family == E1000_8254X)
		return;
	reg_set(&dev->bar, CTRL, CTRL_GIO_MASTER_DISABLE);
	(void)reg_poll(&dev->bar, STATUS, STATUS_GIO_MASTER, 0, MASTER_US);
}

/* 8254x 14.3, 82574 4.6.3. The PHY and its link stay as they are. */
static int reset(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->bar;
	int rc;

	e1000_irq_mask(dev);
	reg_write(bar, RCTL, 0);
	reg_write(bar, TCTL, TCTL_PSP);
	pci_delay_us(10000); /* what is under way ends (Linux waits as long) */
	disable_master(dev);
	reg_set(bar, CTRL, CTRL_RST);
	/* No register is touched for a while: 1 us in the manuals, 5 ms where the EEPROM is read
	 * anew (Linux).
	 */
	pci_delay_us(5000);
	rc = reg_poll(bar, CTRL, CTRL_RST, 0, RESET_US);
	if (rc == -ETIMEDOUT)
		return e1000_fail(dev, rc,
			"reset did not end within %u ms (CTRL.RST, 8254x manual 13.4.1): "
			"power-cycle the card",
			RESET_US / 1000);
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

/* The card has put the EEPROM's address into its first filter (8254x 13.5.2). */
static int read_mac(struct e1000 *dev)
{
	uint32_t low = reg_read(&dev->bar, RAL);
	uint32_t high = reg_read(&dev->bar, RAH);

	for (unsigned i = 0; i < 6; i++)
		dev->mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
	/* An address of one station (IEEE 802.3, 3.2.3), and none that is all zero. */
	if (!(high & RAH_AV) || (dev->mac[0] & 1) || (low == 0 && (high & 0xFFFF) == 0))
		return e1000_fail(dev, -EIO,
			"no valid MAC address in its EEPROM (RAL, RAH, 8254x manual 13.5.2)");
	return 0;
}

/* --- receive: 8254x 14.4, 82574 4.6.5, 82576 4.5.9 --- */

static void init_filters(struct e1000 *dev)
{
	for (unsigned i = 0; i < MTA_COUNT; i++)
		reg_write(&dev->bar, MTA(i), 0);
	for (unsigned i = 0; i < VFTA_COUNT; i++)
		reg_write(&dev->bar, VFTA(i), 0);
	if (dev->model->family != E1000_8254X) {
		reg_write(&dev->bar, RFCTL, 0); /* legacy descriptors (82574 10.2.5.25) */
		reg_write(&dev->bar, MRQC, 0);  /* all to queue 0 */
	}
}

/* --- start and stop --- */

static int bring_up(struct e1000 *dev)
{
	int rc = reset(dev);

	if (rc)
		return rc;
	rc = read_mac(dev);
	if (rc)
		return rc;
	/* Tells firmware that a driver is there (82574 10.2.2.4). */
	if (dev->model->family != E1000_8254X)
		reg_set(&dev->bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	rc = e1000_link_start(dev);
	if (rc)
		return rc;
	e1000_stats_clear(dev);
	init_filters(dev);
	/* Now that no ring of an earlier driver is left, the card may reach memory. */
	rc = pci_set_bus_master(dev->nic.fn, true);
	if (rc)
		return e1000_fail(dev, rc, "bus mastering cannot be turned on");
	rc = e1000_queue_start(dev, dev->config.frames);
	return rc ? rc : e1000_irq_start(dev);
}

/* Each wait is bounded, and what comes after it is done all the same: bus mastering goes off. */
static void stop(struct e1000 *dev)
{
	e1000_irq_stop(dev);
	(void)e1000_queue_stop(dev);
	disable_master(dev);
	if (dev->model->family != E1000_8254X)
		reg_clear(&dev->bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	(void)pci_set_bus_master(dev->nic.fn, false);
}

static void destroy(struct e1000 *dev)
{
	e1000_queue_destroy(dev);
	pci_bar_unmap(&dev->bar);
	free(dev);
}

/* --- the driver --- */

static int create(struct e1000 **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why)
{
	struct e1000 *dev = calloc(1, sizeof *dev);
	int rc;

	if (!dev) {
		snprintf(why->text, sizeof why->text, "e1000 %s: out of memory", pci_address(fn));
		return -ENOMEM;
	}
	dev->nic = (struct nic){.driver = &e1000_driver, .fn = fn, .queues = config->queues};
	dev->model = e1000_find_model(pci_ident(fn));
	dev->config = *config;
	dev->why = why;
	rc = pci_bar_map(fn, BAR_REGISTERS, STATUS, &dev->bar, why);
	if (rc) {
		free(dev);
		return rc;
	}
	if (config->queues != 1)
		rc = e1000_fail(dev, -EINVAL, "it has one queue pair here, not %u", config->queues);
	else if (config->in_place)
		rc = e1000_fail(dev, -ENOTSUP, "it does not forward in place");
	else if (dev->bar.size < BAR_SIZE)
		rc = e1000_fail(dev, -EIO, "BAR 0 has %u bytes, not 128 KiB: is it another card's?",
			dev->bar.size);
	else if (e1000_queue_create(dev))
		rc = e1000_fail(dev, -ENOMEM, "out of memory");
	if (rc) {
		destroy(dev);
		return rc;
	}
	*out = dev;
	return 0;
}

static int open_card(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why)
{
	struct e1000 *dev;
	int rc = pci_quiesce(fn);

	if (rc && rc != -ETIMEDOUT) { /* the driver's own reset knows what to do then */
		snprintf(why->text, sizeof why->text, "e1000 %s: the function cannot be quiesced",
			pci_address(fn));
		return rc;
	}
	rc = create(&dev, fn, config, why);
	if (rc)
		return rc;
	nic_state_forget(&dev->config);
	rc = bring_up(dev);
	/* A register that is read in vain shows only here. */
	if (pci_gone(fn))
		rc = e1000_fail(dev, -ENODEV, "the card is gone");
	if (rc) {
		stop(dev);
		destroy(dev);
		return rc;
	}
	dev->why = NULL;
	*out = &dev->nic;
	return 0;
}

static void close_card(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);

	stop(dev);
	destroy(dev);
}

/* --- from one process to the next --- */

static int adopt_card(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why)
{
	struct e1000 *dev;
	int rc = create(&dev, fn, config, why);

	if (rc)
		return rc;
	rc = e1000_state_load(dev);
	if (!rc)
		rc = e1000_state_compare(dev);
	if (!rc)
		rc = read_mac(dev);
	nic_state_forget(&dev->config);
	if (!rc) {
		/* Off until armed: what the vectors miss while they change hands lies in the rings.
		 */
		e1000_irq_mask(dev);
		rc = e1000_irq_start(dev);
	}
	if (pci_gone(fn))
		rc = e1000_fail(dev, -ENODEV, "the card is gone");
	if (rc) {
		destroy(dev);
		return rc;
	}
	dev->why = NULL;
	*out = &dev->nic;
	return 0;
}

static void release_card(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);

	e1000_state_save(dev);
	destroy(dev);
}

/* --- while it runs --- */

static int queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	struct e1000 *dev = e1000_of(nic);
	struct pci_error unread;
	int rc;

	(void)index;
	dev->why = &unread;
	rc = e1000_queue_start(dev, frames);
	dev->why = NULL;
	return rc;
}

static int queue_stop(struct nic *nic, unsigned index)
{
	(void)index;
	return e1000_queue_stop(e1000_of(nic));
}

static int set_promiscuous(struct nic *nic, bool on)
{
	struct e1000 *dev = e1000_of(nic);

	dev->config.promiscuous = on;
	e1000_write_rctl(dev, nic->queue[0]->frames != NULL);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

static int set_mtu(struct nic *nic, uint16_t mtu)
{
	struct e1000_queue *q = (struct e1000_queue *)nic->queue[0];

	e1000_of(nic)->config.mtu = mtu;
	__atomic_store_n(&q->tx_max, e1000_frame_max(mtu), __ATOMIC_RELAXED);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

static void get_mac(const struct nic *nic, uint8_t mac[6])
{
	memcpy(mac, ((const struct e1000 *)nic)->mac, 6);
}

static const char *get_model(const struct nic *nic)
{
	return ((const struct e1000 *)nic)->model->name;
}

const struct nic_driver e1000_driver = {
	.name = "e1000",
	.serves = e1000_serves,
	.open = open_card,
	.close = close_card,
	.adopt = adopt_card,
	.release = release_card,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.irq_fds = e1000_irq_fds,
	.irq_ack = e1000_irq_ack,
	.irq_arm = e1000_irq_arm,
	.irq_arm_queue = e1000_irq_arm_queue,
	.irq_vector = e1000_irq_vector,
	.irq_name = e1000_irq_name,
	.mac = get_mac,
	.link = e1000_link,
	.stats = e1000_stats,
	.queue_stats = e1000_queue_stats,
	.set_promiscuous = set_promiscuous,
	.set_mtu = set_mtu,
	.model = get_model,
};
