/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What fails, and what does not.
 */
#include "nicsim/fault.h"

void fault_restart(struct fault *fault)
{
	fault->accesses = 0;
	fault->messages = 0;
	fault->refused = false;
	if (fault->access_at)
		fault->gone = false;
}

bool fault_access(struct fault *fault, uint64_t *value)
{
	fault->refused = false;
	*value = ~0ull;
	if (++fault->accesses != fault->access_at || fault->gone)
		return fault->gone;
	switch (fault->how) {
	case FAULT_ZERO: *value = 0; break;
	case FAULT_ERROR: fault->refused = true; break;
	case FAULT_GONE: fault->gone = true; break;
	default: break;
	}
	return true;
}

bool fault_message(struct fault *fault)
{
	return ++fault->messages == fault->message_at;
}

/* One of those that are left. */
static bool take(uint64_t *left)
{
	if (*left == 0)
		return false;
	if (*left != UINT64_MAX)
		(*left)--;
	return true;
}

bool fault_dma(struct fault *fault, bool writes)
{
	return fault->gone || take(writes ? &fault->dma_writes : &fault->dma_reads);
}

bool fault_interrupt(struct fault *fault)
{
	return fault->gone || take(&fault->interrupts);
}
