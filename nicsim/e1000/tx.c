/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmitting: from the descriptors of the queues to the wire (82574 datasheet 7.2). The card owns
 * the descriptors from TDH to before TDT.
 *
 * A request (a chain of descriptors up to one with EOP) is gathered from memory into one piece,
 * sent, written back. When the wire has no room it stays where it is: loaded, at TDH; the other
 * queue does not overtake it. Queues that have something to send take turns.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "nicsim/e1000/card.h"

#define TAG_LEN   4u
#define PAD_LEAST 17u /* what TCTL.PSP asks of a request (10.2.6.1) */
#define BURST     64u /* requests a turn of the loop */
#define TURN      16u /* and of a queue, where the other waits */

/* The second quadword of descriptors: command in its low half, status in its high one (7.2.10). */
#define CMD_TCP     0x01000000u /* context */
#define CMD_IPV4    0x02000000u
#define CMD_EOP     0x01000000u
#define CMD_IFCS    0x02000000u
#define CMD_IC      0x04000000u /* legacy */
#define CMD_TSE     0x04000000u /* extended */
#define CMD_RS      0x08000000u
#define CMD_DEXT    0x20000000u
#define CMD_VLE     0x40000000u
#define CMD_TYPE(v) ((v) >> 20 & 15u) /* extended: 0 context, 1 data */
#define STATUS_DD   0x00000001u
#define STATUS_IXSM 0x00000100u
#define STATUS_TXSM 0x00000200u

enum { TYPE_CONTEXT = 0, TYPE_DATA = 1 };

struct descriptor {
	uint64_t address;
	uint32_t command, status;
};

static uint32_t *reg(struct e1000 *card, unsigned queue, uint32_t offset)
{
	return e1000_reg(card, E1000_TX_QUEUE(queue) + offset);
}

static bool sending(struct e1000 *card)
{
	return (*e1000_reg(card, E1000_TCTL) & E1000_TCTL_ENABLE) &&
	       function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, false));
}

static uint32_t ring_size(struct e1000 *card, unsigned queue)
{
	return *reg(card, queue, E1000_TDLEN) / 16;
}

static uint64_t ring_address(struct e1000 *card, unsigned queue, uint32_t index)
{
	return (*reg(card, queue, E1000_TDBAL) | (uint64_t)*reg(card, queue, E1000_TDBAH) << 32) +
	       16ull * index;
}

static uint32_t after(uint32_t index, uint32_t n, uint32_t size)
{
	index += n;
	return index >= size ? index - size : index;
}

/* --- write-back --- */

void e1000_tx_set_done(struct e1000 *card, unsigned queue, uint32_t index)
{
	unsigned *hint = &card->tx.hint_ring[queue];
	uint64_t at = ring_address(card, queue, index) + 12;
	uint32_t status;

	if (function_dma_read(&card->fn, hint, at, &status, sizeof(status)))
		return;
	status |= STATUS_DD;
	atomic_thread_fence(memory_order_release);
	function_dma_write(&card->fn, hint, at, &status, sizeof(status));
}

static void set_done(struct e1000 *card, unsigned queue, uint32_t index)
{
	if (!card->faults.now || !fault_tx(card->faults.now, queue, index))
		e1000_tx_set_done(card, queue, index);
}

/* n descriptors at TDH are dealt with; bit i of `rs`: the i-th asks for a report. */
static void complete(struct e1000 *card, unsigned queue, uint32_t n, uint64_t rs)
{
	uint32_t size = ring_size(card, queue), head = *reg(card, queue, E1000_TDH);

	*reg(card, queue, E1000_TDH) = after(head, n, size);
	if (!rs)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (rs >> i & 1)
			set_done(card, queue, after(head, i, size));
	}
	e1000_cause_queue(card, queue, true);
}

/* --- gathering --- */

