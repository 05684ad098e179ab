/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim registers: what a card has, a line for each register or row of equal ones. What is exact
 * of them and what is not, doc/nicsim-registers.md says.
 */
#ifndef NICSIM_REGISTERS_H
#define NICSIM_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

/* A register, or a row of equal ones. */
struct card_register {
	uint32_t offset; /* in the BAR of the registers, of the first */
	uint32_t count, stride;
	unsigned size;            /* bytes; 0: four, and it is no other way */
	uint32_t reset, writable; /* what it holds after a reset, bits that hold what is written */
	uint32_t alias;           /* another address of what lies there, or 0 */
	bool cleared;             /* by reading */
	bool acts;                /* by being read or written at once, not only by what it holds */
};

typedef void card_tell_register(const struct card_register *reg);

/* A counter of two registers, by the address of its low half, as it stood when that was read; 0:
 * none.
 */
struct table_latch {
	uint32_t offset;
	uint64_t value;
};

/* Bits of registers that tell of what is outside the card, and why. */
struct card_outside {
	uint32_t offset, count, stride, bits;
	const char *why;
};

/* What nicsim registers and nicsim replay know of a family's. */
struct card_registers {
	unsigned bar;
	uint32_t address[2]; /* offsets of the station address: four bytes, two bytes */
	const struct card_outside *outside;
	unsigned outsides;
	/* All that a model has, in the table's order. */
	void (*tell)(const void *model, card_tell_register *each);
	/* The name of the model with these ids; NULL: there is none. */
	const char *(*name)(uint16_t vendor, uint16_t device);
	/* Reading it clears it: what it holds depends on the wire. */
	bool (*is_counter)(const void *card, uint32_t offset);
};

/* argv[0] is "registers". The exit status: 0; 2: usage. */
int registers_main(int argc, char **argv);

#endif
