/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rtl8168 driver over a function in plain memory, as each of its models: start, the four verbs,
 * what a card that lies can do, from one process to the next. (nicsim's card, which Linux's r8169
 * judges, is in test/test_conformance.py.)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nic/rtl8168/rtl8168.h"

#define RING    64u
#define PLACES  (4u << 20)
#define IOVA    UINT64_C(0x700000000)
#define OPTIONS UINT64_C(0xFFFFFFFF00000000) /* a descriptor's second word */

/* --- the function --- */

struct pci_function {
	struct pci_id id;
	uint8_t reg[4096];
	uint16_t phy[32];
	uint16_t xid;
	bool gone, master;
	bool deaf;       /* does not end its reset */
	bool unheard;    /* does not begin it */
	bool no_address; /* in its EEPROM */
	bool no_link, no_phy, no_tally, no_enable, dash;
	bool locked_write; /* of a register that is locked */
	unsigned irqs, bars, bar, polls;
	enum pci_irq irq;
	struct dma_region *rings;
	uint32_t errors; /* of the tally */
	uint16_t missed;
};

static uint32_t get(const struct pci_function *fn, uint32_t reg, unsigned size)
{
	uint32_t value = 0;

	memcpy(&value, fn->reg + reg, size);
	return value;
}

static void put(struct pci_function *fn, uint32_t reg, unsigned size, uint32_t value)
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
	at = fn->rings->base + (iova - IOVA);
	assert_true(iova - IOVA <= fn->rings->size - TALLY_BYTES);
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

void reg_publish(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	store(bar, offset, 4, value);
}

void reg_publish8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	store(bar, offset, 1, value);
}

volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset)
{
	(void)bar, (void)offset;
	return NULL;
}

void reg_set(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) | bits);
}

void reg_clear(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) & ~bits);
}

int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value, unsigned us)
{
	(void)us;
	if (bar->fn->gone)
		return -ENODEV;
	return (reg_read(bar, offset) & mask) == value ? 0 : -ETIMEDOUT;
}

int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value, unsigned us)
{
	(void)us;
	if (bar->fn->gone)
		return -ENODEV;
	return (reg_read8(bar, offset) & mask) == value ? 0 : -ETIMEDOUT;
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

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	(void)why;
	*bar = (struct pci_bar){.fn = fn, .index = index, .alive = alive, .size = sizeof fn->reg};
	fn->bars++;
	fn->bar = index;
	return 0;
}

void pci_bar_unmap(struct pci_bar *bar)
{
	bar->fn->bars--;
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

void pci_irq_disable(struct pci_function *fn)
{
	fn->irqs = 0;
}

int pci_irq_unmask(struct pci_function *fn)
{
	(void)fn;
	return 0;
}

/* --- a card that was opened --- */

struct bench {
	struct pci_function fn;
	struct dma_region rings, frames;
	uint8_t state[65536];
	struct nic_config config;
	struct nic *nic;
	struct nic_queue *q;
	uint32_t rx, tx; /* where the card is */
};

static uint32_t buffer(unsigned i)
{
	return NIC_BUFFER_HEAD + i * NIC_BUFFER_STRIDE;
}

static struct bench *make(uint16_t xid)
{
	struct bench *b = calloc(1, sizeof *b);

	b->fn.id = (struct pci_id){.vendor = 0x10EC, .device = 0x8168};
	b->fn.xid = xid;
	b->fn.rings = &b->rings;
	b->fn.reg[MCU] = MCU_EMPTY | MCU_LIST_READY | MCU_OOB;
	power_on(&b->fn);
	b->rings = (struct dma_region){.size = 4096, .chunks = 1, .iova = {IOVA}};
	b->rings.base = aligned_alloc(4096, b->rings.size);
	b->frames = (struct dma_region){.size = PLACES, .chunks = 2, .iova = {2 * IOVA, 3 * IOVA}};
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

static void throw_away(struct bench *b)
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

static struct bench *opened(uint16_t xid)
{
	struct bench *b = make(xid);
	struct pci_error why = {""};

	if (nic_open(&b->nic, &b->fn, &b->config, &why))
		fail_msg("%s", why.text);
	b->q = nic_queue(b->nic, 0);
	return b;
}

static uint64_t *descriptor(struct bench *b, uint32_t base, uint32_t index)
{
	uint64_t place = get(&b->fn, base, 4) | (uint64_t)get(&b->fn, base + 4, 4) << 32;

	return (uint64_t *)(void *)(b->rings.base + (place - IOVA)) + 2 * (size_t)(index % RING);
}

static size_t provide(struct bench *b, unsigned first, unsigned n)
{
	uint32_t offsets[RING];

	for (unsigned i = 0; i < n; i++)
		offsets[i] = buffer(first + i);
	return nic_rx_provide(b->q, offsets, n);
}

/* The card writes `status` back, but for EOR, which it keeps; len is with the CRC. */
static void deliver(struct bench *b, uint64_t status, uint16_t len)
{
	uint64_t *d = descriptor(b, RDSAR, b->rx);

	assert_true(d[0] & DESC_OWN);
	assert_true(!(d[0] & DESC_EOR) == (b->rx % RING != RING - 1));
	assert_int_equal(d[0] & RX_LENGTH, NIC_BUFFER_SIZE);
	d[0] = (d[0] & DESC_EOR) | status | len | OPTIONS;
	b->rx++;
}

#define WHOLE (DESC_FS | DESC_LS)

static struct nic_stats stats_of(struct bench *b)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(b->nic, &stats), 0);
	return stats;
}

