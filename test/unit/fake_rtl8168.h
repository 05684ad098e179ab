/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An RTL8168 in plain memory, as each of its models, under the rtl8168 driver; and a card that is
 * opened on it.
 */
#ifndef TEST_FAKE_RTL8168_H
#define TEST_FAKE_RTL8168_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nic/rtl8168/rtl8168.h"

#define RING    64u
#define PLACES  (4u << 20)
#define OPTIONS UINT64_C(0xFFFFFFFF00000000) /* a descriptor's second word */
#define WHOLE   (DESC_FS | DESC_LS)

struct pci_function {
	struct pci_id id;
	uint8_t reg[4096];
	uint16_t phy[32];
	uint16_t xid;
	bool gone, master;
	bool deaf;       /* does not end its reset */
	bool unheard;    /* does not begin it */
	bool no_address; /* in its EEPROM */
	bool no_link, no_phy, no_tally, no_enable, dash;
	bool no_eri;
	bool locked_write; /* of a register that is locked */
	uint32_t power;    /* behind ERIAR, at 0x1A8 */
	uint32_t then;     /* the same, when the PHY began to negotiate */
	unsigned irqs, bars, bar, polls;
	enum pci_irq irq;
	struct dma_region *rings;
	uint32_t errors; /* of the tally */
	uint16_t missed;
};

/* A register as the card has it, without what an access does. */
uint32_t get(const struct pci_function *fn, uint32_t reg, unsigned size);
void put(struct pci_function *fn, uint32_t reg, unsigned size, uint32_t value);

struct bench {
	struct pci_function fn;
	struct dma_region rings, frames;
	uint64_t iova; /* of the rings; the frames have twice and thrice that */
	uint8_t state[65536];
	struct nic_config config;
	struct nic *nic;
	struct nic_queue *q;
	uint32_t rx, tx; /* where the card is */
};

/* One of each model, by its XID. */
static const uint16_t models[] = {0x300, 0x380, 0x381, 0x3C0, 0x3C2, 0x3C9, 0x281, 0x283, 0x288,
	0x28A, 0x28B, 0x2C1, 0x2C2, 0x2C8, 0x480, 0x481, 0x488, 0x4C0, 0x4C1, 0x509, 0x5C8, 0x540,
	0x541};

#define FOR_EACH_MODEL                                              \
	for (size_t m = 0; m < sizeof models / sizeof *models; m++) \
		for (struct bench *b = opened(models[m]); b; throw_away(b), b = NULL)

/* The card, and that it is opened; opened() does both. */
struct bench *make(uint16_t xid);
struct bench *opened(uint16_t xid);
void throw_away(struct bench *b);
struct nic_stats stats_of(struct bench *b);

/* Offset of the i-th buffer. */
uint32_t buffer(unsigned i);
/* The two quadwords of a descriptor of the ring whose base is that register. */
uint64_t *descriptor(struct bench *b, uint32_t base, uint32_t index);
/* nic_rx_provide() of n buffers from the first on. */
size_t provide(struct bench *b, unsigned first, unsigned n);
/* The card writes `status` back, but for EOR, which it keeps; len is with the CRC. */
void deliver(struct bench *b, uint64_t status, uint16_t len);
/* The card sends what is its own; how many frames. */
unsigned transmit(struct bench *b);

#endif
