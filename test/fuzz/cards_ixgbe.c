/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ixgbe family.
 */
#include "cards.h"
#include "nicsim/ixgbe/regs.h"

static const uint32_t often[] = {CTRL, EICR, EICS, EIMS, EIMC, EIAC, EIAM, GPIE, EITR(0), IVAR(0),
	IVAR_MISC, RXCTRL, RXCSUM, FCTRL, VLNCTRL, MRQC, RETA(0), RSSRK(0), DMATXCTL, HLREG0,
	MAXFRS, RXPBSIZE(0), EERD, EEC, AUTOC, MSCA, MSRWD, SWSM, SW_FW_SYNC, RX_QUEUE(0) + SRRCTL,
	RX_QUEUE(0) + RXDCTL, TX_QUEUE(0) + TXDCTL, TX_QUEUE(0) + TDWBAL};

static void set_up(
	struct bench *b, bool send, unsigned queue, uint64_t ring, uint32_t bytes, uint32_t how)
{
	const uint32_t base = send ? TX_QUEUE(queue) : RX_QUEUE(queue);

	write_reg(b, base + RDBAL, 4, (uint32_t)ring);
	write_reg(b, base + RDBAL + 4, 4, (uint32_t)(ring >> 32));
	write_reg(b, base + RDLEN, 4, bytes);
	if (send) {
		write_reg(b, DMATXCTL, 4, DMATXCTL_ENABLE | 0x81000000u);
		write_reg(b, base + TXDCTL, 4, TXDCTL_ENABLE | (how & 0x7f) << 16);
		return;
	}
	write_reg(b, base + SRRCTL, 4,
		(how & 0x1f) | (how & 0x20 ? 1u << 25 : 0) | (how & 0x40 ? SRRCTL_DROP : 0));
	write_reg(b, base + RXDCTL, 4, RXDCTL_ENABLE | (how & 0x80 ? RXDCTL_VME : 0));
	write_reg(b, FCTRL, 4, FCTRL_UPE | FCTRL_MPE | FCTRL_BAM);
	write_reg(b, RXCTRL, 4, RXCTRL_ENABLE);
}

static void tail(struct bench *b, bool send, unsigned queue, uint32_t index)
{
	write_reg(b, (send ? TX_QUEUE(queue) : RX_QUEUE(queue)) + RDT, 4, index);
}

/* Data: length, type, commands. */
static void descriptor(uint64_t address, uint32_t what, uint32_t len, uint64_t row[2])
{
	row[0] = address;
	row[1] = (uint64_t)(len & 0x3fff) | (uint64_t)(what & 0xff) << 24 | 1u << 29 |
		 (uint64_t)(what >> 8 & 3) << 20 | (uint64_t)(len & 0x7fff) << 46;
}

const struct card_words ixgbe_words = {.bar_size = 0x40000,
	.often = often,
	.count = sizeof(often) / sizeof(*often),
	.queues = 16,
	.set_up = set_up,
	.tail = tail,
	.descriptor = descriptor};