/* --- tests, for each model --- */

static const uint16_t models[] = {0x300, 0x380, 0x381, 0x3C0, 0x3C2, 0x3C9, 0x281, 0x283, 0x288,
	0x28A, 0x28B, 0x2C1, 0x2C2, 0x2C8, 0x480, 0x481, 0x488, 0x4C0, 0x4C1, 0x509, 0x5C8, 0x540,
	0x541};

#define FOR_EACH_MODEL                                              \
	for (size_t m = 0; m < sizeof models / sizeof *models; m++) \
		for (struct bench *b = opened(models[m]); b; throw_away(b), b = NULL)

static void it_starts(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct nic_link link;
		uint8_t mac[6];
		bool early = models[m] < 0x390 && models[m] >= 0x300;

		assert_int_equal(b->fn.bar, 2);
		nic_mac(b->nic, mac);
		assert_memory_equal(mac, "\x02\x11\x22\x33\x44\x55", 6);
		assert_int_equal(nic_link(b->nic, &link), 0);
		assert_true(link.up && link.mbit == 1000);
		assert_true(b->fn.master);
		assert_int_equal(b->fn.reg[CR], CR_TE | CR_RE | 1);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		assert_int_equal(get(&b->fn, MAR0, 4) & get(&b->fn, MAR4, 4), UINT32_MAX);
		assert_int_equal(get(&b->fn, RMS, 2), 2048);
		assert_int_equal(get(&b->fn, IMR, 2), 0);
		assert_int_equal(b->fn.reg[CR9346], CR9346_LOCK);
		assert_false(get(&b->fn, MISC, 4) & MISC_RXDV_GATED);
		/* Taken from its firmware, where there is some. */
		assert_int_equal(!(b->fn.reg[MCU] & MCU_OOB), models[m] >= 0x4C0);
		for (unsigned i = 0; i < RING; i++) {
			uint64_t eor = i == RING - 1 ? DESC_EOR : 0;

			assert_true(descriptor(b, RDSAR, i)[0] == eor);
			assert_true(descriptor(b, TNPDS, i)[0] == eor);
		}
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		/* One vector, whatever MSI-X offers; INTx alone on the first. */
		assert_string_equal(nic_irq_name(b->nic), early ? "INTx" : "MSI-X");
		assert_int_equal(b->fn.irqs, 1);
		assert_int_equal(nic_mtu_max(b->nic), early ? 4074 : 2026);
		assert_non_null(strstr(nic_model(b->nic), "Realtek RTL8"));
	}
}

