/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Several queue pairs: each in its own memory, started and stopped while others run, and what comes
 * spread over those that do.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_card.h"

#define RING   64u
#define QUEUES 4u
#define FRAMES (64u * 4096u)

struct bench {
	struct pci_function *fn;
	struct nic_config config;
	struct dma_region *rings, *frames, *other;
	struct nic *nic;
	struct pci_error why;
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static int set_up_with(void **state, uint16_t device, unsigned queues)
{
	struct bench *b = calloc(1, sizeof *b);

	*state = b;
	b->fn = fake_card_new(device);
	b->frames = fake_region_new(b->fn, FRAMES);
	b->other = fake_region_new(b->fn, FRAMES);
	b->config = (struct nic_config){.queues = queues,
		.rx_ring = RING,
		.tx_ring = RING,
		.frames = b->frames,
		.mtu = 1500,
		.interrupts = true};
	b->rings = fake_region_new(b->fn, (nic_ring_bytes(&b->config) + 4095) & ~(size_t)4095);
	b->config.rings = b->rings;
	return nic_open(&b->nic, b->fn, &b->config, &b->why);
}

static int set_up(void **state)
{
	return set_up_with(state, 0x1528, QUEUES);
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	int rc;

	nic_close(b->nic);
	rc = b->fn->bus_master || b->fn->bars || b->fn->misuse || b->fn->wild ? -1 : 0;
	for (unsigned i = 0; i < b->config.queues; i++)
		if ((fake_read(b->fn, RXDCTL(i)) | fake_read(b->fn, TXDCTL(i))) & RXDCTL_ENABLE)
			rc = -1;
	fake_region_free(b->rings);
	fake_region_free(b->frames);
	fake_region_free(b->other);
	fake_card_free(b->fn);
	free(b);
	return rc;
}

static unsigned entry(struct bench *b, unsigned i)
{
	return fake_read(b->fn, RETA(i / 4)) >> 8 * (i % 4) & 0xFF;
}

/* How many table entries lead to a queue. */
static unsigned share(struct bench *b, unsigned queue)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 128; i++)
		count += entry(b, i) == queue;
	return count;
}

static size_t provide(struct bench *b, unsigned queue, unsigned first, unsigned n)
{
	uint32_t offsets[RING];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(nic_queue(b->nic, queue), offsets, n);
}

static size_t transmit(struct bench *b, unsigned queue, unsigned first, unsigned n)
{
	struct frame frames[RING];

	for (unsigned i = 0; i < n; i++)
		frames[i] = (struct frame){.offset = buffer(first + i), .len = 60};
	return nic_tx_provide(nic_queue(b->nic, queue), frames, n);
}

/* --- start and stop --- */

static void only_those_with_memory_begin(void **state)
{
	struct bench *b = *state;
	struct frame frame;

	assert_int_equal(fake_read(b->fn, RXDCTL(0)) & RXDCTL_ENABLE, RXDCTL_ENABLE);
	for (unsigned i = 1; i < QUEUES; i++) {
		assert_int_equal(fake_read(b->fn, RXDCTL(i)) & RXDCTL_ENABLE, 0);
		assert_int_equal(fake_read(b->fn, TXDCTL(i)) & TXDCTL_ENABLE, 0);
		assert_null(nic_queue_frames(b->nic, i));
		assert_int_equal(provide(b, i, 0, 8), 0);
		assert_int_equal(transmit(b, i, 0, 8), 0);
		assert_int_equal(nic_rx_return(nic_queue(b->nic, i), &frame, 1), 0);
		nic_flush(nic_queue(b->nic, i));
		assert_int_equal(fake_read(b->fn, RDT(i)) + fake_read(b->fn, TDT(i)), 0);
	}
	assert_ptr_equal(nic_queue_frames(b->nic, 0), b->frames);
	assert_int_equal(share(b, 0), 128);

	/* And by the configuration. */
	nic_close(b->nic);
	b->config.queue_frames[2] = b->other;
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
	assert_int_equal(fake_read(b->fn, RXDCTL(1)) & RXDCTL_ENABLE, 0);
	assert_int_equal(fake_read(b->fn, RXDCTL(2)) & RXDCTL_ENABLE, RXDCTL_ENABLE);
	assert_ptr_equal(nic_queue_frames(b->nic, 2), b->other);
	assert_int_equal(share(b, 2), 64);
}

