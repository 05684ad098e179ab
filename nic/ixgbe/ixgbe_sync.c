/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Semaphores. The card's two ports share its PHYs, EEPROM and firmware, and the other port may be
 * Linux's. SWSM.SMBI (and SWESMBI, from the X540 on REGSMP) guards SW_FW_SYNC for the moment of
 * changing it; SW_FW_SYNC holds a bit per resource for software and, five higher, for firmware
 * (82599 datasheet 10.5.4, X540 datasheet 11.7.5).
 *
 * Each wait is bounded. The datasheets let software take an owner that outstays its time for dead:
 * so a driver that was killed while it held one does not lock the card for ever.
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

#define GUARD_STEP_US 50u
#define GUARD_STEPS   2000u /* 100 ms, as Linux waits; held for microseconds */
#define OWNER_STEP_US 5000u
#define OWNER_STEPS   200u /* 1 s: the longest that an owner may keep a resource */

static uint32_t swsm(const struct ixgbe *dev)
{
	return dev->model->family == IXGBE_X550EM_A ? SWSM_X550EM_A : SWSM;
}

static uint32_t sw_fw_sync(const struct ixgbe *dev)
{
	return dev->model->family == IXGBE_X550EM_A ? SW_FW_SYNC_X550EM_A : SW_FW_SYNC;
}

/* Reads a bit that is set by being read, until it was 0. */
static bool take_by_reading(struct ixgbe *dev, uint32_t reg, uint32_t bit)
{
	for (unsigned i = 0; i < GUARD_STEPS && !pci_gone(dev->nic.fn); i++) {
		if (!(reg_read(&dev->nic.bar, reg) & bit))
			return true;
		pci_delay_us(GUARD_STEP_US);
	}
	return false;
}

static bool take_swesmbi(struct ixgbe *dev)
{
	for (unsigned i = 0; i < GUARD_STEPS && !pci_gone(dev->nic.fn); i++) {
		reg_set(&dev->nic.bar, swsm(dev), SWSM_SWESMBI);
		if (reg_read(&dev->nic.bar, swsm(dev)) & SWSM_SWESMBI)
			return true;
		pci_delay_us(GUARD_STEP_US);
	}
	return false;
}

static void guard_release(struct ixgbe *dev)
{
	if (dev->model->family == IXGBE_82599) {
		reg_clear(&dev->nic.bar, swsm(dev), SWSM_SWESMBI | SWSM_SMBI);
	} else {
		reg_clear(&dev->nic.bar, sw_fw_sync(dev), SYNC_REGSMP);
		reg_clear(&dev->nic.bar, swsm(dev), SWSM_SMBI);
	}
}

static bool guard_try(struct ixgbe *dev)
{
	if (!take_by_reading(dev, swsm(dev), SWSM_SMBI))
		return false;
	return dev->model->family == IXGBE_82599
		       ? take_swesmbi(dev)
		       : take_by_reading(dev, sw_fw_sync(dev), SYNC_REGSMP);
}

static int guard_acquire(struct ixgbe *dev)
{
	if (guard_try(dev))
		return 0;
	/* Whoever holds it is dead (or it was left half taken above): free it and try once more. */
	guard_release(dev);
	if (guard_try(dev))
		return 0;
	guard_release(dev);
	return nic_fail(&dev->nic, -EBUSY,
		"the semaphore between drivers and firmware is not granted within 100 ms "
		"(SWSM, 82599 datasheet 10.5.4): power-cycle the card");
}

int ixgbe_sync_acquire(struct ixgbe *dev, uint32_t resources)
{
	uint32_t firmware = (resources & ~SYNC_MAILBOX) << SYNC_FIRMWARE_SHIFT;

	for (unsigned i = 0;; i++) {
		int rc = guard_acquire(dev);
		uint32_t sync;

		if (rc)
			return rc;
		/* REGSMP reads 1 while we hold the guard; it must not be written back as 0 yet. */
		sync = reg_read(&dev->nic.bar, sw_fw_sync(dev));
		if (!(sync & (resources | firmware)) || i >= OWNER_STEPS) {
			/* After the time that an owner has, it is taken for dead (10.5.4). */
			reg_write(&dev->nic.bar, sw_fw_sync(dev), sync | resources);
			guard_release(dev);
			return pci_gone(dev->nic.fn) ? -ENODEV : 0;
		}
		guard_release(dev);
		pci_delay_us(OWNER_STEP_US);
	}
}

void ixgbe_sync_release(struct ixgbe *dev, uint32_t resources)
{
	/* Also without the guard: the bits are ours, and keeping them would block the other port.
	 */
	if (!guard_try(dev))
		guard_release(dev);
	reg_clear(&dev->nic.bar, sw_fw_sync(dev), resources);
	guard_release(dev);
}
