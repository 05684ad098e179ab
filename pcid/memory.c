/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Clients' memory that the card reaches.
 */
#include "pcid/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct card_memory {
	uint32_t id; /* of the client; it may be gone */
	int memfd;
	struct dma_handover at;
	struct dma_region *region; /* of card->fn; NULL: mapped by the driver */
	struct card_memory *next;
};

static struct card_memory **find(struct card *card, uint32_t id)
{
	struct card_memory **link = &card->memory;

	while (*link != NULL && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

/* What a driver may ask for at all. */
static int judge(struct card *card, uint32_t id, int memfd, const struct dma_handover *at)
{
	size_t limit = card->pcid->options.client_bytes;
	struct stat status;

	if (*find(card, id) != NULL)
		return -EEXIST;
	if (memory_count(card) >= PCID_MEMORIES)
		return -EMFILE;
	if (fstat(memfd, &status) != 0 || (uint64_t)status.st_size != at->size)
		return -EINVAL;
	if (at->size > limit) {
		complain("network:%s: a client's memory of %llu KiB is not mapped for the card: "
			 "--client-mib allows %zu MiB",
			card->name.scheme, (unsigned long long)at->size >> 10, limit >> 20);
		return -EDQUOT;
	}
	return 0;
}

bool memory_maps(const struct card *card)
{
	return card->fn != NULL;
}

int memory_map(struct card *card, uint32_t id, int memfd, const struct dma_handover *at)
{
	struct card_memory *memory;
	struct pci_error why = {""};
	int error = judge(card, id, memfd, at);

	if (error != 0)
		return error;
	memory = calloc(1, sizeof(*memory));
	if (memory == NULL)
		return -ENOMEM;
	*memory = (struct card_memory){.id = id, .at = *at, .next = card->memory};
	memory->memfd = fcntl(memfd, F_DUPFD_CLOEXEC, 3);
	if (memory->memfd < 0) {
		error = -errno;
		goto no_memfd;
	}
	if (memory_maps(card)) {
		error = pci_dma_attach_at(card->fn, memfd, at, &memory->region, &why);
		if (error != 0) {
			complain("network:%s: a client's memory: %s", card->name.scheme, why.text);
			goto no_map;
		}
	}
	card->memory = memory;
	return 0;
no_map:
	(void)close(memory->memfd);
no_memfd:
	free(memory);
	return error;
}

static void drop(struct card *card, struct card_memory **link)
{
	struct card_memory *memory = *link;

	*link = memory->next;
	if (memory->region != NULL)
		pci_dma_destroy(card->fn, memory->region);
	(void)close(memory->memfd);
	free(memory);
}

void memory_unmap(struct card *card, uint32_t id)
{
	struct card_memory **link = find(card, id);

	if (*link != NULL)
		drop(card, link);
}

void memory_drop_all(struct card *card)
{
	while (card->memory != NULL)
		drop(card, &card->memory);
}

uint32_t memory_count(const struct card *card)
{
	uint32_t count = 0;

	for (const struct card_memory *m = card->memory; m != NULL; m = m->next)
		count++;
	return count;
}

int memory_send_all(const struct card *card, int channel)
{
	int error = 0;

	for (const struct card_memory *m = card->memory; m != NULL && error == 0; m = m->next) {
		struct pcid_message message = {.type = PCID_MEMORY, .fds = 1};

		message.memory.id = m->id;
		message.memory.at = m->at;
		error = pcid_send(channel, &message, &m->memfd);
	}
	return error;
}
