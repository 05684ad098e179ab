/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The EEPROM: its image with its checksum and the registers that read it (an X550's is behind its
 * firmware: firmware.c), the same at both ports of a card.
 */
#include <string.h>

#include "nicsim/ixgbe/card.h"

/* --- the image (X540 datasheet chapter 6) --- */

#define WORD_CORE0      0x09u   /* of the pointers to sections, in words 0x03 to 0x0E: port 0's */
#define NONE            0xffffu /* no such section */
#define WORD_CAPS       0x2cu
#define CAPS_ANY_MODULE 0x0001u
#define WORD_CHECKSUM   IXGBE_NVM_CHECKSUM
#define CHECKSUM        0xbabau /* what words 0 to 0x3F and the sections add up to */
#define X550_COVERED    0x42u   /* an X550's checksum is of words 0 to 0x41 (Intel's driver) */

/* Where port 0's section is, and port 1's; what follows its length. */
enum { CORE0 = 0x60, CORE1 = 0x70, CORE_LENGTH = 7 };

/* What an 82599's firmware and module support look like to a driver (Linux, DPDK): a firmware block
 * whose pass-through section tells its version, and for each kind of module what is to be written
 * to CORECTL before it is used, which is nothing.
 */
static void build_82599(uint16_t *word)
{
	enum { WORD_SFP = 0x2b, WORD_FIRMWARE = 0x0f, FIRMWARE = 0x80, PASS_THROUGH = 0x90 };
	enum { SFP_LIST = 0xa0, SFP_DATA = 0xb0, MODULE_FIRST = 3, MODULE_LAST = 6 };
	unsigned at = SFP_LIST;

	word[WORD_CAPS] &= (uint16_t)~CAPS_ANY_MODULE; /* Intel's own alone */
	word[WORD_FIRMWARE] = FIRMWARE;
	word[FIRMWARE + 4] = PASS_THROUGH;
	word[PASS_THROUGH + 7] = 0x0006;
	word[WORD_SFP] = SFP_LIST;
	word[at++] = 2 * (MODULE_LAST - MODULE_FIRST + 1);
	for (unsigned kind = MODULE_FIRST; kind <= MODULE_LAST; kind++) {
		word[at++] = (uint16_t)kind;
		word[at++] = SFP_DATA;
	}
	word[SFP_DATA] = 0;
}

/* Of a port: the section that its "LAN core" pointer leads to, led by its length (82599 datasheet
 * 6.2): its address, low byte first, LEDs, pins, filters.
 */
static void build_port(uint16_t *word, unsigned port, const uint8_t mac[6])
{
	uint16_t at = (uint16_t)(port ? CORE1 : CORE0);

	word[WORD_CORE0 + port] = at;
	word[at] = CORE_LENGTH;
	for (unsigned i = 0; i < 3; i++)
		word[at + 1 + i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
	word[at + 4] = 0x6084; /* LEDCTL */
	for (unsigned i = 5; i <= CORE_LENGTH; i++)
		word[at + i] = 0;
}

/* Of words from 0 on, without that of the checksum, and of the sections in use. */
static unsigned sum_of(const uint16_t *word, unsigned words)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < words; i++)
		sum += i == WORD_CHECKSUM ? 0u : word[i];
	for (unsigned port = 0; port < IXGBE_PORTS; port++) {
		unsigned at = word[WORD_CORE0 + port];

		for (unsigned i = 1; at != NONE && i <= CORE_LENGTH; i++)
			sum += word[at + i];
	}
	return sum;
}

/* For the ports that there are. A word that no section uses reads all-ones, as erased flash does.
 */
