/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An 82599 and the module in its cage: what it is, what is set up for it, and what comes of one
 * that is missing, of no use, replaced, or whose bus is out of order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ixgbe_bench.h"

#define FAST (AUTOC_LMS_10G_SERIAL | AUTOC_RESTART_AN)
#define SLOW (AUTOC_LMS_1G_AN | AUTOC_RESTART_AN)

/* As it is without a link, whatever a reset sets. */
static void go_dark(struct bench *b)
{
	fake_hold(b->fn, LINKS, UINT32_MAX, 0);
}

static const char *module_text(struct bench *b, bool trouble)
{
	struct nic_module module;

	nic_module(b->nic, &module);
	assert_int_equal(module.trouble, trouble);
	return module.text;
}

static uint32_t autoc(struct bench *b)
{
	return fake_read(b->fn, AUTOC);
}

static bool is_lit(struct bench *b)
{
	return !(fake_read(b->fn, ESDP) & ESDP_SDP3);
}

static void check(struct bench *b)
{
	assert_int_equal(nic_check(b->nic, &b->why), 0);
	/* No semaphore is kept. */
	assert_int_equal(fake_read(b->fn, SW_FW_SYNC) & 0x1F, 0);
}

static void each_kind_gets_its_mode(void **state)
{
	static const struct {
		uint8_t ten_gig, one_gig, cable, spec;
		uint32_t autoc; /* 0: it is not set up */
		const char *text;
	} kinds[] = {
		{0x10, 0x01, 0, 0, FAST, "10GBASE-SR, also at 1 Gbit/s"},
		{0x10, 0x02, 0, 0, FAST, "10GBASE-SR"},
		{0x20, 0x02, 0, 0, FAST, "10GBASE-LR, also at 1 Gbit/s"},
		{0x20, 0x00, 0, 0, FAST, "10GBASE-LR"},
		{0x00, 0x00, 0x04, 0, FAST, "direct attach cable"},
		{0x10, 0x01, 0x0C, 0, FAST, "direct attach cable"},
		{0x00, 0x00, 0x08, 0x04, FAST, "active direct attach cable"},
		{0x00, 0x01, 0, 0, SLOW, "1000BASE-SX"},
		{0x00, 0x02, 0, 0, SLOW, "1000BASE-LX"},
		{0x00, 0x08, 0, 0, SLOW, "1000BASE-T"},
		{0x00, 0x00, 0x08, 0x01, 0, NULL}, /* active, not limiting */
		{0x00, 0x10, 0, 0, 0, NULL},
		{0x40, 0x00, 0, 0, 0, NULL},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct bench b = bench_new(0x10FB);

		go_dark(&b);
		fake_hold(b.fn, AUTOC2, AUTOC2_LINK_DISABLE, AUTOC2_LINK_DISABLE);
		fake_module_plug(&b.fn->module, kinds[i].ten_gig, kinds[i].one_gig, kinds[i].cable);
		b.fn->module.memory[0][60] = kinds[i].spec;
		assert_int_equal(open_it(&b), 0);
		assert_int_equal(autoc(&b), kinds[i].autoc);
		assert_int_equal(is_lit(&b), kinds[i].autoc != 0);
		if (kinds[i].text)
			assert_string_equal(module_text(&b, false), kinds[i].text);
		else
			assert_string_equal(module_text(&b, true),
				"the module Intel Corp PART (identifier 0x03) is of no kind that "
				"this card can use: it stays dark; plug another one in");
		if (kinds[i].autoc)
			assert_int_equal(fake_read(b.fn, AUTOC2), AUTOC2_SERIAL_SFI);
		assert_int_equal(fake_read(b.fn, SW_FW_SYNC) & 0x1F, 0);
		bench_free(&b);
	}
}

