/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Handles with shared rings: frames between the client's memory and the port's buffers, copied
 * once.
 */
#include <errno.h>
#include <string.h>

#include "scheme/core.h"
#include "scheme/rings.h"

/* Entries of frames to be sent that are taken at a time: SCHEME_RING_CHAIN at least. */
#define ENTRIES 64u

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

/* Those of n frames that fit whole into so many buffers; *pieces is how many they take. */
static size_t fitting(const struct scheme_buffer *from, size_t n, size_t buffers, size_t *pieces)
{
	size_t i, len;

	*pieces = 0;
	for (i = 0; i < n; i++) {
		size_t more = scheme_pieces(&from[*pieces], &len);
		if (*pieces + more > buffers) {
			break;
		}
		*pieces += more;
	}
	return i;
}

/* One burst to the client: a buffer of its own for each piece. */
static ssize_t deliver(struct scheme *s, struct handle *h)
{
	struct scheme_rings *r = h->rings;
	struct scheme_buffer from[SCHEME_BURST_PIECES];
	struct scheme_frame entries[SCHEME_BURST_PIECES];
	uint32_t offsets[SCHEME_BURST_PIECES];
	size_t n = s->port.rx_peek(s->port.ctx, from, SCHEME_BURST);
	size_t pieces, len;

	if (n == 0) {
		r->rx.least = 1; /* of whatever comes next */
		return 0;
	}
	ssize_t room = scheme_rings_rx_waiting(r, (uint32_t)scheme_pieces(from, &len));
	if (room <= 0) {
		return room;
	}
	n = fitting(from, n, (size_t)room, &pieces);
	room = scheme_rings_rx_take(r, offsets, pieces);
	if (room < 0) {
		return room;
	}
	for (size_t i = 0; i < pieces; i++) {
		scheme_ring_will_write(r->frames + offsets[i]);
	}
	for (size_t i = 0; i < pieces; i++) {
		len = from[i].len < SCHEME_RING_BUFFER ? from[i].len : SCHEME_RING_BUFFER;
		memcpy(r->frames + offsets[i], from[i].data, len);
		entries[i] = (struct scheme_frame){.offset = offsets[i],
			.len = (uint16_t)len,
			.flags = from[i].more ? SCHEME_FRAME_MORE : 0};
	}
	scheme_rings_rx_return(r, entries, pieces);
	scheme_pop_frames(s, h, n);
	return (ssize_t)n;
}

/* The entries of one frame, and its length; 0 of one that is not in order. */
static size_t measure(const struct scheme_frame *entry, size_t *len)
{
	bool good = true;
	size_t n = 0;

	*len = 0;
	do {
		good = good && entry[n].len > 0 && (entry[n].flags & ~SCHEME_FRAME_MORE) == 0;
		*len += entry[n].len;
	} while ((entry[n++].flags & SCHEME_FRAME_MORE) != 0);
	*len = good ? *len : 0;
	return n;
}

/* Copies `len` bytes of a frame's entries into a chain of buffers that has room for them. */
static void copy_frame(const struct scheme_rings *r, const struct scheme_buffer *to,
	const struct scheme_frame *entry, size_t len)
{
	size_t from_at = 0, to_at = 0;

	while (len > 0) {
		size_t part = entry->len - from_at;
		if (part > to->len - to_at) {
			part = to->len - to_at;
		}
		if (part > len) {
			part = len;
		}
		memcpy(to->data + to_at, r->frames + entry->offset + from_at, part);
		len -= part;
		from_at += part;
		to_at += part;
		if (from_at == entry->len) {
			entry++;
			from_at = 0;
		}
		if (to_at == to->len) {
			to++;
			to_at = 0;
		}
	}
}

/* The client may change the data until it is copied; the copy is what is judged and sent. Of a
 * frame that is not in order nothing is: no header is -EINVAL.
 */
static int send_one(struct scheme *s, const struct scheme_rings *r,
	const struct scheme_buffer *chain, const struct scheme_frame *entry, size_t len)
{
	size_t room;

	(void)scheme_pieces(chain, &room);
	copy_frame(r, chain, entry, len < room ? len : room);
	return scheme_send_frame(s, chain, len);
}

/* One burst from the client. */
static ssize_t take(struct scheme *s, struct handle *h)
{
	struct scheme_rings *r = h->rings;
	struct scheme_buffer to[SCHEME_BURST_PIECES];
	const struct scheme_buffer *chain = to;
	struct scheme_frame entries[ENTRIES];
	struct verdicts verdicts = {0};
	size_t len, room;
	ssize_t n = scheme_rings_tx_waiting(r);

	if (n <= 0) {
		return n;
	}
	n = scheme_handle_reserve(
		s, h->id, to, n < (ssize_t)SCHEME_BURST ? (size_t)n : SCHEME_BURST);
	if (n <= 0) {
		return 0; /* parked */
	}
	n = scheme_rings_tx_take(r, entries, ENTRIES, (size_t)n);
	if (n < 0) {
		return n;
	}
	/* From the other processor's cache: all at once, rather than one after another. */
	for (ssize_t i = 0; i < n; i++) {
		__builtin_prefetch(r->frames + entries[i].offset);
	}
	for (size_t i = 0; i < (size_t)n;) {
		size_t more = measure(&entries[i], &len);
		scheme_count_verdict(&verdicts, send_one(s, r, chain, &entries[i], len));
		chain += scheme_pieces(chain, &room);
		i += more;
	}
	scheme_rings_tx_return(r, (size_t)n);
	scheme_record(s, h, &verdicts);
	return verdicts.n;
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
