/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the card loads from its EEPROM after a reset, and whether that can be trusted.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

/* EEPROM map (82599 datasheet 6.2, X540 datasheet 6.2): words 0x00 to 0x3F and the sections behind
 * the pointers in words 0x03 to 0x0E, each led by its length, add up to 0xBABA; word 0x3F makes it
 * so. On the X540 the sections of the PHY and of the option ROM do not count. On the X550 words
 * 0x40 and 0x41 do, there is a pointer in word 0x02, too, and three sections have a size of their
 * own and no length (Intel's driver).
 */
#define CHECKSUM_WORD      0x3Fu
#define CHECKSUM_LAST_X550 0x41u
#define CHECKSUM           0xBABAu
#define SECTION_FIRST      0x03u
#define SECTION_FIRST_X550 0x02u
#define SECTION_LAST       0x0Eu
#define SECTION_PHY        0x04u
#define SECTION_ROM        0x05u
#define SECTION_PCIE       0x06u /* X550: 36 words, and 8 for each function */
#define SECTION_PCIE_0     0x07u
#define SECTION_PCIE_1     0x08u

#define WINDOW 64u /* words that an X550's firmware is asked for at once */

/* The EEPROM; what was read last of one behind firmware. */
struct eeprom {
	uint32_t size; /* words */
	uint32_t first;
	uint32_t count;
	uint16_t word[WINDOW];
};

/* EERD has 14 bits for an address (8.2.3.2.2) and a pointer has 16, whatever the card says of its
 * size: else a single failed read of that would have us read millions of words.
 */
#define WORDS_MAX      0x4000u
#define WORDS_MAX_X550 0x10000u

#define AUTO_READ_US 1000000u /* no limit is given */
#define EERD_US      100000u

int ixgbe_eeprom_wait(struct ixgbe *dev)
{
	uint32_t eec = dev->model->family == IXGBE_X550EM_A ? EEC_X550EM_A : EEC;

	return nic_wait(&dev->nic, eec, EEC_AUTO_RD, EEC_AUTO_RD, AUTO_READ_US,
		"the EEPROM was not loaded", "EEC.AUTO_RD, 82599 datasheet 4.6.3.2");
}

static bool is_x550(const struct ixgbe *dev)
{
	return dev->model->family == IXGBE_X550;
}

static int read_by_register(struct ixgbe *dev, uint32_t address, uint16_t *word)
{
	int rc;

	reg_write(&dev->nic.bar, EERD, address << EERD_ADDRESS_SHIFT | EERD_START);
	rc = nic_wait(&dev->nic, EERD, EERD_DONE, EERD_DONE, EERD_US, "an EEPROM word was not read",
		"EERD.DONE, 82599 datasheet 8.2.3.2.2");
	if (!rc)
		*word = (uint16_t)(reg_read(&dev->nic.bar, EERD) >> EERD_DATA_SHIFT);
	return rc;
}

int ixgbe_eeprom_words(struct ixgbe *dev, uint32_t address, uint16_t *word, unsigned count)
{
	int rc = 0;

	for (unsigned i = 0; i < count && !rc; i++)
		rc = read_by_register(dev, (address + i) % WORDS_MAX, word + i);
	return rc;
}

/* The word at an address below the size. */
static int read_word(struct ixgbe *dev, struct eeprom *eeprom, uint32_t address, uint16_t *word)
{
	uint32_t left = eeprom->size - address;

	if (!is_x550(dev))
		return read_by_register(dev, address, word);
	if (address - eeprom->first >= eeprom->count) {
		int rc;

		eeprom->first = address;
		eeprom->count = left < WINDOW ? left : WINDOW;
		rc = ixgbe_firmware_read(dev, address, eeprom->word, eeprom->count);
		if (rc)
			return rc;
	}
	*word = eeprom->word[address - eeprom->first];
	return 0;
}

/* Adds the words [from, to) to *sum. */
static int add_words(
	struct ixgbe *dev, struct eeprom *eeprom, uint32_t from, uint32_t to, uint16_t *sum)
{
	for (uint32_t at = from; at < to; at++) {
		uint16_t word = 0;
		int rc = read_word(dev, eeprom, at, &word);

		if (rc)
			return rc;
		*sum = (uint16_t)(*sum + word);
	}
	return 0;
}

/* Whether the section behind a pointer counts. */
static bool counts(const struct ixgbe *dev, uint32_t pointer)
{
	if (dev->model->family != IXGBE_82599 && (pointer == SECTION_PHY || pointer == SECTION_ROM))
		return false;
	return pointer >= SECTION_FIRST || is_x550(dev);
}

