/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The queue pair: made and freed, started and stopped with the card's receiver and transmitter. It
 * begins at its rings' first slots only after a reset.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/rtl8168/rtl8168.h"

/* At most that many descriptors stand between two that are looked at. */
#define TX_EVERY 32u

/* Limits of our own: of what was queued, and of a frame that is under way into memory. */
#define DRAIN_US  10000u
#define DRAIN_GAP 100u

static void no_flush(struct nic_queue *q)
{
	(void)q;
}

/* There are no tails, so nothing is kept back. */
static const struct nic_verbs verbs = {
	.rx_provide = rtl8168_rx_provide,
	.rx_return = rtl8168_rx_return,
	.tx_provide = rtl8168_tx_provide,
	.tx_return = rtl8168_tx_return,
	.flush = no_flush,
};

/* What frames of an MTU are like, for the verbs. */
static void measure(struct rtl8168 *dev)
{
	struct rtl8168_queue *q = rtl8168_queue_of(dev);
	uint32_t max = dev->nic.config.mtu + 14u + 4u;
	uint32_t parts = dev->nic.config.mtu > NIC_MTU_ONE_BUFFER ? 2 : 1;

	__atomic_store_n(&q->tx_max, max, __ATOMIC_RELAXED);
	__atomic_store_n(&q->rx_max, max, __ATOMIC_RELAXED);
	__atomic_store_n(&q->rx_parts, parts, __ATOMIC_RELAXED);
}

/* --- made and freed --- */

int rtl8168_queue_create(struct rtl8168 *dev)
{
	const struct nic_config *config = &dev->nic.config;
	struct rtl8168_queue *q = nic_line_alloc(sizeof *q);
	int rc;

	if (!q)
		return -ENOMEM;
	dev->nic.queue[0] = &q->head;
	q->bar = &dev->nic.bar;
	q->tx_every = config->tx_ring / 4 < TX_EVERY ? config->tx_ring / 4 : TX_EVERY;
	q->rs = nic_line_alloc(config->tx_ring * sizeof *q->rs);
	rc = q->rs ? nic_queue_init(&q->head, &dev->nic, 0) : -ENOMEM;
	if (rc)
		return rc;
	dev->tally = nic_place_rings(config, 0).end;
	memset(config->rings->base + dev->tally + TALLY_BYTES, 0, NIC_CARD_BYTES - TALLY_BYTES);
	if (dev->model->quirks & QUIRK_PAD)
		q->pad = dma_iova(config->rings, dev->tally + TALLY_BYTES);
	measure(dev);
	return 0;
}

void rtl8168_queue_destroy(struct rtl8168 *dev)
{
	struct rtl8168_queue *q = rtl8168_queue_of(dev);

	if (!q)
		return;
	nic_queue_fini(&q->head);
	free(q->rs);
	free(q);
	dev->nic.queue[0] = NULL;
}

void rtl8168_queue_use(struct rtl8168_queue *q, const struct dma_region *frames)
{
	q->head.frames = frames;
	q->head.verbs = &verbs;
	q->iova = frames->iova;
	q->region_size = (uint32_t)frames->size;
	q->rx_span = q->region_size - NIC_BUFFER_STRIDE;
}

/* Empty rings, and nothing that the verbs could reach. */
static void forget(struct rtl8168_queue *q)
{
	nic_queue_forget(&q->head);
	q->iova = NULL;
	q->region_size = 0;
	q->rx_span = 0;
	q->tx_done = 0;
	q->rs_head = q->rs_tail = 0;
	q->seen = (struct nic_seen){0};
	q->overrun = 0;
}

/* --- started --- */

static int place_ring(struct rtl8168 *dev, const struct ring *ring, size_t place, uint32_t base)
{
	uint64_t iova = dma_iova(dev->nic.config.rings, place);
	int rc;

	/* Nothing is the card's; it turns round at the last one. */
	nic_ring_clear(ring);
	dma_write(ring_word(ring, ring->mask, 0), DESC_EOR);
	/* The descriptors, before the enable bit that lets the card read them. */
	dma_write_barrier();
	/* High first: some hosts want it so (Linux). */
	rc = nic_hold(&dev->nic, base + 4, (uint32_t)(iova >> 32), UINT32_MAX);
	return rc ? rc : nic_hold(&dev->nic, base, (uint32_t)iova, UINT32_MAX);
}

static void change8(struct rtl8168 *dev, uint32_t reg, uint8_t bit, bool on)
{
	uint8_t value = reg_read8(&dev->nic.bar, reg) & (uint8_t)~bit;

	reg_write8(&dev->nic.bar, reg, value | (on ? bit : 0));
}

