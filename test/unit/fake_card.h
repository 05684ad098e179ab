/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in plain memory, for tests of a driver: it answers the whole of pci.h that a
 * driver uses, with a register file, time that passes only when it is waited for, and an obedient
 * little card of the 82599 kind behind it. A test can hold bits, make the card vanish at any
 * access, and read what was written.
 */
#ifndef TEST_FAKE_CARD_H
#define TEST_FAKE_CARD_H

#include "fake_module.h"
#include "nic/driver.h"
#include "nic/ixgbe/ixgbe.h"

#define FAKE_REGS    (0x20000u / 4)
#define FAKE_EEPROM  1024u
#define FAKE_HOLDS   8u
#define FAKE_REGIONS 4u
#define FAKE_SENT    64u

struct fake_sent {
	uint32_t first; /* offset of its first piece in the frame region */
	uint32_t bytes;
	uint32_t pieces;
	uint64_t word;       /* the first piece's second quadword */
	uint64_t context[2]; /* as the card has it that the word names */
};

struct pci_function {
	struct pci_id id;
	uint32_t reg[FAKE_REGS];
	uint16_t eeprom[FAKE_EEPROM];
	uint16_t phy_control; /* MDIO device 30, register 0, of the PHY at phy_address */
	unsigned phy_address;
	struct fake_module module; /* an 82599's: a 10GBASE-SR one of Intel's */
	uint64_t clock_let_go_us;  /* when the driver last let the module's clock rise */
	uint16_t corectl[8];       /* the last that were written there */
	unsigned corectls;
	unsigned commands; /* that an X550's firmware was given, each with its semaphore */

	/* what a test sets */
	unsigned module_holds_us; /* its clock, each time */
	unsigned vanish_at;       /* the access from which on all reads are all-ones; 0: never */
	struct {
		uint32_t reg, mask, value;
	} hold[FAKE_HOLDS]; /* these bits read so, whatever is written */
	unsigned holds;
	unsigned irq_have[PCI_IRQ_KINDS];
	uint32_t bar_size;
	bool one_run;   /* of regions that are made from then on: one chunk behind the other */
	bool direct;    /* tails are written past tail_writes, as to a mapped BAR */
	bool lit;       /* a reset leaves the transmitter on */
	bool link_fell; /* since the last read: the next one says so once more */
	const struct dma_region *region[FAKE_REGIONS];

	/* what a test reads */
	unsigned accesses;
	bool gone;
	bool bus_master;
	bool bus_master_when_started; /* as the first queue was enabled */
	bool routed_when_stopped;     /* RETA led to a receive queue that was disabled */
	unsigned resets, quiesced, bars, misuse;
	unsigned irq_enabled; /* vectors */
	enum pci_irq irq_kind;
	unsigned irq_unmasked;
	unsigned tail_writes;
	struct fake_sent sent[FAKE_SENT];
	unsigned sent_frames;
	struct fake_tx {                /* of a queue */
		struct fake_sent frame; /* of which not all is sent */
		uint64_t context[2][2];
	} tx[NIC_MAX_QUEUES];
	unsigned contexts; /* written */
	unsigned wild;     /* DMA outside the regions or without bus mastering */
};

extern uint64_t fake_now_us;
extern unsigned fake_slack_us; /* that a sleep takes beyond what was asked for */

/* A card with a valid EEPROM. */
struct pci_function *fake_card_new(uint16_t device);
void fake_card_free(struct pci_function *fn);
/* Whole pages of memory that is zeroed, with IOVAs that are in no order. */
struct dma_region *fake_region_new(struct pci_function *fn, size_t size);
void fake_region_free(struct dma_region *region);

uint32_t fake_read(struct pci_function *fn, uint32_t reg); /* without the driver's side effects */
void fake_set(struct pci_function *fn, uint32_t reg, uint32_t value);
void fake_hold(struct pci_function *fn, uint32_t reg, uint32_t mask, uint32_t value);

/* The card receives a frame on that queue, or queue 0, in as many buffers as it takes: false if it
 * owns too few descriptors.
 */
bool fake_receive_on(struct pci_function *fn, unsigned queue, const void *data, uint32_t len);
bool fake_receive(struct pci_function *fn, const void *data, uint32_t len);
/* Writes that back instead, as a broken card does, and takes the descriptor. */
bool fake_write_back(struct pci_function *fn, uint64_t word);
/* Works off up to n descriptors of that transmit queue, or queue 0; returns how many. */
unsigned fake_transmit_on(struct pci_function *fn, unsigned queue, unsigned n);
unsigned fake_transmit(struct pci_function *fn, unsigned n);

#endif
