/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Metadata in front of frames, over a card in memory: what the driver makes of a write-back, and
 * which descriptors it makes of what a caller asks for, whatever that is.
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

#define RING 64u
#define ALL  (NIC_RX_VLAN | NIC_RX_CHECKSUM | NIC_RX_HASH | NIC_RX_TYPE | NIC_TX_META)

static const char *path;

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

static void use_path(struct bench *b)
{
	b->q = nic_queue(b->nic, 0);
	((struct ixgbe_queue *)b->q)->common = ixgbe_path_verbs(path);
}

static struct bench *bench_new(uint16_t device, uint32_t offloads)
{
	struct bench *b = calloc(1, sizeof *b);
	struct pci_error why;

	b->fn = fake_card_new(device);
	b->frames = fake_region_new(b->fn, 2 * DMA_CHUNK_SIZE);
	b->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = b->frames,
		.mtu = 9000,
		.offloads = offloads};
	b->rings = fake_region_new(b->fn, 4096);
	b->config.rings = b->rings;
	b->config.state = calloc(1, nic_state_bytes(&b->config));
	if (nic_open(&b->nic, b->fn, &b->config, &why)) {
		print_error("%s\n", why.text);
		free(b);
		return NULL;
	}
	use_path(b);
	return b;
}

static int set_up(void **state)
{
	*state = bench_new(0x1528, ALL);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int rc;

	nic_close(b->nic);
	rc = b->fn->wild || b->fn->misuse || b->fn->bars ? -1 : 0;
	fake_region_free(b->frames);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
	free(b->config.state);
	free(b);
	return rc;
}

static void provide(struct bench *b, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t offset = buffer(first + i);

		assert_int_equal(nic_rx_provide(b->q, &offset, 1), 1);
	}
	nic_flush(b->q);
}

static struct frame_meta meta_of(struct bench *b, const struct frame *frame)
{
	struct frame_meta meta;

	memcpy(&meta, b->frames->base + frame->offset - sizeof meta, sizeof meta);
	return meta;
}

/* A frame to be sent, with metadata in front. */
static struct frame with(struct bench *b, unsigned i, uint16_t len, struct frame_meta meta)
{
	memcpy(b->frames->base + buffer(i) - sizeof meta, &meta, sizeof meta);
	return (struct frame){.offset = buffer(i), .len = len, .flags = FRAME_META};
}

static uint64_t refused(struct bench *b)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(b->nic, &stats), 0);
	return stats.bad_offsets;
}

/* --- what is programmed --- */

static void registers_are_for_what_was_asked(void **state)
{
	struct bench *b = *state;
	struct nic_config wrong = b->config;
	struct pci_error why;
	struct bench *plain;
	void *other;
	struct nic *none;

	assert_int_equal(nic_offloads(b->nic), ALL);
	assert_int_equal(fake_read(b->fn, RXDCTL(0)), RXDCTL_ENABLE | RXDCTL_VME);
	assert_int_equal(fake_read(b->fn, RXCSUM), RXCSUM_PCSD);
	assert_int_equal(fake_read(b->fn, MRQC) & 0xF, MRQC_RSS);
	assert_int_equal(fake_read(b->fn, RETA(5)), 0);
	plain = bench_new(0x1528, NIC_TX_META);
	assert_int_equal(fake_read(plain->fn, RXDCTL(0)), RXDCTL_ENABLE);
	assert_int_equal(fake_read(plain->fn, MRQC), 0);
	other = plain;
	assert_int_equal(tear_down(&other), 0);
	wrong.offloads = 0x20;
	assert_int_equal(nic_open(&none, b->fn, &wrong, &why), -EINVAL);
	assert_non_null(strstr(why.text, "not all of the offloads 0x20, only 0x1f"));
	wrong.offloads = NIC_RX_VLAN;
	wrong.in_place = NIC_MIRROR;
	wrong.state = NULL;
	assert_int_equal(nic_open(&none, b->fn, &wrong, &why), -EINVAL);
	assert_non_null(strstr(why.text, "queues in place have no offloads"));
}

/* --- receive --- */

