/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The memory may have been scribbled on by a process that went mad: it is copied, then judged.
 */
#include <errno.h>
#include <stdlib.h>

#include "nic/state.h"

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
	uint16_t promiscuous, filters;
	uint32_t rx_ring, tx_ring;
	uint32_t queues;
	uint16_t offloads;
	uint8_t pause, drop;
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

size_t nic_state_size(const struct nic_config *config)
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

void nic_state_forget(const struct nic_config *config)
{
	if (config->state)
		memset(config->state, 0, sizeof(struct state_head));
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return to + size;
}

static uint8_t *save_queue(const struct nic_running *running, unsigned index, uint8_t *at)
{
	const struct nic_queue *q = running->nic->queue[index];
	const struct nic_books *books = &running->books[index];
	const struct ring *rx = &q->rx;
	const struct ring *tx = &q->tx;
	const struct state_queue state = {
		.frames_size = q->frames ? q->frames->size : 0,
		.bad_offsets = q->bad_offsets,
		.bad_writebacks = q->bad_writebacks,
		.stats = *books->stats,
		.rx = {rx->head, rx->tail, rx->shown},
		.tx = {tx->head, tx->tail, tx->shown},
		.rx_torn = *books->torn,
		.tx_done = *books->tx_done,
		.rs_head = *books->rs_head,
		.rs_tail = *books->rs_tail,
	};

	at = put(at, &state, sizeof state);
	at = put(at, rx->buffer, words_bytes(ring_size(rx)));
	at = put(at, tx->buffer, words_bytes(ring_size(tx)));
	return put(at, books->rs, words_bytes(ring_size(tx)));
}

