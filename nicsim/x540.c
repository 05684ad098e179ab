/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card's life: creation, the resets, the link, and the way from BAR accesses to registers.
 */
#include "nicsim/x540.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nicsim/x540_burst.h"
#include "nicsim/x540_card.h"

/* --- registers of this file --- */

uint32_t x540_read_status(struct x540 *card, uint32_t offset)
{
	uint32_t value = 0;

	(void)offset;
	if (x540_link(card))
		value |= STATUS_LINK_UP;
	if (function_is_master(&card->fn) && !(*x540_reg(card, CTRL) & CTRL_MASTER_DISABLE))
		value |= STATUS_MASTER_ENABLED;
	return value;
}

uint32_t x540_read_timer(struct x540 *card, uint32_t offset)
{
	(void)card;
	(void)offset;
	return (uint32_t)(loop_now() / 1000);
}

/* --- resets --- */

static void reset_mac(struct x540 *card, bool power)
{
	x540_irq_stop(card);
	x540_rx_stop(card);
	x540_tx_stop(card);
	x540_table_reset(card, power);
	x540_link_reset(card);
	x540_irq_reset(card);
	x540_filter_reset(card);
	x540_rss_reset(card);
	x540_rx_reset(card);
	x540_tx_reset(card);
}

void x540_write_ctrl(struct x540 *card, uint32_t offset, uint32_t value)
{
	/* 0x4 is the same register; both copies are kept alike. */
	*x540_reg(card, CTRL) = *x540_reg(card, CTRL + 4) = *x540_reg(card, offset);
	if (value & (CTRL_RESET | CTRL_LINK_RESET))
		reset_mac(card, false);
}

static void power_on(void *ctx)
{
	struct x540 *card = ctx;

	reset_mac(card, true);
	if (card->wire)
		wire_forget(card->wire);
	x540_nvm_reset(card);
	x540_phy_reset(card);
	memset(card->msix, 0, sizeof(card->msix));
	card->link_fell = true;
}

static void on_change(void *ctx)
{
	struct x540 *card = ctx;

	x540_irq_changed(card);
	x540_write_rdt(card, RX_QUEUE(0u) + RDT, *x540_reg(card, RX_QUEUE(0u) + RDT));
	x540_write_tdt(card, TX_QUEUE(0u) + TDT, *x540_reg(card, TX_QUEUE(0u) + TDT));
}

/* --- BAR accesses --- */

/* The MSI-X table and pending bits. Over vfio-user vectors are eventfds: what is written here is
 * kept and without effect. Vector control (every fourth word) resets to masked, but VFIO's clients
 * own it.
 */
static uint32_t read_msix(const struct x540 *card, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, card->msix + offset, sizeof(value));
	return value;
}

static uint32_t read_bar(void *ctx, unsigned bar, uint32_t offset)
{
	struct x540 *card = ctx;

	if (bar == card->ident.msix_bar)
		return read_msix(card, offset);
	if (offset < X540_CSR_SIZE)
		return x540_reg_read(card, offset);
	return 0; /* the flash window: there is no flash chip */
}

static void write_bar(void *ctx, unsigned bar, uint32_t offset, uint32_t value)
{
	struct x540 *card = ctx;

	if (bar == card->ident.msix_bar) {
		if (offset < 16 * IRQ_VECTORS)
			memcpy(card->msix + offset, &value, sizeof(value));
	} else if (offset < X540_CSR_SIZE) {
		x540_reg_write(card, offset, value);
	} else {
		report_strict(card->report, "write to the flash window at 0x%05x", offset);
	}
}

static const struct card_ops ops = {
	.read = read_bar,
	.write = write_bar,
	.reset = power_on,
	.changed = on_change,
	.settle = x540_doorbells_settle,
	.left = x540_doorbells_left,
};

/* --- the wire --- */

static void on_broken(void *ctx, const struct sim_error *why)
{
	struct x540 *card = ctx;

	report_trouble(card->report, why->text);
}

int x540_create(struct x540 **out, const struct x540_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	struct x540 *card = calloc(1, sizeof(*card));
	struct wire_port port = {.ctx = card,
		.receive = x540_rx_frame,
		.carrier = x540_carrier,
		.receive_burst = options->mapped ? x540_rx_burst : NULL,
		.sendable = x540_tx_sendable,
		.broken = on_broken};
	int rc;

	if (!card) {
		snprintf(why->text, sizeof(why->text), "out of memory");
		return -ENOMEM;
	}
	card->model = options->model;
	card->loop = loop;
	card->report = report;
	memcpy(card->mac, options->mac, sizeof(card->mac));
	card->ident = (struct function_ident){.vendor = 0x8086,
		.device = options->model->device,
		.subvendor = 0x8086,
		.subdevice = options->model->subdevice,
		.class = 0x020000,
		.revision = 1,
		.bar_size = {[0] = options->model->bar_size, [4] = X540_MSIX_TABLE},
		.msix_bar = 4};
	memcpy(card->ident.serial, options->mac, sizeof(card->mac));
	function_init(&card->fn, &ops, card, &card->ident, dma);
	sfp_plug(&card->sfp, options->module);
	x540_table_init(card);
	x540_nvm_build(card);
	x540_irq_init(card);
	x540_rx_init(card);
	x540_tx_init(card);
	power_on(card);
	rc = options->mapped ? x540_doorbells_init(card) : 0;
	if (rc) {
		snprintf(
			why->text, sizeof(why->text), "no memory for doorbells: %s", strerror(-rc));
		goto free_card;
	}
	rc = wire_open(&card->wire, options->wire, loop, &port, why);
	if (rc)
		goto free_doorbells;
	x540_link_changed(card);
	*out = card;
	return 0;

free_doorbells:
	x540_doorbells_destroy(card);
free_card:
	free(card);
	return rc;
}

void x540_destroy(struct x540 *card)
{
	if (!card)
		return;
	x540_irq_stop(card);
	x540_rx_stop(card);
	x540_tx_stop(card);
	wire_close(card->wire);
	x540_doorbells_destroy(card);
	irqs_reset(&card->fn.irqs);
	free(card);
}

struct function *x540_function(struct x540 *card)
{
	return &card->fn;
}
