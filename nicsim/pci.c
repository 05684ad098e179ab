/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Config space: header, power management, MSI, MSI-X, PCI Express, advanced error reporting and
 * serial number. The capabilities stand where the X540 has them, because Linux's driver reads some
 * by their address.
 */
#include "nicsim/pci.h"

#include <string.h>

#include <errno.h>

/* Where the capabilities are (X540 datasheet, 9.3 and 9.4). */
enum {
	CAP_PM = 0x40,
	CAP_MSI = 0x50,
	CAP_MSIX = 0x70,
	CAP_PCIE = 0xa0,
	CAP_AER = 0x100,
	CAP_SERIAL = 0x140,
};

#define PMCSR       (CAP_PM + 4)
#define DEVCTL      (CAP_PCIE + 8)
#define DEVCTL_FLR  0x8000u
#define STATUS_INTX 0x08u /* in the low byte of the status register at 0x06 */
#define PBA_OFFSET  0x2000u

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value & 0xffff);
	put16(at + 2, value >> 16);
}

static unsigned get16(const uint8_t *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static void header(struct function *fn)
{
	const struct function_ident *id = fn->ident;
	uint8_t *c = fn->config, *w = fn->writable;

	put16(c + 0x00, id->vendor);
	put16(c + 0x02, id->device);
	put16(w + PCI_CFG_COMMAND, 0x0547);
	put16(c + 0x06, 0x0010); /* has capabilities */
	put16(fn->clears + 0x06, 0xf900);
	c[0x08] = id->revision;
	put16(c + 0x09, id->class & 0xffff);
	c[0x0b] = (uint8_t)(id->class >> 16);
	w[0x0c] = 0xff; /* cache line size: without effect in PCI Express */
	for (unsigned i = 0; i < 6; i += 2) {
		if (!id->bar_size[i])
			continue;
		if (id->io_bars >> i & 1) {
			c[0x10 + 4 * i] = 0x01;
			put16(w + 0x10 + 4 * i, ~(id->bar_size[i] - 1) & 0xffff);
			continue;
		}
		c[0x10 + 4 * i] = 0x0c; /* 64 bits, prefetchable */
		put32(w + 0x10 + 4 * i, ~(id->bar_size[i] - 1));
		put32(w + 0x14 + 4 * i, 0xffffffff);
	}
	put16(c + 0x2c, id->subvendor);
	put16(c + 0x2e, id->subdevice);
	c[0x34] = CAP_PM;
	w[0x3c] = 0xff;
	c[0x3d] = (uint8_t)(1 + id->function); /* INTA, INTB */
	if (fn->multiple)
		c[0x0e] = 0x80; /* of a device with several functions */
}

static void capabilities(struct function *fn)
{
	uint8_t *c = fn->config, *w = fn->writable;
	unsigned vectors = fn->ident->msix_vectors;
	unsigned speed = fn->ident->pcie_speed, lanes = (unsigned)fn->ident->pcie_lanes << 4;

	/* Power management 1.2: version 3, no soft reset on D3hot to D0. */
	put16(c + CAP_PM, 0x01 | CAP_MSI << 8);
	put16(c + CAP_PM + 2, 0x0003);
	put16(c + PMCSR, 0x0008);
	put16(w + PMCSR, 0x0103);
	fn->clears[PMCSR + 1] = 0x80;

	/* MSI: one vector, 64-bit address, maskable. */
	put16(c + CAP_MSI, 0x05 | (unsigned)(vectors ? CAP_MSIX : CAP_PCIE) << 8);
	put16(c + CAP_MSI + 2, 0x0180);
	put16(w + CAP_MSI + 2, 0x0071);
	put32(w + CAP_MSI + 4, 0xfffffffc);
	put32(w + CAP_MSI + 8, 0xffffffff);
	put16(w + CAP_MSI + 12, 0xffff);
	put32(w + CAP_MSI + 16, 0x00000001);

	if (vectors) {
		put16(c + CAP_MSIX, 0x11 | CAP_PCIE << 8);
		put16(c + CAP_MSIX + 2, vectors - 1);
		put16(w + CAP_MSIX + 2, 0xc000);
		put32(c + CAP_MSIX + 4, fn->ident->msix_bar);
		put32(c + CAP_MSIX + 8, PBA_OFFSET | fn->ident->msix_bar);
	}

	/* PCI Express endpoint: function level reset, the link up at its best. */
	put16(c + CAP_PCIE, 0x10);
	put16(c + CAP_PCIE + 2, 0x0002);
	put32(c + CAP_PCIE + 4, 0x10008cc2);
	put16(c + DEVCTL, 0x2810);
	put16(w + DEVCTL, 0x7fff);
	fn->clears[DEVCTL + 2] = 0x0f;
	put32(c + CAP_PCIE + 12, 0x00427c00 | lanes | speed);
	put16(w + CAP_PCIE + 16, 0x00fb);
	put16(c + CAP_PCIE + 18, 0x1000 | lanes | speed);
	put32(c + CAP_PCIE + 36, 0x0000001f); /* completion time-outs: all ranges */
	put16(w + CAP_PCIE + 40, 0x001f);
	if (speed > 2)
		put32(c + CAP_PCIE + 44, 0x0000000e); /* the speeds it knows */
	put16(c + CAP_PCIE + 48, speed);

	put32(c + CAP_AER, 0x00020001 | CAP_SERIAL << 20);
	put32(fn->clears + CAP_AER + 4, 0x001ff010);
	put32(w + CAP_AER + 8, 0x001ff010);
	put32(c + CAP_AER + 12, 0x00062010);
	put32(w + CAP_AER + 12, 0x001ff010);
	put32(fn->clears + CAP_AER + 16, 0x000031c1);
	put32(c + CAP_AER + 20, 0x00002000);
	put32(w + CAP_AER + 20, 0x000031c1);

	/* A serial number is the MAC address with FFFF in its middle, highest byte last. */
	put32(c + CAP_SERIAL, 0x00010003);
	for (unsigned i = 0; i < 3; i++) {
		c[CAP_SERIAL + 4 + i] = fn->ident->serial[5 - i];
		c[CAP_SERIAL + 9 + i] = fn->ident->serial[2 - i];
	}
	c[CAP_SERIAL + 7] = 0xff;
	c[CAP_SERIAL + 8] = 0xff;
}

static void config_defaults(struct function *fn)
{
	memset(fn->config, 0, sizeof(fn->config));
	header(fn);
	capabilities(fn);
}

void function_init(struct function *fn, const struct card_ops *ops, void *card,
	const struct function_ident *ident, struct dma *dma)
{
	memset(fn, 0, sizeof(*fn));
	fn->ops = ops;
	fn->card = card;
	fn->ident = ident;
	fn->dma = dma;
	fn->window.fd = -1;
	irqs_init(&fn->irqs, ident->msix_vectors);
	config_defaults(fn);
}

void function_share(struct function *fn, struct function *other)
{
	fn->multiple = other->multiple = true;
	config_defaults(fn);
	config_defaults(other);
}

void function_reset(struct function *fn)
{
	irqs_reset(&fn->irqs);
	config_defaults(fn);
	memset(fn->msix, 0, sizeof(fn->msix));
	put16(fn->config + PCI_CFG_COMMAND, PCI_CMD_MEMORY | (fn->ident->io_bars ? PCI_CMD_IO : 0));
	fn->ops->reset(fn->card);
}

void function_set_fault(struct function *fn, struct fault *fault)
{
	fn->fault = fault;
	fn->irqs.fault = fault;
}

static bool is_gone(const struct function *fn)
{
	return fn->fault && fn->fault->gone;
}

void function_config_read(struct function *fn, unsigned offset, void *to, unsigned len)
{
	if (is_gone(fn)) {
		memset(to, 0xff, len);
		return;
	}
	/* The one bit that changes by itself. */
	if (fn->irqs.line && !fn->ident->intx_untold)
		fn->config[0x06] |= STATUS_INTX;
	else
		fn->config[0x06] = (uint8_t)(fn->config[0x06] & ~STATUS_INTX);
	memcpy(to, fn->config + offset, len);
}

void function_config_write(struct function *fn, unsigned offset, const void *from, unsigned len)
{
	const uint8_t *data = from;
	bool master = function_is_master(fn);

	if (is_gone(fn))
		return;
	for (unsigned i = 0; i < len; i++) {
		unsigned at = offset + i;
		unsigned value = fn->config[at];

		value = (value & ~(unsigned)fn->writable[at]) | (data[i] & fn->writable[at]);
		value &= ~(unsigned)(data[i] & fn->clears[at]);
		fn->config[at] = (uint8_t)value;
	}
	if (offset <= DEVCTL + 1 && offset + len > DEVCTL + 1 &&
		data[DEVCTL + 1 - offset] & (DEVCTL_FLR >> 8)) {
		/* A function level reset leaves no address decoded; who asks for it restores. */
		config_defaults(fn);
		memset(fn->msix, 0, sizeof(fn->msix));
		fn->ops->reset(fn->card);
	}
	irqs_line_disable(&fn->irqs, (get16(fn->config + PCI_CFG_COMMAND) & PCI_CMD_INTX) != 0);
	if (!master && function_is_master(fn))
		fn->ops->changed(fn->card);
}

static bool awake(const struct function *fn)
{
	return (fn->config[PMCSR] & 3) == 0;
}

static bool decodes(const struct function *fn, unsigned bar)
{
	unsigned space = fn->ident->io_bars >> bar & 1 ? PCI_CMD_IO : PCI_CMD_MEMORY;

	return awake(fn) && (fn->config[PCI_CFG_COMMAND] & space);
}

/* --- BARs --- */

static bool is_msix(const struct function *fn, unsigned bar)
{
	return fn->ident->msix_bar && bar == fn->ident->msix_bar;
}

/* A doubleword of a BAR, or less of one that the card knows in parts. The MSI-X table is not the
 * card's: over vfio-user vectors are eventfds; what is written there is kept and without effect,
 * pending bits are 0. Vector control (every fourth word) resets to masked, but VFIO's clients own
 * it.
 */
static uint32_t read_part(struct function *fn, unsigned bar, uint32_t offset, unsigned size)
{
	if (!is_msix(fn, bar))
		return fn->ops->read(fn->card, bar, offset, size);
	return offset < sizeof(fn->msix) ? fn->msix[offset / 4] : 0;
}

static void write_part(
	struct function *fn, unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
	if (!is_msix(fn, bar))
		fn->ops->write(fn->card, bar, offset, size, value);
	else if (offset < 16 * fn->ident->msix_vectors)
		fn->msix[offset / 4] = value;
}

uint64_t function_read(struct function *fn, unsigned bar, uint32_t offset, unsigned size)
{
	uint64_t value;

	if (fn->fault && fault_access(fn->fault, &value))
		return value;
	if (!decodes(fn, bar))
		return ~0ull;
	if (size == 8) {
		value = read_part(fn, bar, offset, 4);
		return value | (uint64_t)read_part(fn, bar, offset + 4, 4) << 32;
	}
	if (fn->ops->narrow && !is_msix(fn, bar))
		return read_part(fn, bar, offset, size);
	value = read_part(fn, bar, offset & ~3u, 4);
	return value >> (8 * (offset & 3));
}

void function_write(
	struct function *fn, unsigned bar, uint32_t offset, unsigned size, uint64_t value)
{
	uint64_t ignored;

	if (fn->fault && fault_access(fn->fault, &ignored))
		return;
	if (!decodes(fn, bar))
		return;
	if (size == 8) {
		write_part(fn, bar, offset, 4, (uint32_t)value);
		write_part(fn, bar, offset + 4, 4, (uint32_t)(value >> 32));
	} else if (size == 4 || (fn->ops->narrow && !is_msix(fn, bar))) {
		write_part(fn, bar, offset, size, (uint32_t)value);
	}
}

bool function_is_master(const struct function *fn)
{
	return awake(fn) && (fn->config[PCI_CFG_COMMAND] & PCI_CMD_MASTER);
}

int function_dma_read(struct function *fn, unsigned *hint, uint64_t address, void *to, size_t len)
{
	if (!function_is_master(fn) || (fn->fault && fault_dma(fn->fault, false))) {
		dma_count_refused(fn->dma, address);
		return -EFAULT;
	}
	return dma_read(fn->dma, hint, address, to, len);
}

int function_dma_write(
	struct function *fn, unsigned *hint, uint64_t address, const void *from, size_t len)
{
	if (!function_is_master(fn) || (fn->fault && fault_dma(fn->fault, true))) {
		dma_count_refused(fn->dma, address);
		return -EFAULT;
	}
	return dma_write(fn->dma, hint, address, from, len);
}