/* The write-back's two quadwords, and what they mean (82599 datasheet 7.1.6.2). */
#define TYPE(bits)  ((uint64_t)(bits) << 4)
#define HASH(value) ((uint64_t)(value) << 32)
#define GOOD        (RX_DD | RX_EOP | UINT64_C(100) << 32)

static const struct {
	uint64_t first, second;
	struct frame_meta meta;
} received[] = {
	{0, GOOD, {0}}, {1 | HASH(0x89ABCDEF), GOOD, {.flags = META_HASH, .hash = 0x89ABCDEF}},
	{HASH(0x1234), GOOD, {0}}, /* a hash of no type is none */
	{TYPE(0x11), GOOD | 1 << 6 | 1 << 5,
		{.flags = META_IP_GOOD | META_L4_GOOD, .type = META_IPV4 | META_TCP}},
	{TYPE(0x21), GOOD | 1 << 6 | 1 << 5 | UINT64_C(1) << 31,
		{.flags = META_IP_BAD | META_L4_GOOD, .type = META_IPV4 | META_UDP}},
	{TYPE(0x4C), GOOD | 1 << 5 | UINT64_C(1) << 30,
		{.flags = META_L4_BAD, .type = META_IPV6 | META_IPV6_EXTENSIONS | META_SCTP}},
	/* errors of what was not computed mean nothing */
	{TYPE(0x03), GOOD | UINT64_C(3) << 30, {.type = META_IPV4 | META_IPV4_OPTIONS}},
	/* the type of an L2 filter is not this */
	{TYPE(0x811), GOOD, {0}},
	{0, GOOD | 1 << 3 | UINT64_C(0xA123) << 48, {.flags = META_VLAN, .vlan = 0xA123}},
	{0, GOOD | UINT64_C(0xA123) << 48, {0}}, /* no tag */
};

static void write_back(struct bench *b, uint64_t first, uint64_t second)
{
	uint32_t head = fake_read(b->fn, RDH(0));

	assert_true(fake_write_back(b->fn, second));
	dma_write(ring_word(&b->q->rx, head, 0), first);
}

static void what_the_card_found_lies_in_front(void **state)
{
	struct bench *b = *state;
	enum { COUNT = sizeof received / sizeof *received };
	struct frame frames[RING];

	provide(b, 0, RING - RING_LINE);
	for (unsigned i = 0; i < COUNT; i++)
		write_back(b, received[i].first, received[i].second);
	assert_int_equal(nic_rx_return(b->q, frames, RING), COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		struct frame_meta want = received[i].meta;
		bool any = want.flags || want.type;

		want.l2_len = 14;
		assert_int_equal(frames[i].flags, any ? FRAME_META : 0);
		assert_int_equal(frames[i].offset, buffer(i));
		assert_int_equal(frames[i].len, 100);
		if (any) {
			struct frame_meta got = meta_of(b, &frames[i]);

			assert_memory_equal(&got, &want, sizeof want);
		}
	}
}

