/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forwarding between two cards in memory: which frames go on, and where each buffer is.
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
#define BIG   1024u
#define BATCH (RING / 4) /* sent buffers that may wait until they are as many */

static const char *path; /* under test, on chunks of frame memory in one run or not */
static bool one_run;
static bool by_verbs; /* as between queues of two drivers: by their four verbs */

struct side {
	struct pci_function *fn;
	struct dma_region *rings;
	struct nic *nic;
	struct nic_queue *q;
	unsigned seen; /* of what it sent */
};

struct bench {
	struct side left, right;
	struct dma_region *frames;
	unsigned given; /* buffers */
};

static uint32_t buffer(unsigned i)
{
	uint32_t each = (uint32_t)(DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE);

	return (i / each << DMA_CHUNK_SHIFT) + NIC_BUFFER_HEAD + i % each * NIC_BUFFER_STRIDE;
}

static const struct nic_verbs *verbs(void)
{
	static struct nic_verbs four;

	four = *ixgbe_path_verbs(path);
	four.forward = NULL;
	return by_verbs ? &four : ixgbe_path_verbs(path);
}

static int open_side(struct bench *b, struct side *side, unsigned ring)
{
	struct nic_config config = {
		.queues = 1, .rx_ring = ring, .tx_ring = ring, .frames = b->frames, .mtu = 1500};
	struct pci_error why = {""};

	side->rings = fake_region_new(side->fn, (nic_ring_bytes(&config) + 4095) & ~(size_t)4095);
	config.rings = side->rings;
	if (nic_open(&side->nic, side->fn, &config, &why)) {
		print_error("%s\n", why.text);
		return -1;
	}
	side->q = nic_queue(side->nic, 0);
	side->q->verbs = verbs();
	side->fn->tail_writes = 0;
	return 0;
}

static void begin(struct side *side, const struct dma_region *frames)
{
	assert_int_equal(nic_queue_start(side->nic, 0, frames), 0);
	side->q->verbs = verbs();
}

static void give(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t offset = buffer(b->given + i);

		assert_int_equal(nic_rx_provide(b->left.q, &offset, 1), 1);
	}
	nic_flush(b->left.q);
	b->given += n;
}

static struct bench *bench_new(unsigned ring)
{
	struct bench *b = calloc(1, sizeof *b);

	b->left.fn = fake_card_new(0x1528);
	b->left.fn->one_run = one_run;
	b->right.fn = fake_card_new(0x10FB);
	b->frames = fake_region_new(b->left.fn, 2 * DMA_CHUNK_SIZE + 8192);
	b->right.fn->region[0] = b->frames;
	if (open_side(b, &b->left, ring) || open_side(b, &b->right, ring))
		return NULL;
	give(b, ring - RING_LINE);
	return b;
}

static int set_up(void **state)
{
	*state = bench_new(RING);
	return *state ? 0 : -1;
}

static int set_up_big(void **state)
{
	*state = bench_new(BIG);
	return *state ? 0 : -1;
}

static int close_side(struct side *side)
{
	int rc;

	nic_close(side->nic);
	rc = side->fn->wild || side->fn->misuse ? -1 : 0;
	fake_region_free(side->rings);
	fake_card_free(side->fn);
	return rc;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int left = close_side(&b->left);
	int right = close_side(&b->right);

	fake_region_free(b->frames);
	free(b);
	return left ? left : right;
}

static void receive(struct bench *b, unsigned id, unsigned len)
{
	uint8_t data[2048] = {0};

	memcpy(data, &id, sizeof id);
	assert_true(fake_receive(b->left.fn, data, len));
}

static size_t forward(struct bench *b, size_t n, nic_look *look, void *ctx)
{
	return nic_forward(b->left.q, b->right.q, n, look, ctx);
}

/* The next frame that a side sent: what its first bytes say. */
static unsigned sent(struct bench *b, struct side *side, unsigned *len)
{
	const struct fake_sent *what;
	unsigned id;

	while (side->fn->sent_frames == side->seen)
		assert_int_equal(fake_transmit(side->fn, 1), 1);
	assert_int_equal(side->fn->sent_frames, side->seen + 1);
	what = &side->fn->sent[side->seen++ % FAKE_SENT];
	assert_int_equal(what->pieces, 1);
	if (len)
		*len = what->bytes;
	memcpy(&id, b->frames->base + what->first, sizeof id);
	return id;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return (*left > *right) - (*left < *right);
}

