/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The half of pci.h that functions in plain memory have in common: definitions, for the one .c file
 * of a fake, after its struct pci_function. What differs stays in the fake, which says what kind it
 * is before it includes this:
 *
 *     FAKE_PCI_SIZED  has registers of 8, 16 and 32 bits, through load() and store() of its own;
 *                     else of 32 bits alone: an access to others counts as `misuse`
 *     FAKE_PCI_STILL  nothing takes time, and little goes wrong; `master` and `irqs` are what is
 *                     on; else that is the fake's own, and `irq_have` how many interrupts it has
 */
#ifndef TEST_FAKE_PCI_H
#define TEST_FAKE_PCI_H

#include <errno.h>

#include "pci/pci.h"

const struct pci_id *pci_ident(const struct pci_function *fn)
{
	return &fn->id;
}

bool pci_gone(const struct pci_function *fn)
{
	return fn->gone;
}

const bool *pci_gone_flag(const struct pci_function *fn)
{
	return &fn->gone;
}

/* --- registers --- */

void reg_publish(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	reg_write(bar, offset, value);
}

void reg_publish8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	reg_write8(bar, offset, value);
}

void reg_set(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) | bits);
}

void reg_clear(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) & ~bits);
}

#ifdef FAKE_PCI_SIZED

static uint32_t load(const struct pci_bar *bar, uint32_t offset, unsigned size);
static void store(const struct pci_bar *bar, uint32_t offset, unsigned size, uint32_t value);

uint32_t reg_read(const struct pci_bar *bar, uint32_t offset)
{
	return load(bar, offset, 4);
}

uint16_t reg_read16(const struct pci_bar *bar, uint32_t offset)
{
	return (uint16_t)load(bar, offset, 2);
}

uint8_t reg_read8(const struct pci_bar *bar, uint32_t offset)
{
	return (uint8_t)load(bar, offset, 1);
}

void reg_write(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	store(bar, offset, 4, value);
}

void reg_write16(const struct pci_bar *bar, uint32_t offset, uint16_t value)
{
	store(bar, offset, 2, value);
}

void reg_write8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	store(bar, offset, 1, value);
}

#else

/* It has none. */
uint8_t reg_read8(const struct pci_bar *bar, uint32_t offset)
{
	(void)offset;
	bar->fn->misuse++;
	return UINT8_MAX;
}

uint16_t reg_read16(const struct pci_bar *bar, uint32_t offset)
{
	(void)offset;
	bar->fn->misuse++;
	return UINT16_MAX;
}

void reg_write8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	(void)offset, (void)value;
	bar->fn->misuse++;
}

void reg_write16(const struct pci_bar *bar, uint32_t offset, uint16_t value)
{
	(void)offset, (void)value;
	bar->fn->misuse++;
}

int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value, unsigned us)
{
	(void)mask, (void)us;
	reg_write8(bar, offset, value);
	return -ETIMEDOUT;
}

#endif

#ifdef FAKE_PCI_STILL

volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset)
{
	(void)bar, (void)offset;
	return NULL;
}

int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value, unsigned us)
{
	(void)us;
	if (bar->fn->gone)
		return -ENODEV;
	return (reg_read(bar, offset) & mask) == value ? 0 : -ETIMEDOUT;
}

void pci_delay_us(unsigned us)
{
	(void)us;
}

const char *pci_address(const struct pci_function *fn)
{
	(void)fn;
	return "memory";
}

bool pci_dma_same(const struct dma_region *a, const struct dma_region *b)
{
	return a == b;
}

int pci_quiesce(struct pci_function *fn)
{
	fn->master = false;
	return fn->gone ? -ENODEV : 0;
}

int pci_set_bus_master(struct pci_function *fn, bool on)
{
	fn->master = on;
	return 0;
}

void pci_bar_unmap(struct pci_bar *bar)
{
	bar->fn->bars--;
}

void pci_irq_disable(struct pci_function *fn)
{
	fn->irqs = 0;
}

int pci_irq_unmask(struct pci_function *fn)
{
	(void)fn;
	return 0;
}

#else

const char *pci_address(const struct pci_function *fn)
{
	(void)fn;
	return "0000:01:00.0";
}

bool pci_dma_same(const struct dma_region *a, const struct dma_region *b)
{
	return a->base == b->base;
}

void pci_bar_unmap(struct pci_bar *bar)
{
	bar->fn->bars--;
	*bar = (struct pci_bar){0};
}

unsigned pci_irq_count(struct pci_function *fn, enum pci_irq kind)
{
	return fn->irq_have[kind];
}

#endif

#endif