/* Only what was asked for is told. */
static void each_offload_is_told_alone(void **state)
{
	static const struct {
		uint32_t offload;
		struct frame_meta meta;
	} cases[] = {
		{NIC_RX_VLAN, {.flags = META_VLAN, .vlan = 7}},
		{NIC_RX_CHECKSUM, {.flags = META_IP_GOOD | META_L4_BAD}},
		{NIC_RX_HASH, {.flags = META_HASH, .hash = 9}},
		{NIC_RX_TYPE, {.type = META_IPV4 | META_TCP}},
		{NIC_TX_META, {0}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench *b = bench_new(0x1528, cases[i].offload);
		struct frame frame;
		void *it = b;

		provide(b, 0, 8);
		write_back(b, 1 | TYPE(0x11) | HASH(9),
			GOOD | 1 << 3 | UINT64_C(7) << 48 | 1 << 6 | 1 << 5 | UINT64_C(1) << 30);
		assert_int_equal(nic_rx_return(b->q, &frame, 1), 1);
		assert_int_equal(frame.flags, cases[i].offload == NIC_TX_META ? 0 : FRAME_META);
		if (frame.flags) {
			struct frame_meta got = meta_of(b, &frame), want = cases[i].meta;

			want.l2_len = 14;
			assert_memory_equal(&got, &want, sizeof want);
		}
		assert_int_equal(tear_down(&it), 0);
	}
}

/* The 82599 cannot tell a UDP frame without a checksum from one with a wrong one. */
static void an_82599_is_not_sure_of_udp(void **state)
{
	struct bench *b = bench_new(0x10FB, ALL);
	struct frame frames[2];
	void *it = b;

	(void)state;
	provide(b, 0, 8);
	write_back(b, TYPE(0x21), GOOD | 1 << 5 | UINT64_C(1) << 30);
	write_back(b, TYPE(0x11), GOOD | 1 << 5 | UINT64_C(1) << 30);
	assert_int_equal(nic_rx_return(b->q, frames, 2), 2);
	assert_int_equal(meta_of(b, &frames[0]).flags, 0);
	assert_int_equal(meta_of(b, &frames[1]).flags, META_L4_BAD);
	assert_int_equal(tear_down(&it), 0);
}

/* The last descriptor of a frame tells of it, and the first entry has it; errors have nothing. */
static void several_buffers_have_one_header(void **state)
{
	struct bench *b = *state;
	struct frame frames[RING];

	provide(b, 0, RING - RING_LINE);
	memset(b->frames->base + buffer(0) - 16, 0xEE, 16);
	write_back(b, 1 | HASH(5), RX_DD | RX_EOP | RX_RXE | UINT64_C(60) << 32);
	write_back(b, 0, RX_DD | UINT64_C(2048) << 32);
	write_back(b, 1 | HASH(5), RX_DD | RX_EOP | UINT64_C(60) << 32);
	write_back(b, 1 | HASH(6), RX_DD | RX_EOP | UINT64_C(60) << 32);
	assert_int_equal(nic_rx_return(b->q, frames, RING), 4);
	assert_int_equal(frames[0].flags, FRAME_ERROR);
	assert_int_equal(b->frames->base[buffer(0) - 1], 0xEE);
	assert_int_equal(frames[1].flags, FRAME_MORE | FRAME_META);
	assert_int_equal(frames[2].flags, 0);
	assert_int_equal(frames[3].flags, FRAME_META);
	assert_int_equal(meta_of(b, &frames[1]).hash, 5);
	assert_int_equal(meta_of(b, &frames[3]).hash, 6);
}

/* --- transmit --- */

static const struct {
	struct frame_meta meta;
	uint64_t word; /* in the data descriptor, beyond what each has */
	uint64_t context[2];
	uint32_t paid; /* PAYLEN, of 1,000 bytes */
} asked[] = {
	{{.flags = META_VLAN, .vlan = 0xE07B, .l2_len = 14}, UINT64_C(1) << 30,
		{UINT64_C(0xE07B) << 16 | 14 << 9, 0}, 1000},
	{{.flags = META_IP_SUM, .type = META_IPV4, .l2_len = 18, .l3_len = 24}, UINT64_C(1) << 40,
		{18 << 9 | 24, 1 << 10}, 1000},
	{{.flags = META_L4_SUM, .type = META_IPV4 | META_TCP, .l2_len = 14, .l3_len = 20},
		UINT64_C(1) << 41, {14 << 9 | 20, 1 << 10 | 1 << 11}, 1000},
	{{.flags = META_L4_SUM | META_IP_SUM,
		 .type = META_IPV4 | META_UDP,
		 .l2_len = 14,
		 .l3_len = 60},
		UINT64_C(3) << 40, {14 << 9 | 60, 1 << 10}, 1000},
	{{.flags = META_L4_SUM, .type = META_IPV6 | META_SCTP, .l2_len = 14, .l3_len = 40},
		UINT64_C(1) << 41, {14 << 9 | 40, 2 << 11}, 1000},
	{{.flags = META_L4_SUM | META_VLAN,
		 .vlan = 1,
		 .type = META_IPV6 | META_UDP,
		 .l2_len = 127,
		 .l3_len = 511},
		UINT64_C(1) << 41 | 1 << 30, {1 << 16 | 127 << 9 | 511, 0}, 1000},
	/* what was received beside is no matter, nor are fields that are not asked for */
	{{.flags = META_VLAN | META_HASH | META_IP_GOOD | META_L4_BAD,
		 .hash = 77,
		 .l2_len = 14,
		 .l3_len = 999,
		 .l4_len = 255,
		 .mss = 1,
		 .type = 0x7F},
		UINT64_C(1) << 30, {14 << 9, 0}, 1000},
	{{.flags = META_SEGMENT,
		 .type = META_IPV4 | META_TCP,
		 .mss = 536,
		 .l2_len = 14,
		 .l3_len = 20,
		 .l4_len = 32},
		UINT64_C(1) << 31 | UINT64_C(3) << 40,
		{14 << 9 | 20, 1 << 10 | 1 << 11 | UINT64_C(32) << 40 | UINT64_C(536) << 48},
		1000 - 66},
	{{.flags = META_SEGMENT | META_VLAN,
		 .vlan = 3,
		 .type = META_IPV6 | META_UDP,
		 .mss = 64,
		 .l2_len = 14,
		 .l3_len = 40,
		 .l4_len = 8},
		UINT64_C(1) << 31 | UINT64_C(1) << 41 | 1 << 30,
		{3 << 16 | 14 << 9 | 40, UINT64_C(8) << 40 | UINT64_C(64) << 48}, 1000 - 62},
};

static void each_request_has_its_descriptors(void **state)
{
	struct bench *b = *state;
	enum { COUNT = sizeof asked / sizeof *asked };
	const uint64_t each = TX_DATA | TX_IFCS | TX_DEXT;
	struct frame frames[COUNT];
	uint32_t offsets[RING];

	for (unsigned i = 0; i < COUNT; i++)
		frames[i] = with(b, i, 1000, asked[i].meta);
	b->fn->tail_writes = 0;
	assert_int_equal(nic_tx_provide(b->q, frames, COUNT), COUNT);
	assert_int_equal(b->fn->tail_writes, 1);
	assert_int_equal(nic_tx_held(b->q), COUNT);
	nic_held(b->q, offsets);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(offsets[i], buffer(i));
	assert_int_equal(fake_transmit(b->fn, RING), 2 * COUNT);
	assert_int_equal(b->fn->contexts, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		const struct fake_sent *sent = &b->fn->sent[i];
		/* the two contexts in turn; the 16th descriptor and the last frame report */
		uint64_t index = (i & 1) ^ 1;
		uint64_t idx = index << 36;
		uint64_t word = each | TX_EOP | asked[i].word | 1000 | idx |
				(uint64_t)asked[i].paid << 46 |
				(i == 7 || i + 1 == COUNT ? TX_RS : 0);

		assert_int_equal(sent->first, buffer(i));
		assert_true(sent->word == word);
		assert_true(sent->context[0] == asked[i].context[0]);
		assert_true(sent->context[1] ==
			    (asked[i].context[1] | idx | UINT64_C(2) << 20 | 1 << 29));
	}
	assert_int_equal(nic_tx_return(b->q, offsets, RING), COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(offsets[i], buffer(i));
	assert_int_equal(nic_tx_held(b->q), 0);
	assert_int_equal(b->q->tx_bare, 0);
	assert_int_equal(refused(b), 0);
}

#define TCP4 (META_IPV4 | META_TCP)
#define SUM(what, of, l2, l3)                                                 \
	{                                                                     \
		.flags = (what), .type = (of), .l2_len = (l2), .l3_len = (l3) \
	}
#define SEGMENT(what, of, bytes, l4)                                                        \
	{                                                                                   \
		.flags = META_SEGMENT | (what), .type = (of), .mss = (bytes), .l2_len = 14, \
		.l3_len = 20, .l4_len = (l4)                                                \
	}

static const struct frame_meta tcp4 = {.flags = META_L4_SUM | META_IP_SUM,
	.type = META_IPV4 | META_TCP,
	.l2_len = 14,
	.l3_len = 20};
static const struct frame_meta udp6 = {
	.flags = META_L4_SUM, .type = META_IPV6 | META_UDP, .l2_len = 14, .l3_len = 40};
static const struct frame_meta tagged = {.flags = META_VLAN, .vlan = 5, .l2_len = 14};

/* The card keeps two, and frames without metadata between them do not matter. */
static void a_context_that_is_there_is_not_written_again(void **state)
{
	struct bench *b = *state;
	const struct frame_meta *order[] = {
		&tcp4, &tcp4, &udp6, &tcp4, &udp6, &tagged, &udp6, &tagged, &tcp4};
	static const unsigned written[] = {1, 1, 2, 2, 2, 3, 3, 3, 4};
	uint32_t offset;

	for (unsigned i = 0; i < 9; i++) {
		const struct frame frames[] = {
			with(b, 1, 200, *order[i]), {.offset = buffer(2), .len = 60}};

		assert_int_equal(nic_tx_provide(b->q, frames, 2), 2);
		fake_transmit(b->fn, RING);
		assert_int_equal(b->fn->contexts, written[i]);
		assert_int_equal(b->fn->sent[2 * i].context[0] >> 9 & 0x7F, 14);
		assert_int_equal(b->fn->sent[2 * i].context[0] & 0x1FF, order[i]->l3_len);
		assert_int_equal(b->fn->sent[2 * i + 1].word & (TX_VLE | TX_TXSM | TX_IXSM), 0);
		while (nic_tx_return(b->q, &offset, 1))
			;
	}
	/* A queue that is started anew has none. */
	assert_int_equal(nic_queue_stop(b->nic, 0), 0);
	assert_int_equal(nic_queue_start(b->nic, 0, b->frames), 0);
	use_path(b);
	assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 200, FRAME_META}, 1), 1);
	fake_transmit(b->fn, RING);
	assert_int_equal(b->fn->contexts, 5);
}

