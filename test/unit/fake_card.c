/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI function in plain memory, and a card behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_card.h"
#include "fake_pci.h"

#define MAC_LOW  0x44332202u
#define MAC_HIGH 0x6655u

uint64_t fake_now_us;
unsigned fake_slack_us;

/* --- the card's registers --- */

static uint32_t *reg_at(struct pci_function *fn, uint32_t reg)
{
	return &fn->reg[reg / 4];
}

static void card_reset(struct pci_function *fn)
{
	uint32_t semaphores[2] = {*reg_at(fn, SWSM), *reg_at(fn, SW_FW_SYNC)};
	uint32_t veto = *reg_at(fn, MMNGC);

	memset(fn->reg, 0, sizeof fn->reg);
	*reg_at(fn, SWSM) = semaphores[0];
	*reg_at(fn, SW_FW_SYNC) = semaphores[1];
	*reg_at(fn, MMNGC) = veto;
	*reg_at(fn, EEC) = EEC_PRES | EEC_AUTO_RD | 4u << EEC_SIZE_SHIFT;
	*reg_at(fn, EEC_X550EM_A) = EEC_AUTO_RD;
	*reg_at(fn, HICR) = fn->id.device == 0x1563 ? HICR_ENABLED : 0;
	*reg_at(fn, RAL(0)) = MAC_LOW;
	*reg_at(fn, RAH(0)) = MAC_HIGH | RAH_VALID;
	*reg_at(fn, RDRXCTL) = RDRXCTL_DMAIDONE | 8u << 17 | 1u << 15;
	*reg_at(fn, SECRXSTAT) = SECRXSTAT_RDY;
	*reg_at(fn, LINKS) = LINKS_UP | 3u << LINKS_SPEED_SHIFT;
	*reg_at(fn, DCA_RXCTRL(0)) = DCA_RXCTRL_MUST_BE_0 | DCA_RXCTRL_DATA_WRO;
	*reg_at(fn, HLREG0) = HLREG0_TXCRCEN | HLREG0_RXCRCSTRP | HLREG0_TXPADEN;
	*reg_at(fn, ANLP1) = ANLP1_STATE_MASK;
	*reg_at(fn, ESDP) = (fn->lit ? 0 : ESDP_SDP3) | ESDP_SDP3_OUT;
	*reg_at(fn, I2CCTL) = I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT;
	memset(fn->tx, 0, sizeof fn->tx);
	fn->resets++;
}

static bool counts(uint32_t reg)
{
	return (reg >= RXMPC(0) && reg <= RXMPC(7)) || (reg >= CRCERRS && reg <= RJC) ||
	       (reg >= QPRC(0) && reg <= QPRDC(15) &&
		       ((reg & 0x43F) == 0x030 || (reg & 0x43F) == 0x430)) ||
	       (reg >= QPTC(0) && reg <= QPTC(15) && (reg & 0x3F) == 0x30);
}

/* The receive queue whose block a register is in. */
static unsigned rx_queue_of(uint32_t reg)
{
	return (reg - RDBAL(0)) / 0x40;
}

static unsigned tx_queue_of(uint32_t reg)
{
	return (reg - TDBAL(0)) / 0x40;
}

static bool is_routed(const struct pci_function *fn, unsigned queue)
{
	const uint8_t *entry = (const uint8_t *)&fn->reg[RETA(0) / 4];

	for (unsigned i = 0; i < 4 * RETA_COUNT; i++)
		if (entry[i] == queue)
			return true;
	return false;
}

