/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared rings: what client and driver have in memory together. Each direction is one ring of frame
 * slots that is used in place, since a card completes in order; four verbs move its indices:
 *
 *     rx   provide (client): slot.offset, an empty buffer     take (driver): it has the buffer
 *          return  (driver): slot.len and .flags, a frame
 *     tx   provide (client): a frame to be sent               take (driver): it has the frame
 *          return  (driver): `done`, the buffer is the client's again
 *
 *     0 <= taken - returned <= provided - returned <= size, and the same with `done`
 *
 * Indices run freely over 32 bits and are masked at use; each lies in a cache line of its writer.
 * Three pieces of memory:
 *
 *     frames       the client's: any sealed memfd; offsets count in it
 *     ring memory  the client's, sealed: its indices, then the slots; the driver writes slots that
 *                  it returns, and clears `sleeping`
 *     page         the driver's indices, behind the handle's status; the client cannot write there
 *
 * So whatever the client does, the driver's own position is true, also for the driver that follows
 * one that died: it goes on at `returned` with the same buffers, and counts what was taken and not
 * done as lost. Nothing leaks and nothing comes twice.
 *
 * Nobody is told of anything while both sides are awake. Who wants to sleep says so in memory and
 * looks once more; who moves an index looks whether the other sleeps. A wake-up is a message of one
 * byte on the handle's connection, which says nothing: unlike an eventfd, whose flags its other
 * owner can change, it never blocks the driver, and the one descriptor tells of the end as well.
 * test/model/ring.pml is the proof that no wake-up is lost.
 */
#ifndef SCHEME_RING_LAYOUT_H
#define SCHEME_RING_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scheme/ring.h"
#include "scheme/scheme.h"

#define RING_APART 128u /* bytes between writers: processors fetch cache lines by two */

/* The ring memory: the client's indices, its slots from RING_SLOTS on, first rx, then tx. */
struct ring_client {
	alignas(RING_APART) _Atomic uint32_t rx_provided;
	alignas(RING_APART) _Atomic uint32_t tx_provided;
	/* SCHEME_RING_RX, _TX: the verbs that the client sleeps for. Who wakes it takes them away.
	 */
	alignas(RING_APART) _Atomic uint32_t sleeping;
};

#define RING_SLOTS 4096u

/* The driver's part, RING_PAGE bytes into the status page. */
struct ring_driver {
	alignas(RING_APART) _Atomic uint32_t rx_taken;
	_Atomic uint32_t rx_returned;
	alignas(RING_APART) _Atomic uint32_t tx_taken;
	_Atomic uint32_t tx_done;
	/* How often the driver went to sleep or woke, times four, and what it sleeps for: a frame
	 * to send (SCHEME_RING_TX), a buffer for one (SCHEME_RING_RX); 0: it is awake. A client
	 * wakes it once for each value. */
	alignas(RING_APART) _Atomic uint64_t sleeps;
};

#define RING_PAGE 1024u

_Static_assert(sizeof(struct ring_client) <= RING_SLOTS, "the slots lie behind it");
_Static_assert(sizeof(struct scheme_status) <= RING_PAGE, "the driver's part lies behind it");
_Static_assert(RING_PAGE + sizeof(struct ring_driver) <= 4096, "one page");
_Static_assert(sizeof(struct scheme_frame) == sizeof(uint64_t), "a slot is read and written whole");

static inline size_t ring_bytes(uint32_t rx_size, uint32_t tx_size)
{
	return RING_SLOTS + ((size_t)rx_size + tx_size) * sizeof(struct scheme_frame);
}

static inline struct ring_driver *ring_driver_of(struct scheme_status *page)
{
	return (struct ring_driver *)((char *)page + RING_PAGE);
}

/* Slots are ordered by the indices: relaxed, and whole, so that what was judged is what is used. */
static inline struct scheme_frame ring_load(const _Atomic uint64_t *slot)
{
	uint64_t whole = atomic_load_explicit(slot, memory_order_relaxed);
	struct scheme_frame frame;

	memcpy(&frame, &whole, sizeof(frame));
	return frame;
}

static inline void ring_store(_Atomic uint64_t *slot, const struct scheme_frame *frame)
{
	uint64_t whole;

	memcpy(&whole, frame, sizeof(whole));
	atomic_store_explicit(slot, whole, memory_order_relaxed);
}

/* A buffer of SCHEME_RING_BUFFER bytes, with its head in front, lies in the frame memory. */
static inline bool ring_buffer_ok(uint32_t offset, size_t bytes)
{
	return offset >= SCHEME_RING_HEAD && offset + (size_t)SCHEME_RING_BUFFER <= bytes;
}

#endif
