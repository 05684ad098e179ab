/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Taps: copies of all frames, in a ring of bytes each, so that large frames take no memory that
 * small ones do not need. What there is no room for is dropped and counted.
 */
#include "scheme/core.h"

/* Where `len` bytes fit; TAP_BYTES: nowhere. Copies lie from the oldest one's place to `at`, and a
 * copy is in one piece.
 */
static uint32_t find_room(const struct tap *tap, size_t len)
{
	uint32_t oldest = tap->copy[tap->tail % TAP_FRAMES].at;

	if (tap->head == tap->tail) {
		return 0;
	}
	if (tap->head - tap->tail == TAP_FRAMES) {
		return TAP_BYTES;
	}
	if (tap->at <= oldest) {
		return len <= oldest - tap->at ? tap->at : TAP_BYTES;
	}
	if (len <= TAP_BYTES - tap->at) {
		return tap->at;
	}
	return len <= oldest ? 0 : TAP_BYTES;
}

static bool add(struct tap *tap, const struct scheme_buffer *frame, size_t len)
{
	uint32_t at = find_room(tap, len);

	if (at == TAP_BYTES) {
		return false;
	}
	scheme_gather(tap->data + at, frame, len);
	tap->copy[tap->head++ % TAP_FRAMES] = (struct copy){at, (uint32_t)len};
	tap->at = at + (uint32_t)len;
	return true;
}

void scheme_tap(struct scheme *s, const struct scheme_buffer *frame, size_t len)
{
	unsigned left = s->taps;

	if (len > SCHEME_FRAME_MAX) {
		len = SCHEME_FRAME_MAX;
	}
	for (unsigned i = 0; left > 0; i++) {
		struct handle *h = &s->handles[i];
		if (h->id == 0 || h->tap == NULL) {
			continue;
		}
		left--;
		if (add(h->tap, frame, len)) {
			continue;
		}
		s->count.tap_dropped++;
		h->count.tap_dropped++;
		if (h->page != NULL) {
			atomic_store_explicit(
				&h->page->tap_dropped, h->count.tap_dropped, memory_order_relaxed);
		}
	}
}

size_t scheme_tap_peek(struct tap *tap, struct scheme_buffer *data, size_t n)
{
	size_t i;

	for (i = 0; i < n && tap->tail + i != tap->head; i++) {
		const struct copy *copy = &tap->copy[(tap->tail + i) % TAP_FRAMES];
		data[i] = (struct scheme_buffer){.data = tap->data + copy->at, .len = copy->len};
	}
	return i;
}

void scheme_tap_pop(struct tap *tap, size_t n)
{
	tap->tail += (uint32_t)n;
}
