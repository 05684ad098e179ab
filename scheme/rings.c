/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared rings, as the server sees them.
 */
#include "scheme/rings.h"

#include <errno.h>

#include "scheme/ring_layout.h"

void scheme_rings_init(struct scheme_rings *r, uint8_t *frames, size_t bytes,
	struct ring_client *client, struct ring_driver *driver, uint32_t rx_size, uint32_t tx_size)
{
	_Atomic uint64_t *slots = (_Atomic uint64_t *)((char *)client + RING_SLOTS);

	*r = (struct scheme_rings){
		.frames = frames,
		.bytes = bytes,
		.client = client,
		.driver = driver,
		.rx = {.slots = slots, .size = rx_size, .least = 1},
		.tx = {.slots = slots + rx_size, .size = tx_size},
	};
}

/* The index is read once, and judged: it moves forward only, and not beyond the ring. Acquire, with
 * the client's release of it: the slots up to it were written before.
 */
static int look(struct ring_side *side, const _Atomic uint32_t *provided)
{
	uint32_t now = atomic_load_explicit(provided, memory_order_acquire);

	if (now - side->returned > side->size ||
		now - side->returned < side->provided - side->returned) {
		return -EPROTO;
	}
	side->provided = now;
	return 0;
}

static struct scheme_frame slot(const struct ring_side *side, uint32_t at)
{
	return ring_load(&side->slots[at & (side->size - 1)]);
}

/* The same for frames, whose last one may not have its end yet. */
static int look_for_frames(struct scheme_rings *r)
{
	struct ring_side *tx = &r->tx;
	int ret = look(tx, &r->client->tx_provided);
	uint32_t end = tx->provided;

	while (ret == 0 && end != tx->taken && (slot(tx, end - 1).flags & SCHEME_FRAME_MORE) != 0) {
		end--;
		if (tx->provided - end == SCHEME_RING_CHAIN) {
			ret = -EPROTO;
		}
	}
	if (ret == 0) {
		tx->whole = end;
	}
	return ret;
}

/* Both look only where all that was seen is taken: the client's line stays the client's meanwhile.
 */
ssize_t scheme_rings_rx_waiting(struct scheme_rings *r, uint32_t least)
{
	struct ring_side *rx = &r->rx;
	int ret = 0;

	rx->least = least;
	if (rx->provided - rx->taken < least && !r->ended) {
		ret = look(rx, &r->client->rx_provided);
	}
	uint32_t there = rx->provided - rx->taken;
	return ret < 0 ? ret : there < least ? 0 : (ssize_t)there;
}

ssize_t scheme_rings_tx_waiting(struct scheme_rings *r)
{
	int ret = r->tx.whole == r->tx.taken && !r->ended ? look_for_frames(r) : 0;

	return ret < 0 ? ret : (ssize_t)(r->tx.whole - r->tx.taken);
}

/* Frames that end in the slots that were taken: as the client says. */
static uint32_t count_frames(const struct ring_side *tx)
{
	uint32_t n = 0;

	for (uint32_t at = tx->returned; at != tx->taken; at++) {
		n += (slot(tx, at).flags & SCHEME_FRAME_MORE) == 0;
	}
	return n;
}

int scheme_rings_resume(struct scheme_rings *r, bool kept, uint32_t *lost)
{
	struct ring_driver *d = r->driver;
	struct ring_side *rx = &r->rx, *tx = &r->tx;

	*lost = 0;
	rx->returned = atomic_load_explicit(&d->rx_returned, memory_order_relaxed);
	rx->taken = atomic_load_explicit(&d->rx_taken, memory_order_relaxed);
	tx->returned = atomic_load_explicit(&d->tx_done, memory_order_relaxed);
	tx->taken = atomic_load_explicit(&d->tx_taken, memory_order_relaxed);
	/* What was taken had been provided. */
	rx->provided = rx->taken;
	tx->provided = tx->whole = tx->taken;
	/* Which bounds all six indices. */
	if (scheme_rings_rx_waiting(r, 1) < 0 || scheme_rings_tx_waiting(r) < 0) {
		return -EPROTO;
	}
	if (!kept) {
		rx->taken = rx->returned;
		atomic_store_explicit(&d->rx_taken, rx->taken, memory_order_relaxed);
		*lost = count_frames(tx);
		tx->returned = tx->taken;
		atomic_store_explicit(&d->tx_done, tx->returned, memory_order_release);
	}
	/* It may have slept when it died; and whom it was about to wake nobody knows. */
	r->sleeps = atomic_load_explicit(&d->sleeps, memory_order_relaxed) | 3;
	scheme_rings_awake(r);
	r->wake = true;
	return 0;
}

/* What is taken is on record before anything comes of it: a compiler's fence, since what it orders
 * is a death in between.
 */
