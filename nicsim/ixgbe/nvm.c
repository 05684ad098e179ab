/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The EEPROM: its image with its checksum and the registers that read it (an X550's is behind its
 * firmware: firmware.c); and the semaphores between driver and firmware.
 */
#include <string.h>

#include "nicsim/ixgbe/card.h"

/* --- EEPROM (X540 datasheet chapter 6) --- */

#define WORD_POINTERS   0x03u /* to 0x0E: sections; 0xFFFF: none */
#define WORD_CAPS       0x2cu
#define CAPS_ANY_MODULE 0x0001u
#define WORD_CHECKSUM   IXGBE_NVM_CHECKSUM
#define CHECKSUM        0xbabau /* what words 0 to 0x3F add up to: no section is in use */
#define X550_COVERED    0x42u   /* an X550's checksum is of words 0 to 0x41 (Intel's driver) */

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

/* A word that no section uses reads all-ones, as erased flash does. */
void ixgbe_nvm_build(struct ixgbe *card)
{
	uint16_t *word = card->nvm.flash;
	unsigned covered = card->model->rows == ROW_X550 ? X550_COVERED : WORD_CHECKSUM + 1;
	unsigned sum = 0;

	memset(word, 0xff, sizeof(card->nvm.flash));
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
	if (card->model->rows == ROW_82599)
		build_82599(word);
	word[WORD_CHECKSUM] = 0;
	for (unsigned i = 0; i < covered; i++)
		sum += word[i];
	word[WORD_CHECKSUM] = (uint16_t)(CHECKSUM - sum);
	spi_init(&card->nvm.spi, word, IXGBE_NVM_WORDS);
}

/* Power-on loads the shadow RAM from flash. */
void ixgbe_nvm_reset(struct ixgbe *card)
{
	memcpy(card->nvm.shadow, card->nvm.flash, sizeof(card->nvm.shadow));
}

/* FLUP copies the shadow RAM to flash; done at once. */
void ixgbe_write_eec(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (value & EEC_UPDATE)
		memcpy(card->nvm.flash, card->nvm.shadow, sizeof(card->nvm.flash));
}

/* The 82599's EEPROM by its pins (82599 datasheet 3.6.1, 8.2.3.2.1): who asks for them has them at
 * once. What is written so is in the shadow at the next power-on.
 */
uint32_t ixgbe_read_eec_pins(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset);

	if (value & EEC_REQUEST)
		value |= EEC_GRANT;
	if (spi_out(&card->nvm.spi))
		value |= EEC_DATA_OUT;
	return value;
}

void ixgbe_write_eec_pins(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	bool ours = (value & EEC_REQUEST) != 0;

	(void)offset;
	spi_pins(&card->nvm.spi, ours && !(value & EEC_SELECT), (value & EEC_CLOCK) != 0,
		(value & EEC_DATA_IN) != 0);
}

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
		data = card->nvm.shadow[address];
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
		card->nvm.shadow[address] = (uint16_t)(value >> 16);
	else
		report_strict(card->report, "EEPROM write of word 0x%x of 0x%x", address,
			IXGBE_NVM_WORDS);
	*ixgbe_reg(card, offset) = (value & ~(uint32_t)EERW_START) | EERW_DONE;
}

/* --- semaphores (X540 datasheet 10.5.4) --- */

/* Reading takes it: who reads 0 owns it. */
uint32_t ixgbe_read_swsm(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset);

	*ixgbe_reg(card, offset) |= SWSM_SMBI;
	return value;
}

uint32_t ixgbe_read_sw_fw_sync(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset);

	*ixgbe_reg(card, offset) |= SW_FW_SYNC_REGSMP;
	return value;
}
