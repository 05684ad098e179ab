/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The X550's host interface: a driver lays a command into memory that both see, sets HICR.C, and
 * finds the answer there when the firmware has cleared it; which is at once. The only way to the
 * EEPROM. Commands and their layouts are those of Intel's driver (ixgbe_type.h, FW_*): a header of
 * four bytes, then what it needs, big endian but for the EEPROM's words.
 *
 *     command   READ_SHADOW_RAM  WRITE_SHADOW_RAM  SHADOW_RAM_DUMP  DRIVER_INFO  DISABLE_RXEN
 *     bytes 4 to 7   address          address                           port         port
 *     8, 9           length           length
 *     12 and on      (the answer's)   data
 *
 * An answer's header holds the length of its data and whether it is a success; what other values
 * that has is not published.
 */
#include <string.h>

#include "nicsim/ixgbe/card.h"

enum {
	READ_SHADOW_RAM = 0x31,
	WRITE_SHADOW_RAM = 0x33,
	SHADOW_RAM_DUMP = 0x36,
	DRIVER_INFO = 0xdd,
	DISABLE_RXEN = 0xde,
};

enum { SUCCESS = 1, FAILURE = 2 };

#define DATA     3u    /* the dword in which data begins */
#define DATA_MAX 1024u /* bytes */

/* The EEPROM's words from `address` on that a command means, and how many; 0: there are no such. */
static unsigned piece(struct ixgbe *card, unsigned *first)
{
	uint32_t address = __builtin_bswap32(*ixgbe_shared_reg(card, FLEX_MNG(1)));
	uint32_t length = __builtin_bswap16((uint16_t)*ixgbe_shared_reg(card, FLEX_MNG(2)));

	*first = address / 2;
	if (address % 2 || length % 2 || length > DATA_MAX || *first > IXGBE_NVM_WORDS ||
		length / 2 > IXGBE_NVM_WORDS - *first)
		return 0;
	return length / 2;
}

static unsigned read_shadow(struct ixgbe *card, unsigned *bytes)
{
	unsigned first, words = piece(card, &first);

	for (unsigned i = 0; i < words; i += 2) {
		uint32_t next = i + 1 < words ? card->shared->nvm.shadow[first + i + 1] : 0;

		*ixgbe_shared_reg(card, FLEX_MNG(DATA + i / 2)) =
			card->shared->nvm.shadow[first + i] | next << 16;
	}
	*bytes = 2 * words;
	return words ? SUCCESS : FAILURE;
}

static unsigned write_shadow(struct ixgbe *card)
{
	unsigned first, words = piece(card, &first);

	for (unsigned i = 0; i < words; i++)
		card->shared->nvm.shadow[first + i] =
			(uint16_t)(*ixgbe_shared_reg(card, FLEX_MNG(DATA + i / 2)) >> 16 * (i % 2));
	return words ? SUCCESS : FAILURE;
}

static unsigned disable_receive(struct ixgbe *card)
{
	unsigned port = *ixgbe_shared_reg(card, FLEX_MNG(1)) & 0xff;

	if (port >= IXGBE_PORTS || !card->shared->port[port])
		return FAILURE;
	ixgbe_reg_write(card->shared->port[port], RXCTRL, 0);
	return SUCCESS;
}

/* The answer's second byte is the length's low half; the third has three bits more above the
 * status.
 */
static void answer(struct ixgbe *card, uint8_t command, unsigned status, unsigned bytes)
{
	*ixgbe_shared_reg(card, FLEX_MNG(0)) =
		command | (bytes & 0xff) << 8 | (status | (bytes >> 3 & 0xe0)) << 16 | 0xff000000;
}

void ixgbe_write_hicr(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	uint8_t command = (uint8_t)*ixgbe_shared_reg(card, FLEX_MNG(0));
	unsigned status = FAILURE, bytes = 0;

	if (!(value & HICR_COMMAND))
		return;
	if (!(*ixgbe_shared_reg(card, SW_FW_SYNC) & SW_FW_SYNC_MAILBOX))
		report_strict(card->report,
			"firmware command 0x%02x without its semaphore (bit 10 "
			"of SW_FW_SYNC)",
			command);
	switch (command) {
	case READ_SHADOW_RAM: status = read_shadow(card, &bytes); break;
	case WRITE_SHADOW_RAM: status = write_shadow(card); break;
	case SHADOW_RAM_DUMP:
		memcpy(card->shared->nvm.flash, card->shared->nvm.shadow,
			sizeof(card->shared->nvm.flash));
		status = SUCCESS;
		break;
	case DRIVER_INFO: status = SUCCESS; break;
	case DISABLE_RXEN: status = disable_receive(card); break;
	default: report_strict(card->report, "unknown firmware command 0x%02x", command); break;
	}
	answer(card, command, status, bytes);
	*ixgbe_shared_reg(card, offset) = HICR_ENABLED | HICR_STATUS_VALID;
}
