/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What moves through handles: frames between port, readers, writers and taps; values by values.c.
 */
#include <errno.h>
#include <string.h>

#include "scheme/core.h"
#include "scheme/frame.h"

/* --- taps --- */

void scheme_tap(struct scheme *s, const uint8_t *frame, size_t len)
{
	unsigned left = s->taps;

	for (unsigned i = 0; left > 0; i++) {
		struct handle *h = &s->handles[i];
		if (h->id == 0 || h->tap == NULL) {
			continue;
		}
		left--;
		if (h->tap->head - h->tap->tail == TAP_FRAMES) {
			s->count.tap_dropped++;
			h->count.tap_dropped++;
			if (h->page != NULL) {
				atomic_store_explicit(&h->page->tap_dropped, h->count.tap_dropped,
					memory_order_relaxed);
			}
			continue;
		}
		struct copy *copy = &h->tap->ring[h->tap->head % TAP_FRAMES];
		copy->len = len < sizeof(copy->data) ? len : sizeof(copy->data);
		memcpy(copy->data, frame, copy->len);
		h->tap->head++;
	}
}

static void tap_received(struct scheme *s, size_t n)
{
	struct scheme_buffer frames[SCHEME_BURST];

	if (s->taps > 0) {
		n = s->port.rx_peek(s->port.ctx, frames, n);
		for (size_t i = 0; i < n; i++) {
			scheme_tap(s, frames[i].data, frames[i].len);
		}
	}
}

/* --- reading --- */

static size_t peek_tap(struct tap *tap, struct scheme_buffer *data, size_t n)
{
	size_t i;

	for (i = 0; i < n && tap->tail + i != tap->head; i++) {
		struct copy *copy = &tap->ring[(tap->tail + i) % TAP_FRAMES];
		data[i] = (struct scheme_buffer){copy->data, copy->len};
	}
	return i;
}

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
		n = peek_tap(h->tap, data, n);
	} else {
		data[0] =
			(struct scheme_buffer){h->value + h->value_at, h->value_len - h->value_at};
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
		h->tap->tail += (uint32_t)n;
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
	struct scheme_buffer from;
	ssize_t ret = peek(s, h, &from, 1);

	if (ret <= 0 || size == 0) {
		return ret <= 0 ? ret : 0;
	}
	size_t n = from.len < size ? from.len : size;
	memcpy(data, from.data, n);
	if (h->value != NULL) {
		h->value_at += n; /* goes on behind what was read; a cut frame is over */
	} else {
		scheme_pop_frames(s, h, 1);
	}
	return (ssize_t)n;
}

/* --- writing --- */

int scheme_send_frame(struct scheme *s, const struct scheme_buffer *buffer, size_t len)
{
	bool drop = buffer->data == s->scratch;
	int ret = len > buffer->len ? -EMSGSIZE : scheme_frame_check(buffer->data, len, s->mtu);

	if (ret == 0 && drop) {
		ret = s->link.up ? -EBUSY : -ENETDOWN;
	}
	if (ret == 0 && s->taps > 0) {
		scheme_tap(s, buffer->data, len);
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
	if (h->path == PATH_FRAMES && (h->access & SCHEME_WRITE) != 0 && s->link.up &&
		!s->link.owned) {
		n = s->port.tx_reserve(s->port.ctx, s->reserved, n);
	} else if (n > 0) {
		/* What is not sent needs no buffer of the card, and waits for none. */
		s->reserved[0] = (struct scheme_buffer){s->scratch, sizeof(s->scratch)};
		n = 1;
	}
	s->end = n;
	memcpy(buffers, s->reserved, n * sizeof(*buffers));
	return n > 0 ? (ssize_t)n : SCHEME_PARKED;
}

/* Of an empty write nothing remains: its buffer is free again. */
static ssize_t skip(struct scheme *s, const struct scheme_buffer *buffer)
{
	if (buffer->data != s->scratch) {
		s->port.tx_push(s->port.ctx, 0);
	}
	return 0;
}

ssize_t scheme_handle_commit(struct scheme *s, int64_t id, size_t len)
{
	struct handle *h = scheme_find(s, id);
	struct verdicts verdicts = {0};
	int verdict;

	if (h == NULL) {
		return -EBADF;
	}
	if (s->at == s->end) {
		return SCHEME_PARKED; /* nothing is reserved */
	}
	const struct scheme_buffer *buffer = &s->reserved[s->at++];
	if (len == 0) {
		return skip(s, buffer);
	}
	if ((h->access & SCHEME_WRITE) == 0) {
		verdict = -EACCES;
	} else if (h->path == PATH_FRAMES) {
		verdict = scheme_send_frame(s, buffer, len);
	} else {
		verdict = scheme_value_set(s, h, buffer->data, len);
	}
	scheme_count_verdict(&verdicts, verdict);
	scheme_record(s, h, &verdicts);
	return verdict < 0 ? verdict : (ssize_t)len;
}

ssize_t scheme_handle_write(struct scheme *s, int64_t id, const void *data, size_t len)
{
	struct scheme_buffer to;
	ssize_t ret = scheme_handle_reserve(s, id, &to, 1);

	if (ret < 0) {
		return ret;
	}
	memcpy(to.data, data, len < to.len ? len : to.len);
	return scheme_handle_commit(s, id, len);
}

/* --- every round --- */

void scheme_tick(struct scheme *s)
{
	struct scheme_buffer frames[SCHEME_BURST];

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
