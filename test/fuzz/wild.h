/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card behind fuzz_driver's driver: what it is made of, what it answers, what it writes to
 * memory. One of each family: wild_ixgbe.c over the unit tests' card, the others over
 * wild_function.c.
 */
#ifndef TEST_FUZZ_WILD_H
#define TEST_FUZZ_WILD_H

#include "nic/nic.h"
#include "program.h"

#define WILD_QUEUES 4u

/* A card of the family; of `what` the lowest bits say which, others how it is built. */
struct pci_function *wild_card(struct program *p, uint32_t what);
void wild_free(struct pci_function *fn);
/* Zeroed memory that the card may use; `which` as they are made: frames (of which there is one,
 * kept from one input to the next), then rings.
 */
const struct dma_region *wild_frames(struct pci_function *fn);
const struct dma_region *wild_rings(struct pci_function *fn, size_t size);

/* From here on some register reads so. */
void wild_hold(struct pci_function *fn, struct program *p);
/* The card receives something, or writes what it should not. */
void wild_receive(struct pci_function *fn, struct program *p);
/* It works off up to n descriptors of a queue. */
void wild_transmit(struct pci_function *fn, unsigned queue, unsigned n);
/* It is gone `accesses` from now. */
void wild_vanish(struct pci_function *fn, unsigned accesses);
/* After nic_close(): whether the driver left something behind or reached for what is not there.
 * `scribbled`: its descriptors were another's; `left`: nobody stopped the card.
 */
bool wild_complains(const struct pci_function *fn, bool scribbled, bool left);

#endif
