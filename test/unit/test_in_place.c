/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forwarding in place: which card owns which slot of the ring that they share, and what a card that
 * lies can do.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "each_path.h"
#include "fake_card.h"
#include "nic/forward.h"

#define RING  64u
#define EVERY 16u /* slots from one report of the head to the next */

static const char *path; /* under test, on chunks of frame memory in one run or not */
static bool one_run;

struct side {
	struct pci_function *fn;
	struct nic *nic;
	struct nic_queue *q;
	unsigned seen; /* of what it sent */
};

struct bench {
	struct side left, right; /* the left one alone where it is a mirror */
	struct dma_region *rings, *frames;
	struct nic_config config;
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static size_t fill(struct side *side, unsigned first, unsigned n)
{
	uint32_t offsets[RING + 8];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(side->q, offsets, n);
}

static int open_side(struct bench *b, struct side *side, enum nic_in_place in_place, unsigned first)
{
	struct nic_config config = b->config;
	struct pci_error why = {""};

	config.in_place = in_place;
	if (nic_open(&side->nic, side->fn, &config, &why)) {
		print_error("%s\n", why.text);
		return -1;
	}
	side->q = nic_queue(side->nic, 0);
	side->q->verbs = ixgbe_path_in_place(path);
	return fill(side, first, RING) == RING ? 0 : -1;
}

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof *b);

	b->left.fn = fake_card_new(0x1528);
	b->left.fn->one_run = one_run;
	b->right.fn = fake_card_new(0x10FB);
	b->frames = fake_region_new(b->left.fn, 2 * DMA_CHUNK_SIZE);
	b->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = b->frames,
		.mtu = 1500,
		.in_place = NIC_LEFT};
	b->rings = fake_region_new(b->left.fn, 8192);
	b->config.rings = b->rings;
	assert_true(nic_ring_bytes(&b->config) == 2 * RING * 16 + 128);
	memset(b->rings->base, 0xFF, b->rings->size);
	b->right.fn->region[0] = b->frames;
	b->right.fn->region[1] = b->rings;
	return b;
}

static int set_up(void **state)
{
	struct bench *b = bench_new();

	*state = b;
	/* The one receives already when the other comes. */
	return open_side(b, &b->left, NIC_LEFT, 0) || open_side(b, &b->right, NIC_RIGHT, 100);
}

static int set_up_mirror(void **state)
{
	struct bench *b = bench_new();

	*state = b;
	return open_side(b, &b->left, NIC_MIRROR, 0);
}

static int close_side(struct side *side)
{
	int rc;

	nic_close(side->nic);
	rc = side->fn->wild || side->fn->misuse ? -1 : 0;
	fake_card_free(side->fn);
	return rc;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int left = close_side(&b->left);
	int right = close_side(&b->right);

	fake_region_free(b->rings);
	fake_region_free(b->frames);
	free(b);
	return left ? left : right;
}

static void start(struct side *side, const struct dma_region *frames)
{
	assert_int_equal(nic_queue_start(side->nic, 0, frames), 0);
	side->q->verbs = ixgbe_path_in_place(path);
}

static void begin_anew(struct side *side, const struct dma_region *frames)
{
	assert_int_equal(nic_queue_stop(side->nic, 0), 0);
	start(side, frames);
}

static bool can_receive(const struct side *side)
{
	return fake_read(side->fn, RDH(0)) != fake_read(side->fn, RDT(0));
}

static void receive(struct side *side, unsigned id, unsigned len)
{
	uint8_t data[2048] = {0};

	memcpy(data, &id, sizeof id);
	assert_true(fake_receive(side->fn, data, len));
}

/* The next frame that a side sends: what its first bytes say. */
static unsigned sent(struct bench *b, struct side *side, unsigned *len)
{
	const struct fake_sent *what;
	unsigned id;

	while (side->fn->sent_frames == side->seen)
		assert_int_equal(fake_transmit(side->fn, 1), 1);
	what = &side->fn->sent[side->seen++ % FAKE_SENT];
	if (len)
		*len = what->bytes;
	memcpy(&id, b->frames->base + what->first, sizeof id);
	return id;
}

