/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames larger than a buffer, over cards in memory: received and sent in several pieces, whole or
 * not at all, also from one card to another and from one process to the next.
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

#define RING    64u
#define LARGEST (NIC_MTU_MAX + 18u) /* header and tag, without the CRC */

static const char *path;
static bool by_verbs; /* forwards as between queues of two drivers */

struct side {
	struct pci_function *fn;
	struct nic_config config;
	struct nic *nic;
	struct nic_queue *q;
};

struct bench {
	struct dma_region *frames;
	struct side left, right;
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static const struct nic_verbs *verbs(void)
{
	static struct nic_verbs four;

	four = *ixgbe_path_verbs(path);
	four.forward = NULL;
	return by_verbs ? &four : ixgbe_path_verbs(path);
}

static void use_path(struct side *side)
{
	side->q = nic_queue(side->nic, 0);
	side->q->verbs = verbs();
}

static int open_side(struct bench *b, struct side *side, uint16_t device)
{
	struct pci_error why;

	side->fn = fake_card_new(device);
	if (!b->frames)
		b->frames = fake_region_new(side->fn, 2 * DMA_CHUNK_SIZE);
	side->fn->region[0] = b->frames;
	side->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = b->frames,
		.mtu = NIC_MTU_MAX,
		.rings = fake_region_new(side->fn, 4096)};
	side->config.state = calloc(1, nic_state_bytes(&side->config));
	if (nic_open(&side->nic, side->fn, &side->config, &why)) {
		print_error("%s\n", why.text);
		return -1;
	}
	use_path(side);
	return 0;
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	*state = b;
	return open_side(b, &b->left, 0x10FB) || open_side(b, &b->right, 0x1528);
}

static int close_side(struct side *side)
{
	int rc;

	nic_close(side->nic);
	rc = side->fn->wild || side->fn->misuse || side->fn->bars ? -1 : 0;
	fake_region_free((struct dma_region *)(uintptr_t)side->config.rings);
	fake_card_free(side->fn);
	free(side->config.state);
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

static void give(struct side *side, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t offset = buffer(first + i);

		assert_int_equal(nic_rx_provide(side->q, &offset, 1), 1);
	}
	nic_flush(side->q);
}

static const uint8_t *content(unsigned id, unsigned len)
{
	static uint8_t data[LARGEST + NIC_BUFFER_SIZE];

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(id * 37 + i * 11 + (i >> 8));
	return data;
}

static void arrive(struct side *side, unsigned id, unsigned len)
{
	assert_true(fake_receive(side->fn, content(id, len), len));
}

/* What lies in the entries of a frame; returns how many they are. */
static unsigned check_frame(struct bench *b, const struct frame *frames, unsigned id, unsigned len)
{
	const uint8_t *data = content(id, len);
	unsigned entries = (len + NIC_BUFFER_SIZE - 1) / NIC_BUFFER_SIZE;

	for (unsigned i = 0; i < entries; i++) {
		bool last = i + 1 == entries;
		unsigned part = last ? len - i * NIC_BUFFER_SIZE : NIC_BUFFER_SIZE;

		assert_int_equal(frames[i].flags, last ? 0 : FRAME_MORE);
		assert_int_equal(frames[i].len, part);
		assert_memory_equal(
			b->frames->base + frames[i].offset, data + i * NIC_BUFFER_SIZE, part);
	}
	return entries;
}

static uint64_t bad(struct side *side)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(side->nic, &stats), 0);
	return stats.bad_writebacks;
}

static uint64_t refused(struct side *side)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(side->nic, &stats), 0);
	return stats.bad_offsets;
}

/* --- what is programmed --- */