static void what_does_not_start_says_why(void **state)
{
	static const struct {
		int error;
		const char *word;
		uint16_t xid;
	} what[] = {
		{-ETIMEDOUT, "reset", 0x28B},
		{-EIO, "MAC address", 0x28B},
		{-EINVAL, "one queue pair", 0x28B},
		{-ETIMEDOUT, "PHY", 0x28A},
		{-ENODEV, "quiesced", 0x28B},
		{-ENOTSUP, "in place", 0x28B},
		{-EBUSY, "DASH", 0x28B},
		{-EIO, "did not start", 0x3C2},
		{-EINVAL, "up to 1024", 0x28B},
		{-ENOTSUP, "flow control", 0x28B},
		{-ENOTSUP, "XID 7c0", 0x7C0},
		{-ENOTSUP, "RTL8168EP", 0x502},
		{-ENOTSUP, "RTL8168FP", 0x54A},
		{-ENOTSUP, "INTx", 0x380},
		{-EINVAL, "up to 2026", 0x28B},
		{-ETIMEDOUT, "PHY", 0x288},
		{-ETIMEDOUT, "PHY", 0x4C0},
		{-ETIMEDOUT, "PHY", 0x3C0},
		{-ETIMEDOUT, "reset", 0x3C0},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof what / sizeof *what; n++) {
		struct bench *b = make(what[n].xid);
		struct pci_error why = {""};

		b->fn.deaf = n == 0;
		b->fn.no_address = n == 1;
		b->config.queues = n == 2 ? 2 : 1;
		b->fn.no_phy = n == 3 || (n >= 15 && n < 18);
		b->fn.unheard = n == 18; /* while it runs with another's rings */
		if (b->fn.unheard)
			b->fn.reg[CR] = CR_TE | CR_RE;
		b->fn.gone = n == 4;
		if (n == 5) {
			b->config.in_place = NIC_MIRROR;
			b->config.state = NULL;
		}
		b->fn.dash = n == 6;
		b->fn.no_enable = n == 7;
		if (n == 8) {
			b->config.rx_ring = 2048;
			b->rings.size = nic_ring_bytes(&b->config);
			free(b->rings.base);
			b->rings.base = aligned_alloc(4096, 65536);
		}
		b->config.pause = n == 9 ? NIC_PAUSE_RX : 0;
		b->config.pick_irq = n == 13;
		b->config.mtu = n == 14 ? 2027 : 1500;
		b->fn.no_link = b->fn.no_phy;
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), what[n].error);
		if (!strstr(why.text, what[n].word))
			fail_msg("%s: no %s", why.text, what[n].word);
		assert_null(b->nic);
		throw_away(b);
	}
}

/* A PHY that was left powered down negotiates, by each way to it; one with a link is left alone. */
static void a_link_that_is_down(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
		for (unsigned down = 0; down < 2; down++) {
			struct bench *b = make(models[m]);
			struct nic_link link;

			b->fn.phy[0] = 0x0D40; /* powered down, isolated, full duplex at 1000 */
			b->fn.no_link = down;
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
			assert_int_equal(b->fn.phy[0], down ? 0x1340 : 0x0D40);
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_true(link.up == !down && link.mbit == (down ? 0 : 1000));
			b->fn.reg[PHYSTATUS] = PHYSTATUS_LINK | PHYSTATUS_100;
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_int_equal(link.mbit, 100);
			b->fn.reg[PHYSTATUS] = PHYSTATUS_LINK | PHYSTATUS_10;
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_int_equal(link.mbit, 10);
			throw_away(b);
		}
	}
}

static void frames_come(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		struct nic_stats stats;

		/* Twice round, so that the last slot comes too. */
		for (unsigned round = 0; round < 12; round++) {
			unsigned size = 0;

			if (round == 0) {
				assert_int_equal(provide(b, 0, RING), RING - 4);
				assert_int_equal(provide(b, 0, RING), 0);
			}
			assert_true(descriptor(b, RDSAR, b->rx + 3)[1] ==
				    2 * IOVA + buffer((b->rx + 3) % 60));
			assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
			for (unsigned i = 0; i < 10; i++)
				deliver(b, WHOLE | (i == 4 ? RX_RES : 0), (uint16_t)(64 + i));
			assert_int_equal(nic_rx_return(b->q, frames, 4), 4);
			assert_int_equal(nic_rx_return(b->q, frames + 4, RING), 6);
			for (unsigned i = 0; i < 10; i++) {
				assert_int_equal(frames[i].offset, buffer((b->rx - 10 + i) % 60));
				assert_int_equal(frames[i].len, 60 + i);
				assert_int_equal(frames[i].flags, i == 4 ? FRAME_ERROR : 0);
				size += i == 4 ? 0 : 64 + i;
			}
			assert_int_equal(nic_rx_held(b->q), RING - 4 - 10);
			assert_int_equal(provide(b, (b->rx - 10) % 60, 10), 10);
			stats = stats_of(b);
			assert_int_equal(stats.rx_frames, 9 * (round + 1));
			assert_int_equal(stats.rx_bytes, size * (round + 1));
			assert_int_equal(stats.bad_writebacks, 0);
		}
	}
}

