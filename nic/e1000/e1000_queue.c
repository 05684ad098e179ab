/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A queue pair: made and freed, started and stopped. The 82576's have enable bits of their own; the
 * others' start with the card's receiver and transmitter. So the 82574 holds both while it starts
 * or stops one of its two queues: what the other one has to send waits, what comes may be missed.
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

bool e1000_is_large(uint16_t mtu)
{
	return e1000_frame_max(mtu) + 4 > 1522;
}

void e1000_queue_set_mtu(struct e1000_queue *q, uint16_t mtu)
{
	/* But for the 82576 the card knows no limit of large frames (82574 10.2.5.1). */
	uint32_t parts = e1000_is_large(mtu) ? NIC_FRAME_ENTRIES : 1;

	if (parts > q->rx_parts)
		__atomic_store_n(&q->rx_parts, parts, __ATOMIC_RELAXED);
	__atomic_store_n(&q->rx_max, e1000_frame_max(mtu), __ATOMIC_RELAXED);
	__atomic_store_n(&q->tx_max, e1000_frame_max(mtu), __ATOMIC_RELAXED);
}

/* --- made and freed --- */

static const struct rx_format *format_of(const struct e1000 *dev)
{
	switch (dev->model->family) {
	case E1000_8254X: return &e1000_rx_legacy;
	case E1000_82574: return &e1000_rx_extended;
	default: return &e1000_rx_advanced;
	}
}

int e1000_queue_create(struct e1000 *dev, unsigned index)
{
	const struct nic_config *config = &dev->nic.config;
	struct e1000_queue *q = nic_line_alloc(sizeof *q);

	if (!q)
		return -ENOMEM;
	dev->nic.queue[index] = &q->head;
	q->bar = &dev->nic.bar;
	q->rdt = RDT(index);
	q->tdt = TDT(index);
	q->tx_ring = dma_iova(config->rings, nic_place_rings(config, index).tx);
	q->rx = format_of(dev);
	q->rx_batch = config->rx_ring / 4 < 32 ? config->rx_ring / 4 : 32;
	q->tx_every = config->tx_ring / 4 < TX_RS_EVERY ? config->tx_ring / 4 : TX_RS_EVERY;
	e1000_queue_set_mtu(q, config->mtu);
	q->rs = nic_line_alloc(config->tx_ring * sizeof *q->rs);
	return q->rs ? nic_queue_init(&q->head, &dev->nic, index) : -ENOMEM;
}

void e1000_queue_destroy(struct e1000 *dev, unsigned index)
{
	struct e1000_queue *q = e1000_queue(dev->nic.queue[index]);

	if (!q)
		return;
	nic_queue_fini(&q->head);
	free(q->rs);
	free(q);
	dev->nic.queue[index] = NULL;
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

/* Zeroed, and programmed to be empty; registers lie alike in both directions. A ring that lay
 * elsewhere would be somebody else's memory: what is written is read back.
 */
static int place_ring(
	struct e1000 *dev, const struct ring *ring, size_t place, uint32_t base, uint32_t head)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);
	int rc;

	nic_ring_clear(ring);
	/* The zeroes, before the enable bit that lets the card fetch descriptors. */
	dma_write_barrier();
	rc = nic_hold(&dev->nic, base, (uint32_t)iova, UINT32_MAX);
	if (!rc)
		rc = nic_hold(&dev->nic, base + 4, (uint32_t)(iova >> 32), UINT32_MAX);
	if (!rc)
		rc = nic_hold(&dev->nic, base + 8, ring_size(ring) * RING_DESCRIPTOR, UINT32_MAX);
	if (rc)
		return rc;
	reg_write(&dev->nic.bar, head, 0);
	reg_write(&dev->nic.bar, head + 8, 0); /* the tail */
	return 0;
}

/* The 82576's tail must wait for its queue's enable bit. */
static int enable(struct e1000 *dev, uint32_t reg, uint32_t bit, const char *what)
{
	if (!e1000_is(dev, E1000_82576))
		return 0;
	reg_set(&dev->nic.bar, reg, bit);
	return nic_wait(&dev->nic, reg, bit, bit, QUEUE_US, what, "82576 datasheet 4.5.9, 4.5.10");
}

/* 8254x 14.4, 82574 4.6.5, 82576 4.5.9 */
static int start_rx(struct e1000 *dev, unsigned i)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);
	int rc = place_ring(dev, &dev->nic.queue[i]->rx, place.rx, RDBAL(i), RDH(i));

	if (!rc && e1000_is(dev, E1000_82576))
		rc = nic_hold(&dev->nic, SRRCTL(i),
			SRRCTL_KIB(NIC_BUFFER_SIZE / 1024) | SRRCTL_ADVANCED |
				(nic_drops(&dev->nic.config) ? SRRCTL_DROP_EN : 0),
			UINT32_MAX);
	return rc ? rc : enable(dev, RXDCTL(i), RXDCTL_ENABLE, "a receive queue did not start");
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
static int start_tx(struct e1000 *dev, unsigned i)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);
	int rc = place_ring(dev, &dev->nic.queue[i]->tx, place.tx, TDBAL(i), TDH(i));

	if (rc)
		return rc;
	reg_write(&dev->nic.bar, TXDCTL(i), txdctl(dev));
	if (e1000_is(dev, E1000_82574))
		reg_set(&dev->nic.bar, TARC(i), TARC_ENABLE);
	return enable(dev, TXDCTL(i), TXDCTL_ENABLE, "a transmit queue did not start");
}

