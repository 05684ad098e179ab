/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bursts from a wire into receive queue 0, where all that is not IP goes: each frame is copied
 * once, from where the wire has it to where the driver wants it.
 */
#include <stdatomic.h>

#include "nicsim/ixgbe/burst.h"

#define QUEUE      RX_QUEUE(0u)
#define FRAME_MIN  60u
#define CRC_LEN    4u
#define LEGACY_MAX 1518u
#define TYPE_FIRST 0x600u /* below: a length */
#define TYPE_PAUSE 0x8808u
#define DD_EOP     0x03u

/* What the registers say for all frames of a burst. */
struct plan {
	uint8_t *ring;
	uint32_t size, head, free; /* free: descriptors that the card owns */
	uint32_t longest;
	bool advanced, drop;
	bool fills; /* what finds no descriptor goes into the packet buffer, as that holds the other
		     * end */
	bool all, broadcast;
	unsigned vlan;
};

/* What becomes of a frame. */
enum lot { STORE, IGNORE, DROP, NO_ROOM, UNCOMMON };

/* The frame before, and what was found of it: the next is mostly like it. */
struct kind {
	uint64_t to; /* the first eight bytes: the destination, and two of the source */
	unsigned type;
	size_t len;
	enum lot lot;
};

struct stored {
	uint8_t *to;
	const uint8_t *from;
	uint32_t len;
	uint32_t status; /* of its descriptor */
};

static uint32_t reg(const struct ixgbe *card, uint32_t offset)
{
	return card->reg[offset / 4];
}

/* False: this is no time for bursts. */
static bool make_plan(struct ixgbe *card, struct plan *plan)
{
	uint32_t srrctl = reg(card, QUEUE + SRRCTL), room = SRRCTL_BUFFER(srrctl);
	uint32_t hlreg = reg(card, HLREG0), fctrl = reg(card, FCTRL);
	uint32_t tail = reg(card, QUEUE + RDT);
	uint64_t base = reg(card, QUEUE + RDBAL) | (uint64_t)reg(card, QUEUE + RDBAH) << 32;

	plan->size = reg(card, QUEUE + RDLEN) / 16;
	plan->head = reg(card, QUEUE + RDH);
	if (!card->doorbells.page || card->faults.now || card->rx.used ||
		!(hlreg & HLREG0_RX_STRIP) || !(reg(card, RXCTRL) & RXCTRL_ENABLE) ||
		!(reg(card, QUEUE + RXDCTL) & RXDCTL_ENABLE) || !function_is_master(&card->fn) ||
		!ixgbe_link(card) || plan->head >= plan->size || tail >= plan->size || room == 0)
		return false;
	if (!dma_window(card->fn.dma, base, 16ull * plan->size, DMA_CAN_READ | DMA_CAN_WRITE,
		    &card->rx.ring))
		return false;
	plan->ring = dma_window_at(&card->rx.ring, base, 16ull * plan->size);
	/* The client's maps need not keep what the registers promise. */
	if ((uintptr_t)plan->ring % 16)
		return false;
	dma_window_refresh(card->fn.dma, &card->rx.buffers);
	plan->free = (tail >= plan->head ? tail : tail + plan->size) - plan->head;
	plan->longest = hlreg & HLREG0_JUMBO ? reg(card, MAXFRS) >> 16 : LEGACY_MAX;
	plan->longest = plan->longest < CRC_LEN ? 0 : plan->longest - CRC_LEN;
	plan->longest = plan->longest < room ? plan->longest : room;
	plan->advanced = SRRCTL_TYPE(srrctl) != 0;
	plan->drop = srrctl & SRRCTL_DROP;
	plan->fills = ixgbe_pause_sends(card);
	plan->all = fctrl & FCTRL_UPE;
	plan->broadcast = fctrl & (FCTRL_BAM | FCTRL_MPE);
	plan->vlan = VLNCTRL_TYPE(reg(card, VLNCTRL));
	return true;
}

static bool is_common(const struct ixgbe *card, const struct plan *plan, unsigned type, size_t len)
{
	return len >= FRAME_MIN && len <= plan->longest && type >= TYPE_FIRST &&
	       type != SIM_ETHERTYPE_IPV4 && type != SIM_ETHERTYPE_IPV6 && type != TYPE_PAUSE &&
	       type != plan->vlan && ixgbe_ethertype_filter(card, type) < 0;
}

static bool passes(struct ixgbe *card, const struct plan *plan, const struct ixgbe_head *head)
{
	if (ixgbe_head_group(head) ? plan->broadcast && ixgbe_head_broadcast(head) : plan->all)
		return true;
	return ixgbe_filter(card, (const uint8_t *)head, sizeof(*head));
}

/* What the frame itself says: to be stored, ignored, or not common. */
static enum lot judge(struct ixgbe *card, const struct plan *plan, const struct ixgbe_head *head,
	size_t len, struct kind *before)
{
	unsigned type = ixgbe_head_type(head);

	if (head->word[0] == before->to && type == before->type && len == before->len)
		return before->lot;
	*before = (struct kind){head->word[0], type, len, UNCOMMON};
	if (is_common(card, plan, type, len))
		before->lot = passes(card, plan, head) ? STORE : IGNORE;
	return before->lot;
}

