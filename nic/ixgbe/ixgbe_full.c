/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The verbs of a queue with offloads, above the common ones: what the card found out about a frame
 * goes in front of it, and what lies in front of one to be sent becomes a context descriptor (82599
 * datasheet 7.1.6.2, 7.2.3.2.3, 7.2.4, 7.2.5), which takes a slot of the ring without a buffer. The
 * card keeps two contexts a queue; one that is there is not written again.
 */
#include "nic/ixgbe/ixgbe_steps.h"

#define META_SIZE ((uint32_t)sizeof(struct frame_meta))

_Static_assert(sizeof(struct frame_meta) == 16 && META_SIZE <= NIC_BUFFER_HEAD,
	"rx_provide() has checked that it lies in the region");

#define META_KNOWN                                                                         \
	(META_VLAN | META_HASH | META_IP_GOOD | META_IP_BAD | META_L4_GOOD | META_L4_BAD | \
		META_IP_SUM | META_L4_SUM | META_SEGMENT)

/* Limits of the fields of a context. */
#define L2_MIN 14u
#define L2_MAX 127u
#define L3_MAX 511u

/* --- receive --- */

/* What the card says about the frame whose last descriptor is at `at`. */
static struct frame_meta rx_meta(const struct ixgbe_queue *q, uint32_t at)
{
	uint64_t first = dma_read(ring_word(&q->head.rx, at, 0));
	uint64_t second = dma_read(ring_word(&q->head.rx, at, 1));
	uint16_t type = first & RX_TYPE_L2 ? 0 : (uint16_t)(first >> RX_TYPE_SHIFT & RX_TYPE_MASK);
	struct frame_meta meta = {.l2_len = L2_MIN};

	if (q->offloads & NIC_RX_TYPE)
		meta.type = type;
	if (q->offloads & NIC_RX_HASH && first & RX_RSS_TYPE) {
		meta.flags |= META_HASH;
		meta.hash = (uint32_t)(first >> RX_HASH_SHIFT);
	}
	if (q->offloads & NIC_RX_VLAN && second & RX_VP) {
		meta.flags |= META_VLAN;
		meta.vlan = (uint16_t)(second >> RX_VLAN_SHIFT);
	}
	if (q->offloads & NIC_RX_CHECKSUM) {
		bool unsure = q->udp_unsure && type & META_UDP;

		if (second & RX_IPCS)
			meta.flags |= second & RX_IPE ? META_IP_BAD : META_IP_GOOD;
		if (second & RX_L4CS && !(second & RX_L4E))
			meta.flags |= META_L4_GOOD;
		else if (second & RX_L4CS && !unsure)
			meta.flags |= META_L4_BAD;
	}
	return meta;
}

static size_t rx_return(struct nic_queue *head, struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	uint32_t at = head->rx.head;
	size_t got = q->common->rx_return(head, frames, n);
	size_t first = 0;

	for (size_t i = 0; i < got; i++) {
		struct frame_meta meta;

		if (frames[i].flags & FRAME_MORE)
			continue;
		if (!(frames[i].flags & FRAME_ERROR)) {
			meta = rx_meta(q, at + (uint32_t)i);
			if (meta.flags || meta.type) {
				memcpy(head->frames->base + frames[first].offset - META_SIZE, &meta,
					META_SIZE);
				frames[first].flags |= FRAME_META;
			}
		}
		first = i + 1;
	}
	return got;
}

/* --- transmit --- */

/* What is asked for, as the card takes it. */
struct order {
	struct ixgbe_context context;
	uint64_t word; /* of each data descriptor */
};

static bool one_of(unsigned bits)
{
	return bits && !(bits & (bits - 1));
}

static bool within(uint32_t value, uint32_t least, uint32_t most)
{
	return value >= least && value <= most;
}

/* The length that a header has at least. */
static uint32_t l4_least(unsigned type)
{
	return type & META_TCP ? 20 : type & META_SCTP ? 12 : 8;
}

/* Whether the lengths of the headers fit what they are to be, and the first entry has them all:
 * each is bounded by its field and by the frame.
 */