/* Each is refused, counted, and ends its burst; the frame in front of it goes. */
static void what_is_not_in_order_is_refused(void **state)
{
	static const struct {
		struct frame_meta meta;
		uint16_t len;
	} cases[] = {
		{SUM(1 << 6, TCP4, 14, 20), 100},
		{SUM(1 << 15 | META_L4_SUM, TCP4, 14, 20), 100},
		{SUM(META_L4_SUM, TCP4, 13, 20), 100},
		{SUM(META_L4_SUM, TCP4, 128, 20), 200},
		{SUM(META_VLAN, 0, 0, 0), 100},
		{SUM(0, 0, 0, 0), 100},
		{SUM(META_L4_SUM, TCP4, 14, 19), 100},
		{SUM(META_L4_SUM, TCP4, 14, 61), 100},
		{SUM(META_L4_SUM, TCP4, 14, 65535), 100},
		{SUM(META_L4_SUM, META_IPV6 | META_TCP, 14, 39), 100},
		{SUM(META_L4_SUM, META_IPV6 | META_TCP, 14, 512), 1000},
		{SUM(META_L4_SUM, META_IPV6 | META_IPV4 | META_TCP, 14, 40), 100},
		{SUM(META_L4_SUM, META_TCP, 14, 20), 100},
		{SUM(META_L4_SUM, META_IPV4, 14, 20), 100},
		{SUM(META_L4_SUM, TCP4 | META_UDP, 14, 20), 100},
		{SUM(META_IP_SUM, META_IPV6, 14, 40), 100},
		/* no room for the header that the sum goes into */
		{SUM(META_IP_SUM, META_IPV4, 14, 20), 33},
		{SUM(META_L4_SUM, TCP4, 14, 20), 53},
		{SUM(META_L4_SUM, META_IPV4 | META_UDP, 14, 20), 41},
		{SUM(META_L4_SUM, META_IPV4 | META_SCTP, 14, 20), 45},
		{SEGMENT(0, META_IPV4 | META_SCTP, 500, 20), 1000},
		{SEGMENT(0, TCP4, 500, 19), 1000},
		{SEGMENT(0, TCP4, 500, 61), 1000},
		{SEGMENT(0, META_IPV4 | META_UDP, 500, 20), 1000},
		{SEGMENT(0, TCP4, 500, 20), 54}, /* nothing behind the headers */
		{SEGMENT(0, TCP4, 63, 20), 1000},
		{SEGMENT(0, TCP4, 0, 20), 1000},
		{SEGMENT(0, TCP4, 9018 - 54 + 1, 20), 1000},
		{SEGMENT(META_VLAN, TCP4, 9018 - 54 - 3, 20), 1000},
		/* the tag is part of the largest frame */
		{SUM(META_VLAN, 0, 14, 0), 9015},
		{SUM(META_VLAN, 0, 14, 0), 13},
	};
	struct bench *b = *state;
	unsigned sent = 0;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct frame frames[] = {with(b, 20, 100, tcp4),
			with(b, 1, cases[i].len, cases[i].meta), with(b, 30, 100, tcp4)};
		uint32_t offsets[4];

		assert_int_equal(nic_tx_provide(b->q, frames, 3), 1);
		assert_int_equal(refused(b), i + 1);
		fake_transmit(b->fn, RING);
		assert_int_equal(b->fn->sent_frames, ++sent);
		assert_int_equal(nic_tx_return(b->q, offsets, 4), 1);
	}
	assert_int_equal(b->fn->contexts, 1);
}

