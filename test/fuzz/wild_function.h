/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in plain memory that is any card's: its registers keep what was written and read
 * what the program says; a family adds what its driver waits for. All of pci.h that drivers use is
 * here; time passes when it is waited for.
 */
#ifndef TEST_FUZZ_WILD_FUNCTION_H
#define TEST_FUZZ_WILD_FUNCTION_H

#include "wild.h"

#define WILD_BAR   0x20000u
#define WILD_HOLDS 8u

struct pci_function {
	struct pci_id id;
	_Alignas(8) uint8_t reg[WILD_BAR];
	uint32_t bar_size;
	unsigned bar; /* the one that there is */
	struct {
		uint32_t at, mask, value;
	} hold[WILD_HOLDS];
	unsigned holds;
	unsigned accesses, vanish_at;
	unsigned irq_have[PCI_IRQ_KINDS];
	bool gone, master, direct;
	unsigned bars, misuse;
	unsigned variant;   /* of the family's own */
	uint32_t cursor[2]; /* the same: where it is in rings without a head */
	uint64_t now_us;
	struct dma_region *rings;
	const struct dma_region *frames;
};

/* 32 bits at a multiple of 4. */
static inline uint32_t *wild_reg(struct pci_function *fn, uint32_t at)
{
	return (uint32_t *)(void *)&fn->reg[at];
}

struct pci_function *wild_new(uint16_t vendor, uint16_t device, unsigned bar, uint32_t bar_size);
/* One of these, or any, from here on. */
void wild_hold_one(
	struct pci_function *fn, struct program *p, const uint32_t *often, unsigned count);
/* So many bytes of memory that the card may use; NULL: it may not, and writes nothing. */
uint8_t *wild_reach(struct pci_function *fn, uint64_t address, uint32_t len);

/* What the family makes of a register's 32 bits when they are read, and after a write to them. */
uint32_t wild_family_read(struct pci_function *fn, uint32_t at, uint32_t value);
void wild_family_write(struct pci_function *fn, uint32_t at, uint32_t value);

#endif