/* No slot is both cards', four of them are nobody's, and each has its buffer. */
static void owned_apart(
	const struct bench *b, const struct side *in, const struct side *out, unsigned first)
{
	uint32_t rdh = fake_read(in->fn, RDH(0)), tdh = fake_read(out->fn, TDH(0));
	uint32_t rx = (fake_read(in->fn, RDT(0)) - rdh) % RING;
	uint32_t tx = (fake_read(out->fn, TDT(0)) - tdh) % RING;

	assert_true(rx + tx <= RING - 4);
	for (uint32_t i = 0; i < RING; i++) {
		bool receives = (i - rdh) % RING < rx;
		bool sends = (i - tdh) % RING < tx;

		assert_false(receives && sends);
		assert_int_equal(dma_read(ring_word(&in->q->rx, i, 0)),
			dma_iova(b->frames, buffer(first + i)));
	}
}

static size_t forward(struct bench *b, size_t n, nic_look *look, void *ctx)
{
	size_t done = nic_forward(b->left.q, b->right.q, n, look, ctx);

	owned_apart(b, &b->left, &b->right, 0);
	return done;
}

static struct nic_stats stats(const struct side *side)
{
	struct nic_stats all;

	assert_int_equal(nic_stats(side->nic, &all), 0);
	return all;
}

static void touch(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		base[frames[i].offset + 4]++;
	*(size_t *)ctx += n;
}

/* --- what is programmed --- */

static void rings_are_crossed(void **state)
{
	struct bench *b = *state;
	struct pci_function *left = b->left.fn, *right = b->right.fn;

	assert_int_equal(fake_read(left, RDBAL(0)), (uint32_t)b->rings->iova[0]);
	assert_int_equal(fake_read(left, TDBAL(0)), (uint32_t)b->rings->iova[0] + RING * 16);
	assert_int_equal(fake_read(left, RDBAL(0)), fake_read(right, TDBAL(0)));
	assert_int_equal(fake_read(right, RDBAL(0)), fake_read(left, TDBAL(0)));
	assert_int_equal(fake_read(left, RDBAH(0)), b->rings->iova[0] >> 32);
	assert_int_equal(fake_read(right, TDBAH(0)), b->rings->iova[0] >> 32);
	/* 2 KiB buffers, legacy descriptors */
	assert_int_equal(fake_read(left, SRRCTL(0)), 0x402);
	/* Each sending ring's head has a line of its own. */
	assert_int_equal(
		fake_read(right, TDWBAL(0)), ((uint32_t)b->rings->iova[0] + 2 * RING * 16) | 1);
	assert_int_equal(
		fake_read(left, TDWBAL(0)), ((uint32_t)b->rings->iova[0] + 2 * RING * 16 + 64) | 1);
	assert_int_equal(fake_read(left, TDWBAH(0)), b->rings->iova[0] >> 32);
	assert_int_equal(fake_read(left, DCA_TXCTRL(0)) & DCA_TXCTRL_DESC_WRO, 0);
	assert_int_equal(fake_read(left, TXDCTL(0)), TXDCTL_ENABLE | 0x0420); /* WTHRESH 0 */
	assert_int_equal(fake_read(left, RDT(0)), RING - 4);
	assert_int_equal(fake_read(left, TDT(0)), 0);
	owned_apart(b, &b->left, &b->right, 0);
	owned_apart(b, &b->right, &b->left, 100);
	assert_int_equal(nic_forward_check(b->left.q, b->right.q, NULL), 0);
	assert_int_equal(nic_forward_check(b->right.q, b->left.q, NULL), 0);
}

