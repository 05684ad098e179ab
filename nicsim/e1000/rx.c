/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving: from the wire through the packet buffer into the descriptors of the queues (82574
 * datasheet 7.1). The card owns the descriptors from RDH to before RDT. They have three formats:
 * legacy, extended, and with four buffers each, into the first of which headers are split off.
 */
#include <stdatomic.h>
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/e1000/card.h"

#define CRC_LEN    4u
#define FRAME_MIN  60u   /* on a link, without CRC */
#define LEGACY_MAX 1518u /* without RCTL.LPE: 1522 with CRC (10.2.5.1) */
#define TAG_LEN    4u
#define BURST      64u /* frames a turn */
#define BUFFERS    4u  /* of a descriptor, at most */

/* Status and errors as they lie in the second quadword of an extended descriptor (7.1.4.2). */
#define STATUS_DD    0x00000001u
#define STATUS_EOP   0x00000002u
#define STATUS_IXSM  0x00000004u /* no checksum was looked at */
#define STATUS_VP    0x00000008u
#define STATUS_IPIDV 0x00000200u
#define STATUS_L4    (SIM_STATUS_UDPCS | SIM_STATUS_L4CS)
#define ERROR_L4     0x20000000u
#define ERROR_IP     0x40000000u
#define HEADER_SPLIT 0x8000u

/* RSS types of the descriptor. */
enum { TCP_IPV4 = 1, IPV4 = 2, TCP_IPV6 = 3, IPV6 = 5 };

/* What becomes of a frame at the ring. */
enum outcome { STORED, NO_DESCRIPTOR, IN_VAIN };

/* Where a frame goes, and what its last descriptor says of it. */
struct verdict {
	unsigned queue;
	uint32_t info;   /* RSS type and queue */
	uint32_t hash;   /* or a checksum and an identification */
	uint32_t status; /* but for DD, EOP and VP */
	uint32_t header; /* bytes that can be split off; 0: none */
};

/* How descriptors look: by RCTL, RFCTL and PSRCTL. */
struct format {
	bool extended, split;
	uint32_t units;         /* of 16 bytes, which RDH and RDT count, that a descriptor takes */
	uint32_t room[BUFFERS]; /* 0: there is no such buffer */
};

static uint32_t *reg(struct e1000 *card, unsigned queue, uint32_t offset)
{
	return e1000_reg(card, E1000_RX_QUEUE(queue) + offset);
}

static bool listening(struct e1000 *card)
{
	return (*e1000_reg(card, E1000_RCTL) & E1000_RCTL_ENABLE) &&
	       function_is_master(&card->fn) &&
	       !(card->faults.now && fault_stalls(card->faults.now, true));
}

static struct format format(struct e1000 *card)
{
	uint32_t control = *e1000_reg(card, E1000_RCTL), sizes = *e1000_reg(card, E1000_PSRCTL);
	struct format format = {
		.extended = *e1000_reg(card, E1000_RFCTL) & E1000_RFCTL_EXTENDED, .units = 1};

	format.split = format.extended && E1000_RCTL_DTYP(control) == 1;
	if (format.split) {
		format.units = 2;
		format.room[0] = E1000_PSRCTL_BSIZE0(sizes);
		for (unsigned i = 1; i < BUFFERS; i++)
			format.room[i] = E1000_PSRCTL_BSIZE(sizes, i);
	} else if (E1000_RCTL_FLEX(control)) {
		format.room[0] = 1024 * E1000_RCTL_FLEX(control);
	} else if (control & E1000_RCTL_BSEX && E1000_RCTL_BSIZE(control)) {
		format.room[0] = 32768u >> E1000_RCTL_BSIZE(control);
	} else {
		format.room[0] = 2048u >> E1000_RCTL_BSIZE(control);
	}
	return format;
}

static uint32_t ring_size(struct e1000 *card, unsigned queue)
{
	return *reg(card, queue, E1000_RDLEN) / 16;
}

