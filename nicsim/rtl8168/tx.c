/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmitting: from the descriptors to the wire (RTL8169 datasheet 9.1.1; checksums and
 * segmentation in the second format of descriptors, which the 8168C brought: Linux's r8169,
 * FreeBSD's if_re).
 *
 * TPPOLL says that there is something in a ring. The card then takes frames (chains of descriptors
 * from one with FS to one with LS) until it comes to a descriptor that is not its own. When the
 * wire has no room a frame stays where it is: loaded, at its place; nothing overtakes it.
 */
#include <errno.h>

#include "nicsim/bytes.h"
#include "nicsim/headers.h"
#include "nicsim/rtl8168/card.h"

#define TAG_LEN  4u
#define TAG_TYPE 0x8100u
#define BURST    64u /* frames a turn of the loop */

enum { NORMAL = 0, HIGH = 1 };

/* The first doubleword. */
#define SEGMENT_IPV4  0x04000000u
#define SEGMENT_IPV6  0x02000000u
#define SEGMENT_L4(v) ((v) >> 18 & 0x7fu)
#define FRAME_LENGTH  0x0000ffffu
/* The second. */
#define INSERT_UDP     0x80000000u
#define INSERT_TCP     0x40000000u
#define INSERT_IPV4    0x20000000u
#define INSERT_IPV6    0x10000000u
#define INSERT_L4(v)   ((v) >> 18 & 0x3ffu)
#define SEGMENT_MSS(v) ((v) >> 18 & 0x7ffu)
#define INSERT_TAG     0x00020000u

static bool sending(const struct rtl8168 *card)
{
	return card->reg[RTL_CR] & CR_TX && function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, false));
}

/* --- gathering --- */

enum found { FRAME, NOTHING, SKIPPED };

/* All taken descriptors are dealt with. */
static void complete(struct rtl8168 *card, struct rtl8168_ring *ring)
{
	unsigned queue = (unsigned)(ring - card->tx.ring);

	for (unsigned n = 0; n < ring->count; n++) {
		if (card->faults.now && fault_tx(card->faults.now, queue, ring->taken[n].at))
			continue;
		rtl8168_ring_give_back(
			card, ring, n, ring->taken[n].descriptor.options1 & ~DESC_OWN, NULL);
	}
	rtl8168_ring_advance(card, ring);
}

static void failed(struct rtl8168 *card)
{
	card->counters.tx_errors++;
	card->counters.tx_aborted++;
	rtl8168_cause(card, INT_TER);
}

/* Takes the descriptors of one frame, up to that with LS. */
static enum found take(struct rtl8168 *card, struct rtl8168_ring *ring)
{
	const struct rtl8168_descriptor *last;
	bool disorder = false;

	ring->count = 0;
	do {
		int rc = rtl8168_ring_take(card, ring);

		if (rc == -ENOSPC) {
			report_strict(card->report, "a transmit chain without an end");
			complete(card, ring);
			failed(card);
			return SKIPPED;
		}
		if (rc) /* the rest of the chain is not published yet, or there is none */
			return NOTHING;
		last = &ring->taken[ring->count - 1].descriptor;
		disorder |= !(last->options1 & DESC_FIRST) != (ring->count > 1);
	} while (!(last->options1 & DESC_LAST));
	if (disorder)
		report_strict(card->report, "a transmit chain with FS not on its first");
	return FRAME;
}

static void gather(struct rtl8168 *card, struct rtl8168_ring *ring)
{
	struct rtl8168_tx *tx = &card->tx;

	tx->options1 = ring->taken[0].descriptor.options1;
	tx->options2 = ring->taken[0].descriptor.options2;
	request_begin(&tx->request);
	for (unsigned n = 0; n < ring->count && !tx->request.broken; n++) {
		const struct rtl8168_descriptor *descriptor = &ring->taken[n].descriptor;
		int rc = request_gather(&tx->request, &card->fn, &ring->hint_buffer,
			descriptor->address, descriptor->options1 & FRAME_LENGTH, RTL8168_TX_DATA);

		if (rc == -E2BIG)
			report_strict(card->report, "a transmit request of more than %u bytes",
				RTL8168_TX_DATA);
		else if (rc)
			rtl8168_bus_error(card);
	}
}

/* --- what the card writes into a frame --- */

/* Where the IP header is, as far as the card looks; 0: there is none of that version. */
static uint32_t find_ip(const struct request *request, bool ipv4)
{
	uint32_t at = 12;

	if (request->length < 40)
		return 0;
	if (sim_be16(request->data + at) == TAG_TYPE)
		at += TAG_LEN;
	if (sim_be16(request->data + at) != (ipv4 ? SIM_ETHERTYPE_IPV4 : SIM_ETHERTYPE_IPV6))
		return 0;
	return at + 2;
}

