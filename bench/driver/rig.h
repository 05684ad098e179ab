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
 * stay in the nearest cache, and at most half a ring.
 */
#define RIG_ROUND 256u

struct rig;

struct mode {
	const char *name;
	bool receives, sends;
	/* Before and after a round of n frames, unmeasured; or NULL. */
	void (*before)(struct rig *rig, size_t n);
	void (*after)(struct rig *rig, size_t n);
	/* A round of n frames; returns how many it handled. What is measured. */
	size_t (*round)(struct rig *rig, size_t n);
};

/* "forward", "rx", "tx": nic_rx() and nic_tx() with the pool; "forward_verbs", "rx_verbs",
 * "tx_verbs": the four verbs alone. Forwarding touches one byte of each frame.
 */
extern const struct mode rig_modes[];
extern const size_t rig_mode_count;

struct setting {
	const struct mode *mode;
	unsigned ring; /* descriptors, of both rings */
	unsigned burst;
	uint16_t len; /* bytes of a frame, without the CRC */
	enum spoil spoil;
};

struct rig {
	struct setting setting;
	size_t round; /* frames */
	struct card *card;
	struct device *device;
	struct nic_config config;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_queue *q;
	struct nic_pool pool;
	struct frame frame[RIG_ROUND];
};

/* `mapped`: see card_open(). 0 or -errno, with why. */
int rig_open(struct rig *rig, const struct setting *setting, bool mapped, struct pci_error *why);
void rig_close(struct rig *rig);

/* The card sends what was queued and receives a round; then the round's frames are made. */
void rig_before(struct rig *rig, enum warmth warmth);
/* Looks at what the round did, `done` frames; false: see rig_fault(). */
bool rig_after(struct rig *rig, size_t done);
const char *rig_fault(const struct rig *rig);
/* Rounds until every slot of the rings and every buffer has been used, and their checks. */
bool rig_warm(struct rig *rig);

#endif
