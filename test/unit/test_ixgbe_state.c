/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next: nothing is lost, the card notices nothing, and a
 * state that does not check out is refused whatever is wrong with it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_card.h"

#define RING 64u

struct bench {
	struct pci_function *fn;
	struct nic_config config;
	struct nic *nic;
	struct ixgbe_queue *q;
	struct pci_error why;
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static void look_at(struct bench *b)
{
	b->q = (struct ixgbe_queue *)nic_queue(b->nic, 0);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	b->fn = fake_card_new(0x1528);
	b->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = fake_region_new(b->fn, 2 * DMA_CHUNK_SIZE),
		.mtu = 1500,
		.promiscuous = true,
		.interrupts = true};
	b->config.rings = fake_region_new(b->fn, 4096);
	b->config.state = calloc(1, nic_state_bytes(&b->config));
	*state = b;
	if (nic_open(&b->nic, b->fn, &b->config, &b->why))
		return -1;
	look_at(b);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int rc;

	nic_close(b->nic);
	rc = b->fn->bars || b->fn->misuse || b->fn->wild ? -1 : 0;
	fake_region_free((struct dma_region *)(uintptr_t)b->config.frames);
	fake_region_free((struct dma_region *)(uintptr_t)b->config.rings);
	fake_card_free(b->fn);
	free(b->config.state);
	free(b);
	return rc;
}

static void release(struct bench *b)
{
	nic_release(b->nic);
	b->nic = NULL;
}

static int adopt(struct bench *b)
{
	int rc = nic_adopt(&b->nic, b->fn, &b->config, &b->why);

	if (!rc)
		look_at(b);
	return rc;
}

/* Rings in the middle of things: buffers kept back, frames received, sent, and reported. */
static void use(struct bench *b)
{
	uint8_t data[128] = {0};
	uint32_t offsets[RING];
	struct frame frames[RING];

	for (unsigned i = 0; i < RING; i++)
		offsets[i] = buffer(i);
	assert_int_equal(nic_rx_provide(&b->q->head, offsets, 60), 60);
	for (unsigned i = 0; i < 20; i++)
		assert_true(fake_receive(b->fn, data, 60 + i));
	assert_int_equal(nic_rx_return(&b->q->head, frames, 10), 10);
	assert_int_equal(nic_rx_provide(&b->q->head, offsets, 3), 3);
	for (unsigned i = 0; i < 40; i++)
		frames[i] = (struct frame){.offset = buffer(100 + i), .len = 60};
	assert_int_equal(nic_tx_provide(&b->q->head, frames, 20), 20);
	assert_int_equal(nic_tx_provide(&b->q->head, frames + 20, 20), 20);
	assert_int_equal(fake_transmit(b->fn, 25), 25);
	assert_int_equal(nic_tx_return(&b->q->head, offsets, 5), 5);
}

static void nothing_is_lost(void **state)
{
	struct bench *b = *state;
	uint8_t data[128] = {0};
	uint32_t *registers = malloc(sizeof b->fn->reg);
	struct frame frames[RING];
	uint32_t offsets[RING];
	unsigned resets = b->fn->resets;
	unsigned quiesced = b->fn->quiesced;
	uint8_t mac[6], mac_before[6];

	use(b);
	nic_mac(b->nic, mac_before);
	assert_int_equal(nic_rx_provide(&b->q->head, (uint32_t[]){1}, 1), 0); /* a bad offset */
	memcpy(registers, b->fn->reg, sizeof b->fn->reg);
	release(b);
	assert_memory_equal(registers, b->fn->reg, sizeof b->fn->reg);
	assert_true(b->fn->bus_master);
	/* The card goes on alone. */
	assert_true(fake_receive(b->fn, data, 99));
	assert_int_equal(fake_transmit(b->fn, RING), 15);

	assert_int_equal(adopt(b), 0);
	free(registers);
	assert_int_equal(b->fn->resets, resets);
	assert_int_equal(b->fn->quiesced, quiesced);
	nic_mac(b->nic, mac);
	assert_memory_equal(mac, mac_before, 6);
	assert_int_equal(b->fn->irq_enabled, 2);
	assert_int_equal(nic_rx_held(&b->q->head), 53);
	assert_int_equal(nic_rx_return(&b->q->head, frames, RING), 11);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(frames[i].offset, buffer(10 + i));
		assert_int_equal(frames[i].len, 70 + i);
	}
	assert_int_equal(frames[10].len, 99);
	assert_int_equal(nic_tx_return(&b->q->head, offsets, RING), 35);
	for (unsigned i = 0; i < 35; i++)
		assert_int_equal(offsets[i], buffer(105 + i));
	/* Those that were kept back are shown when the next come. */
	nic_flush(&b->q->head);
	assert_int_equal(fake_read(b->fn, RDT(0)), 63);
}