static void mdio(struct pci_function *fn, uint32_t command)
{
	unsigned phy = command >> MSCA_PHY_SHIFT & 31;
	uint32_t where = command & 0x1FFFFF;
	uint32_t data = 0xFFFF;

	if (phy == fn->phy_address && where == (1u << MSCA_DEVICE_SHIFT | 2u))
		data = 0x0154;
	if (phy == fn->phy_address && where == 30u << MSCA_DEVICE_SHIFT) {
		if ((command & MSCA_READ) == MSCA_WRITE)
			fn->phy_control = (uint16_t)*reg_at(fn, MSRWD);
		data = fn->phy_control;
	}
	if ((command & MSCA_READ) == MSCA_READ)
		*reg_at(fn, MSRWD) = data << MSRWD_READ_SHIFT;
	*reg_at(fn, MSCA) = command & ~MSCA_COMMAND;
}

/* An X550's firmware knows one command, and wants its semaphore held. */
static void firmware(struct pci_function *fn)
{
	uint32_t address = __builtin_bswap32(*reg_at(fn, FLEX_MNG(1))) / 2;
	uint32_t words = __builtin_bswap16((uint16_t)*reg_at(fn, FLEX_MNG(2))) / 2;

	*reg_at(fn, HICR) = HICR_ENABLED;
	if (*reg_at(fn, FLEX_MNG(0)) != 0xFF060031u || !(*reg_at(fn, SW_FW_SYNC) & SYNC_MAILBOX) ||
		address + words > FAKE_EEPROM)
		return;
	for (uint32_t i = 0; i < words; i++) {
		uint32_t *at = reg_at(fn, FLEX_MNG(3 + i / 2));

		*at = i % 2 ? *at | (uint32_t)fn->eeprom[address + i] << 16
			    : fn->eeprom[address + i];
	}
	*reg_at(fn, HICR) |= HICR_STATUS_VALID;
	fn->commands++;
}

static uint32_t card_read(struct pci_function *fn, uint32_t reg)
{
	uint32_t value = *reg_at(fn, reg);

	if (reg == STATUS)
		value = *reg_at(fn, CTRL) & CTRL_MASTER_DISABLE ? 0 : STATUS_MASTER_ENABLE;
	if (reg == EICR) {
		uint32_t kept = *reg_at(fn, GPIE) & GPIE_OCD ? value & IRQ_QUEUES : 0;

		if (!(*reg_at(fn, GPIE) & GPIE_EIAME))
			*reg_at(fn, EIMS) &= ~*reg_at(fn, EIAM);
		*reg_at(fn, EICR) = kept;
	}
	if (reg == LINKS && fn->link_fell) {
		fn->link_fell = false;
		value &= ~LINKS_UP;
	}
	if (reg == I2CCTL) {
		value &= I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT;
		if (value & I2CCTL_CLOCK_OUT &&
			fake_now_us - fn->clock_let_go_us >= fn->module_holds_us)
			value |= I2CCTL_CLOCK_IN;
		value |= fake_module_data(&fn->module) ? I2CCTL_DATA_IN : 0;
	}
	if (counts(reg))
		*reg_at(fn, reg) = 0;
	if (reg == SWSM || reg == SWSM_X550EM_A)
		*reg_at(fn, reg) |= SWSM_SMBI;
	if ((reg == SW_FW_SYNC || reg == SW_FW_SYNC_X550EM_A) && fn->id.device != 0x10FB)
		*reg_at(fn, reg) |= SYNC_REGSMP;
	for (unsigned i = 0; i < fn->holds; i++)
		if (fn->hold[i].reg == reg)
			value = (value & ~fn->hold[i].mask) | fn->hold[i].value;
	return value;
}

