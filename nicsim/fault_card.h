/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card that is out of order, of whatever family: the faults that are in force. The card asks only
 * whether card_faults.now is there; while it is, frames go the exact way.
 */
#ifndef NICSIM_FAULT_CARD_H
#define NICSIM_FAULT_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nicsim/fault_names.h"
#include "nicsim/loop.h"
#include "nicsim/pci.h"

/* A ring as the card's registers have it, of descriptors of 16 bytes. */
struct fault_ring {
	uint64_t base;
	uint32_t size, tail; /* descriptors */
};

/* What a family does for its faults. */
struct fault_ops {
	struct fault_list list;
	uint64_t tx_done;  /* DD in the second quadword of a transmit descriptor */
	uint64_t tx_owned; /* or a bit of its first that falls */
	struct fault_ring (*ring)(void *card, unsigned queue, bool tx);
	/* Sets DD of a transmit descriptor, as after a frame that was sent; the interrupt that
	 * follows a write-back. */
	void (*set_done)(void *card, unsigned queue, uint32_t index);
	void (*cause_queue)(void *card, unsigned queue, bool tx);
	void (*pull_cable)(void *card, bool pulled);
	/* Makes the EEPROM's checksum wrong, or right again. */
	void (*spoil_checksum)(void *card);
	/* At what was held up by faults, which are over. */
	void (*look_again)(void *card);
};

/* A received frame's write-back: the words that make up a descriptor's end, the last with DD. */
struct fault_received {
	unsigned queue;
	uint64_t address; /* of the first */
	uint64_t word[2];
	unsigned words;
	/* Of the last one: the bits DD (or one that falls instead) and EOP, and where 16 bits of
	 * length begin. */
	uint64_t done, owned, end;
	unsigned length;
};

struct faults;

/* A card's. */
struct card_faults {
	struct faults *now; /* NULL: it is well */
	const struct fault_ops *ops;
	void *card;
	struct function *fn;
	struct loop *loop;
};

/* One more fault, beside those that are in force. -ENOMEM; -ENOSPC: too many stuck registers. */
int fault_set(struct card_faults *faults, const struct fault_spec *spec);
/* All of them end, and what they held up goes on. */
void fault_end(struct card_faults *faults);
/* A reset: what is late will not come any more. */
void fault_forget(struct card_faults *faults);
/* What `nicsim ctl fault` asks for: SPEC, none, help. As card_family.command. */
int fault_command(struct card_faults *faults, const char *word, char *text, size_t size);
/* Lines for its counters. */
void fault_counters(const struct card_faults *faults, char *text, size_t size);

/* --- for who has seen that `now` is there --- */

/* What a register reads instead. */
uint32_t fault_read(const struct faults *f, uint32_t offset, uint32_t value);
/* Whether a direction stands still. */
bool fault_stalls(const struct faults *f, bool rx);
/* Changes a write-back, or deals with it (true). */
bool fault_rx(struct faults *f, struct fault_received *received);
/* The same of Intel's cards, whose descriptors have their status in the second quadword: a legacy
 * one's in its high half, behind the length, an extended one's in the low half, and the first
 * quadword is written back, too.
 */
bool fault_rx_words(struct faults *f, unsigned queue, uint64_t address, bool extended,
	uint64_t *first, uint64_t *second);
/* A sent frame's: true if it has dealt with it. */
bool fault_tx(struct faults *f, unsigned queue, uint32_t index);
/* What is written as the head. */
uint32_t fault_head(struct faults *f, uint32_t head);

#endif
