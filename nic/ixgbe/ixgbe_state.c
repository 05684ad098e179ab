/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next: what the driver knows of its rings goes into memory
 * that outlives it, and comes back checked. Nothing is read from there before a release and after
 * an adoption, so that the data path works on memory of its own.
 *
 * The memory may have been scribbled on by a process that went mad: it is copied, then judged, and
 * the card itself is asked whether it runs with these rings.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/ixgbe/ixgbe.h"

#define STATE_MAGIC   UINT64_C(0x6574617473676269) /* "igbstate" in memory order, little endian */
#define STATE_VERSION 1u /* of the layout: another one is not understood */

struct state_ring {
	uint32_t head, tail, shown;
};

/* The layout; it has no padding. Behind it: the buffers of the receive ring and of the transmit
 * ring, and the RS list, each a word a slot.
 */
struct state_head {
	uint64_t magic; /* 0: nothing to adopt */
	uint32_t version;
	uint32_t sum; /* of all that follows */
	uint64_t frames_size;
	struct nic_stats stats;
	uint64_t bad_offsets, bad_writebacks;
	uint16_t device; /* PCI id */
	uint16_t mtu;
	uint32_t promiscuous;
	uint32_t rx_ring, tx_ring;
	struct state_ring rx, tx;
	uint32_t rx_torn; /* 1: a frame began whose end has not been seen */
	uint32_t tx_done, rs_head, rs_tail;
};

static size_t words_bytes(unsigned slots)
{
	return slots * sizeof(uint32_t);
}

size_t ixgbe_state_bytes(const struct nic_config *config)
{
	return sizeof(struct state_head) + words_bytes(config->rx_ring) +
	       2 * words_bytes(config->tx_ring);
}

/* FNV-1a over 32-bit words: against accidents, not against malice, which the checks are for. */
static uint32_t add_up(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *at = data;

	for (; size >= sizeof sum; size -= sizeof sum, at += sizeof sum) {
		uint32_t word;

		memcpy(&word, at, sizeof word);
		sum = (sum ^ word) * 16777619u;
	}
	return sum;
}

static uint32_t sum_of(const struct state_head *head, const struct ixgbe_queue *q)
{
	size_t skip = offsetof(struct state_head, sum) + sizeof head->sum;
	uint32_t sum = add_up(2166136261u, (const uint8_t *)head + skip, sizeof *head - skip);

	sum = add_up(sum, q->head.rx.buffer, words_bytes(ring_size(&q->head.rx)));
	sum = add_up(sum, q->head.tx.buffer, words_bytes(ring_size(&q->head.tx)));
	return add_up(sum, q->rs, words_bytes(ring_size(&q->head.tx)));
}

/* --- out --- */

void ixgbe_state_forget(struct ixgbe *dev)
{
	if (dev->config.state)
		memset(dev->config.state, 0, sizeof(struct state_head));
}

void ixgbe_state_save(struct ixgbe *dev)
{
	const struct ixgbe_queue *q = (const struct ixgbe_queue *)dev->nic.queue[0];
	const struct ring *rx = &q->head.rx;
	const struct ring *tx = &q->head.tx;
	struct state_head head;
	uint8_t *at = dev->config.state;

	if (!at)
		return;
	memset(&head, 0, sizeof head);
	head.version = STATE_VERSION;
	head.frames_size = dev->config.frames->size;
	head.stats = dev->sum;
	head.bad_offsets = q->head.bad_offsets;
	head.bad_writebacks = q->head.bad_writebacks;
	head.device = dev->model->device;
	head.mtu = dev->config.mtu;
	head.promiscuous = dev->config.promiscuous;
	head.rx_ring = ring_size(rx);
	head.tx_ring = ring_size(tx);
	head.rx = (struct state_ring){rx->head, rx->tail, rx->shown};
	head.tx = (struct state_ring){tx->head, tx->tail, tx->shown};
	head.rx_torn = q->rx_whole != (RX_DD | RX_EOP);
	head.tx_done = q->tx_done;
	head.rs_head = q->rs_head;
	head.rs_tail = q->rs_tail;
	head.sum = sum_of(&head, q);
	head.magic = STATE_MAGIC;
	memcpy(at, &head, sizeof head);
	at += sizeof head;
	memcpy(at, rx->buffer, words_bytes(ring_size(rx)));
	at += words_bytes(ring_size(rx));
	memcpy(at, tx->buffer, words_bytes(ring_size(tx)));
	at += words_bytes(ring_size(tx));
	memcpy(at, q->rs, words_bytes(ring_size(tx)));
}

