/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving: from the wire through the packet buffer into the descriptors of the queues (82599
 * datasheet 7.1). The card owns the descriptors from RDH to before RDT.
 */
#include <stdatomic.h>
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/ixgbe/card.h"

#define CRC_LEN    4u
#define FRAME_MIN  60u   /* on a link, without CRC */
#define LEGACY_MAX 1518u /* without jumbo frames, with CRC; a VLAN tag comes on top */
#define TAG_LEN    4u
#define BURST      64u /* frames a turn */

/* Descriptor status that is about the ring and the tag, as it lies in the second quadword (7.1.5,
 * 7.1.6). The rest is the frame's verdict's.
 */
#define STATUS_DD  0x01u
#define STATUS_EOP 0x02u
#define STATUS_VP  0x08u

/* What becomes of a frame at the ring. */
enum outcome { STORED, NO_DESCRIPTOR, IN_VAIN };

static uint32_t *reg(struct ixgbe *card, unsigned queue, uint32_t offset)
{
	return ixgbe_reg(card, RX_QUEUE(queue) + offset);
}

static bool listening(struct ixgbe *card)
{
	return (*ixgbe_reg(card, RXCTRL) & RXCTRL_ENABLE) && function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, true));
}

static bool is_on(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, RXDCTL) & RXDCTL_ENABLE;
}

/* Without a descriptor it drops, instead of holding up the others. */
static bool drops(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, SRRCTL) & SRRCTL_DROP;
}

static uint32_t ring_size(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, RDLEN) / 16;
}

static uint64_t ring_address(struct ixgbe *card, unsigned queue, uint32_t index)
{
	return (*reg(card, queue, RDBAL) | (uint64_t)*reg(card, queue, RDBAH) << 32) +
	       16ull * index;
}

/* --- one frame into the ring --- */

/* Whether the queue wants this frame's VLAN tag taken out. */
static bool has_tag(struct ixgbe *card, unsigned queue, const uint8_t *frame, uint32_t len)
{
	unsigned type = sim_be16(frame + 12);

	return *reg(card, queue, RXDCTL) & RXDCTL_VME && len >= 18 &&
	       type == VLNCTRL_TYPE(*ixgbe_reg(card, VLNCTRL));
}

/* The write-back: the second quadword, which holds DD, after everything else. */
static int write_back(struct ixgbe *card, unsigned queue, uint32_t index, uint64_t second,
	bool advanced, uint64_t first)
{
	unsigned *hint = &card->rx.queue[queue].hint_ring;
	uint64_t address = ring_address(card, queue, index);
	int rc = 0;

	if (card->faults.now &&
		fault_rx_words(card->faults.now, queue, address, advanced, &first, &second))
		return 0;
	if (advanced)
		rc = function_dma_write(&card->fn, hint, address, &first, 8);
	atomic_thread_fence(memory_order_release);
	return rc ? rc : function_dma_write(&card->fn, hint, address + 8, &second, 8);
}

/* The second quadword. What is not a frame's last descriptor says nothing but length and DD. */
static uint64_t second_word(struct ixgbe *card, const struct ixgbe_verdict *verdict, bool advanced,
	uint32_t piece, bool last, bool tagged, uint64_t tag)
{
	uint32_t status = STATUS_DD;
	uint64_t word;

	if (last)
		status |= STATUS_EOP | verdict->status;
	if (last && tagged)
		status |= STATUS_VP;
	if (advanced) {
		word = status | (uint64_t)piece << 32;
	} else {
		/* The lowest and the highest eight bits of the others' 32. */
		word = piece | (uint64_t)(status & 0xff) << 32 | (uint64_t)(status >> 24) << 40;
		if (last && !(*ixgbe_reg(card, RXCSUM) & RXCSUM_PCSD))
			word |= verdict->hash & 0xffff0000;
	}
	return last && tagged ? word | tag << 48 : word;
}

