/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames come: to the card's address and broadcast always, groups by a hash of 6 bits, other
 * stations all or none.
 */
#include "nic/rtl8168/rtl8168.h"

/* nic.filters */
#define SOME_GROUPS    1u /* by the hash, instead of all */
#define OTHER_STATIONS 2u /* beside the card's own */

void rtl8168_filter_resume(struct rtl8168 *dev)
{
	dev->groups[0] = reg_read(&dev->nic.bar, MAR0);
	dev->groups[1] = reg_read(&dev->nic.bar, MAR4);
}

void rtl8168_filter_write(struct rtl8168 *dev)
{
	const struct pci_bar *bar = &dev->nic.bar;
	bool some = (dev->nic.filters & SOME_GROUPS) && !(dev->model->quirks & QUIRK_ALL_GROUPS);
	uint32_t accept = RCR_APM | RCR_AB | RCR_AM;

	if (dev->nic.config.promiscuous || (dev->nic.filters & OTHER_STATIONS))
		accept |= RCR_AAP;
	/* A receiver that stands still takes no offence. */
	reg_write(bar, MAR4, some ? dev->groups[1] : UINT32_MAX);
	reg_write(bar, MAR0, some ? dev->groups[0] : UINT32_MAX);
	for (unsigned i = 0; i < 2; i++) {
		reg_write(bar, RCR, dev->model->rcr | accept);
		/* A single access may fail. */
		if ((reg_read(bar, RCR) & RCR_ACCEPT) == accept)
			break;
	}
}

/* The upper 6 bits of the address's CRC (IEEE 802.3, 3.2.9), as it is sent. */
static unsigned hash(const uint8_t address[6])
{
	uint32_t crc = UINT32_MAX;

	for (unsigned i = 0; i < 48; i++) {
		uint32_t bit = address[i / 8] >> i % 8 & 1u;

		crc = crc << 1 ^ ((crc >> 31 ^ bit) ? UINT32_C(0x04C11DB7) : 0);
	}
	return crc >> 26;
}

void rtl8168_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n)
{
	struct rtl8168 *dev = rtl8168_of(nic);

	/* Meanwhile all come: no frame that is let through before and after is lost. */
	reg_write(&nic->bar, RCR, dev->model->rcr | RCR_APM | RCR_AB | RCR_AM | RCR_AAP);
	nic->filters = addresses ? SOME_GROUPS : 0;
	dev->groups[0] = dev->groups[1] = 0;
	for (size_t i = 0; addresses && i < n; i++) {
		unsigned bit = hash(addresses[i]);

		/* Bit 0 is the lowest of the last byte. */
		if (addresses[i][0] & 1)
			dev->groups[bit < 32] |= BIT(bit % 8 + 8 * (3 - bit / 8 % 4));
		else if (memcmp(addresses[i], nic->mac, sizeof nic->mac) != 0)
			nic->filters |= OTHER_STATIONS;
	}
	rtl8168_filter_write(dev);
}
