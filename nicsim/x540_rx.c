/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving: from the wire through the packet buffer into the descriptors of queue 0 (82599
 * datasheet 7.1). The card owns the descriptors from RDH to before RDT.
 */
#include <stdatomic.h>
#include <string.h>

#include "nicsim/x540_card.h"

#define QUEUE      RX_QUEUE(0u)
#define CRC_LEN    4u
#define FRAME_MIN  60u   /* on a link, without CRC */
#define LEGACY_MAX 1518u /* without jumbo frames, with CRC; a VLAN tag comes on top */
#define TAG_LEN    4u
#define BURST      64u /* frames a turn */
#define TYPE_PAUSE 0x8808u

/* Descriptor status and errors, as they lie in the second quadword (7.1.5, 7.1.6). */
#define STATUS_DD  0x01u
#define STATUS_EOP 0x02u
#define STATUS_VP  0x08u

/* What becomes of a frame at the ring. */
enum outcome { STORED, NO_DESCRIPTOR, IN_VAIN };

static uint32_t *reg(struct x540 *card, uint32_t offset)
{
	return x540_reg(card, QUEUE + offset);
}

static bool enabled(struct x540 *card)
{
	return (*x540_reg(card, RXCTRL) & RXCTRL_ENABLE) && (*reg(card, RXDCTL) & RXDCTL_ENABLE) &&
	       function_is_master(&card->fn);
}

static uint32_t ring_size(struct x540 *card)
{
	return *reg(card, RDLEN) / 16;
}

static uint64_t ring_address(struct x540 *card, uint32_t index)
{
	return (*reg(card, RDBAL) | (uint64_t)*reg(card, RDBAH) << 32) + 16ull * index;
}

/* --- one frame into the ring --- */

/* Whether the queue wants this frame's VLAN tag taken out. */
static bool has_tag(struct x540 *card, const uint8_t *frame, uint32_t len)
{
	unsigned type = (unsigned)frame[12] << 8 | frame[13];

	return *reg(card, RXDCTL) & RXDCTL_VME && len >= 18 &&
	       type == VLNCTRL_TYPE(*x540_reg(card, VLNCTRL));
}

/* What goes to memory is not the frame itself: without its tag, with its CRC. Changes *len. */
static const uint8_t *edit(
	struct x540 *card, const uint8_t *frame, uint32_t *len, bool tag, bool crc)
{
	uint8_t *out = card->rx.edited;
	uint32_t cut = tag ? TAG_LEN : 0, check = crc ? x540_crc32(frame, *len) : 0;

	memcpy(out, frame, 12);
	memcpy(out + 12, frame + 12 + cut, *len - 12 - cut);
	*len -= cut;
	if (crc) {
		memcpy(out + *len, &check, CRC_LEN);
		*len += CRC_LEN;
	}
	return out;
}

/* The write-back: the second quadword, which holds DD, after everything else. */
static int write_back(
	struct x540 *card, uint32_t index, uint64_t second, bool advanced, uint64_t first)
{
	uint64_t address = ring_address(card, index);
	int rc = 0;

	if (advanced)
		rc = function_dma_write(&card->fn, &card->rx.hint_ring, address, &first, 8);
	atomic_thread_fence(memory_order_release);
	return rc ? rc
		  : function_dma_write(&card->fn, &card->rx.hint_ring, address + 8, &second, 8);
}

/* Puts a frame into as many descriptors as it takes. */
static enum outcome store(struct x540 *card, const uint8_t *frame, uint32_t len)
{
	struct x540_rx *rx = &card->rx;
	uint32_t size = ring_size(card), head = *reg(card, RDH), tail = *reg(card, RDT);
	uint32_t srrctl = *reg(card, SRRCTL);
	uint32_t room = SRRCTL_BUFFER(srrctl), at = 0;
	bool advanced = SRRCTL_TYPE(srrctl) != 0;
	bool crc = !(*x540_reg(card, HLREG0) & HLREG0_RX_STRIP);
	bool tagged = has_tag(card, frame, len);
	uint32_t stored = len + (crc ? CRC_LEN : 0) - (tagged ? TAG_LEN : 0);
	uint64_t tag = tagged ? (uint64_t)frame[14] << 8 | frame[15] : 0;

	if (head >= size || tail >= size || room == 0 ||
		(tail + size - head) % size < (stored + room - 1) / room)
		return NO_DESCRIPTOR;
	if (crc || tagged)
		frame = edit(card, frame, &len, tagged, crc);
	for (uint32_t left = len; left;) {
		uint32_t piece = left < room ? left : room;
		uint64_t address, first = 0, second;
		bool last = piece == left;

		if (function_dma_read(&card->fn, &rx->hint_ring, ring_address(card, head), &address,
			    sizeof(address)) ||
			function_dma_write(&card->fn, &rx->hint_buffer, address, frame + at, piece))
			goto lost;
		if (advanced) {
			/* Split header 0, no packet type, no hash; extended status from bit 0. */
			second = STATUS_DD | (last ? STATUS_EOP : 0) | (uint64_t)piece << 32;
			if (last && tagged)
				second |= STATUS_VP | tag << 48;
		} else {
			second = piece | (uint64_t)(STATUS_DD | (last ? STATUS_EOP : 0)) << 32;
			if (last && tagged)
				second |= (uint64_t)STATUS_VP << 32 | tag << 48;
		}
		x540_doorbells_head(card, QUEUE + RDH, head + 1 == size ? 0 : head + 1);
		if (write_back(card, head, second, advanced, first))
			goto lost;
		head = head + 1 == size ? 0 : head + 1;
		*reg(card, RDH) = head;
		at += piece;
		left -= piece;
	}
	x540_count_rx_queued(card, len);
	x540_cause_queue(card, 0, false);
	return STORED;

lost:
	/* A bus error: the descriptor is used up without a write-back. */
	*reg(card, RDH) = head + 1 == size ? 0 : head + 1;
	return IN_VAIN;
}

