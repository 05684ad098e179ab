/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The four verbs of the ixgbe driver over a card in memory: who owns which descriptor, when a tail
 * is written, where RS lies, and what a card that lies can do.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "each_path.h"
#include "fake_card.h"

#define RING 64u

/* What the cards of a group of tests have. */
static const char *path;
static bool one_run;

struct bench {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic_config config;
	struct nic *nic;
	struct nic_queue *q;
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct pci_error why = {""};

	b->fn = fake_card_new(0x1528);
	b->fn->one_run = one_run;
	b->frames = fake_region_new(b->fn, 2 * DMA_CHUNK_SIZE + 8192);
	b->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = b->frames,
		.mtu = 1500,
		.interrupts = true};
	b->rings = fake_region_new(b->fn, (nic_ring_bytes(&b->config) + 4095) & ~(size_t)4095);
	b->config.rings = b->rings;
	/* An earlier driver's leavings. */
	memset(b->rings->base, 0xFF, b->rings->size);
	*state = b;
	if (nic_open(&b->nic, b->fn, &b->config, &why)) {
		print_error("%s\n", why.text);
		return -1;
	}
	b->q = nic_queue(b->nic, 0);
	b->q->verbs = ixgbe_path_verbs(path);
	b->fn->tail_writes = 0;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int rc = 0;

	nic_close(b->nic);
	if (b->fn->bus_master || b->fn->bars || b->fn->misuse || b->fn->irq_enabled || b->fn->wild)
		rc = -1;
	fake_region_free(b->frames);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
	free(b);
	return rc;
}

static size_t provide(struct bench *b, unsigned first, unsigned n)
{
	uint32_t offsets[256];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(b->q, offsets, n);
}

static size_t send_frames(struct bench *b, unsigned first, unsigned n)
{
	struct frame frames[256];

	for (unsigned i = 0; i < n; i++)
		frames[i] = (struct frame){.offset = buffer(first + i), .len = 60};
	return nic_tx_provide(b->q, frames, n);
}

static uint64_t tx_word(struct bench *b, unsigned slot)
{
	return dma_read(ring_word(&b->q->tx, slot, 1));
}

static unsigned rs_in(struct bench *b, unsigned from, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = from; i < from + n; i++)
		count += (tx_word(b, i) & TX_RS) != 0;
	return count;
}

/* --- what is programmed --- */

static void opens_as_the_datasheet_says(void **state)
{
	struct bench *b = *state;
	struct pci_function *fn = b->fn;
	uint8_t mac[6];
	static const uint8_t expected[6] = {0x02, 0x22, 0x33, 0x44, 0x55, 0x66};
	uint64_t rx = (uint64_t)fake_read(fn, RDBAH(0)) << 32 | fake_read(fn, RDBAL(0));
	uint64_t tx = (uint64_t)fake_read(fn, TDBAH(0)) << 32 | fake_read(fn, TDBAL(0));

	assert_int_equal(fn->quiesced, 1);
	assert_int_equal(fn->resets, 1);
	assert_true(fn->bus_master);
	assert_true(fn->bus_master_when_started);
	nic_mac(b->nic, mac);
	assert_memory_equal(mac, expected, 6);
	assert_string_equal(nic_model(b->nic), "Intel X540-T2");
	assert_int_equal(rx, b->rings->iova[0]);
	assert_int_equal(tx, b->rings->iova[0] + RING * 16);
	assert_int_equal(fake_read(fn, RDLEN(0)), RING * 16);
	assert_int_equal(fake_read(fn, TDLEN(0)), RING * 16);
	assert_int_equal(dma_read(ring_word(&b->q->rx, 5, 1)), 0);
	/* 2 KiB buffers, advanced descriptors, no dropping with a single queue */
	assert_int_equal(fake_read(fn, SRRCTL(0)), 0x02000402);
	assert_int_equal(fake_read(fn, DCA_RXCTRL(0)), 0);
	assert_int_equal(fake_read(fn, RXDCTL(0)), RXDCTL_ENABLE);
	/* WTHRESH (bits 22:16) is 0 */
	assert_int_equal(fake_read(fn, TXDCTL(0)), TXDCTL_ENABLE | 0x0420);
	assert_int_equal(fake_read(fn, HLREG0) & 0x407, 0x407);
	assert_int_equal(fake_read(fn, RDRXCTL) & ~(1u << 15), 0x0600000A);
	assert_int_equal(fake_read(fn, MAXFRS) >> 16, 1522);
	assert_int_equal(fake_read(fn, FCTRL), FCTRL_BAM | FCTRL_MPE);
	assert_int_equal(fake_read(fn, RXPBSIZE(0)), 384 << 10);
	assert_int_equal(fake_read(fn, MPSAR(0)), 1);
	assert_int_equal(fake_read(fn, RXCTRL), RXCTRL_RXEN);
	assert_int_equal(fake_read(fn, SECRXCTRL), 0);
	assert_int_equal(fake_read(fn, DMATXCTL), DMATXCTL_TE);
	assert_int_equal(fake_read(fn, RTTDCS), 0);
	assert_true(fake_read(fn, CTRL_EXT) & CTRL_EXT_DRV_LOAD);
	/* Linux leaves the PHY asleep; the semaphore is given back. */
	assert_int_equal(fn->phy_control, 0x0001);
	assert_int_equal(fake_read(fn, SW_FW_SYNC) & 0x3FF, 0);
	/* no tail was written, no interrupt is on */
	assert_int_equal(fake_read(fn, EIMS), 0);
}