static uint64_t ring_address(struct e1000 *card, unsigned queue, uint32_t index)
{
	return (*reg(card, queue, E1000_RDBAL) | (uint64_t)*reg(card, queue, E1000_RDBAH) << 32) +
	       16ull * index;
}

/* --- what is to be said of a frame --- */

/* RSS (7.1.7): the entry of RETA says which of the two queues. */
static void spread(struct e1000 *card, struct verdict *verdict, const struct sim_headers *headers,
	const uint8_t *frame)
{
	struct e1000_rx *rx = &card->rx;
	uint32_t enabled = *e1000_reg(card, E1000_MRQC), entry;
	bool ipv4 = headers->types & SIM_TYPE_IPV4;
	bool tcp = headers->l4 && headers->types & SIM_TYPE_TCP && headers->inner == headers->ip &&
		   !(headers->types & SIM_TYPE_IPV6_EXT);
	uint8_t input[TOEPLITZ_INPUT];
	unsigned n = ipv4 ? 8 : 32;

	if (E1000_MRQC_MODE(enabled) != 1 || !headers->ip)
		return;
	memcpy(input, frame + headers->ip + (ipv4 ? 12 : 8), n);
	if (tcp && enabled & (ipv4 ? E1000_MRQC_TCP_IPV4 : E1000_MRQC_TCP_IPV6)) {
		memcpy(input + n, frame + headers->l4, 4);
		n += 4;
		verdict->info = ipv4 ? TCP_IPV4 : TCP_IPV6;
	} else if (enabled & (ipv4 ? E1000_MRQC_IPV4 : E1000_MRQC_IPV6)) {
		verdict->info = ipv4 ? IPV4 : IPV6;
	} else {
		return;
	}
	if (rx->key_stale) {
		uint8_t key[TOEPLITZ_KEY];

		memcpy(key, e1000_reg(card, E1000_RSSRK(0u)), sizeof(key));
		toeplitz_set_key(&rx->toeplitz, key);
		rx->key_stale = false;
	}
	verdict->hash = toeplitz_hash(&rx->toeplitz, input, n);
	entry = verdict->hash & 127;
	verdict->queue = *e1000_reg(card, E1000_RETA(entry / 4)) >> (8 * (entry % 4) + 7) & 1;
	verdict->info |= verdict->queue << 8;
}

/* Checksums, as RXCSUM asks for them (7.1.10); of SCTP the card knows nothing. */
static uint32_t check(struct e1000 *card, const struct sim_headers *headers, const uint8_t *frame)
{
	uint32_t control = *e1000_reg(card, E1000_RXCSUM), found = sim_check_sums(headers, frame);
	uint32_t status = 0;

	if (control & E1000_RXCSUM_IP && found & SIM_STATUS_IPCS)
		status |= SIM_STATUS_IPCS | (found & SIM_ERROR_IP ? ERROR_IP : 0);
	if (control & E1000_RXCSUM_L4 && !(headers->types & SIM_TYPE_SCTP) && found & STATUS_L4)
		status |= (found & STATUS_L4) | (found & SIM_ERROR_L4 ? ERROR_L4 : 0);
	return status ? status : STATUS_IXSM;
}

/* All up to the payload of TCP or UDP. */
static uint32_t header_length(const struct sim_headers *headers, const uint8_t *frame, uint32_t len)
{
	uint32_t end = headers->l4;

	if (!headers->l4 || headers->types & SIM_TYPE_SCTP)
		return 0;
	end += headers->types & SIM_TYPE_TCP ? 4u * (frame[headers->l4 + 12] >> 4) : 8;
	return end <= len ? end : 0;
}

