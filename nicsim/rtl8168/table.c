/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every register that the model knows: where it is, what it holds after a reset, which bits can be
 * written, and what else an access does. An access may be of one, two or four bytes, of a register,
 * a part of one or several. What has no row reads 0, ignores writes, and is reported in strict
 * mode.
 */
#include "nicsim/rtl8168/card.h"

enum {
	KEEP = 1, /* a reset by CR leaves it as it is */
	LOCK = 2, /* is written only while 9346CR is in its mode of configuration (6.21) */
	WIDE = 4, /* and by accesses of 32 bits alone */
};

struct row {
	uint8_t offset, size, flags;
	uint32_t reset, writable;
	uint32_t (*read)(struct rtl8168 *card);
	/* After the store; what was written, 0 where the access does not reach. */
	void (*write)(struct rtl8168 *card, uint32_t written);
};

/* clang-format off */
#define PLAIN(offset, size) {offset, size, 0, 0, 0xffffffffu, NULL, NULL}

/* One register a line. */
static const struct row rows[] = {
	{0, 0, 0, 0, 0, NULL, NULL},                            /* row 0: none */

	/* Addresses: by 32 bits alone (6.1). That they are locked, FreeBSD's if_re found out. */
	{RTL_IDR, 4, KEEP | LOCK | WIDE, 0, 0xffffffff, NULL, NULL},
	{RTL_IDR + 4, 4, KEEP | LOCK | WIDE, 0, 0x0000ffff, NULL, NULL},
	{RTL_MAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, NULL},
	{RTL_MAR + 4, 4, KEEP | WIDE, 0, 0xffffffff, NULL, NULL},

	{RTL_DTCCR, 4, WIDE, 0, DTCCR_ADDRESS | DTCCR_DUMP | DTCCR_RESET, NULL, rtl8168_write_dtccr},
	{RTL_DTCCR + 4, 4, WIDE, 0, 0xffffffff, NULL, NULL},
	{RTL_TNPDS, 4, WIDE, 0, RING_ALIGN, NULL, rtl8168_write_tnpds},
	{RTL_TNPDS + 4, 4, WIDE, 0, 0xffffffff, NULL, NULL},
	{RTL_THPDS, 4, WIDE, 0, RING_ALIGN, NULL, rtl8168_write_thpds},
	{RTL_THPDS + 4, 4, WIDE, 0, 0xffffffff, NULL, NULL},
	PLAIN(RTL_FLASH, 4),
	{RTL_CR, 1, 0, 0, CR_STOP | CR_RX | CR_TX, rtl8168_read_cr, rtl8168_write_cr},
	{RTL_TPPOLL, 1, 0, 0, 0, rtl8168_read_tppoll, rtl8168_write_tppoll},
	{RTL_IMR, 2, 0, 0, INT_ALL, NULL, rtl8168_write_imr},
	{RTL_ISR, 2, 0, 0, 0, NULL, rtl8168_write_isr},
	{RTL_TCR, 4, KEEP, 0, 0x030f0700, NULL, NULL},
	{RTL_RCR, 4, 0, 0, 0x01ffff7f, NULL, rtl8168_write_rcr},
	{RTL_TCTR, 4, 0, 0, 0, NULL, NULL},                     /* the timer stands still */
	PLAIN(RTL_MPC, 4),
	{RTL_9346CR, 1, KEEP, 0, CR9346_MODE, NULL, rtl8168_write_9346cr},
	{RTL_CONFIG(0), 1, KEEP | LOCK, 0x00, 0x00, NULL, NULL},
	{RTL_CONFIG(1), 1, KEEP | LOCK, 0x0d, 0xff, NULL, NULL}, /* memory, I/O, power management */
	{RTL_CONFIG(2), 1, KEEP | LOCK, 0x00, 0xff, NULL, NULL},
	{RTL_CONFIG(3), 1, KEEP | LOCK, 0x00, 0xff, NULL, NULL},
	{RTL_CONFIG(4), 1, KEEP | LOCK, 0x00, 0xff, NULL, NULL},
	{RTL_CONFIG(5), 1, KEEP | LOCK, 0x00, 0xff, NULL, NULL},
	PLAIN(RTL_TIMERINT, 4),
	{RTL_PHYAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, rtl8168_write_phyar},
	{RTL_PHYSTATUS, 1, 0, 0, 0, rtl8168_read_phystatus, NULL},
	{RTL_PMCH, 1, KEEP, 0x80, 0xff, NULL, NULL},            /* bit 7: the PHY's clock runs */

	/* Registers behind registers: no datasheet, but Linux's r8169. */
	{RTL_CSIDR, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_CSIAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, rtl8168_write_csiar},
	{RTL_ERIDR, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_ERIAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, rtl8168_write_eriar},
	PLAIN(RTL_EPHY_RXER, 4),
	{RTL_EPHYAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, rtl8168_write_ephyar},
	{RTL_OCPDR, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_OCPAR, 4, KEEP | WIDE, 0, 0xffffffff, NULL, rtl8168_write_ocpar},
	{RTL_RDSAR1, 4, KEEP, 0, 0xffffffff, NULL, NULL},       /* and DBG_REG, who has MDIO, ... */

	{RTL_RMS, 2, 0, 0, 0xffff, NULL, NULL},
	{RTL_CPCR, 2, 0, 0, 0xffff, NULL, NULL},
	{RTL_MITIGATE, 2, 0, 0, 0xffff, NULL, NULL},
	{RTL_RDSAR, 4, WIDE, 0, RING_ALIGN, NULL, rtl8168_write_rdsar},
	{RTL_RDSAR + 4, 4, WIDE, 0, 0xffffffff, NULL, NULL},
	{RTL_MTPS, 1, 0, 0x3f, 0x3f, NULL, NULL},
	{RTL_MISC, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_MISC + 4, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_MISC + 8, 4, KEEP, 0, 0xffffffff, NULL, NULL},
	{RTL_MISC + 12, 4, KEEP, 0, 0xffffffff, NULL, NULL},
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(*rows))

