/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card as nicsim's command line and its control know it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nicsim/e1000/card.h"

#define NAME "82574l"

static const void *find(const char *name)
{
	return strcmp(name, NAME) == 0 ? NAME : NULL;
}

static int create(void **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	struct e1000 *card;
	int rc = e1000_create(&card, options, loop, dma, report, why);

	if (rc == 0)
		*out = card;
	return rc;
}

static void destroy(void *card)
{
	e1000_destroy(card);
}

static struct function *function(void *card)
{
	return &((struct e1000 *)card)->fn;
}

static struct card_faults *faults(void *card)
{
	return &((struct e1000 *)card)->faults;
}

static int command(void *card, char *const *word, unsigned words, char *text, size_t size)
{
	bool down;

	if (words != 2 || strcmp(word[0], "link") != 0) {
		snprintf(text, size, "no such command for an " NAME ": see nicsim ctl --help");
		return -EINVAL;
	}
	down = strcmp(word[1], "down") == 0;
	if (!down && strcmp(word[1], "up") != 0) {
		snprintf(text, size, "a link is up or down");
		return -EINVAL;
	}
	e1000_pull_cable(card, down);
	return 0;
}

static void counters(const void *ctx, char *text, size_t size)
{
	const struct e1000 *card = ctx;

	snprintf(text, size, "link %d\npaced %" PRIu64 "\n", e1000_link(card),
		wire_paced(card->wire));
}

static void tell(const void *model, card_tell_register *each)
{
	(void)model;
	e1000_list_registers(each);
}

static const char *name(uint16_t vendor, uint16_t device)
{
	return vendor == E1000_VENDOR && device == E1000_DEVICE ? NAME : NULL;
}

static bool is_counter(const void *card, uint32_t offset)
{
	return e1000_is_counter(card, offset);
}

static const struct card_outside outside[] = {
	{E1000_STATUS, 1, 4, E1000_STATUS_LINK_UP, "STATUS.LU: the wire"},
	{E1000_MDIC, 1, 4, 0xffff, "MDIC: the PHY's link"},
	{E1000_ICR, 1, 4, 0xffffffff, "ICR: when events come"},
	{E1000_IMS, 1, 4, 0xffffffff, "IMS: when messages mask by themselves"},
	{E1000_RX_QUEUE(0u) + E1000_RDH, E1000_QUEUES, 0x100, 0xffffffff, "RDH: frames"},
	{E1000_TX_QUEUE(0u) + E1000_TDH, E1000_QUEUES, 0x100, 0xffffffff, "TDH: frames"},
};

static const struct card_registers registers = {
	.address = {E1000_RAL(0), E1000_RAH(0)},
	.outside = outside,
	.outsides = sizeof(outside) / sizeof(*outside),
	.tell = tell,
	.name = name,
	.is_counter = is_counter,
};

const struct card_family e1000_family = {
	.names = NAME,
	.find = find,
	.create = create,
	.destroy = destroy,
	.function = function,
	.fault_list = &e1000_fault_ops.list,
	.faults = faults,
	.command = command,
	.registers = &registers,
	.counters = counters,
};
