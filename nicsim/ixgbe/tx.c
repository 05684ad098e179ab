/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmitting: from the descriptors of the queues to the wire (82599 datasheet 7.2). The card owns
 * the descriptors from TDH to before TDT.
 *
 * A request (a chain of descriptors up to one with EOP) is gathered from memory into one piece,
 * sent, written back. When the wire has no room it stays where it is: loaded, at TDH; no other
 * queue overtakes it. Queues that have something to send take turns.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "nicsim/ixgbe/burst.h"
#include "nicsim/ixgbe/card.h"

#define TAG_LEN 4u
#define BURST   64u /* frames a turn of the loop */
#define TURN    16u /* and of a queue */

/* The second quadword of descriptors: command in its low half, status in its high one. */
#define CMD_EOP         0x01000000u
#define CMD_IFCS        0x02000000u
#define CMD_IC          0x04000000u /* legacy */
#define CMD_RS          0x08000000u
#define CMD_DEXT        0x20000000u
#define CMD_VLE         0x40000000u
#define CMD_TSE         0x80000000u
#define CMD_TYPE(v)     (((v) >> 20) & 15u) /* extended: 2 context, 3 data */
#define TYPE_CONTEXT    2u
#define TYPE_DATA       3u
#define STATUS_DD       0x00000001u
#define STATUS_IDX      0x00000010u
#define STATUS_POPTS(v) (((v) >> 8) & 3u)

struct descriptor {
	uint64_t address;
	uint32_t command, status;
};

static uint32_t *reg(struct ixgbe *card, unsigned queue, uint32_t offset)
{
	return ixgbe_reg(card, TX_QUEUE(queue) + offset);
}

static bool sending(struct ixgbe *card)
{
	return (*ixgbe_reg(card, DMATXCTL) & DMATXCTL_ENABLE) && function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, false));
}

static bool is_on(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, TXDCTL) & TXDCTL_ENABLE;
}

static uint32_t ring_size(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, TDLEN) / 16;
}

static uint64_t ring_address(struct ixgbe *card, unsigned queue, uint32_t index)
{
	return (*reg(card, queue, TDBAL) | (uint64_t)*reg(card, queue, TDBAH) << 32) +
	       16ull * index;
}

static uint32_t after(uint32_t index, uint32_t n, uint32_t size)
{
	index += n;
	return index >= size ? index - size : index;
}

/* --- write-back (7.2.3.5) --- */

void ixgbe_tx_set_done(struct ixgbe *card, unsigned queue, uint32_t index)
{
	unsigned *hint = &card->tx.queue[queue].hint_ring;
	uint64_t at = ring_address(card, queue, index) + 12;
	uint32_t status;

	if (function_dma_read(&card->fn, hint, at, &status, sizeof(status)))
		return;
	status |= STATUS_DD;
	atomic_thread_fence(memory_order_release);
	function_dma_write(&card->fn, hint, at, &status, sizeof(status));
}

static void set_done(struct ixgbe *card, unsigned queue, uint32_t index)
{
	if (!card->faults.now || !fault_tx(card->faults.now, queue, index))
		ixgbe_tx_set_done(card, queue, index);
}

/* 7.2.3.5.2: instead of descriptors, which stay as the driver wrote them. */
static bool writes_head(struct ixgbe *card, unsigned queue)
{
	return *reg(card, queue, TDWBAL) & TDWBAL_ENABLE;
}

static void write_head(struct ixgbe *card, unsigned queue)
{
	uint64_t at = (*reg(card, queue, TDWBAL) & ~3u) | (uint64_t)*reg(card, queue, TDWBAH) << 32;
	uint32_t head = *reg(card, queue, TDH);

	if (card->faults.now)
		head = fault_head(card->faults.now, head);
	/* What was read from the descriptors, before the head that lets the driver change them. */
	atomic_thread_fence(memory_order_release);
	function_dma_write(&card->fn, &card->tx.queue[queue].hint_head, at, &head, sizeof(head));
}