static void each_has_rings_and_frames_of_its_own(void **state)
{
	struct bench *b = *state;
	const char text[] = "a frame for the third queue";
	struct frame frame;
	uint32_t offset;

	assert_int_equal(nic_queue_start(b->nic, 2, b->other), 0);
	assert_int_equal(fake_read(b->fn, RDBAL(2)), (uint32_t)b->rings->iova[0] + 4 * RING * 16);
	assert_int_equal(fake_read(b->fn, TDBAL(2)), (uint32_t)b->rings->iova[0] + 5 * RING * 16);
	/* Out of buffers it drops; with several it would hold up the others. */
	assert_int_equal(fake_read(b->fn, SRRCTL(2)), 0x12000402);
	assert_int_equal(fake_read(b->fn, SRRCTL(0)), 0x12000402);
	assert_int_equal(provide(b, 0, 7, 1), 1);
	assert_int_equal(provide(b, 2, 5, 1), 1);
	assert_true(fake_receive_on(b->fn, 2, text, sizeof text));
	assert_int_equal(nic_rx_return(nic_queue(b->nic, 0), &frame, 1), 0);
	assert_int_equal(nic_rx_return(nic_queue(b->nic, 2), &frame, 1), 1);
	assert_int_equal(frame.offset, buffer(5));
	assert_memory_equal(b->other->base + buffer(5), text, sizeof text);

	assert_int_equal(transmit(b, 2, 9, 1), 1);
	assert_int_equal(fake_transmit_on(b->fn, 2, 8), 1);
	assert_int_equal(nic_tx_return(nic_queue(b->nic, 0), &offset, 1), 0);
	assert_int_equal(nic_tx_return(nic_queue(b->nic, 2), &offset, 1), 1);
	assert_int_equal(offset, buffer(9));
}

static void what_is_asked_is_checked(void **state)
{
	struct bench *b = *state;
	struct dma_region small = *b->other;
	unsigned accesses = b->fn->accesses;

	small.size = NIC_BUFFER_STRIDE - 1;
	assert_int_equal(nic_queue_start(b->nic, QUEUES, b->other), -EINVAL);
	assert_int_equal(nic_queue_start(b->nic, 1, NULL), -EINVAL);
	assert_int_equal(nic_queue_start(b->nic, 1, &small), -EINVAL);
	assert_int_equal(nic_queue_start(b->nic, 0, b->other), -EBUSY);
	assert_int_equal(nic_queue_stop(b->nic, QUEUES), -EINVAL);
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	assert_null(nic_queue_frames(b->nic, QUEUES));
	assert_int_equal(b->fn->accesses, accesses);
}

static void stopped_is_empty_and_silent(void **state)
{
	struct bench *b = *state;
	struct nic_queue *q = nic_queue(b->nic, 1);
	uint32_t offsets[2 * RING];

	assert_int_equal(nic_queue_start(b->nic, 1, b->frames), 0);
	assert_int_equal(provide(b, 1, 0, 40), 40);
	assert_true(fake_receive_on(b->fn, 1, "0123456789abcdef", 16));
	assert_int_equal(transmit(b, 1, 50, 3), 3);
	assert_int_equal(fake_transmit_on(b->fn, 1, 3), 3);
	assert_int_equal(nic_rx_held(q) + nic_tx_held(q), 43);
	nic_held(q, offsets);
	assert_int_equal(offsets[42], buffer(52));

	b->fn->routed_when_stopped = true;
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	/* Nothing was led there any more when the card let go of the ring. */
	assert_false(b->fn->routed_when_stopped);
	assert_int_equal(fake_read(b->fn, RXDCTL(1)) & RXDCTL_ENABLE, 0);
	assert_int_equal(fake_read(b->fn, TXDCTL(1)) & TXDCTL_ENABLE, 0);
	assert_int_equal(nic_rx_held(q) + nic_tx_held(q), 0);
	assert_null(nic_queue_frames(b->nic, 1));
	assert_int_equal(provide(b, 1, 0, 40), 0);
	assert_int_equal(transmit(b, 1, 0, 1), 0);
	/* The other one runs on. */
	assert_int_equal(provide(b, 0, 0, 40), 40);
	assert_true(fake_receive(b->fn, "0123456789abcdef", 16));

	/* From the beginning, in other memory: no DD of the life before counts. */
	assert_int_equal(nic_queue_start(b->nic, 1, b->other), 0);
	assert_int_equal(fake_read(b->fn, RDH(1)) + fake_read(b->fn, RDT(1)), 0);
	assert_int_equal(fake_read(b->fn, TDH(1)) + fake_read(b->fn, TDT(1)), 0);
	assert_int_equal(nic_tx_return(q, offsets, RING), 0);
	assert_int_equal(provide(b, 1, 3, 20), 20);
	assert_int_equal(nic_rx_return(q, (struct frame[4]){0}, 4), 0);
	assert_true(fake_receive_on(b->fn, 1, "0123456789abcdef", 16));
	assert_memory_equal(b->other->base + buffer(3), "0123456789abcdef", 16);
}

