/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A serial EEPROM behind four pins, as the 82599's is (25LC-type parts: SPI mode 0, 16-bit byte
 * addresses). Drivers that read it bit by bit meet it here.
 */
#ifndef NICSIM_IXGBE_SPI_H
#define NICSIM_IXGBE_SPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spi {
	uint16_t *word; /* what it holds, low byte first */
	size_t words;
	bool selected, clock;
	bool writable;    /* after WREN, until a write */
	unsigned bits;    /* clocked in since it was selected */
	uint32_t in;      /* the newest of them */
	uint8_t command;  /* the first byte */
	uint32_t address; /* of the next byte */
	unsigned left;    /* bits of `shift` that are not out yet */
	uint8_t shift;
	bool out; /* the pin */
};

void spi_init(struct spi *spi, uint16_t *word, size_t words);
/* The pins that a driver drives: chip select (true: selected), clock, data. */
void spi_pins(struct spi *spi, bool selected, bool clock, bool data);
/* What the chip drives; without being selected it does not, and the line is pulled up. */
bool spi_out(const struct spi *spi);

#endif