/* Nothing is left to be written back. */
static void forget_group(struct ixgbe *card, unsigned queue)
{
	struct ixgbe_tx *tx = &card->tx;

	tx->queue[queue].done = 0;
	tx->grouped &= ~(1ull << queue);
	if (!tx->grouped)
		loop_timer_cancel(card->loop, &tx->flush);
}

/* WTHRESH > 0: everything before TDH that has not been written back yet. */
static void flush(struct ixgbe *card, unsigned queue)
{
	uint32_t size = ring_size(card, queue), head = *reg(card, queue, TDH);
	uint32_t done = card->tx.queue[queue].done;

	forget_group(card, queue);
	if (!done || head >= size || done > size)
		return;
	for (uint32_t at = after(head, size - done, size); done; done--) {
		set_done(card, queue, at);
		at = after(at, 1, size);
	}
	ixgbe_cause_queue(card, queue, true);
}

static void on_flush(struct loop_timer *timer)
{
	struct ixgbe *card = (struct ixgbe *)((char *)timer - offsetof(struct ixgbe, tx.flush));

	for (uint64_t left = card->tx.grouped; left; left &= left - 1)
		flush(card, (unsigned)__builtin_ctzll(left));
}

/* Groups that will not fill by themselves. */
static void close_groups(struct ixgbe *card)
{
	struct ixgbe_tx *tx = &card->tx;

	for (uint64_t left = tx->grouped; left; left &= left - 1) {
		unsigned queue = (unsigned)__builtin_ctzll(left);
		uint64_t wait = ixgbe_irq_interval(card, queue, true);

		if (wait == 0)
			flush(card, queue);
		else if (!tx->flush.armed)
			loop_timer_set(card->loop, &tx->flush, wait);
	}
}

/* n descriptors at TDH are dealt with; bit i of `rs`: the i-th asks for a report. */
static void complete(struct ixgbe *card, unsigned queue, uint32_t n, uint64_t rs)
{
	struct ixgbe_tx_queue *q = &card->tx.queue[queue];
	uint32_t size = ring_size(card, queue), head = *reg(card, queue, TDH);
	uint32_t threshold = TXDCTL_WTHRESH(*reg(card, queue, TXDCTL));

	*reg(card, queue, TDH) = after(head, n, size);
	ixgbe_doorbells_head(card, TX_QUEUE(queue) + TDH, *reg(card, queue, TDH));
	if (threshold && !writes_head(card, queue)) {
		q->done += n;
		card->tx.grouped |= 1ull << queue;
		if (q->done >= threshold)
			flush(card, queue);
		return;
	}
	if (!rs)
		return;
	if (writes_head(card, queue)) {
		write_head(card, queue);
	} else {
		for (uint32_t i = 0; i < n; i++) {
			if (rs >> i & 1)
				set_done(card, queue, after(head, i, size));
		}
	}
	ixgbe_cause_queue(card, queue, true);
}

/* --- gathering --- */

static void take_context(struct ixgbe *card, unsigned queue, const struct descriptor *d)
{
	card->tx.queue[queue].context[d->status & STATUS_IDX ? 1 : 0] = (struct sim_context){
		.ip_len = (uint16_t)(d->address & 0x1ff),
		.mac_len = (uint8_t)(d->address >> 9 & 0x7f),
		.vlan = (uint16_t)(d->address >> 16),
		.ipv4 = d->command >> 10 & 1,
		.l4_type = (uint8_t)(d->command >> 11 & 3),
		.l4_len = (uint8_t)(d->status >> 8),
		.mss = (uint16_t)(d->status >> 16),
	};
}

/* What the first data descriptor of a request says for all of it. */
static void take_first(struct ixgbe *card, const struct descriptor *d)
{
	struct ixgbe_tx *tx = &card->tx;

	request_begin(&tx->request);
	tx->command = d->command;
	tx->status = d->status;
	tx->report = 0;
}

