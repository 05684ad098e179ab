/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in this process's own memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/driver/card.h"
#include "nic/ixgbe/ixgbe_regs.h"
#include "pci/function.h"

#define BAR_BYTES    0x20000u
#define CONFIG_BYTES 256u
#define MAPS         20u /* rings, and frames of 16 queues */

struct card {
	struct pci_function fn; /* first: what pci/ passes on is the card */
	uint8_t config[CONFIG_BYTES];
	int memfd; /* the registers */
	uint32_t *reg;
	bool mapped;
	struct card_accesses accesses;
	struct card_map {
		uint64_t iova;
		size_t size;
		uint8_t *base;
	} map[MAPS];
	unsigned maps;
};

/* What shared memory can hold: plain values, as the next process to look reads them. */
uint32_t card_read(const struct card *card, uint32_t reg)
{
	return __atomic_load_n(&card->reg[reg / 4], __ATOMIC_ACQUIRE);
}

void card_write(struct card *card, uint32_t reg, uint32_t value)
{
	__atomic_store_n(&card->reg[reg / 4], value, __ATOMIC_RELEASE);
}

struct card_accesses card_accesses(const struct card *card)
{
	return card->accesses;
}

/* --- registers that are more than memory --- */

static void reset(struct card *card)
{
	memset(card->reg, 0, BAR_BYTES);
	card_write(card, EEC, EEC_PRES | EEC_AUTO_RD);
	card_write(card, RAL(0), 0x44332202);
	card_write(card, RAH(0), 0x6655 | RAH_VALID);
	card_write(card, RDRXCTL, RDRXCTL_DMAIDONE);
	card_write(card, SECRXSTAT, SECRXSTAT_RDY);
	card_write(card, LINKS, LINKS_UP | 3u << LINKS_SPEED_SHIFT);
}

/* An EEPROM of 64 words: no sections, all zero but for the checksum (82599 datasheet 6.2). */
static uint32_t eeprom_word(uint32_t address)
{
	return address == 0x3F ? 0xBABA : 0;
}

static void written(struct card *card, uint32_t reg, uint32_t value)
{
	card_write(card, reg, value);
	if (reg == CTRL && value & CTRL_RST)
		reset(card);
	if (reg == CTRL)
		card_write(card, STATUS, value & CTRL_MASTER_DISABLE ? 0 : STATUS_MASTER_ENABLE);
	if (reg == EERD)
		card_write(card, EERD,
			EERD_DONE | eeprom_word(value >> EERD_ADDRESS_SHIFT) << EERD_DATA_SHIFT);
}

static bool is_tail(uint32_t reg, uint32_t first)
{
	return reg >= first && reg < first + 0x1000 && reg % 0x40 == first % 0x40;
}

/* --- the function, as pci/ wants it --- */

static int function_read(
	struct pci_function *fn, unsigned region, uint64_t offset, unsigned size, uint32_t *value)
{
	struct card *card = (struct card *)fn;

	*value = 0;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (offset + size > CONFIG_BYTES)
			return -EINVAL;
		memcpy(value, card->config + offset, size);
		return 0;
	}
	card->accesses.others++;
	*value = card_read(card, (uint32_t)offset);
	return 0;
}

static int function_write(struct pci_function *fn, unsigned region, uint64_t offset, unsigned size,
	uint32_t value, bool posted)
{
	struct card *card = (struct card *)fn;
	uint32_t reg = (uint32_t)offset;

	(void)posted;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (offset + size > CONFIG_BYTES)
			return -EINVAL;
		memcpy(card->config + offset, &value, size);
		return 0;
	}
	if (is_tail(reg, RDT(0)))
		card->accesses.rx_tails++;
	else if (is_tail(reg, TDT(0)))
		card->accesses.tx_tails++;
	else
		card->accesses.others++;
	written(card, reg, value);
	return 0;
}

/* The registers' description: in the mapped card the two pages that hold the tails, which beside
 * them have nothing that is more than memory.
 */
