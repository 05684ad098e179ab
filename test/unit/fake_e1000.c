/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A function of the e1000 driver's in plain memory.
 */
#include "fake_e1000.h"

#define FAKE_PCI_STILL
#include "fake_pci.h"

const uint16_t devices[4] = {0x100E, 0x100F, 0x10D3, 0x10C9};

/* --- the function --- */

uint32_t *at(struct pci_function *fn, uint32_t reg)
{
	return &fn->reg[reg / 4];
}

static void power_on(struct pci_function *fn)
{
	/* These outlive a reset. */
	uint32_t divided = *at(fn, PBA), owner = *at(fn, EXTCNF_CTRL);

	memset(fn->reg, 0, sizeof fn->reg);
	*at(fn, PBA) = divided;
	*at(fn, EXTCNF_CTRL) = owner;
	*at(fn, STATUS) = STATUS_LU | 2u << STATUS_SPEED_SHIFT;
	*at(fn, EECD) = EECD_AUTO_RD;
	*at(fn, RAL(0)) = 0x33221102;
	*at(fn, RAH(0)) = fn->no_eeprom ? 0 : 0x5544 | RAH_AV;
}

uint32_t reg_read(const struct pci_bar *bar, uint32_t offset)
{
	struct pci_function *fn = bar->fn;
	uint32_t value = fn->gone ? UINT32_MAX : *at(fn, offset);

	if (offset == MDIC)
		value |= MDIC_READY;
	if (offset == CTRL && fn->deaf)
		value |= CTRL_RST;
	if (offset == RXDCTL(0))
		value &= ~fn->stuck_enable;
	if (offset == ICR)
		*at(fn, ICR) = 0;
	return value;
}

/* Where a ring is and how far it is used may be written while nobody uses it; a tail always. */
static bool is_in_use(struct pci_function *fn, uint32_t offset)
{
	bool apart = fn->id.device == 0x10C9;

	for (unsigned n = 0; n < 2; n++) {
		if (offset >= RDBAL(n) && offset <= RDH(n))
			return apart ? *at(fn, RXDCTL(n)) & RXDCTL_ENABLE : *at(fn, RCTL) & RCTL_EN;
		if (offset >= TDBAL(n) && offset <= TDH(n))
			return apart ? *at(fn, TXDCTL(n)) & TXDCTL_ENABLE : *at(fn, TCTL) & TCTL_EN;
	}
	return false;
}

void reg_write(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	struct pci_function *fn = bar->fn;

	fn->misuse += is_in_use(fn, offset);
	if (offset == CTRL && (value & CTRL_RST)) {
		fn->unowned_resets += !(*at(fn, EXTCNF_CTRL) & EXTCNF_MDIO_SW);
		power_on(fn);
		return;
	}
	if (offset == ICR)
		*at(fn, ICR) &= ~value;
	else if (offset == IMC)
		*at(fn, IMS) &= ~value;
	else if (offset == IMS)
		*at(fn, IMS) |= value;
	else if (offset != fn->stuck || !offset)
		*at(fn, offset) = value;
}

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	(void)why;
	*bar = (struct pci_bar){.fn = fn, .index = index, .alive = alive, .size = REGS * 4};
	fn->bars++;
	return 0;
}

unsigned pci_irq_count(struct pci_function *fn, enum pci_irq kind)
{
	return kind == PCI_IRQ_MSIX ? fn->vectors : 1;
}

int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[])
{
	(void)kind;
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

struct bench *make(uint16_t device)
{
	struct bench *b = calloc(1, sizeof *b);

	b->fn.vectors = device == 0x10C9 ? 25 : 5;
	b->fn.id = (struct pci_id){.vendor = 0x8086, .device = device};
	power_on(&b->fn);
	/* Above 4 GiB, but for cards that do not reach there. */
	b->iova = device == 0x100E || device == 0x100F ? 0x10000000 : 0x700000000;
	b->rings = (struct dma_region){.size = 65536, .chunks = 1, .iova = {b->iova}};
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
	assert_int_equal(b->fn.bars, 0);
	assert_int_equal(b->fn.irqs, 0);
	assert_int_equal(b->fn.misuse, 0);
	free(b->rings.base);
	free(b->frames.base);
	free(b);
}

struct bench *opened_with(uint16_t device, unsigned queues)
{
	struct bench *b = make(device);
	struct pci_error why = {""};

	b->config.queues = queues;
	for (unsigned i = 1; i < queues; i++)
		b->config.queue_frames[i] = &b->frames;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), 0);
	b->q = nic_queue(b->nic, 0);
	return b;
}

uint64_t *descriptor(struct bench *b, uint32_t base, uint32_t index)
{
	uint64_t place = *at(&b->fn, base) | (uint64_t)*at(&b->fn, base + 4) << 32;

	return (uint64_t *)(void *)(b->rings.base + (place - b->iova)) + 2 * (size_t)(index % RING);
}

struct bench *opened(uint16_t device)
{
	return opened_with(device, 1);
}

size_t provide_to(struct bench *b, unsigned n, unsigned first, unsigned count)
{
	uint32_t offsets[RING];

	for (unsigned i = 0; i < count; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(nic_queue(b->nic, n), offsets, count);
}

size_t provide(struct bench *b, unsigned first, unsigned count)
{
	return provide_to(b, 0, first, count);
}

/* Legacy of 8254x; extended or, with as many fields, advanced. */
void deliver_to(struct bench *b, unsigned n, uint16_t len, bool end, bool error)
{
	uint64_t *d = descriptor(b, RDBAL(n), b->rx[n]);

	assert_int_not_equal(b->rx[n] % RING, *at(&b->fn, RDT(n)));
	assert_true(d[1] == 0);
	if (b->fn.id.device < 0x1010) {
		d[1] = UINT64_C(1) << 32 | (uint64_t)end << 33 | (uint64_t)error << 40 | len;
	} else {
		d[0] = UINT64_MAX;
		d[1] = 1 | (uint64_t)end << 1 | (uint64_t)error << 31 | (uint64_t)len << 32;
	}
	b->rx[n]++;
	*at(&b->fn, RDH(n)) = b->rx[n] % RING;
}

void deliver(struct bench *b, uint16_t len, bool end, bool error)
{
	deliver_to(b, 0, len, end, error);
}

unsigned transmit_of(struct bench *b, unsigned n)
{
	unsigned frames = 0;

	for (; b->tx[n] % RING != *at(&b->fn, TDT(n)); b->tx[n]++) {
		uint64_t *d = descriptor(b, TDBAL(n), b->tx[n]);

		assert_true(d[1] & TX_IFCS);
		frames += (d[1] & TX_EOP) != 0;
		if (d[1] & TX_RS) {
			assert_true(d[1] & TX_EOP);
			d[1] |= TX_DD;
		}
		*at(&b->fn, TDH(n)) = (b->tx[n] + 1) % RING;
	}
	return frames;
}

unsigned transmit(struct bench *b)
{
	return transmit_of(b, 0);
}