static void lies_of_the_card(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		static const struct {
			uint64_t status;
			uint16_t len;
			bool good;
		} what[] = {
			{WHOLE, 0, false}, {WHOLE, 17, false}, {WHOLE, 2049, false},
			{WHOLE, 0x3FFF, false},
			{DESC_LS, 100, false},               /* an end without a beginning */
			{WHOLE, 64, true}, {0, 2048, false}, /* and a middle */
			{DESC_LS, 100, false},
			{DESC_FS, 2048, false}, /* longer than the card was told to take */
			{DESC_FS, 2048, false}, {DESC_LS, 3000, false}, {DESC_FS, 2048, false},
			{WHOLE, 64, true}, /* the next is good all the same */
			{WHOLE, 18, true}, {WHOLE, 1522, true},
			{WHOLE, 1523, false}, /* no lie, but beyond the MTU */
		};
		const unsigned n = sizeof what / sizeof *what;
		struct frame frames[RING];

		assert_int_equal(provide(b, 0, 32), 32);
		for (unsigned i = 0; i < n; i++)
			deliver(b, what[i].status, what[i].len);
		assert_int_equal(nic_rx_return(b->q, frames, RING), n);
		for (unsigned i = 0; i < n; i++) {
			bool good = what[i].good;

			assert_int_equal(frames[i].offset, buffer(i));
			assert_int_equal(frames[i].flags, good ? 0 : FRAME_ERROR);
			assert_int_equal(frames[i].len, good || i == n - 1 ? what[i].len - 4 : 0);
		}
		assert_int_equal(stats_of(b).bad_writebacks, 11);
		assert_int_equal(stats_of(b).rx_length_errors, 1);
		assert_int_equal(stats_of(b).rx_frames, 4);
		/* What it gave back before it was done is lost, and no more: nothing is there. */
		descriptor(b, RDSAR, b->rx)[0] = 0;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(frames[0].flags, FRAME_ERROR);
	}
}

/* An 8168B's frames in two buffers. */
static void chains_come(void **state)
{
	struct bench *b = make(0x380);
	struct frame frames[RING];

	(void)state;
	b->config.mtu = 4074;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
	b->q = nic_queue(b->nic, 0);
	assert_int_equal(get(&b->fn, RMS, 2), 4096);
	assert_int_equal(b->fn.reg[CONFIG4], CONFIG4_JUMBO_BE);
	assert_int_equal(provide(b, 0, RING), RING - 4);
	for (unsigned round = 0; round < 4; round++) {
		/* data of 2049, 2048 (only the CRC's in the second buffer), 2047, 4092 (all) */
		static const uint16_t len[] = {2053, 2052, 2051, 4096};
		static const unsigned first[] = {2048, 2048, 2047, 2048},
				      second[] = {1, 0, 0, 2044};
		unsigned slot = b->rx;

		deliver(b, DESC_FS, 2048);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
		deliver(b, DESC_LS, len[round]);
		assert_int_equal(nic_rx_return(b->q, frames, 1), 0);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(frames[0].len, first[round]);
		assert_int_equal(frames[0].flags, second[round] ? FRAME_MORE : 0);
		assert_int_equal(frames[1].len, second[round]);
		assert_int_equal(frames[1].flags, second[round] ? 0 : FRAME_ERROR);
		assert_int_equal(frames[1].offset, buffer(slot + 1));
	}
	assert_int_equal(stats_of(b).rx_frames, 4);
	assert_int_equal(stats_of(b).rx_bytes, 2053 + 2052 + 2051 + 4096);
	assert_int_equal(stats_of(b).bad_writebacks, 0);
	/* Two beginnings, too short and too long for two buffers, damaged, endless. */
	deliver(b, DESC_FS, 2048);
	deliver(b, WHOLE, 3000);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS, 2048);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS, 4097);
	deliver(b, DESC_FS, 2048);
	deliver(b, DESC_LS | RX_RES, 3000);
	for (unsigned i = 0; i < 3; i++)
		deliver(b, i ? 0 : DESC_FS, 2048);
	deliver(b, DESC_LS, 100);
	deliver(b, WHOLE, 64);
	assert_int_equal(nic_rx_return(b->q, frames, RING), 13);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(frames[i].flags, FRAME_ERROR);
	assert_int_equal(frames[12].flags, 0);
	assert_int_equal(stats_of(b).bad_writebacks, 3 + 4);
	/* Smaller again: what is too large is not waited for in parts. */
	assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
	assert_int_equal(get(&b->fn, RMS, 2), 2048);
	assert_int_equal(b->fn.reg[CONFIG4], 0);
	deliver(b, DESC_FS, 2048);
	assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
	assert_int_equal(frames[0].flags, FRAME_ERROR);
	throw_away(b);
}

