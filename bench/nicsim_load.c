/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver that asks all of software cards that it can: sends without end, receives without end,
 * and prints how many million frames a second the cards have counted. For bench/nicsim.py:
 *
 *     nicsim_load tx|rx|both SECONDS ADDRESS [ADDRESS]
 *
 * With two cards, at the ends of a cable, what counts is the slower direction. Before the time is
 * taken the cards run for a tenth of it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nic/pool.h"

#define CARDS   2u
#define RING    512u
#define BUFFERS 2048u
#define BURST   64u
#define FRAME   60u
#define ROUNDS  256u /* between two looks at the clock */

struct card {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
	struct nic_pool pool;
	struct nic_stats before, after;
};

struct load {
	bool tx, rx;
	unsigned cards;
	struct card card[CARDS];
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "nicsim_load: %s: %s\n", what, why);
	return 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Every buffer holds a frame to all, of a type for experiments (IEEE 802). */
static void fill(struct card *card)
{
	for (uint32_t i = 0; i < card->pool.top; i++) {
		uint8_t *data = nic_data(&card->pool, card->pool.free[i]);

		memset(data, 0xff, 6);
		memset(data + 6, 0x02, 6);
		data[12] = 0x88;
		data[13] = 0xb5;
	}
}

static int open_card(struct card *card, const char *address)
{
	struct nic_config config = {
		.queues = 1, .rx_ring = RING, .tx_ring = RING, .promiscuous = true, .mtu = 1500};
	struct pci_error why = {"out of memory"};

	if (pci_open(&card->fn, address, &why) ||
		pci_dma_create(card->fn, nic_ring_bytes(&config), &card->rings, &why) ||
		pci_dma_create(card->fn, (size_t)BUFFERS * NIC_BUFFER_STRIDE, &card->frames, &why))
		return fail(address, why.text);
	config.rings = card->rings;
	config.frames = card->frames;
	if (nic_pool_init(&card->pool, card->frames) ||
		nic_open(&card->nic, card->fn, &config, &why))
		return fail(address, why.text);
	card->q = nic_queue(card->nic, 0);
	fill(card);
	return 0;
}

static void close_card(struct card *card)
{
	nic_close(card->nic);
	nic_pool_fini(&card->pool);
	if (card->frames)
		pci_dma_destroy(card->fn, card->frames);
	if (card->rings)
		pci_dma_destroy(card->fn, card->rings);
	if (card->fn)
		pci_close(card->fn);
}

static void receive(struct card *card)
{
	struct frame frames[BURST];
	uint32_t offsets[BURST];
	size_t n = nic_rx(card->q, &card->pool, frames, BURST);

	for (size_t i = 0; i < n; i++)
		offsets[i] = frames[i].offset;
	nic_pool_put(&card->pool, offsets, n);
}

static void send_frames(struct card *card)
{
	struct frame frames[BURST];
	uint32_t offsets[BURST];
	size_t n = nic_pool_get(&card->pool, offsets, BURST), done;

	for (size_t i = 0; i < n; i++)
		frames[i] = (struct frame){offsets[i], FRAME, 0};
	done = nic_tx(card->q, &card->pool, frames, n);
	nic_pool_put(&card->pool, offsets + done, n - done);
}

/* How long it took, or less than 0: a card is gone. */
static double run(struct load *load, double seconds)
{
	double start = now(), end;

	do {
		for (unsigned i = 0; i < ROUNDS; i++) {
			for (unsigned n = 0; n < load->cards; n++) {
				if (load->rx)
					receive(&load->card[n]);
				if (load->tx)
					send_frames(&load->card[n]);
			}
		}
		for (unsigned n = 0; n < load->cards; n++) {
			if (nic_gone(load->card[n].nic))
				return -1;
		}
		end = now();
	} while (end - start < seconds);
	return end - start;
}

static int measure(struct load *load, double seconds)
{
	double took, tx = 0, rx = 0;

	if (run(load, seconds / 10) < 0)
		return fail("card", "gone");
	for (unsigned n = 0; n < load->cards; n++) {
		if (nic_stats(load->card[n].nic, &load->card[n].before))
			return fail("card", "no counters");
	}
	took = run(load, seconds);
	if (took < 0)
		return fail("card", "gone");
	for (unsigned n = 0; n < load->cards; n++) {
		struct card *card = &load->card[n];
		double sent, received;

		if (nic_stats(card->nic, &card->after))
			return fail("card", "no counters");
		if (card->after.bad_writebacks || card->after.bad_offsets)
			return fail("card", "descriptors that cannot be");
		sent = (double)(card->after.tx_frames - card->before.tx_frames) / took / 1e6;
		received = (double)(card->after.rx_frames - card->before.rx_frames) / took / 1e6;
		tx = n == 0 || sent < tx ? sent : tx;
		rx = n == 0 || received < rx ? received : rx;
	}
	printf("tx %.3f\nrx %.3f\n", tx, rx);
	return 0;
}

static bool links_are_up(struct load *load)
{
	for (unsigned n = 0; n < load->cards; n++) {
		struct nic_link link;

		if (nic_link(load->card[n].nic, &link) || !link.up)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct load load = {0};
	const char *mode = argc > 1 ? argv[1] : "";
	int rc = 0;

	load.tx = !strcmp(mode, "tx") || !strcmp(mode, "both");
	load.rx = !strcmp(mode, "rx") || !strcmp(mode, "both");
	if (argc < 4 || argc > 3 + (int)CARDS || !(load.tx || load.rx))
		return fail("usage", "nicsim_load tx|rx|both SECONDS ADDRESS [ADDRESS]");
	for (int i = 3; i < argc && rc == 0; i++)
		rc = open_card(&load.card[load.cards++], argv[i]);
	if (rc == 0) {
		double limit = now() + 30;

		while (!links_are_up(&load) && now() < limit)
			pci_delay_us(1000);
		rc = links_are_up(&load) ? measure(&load, strtod(argv[2], NULL))
					 : fail(argv[3], "no link");
	}
	for (unsigned n = 0; n < load.cards; n++)
		close_card(&load.card[n]);
	return rc;
}
