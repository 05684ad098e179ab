/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in this process's own memory, for measuring a driver: its BAR is plain memory,
 * with as much of an 82599 in it as nic_open() waits for. The real pci/ lies above it, so that what
 * an access costs on its way to the bus is measured with the driver. What the card does with its
 * rings is in device.h.
 */
#ifndef BENCH_DRIVER_CARD_H
#define BENCH_DRIVER_CARD_H

#include "pci/pci.h"

/* Accesses that came as messages. */
struct card_accesses {
	uint64_t rx_tails, tx_tails; /* doorbells */
	uint64_t others;             /* reads, and writes of any other register */
};

struct card;

/* Where the pages with the tails are mapped, a doorbell is a store, as on a real card; where they
 * are not, each access is a message and counted. -ENOMEM.
 */
int card_open(struct card **out, bool mapped);
/* The driver is closed. */
void card_close(struct card *card);
struct pci_function *card_function(struct card *card);

uint32_t card_read(const struct card *card, uint32_t reg);
void card_write(struct card *card, uint32_t reg, uint32_t value);
/* Memory of a region made for this function; NULL: not all of it was mapped for the card. */
uint8_t *card_reach(const struct card *card, uint64_t iova, size_t len);

/* Since the card was opened. */
struct card_accesses card_accesses(const struct card *card);

#endif