static void card_write(struct pci_function *fn, uint32_t reg, uint32_t value)
{
	if (reg == I2CCTL && value & ~*reg_at(fn, reg) & I2CCTL_CLOCK_OUT)
		fn->clock_let_go_us = fake_now_us;
	*reg_at(fn, reg) = value;
	if (reg == CTRL && value & CTRL_RST)
		card_reset(fn);
	if (reg == EERD)
		*reg_at(fn, EERD) =
			EERD_DONE |
			(uint32_t)fn->eeprom[(value >> EERD_ADDRESS_SHIFT) % FAKE_EEPROM]
				<< EERD_DATA_SHIFT;
	if (reg == MSCA)
		mdio(fn, value);
	if (reg == I2CCTL)
		fake_module_lines(&fn->module, value & I2CCTL_CLOCK_OUT, value & I2CCTL_DATA_OUT);
	if (reg == CORECTL)
		fn->corectl[fn->corectls++ % 8] = (uint16_t)value;
	if (reg == HICR && value & HICR_COMMAND)
		firmware(fn);
	if (reg == EIMC)
		*reg_at(fn, EIMS) &= ~value;
	if (reg == TXDCTL(0) && value & TXDCTL_ENABLE)
		fn->bus_master_when_started = fn->bus_master;
	if (reg >= RDBAL(0) && reg < RDBAL(16) && reg == RXDCTL(rx_queue_of(reg)) &&
		!(value & RXDCTL_ENABLE))
		fn->routed_when_stopped = is_routed(fn, rx_queue_of(reg));
	if (reg >= TDBAL(0) && reg < TDBAL(NIC_MAX_QUEUES) && reg == TXDCTL(tx_queue_of(reg)) &&
		!(value & TXDCTL_ENABLE))
		fn->tx[tx_queue_of(reg)] = (struct fake_tx){0};
	if (reg == RDT(0) || reg == TDT(0))
		fn->tail_writes++;
}

uint32_t fake_read(struct pci_function *fn, uint32_t reg)
{
	return *reg_at(fn, reg);
}

void fake_set(struct pci_function *fn, uint32_t reg, uint32_t value)
{
	*reg_at(fn, reg) = value;
}

void fake_hold(struct pci_function *fn, uint32_t reg, uint32_t mask, uint32_t value)
{
	fn->hold[fn->holds].reg = reg;
	fn->hold[fn->holds].mask = mask;
	fn->hold[fn->holds].value = value;
	fn->holds++;
}

/* --- the card's DMA --- */

static uint8_t *reach(struct pci_function *fn, uint64_t address, uint32_t len)
{
	if (fn->bus_master)
		for (unsigned r = 0; r < FAKE_REGIONS && fn->region[r]; r++)
			for (uint32_t c = 0; c < fn->region[r]->chunks; c++) {
				uint64_t at = address - fn->region[r]->iova[c];
				size_t chunk = (size_t)c << DMA_CHUNK_SHIFT;
				size_t size = fn->region[r]->size - chunk;

				if (size > DMA_CHUNK_SIZE)
					size = DMA_CHUNK_SIZE;
				if (at < size && len <= size - at)
					return fn->region[r]->base + chunk + at;
			}
	fn->wild++;
	return NULL;
}

static uint64_t *descriptor(struct pci_function *fn, uint32_t low, uint32_t high, uint32_t index)
{
	uint64_t base = (uint64_t)*reg_at(fn, high) << 32 | *reg_at(fn, low);

	return (uint64_t *)(void *)reach(fn, base + 16u * index, 16);
}

static bool is_legacy(const struct pci_function *fn, unsigned q)
{
	return !(fn->reg[SRRCTL(q) / 4] & SRRCTL_ADVANCED);
}

static bool take_rx(struct pci_function *fn, unsigned q, uint64_t **at)
{
	uint32_t head = *reg_at(fn, RDH(q));

	if (!(*reg_at(fn, RXCTRL) & RXCTRL_RXEN) || !(*reg_at(fn, RXDCTL(q)) & RXDCTL_ENABLE) ||
		head == *reg_at(fn, RDT(q)))
		return false;
	*at = descriptor(fn, RDBAL(q), RDBAH(q), head);
	*reg_at(fn, RDH(q)) = (head + 1) % (*reg_at(fn, RDLEN(q)) / 16);
	return *at != NULL;
}

static bool receive_part(
	struct pci_function *fn, unsigned queue, const uint8_t *data, uint32_t len, bool last)
{
	uint64_t *at;
	uint8_t *to;

