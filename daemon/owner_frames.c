/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frames of a queue that a client owns: from its rings to the card's and back, names alone.
 */
#include <errno.h>
#include <stddef.h>

#include "daemon/owner.h"
#include "scheme/frame.h"

#define BURST 64u

/* As struct scheme_meta, and its bits, go to the driver and come from it: neither header may know
 * the other.
 */
#define LAID(field) (offsetof(struct scheme_meta, field) == offsetof(struct frame_meta, field))
#define SAME(name)  ((int)SCHEME_##name == (int)(name))
#define MEANS(name) ((int)SCHEME_##name == (int)NIC_##name)
_Static_assert(sizeof(struct scheme_meta) == sizeof(struct frame_meta) && LAID(flags) &&
		       LAID(vlan) && LAID(hash) && LAID(type) && LAID(mss) && LAID(l3_len) &&
		       LAID(l2_len) && LAID(l4_len),
	"one layout");
_Static_assert(SAME(FRAME_MORE) && SAME(FRAME_ERROR) && SAME(FRAME_META), "one numbering");
_Static_assert(SAME(META_VLAN) && SAME(META_HASH) && SAME(META_IP_GOOD) && SAME(META_IP_BAD) &&
		       SAME(META_L4_GOOD) && SAME(META_L4_BAD) && SAME(META_IP_SUM) &&
		       SAME(META_L4_SUM) && SAME(META_SEGMENT),
	"one numbering");
_Static_assert(SAME(META_IPV4) && SAME(META_IPV4_OPTIONS) && SAME(META_IPV6) &&
		       SAME(META_IPV6_EXTENSIONS) && SAME(META_TCP) && SAME(META_UDP) &&
		       SAME(META_SCTP),
	"one numbering");
_Static_assert(
	MEANS(RX_CHECKSUM) && MEANS(RX_HASH) && MEANS(RX_TYPE) && MEANS(TX_META), "one numbering");

/* How many the card's ring takes now, a burst at most. */
static size_t burst(size_t ring, size_t held)
{
	size_t room = ring - NIC_RING_FREE < held ? 0 : ring - NIC_RING_FREE - held;

	return room < BURST ? room : BURST;
}

/* The same of entries to be sent, and of frames: with metadata each may take a descriptor more, and
 * so may each that is held.
 */
static size_t tx_burst(const struct port *port, size_t held, size_t *frames)
{
	size_t room = port->tx_ring - NIC_RING_FREE, entries;

	if ((port->offloads & NIC_TX_META) == 0)
		return *frames = burst(port->tx_ring, held);
	if (2 * held + 1 >= room)
		return *frames = 0;
	room -= 2 * held;
	*frames = room > SCHEME_RING_CHAIN ? room - SCHEME_RING_CHAIN : 1;
	if (*frames > BURST)
		*frames = BURST;
	entries = room - *frames;
	return entries < BURST ? entries : BURST;
}

/* --- what was refused --- */

/* The card gives frames back in their order. One that it never got keeps its place among them by a
 * bit.
 */
static uint64_t *refused_word(struct owner *o, const struct scheme_rings *r, uint32_t at)
{
	return &o->refused.bit[(at & (r->tx.size - 1)) / 64];
}

static uint64_t refused_bit(const struct scheme_rings *r, uint32_t at)
{
	return (uint64_t)1 << (at & (r->tx.size - 1)) % 64;
}

bool owner_in_step(struct owner *o, const struct nic_queue *q, const struct scheme_rings *r)
{
	uint32_t never = 0;

	for (uint32_t at = r->tx.returned; at != r->tx.taken; at++)
		never += (*refused_word(o, r, at) & refused_bit(r, at)) != 0;
	return nic_rx_held(q) == scheme_rings_rx_held(r) &&
	       nic_tx_held(q) == scheme_rings_tx_held(r) - never;
}

/* --- to be sent --- */

/* What the core asks of others' frames, but for the tag of a long one: the frame's data is not
 * looked at. And what the driver asks: it takes all that is let through here, but what its metadata
 * is not in order of, which only the driver reads. *entries is how many the frame has.
 */
static int judge(const struct port *port, const struct scheme_frame *frame, size_t *entries)
{
	bool meta = (port->offloads & NIC_TX_META) != 0 && (frame->flags & SCHEME_FRAME_META) != 0;
	bool good = true;
	size_t len = 0, n = 0;

	do {
		size_t within = frame[n].offset & (DMA_CHUNK_SIZE - 1);
		unsigned known = SCHEME_FRAME_MORE | (n == 0 && meta ? SCHEME_FRAME_META : 0);

		good = good && frame[n].len > 0 && within + frame[n].len <= DMA_CHUNK_SIZE &&
		       (frame[n].flags & ~known) == 0;
		len += frame[n].len;
	} while ((frame[n++].flags & SCHEME_FRAME_MORE) != 0);
	*entries = n;
	if (!good || len < ETH_HEADER)
		return -EINVAL;
	if (!meta && len > port->mtu + ETH_HEADER + VLAN_TAG)
		return -EMSGSIZE;
	return port->link.up ? 0 : -ENETDOWN;
}

static void count(struct scheme_moved *moved, int verdict)
{
	moved->sent += verdict == 0;
	moved->no_link += verdict == -ENETDOWN;
	moved->refused += verdict < 0 && verdict != -ENETDOWN;
	if (verdict < 0)
		moved->error = verdict;
}

