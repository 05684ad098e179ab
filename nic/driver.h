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
	uint32_t tx_bare;                /* of the descriptors in `tx`: those of no buffer */
};

/* What ring.buffer has of these. */
#define NO_BUFFER UINT32_MAX

/* Gives `n` buffers to the slots of the transmit ring from `at` on that have one. */
void nic_tx_name(struct nic_queue *q, uint32_t at, const uint32_t *buffers, size_t n);
/* Takes the last n buffers that left the transmit ring back into it. */
void nic_tx_unreturn(struct nic_queue *q, size_t n);
/* nic_tx_return() by a verb that also returns what has no buffer: that is left out, and
 * others come instead.
 */
size_t nic_tx_return_by(struct nic_queue *q, uint32_t *offsets, size_t n,
	size_t (*pop)(struct nic_queue *q, uint32_t *offsets, size_t n));

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

/* Empties the rings of a queue that stands still from now on. */
void nic_queue_forget(struct nic_queue *q);
/* What a queue begins with: it stands still, and has rings. -ENOMEM. */
int nic_queue_init(struct nic_queue *q, struct nic *nic, unsigned index);
void nic_queue_fini(struct nic_queue *q);
/* Zeroed, and in cache lines of its own: another queue may be another thread's. For free(). */
void *nic_line_alloc(size_t size);
/* Zeroes all descriptors of a ring that the card does not use. */
void nic_ring_clear(const struct ring *ring);

struct nic_driver {
	const char *name;
	/* Whether it serves that id. False with *why set: it knows the id and refuses it. */
	bool (*serves)(const struct pci_id *id, const char **why);
	size_t size;        /* of its card, which begins with a struct nic */
	unsigned bar;       /* that the registers are in */
	uint32_t bar_bytes; /* that it has at least */
	uint32_t alive;     /* a register that never reads all-ones */
	bool one_vector;    /* for all causes, however many it offers */

	/* A card's life, of which the class does what is the same for all (nic/life.c). A failure
	 * says why by nic_fail().
	 */
	/* Its books, model and name; the card is only read. destroy() comes also after a failure.
	 */
	int (*create)(struct nic *nic);
	void (*destroy)(struct nic *nic);
	/* From whatever state to one that runs by the configuration. stop() comes also after a
	 * failure: no DMA, no interrupt after it.
	 */
	int (*start)(struct nic *nic);
	void (*stop)(struct nic *nic);
	/* Into the state's memory; and from there into books that were just made, if the card runs
	 * as they say, which resume() then goes on with.
	 */
	void (*save)(struct nic *nic);
	int (*load)(struct nic *nic);
	int (*resume)(struct nic *nic);
	/* The queue stands still, or runs. */
	int (*queue_start)(struct nic *nic, unsigned index, const struct dma_region *frames);
	int (*queue_stop)(struct nic *nic, unsigned index);

	/* One queue's, or NULL; see nic_check(). A failure says why by nic_fail(). */
	int (*check)(struct nic *nic, unsigned index);
	/* The link, or NULL: what does not come up by itself. */
	void (*check_link)(struct nic *nic);

	int (*irq_ack)(struct nic *nic, size_t which);
	void (*irq_arm)(struct nic *nic);
	void (*irq_arm_queue)(struct nic *nic, unsigned index);

