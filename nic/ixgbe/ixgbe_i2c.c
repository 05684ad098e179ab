/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two-wire bus (I2C) to the module in an SFP+ cage: its lines are the driver's to move (I2CCTL,
 * 82599 datasheet 8.2.3.1.5), open drain: 1 lets go. Times are those of the standard mode, 100 kHz
 * (I2C specification, table 10); a module holds the clock for 500 us at most (SFF-8431, 4.2).
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

#define LOW_US     5u /* also before a start, and from a stop to a start */
#define HIGH_US    4u
#define STRETCH_US 500u
#define TRIES      2u

struct bus {
	struct ixgbe *dev;
	bool data;  /* as it is driven */
	bool stuck; /* a line does not rise that nobody should hold */
};

/* To the module's memory at an address; the bits before it are an SFP's, the last says: read. */
#define READ 1u

static void drive(struct bus *bus, bool clock, bool data)
{
	reg_write(&bus->dev->nic.bar, I2CCTL,
		(clock ? I2CCTL_CLOCK_OUT : 0) | (data ? I2CCTL_DATA_OUT : 0));
	bus->data = data;
}

/* The clock falls, and then the data line is set: the other way round is a start or a stop. */
static void set_data(struct bus *bus, bool data)
{
	drive(bus, false, bus->data);
	if (data != bus->data)
		drive(bus, false, data);
	pci_delay_us(LOW_US);
}

/* The clock rises; returns the data line as it is then. */
static bool rise(struct bus *bus)
{
	const struct pci_bar *bar = &bus->dev->nic.bar;
	uint32_t lines;

	drive(bus, true, bus->data);
	if (bus->stuck)
		return false; /* nothing more is waited for */
	pci_delay_us(HIGH_US);
	lines = reg_read(bar, I2CCTL);
	if (!(lines & I2CCTL_CLOCK_IN)) {
		/* By time, not by looks: a sleep may take a dozen times what was asked for. */
		bus->stuck = reg_poll(bar, I2CCTL, I2CCTL_CLOCK_IN, I2CCTL_CLOCK_IN, STRETCH_US);
		pci_delay_us(HIGH_US);
		lines = reg_read(bar, I2CCTL);
	}
	bus->stuck |= pci_gone(bus->dev->nic.fn);
	return lines & I2CCTL_DATA_IN;
}

static void start(struct bus *bus)
{
	set_data(bus, true);
	if (!rise(bus))
		bus->stuck = true;
	pci_delay_us(LOW_US);
	drive(bus, true, false);
	pci_delay_us(HIGH_US);
}

static void stop(struct bus *bus)
{
	set_data(bus, false);
	(void)rise(bus);
	drive(bus, true, true);
	pci_delay_us(LOW_US);
}

static bool bit(struct bus *bus, bool out)
{
	set_data(bus, out);
	return rise(bus);
}

/* Whether the module acknowledged it. */
static bool send(struct bus *bus, uint8_t byte)
{
	for (unsigned i = 0; i < 8; i++)
		(void)bit(bus, byte >> (7 - i) & 1);
	return !bit(bus, true);
}

static uint8_t receive(struct bus *bus, bool more)
{
	unsigned byte = 0;

	for (unsigned i = 0; i < 8; i++)
		byte = byte << 1 | bit(bus, true);
	(void)bit(bus, !more);
	return (uint8_t)byte;
}

static int transfer(struct bus *bus, uint8_t device, uint8_t offset, uint8_t *bytes, unsigned n)
{
	start(bus);
	if (!send(bus, device))
		return -ENXIO;
	if (n == 0)
		return 0;
	if (!send(bus, offset))
		return -ENXIO;
	start(bus);
	if (!send(bus, device | READ))
		return -ENXIO;
	for (unsigned i = 0; i < n; i++)
		bytes[i] = receive(bus, i + 1 < n);
	return 0;
}

int ixgbe_i2c_read(struct ixgbe *dev, uint8_t device, uint8_t offset, uint8_t *bytes, unsigned n)
{
	int rc = 0;

	/* Twice, as a single access may fail. And a module that an earlier driver has left in the
	 * middle of a byte, of which it holds the data line, is through with it by the first.
	 */
	for (unsigned i = 0; i < TRIES; i++) {
		struct bus bus = {.dev = dev, .data = true};

		rc = transfer(&bus, device, offset, bytes, n);
		stop(&bus);
		if (pci_gone(dev->nic.fn))
			return -ENODEV;
		if (bus.stuck)
			rc = -EIO;
		if (!rc)
			return 0;
	}
	return rc;
}
