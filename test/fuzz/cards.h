/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What fuzz_nicsim's programs need to know of a family of cards to get far with one: its registers
 * and its descriptors. Each family's names are its own: a file each, cards_*.c.
 */
#ifndef TEST_FUZZ_CARDS_H
#define TEST_FUZZ_CARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "frames.h"

struct bench;

struct card_words {
	uint32_t bar, bar_size; /* with the registers */
	bool narrow;            /* which have 8 and 16 bits, too */
	const uint32_t *often;  /* registers that drivers write most */
	unsigned count;
	unsigned queues; /* of each direction; a power of two */
	/* Sets a ring of `bytes` at `ring` up as a driver does, but for what `how` says. */
	void (*set_up)(struct bench *b, bool send, unsigned queue, uint64_t ring, uint32_t bytes,
		uint32_t how);
	void (*tail)(struct bench *b, bool send, unsigned queue, uint32_t index);
	/* A descriptor, to send mostly. */
	void (*descriptor)(uint64_t address, uint32_t what, uint32_t len, uint64_t row[2]);
	/* An empty buffer of so many bytes for what is received; `last`: of the ring. */
	void (*empty)(uint64_t address, uint32_t len, bool last, uint64_t row[2]);
	/* To send that frame, with the offloads that `what` says: up to 3 rows, of which the first
	 * is `at` places in front of the ring's end. Returns how many. */
	unsigned (*send)(const struct shape *shape, uint64_t address, uint32_t what, uint32_t at,
		uint64_t row[][2]);
};

extern const struct card_words ixgbe_words, e1000_words, rtl8168_words;

void write_reg(struct bench *b, uint32_t offset, unsigned size, uint64_t value);

#endif
