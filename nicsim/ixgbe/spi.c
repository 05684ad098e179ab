/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Data is taken in at a rising clock and put out at a falling one, highest bit first.
 */
#include "nicsim/ixgbe/spi.h"

#include <string.h>

enum { WRITE = 0x02, READ = 0x03, WRDI = 0x04, RDSR = 0x05, WREN = 0x06 };

#define STATUS_WRITABLE 0x02u

void spi_init(struct spi *spi, uint16_t *word, size_t words)
{
	memset(spi, 0, sizeof(*spi));
	spi->word = word;
	spi->words = words;
}

static uint8_t read_byte(const struct spi *spi, uint32_t address)
{
	uint16_t word = spi->word[(address / 2) % spi->words];

	return (uint8_t)(address % 2 ? word >> 8 : word);
}

static void write_byte(struct spi *spi, uint32_t address, uint8_t value)
{
	uint16_t *word = &spi->word[(address / 2) % spi->words];

	*word = (uint16_t)(address % 2 ? (*word & 0x00ff) | value << 8 : (*word & 0xff00) | value);
}

/* Eight bits more are in. */
static void byte_in(struct spi *spi)
{
	unsigned number = spi->bits / 8;

	if (number == 1) {
		spi->command = (uint8_t)spi->in;
		if (spi->command == WREN || spi->command == WRDI)
			spi->writable = spi->command == WREN;
	} else if (number == 3) {
		spi->address = spi->in & 0xffff;
	} else if (number > 3 && spi->command == WRITE && spi->writable) {
		write_byte(spi, spi->address++, (uint8_t)spi->in);
	}
}

/* The next byte to put out, once the command (and its address) is complete. */
static void load(struct spi *spi)
{
	if (spi->command == RDSR && spi->bits >= 8)
		spi->shift = spi->writable ? STATUS_WRITABLE : 0;
	else if (spi->command == READ && spi->bits >= 24)
		spi->shift = read_byte(spi, spi->address++);
	else
		return;
	spi->left = 8;
}

void spi_pins(struct spi *spi, bool selected, bool clock, bool data)
{
	bool rises = clock && !spi->clock, falls = !clock && spi->clock;

	if (!selected) {
		if (spi->selected && spi->command == WRITE && spi->bits > 24)
			spi->writable = false;
		spi->bits = spi->left = 0;
		spi->command = 0;
	} else if (spi->selected && rises) {
		spi->in = spi->in << 1 | data;
		if (++spi->bits % 8 == 0)
			byte_in(spi);
	} else if (spi->selected && falls) {
		if (spi->left == 0 && spi->bits % 8 == 0)
			load(spi);
		if (spi->left != 0) {
			spi->out = (spi->shift & 0x80) != 0;
			spi->shift = (uint8_t)(spi->shift << 1);
			spi->left--;
		}
	}
	spi->selected = selected;
	spi->clock = clock;
}

bool spi_out(const struct spi *spi)
{
	return !spi->selected || spi->out;
}