/* --- the packet buffer --- */

/* RXPBSIZE, which the buffer of this model bounds. */
static uint32_t capacity(struct x540 *card)
{
	uint32_t size = *x540_reg(card, RXPBSIZE(0));

	return size < X540_RX_BUFFER ? size : X540_RX_BUFFER;
}

static void copy_in(struct x540_rx *rx, uint32_t at, const void *from, uint32_t len)
{
	uint32_t end = X540_RX_BUFFER - at % X540_RX_BUFFER;
	uint32_t n = len < end ? len : end;

	memcpy(rx->buffer + at % X540_RX_BUFFER, from, n);
	memcpy(rx->buffer, (const uint8_t *)from + n, len - n);
}

static void copy_out(const struct x540_rx *rx, uint32_t at, void *to, uint32_t len)
{
	uint32_t end = X540_RX_BUFFER - at % X540_RX_BUFFER;
	uint32_t n = len < end ? len : end;

	memcpy(to, rx->buffer + at % X540_RX_BUFFER, n);
	memcpy((uint8_t *)to + n, rx->buffer, len - n);
}

static bool push(struct x540 *card, const uint8_t *frame, uint32_t len)
{
	struct x540_rx *rx = &card->rx;

	if (rx->used + sizeof(len) + len > capacity(card))
		return false;
	copy_in(rx, rx->head + rx->used, &len, sizeof(len));
	copy_in(rx, rx->head + rx->used + (uint32_t)sizeof(len), frame, len);
	rx->used += (uint32_t)sizeof(len) + len;
	return true;
}

static const uint8_t *peek(struct x540_rx *rx, uint32_t *len)
{
	uint32_t at = (rx->head + (uint32_t)sizeof(*len)) % X540_RX_BUFFER;

	copy_out(rx, rx->head, len, sizeof(*len));
	if (at + *len <= X540_RX_BUFFER)
		return rx->buffer + at;
	copy_out(rx, at, rx->frame, *len);
	return rx->frame;
}

static void pop(struct x540 *card, uint32_t len)
{
	struct x540_rx *rx = &card->rx;

	len += (uint32_t)sizeof(len);
	rx->head = (rx->head + len) % X540_RX_BUFFER;
	rx->used -= len;
}

/* Moves what waits in the packet buffer, then lets the wire bring more. */
static void on_work(struct loop_work *work)
{
	struct x540 *card = (struct x540 *)((char *)work - offsetof(struct x540, rx.work));
	unsigned n = 0;

	while (card->rx.used && enabled(card)) {
		const uint8_t *frame;
		uint32_t len;
		enum outcome outcome;

		if (n++ == BURST) {
			loop_defer(card->loop, work);
			return;
		}
		frame = peek(&card->rx, &len);
		outcome = store(card, frame, len);
		if (outcome == NO_DESCRIPTOR) {
			if (!(*reg(card, SRRCTL) & SRRCTL_DROP))
				return;
			x540_count(card, QPRDC(0u));
		}
		pop(card, len);
	}
	if (card->rx.wire_waits && enabled(card)) {
		card->rx.wire_waits = false;
		wire_resume(card->wire);
	}
}

/* --- from the wire --- */

/* The longest frame without CRC: MAXFRS with jumbo frames, else 1518; tagged frames may be longer
 * by their tag (82599 datasheet 8.2.3.22.13).
 */
static uint32_t longest(struct x540 *card, const uint8_t *frame)
{
	uint32_t max = LEGACY_MAX;

	if (*x540_reg(card, HLREG0) & HLREG0_JUMBO)
		max = *x540_reg(card, MAXFRS) >> 16;
	if (((unsigned)frame[12] << 8 | frame[13]) == VLNCTRL_TYPE(*x540_reg(card, VLNCTRL)))
		max += TAG_LEN;
	return max < CRC_LEN ? 0 : max - CRC_LEN;
}

/* Pause frames end in the MAC. */
static bool is_control(struct x540 *card, const uint8_t *frame)
{
	static const uint8_t group[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x01};
	uint32_t control = *x540_reg(card, MFLCN);

	if (((unsigned)frame[12] << 8 | frame[13]) != TYPE_PAUSE || memcmp(frame, group, 6) != 0)
		return false;
	if (control & MFLCN_RFCE && frame[14] == 0 && frame[15] == 1)
		x540_count(card, frame[16] | frame[17] ? LXOFFRXCNT : LXONRXCNT);
	return !(control & MFLCN_PASS_CONTROL);
}

