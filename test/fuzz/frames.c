/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames of Ethernet, with tags, of IPv4 and IPv6 with options and extensions, of TCP, UDP and
 * SCTP.
 */
#include "frames.h"

static uint8_t *put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *ethernet(uint8_t *at, uint32_t what, bool tagged)
{
	static const uint8_t to[4][6] = {{2, 0, 0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{1, 0, 0x5e, 0, 0, 1}, {1, 0x80, 0xc2, 0, 0, 1}};

	memcpy(at, to[what & 3], 6);
	memcpy(at + 6, "\2\0\0\0\0\2", 6);
	at += 12;
	if (tagged) {
		at = put16(at, what & 4 ? 0x88a8 : 0x8100);
		at = put16(at, what);
	}
	return at;
}

static uint8_t *ipv4(uint8_t *at, uint32_t what, uint8_t protocol, uint32_t total)
{
	const unsigned words = 5 + (what & 8 ? what >> 4 & 3 : 0);

	at[0] = (uint8_t)(0x40 | words);
	put16(at + 2, total);
	put16(at + 6, what & 0x80 ? what : 0); /* a fragment */
	at[8] = 64;
	at[9] = protocol;
	memcpy(at + 12, "\12\0\0\1\12\0\0\2", 8);
	put16(at + 18, what);
	return at + (size_t)words * 4;
}

static uint8_t *ipv6(uint8_t *at, uint32_t what, uint8_t protocol, uint32_t total)
{
	at[0] = 0x60;
	put16(at + 4, total);
	at[6] = what & 8 ? (what & 0x10 ? 0 : 44) : protocol; /* hop by hop, a fragment */
	memset(at + 8, 0xfd, 32);
	put16(at + 38, what);
	at += 40;
	if (what & 8) {
		at[0] = protocol;
		at += 8;
	}
	return at;
}

struct shape make_frame(struct program *p, uint8_t *to, size_t size)
{
	static const uint8_t protocols[] = {6, 17, 132, 1};
	const uint32_t what = word(p, 4);
	const uint8_t protocol = protocols[what >> 12 & 3];
	struct shape shape = {.tagged = what >> 14 & 1,
		.ipv6 = what >> 15 & 1,
		.udp = protocol != 6,
		.l2 = 14,
		.mss = (uint16_t)(what >> 16 & 0x7ff)};
	uint8_t *at = ethernet(to, what >> 8, shape.tagged), *l3;
	uint32_t payload = what >> 27 ? word(p, 2) : what >> 16 & 0x3ff;

	if ((what & 0x0f) == 0x0f) { /* a pause frame, LLDP, 1588, or none of it */
		static const uint16_t types[] = {0x8808, 0x88cc, 0x88f7, 0x0806};

		at = put16(at, types[what >> 4 & 3]);
		at = put16(at, 1);
		put16(at, what >> 16);
		shape.len = 60;
		return shape;
	}
	at = put16(at, shape.ipv6 ? 0x86dd : 0x0800);
	l3 = at;
	payload %= (uint32_t)(size - 128);
	at = shape.ipv6 ? ipv6(at, what, protocol, payload + 20)
			: ipv4(at, what, protocol, payload + 40);
	shape.l3 = (uint16_t)(at - l3);
	shape.l4 = shape.udp ? 8 : 20;
	put16(at, what >> 4);
	put16(at + 2, 4789);
	put16(at + 4, payload + 8); /* UDP */
	if (!shape.udp)
		at[12] = 0x50;
	shape.len = (uint32_t)(at - to) + shape.l4 + payload;
	/* Bytes of it. */
	if (what & 0x40)
		to[word(p, 1) % shape.len] = (uint8_t)word(p, 1);
	if (shape.len > size)
		shape.len = (uint32_t)size;
	return shape;
}
