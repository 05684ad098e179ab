/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card's life: creation, the resets, the link, and the way from BAR accesses to registers.
 */
#include "nicsim/ixgbe/ixgbe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nicsim/ixgbe/burst.h"
#include "nicsim/ixgbe/card.h"

/* --- registers of this file --- */

uint32_t ixgbe_read_status(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = STATUS_PORT(card->port);

	(void)offset;
	if (ixgbe_link(card))
		value |= STATUS_LINK_UP;
	if (function_is_master(&card->fn) && !(*ixgbe_reg(card, CTRL) & CTRL_MASTER_DISABLE))
		value |= STATUS_MASTER_ENABLED;
	return value;
}

uint32_t ixgbe_read_timer(struct ixgbe *card, uint32_t offset)
{
	(void)card;
	(void)offset;
	return (uint32_t)(loop_now() / 1000);
}

/* --- resets --- */

static void reset(struct ixgbe *card, enum ixgbe_reset how)
{
	ixgbe_irq_stop(card);
	ixgbe_rx_stop(card);
	ixgbe_tx_stop(card);
	pause_stop(&card->pause);
	fault_forget(&card->faults);
	ixgbe_table_reset(card, how);
	ixgbe_link_reset(card);
	ixgbe_irq_reset(card);
	ixgbe_filter_reset(card);
	ixgbe_steer_reset(card);
	ixgbe_fdir_reset(card);
	ixgbe_rss_reset(card);
	ixgbe_rx_reset(card);
	ixgbe_tx_reset(card);
}

void ixgbe_write_ctrl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	/* 0x4 is the same register; both copies are kept alike. */
	*ixgbe_reg(card, CTRL) = *ixgbe_reg(card, CTRL + 4) = *ixgbe_reg(card, offset);
	if (value & (CTRL_RESET | CTRL_LINK_RESET))
		reset(card, RESET_MAC);
}

static void power_on(void *ctx)
{
	struct ixgbe *card = ctx;
	bool whole = ixgbe_shared_idle(card);

	ixgbe_pins_reset(card);
	if (whole)
		ixgbe_nvm_reset(card->shared);
	reset(card, whole ? RESET_CARD : RESET_PORT);
	if (card->wire)
		wire_forget(card->wire);
	ixgbe_phy_reset(card);
	card->link_fell = true;
}

void ixgbe_look_again(struct ixgbe *card)
{
	ixgbe_irq_changed(card);
	ixgbe_write_rdt(card, RX_QUEUE(0u) + RDT, *ixgbe_reg(card, RX_QUEUE(0u) + RDT));
	ixgbe_write_dmatxctl(card, DMATXCTL, *ixgbe_reg(card, DMATXCTL));
}

static void on_change(void *ctx)
{
	ixgbe_look_again(ctx);
}

/* --- BAR accesses --- */

static uint32_t read_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size)
{
	struct ixgbe *card = ctx;

	(void)bar;
	(void)size;
	if (offset < IXGBE_CSR_SIZE) {
		uint32_t value = ixgbe_reg_read(card, offset);

		return card->faults.now ? fault_read(card->faults.now, offset, value) : value;
	}
	return 0; /* the flash window: there is no flash chip */
}

static void write_bar(void *ctx, unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
	struct ixgbe *card = ctx;

	(void)bar;
	(void)size;
	if (offset < IXGBE_CSR_SIZE)
		ixgbe_reg_write(card, offset, value);
	else
		report_strict(card->report, "write to the flash window at 0x%05x", offset);
}

static const struct card_ops ops = {
	.read = read_bar,
	.write = write_bar,
	.reset = power_on,
	.changed = on_change,
	.settle = ixgbe_doorbells_settle,
	.left = ixgbe_doorbells_left,
};

/* --- the wire --- */

static void on_broken(void *ctx, const struct sim_error *why)
{
	struct ixgbe *card = ctx;

	report_trouble(card->report, why->text);
}

static unsigned on_speed(void *ctx)
{
	return ixgbe_link_mbit(ctx);
}

int ixgbe_create(struct ixgbe **out, const struct ixgbe_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	struct ixgbe *card = calloc(1, sizeof(*card));
	struct wire_port port = {.ctx = card,
		.receive = ixgbe_rx_frame,
		.carrier = ixgbe_carrier,
		.receive_burst = options->mapped ? ixgbe_rx_burst : NULL,
		.sendable = ixgbe_tx_sendable,
		.speed = options->paced ? on_speed : NULL,
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
	rc = ixgbe_shared_join(card, options->first);
	if (rc) {
		snprintf(why->text, sizeof(why->text), "out of memory");
		rc = -ENOMEM;
		goto free_card;
	}
	card->ident = (struct function_ident){.vendor = 0x8086,
		.device = options->model->device,
		.subvendor = 0x8086,
		.subdevice = options->model->subdevice,
		.class = 0x020000,
		.revision = 1,
		.bar_size = {[0] = options->model->bar_size, [4] = IXGBE_MSIX_TABLE},
		.msix_bar = 4,
		.msix_vectors = options->no_msix ? 0 : IRQ_VECTORS,
		.pcie_speed = options->model->pcie_speed,
		.pcie_lanes = options->model->pcie_lanes,
		/* X550 specification update, erratum 22. */
		.intx_untold = options->model->rows == ROW_X550,
		.function = (uint8_t)card->port};
	/* The card's, not the port's: made of the first port's address. */
	memcpy(card->ident.serial, card->shared->port[0]->mac, sizeof(card->mac));
	function_init(&card->fn, &ops, card, &card->ident, dma);
	card->faults = (struct card_faults){
		.ops = &ixgbe_fault_ops, .card = card, .fn = &card->fn, .loop = loop};
	sfp_plug(&card->sfp, options->module);
	ixgbe_table_init(card);
	ixgbe_irq_init(card);
	ixgbe_rx_init(card);
	ixgbe_tx_init(card);
	ixgbe_pause_init(card);
	power_on(card);
	rc = options->mapped ? ixgbe_doorbells_init(card) : 0;
	if (rc) {
		snprintf(
			why->text, sizeof(why->text), "no memory for doorbells: %s", strerror(-rc));
		goto free_card;
	}
	rc = wire_open(&card->wire, options->wire, loop, &port, why);
	if (rc)
		goto free_doorbells;
	ixgbe_link_changed(card);
	if (options->first)
		function_share(&card->fn, &options->first->fn);
	*out = card;
	return 0;

free_doorbells:
	ixgbe_doorbells_destroy(card);
free_card:
	ixgbe_shared_leave(card);
	free(card);
	return rc;
}

void ixgbe_destroy(struct ixgbe *card)
{
	if (!card)
		return;
	fault_end(&card->faults);
	ixgbe_irq_stop(card);
	ixgbe_rx_stop(card);
	ixgbe_tx_stop(card);
	pause_stop(&card->pause);
	wire_close(card->wire);
	ixgbe_doorbells_destroy(card);
	irqs_reset(&card->fn.irqs);
	ixgbe_shared_leave(card);
	free(card);
}

struct function *ixgbe_function(struct ixgbe *card)
{
	return &card->fn;
}

struct card_faults *ixgbe_faults(struct ixgbe *card)
{
	return &card->faults;
}