/* The length field of an 802.3 frame must not promise more than there is. */
static bool length_wrong(struct x540 *card, const uint8_t *frame, uint32_t len)
{
	unsigned type = (unsigned)frame[12] << 8 | frame[13];

	return *x540_reg(card, HLREG0) & HLREG0_LEN_ERRORS && type < 0x600 && type > len - 14;
}

bool x540_rx_frame(void *ctx, const uint8_t *frame, size_t length, bool may_wait)
{
	struct x540 *card = ctx;
	struct x540_rx *rx = &card->rx;
	uint32_t len = (uint32_t)length;
	bool on;

	x540_doorbells_receive(card);
	on = enabled(card);

	/* A wire that can wait does so until somebody listens. */
	if (may_wait && (!on || rx->used + sizeof(len) + len > capacity(card))) {
		rx->wire_waits = true;
		return false;
	}
	if (!(*x540_reg(card, RXCTRL) & RXCTRL_ENABLE) || !x540_link(card) || len > SIM_FRAME_MAX)
		return true;
	if (len < FRAME_MIN) {
		/* A wire may leave out the padding that any sender on a link puts there. */
		memcpy(rx->padded, frame, len);
		memset(rx->padded + len, 0, FRAME_MIN - len);
		frame = rx->padded;
		len = FRAME_MIN;
	}
	x540_count_rx_seen(card, len);
	if (len > longest(card, frame)) {
		x540_count(card, ROC);
		return true;
	}
	if (length_wrong(card, frame, len)) {
		x540_count(card, RLEC);
		return true;
	}
	if (is_control(card, frame) || !x540_filter(card, frame, len))
		return true;
	x540_count_rx_good(card, frame, len);
	if (!on && !(*reg(card, RXDCTL) & RXDCTL_ENABLE))
		return true; /* for a queue that is off */
	if (rx->used == 0 && on) {
		enum outcome outcome = store(card, frame, len);

		if (outcome != NO_DESCRIPTOR)
			return true;
		if (*reg(card, SRRCTL) & SRRCTL_DROP) {
			x540_count(card, QPRDC(0u));
			return true;
		}
	}
	if (!push(card, frame, len)) {
		x540_count(card, RXMPC(0u));
		x540_cause(card, EICR_RX_MISS);
	}
	return true;
}

/* --- registers --- */

void x540_write_rdt(struct x540 *card, uint32_t offset, uint32_t value)
{
	(void)value;
	if (offset != QUEUE + RDT)
		return;
	if (enabled(card) && *reg(card, RDT) >= ring_size(card))
		report_strict(card->report, "RDT %u out of a ring of %u", *reg(card, RDT),
			ring_size(card));
	if (card->rx.used || card->rx.wire_waits)
		loop_defer(card->loop, &card->rx.work);
}

void x540_write_rxdctl(struct x540 *card, uint32_t offset, uint32_t value)
{
	uint32_t length;

	if (offset != QUEUE + RXDCTL) {
		if (value & RXDCTL_ENABLE)
			report_strict(card->report, "RX queue %u enabled: only queue 0 is served",
				offset < 0x2000 ? (offset - 0x1000) / 0x40
						: 64 + (offset - 0xd000) / 0x40);
		return;
	}
	if (!(value & RXDCTL_ENABLE))
		return;
	length = *reg(card, RDLEN);
	if (length == 0)
		report_strict(card->report, "RX queue 0 enabled with RDLEN 0");
	if (SRRCTL_BUFFER(*reg(card, SRRCTL)) == 0)
		report_strict(card->report, "RX queue 0 enabled with buffers of 0 bytes");
	if (SRRCTL_TYPE(*reg(card, SRRCTL)) > 1)
		report_strict(card->report,
			"RX queue 0: header split (SRRCTL.DESCTYPE %u) is not "
			"served, whole frames are",
			SRRCTL_TYPE(*reg(card, SRRCTL)));
	x540_write_rdt(card, QUEUE + RDT, 0);
}

void x540_write_rxctrl(struct x540 *card, uint32_t offset, uint32_t value)
{
	bool strip = *x540_reg(card, HLREG0) & HLREG0_RX_STRIP;

	(void)offset;
	if (!(value & RXCTRL_ENABLE))
		return;
	if (strip != ((*x540_reg(card, RDRXCTL) & RDRXCTL_CRC_STRIP) != 0))
		report_strict(card->report, "HLREG0.RXCRCSTRP and RDRXCTL.CRCSTRIP differ");
	x540_write_rdt(card, QUEUE + RDT, 0);
}

void x540_rx_init(struct x540 *card)
{
	card->rx.work.run = on_work;
}

void x540_rx_stop(struct x540 *card)
{
	loop_defer_cancel(card->loop, &card->rx.work);
}

void x540_rx_reset(struct x540 *card)
{
	card->rx.head = 0;
	card->rx.used = 0;
	card->rx.hint_ring = 0;
	card->rx.hint_buffer = 0;
}