	if (!take_rx(fn, queue, &at))
		return false;
	if (at[1] != 0 && !is_legacy(fn, queue))
		fn->wild++; /* the second quadword was not cleared */
	to = reach(fn, at[0], NIC_BUFFER_SIZE);
	if (to)
		memcpy(to, data, len);
	if (is_legacy(fn, queue))
		at[1] = LEGACY_RX_DD | (last ? LEGACY_RX_EOP : 0) | UINT64_C(0x8765) << 16 | len;
	else
		at[1] = RX_DD | (last ? RX_EOP : 0) | (uint64_t)len << RX_LENGTH_SHIFT |
			UINT64_C(0xABCD) << 48;
	return true;
}

bool fake_receive_on(struct pci_function *fn, unsigned queue, const void *data, uint32_t len)
{
	const uint8_t *from = data;

	for (; len > NIC_BUFFER_SIZE; len -= NIC_BUFFER_SIZE, from += NIC_BUFFER_SIZE)
		if (!receive_part(fn, queue, from, NIC_BUFFER_SIZE, false))
			return false;
	return receive_part(fn, queue, from, len, true);
}

bool fake_receive(struct pci_function *fn, const void *data, uint32_t len)
{
	return fake_receive_on(fn, 0, data, len);
}

bool fake_write_back(struct pci_function *fn, uint64_t word)
{
	uint64_t *at;

	if (!take_rx(fn, 0, &at))
		return false;
	if (!is_legacy(fn, 0))
		at[0] = UINT64_MAX; /* what the card leaves there is not looked at */
	at[1] = word;
	return true;
}

static void report_head(struct pci_function *fn, unsigned q)
{
	uint64_t at = (uint64_t)*reg_at(fn, TDWBAH(q)) << 32 | *reg_at(fn, TDWBAL(q));
	uint8_t *to = reach(fn, at & ~UINT64_C(3), 4);

	if (!(at & TDWBAL_HEAD_WB_EN) || at & 12)
		fn->wild++;
	else if (to)
		memcpy(to, reg_at(fn, TDH(q)), 4);
}

/* A descriptor of the legacy format: a whole frame, or none. */
static void send_legacy(struct pci_function *fn, const uint64_t *at)
{
	uint32_t len = (uint32_t)(at[1] & 0xFFFF);

	if (at[1] >> 32 || (at[1] & (TX_EOP | TX_IFCS)) != (TX_EOP | TX_IFCS))
		fn->wild++;
	if (!len)
		return;
	fn->sent[fn->sent_frames++ % FAKE_SENT] =
		(struct fake_sent){.first = (uint32_t)(reach(fn, at[0], len) - fn->region[0]->base),
			.bytes = len,
			.pieces = 1};
}

/* 7.2.3.2.3: IPLEN, MACLEN, L4LEN. */
static uint32_t header_of(const uint64_t context[2])
{
	return (uint32_t)((context[0] & 0x1FF) + (context[0] >> 9 & 0x7F) +
			  (context[1] >> 40 & 0xFF));
}

