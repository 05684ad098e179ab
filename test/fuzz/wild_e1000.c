/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The e1000 family. Addresses are those of the 8254x manual's table 13-2, which the 82574 and the
 * 82576 have, too; of queues from the fifth on they are the 82576's (8.1.3).
 */
#include "wild_function.h"

#define CTRL        0x00000u
#define CTRL_RST    0x04000000u
#define STATUS      0x00008u
#define EECD        0x00010u
#define EECD_AUTO   0x00000200u
#define CTRL_EXT    0x00018u
#define MDIC        0x00020u
#define MDIC_READY  0x10000000u
#define ICR         0x000c0u
#define IMS         0x000d0u
#define IMC         0x000d8u
#define RCTL        0x00100u
#define EXTCNF_CTRL 0x00f00u
#define RAL         0x05400u
#define RAH         0x05404u
#define SWSM        0x05b50u
#define SW_FW_SYNC  0x05b5cu
#define RX(q)       (0x02800u + 0x100u * (q))
#define TX(q)       (0x03800u + 0x100u * (q))
#define BASE        0x00u
#define LENGTH      0x08u
#define HEAD        0x10u
#define TAIL        0x18u
#define CONTROL     0x28u

static void power_on(struct pci_function *fn)
{
	memset(fn->reg, 0, sizeof(fn->reg));
	*wild_reg(fn, STATUS) = 0x82; /* link up, 1000 Mbit/s */
	*wild_reg(fn, EECD) = EECD_AUTO;
	*wild_reg(fn, RAL) = 0x33221102;
	*wild_reg(fn, RAH) = 0x80005544;
}

struct pci_function *wild_card(struct program *p, uint32_t what)
{
	static const uint16_t devices[] = {0x100e, 0x100f, 0x10d3, 0x10c9};
	struct pci_function *fn = wild_new(0x8086, devices[what & 3], 0, WILD_BAR);

	(void)p;
	fn->direct = what & 16;
	if (what & 32)
		fn->irq_have[PCI_IRQ_MSIX] = what & 8 ? 5 : 0;
	power_on(fn);
	return fn;
}

uint32_t wild_family_read(struct pci_function *fn, uint32_t at, uint32_t value)
{
	if (at == MDIC)
		value |= MDIC_READY;
	if (at == ICR)
		*wild_reg(fn, ICR) = 0;
	if (at >= 0x04000 && at < 0x04200)
		*wild_reg(fn, at) = 0; /* a counter */
	return value;
}

void wild_family_write(struct pci_function *fn, uint32_t at, uint32_t value)
{
	if (at == CTRL && value & CTRL_RST)
		power_on(fn);
	if (at == IMC)
		*wild_reg(fn, IMS) &= ~value;
}

void wild_hold(struct pci_function *fn, struct program *p)
{
	static const uint32_t often[] = {CTRL, STATUS, EECD, CTRL_EXT, MDIC, ICR, RCTL, EXTCNF_CTRL,
		RAL, RAH, SWSM, SW_FW_SYNC, RX(0) + HEAD, TX(0) + HEAD, RX(0) + CONTROL,
		TX(0) + CONTROL, TX(0) + TAIL, RX(0) + TAIL, RX(0) + LENGTH};

	wild_hold_one(fn, p, often, sizeof(often) / sizeof(*often));
}

/* The descriptor at the head of a ring, which moves on; NULL: the card owns none. */
static uint64_t *next(struct pci_function *fn, uint32_t ring)
{
	const uint64_t base = *wild_reg(fn, ring + BASE) | (uint64_t)*wild_reg(fn, ring + BASE + 4)
								   << 32;
	const uint32_t rows = *wild_reg(fn, ring + LENGTH) / 16;
	uint32_t *head = wild_reg(fn, ring + HEAD);
	uint64_t *at;

	if (!rows || *head == *wild_reg(fn, ring + TAIL))
		return NULL;
	at = (uint64_t *)(void *)wild_reach(fn, base + 16ull * (*head % rows), 16);
	*head = (*head + 1) % rows;
	return at;
}

/* Good write-backs: legacy of the 8254x and where RFCTL and SRRCTL ask for no other. */
void wild_receive(struct pci_function *fn, struct program *p)
{
	const uint32_t what = word(p, 2), queue = what >> 12 & 3;
	const uint32_t srrctl = *wild_reg(fn, RX(queue) + 0x0c), rfctl = *wild_reg(fn, 0x05008);
	const bool late = fn->id.device == 0x10c9 ? srrctl >> 25 & 1 : rfctl >> 15 & 1;
	const uint64_t length = what & 0x7ff, end = what >> 11 & 1;
	uint64_t *at = next(fn, RX(queue));

	if (!at)
		return;
	if (what & 0x8000) {
		at[1] = number(p, 8);
		return;
	}
	if (late) {
		at[0] = UINT64_MAX;
		at[1] = 1 | (end ^ 1) << 1 | length << 32;
	} else {
		at[1] = length | UINT64_C(1) << 32 | (end ^ 1) << 33;
	}
}

void wild_transmit(struct pci_function *fn, unsigned queue, unsigned n)
{
	uint64_t *at;

	for (; n && (at = next(fn, TX(queue))); n--)
		if (at[1] & 0x08000000) /* RS */
			at[1] |= UINT64_C(1) << 32;
}
