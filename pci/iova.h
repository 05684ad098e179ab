/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The I/O virtual addresses of one function: which the IOMMU can translate, and which are taken.
 */
#ifndef PCI_IOVA_H
#define PCI_IOVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iova_run {
	uint64_t start, last; /* both inclusive */
};

struct iova_space {
	struct iova_run *allowed; /* sorted */
	size_t ranges;
	struct iova_run *used; /* sorted, disjoint; also what no memory may ever be mapped at */
	size_t runs, room;
	bool low; /* below 4 GiB first; its owner sets that */
};

/* Allows the addresses of `ranges` (n, in any order; overlaps do no harm), without what no memory
 * may be mapped at: the first 2 MiB, so that no address is 0, and the window at 0xfee00000 where
 * writes are interrupts (Intel SDM 3A, "Message Address Register Format"). -ENOMEM.
 */
int iova_init(struct iova_space *space, const struct iova_run *ranges, size_t n);
void iova_fini(struct iova_space *space);

/* The lowest free run of `size` bytes that starts at a multiple of 2 MiB: from 4 GiB upwards, so
 * that a driver which loses the upper half of an address fails at once; below it if there is no
 * other. Where `low` is set: the lowest of all. -ENOSPC, -ENOMEM, -EINVAL: size is 0.
 */
int iova_alloc(struct iova_space *space, uint64_t size, uint64_t *start);
/* Takes that very run. -EBUSY: not all of it is free; -EINVAL: not all of it is allowed. */
int iova_reserve(struct iova_space *space, uint64_t start, uint64_t size);
/* Gives back what iova_alloc() or iova_reserve() gave, as a whole. */
void iova_free(struct iova_space *space, uint64_t start);

#endif
