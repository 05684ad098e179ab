/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A queue pair: its verbs, made and freed, started and stopped.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/ixgbe/ixgbe_path.h"

/* At most that many descriptors stand between two RS (on 64-byte frames, one write-back for 32). */
#define TX_RS_EVERY 32u
/* nic_forward() takes that many sent buffers at once. */
#define SWAP_BATCH 64u
/* In place: at most that many stand between two reports of the head. */
#define HEAD_EVERY 64u

/* Limits of our own, where the datasheet sets none. */
#define QUEUE_US      10000u /* as Linux waits */
#define DRAIN_US      10000u
#define DRAIN_STEP_US 100u

uint32_t ixgbe_frame_max(uint16_t mtu)
{
	return mtu + 14u + 4u;
}

/* The buffers of the largest one that may be received: tagged frames may be 4 bytes longer than
 * MAXFRS says (8.2.3.22.13).
 */
static uint32_t parts_max(uint16_t mtu)
{
	return (ixgbe_frame_max(mtu) + 4 + NIC_BUFFER_SIZE - 1) / NIC_BUFFER_SIZE;
}

void ixgbe_queue_set_mtu(struct ixgbe_queue *q, uint16_t mtu)
{
	uint32_t parts = parts_max(mtu);

	if (parts > q->rx_parts)
		__atomic_store_n(&q->rx_parts, parts, __ATOMIC_RELAXED);
	__atomic_store_n(&q->tx_max, ixgbe_frame_max(mtu), __ATOMIC_RELAXED);
}

/* --- made and freed --- */

int ixgbe_queue_create(struct ixgbe *dev, unsigned index)
{
	const struct nic_config *config = &dev->nic.config;
	struct nic_ring_place place = nic_place_rings(config, index);
	size_t heads = place.heads + (place.tx > place.rx ? CACHE_LINE : 0);
	struct ixgbe_queue *q = nic_line_alloc(sizeof *q);

	if (!q)
		return -ENOMEM;
	dev->nic.queue[index] = &q->head;
	q->bar = &dev->nic.bar;
	q->rdt = RDT(index);
	q->tdt = TDT(index);
	q->rdt_direct = reg_direct(q->bar, q->rdt);
	q->tdt_direct = reg_direct(q->bar, q->tdt);
	q->rx_batch = config->rx_ring / 4 < 32 ? config->rx_ring / 4 : 32;
	q->rx_whole = RX_DD | RX_EOP;
	q->tx_every = config->tx_ring / 4 < TX_RS_EVERY ? config->tx_ring / 4 : TX_RS_EVERY;
	q->swap.batch = config->tx_ring / 4 < SWAP_BATCH ? config->tx_ring / 4 : SWAP_BATCH;
	ixgbe_queue_set_mtu(q, config->mtu);
	q->offloads = config->offloads;
	/* Erratum of the 82599: a UDP frame without a checksum may be reported bad (Linux). */
	q->udp_unsure = dev->model->family == IXGBE_82599;
	q->rs = nic_line_alloc(config->tx_ring * sizeof *q->rs);
	if (config->in_place)
		q->place = (struct ixgbe_in_place){
			.rings = config->rings,
			.rx_iova = dma_iova(config->rings, place.rx),
			.tx_iova = dma_iova(config->rings, place.tx),
			/* At another line for each ring. */
			.head_iova = dma_iova(config->rings, heads),
			.head = (dma_word __dma *)(uintptr_t)(config->rings->base + heads),
			.every =
				config->tx_ring / 4 < HEAD_EVERY ? config->tx_ring / 4 : HEAD_EVERY,
		};
	return q->rs ? nic_queue_init(&q->head, &dev->nic, index) : -ENOMEM;
}

void ixgbe_queue_destroy(struct ixgbe *dev, unsigned index)
{
	struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[index]);

	if (!q)
		return;
	nic_queue_fini(&q->head);
	free(q->rs);
	free(q);
	dev->nic.queue[index] = NULL;
}

/* Whether an address is that of the first chunk and the offset. */
static bool one_run(const struct dma_region *frames)
{
	for (uint32_t c = 1; c < frames->chunks; c++)
		if (frames->iova[c] != frames->iova[0] + ((uint64_t)c << DMA_CHUNK_SHIFT))
			return false;
	return true;
}