static void buffers_out_of_place(void **state)
{
	static const uint32_t bad[] = {0, NIC_BUFFER_HEAD - 1, PLACES - NIC_BUFFER_SIZE + 8,
		UINT32_MAX, (uint32_t)DMA_CHUNK_SIZE - NIC_BUFFER_SIZE + 8, NIC_BUFFER_HEAD + 4};
	struct bench *b = opened(0x28B);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		uint32_t offsets[] = {buffer(i), bad[i], buffer(i + 1)};

		assert_int_equal(nic_rx_provide(b->q, offsets, 3), 1);
	}
	assert_int_equal(nic_rx_provide(b->q, (uint32_t[]){PLACES - NIC_BUFFER_SIZE}, 1), 1);
	assert_true(descriptor(b, RDSAR, 6)[1] == 3 * IOVA + DMA_CHUNK_SIZE - NIC_BUFFER_SIZE);
	assert_int_equal(stats_of(b).bad_offsets, 6);
	throw_away(b);
}

/* The card sends what is its own; how many frames. */
static unsigned transmit(struct bench *b)
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

static void frames_go(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint32_t offsets[RING];
		unsigned polls = b->fn.polls, bytes = 0;

		for (unsigned i = 0; i < RING; i++)
			frames[i] = (struct frame){.offset = buffer(i), .len = (uint16_t)(60 + i)};
		assert_int_equal(nic_tx_provide(b->q, frames, RING), RING - 4);
		assert_int_equal(b->fn.polls, polls + 1); /* one word for all */
		assert_int_equal(nic_tx_provide(b->q, frames, 1), 0);
		assert_int_equal(b->fn.polls, polls + 1);
		assert_true(descriptor(b, TNPDS, 7)[1] == 2 * IOVA + buffer(7));
		assert_int_equal(descriptor(b, TNPDS, 7)[0] & TX_LENGTH, 67);
		assert_int_equal(nic_tx_return(b->q, offsets, RING), 0);
		assert_int_equal(nic_tx_held(b->q), RING - 4);
		/* One in sixteen of a ring of 64 is looked at, and the rest is asked for again. */
		for (unsigned i = 0; i < 20; i++)
			descriptor(b, TNPDS, i)[0] &= ~DESC_OWN;
		assert_int_equal(nic_tx_return(b->q, offsets, 3), 3);
		assert_int_equal(b->fn.polls, polls + 2);
		assert_int_equal(nic_tx_return(b->q, offsets + 3, RING), 13);
		assert_int_equal(b->fn.polls, polls + 2);
		b->tx = 20;
		assert_int_equal(transmit(b), RING - 4 - 20);
		assert_int_equal(nic_tx_return(b->q, offsets + 16, RING), RING - 4 - 16);
		assert_int_equal(b->fn.polls, polls + 2);
		for (unsigned i = 0; i < RING - 4; i++) {
			assert_int_equal(offsets[i], buffer(i));
			bytes += 64 + i;
		}
		assert_int_equal(nic_tx_held(b->q), 0);
		assert_int_equal(stats_of(b).tx_frames, RING - 4);
		assert_int_equal(stats_of(b).tx_bytes, bytes);

		/* Three pieces that are one frame, over the ring's end; half of one. */
		frames[0].flags = frames[1].flags = FRAME_MORE;
		frames[2].len = frames[1].len = frames[0].len = 400;
		assert_int_equal(nic_tx_provide(b->q, frames, 2), 0);
		for (unsigned round = 0; round < 3; round++) {
			assert_int_equal(nic_tx_provide(b->q, frames, 3), 3);
			assert_int_equal(transmit(b), 1);
			assert_int_equal(nic_tx_return(b->q, offsets, RING), 3);
			assert_int_equal(offsets[2], buffer(2));
		}
		assert_int_equal(stats_of(b).tx_bytes, bytes + 3 * 1204);
	}
}

/* Who does not pad has zeroes behind the frame, which are nobody's buffer. */
static void short_frames(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		bool own = models[m] == 0x2C8;
		struct frame frames[] = {{buffer(0), 14, 0}, {buffer(1), 20, FRAME_MORE},
			{buffer(2), 39, 0}, {buffer(3), 60, 0}};
		uint32_t offsets[RING];

		assert_int_equal(nic_tx_provide(b->q, frames, 4), 4);
		assert_int_equal(nic_tx_held(b->q), 4);
		assert_int_equal(ring_held(&b->q->tx), own ? 6 : 4);
		if (own) {
			uint64_t *pad = descriptor(b, TNPDS, 1);
			const uint8_t *zeroes = b->rings.base + (pad[1] - IOVA);

			assert_int_equal(pad[0], DESC_OWN | DESC_LS | 46);
			assert_true(pad[1] > IOVA && pad[1] - IOVA <= b->rings.size - 46);
			for (unsigned i = 0; i < 46; i++)
				assert_int_equal(zeroes[i], 0);
			assert_int_equal(descriptor(b, TNPDS, 4)[0], DESC_OWN | DESC_LS | 1);
			/* They are handed over with the rest. */
			nic_release(b->nic);
			assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
			b->q = nic_queue(b->nic, 0);
			assert_int_equal(nic_tx_held(b->q), 4);
		}
		assert_int_equal(transmit(b), 3);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(nic_tx_return(b->q, offsets, 1), 1);
			assert_int_equal(offsets[0], buffer(i));
		}
		assert_int_equal(nic_tx_return(b->q, offsets, 1), 0);
		assert_int_equal(ring_held(&b->q->tx), 0);
		assert_int_equal(stats_of(b).tx_bytes, 3 * 64);
		/* Where the last slot is taken, the frame waits. */
		frames[0] = (struct frame){buffer(0), 60, 0};
		for (unsigned i = 0; i < RING - 5; i++)
			assert_int_equal(nic_tx_provide(b->q, frames, 1), 1);
		frames[0].len = 59;
		assert_int_equal(nic_tx_provide(b->q, frames, 1), own ? 0 : 1);
	}
}

