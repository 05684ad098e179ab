/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What several queues cost: on one core and on two, in memory, and whether they get into each
 * other's way.
 */
#ifndef BENCH_DRIVER_QUEUES_H
#define BENCH_DRIVER_QUEUES_H

#include "bench/driver/cycles.h"

#define QUEUES_THREADS 2u

/* Rounds of all the setting's queues in turn, each thread on a processor of its own with every
 * `threads`th of them. -EINVAL: there are more threads than queues, or than processors.
 */
int queues_measure(const struct setting *setting, unsigned threads, size_t rounds,
	struct cycles *cycles, struct pci_error *why);

/* Cache lines that rounds of two of the setting's queues both wrote to, of all memory but the
 * stack and the frames. -EIO, -ENOMEM, with why.
 */
int queues_shared_lines(const struct setting *setting, size_t *lines, struct pci_error *why);

/* Bytes that a queue takes more of: the driver's own, and descriptors. */
int queues_memory(
	const struct setting *setting, size_t *driver, size_t *rings, struct pci_error *why);

#endif
