/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program on nic/forward.h: what one card receives another sends, both ways; or one card sends
 * what it receives. Until SIGTERM; then it says what it did. What test/test_forward.py drives.
 *
 * It looks at each frame: adds one to its last byte, and drops those whose first byte behind the
 * addresses and the type is 0xDD.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic/forward.h"
#include "nic/pool.h"

#define BURST 32u

struct card {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
};

struct bridge {
	unsigned cards;
	struct card card[2];
	struct nic_pool pool;
	bool in_place;
	unsigned ring;
	uint64_t forwarded, dropped;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "nic_bridge: %s: %s\n", what, why);
	return 1;
}

static void look(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	struct bridge *b = ctx;

	for (size_t i = 0; i < n; i++) {
		uint8_t *data = base + frames[i].offset;

		if (frames[i].flags)
			continue;
		if (data[14] == 0xDD) {
			frames[i].len = 0;
			b->dropped++;
		} else {
			data[frames[i].len - 1]++;
			b->forwarded++;
		}
	}
}

/* The first card's memory is the second's, too, at the same addresses. */
static int get_memory(struct bridge *b, struct card *card, size_t rings, struct pci_error *why)
{
	size_t frames = (size_t)2 * b->ring * NIC_BUFFER_STRIDE + DMA_CHUNK_SIZE;
	const struct card *first = &b->card[0];
	int rc;

	if (card == first) {
		rc = pci_dma_create(card->fn, rings, &card->rings, why);
		return rc ? rc : pci_dma_create(card->fn, frames, &card->frames, why);
	}
	rc = pci_dma_share(card->fn, first->frames, &card->frames, why);
	if (rc)
		return rc;
	return b->in_place ? pci_dma_share(card->fn, first->rings, &card->rings, why)
			   : pci_dma_create(card->fn, rings, &card->rings, why);
}

static int open_card(struct bridge *b, struct card *card, const char *address)
{
	enum nic_in_place place = b->cards == 1         ? NIC_MIRROR
				  : card == &b->card[0] ? NIC_LEFT
							: NIC_RIGHT;
	struct nic_config config = {.queues = 1,
		.rx_ring = b->ring,
		.tx_ring = b->ring,
		.promiscuous = true,
		.mtu = 1500,
		.in_place = b->in_place ? place : NIC_APART};
	struct pci_error why = {"out of memory"};
	size_t buffers = b->in_place ? b->ring : b->ring - 4, given = 0;

	if (pci_open(&card->fn, address, &why) ||
		get_memory(b, card, nic_ring_bytes(&config), &why))
		return fail(address, why.text);
	config.rings = card->rings;
	config.frames = card->frames;
	if (card == &b->card[0] && nic_pool_init(&b->pool, card->frames))
		return fail(address, "out of memory");
	if (nic_open(&card->nic, card->fn, &config, &why))
		return fail(address, why.text);
	card->q = nic_queue(card->nic, 0);
	while (given < buffers) {
		uint32_t offset;

		if (!nic_pool_get(&b->pool, &offset, 1) || !nic_rx_provide(card->q, &offset, 1))
			return fail(address, "too few buffers");
		given++;
	}
	nic_flush(card->q);
	return 0;
}

static int forward(struct bridge *b)
{
	struct card *left = &b->card[0], *right = &b->card[b->cards - 1];
	struct pci_error why;

	if (nic_forward_check(left->q, right->q, &why) ||
		nic_forward_check(right->q, left->q, &why))
		return fail("no bridge", why.text);
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		size_t n = nic_forward(left->q, right->q, BURST, look, b);

		if (left != right)
			n += nic_forward(right->q, left->q, BURST, look, b);
		if (n)
			continue;
		if (nic_gone(left->nic) || nic_gone(right->nic))
			return fail("no bridge", "a card is gone");
		usleep(200);
	}
	return 0;
}

static void report(const struct bridge *b)
{
	struct nic_stats sum = {0};
	size_t held = 0;

	for (unsigned i = 0; i < b->cards; i++) {
		struct nic_stats s;

		if (nic_stats(b->card[i].nic, &s))
			continue;
		sum.rx_frames += s.rx_frames;
		sum.tx_frames += s.tx_frames;
		sum.rx_missed += s.rx_missed + s.rx_dropped;
		sum.bad_offsets += s.bad_offsets + s.bad_writebacks;
		held += nic_rx_held(b->card[i].q) + nic_tx_held(b->card[i].q);
	}
	printf("{\"forwarded\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"rx_frames\": %" PRIu64
	       ", \"tx_frames\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"bad\": %" PRIu64
	       ", \"lost_buffers\": %zu}\n",
		b->forwarded, b->dropped, sum.rx_frames, sum.tx_frames, sum.rx_missed,
		sum.bad_offsets, b->pool.size - b->pool.top - held);
}

static void clean_up(struct bridge *b)
{
	for (unsigned i = 0; i < b->cards; i++)
		nic_close(b->card[i].nic);
	nic_pool_fini(&b->pool);
	for (unsigned i = b->cards; i-- > 0;) {
		struct card *card = &b->card[i];

		if (card->rings)
			pci_dma_destroy(card->fn, card->rings);
		if (card->frames)
			pci_dma_destroy(card->fn, card->frames);
		if (card->fn)
			pci_close(card->fn);
	}
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"in-place", 0, NULL, 'i'}, {"ring", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
	struct bridge b = {.ring = 64};
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'i': b.in_place = true; break;
		case 'r': b.ring = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (argc - optind < 1 || argc - optind > 2)
		return fail("usage", "nic_bridge [--in-place] [--ring N] ADDRESS [ADDRESS]");
	signal(SIGTERM, on_signal);
	b.cards = (unsigned)(argc - optind);
	for (unsigned i = 0; i < b.cards && !rc; i++)
		rc = open_card(&b, &b.card[i], argv[optind + (int)i]);
	if (!rc)
		rc = forward(&b);
	if (!rc)
		report(&b);
	clean_up(&b);
	return rc;
}