static void a_ring_is_filled_whole(void **state)
{
	struct bench *b = *state;
	uint32_t offsets[RING], bad[] = {NIC_BUFFER_HEAD - 1, DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 1};

	assert_int_equal(nic_rx_held(b->left.q), RING);
	assert_int_equal(nic_tx_held(b->left.q), 0);
	nic_held(b->left.q, offsets);
	for (unsigned i = 0; i < RING; i++)
		assert_int_equal(offsets[i], buffer(i));
	assert_int_equal(fill(&b->left, 200, 1), 0); /* no more */
	assert_int_equal(nic_rx_held(b->left.q), RING);

	begin_anew(&b->left, b->frames);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(nic_rx_provide(b->left.q, &bad[i], 1), 0);
	assert_int_equal(stats(&b->left).bad_offsets, 2);
	assert_int_equal(fill(&b->left, 0, RING - 1), RING - 1);
	assert_false(can_receive(&b->left));
	assert_int_equal(fill(&b->left, RING - 1, 5), 1);
	assert_int_equal(fake_read(b->left.fn, RDT(0)), RING - 4);
}

static void the_other_verbs_do_nothing(void **state)
{
	struct bench *b = *state;
	struct frame frame = {.offset = buffer(150), .len = 60};
	uint32_t offset;

	receive(&b->left, 1, 60);
	nic_flush(b->left.q);
	assert_int_equal(nic_rx_return(b->left.q, &frame, 1), 0);
	assert_int_equal(nic_tx_provide(b->left.q, &frame, 1), 0);
	assert_int_equal(nic_tx_return(b->left.q, &offset, 1), 0);
	assert_int_equal(fake_read(b->left.fn, TDT(0)), 0);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
}

static int open_with(struct bench *b, const struct nic_config *config, const char *text)
{
	struct pci_error why;
	struct nic *nic;
	int rc = nic_open(&nic, b->left.fn, config, &why);

	assert_non_null(strstr(why.text, text));
	return rc;
}

static void a_configuration_is_checked(void **state)
{
	struct bench *b = *state;
	struct nic_config config = b->config;
	uint8_t memory[4096];

	config.tx_ring = 2 * RING;
	assert_int_equal(open_with(b, &config, "rings in place are of one size"), -EINVAL);
	config = b->config;
	config.state = memory;
	assert_int_equal(open_with(b, &config, "not handed over"), -EINVAL);
	config.state = NULL;
	config.in_place = (enum nic_in_place)(NIC_RIGHT + 1);
	assert_int_equal(open_with(b, &config, "no such way"), -EINVAL);
}

/* --- frames --- */

static void frames_go_both_ways(void **state)
{
	struct bench *b = *state;
	size_t seen = 0;
	unsigned len;

	assert_int_equal(forward(b, 32, touch, &seen), 0);
	for (unsigned turn = 0; turn < 50; turn++) { /* several times round both rings */
		for (unsigned i = 0; i < 11; i++) {
			receive(&b->left, turn * 11 + i, 60 + i);
			receive(&b->right, 10000 + turn * 11 + i, 100 + i);
		}
		assert_int_equal(forward(b, 32, touch, &seen), 11);
		assert_int_equal(nic_forward(b->right.q, b->left.q, 32, touch, &seen), 11);
		owned_apart(b, &b->right, &b->left, 100);
		for (unsigned i = 0; i < 11; i++) {
			assert_int_equal(sent(b, &b->right, &len), turn * 11 + i);
			assert_int_equal(len, 60 + i);
			assert_int_equal(sent(b, &b->left, &len), 10000 + turn * 11 + i);
			assert_int_equal(len, 100 + i);
		}
	}
	assert_int_equal(seen, 2 * 50 * 11);
	assert_int_equal(stats(&b->left).bad_writebacks + stats(&b->right).bad_writebacks, 0);
	assert_int_equal(stats(&b->left).bad_offsets + stats(&b->right).bad_offsets, 0);
}

static void a_card_sends_what_it_receives(void **state)
{
	struct bench *b = *state;

	assert_int_equal(fake_read(b->left.fn, RDBAL(0)), fake_read(b->left.fn, TDBAL(0)));
	assert_int_equal(nic_forward_check(b->left.q, b->left.q, NULL), 0);
	for (unsigned turn = 0; turn < 50; turn++) {
		for (unsigned i = 0; i < 7; i++)
			receive(&b->left, turn * 7 + i, 60);
		assert_int_equal(nic_forward(b->left.q, b->left.q, 5, NULL, NULL), 5);
		assert_int_equal(nic_forward(b->left.q, b->left.q, 5, NULL, NULL), 2);
		owned_apart(b, &b->left, &b->left, 0);
		for (unsigned i = 0; i < 7; i++)
			assert_int_equal(sent(b, &b->left, NULL), turn * 7 + i);
	}
}