	int (*link)(struct nic *nic, struct nic_link *link);
	void (*module)(const struct nic *nic, struct nic_module *module); /* NULL: no cage */
	int (*stats)(struct nic *nic, struct nic_stats *stats); /* but for the queues' two */
	int (*queue_stats)(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
	/* By the configuration, which says so already. */
	void (*set_promiscuous)(struct nic *nic);
	void (*set_mtu)(struct nic *nic);
	/* NULL: it cannot. The VLANs are in order. */
	void (*set_addresses)(struct nic *nic, const uint8_t (*addresses)[6], size_t n);
	void (*set_vlans)(struct nic *nic, const uint16_t *vlans, size_t n);
};

/* The interrupts that a card has: with several vectors, queue n's is vector n and the last is for
 * all else; with one it is for all.
 */
struct nic_irq {
	enum pci_irq kind;
	unsigned vectors; /* 0: polled only */
	int fd[NIC_MAX_QUEUES + 1];
};

/* A driver's card begins with this. */
struct nic {
	const struct nic_driver *driver;
	struct pci_function *fn;
	struct pci_bar bar;
	struct nic_config config;
	struct pci_error *why; /* while something may fail with a text; otherwise NULL */
	struct nic_irq irq;
	const char *model;
	uint16_t mtu_max; /* these by create() of the driver */
	uint32_t offloads;
	bool narrow; /* the card reaches the first 4 GiB alone */
	/* Bits of the driver's own: what its filters let through beside the configuration. They are
	 * handed over with the state.
	 */
	uint16_t filters;
	uint8_t mac[6];
	unsigned queues;
	struct nic_queue *queue[NIC_MAX_QUEUES];
};

/* The driver for a function and a configuration that are in order. -ENOTSUP, -EINVAL with `why`. */
int nic_choose(const struct nic_driver **out, struct pci_function *fn,
	const struct nic_config *config, struct pci_error *why);

/* Says in nic->why what failed, behind the driver's name and the device's address; returns rc. */
int nic_fail(struct nic *nic, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* reg_poll() whose time-out says so: `what` did not happen, `where` it is written. */
int nic_wait(struct nic *nic, uint32_t reg, uint32_t mask, uint32_t value, unsigned timeout_us,
	const char *what, const char *where);

/* Writes what all depends on, and reads it back in the bits of `mask`: once more where they differ,
 * as a single access may fail; then -EIO.
 */
int nic_hold(struct nic *nic, uint32_t reg, uint32_t value, uint32_t mask);

/* Interrupts of the kind that the configuration asks for, or of the best that the card has: a
 * vector for each queue and one more, or one for all. Nothing, where it asks for none. The driver
 * has them masked before, and programs the card after it.
 */
int nic_irq_enable(struct nic *nic);
void nic_irq_disable(struct nic *nic);

/* Where the rings of queue `index` lie in the ring memory: each is aligned to its own size, so that
 * none crosses a chunk's boundary (a ring takes at most 64 KiB). In place: the left card's queue
 * and the right one's mean the same two rings, and there is a line for the head of each.
 */
struct nic_ring_place {
	size_t rx, tx, heads, end;
};
struct nic_ring_place nic_place_rings(const struct nic_config *config, unsigned index);

/* Whether a queue without buffers drops what comes, by the configuration. */
bool nic_drops(const struct nic_config *config);

/* Receive-side scaling. Its key: two bytes again and again; then exchanging source and destination
 * changes nothing, and both directions of a connection meet in one queue (Woo and Park, "Scalable
 * TCP Session Monitoring with Symmetric Receive-side Scaling", 2012).
 */
#define NIC_RSS_KEY 0x5A6D5A6Du
/* The queue of each entry of the table. An entry has a home, which it leaves only while that stands
 * still (its `frames` are NULL): starting or stopping one queue moves no other queue's flows.
 */
void nic_spread(const struct nic *nic, uint8_t *table, unsigned entries);

/* What nic_check() looks at of a queue whose driver reports sent frames by RS. */
struct nic_pulse {
	uint32_t rdh, rdt, tdh, tdt; /* registers */
	uint64_t rx_dd, tx_dd;       /* of a descriptor's second quadword: it is dealt with */
	const uint32_t *rs;          /* as in struct nic_books */
	uint32_t rs_head, rs_tail;
	const char *rx_where, *tx_where; /* where it is written what heads do */
};
/* What it saw last, and how often running the card was late with it. */
struct nic_seen {
	uint32_t rx_head, rs_head;
	unsigned rx_late, tx_late;
};
/* How often in a row it was late with the same slot; `moved`: that is another one now. */
static inline unsigned nic_late(unsigned times, bool late, bool moved)
{
	if (!late)
		return 0;
	return moved ? 1 : times + 1;
}
int nic_check_queue(
	struct nic *nic, unsigned index, const struct nic_pulse *pulse, struct nic_seen *seen);

/* What a card with one queue pair, not in place, has behind its rings, aligned to 64: to write its
 * counters to, for example.
 */
#define NIC_CARD_BYTES 128u

/* The region that queue `index` begins with, or NULL. */
const struct dma_region *nic_config_frames(const struct nic_config *config, unsigned index);

/* nic_forward(): the entries of the frame that begins at frames[0 .. n); whether it goes on: all of
 * them are some of a good frame, and the look has not dropped it.
 */
size_t nic_forward_entries(const struct frame *frames, size_t n, bool *wanted);

/* A counter that one thread writes and any reads. */
static inline void nic_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline void nic_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Adds what a card counted since it was read last. */
void nic_stats_add(struct nic_stats *sum, const struct nic_stats *now);

extern const struct nic_driver ixgbe_driver;
extern const struct nic_driver e1000_driver;
extern const struct nic_driver rtl8168_driver;

#endif