void nic_state_save(const struct nic_running *running)
{
	const struct nic_config *config = &running->nic->config;
	uint8_t *state = config->state;
	struct state_head head = {
		.version = STATE_VERSION,
		.stats = *running->stats,
		.device = running->device,
		.mtu = config->mtu,
		.promiscuous = config->promiscuous,
		.filters = running->nic->filters,
		.rx_ring = config->rx_ring,
		.tx_ring = config->tx_ring,
		.queues = config->queues,
		.offloads = (uint16_t)config->offloads,
		.pause = (uint8_t)config->pause,
		.drop = (uint8_t)config->drop,
	};
	uint8_t *at;

	if (!state)
		return;
	at = state + sizeof head;
	for (unsigned i = 0; i < config->queues; i++)
		at = save_queue(running, i, at);
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
static int check_offsets(const struct nic_running *running, struct nic_queue *q, bool bare)
{
	const struct ring *rx = &q->rx;
	const struct ring *tx = &q->tx;

	for (uint32_t at = rx->head; at != rx->tail; at++) {
		uint32_t offset = rx->buffer[at & rx->mask];

		if (offset - NIC_BUFFER_HEAD > q->frames->size - NIC_BUFFER_STRIDE ||
			(offset & (DMA_CHUNK_SIZE - 1)) > DMA_CHUNK_SIZE - NIC_BUFFER_SIZE)
			return nic_fail(
				running->nic, -EINVAL, "state: a receive buffer lies outside");
	}
	for (uint32_t at = tx->head; at != tx->tail; at++) {
		if (bare && tx->buffer[at & tx->mask] == NO_BUFFER)
			q->tx_bare++;
		else if (tx->buffer[at & tx->mask] >= q->frames->size)
			return nic_fail(
				running->nic, -EINVAL, "state: a frame to send lies outside");
	}
	return 0;
}

/* RS stands on descriptors in ascending order between what is done and the tail, and on the last:
 * otherwise a frame's buffer would never come back.
 */
static int check_reports(
	const struct nic_running *running, const struct ring *tx, const struct nic_books *books)
{
	uint32_t left = tx->tail - *books->tx_done;
	uint32_t behind = 0; /* slots up to and with the RS before */

	if (*books->tx_done - tx->head > ring_held(tx) || *books->rs_tail - *books->rs_head > left)
		return nic_fail(
			running->nic, -EINVAL, "state: its transmit indices are not in order");
	for (uint32_t i = *books->rs_head; i != *books->rs_tail; i++) {
		uint32_t at = books->rs[i & tx->mask] - *books->tx_done;

		if (at < behind || at >= left)
			return nic_fail(running->nic, -EINVAL, "state: its list of reports is not");
		behind = at + 1;
	}
	if (behind != left)
		return nic_fail(running->nic, -EINVAL, "state: nothing reports the last frame");
	return 0;
}

static int check_head(const struct nic_running *running, const struct state_head *head)
{
	const struct nic_config *config = &running->nic->config;

	if (head->magic != STATE_MAGIC)
		return nic_fail(running->nic, -EINVAL, "state: there is none");
	if (head->version != STATE_VERSION)
		return nic_fail(running->nic, -EINVAL, "state: of version %u, not %u",
			head->version, STATE_VERSION);
	if (head->device != running->device || head->rx_ring != config->rx_ring ||
		head->tx_ring != config->tx_ring || head->queues != config->queues ||
		head->offloads != config->offloads || head->pause != config->pause ||
		head->drop != (uint8_t)config->drop || head->mtu != config->mtu ||
		head->promiscuous != (uint16_t)config->promiscuous)
		return nic_fail(running->nic, -EINVAL, "state: of another card or configuration");
	return 0;
}

static int check_queue(
	const struct nic_running *running, unsigned index, const struct state_queue *state)
{
	const struct nic_config *config = &running->nic->config;
	const struct dma_region *frames = nic_config_frames(config, index);

	if (state->frames_size && (!frames || frames->size != state->frames_size))
		return nic_fail(running->nic, -EINVAL,
			"state: queue %u ran in another configuration's frame memory", index);
	if (!indices_in_order(&state->rx, config->rx_ring) ||
		!indices_in_order(&state->tx, config->tx_ring) ||
		state->tx.shown != state->tx.tail || state->rx_torn > 1 ||
		(!state->frames_size &&
			(state->rx.head != state->rx.tail || state->tx.head != state->tx.tail)))
		return nic_fail(running->nic, -EINVAL, "state: its indices are not in order");
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

static int load_queue(const struct nic_running *running, unsigned index, const uint8_t *at)
{
	struct nic_queue *q = running->nic->queue[index];
	const struct nic_books *books = &running->books[index];
	struct ring *rx = &q->rx;
	struct ring *tx = &q->tx;
	struct state_queue state;
	int rc;

	at = get(&state, at, sizeof state);
	rc = check_queue(running, index, &state);
	if (rc)
		return rc;
	at = get(rx->buffer, at, words_bytes(ring_size(rx)));
	at = get(tx->buffer, at, words_bytes(ring_size(tx)));
	(void)get(books->rs, at, words_bytes(ring_size(tx)));
	set_ring(rx, &state.rx);
	set_ring(tx, &state.tx);
	*books->torn = state.rx_torn;
	*books->tx_done = state.tx_done;
	*books->rs_head = state.rs_head;
	*books->rs_tail = state.rs_tail;
	*books->stats = state.stats;
	q->bad_offsets = state.bad_offsets;
	q->bad_writebacks = state.bad_writebacks;
	if (!state.frames_size)
		return 0;
	q->frames = nic_config_frames(&running->nic->config, index);
	rc = check_offsets(running, q, books->bare || running->nic->config.offloads & NIC_TX_META);
	return rc ? rc : check_reports(running, tx, books);
}

int nic_state_load(const struct nic_running *running)
{
	const struct nic_config *config = &running->nic->config;
	size_t size = nic_state_size(config);
	struct state_head head;
	uint8_t *copy = malloc(size);
	int rc;

	if (!copy)
		return nic_fail(running->nic, -ENOMEM, "out of memory");
	memcpy(copy, config->state, size);
	memcpy(&head, copy, sizeof head);
	rc = check_head(running, &head);
	if (!rc && sum_of(&head, copy + sizeof head, config) != head.sum)
		rc = nic_fail(running->nic, -EINVAL, "state: its checksum is wrong");
	for (unsigned i = 0; i < config->queues && !rc; i++)
		rc = load_queue(running, i, copy + sizeof head + i * queue_bytes(config));
	free(copy);
	if (rc)
		return rc;
	*running->stats = head.stats;
	running->nic->filters = head.filters;
	return 0;
}