static void take_context(struct e1000 *card, const struct descriptor *d)
{
	struct e1000_context *context = &card->tx.context;
	unsigned header = d->status >> 8 & 0xff;

	*context = (struct e1000_context){
		.ip_start = (uint8_t)d->address,
		.ip_at = (uint8_t)(d->address >> 8),
		.ip_end = (uint16_t)(d->address >> 16),
		.l4_start = (uint8_t)(d->address >> 32),
		.l4_at = (uint8_t)(d->address >> 40),
		.l4_end = (uint16_t)(d->address >> 48),
		.segment = {.mss = (uint16_t)(d->status >> 16),
			.l4_type = d->command & CMD_TCP ? SIM_L4_TCP : SIM_L4_UDP,
			.ipv4 = (d->command & CMD_IPV4) != 0},
	};
	/* What is out of order leaves lengths of 0, with which nothing can be cut. */
	if (context->l4_start < context->ip_start || header < context->l4_start)
		return;
	context->segment.mac_len = context->ip_start;
	context->segment.ip_len = (uint16_t)(context->l4_start - context->ip_start);
	context->segment.l4_len = (uint8_t)(header - context->l4_start);
}

/* What the first descriptor of a request says for all of it. */
static void take_first(struct e1000 *card, const struct descriptor *d)
{
	struct e1000_tx *tx = &card->tx;

	request_begin(&tx->request);
	tx->command = d->command;
	tx->status = d->status;
	tx->report = 0;
}

static void gather(struct e1000 *card, unsigned queue, const struct descriptor *d)
{
	struct e1000_tx *tx = &card->tx;
	uint32_t n = d->command & (d->command & CMD_DEXT ? 0xfffff : 0xffff);

	if (!tx->request.broken && request_gather(&tx->request, &card->fn, &tx->hint_buffer[queue],
					   d->address, n, E1000_TX_DATA) == -E2BIG)
		report_strict(
			card->report, "a transmit request of more than %u bytes", E1000_TX_DATA);
}

enum found { REQUEST, NOTHING, SKIPPED };

/* Looks for a whole request at TDH and gathers it; consumes context descriptors on the way. */
static enum found load(struct e1000 *card, unsigned queue)
{
	struct e1000_tx *tx = &card->tx;
	uint32_t size = ring_size(card, queue), tail = *reg(card, queue, E1000_TDT);

	tx->chain = 0;
	for (;;) {
		uint32_t at = after(*reg(card, queue, E1000_TDH), tx->chain, size);
		struct descriptor d;

		if (at == tail)
			return NOTHING; /* the rest of the chain is not published yet */
		if (function_dma_read(&card->fn, &tx->hint_ring[queue],
			    ring_address(card, queue, at), &d, sizeof(d)))
			return NOTHING;
		if (d.command & CMD_DEXT && CMD_TYPE(d.command) == TYPE_CONTEXT && tx->chain == 0) {
			take_context(card, &d);
			complete(card, queue, 1, d.command & CMD_RS ? 1 : 0);
			continue;
		}
		if (tx->chain == 0)
			take_first(card, &d);
		if (d.command & CMD_DEXT && CMD_TYPE(d.command) != TYPE_DATA) {
			report_strict(card->report, "a transmit descriptor of type %u in a chain",
				CMD_TYPE(d.command));
			tx->request.broken = true;
		}
		gather(card, queue, &d);
		if (d.command & CMD_RS)
			tx->report |= 1ull << tx->chain;
		tx->chain++;
		if (d.command & CMD_EOP) {
			tx->last = d.command;
			tx->tag = d.status >> 16;
			return REQUEST;
		}
		if (tx->chain == E1000_TX_CHAIN) {
			report_strict(card->report, "a transmit chain of more than %u descriptors",
				E1000_TX_CHAIN);
			/* Away with these, and go on behind them. */
			complete(card, queue, tx->chain, tx->report);
			return SKIPPED;
		}
	}
}

/* --- sending --- */

static int put_out(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	int rc = 0;

	if (e1000_loops(card))
		e1000_rx_frame(card, frame, len, false);
	else
		rc = wire_send(card->wire, frame, len);
	if (rc == 0)
		e1000_count_tx(card, frame, len);
	return rc;
}

/* One frame, with its tag, padding and without a CRC that the driver computed itself. `frame` has
 * room for the padding behind it.
 */
