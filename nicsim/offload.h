/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What cards compute over frames: CRC, checksums, segmentation. Pure functions.
 */
#ifndef NICSIM_OFFLOAD_H
#define NICSIM_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_L4_UDP  0u /* TUCMD.L4T */
#define SIM_L4_TCP  1u
#define SIM_L4_SCTP 2u

#define SIM_INSERT_IP 1u /* POPTS.IXSM */
#define SIM_INSERT_L4 2u /* POPTS.TXSM */

/* What a transmit context descriptor says (82599 datasheet 7.2.3.2.3). */
struct sim_context {
	uint16_t vlan;
	uint16_t mss;    /* payload of a segment */
	uint16_t ip_len; /* of its header */
	uint8_t mac_len, l4_len;
	uint8_t l4_type;
	bool ipv4;
};

/* Which TCP flags the segments of a request keep (DTXTCPFLGL, DTXTCPFLGH), 12 bits each. */
struct sim_segment_flags {
	uint32_t first, middle, last;
};

/* The frame check sequence, to be appended as it lies in memory (little endian). */
uint32_t sim_crc32(const uint8_t *data, size_t len);

/* A received frame as it goes to memory: without its VLAN tag, with its CRC; up to 4 bytes longer.
 * Returns its length.
 */
uint32_t sim_stored(uint8_t *out, const uint8_t *frame, uint32_t len, bool untagged, bool with_crc);

/* The Internet checksum of these bytes, as a number; 0 of what includes a right one. */
uint16_t sim_sum(const uint8_t *data, uint32_t len);
/* The shortest header of a TUCMD.L4T, bytes. */
uint32_t sim_l4_minimum(unsigned type);
/* Whether the checksum of a segment of `len` bytes, at least its header's, is right. `addresses`:
 * both of the IP header's, one behind the other.
 */
bool sim_l4_right(const uint8_t *l4, uint32_t len, unsigned type, const uint8_t *addresses,
	uint32_t addresses_len);

/* Inserts what `options` ask for. False, and nothing done, where the context does not fit the
 * frame. */
bool sim_insert_checksums(
	uint8_t *frame, uint32_t len, const struct sim_context *context, uint32_t options);
/* The sum of everything from `start` on, put at `at` (legacy descriptors: CSS, CSO). */
bool sim_insert_legacy_checksum(uint8_t *frame, uint32_t len, uint32_t start, uint32_t at);

/* Bytes in front of the payload. */
uint32_t sim_segment_header(const struct sim_context *context);
/* Whether a request of `length` bytes can be cut into frames of at most `max` bytes. */
bool sim_segment_possible(const struct sim_context *context, uint32_t length, uint32_t max);
/* Makes segment `number`, whose payload begins after `sent` bytes of it; returns its length. */
uint32_t sim_segment(uint8_t *out, const uint8_t *data, uint32_t length, uint32_t sent,
	uint32_t number, const struct sim_context *context, const struct sim_segment_flags *flags);

#endif