void ixgbe_queue_use(struct ixgbe_queue *q, const struct dma_region *frames)
{
	q->head.frames = frames;
	q->common = ixgbe_widest_verbs();
	q->head.verbs = q->place.rings ? ixgbe_widest_in_place()
			: q->offloads  ? &ixgbe_full_verbs
				       : q->common;
	q->iova = frames->iova;
	q->one_run = one_run(frames);
	q->region_size = (uint32_t)frames->size;
	q->rx_span = q->region_size - NIC_BUFFER_STRIDE;
}

/* Empty rings, and nothing that the verbs could reach. */
static void forget(struct ixgbe_queue *q)
{
	nic_queue_forget(&q->head);
	q->iova = NULL;
	q->region_size = 0;
	q->rx_span = 0;
	q->rx_whole = RX_DD | RX_EOP;
	q->tx_done = 0;
	q->rs_head = q->rs_tail = 0;
	q->swap.begin = q->swap.tail = q->swap.span = 0;
	q->place.whole = LEGACY_RX_DD | LEGACY_RX_EOP;
	q->place.input = q->place.output = NULL;
	q->place.at = q->place.shown = q->place.tail = q->place.sent = 0;
	q->place.wild = UINT64_MAX;
	memset(q->context, 0, sizeof q->context);
}

/* --- started --- */

/* Programs a ring's base and length. A ring that lay elsewhere would be somebody else's memory:
 * what is written is read back.
 */
static int place_ring(struct ixgbe *dev, const struct ring *ring, size_t place, uint32_t base_low,
	uint32_t base_high, uint32_t length)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);
	int rc;

	/* The zeroes, before the enable bit that lets the card fetch descriptors. */
	dma_write_barrier();
	rc = nic_hold(&dev->nic, base_low, (uint32_t)iova, UINT32_MAX);
	if (!rc)
		rc = nic_hold(&dev->nic, base_high, (uint32_t)(iova >> 32), UINT32_MAX);
	if (!rc)
		rc = nic_hold(&dev->nic, length, ring_size(ring) * RING_DESCRIPTOR, UINT32_MAX);
	return rc;
}

/* 4.6.7 */
static int start_rx(struct ixgbe *dev, unsigned i)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);
	uint32_t drop = nic_drops(&dev->nic.config) ? SRRCTL_DROP_EN : 0; /* 8.2.3.8.7 */
	/* In place the address must outlive the write-back (7.1.5). */
	uint32_t format = dev->nic.config.in_place ? 0 : SRRCTL_ADVANCED;
	int rc;

	nic_ring_clear(&dev->nic.queue[i]->rx);
	rc = place_ring(dev, &dev->nic.queue[i]->rx, place.rx, RDBAL(i), RDBAH(i), RDLEN(i));
	if (!rc)
		rc = nic_hold(&dev->nic, SRRCTL(i),
			SRRCTL_PACKET_KIB(NIC_BUFFER_SIZE / 1024) | SRRCTL_HEADER_64(4) | format |
				drop,
			SRRCTL_FORMAT);
	if (rc)
		return rc;
	/* 8.2.3.11.1: bit 12 comes up as 1 and must be 0; left set, packets hold garbage (iPXE).
	 * Data and header are not to pass the write-back that announces them.
	 */
	reg_clear(&dev->nic.bar, DCA_RXCTRL(i),
		DCA_RXCTRL_MUST_BE_0 | DCA_RXCTRL_DATA_WRO | DCA_RXCTRL_HEADER_WRO);
	reg_write(&dev->nic.bar, RDH(i), 0);
	reg_write(&dev->nic.bar, RDT(i), 0);
	reg_clear(&dev->nic.bar, RXDCTL(i), RXDCTL_VME);
	reg_set(&dev->nic.bar, RXDCTL(i),
		RXDCTL_ENABLE | (dev->nic.config.offloads & NIC_RX_VLAN ? RXDCTL_VME : 0));
	/* 4.6.7.1.1: the tail must wait for it. */
	return nic_wait(&dev->nic, RXDCTL(i), RXDCTL_ENABLE, RXDCTL_ENABLE, QUEUE_US,
		"a receive queue did not start", "RXDCTL.ENABLE, 82599 datasheet 4.6.7");
}

