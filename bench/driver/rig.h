/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is measured: the real driver on a card in memory, and a program that does one thing over and
 * over. A round is so many frames; the card works before it, the driver alone within it.
 */
#ifndef BENCH_DRIVER_RIG_H
#define BENCH_DRIVER_RIG_H

#include "bench/driver/device.h"
#include "nic/pool.h"

#define RIG_BURST_MAX 256u
/* Frames of a round: so many that starting and stopping the clock does not matter, so few that they
 * stay in the nearest cache, and at most half a ring: the other half is with the card.
 */
#define RIG_ROUND 256u

struct rig;

struct mode {
	const char *name;
	bool receives, sends;
	bool in_place;     /* on queues opened for it */
	unsigned in_round; /* a round is at most that part of a ring */
	/* Once: fills the receive ring. */
	void (*begin)(struct rig *rig);
	/* Before and after a round of n frames, unmeasured; or NULL. */
	void (*before)(struct rig *rig, size_t n);
	void (*after)(struct rig *rig, size_t n);
	/* A round of n frames; returns how many it handled. What is measured. */
	size_t (*round)(struct rig *rig, size_t n);
};

/* "forward", "rx", "tx": nic_rx() and nic_tx() with the pool; "forward_verbs", "rx_verbs",
 * "tx_verbs": the four verbs alone; "fused": nic_forward(); "inplace": the same in place.
 * Forwarding touches one byte of each frame.
 */
extern const struct mode rig_modes[];
extern const size_t rig_mode_count;

/* Whether this processor runs the driver's code for a set of instructions. The names of all that
 * there are, the widest first, are ixgbe_paths[].
 */
bool rig_has_path(const char *name);

struct setting {
	const struct mode *mode;
	const char *path; /* one that rig_has_path() */
	unsigned queues;
	unsigned ring; /* descriptors, of all rings */
	unsigned burst;
	uint16_t len; /* bytes of a frame, without the CRC */
	enum spoil spoil;
};

/* A queue and the program that uses it. No two share a cache line. */
struct rig {
	_Alignas(CACHE_LINE) const struct setting *setting;
	size_t round; /* frames */
	struct nic_queue *q;
	struct nic_pool pool;
	struct frame frame[RIG_ROUND];
	_Alignas(CACHE_LINE) struct device *device;
};

/* A card with its queues. */
struct bed {
	struct setting setting;
	struct card *card;
	struct nic *nic;
	struct nic_config config;
	struct dma_region *rings;
	struct rig rig[NIC_MAX_QUEUES];
};

/* `mapped`: see card_open(). 0 or -errno, with why. */
int bed_open(struct bed *bed, const struct setting *setting, bool mapped, struct pci_error *why);
void bed_close(struct bed *bed);

/* The card sends what was queued and receives a round; then the round's frames are made. */
void rig_before(struct rig *rig, enum warmth warmth);
/* Looks at what the round did, `done` frames; false: see rig_fault(). */
bool rig_after(struct rig *rig, size_t done);
const char *rig_fault(const struct rig *rig);
/* Rounds until every slot of the rings and every buffer has been used, and their checks. */
bool rig_warm(struct rig *rig);

#endif
