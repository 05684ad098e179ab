/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ixgbe driver's filters, flow control and cage: what is programmed.
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
	struct nic_config config;
	struct nic *nic;
	struct pci_error why;
};

static struct bench bench_new(uint16_t device)
{
	struct bench b = {.fn = fake_card_new(device)};

	b.config = (struct nic_config){.queues = 1,
		.rx_ring = 64,
		.tx_ring = 64,
		.mtu = 1500,
		.interrupts = true,
		.frames = fake_region_new(b.fn, DMA_CHUNK_SIZE),
		.rings = fake_region_new(b.fn, 8192)};
	b.config.state = calloc(1, 65536);
	return b;
}

static void bench_open(struct bench *b)
{
	assert_int_equal(nic_open(&b->nic, b->fn, &b->config, &b->why), 0);
}

static void bench_close(struct bench *b)
{
	nic_close(b->nic);
	assert_int_equal(b->fn->misuse, 0);
	fake_region_free((struct dma_region *)(uintptr_t)b->config.frames);
	fake_region_free((struct dma_region *)(uintptr_t)b->config.rings);
	fake_card_free(b->fn);
	free(b->config.state);
}

/* --- addresses --- */

/* A station for an even number, and a group for an odd one. */
static void address_of(unsigned number, uint8_t address[6])
{
	const uint8_t made[6] = {(uint8_t)(2 + (number & 1)), 0xAA, (uint8_t)(number >> 8), 0x55,
		(uint8_t)(number * 7), (uint8_t)number};

	memcpy(address, made, 6);
}

static unsigned bits_in(struct bench *b, uint32_t first)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 128; i++)
		count += (unsigned)__builtin_popcount(fake_read(b->fn, first + 4 * i));
	return count;
}

static bool bit_of(struct bench *b, uint32_t first, const uint8_t address[6])
{
	/* bits 47:36 of the address */
	unsigned hash = (unsigned)address[5] << 4 | address[4] >> 4;

	return fake_read(b->fn, first + hash / 32 * 4) >> hash % 32 & 1;
}

static void listed_addresses_pass(void **state)
{
	struct bench b = bench_new(0x1528);
	uint8_t list[200][6];
	uint32_t own[2];

	(void)state;
	bench_open(&b);
	own[0] = fake_read(b.fn, RAL(0));
	own[1] = fake_read(b.fn, RAH(0));
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE);
	assert_int_equal(fake_read(b.fn, MCSTCTRL), 0);
	for (unsigned i = 0; i < 6; i++)
		address_of(i, list[i]);
	assert_int_equal(nic_set_addresses(b.nic, list, 6), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM);
	assert_int_equal(fake_read(b.fn, MCSTCTRL), 4);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t low = fake_read(b.fn, RAL(i + 1)), high = fake_read(b.fn, RAH(i + 1));

		assert_memory_equal(&low, list[2 * i], 4);
		assert_memory_equal(&high, list[2 * i] + 4, 2);
		assert_int_equal(high >> 16, 0x8000);
		assert_int_equal(fake_read(b.fn, MPSAR(2 * i + 2)), 1);
		assert_true(bit_of(&b, MTA(0), list[2 * i + 1]));
	}
	assert_int_equal(fake_read(b.fn, RAH(4)), 0);
	assert_int_equal(bits_in(&b, MTA(0)), 3);
	assert_int_equal(bits_in(&b, PFUTA(0)), 0);

	/* More stations than there are entries; what was is gone. */
	for (unsigned i = 0; i < 130; i++)
		address_of(2 * i, list[i]);
	assert_int_equal(nic_set_addresses(b.nic, list, 130), 0);
	assert_int_equal(fake_read(b.fn, RAH(127)) >> 31, 1);
	assert_int_equal(bits_in(&b, MTA(0)), 0);
	assert_int_equal(bits_in(&b, PFUTA(0)), 3);
	for (unsigned i = 127; i < 130; i++)
		assert_true(bit_of(&b, PFUTA(0), list[i]));

	/* Promiscuous and back keeps the list. */
	assert_int_equal(nic_set_promiscuous(b.nic, true), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE | FCTRL_UPE);
	assert_int_equal(nic_set_promiscuous(b.nic, false), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM);

	/* The next process finds it. */
	nic_release(b.nic);
	assert_int_equal(nic_adopt(&b.nic, b.fn, &b.config, &b.why), 0);
	assert_int_equal(nic_set_promiscuous(b.nic, false), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM);

	/* An empty list is none at all; NULL is as at the start. */
	assert_int_equal(nic_set_addresses(b.nic, list, 0), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM);
	assert_int_equal(fake_read(b.fn, RAH(1)) | bits_in(&b, PFUTA(0)), 0);
	assert_int_equal(nic_set_addresses(b.nic, NULL, 7), 0);
	assert_int_equal(fake_read(b.fn, FCTRL), FCTRL_BAM | FCTRL_MPE);
	assert_int_equal(fake_read(b.fn, MCSTCTRL), 0);
	assert_int_equal(fake_read(b.fn, RAL(0)), own[0]);
	assert_int_equal(fake_read(b.fn, RAH(0)), own[1]);
	b.fn->vanish_at = b.fn->accesses + 1;
	assert_int_equal(nic_set_promiscuous(b.nic, false), 0); /* a write tells nothing */
	assert_int_equal(nic_set_vlans(b.nic, NULL, 0), -ENODEV);
	assert_int_equal(nic_set_addresses(b.nic, list, 1), -ENODEV);
	bench_close(&b);
}

