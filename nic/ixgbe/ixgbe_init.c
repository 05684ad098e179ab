/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From whatever state a card is in to one that runs, and back to one that is quiet; and from a card
 * that runs to its next process. The order is
 * that of the 82599 datasheet, 4.6.3; each step names its section, and where the card differs.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

/* Limits of our own, where the datasheet sets none. */
#define MASTER_US 80000u /* as Linux waits */
#define RESET_US  10000u /* it takes about 1 ms (8.2.3.1.1) */
#define READY_US  1000000u

/* --- reset --- */

static void mask_interrupts(struct ixgbe *dev)
{
	reg_write(&dev->nic.bar, EIMC, EIMC_ALL);
	reg_write(&dev->nic.bar, EIMC_EX(0), UINT32_MAX);
	reg_write(&dev->nic.bar, EIMC_EX(1), UINT32_MAX);
	(void)reg_read(&dev->nic.bar, EICR);
}

/* 5.2.5.3.2, master disable: no new requests, and the pending ones done. False: they are not, and
 * the reset must be made twice.
 */
static bool disable_master(struct ixgbe *dev)
{
	reg_set(&dev->nic.bar, CTRL, CTRL_MASTER_DISABLE);
	return reg_poll(&dev->nic.bar, STATUS, STATUS_MASTER_ENABLE, 0, MASTER_US) == 0;
}

/* 4.2.1.6.1, software reset. CTRL.LRST, which also resets the link under manageability firmware, is
 * never used.
 */
static int reset_once(struct ixgbe *dev)
{
	bool shared_phy = dev->model->family != IXGBE_82599;
	uint32_t resource = dev->port ? SYNC_PHY1 : SYNC_PHY0;
	int rc;

	/* From the X540 on the reset must not fall into firmware's talk with the PHY (Linux). */
	if (shared_phy) {
		rc = ixgbe_sync_acquire(dev, resource);
		if (rc)
			return rc;
	}
	reg_set(&dev->nic.bar, CTRL, CTRL_RST);
	if (shared_phy)
		ixgbe_sync_release(dev, resource);

	/* 8.2.3.1.1: about 1 ms before any register is touched; the semaphore's are an exception
	 * that Linux makes, too.
	 */
	pci_delay_us(1000);
	rc = nic_wait(&dev->nic, CTRL, CTRL_RST, 0, RESET_US, "reset did not end",
		"CTRL.RST, 82599 datasheet 4.2.1.6.1");
	if (rc)
		return rc;
	/* 4.6.3.2 wants 10 ms; Linux found 50 ms, and 100 ms on the X540, to be safe. */
	pci_delay_us(dev->model->family == IXGBE_82599 ? 50000 : 100000);
	return 0;
}

/* 4.2.1.6.1: empties the transmit path that a reset would find with requests pending. */
static void flush_transmit(struct ixgbe *dev)
{
	reg_set(&dev->nic.bar, HLREG0, HLREG0_LPBK);
	reg_clear(&dev->nic.bar, RXCTRL, RXCTRL_RXEN);
	pci_delay_us(3000);
	reg_set(&dev->nic.bar, GCR_EXT, GCR_EXT_BUFFERS_CLEAR);
	pci_delay_us(20);
	reg_clear(&dev->nic.bar, GCR_EXT, GCR_EXT_BUFFERS_CLEAR);
	reg_clear(&dev->nic.bar, HLREG0, HLREG0_LPBK);
}

static int reset(struct ixgbe *dev)
{
	int rc;

	mask_interrupts(dev); /* 4.6.3.1: before and after */
	reg_clear(&dev->nic.bar, RXCTRL, RXCTRL_RXEN);
	if (!disable_master(dev)) {
		flush_transmit(dev);
		rc = reset_once(dev);
		if (rc)
			return rc;
	}
	rc = reset_once(dev);
	if (rc)
		return rc;
	mask_interrupts(dev);
	return 0;
}

/* X540: 384 KiB, also after a reset, which makes it 512 (Linux); the others: 512. */
static uint32_t buffer_kib(const struct ixgbe *dev)
{
	return dev->model->family == IXGBE_82599 ? 512 : 384;
}

/* What is on its way when a pause frame leaves still has room: frames of 9,728 bytes at both ends,
 * the cable, the PHYs. Linux's formula (IXGBE_DV_X540) makes 51 KiB of it. The other end goes on
 * when as much again is free.
 */
