/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the card in memory does with one pair of rings, between what is measured: it receives and
 * sends at once what it is told to. It believes no driver: descriptors, tails and frames are
 * checked, and the first thing that is not in order is kept.
 */
#ifndef BENCH_DRIVER_DEVICE_H
#define BENCH_DRIVER_DEVICE_H

#include "bench/driver/cache.h"
#include "bench/driver/card.h"
#include "nic/nic.h"

#define DEVICE_FRAME_MIN 60u
#define DEVICE_FRAME_MAX 1514u
#define DEVICE_TOUCHED   1u /* the byte that a forwarder changes */

/* What the card gets to see wrongly once, to prove that it looks. */
enum spoil {
	SPOIL_NOTHING,
	SPOIL_RS,     /* a descriptor that should report does not */
	SPOIL_LAST,   /* the last of what was queued does not */
	SPOIL_EOP,    /* a frame does not end */
	SPOIL_LENGTH, /* is longer by a byte */
	SPOIL_SENT,   /* lies in a buffer that is being sent already */
	SPOIL_GIVEN,  /* an empty buffer is in the ring already */
	SPOIL_SLOT,   /* the driver writes to a descriptor that is the card's */
	SPOIL_FRAME,  /* another frame goes out than came in */
	SPOIL_TAIL,   /* a tail that is beyond what a ring may hold */
};

struct device;

/* After nic_open(), for queue `index` and frames of `len` bytes. -ENOMEM; -EINVAL: a ring is not in
 * the card's memory.
 */
int device_open(struct device **out, struct card *card, const struct nic_config *config,
	unsigned index, uint16_t len);
void device_close(struct device *device);

/* Frames are numbered from 0 again. */
void device_begin(struct device *device);
void device_spoil(struct device *device, enum spoil what);

/* Receives n frames, or as many as there are buffers for; returns how many. */
size_t device_receive(struct device *device, size_t n, enum warmth warmth);
/* Sends what was queued; `forwarded`: it is what was received, in that order, each with its byte
 * DEVICE_TOUCHED one higher; else what device_stamp() made, in that order. Returns how many.
 */
size_t device_transmit(struct device *device, bool forwarded, enum warmth warmth);

/* Makes the next frame to be sent, in the buffer at `data`. */
void device_stamp(struct device *device, uint8_t *data);
/* Looks at the next frame that was received. */
void device_received(struct device *device, const uint8_t *data, uint16_t len);

/* Keeps a fault that somebody else found, if it is the first. */
void device_complain(struct device *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The first thing that was not in order, or NULL. */
const char *device_fault(const struct device *device);

#endif
