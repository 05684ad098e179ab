/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One port of a software card of the ixgbe family: X540, X550, 82599 (model.c).
 */
#ifndef NICSIM_IXGBE_H
#define NICSIM_IXGBE_H

#include "nicsim/fault_card.h"
#include "nicsim/ixgbe/model.h"
#include "nicsim/ixgbe/sfp.h"
#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/pci.h"
#include "nicsim/report.h"

struct ixgbe;

struct ixgbe_options {
	const struct ixgbe_model *model;
	enum sfp_kind module; /* what the cage holds, where the model has one */
	const uint8_t *mac;   /* 6 bytes */
	struct ixgbe *first;  /* it is the second port of the card whose first is that, or NULL */
	const char *wire;
	/* Without the MSI-X capability: MSI and INTx alone. */
	bool no_msix;
	bool paced;  /* what it sends takes the time that it takes on its link */
	bool mapped; /* the registers of queues can be mapped by the client, and are polled
		      * (doc/nicsim.md) */
};

/* `dma` and `report` stay the caller's and outlive the card. */
int ixgbe_create(struct ixgbe **out, const struct ixgbe_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why);
void ixgbe_destroy(struct ixgbe *card);
struct function *ixgbe_function(struct ixgbe *card);

extern const struct fault_ops ixgbe_fault_ops;
struct card_faults *ixgbe_faults(struct ixgbe *card);

/* What `nicsim ctl` asks for, in words: "link down" (doc/nicsim.md). 0 with what
 * is to be said in text, or -errno with what is wrong.
 */
int ixgbe_command(struct ixgbe *card, char *const *word, unsigned words, char *text, size_t size);
/* Lines for its "counters". */
void ixgbe_counters(const struct ixgbe *card, char *text, size_t size);

#endif
