/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scheme's handles: opening, closing, what they are called, and their pages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheme/core.h"

static const struct {
	const char *path;
	uint32_t access; /* what may be asked for */
} paths[] = {
	[PATH_FRAMES] = {"", SCHEME_READ | SCHEME_WRITE},
	[PATH_MAC] = {"/mac", SCHEME_READ},
	[PATH_LINK] = {"/link", SCHEME_READ},
	[PATH_STATS] = {"/stats", SCHEME_READ},
	[PATH_MTU] = {"/mtu", SCHEME_READ | SCHEME_WRITE},
	[PATH_PROMISC] = {"/promisc", SCHEME_READ | SCHEME_WRITE},
	[PATH_TAP] = {"/tap", SCHEME_READ},
	[PATH_CAGE] = {"/cage", SCHEME_READ},
	[PATH_QUEUE] = {"/queue/N", SCHEME_READ | SCHEME_WRITE},
};

int scheme_create(struct scheme **out, const char *name, const struct scheme_port *port)
{
	size_t len = strnlen(name, SCHEME_NAME_MAX);

	if (len == 0 || len == SCHEME_NAME_MAX) {
		return -EINVAL;
	}
	struct scheme *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		return -ENOMEM;
	}
	memcpy(s->name, name, len);
	s->port = *port;
	s->port.link(s->port.ctx, &s->link);
	s->mtu = s->port.mtu(s->port.ctx);
	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		s->handles[i].next_id = (int64_t)i + SCHEME_MAX_HANDLES;
	}
	*out = s;
	return 0;
}

void scheme_destroy(struct scheme *s)
{
	if (s == NULL) {
		return;
	}
	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		scheme_handle_close(s, s->handles[i].id);
	}
	free(s);
}

struct handle *scheme_find(struct scheme *s, int64_t id)
{
	struct handle *h = &s->handles[(uint64_t)id % SCHEME_MAX_HANDLES];

	return id > 0 && h->id == id ? h : NULL;
}

static void write_state(const struct scheme *s, const struct handle *h)
{
	struct scheme_status *page = h->page;

	atomic_store_explicit(&page->link_up, s->link.up, memory_order_relaxed);
	atomic_store_explicit(
		&page->link_mbit, s->link.up ? s->link.mbit : 0, memory_order_relaxed);
	atomic_store_explicit(&page->mtu, s->mtu, memory_order_relaxed);
	/* The owner's own handle is another path's. */
	atomic_store_explicit(
		&page->owned, s->link.owned && h->path == PATH_FRAMES, memory_order_relaxed);
}

void scheme_refresh(struct scheme *s)
{
	struct scheme_link link = {0};

	s->port.link(s->port.ctx, &link);
	uint16_t mtu = s->port.mtu(s->port.ctx);
	if (link.up == s->link.up && link.mbit == s->link.mbit && link.owned == s->link.owned &&
		mtu == s->mtu) {
		return;
	}
	s->link = link;
	s->mtu = mtu;
	for (unsigned i = 0; i < SCHEME_MAX_HANDLES; i++) {
		if (s->handles[i].id != 0 && s->handles[i].page != NULL) {
			write_state(s, &s->handles[i]);
		}
	}
}

static bool reads_frames(const struct handle *h)
{
	return h->path == PATH_FRAMES && (h->access & SCHEME_READ) != 0;
}

static int fill(struct scheme *s, struct handle *h)
{
	if (h->path == PATH_TAP) {
		h->tap = malloc(sizeof(*h->tap));
		if (h->tap == NULL) {
			return -ENOMEM;
		}
		h->tap->head = h->tap->tail = h->tap->at = 0;
		return 0;
	}
	return h->path != PATH_FRAMES && (h->access & SCHEME_READ) != 0 ? scheme_value_take(s, h)
									: 0;
}

unsigned scheme_open_handles(const struct scheme *s)
{
	return s->open;
}

int64_t scheme_handle_open(
	struct scheme *s, const char *path, uint32_t access, struct scheme_status *status)
{
	unsigned slot = 0;
	int queue = scheme_queue_path(path);
	enum path which = queue < 0 ? 0 : PATH_QUEUE;

