/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program on nic/forward.h: what one card receives another sends, both ways; or one card sends
 * what it receives. Until SIGTERM; then it says what it did. What test/test_forward.py drives, and
 * test/test_judge_dhcp.py.
 *
 * It looks at each frame: adds one to its last byte, and drops those whose first byte behind the
 * addresses and the type is 0xDD; with --unchanged it does not. With --irq it sleeps until one of
 * the cards interrupts.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nic/forward.h"
#include "nic/pool.h"

#define BURST   32u
#define NAP_US  200
#define LINK_MS 100

struct card {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
	int fd[NIC_MAX_QUEUES + 1];
	size_t fds;
};

struct bridge {
	unsigned cards;
	struct card card[2];
	struct nic_pool pool;
	bool in_place, irq, up;
	unsigned ring;
	nic_look *look;
	uint64_t forwarded, dropped, interrupts;
};

static volatile sig_atomic_t stop;
static int stop_fd; /* what ends a sleep, too */

static void on_signal(int number)
{
	const uint64_t one = 1;

	(void)number;
	stop = 1;
	(void)!write(stop_fd, &one, sizeof(one));
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

/* The first card's memory is the second's, too, at the same addresses. Of whole chunks: so it can
 * be of huge pages.
 */
static int get_memory(struct bridge *b, struct card *card, size_t rings, struct pci_error *why)
{
	size_t frames =
		((size_t)2 * b->ring * NIC_BUFFER_STRIDE / DMA_CHUNK_SIZE + 1) * DMA_CHUNK_SIZE;
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
		.interrupts = b->irq,
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
	card->fds = nic_irq_fds(card->nic, card->fd);
	while (given < buffers) {
		uint32_t offset;

		if (!nic_pool_get(&b->pool, &offset, 1) || !nic_rx_provide(card->q, &offset, 1))
			return fail(address, "too few buffers");
		given++;
	}
	nic_flush(card->q);
	return 0;
}

static size_t carry(struct bridge *b)
{
	struct nic_queue *left = b->card[0].q, *right = b->card[b->cards - 1].q;
	size_t n = nic_forward(left, right, BURST, b->look, b);

	return left == right ? n : n + nic_forward(right, left, BURST, b->look, b);
}

/* Sleeps until a card interrupts, unless there is something to carry. While a link is not up it
 * looks for that, too.
 */
static void wait_for_it(struct bridge *b)
{
	struct pollfd polls[1 + 2 * (NIC_MAX_QUEUES + 1)] = {{.fd = stop_fd, .events = POLLIN}};
	nfds_t n = 1;

	for (unsigned c = 0; c < b->cards; c++) {
		nic_irq_arm(b->card[c].nic);
		for (size_t i = 0; i < b->card[c].fds; i++)
			polls[n++] = (struct pollfd){.fd = b->card[c].fd[i], .events = POLLIN};
	}
	if (carry(b) || poll(polls, n, b->up ? -1 : LINK_MS) <= 0)
		return;
	for (unsigned c = b->cards; c-- > 0;) {
		for (size_t i = b->card[c].fds; i-- > 0;) {
			uint64_t count;

			if (!polls[--n].revents ||
				read(polls[n].fd, &count, sizeof(count)) != sizeof(count))
				continue;
			nic_irq_ack(b->card[c].nic, i);
			b->interrupts++;
		}
	}
}

static bool up(const struct bridge *b)
{
	struct nic_link link;

	for (unsigned i = 0; i < b->cards; i++) {
		if (nic_link(b->card[i].nic, &link) || !link.up)
			return false;
	}
	return true;
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
		if (carry(b))
			continue;
		if (nic_gone(left->nic) || nic_gone(right->nic))
			return fail("no bridge", "a card is gone");
		if (!b->up && up(b)) {
			b->up = true;
			printf("up\n");
			fflush(stdout);
		}
		nic_flush(left->q);
		nic_flush(right->q);
		if (b->irq)
			wait_for_it(b);
		else
			usleep(NAP_US);
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
		sum.rx_other_errors += s.rx_crc_errors + s.rx_length_errors + s.rx_other_errors;
		sum.bad_offsets += s.bad_offsets + s.bad_writebacks;
		held += nic_rx_held(b->card[i].q) + nic_tx_held(b->card[i].q);
	}
	printf("{\"forwarded\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"rx_frames\": %" PRIu64
	       ", \"tx_frames\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"errors\": %" PRIu64
	       ", \"bad\": %" PRIu64 ", \"lost_buffers\": %zu, \"interrupts\": %" PRIu64 "}\n",
		b->forwarded, b->dropped, sum.rx_frames, sum.tx_frames, sum.rx_missed,
		sum.rx_other_errors, sum.bad_offsets, b->pool.size - b->pool.top - held,
		b->interrupts);
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
	static const struct option known[] = {{"in-place", 0, NULL, 'i'}, {"irq", 0, NULL, 'q'},
		{"unchanged", 0, NULL, 'u'}, {"ring", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
	struct bridge b = {.ring = 64, .look = look};
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'i': b.in_place = true; break;
		case 'q': b.irq = true; break;
		case 'u': b.look = NULL; break;
		case 'r': b.ring = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (argc - optind < 1 || argc - optind > 2)
		return fail("usage", "nic_bridge [--in-place] [--irq] [--unchanged] [--ring N] "
				     "ADDRESS [ADDRESS]");
	stop_fd = eventfd(0, 0);
	if (stop_fd < 0)
		return fail("eventfd", strerror(errno));
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