static void the_largest_that_are_in_order_go(void **state)
{
	struct bench *b = *state;
	const struct frame frames[] = {
		with(b, 1, 9014, tagged),
		with(b, 8, 9018, tcp4),
		with(b, 16, 10000, (struct frame_meta)SEGMENT(0, TCP4, 9018 - 54, 20)),
		with(b, 24, NIC_SEGMENT_MAX, (struct frame_meta)SEGMENT(0, TCP4, 64, 20)),
	};

	assert_int_equal(nic_tx_provide(b->q, frames, 4), 4);
	fake_transmit(b->fn, RING);
	assert_int_equal(b->fn->sent_frames, 4);
	assert_int_equal(b->fn->sent[3].bytes, 65535);
}

/* It lies in front of the data: where that is outside, nothing is read. */
static void metadata_lies_in_the_region(void **state)
{
	struct bench *b = *state;
	struct frame frame = {.offset = 15, .len = 100, .flags = FRAME_META};

	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 0);
	memcpy(b->frames->base, &tcp4, 16);
	frame.offset = 16;
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	frame.offset = (uint32_t)b->frames->size + 1;
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 0);
	frame.offset = UINT32_MAX;
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 0);
	assert_int_equal(refused(b), 3);
	fake_transmit(b->fn, RING);
}

