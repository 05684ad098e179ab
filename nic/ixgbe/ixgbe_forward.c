/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nic_forward() between two queues of this driver, with rings of their own and in place
 * (ixgbe_in_place.c says what that is).
 */
#include "nic/ixgbe/ixgbe_forward.h"
#include "nic/ixgbe/ixgbe_steps.h"

/* --- rings of their own --- */

/* How many of the oldest frames are sent. */
static always uint32_t reclaim(struct ixgbe_queue *out)
{
	struct ring *ring = &out->head.tx;

	while (tx_answered(out, out->rs_head))
		out->tx_done = out->rs[out->rs_head++ & ring->mask] + 1;
	/* The reads of DD, before the card may receive into the buffers that they free. */
	dma_read_barrier();
	return out->tx_done - ring->head;
}

static always size_t refill_lines(
	const struct ixgbe_queue *q, uint32_t tail, const uint32_t *buffers, size_t n)
{
	struct lines to = lines_at(&q->head.rx, tail, n);

	return likely(q->one_run) ? swap_refill(q, to, buffers, true)
				  : swap_refill(q, to, buffers, false);
}

/* Whether the oldest n frames of `out` came from a receive ring whose buffers were held to the same
 * bound as those of `q`: then they are in order here, too.
 */
static always bool are_ours(const struct ixgbe_queue *q, const struct ixgbe_queue *out)
{
	return out->swap.span == q->rx_span && (int32_t)(out->head.tx.head - out->swap.begin) >= 0;
}

/* What has been sent takes the place of what was received. */
static always void refill(struct ixgbe_queue *q, struct ixgbe_queue *out, uint32_t n)
{
	struct ring *rx = &q->head.rx;
	struct ring *tx = &out->head.tx;
	uint32_t room = ring_room(rx);

	if (n > room)
		n = room;
	/* Not more often than pays, while both have plenty; and whole lines. */
	if (n >= out->swap.batch)
		n -= (rx->tail + n) % RING_LINE;
	else if (ring_owned(rx) >= ring_size(rx) / 2 && ring_room(tx) >= out->swap.batch)
		return;
	while (n) {
		uint32_t run = ring_before_end(tx, tx->head, n);
		const uint32_t *buffers = tx->buffer + (tx->head & tx->mask);
		size_t done = 0;

		if (are_ours(q, out) && line_begins(rx->tail, run)) {
			done = refill_lines(q, rx->tail, buffers, run);
			rx->tail += (uint32_t)done;
			out->swap.begin = tx->head + (uint32_t)done;
		}
		if (!done)
			done = ON_PATH(ixgbe_rx_provide)(&q->head, buffers, 1);
		if (!done)
			break;
		tx->head += (uint32_t)done;
		n -= (uint32_t)done;
	}
	rx_show(q);
}

static always size_t swap_lines(const struct ixgbe_queue *out, uint32_t tail,
	const struct frame *frames, const uint32_t *buffers, size_t n, uint32_t range)
{
	struct lines to = lines_at(&out->head.tx, tail, n);

	return likely(out->one_run) ? swap_fill(out, to, frames, buffers, range, true)
				    : swap_fill(out, to, frames, buffers, range, false);
}

/* Frames that are dropped: their buffers, which go back to where they came from. */
struct dropped {
	size_t n;
	uint32_t buffers[NIC_FORWARD_MAX];
};

/* A frame in several entries at frames[0 .. n), which were received from `slot` on, or what is none
 * to be sent: its entries. Whether they are queued from `at` on is in *queued; otherwise they are
 * dropped.
 */
static rare size_t swap_odd(struct ixgbe_queue *q, struct ixgbe_queue *out,
	const struct frame *frames, size_t n, uint32_t slot, uint32_t at, uint32_t max,
	struct dropped *dropped, bool *queued)
{
	const struct ring *rx = &q->head.rx;
	const struct ring *tx = &out->head.tx;
	bool wanted;
	size_t entries = nic_forward_entries(frames, n, &wanted);

	/* One that the look let through, and that is not in order, is counted there. */
	*queued =
		wanted && ON_PATH(ixgbe_tx_chain)(out, frames, entries, (uint32_t)entries, at, max);
	for (uint32_t k = 0; k < entries; k++) {
		uint32_t buffer = rx->buffer[(slot + k) & rx->mask];

		if (*queued)
			tx->buffer[(at + k) & tx->mask] = buffer;
		else
			dropped->buffers[dropped->n++] = buffer;
	}
	return entries;
}

