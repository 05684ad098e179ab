/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counts instructions by walking a process step by step: exact and repeatable, on any processor and
 * for any instruction, without counters, which virtual machines often do not have.
 */
#ifndef BENCH_DRIVER_STEPS_H
#define BENCH_DRIVER_STEPS_H

#include <stdint.h>

#include "bench/driver/rig.h"

/* Instructions of `rounds` rounds of a rig that is opened and warmed in a process of its own, into
 * *count, and the frames that these were into *frames. -EPERM: processes cannot be traced here;
 * -EIO, with why: something was not in order.
 */
int steps_count(const struct setting *setting, unsigned rounds, uint64_t *count, uint64_t *frames,
	struct pci_error *why);

#endif
