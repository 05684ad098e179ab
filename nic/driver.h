/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a driver gives to the class, and what each card and queue begins with. Private to nic/.
 */
#ifndef NIC_DRIVER_H
#define NIC_DRIVER_H

#include "nic/forward.h"
#include "nic/nic.h"
#include "nic/ring.h"

struct nic_pool;

_Static_assert(NIC_RING_FREE == RING_LINE, "what ring_room() leaves");

/* The data path: one table a driver. The class has checked that the card is there. */
struct nic_verbs {
	size_t (*rx_provide)(struct nic_queue *q, const uint32_t *offsets, size_t n);
	size_t (*rx_return)(struct nic_queue *q, struct frame *frames, size_t n);
	size_t (*tx_provide)(struct nic_queue *q, const struct frame *frames, size_t n);
	size_t (*tx_return)(struct nic_queue *q, uint32_t *offsets, size_t n);
	void (*flush)(struct nic_queue *q);
	/* nic_forward() between queues of the same verbs in one go, or NULL. */
	size_t (*forward)(
		struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx);
	/* Of queues in place, otherwise NULL: nic_forward(), and why it cannot be between the two,
	 * or NULL.
	 */
	size_t (*in_place)(
		struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx);
	const char *(*in_place_objection)(const struct nic_queue *from, const struct nic_queue *to);
	/* nic_rx() and nic_tx() in one go, or NULL: the class does them by the verbs above. */
	size_t (*rx)(struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n);
	size_t (*tx)(
		struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n);
};

#define CACHE_LINE 64u

/* A driver's queue begins with this. Its user's thread alone touches it, but for the two counters,
 * which nic_stats() reads from elsewhere.
 */
struct nic_queue {
	const struct nic_verbs *verbs; /* while it stands still they do nothing */
	const struct pci_function *fn;
	const bool *gone; /* pci_gone_flag(fn) */
	struct ring rx, tx;
	uint64_t bad_offsets;
	uint64_t bad_writebacks;
	const struct dma_region *frames; /* NULL: it stands still */
};

static inline bool nic_queue_gone(const struct nic_queue *q)
{
	return __atomic_load_n(q->gone, __ATOMIC_RELAXED);
}

/* Of a queue that stands still: they do nothing. */
extern const struct nic_verbs nic_still_verbs;
size_t nic_no_frames(struct nic_queue *q, struct frame *frames, size_t n);
size_t nic_no_frames_taken(struct nic_queue *q, const struct frame *frames, size_t n);
size_t nic_no_offsets_back(struct nic_queue *q, uint32_t *offsets, size_t n);
void nic_no_flush(struct nic_queue *q);

/* Zeroed, and in cache lines of its own: another queue may be another thread's. For free(). */
void *nic_line_alloc(size_t size);
/* Takes the ring memory from `place` on, and a list of buffers. -ENOMEM. */
int nic_ring_create(
	struct ring *ring, const struct dma_region *memory, size_t place, uint32_t slots);

struct nic_driver {
	const char *name;
	/* Whether it serves that id. False with *why set: it knows the id and refuses it. */
	bool (*serves)(const struct pci_id *id, const char **why);
	/* The configuration is checked. nic_close() undoes it whole. */
	int (*open)(struct nic **out, struct pci_function *fn, const struct nic_config *config,
		struct pci_error *why);
	void (*close)(struct nic *nic);
	int (*adopt)(struct nic **out, struct pci_function *fn, const struct nic_config *config,
		struct pci_error *why);
	void (*release)(struct nic *nic);
	/* The queue stands still, or runs. */
	int (*queue_start)(struct nic *nic, unsigned index, const struct dma_region *frames);
	int (*queue_stop)(struct nic *nic, unsigned index);

	size_t (*irq_fds)(const struct nic *nic, int fd[]);
	int (*irq_ack)(struct nic *nic, size_t which);
	void (*irq_arm)(struct nic *nic);
	void (*irq_arm_queue)(struct nic *nic, unsigned index);
	size_t (*irq_vector)(const struct nic *nic, unsigned index);
	const char *(*irq_name)(const struct nic *nic);

	void (*mac)(const struct nic *nic, uint8_t mac[6]);
	int (*link)(struct nic *nic, struct nic_link *link);
	int (*stats)(struct nic *nic, struct nic_stats *stats); /* but for the queues' two */
	int (*queue_stats)(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
	int (*set_promiscuous)(struct nic *nic, bool on);
	int (*set_mtu)(struct nic *nic, uint16_t mtu);
	const char *(*model)(const struct nic *nic);
};

/* A driver's card begins with this. */
struct nic {
	const struct nic_driver *driver;
	struct pci_function *fn;
	unsigned queues;
	struct nic_queue *queue[NIC_MAX_QUEUES];
};

/* Where the rings of queue `index` lie in the ring memory: each is aligned to its own size, so that
 * none crosses a chunk's boundary (a ring takes at most 64 KiB). In place: the left card's queue
 * and the right one's mean the same two rings, and there is a line for the head of each.
 */
struct nic_ring_place {
	size_t rx, tx, heads, end;
};
struct nic_ring_place nic_place_rings(const struct nic_config *config, unsigned index);

/* The region that queue `index` begins with, or NULL. */
const struct dma_region *nic_config_frames(const struct nic_config *config, unsigned index);

/* A counter that one thread writes and any reads. */
static inline void nic_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* Adds what a card counted since it was read last. */
void nic_stats_add(struct nic_stats *sum, const struct nic_stats *now);

extern const struct nic_driver ixgbe_driver;
extern const struct nic_driver e1000_driver;

#endif