#define PAUSE_ROOM_KIB 64u
#define PAUSE_TIME     0xFFFFu /* in 512 bit times, 3.4 ms at 10 Gbit/s; a frame of 0 ends it */

/* 4.6.3.2, general configuration, and 8.2.3.3: flow control as configured. By default it is off, so
 * that a slow program here does not stop its neighbours; the high-water mark is wanted all the
 * same. Nothing is negotiated: both ends are set up alike.
 */
static void init_flow_control(struct ixgbe *dev)
{
	bool sends = dev->nic.config.pause & NIC_PAUSE_TX;
	bool obeys = dev->nic.config.pause & NIC_PAUSE_RX;
	uint32_t high = (buffer_kib(dev) - PAUSE_ROOM_KIB) * 1024;

	for (unsigned i = 0; i < 4; i++)
		reg_write(&dev->nic.bar, FCTTV(i), sends ? PAUSE_TIME * 0x10001u : 0);
	for (unsigned i = 0; i < PACKET_BUFFERS; i++) {
		reg_write(&dev->nic.bar, FCRTL(i), 0);
		reg_write(&dev->nic.bar, FCRTH(i), 0);
	}
	if (sends) {
		reg_write(&dev->nic.bar, FCRTL(0), FCRTL_XONE | (high - PAUSE_ROOM_KIB * 1024));
		reg_write(&dev->nic.bar, FCRTH(0), FCRTH_FCEN | high);
	} else {
		/* 8.2.3.3.4: the size less 0x6000, although flow control is off. */
		reg_write(&dev->nic.bar, FCRTH(0), buffer_kib(dev) * 1024 - 0x6000);
	}
	reg_write(&dev->nic.bar, FCRTV, sends ? PAUSE_TIME / 2 : 0);
	reg_write(&dev->nic.bar, FCCFG, sends ? FCCFG_TFCE_LINK : 0);
	reg_write(&dev->nic.bar, MFLCN, MFLCN_DPF | (obeys ? MFLCN_RFCE : 0));
}

/* --- receive: 4.6.7 --- */

static void write_frame_size(struct ixgbe *dev)
{
	/* MAXFRS counts the CRC, and matters with JUMBOEN alone (8.2.3.22.8, 8.2.3.22.13). Without
	 * it the limit is 1518 bytes, which a VLAN tag exceeds.
	 */
	reg_write(
		&dev->nic.bar, MAXFRS, (ixgbe_frame_max(dev->nic.config.mtu) + 4) << MAXFRS_SHIFT);
}

static void init_receive(struct ixgbe *dev)
{
	uint32_t rdrxctl;

	ixgbe_filter_start(dev);
	reg_set(&dev->nic.bar, RFCTL, RFCTL_RSC_DIS);

	/* The CRC is cut off here and in HLREG0 alike; 4.6.7 wants RSCFRSTSIZE 0, against its
	 * default, and forgets RSCACKC and FCOE_WRFIX, which 8.2.3.8.8 wants set.
	 */
	rdrxctl = reg_read(&dev->nic.bar, RDRXCTL) & ~RDRXCTL_RSCFRSTSIZE;
	reg_write(&dev->nic.bar, RDRXCTL,
		rdrxctl | RDRXCTL_CRC_STRIP | RDRXCTL_RSCACKC | RDRXCTL_FCOE_WRFIX);

	/* 4.6.11.3.4, neither DCB nor virtualization: one packet buffer has it all. */
	reg_write(&dev->nic.bar, RXPBSIZE(0), buffer_kib(dev) << RXPBSIZE_KIB_SHIFT);
	for (unsigned i = 1; i < PACKET_BUFFERS; i++)
		reg_write(&dev->nic.bar, RXPBSIZE(i), 0);
	/* 4.6.7, last lines: no snooping is left out, whatever descriptors say. */
	reg_set(&dev->nic.bar, CTRL_EXT, CTRL_EXT_NS_DIS);
}

/* 4.6.7, end: a receiver that is enabled amid traffic may hang unless the security block in front
 * of it holds the traffic back; SECRX_DIS in the datasheet's text is RX_DIS.
 */
