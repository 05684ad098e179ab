/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What goes wrong between a client and any card: one access to a register, one message, the card's
 * accesses to memory, its interrupts. Absent (function.fault is NULL) it costs a comparison. The
 * faults of a card itself are fault_card.h's.
 */
#ifndef NICSIM_FAULT_H
#define NICSIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of the access that fails: it reads all-ones, reads 0, gets an error reply; or the
 * card is gone from there on, and everything reads all-ones. A write is lost.
 */
enum fault_access { FAULT_ONES, FAULT_ZERO, FAULT_ERROR, FAULT_GONE };

struct fault {
	/* Since the client came, from 1 on. */
	uint64_t accesses, messages;
	uint64_t access_at, message_at; /* the one that fails; 0: none */
	enum fault_access how;
	bool hangs_up; /* the connection ends there, instead of an error reply */
	bool gone;     /* pulled out, with nobody there to tell: no decoder, no DMA, no interrupt */
	bool refused;  /* the access at hand is answered by an error */
	/* How many more fail; UINT64_MAX: all. */
	uint64_t dma_reads, dma_writes, interrupts;
};

/* A client came: what it does first is the first. `gone` by an access of another's ends. */
void fault_restart(struct fault *fault);
/* Whether this access to a register fails; *value is then what a read finds. */
bool fault_access(struct fault *fault, uint64_t *value);
/* Whether this message fails; this access to memory; this interrupt. */
bool fault_message(struct fault *fault);
bool fault_dma(struct fault *fault, bool writes);
bool fault_interrupt(struct fault *fault);

#endif
