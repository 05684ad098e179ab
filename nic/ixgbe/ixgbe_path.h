/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files of the data path share. No register is ever read there; one tail is written a
 * burst, and none for an empty one.
 *
 * ixgbe_rx.c, ixgbe_tx.c and ixgbe_forward.c are compiled once for each path, which is a set of
 * instructions that they may use; they differ in nothing but how they do four descriptors at a time
 * (ixgbe_lines.h). The widest path that the processor has is taken when a queue is made.
 */
#ifndef NIC_IXGBE_PATH_H
#define NIC_IXGBE_PATH_H

#include "nic/ixgbe/ixgbe.h"
#include "nic/pool.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Out of the loops, so that these keep their registers. */
#define rare __attribute__((noinline, cold))
/* The same for what a small burst does not need. */
#define apart  __attribute__((noinline))
#define always inline __attribute__((always_inline))

#define CHUNK ((uint32_t)DMA_CHUNK_SIZE)

static inline struct ixgbe_queue *ixgbe_queue(struct nic_queue *q)
{
	return (struct ixgbe_queue *)q;
}

/* The caller named what is not in order. */
static inline void ixgbe_refuse(struct ixgbe_queue *q)
{
	nic_count(&q->head.bad_offsets);
}

static inline void ixgbe_write_tail(
	const struct ixgbe_queue *q, volatile uint8_t __iomem *direct, uint32_t reg, uint32_t slot)
{
	if (likely(direct != NULL))
		mmio_write32(direct, slot);
	else
		reg_publish(q->bar, reg, slot);
}

/* Gives the card all descriptors up to the tail. */
static inline void ixgbe_publish(struct ixgbe_queue *q, struct ring *ring,
	volatile uint8_t __iomem *direct, uint32_t reg, uint32_t tail)
{
	ring->shown = tail;
	/* The descriptors (and the frames), before the tail that gives them to the card. */
	dma_write_barrier();
	ixgbe_write_tail(q, direct, reg, tail & ring->mask);
}

/* A path's name comes after a function's. */
#define PATH_NAME(name, path) name##_##path
#define PATH_OF(name, path)   PATH_NAME(name, path)
#define ON_PATH(name)         PATH_OF(name, IXGBE_PATH)

#define DECLARE_PATH(path)                                                                         \
	size_t ixgbe_rx_provide_##path(struct nic_queue *q, const uint32_t *offsets, size_t n);    \
	size_t ixgbe_rx_return_##path(struct nic_queue *q, struct frame *frames, size_t n);        \
	size_t ixgbe_tx_provide_##path(struct nic_queue *q, const struct frame *frames, size_t n); \
	size_t ixgbe_tx_return_##path(struct nic_queue *q, uint32_t *offsets, size_t n);           \
	size_t ixgbe_rx_##path(                                                                    \
		struct nic_queue *q, struct nic_pool *pool, struct frame *frames, size_t n);       \
	size_t ixgbe_tx_##path(                                                                    \
		struct nic_queue *q, struct nic_pool *pool, const struct frame *frames, size_t n); \
	size_t ixgbe_tx_chain_##path(struct ixgbe_queue *q, const struct frame *frames, size_t n,  \
		uint32_t room, uint32_t at, uint32_t max);                                         \
	size_t ixgbe_forward_##path(struct nic_queue *from, struct nic_queue *to, size_t n,        \
		nic_look *look, void *ctx);                                                        \
	size_t ixgbe_in_place_forward_##path(                                                      \
		struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx)

DECLARE_PATH(plain);
DECLARE_PATH(avx2);
DECLARE_PATH(avx512);

/* ixgbe_in_place.c */
size_t ixgbe_in_place_fill(struct nic_queue *head, const uint32_t *offsets, size_t n);
const char *ixgbe_in_place_objection(const struct nic_queue *from, const struct nic_queue *to);
/* Notes that the two fit together; false: they do not. */
rare bool ixgbe_in_place_pair(struct ixgbe_queue *q, struct ixgbe_queue *out);

/* ixgbe_full.c: the verbs of a queue with offloads. */
extern const struct nic_verbs ixgbe_full_verbs;

/* ixgbe_path.c */
/* The names of the paths, the widest first, that this program was built with; NULL ends them. */
extern const char *const ixgbe_paths[];
/* The verbs of a path; NULL: there is none of that name, or this processor can't run it. */
const struct nic_verbs *ixgbe_path_verbs(const char *name);
/* The verbs of the widest path that this processor runs. */
const struct nic_verbs *ixgbe_widest_verbs(void);
/* The same for queues in place. */
const struct nic_verbs *ixgbe_path_in_place(const char *name);
const struct nic_verbs *ixgbe_widest_in_place(void);

#endif