void ixgbe_nvm_build(struct ixgbe_shared *shared)
{
	const struct ixgbe_model *model = shared->port[0]->model;
	uint16_t *word = shared->nvm.flash;

	memset(word, 0xff, sizeof(shared->nvm.flash));
	word[0x00] = 0x2d40;
	word[0x01] = 0x0000;
	word[0x02] = 0x0000;
	word[0x18] = 0x0100; /* image revision */
	word[0x2d] = 0x0001; /* image identifier, low and high (bit 15: valid) */
	word[0x2e] = 0x8000;
	/* Any module is fine, no write on cross-talk; no wake-up, no storage offloads. */
	word[WORD_CAPS] = 0x0081;
	/* "Printed board assembly number" as two words (the old form, without a section). */
	word[0x15] = 0x0000;
	word[0x16] = 0x0000;
	word[0x38] = 0x0000;
	if (model->rows == ROW_82599)
		build_82599(word);
	for (unsigned port = 0; port < IXGBE_PORTS; port++) {
		if (shared->port[port])
			build_port(word, port, shared->port[port]->mac);
	}
	word[WORD_CHECKSUM] =
		(uint16_t)(CHECKSUM -
			   sum_of(word, model->rows == ROW_X550 ? X550_COVERED : WORD_CHECKSUM));
	spi_init(&shared->nvm.spi, word, IXGBE_NVM_WORDS);
}

/* Power-on loads the shadow RAM from flash. */
void ixgbe_nvm_reset(struct ixgbe_shared *shared)
{
	memcpy(shared->nvm.shadow, shared->nvm.flash, sizeof(shared->nvm.shadow));
}

const uint16_t *ixgbe_nvm_mac(const struct ixgbe *card)
{
	const uint16_t *word = card->shared->nvm.shadow;
	unsigned at = word[WORD_CORE0 + card->port];

	return at == 0 || at + 4 > IXGBE_NVM_WORDS ? NULL : word + at + 1;
}

/* --- EEC --- */

/* FLUP copies the shadow RAM to flash; done at once. */
void ixgbe_write_eec(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (value & EEC_UPDATE)
		memcpy(card->shared->nvm.flash, card->shared->nvm.shadow,
			sizeof(card->shared->nvm.flash));
}

/* The 82599's EEPROM by its pins (82599 datasheet 3.6.1, 8.2.3.2.1): of the ports that ask for them
 * one has them, at once or when the other gives them back. What is written so is in the shadow at
 * the next power-on.
 */
static bool has_pins(struct ixgbe *card)
{
	struct ixgbe_shared *shared = card->shared;
	bool asks = *ixgbe_reg(card, EEC) & EEC_REQUEST;

	if (asks && shared->pins < 0)
		shared->pins = (int)card->port;
	if (!asks)
		ixgbe_pins_reset(card);
	return shared->pins == (int)card->port;
}

void ixgbe_pins_reset(struct ixgbe *card)
{
	if (card->shared->pins != (int)card->port)
		return;
	spi_pins(&card->shared->nvm.spi, false, false, false);
	card->shared->pins = -1;
}

uint32_t ixgbe_read_eec_pins(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset);

	if (!has_pins(card))
		return value | EEC_DATA_OUT; /* pulled up */
	value |= EEC_GRANT;
	if (spi_out(&card->shared->nvm.spi))
		value |= EEC_DATA_OUT;
	return value;
}

void ixgbe_write_eec_pins(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (has_pins(card))
		spi_pins(&card->shared->nvm.spi, !(value & EEC_SELECT), (value & EEC_CLOCK) != 0,
			(value & EEC_DATA_IN) != 0);
}

/* --- EERD and EEWR --- */

static uint32_t word_address(uint32_t value)
{
	return (value >> 2) & 0x3fff;
}

void ixgbe_write_eerd(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	uint32_t address = word_address(value), data = 0xffff;

	if (!(value & EERW_START))
		return;
	if (address < IXGBE_NVM_WORDS)
		data = card->shared->nvm.shadow[address];
	else
		report_strict(
			card->report, "EEPROM read of word 0x%x of 0x%x", address, IXGBE_NVM_WORDS);
	*ixgbe_reg(card, offset) = data << 16 | address << 2 | EERW_DONE;
}

void ixgbe_write_eewr(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	uint32_t address = word_address(value);

	if (!(value & EERW_START))
		return;
	if (address < IXGBE_NVM_WORDS)
		card->shared->nvm.shadow[address] = (uint16_t)(value >> 16);
	else
		report_strict(card->report, "EEPROM write of word 0x%x of 0x%x", address,
			IXGBE_NVM_WORDS);
	*ixgbe_reg(card, offset) = (value & ~(uint32_t)EERW_START) | EERW_DONE;
}
