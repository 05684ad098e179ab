/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the files of the data path share. No register is ever read there; one tail is written a
 * burst, and none for an empty one.
 */
#ifndef NIC_IXGBE_PATH_H
#define NIC_IXGBE_PATH_H

#include "nic/ixgbe/ixgbe.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Out of the loops, so that these keep their registers. */
#define rare __attribute__((noinline, cold))

#define CHUNK ((uint32_t)DMA_CHUNK_SIZE)

static inline struct ixgbe_queue *ixgbe_queue(struct nic_queue *q)
{
	return (struct ixgbe_queue *)q;
}

/* The caller named what is not in order. */
rare void ixgbe_refuse(struct ixgbe_queue *q);

/* ixgbe_rx.c, ixgbe_tx.c */
size_t ixgbe_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n);
size_t ixgbe_rx_return(struct nic_queue *head, struct frame *frames, size_t n);
void ixgbe_rx_publish(struct ixgbe_queue *q);
size_t ixgbe_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n);
size_t ixgbe_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n);

#endif
