/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What generated frames carry, so that whoever receives one knows where it belongs and whether any
 * byte of it was changed:
 *
 *      0  destination, source    not judged, since mirrors and bridges may change them
 *     12  Ethertype 88B5         "local experimental Ethertype 1", IEEE 802
 *     14  magic "Rfal"
 *     18  CRC32C of bytes 22 to 45
 *     22  stream                 random, one a run
 *     26  length of the frame    without the card's CRC
 *     28  clock                  whose nanoseconds: equal on one booted system
 *     30  number                 64 bit, 0 is a stream's first
 *     38  time sent              CLOCK_MONOTONIC, ns
 *     46  pattern                pseudo-random bytes; number and stream say from which on
 *
 * All numbers are in network order.
 */
#ifndef RHEINFALL_PAYLOAD_H
#define RHEINFALL_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 14u
#define FRAME_MIN    60u    /* what Ethernet allows, without CRC: IEEE 802.3, 4A.4.2 */
#define FRAME_MAX    16384u /* the longest read or sent here */

#define PAYLOAD_ETHERTYPE 0x88b5u
#define PAYLOAD_PATTERN   4096u /* different places for a pattern to begin */

struct payload_tables {
	uint32_t crc[4][256];
	uint8_t pattern[PAYLOAD_PATTERN + FRAME_MAX];
};

struct stamp {
	uint32_t stream;
	uint16_t clock;
	uint64_t number;
	uint64_t sent_ns;
};

enum payload_verdict {
	PAYLOAD_INTACT,
	PAYLOAD_CORRUPTED, /* a generated frame, but not as it was sent */
	PAYLOAD_FOREIGN,   /* somebody else's */
};

void payload_init(struct payload_tables *tables);

/* CRC32C (Castagnoli, as in RFC 3720, 12.1) of `words` 32-bit words. */
uint32_t payload_crc(const struct payload_tables *tables, const void *data, size_t words);

/* Writes bytes 12 to len - 1 of a frame; len is FRAME_MIN to FRAME_MAX. */
void payload_fill(
	const struct payload_tables *tables, uint8_t *frame, size_t len, const struct stamp *stamp);

/* Judges a frame of any bytes and any length up to FRAME_MAX. The stamp is valid if intact.
 *
 * Ethertype, magic and CRC are three marks of a generated frame. One that has two of them is such a
 * frame, so that no single damage, wherever it is, makes it foreign.
 */
enum payload_verdict payload_check(
	const struct payload_tables *tables, const uint8_t *frame, size_t len, struct stamp *stamp);

#endif