static void a_queue_that_was_not_asked_takes_none(void **state)
{
	struct bench *b = bench_new(0x1528, NIC_RX_VLAN);
	struct frame frame = with(b, 1, 100, tcp4);
	void *it = b;

	(void)state;
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 0);
	assert_int_equal(refused(b), 1);
	assert_int_equal(tear_down(&it), 0);
}

/* In several entries: the headers in the first, the metadata in front of it and nowhere else. */
static void chains_are_sent_with_theirs(void **state)
{
	struct bench *b = *state;
	struct frame frames[42] = {with(b, 0, 66, (struct frame_meta)SEGMENT(0, TCP4, 500, 32))};
	uint32_t offsets[RING];

	frames[0].flags |= FRAME_MORE;
	for (unsigned i = 1; i < 42; i++)
		frames[i] = (struct frame){.offset = buffer(i), .len = 1500, .flags = FRAME_MORE};
	/* 39 and the context */
	frames[38].flags = 0;
	assert_int_equal(nic_tx_provide(b->q, frames, 39), 39);
	assert_int_equal(nic_tx_held(b->q), 39);
	/* no room now */
	assert_int_equal(nic_tx_provide(b->q, frames, 39), 0);
	assert_int_equal(refused(b), 0);
	assert_int_equal(fake_transmit(b->fn, RING), 40);
	assert_int_equal(b->fn->sent[0].pieces, 39);
	assert_int_equal(b->fn->sent[0].bytes, 66 + 38 * 1500);
	assert_int_equal(nic_tx_return(b->q, offsets, 10), 10);
	assert_int_equal(nic_tx_return(b->q, offsets, RING), 29);
	assert_int_equal(offsets[28], buffer(38));
	/* 40, as the context is there; then another context, which is one too many */
	frames[38].flags = FRAME_MORE;
	frames[38].len = frames[39].len = 100;
	frames[39].flags = 0;
	assert_int_equal(nic_tx_provide(b->q, frames, 40), 40);
	fake_transmit(b->fn, RING);
	assert_int_equal(b->fn->contexts, 1);
	assert_int_equal(nic_tx_return(b->q, offsets, RING), 40);
	with(b, 0, 66, (struct frame_meta)SEGMENT(0, TCP4, 500, 31));
	assert_int_equal(nic_tx_provide(b->q, frames, 40), 0);
	assert_int_equal(refused(b), 1);
	/* a header that goes on in the second entry; metadata in the second entry */
	frames[0].len = 64;
	frames[1].flags = 0;
	assert_int_equal(nic_tx_provide(b->q, frames, 2), 0);
	frames[0].len = 66;
	frames[1].flags = FRAME_META;
	assert_int_equal(nic_tx_provide(b->q, frames, 2), 0);
	assert_int_equal(refused(b), 3);
}