static int send_frame(struct e1000 *card, uint8_t *frame, uint32_t len)
{
	struct e1000_tx *tx = &card->tx;

	if (tx->last & CMD_VLE && *e1000_reg(card, E1000_CTRL) & E1000_CTRL_VLAN) {
		uint32_t type = *e1000_reg(card, E1000_VET);

		frame = request_tag(&tx->request, frame, &len, type, tx->tag);
	}
	if (!(tx->last & CMD_IFCS)) {
		if (!request_take_crc(frame, &len)) {
			report_strict(card->report, "a frame with a wrong CRC is not sent");
			return 0;
		}
	} else if (*e1000_reg(card, E1000_TCTL) & E1000_TCTL_PAD) {
		len = request_pad(frame, len);
	}
	return put_out(card, frame, len);
}

static int send_segment(void *card, uint8_t *frame, uint32_t len)
{
	return send_frame(card, frame, len);
}

/* Cuts the request into segments, from where it left off. FIN and PSH are the last one's
 * (7.2.11.2). */
static int send_segments(struct e1000 *card)
{
	static const struct sim_segment_flags flags = {0xff6, 0xff6, 0xfff};

	return request_send_segments(
		&card->tx.request, &card->tx.context.segment, &flags, send_segment, card);
}

/* The sum of a part of the frame, put into it; an end of 0 is the frame's (7.2.10.2). */
static void insert(struct e1000 *card, unsigned start, unsigned end, unsigned at)
{
	struct e1000_tx *tx = &card->tx;
	uint32_t len = end && end < tx->request.length ? end + 1 : tx->request.length;

	if (!sim_insert_legacy_checksum(tx->request.data, len, start, at))
		report_strict(card->report, "a checksum request that does not fit its frame");
}

/* Checksums go in once, when the request has been gathered. */
static void prepare(struct e1000 *card)
{
	struct e1000_tx *tx = &card->tx;
	struct request *request = &tx->request;
	const struct e1000_context *context = &tx->context;
	bool extended = tx->command & CMD_DEXT;

	if (request->broken)
		return;
	if (request->length && request->length < PAD_LEAST &&
		*e1000_reg(card, E1000_TCTL) & E1000_TCTL_PAD)
		report_strict(card->report, "a transmit request of %u bytes, to be padded",
			request->length);
	if (extended && tx->command & CMD_TSE) {
		request->broken = !sim_segment_possible(
			&context->segment, request->length, SIM_FRAME_MAX - TAG_LEN);
		e1000_count(card, request->broken ? E1000_TSCTFC : E1000_TSCTC);
		if (request->broken)
			report_strict(card->report,
				"a segmentation request that does not fit its context");
	} else if (request->length == 0 && tx->chain == 1) {
		request->broken = true; /* a null descriptor transfers no data */
	} else if (request->length < SIM_FRAME_MIN || request->length > SIM_FRAME_MAX - TAG_LEN) {
		report_strict(card->report, "a transmit request of %u bytes", request->length);
		request->broken = true;
	} else if (extended) {
		if (tx->status & STATUS_TXSM)
			insert(card, context->l4_start, context->l4_end, context->l4_at);
		if (tx->status & STATUS_IXSM)
			insert(card, context->ip_start, context->ip_end, context->ip_at);
	} else if (tx->command & CMD_IC) {
		insert(card, tx->status >> 8 & 0xff, 0, tx->command >> 16 & 0xff);
	}
}

/* Sends what is loaded. -EAGAIN: the wire is full, later. */
static int send_request(struct e1000 *card)
{
	struct e1000_tx *tx = &card->tx;

	if (tx->request.broken)
		return 0;
	if (tx->command & CMD_DEXT && tx->command & CMD_TSE)
		return send_segments(card);
	return send_frame(card, tx->request.data, tx->request.length);
}

static bool in_order(struct e1000 *card, unsigned queue)
{
	uint32_t size = ring_size(card, queue);

	return *reg(card, queue, E1000_TDH) < size && *reg(card, queue, E1000_TDT) < size;
}

