/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The RTL8168.
 */
#include "cards.h"
#include "nicsim/rtl8168/regs.h"

static const uint32_t often[] = {RTL_CR, RTL_TPPOLL, RTL_IMR, RTL_ISR, RTL_TCR, RTL_RCR, RTL_9346CR,
	RTL_CONFIG(0), RTL_CONFIG(2), RTL_CONFIG(4), RTL_PHYAR, RTL_CSIAR, RTL_ERIAR, RTL_EPHYAR,
	RTL_OCPAR, RTL_OCPDR, RTL_DTCCR, RTL_RMS, RTL_CPCR, RTL_MITIGATE, RTL_MTPS, RTL_MISC,
	RTL_MAR, RTL_IDR, RTL_TCTR, RTL_TIMERINT, RTL_MPC, RTL_PMCH, RTL_FLASH, RTL_ERIDR};

/* Where a ring ends its descriptors say. */
static void set_up(
	struct bench *b, bool send, unsigned queue, uint64_t ring, uint32_t bytes, uint32_t how)
{
	const uint32_t base = !send ? RTL_RDSAR : queue ? RTL_THPDS : RTL_TNPDS;

	(void)bytes;
	write_reg(b, RTL_9346CR, 1, CR9346_UNLOCK);
	write_reg(b, RTL_CPCR, 2, how & (CPCR_VLAN | CPCR_CHECKSUM));
	write_reg(b, RTL_RMS, 2, how & 0x8000 ? how & 0x3fff : 0x3fff);
	write_reg(b, base + 4, 4, ring >> 32);
	write_reg(b, base, 4, (uint32_t)ring);
	write_reg(b, RTL_CR, 1, CR_RX | CR_TX);
	write_reg(b, RTL_RCR, 4, RCR_ALL | RCR_PHYSICAL | RCR_MULTICAST | RCR_BROADCAST);
}

static void tail(struct bench *b, bool send, unsigned queue, uint32_t index)
{
	(void)index;
	if (send)
		write_reg(b, RTL_TPPOLL, 1, queue ? TPPOLL_HIGH : TPPOLL_NORMAL);
	else
		write_reg(b, RTL_CR, 1, CR_RX | CR_TX);
}

static void descriptor(uint64_t address, uint32_t what, uint32_t len, uint64_t row[2])
{
	const uint32_t first = (what & 0xff) << 24 | (len & 0x3fff);
	const uint32_t second = (what >> 8 & 0x3f) << 26 | (len >> 14) << 16 | (what & 0xff);

	row[0] = first | (uint64_t)second << 32;
	row[1] = address;
}

static void empty(uint64_t address, uint32_t len, bool last, uint64_t row[2])
{
	row[0] = DESC_OWN | len | (last ? DESC_EOR : 0);
	row[1] = address;
}

/* Segments: their size, where the payload begins; sums; a tag: as Linux's r8169 has them. */
static unsigned transmit(
	const struct shape *shape, uint64_t address, uint32_t what, uint32_t at, uint64_t row[][2])
{
	const uint32_t l4 = shape->l2 + (uint32_t)shape->l3;
	uint32_t first = DESC_OWN | DESC_FIRST | DESC_LAST | (at == 1 ? DESC_EOR : 0), second = 0;

	if (what & 8) {
		first |= (shape->ipv6 ? 0x02000000u : 0x04000000u) | l4 << 18;
		second = (uint32_t)shape->mss << 18;
	} else if (what & 3) {
		second = (shape->ipv6 ? 0x10000000u : 0x20000000u) | l4 << 18 |
			 (what & 2 ? (shape->udp ? 0x80000000u : 0x40000000u) : 0);
	}
	if (what & 4)
		second |= 0x00020000u | 5;
	row[0][0] = first | (shape->len & 0xffff) | (uint64_t)second << 32;
	row[0][1] = address;
	return 1;
}

const struct card_words rtl8168_words = {.bar = 2,
	.bar_size = 0x1000,
	.narrow = true,
	.often = often,
	.count = sizeof(often) / sizeof(*often),
	.queues = 2,
	.set_up = set_up,
	.tail = tail,
	.descriptor = descriptor,
	.empty = empty,
	.send = transmit};
