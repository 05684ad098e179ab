/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card as nicsim's command line and its control know it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "nicsim/rtl8168/card.h"

static const void *find(const char *name)
{
	return rtl8168_find_model(name);
}

static int create(void **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	struct rtl8168 *card;
	int rc = rtl8168_create(&card, options, loop, dma, report, why);

	if (rc == 0)
		*out = card;
	return rc;
}

static void destroy(void *card)
{
	rtl8168_destroy(card);
}

static struct function *function(void *card)
{
	return &((struct rtl8168 *)card)->fn;
}

static struct card_faults *faults(void *card)
{
	return &((struct rtl8168 *)card)->faults;
}

static int command(void *ctx, char *const *word, unsigned words, char *text, size_t size)
{
	struct rtl8168 *card = ctx;
	bool down;

	if (words != 2 || strcmp(word[0], "link") != 0) {
		snprintf(text, size, "no such command for an %s: see nicsim ctl --help",
			card->model->name);
		return -EINVAL;
	}
	down = strcmp(word[1], "down") == 0;
	if (!down && strcmp(word[1], "up") != 0) {
		snprintf(text, size, "a link is up or down");
		return -EINVAL;
	}
	rtl8168_pull_cable(card, down);
	return 0;
}

static void counters(const void *ctx, char *text, size_t size)
{
	const struct rtl8168 *card = ctx;

	snprintf(text, size, "link %d\npaced %" PRIu64 "\n", rtl8168_link(card),
		wire_paced(card->wire));
}

static void tell(const void *model, card_tell_register *each)
{
	rtl8168_list_registers(model, each);
}

/* A trace does not say which variant it is: the first of its PCI id. */
static const char *name(uint16_t vendor, uint16_t device)
{
	const struct rtl8168_model *model = rtl8168_find_id(device);

	return vendor == RTL8168_VENDOR && model ? model->name : NULL;
}

/* Reading clears nothing here. */
static bool is_counter(const void *card, uint32_t offset)
{
	(void)card;
	(void)offset;
	return false;
}

static const struct card_outside outside[] = {
	{RTL_CR, 1, 1, CR_RX_EMPTY, "CR.BUFE: frames"},
	{RTL_TPPOLL, 1, 1, 0xff, "TPPOLL: frames"},
	{RTL_ISR, 1, 2, 0xffff, "ISR: when events come"},
	{RTL_PHYAR, 1, 4, 0xffff, "PHYAR: the PHY's link"},
	{RTL_PHYSTATUS, 1, 1, 0xff, "PHYSTATUS: the wire"},
};

static const struct card_registers registers = {
	.bar = RTL8168_BAR,
	.address = {RTL_IDR, RTL_IDR + 4},
	.outside = outside,
	.outsides = sizeof(outside) / sizeof(*outside),
	.tell = tell,
	.name = name,
	.is_counter = is_counter,
};

const struct card_family rtl8168_family = {
	.names = RTL8168_NAMES,
	.find = find,
	.create = create,
	.destroy = destroy,
	.function = function,
	.fault_list = &rtl8168_fault_ops.list,
	.faults = faults,
	.command = command,
	.registers = &registers,
	.counters = counters,
};
