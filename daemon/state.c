/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a driver leaves to the next one.
 */
#include "daemon/state.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define STATE_MAGIC   UINT64_C(0x6574617473676269) /* "igbstate" */
#define STATE_VERSION 4u

/* FNV-1a: against accidents; what must not be trusted is checked by whom it is for. */
static uint32_t sum_of(const struct daemon_state *state)
{
	const uint8_t *byte = (const uint8_t *)state;
	uint32_t sum = 2166136261u;

	for (size_t i = offsetof(struct daemon_state, totals); i < sizeof(*state); i++)
		sum = (sum ^ byte[i]) * 16777619u;
	return sum;
}

void *state_nic(void *memory)
{
	return memory == NULL ? NULL : (uint8_t *)memory + STATE_NIC;
}

void state_leave(void *memory, const struct daemon_state *state)
{
	struct daemon_state out;

	memcpy(&out, state, sizeof(out)); /* with its padding, which is summed */
	out.version = STATE_VERSION;
	out.magic = STATE_MAGIC;
	out.sum = sum_of(&out);
	memcpy(memory, &out, sizeof(out));
}

int state_take(void *memory, struct daemon_state *state, struct pci_error *why)
{
	const char *fault = NULL;

	memcpy(state, memory, sizeof(*state));
	memset(memory, 0, sizeof(*state));
	if (state->magic != STATE_MAGIC)
		fault = "no driver handed over";
	else if (state->version != STATE_VERSION)
		fault = "it is of another version";
	else if (state->sum != sum_of(state))
		fault = "its checksum is wrong";
	if (fault == NULL)
		return 0;
	(void)snprintf(why->text, sizeof(why->text), "state of the driver before: %s", fault);
	return -EINVAL;
}