static void frames_out_of_order(void **state)
{
	const struct frame bad[] = {{buffer(0), 13, 0}, {buffer(0), 1519, 0}, {PLACES - 59, 60, 0},
		{UINT32_MAX, 60, 0}, {(uint32_t)DMA_CHUNK_SIZE - 59, 60, 0}, {buffer(0), 60, 4},
		{buffer(0), 0, FRAME_MORE}};
	struct bench *b = opened(0x3C2);

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct frame frames[] = {{buffer(1), 60, 0}, bad[i], {buffer(2), 60, 0}};

		assert_int_equal(nic_tx_provide(b->q, frames, 3), 1);
	}
	assert_int_equal(transmit(b), 7);
	assert_int_equal(stats_of(b).bad_offsets, 7);
	assert_int_equal(nic_set_mtu(b->nic, 100), 0);
	assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 118, 0}, 1), 1);
	assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 119, 0}, 1), 0);
	throw_away(b);
}

static void larger_frames(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint8_t jumbo[2] = {b->fn.reg[CONFIG3], b->fn.reg[CONFIG4]};
		bool always = models[m] == 0x300 || models[m] == 0x2C8 || models[m] >= 0x480;

		assert_int_equal(jumbo[0] | jumbo[1], 0);
		assert_int_equal(nic_set_mtu(b->nic, 2026), 0);
		assert_int_equal(b->fn.reg[CR9346], CR9346_LOCK);
		assert_int_equal(b->fn.reg[CONFIG3] || b->fn.reg[CONFIG4], !always);
		assert_int_equal(provide(b, 0, 4), 4);
		deliver(b, WHOLE, 2048);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(frames[0].len, 2044);
		assert_int_equal(frames[0].flags, 0);
		assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 2044, 0}, 1), 1);
		assert_int_equal(nic_tx_provide(b->q, &(struct frame){buffer(1), 2045, 0}, 1), 0);
		assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
		assert_memory_equal(jumbo, b->fn.reg + CONFIG3, 2);
		assert_int_equal(nic_set_mtu(b->nic, nic_mtu_max(b->nic) + 1), -EINVAL);
	}
}

static void addresses(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		/* mDNS's, IPv6's of all nodes, and the card's own. zlib's CRC, reversed, has 15 and
		 * 62 for the upper six bits of the first two, which count from the last byte of the
		 * eight on (Linux).
		 */
		static const uint8_t groups[][6] = {{0x01, 0x00, 0x5E, 0x00, 0x00, 0xFB},
			{0x33, 0x33, 0, 0, 0, 1}, {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
		static const uint8_t other[][6] = {{2, 0, 0, 0, 0, 9}};
		bool all = models[m] == 0x480;
		uint8_t expected[8] = {[7 - 15 / 8] = 1u << 15 % 8, [7 - 62 / 8] = 1u << 62 % 8};

		if (all)
			memset(expected, 0xFF, 8);
		assert_int_equal(nic_set_addresses(b->nic, groups, 3), 0);
		assert_memory_equal(b->fn.reg + MAR0, expected, 8);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		/* It is handed over, and written again. */
		nic_release(b->nic);
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_memory_equal(b->fn.reg + MAR0, expected, 8);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_promiscuous(b->nic, false), 0);
		assert_false(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_addresses(b->nic, other, 1), 0);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_addresses(b->nic, NULL, 0), 0);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		assert_int_equal(get(&b->fn, MAR0, 4) & get(&b->fn, MAR4, 4), UINT32_MAX);
	}
}