static void the_mtu_bounds_both_ways(void **state)
{
	struct bench *b = *state;
	struct nic_config wrong = b->left.config;
	struct pci_error why;
	struct nic *none;

	assert_int_equal(nic_mtu_max(b->left.nic), 9710);
	assert_int_equal(fake_read(b->left.fn, MAXFRS) >> 16, 9732);
	assert_int_equal(fake_read(b->left.fn, HLREG0) & HLREG0_JUMBOEN, HLREG0_JUMBOEN);
	assert_int_equal(nic_set_mtu(b->left.nic, 9711), -EINVAL);
	assert_int_equal(nic_set_mtu(b->left.nic, 9000), 0);
	assert_int_equal(fake_read(b->left.fn, MAXFRS) >> 16, 9022);
	wrong.mtu = 9711;
	assert_int_equal(nic_open(&none, b->right.fn, &wrong, &why), -EINVAL);
	assert_string_equal(why.text, "ixgbe 0000:01:00.0: bad configuration: the MTU must lie "
				      "between 68 and 9710");
}

static void in_place_a_frame_has_one_buffer(void **state)
{
	struct bench *b = *state;
	struct nic_config config = b->right.config;
	struct pci_error why;

	nic_close(b->right.nic);
	config.in_place = NIC_MIRROR;
	config.state = NULL;
	config.mtu = NIC_MTU_ONE_BUFFER + 1;
	assert_int_equal(nic_open(&b->right.nic, b->right.fn, &config, &why), -EINVAL);
	assert_string_equal(why.text, "ixgbe 0000:01:00.0: its MTU goes up to 2026 here, not 2027");
	config.mtu = NIC_MTU_ONE_BUFFER;
	assert_int_equal(nic_open(&b->right.nic, b->right.fn, &config, &why), 0);
	assert_int_equal(nic_set_mtu(b->right.nic, NIC_MTU_ONE_BUFFER + 1), -EINVAL);
}

/* --- receive --- */

static void each_size_comes_whole(void **state)
{
	static const unsigned sizes[] = {60, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 6145, 8192,
		8193, 9014, 9724, LARGEST, LARGEST + 4};
	struct bench *b = *state;
	struct frame frames[RING];
	unsigned given = 0;

	give(&b->left, 0, RING - RING_LINE);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned entries = (sizes[i] + NIC_BUFFER_SIZE - 1) / NIC_BUFFER_SIZE;

		arrive(&b->left, i, sizes[i]);
		assert_int_equal(nic_rx_return(b->left.q, frames, RING), entries);
		assert_int_equal(check_frame(b, frames, i, sizes[i]), entries);
		/* in the order in which they were given */
		for (unsigned k = 0; k < entries; k++)
			assert_int_equal(frames[k].offset, buffer(given++ % (RING - RING_LINE)));
		for (unsigned k = 0; k < entries; k++)
			assert_int_equal(nic_rx_provide(b->left.q, &frames[k].offset, 1), 1);
		nic_flush(b->left.q);
	}
	assert_int_equal(bad(&b->left), 0);
}

/* Lines of common frames around it; wherever the burst ends, no frame is cut. */
static void bursts_end_between_frames(void **state)
{
	static const unsigned sizes[] = {
		60, 5000, 1000, 61, 62, 63, 64, 65, 9000, 2049, 66, 67, 68, 69, 9728, 70};
	enum { COUNT = sizeof sizes / sizeof *sizes };
	struct bench *b = *state;
	struct frame frames[RING];

	for (unsigned burst = NIC_FRAME_ENTRIES; burst < 32; burst++) {
		unsigned next = 0;

		assert_int_equal(nic_queue_stop(b->left.nic, 0), 0);
		assert_int_equal(nic_queue_start(b->left.nic, 0, b->frames), 0);
		use_path(&b->left);
		give(&b->left, 0, RING - RING_LINE);
		for (unsigned i = 0; i < COUNT; i++)
			arrive(&b->left, i, sizes[i]);
		while (next < COUNT) {
			size_t n = nic_rx_return(b->left.q, frames, burst);

			assert_in_range(n, 1, burst);
			for (size_t at = 0; at < n; next++)
				at += check_frame(b, frames + at, next, sizes[next]);
		}
		assert_int_equal(nic_rx_return(b->left.q, frames, burst), 0);
	}
}

