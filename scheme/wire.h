/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What travels on a scheme's SOCK_SEQPACKET socket before frames do: one request, one reply, each
 * one message of fixed size, in the machine's byte order. After a reply without error each message
 * is a frame or a value; of a handle with rings (scheme/ring_layout.h) it is a wake-up, one byte.
 *
 * The reply carries one descriptor: the handle's status page, read-only. A request for rings, and
 * no other, carries two: the frame memory and the ring memory, both memfds.
 */
#ifndef SCHEME_WIRE_H
#define SCHEME_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scheme/scheme.h"

#define SCHEME_MAGIC         0x656d6863 /* "chme" */
#define SCHEME_VERSION       1
#define SCHEME_VERSION_RINGS 2 /* of a request for rings: who has none knows no such version */

struct scheme_request {
	uint32_t magic;
	uint16_t version;
	uint16_t path_len;          /* without a NUL, below SCHEME_PATH_MAX */
	uint32_t flags;             /* SCHEME_READ, SCHEME_WRITE */
	uint8_t rx_order, tx_order; /* of rings: log2 of their sizes, else 0 */
	uint16_t reserved;          /* 0 */
	char path[SCHEME_PATH_MAX]; /* "" or "/mac", ...; zero behind path_len */
};

#define SCHEME_READ  1u
#define SCHEME_WRITE 2u

struct scheme_reply {
	uint32_t magic;
	int32_t error; /* 0 or -errno */
};

_Static_assert(sizeof(struct scheme_request) == 16 + SCHEME_PATH_MAX, "fixed size");
_Static_assert(sizeof(struct scheme_reply) == 8, "fixed size");

/* Descriptors of a request for rings, in this order. */
enum { SCHEME_FD_FRAMES, SCHEME_FD_RINGS, SCHEME_REQUEST_FDS };

static inline bool scheme_request_has_rings(const struct scheme_request *request)
{
	return request->version == SCHEME_VERSION_RINGS;
}

/* Fills in a request. -EINVAL: scheme_request_check() would refuse it. */
int scheme_request_make(struct scheme_request *request, const char *path, uint32_t flags);
/* The same with rings of such sizes. */
int scheme_request_make_rings(struct scheme_request *request, const char *path, uint32_t flags,
	uint32_t rx_size, uint32_t tx_size);
/* Judges `len` bytes that a peer sent: 0, -EPROTO (not a request of this version), -EINVAL (flags,
 * ring sizes or a path that cannot be: not empty and without a leading slash, or with bytes that do
 * not print).
 */
int scheme_request_check(const struct scheme_request *request, size_t len);

#endif
