/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of this family can be out of order: bits of its registers, by name, and its rings.
 */
#include "nicsim/e1000/card.h"

#define TX_DONE (1ull << 32) /* DD in the second quadword of a transmit descriptor */

static const struct fault_bits bits[] = {
	{"reset", "CTRL.RST stays", E1000_CTRL, 0, E1000_CTRL_RESET},
	{"master", "STATUS says that requests are pending", E1000_STATUS, 0,
		E1000_STATUS_MASTER_ENABLED},
	{"semaphore", "SWSM.SMBI is somebody else's", E1000_SWSM, 0, E1000_SWSM_SMBI},
	{"mdio-owner", "EXTCNF_CTRL: the firmware holds the PHY", E1000_EXTCNF_CTRL,
		E1000_EXTCNF_CTRL_SW, 0},
	{"eeprom-load", "EECD.AUTO_RD stays away", E1000_EECD, E1000_EECD_AUTO_READ, 0},
	{"eeprom-word", "EERD.DONE stays away", E1000_EERD, E1000_EERW_DONE, 0},
	{"mac", "no receive address is loaded", E1000_RAH(0), E1000_RAH_VALID, 0},
	{"mdio", "MDIC.R stays away", E1000_MDIC, E1000_MDIC_READY, 0},
};

_Static_assert(E1000_RDBAL == E1000_TDBAL && E1000_RDBAH == E1000_TDBAH &&
		       E1000_RDLEN == E1000_TDLEN && E1000_RDT == E1000_TDT,
	"rings of both directions are described alike");

static struct fault_ring ring(void *ctx, unsigned queue, bool tx)
{
	const uint32_t *reg = e1000_reg(ctx, tx ? E1000_TX_QUEUE(queue) : E1000_RX_QUEUE(queue));

	return (struct fault_ring){
		.base = reg[E1000_RDBAL / 4] | (uint64_t)reg[E1000_RDBAH / 4] << 32,
		.size = reg[E1000_RDLEN / 4] / 16,
		.tail = reg[E1000_RDT / 4]};
}

static void set_done(void *ctx, unsigned queue, uint32_t index)
{
	e1000_tx_set_done(ctx, queue, index);
}

static void cause_queue(void *ctx, unsigned queue, bool tx)
{
	e1000_cause_queue(ctx, queue, tx);
}

static void pull_cable(void *ctx, bool pulled)
{
	e1000_pull_cable(ctx, pulled);
}

static void spoil_checksum(void *ctx)
{
	e1000_nvm_spoil(ctx);
}

static void look_again(void *ctx)
{
	e1000_look_again(ctx);
}

const struct fault_ops e1000_fault_ops = {
	.list = {.bits = bits,
		.bits_count = sizeof(bits) / sizeof(*bits),
		.lacks = 1u << FAULT_TX_HEAD},
	.tx_done = TX_DONE,
	.ring = ring,
	.set_done = set_done,
	.cause_queue = cause_queue,
	.pull_cable = pull_cable,
	.spoil_checksum = spoil_checksum,
	.look_again = look_again,
};
