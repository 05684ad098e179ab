/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See payload.h. The fixed part has a CRC. The rest is compared with what must be there, which is
 * faster than a sum over it and finds every change: a frame costs one memcpy to fill and one memcmp
 * to check.
 */
#include "rheinfall/payload.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* "Rfal" */
#define MAGIC 0x5266616cu

enum {
	AT_ETHERTYPE = 12,
	AT_MAGIC = 14,
	AT_CRC = 18,
	AT_STREAM = 22,
	AT_LENGTH = 26,
	AT_CLOCK = 28,
	AT_NUMBER = 30,
	AT_TIME = 38,
	AT_PATTERN = 46,
};

#define CRC_WORDS ((AT_PATTERN - AT_STREAM) / 4)

static uint16_t get16(const uint8_t *at)
{
	uint16_t v;
	memcpy(&v, at, sizeof(v));
	return be16toh(v);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;
	memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

static void put16(uint8_t *at, uint16_t value)
{
	uint16_t v = htobe16(value);
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t value)
{
	uint32_t v = htobe32(value);
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t value)
{
	uint64_t v = htobe64(value);
	memcpy(at, &v, sizeof(v));
}

void payload_init(struct payload_tables *tables)
{
	/* crc[0] is the usual table of bytes; crc[k] is the same k zero bytes further on. */
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0); /* 1EDC6F41, reflected */
		tables->crc[0][i] = c;
	}
	for (uint32_t k = 1; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = tables->crc[k - 1][i];
			tables->crc[k][i] = c >> 8 ^ tables->crc[0][c & 0xff];
		}

	/* Marsaglia's xorshift64: any fixed sequence without short periods does. */
	uint64_t x = 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < sizeof(tables->pattern); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		tables->pattern[i] = (uint8_t)(x >> 32);
	}
}

uint32_t payload_crc(const struct payload_tables *tables, const void *data, size_t words)
{
	const uint8_t *at = data;
	uint32_t c = ~0u;
	for (size_t i = 0; i < words; i++, at += 4) {
		uint32_t word;
		memcpy(&word, at, sizeof(word));
		c ^= le32toh(word);
		c = tables->crc[3][c & 0xff] ^ tables->crc[2][c >> 8 & 0xff] ^
		    tables->crc[1][c >> 16 & 0xff] ^ tables->crc[0][c >> 24];
	}
	return ~c;
}

static const uint8_t *pattern_for(
	const struct payload_tables *tables, uint64_t number, uint32_t stream)
{
	/* Neighbours in a stream begin far apart: 61 is odd, so all places are used. */
	return tables->pattern + ((number * 61u + stream) & (PAYLOAD_PATTERN - 1u));
}

void payload_fill(
	const struct payload_tables *tables, uint8_t *frame, size_t len, const struct stamp *stamp)
{
	put16(frame + AT_ETHERTYPE, PAYLOAD_ETHERTYPE);
	put32(frame + AT_MAGIC, MAGIC);
	put32(frame + AT_STREAM, stamp->stream);
	put16(frame + AT_LENGTH, (uint16_t)len);
	put16(frame + AT_CLOCK, stamp->clock);
	put64(frame + AT_NUMBER, stamp->number);
	put64(frame + AT_TIME, stamp->sent_ns);
	put32(frame + AT_CRC, payload_crc(tables, frame + AT_STREAM, CRC_WORDS));
	memcpy(frame + AT_PATTERN, pattern_for(tables, stamp->number, stamp->stream),
		len - AT_PATTERN);
}

enum payload_verdict payload_check(
	const struct payload_tables *tables, const uint8_t *frame, size_t len, struct stamp *stamp)
{
	if (len < AT_CRC)
		return PAYLOAD_FOREIGN;
	bool ethertype = get16(frame + AT_ETHERTYPE) == PAYLOAD_ETHERTYPE;
	bool magic = get32(frame + AT_MAGIC) == MAGIC;
	bool crc = len >= AT_PATTERN &&
		   get32(frame + AT_CRC) == payload_crc(tables, frame + AT_STREAM, CRC_WORDS);
	if (ethertype + magic + crc < 2)
		return PAYLOAD_FOREIGN;
	if (!ethertype || !magic || !crc)
		return PAYLOAD_CORRUPTED;

	stamp->stream = get32(frame + AT_STREAM);
	stamp->clock = get16(frame + AT_CLOCK);
	stamp->number = get64(frame + AT_NUMBER);
	stamp->sent_ns = get64(frame + AT_TIME);
	if (get16(frame + AT_LENGTH) != len)
		return PAYLOAD_CORRUPTED;
	if (memcmp(frame + AT_PATTERN, pattern_for(tables, stamp->number, stamp->stream),
		    len - AT_PATTERN) != 0)
		return PAYLOAD_CORRUPTED;
	return PAYLOAD_INTACT;
}
