/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A capture that comes in pieces, through a FIFO: libpcap would wait for the rest of each. The
 * classic format alone, either byte order, either unit of time (pcap-savefile(5)).
 */
#ifndef NICSIM_WIRE_FEED_H
#define NICSIM_WIRE_FEED_H

#include "nicsim/wire_kind.h"

struct wire_feed {
	struct wire_fifo bytes; /* append what was read */
	bool begun;             /* the file's head is through */
	bool swapped;
	uint64_t frames;
};

int wire_feed_create(struct wire_feed *feed);
void wire_feed_destroy(struct wire_feed *feed);
/* The next frame, which stays until wire_feed_take(): 1. 0: it is not whole yet. -EPROTO: *fault
 * says what frame feed->frames + 1 or, as long as begun is false, the head is. */
int wire_feed_next(struct wire_feed *feed, const uint8_t **frame, size_t *len, const char **fault);
void wire_feed_take(struct wire_feed *feed, size_t len);

/* What is wrong with a frame of which `captured` bytes of `len` are there, or NULL. */
const char *wire_feed_fault(uint32_t captured, uint32_t len);

#endif