static void the_head_is_reported_seldom(void **state)
{
	struct bench *b = *state;
	unsigned reports = 0;

	for (unsigned i = 0; i < RING - 4; i++)
		receive(&b->left, i, 60);
	b->left.fn->tail_writes = b->right.fn->tail_writes = 0;
	assert_int_equal(forward(b, 40, NULL, NULL), 40);
	assert_int_equal(forward(b, 40, NULL, NULL), 20);
	assert_int_equal(b->left.fn->tail_writes, 0);
	assert_int_equal(b->right.fn->tail_writes, 2);
	for (unsigned i = 0; i < RING - 4; i++)
		if (dma_read(ring_word(&b->left.q->rx, i, 1)) & TX_RS) {
			assert_int_equal(i % EVERY, EVERY - 1);
			reports++;
		}
	assert_int_equal(reports, 3);
	/* What is between two reports waits for the next one. */
	fake_transmit(b->right.fn, 2 * EVERY + 5);
	assert_int_equal(forward(b, 40, NULL, NULL), 0);
	assert_int_equal(b->left.fn->tail_writes, 1);
	assert_int_equal(fake_read(b->left.fn, RDT(0)), 2 * EVERY - 4);
	assert_int_equal(forward(b, 40, NULL, NULL), 0);
	assert_int_equal(b->left.fn->tail_writes, 1);
}

static void a_blocked_output_stops_its_input(void **state)
{
	struct bench *b = *state;
	unsigned id = 0;

	for (unsigned turn = 0; turn < 5; turn++) {
		unsigned first = id;

		while (can_receive(&b->left)) {
			receive(&b->left, id++, 60);
			if (id % 3 == 0)
				forward(b, 32, NULL, NULL);
		}
		assert_true(id - first >= RING - 4 - EVERY);
		forward(b, 32, NULL, NULL);
		assert_int_equal(forward(b, 32, NULL, NULL), 0);
		assert_false(can_receive(&b->left));
		for (unsigned i = first; i < id; i++)
			assert_int_equal(sent(b, &b->right, NULL), i);
		/* Without a frame more it goes on. */
		assert_int_equal(forward(b, 32, NULL, NULL), 0);
		assert_true(can_receive(&b->left));
	}
}

static void drop_and_spoil(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx, (void)base;
	assert_int_equal(n, 6);
	frames[0].len = 0;
	frames[2].len = 13;
	frames[3].len = 1519;
	frames[4].flags = FRAME_MORE;
}

static void a_look_drops(void **state)
{
	struct bench *b = *state;

	for (unsigned turn = 0; turn < 40; turn++) {
		for (unsigned i = 0; i < 6; i++)
			receive(&b->left, i, 60);
		assert_int_equal(forward(b, 32, drop_and_spoil, NULL), 6);
		assert_int_equal(sent(b, &b->right, NULL), 1);
		assert_int_equal(sent(b, &b->right, NULL), 5);
		assert_int_equal(fake_transmit(b->right.fn, 1), 0);
	}
	assert_int_equal(stats(&b->right).bad_offsets, 80);
	/* The output's MTU is what counts. */
	assert_int_equal(nic_set_mtu(b->right.nic, 1000), 0);
	receive(&b->left, 7, 1018);
	receive(&b->left, 8, 1019);
	receive(&b->left, 9, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 3);
	assert_int_equal(sent(b, &b->right, NULL), 7);
	assert_int_equal(sent(b, &b->right, NULL), 9);
	assert_int_equal(stats(&b->right).bad_offsets, 81);
}

/* --- cards that lie --- */