/* Each buffer that was given is in one place: the left receive ring or the right transmit ring. */
static void conserved(struct bench *b, struct nic_queue *from, struct nic_queue *to)
{
	static uint32_t all[2 * BIG];
	uint32_t rx = (uint32_t)nic_rx_held(from), tx = (uint32_t)nic_tx_held(to);

	assert_int_equal(rx + tx, b->given);
	ring_peek(&from->rx, from->rx.head, all, rx);
	ring_peek(&to->tx, to->tx.head, all + rx, tx);
	qsort(all, rx + tx, sizeof all[0], compare);
	for (unsigned i = 0; i < rx + tx; i++)
		assert_int_equal(all[i], buffer(i));
}

static uint64_t bad_offsets(const struct side *side)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(side->nic, &stats), 0);
	return stats.bad_offsets;
}

/* --- what a look does --- */

struct touch {
	uint8_t *base;
	size_t calls, frames;
};

static void touch(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	struct touch *t = ctx;

	t->base = base;
	t->calls++;
	t->frames += n;
	for (size_t i = 0; i < n; i++)
		base[frames[i].offset + 4]++;
}

/* Drops the frames whose number is one of three. */
static void drop_thirds(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		if (base[frames[i].offset] % 3 == 0)
			frames[i].len = 0;
}

static void drop_all(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx, (void)base;
	for (size_t i = 0; i < n; i++)
		frames[i].len = 0;
}

/* A tag of four bytes goes away at odd ones, and one comes at even ones. */
static void shift(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = base + frames[i].offset;

		if (data[0] & 1) {
			memmove(data + 4, data, 4);
			frames[i].offset += 4;
			frames[i].len = (uint16_t)(frames[i].len - 4);
		} else {
			memmove(data - 4, data, 4);
			frames[i].offset -= 4;
			frames[i].len = (uint16_t)(frames[i].len + 4);
		}
	}
}

static void spoil(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	unsigned number = *(unsigned *)ctx;

	(void)base;
	assert_true(n > 4);
	switch (number) {
	case 0: frames[1].len = 13; break;
	case 1: frames[1].len = 1519; break;
	case 2: frames[1].offset = UINT32_MAX - 10; break;
	case 3: frames[1].flags = FRAME_ERROR; break;
	default: frames[0].len = frames[1].len = frames[n - 1].len = 1; break;
	}
}

/* --- the tests --- */

static void frames_go_on_and_buffers_come_back(void **state)
{
	struct bench *b = *state;
	struct touch t = {0};
	unsigned len;

	assert_int_equal(nic_forward_check(b->left.q, b->right.q, NULL), 0);
	assert_int_equal(forward(b, 32, touch, &t), 0);
	assert_int_equal(t.calls, 0);
	for (unsigned turn = 0; turn < 40; turn++) { /* several times round both rings */
		for (unsigned i = 0; i < 11; i++)
			receive(b, turn * 11 + i, 60 + i);
		assert_int_equal(forward(b, 32, touch, &t), 11);
		conserved(b, b->left.q, b->right.q);
		for (unsigned i = 0; i < 11; i++) {
			assert_int_equal(sent(b, &b->right, &len), turn * 11 + i);
			assert_int_equal(len, 60 + i);
		}
	}
	assert_ptr_equal(t.base, b->frames->base);
	assert_int_equal(t.calls, 40);
	assert_int_equal(t.frames, 440);
	assert_int_equal(bad_offsets(&b->left) + bad_offsets(&b->right), 0);
	assert_int_equal(b->right.fn->tail_writes, 40);
}

static void without_a_look_and_in_small_bursts(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 7; i++)
		receive(b, i, 60);
	assert_int_equal(forward(b, 0, NULL, NULL), 0);
	assert_int_equal(forward(b, 3, NULL, NULL), 3);
	assert_int_equal(forward(b, 3, NULL, NULL), 3);
	assert_int_equal(forward(b, 3, NULL, NULL), 1);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(sent(b, &b->right, NULL), i);
	conserved(b, b->left.q, b->right.q);
}