/* Often enough around the ring, with what is sent taken back in small pieces. */
static void no_buffer_is_lost(void **state)
{
	struct bench *b = *state;
	const struct frame_meta *metas[] = {&tcp4, &udp6, &tagged};
	unsigned next = 0, back = 0, seed = 1;
	struct frame frames[16];
	uint32_t offsets[RING];

	while (back < 2000) {
		unsigned n = 0;

		for (; n < (seed = seed * 1103515245 + 12345) >> 28; n++) {
			unsigned i = (next + n) % 200;

			frames[n] = (struct frame){.offset = buffer(i), .len = 100};
			if ((seed >> 5 ^ n) % 3)
				frames[n] = with(b, i, 100, *metas[(seed >> 9 ^ n) % 3]);
		}
		next += (unsigned)nic_tx_provide(b->q, frames, n);
		fake_transmit(b->fn, seed >> 20 & 15);
		n = (unsigned)nic_tx_return(b->q, offsets, seed >> 24 & 7);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(offsets[i], buffer(back++ % 200));
		assert_int_equal(nic_tx_held(b->q), next - back);
		nic_held(b->q, offsets);
		for (unsigned i = 0; i < next - back; i++)
			assert_int_equal(offsets[i], buffer((back + i) % 200));
	}
	assert_int_equal(refused(b), 0);
}

/* A driver that follows knows of descriptors without a buffer, and writes contexts anew. */
static void the_next_process_goes_on(void **state)
{
	struct bench *b = *state;
	const struct frame frames[] = {
		with(b, 1, 100, tcp4), with(b, 2, 100, udp6), with(b, 3, 100, tcp4)};
	uint32_t offsets[RING];
	struct nic_config other = b->config;
	struct pci_error why;

	assert_int_equal(nic_tx_provide(b->q, frames, 3), 3);
	nic_release(b->nic);
	other.offloads = 0;
	assert_int_equal(nic_adopt(&b->nic, b->fn, &other, &why), -EINVAL);
	assert_non_null(strstr(why.text, "of another card or configuration"));
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &why), 0);
	use_path(b);
	assert_int_equal(nic_tx_provide(b->q, frames, 3), 3);
	nic_release(b->nic);
	assert_int_equal(nic_adopt(&b->nic, b->fn, &b->config, &why), 0);
	use_path(b);
	assert_int_equal(nic_tx_held(b->q), 3);
	nic_held(b->q, offsets);
	assert_int_equal(offsets[2], buffer(3));
	assert_int_equal(nic_tx_provide(b->q, frames, 1), 1);
	fake_transmit(b->fn, RING);
	assert_int_equal(b->fn->contexts, 3);
	assert_int_equal(nic_tx_return(b->q, offsets, RING), 4);
	assert_int_equal(nic_tx_held(b->q), 0);
}