static void what_is_no_frame_does_not_go_on(void **state)
{
	struct bench *b = *state;
	const uint64_t good = LEGACY_RX_DD | LEGACY_RX_EOP;
	const struct {
		uint64_t word;
		unsigned bad;
	} words[] = {
		{good | UINT64_C(1) << 40 | 60, 0}, /* an error of the MAC */
		{good | UINT64_C(1) << 45 | 60, 0}, {good | 13, 1}, {good | 2049, 1},
		{LEGACY_RX_DD | 60, 1}, {LEGACY_RX_DD | 60, 1}, /* the same one goes on */
		{good | 60, 1},                                 /* and ends */
	};
	size_t n = sizeof words / sizeof words[0], seen = 0;
	unsigned bad = 0;

	for (unsigned turn = 0; turn < 20; turn++) {
		receive(&b->left, 1, 60);
		for (unsigned i = 0; i < n; i++) {
			assert_true(fake_write_back(b->left.fn, words[i].word));
			bad += words[i].bad;
		}
		/* A wrong checksum is the frame's own, and so is a tag. */
		assert_true(fake_write_back(
			b->left.fn, good | UINT64_C(3) << 46 | UINT64_C(0xABCD) << 48 | 60));
		receive(&b->left, 2, 60);
		assert_int_equal(forward(b, 32, touch, &seen), n + 3);
		assert_int_equal(sent(b, &b->right, NULL), 1);
		sent(b, &b->right, NULL);
		assert_int_equal(sent(b, &b->right, NULL), 2);
		assert_int_equal(fake_transmit(b->right.fn, 1), 0);
		assert_int_equal(stats(&b->left).bad_writebacks, bad);
	}
}

static void a_torn_frame_is_remembered(void **state)
{
	struct bench *b = *state;

	assert_true(fake_write_back(b->left.fn, LEGACY_RX_DD | 60));
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
	receive(&b->left, 1, 60); /* its end */
	receive(&b->left, 2, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 2);
	assert_int_equal(sent(b, &b->right, NULL), 2);
	assert_int_equal(stats(&b->left).bad_writebacks, 2);
}

/* All DD at once: no more is taken than the card was given. */
static void done_is_bounded(void **state)
{
	struct bench *b = *state;
	const uint64_t good = LEGACY_RX_DD | LEGACY_RX_EOP | 60;

	for (unsigned i = 0; i < RING; i++)
		dma_write(ring_word(&b->left.q->rx, i, 1), good);
	assert_int_equal(nic_forward(b->left.q, b->right.q, 256, NULL, NULL), RING - 4);
	for (unsigned i = 0; i < RING; i++)
		dma_write(ring_word(&b->left.q->rx, i, 1), good);
	assert_int_equal(nic_forward(b->left.q, b->right.q, 256, NULL, NULL), 0);
	assert_int_equal(fake_read(b->right.fn, TDT(0)), RING - 4);
}

static void a_wild_head_moves_nothing(void **state)
{
	struct bench *b = *state;
	uint32_t *head = (uint32_t *)(void *)(b->rings->base + 2 * RING * 16);
	static const uint32_t wild[] = {RING, RING + 5, UINT32_MAX, 21, 63};
	static const uint32_t back[] = {19, 0, 19};

	assert_int_equal(*head, 0);
	for (unsigned i = 0; i < 20; i++)
		receive(&b->left, i, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 20);
	for (unsigned i = 0; i < 5; i++) {
		*head = wild[i];
		for (unsigned twice = 0; twice < 2; twice++)
			assert_int_equal(forward(b, 32, NULL, NULL), 0);
		assert_int_equal(fake_read(b->left.fn, RDT(0)), RING - 4);
		assert_int_equal(stats(&b->right).bad_writebacks, i + 1);
	}
	*head = 20;
	assert_int_equal(nic_forward(b->left.q, b->right.q, 32, NULL, NULL), 0);
	assert_int_equal(fake_read(b->left.fn, RDT(0)), 20 - 4);
	for (unsigned i = 0; i < 3; i++) {
		*head = back[i];
		assert_int_equal(nic_forward(b->left.q, b->right.q, 32, NULL, NULL), 0);
		assert_int_equal(fake_read(b->left.fn, RDT(0)), 20 - 4);
		assert_int_equal(stats(&b->right).bad_writebacks, 6 + i);
	}
	while (fake_transmit(b->right.fn, 1))
		;
}