static struct verdict judge(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	uint32_t control = *e1000_reg(card, E1000_RXCSUM), start = E1000_RXCSUM_START(control);
	struct verdict verdict = {0};
	struct sim_headers headers;

	sim_headers(&headers, frame, len, *e1000_reg(card, E1000_VET));
	verdict.status = check(card, &headers, frame) | (frame[0] & 1 ? SIM_STATUS_PIF : 0);
	verdict.header = header_length(&headers, frame, len);
	spread(card, &verdict, &headers, frame);
	if (control & E1000_RXCSUM_PCSD)
		return verdict;
	verdict.hash = start < len ? (~(uint32_t)sim_sum(frame + start, len - start)) << 16 : 0;
	if (headers.types & SIM_TYPE_IPV4) {
		verdict.hash |= sim_be16(frame + headers.ip + 4);
		verdict.status |= STATUS_IPIDV;
	}
	return verdict;
}

/* --- one frame into the ring --- */

static bool has_tag(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	return *e1000_reg(card, E1000_CTRL) & E1000_CTRL_VLAN && len >= 18 &&
	       sim_be16(frame + 12) == *e1000_reg(card, E1000_VET);
}

/* The write-back: the second quadword, which holds DD, after everything else. */
static int write_back(struct e1000 *card, unsigned queue, uint64_t address,
	const struct format *format, const struct verdict *verdict, uint32_t status,
	const uint32_t piece[BUFFERS], uint64_t tag)
{
	unsigned *hint = &card->rx.hint_ring[queue];
	bool last = status & STATUS_EOP;
	uint64_t hash = last ? verdict->hash : 0;
	uint64_t first = (last ? verdict->info : 0) | hash << 32, second;
	uint64_t rest[2] = {0};
	int rc = 0;

	if (format->extended)
		second = status | (uint64_t)piece[0] << 32 | tag << 48;
	else
		second = piece[0] | (hash >> 16) << 16 | (uint64_t)(status & 0xff) << 32 |
			 (uint64_t)(status >> 24) << 40 | tag << 48;
	if (card->faults.now &&
		fault_rx_words(card->faults.now, queue, address, format->extended, &first, &second))
		return 0;
	if (format->extended)
		rc = function_dma_write(&card->fn, hint, address, &first, sizeof(first));
	if (!rc && format->split) {
		rest[0] = (verdict->header && piece[0] ? HEADER_SPLIT | verdict->header : 0) |
			  (uint64_t)piece[1] << 16 | (uint64_t)piece[2] << 32 |
			  (uint64_t)piece[3] << 48;
		rc = function_dma_write(&card->fn, hint, address + 16, rest, sizeof(rest));
	}
	atomic_thread_fence(memory_order_release);
	return rc ? rc : function_dma_write(&card->fn, hint, address + 8, &second, sizeof(second));
}

/* Fills the buffers of one descriptor from frame[0 .. left); returns how much went in, or 0: a bus
 * error. `header` bytes go into the first one alone, which has none of the rest then.
 */
static uint32_t fill(struct e1000 *card, unsigned queue, uint64_t descriptor,
	const struct format *format, const uint8_t *frame, uint32_t left, bool split,
	uint32_t header, uint32_t piece[BUFFERS])
{
	uint64_t address[BUFFERS];
	uint32_t at = 0;

	if (function_dma_read(&card->fn, &card->rx.hint_ring[queue], descriptor, address,
		    format->split ? 32 : 8))
		return 0;
	for (unsigned i = 0; i < BUFFERS; i++) {
		uint32_t room = i == 0 && split ? header : format->room[i];

		piece[i] = left - at < room ? left - at : room;
		if (piece[i] && function_dma_write(&card->fn, &card->rx.hint_buffer[queue],
					address[i], frame + at, piece[i]))
			return 0;
		at += piece[i];
	}
	return at;
}

/* Below the threshold the driver hears that few descriptors are left (10.2.5.1). */
static void check_level(struct e1000 *card, uint32_t before, uint32_t now, uint32_t size)
{
	uint32_t threshold = size >> (1 + E1000_RCTL_RDMTS(*e1000_reg(card, E1000_RCTL)));

	if (before >= threshold && now < threshold)
		e1000_cause(card, E1000_CAUSE_RXDMT);
}

