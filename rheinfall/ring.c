/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A port by shared rings. Received frames stay where they are until the batch that names them is
 * sent or dropped; sending one moves its buffer on, into the ring of another port even. Only frames
 * that were made here are copied, and those that are longer than a buffer.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING SCHEME_RING_DEFAULT
/* Buffers of the longest frame that is sent. */
#define PIECES ((FRAME_MAX + SCHEME_RING_BUFFER - 1) / SCHEME_RING_BUFFER)

int buffers_init(struct buffers *b, size_t ports)
{
	/* All rings full, and a batch in each direction. */
	size_t n = ports * 2 * (RING + SCHEME_BURST);
	size_t size = scheme_ring_buffer((uint32_t)n - 1) + SCHEME_RING_BUFFER;
	b->free = calloc(n, sizeof(b->free[0]));
	if (!b->free)
		return -ENOMEM;
	b->memory = scheme_ring_memory(size);
	if (b->memory < 0)
		return b->memory;
	while (b->frees < n) {
		b->free[b->frees] = scheme_ring_buffer((uint32_t)b->frees);
		b->frees++;
	}
	return 0;
}

void buffers_fini(struct buffers *b)
{
	if (b->memory >= 0)
		close(b->memory);
	free(b->free);
}

/* What was sent is free again. */
static void take_back(struct port *p)
{
	struct buffers *b = p->buffers;
	uint32_t offsets[SCHEME_BURST];
	size_t n;
	do {
		n = scheme_ring_tx_return(p->ring, offsets, SCHEME_BURST);
		for (size_t i = 0; i < n; i++)
			b->free[b->frees++] = offsets[i];
	} while (n == SCHEME_BURST);
}

/* Buffers for what comes, as many as there are. */
static void refill(struct port *p)
{
	struct buffers *b = p->buffers;
	size_t missing = RING - scheme_ring_rx_held(p->ring);
	if (missing < SCHEME_BURST) /* not one by one */
		return;
	if (missing > b->frees) {
		take_back(p);
		missing = least(missing, b->frees);
	}
	b->frees -= missing;
	(void)scheme_ring_rx_provide(p->ring, b->free + b->frees, missing);
}

int ring_open(struct port *p, const char *url, int access)
{
	const struct scheme_ring_options options = {
		.rx_size = RING, .tx_size = RING, .memory = p->buffers->memory};
	int err = scheme_open_ring(url, access | O_CLOEXEC, &options, &p->ring);
	if (err)
		return err;
	p->status = scheme_ring_status(p->ring);
	/* Before anything is sent: a card with several queues drops what finds no buffer. */
	if (access != O_WRONLY)
		refill(p);
	return scheme_ring_fd(p->ring);
}

static uint8_t *data(const struct port *p, uint32_t offset)
{
	return scheme_ring_frames(p->ring, NULL) + offset;
}

/* --- sending --- */

/* Copies a frame into free buffers, which are enough; returns how many it took. */
static size_t put(const struct port *p, const struct iovec *frame, struct scheme_frame *entry)
{
	struct buffers *b = p->buffers;
	const uint8_t *from = frame->iov_base;
	size_t left = frame->iov_len, n = 0;
	do {
		size_t len = least(left, SCHEME_RING_BUFFER);
		uint32_t offset = b->free[--b->frees];
		memcpy(data(p, offset), from, len);
		from += len;
		left -= len;
		entry[n++] = (struct scheme_frame){.offset = offset,
			.len = (uint16_t)len,
			.flags = left > 0 ? SCHEME_FRAME_MORE : 0};
	} while (left > 0);
	return n;
}

