/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A running card from one process to the next: what a driver knows of its rings goes into memory
 * that outlives it (nic_config.state), and comes back checked. Nothing is read from there before a
 * release and after an adoption, so that the data path works on memory of its own. Private to nic/;
 * whether the card itself runs as the state says, the driver asks it.
 */
#ifndef NIC_STATE_H
#define NIC_STATE_H

#include "nic/driver.h"

/* What a driver keeps of a queue beside its rings, in its own memory. */
struct nic_books {
	uint32_t *tx_done;           /* slots up to here are sent */
	uint32_t *rs_head, *rs_tail; /* of rs[] */
	uint32_t *rs;                /* indices that carry an RS whose DD was not seen yet */
	bool *torn;                  /* a received frame began whose end has not been seen */
	bool bare;                   /* some of the descriptors to be sent have no buffer */
	struct nic_queue_stats *stats;
};

struct nic_running {
	struct nic *nic;
	uint16_t device; /* PCI id */
	struct nic_stats *stats;
	struct nic_books books[NIC_MAX_QUEUES];
};

size_t nic_state_size(const struct nic_config *config);
/* These do nothing where there is no memory. */
void nic_state_save(const struct nic_running *running);
/* What is there is not to be adopted any more. */
void nic_state_forget(const struct nic_config *config);

/* Into queues that were just created and stand still: those that ran have their `frames` then.
 * -EINVAL by nic_fail(): it does not check out; -ENOMEM.
 */
int nic_state_load(const struct nic_running *running);

#endif