/* Puts a frame into as many descriptors as it takes. */
static enum outcome store(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	struct format how = format(card);
	struct verdict verdict = judge(card, frame, len);
	unsigned queue = verdict.queue;
	uint32_t size = ring_size(card, queue);
	uint32_t head = *reg(card, queue, E1000_RDH), tail = *reg(card, queue, E1000_RDT);
	bool crc = !(*e1000_reg(card, E1000_RCTL) & E1000_RCTL_SECRC),
	     tagged = has_tag(card, frame, len);
	uint64_t tag = tagged ? sim_be16(frame + 14) : 0;
	uint32_t cut = tagged ? TAG_LEN : 0, room = 0, rest, available;
	bool split;

	if (verdict.header)
		verdict.header -= cut; /* the tag stood in front of what was counted */
	split = how.split && verdict.header && verdict.header <= how.room[0];
	if (!split)
		verdict.header = 0;
	for (unsigned i = split ? 1 : 0; i < BUFFERS; i++)
		room += how.room[i];
	rest = len + (crc ? CRC_LEN : 0) - cut - verdict.header;
	if (head >= size || tail >= size || room == 0)
		return NO_DESCRIPTOR;
	available = (tail + size - head) % size / how.units;
	if (available == 0 || available < (rest + room - 1) / room)
		return NO_DESCRIPTOR;
	if (crc || tagged) {
		len = sim_stored(card->rx.edited, frame, len, tagged, crc);
		frame = card->rx.edited;
	}
	for (uint32_t at = 0; at < len;) {
		uint64_t descriptor = ring_address(card, queue, head);
		uint32_t piece[BUFFERS], status = STATUS_DD;
		uint32_t n = fill(card, queue, descriptor, &how, frame + at, len - at, split,
			at ? 0 : verdict.header, piece);
		bool last = at + n == len;

		head = (head + how.units) % size;
		*reg(card, queue, E1000_RDH) = head;
		if (last)
			status |= STATUS_EOP | verdict.status | (tagged ? STATUS_VP : 0);
		/* After a bus error the descriptor is used up without a write-back. */
		if (!n || write_back(card, queue, descriptor, &how, &verdict, status, piece,
				  last ? tag : 0))
			return IN_VAIN;
		at += n;
	}
	check_level(card, available, (tail + size - head) % size / how.units, size / how.units);
	e1000_cause_queue(card, queue, false);
	return STORED;
}

/* --- the packet buffer: what finds no descriptor --- */

static bool has_room(struct e1000 *card, uint32_t len)
{
	uint32_t capacity = 1024 * (*e1000_reg(card, E1000_PBA) & 0x3f);

	if (capacity > E1000_RX_BUFFER)
		capacity = E1000_RX_BUFFER;
	return card->rx.used + sizeof(len) + len <= capacity;
}

static bool push(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	struct e1000_rx *rx = &card->rx;

	if (!has_room(card, len))
		return false;
	memcpy(rx->buffer + rx->used, &len, sizeof(len));
	memcpy(rx->buffer + rx->used + sizeof(len), frame, len);
	rx->used += (uint32_t)sizeof(len) + len;
	pause_level(&card->pause, rx->used);
	return true;
}

/* The frame at the head of the packet buffer. False: it stays, and all behind it. */
static bool move_one(struct e1000 *card)
{
	struct e1000_rx *rx = &card->rx;
	uint32_t len;

	memcpy(&len, rx->buffer, sizeof(len));
	if (store(card, rx->buffer + sizeof(len), len) == NO_DESCRIPTOR)
		return false;
	rx->used -= (uint32_t)sizeof(len) + len;
	memmove(rx->buffer, rx->buffer + sizeof(len) + len, rx->used);
	pause_level(&card->pause, rx->used);
	return true;
}