/* Where the next frame goes. */
static bool find_place(struct ixgbe *card, const struct plan *plan, const struct wire_frame *frame,
	const struct ixgbe_head *head, uint32_t n, struct stored *place)
{
	uint32_t at = plan->head + n;
	uint64_t address;

	at = at >= plan->size ? at - plan->size : at;
	address = ixgbe_load(plan->ring + 16ull * at);
	place->to = dma_window_at(&card->rx.buffers, address, frame->len);
	if (!place->to) {
		if (!dma_window(
			    card->fn.dma, address, frame->len, DMA_CAN_WRITE, &card->rx.buffers))
			return false;
		place->to = dma_window_at(&card->rx.buffers, address, frame->len);
	}
	place->from = frame->bytes;
	place->len = (uint32_t)frame->len;
	place->status = DD_EOP | (ixgbe_head_group(head) ? SIM_STATUS_PIF : 0);
	__builtin_prefetch(place->to, 1);
	return true;
}

/* The write-backs, after everything that they tell of. */
static void write_back(const struct plan *plan, const struct stored *stored, uint32_t n)
{
	uint32_t at = plan->head;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *d = plan->ring + 16ull * at;
		uint64_t second;

		if (plan->advanced) {
			second = stored[i].status | (uint64_t)stored[i].len << 32;
			atomic_store_explicit(
				(_Atomic(uint64_t) *)(void *)d, 0, memory_order_relaxed);
		} else {
			second = stored[i].len | (uint64_t)stored[i].status << 32;
		}
		/* Orders the frame and the first quadword before DD. */
		atomic_store_explicit(
			(_Atomic(uint64_t) *)(void *)(d + 8), second, memory_order_release);
		at = at + 1 == plan->size ? 0 : at + 1;
	}
}

static void finish(struct ixgbe *card, const struct plan *plan, const struct stored *stored,
	uint32_t n, uint64_t octets)
{
	uint32_t head = plan->head + n;

	for (uint32_t i = 0; i < n; i++)
		ixgbe_copy(stored[i].to, stored[i].from, stored[i].len);
	head = head >= plan->size ? head - plan->size : head;
	ixgbe_doorbells_head(card, QUEUE + RDH, head);
	write_back(plan, stored, n);
	card->reg[(QUEUE + RDH) / 4] = head;
	ixgbe_count_rx_queued_burst(card, 0, n, octets);
	ixgbe_cause_queue(card, 0, false);
}

/* Common frames up to the first that is none, or finds no room. */
static size_t burst(struct ixgbe *card, const struct wire_frame *frames, size_t n, enum lot *end)
{
	struct stored stored[IXGBE_BURST];
	struct ixgbe_tally good = {0};
	struct kind before = {0};
	struct plan plan;
	uint32_t count = 0;
	uint64_t octets = 0, seen_octets = 0;
	size_t i;

	*end = UNCOMMON;
	if (!make_plan(card, &plan))
		return 0;
	n = n < IXGBE_BURST ? n : IXGBE_BURST;
	ixgbe_fetch(plan.ring, plan.size, plan.head, n < plan.free ? (uint32_t)n : plan.free);
	for (i = 0; i < n; i++) {
		struct ixgbe_head head = ixgbe_head(frames[i].bytes);
		enum lot lot = judge(card, &plan, &head, frames[i].len, &before);

		if (lot == STORE && count == plan.free)
			lot = plan.drop ? DROP : plan.fills ? UNCOMMON : NO_ROOM;
		if (lot == STORE &&
			!find_place(card, &plan, &frames[i], &head, count, &stored[count]))
			lot = UNCOMMON;
		*end = lot;
		if (lot == NO_ROOM || lot == UNCOMMON)
			break;
		seen_octets += frames[i].len + CRC_LEN;
		if (lot == IGNORE)
			continue;
		ixgbe_tally(&good, &head, (uint32_t)frames[i].len);
		if (lot == DROP) {
			ixgbe_count_rx_dropped(card, 0);
		} else {
			octets += frames[i].len;
			count++;
		}
	}
	if (i)
		ixgbe_count_rx_burst(card, (uint32_t)i, seen_octets, &good);
	if (count)
		finish(card, &plan, stored, count, octets);
	if (dma_window_lost(&card->rx.ring) || dma_window_lost(&card->rx.buffers))
		dma_count_lost(card->fn.dma, reg(card, QUEUE + RDBAL));
	return i;
}

/* For n frames of one descriptor each, as far as the card knows. */
static bool has_descriptors(const struct ixgbe *card, size_t n)
{
	uint32_t size = reg(card, QUEUE + RDLEN) / 16, head = reg(card, QUEUE + RDH);
	uint32_t tail = reg(card, QUEUE + RDT);

	return head < size && tail < size && (tail >= head ? tail : tail + size) - head >= n;
}

size_t ixgbe_rx_burst(void *ctx, const struct wire_frame *frames, size_t n)
{
	struct ixgbe *card = ctx;
	size_t done = 0;

	/* The card has looked at the beginning of this turn; again only if that is not enough. */
	if (!has_descriptors(card, n))
		ixgbe_doorbells_receive(card);
	while (done < n) {
		enum lot end;

		done += burst(card, frames + done, n - done, &end);
		if (done == n)
			break;
		if (end == NO_ROOM) {
			card->rx.wire_waits = true;
			break;
		}
		if (end == UNCOMMON) {
			uint8_t *copy = card->rx.taken;

			/* The exact way reads a frame more than once: it gets one that stands
			 * still. */
			memcpy(copy, frames[done].bytes, frames[done].len);
			if (!ixgbe_rx_frame(card, copy, frames[done].len, true))
				break;
			done++;
		}
	}
	return done;
}