static void listed_vlans_pass(void **state)
{
	static const uint16_t list[] = {0, 1, 33, 4095}, wrong[] = {5, 4096};
	struct bench b = bench_new(0x10FB);

	(void)state;
	bench_open(&b);
	assert_int_equal(fake_read(b.fn, VLNCTRL) & VLNCTRL_VFE, 0);
	assert_int_equal(nic_set_vlans(b.nic, wrong, 2), -EINVAL);
	assert_int_equal(nic_set_vlans(b.nic, list, 4), 0);
	assert_int_equal(fake_read(b.fn, VLNCTRL), 1 << 30);
	assert_int_equal(fake_read(b.fn, VFTA(0)), 3);
	assert_int_equal(fake_read(b.fn, VFTA(1)), 2);
	assert_int_equal(fake_read(b.fn, VFTA(127)), 1u << 31);
	assert_int_equal(bits_in(&b, VFTA(0)), 4);
	assert_int_equal(nic_set_vlans(b.nic, list, 1), 0);
	assert_int_equal(bits_in(&b, VFTA(0)), 1);
	assert_int_equal(nic_set_vlans(b.nic, NULL, 3), 0);
	assert_int_equal(fake_read(b.fn, VLNCTRL), 0);
	bench_close(&b);
}

/* --- flow control --- */

static void pause_frames_are_as_configured(void **state)
{
	static const struct {
		uint16_t device;
		unsigned pause;
		uint32_t mflcn, fccfg, fcttv, fcrtv, low, high;
	} cases[] = {
		{0x1528, 0, 2, 0, 0, 0, 0, 0x5A000},
		{0x10FB, 0, 2, 0, 0, 0, 0, 0x7A000},
		{0x1528, NIC_PAUSE_RX, 0xA, 0, 0, 0, 0, 0x5A000},
		{0x1528, NIC_PAUSE_TX, 2, 8, 0xFFFFFFFF, 0x7FFF, 0x80040000, 0x80050000},
		{0x10FB, 3, 0xA, 8, 0xFFFFFFFF, 0x7FFF, 0x80060000, 0x80070000},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(cases[i].device);

		b.config.pause = cases[i].pause;
		bench_open(&b);
		assert_int_equal(fake_read(b.fn, MFLCN), cases[i].mflcn);
		assert_int_equal(fake_read(b.fn, FCCFG), cases[i].fccfg);
		assert_int_equal(fake_read(b.fn, FCTTV(3)), cases[i].fcttv);
		assert_int_equal(fake_read(b.fn, FCRTV), cases[i].fcrtv);
		assert_int_equal(fake_read(b.fn, FCRTL(0)), cases[i].low);
		assert_int_equal(fake_read(b.fn, FCRTH(0)), cases[i].high);
		assert_int_equal(fake_read(b.fn, FCRTH(1)), 0);
		bench_close(&b);
	}
}

static void dropping_is_as_configured(void **state)
{
	static const struct {
		unsigned queues;
		enum nic_drop drop;
		bool drops;
	} cases[] = {
		{1, NIC_DROP_AUTO, false},
		{2, NIC_DROP_AUTO, true},
		{2, NIC_DROP_NEVER, false},
		{1, NIC_DROP_ALWAYS, true},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(0x1528);

		b.config.queues = cases[i].queues;
		b.config.drop = cases[i].drop;
		bench_open(&b);
		assert_int_equal(fake_read(b.fn, SRRCTL(0)) >> 28 & 1, cases[i].drops);
		bench_close(&b);
	}
}

