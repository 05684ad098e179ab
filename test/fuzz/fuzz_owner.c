/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a client that owns a queue of the card and writes anything into its rings and in front
 * of its frames, above the real driver and the unit tests' card. The card is asked for nothing
 * outside the client's memory, its frames have lengths that it takes, and what the card holds is
 * what the rings say.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_card.h"
#include "daemon/owner.h"
#include "program.h"
#include "scheme/frame.h"
#include "scheme/ring_layout.h"

#define RING    128u /* the card's */
#define SLOTS   64u  /* the client's */
#define MTU     1500u
#define BUFFERS 1900u /* of the client's memory */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
	struct pci_function *fn;
	struct nic *nic;
	struct nic_queue *q;
	struct port port;
	struct owner owner;
	struct scheme_rings rings;
	struct ring_client *client;
	void *page;
	const struct dma_region *frames;
	struct dma_region *descriptors;
	struct scheme_moved moved;
	unsigned sent; /* frames of the card's that were looked at */
};

static const struct dma_region *client_memory(struct pci_function *fn)
{
	static struct dma_region *made;

	if (!made)
		made = fake_region_new(fn, 2 * DMA_CHUNK_SIZE);
	fn->region[0] = made;
	return made;
}

static void start(struct bench *b, uint32_t how)
{
	struct nic_config config = {.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.mtu = MTU,
		.offloads = how & 1 ? NIC_TX_META | NIC_RX_CHECKSUM : 0};
	struct pci_error why;
	size_t bytes = ring_bytes(SLOTS, SLOTS);

	memset(b, 0, sizeof(*b));
	b->fn = fake_card_new(0x10fb);
	b->fn->one_run = how & 2;
	config.frames = b->frames = client_memory(b->fn);
	config.rings = b->descriptors = fake_region_new(b->fn, nic_ring_bytes(&config));
	b->client = aligned_alloc(RING_APART, bytes);
	b->page = aligned_alloc(RING_APART, 4096);
	if (!b->client || !b->page || nic_open(&b->nic, b->fn, &config, &why))
		abort();
	memset(b->client, 0, bytes);
	memset(b->page, 0, 4096);
	b->q = nic_queue(b->nic, 0);
	b->port = (struct port){.nic = b->nic,
		.rx_ring = RING,
		.tx_ring = RING,
		.mtu = MTU,
		.offloads = config.offloads,
		.link = {.up = !(how & 4), .mbit = 10000}};
	scheme_rings_init(&b->rings, b->frames->base, b->frames->size, b->client,
		ring_driver_of(b->page), SLOTS, SLOTS);
	b->owner.rings = &b->rings;
}

static void end(struct bench *b)
{
	unsigned wild = b->fn->wild + b->fn->misuse;

	nic_close(b->nic);
	if (wild || b->fn->bars)
		abort();
	fake_region_free(b->descriptors);
	fake_card_free(b->fn);
	free(b->client);
	free(b->page);
}

static _Atomic uint64_t *slot(struct bench *b, uint32_t n)
{
	return (_Atomic uint64_t *)(void *)((uint8_t *)b->client + RING_SLOTS) + n % (2 * SLOTS);
}

/* A buffer or a frame that may be in order; its length and flags are the program's. */
static void write_slots(struct bench *b, struct program *p)
{
	uint32_t at = word(p, 1), n = 1 + word(p, 1) % 16, what = word(p, 2), len = word(p, 2);

	for (uint32_t i = 0; i < n; i++) {
		struct scheme_frame frame = {
			.offset = SCHEME_RING_HEAD + (what + i) % BUFFERS * NIC_BUFFER_STRIDE,
			.len = (uint16_t)(len & 0x8000 ? len : 14 + len % 1600),
			.flags = (uint16_t)(what >> 11 & 7)};

		if (i + 1 == n)
			frame.flags &= (uint16_t)~SCHEME_FRAME_MORE;
		ring_store(slot(b, at + i), &frame);
	}
}

static void write_metadata(struct bench *b, struct program *p)
{
	struct scheme_meta meta = {.flags = META_L4_SUM | META_SEGMENT,
		.type = META_IPV4 | META_TCP,
		.mss = 536,
		.l2_len = 14,
		.l3_len = 20,
		.l4_len = 20};
	uint32_t which = word(p, 2) % BUFFERS;
	uint32_t at = word(p, 1);
	uint8_t *bytes = (uint8_t *)&meta;

	bytes[at % sizeof(meta)] = (uint8_t)word(p, 1);
	memcpy(b->frames->base + SCHEME_RING_HEAD + which * NIC_BUFFER_STRIDE - sizeof(meta), &meta,
		sizeof(meta));
}

/* What went out since: nothing that the card would not take. */
static void look_at_sent(struct bench *b)
{
	for (; b->sent != b->fn->sent_frames; b->sent++) {
		const struct fake_sent *sent = &b->fn->sent[b->sent % FAKE_SENT];
		bool segments = (sent->word & TX_TSE) != 0;

		if (sent->bytes < ETH_HEADER ||
			(!segments && sent->bytes > MTU + ETH_HEADER + VLAN_TAG) ||
			sent->first >= b->frames->size)
			abort();
	}
}

/* Frames in the client's ring that it was given: all lie in its buffers. */
static void move(struct bench *b, uint32_t access, bool *ended)
{
	uint32_t returned = b->rings.rx.returned;
	ssize_t n = owner_move(&b->owner, b->q, &b->port, access, &b->moved);

	*ended = n < 0;
	for (; returned != b->rings.rx.returned; returned++) {
		struct scheme_frame frame = ring_load(&b->rings.rx.slots[returned % SLOTS]);

		if (frame.len > SCHEME_RING_BUFFER ||
			!ring_buffer_ok(frame.offset, b->frames->size) ||
			(frame.flags &
				~(SCHEME_FRAME_MORE | SCHEME_FRAME_ERROR | SCHEME_FRAME_META)))
			abort();
	}
	/* One that broke the rules may have had a buffer refused. */
	if (n >= 0 && !owner_in_step(&b->owner, b->q, &b->rings))
		abort();
}

static void step(struct bench *b, struct program *p, bool *ended)
{
	const size_t words = ring_bytes(SLOTS, SLOTS) / sizeof(uint32_t);
	static const uint8_t frame[1600];
	uint32_t what = word(p, 1);

	switch (what % 12) {
	case 0: ((_Atomic uint32_t *)(void *)b->client)[word(p, 2) % words] = word(p, 4); break;
	case 1: b->client->rx_provided += what >> 4; break;
	case 2: b->client->tx_provided += what >> 4; break;
	case 3:
	case 4: write_slots(b, p); break;
	case 5: write_metadata(b, p); break;
	case 6: (void)fake_receive_on(b->fn, 0, frame, word(p, 2) % sizeof(frame)); break;
	case 7: (void)fake_write_back(b->fn, number(p, 8)); break;
	case 8:
		(void)fake_transmit_on(b->fn, 0, what >> 4);
		look_at_sent(b);
		break;
	case 9: b->port.link.up = what & 16; break;
	case 10: nic_flush(b->q); break;
	default: move(b, what >> 4 & 3, ended);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {data, data + size};
	static struct bench bench;
	bool ended = false;

	start(&bench, word(&program, 1));
	while (!ended && program.at < program.end)
		step(&bench, &program, &ended);
	/* A client that is hung up had what it had: the card sends that, and no more. */
	nic_flush(bench.q);
	(void)fake_transmit_on(bench.fn, 0, RING);
	look_at_sent(&bench);
	end(&bench);
	return 0;
}
