/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A function of the e1000 driver's in plain memory, and a card that was opened on it.
 */
#ifndef TEST_UNIT_FAKE_E1000_H
#define TEST_UNIT_FAKE_E1000_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nic/e1000/e1000.h"

#define RING    64u
#define REGS    (0x20000u / 4)
#define PLACES  (4u << 20)
#define BUFFERS 512u

struct pci_function {
	struct pci_id id;
	uint32_t reg[REGS];
	bool gone, master;
	bool deaf;      /* does not end its reset */
	bool no_eeprom; /* nor has an address */
	unsigned irqs, misuse, bars;
	unsigned unowned_resets; /* while MDIO was not software's */
	unsigned vectors;        /* of MSI-X */
	uint32_t stuck_enable;   /* RXDCTL of queue 0: the bit does not come on */
	uint32_t stuck;          /* a register that keeps nothing; 0: none */
};

struct bench {
	struct pci_function fn;
	struct dma_region rings, frames;
	uint64_t iova; /* of the rings; the frames have twice and thrice that */
	uint8_t state[65536];
	struct nic_config config;
	struct nic *nic;
	struct nic_queue *q;                             /* queue 0 */
	uint32_t rx[NIC_MAX_QUEUES], tx[NIC_MAX_QUEUES]; /* the card's heads */
};

uint32_t *at(struct pci_function *fn, uint32_t reg);

/* The offset of a buffer. */
uint32_t buffer(unsigned i);
struct bench *make(uint16_t device);
struct bench *opened(uint16_t device);
/* With as many queues, which all have the frame memory. */
struct bench *opened_with(uint16_t device, unsigned queues);
void throw_away(struct bench *b);
uint64_t *descriptor(struct bench *b, uint32_t base, uint32_t index);
/* Gives queue n buffers from `first` on. */
size_t provide_to(struct bench *b, unsigned n, unsigned first, unsigned count);
size_t provide(struct bench *b, unsigned first, unsigned count);
/* The card writes a received piece back. */
void deliver_to(struct bench *b, unsigned n, uint16_t len, bool end, bool error);
void deliver(struct bench *b, uint16_t len, bool end, bool error);
/* The card sends what was queued and reports where it was asked to; how many frames. */
unsigned transmit_of(struct bench *b, unsigned n);
unsigned transmit(struct bench *b);

/* A model of each generation. */
extern const uint16_t devices[4];

#define FOR_EACH_DEVICE                                               \
	for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) \
		for (struct bench *b = opened(devices[d]); b; throw_away(b), b = NULL)

#endif