static void a_card_that_is_gone_forwards_nothing(void **state)
{
	struct bench *b = *state;

	receive(&b->left, 1, 60);
	b->right.fn->gone = true;
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	b->right.fn->gone = false;
	b->left.fn->gone = true;
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	b->left.fn->gone = false;
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
}

/* --- queues that do not fit --- */

static void no_pair(struct nic_queue *from, struct nic_queue *to, const char *text)
{
	struct pci_error why = {""};

	assert_int_equal(nic_forward(from, to, 32, NULL, NULL), 0);
	assert_int_equal(nic_forward_check(from, to, &why), -EINVAL);
	if (!strstr(why.text, text))
		print_error("%s\n", why.text);
	assert_non_null(strstr(why.text, text));
}

static void only_a_pair_forwards(void **state)
{
	struct bench *b = *state;
	struct dma_region other = *b->frames;
	struct dma_region *rings = fake_region_new(b->right.fn, 8192);
	struct nic_config config = b->config;
	struct nic *nic;

	receive(&b->left, 1, 60);
	no_pair(b->left.q, b->left.q, "is not the transmit ring of the other");
	other.iova[0] += DMA_CHUNK_SIZE;
	b->right.q->frames = &other;
	no_pair(b->left.q, b->right.q, "not at the same addresses");
	b->right.q->frames = b->frames;

	/* The same card with rings of its own, and the ring of another size. */
	nic_close(b->right.nic);
	config.rings = rings;
	config.in_place = NIC_APART;
	assert_int_equal(nic_open(&nic, b->right.fn, &config, NULL), 0);
	no_pair(b->left.q, nic_queue(nic, 0), "the other does not");
	no_pair(nic_queue(nic, 0), b->left.q, "the other does not");
	nic_close(nic);
	memcpy(rings->iova, b->rings->iova, sizeof rings->iova);
	config.in_place = NIC_RIGHT;
	assert_int_equal(nic_open(&nic, b->right.fn, &config, NULL), 0);
	nic_queue(nic, 0)->verbs = ixgbe_path_in_place(path);
	no_pair(b->left.q, nic_queue(nic, 0), "is not the transmit ring of the other");
	nic_close(nic);
	config.rings = b->rings;
	config.rx_ring = config.tx_ring = 2 * RING;
	assert_int_equal(nic_open(&nic, b->right.fn, &config, NULL), 0);
	nic_queue(nic, 0)->verbs = ixgbe_path_in_place(path);
	no_pair(b->left.q, nic_queue(nic, 0), "is not the transmit ring of the other");
	nic_close(nic);
	/* That one's receive ring lay over ours. */
	begin_anew(&b->left, b->frames);
	assert_int_equal(fill(&b->left, 0, RING), RING);
	receive(&b->left, 1, 60);
	assert_int_equal(open_side(b, &b->right, NIC_RIGHT, 100), 0);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
	fake_region_free(rings);
}

