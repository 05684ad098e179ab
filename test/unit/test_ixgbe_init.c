/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening an ixgbe card that does not do what it should: each wait ends, says which step failed,
 * and leaves nothing behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ixgbe_bench.h"

/* Bits that never come or never go. */
static void each_poll_names_its_step(void **state)
{
	static const struct {
		uint16_t device;
		uint32_t reg, mask, value;
		const char *text;
	} cases[] = {
		{0x1528, CTRL, CTRL_RST, CTRL_RST,
			"ixgbe 0000:01:00.0: reset did not end within 10 ms "
			"(CTRL.RST, 82599 datasheet 4.2.1.6.1): power-cycle the card"},
		{0x1528, EEC, EEC_AUTO_RD, 0,
			"ixgbe 0000:01:00.0: the EEPROM was not loaded within 1000 ms "
			"(EEC.AUTO_RD, 82599 datasheet 4.6.3.2): power-cycle the card"},
		{0x15C2, EEC_X550EM_A, EEC_AUTO_RD, 0,
			"ixgbe 0000:01:00.0: the EEPROM was not loaded within 1000 ms "
			"(EEC.AUTO_RD, 82599 datasheet 4.6.3.2): power-cycle the card"},
		{0x1528, EERD, EERD_DONE, 0,
			"ixgbe 0000:01:00.0: an EEPROM word was not read within 100 ms "
			"(EERD.DONE, 82599 datasheet 8.2.3.2.2): power-cycle the card"},
		{0x1528, RDRXCTL, RDRXCTL_DMAIDONE, 0,
			"ixgbe 0000:01:00.0: DMA did not initialize within 1000 ms "
			"(RDRXCTL.DMAIDONE, 82599 datasheet 4.6.3.2): power-cycle the card"},
		{0x1528, MSCA, MSCA_COMMAND, MSCA_COMMAND,
			"ixgbe 0000:01:00.0: an MDIO address cycle did not end within 10 ms "
			"(MSCA.MDI_CMD, 82599 datasheet 8.2.3.22.11): power-cycle the card"},
		{0x1528, TXDCTL(0), TXDCTL_ENABLE, 0,
			"ixgbe 0000:01:00.0: a transmit queue did not start within 10 ms "
			"(TXDCTL.ENABLE, 82599 datasheet 4.6.8): power-cycle the card"},
		{0x1528, RXDCTL(0), RXDCTL_ENABLE, 0,
			"ixgbe 0000:01:00.0: a receive queue did not start within 10 ms "
			"(RXDCTL.ENABLE, 82599 datasheet 4.6.7): power-cycle the card"},
		{0x1528, SECRXSTAT, SECRXSTAT_RDY, 0,
			"ixgbe 0000:01:00.0: the receive path did not empty within 1000 ms "
			"(SECRXSTAT.SECRX_RDY, 82599 datasheet 4.6.7): power-cycle the card"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(cases[i].device);

		fake_hold(b.fn, cases[i].reg, cases[i].mask, cases[i].value);
		assert_int_equal(open_it(&b), -ETIMEDOUT);
		assert_null(b.nic);
		assert_string_equal(b.why.text, cases[i].text);
		assert_true(fake_now_us < 5000000);
		/* No semaphore is kept from the other port. */
		assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0x1F, 0);
		bench_free(&b);
	}
}

/* 5.2.5.3.2: a card whose requests do not come to an end is reset twice. */
static void pending_requests_take_two_resets(void **state)
{
	struct bench b = bench_new(0x1528);

	(void)state;
	fake_hold(b.fn, STATUS, STATUS_MASTER_ENABLE, STATUS_MASTER_ENABLE);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(b.fn->resets, 2);
	bench_free(&b);
}