static void stopping_waits_but_not_for_ever(void **state)
{
	struct bench *b = *state;
	uint64_t before;

	/* Frames that a link which is down does not let go. */
	assert_int_equal(nic_queue_start(b->nic, 1, b->other), 0);
	assert_int_equal(transmit(b, 1, 0, 3), 3);
	before = fake_now_us;
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	assert_in_range(fake_now_us - before, 10000, 20000);
	assert_int_equal(fake_read(b->fn, TXDCTL(1)), 0);

	/* A descriptor that was sent and never reported. */
	assert_int_equal(nic_queue_start(b->nic, 1, b->other), 0);
	assert_int_equal(transmit(b, 1, 0, 3), 3);
	fake_set(b->fn, TDH(1), 3);
	before = fake_now_us;
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	assert_in_range(fake_now_us - before, 10000, 20000);

	/* A card that does not let go, each way: the rings are empty all the same. */
	for (unsigned way = 0; way < 2; way++) {
		uint32_t reg = way ? TXDCTL(1) : RXDCTL(1);

		assert_int_equal(nic_queue_start(b->nic, 1, b->other), 0);
		assert_int_equal(provide(b, 1, 0, 8), 8);
		fake_hold(b->fn, reg, RXDCTL_ENABLE, RXDCTL_ENABLE);
		before = fake_now_us;
		assert_int_equal(nic_queue_stop(b->nic, 1), -ETIMEDOUT);
		assert_in_range(fake_now_us - before, 10000, 40000);
		assert_int_equal(nic_rx_held(nic_queue(b->nic, 1)), 0);
		assert_int_equal(provide(b, 1, 0, 8), 0);
		b->fn->holds = 0;
	}

	/* And one that does not begin. */
	for (unsigned way = 0; way < 2; way++) {
		fake_hold(b->fn, way ? TXDCTL(1) : RXDCTL(1), RXDCTL_ENABLE, 0);
		assert_int_equal(nic_queue_start(b->nic, 1, b->other), -ETIMEDOUT);
		assert_null(nic_queue_frames(b->nic, 1));
		assert_int_equal(share(b, 1), 0);
		assert_int_equal(fake_read(b->fn, RXDCTL(1)) & RXDCTL_ENABLE, 0);
		assert_int_equal(fake_read(b->fn, TXDCTL(1)) & TXDCTL_ENABLE, 0);
		b->fn->holds = 0;
	}
}

static void a_card_may_vanish_meanwhile(void **state)
{
	struct bench *b = *state;
	unsigned before = b->fn->accesses;
	unsigned start, stop;

	assert_int_equal(nic_queue_start(b->nic, 1, b->other), 0);
	start = b->fn->accesses - before;
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	stop = b->fn->accesses - before - start;
	for (unsigned at = 1; at <= start + stop; at++) {
		bool vanishes_in_start = at <= start;
		int rc;

		nic_close(b->nic);
		b->fn->gone = false;
		b->fn->vanish_at = 0;
		assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
		b->fn->vanish_at = b->fn->accesses + at;
		rc = nic_queue_start(b->nic, 1, b->other);
		/* A write that nobody takes is noticed by the next read. */
		assert_true(rc == 0 || rc == -ENODEV);
		if (rc == 0) {
			assert_true(!vanishes_in_start || !b->fn->gone);
			rc = nic_queue_stop(b->nic, 1);
			assert_true(rc == 0 || rc == -ENODEV);
		}
		assert_int_equal(b->fn->misuse, 0);
	}
	b->fn->gone = true;
	assert_int_equal(nic_queue_start(b->nic, 1, b->other), -ENODEV);
	b->fn->gone = false;
	b->fn->vanish_at = 0;
}

/* --- which queue --- */

