/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forwarding between two queues, above the four verbs of whatever drivers they have.
 */
#include <errno.h>
#include <stdio.h>

#include "nic/driver.h"
#include "nic/forward.h"

/* A burst on its way, and the buffer that each frame came in: where it begins may be changed. */
struct burst {
	size_t n;
	struct frame frames[NIC_FORWARD_MAX];
	uint32_t buffers[NIC_FORWARD_MAX];
};

/* What has been sent takes the place of what was received. */
static void refill(struct nic_queue *from, struct nic_queue *to)
{
	uint32_t buffers[NIC_FORWARD_MAX];
	size_t room = ring_room(&from->rx);
	size_t sent, taken;

	sent = to->verbs->tx_return(to, buffers, room < NIC_FORWARD_MAX ? room : NIC_FORWARD_MAX);
	if (!sent)
		return;
	taken = from->verbs->rx_provide(from, buffers, sent);
	/* What is no buffer of `from` goes back where it was: it is the caller's. */
	nic_tx_unreturn(to, sent - taken);
}

size_t nic_forward_entries(const struct frame *frames, size_t n, bool *wanted)
{
	size_t entries = 0;

	*wanted = true;
	do
		*wanted &= frames[entries].len && !(frames[entries].flags & FRAME_ERROR);
	while (frames[entries++].flags & FRAME_MORE && entries < n);
	return entries;
}

/* Takes the frames that are dropped out of the burst; their buffers go back to their ring, which
 * they have just left.
 */
static void drop(struct nic_queue *from, struct burst *burst)
{
	uint32_t dropped[NIC_FORWARD_MAX];
	size_t kept = 0, n = 0;
	bool wanted;

	for (size_t i = 0, end; i < burst->n; i = end) {
		end = i + nic_forward_entries(burst->frames + i, burst->n - i, &wanted);
		for (size_t k = i; k < end; k++) {
			if (wanted) {
				burst->frames[kept] = burst->frames[k];
				burst->buffers[kept++] = burst->buffers[k];
			} else {
				dropped[n++] = burst->buffers[k];
			}
		}
	}
	burst->n = kept;
	if (n)
		from->verbs->rx_provide(from, dropped, n);
}

/* Sends the burst; there is room for it. What `to` gives back later is the buffers. */
static void send(struct nic_queue *from, struct nic_queue *to, struct burst *burst)
{
	uint32_t tail = to->tx.tail;
	size_t sent = 0;

	while (sent < burst->n) {
		sent += to->verbs->tx_provide(to, burst->frames + sent, burst->n - sent);
		if (sent == burst->n)
			break;
		/* One that is not in order, as `to` has counted. */
		burst->frames[sent].len = 0;
		drop(from, burst);
	}
	nic_tx_name(to, tail, burst->buffers, sent);
}

static size_t swap(
	struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx)
{
	struct burst burst;
	uint32_t head = from->rx.head;
	uint32_t room;
	bool all = true;
	size_t taken;

	refill(from, to);
	room = ring_room(&to->tx);
	if (n > room)
		n = room;
	if (n > NIC_FORWARD_MAX)
		n = NIC_FORWARD_MAX;
	taken = from->verbs->rx_return(from, burst.frames, n);
	if (!taken)
		return 0;
	burst.n = taken;
	ring_peek(&from->rx, head, burst.buffers, (uint32_t)taken);
	if (look)
		look(ctx, from->frames->base, burst.frames, taken);
	for (size_t i = 0; i < taken; i++)
		all &= burst.frames[i].len && !(burst.frames[i].flags & FRAME_ERROR);
	if (!all)
		drop(from, &burst);
	send(from, to, &burst);
	return taken;
}

size_t nic_forward(
	struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx)
{
	if (nic_queue_gone(from) || nic_queue_gone(to) || !to->frames)
		return 0;
	if (from->verbs->in_place != to->verbs->in_place)
		return 0;
	if (from->verbs->in_place)
		return from->verbs->in_place(from, to, n, look, ctx);
	if (from->verbs == to->verbs && from->verbs->forward)
		return from->verbs->forward(from, to, n, look, ctx);
	return swap(from, to, n, look, ctx);
}

int nic_forward_check(
	const struct nic_queue *from, const struct nic_queue *to, struct pci_error *why)
{
	const char *objection = NULL;

	if (!from->frames || !to->frames)
		objection = "a queue stands still";
	else if (!pci_dma_same(from->frames, to->frames))
		objection = "their queues are not on the same frame memory";
	else if (from->verbs->in_place != to->verbs->in_place)
		objection = "one of the queues runs in place, the other does not";
	else if (from->verbs->in_place)
		objection = from->verbs->in_place_objection(from, to);
	if (objection && why)
		snprintf(why->text, sizeof why->text, "%s to %s: %s", pci_address(from->fn),
			pci_address(to->fn), objection);
	return objection ? -EINVAL : 0;
}
