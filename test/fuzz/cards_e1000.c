/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The 82574L.
 */
#include "cards.h"
#include "nicsim/e1000/regs.h"

static const uint32_t often[] = {E1000_CTRL, E1000_STATUS, E1000_EERD, E1000_EEWR, E1000_CTRL_EXT,
	E1000_MDIC, E1000_EXTCNF_CTRL, E1000_SWSM, E1000_ICR, E1000_ICS, E1000_IMS, E1000_IMC,
	E1000_ITR, E1000_EIAC, E1000_IAM, E1000_IVAR, E1000_EITR(0), E1000_RCTL, E1000_PSRCTL,
	E1000_PBA, E1000_RXCSUM, E1000_RFCTL, E1000_MTA(0), E1000_RAH(1), E1000_VFTA(0), E1000_MRQC,
	E1000_RETA(0), E1000_RSSRK(0), E1000_TCTL, E1000_RX_QUEUE(0) + E1000_RDLEN,
	E1000_TX_QUEUE(0) + E1000_TDLEN, E1000_GPRC, E1000_VET};

static void set_up(
	struct bench *b, bool send, unsigned queue, uint64_t ring, uint32_t bytes, uint32_t how)
{
	const uint32_t base = send ? E1000_TX_QUEUE(queue) : E1000_RX_QUEUE(queue);

	write_reg(b, base + E1000_RDBAL, 4, (uint32_t)ring);
	write_reg(b, base + E1000_RDBAH, 4, (uint32_t)(ring >> 32));
	write_reg(b, base + E1000_RDLEN, 4, bytes);
	if (send) {
		write_reg(b, E1000_TCTL, 4, E1000_TCTL_ENABLE | (how & 1 ? E1000_TCTL_PAD : 0));
		return;
	}
	/* Legacy, extended, split; sizes of buffers; a tag that is taken out. */
	write_reg(b, E1000_RFCTL, 4, how & 1 ? E1000_RFCTL_EXTENDED : 0);
	write_reg(b, E1000_PSRCTL, 4, how & 0x3f3f);
	write_reg(b, E1000_CTRL, 4, E1000_CTRL_LINK_UP | (how & 2 ? E1000_CTRL_VLAN : 0));
	write_reg(b, E1000_RCTL, 4,
		E1000_RCTL_ENABLE | E1000_RCTL_UPE | E1000_RCTL_MPE | E1000_RCTL_BAM |
			E1000_RCTL_LPE | (how & 4 ? 1u << 10 : 0) | (how & 0x18) << 13 |
			(how & 0x20 ? E1000_RCTL_BSEX : 0));
}

static void tail(struct bench *b, bool send, unsigned queue, uint32_t index)
{
	write_reg(b, (send ? E1000_TX_QUEUE(queue) : E1000_RX_QUEUE(queue)) + E1000_RDT, 4, index);
}

/* Legacy or extended: length, type, commands, options. */
static void descriptor(uint64_t address, uint32_t what, uint32_t len, uint64_t row[2])
{
	row[0] = address;
	row[1] = (uint64_t)(len & 0x3fff) | (uint64_t)(what & 0xff) << 24 |
		 (uint64_t)(what >> 8 & 1) << 20 | (uint64_t)(what >> 9 & 0x1f) << 40 |
		 (uint64_t)(len >> 14) << 48;
}

static void empty(uint64_t address, uint32_t len, bool last, uint64_t row[2])
{
	(void)len, (void)last;
	row[0] = address;
	row[1] = address & ~UINT64_C(2047); /* of a second buffer */
}

/* Legacy, or a context and one piece or two (82574 datasheet 7.2.10). */
static unsigned transmit(
	const struct shape *shape, uint64_t address, uint32_t what, uint32_t at, uint64_t row[][2])
{
	const uint32_t l2 = shape->l2 + (shape->tagged ? 4u : 0), l4 = l2 + shape->l3;
	const uint64_t tag = what & 4 ? 1u << 30 | UINT64_C(5) << 48 : 0;
	const uint64_t cut = what & 8 ? 1u << 26 : 0;
	const uint32_t piece = what & 16 ? 60 : 0;
	unsigned n = 0;

	(void)at;
	if (what & 32) {
		row[0][0] = address;
		row[0][1] = shape->len | 1u << 24 | 1u << 25 | 1u << 27 | tag |
			    (what & 1 ? 1u << 26 | (uint64_t)(l4 + 16) << 16 : 0) |
			    (uint64_t)l4 << 40;
		return 1;
	}
	row[n][0] = l2 | (uint64_t)(l2 + 10) << 8 | (uint64_t)(l4 - 1) << 16 | (uint64_t)l4 << 32 |
		    (uint64_t)(l4 + (shape->udp ? 6u : 16u)) << 40;
	row[n++][1] = (shape->len - l4 - shape->l4) | 1u << 29 | (uint64_t)!shape->udp << 24 |
		      (uint64_t)!shape->ipv6 << 25 | cut | (uint64_t)(l4 + shape->l4) << 40 |
		      (uint64_t)shape->mss << 48;
	if (piece) {
		row[n][0] = address;
		row[n++][1] = piece | 1u << 20 | 1u << 29 | 1u << 25 | cut | tag |
			      (uint64_t)(what & 3) << 40;
	}
	row[n][0] = address + piece;
	row[n++][1] = (shape->len - piece) | 1u << 20 | 1u << 24 | 1u << 25 | 1u << 27 | 1u << 29 |
		      cut | tag | (uint64_t)(what & 3) << 40;
	return n;
}

const struct card_words e1000_words = {.bar_size = 0x20000,
	.often = often,
	.count = sizeof(often) / sizeof(*often),
	.queues = 2,
	.set_up = set_up,
	.tail = tail,
	.descriptor = descriptor,
	.empty = empty,
	.send = transmit};
