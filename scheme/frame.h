/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the scheme: which frames may be sent. The client asks it to report at once, the core
 * to decide.
 */
#ifndef SCHEME_FRAME_H
#define SCHEME_FRAME_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETH_HEADER 14u
#define VLAN_TAG   4u

/* IEEE 802.1Q: a tag, customer's or service's, does not count towards the MTU. */
static inline bool scheme_frame_tagged(const uint8_t *frame)
{
	return (frame[12] == 0x81 && frame[13] == 0x00) || (frame[12] == 0x88 && frame[13] == 0xa8);
}

/* 0, -EINVAL: no header, -EMSGSIZE. Reads at most the header, and only of what may be a frame. */
static inline int scheme_frame_check(const uint8_t *frame, size_t len, size_t mtu)
{
	if (len < ETH_HEADER) {
		return -EINVAL;
	}
	if (len > mtu + ETH_HEADER &&
		!(len <= mtu + ETH_HEADER + VLAN_TAG && scheme_frame_tagged(frame))) {
		return -EMSGSIZE;
	}
	return 0;
}

#endif