	while (which < PATH_QUEUE && strcmp(paths[which].path, path) != 0) {
		which++;
	}
	if (which == PATH_QUEUE && (queue < 0 || (unsigned)queue >= s->port.queues.count)) {
		return -ENOENT;
	}
	if (access == 0 || (access & ~paths[which].access) != 0) {
		return -EACCES;
	}
	while (slot < SCHEME_MAX_HANDLES && s->handles[slot].id != 0) {
		slot++;
	}
	if (slot == SCHEME_MAX_HANDLES) {
		return -EMFILE;
	}
	struct handle *h = &s->handles[slot];
	*h = (struct handle){.next_id = h->next_id,
		.path = which,
		.queue = queue < 0 ? 0 : (unsigned)queue,
		.access = access,
		.page = status};
	int ret = fill(s, h);
	if (ret < 0) {
		return ret;
	}
	h->id = h->next_id;
	h->next_id += SCHEME_MAX_HANDLES;
	s->open++;
	s->taps += h->tap != NULL;
	s->readers += reads_frames(h);
	if (status != NULL) {
		write_state(s, h);
		atomic_store_explicit(&status->value, which != PATH_FRAMES && which != PATH_TAP,
			memory_order_relaxed);
		atomic_store_explicit(&status->present, 1, memory_order_relaxed);
	}
	return h->id;
}

void scheme_handle_resume(struct scheme *s, int64_t id)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL || h->page == NULL) {
		return;
	}
	h->writes = atomic_load_explicit(&h->page->writes, memory_order_relaxed);
	h->count.sent = atomic_load_explicit(&h->page->sent, memory_order_relaxed);
	h->count.refused = atomic_load_explicit(&h->page->refused, memory_order_relaxed);
	h->count.no_link = atomic_load_explicit(&h->page->no_link, memory_order_relaxed);
	h->count.received = atomic_load_explicit(&h->page->received, memory_order_relaxed);
	h->count.tap_dropped = atomic_load_explicit(&h->page->tap_dropped, memory_order_relaxed);
	h->count.lost = atomic_load_explicit(&h->page->lost, memory_order_relaxed);
	if (h->value != NULL && h->count.received > 0) {
		h->value_at = h->value_len;
	}
}

static void path_of(const struct handle *h, char path[SCHEME_PATH_MAX])
{
	if (h->path == PATH_QUEUE) {
		snprintf(path, SCHEME_PATH_MAX, "/queue/%u", h->queue);
	} else {
		snprintf(path, SCHEME_PATH_MAX, "%s", paths[h->path].path);
	}
}

int64_t scheme_handle_dup(struct scheme *s, int64_t id)
{
	const struct handle *h = scheme_find(s, id);

	char path[SCHEME_PATH_MAX];

	if (h == NULL) {
		return -EBADF;
	}
	path_of(h, path);
	return scheme_handle_open(s, path, h->access, NULL);
}

void scheme_handle_close(struct scheme *s, int64_t id)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL) {
		return;
	}
	if (h->path == PATH_QUEUE && h->rings != NULL) {
		s->port.queues.leave(s->port.queues.ctx, h->queue);
	}
	if (h->page != NULL) {
		atomic_store_explicit(&h->page->present, 0, memory_order_relaxed);
	}
	s->open--;
	s->taps -= h->tap != NULL;
	s->readers -= reads_frames(h);
	free(h->tap);
	free(h->value);
	*h = (struct handle){.next_id = h->next_id};
}

ssize_t scheme_handle_fpath(struct scheme *s, int64_t id, char *text, size_t size)
{
	char full[sizeof("network:") + SCHEME_NAME_MAX + SCHEME_PATH_MAX];
	const struct handle *h = scheme_find(s, id);
	char path[SCHEME_PATH_MAX];

	if (h == NULL) {
		return -EBADF;
	}
	path_of(h, path);
	int len = snprintf(full, sizeof(full), "network:%s%s", s->name, path);
	size_t n = (size_t)len < size ? (size_t)len : size;
	memcpy(text, full, n);
	return (ssize_t)n;
}

int scheme_handle_fevent(struct scheme *s, int64_t id, uint32_t interest)
{
	struct handle *h = scheme_find(s, id);

	if (h == NULL) {
		return -EBADF;
	}
	if ((interest & ~(SCHEME_EVENT_READ | SCHEME_EVENT_WRITE)) != 0) {
		return -EINVAL;
	}
	h->interest = interest;
	return 0;
}

uint32_t scheme_handle_ready(struct scheme *s, int64_t id)
{
	const struct handle *h = scheme_find(s, id);
	struct scheme_buffer buffer[SCHEME_PIECES];
	uint32_t ready = 0;

	if (h == NULL) {
		return 0;
	}
	if ((h->interest & h->access & SCHEME_READ) != 0 &&
		scheme_handle_peek(s, id, buffer, 1) != SCHEME_PARKED) {
		ready |= SCHEME_EVENT_READ;
	}
	if ((h->interest & h->access & SCHEME_WRITE) != 0 &&
		scheme_handle_reserve(s, id, buffer, 1) > 0) {
		ready |= SCHEME_EVENT_WRITE;
	}
	return ready;
}
