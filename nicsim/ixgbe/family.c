/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The family as nicsim's command line knows it.
 */
#include "nicsim/ixgbe/ixgbe.h"
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

const struct card_family ixgbe_family = {
	.names = IXGBE_MODEL_NAMES,
	.find = find,
	.create = create,
	.destroy = destroy,
	.function = function,
	.fault_list = &ixgbe_fault_ops.list,
	.faults = faults,
	.command = command,
	.counters = counters,
};