static void frames_are_spread_over_those_that_run(void **state)
{
	struct bench *b = *state;
	unsigned before[128];

	assert_int_equal(fake_read(b->fn, MRQC), 0x00F30001);
	assert_int_equal(fake_read(b->fn, RXCSUM), RXCSUM_PCSD);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fake_read(b->fn, RSSRK(i)), 0x5A6D5A6D);
	for (unsigned i = 1; i < QUEUES; i++)
		assert_int_equal(nic_queue_start(b->nic, i, b->other), 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(entry(b, i), i % QUEUES);

	/* One that goes takes no other queue's flows along, and shares its own out evenly. */
	for (unsigned i = 0; i < 128; i++)
		before[i] = entry(b, i);
	assert_int_equal(nic_queue_stop(b->nic, 1), 0);
	for (unsigned i = 0; i < 128; i++)
		if (before[i] != 1)
			assert_int_equal(entry(b, i), before[i]);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_in_range(share(b, i), i == 1 ? 0 : 42, i == 1 ? 0 : 43);
	assert_int_equal(nic_queue_start(b->nic, 1, b->frames), 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(entry(b, i), before[i]);

	/* Queue 0 is one like the others; with none left the table matters no more. */
	assert_int_equal(nic_queue_stop(b->nic, 0), 0);
	assert_int_equal(share(b, 0), 0);
	for (unsigned i = 1; i < QUEUES; i++)
		assert_int_equal(nic_queue_stop(b->nic, i), 0);
	assert_int_equal(nic_queue_start(b->nic, 0, b->frames), 0);
	assert_int_equal(share(b, 0), 128);
}

static void one_queue_needs_no_hash(void **state)
{
	struct bench *b;

	(void)state;
	assert_int_equal(set_up_with((void **)&b, 0x10FB, 1), 0);
	assert_int_equal(fake_read(b->fn, MRQC), 0);
	assert_int_equal(fake_read(b->fn, SRRCTL(0)), 0x02000402);
	assert_int_equal(nic_queue_stop(b->nic, 0), 0);
	assert_int_equal(nic_queue_start(b->nic, 0, b->other), 0);
	assert_int_equal(fake_read(b->fn, MRQC), 0);
	assert_ptr_equal(nic_queue_frames(b->nic, 0), b->other);
	assert_int_equal(tear_down((void **)&b), 0);
}

static void the_x550_has_a_larger_table(void **state)
{
	struct bench *b;

	(void)state;
	assert_int_equal(set_up_with((void **)&b, 0x1563, 16), 0);
	for (unsigned i = 1; i < 16; i++)
		assert_int_equal(nic_queue_start(b->nic, i, b->other), 0);
	assert_int_equal(fake_read(b->fn, RETA(0)), 0x03020100);
	assert_int_equal(fake_read(b->fn, RETA(31)), 0x0F0E0D0C);
	assert_int_equal(fake_read(b->fn, ERETA(0)), 0x03020100);
	assert_int_equal(fake_read(b->fn, ERETA(95)), 0x0F0E0D0C);
	assert_int_equal(tear_down((void **)&b), 0);
}

/* --- interrupts, counters --- */

static void each_queue_has_a_vector(void **state)
{
	struct bench *b = *state;
	int fd[NIC_MAX_QUEUES + 1];
	unsigned accesses;

	assert_int_equal(nic_irq_fds(b->nic, fd), QUEUES + 1);
	assert_int_equal(fake_read(b->fn, IVAR(0)), 0x81818080);
	assert_int_equal(fake_read(b->fn, IVAR(1)), 0x83838282);
	assert_int_equal(fake_read(b->fn, IVAR_MISC), 0x8400);
	assert_int_equal(fake_read(b->fn, EIAC), 0xF);
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_int_equal(fake_read(b->fn, EITR(i)), 0x80000050);
		assert_int_equal(nic_irq_vector(b->nic, i), i);
	}
	assert_int_equal(fake_read(b->fn, EITR(4)), 0x800007A0);
	accesses = b->fn->accesses;
	assert_int_equal(nic_irq_ack(b->nic, 3), NIC_EVENT_QUEUES);
	assert_int_equal(b->fn->accesses, accesses);
	nic_irq_arm_queue(b->nic, 2);
	assert_int_equal(b->fn->accesses, accesses + 1);
	assert_int_equal(fake_read(b->fn, EIMS), 1u << 2);
	nic_irq_arm_queue(b->nic, QUEUES);
	assert_int_equal(b->fn->accesses, accesses + 1);
	nic_irq_arm(b->nic);
	assert_int_equal(fake_read(b->fn, EIMS), 0x0010000F);

	/* Too few vectors: one for all. */
	nic_close(b->nic);
	b->fn->irq_have[PCI_IRQ_MSIX] = QUEUES;
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
	assert_int_equal(nic_irq_fds(b->nic, fd), 1);
	assert_int_equal(fake_read(b->fn, IVAR(0)), 0x80808080);
	assert_int_equal(fake_read(b->fn, IVAR(1)), 0x80808080);
	assert_int_equal(nic_irq_vector(b->nic, 3), 0);
	nic_irq_arm_queue(b->nic, 3);
	assert_int_equal(fake_read(b->fn, EIMS), 0x00100001);
}