static int function_region(struct pci_function *fn, unsigned index, uint8_t info[PCI_MAX_INFO],
	int *fd, struct pci_error *why)
{
	const uint64_t page[2] = {RDT(0) / PCI_PAGE * PCI_PAGE, TDT(0) / PCI_PAGE * PCI_PAGE};
	struct card *card = (struct card *)fn;
	struct vfio_region_info head = {.argsz = sizeof head, .index = index};
	struct vfio_region_info_cap_sparse_mmap sparse = {
		.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1},
		.nr_areas = 2,
	};
	size_t at = sizeof head;

	(void)why;
	*fd = -1;
	head.size = index == VFIO_PCI_CONFIG_REGION_INDEX ? CONFIG_BYTES : BAR_BYTES;
	head.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (card->mapped && index == VFIO_PCI_BAR0_REGION_INDEX) {
		head.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		head.cap_offset = (uint32_t)at;
		memcpy(info + at, &sparse, sizeof sparse);
		at += sizeof sparse;
		for (unsigned i = 0; i < 2; i++, at += sizeof(struct vfio_region_sparse_mmap_area))
			memcpy(info + at,
				&(struct vfio_region_sparse_mmap_area){
					.offset = page[i], .size = PCI_PAGE},
				sizeof(struct vfio_region_sparse_mmap_area));
		*fd = fcntl(card->memfd, F_DUPFD_CLOEXEC, 0);
		if (*fd < 0)
			return -errno;
	}
	memcpy(info, &head, sizeof head);
	return (int)at;
}

static int function_dma_map(struct pci_function *fn, const struct dma_region *region, size_t offset,
	uint64_t iova, size_t size, struct pci_error *why)
{
	struct card *card = (struct card *)fn;

	if (card->maps == MAPS)
		return pci_fail(why, -ENOSPC, "the card has room for %u maps", MAPS);
	card->map[card->maps++] =
		(struct card_map){.iova = iova, .size = size, .base = region->base + offset};
	return 0;
}

static void function_dma_unmap(struct pci_function *fn, uint64_t iova, size_t size)
{
	struct card *card = (struct card *)fn;

	(void)size;
	for (unsigned i = 0; i < card->maps; i++)
		if (card->map[i].iova == iova) {
			card->map[i] = card->map[--card->maps];
			return;
		}
}

uint8_t *card_reach(const struct card *card, uint64_t iova, size_t len)
{
	for (unsigned i = 0; i < card->maps; i++) {
		uint64_t at = iova - card->map[i].iova;

		if (at < card->map[i].size && len <= card->map[i].size - at)
			return card->map[i].base + at;
	}
	return NULL;
}

static int function_irq_count(struct pci_function *fn, unsigned index)
{
	(void)fn;
	(void)index;
	return 0;
}

static int function_irq_set(
	struct pci_function *fn, unsigned index, uint32_t flags, unsigned count, const int *fds)
{
	(void)fn;
	(void)index;
	(void)flags;
	(void)count;
	(void)fds;
	return 0;
}

static int function_reset(struct pci_function *fn)
{
	(void)fn;
	return -ENOTSUP;
}

static void function_close(struct pci_function *fn)
{
	struct card *card = (struct card *)fn;

	munmap(card->reg, BAR_BYTES);
	close(card->memfd);
	free(card);
}

static const struct pci_backend backend = {
	.close = function_close,
	.read = function_read,
	.write = function_write,
	.region = function_region,
	.irq_count = function_irq_count,
	.irq_set = function_irq_set,
	.dma_map = function_dma_map,
	.dma_unmap = function_dma_unmap,
	.reset = function_reset,
};

int card_open(struct card **out, bool mapped)
{
	static const struct iova_run all = {0, (UINT64_C(1) << 48) - 1};
	struct card *card = calloc(1, sizeof *card);

	if (!card)
		return -ENOMEM;
	card->mapped = mapped;
	card->memfd = memfd_create("bench-card", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (card->memfd < 0)
		goto no_memfd;
	if (ftruncate(card->memfd, BAR_BYTES) ||
		fcntl(card->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		goto no_mapping;
	card->reg = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, card->memfd, 0);
	if (card->reg == MAP_FAILED)
		goto no_mapping;
	if (iova_init(&card->fn.iova, &all, 1))
		goto no_iova;
	pci_function_init(&card->fn, &backend, "memory");
	card->fn.config_size = CONFIG_BYTES;
	card->fn.id = (struct pci_id){.vendor = 0x8086, .device = 0x10FB, .class_code = 0x020000};
	reset(card);
	*out = card;
	return 0;
no_iova:
	munmap(card->reg, BAR_BYTES);
no_mapping:
	close(card->memfd);
no_memfd:
	free(card);
	return -ENOMEM;
}

void card_close(struct card *card)
{
	pci_close(&card->fn);
}

struct pci_function *card_function(struct card *card)
{
	return &card->fn;
}
