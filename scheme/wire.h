/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What travels on a scheme's SOCK_SEQPACKET socket before frames do: one request, one reply, each
 * one message of fixed size, in the machine's byte order. After a reply without error each message
 * is a frame or a value.
 *
 * The reply carries one descriptor: the handle's status page, read-only.
 */
#ifndef SCHEME_WIRE_H
#define SCHEME_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "scheme/scheme.h"

#define SCHEME_MAGIC   0x656d6863 /* "chme" */
#define SCHEME_VERSION 1

struct scheme_request {
	uint32_t magic;
	uint16_t version;
	uint16_t path_len;          /* without a NUL, below SCHEME_PATH_MAX */
	uint32_t flags;             /* SCHEME_READ, SCHEME_WRITE */
	uint32_t reserved;          /* 0 */
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

/* Fills in a request. -EINVAL: scheme_request_check() would refuse it. */
int scheme_request_make(struct scheme_request *request, const char *path, uint32_t flags);
/* Judges `len` bytes that a peer sent: 0, -EPROTO (not a request of this version), -EINVAL (flags
 * or a path that cannot be: not empty and without a leading slash, or with bytes that do not
 * print).
 */
int scheme_request_check(const struct scheme_request *request, size_t len);

#endif
