/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver of Intel's 1 Gbit/s cards 82540EM, 82545EM, 82574L and 82576. Three generations differ
 * in how they reset, interrupt and enable a queue; rings, filters and counters lie at the same
 * addresses, and all but the 82576's receiver take the descriptors of the first: one driver, one
 * queue pair.
 *
 *     e1000_ids.c    which ids            e1000_irq.c     interrupts
 *     e1000_init.c   reset, start, stop   e1000_stats.c   counters
 *     e1000_rx.c, e1000_tx.c: the verbs   e1000_link.c    link and PHY
 *     e1000_queue.c  the queue pair       e1000_state.c   from one process to the next
 *     e1000_regs.h   registers
 *
 * Private to the driver; users read nic/nic.h.
 */
#ifndef NIC_E1000_H
#define NIC_E1000_H

#include "nic/driver.h"
#include "nic/e1000/e1000_regs.h"

enum e1000_family {
	E1000_8254X, /* PCI and PCI-X: no message interrupts with a use (8254x 1.1) */
	E1000_82574, /* PCI Express, MSI-X with one cause a queue */
	E1000_82576, /* PCI Express, MSI-X and queues as the 82599 has them */
};

struct e1000_model {
	uint16_t device;
	uint8_t family;
	const char *name;
};

/* NULL: not one of the family's. */
const struct e1000_model *e1000_find_model(const struct pci_id *id);
bool e1000_serves(const struct pci_id *id, const char **why);

/* How a generation writes a receive descriptor back. */
struct e1000_rx_format {
	uint64_t dd, eop, errors;
	unsigned length; /* where it begins */
};
extern const struct e1000_rx_format e1000_rx_legacy, e1000_rx_advanced;

struct e1000_queue {
	_Alignas(CACHE_LINE) struct nic_queue head;
	const struct pci_bar *bar;
	const uint64_t *iova; /* of the frame region's chunks */
	uint32_t region_size;
	uint32_t rx_span; /* a buffer's offset lies up to that far beyond NIC_BUFFER_HEAD */
	const struct e1000_rx_format *rx;
	uint32_t rx_batch; /* slots kept back before the tail is written */
	bool rx_torn;      /* a frame began whose end has not been seen */

	uint32_t tx_every; /* descriptors from one RS to the next, at most */
	uint32_t tx_max;   /* bytes of the largest frame; written by nic_set_mtu() */
	uint32_t tx_done;  /* slots up to here are sent */
	uint32_t rs_head, rs_tail;
	uint32_t *rs; /* ring of the indices that carry an RS whose DD was not seen yet */
};

struct e1000 {
	struct nic nic;
	const struct e1000_model *model;
	struct nic_stats sum;
	struct nic_queue_stats queue_sum; /* of no use but for the state's layout */
};

static inline struct e1000 *e1000_of(struct nic *nic)
{
	return (struct e1000 *)nic;
}

static inline struct e1000_queue *e1000_queue_of(struct e1000 *dev)
{
	return (struct e1000_queue *)dev->nic.queue[0];
}

/* e1000_rx.c, e1000_tx.c */
size_t e1000_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n);
size_t e1000_rx_return(struct nic_queue *head, struct frame *frames, size_t n);
void e1000_flush(struct nic_queue *head);
size_t e1000_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n);
size_t e1000_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n);

/* e1000_queue.c: as the class has them; why is set. */
int e1000_queue_create(struct e1000 *dev);
void e1000_queue_destroy(struct e1000 *dev);
int e1000_queue_start(struct e1000 *dev, const struct dma_region *frames);
int e1000_queue_stop(struct e1000 *dev);
/* Of a queue that runs already: its frames are these, and its verbs work. */
void e1000_queue_use(struct e1000_queue *q, const struct dma_region *frames);
/* Filters by dev->nic.config, and whether it receives. */
void e1000_write_rctl(struct e1000 *dev, bool on);
/* The largest frame that may be sent at an MTU: header and a VLAN tag are added, the CRC not. */
uint32_t e1000_frame_max(uint16_t mtu);

/* e1000_state.c */
void e1000_state_save(struct e1000 *dev);
/* Into a queue that was just created. -EINVAL, -ENOMEM. */
int e1000_state_load(struct e1000 *dev);
/* Whether the card runs so: -EINVAL. */
int e1000_state_compare(struct e1000 *dev);

/* e1000_irq.c */
int e1000_irq_start(struct e1000 *dev);
void e1000_irq_stop(struct e1000 *dev);
/* Everything off, and forgotten what was pending. */
void e1000_irq_mask(struct e1000 *dev);
int e1000_irq_ack(struct nic *nic, size_t which);
void e1000_irq_arm(struct nic *nic);
void e1000_irq_arm_queue(struct nic *nic, unsigned index);

/* e1000_link.c */
int e1000_link_start(struct e1000 *dev);
int e1000_link(struct nic *nic, struct nic_link *link);

/* e1000_stats.c */
int e1000_stats(struct nic *nic, struct nic_stats *stats);
int e1000_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
/* Forgets what the card counted so far. */
void e1000_stats_clear(struct e1000 *dev);

#endif
