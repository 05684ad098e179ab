/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The server's side of a client's shared rings (scheme/ring_layout.h): the other halves of the four
 * verbs, for whoever moves the frames: the core, which copies them between client and port, or the
 * owner of a card's queue, which has the card itself work on the client's memory.
 *
 * Nothing that the client can write is believed: an index is read once and judged, a slot is copied
 * out and judged, and what is done with it is done with the copy. -EPROTO from any of these means
 * that the client broke the rules: its handle is to be closed.
 */
#ifndef SCHEME_RINGS_H
#define SCHEME_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scheme/ring.h"

struct ring_client;
struct ring_driver;

/* One direction: provided as last seen, taken and returned as they are. */
struct ring_side {
	_Atomic uint64_t *slots;
	uint32_t size;
	uint32_t provided, taken, returned;
	uint32_t whole; /* tx: up to here frames have their ends: taken <= whole <= provided */
	uint32_t least; /* rx: buffers that the next frame takes */
};

struct scheme_rings {
	uint8_t *frames; /* the client's memory: any byte may change at any time */
	size_t bytes;
	struct ring_client *client; /* as hostile; ring_bytes() long */
	struct ring_driver *driver; /* in the handle's page: written, and read at a resumption */
	struct ring_side rx, tx;
	uint64_t sleeps; /* as in the driver's part */
	unsigned moved;  /* verbs of the client's that have something new to return */
	bool wake;       /* the client is to be woken, by a message */
	bool ended;      /* no more is taken than was provided by then */
};

/* New rings: the memory is all zeros, or what a hostile client left there. */
void scheme_rings_init(struct scheme_rings *r, uint8_t *frames, size_t bytes,
	struct ring_client *client, struct ring_driver *driver, uint32_t rx_size, uint32_t tx_size);
/* Behind it, where an earlier driver had the same rings: goes on where that one was. `kept`: what
 * it had taken is still on its way, since the card ran on; otherwise buffers for frames are to be
 * taken again, and what was to be sent is lost and returned; *lost says how many. -EPROTO.
 */
int scheme_rings_resume(struct scheme_rings *r, bool kept, uint32_t *lost);

/* Buffers that the client has provided, if there are `least` of them, else 0, or -EPROTO; less is
 * nothing to scheme_rings_sleep() either, until the next call.
 */
ssize_t scheme_rings_rx_waiting(struct scheme_rings *r, uint32_t least);
/* Entries of whole frames that the client has provided: some if there are any, 0, or -EPROTO. */
ssize_t scheme_rings_tx_waiting(struct scheme_rings *r);
/* Takes the oldest n of them at most; returns how many, or -EPROTO. An offset has
 * SCHEME_RING_BUFFER bytes behind it in the memory.
 */
ssize_t scheme_rings_rx_take(struct scheme_rings *r, uint32_t *offsets, size_t n);
/* Takes the oldest frames, whole, n entries and `frames` frames at most; returns how many entries,
 * or -EPROTO. All is taken sooner or later if n is SCHEME_RING_CHAIN or more. An entry lies in the
 * memory, a frame has an end, and that is all that is known of them.
 */
ssize_t scheme_rings_tx_take(
	struct scheme_rings *r, struct scheme_frame *entries, size_t n, size_t frames);
/* Gives the oldest n taken back, in their order. n must not be above what is held. */
void scheme_rings_rx_return(struct scheme_rings *r, const struct scheme_frame *frames, size_t n);
void scheme_rings_tx_return(struct scheme_rings *r, size_t n);
/* Taken and not returned. */
uint32_t scheme_rings_rx_held(const struct scheme_rings *r);
uint32_t scheme_rings_tx_held(const struct scheme_rings *r);

/* The client has left: what it provided until now may still be taken, and no more. */
void scheme_rings_end(struct scheme_rings *r);

/* Whether the client sleeps for what was returned; it is to be woken then, and scheme_rings_woken()
 * called when it was.
 */
bool scheme_rings_must_wake(struct scheme_rings *r);
void scheme_rings_woken(struct scheme_rings *r);
/* Before the driver sleeps: tells the client to wake it for these (SCHEME_RING_TX: a frame was
 * provided, SCHEME_RING_RX: a buffer). True: there is something of it now, so do not sleep.
 * scheme_rings_awake() behind it in any case.
 */
bool scheme_rings_sleep(struct scheme_rings *r, unsigned what);
void scheme_rings_awake(struct scheme_rings *r);

#endif
