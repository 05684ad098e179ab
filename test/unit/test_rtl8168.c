/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames through the rtl8168 driver, as each of its models: the four verbs, chains, what a card
 * that lies can do. (nicsim's cards, which Linux's r8169 judges, are in test/test_conformance.py.)
 */
#include "fake_rtl8168.h"

#include <errno.h>

static void frames_come(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		struct nic_stats stats;

		/* Twice round, so that the last slot comes too. */
		for (unsigned round = 0; round < 12; round++) {
			unsigned size = 0;

			if (round == 0) {
				assert_int_equal(provide(b, 0, RING), RING - 4);
				assert_int_equal(provide(b, 0, RING), 0);
			}
			assert_true(descriptor(b, RDSAR, b->rx + 3)[1] ==
				    2 * b->iova + buffer((b->rx + 3) % 60));
			assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
			for (unsigned i = 0; i < 10; i++)
				deliver(b, WHOLE | (i == 4 ? RX_RES : 0), (uint16_t)(64 + i));
			assert_int_equal(nic_rx_return(b->q, frames, 4), 4);
			assert_int_equal(nic_rx_return(b->q, frames + 4, RING), 6);
			for (unsigned i = 0; i < 10; i++) {
				assert_int_equal(frames[i].offset, buffer((b->rx - 10 + i) % 60));
				assert_int_equal(frames[i].len, 60 + i);
				assert_int_equal(frames[i].flags, i == 4 ? FRAME_ERROR : 0);
				size += i == 4 ? 0 : 64 + i;
			}
			assert_int_equal(nic_rx_held(b->q), RING - 4 - 10);
			assert_int_equal(provide(b, (b->rx - 10) % 60, 10), 10);
			stats = stats_of(b);
			assert_int_equal(stats.rx_frames, 9 * (round + 1));
			assert_int_equal(stats.rx_bytes, size * (round + 1));
			assert_int_equal(stats.bad_writebacks, 0);
		}
	}
}

static void lies_of_the_card(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		static const struct {
			uint64_t status;
			uint16_t len;
			bool good;
		} what[] = {
			{WHOLE, 0, false}, {WHOLE, 17, false}, {WHOLE, 2049, false},
			{WHOLE, 0x3FFF, false},
			{DESC_LS, 100, false},               /* an end without a beginning */
			{WHOLE, 64, true}, {0, 2048, false}, /* and a middle */
			{DESC_LS, 100, false},
			{DESC_FS, 2048, false}, /* longer than the card was told to take */
			{DESC_FS, 2048, false}, {DESC_LS, 3000, false}, {DESC_FS, 2048, false},
			{WHOLE, 64, true}, /* the next is good all the same */
			{WHOLE, 18, true}, {WHOLE, 1522, true},
			{WHOLE, 1523, false}, /* no lie, but beyond the MTU */
		};
		const unsigned n = sizeof what / sizeof *what;
		struct frame frames[RING];

		assert_int_equal(provide(b, 0, 32), 32);
		for (unsigned i = 0; i < n; i++)
			deliver(b, what[i].status, what[i].len);
		assert_int_equal(nic_rx_return(b->q, frames, RING), n);
		for (unsigned i = 0; i < n; i++) {
			bool good = what[i].good;

			assert_int_equal(frames[i].offset, buffer(i));
			assert_int_equal(frames[i].flags, good ? 0 : FRAME_ERROR);
			assert_int_equal(frames[i].len, good || i == n - 1 ? what[i].len - 4 : 0);
		}
		assert_int_equal(stats_of(b).bad_writebacks, 11);
		assert_int_equal(stats_of(b).rx_length_errors, 1);
		assert_int_equal(stats_of(b).rx_frames, 4);
		/* What it gave back before it was done is lost, and no more: nothing is there. */
		descriptor(b, RDSAR, b->rx)[0] = 0;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(frames[0].flags, FRAME_ERROR);
	}
}