/* The card vanishes at the Nth access, for every N. */
static void vanishing_at_any_access_ends_at_once(void **state)
{
	static const uint16_t devices[] = {0x1528, 0x10FB, 0x1563, 0x15C2};

	(void)state;
	for (unsigned d = 0; d < sizeof devices / sizeof *devices; d++) {
		unsigned last = 0;

		for (unsigned n = 1;; n++) {
			struct bench b = bench_new(devices[d]);
			int rc;

			fake_set(b.fn, LINKS, 0);
			b.fn->vanish_at = n;
			rc = open_it(&b);
			if (rc == 0) {
				/* Only writes were left, or nothing. */
				last = n;
				bench_free(&b);
				break;
			}
			assert_int_equal(rc, -ENODEV);
			assert_null(b.nic);
			assert_string_equal(b.why.text, "ixgbe 0000:01:00.0: the card is gone");
			assert_true(fake_now_us < 3000000);
			bench_free(&b);
		}
		assert_true(last > 1500);
	}
}

static void semaphores_are_waited_for(void **state)
{
	struct bench b = bench_new(0x1528);
	int rc;

	(void)state;
	/* Left by a driver that was killed: SMBI, and its bit for the PHY. Its time runs out. */
	fake_set(b.fn, SWSM, SWSM_SMBI);
	fake_set(b.fn, SW_FW_SYNC, SYNC_PHY0 | SYNC_PHY1);
	assert_int_equal(open_it(&b), 0);
	assert_true(fake_now_us > 1000000);
	/* The other port's bit is still its owner's. */
	assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0x3FF, SYNC_PHY1);
	assert_int_equal(fake_read(b.fn, SWSM) & SWSM_SMBI, 0);
	bench_free(&b);

	/* Firmware that never gives it back is taken for dead, too. */
	b = bench_new(0x1528);
	fake_hold(b.fn, SW_FW_SYNC, SYNC_PHY0 << 5, SYNC_PHY0 << 5);
	assert_int_equal(open_it(&b), 0);
	assert_true(fake_now_us > 1000000);
	bench_free(&b);

	/* A guard that cannot be had at all. */
	for (unsigned i = 0; i < 3; i++) {
		b = bench_new(i < 2 ? 0x1528 : 0x10FB);
		if (i == 0)
			fake_hold(b.fn, SWSM, SWSM_SMBI, SWSM_SMBI);
		else if (i == 1)
			fake_hold(b.fn, SW_FW_SYNC, SYNC_REGSMP, SYNC_REGSMP);
		else
			fake_hold(b.fn, SWSM, SWSM_SWESMBI, 0);
		rc = open_it(&b);
		assert_int_equal(rc, -EBUSY);
		assert_non_null(strstr(b.why.text, "SWSM, 82599 datasheet 10.5.4"));
		assert_true(fake_now_us < 3000000);
		bench_free(&b);
	}
}

static void eeprom_and_address_must_be_in_order(void **state)
{
	static const uint32_t bad_mac[][2] = {
		{0x44332202, 0x6655},             /* not valid */
		{0x44332201, 0x6655 | RAH_VALID}, /* multicast */
		{0xFFFFFFFF, 0xFFFF | RAH_VALID}, /* broadcast */
		{0, RAH_VALID},                   /* nothing */
	};
	struct bench b;

	(void)state;
	/* One bit in the map, and one in a section. */
	for (unsigned i = 0; i < 2; i++) {
		b = bench_new(0x1528);
		b.fn->eeprom[i ? 0x92 : 0x20] ^= 0x0100;
		assert_int_equal(open_it(&b), -EIO);
		assert_non_null(strstr(b.why.text, "checksum is wrong"));
		bench_free(&b);
	}
	/* Sections that claim more words than there are: bounded. */
	b = bench_new(0x10FB);
	for (unsigned i = 3; i <= 0x0E; i++)
		b.fn->eeprom[i] = 0x80;
	b.fn->eeprom[0x80] = 0x380 - 1;
	assert_int_equal(open_it(&b), -EIO);
	assert_true(b.fn->accesses < 20000);
	bench_free(&b);

	b = bench_new(0x1528);
	fake_hold(b.fn, EEC, EEC_PRES, 0);
	assert_int_equal(open_it(&b), -EIO);
	assert_non_null(strstr(b.why.text, "no EEPROM"));
	bench_free(&b);
	/* A size beyond what can be addressed, and with it an erased pointer to a long section. */
	b = bench_new(0x1528);
	fake_hold(b.fn, EEC, EEC_SIZE_MASK << EEC_SIZE_SHIFT, EEC_SIZE_MASK << EEC_SIZE_SHIFT);
	b.fn->eeprom[0x06] = 0xFFFF;
	b.fn->eeprom[0xFFFF % FAKE_EEPROM] = 0xFFF0;
	(void)open_it(&b);
	assert_true(b.fn->accesses < 20000);
	bench_free(&b);
	/* An X550EM's is not looked at. */
	b = bench_new(0x15AC);
	b.fn->eeprom[0x20] ^= 0x0100;
	assert_int_equal(open_it(&b), 0);
	bench_free(&b);

	for (unsigned i = 0; i < sizeof bad_mac / sizeof *bad_mac; i++) {
		b = bench_new(0x1528);
		fake_hold(b.fn, RAL(0), UINT32_MAX, bad_mac[i][0]);
		fake_hold(b.fn, RAH(0), UINT32_MAX, bad_mac[i][1]);
		assert_int_equal(open_it(&b), -EIO);
		assert_non_null(strstr(b.why.text, "no valid MAC address"));
		bench_free(&b);
	}
}

