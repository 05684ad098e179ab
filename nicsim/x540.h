/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A software X540-T2 (8086:1528), one port of it.
 */
#ifndef NICSIM_X540_H
#define NICSIM_X540_H

#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/pci.h"
#include "nicsim/report.h"

struct x540;

/* `dma` and `report` stay the caller's and outlive the card. `mapped`: the registers of queues can
 * be mapped by the client, and are polled (doc/nicsim.md).
 */
int x540_create(struct x540 **out, struct loop *loop, struct dma *dma, struct report *report,
	const uint8_t mac[6], const char *wire, bool mapped, struct sim_error *why);
void x540_destroy(struct x540 *card);
struct function *x540_function(struct x540 *card);

#endif
