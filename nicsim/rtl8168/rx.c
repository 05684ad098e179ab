/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving: from the wire through the FIFO into the descriptors (RTL8169 datasheet 9.1.2).
 *
 * No register says that the driver has given descriptors back: a card that found none looks again
 * when the next frame comes, when anything is written that has to do with it, and now and then.
 */
#include <errno.h>

#include "nicsim/bytes.h"
#include "nicsim/filter.h"
#include "nicsim/headers.h"
#include "nicsim/rtl8168/card.h"

#define CRC_LEN      4u
#define TAG_TYPE     0x8100u
#define BURST        64u      /* frames a turn */
#define WAIT_MIN     20000u   /* ns */
#define WAIT_MAX     1000000u /* ns */
#define BUFFER_ALIGN 8u       /* and its least size (9.1.2) */
#define LENGTH       0x3fffu  /* of a buffer, and of a frame with its CRC */

/* The first doubleword, when the frame is there. */
#define STATUS_MULTICAST 0x08000000u
#define STATUS_PHYSICAL  0x04000000u
#define STATUS_BROADCAST 0x02000000u
#define ERROR_LONG       0x00400000u /* RWT */
#define ERROR_ANY        0x00200000u /* RES */
#define STATUS_TCP       0x00020000u /* PID */
#define STATUS_UDP       0x00040000u
#define STATUS_IP        0x00060000u
#define ERROR_IP         0x00010000u
#define ERROR_UDP        0x00008000u
#define ERROR_TCP        0x00004000u
/* The second one. The highest bits are those of the second format of descriptors (FreeBSD's if_re).
 */
#define STATUS_IPV6 0x80000000u
#define STATUS_IPV4 0x40000000u
#define STATUS_TAG  0x00010000u /* TAVA */

/* What becomes of a frame at the ring. */
enum outcome { STORED, NO_DESCRIPTOR, IN_VAIN };

/* In the FIFO, in front of each frame. */
struct entry {
	uint32_t len, errors;
};

static bool listening(const struct rtl8168 *card)
{
	const uint8_t accepts = RCR_BROADCAST | RCR_MULTICAST | RCR_PHYSICAL | RCR_ALL;

	return card->reg[RTL_CR] & CR_RX && card->reg[RTL_RCR] & accepts &&
	       function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, true));
}

/* --- what is to be said of a frame --- */

static uint32_t address_status(const struct rtl8168 *card, const uint8_t *frame)
{
	if (sim_is_broadcast(frame))
		return STATUS_BROADCAST;
	if (frame[0] & 1)
		return STATUS_MULTICAST;
	return rtl8168_is_mine(card, frame) ? STATUS_PHYSICAL : 0;
}

/* Checksums, where CPCR asks for them. */
static uint32_t check(
	const struct rtl8168 *card, const uint8_t *frame, uint32_t len, uint32_t *options2)
{
	struct sim_headers headers;
	uint32_t found, status;

	if (!(rtl8168_get(card, RTL_CPCR, 2) & CPCR_CHECKSUM))
		return 0;
	sim_headers(&headers, frame, len, TAG_TYPE);
	if (!headers.ip)
		return 0;
	*options2 |= headers.types & SIM_TYPE_IPV4 ? STATUS_IPV4 : STATUS_IPV6;
	found = sim_check_sums(&headers, frame);
	status = found & SIM_ERROR_IP ? ERROR_IP : 0;
	if (!(found & SIM_STATUS_L4CS) || headers.types & SIM_TYPE_SCTP)
		return status | STATUS_IP;
	if (headers.types & SIM_TYPE_TCP)
		return status | STATUS_TCP | (found & SIM_ERROR_L4 ? ERROR_TCP : 0);
	return status | STATUS_UDP | (found & SIM_ERROR_L4 ? ERROR_UDP : 0);
}

/* --- one frame into the ring --- */

/* Takes as many descriptors as `len` bytes need. */
static enum outcome take(struct rtl8168 *card, uint32_t len)
{
	struct rtl8168_ring *ring = &card->rx.ring;
	uint32_t room = 0;
	bool forbidden = false;

	ring->count = 0;
	while (room < len) {
		int rc = rtl8168_ring_take(card, ring);
		const struct rtl8168_descriptor *descriptor;
		uint32_t size;

		if (rc == -EAGAIN)
			return NO_DESCRIPTOR;
		if (rc == -ENOSPC)
			report_strict(card->report,
				"a frame of %u bytes is more than the whole ring holds", len);
		if (rc)
			return IN_VAIN;
		descriptor = &ring->taken[ring->count - 1].descriptor;
		size = descriptor->options1 & LENGTH;
		forbidden |= size < BUFFER_ALIGN || descriptor->address % BUFFER_ALIGN;
		room += size;
	}
	if (forbidden)
		report_strict(card->report,
			"a receive buffer of less than 8 bytes, or off a multiple of 8");
	return STORED;
}

