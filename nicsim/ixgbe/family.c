/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The family as nicsim's command line knows it.
 */
#include "nicsim/ixgbe/card.h"
#include "nicsim/kind.h"

static const void *find(const char *name)
{
	return ixgbe_find_model(name);
}

static void destroy(void *card)
{
	ixgbe_destroy(card);
}

static int create(void **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why)
{
	const struct ixgbe_options own = {.model = options->model,
		.module = options->module,
		.mac = options->mac,
		.first = options->first,
		.wire = options->wire,
		.no_msix = options->no_msix,
		.paced = options->paced,
		.mapped = options->mapped};
	struct ixgbe *card;
	int rc = ixgbe_create(&card, &own, loop, dma, report, why);

	if (rc == 0)
		*out = card;
	return rc;
}

static struct function *function(void *card)
{
	return ixgbe_function(card);
}

static struct card_faults *faults(void *card)
{
	return ixgbe_faults(card);
}

static int command(void *card, char *const *word, unsigned words, char *text, size_t size)
{
	return ixgbe_command(card, word, words, text, size);
}

static void counters(const void *card, char *text, size_t size)
{
	ixgbe_counters(card, text, size);
}

static void tell(const void *model, card_tell_register *each)
{
	ixgbe_list_registers(model, each);
}

static const char *name(uint16_t vendor, uint16_t device)
{
	const struct ixgbe_model *model = vendor == 0x8086 ? ixgbe_find_id(device) : NULL;

	return model ? model->name : NULL;
}

static bool is_counter(const void *card, uint32_t offset)
{
	return ixgbe_is_counter(card, offset);
}

static const struct card_outside outside[] = {
	{STATUS, 1, 4, STATUS_LINK_UP, "STATUS.LINK_UP: the wire"},
	{LINKS, 1, 4, 0xffffffff, "LINKS: the wire"},
	{FRTIMER, 1, 4, 0xffffffff, "FRTIMER: time"},
	{EICR, 1, 4, 0xffffffff, "EICR: when events come"},
	{EICS, 1, 4, 0xffffffff, "EICS: when events come"},
	{EIMS, 1, 4, 0xffffffff, "EIMS: when messages mask by themselves"},
	{EIMS_EX(0), 2, 4, 0xffffffff, "EIMS_EX: when messages mask by themselves"},
	{RX_QUEUE(0u) + RDH, 64, 0x40, 0xffffffff, "RDH: frames"},
	{RX_QUEUE(64u) + RDH, 64, 0x40, 0xffffffff, "RDH: frames"},
	{TX_QUEUE(0u) + TDH, 128, 0x40, 0xffffffff, "TDH: frames"},
};

static const struct card_registers registers = {
	.address = {RAL(0u), RAH(0u)},
	.outside = outside,
	.outsides = sizeof(outside) / sizeof(*outside),
	.tell = tell,
	.name = name,
	.is_counter = is_counter,
};

const struct card_family ixgbe_family = {
	.names = IXGBE_MODEL_NAMES,
	.find = find,
	.create = create,
	.destroy = destroy,
	.function = function,
	.fault_list = &ixgbe_fault_ops.list,
	.faults = faults,
	.command = command,
	.registers = &registers,
	.counters = counters,
};