int e1000_queue_start(struct e1000 *dev, unsigned index, const struct dma_region *frames)
{
	struct e1000_queue *q = e1000_queue(dev->nic.queue[index]);
	int rc;

	forget(q);
	q->rx_parts = 0;
	e1000_queue_set_mtu(q, dev->nic.config.mtu);
	rc = start_tx(dev, index);
	if (!rc)
		rc = start_rx(dev, index);
	if (rc) {
		(void)e1000_queue_stop(dev, index);
		return rc;
	}
	e1000_queue_use(q, frames);
	return 0;
}

void e1000_halt(struct e1000 *dev)
{
	/* Where none runs it is off already. */
	if (e1000_is(dev, E1000_82576) || !e1000_any_runs(dev))
		return;
	e1000_write_rctl(dev, false);
	/* Frames that are not sent yet stay where they are (8254x 13.4.33); what comes is missed.
	 */
	reg_write(&dev->nic.bar, TCTL, TCTL_PSP);
	pci_delay_us(LEAVES_US);
}

bool e1000_any_runs(const struct e1000 *dev)
{
	for (unsigned i = 0; i < dev->nic.queues; i++)
		if (dev->nic.queue[i]->frames)
			return true;
	return false;
}

void e1000_run(struct e1000 *dev)
{
	bool on = e1000_any_runs(dev);

	/* 13.4.33: 15 collisions, and 64 byte times of full duplex. */
	reg_write(&dev->nic.bar, TCTL,
		TCTL_PSP |
			(on ? TCTL_EN | TCTL_RTLC | 15u << TCTL_CT_SHIFT | 0x40u << TCTL_COLD_SHIFT
			    : 0));
	e1000_write_rctl(dev, on);
}

/* --- stopped --- */

/* The enable bit of a queue of the 82576: off, and the card has obeyed. */
static int disable(struct e1000 *dev, uint32_t reg, uint32_t bit)
{
	reg_clear(&dev->nic.bar, reg, bit);
	return reg_poll(&dev->nic.bar, reg, bit, 0, QUEUE_US);
}

/* What was queued goes out first, if the link lets it. */
static void drain_tx(struct e1000 *dev, unsigned i)
{
	(void)reg_poll(
		&dev->nic.bar, TDH(i), UINT32_MAX, reg_read(&dev->nic.bar, TDT(i)), DRAIN_US);
}

static int stop_82576(struct e1000 *dev, unsigned i)
{
	int rx = disable(dev, RXDCTL(i), RXDCTL_ENABLE), tx;

	drain_tx(dev, i);
	tx = disable(dev, TXDCTL(i), TXDCTL_ENABLE);
	pci_delay_us(LEAVES_US);
	return rx ? rx : tx;
}

/* The indices of a ring are written only while nothing is received or sent (8254x 13.4.27, 13.4.38;
 * 82574 10.2.5, 10.2.6: RDH, TDH): also where what was queued has not gone out in time.
 */
static void stop_others(struct e1000 *dev, unsigned i)
{
	const struct pci_bar *bar = &dev->nic.bar;

	e1000_write_rctl(dev, false);
	drain_tx(dev, i);
	if (e1000_is(dev, E1000_82574))
		reg_clear(bar, TARC(i), TARC_ENABLE);
	reg_write(bar, TCTL, TCTL_PSP);
	pci_delay_us(LEAVES_US);
	reg_write(bar, RDH(i), 0);
	reg_write(bar, RDT(i), 0);
	reg_write(bar, TDH(i), 0);
	reg_write(bar, TDT(i), 0);
}

int e1000_queue_stop(struct e1000 *dev, unsigned index)
{
	int rc = 0;

	dev->nic.queue[index]->frames = NULL;
	if (e1000_is(dev, E1000_82576))
		rc = stop_82576(dev, index);
	else
		stop_others(dev, index);
	e1000_run(dev);
	forget(e1000_queue(dev->nic.queue[index]));
	return pci_gone(dev->nic.fn) ? -ENODEV : rc;
}

/* --- watched --- */

int e1000_check(struct nic *nic, unsigned index)
{
	struct e1000_queue *q = e1000_queue(nic->queue[index]);
	const struct nic_pulse pulse = {
		.rdh = RDH(index),
		.rdt = RDT(index),
		.tdh = TDH(index),
		.tdt = TDT(index),
		.rx_dd = q->rx->dd,
		.tx_dd = TX_DD,
		.rs = q->rs,
		.rs_head = q->rs_head,
		.rs_tail = q->rs_tail,
		.rx_where = "8254x manual 3.2.6",
		.tx_where = "8254x manual 3.4",
	};

	return nic_check_queue(nic, index, &pulse, &q->seen);
}
