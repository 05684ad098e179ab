/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A program on nic.h alone: sends numbered frames through a card whose wire brings them back, and
 * checks each byte, the order and the counters; or watches the link. Waits for interrupts whenever
 * nothing moves, so that a lost one shows as a time-out. What test/test_nic.py drives.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic/pool.h"

#define BURST_MAX     64u
#define FRAME_HEAD    18u /* addresses, type, number */
#define FRAME_MAX     (NIC_MTU_MAX + 18u)
#define ENTRIES(size) (((size) + NIC_BUFFER_SIZE - 1) / NIC_BUFFER_SIZE)

struct options {
	const char *address;
	const char *irq; /* msix, msi, intx, poll; NULL: the best that is there */
	unsigned ring, burst, window;
	unsigned first_size, last_size, random_frames;
	unsigned link_changes;
	bool filtered, to_others;
	bool armed; /* an interrupt for each frame, which is sent when none can be missed */
	uint16_t mtu;
	int patience; /* ms without any progress */
};

struct run {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
	struct nic_pool pool;
	int fd[NIC_MAX_QUEUES + 1];
	size_t fds;
	uint8_t mac[6];
	unsigned interrupts, link_events, errors;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "nic_loop: %s: %s\n", what, why);
	return 1;
}

static unsigned size_of(const struct options *o, unsigned number)
{
	unsigned sizes = o->last_size - o->first_size + 1;

	return o->first_size + (number < sizes ? number : (number * 2654435761u >> 8) % sizes);
}

static void fill(const struct options *o, const struct run *r, uint8_t *data, unsigned number)
{
	static const uint8_t other[6] = {0x02, 0x99, 0x99, 0x99, 0x99, 0x99};
	unsigned size = size_of(o, number);

	memcpy(data, o->to_others ? other : r->mac, 6);
	memcpy(data + 6, r->mac, 6);
	data[12] = 0x88;
	data[13] = 0xB5; /* for experiments (IEEE 802) */
	memcpy(data + 14, &number, 4);
	for (unsigned i = FRAME_HEAD; i < size; i++)
		data[i] = (uint8_t)(number * 31 + i * 7);
}

/* A frame in as many entries. */
static bool right(const struct options *o, const struct run *r, const struct frame *frames,
	size_t entries, unsigned number)
{
	static uint8_t expected[FRAME_MAX];
	unsigned size = size_of(o, number);
	unsigned at = 0;

	/* The card pads to 60 bytes. */
	memset(expected, 0, 60);
	fill(o, r, expected, number);
	if (size < 60)
		size = 60;
	for (size_t i = 0; i < entries; at += frames[i++].len)
		if (frames[i].flags != (i + 1 < entries ? FRAME_MORE : 0) ||
			frames[i].len > size - at ||
			memcmp(nic_data(&r->pool, frames[i].offset), expected + at,
				frames[i].len) != 0)
			return false;
	return at == size && entries == ENTRIES(size);
}

static int print_link(struct run *r)
{
	struct nic_link link;
	int rc = nic_link(r->nic, &link);

	if (rc)
		return rc;
	printf("link %s %u\n", link.up ? "up" : "down", link.mbit);
	fflush(stdout);
	return 0;
}

/* Sleeps until an interrupt, or the card is gone. False: neither. */
static bool sleep_for_it(struct run *r, int patience)
{
	struct pollfd polls[NIC_MAX_QUEUES + 2];
	bool any = false;

	for (size_t i = 0; i < r->fds; i++)
		polls[i] = (struct pollfd){.fd = r->fd[i], .events = POLLIN};
	/* Where doorbells are memory no access tells that the card is gone. */
	polls[r->fds] = (struct pollfd){.fd = pci_gone_fd(r->fn), .events = POLLIN};
	if (poll(polls, r->fds + 1, patience) <= 0)
		return false;
	if (polls[r->fds].revents && pci_check_gone(r->fn))
		return true;
	for (size_t i = 0; i < r->fds; i++) {
		uint64_t count;
		int events;

		if (!polls[i].revents || read(r->fd[i], &count, sizeof count) != sizeof count)
			continue;
		events = nic_irq_ack(r->nic, i);
		r->interrupts++;
		if (events > 0 && events & NIC_EVENT_LINK) {
			r->link_events++;
			print_link(r);
		}
		any = true;
	}
	return any;
}

