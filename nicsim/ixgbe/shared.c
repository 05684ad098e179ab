/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the two ports of a card have in common: the EEPROM, the semaphores between their drivers and
 * the firmware, the X550's mailbox. Each port is a PCI function with registers of its own; but
 * these few are the same registers, at whichever port they are reached.
 *
 * A port that is reset or whose client leaves is as after power-on, and the other does not notice:
 * what both share is as after power-on only when the other port has no client.
 */
#include <stdlib.h>

#include "nicsim/ixgbe/card.h"

int ixgbe_shared_join(struct ixgbe *card, struct ixgbe *first)
{
	struct ixgbe_shared *shared = first ? first->shared : calloc(1, sizeof(*shared));

	if (!shared)
		return -1;
	if (!first)
		shared->pins = -1;
	card->port = first ? 1 : 0;
	card->shared = shared;
	shared->port[card->port] = card;
	ixgbe_nvm_build(shared);
	return 0;
}

void ixgbe_shared_leave(struct ixgbe *card)
{
	struct ixgbe_shared *shared = card->shared;

	if (!shared)
		return;
	shared->port[card->port] = NULL;
	if (!shared->port[0] && !shared->port[1])
		free(shared);
}

bool ixgbe_shared_idle(const struct ixgbe *card)
{
	const struct ixgbe *other = card->shared->port[!card->port];

	return !other || !other->fn.attended;
}

/* --- semaphores (X540 datasheet 10.5.4) --- */

/* Reading takes it: who reads 0 owns it. */
uint32_t ixgbe_read_swsm(struct ixgbe *card, uint32_t offset)
{
	uint32_t *reg = ixgbe_shared_reg(card, offset);
	uint32_t value = *reg;

	*reg |= SWSM_SMBI;
	return value;
}

uint32_t ixgbe_read_sw_fw_sync(struct ixgbe *card, uint32_t offset)
{
	uint32_t *reg = ixgbe_shared_reg(card, offset);
	uint32_t value = *reg;

	*reg |= SW_FW_SYNC_REGSMP;
	return value;
}

/* --- power (82599 datasheet 8.2.3.4.12) --- */

/* Which ports there are; without what state of power they are in. */
uint32_t ixgbe_read_factps(struct ixgbe *card, uint32_t offset)
{
	(void)offset;
	return FACTPS_PORT0 | (card->shared->port[1] ? FACTPS_PORT1 : 0);
}
