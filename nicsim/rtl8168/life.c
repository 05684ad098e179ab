/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card's life: creation, the resets, and the way from BAR accesses to registers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nicsim/rtl8168/card.h"

/* --- resets --- */

static void stop(struct rtl8168 *card)
{
	rtl8168_irq_stop(card);
	rtl8168_rx_stop(card);
	rtl8168_tx_stop(card);
}

/* CR.RST (RTL8169 datasheet 6.6): the addresses, the configuration and the PHY stay as they are. */
static void reset(struct rtl8168 *card)
{
	stop(card);
	fault_forget(&card->faults);
	rtl8168_table_reset(card, false);
	rtl8168_irq_reset(card);
	rtl8168_rx_reset(card);
	rtl8168_tx_reset(card);
}

static void load_address(struct rtl8168 *card)
{
	memcpy(card->reg + RTL_IDR, card->mac, sizeof(card->mac));
}

static void power_on(void *ctx)
{
	struct rtl8168 *card = ctx;

	reset(card);
	rtl8168_table_reset(card, true);
	rtl8168_put(card, RTL_TCR, 4, rtl8168_xid(card->model));
	load_address(card);
	if (card->wire)
		wire_forget(card->wire);
	memset(&card->counters, 0, sizeof(card->counters));
	memset(card->ephy, 0, sizeof(card->ephy));
	memset(card->eri, 0, sizeof(card->eri));
	rtl8168_phy_reset(card);
	rtl8168_irq_stop(card);
	rtl8168_irq_reset(card);
	rtl8168_put(card, RTL_ISR, 2, 0);
}

void rtl8168_look_again(struct rtl8168 *card)
{
	rtl8168_irq_changed(card);
	rtl8168_rx_look_again(card);
	rtl8168_tx_look_again(card);
}

static void on_change(void *ctx)
{
	rtl8168_look_again(ctx);
}

void rtl8168_bus_error(struct rtl8168 *card)
{
	rtl8168_cause(card, INT_SYSERR);
}

uint32_t rtl8168_longest(const struct rtl8168 *card)
{
	const struct rtl8168_model *model = card->model;
	bool jumbo = (card->reg[RTL_CONFIG(3)] & model->config3) == model->config3 &&
		     (card->reg[RTL_CONFIG(4)] & model->config4) == model->config4;

	return jumbo ? model->jumbo : RTL8168_FRAME_MAX;
}

/* --- registers of this file --- */

void rtl8168_write_cr(struct rtl8168 *card, uint32_t written)
{
	if (written & CR_RESET) {
		reset(card);
		return;
	}
	rtl8168_rx_look_again(card);
	rtl8168_tx_look_again(card);
}

uint32_t rtl8168_read_cr(struct rtl8168 *card)
{
	uint32_t value = card->reg[RTL_CR];

	return card->rx.used ? value : value | CR_RX_EMPTY;
}

/* Modes (6.21): loading ends at once, with the normal one. The pins of the EEPROM are not there. */
void rtl8168_write_9346cr(struct rtl8168 *card, uint32_t written)
{
	if ((written & CR9346_MODE) != CR9346_LOAD)
		return;
	load_address(card);
	card->reg[RTL_9346CR] = CR9346_NORMAL;
}

/* --- BAR accesses --- */

/* The registers are the same behind both BARs. */
static uint32_t read_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size)
{
	struct rtl8168 *card = ctx;
	uint32_t value = rtl8168_reg_read(card, offset, size);

	(void)bar;
	return card->faults.now ? fault_read(card->faults.now, offset, value) : value;
}

static void write_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
	(void)bar;
	rtl8168_reg_write(ctx, offset, size, value);
}

static const struct card_ops ops = {
	.narrow = true,
	.read = read_bar,
	.write = write_bar,
	.reset = power_on,
	.changed = on_change,
};

/* --- creation --- */

static void on_broken(void *ctx, const struct sim_error *why)
{
	struct rtl8168 *card = ctx;

	report_trouble(card->report, why->text);
}

/* Mbit/s */
static unsigned on_speed(void *ctx)
{
	(void)ctx;
	return 1000;
}

int rtl8168_create(struct rtl8168 **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	const struct rtl8168_model *model = options->model;
	struct rtl8168 *card = calloc(1, sizeof(*card));
	struct wire_port port = {.ctx = card,
		.receive = rtl8168_rx_frame,
		.carrier = rtl8168_carrier,
		.sendable = rtl8168_tx_sendable,
		.speed = options->paced ? on_speed : NULL,
		.broken = on_broken};
	int rc;

	if (!card) {
		snprintf(why->text, sizeof(why->text), "out of memory");
		return -ENOMEM;
	}
	card->model = model;
	card->loop = loop;
	card->report = report;
	memcpy(card->mac, options->mac, sizeof(card->mac));
	card->ident = (struct function_ident){.vendor = RTL8168_VENDOR,
		.device = model->device,
		.subvendor = RTL8168_VENDOR,
		.subdevice = model->device,
		.class = 0x020000,
		.revision = model->revision,
		.bar_size = {[RTL8168_IO_BAR] = RTL8168_REGS,
			[RTL8168_BAR] = RTL8168_BAR_SIZE,
			[RTL8168_MSIX_BAR] = RTL8168_MSIX_SIZE},
		.io_bars = 1u << RTL8168_IO_BAR,
		.msix_bar = RTL8168_MSIX_BAR,
		.msix_vectors = options->no_msix ? 0 : model->vectors,
		.pcie_speed = 1,
		.pcie_lanes = 1};
	memcpy(card->ident.serial, options->mac, sizeof(card->ident.serial));
	function_init(&card->fn, &ops, card, &card->ident, dma);
	card->faults = (struct card_faults){
		.ops = &rtl8168_fault_ops, .card = card, .fn = &card->fn, .loop = loop};
	rtl8168_table_init(card);
	rtl8168_irq_init(card);
	rtl8168_rx_init(card);
	rtl8168_tx_init(card);
	power_on(card);
	rc = wire_open(&card->wire, options->wire, loop, &port, why);
	if (rc) {
		stop(card);
		free(card);
		return rc;
	}
	rtl8168_link_changed(card);
	*out = card;
	return 0;
}

void rtl8168_destroy(struct rtl8168 *card)
{
	if (!card)
		return;
	fault_end(&card->faults);
	stop(card);
	wire_close(card->wire);
	irqs_reset(&card->fn.irqs);
	free(card);
}