/* --- both ways --- */

static void take_out(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	(void)ctx, (void)base;
	for (size_t i = 0; i < n; i++)
		if (frames[i].len == 61)
			frames[i].len = 0;
}

/* A tag that was taken out is put in again; other frames go as they came. */
static void what_is_forwarded_keeps_its_tag(void **state)
{
	struct bench *b = *state;
	unsigned tags = 0;

	provide(b, 0, RING - RING_LINE);
	for (unsigned turn = 0; turn < 50; turn++) {
		for (unsigned i = 0; i < 6; i++)
			write_back(b, i == 4 ? 1 | HASH(3) : 0,
				RX_DD | RX_EOP | (uint64_t)(60 + i) << 32 |
					(i & 1 ? 1 << 3 | (uint64_t)(100 + i) << 48 : 0));
		assert_int_equal(nic_forward(b->q, b->q, 32, take_out, NULL), 6);
		b->fn->sent_frames = 0;
		fake_transmit(b->fn, RING);
		assert_int_equal(b->fn->sent_frames, 5);
		for (unsigned i = 0; i < 5; i++) {
			const struct fake_sent *sent = &b->fn->sent[i];
			unsigned number = i ? i + 1 : 0;

			assert_int_equal(sent->bytes, 60 + number);
			assert_int_equal((sent->word & TX_VLE) != 0, number & 1);
			if (number & 1)
				assert_int_equal(sent->context[0] >> 16, 100 + number);
			tags += number & 1;
		}
		assert_int_equal(nic_rx_held(b->q) + nic_tx_held(b->q), RING - RING_LINE);
	}
	assert_int_equal(tags, 100);
	assert_int_equal(refused(b), 0);
}

/* What nic_forward() cannot take as buffers stays to be returned, descriptors without one between.
 */
static void what_is_no_buffer_stays_the_callers(void **state)
{
	struct bench *b = *state;
	const struct frame frames[] = {{.offset = 16, .len = 60},
		{.offset = 48, .len = 60, .flags = FRAME_META}, {.offset = 16, .len = 60}};
	uint32_t offsets[4];

	provide(b, 0, 8);
	memcpy(b->frames->base + 32, &tagged, sizeof tagged);
	assert_int_equal(nic_tx_provide(b->q, frames, 3), 3);
	fake_transmit(b->fn, RING);
	assert_int_equal(nic_forward(b->q, b->q, 32, NULL, NULL), 0);
	assert_int_equal(nic_tx_held(b->q), 3);
	assert_int_equal(nic_tx_return(b->q, offsets, 4), 3);
	assert_int_equal(offsets[0], 16);
	assert_int_equal(offsets[1], 48);
	assert_int_equal(offsets[2], 16);
	assert_int_equal(b->q->tx_bare, 0);
}

#define FULL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int group(const char *name, unsigned layout)
{
	const struct CMUnitTest tests[] = {
		FULL(registers_are_for_what_was_asked),
		FULL(what_the_card_found_lies_in_front),
		cmocka_unit_test(each_offload_is_told_alone),
		cmocka_unit_test(an_82599_is_not_sure_of_udp),
		FULL(several_buffers_have_one_header),
		FULL(each_request_has_its_descriptors),
		FULL(a_context_that_is_there_is_not_written_again),
		FULL(what_is_not_in_order_is_refused),
		FULL(the_largest_that_are_in_order_go),
		FULL(metadata_lies_in_the_region),
		cmocka_unit_test(a_queue_that_was_not_asked_takes_none),
		FULL(chains_are_sent_with_theirs),
		FULL(no_buffer_is_lost),
		FULL(the_next_process_goes_on),
		FULL(what_is_forwarded_keeps_its_tag),
		FULL(what_is_no_buffer_stays_the_callers),
	};

	(void)layout;
	path = name;
	print_message("path %s\n", path);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return on_each_path(ixgbe_path_verbs, 1, group);
}