static void closes_quietly(void **state)
{
	struct bench *b = *state;
	struct pci_error why;

	provide(b, 0, 10);
	send_frames(b, 10, 3);
	nic_irq_arm(b->nic);
	nic_close(b->nic);
	assert_int_equal(fake_read(b->fn, RXDCTL(0)) & RXDCTL_ENABLE, 0);
	assert_int_equal(fake_read(b->fn, TXDCTL(0)) & TXDCTL_ENABLE, 0);
	assert_int_equal(fake_read(b->fn, RXCTRL), 0);
	assert_int_equal(fake_read(b->fn, DMATXCTL), 0);
	assert_int_equal(fake_read(b->fn, EIMS), 0);
	assert_int_equal(fake_read(b->fn, CTRL_EXT) & CTRL_EXT_DRV_LOAD, 0);
	assert_int_equal(fake_read(b->fn, CTRL) & CTRL_MASTER_DISABLE, CTRL_MASTER_DISABLE);
	assert_false(b->fn->bus_master);
	assert_int_equal(b->fn->irq_enabled, 0);
	assert_int_equal(b->fn->bars, 0);
	/* and it starts again */
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &why), 0);
	b->q = nic_queue(b->nic, 0);
	assert_int_equal(provide(b, 0, 10), 10);
	assert_true(fake_receive(b->fn, "0123456789abcdef", 16));
}

/* --- receive --- */

static void rx_ring_takes_size_less_a_line(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provide(b, 0, RING), RING - 4);
	assert_int_equal(nic_rx_held(b->q), RING - 4);
	assert_int_equal(provide(b, 0, 1), 0);
	assert_int_equal(fake_read(b->fn, RDT(0)), RING - 4);
	assert_int_equal(b->fn->tail_writes, 1);
}

static void rx_tail_is_written_seldom(void **state)
{
	struct bench *b = *state;
	struct frame frames[16];
	uint32_t again[16];

	/* A hungry card gets each buffer at once, until it owns half of the ring. */
	for (unsigned i = 0; i < RING / 2; i++)
		provide(b, i, 1);
	assert_int_equal(b->fn->tail_writes, RING / 2);
	assert_int_equal(fake_read(b->fn, RDT(0)), RING / 2);
	/* Then size / 4 of them at a time. */
	for (unsigned i = 0; i < 15; i++)
		provide(b, RING / 2 + i, 1);
	assert_int_equal(b->fn->tail_writes, RING / 2);
	assert_int_equal(fake_read(b->fn, RDT(0)), RING / 2);
	provide(b, 60, 1);
	assert_int_equal(b->fn->tail_writes, RING / 2 + 1);
	assert_int_equal(fake_read(b->fn, RDT(0)), RING / 2 + 16);
	/* What is kept back is no frame, and flushing shows it. */
	for (unsigned i = 0; i < 4; i++)
		assert_true(fake_receive(b->fn, frames, 60));
	assert_int_equal(nic_rx_return(b->q, frames, 16), 4);
	for (unsigned i = 0; i < 4; i++)
		again[i] = frames[i].offset;
	assert_int_equal(nic_rx_provide(b->q, again, 4), 4);
	assert_int_equal(b->fn->tail_writes, RING / 2 + 1);
	nic_flush(b->q);
	assert_int_equal(b->fn->tail_writes, RING / 2 + 2);
	assert_int_equal(fake_read(b->fn, RDT(0)), RING / 2 + 20);
	/* An empty burst writes nothing, and there is nothing more to flush. */
	nic_rx_provide(b->q, again, 0);
	nic_flush(b->q);
	assert_int_equal(b->fn->tail_writes, RING / 2 + 2);
}

