/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card in one call.
 */
#include "nic/card.h"

#include <errno.h>
#include <string.h>

#define SPARE_BUFFERS 1024u

static struct nic_config complete(const struct nic_config *given)
{
	struct nic_config config = {.promiscuous = true};

	if (given)
		config = *given;
	if (!config.queues)
		config.queues = 1;
	if (!config.rx_ring)
		config.rx_ring = NIC_RING_DEFAULT;
	if (!config.tx_ring)
		config.tx_ring = NIC_RING_DEFAULT;
	if (!config.mtu)
		config.mtu = NIC_MTU_DEFAULT;
	return config;
}

/* In whole chunks: they may then be of huge pages. */
static size_t frame_bytes(const struct nic_config *config)
{
	size_t buffers = config->rx_ring + (size_t)config->tx_ring + SPARE_BUFFERS;
	size_t each = DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE;

	return (buffers + each - 1) / each << DMA_CHUNK_SHIFT;
}

int nic_card_open(struct nic_card *card, const char *address, const struct nic_config *config,
	const struct nic_card *beside, struct pci_error *why)
{
	struct nic_config whole = complete(config);
	size_t ring_bytes = nic_ring_bytes(&whole);
	struct pci_error unread;
	int error;

	if (!why)
		why = &unread;
	memset(card, 0, sizeof *card);
	error = pci_open(&card->fn, address, why);
	if (error)
		return error;
	error = beside ? pci_dma_share(card->fn, beside->frames, &card->frames, why)
		       : pci_dma_create(card->fn, frame_bytes(&whole), &card->frames, why);
	if (error)
		goto fail;
	/* No bytes: the queues are not in order, which nic_open() has the words for. */
	error = pci_dma_create(card->fn, ring_bytes ? ring_bytes : 1, &card->rings, why);
	if (error)
		goto fail;
	whole.rings = card->rings;
	whole.frames = card->frames;
	if (!beside) {
		strcpy(why->text, "no memory for a pool");
		error = nic_pool_init(&card->pool, card->frames);
		if (error)
			goto fail;
	}
	error = nic_open(&card->nic, card->fn, &whole, why);
	if (error)
		goto fail;
	card->queue = nic_queue(card->nic, 0);
	return 0;
fail:
	nic_card_close(card);
	return error;
}

void nic_card_close(struct nic_card *card)
{
	nic_close(card->nic);
	nic_pool_fini(&card->pool);
	/* Its regions go with the function. */
	pci_close(card->fn);
	memset(card, 0, sizeof *card);
}

int nic_card_wait_link(struct nic_card *card, unsigned ms)
{
	struct nic_link link = {0};
	int error;

	for (unsigned waited = 0;; waited++) {
		error = nic_link(card->nic, &link);
		if (error || link.up)
			return error;
		if (waited >= ms)
			return -ETIMEDOUT;
		if (waited % 1000 == 999) /* it may have to look for the other end's speed */
			(void)nic_check(card->nic, NULL);
		pci_delay_us(1000);
	}
}
