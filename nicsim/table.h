/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A family's registers: one row each, or for a row of equal ones, and what an access to them does.
 * For the family's table.c alone, which says of what its cards are before it includes this,
 *
 *     #define TABLE_CARD struct ixgbe
 *
 * and defines the rows, in which the first stands for what is not there, and table_value(). A card
 * has the row of each register in row[], by address, and a struct table_latch. What has no row
 * reads 0, ignores writes, and is reported in strict mode.
 */
#ifndef NICSIM_TABLE_H
#define NICSIM_TABLE_H

#include "nicsim/registers.h"

enum {
	ROW_CLEARS = 0x1, /* a read clears it: a counter */
	ROW_LOW = 0x2,    /* a counter's low half, whose high half is the register after it */
	ROW_HIGH = 0x4,   /* that one, which clears both when it is read */
	ROW_COUNTER = ROW_CLEARS | ROW_LOW | ROW_HIGH,
	ROW_ONE = 0x8,  /* writing 1 clears */
	ROW_OWN = 0x10, /* from here on: the family's own */
};

struct row {
	uint32_t offset;
	uint16_t count, stride;
	uint32_t reset, writable;
	uint32_t (*read)(TABLE_CARD *card, uint32_t offset);
	void (*write)(TABLE_CARD *card, uint32_t offset, uint32_t value); /* after the store */
	uint16_t flags;
	/* `alias` not 0: the row is another name for the registers there. */
	uint16_t alias_stride;
	uint32_t alias;
};

/* Where a register's value is. */
static inline uint32_t *table_value(TABLE_CARD *card, const struct row *row, uint32_t offset);

/* Enters a row into a card's. */
static inline void table_enter(TABLE_CARD *card, const struct row *rows, unsigned r)
{
	for (unsigned i = 0; i < rows[r].count; i++)
		card->row[(rows[r].offset + i * rows[r].stride) / 4] = (uint16_t)r;
}

static inline void table_reset(TABLE_CARD *card, const struct row *row)
{
	for (unsigned i = 0; i < row->count && !row->alias; i++)
		*table_value(card, row, row->offset + i * row->stride) = row->reset;
}

static inline void table_tell(const struct row *row, card_tell_register *each)
{
	const struct card_register reg = {.offset = row->offset,
		.count = row->count,
		.stride = row->stride,
		.reset = row->reset,
		.writable = row->writable,
		.alias = row->alias,
		.cleared = row->flags & ROW_COUNTER,
		.acts = row->read || row->write};

	each(&reg);
}

/* The row of a register; an alias is followed to where it leads. */
static inline const struct row *table_find(
	const TABLE_CARD *card, const struct row *rows, uint32_t *offset)
{
	const struct row *row = &rows[card->row[*offset / 4]];

	if (row->alias) {
		*offset = row->alias + (*offset - row->offset) / row->stride * row->alias_stride;
		row = &rows[card->row[*offset / 4]];
	}
	return row;
}

/* Both halves are read as they stood when the low one was, if that was read before; what was
 * counted since then is not lost.
 */
static inline uint32_t table_read_high(TABLE_CARD *card, const struct row *row, uint32_t offset)
{
	uint32_t *low = table_value(card, row, offset - 4), *high = low + 1;
	uint64_t now = *low | (uint64_t)*high << 32, read = now;

	if (card->latch.offset == offset - 4)
		read = card->latch.value;
	card->latch.offset = 0;
	now = now > read ? now - read : 0; /* less: it wrapped, or was reset */
	*low = (uint32_t)now;
	*high = (uint32_t)(now >> 32);
	return (uint32_t)(read >> 32);
}

static inline uint32_t table_read(TABLE_CARD *card, const struct row *rows, uint32_t offset)
{
	const struct row *row = table_find(card, rows, &offset);
	uint32_t value;

	if (row == rows) {
		report_strict(card->report, "read of unknown register 0x%05x", offset);
		return 0;
	}
	if (row->read)
		return row->read(card, offset);
	if (row->flags & ROW_HIGH)
		return table_read_high(card, row, offset);
	value = *table_value(card, row, offset);
	if (row->flags & ROW_CLEARS)
		*table_value(card, row, offset) = 0;
	if (row->flags & ROW_LOW) {
		card->latch.offset = offset;
		card->latch.value = value | (uint64_t)*table_value(card, row, offset + 4) << 32;
	}
	return value;
}

static inline void table_write(
	TABLE_CARD *card, const struct row *rows, uint32_t offset, uint32_t value)
{
	const struct row *row = table_find(card, rows, &offset);
	uint32_t *reg;

	if (row == rows) {
		report_strict(
			card->report, "write of 0x%x to unknown register 0x%05x", value, offset);
		return;
	}
	if (!row->writable && !row->write) {
		report_strict(
			card->report, "write of 0x%x to read-only register 0x%05x", value, offset);
		return;
	}
	reg = table_value(card, row, offset);
	if (row->flags & ROW_ONE)
		*reg &= ~(value & row->writable);
	else
		*reg = (*reg & ~row->writable) | (value & row->writable);
	if (row->write)
		row->write(card, offset, value);
}

#endif