/* Sends what lies in n slots from `head` on of the receive ring of `q`; there is room for it. */
static always void swap(struct ixgbe_queue *q, struct ixgbe_queue *out, const struct frame *frames,
	uint32_t head, size_t n)
{
	const struct ring *rx = &q->head.rx;
	struct ring *tx = &out->head.tx;
	uint32_t max = __atomic_load_n(&out->tx_max, __ATOMIC_RELAXED);
	bool same = out->rx_span == q->rx_span;
	uint32_t at = tx->tail;
	uint32_t reported = at;
	struct dropped dropped;
	size_t i = 0;

	if (unlikely(out->swap.tail != at || out->swap.span != q->rx_span)) {
		out->swap.begin = at;
		out->swap.span = q->rx_span;
	}
	dropped.n = 0;
	while (i < n) {
		uint32_t group = out->tx_every - (at - reported);
		uint32_t slot = head + (uint32_t)i;
		const uint32_t *buffers = rx->buffer + (slot & rx->mask);
		uint32_t run = ring_before_end(rx, slot, (uint32_t)(n - i));
		size_t lines = 0;

		if (run > group)
			run = group;
		if (same && line_begins(at, run))
			lines = swap_lines(out, at, frames + i, buffers, run, max - TX_MIN);
		if (!lines) {
			bool queued = tx_fill_one(out, at, &frames[i], max, 0);

			lines = 1;
			if (likely(queued))
				tx->buffer[at & tx->mask] = buffers[0];
			else
				lines = swap_odd(q, out, &frames[i], n - i, slot, at, max, &dropped,
					&queued);
			if (unlikely(!queued)) {
				i += lines;
				continue;
			}
		}
		i += lines;
		at += (uint32_t)lines;
		if (at - reported >= out->tx_every) {
			tx_report(out, at - 1);
			reported = at;
		}
	}
	out->swap.tail = at;
	if (at != tx->tail) {
		/* Nobody knows when more will come: the last frame reports, too. */
		if (at != reported)
			tx_report(out, at - 1);
		tx_publish(out, at);
	}
	if (unlikely(dropped.n))
		(void)ON_PATH(ixgbe_rx_provide)(&q->head, dropped.buffers, dropped.n);
}

/* As rx_return(), which does what is not whole lines of good frames. */
static always size_t take(struct ixgbe_queue *q, struct frame *frames, size_t n)
{
	struct ring *ring = &q->head.rx;
	size_t bound = ring_owned(ring);
	size_t lines = 0;

	if (line_begins(ring->head, n < bound ? n : bound)) {
		lines = rx_take(q, lines_at(ring, ring->head, n < bound ? n : bound), frames);
		ring->head += (uint32_t)lines;
		/* The reads of DD, before the reads of the data that they announced. */
		dma_read_barrier();
	}
	if (lines < n)
		lines += ON_PATH(ixgbe_rx_return)(&q->head, frames + lines, n - lines);
	return lines;
}

size_t ON_PATH(ixgbe_forward)(
	struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx)
{
	struct ixgbe_queue *q = ixgbe_queue(from);
	struct ixgbe_queue *out = ixgbe_queue(to);
	struct frame frames[NIC_FORWARD_MAX];
	uint32_t head = from->rx.head;
	uint32_t sent = reclaim(out);
	uint32_t room;

	if (sent)
		refill(q, out, sent);
	room = ring_room(&to->tx);
	if (n > room)
		n = room;
	if (n > NIC_FORWARD_MAX)
		n = NIC_FORWARD_MAX;
	n = take(q, frames, n);
	if (!n)
		return 0;
	if (look)
		look(ctx, from->frames->base, frames, n);
	swap(q, out, frames, head, n);
	return n;
}

/* --- in place --- */

/* What is sent may be received into again. */
static always void recycle(struct ixgbe_queue *q, struct ixgbe_queue *out)
{
	struct ixgbe_in_place *to = &out->place;
	uint32_t mask = q->head.rx.mask;
	uint32_t head = (uint32_t)dma_read(to->head);
	uint32_t moved;

	if (head == (to->sent & mask))
		return;
	moved = (head - to->sent) & mask;
	if (unlikely(head > mask || moved > to->tail - to->sent)) {
		if (head != to->wild)
			nic_count(&out->head.bad_writebacks);
		to->wild = head;
		return;
	}
	to->sent += moved;
	/* The read of the head, before the tail that gives these slots away. */
	dma_read_barrier();
	q->place.shown = to->sent + mask + 1 - RING_LINE;
	ixgbe_write_tail(q, q->rdt_direct, q->rdt, q->place.shown & mask);
}

/* What is not one good frame in one buffer, as in ixgbe_rx.c. False: nothing was written back. */
static rare bool rx_odd(struct ixgbe_queue *q, uint64_t word, struct frame *frame)
{
	uint32_t len = word & 0xFFFF;
	bool torn = q->place.whole != (LEGACY_RX_DD | LEGACY_RX_EOP);

	if (!(word & LEGACY_RX_DD))
		return false;
	q->place.whole = word & LEGACY_RX_EOP ? LEGACY_RX_DD | LEGACY_RX_EOP : UINT64_MAX;
	if (torn || !(word & LEGACY_RX_EOP) || len - RX_MIN > RX_RANGE)
		nic_count(&q->head.bad_writebacks);
	frame->len = 0;
	frame->flags = FRAME_ERROR;
	return true;
}

