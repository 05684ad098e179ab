/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Headers of received frames: which there are, and whether their checksums are right (82599
 * datasheet 7.1.11).
 */
#include "nicsim/headers.h"
#include "nicsim/bytes.h"

#include <string.h>

#include "nicsim/offload.h"

#define TYPE_FIRST 0x600u /* below: a length */
/* IP's protocols, IPv6's extension headers among them */
#define HOP_BY_HOP 0u
#define IPV6       41u
#define ROUTING    43u
#define FRAGMENT   44u
#define ESP        50u
#define AH         51u
#define OPTIONS    60u
#define EXT_MAX    64u /* bytes of an extension header that is skipped */

/* --- which there are --- */

static bool parse_ipv4(struct sim_headers *out, const uint8_t *frame, uint32_t len, uint32_t at)
{
	const uint8_t *ip = frame + at;
	uint32_t room = len - at, header = room >= 20 ? 4u * (ip[0] & 15u) : 0, total;
	unsigned place;

	if (header < 20 || ip[0] >> 4 != 4 || header > room)
		return false;
	total = sim_be16(ip + 2);
	place = sim_be16(ip + 6) & 0x3fff; /* more to come, and the offset */
	out->types |= SIM_TYPE_IPV4 | (header > 20 ? SIM_TYPE_IPV4_OPTIONS : 0);
	out->ip = out->inner = at;
	out->next = at + header;
	out->end = total >= header && total <= room ? at + total : 0;
	out->protocol = ip[9];
	out->fragment = place != 0;
	out->first = place == 0x2000;
	return true;
}

/* Goes on behind extension headers, up to one that is not understood. */
static void skip_extensions(struct sim_headers *out, const uint8_t *frame, uint32_t len)
{
	while (out->protocol == HOP_BY_HOP || out->protocol == ROUTING ||
		out->protocol == OPTIONS || out->protocol == FRAGMENT) {
		const uint8_t *ext = frame + out->next;
		uint32_t size;

		out->types |= SIM_TYPE_IPV6_EXT;
		out->fragment = out->protocol == FRAGMENT;
		if (out->fragment || len - out->next < 8)
			return;
		size = 8u * (ext[1] + 1u);
		if (size > EXT_MAX || size > len - out->next)
			return;
		out->rerouted |= out->protocol == ROUTING && ext[1] != 0;
		out->protocol = ext[0];
		out->next += size;
	}
}

/* Also behind an IPv4 header. */
static bool parse_ipv6(struct sim_headers *out, const uint8_t *frame, uint32_t len, uint32_t at)
{
	const uint8_t *ip = frame + at;
	uint32_t room = len - at, total;

	if (room < 40 || ip[0] >> 4 != 6)
		return false;
	total = 40 + sim_be16(ip + 4);
	out->types |= SIM_TYPE_IPV6;
	if (!out->ip)
		out->ip = at;
	out->inner = at;
	out->next = at + 40;
	out->end = total <= room ? at + total : 0;
	out->protocol = ip[6];
	skip_extensions(out, frame, len);
	return true;
}

static void find_transport(struct sim_headers *out, uint32_t len)
{
	uint32_t type, header;

	switch (out->protocol) {
	case SIM_PROTOCOL_TCP:
		type = SIM_TYPE_TCP;
		header = 20;
		break;
	case SIM_PROTOCOL_UDP:
		type = SIM_TYPE_UDP;
		header = 8;
		break;
	case SIM_PROTOCOL_SCTP:
		type = SIM_TYPE_SCTP;
		header = 12;
		break;
	case ESP: out->types |= SIM_TYPE_ESP; return;
	case AH: out->types |= SIM_TYPE_AH; return;
	default: return;
	}
	if (out->fragment || len - out->next < header)
		return;
	out->types |= type;
	out->l4 = out->next;
}

void sim_headers(struct sim_headers *out, const uint8_t *frame, uint32_t len, unsigned tag)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	uint32_t at = 14;

	memset(out, 0, sizeof(*out));
	out->ethertype = sim_be16(frame + 12);
	if (out->ethertype == tag && len >= 18) {
		out->ethertype = sim_be16(frame + 16);
		at = 18;
	}
	if (out->ethertype < TYPE_FIRST && len - at >= 8 && memcmp(frame + at, snap, 6) == 0) {
		out->ethertype = sim_be16(frame + at + 6);
		at += 8;
	}
	if (out->ethertype == SIM_ETHERTYPE_IPV4) {
		if (!parse_ipv4(out, frame, len, at))
			return;
		if (out->protocol == IPV6 && !out->fragment)
			parse_ipv6(out, frame, out->end ? out->end : len, out->next);
	} else if (out->ethertype != SIM_ETHERTYPE_IPV6 || !parse_ipv6(out, frame, len, at)) {
		return;
	}
	find_transport(out, len);
}

/* --- whether they are right --- */

static bool l4_is_right(
	const struct sim_headers *headers, const uint8_t *frame, uint32_t len, unsigned type)
{
	const uint8_t *ip = frame + headers->inner;
	bool ipv4 = ip[0] >> 4 == 4;

	return sim_l4_right(frame + headers->l4, len, type, ipv4 ? ip + 12 : ip + 8, ipv4 ? 8 : 32);
}

/* Nothing is said of what is cut off, of UDP without a checksum (over IPv4, that is), and where
 * the checksum is over an address that is not in the IP header.
 */
static uint32_t check_l4(const struct sim_headers *headers, const uint8_t *frame)
{
	const uint8_t *l4 = frame + headers->l4;
	uint32_t len, status = SIM_STATUS_L4CS;
	unsigned type = SIM_L4_TCP;

	if (!headers->l4 || headers->rerouted || headers->end < headers->l4)
		return 0;
	len = headers->end - headers->l4;
	if (headers->types & SIM_TYPE_UDP) {
		uint32_t own = sim_be16(l4 + 4);

		if (own > len)
			return 0;
		if (sim_be16(l4 + 6) == 0 && frame[headers->inner] >> 4 == 4)
			return 0;
		len = own;
		type = SIM_L4_UDP;
		status |= SIM_STATUS_UDPCS;
	} else if (headers->types & SIM_TYPE_SCTP) {
		type = SIM_L4_SCTP;
	}
	if (len < sim_l4_minimum(type))
		return 0;
	return status | (l4_is_right(headers, frame, len, type) ? 0 : SIM_ERROR_L4);
}

uint32_t sim_check_sums(const struct sim_headers *headers, const uint8_t *frame)
{
	const uint8_t *ip = frame + headers->ip;
	uint32_t status = check_l4(headers, frame);

	if (headers->types & SIM_TYPE_IPV4) {
		status |= SIM_STATUS_IPCS;
		if (sim_sum(ip, 4u * (ip[0] & 15u)) != 0)
			status |= SIM_ERROR_IP;
	}
	return status;
}

uint32_t sim_check_fragment(
	const struct sim_headers *headers, const uint8_t *frame, uint32_t *status)
{
	const uint8_t *payload = frame + headers->next;
	uint32_t len = headers->end - headers->next;

	if (!(headers->types & SIM_TYPE_IPV4) || headers->inner != headers->ip ||
		!headers->fragment || headers->protocol != SIM_PROTOCOL_UDP || !headers->end)
		return 0;
	*status |= SIM_STATUS_UDPCS;
	if (headers->first && len >= 8 && sim_be16(payload + 6) != 0)
		*status |= SIM_STATUS_UDPV;
	return (uint32_t)sim_sum(payload, len) << 16 | sim_be16(frame + headers->ip + 4);
}
