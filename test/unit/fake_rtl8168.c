/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The function: registers, what an access to some of them does, the rest of pci.h.
 */
#include "fake_rtl8168.h"

#include <errno.h>

#define FAKE_PCI_SIZED
#define FAKE_PCI_STILL
#include "fake_pci.h"

uint32_t get(const struct pci_function *fn, uint32_t reg, unsigned size)
{
	uint32_t value = 0;

	memcpy(&value, fn->reg + reg, size);
	return value;
}

void put(struct pci_function *fn, uint32_t reg, unsigned size, uint32_t value)
{
	memcpy(fn->reg + reg, &value, size);
}

static void power_on(struct pci_function *fn)
{
	uint8_t config[2] = {fn->reg[CONFIG3], fn->reg[CONFIG4]};
	uint8_t mcu = fn->reg[MCU];

	memset(fn->reg, 0, sizeof fn->reg);
	memcpy(fn->reg + CONFIG3, config, 2);
	put(fn, TCR, 4, (uint32_t)fn->xid << TCR_XID_SHIFT | TCR_EMPTY);
	if (!fn->no_address)
		memcpy(fn->reg + IDR0, "\x02\x11\x22\x33\x44\x55", 6);
	fn->reg[PHYSTATUS] = fn->no_link ? 0 : PHYSTATUS_LINK | PHYSTATUS_1000;
	fn->reg[MCU] = mcu;
}

static void tally(struct pci_function *fn)
{
	uint64_t iova = get(fn, DTCCR, 4) & ~UINT64_C(63);
	uint8_t *at;

	iova |= (uint64_t)get(fn, DTCCR_HIGH, 4) << 32;
	at = fn->rings->base + (iova - fn->rings->iova[0]);
	assert_true(iova - fn->rings->iova[0] <= fn->rings->size - TALLY_BYTES);
	memcpy(at + 24, &fn->errors, 4);
	memcpy(at + 28, &fn->missed, 2);
	put(fn, DTCCR, 4, get(fn, DTCCR, 4) & ~DTCCR_DUMP);
}

/* A register of the PHY by what was written to a window onto it: its answer. */
static uint32_t window(struct pci_function *fn, uint32_t value, unsigned reg)
{
	if (fn->no_phy)
		return value;
	if (value >> 31) {
		fn->phy[reg] = (uint16_t)value;
		if (reg == 0)
			fn->then = fn->power;
		return value & ~BIT(31);
	}
	return (value & UINT32_C(0xFFFF0000)) | BIT(31) | fn->phy[reg];
}

/* Of an 8168DP: OCPAR says what OCPDR is a window onto. */
static uint32_t access(struct pci_function *fn, uint32_t value)
{
	uint32_t data = get(fn, OCPDR, 4);

	if (value == OCPAR_PHY_WRITE || value == OCPAR_PHY_READ) {
		data = window(fn, data, data >> 16 & 31);
		put(fn, OCPDR, 4, data);
		return fn->no_phy ? value : value ^ OCPAR_FLAG;
	}
	put(fn, OCPDR, 4, fn->dash ? BIT(15) : 0);
	return value | OCPAR_FLAG;
}

/* ERIAR: the one register behind it that matters, whole. */
static uint32_t extended(struct pci_function *fn, uint32_t value)
{
	bool write = value >> 31;

	if (fn->no_eri)
		return value;
	assert_int_equal(value & 0x7FFFFFFF, 0xF1A8);
	if (write)
		fn->power = get(fn, ERIDR, 4);
	else
		put(fn, ERIDR, 4, fn->power);
	return value ^ BIT(31);
}

static void act(struct pci_function *fn, uint32_t reg, unsigned size, uint32_t old, uint32_t value)
{
	switch (reg) {
	case CR:
		if (fn->unheard) {
			put(fn, CR, 1, old | (value & CR_STOP));
			break;
		}
		if (!(value & CR_RST)) {
			put(fn, CR, 1, fn->no_enable ? 0 : value | 1);
			break;
		}
		power_on(fn);
		put(fn, CR, 1, fn->deaf ? CR_RST : 0);
		break;
	case CONFIG3:
	case CONFIG4: fn->locked_write |= fn->reg[CR9346] != CR9346_UNLOCK; break;
	case TPPOLL:
		fn->polls++;
		put(fn, TPPOLL, 1, 0);
		break;
	case ISR: put(fn, ISR, 2, old & ~value); break;
	case TCR: put(fn, TCR, 4, (value & 0x030FFFFF) | (old & 0x7CF00000) | TCR_EMPTY); break;
	case DTCCR:
		if (value & DTCCR_DUMP && !fn->no_tally)
			tally(fn);
		break;
	case PHYAR: put(fn, PHYAR, 4, window(fn, value, value >> PHYAR_REG_SHIFT & 31)); break;
	case GPHY_OCP:
		put(fn, GPHY_OCP, 4,
			window(fn, value,
				((value >> OCP_REG_SHIFT & 0xFFFF) - GPHY_BASE) / 2 & 31));
		break;
	case OCPAR: put(fn, OCPAR, 4, access(fn, value)); break;
	case ERIAR: put(fn, ERIAR, 4, extended(fn, value)); break;
	default: break;
	}
	(void)size;
}