static void a_queue_begun_anew_forwards_nothing(void **state)
{
	struct bench *b = *state;

	receive(&b->left, 1, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
	assert_int_equal(nic_queue_stop(b->right.nic, 0), 0);
	receive(&b->left, 2, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	start(&b->right, b->frames);
	no_pair(b->left.q, b->right.q, "begun anew");
	/* Its receive ring did not disturb the left one's. */
	begin_anew(&b->left, b->frames);
	assert_int_equal(fill(&b->left, 0, RING), RING);
	receive(&b->left, 3, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
	b->right.seen = b->right.fn->sent_frames;
	assert_int_equal(sent(b, &b->right, NULL), 3);
}

/* A pair is looked at anew after one of the two was. */
static void a_pair_is_not_remembered_for_another_queue(void **state)
{
	struct bench *b = *state;
	struct dma_region other = *b->frames;

	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	other.iova[0] = b->frames->iova[1];
	other.iova[1] = b->frames->iova[0];
	receive(&b->left, 1, 60);
	begin_anew(&b->right, &other);
	no_pair(b->left.q, b->right.q, "not at the same addresses");
	begin_anew(&b->right, b->frames);
	assert_int_equal(nic_forward(b->left.q, b->right.q, 0, NULL, NULL), 0);
	begin_anew(&b->left, &other);
	assert_int_equal(fill(&b->left, 0, RING), RING);
	receive(&b->left, 1, 60);
	no_pair(b->left.q, b->right.q, "not at the same addresses");
	begin_anew(&b->left, b->frames);
	assert_int_equal(fill(&b->left, 0, RING), RING);
	receive(&b->left, 1, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
}

/* --- any order of events --- */

struct model {
	unsigned seed;
	unsigned expected[4 * RING], first, end;
	unsigned received;
};

static unsigned dice(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % sides;
}

static void random_look(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	struct model *m = ctx;

	for (size_t i = 0; i < n; i++) {
		unsigned id;

		if (frames[i].flags)
			continue;
		memcpy(&id, base + frames[i].offset, sizeof id);
		assert_int_equal(frames[i].len, 60 + id % 64);
		switch (dice(&m->seed, 16)) {
		case 0: frames[i].len = 0; continue;
		case 1: frames[i].len = 1; continue;
		case 2: frames[i].flags = FRAME_MORE; continue;
		default: break;
		}
		frames[i].len++;
		m->expected[m->end++ % (4 * RING)] = id;
	}
}

static void check_next(struct bench *b, struct model *m)
{
	unsigned len, id = m->expected[m->first++ % (4 * RING)];

	assert_int_equal(sent(b, &b->right, &len), id);
	assert_int_equal(len, 61 + id % 64);
}

static void any_order_of_events(void **state)
{
	struct bench *b = *state;

	for (unsigned seed = 1; seed <= 50; seed++) {
		struct model m = {.seed = seed};

		for (unsigned step = 0; step < 1000; step++) {
			unsigned n = dice(&m.seed, 20);

			switch (dice(&m.seed, 3)) {
			case 0:
				while (n-- && can_receive(&b->left)) {
					if (dice(&m.seed, 20) == 0) {
						fake_write_back(
							b->left.fn, LEGACY_RX_DD | LEGACY_RX_EOP |
									    UINT64_C(1) << 40 |
									    dice(&m.seed, 65536));
						continue;
					}
					receive(&b->left, m.received, 60 + m.received % 64);
					m.received++;
				}
				break;
			case 1: forward(b, n, random_look, &m); break;
			default:
				while (n-- && m.first != m.end)
					check_next(b, &m);
				break;
			}
		}
		while (forward(b, 64, random_look, &m) || m.first != m.end)
			while (m.first != m.end)
				check_next(b, &m);
		assert_true(m.received > 1000);
	}
}

static int group(const char *name, unsigned layout)
{
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		PAIR_TEST(rings_are_crossed),
		PAIR_TEST(a_ring_is_filled_whole),
		PAIR_TEST(the_other_verbs_do_nothing),
		PAIR_TEST(a_configuration_is_checked),
		PAIR_TEST(frames_go_both_ways),
		cmocka_unit_test_setup_teardown(
			a_card_sends_what_it_receives, set_up_mirror, tear_down),
		PAIR_TEST(the_head_is_reported_seldom),
		PAIR_TEST(a_blocked_output_stops_its_input),
		PAIR_TEST(a_look_drops),
		PAIR_TEST(what_is_no_frame_does_not_go_on),
		PAIR_TEST(a_torn_frame_is_remembered),
		PAIR_TEST(done_is_bounded),
		PAIR_TEST(a_wild_head_moves_nothing),
		PAIR_TEST(a_card_that_is_gone_forwards_nothing),
		PAIR_TEST(only_a_pair_forwards),
		PAIR_TEST(a_queue_begun_anew_forwards_nothing),
		PAIR_TEST(a_pair_is_not_remembered_for_another_queue),
		PAIR_TEST(any_order_of_events),
	};

	path = name;
	one_run = layout;
	print_message("path %s, chunks %s\n", path, one_run ? "in one run" : "in no order");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_in_place, 2, group);
}