/* An 8168B's frames in two buffers. */
static void chains_come(void **state)
{
	struct bench *b = make(0x380);
	struct frame frames[RING];

	(void)state;
	b->config.mtu = 4074;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
	b->q = nic_queue(b->nic, 0);
	assert_int_equal(get(&b->fn, RMS, 2), 4096);
	assert_int_equal(b->fn.reg[CONFIG4], CONFIG4_JUMBO_BE);
	assert_int_equal(provide(b, 0, RING), RING - 4);
	for (unsigned round = 0; round < 4; round++) {
		/* data of 2049, 2048 (only the CRC's in the second buffer), 2047, 4092 (all) */
		static const uint16_t len[] = {2053, 2052, 2051, 4096};
		static const unsigned first[] = {2048, 2048, 2047, 2048},
				      second[] = {1, 0, 0, 2044};
		unsigned slot = b->rx;

		deliver(b, DESC_FS, 2048);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
		deliver(b, DESC_LS, len[round]);
		assert_int_equal(nic_rx_return(b->q, frames, 1), 0);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(frames[0].len, first[round]);
		assert_int_equal(frames[0].flags, second[round] ? FRAME_MORE : 0);
		assert_int_equal(frames[1].len, second[round]);
		assert_int_equal(frames[1].flags, second[round] ? 0 : FRAME_ERROR);
		assert_int_equal(frames[1].offset, buffer(slot + 1));
	}
	assert_int_equal(stats_of(b).rx_frames, 4);
	assert_int_equal(stats_of(b).rx_bytes, 2053 + 2052 + 2051 + 4096);
	assert_int_equal(stats_of(b).bad_writebacks, 0);
	/* Two beginnings, too short and too long for two buffers, damaged, endless. */
	deliver(b, DESC_FS, 2048);
	deliver(b, WHOLE, 3000);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS, 2048);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS, 4097);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS | RX_RES, 3000);
	for (unsigned i = 0; i < 3; i++)
		deliver(b, i ? 0 : DESC_FS, 2048);
	deliver(b, DESC_LS, 100);
	deliver(b, WHOLE, 64);
	assert_int_equal(nic_rx_return(b->q, frames, RING), 13);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(frames[i].flags, FRAME_ERROR);
	assert_int_equal(frames[12].flags, 0);
	assert_int_equal(stats_of(b).bad_writebacks, 3 + 4);
	/* Smaller again: what is too large is not waited for in parts. */
	assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
	assert_int_equal(get(&b->fn, RMS, 2), 2048);
	assert_int_equal(b->fn.reg[CONFIG4], 0);
	deliver(b, DESC_FS, 2048);
	assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
	assert_int_equal(frames[0].flags, FRAME_ERROR);
	throw_away(b);
}

static void buffers_out_of_place(void **state)
{
	static const uint32_t bad[] = {0, NIC_BUFFER_HEAD - 1, PLACES - NIC_BUFFER_SIZE + 8,
		UINT32_MAX, (uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 8, NIC_BUFFER_HEAD + 4};
	struct bench *b = opened(0x28B);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		uint32_t offsets[] = {buffer(i), bad[i], buffer(i + 1)};

		assert_int_equal(nic_rx_provide(b->q, offsets, 3), 1);
	}
	assert_int_equal(nic_rx_provide(b->q, (uint32_t[]){PLACES - NIC_BUFFER_SIZE}, 1), 1);
	assert_true(descriptor(b, RDSAR, 6)[1] == 3 * b->iova + DMA_CHUNK_SIZE - NIC_BUFFER_SIZE);
	assert_int_equal(stats_of(b).bad_offsets, 6);
	throw_away(b);
}

static void frames_go(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint32_t offsets[RING];
		unsigned polls = b->fn.polls, bytes = 0;

		for (unsigned i = 0; i < RING; i++)
			frames[i] = (struct frame){.offset = buffer(i), .len = (uint16_t)(60 + i)};
		assert_int_equal(nic_tx_provide(b->q, frames, RING), RING - 4);
		assert_int_equal(b->fn.polls, polls + 1); /* one word for all */
		assert_int_equal(nic_tx_provide(b->q, frames, 1), 0);
		assert_int_equal(b->fn.polls, polls + 1);
		assert_true(descriptor(b, TNPDS, 7)[1] == 2 * b->iova + buffer(7));
		assert_int_equal(descriptor(b, TNPDS, 7)[0] & TX_LENGTH, 67);
		assert_int_equal(nic_tx_return(b->q, offsets, RING), 0);
		assert_int_equal(nic_tx_held(b->q), RING - 4);
		/* One in sixteen of a ring of 64 is looked at, and the rest is asked for again. */
		for (unsigned i = 0; i < 20; i++)
			descriptor(b, TNPDS, i)[0] &= ~DESC_OWN;
		assert_int_equal(nic_tx_return(b->q, offsets, 3), 3);
		assert_int_equal(b->fn.polls, polls + 2);
		assert_int_equal(nic_tx_return(b->q, offsets + 3, RING), 13);
		assert_int_equal(b->fn.polls, polls + 2);
		b->tx = 20;
		assert_int_equal(transmit(b), RING - 4 - 20);
		assert_int_equal(nic_tx_return(b->q, offsets + 16, RING), RING - 4 - 16);
		assert_int_equal(b->fn.polls, polls + 2);
		for (unsigned i = 0; i < RING - 4; i++) {
			assert_int_equal(offsets[i], buffer(i));
			bytes += 64 + i;
		}
		assert_int_equal(nic_tx_held(b->q), 0);
		assert_int_equal(stats_of(b).tx_frames, RING - 4);
		assert_int_equal(stats_of(b).tx_bytes, bytes);

		/* Three pieces that are one frame, over the ring's end; half of one. */
		frames[0].flags = frames[1].flags = FRAME_MORE;
		frames[2].len = frames[1].len = frames[0].len = 400;
		assert_int_equal(nic_tx_provide(b->q, frames, 2), 0);
		for (unsigned round = 0; round < 3; round++) {
			assert_int_equal(nic_tx_provide(b->q, frames, 3), 3);
			assert_int_equal(transmit(b), 1);
			assert_int_equal(nic_tx_return(b->q, offsets, RING), 3);
			assert_int_equal(offsets[2], buffer(2));
		}
		assert_int_equal(stats_of(b).tx_bytes, bytes + 3 * 1204);
	}
}