static void rx_returns_what_came(void **state)
{
	struct bench *b = *state;
	struct frame frames[4];

	provide(b, 0, 3);
	assert_int_equal(nic_rx_return(b->q, frames, 4), 0);
	assert_true(fake_receive(b->fn, "first frame's bytes", 19));
	assert_true(fake_receive(b->fn, "the second, of twenty", 20));
	assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
	assert_int_equal(frames[0].offset, buffer(0));
	assert_int_equal(frames[0].len, 19);
	assert_int_equal(frames[0].flags, 0);
	assert_string_equal(b->frames->base + buffer(0), "first frame's bytes");
	assert_int_equal(nic_rx_return(b->q, frames, 4), 1);
	assert_int_equal(frames[0].offset, buffer(1));
	assert_int_equal(nic_rx_held(b->q), 1);
}

/* A slot that was not refilled keeps its old DD; a second scan must not take it again. */
static void rx_scan_ends_where_buffers_end(void **state)
{
	struct bench *b = *state;
	struct frame frames[256];

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(provide(b, 0, 60), 60);
		nic_flush(b->q);
		for (unsigned i = 0; i < 60; i++)
			assert_true(fake_receive(b->fn, frames, 60));
		assert_false(fake_receive(b->fn, frames, 60));
		assert_int_equal(nic_rx_return(b->q, frames, 256), 60);
		assert_int_equal(nic_rx_return(b->q, frames, 256), 0);
		assert_int_equal(nic_rx_held(b->q), 0);
	}
}

static void rx_refuses_wild_buffers(void **state)
{
	struct bench *b = *state;
	uint32_t size = (uint32_t)b->frames->size;
	const uint32_t bad[] = {0, NIC_BUFFER_HEAD - 1, size, size - NIC_BUFFER_SIZE + 1,
		UINT32_MAX, UINT32_MAX - NIC_BUFFER_SIZE,
		(uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 1, (uint32_t)DMA_CHUNK_SIZE - 1};
	const uint32_t good[] = {NIC_BUFFER_HEAD, size - NIC_BUFFER_SIZE,
		(uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE, (uint32_t)DMA_CHUNK_SIZE};
	struct nic_stats stats;
	struct frame frames[8];

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		const uint32_t burst[3] = {buffer(i), bad[i], buffer(20)};

		assert_int_equal(nic_rx_provide(b->q, burst, 3), 1);
	}
	nic_stats(b->nic, &stats);
	assert_int_equal(stats.bad_offsets, sizeof bad / sizeof *bad);
	assert_int_equal(nic_rx_provide(b->q, good, 4), 4);
	/* All of them are the card's to write (fake_receive() counts what is not memory). */
	for (unsigned i = 0; i < 12; i++)
		assert_true(fake_receive(b->fn, frames, 60));
	assert_int_equal(b->fn->wild, 0);
}

static void rx_gives_every_buffer_back(void **state)
{
	struct bench *b = *state;
	const uint64_t eop = RX_DD | RX_EOP;
	const struct {
		uint64_t word;
		uint16_t len, flags;
	} cases[] = {
		{eop | UINT64_C(2048) << 32, 2048, 0},
		{eop | UINT64_C(14) << 32, 14, 0},
		{eop | UINT64_C(13) << 32, 0, FRAME_ERROR},
		{eop, 0, FRAME_ERROR},
		{eop | UINT64_C(2049) << 32, 0, FRAME_ERROR},
		{eop | UINT64_C(0xFFFF) << 32, 0, FRAME_ERROR},
		{UINT64_MAX, 0, FRAME_ERROR},
		{eop | RX_RXE | UINT64_C(60) << 32, 60, FRAME_ERROR}, /* damaged, but in order */
		{eop | UINT64_C(60) << 32, 60, 0},
		{RX_DD | UINT64_C(2048) << 32, 0, FRAME_ERROR}, /* never ended here ... */
		{RX_DD | UINT64_C(2048) << 32, 0, FRAME_ERROR},
		{eop | UINT64_C(60) << 32, 0, FRAME_ERROR}, /* ... but here */
		{eop | UINT64_C(61) << 32, 61, 0},
	};
	const unsigned n = sizeof cases / sizeof *cases;
	struct frame frames[32];
	struct nic_stats stats;

	provide(b, 0, n + 2);
	for (unsigned i = 0; i < n; i++)
		assert_true(fake_write_back(b->fn, cases[i].word));
	/* Half a burst, so that the torn frame's state outlives a call. */
	assert_int_equal(nic_rx_return(b->q, frames, 10), 10);
	assert_int_equal(nic_rx_return(b->q, frames + 10, 22), n - 10);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(frames[i].offset, buffer(i));
		assert_int_equal(frames[i].len, cases[i].len);
		assert_int_equal(frames[i].flags, cases[i].flags);
	}
	nic_stats(b->nic, &stats);
	assert_int_equal(stats.bad_writebacks, 8);
	/* All bits but DD: nothing has happened. */
	assert_true(fake_write_back(b->fn, ~RX_DD));
	assert_int_equal(nic_rx_return(b->q, frames, 32), 0);
	assert_int_equal(nic_rx_held(b->q), 2);
}

