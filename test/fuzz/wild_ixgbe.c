/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ixgbe family: the unit tests' card, which obeys but for what the program says.
 */
#include <stdlib.h>

#include "../unit/fake_card.h"
#include "wild.h"

static struct dma_region *rings;

struct pci_function *wild_card(struct program *p, uint32_t what)
{
	static const uint16_t devices[] = {0x10fb, 0x10f7, 0x1528, 0x1563, 0x15ad, 0x15c8};
	struct pci_function *fn =
		fake_card_new(devices[(what & 7) % (sizeof(devices) / sizeof(*devices))]);

	fn->one_run = what & 8;
	fn->direct = what & 16;
	if (what & 32)
		fn->irq_have[PCI_IRQ_MSIX] = 0;
	for (unsigned n = what >> 13 & 3; n; n--) {
		uint32_t at = word(p, 1) % 0x40;

		fn->eeprom[at] = (uint16_t)number(p, 2);
	}
	return fn;
}

void wild_free(struct pci_function *fn)
{
	fake_region_free(rings);
	fake_card_free(fn);
}

/* 4 MiB for each input would be most of its time. */
const struct dma_region *wild_frames(struct pci_function *fn)
{
	static const struct dma_region *made[2];
	const struct dma_region **region = &made[fn->one_run];

	if (!*region)
		*region = fake_region_new(fn, 2 * DMA_CHUNK_SIZE);
	fn->region[0] = *region;
	return *region;
}

const struct dma_region *wild_rings(struct pci_function *fn, size_t size)
{
	rings = fake_region_new(fn, size);
	return rings;
}

void wild_hold(struct pci_function *fn, struct program *p)
{
	static const uint32_t often[] = {CTRL, STATUS, EEC, EERD, SWSM, SW_FW_SYNC, EICR, LINKS,
		RDRXCTL, SECRXSTAT, MSCA, MSRWD, RAL(0), RAH(0), RXDCTL(0), TXDCTL(0), RXCTRL,
		DMATXCTL, ANLP1, ESDP, RDH(0), TDH(0)};
	uint32_t which = word(p, 1);
	uint32_t reg = which < 0x80 ? often[which % (sizeof(often) / sizeof(*often))]
				    : word(p, 2) & 0x1fffc;
	uint32_t mask = word(p, 4);

	if (fn->holds < FAKE_HOLDS)
		fake_hold(fn, reg, mask, word(p, 4) & mask);
	else
		fn->holds = 0;
}

void wild_receive(struct pci_function *fn, struct program *p)
{
	static const uint8_t frame[16384];
	uint32_t what = word(p, 2);

	if (what & 0x8000)
		(void)fake_write_back(fn, number(p, 8));
	else
		(void)fake_receive_on(fn, what >> 12 & 3, frame,
			what & 0x800 ? (what & 0x7ff) * 8 : what & 0x7ff);
}

void wild_transmit(struct pci_function *fn, unsigned queue, unsigned n)
{
	(void)fake_transmit_on(fn, queue, n);
}

void wild_vanish(struct pci_function *fn, unsigned accesses)
{
	fn->vanish_at = fn->accesses + accesses;
}

bool wild_complains(const struct pci_function *fn, bool scribbled, bool left)
{
	(void)left;
	return fn->bars || fn->misuse || (fn->wild && !scribbled);
}