/* A bus error costs the frame; the driver finds it as one with errors. */
static enum outcome spoil(struct rtl8168 *card, unsigned n)
{
	struct rtl8168_ring *ring = &card->rx.ring;
	const uint32_t none = 0;

	for (; n < ring->count; n++) {
		uint32_t eor = ring->taken[n].descriptor.options1 & DESC_EOR;

		rtl8168_ring_give_back(
			card, ring, n, eor | DESC_FIRST | DESC_LAST | ERROR_ANY, &none);
	}
	rtl8168_ring_advance(card, ring);
	rtl8168_bus_error(card);
	return IN_VAIN;
}

/* The write-back of the last descriptor, with what can be wrong with it. */
static void write_back(struct rtl8168 *card, unsigned n, uint32_t options1, uint32_t options2)
{
	struct rtl8168_ring *ring = &card->rx.ring;

	if (card->faults.now) {
		struct fault_received received = {
			.address = rtl8168_ring_base(card, ring) + 16ull * ring->taken[n].at,
			.word = {options1 | (uint64_t)options2 << 32},
			.words = 1,
			.owned = DESC_OWN,
			.end = DESC_LAST};

		if (fault_rx(card->faults.now, &received))
			return;
		options1 = (uint32_t)received.word[0];
		options2 = (uint32_t)(received.word[0] >> 32);
	}
	rtl8168_ring_give_back(card, ring, n, options1, &options2);
}

/* Puts a frame into as many descriptors as it takes. */
static enum outcome store(struct rtl8168 *card, const uint8_t *frame, uint32_t len, uint32_t errors)
{
	struct rtl8168_ring *ring = &card->rx.ring;
	const uint8_t *data = card->rx.stored;
	bool tagged = rtl8168_get(card, RTL_CPCR, 2) & CPCR_VLAN && len >= 18 &&
		      sim_be16(frame + 12) == TAG_TYPE;
	uint32_t all = sim_stored(card->rx.stored, frame, len, tagged, true), options2 = 0, status;
	enum outcome outcome = take(card, all);

	if (outcome != STORED)
		return outcome;
	status = errors | address_status(card, frame) | check(card, frame, len, &options2);
	if (tagged) /* the tag lies there as on the wire */
		options2 |= STATUS_TAG | (uint32_t)frame[14] | (uint32_t)frame[15] << 8;
	for (unsigned n = 0; n < ring->count; n++) {
		const struct rtl8168_descriptor *descriptor = &ring->taken[n].descriptor;
		uint32_t left = all - (uint32_t)(data - card->rx.stored);
		uint32_t piece = descriptor->options1 & LENGTH;
		uint32_t options1 = (descriptor->options1 & DESC_EOR) | (n ? 0 : DESC_FIRST);
		bool last = n + 1 == ring->count;

		if (piece > left)
			piece = left;
		if (piece && function_dma_write(&card->fn, &ring->hint_buffer, descriptor->address,
				     data, piece))
			return spoil(card, n);
		data += piece;
		if (last)
			write_back(card, n, options1 | DESC_LAST | status | all, options2);
		else
			rtl8168_ring_give_back(card, ring, n, options1 | piece, NULL);
	}
	rtl8168_ring_advance(card, ring);
	rtl8168_cause(card, errors ? INT_RER : INT_ROK);
	return STORED;
}

/* --- the FIFO: what finds no descriptor --- */

static bool has_room(const struct rtl8168 *card, uint32_t len)
{
	return card->rx.used + sizeof(struct entry) + len <= RTL8168_FIFO;
}

static bool push(struct rtl8168 *card, const uint8_t *frame, uint32_t len, uint32_t errors)
{
	const struct entry entry = {len, errors};
	struct rtl8168_rx *rx = &card->rx;

	if (!has_room(card, len))
		return false;
	memcpy(rx->fifo + rx->used, &entry, sizeof(entry));
	memcpy(rx->fifo + rx->used + sizeof(entry), frame, len);
	rx->used += (uint32_t)sizeof(entry) + len;
	return true;
}

