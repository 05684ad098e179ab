/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of this family can be out of order: bits of its registers, by name, and its rings. There is
 * no EEPROM to be spoiled, no head to be written; and what the driver has not given the card cannot
 * know from a register.
 */
#include "nicsim/rtl8168/card.h"

static const struct fault_bits bits[] = {
	{"reset", "CR.RST stays", RTL_CR, 0, CR_RESET},
	{"mac", "the address reads 0", RTL_IDR, 0xffffffff, 0},
	{"mdio", "PHYAR never says that a read is done", RTL_PHYAR, PHYAR_FLAG, 0},
	{"mdio-write", "PHYAR never says that a write is done", RTL_PHYAR, 0, PHYAR_FLAG},
	{"tally", "DTCCR never says that a dump is done", RTL_DTCCR, 0, DTCCR_DUMP},
	{"poll", "TPPOLL says that a frame waits to be sent", RTL_TPPOLL, 0, TPPOLL_NORMAL},
};

static struct rtl8168_ring *find(struct rtl8168 *card, unsigned queue, bool tx)
{
	return tx ? &card->tx.ring[queue] : &card->rx.ring;
}

static struct fault_ring ring(void *ctx, unsigned queue, bool tx)
{
	struct rtl8168 *card = ctx;
	const struct rtl8168_ring *ring = find(card, queue, tx);

	return (struct fault_ring){.base = rtl8168_ring_base(card, ring),
		.size = rtl8168_ring_size(card, ring),
		.tail = ring->at};
}

static void set_done(void *ctx, unsigned queue, uint32_t index)
{
	struct rtl8168 *card = ctx;

	rtl8168_ring_set_done(card, &card->tx.ring[queue], index);
}

static void cause_queue(void *ctx, unsigned queue, bool tx)
{
	(void)queue;
	rtl8168_cause(ctx, tx ? INT_TOK : INT_ROK);
}

static void pull_cable(void *ctx, bool pulled)
{
	rtl8168_pull_cable(ctx, pulled);
}

static void look_again(void *ctx)
{
	rtl8168_look_again(ctx);
}

const struct fault_ops rtl8168_fault_ops = {
	.list = {.bits = bits,
		.bits_count = sizeof(bits) / sizeof(*bits),
		.lacks = 1u << FAULT_EEPROM_SUM | 1u << FAULT_RX_EARLY | 1u << FAULT_TX_HEAD},
	.tx_owned = DESC_OWN,
	.ring = ring,
	.set_done = set_done,
	.cause_queue = cause_queue,
	.pull_cable = pull_cable,
	.look_again = look_again,
};