static void gather(struct ixgbe *card, unsigned queue, const struct descriptor *d)
{
	struct ixgbe_tx *tx = &card->tx;
	uint32_t n = d->command & 0xffff;

	if (!tx->request.broken &&
		request_gather(&tx->request, &card->fn, &tx->queue[queue].hint_buffer, d->address,
			n, IXGBE_TX_DATA) == -E2BIG)
		report_strict(
			card->report, "a transmit request of more than %u bytes", IXGBE_TX_DATA);
}

enum found { REQUEST, NOTHING, SKIPPED };

/* Looks for a whole request at TDH and gathers it; consumes context descriptors on the way. */
static enum found load(struct ixgbe *card, unsigned queue)
{
	struct ixgbe_tx *tx = &card->tx;
	uint32_t size = ring_size(card, queue), tail = *reg(card, queue, TDT);

	tx->chain = 0;
	for (;;) {
		uint32_t at = after(*reg(card, queue, TDH), tx->chain, size);
		struct descriptor d;

		if (at == tail)
			return NOTHING; /* the rest of the chain is not published yet */
		if (function_dma_read(&card->fn, &tx->queue[queue].hint_ring,
			    ring_address(card, queue, at), &d, sizeof(d)))
			return NOTHING;
		if (d.command & CMD_DEXT && CMD_TYPE(d.command) == TYPE_CONTEXT) {
			if (tx->chain == 0) {
				take_context(card, queue, &d);
				complete(card, queue, 1, d.command & CMD_RS ? 1 : 0);
				continue;
			}
			report_strict(card->report, "a context descriptor inside a chain");
			tx->request.broken = true;
		}
		if (tx->chain == 0)
			take_first(card, &d);
		if (tx->chain >= IXGBE_TX_CHAIN) {
			if (!tx->request.broken)
				report_strict(card->report,
					"a transmit chain of more than %u descriptors",
					IXGBE_TX_CHAIN);
			tx->request.broken = true;
		}
		gather(card, queue, &d);
		if (d.command & CMD_RS)
			tx->report |= 1ull << (tx->chain < 63 ? tx->chain : 63);
		tx->chain++;
		if (d.command & CMD_EOP)
			return REQUEST;
		if (tx->chain == 64) {
			/* Nothing sane: away with these, and go on behind them. */
			complete(card, queue, tx->chain, tx->report);
			return SKIPPED;
		}
	}
}

/* --- sending --- */

static int put_out(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	int rc = 0;

	if (*ixgbe_reg(card, HLREG0) & HLREG0_LOOPBACK)
		ixgbe_rx_frame(card, frame, len, false);
	else
		rc = wire_send(card->wire, frame, len);
	if (rc == 0)
		ixgbe_count_tx(card, card->tx.turn, frame, len);
	return rc;
}

/* One frame, with its tag, padding and without a CRC that the driver computed itself. `frame` has
 * room for the padding behind it.
 */
static int send_frame(struct ixgbe *card, uint8_t *frame, uint32_t len, uint32_t tag)
{
	struct ixgbe_tx *tx = &card->tx;
	uint32_t control = *ixgbe_reg(card, HLREG0);

	if (tx->command & CMD_VLE && len >= 12) {
		uint32_t type = DMATXCTL_VLAN_TYPE(*ixgbe_reg(card, DMATXCTL));

		frame = request_tag(&tx->request, frame, &len, type, tag);
	}
	if (!(tx->command & CMD_IFCS && control & HLREG0_TX_CRC)) {
		if (!request_take_crc(frame, &len)) {
			report_strict(card->report, "a frame with a wrong CRC is not sent");
			return 0;
		}
	} else if (control & HLREG0_TX_PAD) {
		len = request_pad(frame, len);
	}
	return put_out(card, frame, len);
}

/* Of the request that is loaded. */
static const struct sim_context *context_of(const struct ixgbe_tx *tx)
{
	return &tx->queue[tx->turn].context[tx->status & STATUS_IDX ? 1 : 0];
}