/* A card that writes DD where it owns nothing gets no second return of a buffer out of it. */
static void rx_ignores_write_backs_beyond_its_own(void **state)
{
	struct bench *b = *state;
	struct frame frames[64];

	provide(b, 0, 40); /* the card was told of all */
	provide(b, 40, 3); /* these are kept back */
	assert_int_equal(fake_read(b->fn, RDT(0)), 40);
	for (unsigned i = 0; i < RING; i++)
		dma_write(ring_word(&b->q->rx, i, 1), RX_DD | RX_EOP | UINT64_C(60) << 32);
	assert_int_equal(nic_rx_return(b->q, frames, 64), 40);
	assert_int_equal(nic_rx_held(b->q), 3);
	assert_int_equal(nic_rx_return(b->q, frames, 64), 0);
}

/* --- transmit --- */

static void rs_marks_groups_and_bursts(void **state)
{
	struct bench *b = *state;

	/* 64 descriptors: groups of 16 */
	assert_int_equal(send_frames(b, 0, 1), 1);
	assert_true(tx_word(b, 0) & TX_RS);
	assert_int_equal(send_frames(b, 1, 15), 15);
	assert_int_equal(rs_in(b, 1, 14), 0);
	assert_true(tx_word(b, 15) & TX_RS);
	assert_int_equal(send_frames(b, 16, 16), 16);
	assert_int_equal(rs_in(b, 16, 15), 0);
	assert_true(tx_word(b, 31) & TX_RS);
	assert_int_equal(send_frames(b, 32, 28), 28);
	assert_int_equal(rs_in(b, 32, 28), 2);
	assert_true(tx_word(b, 47) & TX_RS);
	assert_true(tx_word(b, 59) & TX_RS);
	assert_int_equal(b->fn->tail_writes, 4);
	assert_int_equal(
		tx_word(b, 40), 60 | UINT64_C(3) << 20 | UINT64_C(0x23) << 24 | UINT64_C(60) << 46);
	assert_int_equal(send_frames(b, 0, 1), 0);
	assert_int_equal(nic_tx_held(b->q), 60);
	assert_int_equal(nic_tx_provide(b->q, NULL, 0), 0);
	assert_int_equal(b->fn->tail_writes, 4);
}

static void rs_lies_on_ends_of_frames(void **state)
{
	struct bench *b = *state;
	struct frame burst[24];

	/* 10 + 10 + 4 pieces: the 16th lies inside the second chain, so its end reports. */
	for (unsigned i = 0; i < 24; i++)
		burst[i] = (struct frame){buffer(i), 20, FRAME_MORE};
	burst[9].flags = burst[19].flags = burst[23].flags = 0;
	assert_int_equal(nic_tx_provide(b->q, burst, 24), 24);
	for (unsigned i = 0; i < 24; i++) {
		assert_int_equal((tx_word(b, i) & TX_EOP) != 0, i == 9 || i == 19 || i == 23);
		assert_int_equal((tx_word(b, i) & TX_RS) != 0, i == 19 || i == 23);
		assert_int_equal(tx_word(b, i) >> TX_PAYLEN_SHIFT, i < 20 ? 200 : 80);
	}
	assert_int_equal(fake_transmit(b->fn, 64), 24);
	assert_int_equal(b->fn->sent_frames, 3);
	assert_int_equal(b->fn->sent[1].pieces, 10);
	assert_int_equal(b->fn->sent[1].first, buffer(10));
	assert_int_equal(b->fn->sent[1].bytes, 200);
}

static void tx_returns_what_is_done_in_order(void **state)
{
	struct bench *b = *state;
	uint32_t offsets[64];

	send_frames(b, 0, 40); /* RS on 15, 31, 39 */
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 0);
	fake_transmit(b->fn, 15);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 0);
	fake_transmit(b->fn, 1);
	assert_int_equal(nic_tx_return(b->q, offsets, 5), 5);
	assert_int_equal(offsets[4], buffer(4));
	assert_int_equal(nic_tx_held(b->q), 35);
	fake_transmit(b->fn, 23);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 27);
	assert_int_equal(offsets[0], buffer(5));
	assert_int_equal(offsets[26], buffer(31));
	fake_transmit(b->fn, 1);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 8);
	assert_int_equal(nic_tx_held(b->q), 0);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 0);
}