static int enable_receive(struct ixgbe *dev)
{
	int rc;

	reg_set(&dev->nic.bar, SECRXCTRL, SECRXCTRL_RX_DIS);
	rc = nic_wait(&dev->nic, SECRXSTAT, SECRXSTAT_RDY, SECRXSTAT_RDY, READY_US,
		"the receive path did not empty", "SECRXSTAT.SECRX_RDY, 82599 datasheet 4.6.7");
	if (rc)
		return rc;
	rc = nic_hold(
		&dev->nic, RXCTRL, reg_read(&dev->nic.bar, RXCTRL) | RXCTRL_RXEN, RXCTRL_RXEN);
	reg_clear(&dev->nic.bar, SECRXCTRL, SECRXCTRL_RX_DIS);
	return rc;
}

/* --- transmit: 4.6.8 --- */

static int init_transmit(struct ixgbe *dev)
{
	uint32_t hlreg0 = reg_read(&dev->nic.bar, HLREG0) & ~HLREG0_LPBK;

	reg_write(&dev->nic.bar, HLREG0,
		hlreg0 | HLREG0_TXCRCEN | HLREG0_RXCRCSTRP | HLREG0_JUMBOEN | HLREG0_TXPADEN);
	write_frame_size(dev);

	reg_set(&dev->nic.bar, RTTDCS, RTTDCS_ARBDIS);
	reg_write(&dev->nic.bar, DTXMXSZRQ, DTXMXSZRQ_ALL);
	/* 4.6.11.3.4: 160 KiB in one packet buffer. Its threshold leaves room for the largest
	 * frame; the datasheet's own value, the full size, leaves none. Linux leaves 10 KiB.
	 */
	reg_write(&dev->nic.bar, TXPBSIZE(0), 160u << TXPBSIZE_KIB_SHIFT);
	reg_write(&dev->nic.bar, TXPBTHRESH(0), 160 - 10);
	for (unsigned i = 1; i < PACKET_BUFFERS; i++) {
		reg_write(&dev->nic.bar, TXPBSIZE(i), 0);
		reg_write(&dev->nic.bar, TXPBTHRESH(i), 0);
	}
	reg_write(&dev->nic.bar, MTQC, 0);
	/* No arbitration and no rate limit for any queue. */
	for (unsigned i = 0; i < TX_QUEUES_ALL; i++) {
		reg_write(&dev->nic.bar, RTTDQSEL, i);
		reg_write(&dev->nic.bar, RTTDT1C, 0);
		reg_write(&dev->nic.bar, RTTBCNRC, 0);
	}
	reg_clear(&dev->nic.bar, RTTDCS, RTTDCS_ARBDIS);
	return nic_hold(
		&dev->nic, DMATXCTL, reg_read(&dev->nic.bar, DMATXCTL) | DMATXCTL_TE, DMATXCTL_TE);
}

/* --- start --- */

/* 4.6.3: from a reset to counters at zero. */
static int bring_up(struct ixgbe *dev)
{
	int rc = ixgbe_firmware_check(dev);

	if (rc)
		return rc;
	rc = reset(dev);
	if (rc)
		return rc;
	init_flow_control(dev);
	rc = ixgbe_eeprom_wait(dev);
	if (rc)
		return rc;
	rc = ixgbe_eeprom_check(dev);
	if (rc)
		return rc;
	rc = ixgbe_read_mac(dev);
	if (rc)
		return rc;
	rc = nic_wait(&dev->nic, RDRXCTL, RDRXCTL_DMAIDONE, RDRXCTL_DMAIDONE, READY_US,
		"DMA did not initialize", "RDRXCTL.DMAIDONE, 82599 datasheet 4.6.3.2");
	if (rc)
		return rc;
	/* Tells firmware that a driver is there (8.2.3.1.3). */
	reg_set(&dev->nic.bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	rc = ixgbe_link_start(dev);
	if (rc)
		return rc;
	ixgbe_stats_start(dev);
	return 0;
}

static int start(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);
	int rc = bring_up(dev);

	if (rc)
		return rc;
	init_receive(dev);
	rc = init_transmit(dev);
	if (rc)
		return rc;
	/* Now that no ring of an earlier driver is left, the card may reach memory. */
	rc = pci_set_bus_master(dev->nic.fn, true);
	if (rc)
		return nic_fail(&dev->nic, rc, "bus mastering cannot be turned on");
	for (unsigned i = 0; i < dev->nic.queues; i++) {
		const struct dma_region *frames = nic_config_frames(&dev->nic.config, i);

		rc = frames ? ixgbe_queue_start(dev, i, frames) : 0;
		if (rc)
			return rc;
	}
	ixgbe_rss_start(dev);
	rc = enable_receive(dev);
	if (rc)
		return rc;
	return ixgbe_irq_start(dev);
}

/* --- stop --- */

