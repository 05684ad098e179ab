/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames that are some protocol's, or nearly, and where their headers are.
 */
#ifndef TEST_FUZZ_FRAMES_H
#define TEST_FUZZ_FRAMES_H

#include <stdbool.h>

#include "program.h"

struct shape {
	uint32_t len;
	uint8_t l2, l4; /* bytes of headers, of which the first has no tag */
	uint16_t l3;
	uint16_t mss;
	bool tagged, ipv6, udp;
};

/* Makes one of at most `size` bytes, 128 at least, in zeroed memory. */
struct shape make_frame(struct program *p, uint8_t *to, size_t size);

#endif