static void counters_go_on(void **state)
{
	struct bench *b = *state;
	struct nic_stats stats;

	fake_set(b->fn, GPRC, 7);
	assert_int_equal(nic_stats(b->nic, &stats), 0);
	b->q->head.bad_offsets = 5;
	b->q->head.bad_writebacks = 6;
	release(b);
	fake_set(b->fn, GPRC, 4);
	assert_int_equal(adopt(b), 0);
	assert_int_equal(nic_stats(b->nic, &stats), 0);
	assert_int_equal(stats.rx_frames, 11);
	assert_int_equal(stats.bad_offsets, 5);
	assert_int_equal(stats.bad_writebacks, 6);
}

static void a_frame_without_its_end_is_remembered(void **state)
{
	struct bench *b = *state;
	struct frame frame;

	use(b);
	assert_true(fake_write_back(b->fn, RX_DD | (uint64_t)60 << RX_LENGTH_SHIFT));
	assert_true(fake_write_back(b->fn, RX_DD | RX_EOP | (uint64_t)60 << RX_LENGTH_SHIFT));
	for (unsigned i = 0; i < 11; i++)
		assert_int_equal(nic_rx_return(&b->q->head, &frame, 1), 1);
	release(b);
	assert_int_equal(adopt(b), 0);
	assert_int_equal(nic_rx_return(&b->q->head, &frame, 1), 1);
	assert_int_equal(frame.flags, FRAME_ERROR);
}

static void polled_only_leaves_interrupts_off(void **state)
{
	struct bench *b = *state;

	fake_set(b->fn, EIMC, 0);
	b->config.interrupts = false;
	release(b);
	assert_int_equal(adopt(b), 0);
	assert_int_equal(fake_read(b->fn, EIMC), EIMC_ALL);
	assert_string_equal(nic_irq_name(b->nic), "none");
}

static void refused(struct bench *b, const char *word)
{
	release(b);
	assert_int_equal(adopt(b), -EINVAL);
	assert_non_null(strstr(b->why.text, word));
	assert_null(b->nic);
	assert_int_equal(b->fn->bars, 0);
	/* The fresh start. */
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
	look_at(b);
}

static void a_state_is_used_up(void **state)
{
	struct bench *b = *state;
	struct nic_config without;
	struct nic *again;

	assert_int_equal(nic_adopt(&again, b->fn, &b->config, &b->why), -EINVAL); /* it runs */
	release(b);
	assert_int_equal(adopt(b), 0);
	assert_int_equal(nic_adopt(&again, b->fn, &b->config, &b->why), -EINVAL);
	assert_non_null(strstr(b->why.text, "there is none"));
	without = b->config;
	without.state = NULL;
	assert_int_equal(nic_adopt(&again, b->fn, &without, &b->why), -EINVAL);
	assert_non_null(strstr(b->why.text, "no memory"));
}

static void no_byte_may_differ(void **state)
{
	struct bench *b = *state;
	size_t size = nic_state_bytes(&b->config);
	uint8_t *copy = malloc(size);

	use(b);
	release(b);
	memcpy(copy, b->config.state, size);
	for (size_t i = 0; i < size; i++) {
		memcpy(b->config.state, copy, size);
		((uint8_t *)b->config.state)[i] ^= (uint8_t)(1u << i % 8);
		if (adopt(b) != -EINVAL)
			fail_msg("byte %zu", i);
	}
	memcpy(b->config.state, copy, size);
	free(copy);
	assert_int_equal(adopt(b), 0);
}

