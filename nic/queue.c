/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What queues of all drivers are made of.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/driver.h"

/* --- of a queue that stands still --- */

static size_t no_offsets(struct nic_queue *q, const uint32_t *offsets, size_t n)
{
	(void)q, (void)offsets, (void)n;
	return 0;
}

size_t nic_no_frames(struct nic_queue *q, struct frame *frames, size_t n)
{
	(void)q, (void)frames, (void)n;
	return 0;
}

size_t nic_no_frames_taken(struct nic_queue *q, const struct frame *frames, size_t n)
{
	(void)q, (void)frames, (void)n;
	return 0;
}

size_t nic_no_offsets_back(struct nic_queue *q, uint32_t *offsets, size_t n)
{
	(void)q, (void)offsets, (void)n;
	return 0;
}

void nic_no_flush(struct nic_queue *q)
{
	(void)q;
}

const struct nic_verbs nic_still_verbs = {
	.rx_provide = no_offsets,
	.rx_return = nic_no_frames,
	.tx_provide = nic_no_frames_taken,
	.tx_return = nic_no_offsets_back,
	.flush = nic_no_flush,
};

/* --- memory --- */

void *nic_line_alloc(size_t size)
{
	size_t lines = (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
	void *memory = aligned_alloc(CACHE_LINE, lines);

	return memory ? memset(memory, 0, lines) : NULL;
}

static int create_ring(
	struct ring *ring, const struct dma_region *memory, size_t place, uint32_t slots)
{
	ring->mask = slots - 1;
	ring->words = (dma_word __dma *)(uintptr_t)(memory->base + place);
	ring->buffer = nic_line_alloc(slots * sizeof *ring->buffer);
	return ring->buffer ? 0 : -ENOMEM;
}

int nic_queue_init(struct nic_queue *q, struct nic *nic, unsigned index)
{
	const struct nic_config *config = &nic->config;
	struct nic_ring_place place = nic_place_rings(config, index);
	int rc;

	q->verbs = &nic_still_verbs;
	q->fn = nic->fn;
	q->gone = pci_gone_flag(nic->fn);
	rc = create_ring(&q->rx, config->rings, place.rx, config->rx_ring);
	return rc ? rc : create_ring(&q->tx, config->rings, place.tx, config->tx_ring);
}

void nic_queue_fini(struct nic_queue *q)
{
	free(q->rx.buffer);
	free(q->tx.buffer);
}

void nic_tx_name(struct nic_queue *q, uint32_t at, const uint32_t *buffers, size_t n)
{
	for (size_t i = 0; i < n; at++) {
		uint32_t *buffer = &q->tx.buffer[at & q->tx.mask];

		if (*buffer != NO_BUFFER)
			*buffer = buffers[i++];
	}
}

void nic_tx_unreturn(struct nic_queue *q, size_t n)
{
	while (n) {
		q->tx.head--;
		if (q->tx.buffer[q->tx.head & q->tx.mask] == NO_BUFFER)
			q->tx_bare++;
		else
			n--;
	}
}

size_t nic_tx_return_by(struct nic_queue *q, uint32_t *offsets, size_t n,
	size_t (*pop)(struct nic_queue *q, uint32_t *offsets, size_t n))
{
	size_t done = 0, got = 1;

	if (!q->tx_bare)
		return pop(q, offsets, n);
	while (got && done < n) {
		const uint32_t *back = offsets + done;

		got = pop(q, offsets + done, n - done);
		for (size_t i = 0; i < got; i++) {
			if (back[i] == NO_BUFFER)
				q->tx_bare--;
			else
				offsets[done++] = back[i];
		}
	}
	return done;
}

void nic_queue_forget(struct nic_queue *q)
{
	q->verbs = &nic_still_verbs;
	q->frames = NULL;
	q->rx.head = q->rx.tail = q->rx.shown = 0;
	q->tx.head = q->tx.tail = q->tx.shown = 0;
	q->tx_bare = 0;
}

void nic_ring_clear(const struct ring *ring)
{
	for (uint32_t i = 0; i < ring_size(ring); i++) {
		dma_write(ring_word(ring, i, 0), 0);
		dma_write(ring_word(ring, i, 1), 0);
	}
}