/* 4.6.8 */
static int start_tx(struct ixgbe *dev, unsigned i)
{
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, i);
	const struct ixgbe_in_place *in = &ixgbe_queue(dev->nic.queue[i])->place;
	uint32_t report = 0;
	int rc;

	if (dev->nic.config.in_place) {
		/* The ring may be receiving already. The head's place is aligned to 16 bytes, which
		 * is what the card wants, and not to 4 or 8, as is written (TinyNF).
		 */
		dma_write(in->head, 0);
		report = (uint32_t)in->head_iova | TDWBAL_HEAD_WB_EN;
	} else {
		nic_ring_clear(&dev->nic.queue[i]->tx);
	}
	rc = place_ring(dev, &dev->nic.queue[i]->tx, place.tx, TDBAL(i), TDBAH(i), TDLEN(i));
	if (!rc)
		rc = nic_hold(&dev->nic, TDWBAL(i), report, UINT32_MAX);
	if (!rc)
		rc = nic_hold(&dev->nic, TDWBAH(i), (uint32_t)(in->head_iova >> 32), UINT32_MAX);
	if (rc)
		return rc;
	/* Write-backs must not pass each other: a DD tells of all before it, a head too. */
	reg_clear(&dev->nic.bar, DCA_TXCTRL(i), DCA_TXCTRL_DESC_WRO);
	reg_write(&dev->nic.bar, TDH(i), 0);
	reg_write(&dev->nic.bar, TDT(i), 0);
	/* 7.2.3.4: fetch when fewer than 32 are on the card and a line of four is there. WTHRESH is
	 * 0, with which RS is obeyed (8.2.3.9.10).
	 */
	reg_write(&dev->nic.bar, TXDCTL(i), TXDCTL_PTHRESH(32) | TXDCTL_HTHRESH(4) | TXDCTL_ENABLE);
	return nic_wait(&dev->nic, TXDCTL(i), TXDCTL_ENABLE, TXDCTL_ENABLE, QUEUE_US,
		"a transmit queue did not start", "TXDCTL.ENABLE, 82599 datasheet 4.6.8");
}

int ixgbe_queue_start(struct ixgbe *dev, unsigned index, const struct dma_region *frames)
{
	struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[index]);
	int rc;

	forget(q);
	q->rx_parts = parts_max(dev->nic.config.mtu);
	rc = start_tx(dev, index);
	if (!rc)
		rc = start_rx(dev, index);
	if (rc) {
		(void)ixgbe_queue_stop(dev, index);
		return rc;
	}
	ixgbe_queue_use(q, frames);
	return 0;
}

/* --- stopped --- */

static int stop_rx(struct ixgbe *dev, unsigned i)
{
	int rc;

	reg_clear(&dev->nic.bar, RXDCTL(i), RXDCTL_ENABLE);
	rc = reg_poll(&dev->nic.bar, RXDCTL(i), RXDCTL_ENABLE, 0, QUEUE_US);
	/* 4.6.7.1.2: the bit is clear when the card has left the ring; 100 us later it has left the
	 * buffers, too.
	 */
	pci_delay_us(100);
	return rc;
}

/* 4.6.8.1, 3 and 4: what was queued goes out first, if the link lets it, and the reports of it are
 * in memory.
 */
static void drain_tx(struct ixgbe *dev, unsigned i)
{
	const struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[i]);
	const struct ring *ring = &q->head.tx;
	uint32_t last = q->rs[(q->rs_tail - 1) & ring->mask];

	if (reg_poll(
		    &dev->nic.bar, TDH(i), UINT32_MAX, reg_read(&dev->nic.bar, TDT(i)), DRAIN_US) ||
		q->rs_head == q->rs_tail)
		return;
	for (unsigned us = 0; us < DRAIN_US; us += DRAIN_STEP_US) {
		if (dma_read(ring_word(ring, last, 1)) & TX_DD)
			return;
		pci_delay_us(DRAIN_STEP_US);
	}
}

static int stop_tx(struct ixgbe *dev, unsigned i)
{
	drain_tx(dev, i);
	/* 4.6.8.1, 5; 8.2.3.9.10: the bit is clear when all activity has ended. */
	reg_write(&dev->nic.bar, TXDCTL(i), 0);
	return reg_poll(&dev->nic.bar, TXDCTL(i), TXDCTL_ENABLE, 0, QUEUE_US);
}

int ixgbe_queue_stop(struct ixgbe *dev, unsigned index)
{
	int rx = stop_rx(dev, index);
	int tx = stop_tx(dev, index);

	forget(ixgbe_queue(dev->nic.queue[index]));
	return rx ? rx : tx;
}