static inline bool take_one(
	const struct ixgbe_queue *q, uint32_t at, struct frame *frame, uint64_t *word)
{
	const struct ring *ring = &q->head.rx;
	size_t slot = at & ring->mask;
	uint32_t len;

	/* One read: DD, EOP and length are of the same moment. */
	*word = dma_read(ring->words + 2 * slot + 1);
	len = *word & 0xFFFF;
	*frame = (struct frame){.offset = ring->buffer[slot], .len = (uint16_t)len};
	return likely((*word & LEGACY_RX_STATUS) == q->place.whole && len - RX_MIN <= RX_RANGE);
}

/* The frames from number i on that have come, up to n. */
static apart size_t receive_any(struct ixgbe_queue *q, struct frame *frames, size_t i, size_t n)
{
	uint32_t at = q->place.at + (uint32_t)i;
	uint64_t word;

	while (i < n) {
		size_t lines = 0;

		if (line_begins(at, n - i))
			lines = place_take(q, lines_at(&q->head.rx, at, n - i), frames + i);
		if (!lines) {
			if (!take_one(q, at, &frames[i], &word) && !rx_odd(q, word, &frames[i]))
				break;
			lines = 1;
		}
		i += lines;
		at += (uint32_t)lines;
	}
	return i;
}

static always size_t receive(struct ixgbe_queue *q, struct frame *frames, size_t n)
{
	uint32_t at = q->place.at;
	size_t i = 0;

	/* Mostly it is that. */
	if (line_begins(at, n))
		i = place_take(q, lines_at(&q->head.rx, at, n), frames);
	if (i < n)
		i = receive_any(q, frames, i, n);
	/* The reads of DD, before the reads of the data that they announced. */
	dma_read_barrier();
	return i;
}

static inline void give_one(struct ixgbe_queue *q, struct ixgbe_queue *out, uint32_t at,
	const struct frame *frame, uint32_t range)
{
	uint32_t len = frame->len;

	if (unlikely(frame->flags || len - TX_MIN > range)) {
		if (len && !frame->flags)
			ixgbe_refuse(out);
		len = 0;
	}
	dma_write(ring_word(&q->head.rx, at, 1), len | LEGACY_TX_WORD);
}

/* Has the card report the head when it is beyond `at`. */
static inline void report_head(const struct ring *ring, uint32_t at)
{
	dma_word __dma *word = ring_word(ring, at, 1);

	dma_write(word, dma_read(word) | TX_RS);
}

/* Makes what was received what is to be sent, from number i on. */
static apart void transmit_any(struct ixgbe_queue *q, struct ixgbe_queue *out,
	const struct frame *frames, size_t i, size_t n, uint32_t range)
{
	const struct ring *ring = &q->head.rx;
	uint32_t last = out->place.every - 1;
	uint32_t at = q->place.at + (uint32_t)i;

	while (i < n) {
		size_t run = (~at & last) + 1; /* to the next report */
		size_t lines = 0;

		if (run > n - i)
			run = n - i;
		if (line_begins(at, run))
			lines = place_give(lines_at(ring, at, run), frames + i, range);
		if (!lines) {
			give_one(q, out, at, &frames[i], range);
			lines = 1;
		}
		i += lines;
		at += (uint32_t)lines;
		if (!(at & last))
			report_head(ring, at - 1);
	}
}

static always void transmit(
	struct ixgbe_queue *q, struct ixgbe_queue *out, const struct frame *frames, size_t n)
{
	const struct ring *ring = &q->head.rx;
	uint32_t range = __atomic_load_n(&out->tx_max, __ATOMIC_RELAXED) - TX_MIN;
	uint32_t last = out->place.every - 1;
	uint32_t at = q->place.at;
	uint32_t end = at + (uint32_t)n;
	size_t run = (~at & last) + 1;
	size_t i = 0;

	if (run > n)
		run = n;
	if (line_begins(at, run)) {
		i = place_give(lines_at(ring, at, run), frames, range);
		at += (uint32_t)i;
		if (i && !(at & last))
			report_head(ring, at - 1);
	}
	if (i < n)
		transmit_any(q, out, frames, i, n, range);
	q->place.at = out->place.tail = end;
	/* The descriptors and the frames, before the tail that gives them to the card. */
	dma_write_barrier();
	ixgbe_write_tail(out, out->tdt_direct, out->tdt, end & ring->mask);
}

size_t ON_PATH(ixgbe_in_place_forward)(
	struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx)
{
	struct ixgbe_queue *q = ixgbe_queue(from);
	struct ixgbe_queue *out = ixgbe_queue(to);
	struct frame frames[NIC_FORWARD_MAX];
	size_t bound;

	if (unlikely((q->place.output != out || out->place.input != q) &&
		     !ixgbe_in_place_pair(q, out)))
		return 0;
	recycle(q, out);
	/* Slots beyond are not the card's to receive into. */
	bound = q->place.shown - q->place.at;
	if (n > bound)
		n = bound;
	if (n > NIC_FORWARD_MAX)
		n = NIC_FORWARD_MAX;
	n = receive(q, frames, n);
	if (!n)
		return 0;
	if (look)
		look(ctx, from->frames->base, frames, n);
	transmit(q, out, frames, n);
	return n;
}