static void a_call_takes_so_many(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < NIC_FORWARD_MAX + 10; i++)
		receive(b, i, 60);
	assert_int_equal(forward(b, BIG, NULL, NULL), NIC_FORWARD_MAX);
	assert_int_equal(forward(b, BIG, NULL, NULL), 10);
	for (unsigned i = 0; i < NIC_FORWARD_MAX + 10; i++)
		assert_int_equal(sent(b, &b->right, NULL), i);
	/* More than a call's worth have been sent; they come back. */
	forward(b, 1, NULL, NULL);
	assert_true(nic_tx_held(b->right.q) <= 10);
	forward(b, 1, NULL, NULL);
	assert_true(nic_tx_held(b->right.q) < RING_LINE);
	conserved(b, b->left.q, b->right.q);
}

static void what_the_output_cannot_take_waits(void **state)
{
	struct bench *b = *state;
	unsigned id = 0, next = 0;
	uint32_t taken[4];

	/* A few of our own lie in its ring as well. */
	for (unsigned i = 0; i < 4; i++) {
		struct frame frame = {.offset = buffer(b->given + i), .len = 60};

		assert_int_equal(nic_tx_provide(b->right.q, &frame, 1), 1);
	}
	while (fake_read(b->left.fn, RDH(0)) != fake_read(b->left.fn, RDT(0)))
		receive(b, id++, 60);
	assert_int_equal(id, RING - 4);
	assert_int_equal(forward(b, 64, NULL, NULL), RING - 8);
	assert_int_equal(forward(b, 64, NULL, NULL), 0);
	assert_int_equal(nic_rx_held(b->left.q), 4);
	for (unsigned i = 0; i < 4; i++)
		fake_transmit(b->right.fn, 1);
	b->right.seen = 4;
	/* These come back to who provided them, or go to the receive ring. */
	assert_int_equal(nic_tx_return(b->right.q, taken, 4), 4);
	assert_int_equal(taken[3], buffer(b->given + 3));
	assert_int_equal(forward(b, 64, NULL, NULL), 4);
	while (next < id)
		assert_int_equal(sent(b, &b->right, NULL), next++);
	assert_int_equal(forward(b, 64, NULL, NULL), 0);
	assert_true(nic_rx_held(b->left.q) > RING - 4 - BATCH);
	conserved(b, b->left.q, b->right.q);
}

static void a_look_drops(void **state)
{
	struct bench *b = *state;

	for (unsigned turn = 0; turn < 30; turn++) {
		unsigned tails = b->right.fn->tail_writes;

		for (unsigned i = 0; i < 9; i++)
			receive(b, i, 60);
		assert_int_equal(forward(b, 32, drop_thirds, NULL), 9);
		assert_int_equal(b->right.fn->tail_writes, tails + 1);
		conserved(b, b->left.q, b->right.q);
		for (unsigned i = 0; i < 9; i++)
			if (i % 3)
				assert_int_equal(sent(b, &b->right, NULL), i);
		assert_true(nic_tx_held(b->right.q) < 6 + BATCH);
	}
	for (unsigned i = 0; i < 9; i++)
		receive(b, i, 60);
	assert_int_equal(forward(b, 32, drop_all, NULL), 9);
	assert_true(nic_tx_held(b->right.q) < BATCH);
	conserved(b, b->left.q, b->right.q);
	assert_int_equal(bad_offsets(&b->left) + bad_offsets(&b->right), 0);
}

static void a_frame_may_begin_elsewhere(void **state)
{
	struct bench *b = *state;
	unsigned len;

	for (unsigned turn = 0; turn < 30; turn++) {
		for (unsigned i = 0; i < 8; i++)
			receive(b, i, 100);
		assert_int_equal(forward(b, 32, shift, NULL), 8);
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(sent(b, &b->right, &len), i);
			assert_int_equal(len, i & 1 ? 96 : 104);
		}
		conserved(b, b->left.q, b->right.q);
	}
}

