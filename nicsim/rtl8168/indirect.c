/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registers behind registers. Each pair or word has an address, a flag that is set to write, and
 * data; a command ends at once, which the flag shows: it falls after a write and rises after a
 * read. There is no datasheet of any of it; this is what Linux's r8169 needs.
 */
#include "nicsim/rtl8168/card.h"

/* The flag, when all is done. */
static void finish(struct rtl8168 *card, uint32_t offset, uint32_t command)
{
	rtl8168_put(card, offset, 4, command ^ INDIRECT_FLAG);
}

/* `now` with those bytes of `value` that a mask of four bits names. */
static uint32_t merge(uint32_t now, uint32_t value, uint32_t bytes)
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t mask = 0xffu << 8 * i;

		if (bytes >> i & 1)
			now = (now & ~mask) | (value & mask);
	}
	return now;
}

/* Config space. */
void rtl8168_write_csiar(struct rtl8168 *card, uint32_t written)
{
	unsigned address = written & 0xffc;
	uint32_t value;

	function_config_read(&card->fn, address, &value, sizeof(value));
	if (written & INDIRECT_FLAG) {
		value = merge(value, rtl8168_get(card, RTL_CSIDR, 4), written >> 12 & 15);
		function_config_write(&card->fn, address, &value, sizeof(value));
	} else {
		rtl8168_put(card, RTL_CSIDR, 4, value);
	}
	finish(card, RTL_CSIAR, written);
}

/* The MAC's further registers: they hold what is written. */
void rtl8168_write_eriar(struct rtl8168 *card, uint32_t written)
{
	uint32_t *word = &card->eri[(written & 0xfff) / 4];

	if (written & INDIRECT_FLAG)
		*word = merge(*word, rtl8168_get(card, RTL_ERIDR, 4), written >> 12 & 15);
	else
		rtl8168_put(card, RTL_ERIDR, 4, *word);
	finish(card, RTL_ERIAR, written);
}

/* The PCI Express PHY's: they hold what is written. */
void rtl8168_write_ephyar(struct rtl8168 *card, uint32_t written)
{
	unsigned address = written >> 16 & 0x7f;

	if (written & INDIRECT_FLAG)
		card->ephy[address] = (uint16_t)written;
	else
		written = (written & 0xffff0000) | card->ephy[address];
	finish(card, RTL_EPHYAR, written);
}

/* What the 8168DP has for a management processor, which this one has not: everything reads 0. */
void rtl8168_write_ocpar(struct rtl8168 *card, uint32_t written)
{
	if (!(written & INDIRECT_FLAG))
		rtl8168_put(card, RTL_OCPDR, 4, 0);
	finish(card, RTL_OCPAR, written);
}