static uint32_t words(const uint8_t *at, unsigned n)
{
	uint32_t total = 0;

	for (unsigned i = 0; i < n; i++)
		total += sim_be16(at + 2 * i);
	return total;
}

/* The pseudo header's sum, into the field of the checksum. The card makes it itself: what the
 * driver has put there has no effect (so it is with an RTL8139C+ in QEMU; Linux leaves the length
 * out in some requests).
 */
static void put_pseudo_header(
	uint8_t *ip, bool ipv4, uint8_t *field, unsigned protocol, uint32_t len)
{
	uint32_t total = words(ipv4 ? ip + 12 : ip + 8, ipv4 ? 4 : 16) + protocol + len;

	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	sim_put_be16(field, total);
}

static bool insert_checksums(struct rtl8168_tx *tx)
{
	bool ipv4 = tx->options2 & INSERT_IPV4, tcp = tx->options2 & INSERT_TCP;
	uint32_t ip = find_ip(&tx->request, ipv4), l4 = INSERT_L4(tx->options2), end, field;
	uint8_t *data = tx->request.data;

	if (!ip)
		return false;
	if (ipv4) {
		sim_put_be16(data + ip + 10, 0);
		if (!sim_insert_legacy_checksum(data, ip + 4u * (data[ip] & 15u), ip, ip + 10))
			return false;
	}
	if (!(tx->options2 & (INSERT_TCP | INSERT_UDP)))
		return true;
	end = ipv4 ? ip + sim_be16(data + ip + 2) : ip + 40 + sim_be16(data + ip + 4);
	if (end > tx->request.length || l4 < ip + (ipv4 ? 20 : 40) || l4 + (tcp ? 20 : 8) > end)
		return false;
	field = l4 + (tcp ? 16 : 6);
	put_pseudo_header(
		data + ip, ipv4, data + field, tcp ? SIM_PROTOCOL_TCP : SIM_PROTOCOL_UDP, end - l4);
	sim_insert_legacy_checksum(data, end, l4, field);
	if (!tcp && sim_be16(data + field) == 0)
		sim_put_be16(data + field, 0xffff);
	return true;
}

/* Whether the request can be cut; sets up for that. */
static bool prepare_segments(struct rtl8168 *card)
{
	struct rtl8168_tx *tx = &card->tx;
	bool ipv4 = tx->options1 & SEGMENT_IPV4;
	uint32_t ip = find_ip(&tx->request, ipv4), l4 = SEGMENT_L4(tx->options1);
	uint32_t tag = tx->options2 & INSERT_TAG ? TAG_LEN : 0;
	uint8_t *data = tx->request.data;

	if (!ip || l4 < ip + (ipv4 ? 20 : 40))
		return false;
	tx->context = (struct sim_context){.mss = (uint16_t)SEGMENT_MSS(tx->options2),
		.ip_len = (uint16_t)(l4 - ip),
		.mac_len = (uint8_t)ip,
		.l4_len = (uint8_t)(4 * (data[l4 + 12] >> 4)),
		.l4_type = SIM_L4_TCP,
		.ipv4 = ipv4};
	if (!sim_segment_possible(&tx->context, tx->request.length, rtl8168_longest(card) - tag))
		return false;
	if (ipv4)
		sim_put_be16(data + ip + 10, 0);
	put_pseudo_header(data + ip, ipv4, data + l4 + 16, SIM_PROTOCOL_TCP, 0);
	return true;
}

static bool segments(const struct rtl8168_tx *tx)
{
	return tx->options1 & (SEGMENT_IPV4 | SEGMENT_IPV6);
}

/* Once, when a frame has been gathered. */
static void prepare(struct rtl8168 *card)
{
	struct rtl8168_tx *tx = &card->tx;
	struct request *request = &tx->request;
	uint32_t tag = tx->options2 & INSERT_TAG ? TAG_LEN : 0;

	if (request->broken)
		return;
	if (segments(tx)) {
		request->broken = !prepare_segments(card);
		if (request->broken)
			report_strict(
				card->report, "a segmentation request that does not fit its frame");
	} else if (request->length < SIM_FRAME_MIN ||
		   request->length + tag > rtl8168_longest(card)) {
		report_strict(card->report, "a frame of %u bytes to be sent", request->length);
		request->broken = true;
	} else if (tx->options2 & (INSERT_IPV4 | INSERT_IPV6) && !insert_checksums(tx)) {
		report_strict(card->report, "a checksum request that does not fit its frame");
	}
}

/* --- sending --- */

/* One frame, with its tag and padding; `frame` has room for the latter behind it. -EAGAIN: the wire
 * is full.
 */