/* How long a section is that does not say so itself; 0: it does. */
static uint32_t fixed_length(const struct ixgbe *dev, uint32_t pointer)
{
	if (!is_x550(dev))
		return 0;
	if (pointer == SECTION_PCIE)
		return 36;
	return pointer == SECTION_PCIE_0 || pointer == SECTION_PCIE_1 ? 8 : 0;
}

static int add_sections(struct ixgbe *dev, struct eeprom *eeprom, uint16_t *sum)
{
	uint32_t size = eeprom->size;
	uint32_t left = size; /* sections do not overlap: what they add is bounded */

	for (uint32_t at = SECTION_FIRST_X550; at <= SECTION_LAST; at++) {
		uint32_t length = fixed_length(dev, at);
		uint16_t pointer = 0;
		uint16_t word = 0;
		uint32_t start;
		int rc;

		if (!counts(dev, at))
			continue;
		rc = read_word(dev, eeprom, at, &pointer);
		if (rc)
			return rc;
		start = pointer;
		if (start == 0 || start >= size) /* 0xFFFF: no such section */
			continue;
		if (!length) {
			rc = read_word(dev, eeprom, start, &word);
			if (rc)
				return rc;
			length = word;
			start++;
		}
		if (length == 0 || length > size - start)
			continue;
		if (length > left)
			return -EBADMSG;
		left -= length;
		rc = add_words(dev, eeprom, start, start + length, sum);
		if (rc)
			return rc;
	}
	return 0;
}

static int checksum(struct ixgbe *dev, struct eeprom *eeprom, uint16_t *sum)
{
	uint32_t last = is_x550(dev) ? CHECKSUM_LAST_X550 : CHECKSUM_WORD;
	int rc = add_words(dev, eeprom, 0, last + 1, sum);

	return rc ? rc : add_sections(dev, eeprom, sum);
}

int ixgbe_eeprom_check(struct ixgbe *dev)
{
	uint32_t eec = reg_read(&dev->nic.bar, EEC);
	uint32_t words = 64u << ((eec >> EEC_SIZE_SHIFT) & EEC_SIZE_MASK);
	uint32_t most = is_x550(dev) ? WORDS_MAX_X550 : WORDS_MAX;
	struct eeprom eeprom = {.size = words < most ? words : most};
	uint32_t resources = is_x550(dev) ? SYNC_EEPROM | SYNC_MAILBOX : SYNC_EEPROM;
	uint16_t sum = 0;
	int rc;

	/* An X550EM's is behind its firmware, and nothing that the driver needs is only there. */
	if (dev->model->family > IXGBE_X550)
		return 0;
	if (is_x550(dev) && eeprom.size <= CHECKSUM_LAST_X550)
		eeprom.size = CHECKSUM_LAST_X550 + 1;
	if (!(eec & EEC_PRES) && !is_x550(dev))
		return nic_fail(&dev->nic, -EIO,
			"the card has no EEPROM, or one without signature "
			"(EEC.EE_PRES, 82599 datasheet 8.2.3.2.1): it cannot be used");
	rc = ixgbe_sync_acquire(dev, resources);
	if (rc)
		return rc;
	rc = checksum(dev, &eeprom, &sum);
	if (rc == -EBADMSG || (!rc && sum != CHECKSUM)) { /* a read may have failed */
		eeprom.count = 0;
		sum = 0;
		rc = checksum(dev, &eeprom, &sum);
	}
	ixgbe_sync_release(dev, resources);
	if (rc == -EBADMSG || (!rc && sum != CHECKSUM))
		return nic_fail(&dev->nic, -EIO,
			"the EEPROM's checksum is wrong (82599 datasheet 6.2): reprogram the card");
	return rc;
}

int ixgbe_read_mac(struct ixgbe *dev)
{
	/* Loaded into the first receive address (8.2.3.7.8, 8.2.3.7.9), first byte lowest. */
	uint32_t low = 0;
	uint32_t high = 0;
	bool same = false;

	/* Until two readings agree: one alone may fail, and an address that is wrong shows late. */
	for (unsigned i = 0; i < 4 && !same; i++) {
		uint32_t l = reg_read(&dev->nic.bar, RAL(0));
		uint32_t h = reg_read(&dev->nic.bar, RAH(0));

		same = i > 0 && l == low && h == high;
		low = l;
		high = h;
	}
	for (unsigned i = 0; i < 4; i++)
		dev->nic.mac[i] = (uint8_t)(low >> (8 * i));
	for (unsigned i = 0; i < 2; i++)
		dev->nic.mac[4 + i] = (uint8_t)(high >> (8 * i));
	if (!same || !(high & RAH_VALID) || (low & 1) || (low == 0 && (high & 0xFFFF) == 0))
		return nic_fail(&dev->nic, -EIO,
			"no valid MAC address was loaded (RAL0, RAH0, 82599 datasheet 8.2.3.7.9): "
			"reprogram the card's EEPROM");
	return 0;
}
