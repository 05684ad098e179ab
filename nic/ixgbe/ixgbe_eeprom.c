/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the card loads from its EEPROM after a reset, and whether that can be trusted.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

/* EEPROM map (82599 datasheet 6.2, X540 datasheet 6.2): words 0x00 to 0x3F and the sections behind
 * the pointers in words 0x03 to 0x0E, each led by its length, add up to 0xBABA; word 0x3F makes it
 * so. On the X540 the sections of the PHY and of the option ROM do not count.
 */
#define CHECKSUM_WORD 0x3Fu
#define CHECKSUM      0xBABAu
#define SECTION_FIRST 0x03u
#define SECTION_LAST  0x0Eu
#define SECTION_PHY   0x04u
#define SECTION_ROM   0x05u

#define AUTO_READ_US 1000000u /* no limit is given */
#define EERD_US      100000u

int ixgbe_eeprom_wait(struct ixgbe *dev)
{
	uint32_t eec = dev->model->family == IXGBE_X550EM_A ? EEC_X550EM_A : EEC;

	return nic_wait(&dev->nic, eec, EEC_AUTO_RD, EEC_AUTO_RD, AUTO_READ_US,
		"the EEPROM was not loaded", "EEC.AUTO_RD, 82599 datasheet 4.6.3.2");
}

static int read_word(struct ixgbe *dev, uint32_t address, uint16_t *word)
{
	int rc;

	reg_write(&dev->nic.bar, EERD, address << EERD_ADDRESS_SHIFT | EERD_START);
	rc = nic_wait(&dev->nic, EERD, EERD_DONE, EERD_DONE, EERD_US, "an EEPROM word was not read",
		"EERD.DONE, 82599 datasheet 8.2.3.2.2");
	if (!rc)
		*word = (uint16_t)(reg_read(&dev->nic.bar, EERD) >> EERD_DATA_SHIFT);
	return rc;
}

/* Adds the words [from, to) to *sum. */
static int add_words(struct ixgbe *dev, uint32_t from, uint32_t to, uint16_t *sum)
{
	for (uint32_t at = from; at < to; at++) {
		uint16_t word = 0;
		int rc = read_word(dev, at, &word);

		if (rc)
			return rc;
		*sum = (uint16_t)(*sum + word);
	}
	return 0;
}

static int add_sections(struct ixgbe *dev, uint32_t size, uint16_t *sum)
{
	uint32_t left = size; /* sections do not overlap: what they add is bounded */

	for (uint32_t at = SECTION_FIRST; at <= SECTION_LAST; at++) {
		uint16_t start = 0;
		uint16_t length = 0;
		int rc;

		if (dev->model->family == IXGBE_X540 && (at == SECTION_PHY || at == SECTION_ROM))
			continue;
		rc = read_word(dev, at, &start);
		if (rc)
			return rc;
		if (start == 0 || start >= size) /* 0xFFFF: no such section */
			continue;
		rc = read_word(dev, start, &length);
		if (rc)
			return rc;
		if (length == 0 || length >= size - start)
			continue;
		if (length > left)
			return -EIO;
		left -= length;
		rc = add_words(dev, start + 1u, start + 1u + length, sum);
		if (rc)
			return rc;
	}
	return 0;
}

static int checksum(struct ixgbe *dev, uint32_t size, uint16_t *sum)
{
	int rc = add_words(dev, 0, CHECKSUM_WORD + 1, sum);

	return rc ? rc : add_sections(dev, size, sum);
}

int ixgbe_eeprom_check(struct ixgbe *dev)
{
	uint32_t eec = reg_read(&dev->nic.bar, EEC);
	uint32_t size = 64u << ((eec >> EEC_SIZE_SHIFT) & EEC_SIZE_MASK);
	uint16_t sum = 0;
	int rc;

	/* The X550's is behind its firmware, and nothing that the driver needs is only there. */
	if (dev->model->family != IXGBE_82599 && dev->model->family != IXGBE_X540)
		return 0;
	if (!(eec & EEC_PRES))
		return nic_fail(&dev->nic, -EIO,
			"the card has no EEPROM, or one without signature "
			"(EEC.EE_PRES, 82599 datasheet 8.2.3.2.1): it cannot be used");
	rc = ixgbe_sync_acquire(dev, SYNC_EEPROM);
	if (rc)
		return rc;
	rc = checksum(dev, size, &sum);
	ixgbe_sync_release(dev, SYNC_EEPROM);
	if (rc == -EIO || (!rc && sum != CHECKSUM))
		return nic_fail(&dev->nic, -EIO,
			"the EEPROM's checksum is wrong (82599 datasheet 6.2): reprogram the card");
	return rc;
}

int ixgbe_read_mac(struct ixgbe *dev)
{
	/* Loaded into the first receive address (8.2.3.7.8, 8.2.3.7.9), first byte lowest. */
	uint32_t low = reg_read(&dev->nic.bar, RAL(0));
	uint32_t high = reg_read(&dev->nic.bar, RAH(0));

	for (unsigned i = 0; i < 4; i++)
		dev->nic.mac[i] = (uint8_t)(low >> (8 * i));
	for (unsigned i = 0; i < 2; i++)
		dev->nic.mac[4 + i] = (uint8_t)(high >> (8 * i));
	if (!(high & RAH_VALID) || (low & 1) || (low == 0 && (high & 0xFFFF) == 0))
		return nic_fail(&dev->nic, -EIO,
			"no valid MAC address was loaded (RAL0, RAH0, 82599 datasheet 8.2.3.7.9): "
			"reprogram the card's EEPROM");
	return 0;
}
