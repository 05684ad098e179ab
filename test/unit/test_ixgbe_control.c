/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ixgbe driver beside its data path: interrupts, link, counters, filters, frame size.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_card.h"

struct bench {
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
};

static void bench_open(struct bench *b, uint16_t device, bool pick, enum pci_irq kind)
{
	struct pci_error why = {""};
	struct nic_config config = {.queues = 1,
		.rx_ring = 64,
		.tx_ring = 64,
		.mtu = 1500,
		.promiscuous = true,
		.interrupts = true,
		.pick_irq = pick,
		.irq = kind};

	b->fn = fake_card_new(device);
	config.frames = b->frames = fake_region_new(b->fn, DMA_CHUNK_SIZE);
	config.rings = b->rings = fake_region_new(b->fn, 4096);
	assert_int_equal(nic_open(&b->nic, b->fn, &config, &why), 0);
}

static void bench_close(struct bench *b)
{
	nic_close(b->nic);
	fake_region_free(b->frames);
	fake_region_free(b->rings);
	fake_card_free(b->fn);
}

static void msix_gives_queue_and_link_a_vector_each(void **state)
{
	struct bench b;
	int fd[NIC_MAX_QUEUES + 1];

	(void)state;
	bench_open(&b, 0x1528, false, PCI_IRQ_MSIX);
	assert_string_equal(nic_irq_name(b.nic), "MSI-X");
	assert_int_equal(nic_irq_fds(b.nic, fd), 2);
	assert_int_equal(fd[1], 101);
	assert_int_equal(b.fn->irq_enabled, 2);
	assert_int_equal(fake_read(b.fn, GPIE), 0xC0000030);
	assert_int_equal(fake_read(b.fn, IVAR(0)), 0x8080);
	assert_int_equal(fake_read(b.fn, IVAR_MISC), 0x8100);
	assert_int_equal(fake_read(b.fn, EIAC), 1);
	assert_int_equal(fake_read(b.fn, EIAM), 0x00100001);
	assert_int_equal(fake_read(b.fn, EITR(0)), 0x80000050);
	assert_int_equal(fake_read(b.fn, EITR(1)), 0x800007A0);
	assert_int_equal(fake_read(b.fn, EIMS), 0);
	nic_irq_arm(b.nic);
	assert_int_equal(fake_read(b.fn, EIMS), 0x00100001);

	/* The queue's interrupt costs no register access. */
	fake_set(b.fn, EIMS, 0x00100000);
	b.fn->accesses = 0;
	assert_int_equal(nic_irq_ack(b.nic, 0), NIC_EVENT_QUEUES);
	assert_int_equal(b.fn->accesses, 0);

	/* The link's is acknowledged without losing a queue's cause, and armed again at once. */
	fake_set(b.fn, EICR, IRQ_LINK | 1);
	fake_set(b.fn, EIMS, 0);
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_int_equal(fake_read(b.fn, EICR), 1);
	assert_int_equal(fake_read(b.fn, EIMS), IRQ_LINK);
	assert_int_equal(nic_irq_ack(b.nic, 1), 0);
	assert_int_equal(b.fn->irq_unmasked, 0);
	bench_close(&b);
}

static void one_vector_tells_by_its_causes(void **state)
{
	struct bench b;
	int fd[NIC_MAX_QUEUES + 1];

	(void)state;
	for (unsigned kind = PCI_IRQ_MSI; kind <= PCI_IRQ_INTX; kind++) {
		bench_open(&b, 0x1528, true, (enum pci_irq)kind);
		assert_int_equal(nic_irq_fds(b.nic, fd), 1);
		assert_int_equal(fake_read(b.fn, GPIE), 0);
		assert_int_equal(fake_read(b.fn, EIAC), 0);
		nic_irq_arm(b.nic);
		assert_int_equal(fake_read(b.fn, EIMS), 0x00100001);
		assert_int_equal(b.fn->irq_unmasked, kind == PCI_IRQ_INTX);
		fake_set(b.fn, EICR, IRQ_LINK | 1);
		assert_int_equal(nic_irq_ack(b.nic, 0), NIC_EVENT_LINK | NIC_EVENT_QUEUES);
		/* read, and masked thereby */
		assert_int_equal(fake_read(b.fn, EICR), 0);
		assert_int_equal(fake_read(b.fn, EIMS), 0);
		assert_int_equal(nic_irq_ack(b.nic, 0), 0);
		bench_close(&b);
	}
}

static void msix_with_one_vector_will_do(void **state)
{
	struct bench b = {.fn = NULL};
	struct pci_error why;
	struct nic_config config = {.queues = 1, .rx_ring = 64, .tx_ring = 64, .mtu = 68};

	(void)state;
	b.fn = fake_card_new(0x10FB);
	b.fn->irq_have[PCI_IRQ_MSIX] = 1;
	config.interrupts = true;
	config.frames = b.frames = fake_region_new(b.fn, DMA_CHUNK_SIZE);
	config.rings = b.rings = fake_region_new(b.fn, 4096);
	assert_int_equal(nic_open(&b.nic, b.fn, &config, &why), 0);
	assert_int_equal(b.fn->irq_enabled, 1);
	assert_int_equal(fake_read(b.fn, IVAR_MISC), 0x8000);
	fake_set(b.fn, EICR, IRQ_LINK | 1);
	assert_int_equal(nic_irq_ack(b.nic, 0), NIC_EVENT_LINK | NIC_EVENT_QUEUES);
	assert_int_equal(fake_read(b.fn, EICR), 0);
	bench_close(&b);
}