static void a_frame_that_is_not_whole_waits(void **state)
{
	struct bench *b = *state;
	const uint64_t full = (uint64_t)NIC_BUFFER_SIZE << RX_LENGTH_SHIFT;
	struct frame frames[RING];

	give(&b->left, 0, RING - RING_LINE);
	arrive(&b->left, 1, 100);
	assert_true(fake_write_back(b->left.fn, RX_DD | full));
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 1);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 0);
	assert_true(fake_write_back(b->left.fn, RX_DD | full));
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 0);
	assert_true(fake_write_back(b->left.fn, RX_DD | RX_EOP | UINT64_C(1) << RX_LENGTH_SHIFT));
	/* whole, but there is no room */
	assert_int_equal(nic_rx_return(b->left.q, frames, 1), 0);
	assert_int_equal(nic_rx_return(b->left.q, frames, 2), 0);
	assert_int_equal(nic_rx_return(b->left.q, frames, 3), 3);
	assert_int_equal(frames[1].flags, FRAME_MORE);
	assert_int_equal(frames[2].flags, 0);
	assert_int_equal(frames[2].len, 1);
	assert_int_equal(bad(&b->left), 0);
}

static void what_cannot_be_gives_each_buffer_back(void **state)
{
	struct bench *b = *state;
	struct frame frames[RING];
	/* A frame's lengths; 0 ends them before its time, as it cannot be either. */
	static const struct {
		uint16_t len[7];
		unsigned entries;
		bool error;     /* as the card says */
		uint16_t given; /* the length of each entry; 0 also for "cannot be" */
		unsigned bad;
	} cases[] = {
		{{2048, 2049}, 2, false, 0, 1},
		{{0, 2048}, 2, false, 0, 1},
		{{13, 2048}, 2, false, 0, 1},
		{{2048, 0}, 2, false, 0, 1},
		{{2048, 65535, 5}, 3, false, 0, 1},
		{{2048, 2048, 2048}, 3, true, 2048, 0},
		/* Six: beyond the largest frame. All to its end is dropped, each counted. */
		{{2048, 2048, 2048, 2048, 2048, 2048}, 6, false, 0, 6},
	};

	give(&b->left, 0, RING - RING_LINE);
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t before = bad(&b->left);

		for (unsigned k = 0; k < cases[i].entries; k++)
			assert_true(fake_write_back(
				b->left.fn, RX_DD | (uint64_t)cases[i].len[k] << RX_LENGTH_SHIFT |
						    (k + 1 < cases[i].entries ? 0 : RX_EOP) |
						    (cases[i].error ? RX_RXE : 0)));
		arrive(&b->left, i, 70);
		assert_int_equal(nic_rx_return(b->left.q, frames, RING), cases[i].entries + 1);
		for (unsigned k = 0; k < cases[i].entries; k++) {
			assert_int_equal(frames[k].flags, FRAME_ERROR);
			assert_int_equal(frames[k].len, cases[i].given);
		}
		check_frame(b, frames + cases[i].entries, i, 70);
		assert_int_equal(bad(&b->left) - before, cases[i].bad);
	}
}

/* A frame of the larger MTU may be on its way when it is lowered; where none was ever large, a card
 * that needs two buffers is out of order.
 */
static void the_mtu_changes_while_frames_come(void **state)
{
	struct bench *b = *state;
	struct frame frames[RING];

	give(&b->left, 0, RING - RING_LINE);
	assert_int_equal(nic_set_mtu(b->left.nic, 1500), 0);
	arrive(&b->left, 1, LARGEST);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 5);
	check_frame(b, frames, 1, LARGEST);
	assert_int_equal(nic_queue_stop(b->left.nic, 0), 0);
	assert_int_equal(nic_queue_start(b->left.nic, 0, b->frames), 0);
	use_path(&b->left);
	give(&b->left, 0, RING - RING_LINE);
	arrive(&b->left, 2, 2049);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 2);
	assert_int_equal(frames[0].flags, FRAME_ERROR);
	assert_int_equal(frames[1].flags, FRAME_ERROR);
	assert_int_equal(bad(&b->left), 2);
	assert_int_equal(nic_set_mtu(b->left.nic, NIC_MTU_ONE_BUFFER), 0);
	arrive(&b->left, 3, 2049);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 2);
	assert_int_equal(bad(&b->left), 4);
	assert_int_equal(nic_set_mtu(b->left.nic, NIC_MTU_ONE_BUFFER + 1), 0);
	arrive(&b->left, 4, 2049);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 2);
	check_frame(b, frames, 4, 2049);
	assert_int_equal(bad(&b->left), 4);
}