static void counters(void **state)
{
	struct bench *b = make(0x3C2);

	(void)state;
	b->fn.missed = 65530;
	b->fn.errors = UINT32_MAX;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
	assert_int_equal(stats_of(b).rx_missed, 0);
	b->fn.missed = 4; /* it is narrow */
	b->fn.errors = 6;
	assert_int_equal(stats_of(b).rx_missed, 10);
	assert_int_equal(stats_of(b).rx_other_errors, 7);
	/* Who does not answer tells nothing. */
	b->fn.no_tally = true;
	b->fn.missed = 8;
	assert_int_equal(stats_of(b).rx_missed, 10);
	b->fn.no_tally = false;
	assert_int_equal(stats_of(b).rx_missed, 14);
	/* Counts go on in the next process. */
	nic_release(b->nic);
	assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
	assert_int_equal(stats_of(b).rx_missed, 14);
	b->fn.missed = 9;
	assert_int_equal(stats_of(b).rx_missed, 15);
	throw_away(b);
}

static void another_process_goes_on(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint32_t offsets[RING];
		struct pci_error why = {""};

		assert_int_equal(provide(b, 0, 40), 40);
		deliver(b, WHOLE, 64);
		deliver(b, WHOLE, 65);
		assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
		for (unsigned i = 0; i < 5; i++)
			frames[i] = (struct frame){.offset = buffer(100 + i), .len = 60};
		assert_int_equal(nic_tx_provide(b->q, frames, 5), 5);
		nic_release(b->nic);
		assert_true(b->fn.master);
		deliver(b, WHOLE, 66);
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, &why), 0);
		b->q = nic_queue(b->nic, 0);
		assert_int_equal(b->fn.reg[CR] & (CR_RE | CR_TE), CR_RE | CR_TE);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(frames[0].offset, buffer(1));
		assert_int_equal(frames[1].len, 62);
		assert_int_equal(transmit(b), 5);
		assert_int_equal(nic_tx_return(b->q, offsets, RING), 5);
		assert_int_equal(offsets[4], buffer(104));
		assert_int_equal(stats_of(b).rx_frames, 3);
		assert_int_equal(stats_of(b).tx_frames, 5);

		/* The state is used up; one that was changed, and a card that was, are refused. */
		for (unsigned n = 0; n < 4; n++) {
			static const char *const word[] = {
				"none", "checksum", "does not run", "does not run"};
			struct nic *nic;

			if (n != 0)
				nic_release(b->nic);
			if (n == 1)
				b->state[200] ^= 1;
			if (n == 2)
				b->fn.reg[RDSAR + 1] ^= 0x10;
			if (n == 3)
				b->fn.reg[CR] = CR_TE;
			assert_int_equal(nic_adopt(&nic, &b->fn, &b->config, &why), -EINVAL);
			assert_non_null(strstr(why.text, word[n]));
			if (n == 0)
				continue;
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), 0);
			b->q = nic_queue(b->nic, 0);
		}
	}
}

static void a_queue_comes_and_goes(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct dma_region other = b->frames;
		struct pci_error why;

		nic_irq_arm(b->nic);
		assert_int_equal(provide(b, 0, 40), 40);
		assert_int_equal(nic_queue_stop(b->nic, 0), 0);
		assert_false(b->fn.reg[CR] & (CR_RE | CR_TE));
		assert_int_not_equal(get(&b->fn, IMR, 2), 0); /* the link's is still wanted */
		assert_int_equal(nic_rx_held(b->q), 0);
		assert_int_equal(provide(b, 0, 40), 0);
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_int_equal(nic_set_mtu(b->nic, 100), 0);
		assert_false(b->fn.reg[CR] & CR_RE);
		/* It stands still in the next process, too. */
		nic_release(b->nic);
		b->config.promiscuous = true;
		b->config.mtu = 100;
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, &why), 0);
		b->q = nic_queue(b->nic, 0);
		assert_null(nic_queue_frames(b->nic, 0));
		other.iova[0] = 5 * IOVA;
		assert_int_equal(nic_queue_start(b->nic, 0, &other), 0);
		assert_int_equal(b->fn.reg[CR] & (CR_RE | CR_TE), CR_RE | CR_TE);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(provide(b, 7, 1), 1);
		assert_true(descriptor(b, RDSAR, 0)[1] == 5 * IOVA + buffer(7));
		b->fn.deaf = true;
		assert_int_equal(nic_queue_stop(b->nic, 0), -ETIMEDOUT);
		assert_int_equal(provide(b, 7, 1), 0);
		b->fn.deaf = false;
	}
}