void rtl8168_table_init(struct rtl8168 *card)
{
	for (unsigned r = 1; r < ROWS; r++)
		memset(card->row + rows[r].offset, (int)r, rows[r].size);
}

void rtl8168_table_reset(struct rtl8168 *card, bool all)
{
	for (unsigned r = 1; r < ROWS; r++) {
		if (all || !(rows[r].flags & KEEP))
			rtl8168_put(card, rows[r].offset, rows[r].size, rows[r].reset);
	}
}

void rtl8168_list_registers(const struct rtl8168_model *model, card_tell_register *each)
{
	for (unsigned r = 1; r < ROWS; r++) {
		const struct row *row = &rows[r];
		const struct card_register reg = {.offset = row->offset,
			.count = 1,
			.stride = row->size,
			.size = row->size,
			.reset = row->offset == RTL_TCR ? rtl8168_xid(model) : row->reset,
			.writable = row->size == 4 ? row->writable
						   : row->writable & ((1u << 8 * row->size) - 1),
			.acts = row->read || row->write};

		each(&reg);
	}
}

uint32_t rtl8168_reg_read(struct rtl8168 *card, uint32_t offset, unsigned size)
{
	uint32_t value = 0;
	bool known = false;

	for (uint32_t at = offset; at < offset + size && at < RTL8168_REGS;) {
		const struct row *row = &rows[card->row[at]];
		uint32_t n = 1;

		if (row != rows) {
			uint32_t all = row->read ? row->read(card)
						 : rtl8168_get(card, row->offset, row->size);

			n = row->offset + row->size - at;
			if (at + n > offset + size)
				n = offset + size - at;
			all >>= 8 * (at - row->offset);
			memcpy((uint8_t *)&value + (at - offset), &all, n);
			known = true;
		}
		at += n;
	}
	if (!known)
		report_strict(card->report, "read of unknown register 0x%03x", offset);
	return value;
}

/* The bytes [from, from + n) of a row are written; `value` has them in its lowest ones. */
static void write_row(
	struct rtl8168 *card, const struct row *row, uint32_t from, uint32_t n, uint32_t value)
{
	unsigned shift = 8 * (from - row->offset);
	uint32_t mask = (n == 4 ? 0xffffffff : (1u << 8 * n) - 1) << shift;
	uint32_t written = value << shift & mask, now;

	if (row->flags & WIDE && n != 4) {
		report_strict(card->report,
			"write of %u bytes to register 0x%02x, which takes four", n, row->offset);
		return;
	}
	if (row->flags & LOCK && (card->reg[RTL_9346CR] & CR9346_MODE) != CR9346_UNLOCK) {
		report_strict(card->report,
			"write of 0x%x to register 0x%02x, which is locked by 9346CR", written,
			row->offset);
		return;
	}
	if (!row->writable && !row->write) {
		report_strict(card->report, "write of 0x%x to read-only register 0x%02x", written,
			row->offset);
		return;
	}
	now = rtl8168_get(card, row->offset, row->size);
	mask &= row->writable;
	rtl8168_put(card, row->offset, row->size, (now & ~mask) | (written & mask));
	if (row->write)
		row->write(card, written);
}

void rtl8168_reg_write(struct rtl8168 *card, uint32_t offset, unsigned size, uint32_t value)
{
	bool known = false;

	for (uint32_t at = offset; at < offset + size && at < RTL8168_REGS;) {
		const struct row *row = &rows[card->row[at]];
		uint32_t n = 1;

		if (row != rows) {
			n = row->offset + row->size - at;
			if (at + n > offset + size)
				n = offset + size - at;
			write_row(card, row, at, n, value >> 8 * (at - offset));
			known = true;
		}
		at += n;
	}
	if (!known)
		report_strict(
			card->report, "write of 0x%x to unknown register 0x%03x", value, offset);
}
