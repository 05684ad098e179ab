/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Flow control as the registers of this family have it (82599 datasheet 3.7.7.3).
 */
#include "nicsim/pause.h"

#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/ixgbe/card.h"

#define TYPE_CONTROL 0x8808u

/* By MFLCN: DPF counts only where flow control is on, PMCF is about what is no pause frame. FCRTV
 * is when a pause is sent again (8.2.3.3.5).
 */
static struct pause_rules rules(void *ctx)
{
	struct ixgbe *card = ctx;
	uint32_t control = *ixgbe_reg(card, MFLCN);
	uint32_t low = *ixgbe_reg(card, RAL(0)), high = *ixgbe_reg(card, RAH(0));
	struct pause_rules rules = {.group = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x01},
		.type = TYPE_CONTROL,
		.obeys = control & MFLCN_RFCE,
		.discards = control & MFLCN_DISCARD_PAUSE,
		.passes_control = control & MFLCN_PASS_CONTROL,
		.time = (uint16_t)*ixgbe_reg(card, FCTTV),
		.before = (uint16_t)*ixgbe_reg(card, FCRTV),
		.mbit = ixgbe_link_mbit(card)};

	memcpy(rules.station, &low, 4);
	memcpy(rules.station + 4, &high, 2);
	return rules;
}

static struct pause_levels levels(void *ctx)
{
	struct ixgbe *card = ctx;
	uint32_t low = *ixgbe_reg(card, FCRTL(0u)), high = *ixgbe_reg(card, FCRTH(0u));

	return (struct pause_levels){.sends = ixgbe_pause_sends(card),
		.xon = low & FCRTL_XON,
		.high = FCRT_BYTES(high),
		.low = FCRT_BYTES(low)};
}

static bool linked(void *ctx)
{
	struct ixgbe *card = ctx;

	return ixgbe_link(card) && !(*ixgbe_reg(card, HLREG0) & HLREG0_LOOPBACK);
}

static void received(void *ctx, bool off)
{
	ixgbe_count(ctx, off ? LXOFFRXCNT : LXONRXCNT);
}

static int send(void *ctx, const uint8_t *frame, bool off)
{
	struct ixgbe *card = ctx;
	int rc = wire_send(card->wire, frame, PAUSE_FRAME);

	if (rc)
		return rc;
	ixgbe_count(card, off ? LXOFFTXC : LXONTXC);
	ixgbe_count_tx_mac(card, frame, PAUSE_FRAME);
	return 0;
}

static void go_on(void *ctx)
{
	ixgbe_tx_go_on(ctx);
}

static const struct pause_ops ops = {
	.rules = rules,
	.levels = levels,
	.linked = linked,
	.received = received,
	.send = send,
	.go_on = go_on,
};

void ixgbe_pause_init(struct ixgbe *card)
{
	pause_init(&card->pause, &ops, card, card->loop);
}

bool ixgbe_pause_take(struct ixgbe *card, const uint8_t *frame)
{
	struct pause_rules now;

	if (sim_be16(frame + 12) != TYPE_CONTROL)
		return false;
	now = rules(card);
	return pause_take(&card->pause, &now, frame);
}

bool ixgbe_pause_sends(const struct ixgbe *card)
{
	return FCCFG_TFCE(card->reg[FCCFG / 4]) == FCCFG_TFCE_LINK &&
	       card->reg[FCRTH(0u) / 4] & FCRTH_ENABLE;
}

uint32_t ixgbe_read_tfcs(struct ixgbe *card, uint32_t offset)
{
	(void)offset;
	return pause_holds(&card->pause) ? TFCS_TXOFF : 0;
}
