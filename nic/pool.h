/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A pool of frame buffers in a DMA region, for programs that link the library: a LIFO stack of free
 * offsets, so that the warmest buffer is used first; and ixy's API above the four verbs.
 */
#ifndef NIC_POOL_H
#define NIC_POOL_H

#include "nic/nic.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nic_pool {
	const struct dma_region *region;
	uint32_t size; /* buffers in all */
	uint32_t top;  /* free[0 .. top) are free */
	uint32_t *free;
};

/* Cuts the region into buffers of NIC_BUFFER_STRIDE, none across a chunk. -ENOMEM. */
int nic_pool_init(struct nic_pool *pool, const struct dma_region *region);
void nic_pool_fini(struct nic_pool *pool);

static inline uint8_t *nic_data(const struct nic_pool *pool, uint32_t offset)
{
	return pool->region->base + offset;
}

/* Takes up to n offsets; returns how many. */
size_t nic_pool_get(struct nic_pool *pool, uint32_t *offsets, size_t n);
/* Gives n back. More than were taken is a bug: what does not fit is not stored; returns how many
 * were. */
size_t nic_pool_put(struct nic_pool *pool, const uint32_t *offsets, size_t n);

/* Takes n particular offsets, which somebody has already: for a pool that is made anew above a card
 * that runs. -EINVAL, and nothing is taken: one of them is not a free buffer, or is there twice;
 * -ENOMEM.
 */
int nic_pool_claim(struct nic_pool *pool, const uint32_t *offsets, size_t n);

/* Receives up to n entries of frames, as nic_rx_return(), and fills the ring from the pool: all
 * that it takes, so the pool must hold more buffers than the ring for any to be left to send from.
 * While the card owns half the ring or more, a driver may wait until a tail write is due: up to
 * min(32, size / 4) slots stay empty. The caller owns the frames' buffers.
 */
size_t nic_rx(struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n);
/* Takes sent buffers back into the pool, then queues up to n frames; the rest stays the caller's.
 */
size_t nic_tx(struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n);

#ifdef __cplusplus
}
#endif

#endif
