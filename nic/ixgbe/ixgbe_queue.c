/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A queue pair: its verbs, made and freed.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/ixgbe/ixgbe_path.h"

/* At most that many descriptors stand between two RS (on 64-byte frames, one write-back for 32). */
#define TX_RS_EVERY 32u

void ixgbe_refuse(struct ixgbe_queue *q)
{
	nic_count(&q->head.bad_offsets);
}

static void flush(struct nic_queue *head)
{
	struct ixgbe_queue *q = ixgbe_queue(head);

	/* tx_provide() keeps nothing back. */
	if (ring_kept(&q->head.rx))
		ixgbe_rx_publish(q);
}

const struct nic_verbs ixgbe_verbs = {
	.rx_provide = ixgbe_rx_provide,
	.rx_return = ixgbe_rx_return,
	.tx_provide = ixgbe_tx_provide,
	.tx_return = ixgbe_tx_return,
	.flush = flush,
};

uint32_t ixgbe_frame_max(uint16_t mtu)
{
	return mtu + 14u + 4u;
}

static int ring_create(
	struct ring *ring, const struct dma_region *memory, size_t place, uint32_t slots)
{
	ring->mask = slots - 1;
	ring->words = (dma_word __dma *)(uintptr_t)(memory->base + place);
	ring->buffer = calloc(slots, sizeof *ring->buffer);
	return ring->buffer ? 0 : -ENOMEM;
}

int ixgbe_queue_create(struct ixgbe *dev, unsigned index)
{
	const struct nic_config *config = &dev->config;
	struct nic_ring_place place = nic_place_rings(config, index);
	struct ixgbe_queue *q = calloc(1, sizeof *q);

	if (!q)
		return -ENOMEM;
	dev->nic.queue[index] = &q->head;
	q->head.verbs = &ixgbe_verbs;
	q->head.fn = dev->nic.fn;
	q->bar = &dev->bar;
	q->iova = config->frames->iova;
	q->region_size = (uint32_t)config->frames->size;
	q->rx_span = q->region_size - NIC_BUFFER_STRIDE;
	q->rdt = RDT(index);
	q->tdt = TDT(index);
	q->rx_batch = config->rx_ring / 4 < 32 ? config->rx_ring / 4 : 32;
	q->rx_whole = RX_DD | RX_EOP;
	q->tx_every = config->tx_ring / 4 < TX_RS_EVERY ? config->tx_ring / 4 : TX_RS_EVERY;
	q->tx_max = ixgbe_frame_max(config->mtu);
	q->rs = calloc(config->tx_ring, sizeof *q->rs);
	if (!q->rs || ring_create(&q->head.rx, config->rings, place.rx, config->rx_ring) ||
		ring_create(&q->head.tx, config->rings, place.tx, config->tx_ring)) {
		ixgbe_queue_destroy(dev, index);
		return -ENOMEM;
	}
	return 0;
}

void ixgbe_queue_destroy(struct ixgbe *dev, unsigned index)
{
	struct ixgbe_queue *q = ixgbe_queue(dev->nic.queue[index]);

	if (!q)
		return;
	free(q->head.rx.buffer);
	free(q->head.tx.buffer);
	free(q->rs);
	free(q);
	dev->nic.queue[index] = NULL;
}
