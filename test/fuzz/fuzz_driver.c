/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a card that answers anything to its driver; one program for each family (wild.h).
 * Registers hold what the input says, write-backs are words of the input, the card goes away at
 * some access. Whatever it does: each buffer comes back once and to the queue that had it, no
 * length is beyond a buffer, what the driver asks the card to reach is memory of its own, and what
 * fails says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nic/driver.h"
#include "nic/forward.h"
#include "wild.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUEUES  WILD_QUEUES
#define BURST   32u
#define BUFFERS 1024u

/* Who has a buffer: nobody, or a queue for one of its rings. */
enum { IDLE = 0, RECEIVES = 1, SENDS = 2 };
#define OWNER(queue, ring) ((uint8_t)((queue) << 2 | (ring)))

struct bench {
	struct pci_function *fn;
	struct nic *nic;
	struct nic_config config;
	struct pci_error why;
	uint8_t owner[BUFFERS];
	bool scribbled; /* descriptors are not the driver's any more */
	bool left;      /* the card runs, and no driver could take it over */
};

static uint32_t offset_of(unsigned buffer)
{
	return NIC_BUFFER_HEAD + buffer * NIC_BUFFER_STRIDE;
}

/* Checks that such a buffer was theirs; it is nobody's now. */
static void take_back(struct bench *b, uint32_t offset, uint8_t owner)
{
	uint32_t which = (offset - NIC_BUFFER_HEAD) / NIC_BUFFER_STRIDE;

	if (which >= BUFFERS || offset_of(which) != offset || b->owner[which] != owner)
		abort();
	b->owner[which] = IDLE;
}

/* Up to n buffers that are nobody's, of which no byte lies in another chunk. */
static size_t find_idle(const struct bench *b, unsigned from, uint32_t *offsets, size_t n)
{
	size_t found = 0;

	for (unsigned i = 0; i < BUFFERS && found < n; i++) {
		unsigned which = (from + i) % BUFFERS;
		uint32_t first = offset_of(which);

		if (b->owner[which] == IDLE &&
			first >> DMA_CHUNK_SHIFT ==
				(first + NIC_BUFFER_SIZE - 1) >> DMA_CHUNK_SHIFT)
			offsets[found++] = first;
	}
	return found;
}

static void give(struct bench *b, uint32_t offset, uint8_t owner)
{
	b->owner[(offset - NIC_BUFFER_HEAD) / NIC_BUFFER_STRIDE] = owner;
}

static void provide(struct bench *b, struct program *p, unsigned queue)
{
	uint32_t offsets[BURST];
	size_t n = find_idle(b, (unsigned)number(p, 2), offsets, 1 + number(p, 1) % BURST);
	size_t done;

	if (n && number(p, 1) == 0xff)
		offsets[n - 1] = (uint32_t)number(p, 4) | 0x80000000u;
	done = nic_rx_provide(nic_queue(b->nic, queue), offsets, n);
	if (done > n)
		abort();
	for (size_t i = 0; i < done; i++)
		give(b, offsets[i], OWNER(queue, RECEIVES));
}

static void receive(struct bench *b, struct program *p, unsigned queue)
{
	struct frame frames[BURST];
	size_t n = 1 + number(p, 1) % BURST;
	size_t done = nic_rx_return(nic_queue(b->nic, queue), frames, n);

	if (done > n)
		abort();
	for (size_t i = 0; i < done; i++) {
		if (frames[i].len > NIC_BUFFER_SIZE)
			abort();
		if (!(frames[i].flags & (FRAME_ERROR | FRAME_MORE)) && frames[i].len == 0)
			abort();
		take_back(b, frames[i].offset, OWNER(queue, RECEIVES));
	}
}