unsigned fake_transmit_on(struct pci_function *fn, unsigned q, unsigned n)
{
	uint32_t size = *reg_at(fn, TDLEN(q)) / 16;
	struct fake_sent *sent = &fn->tx[q].frame;
	unsigned done = 0;

	if (!(*reg_at(fn, DMATXCTL) & DMATXCTL_TE) || !(*reg_at(fn, TXDCTL(q)) & TXDCTL_ENABLE))
		return 0;
	while (done < n && *reg_at(fn, TDH(q)) != *reg_at(fn, TDT(q))) {
		uint32_t head = *reg_at(fn, TDH(q));
		uint64_t *at = descriptor(fn, TDBAL(q), TDBAH(q), head);
		uint32_t len = (uint32_t)(at[1] & 0xFFFF);
		const uint8_t *from;

		*reg_at(fn, TDH(q)) = (head + 1) % size;
		done++;
		if (!(at[1] & TX_DEXT)) {
			send_legacy(fn, at);
			if (at[1] & TX_RS)
				report_head(fn, q);
			continue;
		}
		if ((at[1] & TX_DATA) == (CONTEXT_WORD & TX_DATA)) {
			/* Not inside a frame, and it asks for no report. */
			if (sent->pieces || at[1] & (TX_RS | TX_EOP))
				fn->wild++;
			memcpy(fn->tx[q].context[at[1] >> TX_IDX_SHIFT & 1], at, 16);
			fn->contexts++;
			continue;
		}
		from = reach(fn, at[0], len);
		if (!sent->pieces && from)
			sent->first = (uint32_t)(from - fn->region[0]->base);
		if (!sent->pieces) {
			sent->word = at[1];
			memcpy(sent->context, fn->tx[q].context[at[1] >> TX_IDX_SHIFT & 1], 16);
		}
		sent->pieces++;
		sent->bytes += len;
		if (at[1] & TX_EOP) {
			/* PAYLEN is the frame's whole length, or what is to be cut. */
			uint32_t header = at[1] & TX_TSE ? header_of(sent->context) : 0;

			if ((at[1] >> TX_PAYLEN_SHIFT) + header != sent->bytes)
				fn->wild++;
			fn->sent[fn->sent_frames++ % FAKE_SENT] = *sent;
			*sent = (struct fake_sent){0};
		}
		if (at[1] & TX_RS) {
			at[0] = 0;
			at[1] = TX_DD;
		}
	}
	return done;
}

unsigned fake_transmit(struct pci_function *fn, unsigned n)
{
	return fake_transmit_on(fn, 0, n);
}

/* --- a card and memory --- */

static uint16_t sum_up(const struct pci_function *fn, unsigned from, unsigned words, uint16_t sum)
{
	for (unsigned i = from; i < from + words; i++)
		sum = (uint16_t)(sum + fn->eeprom[i]);
	return sum;
}

struct pci_function *fake_card_new(uint16_t device)
{
	struct pci_function *fn = calloc(1, sizeof *fn);
	uint16_t sum = 0;

	fn->id = (struct pci_id){.vendor = 0x8086, .device = device, .class_code = 0x020000};
	fn->bar_size = FAKE_REGS * 4;
	fn->irq_have[PCI_IRQ_MSIX] = 64;
	fn->irq_have[PCI_IRQ_MSI] = 1;
	fn->irq_have[PCI_IRQ_INTX] = 1;
	fn->phy_address = 3;
	fake_module_plug(&fn->module, 0x10, 0x01, 0);
	fn->phy_control = 0x0800 | 0x0001;
	/* Two sections, one pointer that is out of the EEPROM, the rest absent. */
	for (unsigned i = 0; i <= 0x0E; i++)
		fn->eeprom[i] = i < 3 ? 0x1234 : 0xFFFF;
	fn->eeprom[0x06] = 0x80;
	fn->eeprom[0x07] = 0x90;
	fn->eeprom[0x08] = 0x7777;
	for (unsigned i = 0x80; i < 0x98; i++)
		fn->eeprom[i] = (uint16_t)(i * 257);
	fn->eeprom[0x80] = 4;
	fn->eeprom[0x90] = 7;
	for (unsigned i = 0; i < 0x3F; i++)
		sum = (uint16_t)(sum + fn->eeprom[i]);
	if (device == 0x1563) {
		/* Words 0x40 and 0x41, too; and sections of 36 and of 8 words without a length. */
		fn->eeprom[0x41] = 0x4321;
		sum = (uint16_t)(sum + fn->eeprom[0x40] + fn->eeprom[0x41]);
		sum = sum_up(fn, 0x80, 36, sum);
		sum = sum_up(fn, 0x90, 8, sum);
	} else {
		sum = sum_up(fn, 0x81, 4, sum);
		sum = sum_up(fn, 0x91, 7, sum);
	}
	fn->eeprom[0x3F] = (uint16_t)(0xBABA - sum);
	card_reset(fn);
	fn->resets = 0;
	return fn;
}

