/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What --device can name. Each family of cards has a folder of its own; this is what nicsim's
 * command line, its servers and its control need to know of it.
 */
#ifndef NICSIM_KIND_H
#define NICSIM_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nicsim/fault_card.h"
#include "nicsim/ixgbe/sfp.h"
#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/pci.h"
#include "nicsim/registers.h"
#include "nicsim/report.h"

struct card_options {
	const void *model;  /* as the family found it */
	const uint8_t *mac; /* 6 bytes */
	const char *wire;
	bool no_msix; /* MSI and INTx alone */
	bool paced;   /* what it sends takes the time that it takes on its link */
	/* Of the ixgbe family alone (ixgbe/ixgbe.h). */
	enum sfp_kind module;
	void *first;
	bool mapped;
};

/* `card` is what create() made. */
struct card_family {
	const char *names; /* of its models, a comma and a space between */
	/* NULL: there is none of that name. */
	const void *(*find)(const char *name);
	/* `dma` and `report` stay the caller's and outlive the card. 0 or -errno, with why. */
	int (*create)(void **card, const struct card_options *options, struct loop *loop,
		struct dma *dma, struct report *report, struct sim_error *why);
	void (*destroy)(void *card); /* also NULL */
	struct function *(*function)(void *card);
	/* What can go wrong with it, and what does. */
	const struct fault_list *fault_list;
	struct card_faults *(*faults)(void *card);
	/* What `nicsim ctl` asks for, in words. 0 with what is to be said in text, or -errno with
	 * what is wrong. */
	int (*command)(void *card, char *const *word, unsigned words, char *text, size_t size);
	/* NULL: registers and replay are not for it. */
	const struct card_registers *registers;
	/* Lines for its "counters". */
	void (*counters)(const void *card, char *text, size_t size);
};

struct card_kind {
	const char *name;
	const struct card_family *family;
	const void *model;
};

extern const struct card_family ixgbe_family, e1000_family, rtl8168_family;

/* False: there is none of that name. */
bool card_find_kind(const char *name, struct card_kind *kind);
/* The same by PCI ids. */
bool card_find_id(uint16_t vendor, uint16_t device, struct card_kind *kind);
/* All names, for messages. */
void card_names(char *text, size_t size);

#endif