static void tx_queues_chains_whole(void **state)
{
	struct bench *b = *state;
	struct frame burst[64];
	uint32_t tail;

	send_frames(b, 0, 50); /* room for 10 */
	tail = fake_read(b->fn, TDT(0));
	for (unsigned i = 0; i < 64; i++)
		burst[i] = (struct frame){buffer(i), 20, FRAME_MORE};
	burst[10].flags = 0; /* 11 pieces */
	assert_int_equal(nic_tx_provide(b->q, burst, 11), 0);
	assert_int_equal(fake_read(b->fn, TDT(0)), tail);
	burst[9].flags = 0; /* 10 pieces, then one that finds no room */
	assert_int_equal(nic_tx_provide(b->q, burst, 11), 10);
	assert_int_equal(fake_read(b->fn, TDT(0)), 60);
	assert_int_equal(nic_tx_held(b->q), 60);
}

static void tx_refuses_what_is_no_frame(void **state)
{
	struct bench *b = *state;
	uint32_t size = (uint32_t)b->frames->size;
	const struct frame good = {buffer(0), 60, 0};
	const struct frame bad[] = {
		{buffer(1), 0, 0}, {buffer(1), 13, 0}, {buffer(1), 1519, 0},
		{buffer(1), UINT16_MAX, 0}, {buffer(1), 60, FRAME_ERROR}, {buffer(1), 60, 1 << 15},
		{size - 59, 60, 0}, {size, 60, 0}, {UINT32_MAX, 60, 0}, {UINT32_MAX - 59, 60, 0},
		{(uint32_t)DMA_CHUNK_SIZE - 59, 60, 0},
		{buffer(1), 60, FRAME_MORE}, /* its end is not in the burst */
	};
	const struct frame fine[] = {{0, 14, 0}, {size - 1518, 1518, 0},
		{(uint32_t)DMA_CHUNK_SIZE - 60, 60, 0}, {(uint32_t)DMA_CHUNK_SIZE, 60, 0}};
	struct frame chain[41];
	struct nic_stats stats;
	unsigned refused = 0;

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++, refused++) {
		const struct frame burst[2] = {good, bad[i]};

		assert_int_equal(nic_tx_provide(b->q, burst, 2), 1);
	}
	assert_int_equal(nic_tx_provide(b->q, fine, 4), 4);

	/* Chains: 41 pieces; too short in all; too long in all; a piece of nothing; a wild piece.
	 */
	for (unsigned i = 0; i < 41; i++)
		chain[i] = (struct frame){buffer(i), 20, FRAME_MORE};
	chain[40].flags = 0;
	assert_int_equal(nic_tx_provide(b->q, chain, 41), 0);
	chain[1] = (struct frame){buffer(1), 1499, 0};
	assert_int_equal(nic_tx_provide(b->q, chain, 2), 0);
	chain[1].len = 0;
	assert_int_equal(nic_tx_provide(b->q, chain, 2), 0);
	chain[1] = (struct frame){size - 10, 11, 0};
	assert_int_equal(nic_tx_provide(b->q, chain, 2), 0);
	chain[0].len = 6;
	chain[1] = (struct frame){buffer(1), 7, 0};
	assert_int_equal(nic_tx_provide(b->q, chain, 2), 0);
	refused += 5;
	nic_stats(b->nic, &stats);
	assert_int_equal(stats.bad_offsets, refused);

	/* What was queued is all that is sent. */
	fake_transmit(b->fn, 64);
	assert_int_equal(b->fn->sent_frames, sizeof bad / sizeof *bad + 4);
	/* 40 pieces are the most. */
	for (unsigned i = 0; i < 40; i++)
		chain[i] = (struct frame){buffer(i), 20, i < 39 ? FRAME_MORE : 0};
	assert_int_equal(nic_tx_provide(b->q, chain, 40), 40);
}

static void tx_survives_a_card_that_lies(void **state)
{
	struct bench *b = *state;
	uint32_t offsets[64];

	/* DD everywhere: only what was sent comes back, once. */
	send_frames(b, 0, 20);
	for (unsigned i = 0; i < RING; i++)
		dma_write(ring_word(&b->q->tx, i, 1), UINT64_MAX);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 20);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 0);
	/* DD nowhere: nothing comes back, and the ring is full, not more. */
	assert_int_equal(send_frames(b, 0, 64), 60);
	for (unsigned i = 0; i < RING; i++)
		dma_write(ring_word(&b->q->tx, i, 1), 0);
	assert_int_equal(nic_tx_return(b->q, offsets, 64), 0);
	assert_int_equal(send_frames(b, 0, 64), 0);
}

/* --- four at a time: one of a line is out of order, wherever it stands --- */