/* Each wait is bounded, and what comes after it is done all the same: bus mastering goes off. */
static void stop(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);
	const struct pci_bar *bar = &nic->bar;

	ixgbe_irq_stop(dev);
	for (unsigned i = 0; i < dev->nic.queues; i++)
		(void)ixgbe_queue_stop(dev, i);
	/* 4.6.7.1.2: only after all the queues. */
	reg_clear(bar, RXCTRL, RXCTRL_RXEN);
	reg_clear(bar, DMATXCTL, DMATXCTL_TE);
	(void)disable_master(dev);
	reg_clear(bar, CTRL_EXT, CTRL_EXT_DRV_LOAD);
	(void)pci_set_bus_master(dev->nic.fn, false);
}

/* --- books --- */

/* The card is not touched but for STATUS. */
static int create(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);

	dev->model = ixgbe_find_model(pci_ident(nic->fn));
	nic->model = dev->model->name;
	nic->mtu_max = NIC_MTU_MAX;
	nic->offloads = NIC_RX_VLAN | NIC_RX_CHECKSUM | NIC_RX_HASH | NIC_RX_TYPE | NIC_TX_META;
	dev->port = (reg_read(&nic->bar, STATUS) >> STATUS_LAN_ID_SHIFT) & STATUS_LAN_ID_MASK;
	for (unsigned i = 0; i < nic->queues; i++) {
		int rc = ixgbe_queue_create(dev, i);

		if (rc)
			return rc;
	}
	return 0;
}

static void destroy(struct nic *nic)
{
	for (unsigned i = 0; i < nic->queues; i++)
		ixgbe_queue_destroy(ixgbe_of(nic), i);
}

/* --- from one process to the next --- */

static int load(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);
	int rc = ixgbe_state_load(dev);

	if (!rc)
		rc = ixgbe_state_compare(dev);
	return rc ? rc : ixgbe_read_mac(dev);
}

static int resume(struct nic *nic)
{
	/* Off until armed. A message that the vectors miss while they change hands tells of frames
	 * that the rings hold already.
	 */
	reg_write(&nic->bar, EIMC, EIMC_ALL);
	return ixgbe_irq_start(ixgbe_of(nic));
}

static void save(struct nic *nic)
{
	ixgbe_state_save(ixgbe_of(nic));
}

/* --- while it runs --- */

static void set_promiscuous(struct nic *nic)
{
	/* 8.2.3.7.1 wants the receiver off meanwhile; Linux and DPDK change it while it runs, and a
	 * frame in between passes by the old rule or the new one.
	 */
	ixgbe_filter_write(ixgbe_of(nic));
}

static void set_mtu(struct nic *nic)
{
	for (unsigned i = 0; i < nic->queues; i++)
		ixgbe_queue_set_mtu((struct ixgbe_queue *)nic->queue[i], nic->config.mtu);
	/* The queues' bounds, before larger frames come. */
	dma_write_barrier();
	write_frame_size(ixgbe_of(nic));
}

static int queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	struct ixgbe *dev = ixgbe_of(nic);
	int rc = ixgbe_queue_start(dev, index, frames);

	if (!rc && nic->queues > 1)
		ixgbe_rss_spread(dev);
	return rc;
}

static int queue_stop(struct nic *nic, unsigned index)
{
	struct ixgbe *dev = ixgbe_of(nic);

	/* 4.6.7.1.2: first nothing more is led there. */
	nic->queue[index]->frames = NULL;
	if (nic->queues > 1)
		ixgbe_rss_spread(dev);
	return ixgbe_queue_stop(dev, index);
}

const struct nic_driver ixgbe_driver = {
	.name = "ixgbe",
	.serves = ixgbe_serves,
	.size = sizeof(struct ixgbe),
	.bar = 0,
	.bar_bytes = 0x20000, /* 8.1: 128 KiB, before any flash memory */
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
	.check = ixgbe_check,
	.check_link = ixgbe_link_check,
	.irq_ack = ixgbe_irq_ack,
	.irq_arm = ixgbe_irq_arm,
	.irq_arm_queue = ixgbe_irq_arm_queue,
	.link = ixgbe_link,
	.module = ixgbe_module,
	.stats = ixgbe_stats,
	.queue_stats = ixgbe_queue_stats,
	.set_promiscuous = set_promiscuous,
	.set_addresses = ixgbe_set_addresses,
	.set_vlans = ixgbe_set_vlans,
	.set_mtu = set_mtu,
};
