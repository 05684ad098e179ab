/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How a function's interrupts reach its client: eventfds that the client set by SET_IRQS. The kind
 * that has vectors decides what the card sends: messages for MSI and MSI-X, the level of a line for
 * INTx (and where nothing is set).
 *
 * Nothing is lost between a card and a slow client: a message for a vector without an eventfd waits
 * (as in the pending bit array of MSI-X), a line stays asserted.
 */
#ifndef NICSIM_IRQ_H
#define NICSIM_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "nicsim/fault.h"

/* The indices that VFIO gives them (linux/vfio.h, VFIO_PCI_*_IRQ_INDEX). */
enum irq_kind { IRQ_INTX, IRQ_MSI, IRQ_MSIX, IRQ_ERR, IRQ_REQ, IRQ_KINDS };

#define IRQ_VECTORS 64u /* of MSI-X at most */

struct irqs {
	unsigned msix;       /* how many vectors of MSI-X there are; 0: no such capability */
	enum irq_kind kind;  /* IRQ_KINDS: none is set */
	uint64_t enabled;    /* vectors that the client set, with an eventfd or without */
	uint64_t pending;    /* vectors whose message waits for an eventfd */
	uint64_t masked;     /* vectors that the client masked; bit 0 is INTx's automask */
	bool line;           /* INTx: what the card asserts */
	bool line_disabled;  /* INTx: the command register's bit */
	struct fault *fault; /* the function's */
	int fd[IRQ_VECTORS];
};

/* `msix`: vectors, up to IRQ_VECTORS. */
void irqs_init(struct irqs *irqs, unsigned msix);
void irqs_reset(struct irqs *irqs);

/* How many vectors a kind has, and its VFIO_IRQ_INFO flags. */
unsigned irqs_count(const struct irqs *irqs, enum irq_kind kind);
uint32_t irqs_flags(enum irq_kind kind);

/* SET_IRQS. Takes each fd, also on failure. `data` holds `data_len` bytes (VFIO_IRQ_SET_DATA_BOOL).
 * -EINVAL: flags, range, or number of fds; -ENOTSUP; -EBUSY: another kind is in use.
 */
int irqs_set(struct irqs *irqs, uint32_t kind, uint32_t flags, uint32_t start, uint32_t count,
	const uint8_t *data, uint32_t data_len, const int *fd, unsigned fds);

/* The card sends the message of a vector (MSI, MSI-X). */
void irqs_message(struct irqs *irqs, unsigned vector);
/* The card asserts or releases its line; heard only while neither MSI nor MSI-X is set. */
void irqs_line(struct irqs *irqs, bool asserted);
/* Each vector that can be sent is, for no reason. */
void irqs_spurious(struct irqs *irqs);
void irqs_line_disable(struct irqs *irqs, bool disabled);

#endif
