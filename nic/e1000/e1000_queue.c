/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The queue pair: made and freed, started and stopped. But for the 82576, whose queues have enable
 * bits of their own, it starts and stops with the card's receiver and transmitter.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/e1000/e1000.h"

/* At most that many descriptors stand between two RS. */
#define TX_RS_EVERY 32u

/* Limits of our own, where no manual sets one. */
#define QUEUE_US 10000u
#define DRAIN_US 10000u
#define LEAVES_US \
	5000u /* until a frame that is under way is in memory; Linux waits 10 ms for both */

static const struct nic_verbs verbs = {
	.rx_provide = e1000_rx_provide,
	.rx_return = e1000_rx_return,
	.tx_provide = e1000_tx_provide,
	.tx_return = e1000_tx_return,
	.flush = e1000_flush,
};

uint32_t e1000_frame_max(uint16_t mtu)
{
	return mtu + 14u + 4u;
}

/* --- made and freed --- */

int e1000_queue_create(struct e1000 *dev)
{
	const struct nic_config *config = &dev->nic.config;
	struct e1000_queue *q = nic_line_alloc(sizeof *q);

	if (!q)
		return -ENOMEM;
	dev->nic.queue[0] = &q->head;
	q->bar = &dev->nic.bar;
	q->rx = dev->model->family == E1000_82576 ? &e1000_rx_advanced : &e1000_rx_legacy;
	q->rx_batch = config->rx_ring / 4 < 32 ? config->rx_ring / 4 : 32;
	q->tx_every = config->tx_ring / 4 < TX_RS_EVERY ? config->tx_ring / 4 : TX_RS_EVERY;
	q->tx_max = e1000_frame_max(config->mtu);
	q->rs = nic_line_alloc(config->tx_ring * sizeof *q->rs);
	return q->rs ? nic_queue_init(&q->head, &dev->nic, 0) : -ENOMEM;
}

void e1000_queue_destroy(struct e1000 *dev)
{
	struct e1000_queue *q = e1000_queue_of(dev);

	if (!q)
		return;
	nic_queue_fini(&q->head);
	free(q->rs);
	free(q);
	dev->nic.queue[0] = NULL;
}

void e1000_queue_use(struct e1000_queue *q, const struct dma_region *frames)
{
	q->head.frames = frames;
	q->head.verbs = &verbs;
	q->iova = frames->iova;
	q->region_size = (uint32_t)frames->size;
	q->rx_span = q->region_size - NIC_BUFFER_STRIDE;
}

/* Empty rings, and nothing that the verbs could reach. */
static void forget(struct e1000_queue *q)
{
	nic_queue_forget(&q->head);
	q->iova = NULL;
	q->region_size = 0;
	q->rx_span = 0;
	q->rx_torn = false;
	q->tx_done = 0;
	q->rs_head = q->rs_tail = 0;
}

/* --- started --- */

/* Programs a ring's base, length and indices; registers lie alike in both directions. */
static void place_ring(
	struct e1000 *dev, const struct ring *ring, size_t place, uint32_t base, uint32_t head)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);

	nic_ring_clear(ring);
	/* The zeroes, before the enable bit that lets the card fetch descriptors. */
	dma_write_barrier();
	reg_write(&dev->nic.bar, base, (uint32_t)iova);
	reg_write(&dev->nic.bar, base + 4, (uint32_t)(iova >> 32));
	reg_write(&dev->nic.bar, base + 8, ring_size(ring) * RING_DESCRIPTOR);
	reg_write(&dev->nic.bar, head, 0);
	reg_write(&dev->nic.bar, head + 8, 0); /* the tail */
}

/* The 82576's tail must wait for its queue's enable bit. */
static int enable(struct e1000 *dev, uint32_t reg, uint32_t bit, const char *what)
{
	if (dev->model->family != E1000_82576)
		return 0;
	reg_set(&dev->nic.bar, reg, bit);
	return nic_wait(&dev->nic, reg, bit, bit, QUEUE_US, what, "82576 datasheet 4.5.9, 4.5.10");
}