static void another_configuration_is_refused(void **state)
{
	struct bench *b = *state;
	struct nic_config ours = b->config;
	struct dma_region frames = *ours.frames;
	const struct nic_config others[] = {
		{.rx_ring = 128, .tx_ring = RING, .mtu = 1500, .promiscuous = true},
		{.rx_ring = RING, .tx_ring = 128, .mtu = 1500, .promiscuous = true},
		{.rx_ring = RING, .tx_ring = RING, .mtu = 1499, .promiscuous = true},
		{.rx_ring = RING, .tx_ring = RING, .mtu = 1500, .promiscuous = false},
	};

	frames.size -= 4096;
	ours.rings = fake_region_new(b->fn, 8192);
	for (unsigned i = 0; i < 5; i++) {
		struct nic_config other = ours;

		if (i < 4) {
			other.rx_ring = others[i].rx_ring;
			other.tx_ring = others[i].tx_ring;
			other.mtu = others[i].mtu;
			other.promiscuous = others[i].promiscuous;
		} else {
			other.frames = &frames;
		}
		other.state = calloc(1, nic_state_bytes(&other));
		release(b);
		memcpy(other.state, b->config.state, nic_state_bytes(&b->config));
		assert_int_equal(nic_adopt(&b->nic, b->fn, &other, &b->why), -EINVAL);
		assert_non_null(strstr(b->why.text, "configuration"));
		free(other.state);
		assert_int_equal(adopt(b), 0);
	}
	fake_region_free((struct dma_region *)(uintptr_t)ours.rings);
}

/* Well-formed states whose words make no sense: what a driver gone mad may leave behind. */
static void each_index_is_checked(void **state)
{
	struct bench *b = *state;
	const struct {
		size_t field;
		uint32_t add;
	} wrong[] = {
		{offsetof(struct ixgbe_queue, head.rx.tail), 8}, /* 61 held */
		{offsetof(struct ixgbe_queue, head.rx.head), 60},
		{offsetof(struct ixgbe_queue, head.rx.shown), 4},
		{offsetof(struct ixgbe_queue, head.rx.shown), (uint32_t)-54},
		{offsetof(struct ixgbe_queue, head.tx.tail), 1},
		{offsetof(struct ixgbe_queue, head.tx.head), 36},
		{offsetof(struct ixgbe_queue, head.tx.shown), (uint32_t)-1},
		{offsetof(struct ixgbe_queue, tx_done), 21},
		{offsetof(struct ixgbe_queue, tx_done), (uint32_t)-16},
		{offsetof(struct ixgbe_queue, rs_tail), 1},
		{offsetof(struct ixgbe_queue, rs_tail), (uint32_t)-1},
		{offsetof(struct ixgbe_queue, rs_tail), 4096},
	};

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint32_t *word;

		use(b);
		word = (uint32_t *)(uintptr_t)((uint8_t *)b->q + wrong[i].field);
		*word += wrong[i].add;
		release(b);
		if (adopt(b) != -EINVAL)
			fail_msg("case %u", i);
		assert_non_null(strstr(b->why.text, "state: "));
		assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
		look_at(b);
	}
}

static void each_offset_is_checked(void **state)
{
	struct bench *b = *state;
	const uint32_t size = 2 * DMA_CHUNK_SIZE;
	const uint32_t wrong[] = {0, NIC_BUFFER_HEAD - 1, size - NIC_BUFFER_SIZE + 1, size,
		UINT32_MAX, DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 1};

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		use(b);
		b->q->head.rx.buffer[30] = wrong[i];
		refused(b, "receive buffer");
	}
	use(b);
	b->q->head.tx.buffer[30] = size;
	refused(b, "frame to send");
	/* Slots that hold nothing may hold anything, and what is held may be so twice. */
	use(b);
	b->q->head.tx.buffer[50] = size;
	b->q->head.tx.buffer[30] = b->q->head.rx.buffer[30] = b->q->head.rx.buffer[31];
	release(b);
	assert_int_equal(adopt(b), 0);
}

