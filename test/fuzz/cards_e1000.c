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

const struct card_words e1000_words = {.bar_size = 0x20000,
	.often = often,
	.count = sizeof(often) / sizeof(*often),
	.queues = 2,
	.set_up = set_up,
	.tail = tail,
	.descriptor = descriptor};
