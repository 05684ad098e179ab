/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Handles that own a queue of the card: their rings are the port's to serve, as the card works on
 * the client's memory itself. The core judges no frame here and copies none; it keeps the handle's
 * counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scheme/core.h"
#include "scheme/rings.h"

#define QUEUE_PATH "/queue/"

int scheme_queue_path(const char *path)
{
	const char *digits = path + sizeof(QUEUE_PATH) - 1;
	int number = 0;

	if (strncmp(path, QUEUE_PATH, sizeof(QUEUE_PATH) - 1) != 0 || *digits == '\0' ||
		(digits[0] == '0' && digits[1] != '\0')) {
		return -ENOENT;
	}
	for (; *digits != '\0'; digits++) {
		if (*digits < '0' || *digits > '9' || number >= 1000) {
			return -ENOENT;
		}
		number = number * 10 + (*digits - '0');
	}
	return number;
}

int scheme_handle_own(struct scheme *s, int64_t id, struct scheme_rings *rings, bool resumed)
{
	struct handle *h = scheme_find(s, id);
	uint32_t lost = 0;

	if (h == NULL) {
		return -EBADF;
	}
	if (h->path != PATH_QUEUE) {
		return -EINVAL;
	}
	int ret = s->port.queues.own(s->port.queues.ctx, h->queue, rings, resumed, &lost);
	if (ret < 0) {
		return ret;
	}
	h->rings = rings;
	/* It is frames', not the value's that the path has without rings. */
	free(h->value);
	h->value = NULL;
	h->value_len = h->value_at = 0;
	if (h->page != NULL) {
		atomic_store_explicit(&h->page->value, 0, memory_order_relaxed);
		atomic_store_explicit(
			&h->page->offloads, s->port.queues.offloads, memory_order_relaxed);
	}
	scheme_handle_lost(s, id, lost);
	return 0;
}

ssize_t scheme_exchange_owned(struct scheme *s, struct handle *h)
{
	struct scheme_moved moved = {0};
	ssize_t n = s->port.queues.move(s->port.queues.ctx, h->queue, h->access, &moved);
	const struct verdicts verdicts = {
		.n = moved.sent + moved.no_link + moved.refused,
		.sent = moved.sent,
		.no_link = moved.no_link,
		.refused = moved.refused,
		.error = moved.error,
	};

	if (moved.received > 0) {
		scheme_count_received(h, moved.received);
	}
	if (verdicts.n > 0) {
		scheme_record(s, h, &verdicts);
	}
	return n;
}

unsigned scheme_handle_room(struct scheme *s, int64_t id)
{
	const struct handle *h = scheme_find(s, id);

	return h != NULL && h->path == PATH_QUEUE && h->rings != NULL
		       ? s->port.queues.room(s->port.queues.ctx, h->queue)
		       : 0;
}