static void lines_end_before_a_wild_buffer(void **state)
{
	struct bench *b = *state;
	const uint32_t wild[] = {NIC_BUFFER_HEAD - 1,
		(uint32_t)b->frames->size - NIC_BUFFER_SIZE + 1,
		(uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 1, UINT32_MAX};
	struct nic_stats stats;
	struct frame frames[RING];
	unsigned refused = 0;

	for (unsigned kind = 0; kind < 4; kind++)
		for (unsigned at = 0; at < 12; at++) {
			uint32_t offsets[12];

			for (unsigned i = 0; i < 12; i++)
				offsets[i] = buffer(1000 + i); /* they lie in the second chunk */
			offsets[at] = wild[kind];
			assert_int_equal(nic_rx_provide(b->q, offsets, 12), at);
			nic_flush(b->q);
			nic_stats(b->nic, &stats);
			assert_int_equal(stats.bad_offsets, ++refused);
			for (unsigned i = 0; i < at; i++)
				assert_true(fake_receive(b->fn, "0123456789abcdef", 16));
			assert_false(fake_receive(b->fn, "0123456789abcdef", 16));
			assert_int_equal(nic_rx_return(b->q, frames, RING), at);
			for (unsigned i = 0; i < at; i++) {
				assert_int_equal(frames[i].offset, offsets[i]);
				assert_string_equal(
					b->frames->base + offsets[i], "0123456789abcdef");
				b->frames->base[offsets[i]] = 0;
			}
			/* Lines begin at the next place, too. */
			while (b->q->rx.tail % RING_LINE) {
				provide(b, 0, 1);
				nic_flush(b->q);
				assert_true(fake_receive(b->fn, "0123456789abcdef", 14));
				assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
			}
		}
	assert_int_equal(b->fn->wild, 0);
}

static void lines_give_an_odd_frame_back_in_its_place(void **state)
{
	struct bench *b = *state;
	const uint64_t eop = RX_DD | RX_EOP;
	const struct {
		uint64_t word;
		uint16_t len, flags;
	} odd[] = {
		{eop | UINT64_C(13) << 32, 0, FRAME_ERROR},
		{eop | UINT64_C(2049) << 32, 0, FRAME_ERROR},
		{eop | UINT64_C(0x8000) << 32, 0, FRAME_ERROR},
		{eop | RX_RXE | UINT64_C(60) << 32, 60, FRAME_ERROR},
		{eop | UINT64_C(0xFFFF) << 48 | UINT64_C(2048) << 32, 2048, 0}, /* none */
		{eop | UINT64_C(14) << 32, 14, 0},                              /* nor this */
		{RX_EOP | UINT64_C(60) << 32, 0, 0},                            /* not done yet */
	};

	for (unsigned kind = 0; kind < sizeof odd / sizeof *odd; kind++)
		for (unsigned at = 0; at < 8; at++) {
			bool done = odd[kind].word & RX_DD;
			struct frame frames[8];

			assert_int_equal(b->q->rx.head % RING_LINE, 0);
			assert_int_equal(provide(b, 0, 8), 8);
			nic_flush(b->q);
			for (unsigned i = 0; i < 8; i++)
				assert_true(fake_write_back(
					b->fn, i == at ? odd[kind].word
						       : eop | (UINT64_C(100) + i) << 32));
			assert_int_equal(nic_rx_return(b->q, frames, 8), done ? 8 : at);
			for (unsigned i = 0; i < (done ? 8 : at); i++) {
				assert_int_equal(frames[i].offset, buffer(i));
				assert_int_equal(frames[i].len, i == at ? odd[kind].len : 100 + i);
				assert_int_equal(frames[i].flags, i == at ? odd[kind].flags : 0);
			}
			if (done)
				continue;
			dma_write(ring_word(&b->q->rx, b->q->rx.head, 1), eop | UINT64_C(99) << 32);
			assert_int_equal(nic_rx_return(b->q, frames, 8), 8 - at);
			assert_int_equal(frames[0].len, 99);
		}
}

static void lines_after_a_torn_frame_begin_with_its_end(void **state)
{
	struct bench *b = *state;
	const uint64_t good = RX_DD | RX_EOP | UINT64_C(60) << 32;
	struct frame frames[8];

	for (unsigned burst = 4; burst <= 8; burst += 4) {
		assert_int_equal(b->q->rx.head % RING_LINE, 0);
		assert_int_equal(provide(b, 0, 8), 8);
		nic_flush(b->q);
		for (unsigned i = 0; i < 8; i++)
			assert_true(fake_write_back(b->fn, i == 3 ? good & ~RX_EOP : good));
		for (unsigned i = 0; i < 8; i += burst)
			assert_int_equal(nic_rx_return(b->q, frames + i, burst), burst);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(frames[i].flags, i == 3 || i == 4 ? FRAME_ERROR : 0);
	}
}

static void lines_end_before_a_frame_that_is_none(void **state)
{
	struct bench *b = *state;
	uint32_t size = (uint32_t)b->frames->size;
	const struct {
		struct frame frame;
		bool fine;
	} odd[] = {
		{{buffer(50), 13, 0}, false},
		{{buffer(50), 1519, 0}, false},
		{{buffer(50), 60, FRAME_ERROR}, false},
		{{size - 59, 60, 0}, false},
		{{UINT32_MAX - 59, 60, 0}, false},
		{{(uint32_t)DMA_CHUNK_SIZE - 59, 60, 0}, false},
		{{(uint32_t)DMA_CHUNK_SIZE - 60, 60, 0}, true},
		{{size - 60, 60, 0}, true},
		{{0, 1518, 0}, true},
		{{(uint32_t)DMA_CHUNK_SIZE, 14, 0}, true},
	};

	for (unsigned kind = 0; kind < sizeof odd / sizeof *odd; kind++)
		for (unsigned at = 0; at < 12; at++) {
			struct frame burst[12];
			uint32_t offsets[12];
			unsigned first = b->fn->sent_frames;
			unsigned n = odd[kind].fine ? 12 : at;

			for (unsigned i = 0; i < 12; i++)
				burst[i] = (struct frame){buffer(1000 + i), (uint16_t)(60 + i), 0};
			burst[at] = odd[kind].frame;
			assert_int_equal(nic_tx_provide(b->q, burst, 12), n);
			assert_int_equal(fake_transmit(b->fn, RING), n);
			assert_int_equal(b->fn->sent_frames, first + n);
			for (unsigned i = 0; i < n; i++) {
				const struct fake_sent *sent =
					&b->fn->sent[(first + i) % FAKE_SENT];

				assert_int_equal(sent->first, burst[i].offset);
				assert_int_equal(sent->bytes, burst[i].len);
			}
			assert_int_equal(nic_tx_return(b->q, offsets, 12), n);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(offsets[i], burst[i].offset);
			/* Lines begin at the next place, too. */
			while (b->q->tx.tail % RING_LINE) {
				send_frames(b, 0, 1);
				fake_transmit(b->fn, 1);
				assert_int_equal(nic_tx_return(b->q, offsets, 1), 1);
			}
		}
	assert_int_equal(b->fn->wild, 0);
}

/* --- thousands of random bursts against a model --- */

static uint32_t random_state;

static uint32_t pick(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

/* Every buffer is in one place at a time; frames come out in the order and shape they went in. */
static void random_bursts_keep_every_buffer(void **state)
{
	enum { BUFFERS = 150, NOWHERE, IN_RX, IN_TX };
	struct bench *b = *state;
	uint8_t place[BUFFERS];
	uint32_t free_list[BUFFERS];
	uint32_t expect_tx[256];
	unsigned free_count = BUFFERS, received = 0, delivered = 0, tx_in = 0, tx_out = 0;

	random_state = 4711;
	for (unsigned i = 0; i < BUFFERS; i++) {
		free_list[i] = buffer(i);
		place[i] = NOWHERE;
	}
	b->q->rx.head = b->q->rx.tail = b->q->rx.shown = UINT32_MAX - 1023; /* wraps on the way */
	for (unsigned step = 0; step < 30000; step++) {
		struct frame frames[80];
		uint32_t offsets[80];
		size_t n = pick(40), done;

		switch (pick(6)) {
		case 0: /* empty buffers */
			if (n > free_count)
				n = free_count;
			done = nic_rx_provide(b->q, free_list + free_count - n, n);
			for (size_t i = 0; i < done; i++)
				place[free_list[free_count - n + i] / NIC_BUFFER_STRIDE] = IN_RX;
			memmove(free_list + free_count - n, free_list + free_count - n + done,
				(n - done) * sizeof *free_list);
			free_count -= (unsigned)done;
			if (pick(4) == 0)
				nic_flush(b->q);
			break;
		case 1: /* the wire */
			for (; n; n--) {
				uint32_t number[16] = {received};

				if (!fake_receive(b->fn, number, 14 + received % 50))
					break;
				received++;
			}
			break;
		case 2: /* received */
			done = nic_rx_return(b->q, frames, n);
			for (size_t i = 0; i < done; i++) {
				uint32_t number;

				memcpy(&number, b->frames->base + frames[i].offset, 4);
				assert_int_equal(number, delivered);
				assert_int_equal(frames[i].len, 14 + delivered % 50);
				delivered++;
				assert_int_equal(
					place[frames[i].offset / NIC_BUFFER_STRIDE], IN_RX);
				place[frames[i].offset / NIC_BUFFER_STRIDE] = NOWHERE;
				free_list[free_count++] = frames[i].offset;
			}
			break;
		case 3: /* to be sent, in chains of one to three */
			if (n > free_count)
				n = free_count;
			for (size_t i = 0, left = 0; i < n; i++) {
				left = left ? left - 1 : pick(3);
				if (i + 1 == n)
					left = 0;
				frames[i] = (struct frame){free_list[free_count - n + i],
					(uint16_t)(14 + pick(100)), left ? FRAME_MORE : 0};
			}
			done = nic_tx_provide(b->q, frames, n);
			assert_true(done == 0 || !(frames[done - 1].flags & FRAME_MORE));
			for (size_t i = 0; i < done; i++) {
				place[frames[i].offset / NIC_BUFFER_STRIDE] = IN_TX;
				expect_tx[tx_in++ % 256] = frames[i].offset;
			}
			memmove(free_list + free_count - n, free_list + free_count - n + done,
				(n - done) * sizeof *free_list);
			free_count -= (unsigned)done;
			break;
		case 4: fake_transmit(b->fn, (unsigned)n); break;
		case 5: /* sent */
			done = nic_tx_return(b->q, offsets, n);
			for (size_t i = 0; i < done; i++) {
				assert_int_equal(offsets[i], expect_tx[tx_out++ % 256]);
				assert_int_equal(place[offsets[i] / NIC_BUFFER_STRIDE], IN_TX);
				place[offsets[i] / NIC_BUFFER_STRIDE] = NOWHERE;
				free_list[free_count++] = offsets[i];
			}
			break;
		}
		assert_int_equal(free_count + nic_rx_held(b->q) + nic_tx_held(b->q), BUFFERS);
		assert_true(nic_rx_held(b->q) <= RING - 4 && nic_tx_held(b->q) <= RING - 4);
		assert_int_equal(b->fn->wild, 0);
	}
	assert_true(delivered > 10000 && tx_out > 10000);
	/* Whatever was queued is sent and comes back without a further frame. */
	fake_transmit(b->fn, RING);
	while (nic_tx_held(b->q)) {
		uint32_t offset;

		assert_int_equal(nic_tx_return(b->q, &offset, 1), 1);
	}
	assert_false(b->fn->tx[0].frame.pieces);
}

/* --- a card that is gone --- */

static void gone_means_nothing_is_done(void **state)
{
	struct bench *b = *state;
	struct frame frames[8];
	uint32_t offsets[8] = {buffer(30)};
	struct nic_link link;
	struct nic_stats stats;

	provide(b, 0, 8);
	send_frames(b, 8, 8);
	fake_receive(b->fn, frames, 60);
	fake_transmit(b->fn, 8);
	b->fn->vanish_at = b->fn->accesses;
	assert_int_equal(nic_link(b->nic, &link), -ENODEV);
	assert_false(link.up);
	assert_true(nic_gone(b->nic));
	assert_int_equal(nic_rx_return(b->q, frames, 8), 0);
	assert_int_equal(nic_rx_provide(b->q, offsets, 1), 0);
	assert_int_equal(nic_tx_return(b->q, offsets, 8), 0);
	assert_int_equal(nic_tx_provide(b->q, frames, 1), 0);
	assert_int_equal(nic_stats(b->nic, &stats), -ENODEV);
	assert_int_equal(nic_irq_ack(b->nic, 0), -ENODEV);
	assert_int_equal(nic_set_promiscuous(b->nic, true), -ENODEV);
	assert_int_equal(nic_set_mtu(b->nic, 900), -ENODEV);
}

#define WITH_CARD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int group(const char *name, unsigned layout)
{
	const struct CMUnitTest tests[] = {
		WITH_CARD(opens_as_the_datasheet_says),
		WITH_CARD(closes_quietly),
		WITH_CARD(rx_ring_takes_size_less_a_line),
		WITH_CARD(rx_tail_is_written_seldom),
		WITH_CARD(rx_returns_what_came),
		WITH_CARD(rx_scan_ends_where_buffers_end),
		WITH_CARD(rx_refuses_wild_buffers),
		WITH_CARD(rx_gives_every_buffer_back),
		WITH_CARD(rx_ignores_write_backs_beyond_its_own),
		WITH_CARD(rs_marks_groups_and_bursts),
		WITH_CARD(rs_lies_on_ends_of_frames),
		WITH_CARD(tx_returns_what_is_done_in_order),
		WITH_CARD(tx_queues_chains_whole),
		WITH_CARD(tx_refuses_what_is_no_frame),
		WITH_CARD(tx_survives_a_card_that_lies),
		WITH_CARD(lines_end_before_a_wild_buffer),
		WITH_CARD(lines_give_an_odd_frame_back_in_its_place),
		WITH_CARD(lines_after_a_torn_frame_begin_with_its_end),
		WITH_CARD(lines_end_before_a_frame_that_is_none),
		WITH_CARD(random_bursts_keep_every_buffer),
		WITH_CARD(gone_means_nothing_is_done),
	};

	path = name;
	one_run = layout;
	print_message("path %s, chunks %s\n", path, one_run ? "in one run" : "in no order");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 2, group);
}
