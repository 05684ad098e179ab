/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Flow control as the registers of this family have it (8254x manual 8.7, 82574 datasheet 10.2.5):
 * CTRL says whether, FCAL, FCAH and FCT what a pause frame looks like.
 */
#include "nicsim/pause.h"

#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/e1000/card.h"

static struct pause_rules rules(void *ctx)
{
	struct e1000 *card = ctx;
	uint32_t control = *e1000_reg(card, E1000_RCTL);
	uint32_t low = *e1000_reg(card, E1000_RAL(0)), high = *e1000_reg(card, E1000_RAH(0));
	struct pause_rules rules = {.type = (uint16_t)*e1000_reg(card, E1000_FCT),
		.obeys = *e1000_reg(card, E1000_CTRL) & E1000_CTRL_RFCE,
		.discards = control & E1000_RCTL_DPF,
		.passes_control = control & E1000_RCTL_PMCF,
		.time = (uint16_t)*e1000_reg(card, E1000_FCTTV),
		.mbit = E1000_MBIT};

	memcpy(rules.group, e1000_reg(card, E1000_FCAL), 4);
	memcpy(rules.group + 4, e1000_reg(card, E1000_FCAH), 2);
	memcpy(rules.station, &low, 4);
	memcpy(rules.station + 4, &high, 2);
	return rules;
}

static struct pause_levels levels(void *ctx)
{
	struct e1000 *card = ctx;
	uint32_t low = *e1000_reg(card, E1000_FCRTL), high = *e1000_reg(card, E1000_FCRTH);

	return (struct pause_levels){
		.sends = *e1000_reg(card, E1000_CTRL) & E1000_CTRL_TFCE && E1000_FCRT_BYTES(high),
		.xon = low & E1000_FCRTL_XON,
		.high = E1000_FCRT_BYTES(high),
		.low = E1000_FCRT_BYTES(low)};
}

static bool linked(void *ctx)
{
	return e1000_link(ctx) && !e1000_loops(ctx);
}

static void received(void *ctx, bool off)
{
	e1000_count(ctx, off ? E1000_XOFFRXC : E1000_XONRXC);
}

static int send(void *ctx, const uint8_t *frame, bool off)
{
	struct e1000 *card = ctx;
	int rc = wire_send(card->wire, frame, PAUSE_FRAME);

	if (rc)
		return rc;
	e1000_count(card, off ? E1000_XOFFTXC : E1000_XONTXC);
	e1000_count_tx_mac(card, PAUSE_FRAME);
	return 0;
}

static void go_on(void *ctx)
{
	e1000_tx_go_on(ctx);
}

static const struct pause_ops ops = {
	.rules = rules,
	.levels = levels,
	.linked = linked,
	.received = received,
	.send = send,
	.go_on = go_on,
};

void e1000_pause_init(struct e1000 *card)
{
	pause_init(&card->pause, &ops, card, card->loop);
}

bool e1000_pause_take(struct e1000 *card, const uint8_t *frame)
{
	uint32_t type = *e1000_reg(card, E1000_FCT);
	struct pause_rules now;

	if (!type || sim_be16(frame + 12) != type)
		return false;
	now = rules(card);
	return pause_take(&card->pause, &now, frame);
}