/* As a stack writes it, but for what the program says. */
static void meta(struct bench *b, struct program *p, struct frame *frame)
{
	uint32_t what = (uint32_t)number(p, 2);
	struct frame_meta meta = {.flags = (uint16_t)(what & 0x0701),
		.vlan = 5,
		.type = what & 2 ? META_IPV6 | META_TCP : META_IPV4 | META_UDP,
		.mss = 536,
		.l3_len = what & 2 ? 40 : 20,
		.l2_len = 14,
		.l4_len = what & 2 ? 20 : 8};
	uint8_t *to = b->config.frames->base + frame->offset - sizeof(meta);

	if (what & 4)
		frame->len = 2000;
	frame->flags |= FRAME_META;
	memcpy(to, &meta, sizeof(meta));
	if (what & 8)
		to[what >> 12] = (uint8_t)number(p, 1);
}

static void send_frames(struct bench *b, struct program *p, unsigned queue)
{
	uint32_t offsets[BURST];
	struct frame frames[BURST];
	size_t n = find_idle(b, (unsigned)number(p, 2), offsets, 1 + number(p, 1) % BURST);
	size_t done;

	for (size_t i = 0; i < n; i++) {
		uint32_t what = (uint32_t)number(p, 2);

		frames[i] = (struct frame){.offset = offsets[i],
			.len = (uint16_t)(what & 0x3fff ? 14 + (what & 0x3fff) % 1600 : 0),
			.flags = what & 0x8000 ? FRAME_MORE : 0};
		if (what & 0x4000)
			meta(b, p, &frames[i]);
	}
	done = nic_tx_provide(nic_queue(b->nic, queue), frames, n);
	if (done > n)
		abort();
	for (size_t i = 0; i < done; i++)
		give(b, offsets[i], OWNER(queue, SENDS));
}

static void reclaim(struct bench *b, struct program *p, unsigned queue)
{
	uint32_t offsets[BURST];
	size_t n = 1 + number(p, 1) % BURST;
	size_t done = nic_tx_return(nic_queue(b->nic, queue), offsets, n);

	if (done > n)
		abort();
	for (size_t i = 0; i < done; i++)
		take_back(b, offsets[i], OWNER(queue, SENDS));
}

/* What the rings hold is what the queue has. */
static void check_held(struct bench *b, unsigned queue)
{
	static uint32_t offsets[2 * NIC_RING_MAX];
	struct nic_queue *q = nic_queue(b->nic, queue);
	size_t rx = nic_rx_held(q);
	size_t n = rx + nic_tx_held(q);

	nic_held(q, offsets);
	for (size_t i = 0; i < n; i++)
		take_back(b, offsets[i], OWNER(queue, i < rx ? RECEIVES : SENDS));
	for (unsigned i = 0; i < BUFFERS; i++)
		if (b->owner[i] == OWNER(queue, RECEIVES) || b->owner[i] == OWNER(queue, SENDS))
			abort(); /* lost */
	for (size_t i = 0; i < n; i++)
		give(b, offsets[i], OWNER(queue, i < rx ? RECEIVES : SENDS));
}

/* The program's own look at what is forwarded: some it drops, some it makes too long. */
static void look(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	const uint32_t what = *(const uint32_t *)ctx;

	for (size_t i = 0; i < n; i++) {
		if (frames[i].len > NIC_BUFFER_SIZE)
			abort();
		base[frames[i].offset] ^= 1;
		if (what >> i % 16 & 1)
			frames[i].len = what & 0x10000 ? 0 : NIC_BUFFER_SIZE;
	}
}

