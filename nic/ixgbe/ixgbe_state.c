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
#define STATE_VERSION 2u /* of the layout: another one is not understood */

struct state_ring {
	uint32_t head, tail, shown;
};

/* The layout; it has no padding. */
struct state_head {
	uint64_t magic; /* 0: nothing to adopt */
	uint32_t version;
	uint32_t sum; /* of all that follows */
	struct nic_stats stats;
	uint16_t device; /* PCI id */
	uint16_t mtu;
	uint32_t promiscuous;
	uint32_t rx_ring, tx_ring;
	uint32_t queues;
	uint32_t reserved;
};

/* Behind it, for each queue. Behind this: the buffers of the receive ring and of the transmit ring,
 * and the RS list, each a word a slot.
 */
struct state_queue {
	uint64_t frames_size; /* 0: it stood still */
	uint64_t bad_offsets, bad_writebacks;
	struct nic_queue_stats stats;
	struct state_ring rx, tx;
	uint32_t rx_torn; /* 1: a frame began whose end has not been seen */
	uint32_t tx_done, rs_head, rs_tail;
};

static size_t words_bytes(unsigned slots)
{
	return slots * sizeof(uint32_t);
}

static size_t queue_bytes(const struct nic_config *config)
{
	return sizeof(struct state_queue) + words_bytes(config->rx_ring) +
	       2 * words_bytes(config->tx_ring);
}

size_t ixgbe_state_bytes(const struct nic_config *config)
{
	return sizeof(struct state_head) + config->queues * queue_bytes(config);
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

/* Of the head behind `sum`, and of a state's queues, where they lie. */
static uint32_t sum_of(
	const struct state_head *head, const uint8_t *queues, const struct nic_config *config)
{
	size_t skip = offsetof(struct state_head, sum) + sizeof head->sum;
	uint32_t sum = add_up(2166136261u, (const uint8_t *)head + skip, sizeof *head - skip);

	return add_up(sum, queues, config->queues * queue_bytes(config));
}

/* --- out --- */

void ixgbe_state_forget(struct ixgbe *dev)
{
	if (dev->config.state)
		memset(dev->config.state, 0, sizeof(struct state_head));
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return to + size;
}

static uint8_t *save_queue(const struct ixgbe *dev, unsigned index, uint8_t *at)
{
	const struct ixgbe_queue *q = (const struct ixgbe_queue *)dev->nic.queue[index];
	const struct ring *rx = &q->head.rx;
	const struct ring *tx = &q->head.tx;
	const struct state_queue state = {
		.frames_size = q->head.frames ? q->head.frames->size : 0,
		.bad_offsets = q->head.bad_offsets,
		.bad_writebacks = q->head.bad_writebacks,
		.stats = dev->queue_sum[index],
		.rx = {rx->head, rx->tail, rx->shown},
		.tx = {tx->head, tx->tail, tx->shown},
		.rx_torn = q->rx_whole != (RX_DD | RX_EOP),
		.tx_done = q->tx_done,
		.rs_head = q->rs_head,
		.rs_tail = q->rs_tail,
	};

	at = put(at, &state, sizeof state);
	at = put(at, rx->buffer, words_bytes(ring_size(rx)));
	at = put(at, tx->buffer, words_bytes(ring_size(tx)));
	return put(at, q->rs, words_bytes(ring_size(tx)));
}

void ixgbe_state_save(struct ixgbe *dev)
{
	const struct nic_config *config = &dev->config;
	uint8_t *state = config->state;
	struct state_head head = {
		.version = STATE_VERSION,
		.stats = dev->sum,
		.device = dev->model->device,
		.mtu = config->mtu,
		.promiscuous = config->promiscuous,
		.rx_ring = config->rx_ring,
		.tx_ring = config->tx_ring,
		.queues = config->queues,
	};
	uint8_t *at;

	if (!state)
		return;
	at = state + sizeof head;
	for (unsigned i = 0; i < config->queues; i++)
		at = save_queue(dev, i, at);
	head.sum = sum_of(&head, state + sizeof head, config);
	head.magic = STATE_MAGIC;
	memcpy(state, &head, sizeof head);
}

/* --- in --- */

static bool indices_in_order(const struct state_ring *ring, uint32_t slots)
{
	return ring->tail - ring->head <= slots - RING_LINE &&
	       ring->shown - ring->head <= ring->tail - ring->head;
}

/* Every offset that a queue's rings hold lies where the verbs would have let it. Whether a buffer
 * is there twice is its user's to judge (nic_held()): to send one twice is no fault, and a client's
 * queue may hold what it likes of the client's memory.
 */
static int check_offsets(struct ixgbe *dev, const struct ixgbe_queue *q)
{
	const struct ring *rx = &q->head.rx;
	const struct ring *tx = &q->head.tx;

	for (uint32_t at = rx->head; at != rx->tail; at++) {
		uint32_t offset = rx->buffer[at & rx->mask];

		if (offset - NIC_BUFFER_HEAD > q->rx_span ||
			(offset & (DMA_CHUNK_SIZE - 1)) > DMA_CHUNK_SIZE - NIC_BUFFER_SIZE)
			return ixgbe_fail(dev, -EINVAL, "state: a receive buffer lies outside");
	}
	for (uint32_t at = tx->head; at != tx->tail; at++) {
		if (tx->buffer[at & tx->mask] >= q->region_size)
			return ixgbe_fail(dev, -EINVAL, "state: a frame to send lies outside");
	}
	return 0;
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
		head->tx_ring != config->tx_ring || head->queues != config->queues ||
		head->mtu != config->mtu || head->promiscuous != (uint32_t)config->promiscuous)
		return ixgbe_fail(dev, -EINVAL, "state: of another card or configuration");
	return 0;
}

