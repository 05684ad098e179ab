/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is found out about a received frame: the queue it goes to (82599 datasheet 7.1.2), and what
 * its descriptor says of it.
 */
#include "nicsim/ixgbe/card.h"
#include "nicsim/ixgbe/headers.h"

int ixgbe_ethertype_filter(const struct ixgbe *card, unsigned ethertype)
{
	for (unsigned n = 0; n < ETQF_COUNT; n++) {
		uint32_t filter = card->reg[ETQF(n) / 4];

		if (filter & ETQF_ENABLE && ETQF_TYPE(filter) == ethertype)
			return (int)n;
	}
	return -1;
}

struct ixgbe_verdict ixgbe_judge(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	struct ixgbe_verdict verdict = {0};
	struct ixgbe_headers headers;
	uint32_t control = *ixgbe_reg(card, RXCSUM), status;
	int filter;

	ixgbe_headers(&headers, frame, len, VLNCTRL_TYPE(*ixgbe_reg(card, VLNCTRL)));
	status = ixgbe_check_sums(&headers, frame);
	verdict.info = headers.types;
	filter = ixgbe_ethertype_filter(card, headers.ethertype);
	if (filter >= 0)
		verdict.info = IXGBE_TYPE_L2 | IXGBE_TYPE_ETQF(filter);
	ixgbe_rss(card, &verdict, &headers, frame, len);
	/* There is room for one of them. */
	if (!(control & RXCSUM_PCSD)) {
		verdict.info &= ~RSS_TYPE;
		verdict.hash = control & RXCSUM_IPPCSE
				       ? ixgbe_check_fragment(&headers, frame, &status)
				       : 0;
	}
	if (frame[0] & 1)
		status |= IXGBE_STATUS_PIF;
	verdict.status = status;
	return verdict;
}