/* Buffers change places between the two; each is still there, and once. */
static void forward(struct bench *b, struct program *p, unsigned from)
{
	enum { PENDING = 0xff };
	static uint32_t offsets[2 * NIC_RING_MAX];
	uint32_t what = word(p, 3);
	unsigned side[2] = {from, (what >> 18) % b->config.queues};

	if (!nic_queue_frames(b->nic, side[0]) || !nic_queue_frames(b->nic, side[1]))
		return;
	(void)nic_forward(nic_queue(b->nic, side[0]), nic_queue(b->nic, side[1]),
		1 + (what >> 20) % NIC_FORWARD_MAX, what & 0x20000 ? look : NULL, &what);
	for (unsigned i = 0; i < BUFFERS; i++)
		if (b->owner[i] != IDLE &&
			(b->owner[i] >> 2 == side[0] || b->owner[i] >> 2 == side[1]))
			b->owner[i] = PENDING;
	for (unsigned s = 0; s < (side[0] == side[1] ? 1 : 2); s++) {
		struct nic_queue *q = nic_queue(b->nic, side[s]);
		size_t rx = nic_rx_held(q), n = rx + nic_tx_held(q);

		nic_held(q, offsets);
		for (size_t i = 0; i < n; i++) {
			take_back(b, offsets[i], PENDING);
			give(b, offsets[i], OWNER(side[s], i < rx ? RECEIVES : SENDS));
		}
	}
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (b->owner[i] != PENDING)
			continue;
		if (!nic_gone(b->nic))
			abort(); /* lost */
		b->owner[i] = IDLE;
	}
}

static void stop_or_start(struct bench *b, unsigned queue)
{
	if (!nic_queue_frames(b->nic, queue)) {
		(void)nic_queue_start(b->nic, queue, b->config.frames);
		return;
	}
	check_held(b, queue);
	/* Whatever the card does, its rings are empty. */
	(void)nic_queue_stop(b->nic, queue);
	for (unsigned i = 0; i < BUFFERS; i++)
		if (b->owner[i] >> 2 == queue)
			b->owner[i] = IDLE;
}

/* --- the card --- */

static void scribble(struct bench *b, struct program *p)
{
	size_t at = number(p, 2) % (b->config.rings->size / 8) * 8;
	uint64_t word = number(p, 8);

	memcpy(b->config.rings->base + at, &word, sizeof(word));
	b->scribbled = true;
}

/* --- its life --- */

static void all_idle(struct bench *b)
{
	memset(b->owner, IDLE, sizeof(b->owner));
}

static void must_say_why(const struct bench *b, int rc)
{
	if (rc > 0 || !memchr(b->why.text, '\0', sizeof(b->why.text)) || !b->why.text[0])
		abort();
}

/* Another process, or the same, after something happened to the state. */
static void hand_over(struct bench *b, struct program *p)
{
	uint32_t flips = (uint32_t)number(p, 1) % 4;
	size_t bytes = nic_state_bytes(&b->config);
	uint8_t *state = b->config.state;
	int rc;

	for (unsigned q = 0; q < b->config.queues; q++) {
		check_held(b, q);
		b->config.queue_frames[q] = nic_queue_frames(b->nic, q);
	}
	b->config.frames = b->config.queue_frames[0] ? b->config.queue_frames[0] : b->config.frames;
	nic_release(b->nic);
	b->nic = NULL;
	for (uint32_t i = 0; i < flips; i++)
		state[number(p, 2) % bytes] ^= (uint8_t)(1 + number(p, 1) % 255);
	b->why.text[0] = '\0';
	rc = nic_adopt(&b->nic, b->fn, &b->config, &b->why);
	if (rc) {
		must_say_why(b, rc);
		b->nic = NULL;
		b->left = true;
		return;
	}
	if (!flips && !b->scribbled) {
		for (unsigned q = 0; q < b->config.queues; q++)
			check_held(b, q);
		return;
	}
	/* It believes what checks out: buffers of the region, and none twice. */
	all_idle(b);
	for (unsigned q = 0; q < b->config.queues; q++) {
		static uint32_t offsets[2 * NIC_RING_MAX];
		struct nic_queue *queue = nic_queue(b->nic, q);
		size_t rx = nic_rx_held(queue), n = rx + nic_tx_held(queue);

		nic_held(queue, offsets);
		for (size_t i = 0; i < n; i++)
			if (offsets[i] >= b->config.frames->size)
				abort();
		/* Whose each is only a driver can have spoilt: it starts anew. */
		(void)nic_queue_stop(b->nic, q);
	}
}

