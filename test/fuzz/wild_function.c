/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in plain memory that is any card's.
 */
#include "wild_function.h"

#include <errno.h>
#include <stdlib.h>

#define FAKE_PCI_SIZED
#include "../unit/fake_pci.h"

/* --- a card and memory --- */

struct pci_function *wild_new(uint16_t vendor, uint16_t device, unsigned bar, uint32_t bar_size)
{
	struct pci_function *fn = calloc(1, sizeof(*fn));

	if (!fn)
		abort();
	fn->id = (struct pci_id){.vendor = vendor, .device = device, .class_code = 0x020000};
	fn->bar = bar;
	fn->bar_size = bar_size;
	for (unsigned kind = 0; kind < PCI_IRQ_KINDS; kind++)
		fn->irq_have[kind] = kind == PCI_IRQ_MSIX ? 25 : 1;
	return fn;
}

/* Below 4 GiB, where each of the cards reaches. */
static struct dma_region *new_region(size_t size, uint64_t iova)
{
	struct dma_region *region = calloc(1, sizeof(*region));

	if (!region)
		abort();
	region->size = (size + 4095) / 4096 * 4096;
	region->base = aligned_alloc(4096, region->size);
	if (!region->base)
		abort();
	memset(region->base, 0, region->size);
	region->memfd = -1;
	region->chunks = (uint32_t)((region->size + DMA_CHUNK_SIZE - 1) >> DMA_CHUNK_SHIFT);
	for (uint32_t c = 0; c < region->chunks; c++) /* in no order */
		region->iova[c] = iova + ((uint64_t)(region->chunks - c) << (DMA_CHUNK_SHIFT + 1));
	return region;
}

void wild_free(struct pci_function *fn)
{
	free(fn->rings->base);
	free(fn->rings);
	free(fn);
}

const struct dma_region *wild_frames(struct pci_function *fn)
{
	static struct dma_region *frames;

	if (!frames)
		frames = new_region(2 * DMA_CHUNK_SIZE, 0x50000000);
	fn->frames = frames;
	return frames;
}

const struct dma_region *wild_rings(struct pci_function *fn, size_t size)
{
	fn->rings = new_region(size, 0x51000000);
	return fn->rings;
}

static uint8_t *reach_in(const struct dma_region *region, uint64_t address, uint32_t len)
{
	for (uint32_t c = 0; c < region->chunks; c++) {
		uint64_t at = address - region->iova[c];
		size_t chunk = (size_t)c << DMA_CHUNK_SHIFT;
		size_t size = region->size - chunk;

		if (size > DMA_CHUNK_SIZE)
			size = DMA_CHUNK_SIZE;
		if (at < size && len <= size - at)
			return region->base + chunk + at;
	}
	return NULL;
}

uint8_t *wild_reach(struct pci_function *fn, uint64_t address, uint32_t len)
{
	uint8_t *at = NULL;

	if (fn->master) {
		at = reach_in(fn->rings, address, len);
		if (!at)
			at = reach_in(fn->frames, address, len);
	}
	return at;
}

void wild_hold_one(
	struct pci_function *fn, struct program *p, const uint32_t *often, unsigned count)
{
	uint32_t which = word(p, 1);
	uint32_t at = which < 0x80 ? often[which % count] : word(p, 3) % fn->bar_size & ~3u;
	uint32_t mask = word(p, 4);

	if (fn->holds == WILD_HOLDS) {
		fn->holds = 0;
		return;
	}
	fn->hold[fn->holds].at = at;
	fn->hold[fn->holds].mask = mask;
	fn->hold[fn->holds++].value = word(p, 4) & mask;
}

void wild_vanish(struct pci_function *fn, unsigned accesses)
{
	fn->vanish_at = fn->accesses + accesses;
}

bool wild_complains(const struct pci_function *fn, bool scribbled, bool left)
{
	(void)scribbled; /* nothing is read from where descriptors point */
	return fn->bars || fn->misuse || (fn->master && !fn->gone && !left);
}

/* --- registers --- */