/* Arms, and sleeps until an interrupt unless `again` finds something to do. False: none came. */
static bool wait_for_it(struct run *r, bool (*again)(void *), void *arg, int patience)
{
	nic_flush(r->q);
	if (r->fds) {
		nic_irq_arm(r->nic);
		return again(arg) || sleep_for_it(r, patience);
	}
	for (int i = 0; i < patience; i++) {
		if (again(arg) || pci_check_gone(r->fn))
			return true;
		usleep(1000);
	}
	return false;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static bool link_is_up(void *arg)
{
	struct nic_link link;

	return nic_link(((struct run *)arg)->nic, &link) == 0 && link.up;
}

struct progress {
	const struct options *o;
	struct run *r;
	unsigned total, sent, received;
};

/* Receives and checks; returns how many entries came. */
static size_t take_frames(struct progress *p)
{
	struct run *r = p->r;
	struct frame frames[BURST_MAX];
	size_t got = nic_rx(r->q, &r->pool, frames, p->o->burst);
	size_t end;

	for (size_t i = 0; i < got; i = end) {
		for (end = i + 1; end < got && frames[end - 1].flags & FRAME_MORE;)
			end++;
		if (!right(p->o, r, &frames[i], end - i, p->received++))
			r->errors++;
		for (size_t k = i; k < end; k++)
			nic_pool_put(&r->pool, &frames[k].offset, 1);
	}
	return got;
}

/* Cuts a frame into buffers; returns its entries, 0 if the pool has too few. */
static size_t cut(struct progress *p, unsigned number, struct frame *frames)
{
	static uint8_t data[FRAME_MAX];
	struct run *r = p->r;
	uint32_t offsets[NIC_FRAME_ENTRIES];
	unsigned size = size_of(p->o, number);
	unsigned entries = ENTRIES(size);
	size_t n = nic_pool_get(&r->pool, offsets, entries);

	if (n < entries) {
		nic_pool_put(&r->pool, offsets, n);
		return 0;
	}
	fill(p->o, r, data, number);
	for (unsigned i = 0; i < entries; i++) {
		unsigned at = i * NIC_BUFFER_SIZE;
		unsigned len = i + 1 < entries ? NIC_BUFFER_SIZE : size - at;

		memcpy(nic_data(&r->pool, offsets[i]), data + at, len);
		frames[i] =
			(struct frame){offsets[i], (uint16_t)len, i + 1 < entries ? FRAME_MORE : 0};
	}
	return entries;
}

/* Reclaims and sends; returns how many frames went. */
static unsigned send_frames(struct progress *p)
{
	struct run *r = p->r;
	struct frame frames[BURST_MAX + NIC_FRAME_ENTRIES];
	unsigned most = p->total - p->sent;
	unsigned sent = 0;
	size_t n = 0, done, entries;

	if (most > p->o->window - (p->sent - p->received))
		most = p->o->window - (p->sent - p->received);
	(void)nic_tx(r->q, &r->pool, NULL, 0);
	for (unsigned i = 0; i < most && n < p->o->burst; i++) {
		entries = cut(p, p->sent + i, frames + n);
		if (!entries)
			break;
		n += entries;
	}
	done = nic_tx(r->q, &r->pool, frames, n);
	for (size_t i = 0; i < n; i++) {
		if (i >= done)
			nic_pool_put(&r->pool, &frames[i].offset, 1);
		else if (!(frames[i].flags & FRAME_MORE))
			sent++;
	}
	p->sent += sent;
	return sent;
}

/* One round. True if anything moved. */
static bool turn(void *arg)
{
	size_t got = take_frames(arg);

	return send_frames(arg) || got;
}

/* Sends one frame and has it back, by an interrupt at least. False: none came, or the frame does
 * not. */
static bool send_armed(struct progress *p)
{
	struct run *r = p->r;

	nic_flush(r->q);
	nic_irq_arm(r->nic);
	send_frames(p);
	do {
		if (!sleep_for_it(r, p->o->patience) || nic_gone(r->nic))
			return false;
		if (take_frames(p))
			return true;
		nic_irq_arm(r->nic);
	} while (!take_frames(p));
	return true;
}

static int loop_frames(const struct options *o, struct run *r)
{
	struct progress p = {
		.o = o, .r = r, .total = o->last_size - o->first_size + 1 + o->random_frames};
	/* Frames to somebody else are not received in filtered mode. */
	bool lost = o->filtered && o->to_others;
	struct nic_stats s;

	while (p.sent < p.total || (!lost && p.received < p.total)) {
		if (lost)
			p.received = p.sent;
		if (o->armed ? send_armed(&p) : turn(&p))
			continue;
		if (nic_gone(r->nic))
			return fail(o->address, "the card is gone");
		if (o->armed || !wait_for_it(r, turn, &p, o->patience))
			return fail(o->address, "nothing moves");
	}
	while (nic_tx_held(r->q))
		if (nic_tx(r->q, &r->pool, NULL, 0) == 0 && nic_gone(r->nic))
			return fail(o->address, "the card is gone");
	if (nic_stats(r->nic, &s))
		return fail(o->address, "no counters");
	printf("{\"irq\": \"%s\", \"sent\": %u, \"received\": %u, \"errors\": %u, "
	       "\"interrupts\": %u, \"link_events\": %u, \"lost_buffers\": %zu, ",
		nic_irq_name(r->nic), p.sent, lost ? 0 : p.received, r->errors, r->interrupts,
		r->link_events, r->pool.size - r->pool.top - nic_rx_held(r->q));
	printf("\"rx_frames\": %" PRIu64 ", \"rx_bytes\": %" PRIu64 ", \"tx_frames\": %" PRIu64
	       ", \"tx_bytes\": %" PRIu64 ", \"rx_missed\": %" PRIu64 ", \"rx_dropped\": %" PRIu64
	       ", \"rx_errors\": %" PRIu64 ", \"bad\": %" PRIu64 "}\n",
		s.rx_frames, s.rx_bytes, s.tx_frames, s.tx_bytes, s.rx_missed, s.rx_dropped,
		s.rx_crc_errors + s.rx_length_errors + s.rx_other_errors,
		s.bad_offsets + s.bad_writebacks);
	return r->errors ? fail(o->address, "frames came back wrong") : 0;
}

/* Prints each change of the link until there were as many as asked for. */
static int watch_link(const struct options *o, struct run *r)
{
	print_link(r);
	while (r->link_events < o->link_changes) {
		wait_for_it(r, never, NULL, 1000);
		if (nic_gone(r->nic))
			return fail(o->address, "the card is gone");
	}
	return 0;
}

static int run(const struct options *o, struct run *r)
{
	struct nic_config config = {.queues = 1,
		.rx_ring = o->ring,
		.tx_ring = o->ring,
		.promiscuous = !o->filtered,
		.mtu = o->mtu,
		.interrupts = o->irq == NULL || strcmp(o->irq, "poll") != 0};
	struct pci_error why = {"out of memory"};
	/* The receive ring takes what it can; others are sent from. In whole chunks: they may then
	 * be of huge pages, beyond which some of QEMU's cards drop a frame that crosses a page.
	 */
	size_t chunks = (size_t)(o->ring + 1024) * NIC_BUFFER_STRIDE / DMA_CHUNK_SIZE + 1;
	size_t bytes = chunks * DMA_CHUNK_SIZE;

	if (o->irq != NULL && config.interrupts) {
		config.pick_irq = true;
		config.irq = !strcmp(o->irq, "msix")  ? PCI_IRQ_MSIX
			     : !strcmp(o->irq, "msi") ? PCI_IRQ_MSI
						      : PCI_IRQ_INTX;
	}
	if (pci_open(&r->fn, o->address, &why) ||
		pci_dma_create(r->fn, nic_ring_bytes(&config), &r->rings, &why) ||
		pci_dma_create(r->fn, bytes, &r->frames, &why))
		return fail(o->address, why.text);
	config.rings = r->rings;
	config.frames = r->frames;
	if (nic_pool_init(&r->pool, r->frames) || nic_open(&r->nic, r->fn, &config, &why))
		return fail(o->address, why.text);
	r->q = nic_queue(r->nic, 0);
	r->fds = nic_irq_fds(r->nic, r->fd);
	nic_mac(r->nic, r->mac);
	printf("%s %02x:%02x:%02x:%02x:%02x:%02x %s\n", nic_model(r->nic), r->mac[0], r->mac[1],
		r->mac[2], r->mac[3], r->mac[4], r->mac[5], nic_irq_name(r->nic));
	fflush(stdout);
	if (o->link_changes)
		return watch_link(o, r);
	/* Buffers first, then the link: nothing that comes is missed. */
	nic_rx(r->q, &r->pool, NULL, 0);
	nic_flush(r->q);
	while (!link_is_up(r))
		if (nic_gone(r->nic) || !wait_for_it(r, link_is_up, r, o->patience))
			return fail(o->address, "no link");
	return loop_frames(o, r);
}

static void clean_up(struct run *r)
{
	nic_close(r->nic);
	nic_pool_fini(&r->pool);
	if (r->frames)
		pci_dma_destroy(r->fn, r->frames);
	if (r->rings)
		pci_dma_destroy(r->fn, r->rings);
	if (r->fn)
		pci_close(r->fn);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"irq", 1, NULL, 'i'}, {"ring", 1, NULL, 'r'},
		{"burst", 1, NULL, 'b'}, {"window", 1, NULL, 'w'}, {"from", 1, NULL, 'f'},
		{"to", 1, NULL, 't'}, {"more", 1, NULL, 'm'}, {"link", 1, NULL, 'l'},
		{"mtu", 1, NULL, 'u'}, {"patience", 1, NULL, 'p'}, {"filtered", 0, NULL, 'F'},
		{"to-others", 0, NULL, 'O'}, {"armed", 0, NULL, 'a'}, {NULL, 0, NULL, 0}};
	struct options o = {.ring = 512,
		.burst = 32,
		.window = 256,
		.first_size = 60,
		.last_size = 1514,
		.mtu = 1500,
		.patience = 20000};
	struct run r = {0};
	int c, rc;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		unsigned value = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'i':
			o.irq = optarg != NULL && strcmp(optarg, "best") != 0 ? optarg : NULL;
			break;
		case 'r': o.ring = value; break;
		case 'b': o.burst = value; break;
		case 'w': o.window = value; break;
		case 'f': o.first_size = value; break;
		case 't': o.last_size = value; break;
		case 'm': o.random_frames = value; break;
		case 'l': o.link_changes = value; break;
		case 'u': o.mtu = (uint16_t)value; break;
		case 'p': o.patience = (int)value; break;
		case 'F': o.filtered = true; break;
		case 'O': o.to_others = true; break;
		case 'a':
			o.armed = true;
			o.window = 1;
			break;
		default: return 2;
		}
	}
	if (optind + 1 != argc || o.burst == 0 || o.burst > BURST_MAX ||
		o.first_size < FRAME_HEAD || o.last_size > FRAME_MAX || o.first_size > o.last_size)
		return fail("usage", "nic_loop [options] ADDRESS");
	o.address = argv[optind];
	rc = run(&o, &r);
	clean_up(&r);
	return rc;
}
