/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Faults of cards by name (doc/nicsim.md): what `--fault` and `nicsim ctl fault` ask for.
 */
#ifndef NICSIM_FAULT_NAMES_H
#define NICSIM_FAULT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	/* of the function (nicsim/fault.h) */
	FAULT_ACCESS,
	FAULT_MESSAGE,
	FAULT_REMOVED,
	FAULT_DMA_READ,
	FAULT_DMA_WRITE,
	FAULT_IRQ_LOST,
	/* of its timers */
	FAULT_IRQ_SPURIOUS,
	FAULT_FLAP,
	/* of the EEPROM */
	FAULT_EEPROM_SUM,
	/* bits that are stuck; by number, and those that have names */
	FAULT_STUCK,
	FAULT_BITS,
	/* of the queues */
	FAULT_RX_STALL,
	FAULT_TX_STALL,
	/* of write-backs */
	FAULT_RX_LATE,
	FAULT_RX_TORN,
	FAULT_RX_HALF,
	FAULT_RX_LENGTH,
	FAULT_RX_ENDLESS,
	FAULT_RX_GARBAGE,
	FAULT_RX_EARLY,
	FAULT_TX_LATE,
	FAULT_TX_LOST,
	FAULT_TX_EARLY,
	FAULT_TX_GARBAGE,
	FAULT_TX_HEAD,
	FAULT_KINDS,
};

/* Bits of a register that are stuck together, under one name. */
struct fault_bits {
	const char *name, *what;
	uint32_t offset, clear, set;
};

/* What can be out of order with the cards of a family. */
struct fault_list {
	const struct fault_bits *bits; /* of its registers */
	unsigned bits_count;
	uint32_t lacks; /* kinds that it does not have, a bit each */
};

#define FAULT_ALWAYS UINT64_MAX

/* A fault as it is written: NAME or NAME=VALUE[,VALUE...]. */
struct fault_spec {
	enum fault_kind kind;
	const struct fault_bits *bits; /* of FAULT_BITS */
	uint64_t value[3];
	uint64_t left; /* how often it strikes; FAULT_ALWAYS */
};

/* False: there is no such fault, or not with those values. */
bool fault_parse(const struct fault_list *list, const char *text, struct fault_spec *spec);
/* The names, a line each with its values and what it does. */
void fault_help(const struct fault_list *list, char *out, size_t size);

#endif