static bool answers(struct pci_function *fn, uint32_t offset, unsigned size)
{
	fn->accesses++;
	if (fn->vanish_at && fn->accesses >= fn->vanish_at)
		fn->gone = true;
	if (offset % size || offset >= fn->bar_size) {
		fn->misuse++;
		return false;
	}
	return !fn->gone;
}

static uint32_t load(const struct pci_bar *bar, uint32_t offset, unsigned size)
{
	struct pci_function *fn = bar->fn;
	const uint32_t at = offset & ~3u;
	uint32_t value;

	if (!answers(fn, offset, size))
		return UINT32_MAX;
	value = wild_family_read(fn, at, *wild_reg(fn, at));
	for (unsigned i = 0; i < fn->holds; i++)
		if (fn->hold[i].at == at)
			value = (value & ~fn->hold[i].mask) | fn->hold[i].value;
	return value >> 8 * (offset & 3);
}

static void store(const struct pci_bar *bar, uint32_t offset, unsigned size, uint32_t value)
{
	struct pci_function *fn = bar->fn;
	const uint32_t at = offset & ~3u;

	if (!answers(fn, offset, size))
		return;
	memcpy(&fn->reg[offset], &value, size);
	wild_family_write(fn, at, *wild_reg(fn, at));
}

volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset)
{
	return bar->fn->direct && offset < bar->fn->bar_size
		       ? (volatile uint8_t __iomem *)&bar->fn->reg[offset]
		       : NULL;
}

static int wait_for(const struct pci_bar *bar, uint32_t offset, unsigned size, uint32_t mask,
	uint32_t value, unsigned timeout_us)
{
	struct pci_function *fn = bar->fn;
	uint64_t end = fn->now_us + timeout_us;

	for (;;) {
		uint32_t found = load(bar, offset, size);

		if (fn->gone)
			return -ENODEV;
		if ((found & mask) == value)
			return 0;
		if (fn->now_us >= end)
			return -ETIMEDOUT;
		fn->now_us += 1 + timeout_us / 16;
	}
}

int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value,
	unsigned timeout_us)
{
	return wait_for(bar, offset, 4, mask, value, timeout_us);
}

int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value,
	unsigned timeout_us)
{
	return wait_for(bar, offset, 1, mask, value, timeout_us);
}

/* --- the rest of pci.h --- */

void pci_delay_us(unsigned us)
{
	(void)us;
}

void pci_set_gone(struct pci_function *fn)
{
	fn->gone = true;
}

int pci_config_read(struct pci_function *fn, unsigned offset, unsigned size, uint32_t *value)
{
	(void)offset, (void)size;
	*value = 0;
	return fn->gone ? -ENODEV : 0;
}

int pci_config_write(struct pci_function *fn, unsigned offset, unsigned size, uint32_t value)
{
	(void)offset, (void)size, (void)value;
	return fn->gone ? -ENODEV : 0;
}

int pci_find_capability(struct pci_function *fn, uint8_t id)
{
	(void)id;
	return fn->gone ? -ENODEV : 0;
}

int pci_quiesce(struct pci_function *fn)
{
	fn->master = false;
	return fn->gone ? -ENODEV : 0;
}

int pci_set_bus_master(struct pci_function *fn, bool on)
{
	fn->master = on;
	return fn->gone ? -ENODEV : 0;
}

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	if (index != fn->bar) {
		memcpy(why->text, "no such BAR", 12);
		return -EINVAL;
	}
	*bar = (struct pci_bar){.fn = fn, .size = fn->bar_size, .alive = alive, .index = index};
	fn->bars++;
	return 0;
}

int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[])
{
	if (fn->gone)
		return -ENODEV;
	if (!vectors || vectors > fn->irq_have[kind])
		abort(); /* it was told how many there are */
	for (unsigned i = 0; i < vectors; i++)
		fd[i] = 100 + (int)i;
	return 0;
}

void pci_irq_disable(struct pci_function *fn)
{
	(void)fn;
}

int pci_irq_unmask(struct pci_function *fn)
{
	return fn->gone ? -ENODEV : 0;
}