/* Where the link is up after the reset nothing is touched but what tells the kind. */
static void a_link_that_is_up_is_left_alone(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	assert_int_equal(open_it(&b), 0);
	assert_string_equal(module_text(&b, false), "10GBASE-SR, also at 1 Gbit/s");
	assert_int_equal(autoc(&b), 0);
	assert_int_equal(b.fn->corectls, 0);
	b.fn->accesses = 0;
	check(&b);
	assert_in_range(b.fn->accesses, 2, 8);
	bench_free(&b);

	/* But not with a module that is of no use. */
	b = bench_new(0x10FB);
	b.fn->lit = true;
	b.fn->module.memory[0][0] = 0x0D;
	fake_module_name(&b.fn->module, "A B\x01\xff", 0x00005E, " C ");
	assert_int_equal(open_it(&b), 0);
	assert_string_equal(module_text(&b, true),
		"the module A B??  C (identifier 0x0d) is of no kind that this card can use: it "
		"stays dark; plug another one in");
	assert_false(is_lit(&b));
	bench_free(&b);
}

/* The names are read of such alone. */
static void modules_of_others_are_used_and_named(void **state)
{
	static const struct {
		uint8_t ten_gig, one_gig, cable;
		uint16_t caps;
		const char *text;
	} cases[] = {
		{0x10, 0x00, 0, 0x0080,
			"the 10GBASE-SR module SOMEBODY LONGER1 PART-OF-SIXTEEN- is none of those "
			"that the card's EEPROM allows: it is used all the same"},
		{0x20, 0x00, 0, 0x0081, NULL},
		{0x00, 0x01, 0, 0x0080, NULL},
		{0x00, 0x00, 0x04, 0x0080, NULL},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(0x10FB);

		go_dark(&b);
		b.fn->eeprom[0x3F] =
			(uint16_t)(b.fn->eeprom[0x3F] + b.fn->eeprom[0x2C] - cases[i].caps);
		b.fn->eeprom[0x2C] = cases[i].caps;
		fake_module_plug(&b.fn->module, cases[i].ten_gig, cases[i].one_gig, cases[i].cable);
		fake_module_name(
			&b.fn->module, "SOMEBODY LONGER1", 0x00005E, "PART-OF-SIXTEEN-CUT");
		assert_int_equal(open_it(&b), 0);
		if (cases[i].text)
			assert_string_equal(module_text(&b, true), cases[i].text);
		else
			(void)module_text(&b, false);
		assert_true(is_lit(&b));
		assert_int_equal(autoc(&b), cases[i].one_gig ? SLOW : FAST);
		bench_free(&b);
	}
}

/* Lists in the EEPROM: that for the kind and the port is written, up to its end. */
static void the_eeproms_list_is_written(void **state)
{
	static const struct {
		uint8_t cable;
		unsigned port;
		uint16_t first; /* word of the list */
	} cases[] = {{0, 0, 0x0501}, {0, 1, 0x0601}, {4, 0, 0x0301}, {4, 1, 0x0401}};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b = bench_new(0x10FB);
		uint16_t *word = b.fn->eeprom;

		go_dark(&b);
		fake_hold(b.fn, STATUS, STATUS_LAN_ID_MASK << STATUS_LAN_ID_SHIFT,
			cases[i].port << STATUS_LAN_ID_SHIFT);
		fake_module_plug(&b.fn->module, cases[i].cable ? 0 : 0x10, 0, cases[i].cable);
		word[0x3F] = (uint16_t)(word[0x3F] + word[0x2B] - 0x300);
		word[0x2B] = 0x300;
		word[0x300] = 8;
		for (uint16_t k = 3; k <= 6; k++) {
			uint16_t list = (uint16_t)(0x300 + 0x10 * k);

			word[0x301 + 2 * (k - 3)] = k;
			word[0x302 + 2 * (k - 3)] = list;
			word[list] = 2;
			word[list + 1] = (uint16_t)(k << 8 | 1);
			word[list + 2] = (uint16_t)(k << 8 | 2);
			word[list + 3] = 0xFFFF;
		}
		word[0x309] = 0xFFFF;
		assert_int_equal(open_it(&b), 0);
		assert_int_equal(b.fn->corectls, 2);
		assert_int_equal(b.fn->corectl[0], cases[i].first);
		assert_int_equal(b.fn->corectl[1], cases[i].first + 1);
		bench_free(&b);

		/* Lists without an end are bounded. */
		b = bench_new(0x10FB);
		go_dark(&b);
		word = b.fn->eeprom;
		word[0x3F] = (uint16_t)(word[0x3F] + word[0x2B] - 0x300);
		word[0x2B] = 0x300;
		for (unsigned k = 0x301; k < 0x381; k += 2) {
			word[k] = i % 2 ? 0x0005 : 0x0007;
			word[k + 1] = 0x300;
		}
		word[0x301 + 2 * 32] = 0x0005; /* one too far */
		assert_int_equal(open_it(&b), 0);
		assert_int_equal(b.fn->corectls, i % 2 ? 256 : 0);
		bench_free(&b);
	}
}

