/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What happens to the card on command, while it runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nicsim/ixgbe/card.h"

static int refuse(char *text, size_t size, int rc, const char *what)
{
	snprintf(text, size, "%s", what);
	return rc;
}

static int set_link(struct ixgbe *card, const char *state, char *text, size_t size)
{
	bool up = strcmp(state, "up") == 0;

	if (!up && strcmp(state, "down") != 0)
		return refuse(text, size, -EINVAL, "a link is up or down");
	ixgbe_pull_cable(card, !up);
	return 0;
}

static int plug(struct ixgbe *card, const char *name, char *text, size_t size)
{
	enum sfp_kind kind = sfp_find(name);

	if (card->model->media != MEDIA_SFP)
		return refuse(text, size, -ENOTSUP, "it has no cage for a module");
	if (kind == SFP_KINDS)
		return refuse(text, size, -EINVAL,
			"unknown module (sr, lr, copper, 1g-t, 1g-sx, 1g-lx, foreign, fc, none)");
	ixgbe_plug_module(card, kind);
	return 0;
}

int ixgbe_command(struct ixgbe *card, char *const *word, unsigned words, char *text, size_t size)
{
	if (words == 2 && strcmp(word[0], "link") == 0)
		return set_link(card, word[1], text, size);
	if (words == 2 && strcmp(word[0], "plug") == 0)
		return plug(card, word[1], text, size);
	return refuse(text, size, -EINVAL, "no such command: see nicsim ctl --help");
}

void ixgbe_counters(const struct ixgbe *card, char *text, size_t size)
{
	snprintf(text, size, "link %d\npaced %" PRIu64 "\n", ixgbe_link(card),
		wire_paced(card->wire));
}