static int send_frame(void *ctx, uint8_t *frame, uint32_t len)
{
	struct rtl8168 *card = ctx;
	struct rtl8168_tx *tx = &card->tx;
	int rc = 0;

	if (tx->options2 & INSERT_TAG) /* it lies in the descriptor as on the wire */
		frame = request_tag(&tx->request, frame, &len, TAG_TYPE,
			__builtin_bswap16((uint16_t)tx->options2));
	len = request_pad(frame, len);
	if (rtl8168_loops(card))
		rtl8168_rx_frame(card, frame, len, false);
	else
		rc = wire_send(card->wire, frame, len);
	if (rc == 0)
		card->counters.tx_ok++;
	return rc;
}

/* Cuts the request into segments, from where it left off. FIN and PSH are the last one's. */
static int send_segments(struct rtl8168 *card)
{
	static const struct sim_segment_flags flags = {0xff6, 0xff6, 0xfff};
	struct rtl8168_tx *tx = &card->tx;

	return request_send_segments(&tx->request, &tx->context, &flags, send_frame, card);
}

static int send_request(struct rtl8168 *card)
{
	struct request *request = &card->tx.request;

	if (request->broken)
		return 0;
	if (segments(&card->tx))
		return send_segments(card);
	return send_frame(card, request->data, request->length);
}

/* Sends the frame that is loaded, or the next of that ring. */
static enum found send_next(struct rtl8168 *card)
{
	struct rtl8168_tx *tx = &card->tx;
	struct rtl8168_ring *ring = &tx->ring[tx->turn];

	if (!tx->request.loaded) {
		enum found found = take(card, ring);

		if (found != FRAME)
			return found;
		gather(card, ring);
		prepare(card);
		tx->request.loaded = true;
	}
	if (send_request(card)) {
		tx->wire_full = true;
		return SKIPPED;
	}
	tx->request.loaded = false;
	complete(card, ring);
	if (tx->request.broken)
		failed(card);
	else
		rtl8168_cause(card, INT_TOK);
	return FRAME;
}

static void on_work(struct loop_work *work)
{
	struct rtl8168 *card = (struct rtl8168 *)((char *)work - offsetof(struct rtl8168, tx.work));
	struct rtl8168_tx *tx = &card->tx;

	for (unsigned n = 0; n < BURST; n++) {
		if (!sending(card) || !tx->busy || tx->wire_full)
			return;
		if (!tx->request.loaded)
			tx->turn = tx->busy >> HIGH & 1 ? HIGH : NORMAL;
		if (send_next(card) == NOTHING) {
			tx->busy &= ~(1u << tx->turn);
			rtl8168_cause(card, INT_TDU);
		}
	}
	loop_defer(card->loop, work);
}

void rtl8168_tx_sendable(void *ctx)
{
	struct rtl8168 *card = ctx;

	if (!card->tx.wire_full)
		return;
	card->tx.wire_full = false;
	loop_defer(card->loop, &card->tx.work);
}

/* --- registers --- */

void rtl8168_tx_look_again(struct rtl8168 *card)
{
	if (!(card->reg[RTL_CR] & CR_TX))
		card->tx.request.loaded = false; /* what was fetched is forgotten */
	if (card->tx.busy && !card->tx.wire_full)
		loop_defer(card->loop, &card->tx.work);
}

void rtl8168_write_tppoll(struct rtl8168 *card, uint32_t written)
{
	if (written & TPPOLL_NORMAL)
		card->tx.busy |= 1u << NORMAL;
	if (written & TPPOLL_HIGH)
		card->tx.busy |= 1u << HIGH;
	if (written & TPPOLL_FSWINT)
		rtl8168_cause(card, INT_SW);
	rtl8168_tx_look_again(card);
}

uint32_t rtl8168_read_tppoll(struct rtl8168 *card)
{
	return (card->tx.busy >> NORMAL & 1 ? TPPOLL_NORMAL : 0) |
	       (card->tx.busy >> HIGH & 1 ? TPPOLL_HIGH : 0);
}

void rtl8168_tx_init(struct rtl8168 *card)
{
	card->tx.ring[NORMAL].base = RTL_TNPDS;
	card->tx.ring[HIGH].base = RTL_THPDS;
	card->tx.work.run = on_work;
}

void rtl8168_tx_stop(struct rtl8168 *card)
{
	loop_defer_cancel(card->loop, &card->tx.work);
}

void rtl8168_tx_reset(struct rtl8168 *card)
{
	struct rtl8168_tx *tx = &card->tx;

	tx->request.loaded = false;
	tx->wire_full = false;
	tx->busy = 0;
	tx->turn = NORMAL;
	tx->ring[NORMAL].at = tx->ring[HIGH].at = 0;
}