/* An X550's EEPROM is asked of its firmware, and covers more. */
static void an_x550s_firmware_is_asked(void **state)
{
	/* In the map; behind where others' ends; in a section to its last word and behind it; in
	 * another section; and behind a pointer that only an X550 has.
	 */
	static const struct {
		unsigned word;
		bool matters;
	} words[] = {{0x20, true}, {0x41, true}, {0x42, false}, {0xA3, true}, {0xA4, false},
		{0x97, true}, {0x98, true}, {0x201, true}, {0x202, false}};
	struct bench b;

	(void)state;
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		b = bench_new(0x1563);
		b.fn->eeprom[0x02] = 0x200;
		b.fn->eeprom[0x200] = 1;
		b.fn->eeprom[0x201] = 0x7654;
		b.fn->eeprom[0x3F] = (uint16_t)(b.fn->eeprom[0x3F] + 0x1234 - 0x200 - 0x7654);
		assert_int_equal(open_it(&b), 0);
		assert_in_range(b.fn->commands, 2, 20);
		nic_close(b.nic);
		b.fn->eeprom[words[i].word] ^= 0x0100;
		assert_int_equal(open_it(&b), words[i].matters ? -EIO : 0);
		if (words[i].matters)
			assert_non_null(strstr(b.why.text, "checksum is wrong"));
		/* No semaphore is kept. */
		assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0xFFFF, 0);
		bench_free(&b);
	}
	/* One that says it has 64 words: 66 are looked at, and no section. */
	b = bench_new(0x1563);
	fake_hold(b.fn, EEC, EEC_SIZE_MASK << EEC_SIZE_SHIFT, 0);
	b.fn->eeprom[0x3F] = 0xBABA;
	for (unsigned i = 0; i <= 0x41; i++)
		if (i != 0x3F)
			b.fn->eeprom[0x3F] = (uint16_t)(b.fn->eeprom[0x3F] - b.fn->eeprom[i]);
	assert_int_equal(open_it(&b), 0);
	bench_free(&b);
	/* Firmware has no bit that goes with the mailbox's: what stands there holds nobody up. */
	b = bench_new(0x1563);
	fake_hold(b.fn, SW_FW_SYNC, SYNC_MAILBOX << 5, SYNC_MAILBOX << 5);
	assert_int_equal(open_it(&b), 0);
	assert_true(fake_now_us < 500000);
	bench_free(&b);
}