static void what_may_not_be_sent_is_dropped(void **state)
{
	struct bench *b = *state;
	uint64_t bad = 0;

	for (unsigned number = 0; number < 5; number++) {
		for (unsigned i = 0; i < 6; i++)
			receive(b, i, 60);
		assert_int_equal(forward(b, 32, spoil, &number), 6);
		conserved(b, b->left.q, b->right.q);
		for (unsigned i = 0; i < 6; i++)
			if (i != 1 && (number < 4 || (i != 0 && i != 5)))
				assert_int_equal(sent(b, &b->right, NULL), i);
		assert_int_equal(fake_transmit(b->right.fn, 1), 0);
		/* A flag is how the receiving card marks what is no frame. */
		bad += number == 3 ? 0 : number == 4 ? 3 : 1;
		assert_int_equal(bad_offsets(&b->right), bad);
	}
	assert_int_equal(bad_offsets(&b->left), 0);
	/* The output's MTU is what counts. */
	assert_int_equal(nic_set_mtu(b->right.nic, 1000), 0);
	receive(b, 7, 1018);
	receive(b, 8, 1019);
	receive(b, 9, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 3);
	assert_int_equal(sent(b, &b->right, NULL), 7);
	assert_int_equal(sent(b, &b->right, NULL), 9);
	assert_int_equal(bad_offsets(&b->right), bad + 1);
	conserved(b, b->left.q, b->right.q);
}

static void what_is_no_frame_does_not_go_on(void **state)
{
	struct bench *b = *state;
	static const uint64_t words[] = {
		RX_DD | RX_EOP | RX_RXE | (UINT64_C(60) << RX_LENGTH_SHIFT),
		RX_DD | RX_EOP | (UINT64_C(13) << RX_LENGTH_SHIFT),
		RX_DD | RX_EOP | (UINT64_C(0xFFFF) << RX_LENGTH_SHIFT),
		RX_DD | (UINT64_C(60) << RX_LENGTH_SHIFT),
		RX_DD | RX_EOP | (UINT64_C(60) << RX_LENGTH_SHIFT), /* the end of the one before */
	};
	struct touch t = {0};
	struct nic_stats stats;

	for (unsigned turn = 0; turn < 20; turn++) {
		receive(b, 1, 60);
		for (unsigned i = 0; i < 5; i++)
			assert_true(fake_write_back(b->left.fn, words[i]));
		receive(b, 2, 60);
		assert_int_equal(forward(b, 32, touch, &t), 7);
		assert_int_equal(sent(b, &b->right, NULL), 1);
		assert_int_equal(sent(b, &b->right, NULL), 2);
		assert_int_equal(fake_transmit(b->right.fn, 1), 0);
		conserved(b, b->left.q, b->right.q);
	}
	assert_int_equal(nic_stats(b->left.nic, &stats), 0);
	assert_int_equal(stats.bad_writebacks, 20 * 4);
}

/* So many frames go through, one by one. */
static void pass(struct bench *b, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		receive(b, i, 60);
		assert_int_equal(forward(b, 32, NULL, NULL), 1);
		assert_int_equal(sent(b, &b->right, NULL), i);
		conserved(b, b->left.q, b->right.q);
	}
}

