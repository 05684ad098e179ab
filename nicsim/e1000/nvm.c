/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The EEPROM (82574 datasheet 6.1): what its words say, and the way to them by EERD and EEWR.
 */
#include <string.h>

#include "nicsim/e1000/card.h"

#define WORD_CHECKSUM 0x3fu
#define CHECKSUM      0xbabau /* the sum of all words up to and with that one */

/* What nobody here acts on reads all-ones, as erased memory does. */
void e1000_nvm_build(struct e1000 *card)
{
	uint16_t *word = card->nvm, sum = 0;

	memset(word, 0xff, sizeof(card->nvm));
	for (unsigned i = 0; i < 3; i++)
		word[i] = (uint16_t)(card->mac[2 * i] | (unsigned)card->mac[2 * i + 1] << 8);
	word[0x03] = 0x0000; /* compatibility */
	word[0x04] = 0x8911; /* LEDs: by default */
	word[0x05] = 0x1000; /* image version */
	word[0x08] = 0x0000; /* board number */
	word[0x09] = 0x0000;
	word[0x0a] = 0x4080; /* initialization control 1: no wake-up, signature */
	word[0x0b] = card->ident.subdevice;
	word[0x0c] = card->ident.subvendor;
	word[0x0d] = card->ident.device;
	word[0x0e] = card->ident.vendor;
	word[0x0f] = 0x0000; /* initialization control 2: no manageability */
	word[0x14] = 0x0000; /* initialization control 3: no wake-up */
	word[0x24] = 0x0000;
	for (unsigned i = 0; i < WORD_CHECKSUM; i++)
		sum = (uint16_t)(sum + word[i]);
	word[WORD_CHECKSUM] = (uint16_t)(CHECKSUM - sum);
}

void e1000_nvm_spoil(struct e1000 *card)
{
	card->nvm[WORD_CHECKSUM] ^= 1;
}

static uint32_t word_address(uint32_t value)
{
	return value >> 2 & 0x3fff;
}

void e1000_write_eerd(struct e1000 *card, uint32_t offset, uint32_t value)
{
	uint32_t address = word_address(value), data = 0xffff;

	if (!(value & E1000_EERW_START))
		return;
	if (address < E1000_NVM_WORDS)
		data = card->nvm[address];
	else
		report_strict(
			card->report, "EEPROM read of word 0x%x of 0x%x", address, E1000_NVM_WORDS);
	*e1000_reg(card, offset) = data << 16 | address << 2 | E1000_EERW_DONE;
}

void e1000_write_eewr(struct e1000 *card, uint32_t offset, uint32_t value)
{
	uint32_t address = word_address(value);

	if (!(value & E1000_EERW_START))
		return;
	if (address < E1000_NVM_WORDS)
		card->nvm[address] = (uint16_t)(value >> 16);
	else
		report_strict(card->report, "EEPROM write of word 0x%x of 0x%x", address,
			E1000_NVM_WORDS);
	*e1000_reg(card, offset) = (value & ~(uint32_t)E1000_EERW_START) | E1000_EERW_DONE;
}