static void control(struct bench *b, struct program *p)
{
	struct nic_link link;
	struct nic_stats stats;
	uint32_t what = (uint32_t)number(p, 1);

	static const uint8_t addresses[2][6] = {{2, 0, 0, 0, 0, 9}, {1, 0, 0x5e, 0, 0, 9}};
	static const uint16_t vlans[2] = {5, 4095};
	struct nic_queue_stats queue_stats;
	struct pci_error why = {""};

	switch (what % 12) {
	case 0: (void)nic_link(b->nic, &link); break;
	case 1: (void)nic_stats(b->nic, &stats); break;
	case 2: (void)nic_set_promiscuous(b->nic, what & 8); break;
	case 3: (void)nic_set_mtu(b->nic, (uint16_t)number(p, 2)); break;
	case 4: (void)nic_irq_ack(b->nic, what >> 3 & 7); break;
	case 5: nic_irq_arm(b->nic); break;
	case 6: nic_irq_arm_queue(b->nic, (what >> 3) % b->config.queues); break;
	case 7: (void)nic_set_addresses(b->nic, what & 16 ? addresses : NULL, what >> 5 & 2); break;
	case 8: (void)nic_set_vlans(b->nic, what & 16 ? vlans : NULL, what >> 5 & 2); break;
	case 9: (void)nic_queue_stats(b->nic, (what >> 3) % b->config.queues, &queue_stats); break;
	case 10:
		if (nic_check(b->nic, &why) == -EIO && !why.text[0])
			abort();
		break;
	default: wild_vanish(b->fn, 1 + word(p, 2));
	}
}

static void step(struct bench *b, struct program *p)
{
	uint32_t what = (uint32_t)number(p, 1);
	unsigned queue = (what >> 4) % b->config.queues;

	switch (what % 16) {
	case 0:
	case 1: provide(b, p, queue); break;
	case 2:
	case 3: receive(b, p, queue); break;
	case 4:
	case 5: send_frames(b, p, queue); break;
	case 6: reclaim(b, p, queue); break;
	case 7: nic_flush(nic_queue(b->nic, queue)); break;
	case 8:
	case 9: wild_receive(b->fn, p); break;
	case 10: wild_transmit(b->fn, queue, word(p, 1)); break;
	case 11: wild_hold(b->fn, p); break;
	case 12: control(b, p); break;
	case 13: stop_or_start(b, queue); break;
	case 14: hand_over(b, p); break;
	default:
		if (what & 0x80)
			scribble(b, p);
		else
			forward(b, p, queue);
	}
}

static void set_up(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 2);

	b->fn = wild_card(p, what);
	b->config = (struct nic_config){.queues = 1 + (what >> 6) % QUEUES,
		.rx_ring = NIC_RING_MIN << (what >> 8 & 1),
		.tx_ring = NIC_RING_MIN << (what >> 9 & 1),
		.mtu = what & 0x8000 ? NIC_MTU_MAX : NIC_MTU_DEFAULT,
		.promiscuous = what & 0x400,
		.offloads = (uint32_t)number(p, 1) & 31,
		.interrupts = what & 0x800};
	b->config.frames = wild_frames(b->fn);
	b->config.rings = wild_rings(b->fn, nic_ring_bytes(&b->config));
	for (unsigned q = 1; q < b->config.queues; q++)
		b->config.queue_frames[q] = what & 0x1000 ? b->config.frames : NULL;
	b->config.state = calloc(1, nic_state_bytes(&b->config));
	if (what & 0x8000)
		wild_hold(b->fn, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bench bench;
	struct bench *b = &bench;
	struct program program = {data, data + size};
	int rc;

	memset(b, 0, sizeof(*b));
	set_up(b, &program);
	rc = nic_open(&b->nic, b->fn, &b->config, &b->why);
	if (rc) {
		must_say_why(b, rc);
		b->nic = NULL;
	}
	while (b->nic && program.at < program.end)
		step(b, &program);
	for (unsigned q = 0; b->nic && q < b->config.queues; q++)
		if (!b->scribbled)
			check_held(b, q);
	nic_close(b->nic);
	if (wild_complains(b->fn, b->scribbled, b->left))
		abort();
	wild_free(b->fn);
	free(b->config.state);
	return 0;
}
