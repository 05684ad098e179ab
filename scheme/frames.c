/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What moves through handles: frames between port, readers and writers; values by values.c, copies
 * for taps by tap.c.
 */
#include <errno.h>
#include <string.h>

#include "scheme/core.h"
#include "scheme/frame.h"

/* --- frames in pieces --- */

size_t scheme_pieces(const struct scheme_buffer *frame, size_t *bytes)
{
	size_t n = 0;

	*bytes = 0;
	do {
		*bytes += frame[n].len;
	} while (frame[n++].more);
	return n;
}

void scheme_gather(uint8_t *to, const struct scheme_buffer *frame, size_t len)
{
	while (len > 0) {
		size_t part = frame->len < len ? frame->len : len;
		memcpy(to, frame->data, part);
		to += part;
		len -= part;
		frame++;
	}
}

void scheme_scatter(const struct scheme_buffer *frame, const uint8_t *from, size_t len)
{
	while (len > 0) {
		size_t part = frame->len < len ? frame->len : len;
		memcpy(frame->data, from, part);
		from += part;
		len -= part;
		frame++;
	}
}

static void tap_received(struct scheme *s, size_t n)
{
	struct scheme_buffer frames[SCHEME_BURST_PIECES];
	size_t at = 0, len;

	if (s->taps > 0) {
		n = s->port.rx_peek(s->port.ctx, frames, n);
		for (size_t i = 0; i < n; i++) {
			size_t pieces = scheme_pieces(&frames[at], &len);
			scheme_tap(s, &frames[at], len);
			at += pieces;
		}
	}
}

/* --- reading --- */

static ssize_t peek(struct scheme *s, struct handle *h, struct scheme_buffer *data, size_t n)
{
	if (h == NULL) {
		return -EBADF;
	}
	if ((h->access & SCHEME_READ) == 0) {
		return -EACCES;
	}
	if (h->path == PATH_FRAMES) {
		n = s->port.rx_peek(s->port.ctx, data, n);
	} else if (h->path == PATH_TAP) {
		n = scheme_tap_peek(h->tap, data, n);
	} else {
		data[0] = (struct scheme_buffer){
			.data = h->value + h->value_at, .len = h->value_len - h->value_at};
		return data[0].len > 0;
	}
	return n > 0 ? (ssize_t)n : SCHEME_PARKED;
}

void scheme_count_received(struct handle *h, size_t n)
{
	h->count.received += n;
	if (h->page != NULL) {
		atomic_store_explicit(&h->page->received, h->count.received, memory_order_relaxed);
	}
}

void scheme_pop_frames(struct scheme *s, struct handle *h, size_t n)
{
	if (h->path == PATH_FRAMES) {
		tap_received(s, n);
		s->port.rx_pop(s->port.ctx, n);
	} else {
		scheme_tap_pop(h->tap, n);
	}
	scheme_count_received(h, n);
}

ssize_t scheme_handle_peek(struct scheme *s, int64_t id, struct scheme_buffer *data, size_t n)
{
	return peek(s, scheme_find(s, id), data, n < SCHEME_BURST ? n : SCHEME_BURST);
}

void scheme_handle_pop(struct scheme *s, int64_t id, size_t n)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL || n == 0) {
		return;
	}
	if (h->value != NULL) {
		h->value_at = h->value_len;
		scheme_count_received(h, 1);
	} else {
		scheme_pop_frames(s, h, n);
	}
}

ssize_t scheme_handle_read(struct scheme *s, int64_t id, void *data, size_t size)
{
	struct handle *h = scheme_find(s, id);
	struct scheme_buffer from[SCHEME_PIECES];
	ssize_t ret = peek(s, h, from, 1);
	size_t n;

	if (ret <= 0 || size == 0) {
		return ret <= 0 ? ret : 0;
	}
	(void)scheme_pieces(from, &n);
	if (n > size) {
		n = size;
	}
	scheme_gather(data, from, n);
	if (h->value != NULL) {
		h->value_at += n; /* goes on behind what was read; a cut frame is over */
	} else {
		scheme_pop_frames(s, h, 1);
	}
	return (ssize_t)n;
}

/* --- writing --- */

int scheme_send_frame(struct scheme *s, const struct scheme_buffer *chain, size_t len)
{
	bool drop = chain->data == s->scratch;
	size_t room;
	int ret;

	(void)scheme_pieces(chain, &room);
	ret = len > room ? -EMSGSIZE : scheme_frame_check(chain->data, len, s->mtu);

	if (ret == 0 && drop) {
		ret = s->link.up ? -EBUSY : -ENETDOWN;
	}
	if (ret == 0 && s->taps > 0) {
		scheme_tap(s, chain, len);
	}
	if (!drop) {
		s->port.tx_push(s->port.ctx, ret == 0 ? len : 0);
	}
	return ret;
}

