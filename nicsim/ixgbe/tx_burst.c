/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bursts from a transmit queue to a wire: frames of one descriptor each, sent from where they lie
 * in the driver's memory.
 */
#include <stdatomic.h>

#include "nicsim/ixgbe/burst.h"

#define FRAME_MIN 60u
#define FRAME_MAX (SIM_FRAME_MAX - 4u)

/* The second quadword of a descriptor: command in its low half, status in its high one (82599
 * datasheet 7.2.3.2). What is common: a whole frame with the card's CRC, and nothing to be put into
 * it.
 */
#define CMD_RS        0x08000000ull
#define EXTENDED_MASK 0x00000300e7f00000ull /* POPTS; TSE, VLE, DEXT, IC, IFCS, EOP; DTYP */
#define EXTENDED      0x0000000023300000ull /* DEXT, IFCS, EOP; a data descriptor */
#define LEGACY_MASK   0x00000000e7000000ull /* the same without POPTS and DTYP */
#define LEGACY        0x0000000003000000ull
#define STATUS_DD     1u

static uint32_t reg(const struct ixgbe *card, uint32_t offset)
{
	return card->reg[offset / 4];
}

struct plan {
	uint8_t *ring;
	uint32_t size, head, waiting;
	bool head_writeback;
};

static bool make_plan(struct ixgbe *card, unsigned queue, struct plan *plan)
{
	uint32_t tail = reg(card, TX_QUEUE(queue) + TDT), hlreg = reg(card, HLREG0);
	uint64_t base = reg(card, TX_QUEUE(queue) + TDBAL) |
			(uint64_t)reg(card, TX_QUEUE(queue) + TDBAH) << 32;

	plan->size = reg(card, TX_QUEUE(queue) + TDLEN) / 16;
	plan->head = reg(card, TX_QUEUE(queue) + TDH);
	plan->head_writeback = reg(card, TX_QUEUE(queue) + TDWBAL) & TDWBAL_ENABLE;
	if (!card->doorbells.page || card->faults.now || !wire_bursts(card->wire) ||
		plan->head >= plan->size || tail >= plan->size || tail == plan->head ||
		(hlreg & (HLREG0_LOOPBACK | HLREG0_TX_CRC)) != HLREG0_TX_CRC ||
		(TXDCTL_WTHRESH(reg(card, TX_QUEUE(queue) + TXDCTL)) && !plan->head_writeback))
		return false;
	if (!dma_window(card->fn.dma, base, 16ull * plan->size, DMA_CAN_READ | DMA_CAN_WRITE,
		    &card->tx.queue[queue].ring))
		return false;
	plan->ring = dma_window_at(&card->tx.queue[queue].ring, base, 16ull * plan->size);
	/* The client's maps need not keep what the registers promise. */
	if ((uintptr_t)plan->ring % 16)
		return false;
	dma_window_refresh(card->fn.dma, &card->tx.queue[queue].buffers);
	plan->waiting = (tail > plan->head ? tail : tail + plan->size) - plan->head;
	return true;
}

static bool is_common(uint64_t second)
{
	return ((second & EXTENDED_MASK) == EXTENDED || (second & LEGACY_MASK) == LEGACY) &&
	       (second & 0xffff) - FRAME_MIN <= FRAME_MAX - FRAME_MIN;
}

/* Whole frames of one descriptor, from the head on. */
static uint32_t gather(struct ixgbe *card, unsigned queue, const struct plan *plan, uint32_t most,
	struct wire_frame *frames, uint64_t *second)
{
	uint32_t at = plan->head, n;

	most = most < plan->waiting ? most : plan->waiting;
	ixgbe_fetch(plan->ring, plan->size, plan->head, most);
	for (n = 0; n < most; n++) {
		const uint8_t *d = plan->ring + 16ull * at;
		uint64_t address = ixgbe_load(d);

		second[n] = ixgbe_load(d + 8);
		if (!is_common(second[n]))
			break;
		frames[n].len = second[n] & 0xffff;
		frames[n].bytes =
			dma_window_at(&card->tx.queue[queue].buffers, address, frames[n].len);
		if (!frames[n].bytes) {
			if (!dma_window(card->fn.dma, address, frames[n].len, DMA_CAN_READ,
				    &card->tx.queue[queue].buffers))
				break;
			frames[n].bytes = dma_window_at(
				&card->tx.queue[queue].buffers, address, frames[n].len);
		}
		__builtin_prefetch(frames[n].bytes);
		at = at + 1 == plan->size ? 0 : at + 1;
	}
	return n;
}

/* DD where a report was asked for (bit i of `reports`: of the i-th), or the head in memory. */
static void write_back(struct ixgbe *card, unsigned queue, const struct plan *plan,
	const uint64_t *second, uint64_t reports)
{
	/* What was read of descriptors and frames, before what lets the driver change them. */
	atomic_thread_fence(memory_order_release);
	if (plan->head_writeback) {
		uint64_t to = (reg(card, TX_QUEUE(queue) + TDWBAL) & ~3u) |
			      (uint64_t)reg(card, TX_QUEUE(queue) + TDWBAH) << 32;
		uint32_t head = plan->head + 64u - (uint32_t)__builtin_clzll(reports);

		head = head >= plan->size ? head - plan->size : head;
		function_dma_write(
			&card->fn, &card->tx.queue[queue].hint_head, to, &head, sizeof(head));
		return;
	}
	for (; reports; reports &= reports - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(reports), at = plan->head + i;

		at = at >= plan->size ? at - plan->size : at;
		atomic_store_explicit((_Atomic(uint32_t) *)(void *)(plan->ring + 16ull * at + 12),
			(uint32_t)(second[i] >> 32) | STATUS_DD, memory_order_relaxed);
	}
}

unsigned ixgbe_tx_burst(struct ixgbe *card, unsigned queue, unsigned most)
{
	struct wire_frame frames[IXGBE_BURST];
	uint64_t second[IXGBE_BURST], reports = 0;
	struct ixgbe_tally tally = {0};
	struct plan plan;
	uint32_t n, sent, head;

	if (!make_plan(card, queue, &plan))
		return 0;
	n = gather(card, queue, &plan, most < IXGBE_BURST ? most : IXGBE_BURST, frames, second);
	sent = n ? (uint32_t)wire_send_burst(card->wire, frames, n) : 0;
	n = sent < n ? sent : n;
	if (!n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		struct ixgbe_head first = ixgbe_head(frames[i].bytes);

		ixgbe_tally(&tally, &first, (uint32_t)frames[i].len);
		reports |= (second[i] & CMD_RS ? 1ull : 0ull) << i;
	}
	ixgbe_count_tx_burst(card, queue, &tally);
	head = plan.head + n;
	head = head >= plan.size ? head - plan.size : head;
	card->reg[(TX_QUEUE(queue) + TDH) / 4] = head;
	ixgbe_doorbells_head(card, TX_QUEUE(queue) + TDH, head);
	if (reports) {
		write_back(card, queue, &plan, second, reports);
		ixgbe_cause_queue(card, queue, true);
	}
	if (dma_window_lost(&card->tx.queue[queue].ring) ||
		dma_window_lost(&card->tx.queue[queue].buffers))
		dma_count_lost(card->fn.dma, reg(card, TX_QUEUE(queue) + TDBAL));
	return n;
}
