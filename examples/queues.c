/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two queues of one card, a thread each: the card spreads what comes by addresses and ports, so
 * that a connection stays with a thread. Each sends back what came to it. They share no memory.
 *
 *     queues 0000:01:00.0
 */
#include <nic/card.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#define BURST  32
#define QUEUES 2

static atomic_bool stop;

struct worker {
	pthread_t thread;
	struct nic *nic;
	struct nic_queue *queue;
	struct nic_pool *pool;
	unsigned long frames;
};

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct frame frames[BURST];

	while (!stop && !nic_gone(w->nic)) {
		size_t n = nic_rx(w->queue, w->pool, frames, BURST);
		size_t sent = nic_tx(w->queue, w->pool, frames, n);

		/* What finds no room is dropped. */
		for (size_t i = sent; i < n; i++)
			nic_pool_put(w->pool, &frames[i].offset, 1);
		w->frames += sent;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct nic_config config = {.queues = QUEUES, .promiscuous = true};
	struct worker worker[QUEUES] = {0};
	struct nic_pool second = {0};
	struct dma_region *memory;
	struct nic_card card = {0};
	struct pci_error why = {"a thread, or memory for one, can't be had"};
	unsigned running = 0;
	int rc = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: queues ADDRESS   (0000:01:00.0, sim:loop)\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	/* Queue 0 runs from here on; the other one gets memory of its own, and is started. */
	if (nic_card_open(&card, argv[1], &config, NULL, &why) ||
		pci_dma_create(card.fn, card.frames->size, &memory, &why) ||
		nic_pool_init(&second, memory) || nic_queue_start(card.nic, 1, memory))
		goto out;
	for (; running < QUEUES; running++) {
		struct worker *w = &worker[running];

		*w = (struct worker){.nic = card.nic,
			.queue = nic_queue(card.nic, running),
			.pool = running ? &second : &card.pool};
		/* Buffers for what comes, before it comes. */
		nic_rx(w->queue, w->pool, NULL, 0);
		if (pthread_create(&w->thread, NULL, work, w))
			break;
	}
	stop = stop || running < QUEUES;
	puts("running");
	fflush(stdout);
	for (unsigned i = 0; i < running; i++) {
		pthread_join(worker[i].thread, NULL);
		printf("queue %u: %lu frames\n", i, worker[i].frames);
	}
	rc = running < QUEUES || nic_gone(card.nic);
	if (nic_gone(card.nic))
		snprintf(why.text, sizeof(why.text), "the card is gone");
out:
	if (rc)
		fprintf(stderr, "queues: %s\n", why.text);
	nic_pool_fini(&second);
	nic_card_close(&card);
	return rc;
}