void e1000_write_rctl(struct e1000 *dev, bool on)
{
	/* BSIZE 0: buffers of 2048 bytes. Multicast passes whole: the class has no list of groups.
	 */
	reg_write(&dev->nic.bar, RCTL,
		RCTL_BAM | RCTL_MPE | RCTL_SECRC | (dev->nic.config.promiscuous ? RCTL_UPE : 0) |
			(on ? RCTL_EN : 0));
}

/* 8254x 14.4, 82574 4.6.5, 82576 4.5.9 */
static int start_rx(struct e1000 *dev)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, 0);
	int rc;

	/* Written back at once, interrupts without delay: throttling bounds them. */
	reg_write(&dev->nic.bar, RDTR, 0);
	if (dev->model->family != E1000_82576)
		reg_write(&dev->nic.bar, RADV, 0);
	place_ring(dev, &dev->nic.queue[0]->rx, place.rx, RDBAL, RDH);
	if (dev->model->family == E1000_82576)
		reg_write(&dev->nic.bar, SRRCTL,
			SRRCTL_KIB(NIC_BUFFER_SIZE / 1024) | SRRCTL_ADVANCED);
	rc = enable(dev, RXDCTL, RXDCTL_ENABLE, "the receive queue did not start");
	if (!rc)
		e1000_write_rctl(dev, true);
	return rc;
}

/* Write-back of each descriptor that asks for it (RS), whatever waits behind it. */
static uint32_t txdctl(const struct e1000 *dev)
{
	switch (dev->model->family) {
	case E1000_8254X: return TXDCTL_GRAN;
	case E1000_82574: return TXDCTL_GRAN | TXDCTL_COUNT;
	default: return 0;
	}
}

/* 8254x 14.5, 82574 4.6.6, 82576 4.5.10 */
static int start_tx(struct e1000 *dev)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, 0);
	int rc;

	place_ring(dev, &dev->nic.queue[0]->tx, place.tx, TDBAL, TDH);
	if (dev->model->family != E1000_82576) {
		reg_write(&dev->nic.bar, TIDV, 0);
		reg_write(&dev->nic.bar, TADV, 0);
		/* 8254x 13.4.34, of copper: 10, 8 and 6 byte times. */
		reg_write(&dev->nic.bar, TIPG, 10u | 8u << 10 | 6u << 20);
	}
	reg_write(&dev->nic.bar, TXDCTL, txdctl(dev));
	rc = enable(dev, TXDCTL, TXDCTL_ENABLE, "the transmit queue did not start");
	if (rc)
		return rc;
	/* 13.4.33: 15 collisions, and 64 byte times of full duplex. */
	reg_write(&dev->nic.bar, TCTL,
		TCTL_EN | TCTL_PSP | TCTL_RTLC | 15u << TCTL_CT_SHIFT | 0x40u << TCTL_COLD_SHIFT);
	return 0;
}

int e1000_queue_start(struct e1000 *dev, const struct dma_region *frames)
{
	int rc;

	forget(e1000_queue_of(dev));
	rc = start_tx(dev);
	if (!rc)
		rc = start_rx(dev);
	if (rc) {
		(void)e1000_queue_stop(dev);
		return rc;
	}
	e1000_queue_use(e1000_queue_of(dev), frames);
	return 0;
}

/* --- stopped --- */

static int disable(struct e1000 *dev, uint32_t reg, uint32_t bit)
{
	if (dev->model->family != E1000_82576)
		return 0;
	reg_clear(&dev->nic.bar, reg, bit);
	return reg_poll(&dev->nic.bar, reg, bit, 0, QUEUE_US);
}

int e1000_queue_stop(struct e1000 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rx, tx;

	e1000_write_rctl(dev, false);
	rx = disable(dev, RXDCTL, RXDCTL_ENABLE);
	/* What was queued goes out first, if the link lets it. */
	(void)reg_poll(bar, TDH, UINT32_MAX, reg_read(bar, TDT), DRAIN_US);
	reg_write(bar, TCTL, TCTL_PSP);
	tx = disable(dev, TXDCTL, TXDCTL_ENABLE);
	pci_delay_us(LEAVES_US);
	forget(e1000_queue_of(dev));
	if (pci_gone(dev->nic.fn))
		return -ENODEV;
	return rx ? rx : tx;
}