static void link_speeds(void **state)
{
	static const struct {
		uint16_t device;
		uint32_t links, mbit;
	} cases[] = {
		{0x1528, 0, 0},
		{0x1528, 0x30000000, 0},
		{0x1528, 0x70000000, 10000},
		{0x1528, 0x78000000, 10000}, /* bit 27 is the X550's */
		{0x1528, 0x60000000, 1000},
		{0x1528, 0x50000000, 100},
		{0x1563, 0x70000000, 10000},
		{0x1563, 0x78000000, 2500},
		{0x1563, 0x58000000, 5000},
		{0x1563, 0x68000000, 1000},
		{0x15E4, 0x40000000, 10},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b;
		struct nic_link link;

		bench_open(&b, cases[i].device, false, PCI_IRQ_MSIX);
		fake_set(b.fn, LINKS, cases[i].links);
		b.fn->link_fell = true;
		b.fn->accesses = 0;
		assert_int_equal(nic_link(b.nic, &link), 0);
		assert_int_equal(b.fn->accesses, 2);
		assert_int_equal(link.up, (cases[i].links & LINKS_UP) != 0);
		assert_int_equal(link.mbit, cases[i].mbit);
		bench_close(&b);
	}
}

static void counters_are_summed(void **state)
{
	struct bench b;
	struct nic_stats s;

	(void)state;
	bench_open(&b, 0x1528, false, PCI_IRQ_MSIX);
	assert_int_equal(nic_stats(b.nic, &s), 0);
	assert_int_equal(s.rx_frames + s.rx_bytes + s.tx_frames + s.rx_missed, 0);
	for (unsigned round = 1; round <= 2; round++) {
		fake_set(b.fn, GPRC, UINT32_MAX - 1);
		fake_set(b.fn, GORCL, UINT32_MAX - 2);
		fake_set(b.fn, GORCH, 0xF);
		fake_set(b.fn, GPTC, 7);
		fake_set(b.fn, GOTCL, 1);
		fake_set(b.fn, GOTCH, 0xFFFFFFF2); /* 4 bits count */
		fake_set(b.fn, RXMPC(0), 3);
		fake_set(b.fn, RXMPC(7), 4);
		fake_set(b.fn, QPRDC(0), 5);
		fake_set(b.fn, CRCERRS, 6);
		fake_set(b.fn, RLEC, 1);
		fake_set(b.fn, ROC, 2);
		fake_set(b.fn, RJC, 4);
		fake_set(b.fn, RUC, 8);
		fake_set(b.fn, RFC, 16);
		fake_set(b.fn, ILLERRC, 32);
		fake_set(b.fn, ERRBC, 64);
		assert_int_equal(nic_stats(b.nic, &s), 0);
		assert_int_equal(s.rx_frames, round * UINT64_C(0xFFFFFFFE));
		assert_int_equal(s.rx_bytes, round * UINT64_C(0xFFFFFFFFD));
		assert_int_equal(s.tx_frames, round * 7);
		assert_int_equal(s.tx_bytes, round * UINT64_C(0x200000001));
		assert_int_equal(s.rx_missed, round * 7);
		assert_int_equal(s.rx_dropped, round * 5);
		assert_int_equal(s.rx_crc_errors, round * 6);
		assert_int_equal(s.rx_length_errors, round * 31);
		assert_int_equal(s.rx_other_errors, round * 96);
		assert_int_equal(s.bad_offsets + s.bad_writebacks, 0);
	}
	/* What a vanishing card reads is not counted. */
	b.fn->vanish_at = b.fn->accesses + 3;
	assert_int_equal(nic_stats(b.nic, &s), -ENODEV);
	assert_int_equal(s.tx_frames, 14);
	assert_int_equal(s.rx_frames, 2 * UINT64_C(0xFFFFFFFE));
	bench_close(&b);
}

static void filters_and_frame_size_change_while_it_runs(void **state)
{
	struct bench b;
	struct nic_queue *q;
	struct frame frame = {64, 1018, 0};

	(void)state;
	bench_open(&b, 0x1528, false, PCI_IRQ_MSIX);
	q = nic_queue(b.nic, 0);
	assert_null(nic_queue(b.nic, 1));
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE | FCTRL_UPE);
	assert_int_equal(nic_set_promiscuous(b.nic, false), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE);
	assert_int_equal(nic_set_promiscuous(b.nic, true), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE | FCTRL_UPE);

	assert_int_equal(nic_set_mtu(b.nic, 67), -EINVAL);
	assert_int_equal(nic_set_mtu(b.nic, 9711), -EINVAL);
	assert_int_equal(fake_read(b.fn, MAXFRS) >> 16, 1522);
	assert_int_equal(nic_set_mtu(b.nic, 1000), 0);
	assert_int_equal(fake_read(b.fn, MAXFRS) >> 16, 1022);
	assert_int_equal(nic_tx_provide(q, &frame, 1), 1);
	frame.len++;
	assert_int_equal(nic_tx_provide(q, &frame, 1), 0);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msix_gives_queue_and_link_a_vector_each),
		cmocka_unit_test(one_vector_tells_by_its_causes),
		cmocka_unit_test(msix_with_one_vector_will_do),
		cmocka_unit_test(link_speeds),
		cmocka_unit_test(counters_are_summed),
		cmocka_unit_test(filters_and_frame_size_change_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
