/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Handles with shared rings: frames between the client's memory and the port's buffers, copied
 * once.
 */
#include <errno.h>
#include <string.h>

#include "scheme/core.h"
#include "scheme/rings.h"

int scheme_handle_rings(struct scheme *s, int64_t id, struct scheme_rings *rings)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL) {
		return -EBADF;
	}
	if (h->path != PATH_FRAMES) {
		return -EINVAL;
	}
	h->rings = rings;
	return 0;
}

void scheme_handle_lost(struct scheme *s, int64_t id, uint32_t lost)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL || h->page == NULL) {
		return;
	}
	h->count.lost += lost;
	h->writes += lost;
	atomic_store_explicit(&h->page->lost, h->count.lost, memory_order_relaxed);
	atomic_store_explicit(&h->page->writes, h->writes, memory_order_release);
}

/* One burst to the client. */
static ssize_t deliver(struct scheme *s, struct handle *h)
{
	struct scheme_rings *r = h->rings;
	struct scheme_buffer from[SCHEME_BURST];
	struct scheme_frame frames[SCHEME_BURST];
	uint32_t offsets[SCHEME_BURST];
	size_t there = s->port.rx_peek(s->port.ctx, from, SCHEME_BURST);

	if (there == 0) {
		return 0;
	}
	ssize_t n = scheme_rings_rx_take(r, offsets, there);
	if (n <= 0) {
		return n;
	}
	for (ssize_t i = 0; i < n; i++) {
		scheme_ring_will_write(r->frames + offsets[i]);
	}
	for (ssize_t i = 0; i < n; i++) {
		size_t len = from[i].len < SCHEME_RING_BUFFER ? from[i].len : SCHEME_RING_BUFFER;
		memcpy(r->frames + offsets[i], from[i].data, len);
		frames[i] = (struct scheme_frame){.offset = offsets[i], .len = (uint16_t)len};
	}
	scheme_rings_rx_return(r, frames, (size_t)n);
	scheme_pop_frames(s, h, (size_t)n);
	return n;
}

/* The client may change the data until it is copied; the copy is what is judged and sent. */
static int send_one(struct scheme *s, const struct scheme_rings *r,
	const struct scheme_buffer *buffer, const struct scheme_frame *frame)
{
	if (frame->flags != 0) {
		return scheme_send_frame(s, buffer, 0); /* no header: -EINVAL */
	}
	memcpy(buffer->data, r->frames + frame->offset,
		frame->len < buffer->len ? frame->len : buffer->len);
	return scheme_send_frame(s, buffer, frame->len);
}

/* One burst from the client. */
static ssize_t take(struct scheme *s, struct handle *h)
{
	struct scheme_rings *r = h->rings;
	struct scheme_buffer to[SCHEME_BURST];
	struct scheme_frame frames[SCHEME_BURST];
	struct verdicts verdicts = {0};
	ssize_t n = scheme_rings_tx_waiting(r);

	if (n <= 0) {
		return n;
	}
	n = scheme_handle_reserve(
		s, h->id, to, n < (ssize_t)SCHEME_BURST ? (size_t)n : SCHEME_BURST);
	if (n <= 0) {
		return 0; /* parked */
	}
	n = scheme_rings_tx_take(r, frames, (size_t)n);
	if (n < 0) {
		return n;
	}
	/* From the other processor's cache: all at once, rather than one after another. */
	for (ssize_t i = 0; i < n; i++) {
		__builtin_prefetch(r->frames + frames[i].offset);
	}
	for (ssize_t i = 0; i < n; i++) {
		scheme_count_verdict(&verdicts, send_one(s, r, &to[i], &frames[i]));
	}
	scheme_rings_tx_return(r, (size_t)n);
	scheme_record(s, h, &verdicts);
	return n;
}

ssize_t scheme_handle_exchange(struct scheme *s, int64_t id)
{
	struct handle *h = scheme_find(s, id);
	size_t moved = 0;
	ssize_t n = 0;

	if (h == NULL || h->rings == NULL) {
		return -EBADF;
	}
	if (h->path == PATH_QUEUE) {
		return scheme_exchange_owned(s, h);
	}
	if ((h->access & SCHEME_READ) != 0 && !h->rings->ended) {
		for (size_t done = 0; done < SCHEME_RING_BUDGET; done += (size_t)n) {
			n = deliver(s, h);
			if (n <= 0) {
				break;
			}
			moved += (size_t)n;
		}
	}
	if (n >= 0 && (h->access & SCHEME_WRITE) != 0) {
		for (size_t done = 0; done < SCHEME_RING_BUDGET; done += (size_t)n) {
			n = take(s, h);
			if (n <= 0) {
				break;
			}
			moved += (size_t)n;
		}
	}
	return n < 0 ? n : (ssize_t)moved;
}