static bool headers_in_order(const struct frame_meta *m, uint32_t first_len)
{
	bool l4 = m->flags & (META_L4_SUM | META_SEGMENT);
	unsigned type4 = m->type & (META_TCP | META_UDP | META_SCTP);
	uint32_t len = m->l2_len;

	if (!within(m->l2_len, L2_MIN, L2_MAX))
		return false;
	if (m->flags & (META_IP_SUM | META_L4_SUM | META_SEGMENT)) {
		if (!one_of(m->type & (META_IPV4 | META_IPV6)))
			return false;
		if (m->type & META_IPV4 ? !within(m->l3_len, 20, 60)
					: !within(m->l3_len, 40, L3_MAX) || m->flags & META_IP_SUM)
			return false;
		len += m->l3_len;
	}
	if (l4 && !one_of(type4))
		return false;
	if (m->flags & META_SEGMENT) {
		if (type4 & META_SCTP ||
			!within(m->l4_len, l4_least(type4), type4 & META_TCP ? 60 : 8))
			return false;
		len += m->l4_len;
	} else if (l4) {
		len += l4_least(type4);
	}
	return len <= first_len;
}

/* What a frame's metadata asks for. False: it is not in order. */
static bool tx_order(const struct frame_meta *m, const struct chain *chain, uint32_t first_len,
	uint32_t max, struct order *order)
{
	bool l4 = m->flags & (META_L4_SUM | META_SEGMENT);
	bool ip = l4 || m->flags & META_IP_SUM;
	uint32_t tag = m->flags & META_VLAN ? 4 : 0;
	uint32_t header = (uint32_t)m->l2_len + m->l3_len + m->l4_len;
	uint32_t payload = chain->bytes;
	uint64_t first, second = CONTEXT_WORD, word = TX_WORD;

	if (m->flags & ~META_KNOWN || !headers_in_order(m, first_len))
		return false;
	first = (uint64_t)m->l2_len << CONTEXT_MACLEN_SHIFT;
	if (m->flags & META_VLAN) {
		first |= (uint64_t)m->vlan << CONTEXT_VLAN_SHIFT;
		word |= TX_VLE;
	}
	if (ip) {
		first |= (uint64_t)m->l3_len << CONTEXT_IPLEN_SHIFT;
		second |= m->type & META_IPV4 ? CONTEXT_IPV4 : 0;
	}
	if (l4) {
		second |= m->type & META_TCP    ? CONTEXT_L4_TCP
			  : m->type & META_SCTP ? CONTEXT_L4_SCTP
						: 0;
		word |= TX_TXSM;
	}
	if (m->flags & META_SEGMENT) {
		if (header >= chain->bytes || m->mss < NIC_MSS_MIN || header + m->mss + tag > max)
			return false;
		second |= (uint64_t)m->l4_len << CONTEXT_L4LEN_SHIFT | (uint64_t)m->mss
									       << CONTEXT_MSS_SHIFT;
		word |= TX_TSE;
		payload -= header;
	} else if (chain->bytes + tag > max) {
		return false;
	}
	if (m->flags & META_IP_SUM || (m->flags & META_SEGMENT && m->type & META_IPV4))
		word |= TX_IXSM;
	order->context = (struct ixgbe_context){{first, second}};
	order->word = word | (uint64_t)payload << TX_PAYLEN_SHIFT;
	return true;
}

/* The number of the card's context that is this one; 2: neither is. */
static unsigned find_context(const struct ixgbe_queue *q, const struct ixgbe_context *context)
{
	unsigned i = 0;

	while (i < 2 && memcmp(&q->context[i], context, sizeof *context) != 0)
		i++;
	return i;
}

/* Replaces the older one. */
static unsigned write_context(
	struct ixgbe_queue *q, uint32_t at, const struct ixgbe_context *context)
{
	struct ring *ring = &q->head.tx;
	unsigned i = q->context_last ^ 1;

	q->context[i] = *context;
	ring->buffer[at & ring->mask] = NO_BUFFER;
	dma_write(ring_word(ring, at, 0), context->word[0]);
	dma_write(ring_word(ring, at, 1), context->word[1] | (uint64_t)i << TX_IDX_SHIFT);
	q->head.tx_bare++;
	return i;
}