static int send_segment(void *ctx, uint8_t *frame, uint32_t len)
{
	struct ixgbe *card = ctx;

	return send_frame(card, frame, len, context_of(&card->tx)->vlan);
}

/* Cuts the request into segments, from where it left off. */
static int send_segments(struct ixgbe *card)
{
	uint32_t low = *ixgbe_reg(card, DTXTCPFLGL);
	struct sim_segment_flags flags = {.first = low & 0xfff,
		.middle = low >> 16 & 0xfff,
		.last = *ixgbe_reg(card, DTXTCPFLGH) & 0xfff};

	return request_send_segments(
		&card->tx.request, context_of(&card->tx), &flags, send_segment, card);
}

/* Checksums go in once, when the request has been gathered. */
static void prepare(struct ixgbe *card)
{
	struct ixgbe_tx *tx = &card->tx;
	struct request *request = &tx->request;
	bool extended = tx->command & CMD_DEXT;
	const struct sim_context *context = context_of(tx);

	if (request->broken)
		return;
	if (extended && CMD_TYPE(tx->command) != TYPE_DATA) {
		report_strict(card->report, "a transmit descriptor of unknown type %u",
			CMD_TYPE(tx->command));
		request->broken = true;
	} else if (extended && tx->command & CMD_TSE) {
		if (!sim_segment_possible(context, request->length, SIM_FRAME_MAX - TAG_LEN)) {
			report_strict(card->report,
				"a segmentation request that does not fit its context");
			request->broken = true;
		}
	} else if (!extended && request->length == 0 && tx->chain == 1) {
		request->broken = true; /* a null descriptor transfers no data (7.2.3.2.2) */
	} else if (request->length < SIM_FRAME_MIN || request->length > SIM_FRAME_MAX - TAG_LEN) {
		report_strict(card->report, "a transmit request of %u bytes", request->length);
		request->broken = true;
	} else if (extended) {
		if (STATUS_POPTS(tx->status) &&
			!sim_insert_checksums(
				request->data, request->length, context, STATUS_POPTS(tx->status)))
			report_strict(
				card->report, "a checksum request that does not fit its frame");
	} else if (tx->command & CMD_IC) {
		if (!sim_insert_legacy_checksum(request->data, request->length,
			    tx->status >> 8 & 0xff, tx->command >> 16 & 0xff))
			report_strict(
				card->report, "a checksum request that does not fit its frame");
	}
}

/* Sends what is loaded. -EAGAIN: the wire is full, later. */
static int send_request(struct ixgbe *card)
{
	struct ixgbe_tx *tx = &card->tx;
	const struct sim_context *context = context_of(tx);

	if (tx->request.broken)
		return 0;
	if (tx->command & CMD_DEXT && tx->command & CMD_TSE)
		return send_segments(card);
	return send_frame(card, tx->request.data, tx->request.length,
		tx->command & CMD_DEXT ? context->vlan : tx->status >> 16);
}

/* The next queue with something to send, after the one that had its turn. */
static bool next_turn(struct ixgbe_tx *tx)
{
	uint64_t later = tx->busy & ~((2ull << tx->turn) - 1);

	if (!tx->busy)
		return false;
	tx->turn = (unsigned)__builtin_ctzll(later ? later : tx->busy);
	return true;
}

static bool in_order(struct ixgbe *card, unsigned queue)
{
	uint32_t size = ring_size(card, queue);

	return is_on(card, queue) && *reg(card, queue, TDH) < size && *reg(card, queue, TDT) < size;
}

/* Sends up to n requests of the queue whose turn it is; returns how many. */
static unsigned take_turn(struct ixgbe *card, unsigned n)
{
	struct ixgbe_tx *tx = &card->tx;
	unsigned queue = tx->turn, sent = 0;

	while (sent < n && in_order(card, queue)) {
		enum found found;

		if (!tx->request.loaded)
			sent += ixgbe_tx_burst(card, queue, n - sent);
		if (sent == n)
			break;
		found = tx->request.loaded ? REQUEST : load(card, queue);
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
		tx->busy &= ~(1ull << queue);
	}
	return sent;
}

