/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A capture in pieces.
 */
#include "nicsim/wire_feed.h"

#include <byteswap.h>
#include <errno.h>
#include <string.h>

#define QUEUE_BYTES (64u * 1024)
#define HEAD        24u /* of the file: magic, version, two of no use, snapshot length, link type */
#define RECORD      16u /* before each frame: seconds, fraction, captured length, length */
#define MAGIC_MICRO 0xa1b2c3d4u
#define MAGIC_NANO  0xa1b23c4du
#define ETHERNET    1u
#define LINK_TYPE   0x0fffffffu /* the rest tells of the CRC */

int wire_feed_create(struct wire_feed *feed)
{
	return wire_fifo_create(&feed->bytes, QUEUE_BYTES);
}

void wire_feed_destroy(struct wire_feed *feed)
{
	wire_fifo_destroy(&feed->bytes);
}

const char *wire_feed_fault(uint32_t captured, uint32_t len)
{
	if (captured < len)
		return "was cut when captured: record whole frames (tcpdump -s 0)";
	if (captured < SIM_FRAME_MIN)
		return "is shorter than an Ethernet header: remove it";
	if (captured > SIM_FRAME_MAX)
		return "is longer than 16384 bytes: record with offloads (TSO, GRO) off";
	return NULL;
}

static uint32_t word(const struct wire_feed *feed, size_t at)
{
	uint32_t value;

	memcpy(&value, feed->bytes.bytes + feed->bytes.head + at, sizeof(value));
	return feed->swapped ? bswap_32(value) : value;
}

static const char *begin(struct wire_feed *feed)
{
	uint32_t magic = word(feed, 0);

	feed->swapped = magic == bswap_32(MAGIC_MICRO) || magic == bswap_32(MAGIC_NANO);
	magic = word(feed, 0);
	if (magic != MAGIC_MICRO && magic != MAGIC_NANO)
		return "is no capture in the pcap format: convert it (editcap -F pcap)";
	if ((word(feed, 20) & LINK_TYPE) != ETHERNET)
		return "holds no Ethernet frames: record Ethernet (EN10MB)";
	feed->bytes.head += HEAD;
	feed->begun = true;
	return NULL;
}

int wire_feed_next(struct wire_feed *feed, const uint8_t **frame, size_t *len, const char **fault)
{
	uint32_t captured;

	if (!feed->begun) {
		if (wire_fifo_used(&feed->bytes) < HEAD)
			return 0;
		*fault = begin(feed);
		if (*fault)
			return -EPROTO;
	}
	if (wire_fifo_used(&feed->bytes) < RECORD)
		return 0;
	captured = word(feed, 8);
	*fault = wire_feed_fault(captured, word(feed, 12));
	if (*fault)
		return -EPROTO;
	if (wire_fifo_used(&feed->bytes) < RECORD + captured)
		return 0;
	*frame = feed->bytes.bytes + feed->bytes.head + RECORD;
	*len = captured;
	return 1;
}

void wire_feed_take(struct wire_feed *feed, size_t len)
{
	feed->bytes.head += RECORD + len;
	feed->frames++;
}