static void own_frames_buffers_go_round_as_well(void **state)
{
	struct bench *b = *state;

	/* More buffers are in the rings than the receive ring takes. */
	for (unsigned i = 0; i < RING - 4; i++) {
		struct frame frame = {.offset = buffer(b->given), .len = 60};

		assert_int_equal(nic_tx_provide(b->right.q, &frame, 1), 1);
		b->given++;
	}
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	assert_int_equal(fake_transmit(b->right.fn, RING), RING - 4);
	b->right.seen = b->right.fn->sent_frames;
	/* None of either ring can be spared: the card has all that it can have. */
	receive(b, 0, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	assert_int_equal(nic_tx_return(b->right.q, &(uint32_t){0}, 1), 1);
	b->given--;
}

/* A transmit ring full of what was sent does not wait until the receive ring takes many. */
static void a_full_ring_of_sent_frames_moves(void **state)
{
	struct bench *b = *state;
	struct frame frames[8];

	for (unsigned i = 0; i < 8; i++)
		receive(b, i, 60);
	assert_int_equal(nic_rx_return(b->left.q, frames, 8), 8);
	for (unsigned i = 0; i < RING - 4; i++) {
		struct frame frame = {.offset = buffer(b->given + i), .len = 60};

		assert_int_equal(nic_tx_provide(b->right.q, &frame, 1), 1);
	}
	assert_int_equal(fake_transmit(b->right.fn, RING), RING - 4);
	receive(b, 9, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
}

static void what_is_no_buffer_stays(void **state)
{
	struct bench *b = *state;
	struct frame own = {.offset = buffer(b->given), .len = 60};
	struct frame odd = {.offset = 20, .len = 60}; /* in the headroom: no buffer */
	uint32_t back;

	/* One of our own goes round as the others do. */
	assert_int_equal(nic_tx_provide(b->right.q, &own, 1), 1);
	b->given++;
	b->right.seen++;
	fake_transmit(b->right.fn, 1);
	pass(b, 0, 3 * RING);

	assert_int_equal(nic_tx_provide(b->right.q, &odd, 1), 1);
	fake_transmit(b->right.fn, 1);
	b->right.seen++;
	for (unsigned i = 0; bad_offsets(&b->left) == 0; i++) {
		assert_true(i < RING);
		receive(b, i, 60);
		assert_int_equal(forward(b, 32, NULL, NULL), 1);
		assert_int_equal(sent(b, &b->right, NULL), i);
	}
	assert_int_equal(nic_tx_return(b->right.q, &back, 1), 1);
	assert_int_equal(back, 20);
	pass(b, 0, 3 * RING);
	assert_int_equal(bad_offsets(&b->left), 1);
}

static void a_card_sends_what_it_receives(void **state)
{
	struct bench *b = *state;

	for (unsigned turn = 0; turn < 30; turn++) {
		for (unsigned i = 0; i < 5; i++)
			receive(b, turn * 5 + i, 60);
		assert_int_equal(nic_forward(b->left.q, b->left.q, 32, NULL, NULL), 5);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(sent(b, &b->left, NULL), turn * 5 + i);
		conserved(b, b->left.q, b->left.q);
	}
}

static void a_card_that_is_gone_forwards_nothing(void **state)
{
	struct bench *b = *state;

	receive(b, 1, 60);
	b->right.fn->gone = true;
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	b->right.fn->gone = false;
	b->left.fn->gone = true;
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	b->left.fn->gone = false;
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
}

static void other_memory_is_told(void **state)
{
	struct bench *b = *state;
	struct dma_region other = *b->frames;
	const struct dma_region *frames = b->right.q->frames;
	struct pci_error why;

	other.base++;
	b->right.q->frames = &other;
	assert_int_equal(nic_forward_check(b->left.q, b->right.q, NULL), -EINVAL);
	assert_int_equal(nic_forward_check(b->left.q, b->right.q, &why), -EINVAL);
	assert_non_null(strstr(why.text, "not on the same frame memory"));
	b->right.q->frames = frames;
}

static void a_queue_that_stands_still_takes_nothing(void **state)
{
	struct bench *b = *state;
	struct pci_error why;

	receive(b, 1, 60);
	assert_int_equal(nic_queue_stop(b->right.nic, 0), 0);
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	assert_int_equal(nic_forward(b->right.q, b->left.q, 32, NULL, NULL), 0);
	assert_int_equal(nic_forward_check(b->left.q, b->right.q, NULL), -EINVAL);
	assert_int_equal(nic_forward_check(b->right.q, b->left.q, &why), -EINVAL);
	assert_non_null(strstr(why.text, "a queue stands still"));
	begin(&b->right, b->frames);
	assert_int_equal(forward(b, 32, NULL, NULL), 1);
	assert_int_equal(sent(b, &b->right, NULL), 1);
}

/* Nobody promises that the regions are the same: each queue is held to its own. */
static void a_smaller_region_is_not_left(void **state)
{
	struct bench *b = *state;
	struct dma_region small = *b->frames;
	unsigned next = 0;

	small.size = 10 * 4096; /* 19 buffers, and the frame in the next */
	small.chunks = 1;
	assert_int_equal(nic_queue_stop(b->right.nic, 0), 0);
	begin(&b->right, &small);
	for (unsigned i = 0; i < 32; i++)
		receive(b, i, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 32);
	while (next < 20)
		assert_int_equal(sent(b, &b->right, NULL), next++);
	assert_int_equal(fake_transmit(b->right.fn, 1), 0);
	assert_int_equal(bad_offsets(&b->right), 32 - 20);
	conserved(b, b->left.q, b->right.q);

	/* The other way round: what was sent is no buffer of the receiving queue any more. */
	assert_int_equal(nic_queue_stop(b->right.nic, 0), 0);
	assert_int_equal(nic_queue_stop(b->left.nic, 0), 0);
	begin(&b->right, b->frames);
	begin(&b->left, b->frames);
	b->given = 0;
	give(b, RING - RING_LINE);
	for (unsigned i = 0; i < 32; i++)
		receive(b, i, 60);
	assert_int_equal(forward(b, 32, NULL, NULL), 32);
	assert_int_equal(fake_transmit(b->right.fn, 32), 32);
	assert_int_equal(nic_queue_stop(b->left.nic, 0), 0);
	begin(&b->left, &small);
	assert_int_equal(forward(b, 32, NULL, NULL), 0);
	assert_int_equal(nic_rx_held(b->left.q), 19);
	assert_int_equal(nic_tx_held(b->right.q), 32 - 19);
	assert_int_equal(bad_offsets(&b->left), 1);
}

/* --- any order of events, against a list of what must come out --- */

struct model {
	unsigned seed;
	unsigned expected[4 * RING], first, end; /* to be sent, in this order */
	unsigned received, moved;
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
		uint8_t *data = base + frames[i].offset;
		unsigned id;

		memcpy(&id, data, sizeof id);
		if (frames[i].flags)
			continue;
		assert_int_equal(frames[i].len, 60 + id % 64);
		switch (dice(&m->seed, 16)) {
		case 0: frames[i].len = 0; continue;
		case 1: frames[i].len = 1; continue;
		case 2:
			memmove(data - 20, data, 4);
			frames[i].offset -= 20;
			m->moved++;
			break;
		default: break;
		}
		m->expected[m->end++ % (4 * RING)] = id;
	}
}

static void any_order_of_events(void **state)
{
	struct bench *b = *state;

	for (unsigned seed = 1; seed <= 30; seed++) {
		struct model m = {.seed = seed};

		for (unsigned step = 0; step < 1000; step++) {
			unsigned n = dice(&m.seed, 20);

			switch (dice(&m.seed, 3)) {
			case 0:
				while (n-- && fake_read(b->left.fn, RDH(0)) !=
						      fake_read(b->left.fn, RDT(0))) {
					if (dice(&m.seed, 20) == 0) {
						fake_write_back(b->left.fn,
							(uint64_t)dice(&m.seed, 65536)
									<< RX_LENGTH_SHIFT |
								RX_DD | RX_EOP | RX_RXE);
						continue;
					}
					receive(b, m.received, 60 + m.received % 64);
					m.received++;
				}
				break;
			case 1: forward(b, n, random_look, &m); break;
			default:
				while (n-- && m.first != m.end)
					assert_int_equal(sent(b, &b->right, NULL),
						m.expected[m.first++ % (4 * RING)]);
				break;
			}
			conserved(b, b->left.q, b->right.q);
		}
		while (m.first != m.end)
			assert_int_equal(
				sent(b, &b->right, NULL), m.expected[m.first++ % (4 * RING)]);
		assert_true(m.moved > 50);
		while (forward(b, 64, drop_all, NULL))
			;
	}
}

static int group(const char *name, unsigned layout)
{
#define FORWARD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		FORWARD_TEST(frames_go_on_and_buffers_come_back),
		FORWARD_TEST(without_a_look_and_in_small_bursts),
		cmocka_unit_test_setup_teardown(a_call_takes_so_many, set_up_big, tear_down),
		FORWARD_TEST(what_the_output_cannot_take_waits),
		FORWARD_TEST(a_look_drops),
		FORWARD_TEST(a_frame_may_begin_elsewhere),
		FORWARD_TEST(what_may_not_be_sent_is_dropped),
		FORWARD_TEST(what_is_no_frame_does_not_go_on),
		FORWARD_TEST(own_frames_buffers_go_round_as_well),
		FORWARD_TEST(a_full_ring_of_sent_frames_moves),
		FORWARD_TEST(what_is_no_buffer_stays),
		FORWARD_TEST(a_card_sends_what_it_receives),
		FORWARD_TEST(a_card_that_is_gone_forwards_nothing),
		FORWARD_TEST(other_memory_is_told),
		FORWARD_TEST(a_queue_that_stands_still_takes_nothing),
		FORWARD_TEST(a_smaller_region_is_not_left),
		FORWARD_TEST(any_order_of_events),
	};

	path = name;
	one_run = layout & 1;
	by_verbs = layout & 2;
	print_message("path %s, chunks %s%s\n", path, one_run ? "in one run" : "in no order",
		by_verbs ? ", by the verbs" : "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 4, group);
}