/* Puts a frame into as many descriptors as it takes. */
static enum outcome store(
	struct ixgbe *card, const struct ixgbe_verdict *verdict, const uint8_t *frame, uint32_t len)
{
	unsigned queue = verdict->queue;
	struct ixgbe_rx_queue *q = &card->rx.queue[queue];
	uint32_t size = ring_size(card, queue);
	uint32_t head = *reg(card, queue, RDH), tail = *reg(card, queue, RDT);
	uint32_t srrctl = *reg(card, queue, SRRCTL);
	uint32_t room = SRRCTL_BUFFER(srrctl), at = 0;
	bool advanced = SRRCTL_TYPE(srrctl) != 0;
	bool crc = !(*ixgbe_reg(card, HLREG0) & HLREG0_RX_STRIP);
	bool tagged = has_tag(card, queue, frame, len);
	uint32_t stored = len + (crc ? CRC_LEN : 0) - (tagged ? TAG_LEN : 0);
	uint64_t tag = tagged ? sim_be16(frame + 14) : 0;

	if (head >= size || tail >= size || room == 0 ||
		(tail + size - head) % size < (stored + room - 1) / room)
		return NO_DESCRIPTOR;
	if (crc || tagged) {
		len = sim_stored(card->rx.edited, frame, len, tagged, crc);
		frame = card->rx.edited;
	}
	for (uint32_t left = len; left;) {
		uint32_t piece = left < room ? left : room;
		uint64_t address, first = 0, second;
		bool last = piece == left;

		if (function_dma_read(&card->fn, &q->hint_ring, ring_address(card, queue, head),
			    &address, sizeof(address)) ||
			function_dma_write(&card->fn, &q->hint_buffer, address, frame + at, piece))
			goto lost;
		if (last)
			first = verdict->info | (uint64_t)verdict->hash << 32;
		second = second_word(card, verdict, advanced, piece, last, tagged, tag);
		ixgbe_doorbells_head(card, RX_QUEUE(queue) + RDH, head + 1 == size ? 0 : head + 1);
		if (write_back(card, queue, head, second, advanced, first))
			goto lost;
		head = head + 1 == size ? 0 : head + 1;
		*reg(card, queue, RDH) = head;
		at += piece;
		left -= piece;
	}
	ixgbe_count_rx_queued(card, queue, len);
	ixgbe_cause_queue(card, queue, false);
	return STORED;

lost:
	/* A bus error: the descriptor is used up without a write-back. */
	*reg(card, queue, RDH) = head + 1 == size ? 0 : head + 1;
	return IN_VAIN;
}

/* --- the packet buffer --- */

/* RXPBSIZE, which the buffer of this model bounds. */
static uint32_t capacity(struct ixgbe *card)
{
	uint32_t size = *ixgbe_reg(card, RXPBSIZE(0));

	return size < IXGBE_RX_BUFFER ? size : IXGBE_RX_BUFFER;
}

static void copy_in(struct ixgbe_rx *rx, uint32_t at, const void *from, uint32_t len)
{
	uint32_t end = IXGBE_RX_BUFFER - at % IXGBE_RX_BUFFER;
	uint32_t n = len < end ? len : end;

	memcpy(rx->buffer + at % IXGBE_RX_BUFFER, from, n);
	memcpy(rx->buffer, (const uint8_t *)from + n, len - n);
}

static void copy_out(const struct ixgbe_rx *rx, uint32_t at, void *to, uint32_t len)
{
	uint32_t end = IXGBE_RX_BUFFER - at % IXGBE_RX_BUFFER;
	uint32_t n = len < end ? len : end;

	memcpy(to, rx->buffer + at % IXGBE_RX_BUFFER, n);
	memcpy((uint8_t *)to + n, rx->buffer, len - n);
}

/* What stands in front of a frame. */
struct entry {
	uint32_t len;
	struct ixgbe_verdict verdict;
};

static bool has_room(struct ixgbe *card, uint32_t len)
{
	return card->rx.used + sizeof(struct entry) + len <= capacity(card);
}

static bool push(
	struct ixgbe *card, const struct ixgbe_verdict *verdict, const uint8_t *frame, uint32_t len)
{
	struct ixgbe_rx *rx = &card->rx;
	struct entry entry = {.len = len, .verdict = *verdict};

	if (!has_room(card, len))
		return false;
	copy_in(rx, rx->head + rx->used, &entry, sizeof(entry));
	copy_in(rx, rx->head + rx->used + (uint32_t)sizeof(entry), frame, len);
	rx->used += (uint32_t)sizeof(entry) + len;
	pause_level(&card->pause, rx->used);
	return true;
}