static int check_queue(struct ixgbe *dev, unsigned index, const struct state_queue *state)
{
	const struct dma_region *frames = nic_config_frames(&dev->config, index);

	if (state->frames_size && (!frames || frames->size != state->frames_size))
		return ixgbe_fail(dev, -EINVAL,
			"state: queue %u ran in another configuration's frame memory", index);
	if (!indices_in_order(&state->rx, dev->config.rx_ring) ||
		!indices_in_order(&state->tx, dev->config.tx_ring) ||
		state->tx.shown != state->tx.tail || state->rx_torn > 1 ||
		(!state->frames_size &&
			(state->rx.head != state->rx.tail || state->tx.head != state->tx.tail)))
		return ixgbe_fail(dev, -EINVAL, "state: its indices are not in order");
	return 0;
}

static void set_ring(struct ring *ring, const struct state_ring *from)
{
	ring->head = from->head;
	ring->tail = from->tail;
	ring->shown = from->shown;
}

static const uint8_t *get(void *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	return from + size;
}

static int load_queue(struct ixgbe *dev, unsigned index, const uint8_t *at)
{
	struct ixgbe_queue *q = (struct ixgbe_queue *)dev->nic.queue[index];
	struct ring *rx = &q->head.rx;
	struct ring *tx = &q->head.tx;
	struct state_queue state;
	int rc;

	at = get(&state, at, sizeof state);
	rc = check_queue(dev, index, &state);
	if (rc)
		return rc;
	at = get(rx->buffer, at, words_bytes(ring_size(rx)));
	at = get(tx->buffer, at, words_bytes(ring_size(tx)));
	(void)get(q->rs, at, words_bytes(ring_size(tx)));
	set_ring(rx, &state.rx);
	set_ring(tx, &state.tx);
	q->rx_whole = state.rx_torn ? UINT64_MAX : RX_DD | RX_EOP;
	q->tx_done = state.tx_done;
	q->rs_head = state.rs_head;
	q->rs_tail = state.rs_tail;
	q->head.bad_offsets = state.bad_offsets;
	q->head.bad_writebacks = state.bad_writebacks;
	dev->queue_sum[index] = state.stats;
	if (state.frames_size)
		ixgbe_queue_use(q, nic_config_frames(&dev->config, index));
	return check_reports(dev, q);
}

int ixgbe_state_load(struct ixgbe *dev)
{
	const struct nic_config *config = &dev->config;
	size_t size = ixgbe_state_bytes(config);
	struct state_head head;
	uint8_t *copy = malloc(size);
	int rc;

	if (!copy)
		return ixgbe_fail(dev, -ENOMEM, "out of memory");
	memcpy(copy, config->state, size);
	memcpy(&head, copy, sizeof head);
	rc = check_head(dev, &head);
	if (!rc && sum_of(&head, copy + sizeof head, config) != head.sum)
		rc = ixgbe_fail(dev, -EINVAL, "state: its checksum is wrong");
	for (unsigned i = 0; i < config->queues && !rc; i++)
		rc = load_queue(dev, i, copy + sizeof head + i * queue_bytes(config));
	free(copy);
	if (rc)
		return rc;
	dev->sum = head.stats;
	for (unsigned i = 0; i < config->queues && !rc; i++)
		rc = check_offsets(dev, (const struct ixgbe_queue *)dev->nic.queue[i]);
	return rc;
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

static bool queue_runs(struct ixgbe *dev, unsigned i)
{
	const struct nic_queue *q = dev->nic.queue[i];
	struct nic_ring_place place = nic_place_rings(&dev->config, i);

	return (reg_read(&dev->bar, RXDCTL(i)) & RXDCTL_ENABLE) &&
	       (reg_read(&dev->bar, TXDCTL(i)) & TXDCTL_ENABLE) &&
	       ring_runs(dev, &q->rx, place.rx, RDBAL(i), RDBAH(i), RDLEN(i), RDT(i)) &&
	       ring_runs(dev, &q->tx, place.tx, TDBAL(i), TDBAH(i), TDLEN(i), TDT(i));
}

static bool queue_stands(struct ixgbe *dev, unsigned i)
{
	return !(reg_read(&dev->bar, RXDCTL(i)) & RXDCTL_ENABLE) &&
	       !(reg_read(&dev->bar, TXDCTL(i)) & TXDCTL_ENABLE);
}

int ixgbe_state_compare(struct ixgbe *dev)
{
	bool same = (reg_read(&dev->bar, RXCTRL) & RXCTRL_RXEN) &&
		    (reg_read(&dev->bar, DMATXCTL) & DMATXCTL_TE);

	for (unsigned i = 0; i < dev->nic.queues && same; i++)
		same = dev->nic.queue[i]->frames ? queue_runs(dev, i) : queue_stands(dev, i);
	return same ? 0 : ixgbe_fail(dev, -EINVAL, "state: the card does not run as it says");
}