static void half_a_frame_goes_to_the_next_process(void **state)
{
	struct bench *b = *state;
	const uint8_t *data = content(7, 2049);
	struct frame frames[RING];
	struct pci_error why;

	give(&b->left, 0, RING - RING_LINE);
	memcpy(b->frames->base + buffer(0), data, NIC_BUFFER_SIZE);
	assert_true(
		fake_write_back(b->left.fn, RX_DD | (uint64_t)NIC_BUFFER_SIZE << RX_LENGTH_SHIFT));
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 0);
	nic_release(b->left.nic);
	assert_int_equal(nic_adopt(&b->left.nic, b->left.fn, &b->left.config, &why), 0);
	use_path(&b->left);
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 0);
	b->frames->base[buffer(1)] = data[NIC_BUFFER_SIZE];
	assert_true(fake_write_back(b->left.fn, RX_DD | RX_EOP | UINT64_C(1) << RX_LENGTH_SHIFT));
	assert_int_equal(nic_rx_return(b->left.q, frames, RING), 2);
	check_frame(b, frames, 7, 2049);
}

/* --- transmit --- */

static void large_frames_are_sent_in_one_piece_or_several(void **state)
{
	struct bench *b = *state;
	struct pci_function *fn = b->left.fn;
	const struct frame frames[] = {
		{.offset = 4096, .len = LARGEST},
		{.offset = 4096, .len = 2048, .flags = FRAME_MORE},
		{.offset = 8192, .len = LARGEST - 2048},
		{.offset = 4096, .len = 2048, .flags = FRAME_MORE},
		{.offset = 8192, .len = LARGEST - 2047},
	};

	assert_int_equal(nic_tx_provide(b->left.q, frames, 5), 3);
	assert_int_equal(refused(&b->left), 1);
	assert_int_equal(fake_transmit(fn, RING), 3);
	assert_int_equal(fn->sent_frames, 2);
	assert_int_equal(fn->sent[0].bytes, LARGEST);
	assert_int_equal(fn->sent[0].pieces, 1);
	assert_int_equal(fn->sent[1].bytes, LARGEST);
	assert_int_equal(fn->sent[1].pieces, 2);
	assert_int_equal(nic_tx_provide(b->left.q, &frames[4], 1), 1);
	assert_int_equal(nic_set_mtu(b->left.nic, 1500), 0);
	assert_int_equal(nic_tx_provide(b->left.q, frames, 3), 0);
}

/* --- from one card to the other --- */

static void look_none(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)base, (void)frames;
	*(size_t *)ctx += n;
}

/* Drops frames of which the second entry begins with that byte. */
static void look_drop(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	const uint8_t *which = ctx;

	for (size_t i = 1; i < n; i++)
		if (frames[i - 1].flags & FRAME_MORE && base[frames[i].offset] == *which)
			frames[i].len = 0;
}

static size_t forward_all(struct bench *b, nic_look *look, void *ctx)
{
	size_t n, all = 0;

	do
		all += n = nic_forward(b->left.q, b->right.q, NIC_FORWARD_MAX, look, ctx);
	while (n);
	return all;
}

static void large_frames_go_on(void **state)
{
	static const unsigned sizes[] = {60, 3000, 61, 62, 9728, 63, 64, 65, 66, 2049, 1514};
	enum { COUNT = sizeof sizes / sizeof *sizes, ENTRIES = 17 };
	struct bench *b = *state;
	struct pci_function *out = b->right.fn;
	size_t seen = 0;

	give(&b->left, 0, RING - RING_LINE);
	/* Often enough for both rings to wrap, at each place in a line. */
	for (unsigned round = 0; round < 40; round++) {
		unsigned first = out->sent_frames;

		for (unsigned i = 0; i < COUNT; i++)
			arrive(&b->left, i, sizes[i]);
		seen = 0;
		assert_int_equal(forward_all(b, look_none, &seen), ENTRIES);
		assert_int_equal(seen, ENTRIES);
		assert_int_equal(fake_transmit(out, RING), ENTRIES);
		assert_int_equal(out->sent_frames - first, COUNT);
		for (unsigned i = 0; i < COUNT; i++) {
			const struct fake_sent *sent = &out->sent[(first + i) % FAKE_SENT];

			assert_int_equal(sent->bytes, sizes[i]);
			assert_memory_equal(b->frames->base + sent->first, content(i, sizes[i]),
				sizes[i] < NIC_BUFFER_SIZE ? sizes[i] : NIC_BUFFER_SIZE);
		}
	}
	/* No buffer is lost, none twice. */
	assert_int_equal(nic_rx_held(b->left.q) + nic_tx_held(b->right.q), RING - RING_LINE);
	assert_int_equal(refused(&b->right), 0);
}