static void on_work(struct loop_work *work)
{
	struct ixgbe *card = (struct ixgbe *)((char *)work - offsetof(struct ixgbe, tx.work));
	struct ixgbe_tx *tx = &card->tx;

	for (unsigned left = BURST, turn; left;) {
		if (!sending(card) || pause_holds(&card->pause))
			return;
		if (!tx->request.loaded && !next_turn(tx)) {
			close_groups(card);
			return;
		}
		/* One that is alone need not share. */
		turn = tx->busy & (tx->busy - 1) && left > TURN ? TURN : left;
		left -= take_turn(card, turn);
		if (tx->wire_full)
			return;
	}
	loop_defer(card->loop, work);
}

void ixgbe_tx_sendable(void *ctx)
{
	struct ixgbe *card = ctx;

	pause_sendable(&card->pause);
	if (!card->tx.wire_full)
		return;
	card->tx.wire_full = false;
	loop_defer(card->loop, &card->tx.work);
}

void ixgbe_tx_go_on(struct ixgbe *card)
{
	if (card->tx.busy && !card->tx.wire_full)
		loop_defer(card->loop, &card->tx.work);
}

/* --- registers --- */

static unsigned queue_of(uint32_t offset)
{
	return (offset - TX_QUEUE(0u)) / 0x40;
}

/* There may be something to send. */
static void look_at(struct ixgbe *card, unsigned queue)
{
	uint32_t tail = *reg(card, queue, TDT), size = ring_size(card, queue);

	if (queue >= IXGBE_TX_QUEUES || !is_on(card, queue) || !sending(card))
		return;
	if (tail >= size)
		report_strict(card->report, "TDT %u out of a ring of %u", tail, size);
	card->tx.busy |= 1ull << queue;
	if (!card->tx.wire_full)
		loop_defer(card->loop, &card->tx.work);
}

void ixgbe_write_tdt(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)value;
	look_at(card, queue_of(offset));
}

void ixgbe_write_txdctl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	struct ixgbe_tx *tx = &card->tx;
	unsigned queue = queue_of(offset);

	if (queue >= IXGBE_TX_QUEUES) {
		if (value & TXDCTL_ENABLE)
			report_strict(card->report,
				"TX queue %u enabled: without DCB and virtualization there are %u",
				queue, IXGBE_TX_QUEUES);
		return;
	}
	if (value & TXDCTL_FLUSH) {
		*reg(card, queue, TXDCTL) &= ~TXDCTL_FLUSH;
		flush(card, queue);
	}
	if (!(value & TXDCTL_ENABLE)) {
		if (tx->turn == queue)
			tx->request.loaded = false; /* what was fetched is forgotten */
		forget_group(card, queue);
		return;
	}
	if (*reg(card, queue, TDLEN) == 0)
		report_strict(card->report, "TX queue %u enabled with TDLEN 0", queue);
	look_at(card, queue);
}

void ixgbe_write_dmatxctl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (!(value & DMATXCTL_ENABLE))
		return;
	for (unsigned queue = 0; queue < IXGBE_TX_QUEUES; queue++)
		look_at(card, queue);
}

void ixgbe_tx_init(struct ixgbe *card)
{
	card->tx.work.run = on_work;
	card->tx.flush.fire = on_flush;
}

void ixgbe_tx_stop(struct ixgbe *card)
{
	loop_defer_cancel(card->loop, &card->tx.work);
	loop_timer_cancel(card->loop, &card->tx.flush);
}

void ixgbe_tx_reset(struct ixgbe *card)
{
	struct ixgbe_tx *tx = &card->tx;

	tx->request.loaded = false;
	tx->wire_full = false;
	tx->busy = 0;
	tx->grouped = 0;
	tx->turn = 0;
	memset(tx->queue, 0, sizeof(tx->queue));
}