static void the_list_of_reports_is_checked(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 3; i++) {
		use(b);
		assert_true(b->q->rs_tail - b->q->rs_head >= 2);
		if (i == 0)
			b->q->rs[b->q->rs_head & b->q->head.tx.mask] = b->q->tx_done - 1;
		else if (i == 1)
			b->q->rs[b->q->rs_head & b->q->head.tx.mask] = b->q->head.tx.tail - 1;
		else
			b->q->rs[(b->q->rs_tail - 1) & b->q->head.tx.mask]--;
		refused(b, "report");
	}
}

static void the_card_must_run_so(void **state)
{
	struct bench *b = *state;
	const uint32_t registers[] = {RDBAL(0), RDBAH(0), RDLEN(0), RDT(0), TDBAL(0), TDBAH(0),
		TDLEN(0), TDT(0), RXCTRL, DMATXCTL, RXDCTL(0), TXDCTL(0)};

	for (unsigned i = 0; i < sizeof registers / sizeof registers[0]; i++) {
		/* RXCTRL_RXEN is the bit that DMATXCTL_TE is, too. */
		uint32_t bits = i < 8 ? 1u << 4 : RXDCTL_ENABLE | RXCTRL_RXEN;

		b->fn->holds = 0;
		fake_hold(b->fn, registers[i], bits,
			i < 8 ? ~fake_read(b->fn, registers[i]) & bits : 0);
		release(b);
		if (adopt(b) != -EINVAL)
			fail_msg("register %x", registers[i]);
		assert_non_null(strstr(b->why.text, "does not run"));
		b->fn->holds = 0;
		assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
		look_at(b);
	}
}

/* Three queues: one on memory of its own, one that stands still. */
struct several {
	struct bench b;
	struct dma_region *others;
};

static void open_several(struct several *s)
{
	struct bench *b = &s->b;

	b->fn = fake_card_new(0x1528);
	s->others = fake_region_new(b->fn, DMA_CHUNK_SIZE);
	b->config = (struct nic_config){.queues = 3,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = fake_region_new(b->fn, 2 * DMA_CHUNK_SIZE),
		.mtu = 1500,
		.interrupts = true};
	b->config.rings = fake_region_new(b->fn, 8192);
	b->config.state = calloc(1, nic_state_bytes(&b->config));
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
	assert_int_equal(nic_queue_start(b->nic, 2, s->others), 0);
	b->config.queue_frames[2] = s->others;
}

static void close_several(struct several *s)
{
	struct bench *b = &s->b;

	nic_close(b->nic);
	assert_int_equal(b->fn->bars + b->fn->misuse + b->fn->wild, 0);
	fake_region_free((struct dma_region *)(uintptr_t)b->config.frames);
	fake_region_free((struct dma_region *)(uintptr_t)b->config.rings);
	fake_region_free(s->others);
	fake_card_free(b->fn);
	free(b->config.state);
}

static size_t give(struct bench *b, unsigned queue, unsigned first, unsigned n)
{
	uint32_t offsets[RING];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(nic_queue(b->nic, queue), offsets, n);
}