void fake_card_free(struct pci_function *fn)
{
	free(fn);
}

struct dma_region *fake_region_new(struct pci_function *fn, size_t size)
{
	struct dma_region *region = calloc(1, sizeof *region);
	unsigned which = 0;

	while (which + 1 < FAKE_REGIONS && fn->region[which])
		which++;
	size = (size + 4095) / 4096 * 4096;
	region->base = aligned_alloc(4096, size);
	memset(region->base, 0, size);
	region->size = size;
	region->memfd = -1;
	region->chunks = (uint32_t)((size + DMA_CHUNK_SIZE - 1) >> DMA_CHUNK_SHIFT);
	for (uint32_t c = 0; c < region->chunks; c++)
		region->iova[c] =
			(UINT64_C(0x50) + which) << 32 |
			(fn->one_run ? (uint64_t)c << DMA_CHUNK_SHIFT
				     : (uint64_t)(region->chunks - c) << (DMA_CHUNK_SHIFT + 1));
	fn->region[which] = region;
	return region;
}

void fake_region_free(struct dma_region *region)
{
	free(region->base);
	free(region);
}

/* --- pci.h --- */

int pci_quiesce(struct pci_function *fn)
{
	fn->bus_master = false;
	fn->quiesced++;
	return 0;
}

int pci_set_bus_master(struct pci_function *fn, bool on)
{
	fn->bus_master = on;
	return fn->gone ? -ENODEV : 0;
}

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	if (index != 0) {
		snprintf(why->text, sizeof why->text, "no such BAR");
		return -EINVAL;
	}
	*bar = (struct pci_bar){.fn = fn, .size = fn->bar_size, .alive = alive};
	fn->bars++;
	return 0;
}

/* Counts an access; false: the card does not answer any more. */
static bool answers(struct pci_function *fn, uint32_t reg)
{
	fn->accesses++;
	if (fn->vanish_at && fn->accesses >= fn->vanish_at)
		return false;
	if (reg % 4 || reg / 4 >= FAKE_REGS) {
		fn->misuse++;
		return false;
	}
	return true;
}

uint32_t reg_read(const struct pci_bar *bar, uint32_t offset)
{
	if (bar->fn->gone)
		return UINT32_MAX;
	if (answers(bar->fn, offset))
		return card_read(bar->fn, offset);
	bar->fn->gone = true;
	return UINT32_MAX;
}

void reg_write(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	if (!bar->fn->gone && answers(bar->fn, offset))
		card_write(bar->fn, offset, value);
}

volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset)
{
	return bar->fn->direct ? (volatile uint8_t __iomem *)reg_at(bar->fn, offset) : NULL;
}

int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value,
	unsigned timeout_us)
{
	uint64_t end = fake_now_us + timeout_us;

	for (;;) {
		uint32_t now = reg_read(bar, offset);

		if (bar->fn->gone)
			return -ENODEV;
		if ((now & mask) == value)
			return 0;
		if (fake_now_us >= end)
			return -ETIMEDOUT;
		fake_now_us += 100;
	}
}

void pci_delay_us(unsigned us)
{
	fake_now_us += us + fake_slack_us;
}

int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[])
{
	if (fn->gone)
		return -ENODEV;
	for (unsigned i = 0; i < vectors; i++)
		fd[i] = 100 + (int)i;
	fn->irq_kind = kind;
	fn->irq_enabled = vectors;
	return 0;
}

void pci_irq_disable(struct pci_function *fn)
{
	fn->irq_enabled = 0;
}

int pci_irq_unmask(struct pci_function *fn)
{
	fn->irq_unmasked++;
	return 0;
}