static uint32_t load(const struct pci_bar *bar, uint32_t offset, unsigned size)
{
	assert_true(offset % size == 0 && offset < 256);
	return bar->fn->gone ? UINT32_MAX : get(bar->fn, offset, size);
}

static void store(const struct pci_bar *bar, uint32_t offset, unsigned size, uint32_t value)
{
	uint32_t old = load(bar, offset, size);

	put(bar->fn, offset, size, value);
	act(bar->fn, offset, size, old, value);
}

int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value, unsigned us)
{
	(void)us;
	if (bar->fn->gone)
		return -ENODEV;
	return (reg_read8(bar, offset) & mask) == value ? 0 : -ETIMEDOUT;
}

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	(void)why;
	*bar = (struct pci_bar){.fn = fn, .index = index, .alive = alive, .size = sizeof fn->reg};
	fn->bars++;
	fn->bar = index;
	return 0;
}

unsigned pci_irq_count(struct pci_function *fn, enum pci_irq kind)
{
	(void)fn;
	return kind == PCI_IRQ_MSIX ? 4 : 1;
}

int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[])
{
	fn->irq = kind;
	for (unsigned i = 0; i < vectors; i++)
		fd[i] = (int)i;
	fn->irqs = vectors;
	return 0;
}

/* --- a card that was opened --- */

uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

struct bench *make(uint16_t xid)
{
	struct bench *b = calloc(1, sizeof *b);

	b->fn.id = (struct pci_id){.vendor = 0x10EC, .device = 0x8168};
	b->fn.xid = xid;
	b->fn.power = 0x01234567;
	b->fn.rings = &b->rings;
	b->fn.reg[MCU] = MCU_EMPTY | MCU_LIST_READY | MCU_OOB;
	power_on(&b->fn);
	/* Above 4 GiB, but for cards that do not reach there. */
	b->iova = xid >= 0x300 && xid < 0x390 ? 0x10000000 : 0x700000000;
	b->rings = (struct dma_region){.size = 4096, .chunks = 1, .iova = {b->iova}};
	b->rings.base = aligned_alloc(4096, b->rings.size);
	b->frames = (struct dma_region){
		.size = PLACES, .chunks = 2, .iova = {2 * b->iova, 3 * b->iova}};
	b->frames.base = aligned_alloc(4096, PLACES);
	memset(b->rings.base, 0xFF, b->rings.size); /* an earlier driver's leavings */
	b->config = (struct nic_config){.queues = 1,
		.rx_ring = RING,
		.tx_ring = RING,
		.rings = &b->rings,
		.frames = &b->frames,
		.state = b->state,
		.mtu = 1500,
		.interrupts = true};
	return b;
}

void throw_away(struct bench *b)
{
	nic_close(b->nic);
	assert_false(b->fn.master);
	assert_false(b->fn.locked_write);
	assert_int_equal(b->fn.bars, 0);
	assert_int_equal(b->fn.irqs, 0);
	free(b->rings.base);
	free(b->frames.base);
	free(b);
}

struct bench *opened(uint16_t xid)
{
	struct bench *b = make(xid);
	struct pci_error why = {""};

	if (nic_open(&b->nic, &b->fn, &b->config, &why))
		fail_msg("%s", why.text);
	b->q = nic_queue(b->nic, 0);
	return b;
}

uint64_t *descriptor(struct bench *b, uint32_t base, uint32_t index)
{
	uint64_t place = get(&b->fn, base, 4) | (uint64_t)get(&b->fn, base + 4, 4) << 32;

	return (uint64_t *)(void *)(b->rings.base + (place - b->iova)) + 2 * (size_t)(index % RING);
}

size_t provide(struct bench *b, unsigned first, unsigned n)
{
	uint32_t offsets[RING];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(b->q, offsets, n);
}

/* The card writes `status` back, but for EOR, which it keeps; len is with the CRC. */
void deliver(struct bench *b, uint64_t status, uint16_t len)
{
	uint64_t *d = descriptor(b, RDSAR, b->rx);

	assert_true(d[0] & DESC_OWN);
	assert_true(!(d[0] & DESC_EOR) == (b->rx % RING != RING - 1));
	assert_int_equal(d[0] & RX_LENGTH, NIC_BUFFER_SIZE);
	d[0] = (d[0] & DESC_EOR) | status | len | OPTIONS;
	b->rx++;
}

struct nic_stats stats_of(struct bench *b)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(b->nic, &stats), 0);
	return stats;
}

/* The card sends what is its own; how many frames. */
unsigned transmit(struct bench *b)
{
	unsigned frames = 0;
	bool inside = false;

	for (;; b->tx++) {
		uint64_t *d = descriptor(b, TNPDS, b->tx);

		if (!(d[0] & DESC_OWN))
			break;
		assert_true(!(d[0] & DESC_FS) == inside);
		assert_true(!(d[0] & DESC_EOR) == (b->tx % RING != RING - 1));
		assert_false(d[0] & OPTIONS);
		assert_true(d[0] & TX_LENGTH);
		inside = !(d[0] & DESC_LS);
		frames += !inside;
		d[0] &= ~DESC_OWN;
	}
	assert_false(inside);
	return frames;
}
