/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Faults of a card, by name (doc/nicsim.md): what `--fault` and `nicsim ctl fault` ask for.
 */
#ifndef NICSIM_IXGBE_FAULT_H
#define NICSIM_IXGBE_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nicsim/fault.h"
#include "nicsim/loop.h"

enum ixgbe_fault_kind {
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

/* A fault as it is written: NAME or NAME=VALUE[,VALUE...]. */
struct ixgbe_fault_spec {
	unsigned row; /* of the table */
	uint64_t value[3];
	unsigned values;
};

/* False: there is no such fault, or not with those values. */
bool ixgbe_fault_parse(const char *text, struct ixgbe_fault_spec *spec);
/* The names, a line each with its values and what it does. */
void ixgbe_fault_help(char *text, size_t size);

#define IXGBE_FAULT_STUCK 16u  /* registers with stuck bits */
#define IXGBE_FAULT_LATE  256u /* write-backs that are late */

struct ixgbe;

struct ixgbe_faults {
	struct ixgbe *card;
	struct fault function;
	/* What is in force: how often it will strike (UINT64_MAX: always), and its value. */
	struct {
		uint64_t left, value;
	} of[FAULT_KINDS];
	struct {
		uint32_t offset, clear, set;
	} stuck[IXGBE_FAULT_STUCK];
	unsigned stucks;
	uint64_t struck; /* faults that took place, but for those of the function and stuck bits */
	uint64_t noise;  /* state of the generator of garbage */
	struct loop_timer spurious, flap, flush;
	struct ixgbe_late {
		uint64_t address, word[2];
		unsigned words; /* 0: DD of a transmit descriptor */
		unsigned queue;
		uint32_t index;
	} late[IXGBE_FAULT_LATE];
	unsigned lates;
};

/* One more fault, beside those that are in force. -ENOMEM; -ENOSPC: too many stuck registers. */
int ixgbe_fault_set(struct ixgbe *card, const struct ixgbe_fault_spec *spec);
/* All of them end, and what they held up goes on. */
void ixgbe_fault_end(struct ixgbe *card);
/* A reset: what is late will not come any more. */
void ixgbe_fault_forget(struct ixgbe *card);

/* The rest is for who has seen that card->faults is there. */

/* What a register reads instead. */
uint32_t ixgbe_fault_read(const struct ixgbe *card, uint32_t offset, uint32_t value);
/* Whether a direction stands still. */
bool ixgbe_fault_stalls(const struct ixgbe *card, bool rx);
/* A received frame's write-back to the descriptor at `address`: changes it, or deals with it
 * (true).
 */
bool ixgbe_fault_rx(struct ixgbe *card, unsigned queue, uint64_t address, bool advanced,
	uint64_t *first, uint64_t *second);
/* A sent one's: true if it has dealt with it. */
bool ixgbe_fault_tx(struct ixgbe *card, unsigned queue, uint32_t index);
/* What is written as the head. */
uint32_t ixgbe_fault_head(struct ixgbe *card, uint32_t head);

#endif
