/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frame pool, and nic_rx()/nic_tx() above the four verbs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nic/driver.h"
#include "nic/pool.h"

int nic_pool_init(struct nic_pool *pool, const struct dma_region *region)
{
	size_t whole = region->size >> DMA_CHUNK_SHIFT;
	size_t rest = region->size & (DMA_CHUNK_SIZE - 1);
	size_t each = DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE;
	size_t count = whole * each + rest / NIC_BUFFER_STRIDE;

	*pool = (struct nic_pool){.region = region};
	pool->free = calloc(count ? count : 1, sizeof *pool->free);
	if (!pool->free)
		return -ENOMEM;

	/* The lowest buffer lies on top, so that a program that needs few stays in few pages. */
	for (size_t i = count; i-- > 0;) {
		size_t at = (i / each << DMA_CHUNK_SHIFT) + i % each * NIC_BUFFER_STRIDE;

		pool->free[pool->top++] = (uint32_t)(at + NIC_BUFFER_HEAD);
	}
	pool->size = pool->top;
	return 0;
}

void nic_pool_fini(struct nic_pool *pool)
{
	free(pool->free);
	*pool = (struct nic_pool){0};
}

size_t nic_pool_get(struct nic_pool *pool, uint32_t *offsets, size_t n)
{
	if (n > pool->top)
		n = pool->top;
	pool->top -= (uint32_t)n;
	memcpy(offsets, pool->free + pool->top, n * sizeof *offsets);
	return n;
}

size_t nic_pool_put(struct nic_pool *pool, const uint32_t *offsets, size_t n)
{
	if (n > pool->size - pool->top)
		n = pool->size - pool->top;
	memcpy(pool->free + pool->top, offsets, n * sizeof *offsets);
	pool->top += (uint32_t)n;
	return n;
}

static int compare_offsets(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

int nic_pool_claim(struct nic_pool *pool, const uint32_t *offsets, size_t n)
{
	uint32_t *wanted;
	uint32_t kept = 0;
	size_t found = 0;
	int rc = -EINVAL;

	if (n > pool->top)
		return -EINVAL;
	wanted = malloc((n ? n : 1) * sizeof *wanted);
	if (!wanted)
		return -ENOMEM;
	memcpy(wanted, offsets, n * sizeof *wanted);
	qsort(wanted, n, sizeof *wanted, compare_offsets);
	for (size_t i = 1; i < n; i++)
		if (wanted[i] == wanted[i - 1])
			goto out;
	for (uint32_t i = 0; i < pool->top; i++)
		found +=
			bsearch(&pool->free[i], wanted, n, sizeof *wanted, compare_offsets) != NULL;
	if (found != n)
		goto out;
	for (uint32_t i = 0; i < pool->top; i++)
		if (!bsearch(&pool->free[i], wanted, n, sizeof *wanted, compare_offsets))
			pool->free[kept++] = pool->free[i];
	pool->top = kept;
	rc = 0;
out:
	free(wanted);
	return rc;
}

/* nic_rx() and nic_tx() for a driver that does not do them itself. */
static __attribute__((noinline)) size_t rx_by_verbs(
	struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n)
{
	size_t received = q->verbs->rx_return(q, frames, n);
	uint32_t refill = ring_room(&q->rx);
	uint32_t *from;
	size_t taken;

	if (refill > pool->top)
		refill = pool->top;
	from = pool->free + (pool->top - refill);
	taken = q->verbs->rx_provide(q, from, refill);
	/* Not all only where one is no buffer of this region, which stays in the pool. */
	if (taken < refill)
		memmove(from, from + taken, (refill - taken) * sizeof *from);
	pool->top -= (uint32_t)taken;
	return received;
}

static __attribute__((noinline)) size_t tx_by_verbs(
	struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n)
{
	pool->top +=
		(uint32_t)q->verbs->tx_return(q, pool->free + pool->top, pool->size - pool->top);
	return q->verbs->tx_provide(q, frames, n);
}

size_t nic_rx(struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n)
{
	if (nic_queue_gone(q))
		return 0;
	return q->verbs->rx ? q->verbs->rx(q, pool, frames, n) : rx_by_verbs(q, pool, frames, n);
}

size_t nic_tx(struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n)
{
	if (nic_queue_gone(q))
		return 0;
	return q->verbs->tx ? q->verbs->tx(q, pool, frames, n) : tx_by_verbs(q, pool, frames, n);
}
