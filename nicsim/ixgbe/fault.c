/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of this family can be out of order: bits of its registers, by name, and its rings.
 */
#include "nicsim/ixgbe/card.h"

#define TX_DONE (1ull << 32) /* DD in the second quadword of a transmit descriptor */

static const struct fault_bits bits[] = {
	{"reset", "CTRL.RST stays", CTRL, 0, CTRL_RESET},
	{"master", "STATUS says that requests are pending", STATUS, 0, STATUS_MASTER_ENABLED},
	{"semaphore", "SWSM.SMBI is somebody else's", SWSM, 0, SWSM_SMBI},
	{"sync", "SW_FW_SYNC: the firmware holds everything", SW_FW_SYNC, 0, 0x3e0},
	{"eeprom-load", "EEC.AUTO_RD stays away", EEC, EEC_AUTO_READ, 0},
	{"eeprom-word", "EERD.DONE stays away", EERD, EERW_DONE, 0},
	{"dma-init", "RDRXCTL.DMAIDONE stays away", RDRXCTL, RDRXCTL_INIT_DONE, 0},
	{"mac", "no receive address is loaded", RAH(0), RAH_VALID, 0},
	{"mdio", "MSCA.MDI_CMD stays", MSCA, 0, MSCA_COMMAND},
	{"rx-path", "SECRXSTAT.SECRX_RDY stays away", SECRXSTAT, SECRXSTAT_READY, 0},
	{"rx-queue", "RXDCTL.ENABLE of queue 0 stays away", RX_QUEUE(0u) + RXDCTL, RXDCTL_ENABLE,
		0},
	{"tx-queue", "TXDCTL.ENABLE of queue 0 stays away", TX_QUEUE(0u) + TXDCTL, TXDCTL_ENABLE,
		0},
};

_Static_assert(RDBAL == TDBAL && RDBAH == TDBAH && RDLEN == TDLEN && RDT == TDT,
	"rings of both directions are described alike");

static struct fault_ring ring(void *ctx, unsigned queue, bool tx)
{
	const uint32_t *reg = ixgbe_reg(ctx, tx ? TX_QUEUE(queue) : RX_QUEUE(queue));

	return (struct fault_ring){.base = reg[RDBAL / 4] | (uint64_t)reg[RDBAH / 4] << 32,
		.size = reg[RDLEN / 4] / 16,
		.tail = reg[RDT / 4]};
}

static void set_done(void *ctx, unsigned queue, uint32_t index)
{
	ixgbe_tx_set_done(ctx, queue, index);
}

static void cause_queue(void *ctx, unsigned queue, bool tx)
{
	ixgbe_cause_queue(ctx, queue, tx);
}

static void pull_cable(void *ctx, bool pulled)
{
	ixgbe_pull_cable(ctx, pulled);
}

static void spoil_checksum(void *ctx)
{
	struct ixgbe *card = ctx;

	card->shared->nvm.flash[IXGBE_NVM_CHECKSUM] ^= 1;
	card->shared->nvm.shadow[IXGBE_NVM_CHECKSUM] ^= 1;
}

static void look_again(void *ctx)
{
	ixgbe_look_again(ctx);
}

const struct fault_ops ixgbe_fault_ops = {
	.list = {.bits = bits, .bits_count = sizeof(bits) / sizeof(*bits)},
	.tx_done = TX_DONE,
	.ring = ring,
	.set_done = set_done,
	.cause_queue = cause_queue,
	.pull_cable = pull_cable,
	.spoil_checksum = spoil_checksum,
	.look_again = look_again,
};