static void modules_come_and_go(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	go_dark(&b);
	b.fn->module.present = false;
	assert_int_equal(open_it(&b), 0);
	assert_string_equal(module_text(&b, true), "no module in the cage: plug one in");
	assert_int_equal(autoc(&b), 0);
	check(&b);
	assert_int_equal(autoc(&b), 0);

	/* By an interrupt. */
	fake_module_plug(&b.fn->module, 0, 0x01, 0);
	fake_set(b.fn, EICR, IRQ_SDP2);
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_string_equal(module_text(&b, false), "1000BASE-SX");
	assert_int_equal(autoc(&b), SLOW);
	fake_set(b.fn, EICR, IRQ_SDP2);
	b.fn->module.present = false;
	assert_int_equal(nic_irq_ack(b.nic, 1), NIC_EVENT_LINK);
	assert_string_equal(module_text(&b, true), "no module in the cage: plug one in");

	/* And without: one that answers late, or a board that has no such interrupt. */
	fake_module_plug(&b.fn->module, 0, 0, 0x04);
	check(&b);
	assert_string_equal(module_text(&b, false), "direct attach cable");
	assert_int_equal(autoc(&b), FAST);
	/* Nothing is restarted that is as it was. */
	fake_set(b.fn, AUTOC, 0);
	check(&b);
	fake_set(b.fn, EICR, IRQ_SDP2);
	(void)nic_irq_ack(b.nic, 1);
	assert_int_equal(autoc(&b), 0);
	b.fn->module.present = false;
	check(&b);
	assert_string_equal(module_text(&b, true), "no module in the cage: plug one in");
	fake_module_plug(&b.fn->module, 0, 0, 0x80);
	check(&b);
	assert_non_null(strstr(module_text(&b, true), "of no kind"));
	assert_false(is_lit(&b));
	b.fn->module.present = false;
	check(&b);
	fake_module_plug(&b.fn->module, 0x10, 0, 0);
	check(&b);
	assert_true(is_lit(&b));
	bench_free(&b);
}

/* One that was swapped between two looks: the link fell meanwhile. */
static void a_module_is_asked_again_after_the_link_fell(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	assert_int_equal(open_it(&b), 0);
	check(&b);
	fake_module_plug(&b.fn->module, 0, 0x08, 0);
	fake_set(b.fn, LINKS, 0);
	check(&b);
	assert_string_equal(module_text(&b, false), "1000BASE-T");
	assert_int_equal(autoc(&b), SLOW);
	bench_free(&b);
}

/* Where the link is up nothing holds a successor up. */
static void the_next_process_asks_when_the_link_falls(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	b.config.state = calloc(1, nic_state_bytes(&b.config));
	assert_int_equal(open_it(&b), 0);
	nic_release(b.nic);
	assert_int_equal(nic_adopt(&b.nic, b.fn, &b.config, &b.why), 0);
	fake_set(b.fn, I2CCTL, 0);
	check(&b);
	assert_string_equal(module_text(&b, false), "");
	assert_int_equal(autoc(&b) | fake_read(b.fn, I2CCTL), 0);
	fake_set(b.fn, LINKS, 0);
	check(&b);
	assert_string_equal(module_text(&b, false), "10GBASE-SR, also at 1 Gbit/s");
	assert_int_equal(autoc(&b), FAST);
	free(b.config.state);
	b.config.state = NULL;
	bench_free(&b);
}