static void interrupts(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		int fd[NIC_MAX_QUEUES + 1];

		assert_int_equal(nic_irq_fds(b->nic, fd), 1);
		nic_irq_arm(b->nic);
		assert_int_equal(get(&b->fn, IMR, 2), 0x2F);
		put(&b->fn, ISR, 2, IRQ_ROK | IRQ_LINK);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES | NIC_EVENT_LINK);
		assert_int_equal(get(&b->fn, IMR, 2), 0); /* masked until it is armed */
		assert_int_equal(get(&b->fn, ISR, 2), 0);
		assert_int_equal(nic_irq_ack(b->nic, 0), 0);
		put(&b->fn, ISR, 2, IRQ_TOK);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES);
		/* What it did not ask for stays. */
		put(&b->fn, ISR, 2, IRQ_SERR | 0x80);
		assert_int_equal(nic_irq_ack(b->nic, 0), 0);
		assert_int_equal(get(&b->fn, ISR, 2), IRQ_SERR | 0x80);
		nic_irq_arm_queue(b->nic, 0);
		assert_int_not_equal(get(&b->fn, IMR, 2), 0);
		b->fn.gone = true;
		assert_int_equal(nic_irq_ack(b->nic, 0), -ENODEV);
		b->fn.gone = false;
	}
}

static void a_check(void **state)
{
	struct bench *b = opened(0x28B);
	struct frame frame = {buffer(0), 60, 0}, frames[RING];
	uint32_t offset;
	struct pci_error why;
	unsigned polls;

	(void)state;
	polls = b->fn.polls;
	assert_int_equal(provide(b, 0, 8), 8);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls);
	/* A word that got lost is said again. */
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls + 2);
	assert_int_equal(transmit(b), 1);
	assert_int_equal(nic_tx_return(b->q, &offset, 1), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls + 2);

	/* A card that has something to send may take its time; one that has not, may not. */
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	for (unsigned i = 0; i < 5; i++) {
		b->fn.reg[TPPOLL] = TPPOLL_NPQ;
		assert_int_equal(nic_check(b->nic, &why), 0);
	}
	for (unsigned i = 0; i < NIC_CHECKS - 1; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "not reported"));
	assert_int_equal(transmit(b), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);

	/* Of received frames the second one is there, the first one not; with another one each
	 * time that is no fault.
	 */
	for (unsigned i = 0; i < NIC_CHECKS + 1; i++) {
		b->rx++;
		deliver(b, WHOLE, 64);
		b->rx -= 2;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
		assert_int_equal(nic_check(b->nic, &why), 0);
		deliver(b, WHOLE, 64);
		b->rx++;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(provide(b, 0, 2), 2);
	}
	b->rx++;
	deliver(b, WHOLE, 64);
	for (unsigned i = 0; i < NIC_CHECKS - 1; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "passed over"));

	put(&b->fn, ISR, 2, IRQ_SERR);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "refused"));
	b->fn.gone = true;
	assert_int_equal(nic_check(b->nic, &why), -ENODEV);
	assert_int_equal(nic_rx_provide(b->q, &offset, 1), 0);
	b->fn.gone = false;
	throw_away(b);
}

static void ids(void **state)
{
	static const struct pci_id known[] = {
		{.vendor = 0x10EC, .device = 0x8168}, {.vendor = 0x10EC, .device = 0x8161}};
	static const struct pci_id unknown[] = {{.vendor = 0x10EC, .device = 0x8136},
		{.vendor = 0x10EC, .device = 0x8125}, {.vendor = 0x10EC, .device = 0x8169},
		{.vendor = 0x8086, .device = 0x8168}};
	const char *why;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_string_equal(nic_driver_for(&known[i], &why), "rtl8168");
	for (unsigned i = 0; i < 4; i++) {
		assert_null(nic_driver_for(&unknown[i], &why));
		assert_int_equal(why != NULL, i < 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts),
		cmocka_unit_test(what_does_not_start_says_why),
		cmocka_unit_test(a_link_that_is_down),
		cmocka_unit_test(frames_come),
		cmocka_unit_test(lies_of_the_card),
		cmocka_unit_test(chains_come),
		cmocka_unit_test(buffers_out_of_place),
		cmocka_unit_test(frames_go),
		cmocka_unit_test(short_frames),
		cmocka_unit_test(frames_out_of_order),
		cmocka_unit_test(larger_frames),
		cmocka_unit_test(addresses),
		cmocka_unit_test(counters),
		cmocka_unit_test(another_process_goes_on),
		cmocka_unit_test(a_queue_comes_and_goes),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(a_check),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