/* The frame at the head of the FIFO. False: it stays, and all behind it. */
static bool move_one(struct rtl8168 *card)
{
	struct rtl8168_rx *rx = &card->rx;
	struct entry entry;
	uint32_t size;

	memcpy(&entry, rx->fifo, sizeof(entry));
	if (store(card, rx->fifo + sizeof(entry), entry.len, entry.errors) == NO_DESCRIPTOR)
		return false;
	size = (uint32_t)sizeof(entry) + entry.len;
	rx->used -= size;
	memmove(rx->fifo, rx->fifo + size, rx->used);
	rx->wait = WAIT_MIN;
	return true;
}

static void look_later(struct rtl8168 *card)
{
	loop_timer_set(card->loop, &card->rx.timer, card->rx.wait);
	if (card->rx.wait < WAIT_MAX)
		card->rx.wait *= 2;
}

/* Moves what waits in the FIFO, then lets the wire bring more. */
static void on_work(struct loop_work *work)
{
	struct rtl8168 *card = (struct rtl8168 *)((char *)work - offsetof(struct rtl8168, rx.work));
	struct rtl8168_rx *rx = &card->rx;

	for (unsigned n = 0; rx->used && listening(card); n++) {
		if (n == BURST) {
			loop_defer(card->loop, work);
			return;
		}
		if (!move_one(card)) {
			look_later(card);
			return;
		}
	}
	if (rx->wire_waits && listening(card)) {
		rx->wire_waits = false;
		wire_resume(card->wire);
	}
}

static void on_timer(struct loop_timer *timer)
{
	struct rtl8168 *card =
		(struct rtl8168 *)((char *)timer - offsetof(struct rtl8168, rx.timer));

	loop_defer(card->loop, &card->rx.work);
}

/* --- from the wire --- */

static void accept(struct rtl8168 *card, const uint8_t *frame, uint32_t len, uint32_t errors)
{
	struct rtl8168_rx *rx = &card->rx;

	if (rx->used == 0 && listening(card) && store(card, frame, len, errors) != NO_DESCRIPTOR) {
		if (!errors)
			rtl8168_count_rx(card, frame);
		return;
	}
	if (!push(card, frame, len, errors)) {
		card->counters.rx_missed++;
		card->counters.rx_errors++;
		rtl8168_cause(card, INT_FOVW);
		return;
	}
	if (!errors)
		rtl8168_count_rx(card, frame);
	rtl8168_cause(card, INT_RDU);
	loop_defer(card->loop, &rx->work);
}

bool rtl8168_rx_frame(void *ctx, const uint8_t *frame, size_t length, bool may_wait)
{
	struct rtl8168 *card = ctx;
	struct rtl8168_rx *rx = &card->rx;
	uint32_t len = (uint32_t)length, errors = 0;

	/* A wire that can wait does so until somebody listens. */
	if (may_wait && (!listening(card) || !has_room(card, len))) {
		rx->wire_waits = true;
		return false;
	}
	if (!(card->reg[RTL_CR] & CR_RX) || len + CRC_LEN > LENGTH ||
		!(rtl8168_link(card) || rtl8168_loops(card)))
		return true;
	if (len < RTL8168_FRAME_MIN) {
		/* A wire may leave out the padding that any sender on a link puts there. */
		memcpy(rx->padded, frame, len);
		memset(rx->padded + len, 0, RTL8168_FRAME_MIN - len);
		frame = rx->padded;
		len = RTL8168_FRAME_MIN;
	}
	if (!rtl8168_filter(card, frame))
		return true;
	if (len > rtl8168_longest(card) || len + CRC_LEN > rtl8168_get(card, RTL_RMS, 2)) {
		card->counters.rx_errors++;
		errors = ERROR_LONG | ERROR_ANY;
		if (!(card->reg[RTL_RCR] & RCR_ERRORS))
			return true;
	}
	accept(card, frame, len, errors);
	return true;
}

/* --- registers --- */

void rtl8168_rx_look_again(struct rtl8168 *card)
{
	if (card->rx.used || card->rx.wire_waits)
		loop_defer(card->loop, &card->rx.work);
}

void rtl8168_write_rcr(struct rtl8168 *card, uint32_t written)
{
	(void)written;
	rtl8168_rx_look_again(card);
}

void rtl8168_rx_init(struct rtl8168 *card)
{
	card->rx.ring.base = RTL_RDSAR;
	card->rx.work.run = on_work;
	card->rx.timer.fire = on_timer;
}

void rtl8168_rx_stop(struct rtl8168 *card)
{
	loop_defer_cancel(card->loop, &card->rx.work);
	loop_timer_cancel(card->loop, &card->rx.timer);
}

void rtl8168_rx_reset(struct rtl8168 *card)
{
	card->rx.used = 0;
	card->rx.wait = WAIT_MIN;
	card->rx.ring.at = 0;
}