static void a_firmware_that_does_not_serve(void **state)
{
	static const struct {
		uint32_t reg, mask, value;
		int rc;
		const char *text;
	} cases[] = {
		{HICR, HICR_COMMAND, HICR_COMMAND, -ETIMEDOUT,
			"ixgbe 0000:01:00.0: the firmware did not answer within 500 ms (HICR.C): "
			"power-cycle the card"},
		{HICR, HICR_ENABLED, 0, -EIO,
			"ixgbe 0000:01:00.0: the card's firmware takes no commands (HICR.EN): "
			"power-cycle the card"},
		{HICR, HICR_STATUS_VALID, 0, -EIO,
			"ixgbe 0000:01:00.0: the card's firmware refused a command (HICR.SV): "
			"power-cycle the card"},
		{FWSM, FWSM_RECOVERY, FWSM_RECOVERY, -EIO,
			"ixgbe 0000:01:00.0: the card's firmware is in recovery mode (FWSM bit 5): "
			"its flash memory must be written anew, with Intel's tool"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(0x1563);

		fake_hold(b.fn, cases[i].reg, cases[i].mask, cases[i].value);
		assert_int_equal(open_it(&b), cases[i].rc);
		assert_string_equal(b.why.text, cases[i].text);
		assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0xFFFF, 0);
		bench_free(&b);
		/* Others are not asked. */
		b = bench_new(0x1528);
		fake_hold(b.fn, cases[i].reg, cases[i].mask, cases[i].value);
		assert_int_equal(open_it(&b), 0);
		bench_free(&b);
	}
}

static void configurations_are_checked(void **state)
{
	struct bench b = bench_new(0x1528);
	struct nic_config right = b.config;
	struct dma_region small = *b.rings;
	struct dma_region large = *b.rings;
	struct dma_region tiny = {.size = NIC_BUFFER_STRIDE - 1};
	static const char *const words[] = {"queue pair", "power of two", "power of two",
		"ring memory", "frame memory", "MTU", "MTU", "interrupt", "queue pair",
		"frame memory"};

	(void)state;
	small.size = nic_ring_bytes(&right) - 1;
	large.size *= 4;
	for (unsigned i = 0; i < 10; i++) {
		struct nic_config *c = &b.config;

		*c = right;
		switch (i) {
		case 0: c->queues = 17; break;
		case 1: c->rx_ring = 96; break;
		case 2: c->tx_ring = 8192; break;
		case 3: c->rings = &small; break;
		case 4: c->frames = NULL; break;
		case 5: c->mtu = 67; break;
		case 6: c->mtu = 9711; break;
		case 7:
			c->pick_irq = true;
			c->irq = (enum pci_irq)PCI_IRQ_KINDS;
			break;
		case 8: c->queues = 0; break;
		case 9: /* its rings fit, but the second queue's frames are none */
			c->queues = 2;
			c->rings = &large;
			c->queue_frames[1] = &tiny;
			break;
		}
		assert_int_equal(open_it(&b), -EINVAL);
		assert_non_null(strstr(b.why.text, words[i]));
		/* The card was not touched. */
		assert_int_equal(b.fn->accesses + b.fn->quiesced, 0);
	}
	b.config = right;
	b.fn->bar_size = 0x10000;
	assert_int_equal(open_it(&b), -EIO);
	assert_non_null(strstr(b.why.text, "BAR 0 has 65536 bytes"));
	bench_free(&b);
}

/* Rings do not cross chunks, wherever they lie. */
static void rings_are_aligned(void **state)
{
	struct nic_config config = {.queues = 1, .rx_ring = 64, .tx_ring = 4096};
	struct nic_ring_place place = nic_place_rings(&config, 0);

	(void)state;
	assert_int_equal(place.rx, 0);
	assert_int_equal(place.tx, 65536);
	assert_int_equal(nic_ring_bytes(&config), 131072 + 128);
	config.queues = 16;
	place = nic_place_rings(&config, 15);
	assert_int_equal(place.rx, 15 * 131072);
	assert_int_equal(place.tx, 15 * 131072 + 65536);
	assert_int_equal(nic_ring_bytes(&config), 16 * 131072);
	config.queues = 17;
	assert_int_equal(nic_ring_bytes(&config), 0);
	config.queues = 0;
	assert_int_equal(nic_ring_bytes(&config), 0);
}