static const uint8_t *peek(struct ixgbe_rx *rx, struct entry *entry)
{
	uint32_t at = (rx->head + (uint32_t)sizeof(*entry)) % IXGBE_RX_BUFFER;

	copy_out(rx, rx->head, entry, sizeof(*entry));
	if (at + entry->len <= IXGBE_RX_BUFFER)
		return rx->buffer + at;
	copy_out(rx, at, rx->frame, entry->len);
	return rx->frame;
}

static void pop(struct ixgbe *card, const struct entry *entry)
{
	struct ixgbe_rx *rx = &card->rx;
	uint32_t len = (uint32_t)sizeof(*entry) + entry->len;

	rx->head = (rx->head + len) % IXGBE_RX_BUFFER;
	rx->used -= len;
	pause_level(&card->pause, rx->used);
}

/* The frame at the head of the packet buffer. False: it stays, and all behind it. One whose queue
 * was turned off meanwhile waits for it to be turned on (82599 datasheet 4.6.7.1.1).
 */
static bool move_one(struct ixgbe *card)
{
	struct entry entry;
	const uint8_t *frame = peek(&card->rx, &entry);
	unsigned queue = entry.verdict.queue;
	enum outcome outcome = NO_DESCRIPTOR;

	if (is_on(card, queue))
		outcome = store(card, &entry.verdict, frame, entry.len);
	if (outcome == NO_DESCRIPTOR) {
		if (!drops(card, queue))
			return false;
		ixgbe_count_rx_dropped(card, queue);
	}
	pop(card, &entry);
	return true;
}

/* Moves what waits in the packet buffer, then lets the wire bring more. */
static void on_work(struct loop_work *work)
{
	struct ixgbe *card = (struct ixgbe *)((char *)work - offsetof(struct ixgbe, rx.work));
	struct ixgbe_rx *rx = &card->rx;

	for (unsigned n = 0; rx->used && rx->on && listening(card); n++) {
		if (n == BURST) {
			loop_defer(card->loop, work);
			return;
		}
		if (!move_one(card))
			return;
	}
	if (rx->wire_waits && rx->on && listening(card)) {
		rx->wire_waits = false;
		wire_resume(card->wire);
	}
}

/* --- from the wire --- */

/* The longest frame without CRC: MAXFRS with jumbo frames, else 1518; tagged frames may be longer
 * by their tag (82599 datasheet 8.2.3.22.13).
 */
static uint32_t longest(struct ixgbe *card, const uint8_t *frame)
{
	uint32_t max = LEGACY_MAX;

	if (*ixgbe_reg(card, HLREG0) & HLREG0_JUMBO)
		max = *ixgbe_reg(card, MAXFRS) >> 16;
	if (sim_be16(frame + 12) == VLNCTRL_TYPE(*ixgbe_reg(card, VLNCTRL)))
		max += TAG_LEN;
	return max < CRC_LEN ? 0 : max - CRC_LEN;
}

/* The length field of an 802.3 frame must not promise more than there is. */
static bool length_wrong(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	unsigned type = sim_be16(frame + 12);

	return *ixgbe_reg(card, HLREG0) & HLREG0_LEN_ERRORS && type < 0x600 && type > len - 14;
}

bool ixgbe_rx_frame(void *ctx, const uint8_t *frame, size_t length, bool may_wait)
{
	struct ixgbe *card = ctx;
	struct ixgbe_rx *rx = &card->rx;
	uint32_t len = (uint32_t)length;
	struct ixgbe_verdict verdict;

	ixgbe_doorbells_receive(card);
	/* A wire that can wait does so until somebody listens. */
	if (may_wait && (!rx->on || !listening(card) || !has_room(card, len))) {
		rx->wire_waits = true;
		return false;
	}
	if (!(*ixgbe_reg(card, RXCTRL) & RXCTRL_ENABLE) || !ixgbe_link(card) || len > SIM_FRAME_MAX)
		return true;
	if (len < FRAME_MIN) {
		/* A wire may leave out the padding that any sender on a link puts there. */
		memcpy(rx->padded, frame, len);
		memset(rx->padded + len, 0, FRAME_MIN - len);
		frame = rx->padded;
		len = FRAME_MIN;
	}
	ixgbe_count_rx_seen(card, len);
	if (len > longest(card, frame)) {
		ixgbe_count(card, ROC);
		return true;
	}
	if (length_wrong(card, frame, len)) {
		ixgbe_count(card, RLEC);
		return true;
	}
	if (ixgbe_pause_take(card, frame) || !ixgbe_filter(card, frame, len))
		return true;
	ixgbe_count_rx_good(card, frame, len);
	verdict = ixgbe_judge(card, frame, len);
	if (verdict.queue >= card->model->rss_queues)
		return true; /* filters may name more queues than are served */
	if (!is_on(card, verdict.queue))
		ixgbe_doorbells_settle(card); /* maybe it is on meanwhile */
	if (!is_on(card, verdict.queue))
		return true; /* for a queue that is off */
	if (rx->used == 0 && listening(card)) {
		if (store(card, &verdict, frame, len) != NO_DESCRIPTOR)
			return true;
		if (drops(card, verdict.queue)) {
			ixgbe_count_rx_dropped(card, verdict.queue);
			return true;
		}
	}
	if (!push(card, &verdict, frame, len)) {
		ixgbe_count(card, RXMPC(0u));
		ixgbe_cause(card, EICR_RX_MISS);
	}
	return true;
}