/* Queues the frame with metadata at frames[0 .. n): its entries, and in *at the slot behind it. 0:
 * nothing is written, as it is not in order (counted) or there is no room for it.
 */
static size_t tx_queue(
	struct ixgbe_queue *q, const struct frame *frames, size_t n, uint32_t max, uint32_t *at)
{
	struct frame_meta meta;
	struct chain chain = {0};
	struct order order;
	unsigned context;
	uint32_t slots;

	if (frames->offset >= META_SIZE && frames->offset <= q->region_size) {
		/* Once: the memory may be another one's, who changes it. */
		memcpy(&meta, q->head.frames->base + frames->offset - META_SIZE, META_SIZE);
		chain = tx_measure(q->region_size, frames, n,
			meta.flags & META_SEGMENT ? NIC_SEGMENT_MAX : max, FRAME_META);
	}
	if (!chain.entries || !tx_order(&meta, &chain, frames->len, max, &order)) {
		ixgbe_refuse(q);
		return 0;
	}
	context = find_context(q, &order.context);
	slots = chain.entries + (context == 2);
	if (slots > TX_CHAIN_MAX) {
		ixgbe_refuse(q);
		return 0;
	}
	if (slots > ring_size(&q->head.tx) - RING_LINE - (*at - q->head.tx.head))
		return 0;
	if (context == 2)
		context = write_context(q, (*at)++, &order.context);
	q->context_last = context;
	order.word |= (uint64_t)context << TX_IDX_SHIFT;
	for (uint32_t i = 0; i < chain.entries; i++)
		tx_write(q, (*at)++, &frames[i], order.word | (i + 1 < chain.entries ? 0 : TX_EOP));
	return chain.entries;
}

/* Those at frames[0 .. n) that have metadata, up to the first that has none. */
static size_t tx_provide_meta(struct ixgbe_queue *q, const struct frame *frames, size_t n)
{
	uint32_t max = __atomic_load_n(&q->tx_max, __ATOMIC_RELAXED);
	uint32_t at = q->head.tx.tail;
	uint32_t reported = at;
	size_t done = 0;

	while (done < n && frames[done].flags & FRAME_META) {
		size_t entries = tx_queue(q, frames + done, n - done, max, &at);

		if (!entries)
			break;
		done += entries;
		if (at - reported >= q->tx_every) {
			tx_report(q, at - 1);
			reported = at;
		}
	}
	if (!done)
		return 0;
	/* Nobody knows when more will come: the last frame reports, too. */
	if (at != reported)
		tx_report(q, at - 1);
	tx_publish(q, at);
	return done;
}

static size_t tx_provide(struct nic_queue *head, const struct frame *frames, size_t n)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	bool takes = q->offloads & NIC_TX_META;
	size_t done = 0, taken = 1;

	while (taken && done < n) {
		size_t run = 0;

		while (done + run < n && !(takes && frames[done + run].flags & FRAME_META))
			run++;
		taken = q->common->tx_provide(head, frames + done, run);
		done += taken;
		if (taken < run || done == n)
			break;
		taken = tx_provide_meta(q, frames + done, n - done);
		done += taken;
		if (done < n && frames[done].flags & FRAME_META)
			break;
	}
	return done;
}

static size_t tx_return(struct nic_queue *head, uint32_t *offsets, size_t n)
{
	return nic_tx_return_by(head, offsets, n, ixgbe_queue(head)->common->tx_return);
}

static size_t rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n)
{
	return ixgbe_queue(head)->common->rx_provide(head, offsets, n);
}

static void flush(struct nic_queue *head)
{
	ixgbe_queue(head)->common->flush(head);
}

/* The class does the rest by these: nic_rx(), nic_tx() and nic_forward(). */
const struct nic_verbs ixgbe_full_verbs = {
	.rx_provide = rx_provide,
	.rx_return = rx_return,
	.tx_provide = tx_provide,
	.tx_return = tx_return,
	.flush = flush,
};
