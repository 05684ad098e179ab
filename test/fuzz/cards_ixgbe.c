/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ixgbe family.
 */
#include "cards.h"
#include "nicsim/ixgbe/regs.h"

static const uint32_t often[] = {CTRL, EICR, EICS, EIMS, EIMC, EIAC, EIAM, GPIE, EITR(0), IVAR(0),
	IVAR_MISC, RXCTRL, RXCSUM, FCTRL, VLNCTRL, MRQC, RETA(0), RSSRK(0), DMATXCTL, HLREG0,
	MAXFRS, RXPBSIZE(0), EERD, EEC, AUTOC, MSCA, MSRWD, SWSM, SW_FW_SYNC, RX_QUEUE(0) + SRRCTL,
	RX_QUEUE(0) + RXDCTL, TX_QUEUE(0) + TXDCTL, TX_QUEUE(0) + TDWBAL, I2CCTL, ESDP, HICR,
	FLEX_MNG(0), FLEX_MNG(1), FLEX_MNG(2), ETQF(0), ETQS(0), SYNQF, SAQF(0), DAQF(0), SDPQF(0),
	FTQF(0), L34TIMIR(0), ERETA(0), MTA(0), VFTA(0), RAL(1), RAH(1), MCSTCTRL, DTXTCPFLGL,
	MFLCN, AUTOC2, FCTTV, FCRTL(0), FCRTH(0), FCRTV, FCCFG, FDIRCTRL, FDIRHASH, FDIRCMD,
	FDIRFREE, FDIRHKEY, FDIRSKEY, RQSMR(0), TQSM(0), GPRC, EEWR, EICS_EX(0), EIMS_EX(0),
	RDRXCTL};

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

static void empty(uint64_t address, uint32_t len, bool last, uint64_t row[2])
{
	(void)len, (void)last;
	row[0] = address;
	row[1] = address & ~UINT64_C(2047); /* of a header that is split off */
}

/* A context descriptor where one is needed, and one piece or two (82599 datasheet 7.2.3.2). */
static unsigned transmit(
	const struct shape *shape, uint64_t address, uint32_t what, uint32_t at, uint64_t row[][2])
{
	const uint64_t commands = 1u << 29 | 3u << 20 | 1u << 25 | (uint64_t)(what & 4) << 28 |
				  (uint64_t)(what & 8) << 28;
	const uint64_t options = (uint64_t)(what & 3) << 40;
	const uint32_t headers = shape->l2 + shape->l3 + (uint32_t)shape->l4;
	const uint32_t payload =
		what & 8 && shape->len > headers ? shape->len - headers : shape->len;
	const uint32_t cut = what & 16 ? 60 : 0;
	unsigned n = 0;

	(void)at;
	if (what & 15) {
		row[n][0] = (uint64_t)shape->l3 | (uint64_t)shape->l2 << 9 | 5u << 16;
		row[n++][1] = (uint64_t)shape->mss << 48 | (uint64_t)shape->l4 << 40 | 1u << 29 |
			      2u << 20 | (uint64_t)(shape->udp ? what >> 5 & 2 : 1) << 11 |
			      (uint64_t)!shape->ipv6 << 10;
	}
	if (cut) {
		row[n][0] = address;
		row[n++][1] = cut | commands | options | (uint64_t)payload << 46;
	}
	row[n][0] = address + cut;
	row[n++][1] = (shape->len - cut) | commands | 1u << 24 | 1u << 27 | options |
		      (cut ? 0 : (uint64_t)payload << 46);
	return n;
}

const struct card_words ixgbe_words = {.bar_size = 0x40000,
	.often = often,
	.count = sizeof(often) / sizeof(*often),
	.queues = 16,
	.set_up = set_up,
	.tail = tail,
	.descriptor = descriptor,
	.empty = empty,
	.send = transmit};
