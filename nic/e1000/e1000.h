/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver of Intel's 1 Gbit/s cards 82540EM, 82545EM, 82574L and 82576. Three generations differ
 * in how they reset, interrupt and enable a queue, and in how many they have; rings, filters and
 * counters lie at the same addresses, and what they write back differs in where its fields are: one
 * driver.
 *
 *     e1000_ids.c    which ids            e1000_irq.c     interrupts
 *     e1000_init.c   reset, start, stop   e1000_stats.c   counters
 *     e1000_rx.c, e1000_tx.c: the verbs   e1000_link.c    link, PHY and flow control
 *     e1000_queue.c  queue pairs          e1000_state.c   from one process to the next
 *     e1000_filter.c which frames come    e1000_rss.c     which queue a frame goes to
 *     e1000_regs.h   registers
 *
 * Private to the driver; users read nic/nic.h.
 */
#ifndef NIC_E1000_H
#define NIC_E1000_H

#include "nic/chain.h"
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

struct e1000_limits {
	unsigned queues;
	uint32_t frame;      /* bytes of the largest, with tag and CRC */
	uint32_t buffer_kib; /* for received frames; 8254x, 82574: set so, with room to send one */
};

/* NULL: not one of the family's. */
const struct e1000_model *e1000_find_model(const struct pci_id *id);
const struct e1000_limits *e1000_limits(const struct e1000_model *model);
bool e1000_serves(const struct pci_id *id, const char **why);

/* How a generation writes a receive descriptor back. */
extern const struct rx_format e1000_rx_legacy, e1000_rx_extended, e1000_rx_advanced;

/* In cache lines of its own: different queues may be different threads'. */
struct e1000_queue {
	_Alignas(CACHE_LINE) struct nic_queue head;
	const struct pci_bar *bar;
	const uint64_t *iova; /* of the frame region's chunks */
	uint32_t region_size;
	uint32_t rx_span;  /* a buffer's offset lies up to that far beyond NIC_BUFFER_HEAD */
	uint32_t rdt, tdt; /* tail registers */
	const struct rx_format *rx;
	uint32_t rx_batch; /* slots kept back before the tail is written */
	uint32_t rx_max;   /* bytes of the largest frame; written by nic_set_mtu() */
	uint32_t rx_parts; /* buffers of what the card may take for one; the same */
	bool rx_torn;      /* a frame began whose end has not been seen */

	uint64_t tx_ring;  /* where it is for the card */
	uint32_t tx_every; /* descriptors from one RS to the next, at most */
	uint32_t tx_max;   /* bytes of the largest frame; written by nic_set_mtu() */
	uint32_t tx_done;  /* slots up to here are sent */
	uint32_t rs_head, rs_tail;
	uint32_t *rs; /* ring of the indices that carry an RS whose DD was not seen yet */

	/* Counted here, by its user's thread: of queues the cards count nothing but drops. */
	struct nic_queue_stats count;
	uint64_t rx_too_long; /* good frames that the MTU forbids, and the card had let through */
	struct nic_seen seen;
};

struct e1000 {
	struct nic nic;
	const struct e1000_model *model;
	struct nic_stats sum; /* without what is counted by queue */
};

static inline struct e1000 *e1000_of(struct nic *nic)
{
	return (struct e1000 *)nic;
}

static inline struct e1000_queue *e1000_queue(struct nic_queue *q)
{
	return (struct e1000_queue *)q;
}

static inline bool e1000_is(const struct e1000 *dev, enum e1000_family family)
{
	return dev->model->family == family;
}

/* e1000_rx.c, e1000_tx.c */
size_t e1000_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n);
size_t e1000_rx_return(struct nic_queue *head, struct frame *frames, size_t n);
void e1000_flush(struct nic_queue *head);
size_t e1000_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n);
size_t e1000_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n);

/* e1000_queue.c: as the class has them; why is set. */
int e1000_queue_create(struct e1000 *dev, unsigned index);
void e1000_queue_destroy(struct e1000 *dev, unsigned index);
/* Programs a queue with empty rings, while receiver and transmitter are off (e1000_halt()) where
 * queues have no enable bit; it works with both on (e1000_run()).
 */
int e1000_queue_start(struct e1000 *dev, unsigned index, const struct dma_region *frames);
/* Stops a queue and empties its rings. -ETIMEDOUT, -ENODEV. */
int e1000_queue_stop(struct e1000 *dev, unsigned index);
/* Of a queue that runs already: its frames are these, and its verbs work. */
void e1000_queue_use(struct e1000_queue *q, const struct dma_region *frames);
/* While it runs. Frames in more buffers may still come: of an earlier, larger MTU. */
void e1000_queue_set_mtu(struct e1000_queue *q, uint16_t mtu);
/* Whether any queue does. */
bool e1000_any_runs(const struct e1000 *dev);
/* Receiver and transmitter off, and nothing under way, where queues have no enable bit. */
void e1000_halt(struct e1000 *dev);
/* Receiver and transmitter on where a queue runs, and off where none does. */
void e1000_run(struct e1000 *dev);
/* The largest frame that may be sent at an MTU: header and a VLAN tag are added, the CRC not. */
uint32_t e1000_frame_max(uint16_t mtu);
/* Whether frames of that MTU are larger than the card takes without RCTL.LPE: 1,522 bytes with the
 * CRC (8254x 13.4.22).
 */
bool e1000_is_large(uint16_t mtu);
int e1000_check(struct nic *nic, unsigned index);

/* e1000_filter.c */
void e1000_filter_start(struct e1000 *dev);
/* By dev->nic.config, and whether it receives. */
void e1000_write_rctl(struct e1000 *dev, bool on);
/* The largest frame that comes with RCTL.LPE, where the card has a limit. */
void e1000_write_size(struct e1000 *dev);
void e1000_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n);
void e1000_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n);

/* e1000_rss.c: with several queues, frames are spread over those that run. */
void e1000_rss_start(struct e1000 *dev);
/* The same again, after a queue was started or is about to be stopped (its `frames` are NULL). */
void e1000_rss_spread(struct e1000 *dev);

/* e1000_state.c */
void e1000_state_save(struct e1000 *dev);
/* Into queues that were just created; those that ran do. -EINVAL, -ENOMEM. */
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
/* The PHY is shared with firmware, and by the 82576's ports. -EBUSY: somebody does not let go. */
int e1000_own_phy(struct e1000 *dev);
void e1000_disown_phy(struct e1000 *dev);
int e1000_link(struct nic *nic, struct nic_link *link);
/* When pause frames are sent, by the MTU. */
void e1000_write_thresholds(struct e1000 *dev);

/* e1000_stats.c */
int e1000_stats(struct nic *nic, struct nic_stats *stats);
int e1000_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
/* Forgets what the card counted so far. */
void e1000_stats_clear(struct e1000 *dev);

#endif
