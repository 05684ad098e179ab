/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The X550's firmware, which is asked for what other cards have registers for: a command is laid
 * into memory on the card, and its answer is found there. No datasheet is public; all of it is as
 * Intel's driver does it (ixgbe_hic_unlocked(), ixgbe_type.h: IXGBE_HICR, FW_*).
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

#define ANSWER_US 500000u /* as Intel's driver waits */

/* A header: the command, how many bytes follow, no checksum. */
#define READ_SHADOW_RAM (0x31u | 6u << 16 | 0xFFu << 24)

/* The words of a command; its answer is then in the same place. */
static int command(struct ixgbe *dev, const uint32_t *words, unsigned count)
{
	const struct pci_bar *bar = &dev->nic.bar;
	int rc;

	/* Writing 1 clears what it tells of a reset of its own. */
	reg_set(bar, FWSTS, FWSTS_WAS_RESET);
	if (!(reg_read(bar, HICR) & HICR_ENABLED))
		return nic_fail(&dev->nic, pci_gone(dev->nic.fn) ? -ENODEV : -EIO,
			"the card's firmware takes no commands (HICR.EN): power-cycle the card");
	for (unsigned i = 0; i < count; i++)
		reg_write(bar, FLEX_MNG(i), words[i]);
	reg_set(bar, HICR, HICR_COMMAND);
	rc = nic_wait(&dev->nic, HICR, HICR_COMMAND, 0, ANSWER_US, "the firmware did not answer",
		"HICR.C");
	if (rc)
		return rc;
	if (!(reg_read(bar, HICR) & HICR_STATUS_VALID))
		return nic_fail(&dev->nic, pci_gone(dev->nic.fn) ? -ENODEV : -EIO,
			"the card's firmware refused a command (HICR.SV): power-cycle the card");
	return 0;
}

int ixgbe_firmware_check(struct ixgbe *dev)
{
	/* Asked twice, as a single read may fail. */
	if (dev->model->family != IXGBE_X550 || !(reg_read(&dev->nic.bar, FWSM) & FWSM_RECOVERY) ||
		!(reg_read(&dev->nic.bar, FWSM) & FWSM_RECOVERY) || pci_gone(dev->nic.fn))
		return 0;
	return nic_fail(&dev->nic, -EIO,
		"the card's firmware is in recovery mode (FWSM bit 5): its flash memory must be "
		"written anew, with Intel's tool");
}

int ixgbe_firmware_read(struct ixgbe *dev, uint32_t address, uint16_t *word, unsigned count)
{
	/* Big endian, in bytes; the words themselves are little endian, behind three others. */
	const uint32_t words[] = {READ_SHADOW_RAM, __builtin_bswap32(2 * address),
		__builtin_bswap16((uint16_t)(2 * count)), 0};
	int rc = command(dev, words, sizeof words / sizeof *words);

	for (unsigned i = 0; i < count && !rc; i += 2) {
		uint32_t two = reg_read(&dev->nic.bar, FLEX_MNG(3 + i / 2));

		word[i] = (uint16_t)two;
		if (i + 1 < count)
			word[i + 1] = (uint16_t)(two >> 16);
	}
	return !rc && pci_gone(dev->nic.fn) ? -ENODEV : rc;
}
