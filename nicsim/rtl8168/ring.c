/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rings of descriptors (RTL8169 datasheet 9.1). A descriptor is the card's while its OWN is
 * set; the last of a ring has EOR, and none may be longer than 1,024.
 */
#include <errno.h>
#include <stdatomic.h>

#include "nicsim/rtl8168/card.h"

uint64_t rtl8168_ring_base(const struct rtl8168 *card, const struct rtl8168_ring *ring)
{
	return rtl8168_get(card, ring->base, 4) | (uint64_t)rtl8168_get(card, ring->base + 4, 4)
							  << 32;
}

static uint64_t address(const struct rtl8168 *card, const struct rtl8168_ring *ring, uint32_t at)
{
	return rtl8168_ring_base(card, ring) + 16ull * at;
}

/* The place behind the n-th taken one. */
static uint32_t behind(struct rtl8168 *card, const struct rtl8168_ring *ring, unsigned n)
{
	uint32_t next = ring->taken[n].at + 1;

	if (ring->taken[n].descriptor.options1 & DESC_EOR)
		return 0;
	if (next < RTL8168_RING)
		return next;
	report_strict(card->report, "a ring of more than %u descriptors", RTL8168_RING);
	return 0;
}

int rtl8168_ring_take(struct rtl8168 *card, struct rtl8168_ring *ring)
{
	uint32_t at = ring->count ? behind(card, ring, ring->count - 1) : ring->at;
	struct rtl8168_descriptor descriptor;

	if (ring->count == RTL8168_RING || (ring->count && at == ring->taken[0].at))
		return -ENOSPC;
	if (function_dma_read(&card->fn, &ring->hint, address(card, ring, at), &descriptor,
		    sizeof(descriptor))) {
		rtl8168_bus_error(card);
		return -EFAULT;
	}
	if (!(descriptor.options1 & DESC_OWN))
		return -EAGAIN;
	/* Order the reading of OWN before that of what the driver wrote before it: the rest is
	 * read again. */
	atomic_thread_fence(memory_order_acquire);
	if (function_dma_read(&card->fn, &ring->hint, address(card, ring, at), &descriptor,
		    sizeof(descriptor))) {
		rtl8168_bus_error(card);
		return -EFAULT;
	}
	ring->taken[ring->count].at = at;
	ring->taken[ring->count++].descriptor = descriptor;
	return 0;
}

void rtl8168_ring_give_back(struct rtl8168 *card, struct rtl8168_ring *ring, unsigned n,
	uint32_t options1, const uint32_t *options2)
{
	uint64_t at = address(card, ring, ring->taken[n].at);

	if (options2 && function_dma_write(&card->fn, &ring->hint, at + 4, options2, 4)) {
		rtl8168_bus_error(card);
		return;
	}
	/* Order everything before that before OWN falls. */
	atomic_thread_fence(memory_order_release);
	if (function_dma_write(&card->fn, &ring->hint, at, &options1, 4))
		rtl8168_bus_error(card);
}

void rtl8168_ring_advance(struct rtl8168 *card, struct rtl8168_ring *ring)
{
	ring->at = behind(card, ring, ring->count - 1);
	ring->count = 0;
}

uint32_t rtl8168_ring_size(struct rtl8168 *card, const struct rtl8168_ring *ring)
{
	unsigned hint = ring->hint;

	for (uint32_t n = 0; n < RTL8168_RING; n++) {
		uint32_t options1;

		if (function_dma_read(&card->fn, &hint, address(card, ring, n), &options1, 4))
			return n;
		if (options1 & DESC_EOR)
			return n + 1;
	}
	return RTL8168_RING;
}

void rtl8168_ring_set_done(struct rtl8168 *card, struct rtl8168_ring *ring, uint32_t at)
{
	uint32_t options1;

	if (function_dma_read(&card->fn, &ring->hint, address(card, ring, at), &options1, 4))
		return;
	options1 &= ~DESC_OWN;
	atomic_thread_fence(memory_order_release);
	function_dma_write(&card->fn, &ring->hint, address(card, ring, at), &options1, 4);
}

/* --- registers --- */

/* What was fetched and not sent is forgotten. */

static void rewind_ring(struct rtl8168 *card, struct rtl8168_ring *ring, uint32_t written)
{
	if (written & ~RING_ALIGN)
		report_strict(card->report, "a ring at 0x%x, which is no multiple of 256", written);
	ring->at = 0;
	ring->count = 0;
}

void rtl8168_write_rdsar(struct rtl8168 *card, uint32_t written)
{
	rewind_ring(card, &card->rx.ring, written);
}

void rtl8168_write_tnpds(struct rtl8168 *card, uint32_t written)
{
	card->tx.request.loaded = false;
	rewind_ring(card, &card->tx.ring[0], written);
}

void rtl8168_write_thpds(struct rtl8168 *card, uint32_t written)
{
	card->tx.request.loaded = false;
	rewind_ring(card, &card->tx.ring[1], written);
}