/* Sends what can be sent of n frames; those at an offset (not 0) leave it. */
static int send_frames(struct port *p, const struct iovec *frames, uint32_t *offsets, size_t n)
{
	struct scheme_frame burst[SCHEME_BURST * PIECES];
	size_t room = RING - scheme_ring_tx_held(p->ring), ready = 0, entries = 0;
	int verdict = 0;
	if (room < sizeof(burst) / sizeof(burst[0])) {
		take_back(p);
		room = RING - scheme_ring_tx_held(p->ring);
	}
	for (size_t i = 0; i < n && i < p->buffers->frees && offsets[i] == 0; i++)
		scheme_ring_will_write(data(p, p->buffers->free[p->buffers->frees - 1 - i]));
	for (; ready < n; ready++) {
		size_t len = frames[ready].iov_len;
		size_t pieces = (len + SCHEME_RING_BUFFER - 1) / SCHEME_RING_BUFFER;
		uint32_t offset = offsets[ready];
		verdict = scheme_judge(p->status, frames[ready].iov_base, len);
		if (verdict || entries + pieces > room ||
			(offset == 0 && p->buffers->frees < pieces))
			break;
		if (offset == 0)
			entries += put(p, &frames[ready], &burst[entries]);
		else
			burst[entries++] =
				(struct scheme_frame){.offset = offset, .len = (uint16_t)len};
	}
	/* There is room for all of them. */
	(void)scheme_ring_tx_provide(p->ring, burst, entries);
	memset(offsets, 0, ready * sizeof(offsets[0]));
	p->written += (uint32_t)ready;
	if (ready == 0 && verdict)
		return verdict;
	return ready == 0 && p->left ? -EPIPE : (int)ready;
}

int ring_send(struct port *p, struct batch *batch)
{
	unsigned first = batch->first;
	int n = send_frames(p, batch->frame + first, batch->offset + first, batch->n - first);
	if (n > 0)
		batch->first += (unsigned)n;
	return n;
}

int ring_send_one(struct port *p, const uint8_t *frame, size_t len)
{
	const struct iovec one = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
	uint32_t here = 0;
	return send_frames(p, &one, &here, 1);
}

/* --- receiving --- */

/* What was received and not sent is free again. */
static void drop(struct port *p, struct batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		if (batch->offset[i] != 0)
			p->buffers->free[p->buffers->frees++] = batch->offset[i];
		batch->offset[i] = 0;
	}
}

/* Entries of at most `max` whole frames. */
static size_t take(struct port *p, struct scheme_frame *entries, size_t max)
{
	size_t n = scheme_ring_rx_return(p->ring, entries, max), more = n;
	/* Of a frame that has more the rest is there. */
	while (more > 0 && n < max + PIECES && (entries[n - 1].flags & SCHEME_FRAME_MORE) != 0) {
		more = scheme_ring_rx_return(p->ring, &entries[n], 1);
		n += more;
	}
	return n;
}

/* A frame of n entries: where it is, if that is one buffer; else its buffers are free again. */
static void add(
	const struct port *p, struct batch *batch, const struct scheme_frame *entry, size_t n)
{
	uint8_t *to = batch->data[batch->n];
	size_t len = entry->len;
	uint32_t offset = entry->offset;
	bool good = (entry[n - 1].flags & SCHEME_FRAME_ERROR) == 0;
	if (n > 1 || !good) {
		for (size_t i = len = 0; i < n; i++) {
			size_t part = least(entry[i].len, FRAME_MAX - len);
			memcpy(to + len, data(p, entry[i].offset), part);
			len += part;
			p->buffers->free[p->buffers->frees++] = entry[i].offset;
		}
		offset = 0;
	}
	if (!good)
		return;
	batch->offset[batch->n] = offset;
	batch->frame[batch->n++] =
		(struct iovec){.iov_base = offset ? data(p, offset) : to, .iov_len = len};
}

int ring_receive(struct port *p, struct batch *batch, unsigned max)
{
	struct scheme_frame entries[SCHEME_BURST + PIECES];
	drop(p, batch);
	batch->first = batch->n = 0;
	refill(p);
	size_t n = take(p, entries, least(max, SCHEME_BURST));
	for (size_t i = 0, first = 0; i < n; i++)
		if ((entries[i].flags & SCHEME_FRAME_MORE) == 0 || i + 1 == n) {
			add(p, batch, &entries[first], i + 1 - first);
			first = i + 1;
		}
	return n == 0 && p->left ? -EPIPE : (int)batch->n;
}

/* --- waiting --- */

bool ring_sleep(struct port *p, short events)
{
	int ret = scheme_ring_sleep(p->ring, ((events & POLLIN) ? SCHEME_RING_RX : 0) |
						     ((events & POLLOUT) ? SCHEME_RING_TX : 0));
	return ret == 0;
}

void ring_awake(struct port *p)
{
	if (scheme_ring_awake(p->ring) == -EPIPE)
		p->left = true;
}