/* --- in --- */

static bool indices_in_order(const struct state_ring *ring, uint32_t slots)
{
	return ring->tail - ring->head <= slots - RING_LINE &&
	       ring->shown - ring->head <= ring->tail - ring->head;
}

static int compare_words(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

/* Every offset that a ring holds lies where the verbs would have let it, and no two are the same.
 */
static int check_offsets(struct ixgbe *dev, const struct ixgbe_queue *q)
{
	const struct ring *rx = &q->head.rx;
	const struct ring *tx = &q->head.tx;
	size_t count = 0;
	int rc = 0;
	uint32_t *all = malloc((ring_held(rx) + ring_held(tx) + 1) * sizeof *all);

	if (!all)
		return ixgbe_fail(dev, -ENOMEM, "out of memory");
	for (uint32_t at = rx->head; at != rx->tail && !rc; at++) {
		uint32_t offset = rx->buffer[at & rx->mask];

		if (offset - NIC_BUFFER_HEAD > q->rx_span ||
			(offset & (DMA_CHUNK_SIZE - 1)) > DMA_CHUNK_SIZE - NIC_BUFFER_SIZE)
			rc = ixgbe_fail(dev, -EINVAL, "state: a receive buffer lies outside");
		all[count++] = offset;
	}
	for (uint32_t at = tx->head; at != tx->tail && !rc; at++) {
		uint32_t offset = tx->buffer[at & tx->mask];

		if (offset >= q->region_size)
			rc = ixgbe_fail(dev, -EINVAL, "state: a frame to send lies outside");
		all[count++] = offset;
	}
	qsort(all, count, sizeof *all, compare_words);
	for (size_t i = 1; i < count && !rc; i++)
		if (all[i] == all[i - 1])
			rc = ixgbe_fail(dev, -EINVAL, "state: a buffer is in the rings twice");
	free(all);
	return rc;
}

/* RS stands on descriptors in ascending order between what is done and the tail, and on the last:
 * otherwise a frame's buffer would never come back.
 */
static int check_reports(struct ixgbe *dev, const struct ixgbe_queue *q)
{
	const struct ring *tx = &q->head.tx;
	uint32_t left = tx->tail - q->tx_done;
	uint32_t behind = 0; /* slots up to and with the RS before */

	if (q->tx_done - tx->head > ring_held(tx) || q->rs_tail - q->rs_head > left)
		return ixgbe_fail(dev, -EINVAL, "state: its transmit indices are not in order");
	for (uint32_t i = q->rs_head; i != q->rs_tail; i++) {
		uint32_t at = q->rs[i & tx->mask] - q->tx_done;

		if (at < behind || at >= left)
			return ixgbe_fail(dev, -EINVAL, "state: its list of reports is not");
		behind = at + 1;
	}
	if (behind != left)
		return ixgbe_fail(dev, -EINVAL, "state: nothing reports the last frame");
	return 0;
}

static int check_head(struct ixgbe *dev, const struct state_head *head)
{
	const struct nic_config *config = &dev->config;

	if (head->magic != STATE_MAGIC)
		return ixgbe_fail(dev, -EINVAL, "state: there is none");
	if (head->version != STATE_VERSION)
		return ixgbe_fail(
			dev, -EINVAL, "state: of version %u, not %u", head->version, STATE_VERSION);
	if (head->device != dev->model->device || head->rx_ring != config->rx_ring ||
		head->tx_ring != config->tx_ring || head->frames_size != config->frames->size ||
		head->mtu != config->mtu || head->promiscuous != (uint32_t)config->promiscuous)
		return ixgbe_fail(dev, -EINVAL, "state: of another card or configuration");
	if (!indices_in_order(&head->rx, head->rx_ring) ||
		!indices_in_order(&head->tx, head->tx_ring) || head->tx.shown != head->tx.tail ||
		head->rx_torn > 1)
		return ixgbe_fail(dev, -EINVAL, "state: its indices are not in order");
	return 0;
}

static void set_ring(struct ring *ring, const struct state_ring *from)
{
	ring->head = from->head;
	ring->tail = from->tail;
	ring->shown = from->shown;
}

int ixgbe_state_load(struct ixgbe *dev)
{
	struct ixgbe_queue *q = (struct ixgbe_queue *)dev->nic.queue[0];
	struct ring *rx = &q->head.rx;
	struct ring *tx = &q->head.tx;
	const uint8_t *at = dev->config.state;
	struct state_head head;
	int rc;

	memcpy(&head, at, sizeof head);
	rc = check_head(dev, &head);
	if (rc)
		return rc;
	at += sizeof head;
	memcpy(rx->buffer, at, words_bytes(ring_size(rx)));
	at += words_bytes(ring_size(rx));
	memcpy(tx->buffer, at, words_bytes(ring_size(tx)));
	at += words_bytes(ring_size(tx));
	memcpy(q->rs, at, words_bytes(ring_size(tx)));
	if (sum_of(&head, q) != head.sum)
		return ixgbe_fail(dev, -EINVAL, "state: its checksum is wrong");
	set_ring(rx, &head.rx);
	set_ring(tx, &head.tx);
	q->rx_whole = head.rx_torn ? UINT64_MAX : RX_DD | RX_EOP;
	q->tx_done = head.tx_done;
	q->rs_head = head.rs_head;
	q->rs_tail = head.rs_tail;
	q->head.bad_offsets = head.bad_offsets;
	q->head.bad_writebacks = head.bad_writebacks;
	dev->sum = head.stats;
	rc = check_offsets(dev, q);
	return rc ? rc : check_reports(dev, q);
}

static bool ring_runs(struct ixgbe *dev, const struct ring *ring, size_t place, uint32_t base_low,
	uint32_t base_high, uint32_t length, uint32_t tail)
{
	uint64_t iova = dma_iova(dev->config.rings, place);

	return reg_read(&dev->bar, base_low) == (uint32_t)iova &&
	       reg_read(&dev->bar, base_high) == (uint32_t)(iova >> 32) &&
	       reg_read(&dev->bar, length) == ring_size(ring) * RING_DESCRIPTOR &&
	       reg_read(&dev->bar, tail) == (ring->shown & ring->mask);
}

int ixgbe_state_compare(struct ixgbe *dev)
{
	const struct nic_queue *q = dev->nic.queue[0];
	struct nic_ring_place place = nic_place_rings(&dev->config, 0);

	if ((reg_read(&dev->bar, RXCTRL) & RXCTRL_RXEN) &&
		(reg_read(&dev->bar, DMATXCTL) & DMATXCTL_TE) &&
		(reg_read(&dev->bar, RXDCTL(0)) & RXDCTL_ENABLE) &&
		(reg_read(&dev->bar, TXDCTL(0)) & TXDCTL_ENABLE) &&
		ring_runs(dev, &q->rx, place.rx, RDBAL(0), RDBAH(0), RDLEN(0), RDT(0)) &&
		ring_runs(dev, &q->tx, place.tx, TDBAL(0), TDBAH(0), TDLEN(0), TDT(0)))
		return 0;
	return ixgbe_fail(dev, -EINVAL, "state: the card does not run as it says");
}