static void each_queue_goes_on(void **state)
{
	struct several s = {0};
	struct bench *b = &s.b;
	struct frame frame = {.offset = buffer(20), .len = 60};
	struct nic_queue_stats stats;
	uint32_t offset;

	(void)state;
	open_several(&s);
	assert_int_equal(give(b, 0, 0, 8), 8);
	assert_int_equal(give(b, 2, 0, 16), 16); /* the same offsets, in other memory */
	assert_int_equal(nic_tx_provide(nic_queue(b->nic, 2), &frame, 1), 1);
	fake_set(b->fn, QPRC(2), 7);
	assert_int_equal(nic_queue_stats(b->nic, 2, &stats), 0);
	release(b);
	assert_true(fake_receive_on(b->fn, 2, "0123456789abcdef", 16));
	assert_int_equal(fake_transmit_on(b->fn, 2, 4), 1);
	fake_set(b->fn, QPRC(2), 4);

	assert_int_equal(adopt(b), 0);
	assert_ptr_equal(nic_queue_frames(b->nic, 0), b->config.frames);
	assert_null(nic_queue_frames(b->nic, 1));
	assert_ptr_equal(nic_queue_frames(b->nic, 2), s.others);
	assert_int_equal(nic_rx_return(nic_queue(b->nic, 0), &frame, 1), 0);
	assert_int_equal(nic_rx_return(nic_queue(b->nic, 2), &frame, 1), 1);
	assert_int_equal(frame.offset, buffer(0));
	assert_int_equal(nic_tx_return(nic_queue(b->nic, 2), &offset, 1), 1);
	assert_int_equal(offset, buffer(20));
	assert_int_equal(nic_queue_stats(b->nic, 2, &stats), 0);
	assert_int_equal(stats.rx_frames, 11);
	/* The one that stood still does, whatever region is named, and can be started. */
	b->config.queue_frames[1] = s.others;
	release(b);
	assert_int_equal(adopt(b), 0);
	assert_null(nic_queue_frames(b->nic, 1));
	assert_int_equal(give(b, 1, 30, 8), 0);
	assert_int_equal(nic_queue_start(b->nic, 1, s.others), 0);
	assert_int_equal(give(b, 1, 30, 8), 8);
	close_several(&s);
}

static void each_queue_is_checked(void **state)
{
	struct several s = {0};
	struct bench *b = &s.b;

	(void)state;
	open_several(&s);
	for (unsigned i = 0; i < 6; i++) {
		struct nic_config right = b->config;
		struct dma_region longer = *s.others;
		const char *word = "another configuration";

		longer.size += 4096;
		assert_int_equal(give(b, 0, 0, 8), 8);
		assert_int_equal(give(b, 2, 0, 16), 16);
		switch (i) {
		case 0: b->config.queue_frames[2] = NULL; break;
		case 1: b->config.queue_frames[2] = &longer; break;
		case 2: /* of a queue that stands still */
			nic_queue(b->nic, 1)->rx.tail++;
			word = "indices";
			break;
		case 3:
			nic_queue(b->nic, 2)->rx.buffer[15] = DMA_CHUNK_SIZE;
			word = "outside";
			break;
		case 4: /* the card runs one that should not */
			fake_hold(b->fn, RXDCTL(1), RXDCTL_ENABLE, RXDCTL_ENABLE);
			word = "does not run";
			break;
		default:
			fake_hold(b->fn, TXDCTL(2), TXDCTL_ENABLE, 0);
			word = "does not run";
			break;
		}
		release(b);
		assert_int_equal(adopt(b), -EINVAL);
		if (!strstr(b->why.text, word))
			fail_msg("case %u: %s", i, b->why.text);
		b->fn->holds = 0;
		b->config = right;
		assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
	}
	close_several(&s);
}

static void a_card_that_is_gone_is(void **state)
{
	struct bench *b = *state;

	release(b);
	b->fn->vanish_at = b->fn->accesses + 5;
	assert_int_equal(adopt(b), -ENODEV);
	assert_int_equal(b->fn->bars, 0);
}

int main(void)
{
#define life(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		life(nothing_is_lost),
		life(counters_go_on),
		life(a_frame_without_its_end_is_remembered),
		life(polled_only_leaves_interrupts_off),
		life(a_state_is_used_up),
		life(no_byte_may_differ),
		life(another_configuration_is_refused),
		life(each_index_is_checked),
		life(each_offset_is_checked),
		life(the_list_of_reports_is_checked),
		life(the_card_must_run_so),
		cmocka_unit_test(each_queue_goes_on),
		cmocka_unit_test(each_queue_is_checked),
		life(a_card_that_is_gone_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
