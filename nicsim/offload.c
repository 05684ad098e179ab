/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arithmetic over frames: the Ethernet CRC, Internet checksums (RFC 1071), SCTP's CRC-32C, and the
 * cutting of a TCP or UDP request into segments (82599 datasheet 7.2.4).
 */
#include "nicsim/offload.h"
#include "nicsim/bytes.h"

#include <string.h>

/* --- sums --- */

/* CRCs with reflected bits, four bits a step; they begin with all ones and end inverted. */
static uint32_t crc(uint32_t value, const uint32_t table[16], const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		value = (value >> 4) ^ table[(value ^ data[i]) & 15];
		value = (value >> 4) ^ table[(value ^ (data[i] >> 4)) & 15];
	}
	return value;
}

uint32_t sim_crc32(const uint8_t *data, size_t len)
{
	/* The polynomial 0xEDB88320 (IEEE 802.3, 3.2.9). */
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

	return ~crc(0xffffffff, table, data, len);
}

uint32_t sim_stored(uint8_t *out, const uint8_t *frame, uint32_t len, bool untagged, bool with_crc)
{
	uint32_t cut = untagged ? 4 : 0, check = with_crc ? sim_crc32(frame, len) : 0;

	memcpy(out, frame, 12);
	memcpy(out + 12, frame + 12 + cut, len - 12 - cut);
	len -= cut;
	if (!with_crc)
		return len;
	memcpy(out + len, &check, sizeof(check));
	return len + (uint32_t)sizeof(check);
}

/* Of an SCTP packet, whose checksum counts as 0. */
static uint32_t sctp_check(const uint8_t *packet, size_t len)
{
	static const uint8_t none[4];
	/* The polynomial 0x82F63B78 (RFC 9260, appendix A). */
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6,
		0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

	uint32_t value = crc(0xffffffff, table, packet, 8);

	value = crc(value, table, none, sizeof(none));
	return ~crc(value, table, packet + 12, len - 12);
}

/* The sum of 16-bit words in memory order, not folded, not inverted. */
static uint64_t sum(const uint8_t *data, size_t len)
{
	uint64_t total = 0;
	uint32_t word;

	for (; len >= 4; data += 4, len -= 4) {
		memcpy(&word, data, 4);
		total += word;
	}
	word = 0;
	memcpy(&word, data, len);
	return total + word;
}

/* In memory order as well: no byte is swapped (RFC 1071, 2(B)). */
static uint16_t fold(uint64_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

static void put_sum(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

uint16_t sim_sum(const uint8_t *data, uint32_t len)
{
	return __builtin_bswap16(fold(sum(data, len)));
}

uint32_t sim_l4_minimum(unsigned type)
{
	return type == SIM_L4_TCP ? 20 : type == SIM_L4_SCTP ? 12 : 8;
}

bool sim_l4_right(const uint8_t *l4, uint32_t len, unsigned type, const uint8_t *addresses,
	uint32_t addresses_len)
{
	uint8_t rest[6] = {0, type == SIM_L4_TCP ? 6 : 17}; /* of the pseudo header */
	uint32_t check;

	if (type == SIM_L4_SCTP) {
		memcpy(&check, l4 + 8, sizeof(check));
		return sctp_check(l4, len) == check;
	}
	sim_put_be32(rest + 2, len);
	return fold(sum(l4, len) + sum(addresses, addresses_len) + sum(rest, sizeof(rest))) == 0;
}

/* --- insertion --- */

/* What the field holds belongs to the sum: drivers put 0 there, or what cancels headers that lie
 * between this one and the next layer's (Linux's ixgbe, tunnels).
 */
static void insert_ip(uint8_t *ip, uint32_t len)
{
	put_sum(ip + 10, fold(sum(ip, len)));
}

/* The field holds the pseudo header's sum, to which the segment's own is added. `extra`: what that
 * sum lacks.
 */
static void insert_l4(uint8_t *l4, uint32_t len, unsigned type, uint32_t extra)
{
	uint32_t field = type == SIM_L4_TCP ? 16 : 6;
	uint8_t length[2];
	uint16_t value;

	if (type == SIM_L4_SCTP) {
		uint32_t check = sctp_check(l4, len);

		memcpy(l4 + 8, &check, sizeof(check));
		return;
	}
	sim_put_be16(length, extra);
	value = fold(sum(l4, len) + sum(length, 2));
	if (type == SIM_L4_UDP && value == 0)
		value = 0xffff;
	put_sum(l4 + field, value);
}

bool sim_insert_checksums(
	uint8_t *frame, uint32_t len, const struct sim_context *context, uint32_t options)
{
	uint32_t ip = context->mac_len, l4 = ip + context->ip_len;

	if (options & SIM_INSERT_IP) {
		if (context->ip_len < 20 || l4 > len)
			return false;
		if (context->ipv4)
			insert_ip(frame + ip, context->ip_len);
	}
	if (options & SIM_INSERT_L4) {
		if (context->l4_type > SIM_L4_SCTP || l4 + sim_l4_minimum(context->l4_type) > len)
			return false;
		insert_l4(frame + l4, len - l4, context->l4_type, 0);
	}
	return true;
}

bool sim_insert_legacy_checksum(uint8_t *frame, uint32_t len, uint32_t start, uint32_t at)
{
	if (start >= len || at + 2 > len)
		return false;
	put_sum(frame + at, fold(sum(frame + start, len - start)));
	return true;
}

/* --- segmentation --- */

uint32_t sim_segment_header(const struct sim_context *context)
{
	return (uint32_t)context->mac_len + context->ip_len + context->l4_len;
}

bool sim_segment_possible(const struct sim_context *context, uint32_t length, uint32_t max)
{
	uint32_t header = sim_segment_header(context);

	return context->mss && context->l4_type <= SIM_L4_TCP && context->mac_len >= 14 &&
	       context->ip_len >= (context->ipv4 ? 20 : 40) &&
	       context->l4_len >= sim_l4_minimum(context->l4_type) && header < length &&
	       header + context->mss <= max;
}

uint32_t sim_segment(uint8_t *out, const uint8_t *data, uint32_t length, uint32_t sent,
	uint32_t number, const struct sim_context *context, const struct sim_segment_flags *flags)
{
	uint32_t header = sim_segment_header(context), left = length - header - sent;
	uint32_t n = left < context->mss ? left : context->mss;
	bool first = sent == 0, last = n == left;
	uint8_t *ip = out + context->mac_len, *l4 = ip + context->ip_len;

	memcpy(out, data, header);
	memcpy(out + header, data + header + sent, n);
	if (context->ipv4) {
		sim_put_be16(ip + 2, context->ip_len + context->l4_len + n);
		sim_put_be16(ip + 4, sim_be16(ip + 4) + number);
		insert_ip(ip, context->ip_len);
	} else {
		sim_put_be16(ip + 4, context->ip_len - 40u + context->l4_len + n);
	}
	if (context->l4_type == SIM_L4_TCP) {
		uint32_t mask = first && last ? 0xfff
				: first       ? flags->first
				: last        ? flags->last
					      : flags->middle;
		uint32_t bits = sim_be16(l4 + 12);

		sim_put_be32(l4 + 4, sim_be32(l4 + 4) + sent);
		sim_put_be16(l4 + 12, bits & (mask | 0xf000));
	} else {
		sim_put_be16(l4 + 4, context->l4_len + n);
	}
	/* The pseudo header's sum came without a length (7.2.4.5). */
	insert_l4(l4, context->l4_len + n, context->l4_type, context->l4_len + n);
	return header + n;
}