/* Sends up to n requests of the queue whose turn it is; returns how many. */
static unsigned take_turn(struct e1000 *card, unsigned n)
{
	struct e1000_tx *tx = &card->tx;
	unsigned queue = tx->turn, sent = 0;

	while (sent < n && in_order(card, queue)) {
		enum found found = tx->request.loaded ? REQUEST : load(card, queue);

		if (found == NOTHING)
			break;
		sent++;
		if (found == SKIPPED)
			continue;
		if (!tx->request.loaded)
			prepare(card);
		tx->request.loaded = true;
		if (send_request(card)) {
			tx->wire_full = true;
			return sent;
		}
		tx->request.loaded = false;
		complete(card, queue, tx->chain, tx->report);
	}
	if (sent < n) {
		tx->request.loaded = false;
		tx->busy &= ~(1u << queue);
		if (sent)
			e1000_cause(card, E1000_CAUSE_TXQE);
	}
	return sent;
}

static void on_work(struct loop_work *work)
{
	struct e1000 *card = (struct e1000 *)((char *)work - offsetof(struct e1000, tx.work));
	struct e1000_tx *tx = &card->tx;

	for (unsigned left = BURST; left;) {
		unsigned both = (1u << E1000_QUEUES) - 1, turn = left;

		if (!sending(card) || !tx->busy || pause_holds(&card->pause))
			return;
		if (!tx->request.loaded && tx->busy >> !tx->turn & 1)
			tx->turn = !tx->turn;
		if (tx->busy == both && left > TURN)
			turn = TURN;
		left -= take_turn(card, turn);
		if (tx->wire_full)
			return;
	}
	loop_defer(card->loop, work);
}

void e1000_tx_sendable(void *ctx)
{
	struct e1000 *card = ctx;

	pause_sendable(&card->pause);
	if (!card->tx.wire_full)
		return;
	card->tx.wire_full = false;
	loop_defer(card->loop, &card->tx.work);
}

void e1000_tx_go_on(struct e1000 *card)
{
	if (card->tx.busy && !card->tx.wire_full)
		loop_defer(card->loop, &card->tx.work);
}

/* --- registers --- */

/* There may be something to send. */
static void look_at(struct e1000 *card, unsigned queue)
{
	uint32_t tail = *reg(card, queue, E1000_TDT), size = ring_size(card, queue);

	if (!sending(card))
		return;
	if (tail >= size && tail)
		report_strict(card->report, "TDT %u out of a ring of %u", tail, size);
	card->tx.busy |= 1u << queue;
	if (!card->tx.wire_full)
		loop_defer(card->loop, &card->tx.work);
}

void e1000_tx_look_again(struct e1000 *card)
{
	for (unsigned queue = 0; queue < E1000_QUEUES; queue++)
		look_at(card, queue);
}

void e1000_write_tdh(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)value;
	if (*e1000_reg(card, E1000_TCTL) & E1000_TCTL_ENABLE)
		report_strict(card->report, "TDH of queue %u written while the transmitter is on",
			(offset - E1000_TX_QUEUE(0u)) / 0x100);
}

void e1000_write_tdt(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)value;
	look_at(card, (offset - E1000_TX_QUEUE(0u)) / 0x100);
}

void e1000_write_tctl(struct e1000 *card, uint32_t offset, uint32_t value)
{
	if (value & E1000_TCTL_SWXOFF) {
		*e1000_reg(card, offset) &= ~E1000_TCTL_SWXOFF;
		pause_send(&card->pause);
	}
	if (value & E1000_TCTL_ENABLE)
		e1000_tx_look_again(card);
	else
		card->tx.request.loaded = false; /* what was fetched is forgotten */
}

void e1000_tx_init(struct e1000 *card)
{
	card->tx.work.run = on_work;
}

void e1000_tx_stop(struct e1000 *card)
{
	loop_defer_cancel(card->loop, &card->tx.work);
}

void e1000_tx_reset(struct e1000 *card)
{
	struct e1000_tx *tx = &card->tx;

	tx->request.loaded = false;
	tx->wire_full = false;
	tx->busy = 0;
	tx->turn = 0;
	memset(&tx->context, 0, sizeof(tx->context));
}
