/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive-side scaling (82599 datasheet 7.1.2.8): Microsoft's Toeplitz hash over addresses and
 * ports picks an entry of RETA (on an X550 also of ERETA, behind it), which names the queue. What
 * cannot be hashed goes to queue 0.
 */
#include <string.h>

#include "nicsim/ixgbe/card.h"

/* RSS types of the descriptor (7.1.6.2). */
enum { NONE = 0, TCP_IPV4 = 1, IPV4 = 2, TCP_IPV6 = 3, IPV6 = 5, UDP_IPV4 = 7, UDP_IPV6 = 8 };

/* Which of the two ways of MRQC serves a protocol, and what it is called. */
struct kind {
	uint32_t enable;
	uint8_t type;
};

static uint32_t hash(struct ixgbe *card, const uint8_t *input, unsigned len)
{
	struct ixgbe_rss *rss = &card->rss;

	if (rss->stale) {
		uint8_t key[TOEPLITZ_KEY];

		memcpy(key, ixgbe_reg(card, RSSRK(0u)), sizeof(key));
		toeplitz_set_key(&rss->toeplitz, key);
		rss->stale = false;
	}
	return toeplitz_hash(&rss->toeplitz, input, len);
}

/* --- what is hashed --- */

/* What of a frame goes into the hash: the addresses of the outermost IP header, and the ports
 * behind it if they are there (those of fragments are not in each, and behind extension headers
 * nothing is looked for). Returns the length, and which of MRQC's fields it is: the first that is
 * enabled (7.1.2.8.1).
 */
static unsigned choose(uint8_t input[TOEPLITZ_INPUT], const struct sim_headers *headers,
	const uint8_t *frame, uint32_t len, uint32_t enabled, uint8_t *type)
{
	static const struct kind of_ipv4[] = {
		{MRQC_TCP_IPV4, TCP_IPV4}, {MRQC_UDP_IPV4, UDP_IPV4}, {MRQC_IPV4, IPV4}};
	static const struct kind of_ipv6[] = {
		{MRQC_TCP_IPV6, TCP_IPV6}, {MRQC_UDP_IPV6, UDP_IPV6}, {MRQC_IPV6, IPV6}};
	bool ipv4 = headers->types & SIM_TYPE_IPV4;
	const struct kind *kinds = ipv4 ? of_ipv4 : of_ipv6;
	unsigned n = ipv4 ? 8 : 32, i;

	if (!headers->ip)
		return 0;
	memcpy(input, frame + headers->ip + (ipv4 ? 12 : 8), n);
	i = headers->protocol == SIM_PROTOCOL_TCP   ? 0
	    : headers->protocol == SIM_PROTOCOL_UDP ? 1
						    : 2;
	if (headers->inner != headers->ip || headers->fragment ||
		headers->types & SIM_TYPE_IPV6_EXT || len - headers->next < 4)
		i = 2;
	if (i < 2 && kinds[i].enable & enabled) {
		memcpy(input + n, frame + headers->next, 4);
		n += 4;
	} else if (kinds[2].enable & enabled) {
		i = 2;
	} else {
		return 0;
	}
	*type = kinds[i].type;
	return n;
}

void ixgbe_rss(struct ixgbe *card, struct ixgbe_verdict *verdict, const struct sim_headers *headers,
	const uint8_t *frame, uint32_t len)
{
	uint32_t mrqc = *ixgbe_reg(card, MRQC), entry, four;
	uint8_t input[TOEPLITZ_INPUT], type;
	unsigned n;

	if (MRQC_MODE(mrqc) != MRQC_MODE_RSS)
		return;
	n = choose(input, headers, frame, len, mrqc, &type);
	if (!n)
		return;
	verdict->hash = hash(card, input, n);
	verdict->info |= type;
	entry = verdict->hash % (card->model->rows == ROW_X550 ? ERETA_ENTRIES : RETA_ENTRIES);
	four = *ixgbe_reg(
		card, entry < RETA_ENTRIES ? RETA(entry / 4) : ERETA((entry - RETA_ENTRIES) / 4));
	verdict->queue = (uint8_t)(four >> 8 * (entry % 4) & (card->model->rss_queues - 1u));
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