static void a_large_frame_is_dropped_whole(void **state)
{
	struct bench *b = *state;
	struct pci_function *out = b->right.fn;
	uint8_t which = content(2, 4000)[NIC_BUFFER_SIZE];

	give(&b->left, 0, RING - RING_LINE);
	arrive(&b->left, 1, 5000);
	arrive(&b->left, 2, 4000);
	arrive(&b->left, 3, 60);
	/* one that the card reports damaged */
	assert_true(fake_write_back(b->left.fn, RX_DD | UINT64_C(2048) << RX_LENGTH_SHIFT));
	assert_true(fake_write_back(
		b->left.fn, RX_DD | RX_EOP | RX_RXE | UINT64_C(5) << RX_LENGTH_SHIFT));
	/* and one that is too long for the other card */
	assert_int_equal(nic_set_mtu(b->right.nic, 6000), 0);
	arrive(&b->left, 4, 6019);
	arrive(&b->left, 5, 6018);
	assert_int_equal(forward_all(b, look_drop, &which), 3 + 2 + 1 + 2 + 3 + 3);
	assert_int_equal(fake_transmit(out, RING), 3 + 1 + 3);
	assert_int_equal(out->sent_frames, 3);
	assert_int_equal(out->sent[0].bytes, 5000);
	assert_int_equal(out->sent[1].bytes, 60);
	assert_int_equal(out->sent[2].bytes, 6018);
	assert_int_equal(refused(&b->right), 1);
	assert_int_equal(bad(&b->left), 0);
	assert_int_equal(nic_rx_held(b->left.q) + nic_tx_held(b->right.q), RING - RING_LINE);
}

/* A look that leaves the last entry open: no frame, and nothing beyond it is touched. */
static void look_open(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx, (void)base;
	frames[n - 1].flags |= FRAME_MORE;
}

static void a_frame_without_end_is_dropped(void **state)
{
	struct bench *b = *state;

	give(&b->left, 0, RING - RING_LINE);
	arrive(&b->left, 1, 100);
	arrive(&b->left, 2, 5000);
	assert_int_equal(forward_all(b, look_open, NULL), 4);
	assert_int_equal(fake_transmit(b->right.fn, RING), 1);
	assert_int_equal(refused(&b->right), 1);
	assert_int_equal(nic_rx_held(b->left.q) + nic_tx_held(b->right.q), RING - RING_LINE);
}

#define JUMBO(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int group(const char *name, unsigned layout)
{
	const struct CMUnitTest tests[] = {
		JUMBO(the_mtu_bounds_both_ways),
		JUMBO(in_place_a_frame_has_one_buffer),
		JUMBO(each_size_comes_whole),
		JUMBO(bursts_end_between_frames),
		JUMBO(a_frame_that_is_not_whole_waits),
		JUMBO(what_cannot_be_gives_each_buffer_back),
		JUMBO(the_mtu_changes_while_frames_come),
		JUMBO(half_a_frame_goes_to_the_next_process),
		JUMBO(large_frames_are_sent_in_one_piece_or_several),
		JUMBO(large_frames_go_on),
		JUMBO(a_large_frame_is_dropped_whole),
		JUMBO(a_frame_without_end_is_dropped),
	};

	path = name;
	by_verbs = layout;
	print_message("path %s, forwarding %s\n", path, by_verbs ? "by verbs" : "in one go");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 2, group);
}
