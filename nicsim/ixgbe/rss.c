/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive-side scaling (82599 datasheet 7.1.2.8): Microsoft's Toeplitz hash over addresses and
 * ports picks an entry of RETA (on an X550 also of ERETA, behind it), which names the queue. What
 * cannot be hashed goes to queue 0.
 *
 * The hash is the sum (exclusive or) of one 32-bit window of the key for each bit of the input that
 * is set, so that it can be had a byte at a time from a table, which is made when the key was
 * written.
 */
#include <string.h>

#include "nicsim/ixgbe/card.h"

#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TCP       6u
#define UDP       17u

/* RSS types of the descriptor (7.1.6.2). */
enum { NONE = 0, TCP_IPV4 = 1, IPV4 = 2, TCP_IPV6 = 3, IPV6 = 5, UDP_IPV4 = 7, UDP_IPV6 = 8 };

/* Which of the two ways of MRQC serves a protocol, and what it is called. */
struct kind {
	uint32_t enable;
	uint8_t type;
};

/* --- the hash --- */

/* The window of the key that begins at bit `at`. */
static uint32_t window(const uint8_t *key, unsigned at)
{
	uint64_t five = 0;

	for (unsigned i = 0; i < 5; i++)
		five = five << 8 | key[at / 8 + i];
	return (uint32_t)(five >> (8 - at % 8));
}

static void make_table(struct ixgbe *card)
{
	struct ixgbe_rss *rss = &card->rss;
	uint8_t key[4 * RSSRK_COUNT];

	memcpy(key, ixgbe_reg(card, RSSRK(0u)), sizeof(key));
	for (unsigned at = 0; at < IXGBE_RSS_INPUT; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			uint32_t sum = 0;

			for (unsigned bit = 0; bit < 8; bit++) {
				if (byte & 0x80u >> bit)
					sum ^= window(key, 8 * at + bit);
			}
			rss->table[at][byte] = sum;
		}
	}
	rss->stale = false;
}

static uint32_t hash(struct ixgbe *card, const uint8_t *input, unsigned len)
{
	uint32_t sum = 0;

	if (card->rss.stale)
		make_table(card);
	for (unsigned i = 0; i < len; i++)
		sum ^= card->rss.table[i][input[i]];
	return sum;
}

/* --- what is hashed --- */

/* What of a frame goes into the hash: addresses, and ports behind them if they are `protocol`'s and
 * there. Returns the length, and which of MRQC's fields it is: the first that is enabled
 * (7.1.2.8.1).
 */
static unsigned choose(uint8_t input[IXGBE_RSS_INPUT], const uint8_t *addresses, unsigned len,
	unsigned protocol, const uint8_t *ports, const struct kind kinds[3], uint32_t enabled,
	uint8_t *type)
{
	memcpy(input, addresses, len);
	for (unsigned i = 0; i < 2; i++) {
		if (protocol == (i == 0 ? TCP : UDP) && ports && kinds[i].enable & enabled) {
			memcpy(input + len, ports, 4);
			*type = kinds[i].type;
			return len + 4;
		}
	}
	if (!(kinds[2].enable & enabled))
		return 0;
	*type = kinds[2].type;
	return len;
}

static unsigned parse_ipv4(uint8_t input[IXGBE_RSS_INPUT], const uint8_t *ip, uint32_t len,
	uint32_t enabled, uint8_t *type)
{
	static const struct kind kinds[] = {
		{MRQC_TCP_IPV4, TCP_IPV4}, {MRQC_UDP_IPV4, UDP_IPV4}, {MRQC_IPV4, IPV4}};
	uint32_t header = len >= 20 ? 4u * (ip[0] & 15u) : 0;
	bool fragment;

	if (header < 20 || ip[0] >> 4 != 4 || header > len)
		return 0;
	/* More to come, or not the first: ports are not in each. */
	fragment = (ip[6] & 0x3f) != 0 || ip[7] != 0;
	return choose(input, ip + 12, 8, ip[9], !fragment && len - header >= 4 ? ip + header : NULL,
		kinds, enabled, type);
}

/* Behind extension headers nothing is looked for. */
static unsigned parse_ipv6(uint8_t input[IXGBE_RSS_INPUT], const uint8_t *ip, uint32_t len,
	uint32_t enabled, uint8_t *type)
{
	static const struct kind kinds[] = {
		{MRQC_TCP_IPV6, TCP_IPV6}, {MRQC_UDP_IPV6, UDP_IPV6}, {MRQC_IPV6, IPV6}};

	if (len < 40 || ip[0] >> 4 != 6)
		return 0;
	return choose(input, ip + 8, 32, ip[6], len >= 44 ? ip + 40 : NULL, kinds, enabled, type);
}

struct ixgbe_path ixgbe_rss(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	struct ixgbe_path path = {0};
	uint32_t mrqc = *ixgbe_reg(card, MRQC);
	uint32_t at = 14, entry, four;
	uint8_t input[IXGBE_RSS_INPUT];
	unsigned type, n = 0;

	if (MRQC_MODE(mrqc) != MRQC_MODE_RSS)
		return path;
	type = (unsigned)frame[12] << 8 | frame[13];
	if (type == VLNCTRL_TYPE(*ixgbe_reg(card, VLNCTRL)) && len >= 18) {
		type = (unsigned)frame[16] << 8 | frame[17];
		at = 18;
	}
	if (type == TYPE_IPV4)
		n = parse_ipv4(input, frame + at, len - at, mrqc, &path.type);
	else if (type == TYPE_IPV6)
		n = parse_ipv6(input, frame + at, len - at, mrqc, &path.type);
	if (!n)
		return path;
	path.hash = hash(card, input, n);
	entry = path.hash % (card->model->rows == ROW_X550 ? ERETA_ENTRIES : RETA_ENTRIES);
	four = *ixgbe_reg(
		card, entry < RETA_ENTRIES ? RETA(entry / 4) : ERETA((entry - RETA_ENTRIES) / 4));
	path.queue = (uint8_t)(four >> 8 * (entry % 4) & (card->model->rss_queues - 1u));
	return path;
}

/* --- registers --- */

void ixgbe_write_rssrk(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	(void)value;
	card->rss.stale = true;
}

void ixgbe_write_mrqc(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (MRQC_MODE(value) > MRQC_MODE_RSS)
		report_strict(card->report,
			"MRQC mode %u is not served: everything goes to queue 0", MRQC_MODE(value));
}

void ixgbe_rss_reset(struct ixgbe *card)
{
	card->rss.stale = true;
}
