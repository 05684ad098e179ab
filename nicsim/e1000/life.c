/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card's life: creation, the resets, and the way from BAR accesses to registers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nicsim/e1000/card.h"

/* --- registers of this file --- */

uint32_t e1000_read_status(struct e1000 *card, uint32_t offset)
{
	uint32_t value = *e1000_reg(card, offset) | E1000_STATUS_FULL_DUPLEX | E1000_STATUS_1000;

	if (e1000_link(card))
		value |= E1000_STATUS_LINK_UP;
	if (pause_holds(&card->pause))
		value |= E1000_STATUS_TXOFF;
	if (function_is_master(&card->fn) &&
		!(*e1000_reg(card, E1000_CTRL) & E1000_CTRL_MASTER_DISABLE))
		value |= E1000_STATUS_MASTER_ENABLED;
	return value;
}

/* Reading takes it: who reads 0 owns it (82574 datasheet 10.2.9.14). */
uint32_t e1000_read_swsm(struct e1000 *card, uint32_t offset)
{
	uint32_t *reg = e1000_reg(card, offset);
	uint32_t value = *reg;

	*reg |= E1000_SWSM_SMBI;
	return value;
}

/* --- resets --- */

static void stop(struct e1000 *card)
{
	e1000_irq_stop(card);
	e1000_rx_stop(card);
	e1000_tx_stop(card);
	pause_stop(&card->pause);
}

/* CTRL.RST (4.6.3): the PHY and its link stay as they are. */
static void reset(struct e1000 *card)
{
	stop(card);
	fault_forget(&card->faults);
	e1000_table_reset(card);
	e1000_irq_reset(card);
	e1000_filter_reset(card);
	e1000_rx_reset(card);
	e1000_tx_reset(card);
	card->linked = e1000_link(card);
}

void e1000_write_ctrl(struct e1000 *card, uint32_t offset, uint32_t value)
{
	/* 0x4 is the same register; both copies are kept alike. */
	*e1000_reg(card, E1000_CTRL) = *e1000_reg(card, E1000_CTRL + 4) = *e1000_reg(card, offset);
	if (value & E1000_CTRL_PHY_RESET) {
		*e1000_reg(card, E1000_CTRL) = *e1000_reg(card, E1000_CTRL + 4) &=
			~E1000_CTRL_PHY_RESET;
		*e1000_reg(card, E1000_STATUS) |= E1000_STATUS_PHY_RESET;
		e1000_phy_reset(card);
	}
	if (value & E1000_CTRL_RESET) {
		if (!(*e1000_reg(card, E1000_EXTCNF_CTRL) & E1000_EXTCNF_CTRL_SW))
			report_strict(card->report, "CTRL.RST by who does not own MDIO");
		reset(card);
	} else {
		e1000_link_changed(card);
	}
}

void e1000_write_ctrl_ext(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (value & E1000_CTRL_EXT_RELOAD)
		e1000_filter_reset(card);
}

static void power_on(void *ctx)
{
	struct e1000 *card = ctx;

	reset(card);
	if (card->wire)
		wire_forget(card->wire);
	e1000_phy_reset(card);
	e1000_irq_stop(card);
	e1000_irq_reset(card);
}

void e1000_look_again(struct e1000 *card)
{
	e1000_irq_changed(card);
	e1000_rx_look_again(card);
	e1000_tx_look_again(card);
}

static void on_change(void *ctx)
{
	e1000_look_again(ctx);
}

/* --- BAR accesses --- */

static uint32_t read_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size)
{
	struct e1000 *card = ctx;
	uint32_t value = e1000_reg_read(card, offset);

	(void)bar;
	(void)size;
	return card->faults.now ? fault_read(card->faults.now, offset, value) : value;
}

static void write_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
	(void)bar;
	(void)size;
	e1000_reg_write(ctx, offset, value);
}

static const struct card_ops ops = {
	.read = read_bar,
	.write = write_bar,
	.reset = power_on,
	.changed = on_change,
};

/* --- creation --- */

static void on_broken(void *ctx, const struct sim_error *why)
{
	struct e1000 *card = ctx;

	report_trouble(card->report, why->text);
}

/* Mbit/s */
static unsigned on_speed(void *ctx)
{
	(void)ctx;
	return E1000_MBIT;
}

int e1000_create(struct e1000 **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	struct e1000 *card = calloc(1, sizeof(*card));
	struct wire_port port = {.ctx = card,
		.receive = e1000_rx_frame,
		.carrier = e1000_carrier,
		.sendable = e1000_tx_sendable,
		.speed = options->paced ? on_speed : NULL,
		.broken = on_broken};
	int rc;

	if (!card) {
		snprintf(why->text, sizeof(why->text), "out of memory");
		return -ENOMEM;
	}
	card->loop = loop;
	card->report = report;
	memcpy(card->mac, options->mac, sizeof(card->mac));
	card->ident = (struct function_ident){.vendor = E1000_VENDOR,
		.device = E1000_DEVICE,
		.subvendor = 0x8086,
		.subdevice = 0xa01f,
		.class = 0x020000,
		.bar_size = {[0] = E1000_CSR_SIZE, [4] = E1000_MSIX_TABLE},
		.msix_bar = 4,
		.msix_vectors = options->no_msix ? 0 : E1000_VECTORS,
		.pcie_speed = 1,
		.pcie_lanes = 1};
	memcpy(card->ident.serial, options->mac, sizeof(card->ident.serial));
	function_init(&card->fn, &ops, card, &card->ident, dma);
	card->faults = (struct card_faults){
		.ops = &e1000_fault_ops, .card = card, .fn = &card->fn, .loop = loop};
	e1000_nvm_build(card);
	e1000_table_init(card);
	e1000_irq_init(card);
	e1000_rx_init(card);
	e1000_tx_init(card);
	e1000_pause_init(card);
	power_on(card);
	rc = wire_open(&card->wire, options->wire, loop, &port, why);
	if (rc) {
		stop(card);
		free(card);
		return rc;
	}
	e1000_link_changed(card);
	*out = card;
	return 0;
}

void e1000_destroy(struct e1000 *card)
{
	if (!card)
		return;
	fault_end(&card->faults);
	stop(card);
	wire_close(card->wire);
	irqs_reset(&card->fn.irqs);
	free(card);
}
