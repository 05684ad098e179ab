/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The memory of clients that own a queue of a card, as long as the card may reach it: the driver
 * chooses addresses and asks, pcid maps where it can (of VFIO it has the container and the right;
 * a vfio-user connection is the driver's) and keeps memory and addresses for another driver. It is
 * kept, whatever becomes of its client, until the card has let go of it. Private to the card.
 */
#ifndef PCID_MEMORY_H
#define PCID_MEMORY_H

#include "pcid/card.h"

/* The driver asks for the memory of client `id`, a memfd, at those addresses. Says what is wrong.
 * -EDQUOT: larger than a client's may be; -EMFILE: too many clients have some;
 * -EEXIST: it has been asked for, or the addresses are
 * taken; errors as pci_dma_attach_at().
 */
int memory_map(struct card *card, uint32_t id, int memfd, const struct dma_handover *at);
/* Whether memory_map() also maps, or the driver is to. */
bool memory_maps(const struct card *card);
/* The driver says that it has taken the memory away from the card. */
void memory_unmap(struct card *card, uint32_t id);
/* The card is silent, and has no driver: it has no client's memory any more either. */
void memory_drop_all(struct card *card);
/* How many there are; each to a driver that adopts the card, behind its START. As pcid_send(). */
uint32_t memory_count(const struct card *card);
int memory_send_all(const struct card *card, int channel);

#endif
