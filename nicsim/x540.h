/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A software X540-T2 (8086:1528) or 82599, one port of it.
 */
#ifndef NICSIM_X540_H
#define NICSIM_X540_H

#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/pci.h"
#include "nicsim/report.h"
#include "nicsim/sfp.h"
#include "nicsim/x540_model.h"

struct x540;

struct x540_options {
	const struct x540_model *model;
	enum sfp_kind module; /* what the cage holds, where the model has one */
	const uint8_t *mac;   /* 6 bytes */
	const char *wire;
	bool mapped; /* the registers of queues can be mapped by the client, and are polled
		      * (doc/nicsim.md) */
};

/* `dma` and `report` stay the caller's and outlive the card. */
int x540_create(struct x540 **out, const struct x540_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why);
void x540_destroy(struct x540 *card);
struct function *x540_function(struct x540 *card);

#endif
