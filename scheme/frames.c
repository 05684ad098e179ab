/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What moves through handles: frames between port, readers, writers and taps; values by values.c.
 */
#include <errno.h>
#include <string.h>

#include "scheme/core.h"

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

/* --- reading --- */

/* NULL with *len 0 is end of file, NULL with *len > 0 is parked. */
static const uint8_t *peek(struct scheme *s, const struct handle *h, size_t *len)
{
	const uint8_t *data = NULL;

	*len = 0;
	if (h == NULL || (h->access & SCHEME_READ) == 0) {
		return NULL;
	}
	if (h->path == PATH_FRAMES) {
		data = s->port.rx_peek(s->port.ctx, len);
	} else if (h->path == PATH_TAP) {
		if (h->tap->head != h->tap->tail) {
			const struct copy *copy = &h->tap->ring[h->tap->tail % TAP_FRAMES];
			*len = copy->len;
			return copy->data;
		}
	} else {
		*len = h->value_len - h->value_at;
		return *len > 0 ? h->value + h->value_at : NULL;
	}
	if (data == NULL) {
		*len = 1;
	}
	return data;
}

static void pop(struct scheme *s, struct handle *h, const uint8_t *data, size_t len)
{
	if (h->path == PATH_FRAMES) {
		if (s->taps > 0) {
			scheme_tap(s, data, len);
		}
		s->port.rx_pop(s->port.ctx);
	} else if (h->path == PATH_TAP) {
		h->tap->tail++;
	} else {
		h->value_at += len;
		return;
	}
	h->count.received++;
	if (h->page != NULL) {
		atomic_store_explicit(&h->page->received, h->count.received, memory_order_relaxed);
	}
}

const uint8_t *scheme_handle_peek(struct scheme *s, int64_t id, size_t *len)
{
	return peek(s, scheme_find(s, id), len);
}

void scheme_handle_pop(struct scheme *s, int64_t id)
{
	struct handle *h = scheme_find(s, id);
	size_t len;
	const uint8_t *data = peek(s, h, &len);

	if (data != NULL) {
		pop(s, h, data, len);
	}
}

ssize_t scheme_handle_read(struct scheme *s, int64_t id, void *data, size_t size)
{
	struct handle *h = scheme_find(s, id);
	size_t len;

	if (h == NULL) {
		return -EBADF;
	}
	if ((h->access & SCHEME_READ) == 0) {
		return -EACCES;
	}
	if (size == 0) {
		return 0;
	}
	const uint8_t *from = peek(s, h, &len);
	if (from == NULL) {
		return len == 0 ? 0 : SCHEME_PARKED;
	}
	size_t n = len < size ? len : size;
	memcpy(data, from, n);
	/* A value goes on behind what was read of it, a cut frame is over. */
	pop(s, h, from, h->value != NULL ? n : len);
	return (ssize_t)n;
}

/* --- writing --- */

static bool is_tagged(const uint8_t *frame)
{
	return (frame[12] == 0x81 && frame[13] == 0x00) || (frame[12] == 0x88 && frame[13] == 0xa8);
}

/* 802.1Q: a tag does not count towards the MTU. */
static bool is_too_long(const struct scheme *s, const uint8_t *frame, size_t len, size_t size)
{
	size_t limit = (size_t)s->mtu + ETH_HEADER;

	return len > size || (len > limit && !(len <= limit + VLAN_TAG && is_tagged(frame)));
}

static int send_frame(struct scheme *s, uint8_t *frame, size_t size, size_t len)
{
	if (len < ETH_HEADER) {
		return -EINVAL;
	}
	if (is_too_long(s, frame, len, size)) {
		return -EMSGSIZE;
	}
	if (frame == s->scratch) {
		return -ENETDOWN;
	}
	if (s->taps > 0) {
		scheme_tap(s, frame, len);
	}
	s->port.tx_push(s->port.ctx, len);
	return 0;
}

static void record(struct scheme *s, struct handle *h, int verdict)
{
	struct counters *c = &h->count;
	bool value = h->path != PATH_FRAMES;

	h->writes++;
	if (verdict == -ENETDOWN) {
		c->no_link++;
		s->count.no_link++;
	} else if (verdict < 0) {
		c->refused++;
		s->count.refused++;
	} else if (!value) {
		c->sent++;
	}
	if (h->page == NULL) {
		return;
	}
	if (verdict < 0 || value) {
		atomic_store_explicit(&h->page->error, verdict, memory_order_relaxed);
		atomic_store_explicit(&h->page->refused, c->refused, memory_order_relaxed);
		atomic_store_explicit(&h->page->no_link, c->no_link, memory_order_relaxed);
	}
	atomic_store_explicit(&h->page->sent, c->sent, memory_order_relaxed);
	/* Whoever sees this write counted sees its verdict: `error` is stored ahead of it. */
	atomic_store_explicit(&h->page->writes, h->writes, memory_order_release);
}

uint8_t *scheme_handle_reserve(struct scheme *s, int64_t id, size_t *size)
{
	const struct handle *h = scheme_find(s, id);

	s->reserved = NULL;
	if (h == NULL) {
		return NULL;
	}
	if (h->path != PATH_FRAMES) {
		*size = VALUE_MAX;
		s->reserved = s->scratch;
	} else if ((h->access & SCHEME_WRITE) == 0 || !s->link.up) {
		/* What will be dropped needs no buffer of the card, and waits for none. */
		*size = sizeof(s->scratch);
		s->reserved = s->scratch;
	} else {
		s->reserved = s->port.tx_reserve(s->port.ctx, size);
	}
	s->reserved_size = *size;
	return s->reserved;
}

ssize_t scheme_handle_commit(struct scheme *s, int64_t id, size_t len)
{
	struct handle *h = scheme_find(s, id);
	uint8_t *data = s->reserved;
	int verdict;

	if (h == NULL) {
		return -EBADF;
	}
	if (data == NULL) {
		return SCHEME_PARKED;
	}
	s->reserved = NULL;
	if ((h->access & SCHEME_WRITE) == 0) {
		verdict = -EACCES;
	} else if (h->path == PATH_FRAMES) {
		verdict = send_frame(s, data, s->reserved_size, len);
	} else {
		verdict = len <= VALUE_MAX ? scheme_value_set(s, h, data, len) : -EINVAL;
	}
	record(s, h, verdict);
	return verdict < 0 ? verdict : (ssize_t)len;
}

ssize_t scheme_handle_write(struct scheme *s, int64_t id, const void *data, size_t len)
{
	size_t size = 0;

	if (scheme_find(s, id) == NULL) {
		return -EBADF;
	}
	uint8_t *to = scheme_handle_reserve(s, id, &size);
	if (to == NULL) {
		return SCHEME_PARKED;
	}
	memcpy(to, data, len < size ? len : size);
	return scheme_handle_commit(s, id, len);
}

/* --- every round --- */

void scheme_tick(struct scheme *s)
{
	const uint8_t *frame;
	size_t len;

	scheme_refresh(s);
	for (unsigned n = 0; s->readers == 0 && n < TICK_FRAMES; n++) {
		frame = s->port.rx_peek(s->port.ctx, &len);
		if (frame == NULL) {
			break;
		}
		if (s->taps > 0) {
			scheme_tap(s, frame, len);
		}
		s->port.rx_pop(s->port.ctx);
		s->unclaimed++;
	}
}