/* CONFIG3 and CONFIG4 are locked but for now. */
void rtl8168_write_mtu(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	bool large = dev->nic.config.mtu > NIC_MTU_DEFAULT;
	uint16_t longest;

	reg_write8(bar, CR9346, CR9346_UNLOCK);
	switch (dev->model->jumbo) {
	case JUMBO_B: change8(dev, CONFIG4, CONFIG4_JUMBO_BE, large); break;
	case JUMBO_C:
		change8(dev, CONFIG3, CONFIG3_JUMBO, large);
		change8(dev, CONFIG4, CONFIG4_JUMBO, large);
		break;
	case JUMBO_DP: change8(dev, CONFIG3, CONFIG3_JUMBO, large); break;
	case JUMBO_E:
		change8(dev, CONFIG3, CONFIG3_JUMBO, large);
		change8(dev, CONFIG4, CONFIG4_JUMBO_BE, large);
		break;
	default: break;
	}
	reg_write8(bar, CR9346, CR9346_LOCK);
	measure(dev);
	/* As many whole buffers as a frame takes; what is longer is dropped by the verbs. Without
	 * it nothing comes, and a single access may fail.
	 */
	longest = (uint16_t)(rtl8168_queue_of(dev)->rx_parts * NIC_BUFFER_SIZE);
	for (unsigned i = 0; i < 2 && reg_read16(bar, RMS) != longest; i++)
		reg_write16(bar, RMS, longest);
}

static bool runs(struct rtl8168 *dev)
{
	return (reg_read8(&dev->nic.bar, CR) & (CR_TE | CR_RE)) == (CR_TE | CR_RE);
}

int rtl8168_queue_start(struct rtl8168 *dev, const struct dma_region *frames)
{
	const struct pci_bar *bar = &dev->nic.bar;
	struct nic_ring_place place = nic_place_rings(&dev->nic.config, 0);
	struct nic_queue *q = dev->nic.queue[0];
	int rc;

	forget(rtl8168_queue_of(dev));
	reg_write8(bar, CR9346, CR9346_UNLOCK);
	/* No checksums, tags stay in. */
	reg_write16(bar, CPLUSCR, reg_read16(bar, CPLUSCR) & CPLUSCR_KEPT);
	reg_write8(bar, MTPS, dev->model->mtps);
	reg_write16(bar, INTMIT, 0);
	rc = place_ring(dev, &q->tx, place.tx, TNPDS);
	if (!rc)
		rc = place_ring(dev, &q->rx, place.rx, RDSAR);
	if (rc)
		return rc;
	rtl8168_write_mtu(dev);
	if (dev->model->quirks & QUIRK_TAKEN)
		reg_clear(bar, MISC, MISC_RXDV_GATED);
	/* From the E-VL on: the card is no more its firmware's (Linux does so after each reset). */
	if (dev->model->stop == STOP_EMPTY)
		reg_write8(bar, MCU, reg_read8(bar, MCU) & (uint8_t)~MCU_OOB);
	/* Before both configurations, which do not stick otherwise. */
	for (unsigned i = 0; i < 2; i++) {
		reg_write8(bar, CR, CR_TE | CR_RE);
		if (runs(dev))
			break;
	}
	reg_write(bar, TCR,
		TCR_IFG | TCR_BURST | (dev->model->stop == STOP_EMPTY ? TCR_AUTO_FIFO : 0));
	rtl8168_filter_write(dev);
	if (!runs(dev)) {
		(void)rtl8168_queue_stop(dev);
		return pci_gone(dev->nic.fn)
			       ? -ENODEV
			       : nic_fail(&dev->nic, -EIO,
					 "receiver and transmitter did not start (CR, 0x37): "
					 "power-cycle the card");
	}
	rtl8168_queue_use(rtl8168_queue_of(dev), frames);
	return 0;
}

/* --- stopped --- */

static bool sent(const struct ring *tx)
{
	return !ring_held(tx) || !(dma_read(ring_word(tx, tx->tail - 1, 0)) & DESC_OWN);
}

int rtl8168_queue_stop(struct rtl8168 *dev)
{
	const struct nic_queue *q = dev->nic.queue[0];
	int rc;

	reg_clear(&dev->nic.bar, RCR, RCR_ACCEPT);
	for (unsigned us = 0; us < DRAIN_US && !sent(&q->tx) && !pci_gone(dev->nic.fn);
		us += DRAIN_GAP)
		pci_delay_us(DRAIN_GAP);
	rc = rtl8168_reset(dev);
	forget(rtl8168_queue_of(dev));
	return pci_gone(dev->nic.fn) ? -ENODEV : rc;
}