/* Sets AUTOC to 0 before each look; returns what became of it. */
static uint32_t after_check(struct bench *b)
{
	fake_set(b->fn, AUTOC, 0);
	check(b);
	return autoc(b);
}

static void light_without_a_link_may_be_of_the_other_speed(void **state)
{
	struct bench b = bench_new(0x10FB);

	(void)state;
	go_dark(&b);
	b.fn->module.memory[1][110] = 0x02; /* no light */
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(autoc(&b), FAST);
	assert_true(fake_read(b.fn, ESDP) & ESDP_SDP5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(after_check(&b), 0);
	b.fn->module.memory[1][110] = 0;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(after_check(&b), 0);
		assert_int_equal(after_check(&b), 0);
		assert_int_equal(after_check(&b), SLOW);
		assert_int_equal(
			fake_read(b.fn, ESDP) & (ESDP_SDP5 | ESDP_SDP5_OUT), ESDP_SDP5_OUT);
		assert_true(is_lit(&b));
		assert_int_equal(after_check(&b), FAST);
		assert_true(fake_read(b.fn, ESDP) & ESDP_SDP5);
	}
	/* No more light: the speed to begin with. */
	for (unsigned i = 0; i < 3; i++)
		(void)after_check(&b);
	assert_int_equal(autoc(&b), SLOW);
	b.fn->module.memory[1][110] = 0x02;
	assert_int_equal(after_check(&b), FAST);
	assert_int_equal(after_check(&b), 0);
	bench_free(&b);

	/* One without diagnostics does not say; one of one speed is not asked. */
	for (unsigned dual = 0; dual < 2; dual++) {
		b = bench_new(0x10FB);
		go_dark(&b);
		fake_module_plug(&b.fn->module, 0x10, dual ? 0x01 : 0, 0);
		b.fn->module.silent_a2 = true;
		assert_int_equal(open_it(&b), 0);
		assert_int_equal(after_check(&b), 0);
		assert_int_equal(after_check(&b), 0);
		assert_int_equal(after_check(&b), dual ? SLOW : 0);
		bench_free(&b);
	}
}

static void a_bus_that_is_stuck(void **state)
{
	static const struct {
		uint32_t mask, value;
	} lines[] = {{I2CCTL_CLOCK_IN, 0}, {I2CCTL_DATA_IN, 0}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bench b = bench_new(0x10FB);

		go_dark(&b);
		fake_hold(b.fn, I2CCTL, lines[i].mask, lines[i].value);
		assert_int_equal(open_it(&b), 0);
		assert_non_null(strstr(module_text(&b, true), "does not say what it is"));
		/* It may be a good one all the same. */
		assert_int_equal(autoc(&b), FAST);
		assert_true(is_lit(&b));
		assert_true(fake_now_us < 500000);
		assert_int_equal(after_check(&b), 0);
		/* And then it is not stuck any more. */
		b.fn->holds--;
		check(&b);
		assert_string_equal(module_text(&b, false), "10GBASE-SR, also at 1 Gbit/s");
		bench_free(&b);
	}
	/* A module may hold its clock as long as SFF-8431 lets it, whatever a sleep takes. */
	for (unsigned late = 0; late < 2; late++) {
		struct bench b = bench_new(0x10FB);

		go_dark(&b);
		fake_slack_us = 55;
		b.fn->module_holds_us = late ? 1000 : 400;
		assert_int_equal(open_it(&b), 0);
		assert_int_equal(
			late, strstr(module_text(&b, late), "does not say what it is") != NULL);
		assert_true(fake_now_us < 1000000);
		bench_free(&b);
	}
	/* A driver that died while it read: the module is in the middle of a byte, and pulls. */
	for (unsigned rises = 0; rises < 8; rises++) {
		struct bench b = bench_new(0x10FB);

		memset(b.fn->module.memory[0] + 0x80, 0, 0x80);
		b.fn->module.phase = SENDING;
		b.fn->module.pointer[0] = 0x80;
		b.fn->module.byte = 0;
		b.fn->module.wanted = b.fn->module.pull = true;
		b.fn->module.rises = rises;
		assert_int_equal(open_it(&b), 0);
		assert_string_equal(module_text(&b, false), "10GBASE-SR, also at 1 Gbit/s");
		bench_free(&b);
	}
}

