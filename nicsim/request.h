/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A transmit request of whatever card: gathered from the client's memory into one piece, sent as a
 * frame or as segments. When the wire has no room it stays where it is and goes on from there.
 */
#ifndef NICSIM_REQUEST_H
#define NICSIM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nicsim/nicsim.h"
#include "nicsim/offload.h"
#include "nicsim/pci.h"

#define REQUEST_MAX (256u * 1024u + 16384u) /* bytes: the largest segmentation request of any */

struct request {
	bool loaded;             /* gathered, and not wholly sent */
	bool broken;             /* it is not sent, but done */
	uint32_t length;         /* bytes in data[] */
	uint32_t sent, segments; /* payload bytes that went out, in how many segments */
	uint8_t data[REQUEST_MAX + 64];
	uint8_t frame[SIM_FRAME_MAX + 64];
	uint8_t tagged[SIM_FRAME_MAX + 64];
};

/* Forgets what was gathered. */
void request_begin(struct request *request);
/* len bytes more of it. It is broken if they are out of reach, -EFAULT, or if there are more than
 * `max` in all, -E2BIG.
 */
int request_gather(struct request *request, struct function *fn, unsigned *hint, uint64_t address,
	uint32_t len, uint32_t max);

/* A frame with a VLAN tag behind its addresses: another place, with room for padding; *len grows.
 */
uint8_t *request_tag(
	struct request *request, const uint8_t *frame, uint32_t *len, unsigned type, unsigned tag);
/* What a link needs at least, in the room behind a frame; returns its length. */
uint32_t request_pad(uint8_t *frame, uint32_t len);
/* Takes away the CRC that a driver has put there itself. False: it is none, or wrong. */
bool request_take_crc(const uint8_t *frame, uint32_t *len);
/* Cuts the request into segments, from where it left off; send() returns 0, or why not now, which
 * is returned then.
 */
int request_send_segments(struct request *request, const struct sim_context *context,
	const struct sim_segment_flags *flags,
	int (*send)(void *card, uint8_t *frame, uint32_t len), void *card);

#endif