/* Moves what waits in the packet buffer, then lets the wire bring more. */
static void on_work(struct loop_work *work)
{
	struct e1000 *card = (struct e1000 *)((char *)work - offsetof(struct e1000, rx.work));
	struct e1000_rx *rx = &card->rx;

	for (unsigned n = 0; rx->used && listening(card); n++) {
		if (n == BURST) {
			loop_defer(card->loop, work);
			return;
		}
		if (!move_one(card))
			return;
	}
	if (rx->wire_waits && listening(card)) {
		rx->wire_waits = false;
		wire_resume(card->wire);
	}
}

/* --- from the wire --- */

bool e1000_rx_frame(void *ctx, const uint8_t *frame, size_t length, bool may_wait)
{
	struct e1000 *card = ctx;
	struct e1000_rx *rx = &card->rx;
	uint32_t len = (uint32_t)length;

	/* A wire that can wait does so until somebody listens. */
	if (may_wait && (!listening(card) || !has_room(card, len))) {
		rx->wire_waits = true;
		return false;
	}
	if (!(*e1000_reg(card, E1000_RCTL) & E1000_RCTL_ENABLE) || len > SIM_FRAME_MAX ||
		!(e1000_link(card) || e1000_loops(card)))
		return true;
	if (len < FRAME_MIN) {
		/* A wire may leave out the padding that any sender on a link puts there. */
		memcpy(rx->padded, frame, len);
		memset(rx->padded + len, 0, FRAME_MIN - len);
		frame = rx->padded;
		len = FRAME_MIN;
	}
	e1000_count_rx_seen(card, len);
	if (len > LEGACY_MAX && !(*e1000_reg(card, E1000_RCTL) & E1000_RCTL_LPE)) {
		e1000_count(card, E1000_ROC);
		return true;
	}
	if (e1000_pause_take(card, frame) || !e1000_filter(card, frame, len))
		return true;
	e1000_count_rx_good(card, frame, len);
	if (rx->used == 0 && listening(card)) {
		if (store(card, frame, len) != NO_DESCRIPTOR)
			return true;
		e1000_count(card, E1000_RNBC);
	}
	if (!push(card, frame, len)) {
		e1000_count(card, E1000_MPC);
		e1000_cause(card, E1000_CAUSE_RXO);
		pause_overflow(&card->pause);
	}
	return true;
}

/* --- registers --- */

void e1000_rx_look_again(struct e1000 *card)
{
	if (card->rx.used || card->rx.wire_waits)
		loop_defer(card->loop, &card->rx.work);
}

void e1000_write_rdh(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)value;
	if (*e1000_reg(card, E1000_RCTL) & E1000_RCTL_ENABLE)
		report_strict(card->report, "RDH of queue %u written while the receiver is on",
			(offset - E1000_RX_QUEUE(0u)) / 0x100);
}

void e1000_write_rdt(struct e1000 *card, uint32_t offset, uint32_t value)
{
	unsigned queue = (offset - E1000_RX_QUEUE(0u)) / 0x100;
	uint32_t size = ring_size(card, queue);

	if (listening(card) && (value & 0xffff) >= size)
		report_strict(card->report, "RDT %u out of a ring of %u", value, size);
	e1000_rx_look_again(card);
}

void e1000_write_rctl(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (E1000_RCTL_DTYP(value) == 1 && !(*e1000_reg(card, E1000_RFCTL) & E1000_RFCTL_EXTENDED))
		report_strict(card->report, "packet split without RFCTL.EXSTEN");
	e1000_rx_look_again(card);
}

void e1000_write_rssrk(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	(void)value;
	card->rx.key_stale = true;
}

void e1000_rx_init(struct e1000 *card)
{
	card->rx.work.run = on_work;
}

void e1000_rx_stop(struct e1000 *card)
{
	loop_defer_cancel(card->loop, &card->rx.work);
}

void e1000_rx_reset(struct e1000 *card)
{
	card->rx.used = 0;
	card->rx.key_stale = true;
}