static void refuse(struct owner *o, uint32_t at)
{
	*refused_word(o, o->rings, at) |= refused_bit(o->rings, at);
}

/* Gives n entries to the card: room for them there is. What it does not take is a frame whose
 * metadata is not in order; of a card that is gone any.
 */
static void send(struct owner *o, struct nic_queue *q, const struct frame *frames,
	const uint32_t *place, size_t n, struct scheme_moved *moved)
{
	size_t done = 0, sent;
	bool more;

	while (done < n) {
		sent = nic_tx_provide(q, &frames[done], n - done);
		for (; sent > 0; sent--, done++) {
			if ((frames[done].flags & FRAME_MORE) == 0)
				count(moved, 0);
		}
		for (more = true; done < n && more; done++) {
			more = (frames[done].flags & FRAME_MORE) != 0;
			refuse(o, place[done]);
			if (!more)
				count(moved, -EINVAL);
		}
	}
}

/* One burst to the card; how many were taken, or -EPROTO. */
static ssize_t take_frames(
	struct owner *o, struct nic_queue *q, const struct port *port, struct scheme_moved *moved)
{
	struct scheme_frame from[BURST];
	struct frame to[BURST];
	uint32_t place[BURST];
	uint32_t at = o->rings->tx.taken;
	size_t n = 0, entries, frames;
	size_t room = tx_burst(port, nic_tx_held(q), &frames);
	ssize_t taken = scheme_rings_tx_take(o->rings, from, room, frames);

	for (size_t i = 0; taken > 0 && i < (size_t)taken; i += entries) {
		int verdict = judge(port, &from[i], &entries);

		if (verdict != 0)
			count(moved, verdict);
		for (size_t k = i; k < i + entries; k++, at++) {
			if (verdict != 0) {
				refuse(o, at);
				continue;
			}
			place[n] = at;
			/* The flags are the driver's, in one numbering. */
			to[n++] = (struct frame){.offset = from[k].offset,
				.len = from[k].len,
				.flags = from[k].flags};
		}
	}
	send(o, q, to, place, n, moved);
	return taken;
}

/* What was sent, and what was not to be, is the client's again. */
static size_t sent_back(struct owner *o, struct nic_queue *q)
{
	struct scheme_rings *r = o->rings;
	uint32_t offsets[BURST];
	size_t sent = nic_tx_return(q, offsets, BURST);
	uint32_t at = r->tx.returned;
	uint32_t n;

	for (; at != r->tx.taken; at++) {
		uint64_t *word = refused_word(o, r, at);
		uint64_t bit = refused_bit(r, at);

		if ((*word & bit) != 0)
			*word &= ~bit;
		else if (sent == 0)
			break;
		else
			sent--;
	}
	n = at - r->tx.returned;
	if (n > 0)
		scheme_rings_tx_return(r, n);
	return n;
}

/* --- received --- */

/* One burst of buffers to the card; how many were taken, or -EPROTO. */
static ssize_t take_buffers(struct owner *o, struct nic_queue *q, const struct port *port)
{
	uint32_t offsets[BURST];
	ssize_t taken =
		scheme_rings_rx_take(o->rings, offsets, burst(port->rx_ring, nic_rx_held(q)));

	/* It takes all that there is room for, but what lies across a chunk's boundary. */
	if (taken > 0 && nic_rx_provide(q, offsets, (size_t)taken) < (size_t)taken)
		return -EPROTO;
	return taken;
}

/* What was received is the client's. The driver returns whole frames. */
static size_t received(struct owner *o, struct nic_queue *q, struct scheme_moved *moved)
{
	struct frame from[BURST];
	struct scheme_frame to[BURST];
	size_t n = nic_rx_return(q, from, BURST);

	for (size_t i = 0; i < n; i++) {
		bool good = (from[i].flags & FRAME_ERROR) == 0;
		bool more = (from[i].flags & FRAME_MORE) != 0;

		to[i] = (struct scheme_frame){.offset = from[i].offset,
			.len = good ? from[i].len : 0,
			.flags = good ? from[i].flags : SCHEME_FRAME_ERROR};
		moved->received += good && !more;
	}
	if (n > 0)
		scheme_rings_rx_return(o->rings, to, n);
	return n;
}

/* --- a round --- */

/* For less than the longest chain there may be room that is not enough: the card's interrupt wakes
 * when there is more.
 */
unsigned owner_room(const struct port *port, const struct nic_queue *q)
{
	size_t frames;

	return (burst(port->rx_ring, nic_rx_held(q)) > 0 ? SCHEME_RING_RX : 0) |
	       (tx_burst(port, nic_tx_held(q), &frames) >= SCHEME_RING_CHAIN ? SCHEME_RING_TX : 0);
}

ssize_t owner_move(struct owner *o, struct nic_queue *q, const struct port *port, uint32_t access,
	struct scheme_moved *moved)
{
	size_t sum = 0;

	for (size_t done = 0; done < SCHEME_RING_BUDGET; done += BURST) {
		size_t before = sum;
		ssize_t n = 0;

		if ((access & SCHEME_READ) != 0) {
			sum += received(o, q, moved);
			n = o->rings->ended ? 0 : take_buffers(o, q, port);
		}
		if (n >= 0 && (access & SCHEME_WRITE) != 0) {
			sum += (size_t)n + sent_back(o, q);
			n = take_frames(o, q, port, moved);
		}
		if (n < 0)
			return n;
		sum += (size_t)n;
		if (sum == before)
			break;
	}
	return (ssize_t)sum;
}
