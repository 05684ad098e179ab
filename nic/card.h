/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card in one's own process, in one call: the function, its memory, a pool, the driver. What a
 * program that links the library begins with:
 *
 *     nic_card_open(&card, "0000:01:00.0", NULL, NULL, &why);   or "sim:loop": see pci_open()
 *     n = nic_rx(card.queue, &card.pool, frames, 32);
 *     n = nic_tx(card.queue, &card.pool, frames, n);
 *
 * Who wants it otherwise takes the same steps alone: pci_open(), pci_dma_create(), nic_pool_init(),
 * nic_open(); none of them is hidden here.
 */
#ifndef NIC_CARD_H
#define NIC_CARD_H

#include "nic/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nic_card {
	struct pci_function *fn;
	struct nic *nic;
	struct nic_queue *queue; /* queue 0 */
	struct nic_pool pool;    /* all of `frames`; empty where the memory is another card's */
	struct dma_region *frames;
	struct dma_region *rings;
};

/* Opens the card at an address of pci_open(). `config`: NULL is one queue with rings of
 * NIC_RING_DEFAULT, NIC_MTU_DEFAULT, promiscuous, polled; in one that is given, 0 stands for the
 * default of queues, rx_ring, tx_ring and mtu, and the two regions are made here. Frame memory has
 * room for the rings and 1,024 buffers more: 6 MiB by default, which with the rings is within the
 * 8 MiB that an ordinary user may lock.
 *
 * `beside`: NULL, or a card that is open: this one then works on its frame memory, so that frames
 * go from one to the other without a copy (nic/forward.h), and that one's pool serves both. It is
 * closed last.
 *
 * Errors as pci_open(), pci_dma_create(), nic_open(); nothing is left open then.
 */
int nic_card_open(struct nic_card *card, const char *address, const struct nic_config *config,
	const struct nic_card *beside, struct pci_error *why);
/* Of one that is not open, or whose opening failed, does nothing. */
void nic_card_close(struct nic_card *card);

/* Waits until the link is up: the other end of a cable may take seconds. -ETIMEDOUT after `ms`
 * milliseconds, -ENODEV.
 */
int nic_card_wait_link(struct nic_card *card, unsigned ms);

#ifdef __cplusplus
}
#endif

#endif