static void links_are_left_alone_or_restarted(void **state)
{
	struct bench b;

	(void)state;
	/* 82599 with a module, link up: nothing is touched. The reset sets LINKS. */
	b = bench_new(0x10FB);
	b.fn->link_fell = true;
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(fake_read(b.fn, AUTOC), 0);
	bench_free(&b);

	/* Link down: 10 Gbit/s serial over SFI, transmitter on, restarted. */
	b = bench_new(0x10FB);
	fake_hold(b.fn, LINKS, UINT32_MAX, 0);
	fake_hold(b.fn, AUTOC2, UINT32_MAX, 0x70000000);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(fake_read(b.fn, AUTOC), AUTOC_LMS_10G_SERIAL | AUTOC_RESTART_AN);
	assert_int_equal(fake_read(b.fn, AUTOC2), AUTOC2_SERIAL_SFI);
	assert_int_equal(fake_read(b.fn, ESDP) & ESDP_SDP3, 0);
	bench_free(&b);

	/* A backplane keeps its mode. One that does not negotiate is bounded, and no error. */
	b = bench_new(0x10F7);
	fake_hold(b.fn, LINKS, UINT32_MAX, 0);
	fake_hold(b.fn, ANLP1, ANLP1_STATE_MASK, 0);
	fake_hold(b.fn, AUTOC, AUTOC_LMS_MASK, 0x4u << AUTOC_LMS_SHIFT);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(fake_read(b.fn, AUTOC), 0x4u << AUTOC_LMS_SHIFT | AUTOC_RESTART_AN);
	assert_true(fake_read(b.fn, ESDP) & ESDP_SDP3);
	bench_free(&b);

	/* Manageability firmware's veto: neither link nor PHY is touched. */
	b = bench_new(0x10FB);
	fake_hold(b.fn, LINKS, UINT32_MAX, 0);
	fake_set(b.fn, MMNGC, MMNGC_MNG_VETO);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(fake_read(b.fn, AUTOC), 0);
	bench_free(&b);
	b = bench_new(0x1528);
	fake_set(b.fn, MMNGC, MMNGC_MNG_VETO);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(fake_read(b.fn, MSCA), 0);
	bench_free(&b);

	/* No PHY answers: nothing to wake. */
	b = bench_new(0x1528);
	b.fn->phy_address = 99;
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(b.fn->phy_control, 0x0801);
	bench_free(&b);
}

static void interrupts_are_had_or_refused(void **state)
{
	struct bench b = bench_new(0x1528);

	(void)state;
	memset(b.fn->irq_have, 0, sizeof b.fn->irq_have);
	assert_int_equal(open_it(&b), -ENOTSUP);
	assert_non_null(strstr(b.why.text, "interrupts cannot be set up"));
	b.fn->irq_have[PCI_IRQ_INTX] = 1;
	b.config.pick_irq = true;
	b.config.irq = PCI_IRQ_MSI;
	assert_int_equal(open_it(&b), -ENOTSUP);
	b.config.pick_irq = false;
	assert_int_equal(open_it(&b), 0);
	assert_string_equal(nic_irq_name(b.nic), "INTx");
	nic_close(b.nic);
	b.config.interrupts = false;
	b.fn->irq_have[PCI_IRQ_INTX] = 0;
	assert_int_equal(open_it(&b), 0);
	assert_string_equal(nic_irq_name(b.nic), "none");
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_poll_names_its_step),
		cmocka_unit_test(pending_requests_take_two_resets),
		cmocka_unit_test(vanishing_at_any_access_ends_at_once),
		cmocka_unit_test(semaphores_are_waited_for),
		cmocka_unit_test(eeprom_and_address_must_be_in_order),
		cmocka_unit_test(an_x550s_firmware_is_asked),
		cmocka_unit_test(a_firmware_that_does_not_serve),
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(rings_are_aligned),
		cmocka_unit_test(links_are_left_alone_or_restarted),
		cmocka_unit_test(interrupts_are_had_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