void scheme_count_verdict(struct verdicts *v, int verdict)
{
	v->n++;
	v->sent += verdict == 0;
	v->no_link += verdict == -ENETDOWN;
	v->refused += verdict < 0 && verdict != -ENETDOWN;
	if (verdict < 0) {
		v->error = verdict;
	}
}

void scheme_record(struct scheme *s, struct handle *h, const struct verdicts *v)
{
	struct counters *c = &h->count;
	bool value = h->path != PATH_FRAMES && h->rings == NULL;

	h->writes += v->n;
	c->no_link += v->no_link;
	s->count.no_link += v->no_link;
	c->refused += v->refused;
	s->count.refused += v->refused;
	c->sent += value ? 0 : v->sent;
	if (h->page == NULL) {
		return;
	}
	if (v->error < 0 || value) {
		atomic_store_explicit(&h->page->error, v->error, memory_order_relaxed);
		atomic_store_explicit(&h->page->refused, c->refused, memory_order_relaxed);
		atomic_store_explicit(&h->page->no_link, c->no_link, memory_order_relaxed);
	}
	atomic_store_explicit(&h->page->sent, c->sent, memory_order_relaxed);
	/* Whoever sees this write counted sees its verdict: `error` is stored ahead of it. */
	atomic_store_explicit(&h->page->writes, h->writes, memory_order_release);
}

ssize_t scheme_handle_reserve(struct scheme *s, int64_t id, struct scheme_buffer *buffers, size_t n)
{
	const struct handle *h = scheme_find(s, id);

	s->at = s->end = 0;
	if (h == NULL) {
		return -EBADF;
	}
	if (n > SCHEME_BURST) {
		n = SCHEME_BURST;
	}
	if (n == 0) {
		return SCHEME_PARKED;
	}
	if (h->path == PATH_FRAMES && (h->access & SCHEME_WRITE) != 0 && s->link.up &&
		!s->link.owned) {
		n = s->port.tx_reserve(s->port.ctx, s->reserved, n);
	} else {
		/* What is not sent needs no buffer of the card, and waits for none. */
		s->reserved[0] =
			(struct scheme_buffer){.data = s->scratch, .len = sizeof(s->scratch)};
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		size_t room;
		s->end += scheme_pieces(&s->reserved[s->end], &room);
	}
	memcpy(buffers, s->reserved, s->end * sizeof(*buffers));
	return n > 0 ? (ssize_t)n : SCHEME_PARKED;
}

/* Of an empty write nothing remains: its buffers are free again. */
static ssize_t skip(struct scheme *s, const struct scheme_buffer *chain)
{
	if (chain->data != s->scratch) {
		s->port.tx_push(s->port.ctx, 0);
	}
	return 0;
}

ssize_t scheme_handle_commit(struct scheme *s, int64_t id, size_t len)
{
	struct handle *h = scheme_find(s, id);
	struct verdicts verdicts = {0};
	size_t room;
	int verdict;

	if (h == NULL) {
		return -EBADF;
	}
	if (s->at == s->end) {
		return SCHEME_PARKED; /* nothing is reserved */
	}
	const struct scheme_buffer *chain = &s->reserved[s->at];
	s->at += scheme_pieces(chain, &room);
	if (len == 0) {
		return skip(s, chain);
	}
	if ((h->access & SCHEME_WRITE) == 0) {
		verdict = -EACCES;
	} else if (h->path == PATH_FRAMES) {
		verdict = scheme_send_frame(s, chain, len);
	} else {
		verdict = scheme_value_set(s, h, chain->data, len);
	}
	scheme_count_verdict(&verdicts, verdict);
	scheme_record(s, h, &verdicts);
	return verdict < 0 ? verdict : (ssize_t)len;
}

ssize_t scheme_handle_write(struct scheme *s, int64_t id, const void *data, size_t len)
{
	struct scheme_buffer to[SCHEME_PIECES];
	ssize_t ret = scheme_handle_reserve(s, id, to, 1);
	size_t room;

	if (ret < 0) {
		return ret;
	}
	(void)scheme_pieces(to, &room);
	scheme_scatter(to, data, len < room ? len : room);
	return scheme_handle_commit(s, id, len);
}

/* --- every round --- */

void scheme_tick(struct scheme *s)
{
	struct scheme_buffer frames[SCHEME_BURST_PIECES];

	scheme_refresh(s);
	if (s->readers > 0) {
		return;
	}
	for (unsigned dropped = 0; dropped < TICK_FRAMES;) {
		size_t n = s->port.rx_peek(s->port.ctx, frames, SCHEME_BURST);
		if (n == 0) {
			break;
		}
		tap_received(s, n);
		s->port.rx_pop(s->port.ctx, n);
		s->unclaimed += n;
		dropped += (unsigned)n;
	}
}