static void note_taken(struct ring_side *side, _Atomic uint32_t *taken, size_t n)
{
	side->taken += (uint32_t)n;
	atomic_store_explicit(taken, side->taken, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

ssize_t scheme_rings_rx_take(struct scheme_rings *r, uint32_t *offsets, size_t n)
{
	struct ring_side *rx = &r->rx;
	ssize_t there = scheme_rings_rx_waiting(r, 1);

	if (there <= 0) {
		return there;
	}
	if (n > (size_t)there) {
		n = (size_t)there;
	}
	for (size_t i = 0; i < n; i++) {
		offsets[i] = slot(rx, rx->taken + (uint32_t)i).offset;
		if (!ring_buffer_ok(offsets[i], r->bytes)) {
			return -EPROTO;
		}
	}
	note_taken(rx, &r->driver->rx_taken, n);
	return (ssize_t)n;
}

ssize_t scheme_rings_tx_take(
	struct scheme_rings *r, struct scheme_frame *entries, size_t n, size_t frames)
{
	struct ring_side *tx = &r->tx;
	ssize_t there = scheme_rings_tx_waiting(r);
	size_t whole = 0;

	if (there <= 0) {
		return there;
	}
	for (size_t i = 0; i < n && i < (size_t)there && frames > 0; i++) {
		entries[i] = slot(tx, tx->taken + (uint32_t)i);
		if (entries[i].offset + (size_t)entries[i].len > r->bytes ||
			i - whole == SCHEME_RING_CHAIN) {
			return -EPROTO;
		}
		if ((entries[i].flags & SCHEME_FRAME_MORE) == 0) {
			whole = i + 1;
			frames--;
		}
	}
	/* An end was there when it was looked for. */
	if (whole == 0 && n >= (size_t)there) {
		return -EPROTO;
	}
	if (whole > 0) {
		note_taken(tx, &r->driver->tx_taken, whole);
	}
	return (ssize_t)whole;
}

void scheme_rings_rx_return(struct scheme_rings *r, const struct scheme_frame *frames, size_t n)
{
	struct ring_side *rx = &r->rx;

	for (size_t i = 0; i < n; i++) {
		ring_store(&rx->slots[(rx->returned + i) & (rx->size - 1)], &frames[i]);
	}
	rx->returned += (uint32_t)n;
	/* Release, with the client's acquire: slots and data are there before the index. */
	atomic_store_explicit(&r->driver->rx_returned, rx->returned, memory_order_release);
	r->moved |= SCHEME_RING_RX;
}

void scheme_rings_tx_return(struct scheme_rings *r, size_t n)
{
	r->tx.returned += (uint32_t)n;
	/* Release, with the client's acquire: the data was read before it may be overwritten. */
	atomic_store_explicit(&r->driver->tx_done, r->tx.returned, memory_order_release);
	r->moved |= SCHEME_RING_TX;
}

uint32_t scheme_rings_rx_held(const struct scheme_rings *r)
{
	return r->rx.taken - r->rx.returned;
}

uint32_t scheme_rings_tx_held(const struct scheme_rings *r)
{
	return r->tx.taken - r->tx.returned;
}

void scheme_rings_end(struct scheme_rings *r)
{
	/* What breaks the rules now is not taken. */
	(void)look(&r->rx, &r->client->rx_provided);
	(void)look_for_frames(r);
	r->ended = true;
}

/* --- sleeping and waking --- */

bool scheme_rings_must_wake(struct scheme_rings *r)
{
	if (r->moved != 0) {
		/* The index was stored before `sleeping` is loaded; the client stores `sleeping`
		 * before it loads the index: one of the two sees the other. */
		atomic_thread_fence(memory_order_seq_cst);
		if ((atomic_load_explicit(&r->client->sleeping, memory_order_relaxed) & r->moved) !=
			0) {
			/* Once for each sleep. */
			atomic_store_explicit(&r->client->sleeping, 0, memory_order_relaxed);
			r->wake = true;
		}
		r->moved = 0;
	}
	return r->wake;
}

void scheme_rings_woken(struct scheme_rings *r)
{
	r->wake = false;
}

bool scheme_rings_sleep(struct scheme_rings *r, unsigned what)
{
	r->sleeps = (r->sleeps & ~(uint64_t)3) + 4 + what;
	atomic_store_explicit(&r->driver->sleeps, r->sleeps, memory_order_relaxed);
	/* `sleeps` was stored before the indices are loaded; the client stores an index before it
	 * loads `sleeps`: one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	/* Not 0 also means that the rules were broken, which the next round finds. */
	return ((what & SCHEME_RING_TX) != 0 && scheme_rings_tx_waiting(r) != 0) ||
	       ((what & SCHEME_RING_RX) != 0 && scheme_rings_rx_waiting(r, r->rx.least) != 0);
}

void scheme_rings_awake(struct scheme_rings *r)
{
	if ((r->sleeps & 3) != 0) {
		r->sleeps = (r->sleeps & ~(uint64_t)3) + 4;
		atomic_store_explicit(&r->driver->sleeps, r->sleeps, memory_order_relaxed);
	}
}