static void the_next_process_has_the_same(void **state)
{
	struct bench b = bench_new(0x1528);
	struct nic_config right;

	(void)state;
	b.config.pause = NIC_PAUSE_RX;
	bench_open(&b);
	nic_release(b.nic);
	right = b.config;
	b.config.pause = 0;
	assert_int_equal(nic_adopt(&b.nic, b.fn, &b.config, &b.why), -EINVAL);
	b.config = right;
	bench_open(&b);
	nic_release(b.nic);
	b.config.drop = NIC_DROP_ALWAYS;
	assert_int_equal(nic_adopt(&b.nic, b.fn, &b.config, &b.why), -EINVAL);
	b.config = right;
	bench_open(&b);
	nic_release(b.nic);
	assert_int_equal(nic_adopt(&b.nic, b.fn, &b.config, &b.why), 0);
	bench_close(&b);
}

static void wrong_flow_control_is_refused(void **state)
{
	struct bench b = bench_new(0x1528);

	(void)state;
	b.config.pause = 4;
	assert_int_equal(nic_open(&b.nic, b.fn, &b.config, &b.why), -EINVAL);
	b.config.pause = 0;
	b.config.drop = (enum nic_drop)3;
	assert_int_equal(nic_open(&b.nic, b.fn, &b.config, &b.why), -EINVAL);
	assert_non_null(strstr(b.why.text, "no such flow control"));
	bench_close(&b);
}

/* --- the cage --- */

/* A module that is plugged into a running card has its link started, as at the beginning. */
static void a_module_that_comes_gets_its_link(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	fake_hold(b.fn, LINKS, LINKS_UP, 0);
	bench_open(&b);
	assert_int_equal(fake_read(b.fn, GPIE) & GPIE_SDP2, GPIE_SDP2);
	nic_irq_arm(b.nic);
	assert_int_equal(fake_read(b.fn, EIMS), 1 | IRQ_LINK | IRQ_SDP2);
	/* It goes: nothing to start. */
	b.fn->module.present = false;
	fake_set(b.fn, AUTOC, 0x1234);
	fake_set(b.fn, EICR, IRQ_SDP2);
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_int_equal(fake_read(b.fn, AUTOC), 0x1234);
	assert_int_equal(fake_read(b.fn, EIMS), IRQ_LINK | IRQ_SDP2);
	/* It comes: 10 Gbit/s over SFI, the link restarted, the transmitter on. */
	fake_module_plug(&b.fn->module, 0x10, 0, 0);
	fake_set(b.fn, ESDP, ESDP_SDP2 | ESDP_SDP3 | ESDP_SDP3_OUT);
	fake_set(b.fn, EICR, IRQ_SDP2);
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_int_equal(fake_read(b.fn, AUTOC) & AUTOC_LMS_MASK, AUTOC_LMS_10G_SERIAL);
	assert_int_equal(fake_read(b.fn, AUTOC) & AUTOC_RESTART_AN, AUTOC_RESTART_AN);
	assert_int_equal(fake_read(b.fn, ESDP), ESDP_SDP2 | ESDP_SDP3_OUT);
	assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0x3FF, 0);
	bench_close(&b);
}

static void a_semaphore_that_is_stuck_is_survived(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	fake_hold(b.fn, LINKS, LINKS_UP, 0);
	bench_open(&b);
	fake_module_plug(&b.fn->module, 0, 0x01, 0);
	fake_hold(b.fn, SWSM, SWSM_SMBI, SWSM_SMBI);
	fake_set(b.fn, AUTOC, 0x1234);
	fake_set(b.fn, EICR, IRQ_SDP2);
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_int_equal(fake_read(b.fn, AUTOC), 0x1234);
	bench_close(&b);
}

static void where_there_is_no_cage_the_pin_means_nothing(void **state)
{
	static const uint16_t devices[] = {0x1528, 0x10F7};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bench b = bench_new(devices[i]);

		bench_open(&b);
		assert_int_equal(fake_read(b.fn, GPIE) & GPIE_SDP2, 0);
		nic_irq_arm(b.nic);
		assert_int_equal(fake_read(b.fn, EIMS), 1 | IRQ_LINK);
		fake_set(b.fn, EICR, IRQ_SDP2);
		assert_int_equal(nic_irq_ack(b.nic, 1), 0);
		bench_close(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listed_addresses_pass),
		cmocka_unit_test(listed_vlans_pass),
		cmocka_unit_test(pause_frames_are_as_configured),
		cmocka_unit_test(dropping_is_as_configured),
		cmocka_unit_test(the_next_process_has_the_same),
		cmocka_unit_test(wrong_flow_control_is_refused),
		cmocka_unit_test(a_module_that_comes_gets_its_link),
		cmocka_unit_test(a_semaphore_that_is_stuck_is_survived),
		cmocka_unit_test(where_there_is_no_cage_the_pin_means_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
