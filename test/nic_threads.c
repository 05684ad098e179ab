/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program on nic.h alone, with a thread for each queue of one card, each with memory, a pool and
 * an interrupt of its own. Every thread sends numbered frames of many flows through a card whose
 * wire brings them back; the card's hash decides who gets them. What test/test_nic_queues.py
 * drives.
 *
 *     nic_threads ADDRESS QUEUES FRAMES irq|poll
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic/pool.h"

#define RING        512u
#define BURST       32u
#define SIZE        60u
#define FLOWS       64u
#define PATIENCE_MS 60000

struct shared {
	struct nic *nic;
	unsigned queues, frames;
	/* Of each thread's frames on their way: of all threads together half a ring, which the card
	 * always has, so that no queue has to drop any, whoever is not run for how long.
	 */
	unsigned window;
	bool interrupts;
	atomic_uint returned[NIC_MAX_QUEUES]; /* frames that are back, by who sent them */
	atomic_uint left;                     /* frames that nobody has got back */
	atomic_bool failed;
};

struct worker {
	pthread_t thread;
	struct shared *shared;
	unsigned index;
	struct dma_region *region;
	struct nic_queue *queue;
	struct nic_pool pool;
	int fd;
	unsigned sent, received, wakes;
	unsigned next[NIC_MAX_QUEUES][FLOWS]; /* the number that a sender's flow goes on with */
	bool mine[NIC_MAX_QUEUES][FLOWS];
	const char *fault;
};

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* TCP, whose ports each card hashes, from the sender's address, a port for each flow; behind it:
 * sender and number.
 */