static void each_queue_has_counters(void **state)
{
	struct bench *b = *state;
	struct nic_queue_stats q;
	struct nic_stats s;

	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(fake_read(b->fn, RQSMR(n)), 0x03020100 + n * 0x04040404);
		assert_int_equal(fake_read(b->fn, TQSM(n)), 0x03020100 + n * 0x04040404);
	}
	for (unsigned round = 1; round <= 2; round++) {
		fake_set(b->fn, QPRC(1), UINT32_MAX);
		fake_set(b->fn, QBRCL(1), 3);
		fake_set(b->fn, QBRCH(1), 0xFF);
		fake_set(b->fn, QPRDC(1), 5);
		fake_set(b->fn, QPRDC(3), 2);
		fake_set(b->fn, QPTC(1), 7);
		fake_set(b->fn, QBTCL(1), 9);
		fake_set(b->fn, QBTCH(1), 1);
		/* Whoever asks first takes the count away from nobody. */
		assert_int_equal(nic_stats(b->nic, &s), 0);
		assert_int_equal(s.rx_dropped, 7 * round);
		fake_set(b->fn, QBRCL(1), 0);
		fake_set(b->fn, QBRCH(1), 0);
		fake_set(b->fn, QBTCL(1), 0);
		fake_set(b->fn, QBTCH(1), 0);
		assert_int_equal(nic_queue_stats(b->nic, 1, &q), 0);
		assert_int_equal(q.rx_frames, round * UINT64_C(0xFFFFFFFF));
		assert_int_equal(q.rx_bytes, round * UINT64_C(0xF00000003));
		assert_int_equal(q.rx_dropped, round * 5);
		assert_int_equal(q.tx_frames, round * 7);
		assert_int_equal(q.tx_bytes, round * UINT64_C(0x100000009));
	}
	assert_int_equal(nic_queue_stats(b->nic, 0, &q), 0);
	assert_int_equal(q.rx_frames + q.rx_bytes + q.rx_dropped + q.tx_frames + q.tx_bytes, 0);
	fake_set(b->fn, QPRDC(2), 1);
	assert_int_equal(nic_queue_stats(b->nic, 2, &q), 0);
	assert_int_equal(nic_stats(b->nic, &s), 0);
	assert_int_equal(s.rx_dropped, 15);
	assert_int_equal(nic_queue_stats(b->nic, QUEUES, &q), -EINVAL);
	b->fn->vanish_at = b->fn->accesses + 2;
	fake_set(b->fn, QPRC(1), 1);
	assert_int_equal(nic_queue_stats(b->nic, 1, &q), -ENODEV);
	assert_int_equal(q.rx_frames, 2 * UINT64_C(0xFFFFFFFF));
	b->fn->gone = false;
	b->fn->vanish_at = 0;
}

static void queues_share_no_cache_line(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < QUEUES; i++) {
		const struct ixgbe_queue *q = (const struct ixgbe_queue *)nic_queue(b->nic, i);
		const void *own[] = {q, q->rs, q->head.rx.buffer, q->head.tx.buffer};

		for (unsigned k = 0; k < sizeof own / sizeof own[0]; k++)
			assert_int_equal((uintptr_t)own[k] % 64, 0);
		assert_int_equal(sizeof *q % 64, 0);
	}
}

int main(void)
{
#define life(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		life(only_those_with_memory_begin),
		life(each_has_rings_and_frames_of_its_own),
		life(what_is_asked_is_checked),
		life(stopped_is_empty_and_silent),
		life(stopping_waits_but_not_for_ever),
		life(a_card_may_vanish_meanwhile),
		life(frames_are_spread_over_those_that_run),
		cmocka_unit_test(one_queue_needs_no_hash),
		cmocka_unit_test(the_x550_has_a_larger_table),
		life(each_queue_has_a_vector),
		life(each_queue_has_counters),
		life(queues_share_no_cache_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