/* --- registers --- */

static unsigned queue_of(uint32_t offset)
{
	return offset < RX_QUEUE(64u) ? (offset - RX_QUEUE(0u)) / 0x40
				      : 64 + (offset - RX_QUEUE(64u)) / 0x40;
}

/* Something changed that frames may wait for. */
static void look_again(struct ixgbe *card)
{
	if (card->rx.used || card->rx.wire_waits)
		loop_defer(card->loop, &card->rx.work);
}

static void check_tail(struct ixgbe *card, unsigned queue)
{
	uint32_t tail = *reg(card, queue, RDT), size = ring_size(card, queue);

	if (is_on(card, queue) && listening(card) && tail >= size)
		report_strict(card->report, "RDT %u out of a ring of %u", tail, size);
}

void ixgbe_write_rdt(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)value;
	check_tail(card, queue_of(offset));
	look_again(card);
}

static void check_queue(struct ixgbe *card, unsigned queue)
{
	uint32_t srrctl = *reg(card, queue, SRRCTL);

	if (queue >= card->model->rss_queues)
		report_strict(card->report, "RX queue %u enabled: RSS leads to queues 0 to %u",
			queue, card->model->rss_queues - 1u);
	if (*reg(card, queue, RDLEN) == 0)
		report_strict(card->report, "RX queue %u enabled with RDLEN 0", queue);
	if (SRRCTL_BUFFER(srrctl) == 0)
		report_strict(card->report, "RX queue %u enabled with buffers of 0 bytes", queue);
	if (SRRCTL_TYPE(srrctl) > 1)
		report_strict(card->report,
			"RX queue %u: header split (SRRCTL.DESCTYPE %u) is not "
			"served, whole frames are",
			queue, SRRCTL_TYPE(srrctl));
	check_tail(card, queue);
}

void ixgbe_write_rxdctl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	unsigned queue = queue_of(offset);
	uint64_t bit = queue < card->model->rss_queues ? 1ull << queue : 0;

	if (!(value & RXDCTL_ENABLE)) {
		card->rx.on &= ~bit;
		return;
	}
	card->rx.on |= bit;
	check_queue(card, queue);
	look_again(card);
}

void ixgbe_write_rxctrl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	bool strip = *ixgbe_reg(card, HLREG0) & HLREG0_RX_STRIP;

	(void)offset;
	if (!(value & RXCTRL_ENABLE))
		return;
	if (strip != ((*ixgbe_reg(card, RDRXCTL) & RDRXCTL_CRC_STRIP) != 0))
		report_strict(card->report, "HLREG0.RXCRCSTRP and RDRXCTL.CRCSTRIP differ");
	for (unsigned queue = 0; queue < card->model->rss_queues; queue++)
		check_tail(card, queue);
	look_again(card);
}

void ixgbe_rx_init(struct ixgbe *card)
{
	card->rx.work.run = on_work;
}

void ixgbe_rx_stop(struct ixgbe *card)
{
	loop_defer_cancel(card->loop, &card->rx.work);
}

void ixgbe_rx_reset(struct ixgbe *card)
{
	card->rx.head = 0;
	card->rx.used = 0;
	card->rx.on = 0;
	memset(card->rx.queue, 0, sizeof(card->rx.queue));
}