static void fill(const struct worker *w, uint8_t *data, unsigned number)
{
	static const uint8_t ip[] = {
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

	memset(data, 0, SIZE);
	nic_mac(w->shared->nic, data);
	memcpy(data + 6, data, 6);
	put16(data + 12, 0x0800);
	memcpy(data + 14, ip, sizeof(ip));
	data[29] = (uint8_t)(1 + w->index);
	put16(data + 34, 5000 + number % FLOWS);
	put16(data + 36, 9);
	data[46] = 0x50; /* the header's length */
	data[54] = (uint8_t)w->index;
	memcpy(data + 56, &number, sizeof(number));
}

static void fail(struct worker *w, const char *fault)
{
	w->fault = fault;
	atomic_store(&w->shared->failed, true);
}

static unsigned in_flight(const struct worker *w)
{
	return w->sent - atomic_load(&w->shared->returned[w->index]);
}

static bool send_some(struct worker *w)
{
	struct frame frames[BURST];
	uint32_t offsets[BURST];
	unsigned room = w->shared->window - in_flight(w);
	size_t n = room < BURST ? room : BURST;
	size_t taken;

	if (n > w->shared->frames - w->sent)
		n = w->shared->frames - w->sent;
	n = nic_pool_get(&w->pool, offsets, n);
	for (size_t i = 0; i < n; i++) {
		frames[i] = (struct frame){.offset = offsets[i], .len = SIZE};
		fill(w, nic_data(&w->pool, offsets[i]), w->sent + (unsigned)i);
	}
	taken = nic_tx(w->queue, &w->pool, frames, n);
	(void)nic_pool_put(&w->pool, offsets + taken, n - taken);
	w->sent += (unsigned)taken;
	return taken > 0;
}

/* A flow stays with who got its first frame, and comes in order. */
static void check(struct worker *w, const struct frame *frame)
{
	const uint8_t *data = nic_data(&w->pool, frame->offset);
	unsigned sender = data[54];
	unsigned flow = ((unsigned)data[34] << 8 | data[35]) - 5000;
	unsigned number;

	memcpy(&number, data + 56, sizeof(number));
	if (frame->flags || frame->len != SIZE || sender >= w->shared->queues || flow >= FLOWS) {
		fail(w, "a frame that nobody sent");
		return;
	}
	if (!w->mine[sender][flow] && number != flow)
		fail(w, "a flow that began elsewhere");
	else if (w->mine[sender][flow] && number != w->next[sender][flow])
		fail(w, "a frame out of its order");
	w->mine[sender][flow] = true;
	w->next[sender][flow] = number + FLOWS;
	w->received++;
	atomic_fetch_add(&w->shared->returned[sender], 1);
	atomic_fetch_sub(&w->shared->left, 1);
}

static bool receive_some(struct worker *w)
{
	struct frame frames[BURST];
	size_t n = nic_rx(w->queue, &w->pool, frames, BURST);

	for (size_t i = 0; i < n; i++) {
		check(w, &frames[i]);
		(void)nic_pool_put(&w->pool, &frames[i].offset, 1);
	}
	return n > 0;
}

/* Sleeps on this queue's vector alone. What lets it go on without a frame of its own (others got
 * its frames back, or the end) it sees by itself, soon.
 */
static void rest(struct worker *w)
{
	struct pollfd event = {.fd = w->fd, .events = POLLIN};
	uint64_t count;

	nic_flush(w->queue);
	if (!w->shared->interrupts)
		return;
	nic_irq_arm_queue(w->shared->nic, w->index);
	if (receive_some(w))
		return;
	if (poll(&event, 1, 1) > 0 &&
		read(w->fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
		w->wakes++;
		if (nic_irq_ack(w->shared->nic, nic_irq_vector(w->shared->nic, w->index)) < 0)
			fail(w, "the card is gone");
	}
}

static void *work(void *context)
{
	struct worker *w = context;
	struct timespec now;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + PATIENCE_MS / 1000;
	while (atomic_load(&w->shared->left) > 0 && !atomic_load(&w->shared->failed)) {
		bool moved = receive_some(w);

		moved |= send_some(w);
		if (moved)
			continue;
		rest(w);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end)
			fail(w, "frames are missing");
	}
	return NULL;
}

/* All buffers are in the pool or in the rings. */
static size_t lost(struct worker *w)
{
	(void)nic_tx(w->queue, &w->pool, NULL, 0);
	return w->pool.size - w->pool.top - nic_rx_held(w->queue) - nic_tx_held(w->queue);
}

static int report(struct shared *shared, struct worker *workers)
{
	struct nic_stats all;
	int bad = 0;

	if (nic_stats(shared->nic, &all))
		return 1;
	printf("{\"rx_frames\": %" PRIu64 ", \"tx_frames\": %" PRIu64 ", \"rx_dropped\": %" PRIu64
	       ", \"bad\": %" PRIu64 ", \"queues\": [",
		all.rx_frames, all.tx_frames, all.rx_dropped + all.rx_missed,
		all.bad_offsets + all.bad_writebacks);
	for (unsigned i = 0; i < shared->queues; i++) {
		struct worker *w = &workers[i];
		struct nic_queue_stats q;

		if (nic_queue_stats(shared->nic, i, &q))
			return 1;
		printf("%s{\"sent\": %u, \"received\": %u, \"rx_frames\": %" PRIu64
		       ", \"tx_frames\": %" PRIu64 ", \"rx_bytes\": %" PRIu64
		       ", \"tx_bytes\": %" PRIu64 ", \"wakes\": %u, \"lost\": %zu}",
			i ? ", " : "", w->sent, w->received, q.rx_frames, q.tx_frames, q.rx_bytes,
			q.tx_bytes, w->wakes, lost(w));
		if (w->fault) {
			fprintf(stderr, "nic_threads: queue %u: %s\n", i, w->fault);
			bad = 1;
		}
	}
	printf("]}\n");
	return bad;
}

static int complain(const struct pci_error *why)
{
	fprintf(stderr, "nic_threads: %s\n", why->text);
	return 1;
}

static int open_card(struct shared *shared, struct worker *workers, struct pci_function *fn,
	struct pci_error *why)
{
	struct nic_config config = {.queues = shared->queues,
		.rx_ring = RING,
		.tx_ring = RING,
		.mtu = 1500,
		.interrupts = shared->interrupts};
	struct dma_region *rings;
	int fd[NIC_MAX_QUEUES + 1];

	if (pci_dma_create(fn, nic_ring_bytes(&config), &rings, why))
		return 1;
	for (unsigned i = 0; i < shared->queues; i++) {
		/* A chunk, which has 992 buffers: it may be a huge page. */
		if (pci_dma_create(fn, DMA_CHUNK_SIZE, &workers[i].region, why))
			return 1;
		config.queue_frames[i] = workers[i].region;
	}
	config.rings = rings;
	config.frames = workers[0].region;
	if (nic_open(&shared->nic, fn, &config, why))
		return 1;
	if (shared->interrupts && nic_irq_fds(shared->nic, fd) != shared->queues + 1) {
		snprintf(why->text, sizeof(why->text), "no vector for each queue");
		return 1;
	}
	for (unsigned i = 0; i < shared->queues; i++) {
		workers[i].shared = shared;
		workers[i].index = i;
		workers[i].queue = nic_queue(shared->nic, i);
		workers[i].fd = shared->interrupts ? fd[nic_irq_vector(shared->nic, i)] : -1;
		if (nic_pool_init(&workers[i].pool, workers[i].region))
			return 1;
	}
	return 0;
}

static int wait_for_link(struct nic *nic)
{
	struct nic_link link = {0};

	for (unsigned ms = 0; ms < PATIENCE_MS && !link.up; ms++) {
		if (nic_link(nic, &link))
			return 1;
		pci_delay_us(1000);
	}
	return !link.up;
}

int main(int argc, char **argv)
{
	static struct shared shared;
	static struct worker workers[NIC_MAX_QUEUES];
	struct pci_error why = {"no memory, or no link"};
	struct pci_function *fn;
	int rc;

	if (argc != 5)
		return 2;
	shared.queues = (unsigned)strtoul(argv[2], NULL, 10);
	shared.frames = (unsigned)strtoul(argv[3], NULL, 10);
	shared.interrupts = strcmp(argv[4], "irq") == 0;
	if (shared.queues == 0 || shared.queues > NIC_MAX_QUEUES)
		return 2;
	shared.window = RING / 2 / shared.queues;
	atomic_store(&shared.left, shared.queues * shared.frames);
	if (pci_open(&fn, argv[1], &why) || open_card(&shared, workers, fn, &why) ||
		wait_for_link(shared.nic))
		return complain(&why);
	/* Buffers for all before the first frame: a queue without any drops what comes. */
	for (unsigned i = 0; i < shared.queues; i++)
		(void)receive_some(&workers[i]);
	for (unsigned i = 0; i < shared.queues; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return complain(&why);
	for (unsigned i = 0; i < shared.queues; i++)
		pthread_join(workers[i].thread, NULL);
	rc = report(&shared, workers);
	for (unsigned i = 0; i < shared.queues; i++)
		nic_pool_fini(&workers[i].pool);
	nic_close(shared.nic);
	pci_close(fn);
	return rc;
}