/* 8.2.3.1.5's register is the bus's alone: no more accesses than these. */
static void it_costs_so_much(void **state)
{
	struct bench b = bench_new(0x10FB);
	struct bench without = bench_new(0x10FC);
	unsigned cost;

	(void)state;
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(open_it(&without), 0);
	cost = b.fn->accesses - without.fn->accesses;
	assert_in_range(cost, 300, 700);
	bench_free(&b);
	bench_free(&without);
}

/* Crosstalk in an empty cage looks like a link. */
static void an_empty_cage_has_no_link(void **state)
{
	struct bench b = bench_new(0x10FB);
	struct nic_link link;

	(void)state;
	b.fn->module.present = false;
	fake_hold(b.fn, ESDP, ESDP_SDP2, 0);
	assert_int_equal(open_it(&b), 0);
	assert_int_equal(nic_link(b.nic, &link), 0);
	assert_false(link.up);
	check(&b);
	assert_string_equal(module_text(&b, true), "no module in the cage: plug one in");
	fake_module_plug(&b.fn->module, 0x10, 0, 0);
	check(&b);
	assert_int_equal(nic_link(b.nic, &link), 0);
	assert_true(link.up);
	assert_int_equal(link.mbit, 10000);
	bench_free(&b);
}

static void only_cages_are_looked_into(void **state)
{
	static const uint16_t devices[] = {0x10F7, 0x1558, 0x154F, 0x1528, 0x15AC};

	(void)state;
	for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++) {
		struct bench b = bench_new(devices[i]);

		go_dark(&b);
		b.fn->module.present = false;
		assert_int_equal(open_it(&b), 0);
		assert_string_equal(module_text(&b, false), "");
		assert_int_equal(autoc(&b), i == 1 || i == 2 ? FAST
					    : i == 0         ? AUTOC_RESTART_AN
							     : 0);
		fake_set(b.fn, AUTOC, 0);
		check(&b);
		assert_int_equal(autoc(&b), 0);
		bench_free(&b);
	}
	/* Nor is one whose firmware forbids it. */
	struct bench b = bench_new(0x10FB);

	go_dark(&b);
	fake_set(b.fn, MMNGC, MMNGC_MNG_VETO);
	assert_int_equal(open_it(&b), 0);
	fake_set(b.fn, I2CCTL, 0);
	check(&b);
	fake_set(b.fn, EICR, IRQ_SDP2);
	(void)nic_irq_ack(b.nic, 1);
	assert_string_equal(module_text(&b, false), "");
	assert_int_equal(autoc(&b) | fake_read(b.fn, I2CCTL), 0);
	bench_free(&b);
	/* Nor from the moment that it does. */
	b = bench_new(0x10FB);
	go_dark(&b);
	assert_int_equal(open_it(&b), 0);
	fake_set(b.fn, MMNGC, MMNGC_MNG_VETO);
	fake_set(b.fn, I2CCTL, 0);
	check(&b);
	assert_int_equal(fake_read(b.fn, I2CCTL), 0);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_gets_its_mode),
		cmocka_unit_test(a_link_that_is_up_is_left_alone),
		cmocka_unit_test(modules_of_others_are_used_and_named),
		cmocka_unit_test(the_eeproms_list_is_written),
		cmocka_unit_test(modules_come_and_go),
		cmocka_unit_test(a_module_is_asked_again_after_the_link_fell),
		cmocka_unit_test(the_next_process_asks_when_the_link_falls),
		cmocka_unit_test(light_without_a_link_may_be_of_the_other_speed),
		cmocka_unit_test(a_bus_that_is_stuck),
		cmocka_unit_test(it_costs_so_much),
		cmocka_unit_test(an_empty_cage_has_no_link),
		cmocka_unit_test(only_cages_are_looked_into),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