/* Who does not pad has zeroes behind the frame, which are nobody's buffer. */
static void short_frames(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		bool own = models[m] == 0x2C8;
		struct frame frames[] = {{buffer(0), 14, 0}, {buffer(1), 20, FRAME_MORE},
			{buffer(2), 39, 0}, {buffer(3), 60, 0}};
		uint32_t offsets[RING];

		assert_int_equal(nic_tx_provide(b->q, frames, 4), 4);
		assert_int_equal(nic_tx_held(b->q), 4);
		assert_int_equal(ring_held(&b->q->tx), own ? 6 : 4);
		if (own) {
			uint64_t *pad = descriptor(b, TNPDS, 1);
			const uint8_t *zeroes = b->rings.base + (pad[1] - b->iova);

			assert_int_equal(pad[0], DESC_OWN | DESC_LS | 46);
			assert_true(pad[1] > b->iova && pad[1] - b->iova <= b->rings.size - 46);
			for (unsigned i = 0; i < 46; i++)
				assert_int_equal(zeroes[i], 0);
			assert_int_equal(descriptor(b, TNPDS, 4)[0], DESC_OWN | DESC_LS | 1);
			/* They are handed over with the rest. */
			nic_release(b->nic);
			assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
			b->q = nic_queue(b->nic, 0);
			assert_int_equal(nic_tx_held(b->q), 4);
		}
		assert_int_equal(transmit(b), 3);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(nic_tx_return(b->q, offsets, 1), 1);
			assert_int_equal(offsets[0], buffer(i));
		}
		assert_int_equal(nic_tx_return(b->q, offsets, 1), 0);
		assert_int_equal(ring_held(&b->q->tx), 0);
		assert_int_equal(stats_of(b).tx_bytes, 3 * 64);
		/* Where the last slot is taken, the frame waits. */
		frames[0] = (struct frame){buffer(0), 60, 0};
		for (unsigned i = 0; i < RING - 5; i++)
			assert_int_equal(nic_tx_provide(b->q, frames, 1), 1);
		frames[0].len = 59;
		assert_int_equal(nic_tx_provide(b->q, frames, 1), own ? 0 : 1);
	}
}

static void frames_out_of_order(void **state)
{
	const struct frame bad[] = {{buffer(0), 13, 0}, {buffer(0), 1519, 0}, {PLACES - 59, 60, 0},
		{UINT32_MAX, 60, 0}, {(uint32_t)DMA_CHUNK_SIZE - 59, 60, 0}, {buffer(0), 60, 4},
		{buffer(0), 0, FRAME_MORE}};
	struct bench *b = opened(0x3C2);

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct frame frames[] = {{buffer(1), 60, 0}, bad[i], {buffer(2), 60, 0}};

		assert_int_equal(nic_tx_provide(b->q, frames, 3), 1);
	}
	assert_int_equal(transmit(b), 7);
	assert_int_equal(stats_of(b).bad_offsets, 7);
	assert_int_equal(nic_set_mtu(b->nic, 100), 0);
	assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 118, 0}, 1), 1);
	assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 119, 0}, 1), 0);
	throw_away(b);
}

static void larger_frames(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint8_t jumbo[2] = {b->fn.reg[CONFIG3], b->fn.reg[CONFIG4]};
		bool always = models[m] == 0x300 || models[m] == 0x2C8 || models[m] >= 0x480;

		assert_int_equal(jumbo[0] | jumbo[1], 0);
		assert_int_equal(nic_set_mtu(b->nic, 2026), 0);
		assert_int_equal(b->fn.reg[CR9346], CR9346_LOCK);
		assert_int_equal(b->fn.reg[CONFIG3] || b->fn.reg[CONFIG4], !always);
		assert_int_equal(provide(b, 0, 4), 4);
		deliver(b, WHOLE, 2048);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(frames[0].len, 2044);
		assert_int_equal(frames[0].flags, 0);
		assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 2044, 0}, 1), 1);
		assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 2045, 0}, 1), 0);
		assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
		assert_memory_equal(jumbo, b->fn.reg + CONFIG3, 2);
		assert_int_equal(nic_set_mtu(b->nic, nic_mtu_max(b->nic) + 1), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come),
		cmocka_unit_test(lies_of_the_card),
		cmocka_unit_test(chains_come),
		cmocka_unit_test(buffers_out_of_place),
		cmocka_unit_test(frames_go),
		cmocka_unit_test(short_frames),
		cmocka_unit_test(frames_out_of_order),
		cmocka_unit_test(larger_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
