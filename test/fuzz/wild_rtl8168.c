/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The RTL8168 family, as each of the models that Linux's r8169 tells by bits 20 to 30 of TxConfig.
 */
#include "wild_function.h"

#define IDR       0x00u
#define DTCCR     0x10u
#define DUMP      0x00000008u
#define TNPDS     0x20u
#define CR_WORD   0x34u /* CR is its last byte */
#define CR_RST    0x10000000u
#define TPPOLL    0x38u
#define NPQ       0x00000040u
#define IRQ_WORD  0x3cu /* IMR, ISR */
#define TCR       0x40u
#define TCR_XID   0x7cf00000u
#define TCR_EMPTY 0x00000800u
#define RCR       0x44u
#define PHYAR     0x60u
#define STATUS    0x6cu
#define OCPDR     0xb0u
#define OCPAR     0xb4u
#define GPHY      0xb8u
#define MCU_WORD  0xd0u /* MCU is its last byte */
#define MCU_READY 0x32000000u
#define RDSAR     0xe4u
#define FLAG      0x80000000u

#define OWN (UINT64_C(1) << 31)
#define EOR (UINT64_C(1) << 30)
#define FS  (UINT64_C(1) << 29)
#define LS  (UINT64_C(1) << 28)

enum { RX, TX };

static void power_on(struct pci_function *fn)
{
	memset(fn->reg, 0, sizeof(fn->reg));
	memset(fn->cursor, 0, sizeof(fn->cursor));
	*wild_reg(fn, IDR) = 0x33221102;
	*wild_reg(fn, IDR + 4) = 0x5544;
	*wild_reg(fn, STATUS) = 0x12; /* link up, 1000 Mbit/s */
}

struct pci_function *wild_card(struct program *p, uint32_t what)
{
	static const uint16_t models[] = {0x28b, 0x380, 0x3c0, 0x3c8, 0x280, 0x288, 0x28a, 0x2c0,
		0x2c8, 0x480, 0x481, 0x488, 0x4c0, 0x509, 0x5c8, 0x540, 0x300, 0x500};
	struct pci_function *fn = wild_new(0x10ec, what & 8 ? 0x8161 : 0x8168, 2, 0x1000);

	fn->variant = models[word(p, 1) % (sizeof(models) / sizeof(*models))];
	if (what & 32)
		fn->irq_have[PCI_IRQ_MSIX] = what & 16 ? 4 : 0;
	power_on(fn);
	return fn;
}

uint32_t wild_family_read(struct pci_function *fn, uint32_t at, uint32_t value)
{
	switch (at) {
	case TCR: return (value & ~TCR_XID) | fn->variant << 20 | TCR_EMPTY;
	case TPPOLL: return value & ~NPQ;
	case MCU_WORD: return value | MCU_READY;
	default: return value;
	}
}

/* The flag of the windows to PHY and firmware is written for a write and gone when it is done, and
 * the other way round for a read.
 */
void wild_family_write(struct pci_function *fn, uint32_t at, uint32_t value)
{
	uint32_t *reg = wild_reg(fn, at);
	uint8_t *tally;

	switch (at) {
	case CR_WORD:
		if (value & CR_RST)
			power_on(fn);
		break;
	case IRQ_WORD: *reg &= 0xffff; break; /* ISR: what is written goes */
	case PHYAR:
	case OCPAR:
	case GPHY: *reg = (value ^ FLAG) & 0xffff0000u; break;
	case RDSAR: fn->cursor[RX] = 0; break;
	case TNPDS: fn->cursor[TX] = 0; break;
	case DTCCR:
		tally = wild_reach(
			fn, (value & ~63u) | (uint64_t)*wild_reg(fn, DTCCR + 4) << 32, 64);
		if (value & DUMP && tally)
			memset(tally, fn->accesses & 0xff, 64);
		*reg &= ~DUMP;
		break;
	default: break;
	}
}

void wild_hold(struct pci_function *fn, struct program *p)
{
	static const uint32_t often[] = {IDR, IDR + 4, DTCCR, CR_WORD, TPPOLL, IRQ_WORD, TCR, RCR,
		PHYAR, STATUS, OCPDR, OCPAR, GPHY, MCU_WORD, RDSAR, TNPDS, 0x50, 0x54, 0xd8, 0xf0};

	wild_hold_one(fn, p, often, sizeof(often) / sizeof(*often));
}

/* The descriptor that is the card's next, past which it goes; NULL: it owns none. */
static uint64_t *next(struct pci_function *fn, unsigned ring)
{
	const uint32_t base = ring == RX ? RDSAR : TNPDS;
	const uint64_t iova = *wild_reg(fn, base) | (uint64_t)*wild_reg(fn, base + 4) << 32;
	uint64_t *at = (uint64_t *)(void *)wild_reach(fn, iova + 16ull * fn->cursor[ring], 16);

	if (!at || !(at[0] & OWN))
		return NULL;
	fn->cursor[ring] = at[0] & EOR ? 0 : fn->cursor[ring] + 1;
	return at;
}

void wild_receive(struct pci_function *fn, struct program *p)
{
	const uint32_t what = word(p, 2);
	uint64_t *at = next(fn, RX);

	if (!at)
		return;
	if (what & 0x8000)
		at[0] = number(p, 8);
	else
		at[0] = (at[0] & EOR) | (what & 0x1000 ? 0 : FS) | (what & 0x2000 ? 0 : LS) |
			(what & 0xfff);
}

void wild_transmit(struct pci_function *fn, unsigned queue, unsigned n)
{
	uint64_t *at;

	(void)queue;
	for (; n && (at = next(fn, TX)); n--)
		at[0] &= ~OWN;
}
