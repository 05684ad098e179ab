/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends numbered frames as fast as the card takes them, and says how many a second that was.
 *
 *     generate sim:sink 100000 1514     frames, bytes each; until interrupted, 60
 */
#include <nic/card.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST 32

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Makes up to n frames: to all, of a type for experiments (IEEE 802), numbered. */
static size_t make(struct nic_card *card, struct frame *frames, size_t n, uint16_t len, uint64_t id)
{
	uint32_t offsets[BURST];

	n = nic_pool_get(&card->pool, offsets, n);
	for (size_t i = 0; i < n; i++, id++) {
		uint8_t *data = nic_data(&card->pool, offsets[i]);

		memset(data, 0, len);
		memset(data, 0xff, 6);
		nic_mac(card->nic, data + 6);
		data[12] = 0x88;
		data[13] = 0xb5;
		memcpy(data + 14, &id, sizeof(id));
		frames[i] = (struct frame){.offset = offsets[i], .len = len};
	}
	return n;
}

int main(int argc, char **argv)
{
	uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
	unsigned long len = argc > 3 ? strtoul(argv[3], NULL, 10) : 60;
	struct frame frames[BURST];
	struct nic_card card;
	struct pci_error why;
	uint64_t sent = 0;
	double start;
	int rc;

	if (argc < 2 || argc > 4 || !wanted || len < 22 || len > 14 + NIC_MTU_DEFAULT) {
		fprintf(stderr, "usage: generate ADDRESS [FRAMES [22..1514]]   (sim:sink)\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (nic_card_open(&card, argv[1], NULL, NULL, &why)) {
		fprintf(stderr, "generate: %s\n", why.text);
		return 1;
	}
	if (nic_card_wait_link(&card, 10000)) {
		fprintf(stderr, "generate: no link: is a cable plugged in?\n");
		nic_card_close(&card);
		return 1;
	}
	start = seconds();
	while (!stop && !nic_gone(card.nic) && sent < wanted) {
		size_t n = wanted - sent < BURST ? wanted - sent : BURST;
		size_t made = make(&card, frames, n, (uint16_t)len, sent);
		size_t done = nic_tx(card.queue, &card.pool, frames, made);

		for (size_t i = done; i < made; i++)
			nic_pool_put(&card.pool, &frames[i].offset, 1);
		sent += done;
	}
	/* The last ones leave before the card does. */
	nic_flush(card.queue);
	while (!stop && !nic_gone(card.nic) && nic_tx_held(card.queue))
		nic_tx(card.queue, &card.pool, NULL, 0);
	printf("%llu frames, %.0f a second\n", (unsigned long long)sent,
		(double)sent / (seconds() - start));
	if ((rc = nic_gone(card.nic)))
		fprintf(stderr, "generate: the card is gone\n");
	nic_card_close(&card);
	return rc;
}
