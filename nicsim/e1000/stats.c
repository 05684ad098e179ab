/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics (82574 datasheet 10.2.7). Lengths count from the destination address to the CRC, which
 * frames have here in mind only: `len` is without it. Packet counters stick at their end, octet
 * counters wrap.
 */
#include "nicsim/e1000/card.h"
#include "nicsim/filter.h"

#define CRC_LEN 4u

void e1000_count(struct e1000 *card, uint32_t offset)
{
	if (*e1000_reg(card, offset) != UINT32_MAX)
		++*e1000_reg(card, offset);
}

static void add64(struct e1000 *card, uint32_t low, uint64_t octets)
{
	uint64_t sum = (*e1000_reg(card, low) | (uint64_t)*e1000_reg(card, low + 4) << 32) + octets;

	*e1000_reg(card, low) = (uint32_t)sum;
	*e1000_reg(card, low + 4) = (uint32_t)(sum >> 32);
}

/* 64, to 127, 255, 511, 1023, and above: six registers in a row. */
static void count_size(struct e1000 *card, uint32_t first, uint32_t len)
{
	e1000_count(card, first + 4 * sim_size_bin(len));
}

static void count_groups(
	struct e1000 *card, const uint8_t *frame, uint32_t broadcasts, uint32_t multicasts)
{
	if (sim_is_broadcast(frame))
		e1000_count(card, broadcasts);
	else if (frame[0] & 1)
		e1000_count(card, multicasts);
}

/* Everything that comes in, before any filter. */
void e1000_count_rx_seen(struct e1000 *card, uint32_t len)
{
	e1000_count(card, E1000_TPR);
	add64(card, E1000_TORL, len + CRC_LEN);
}

/* A frame of legal length that passed the filters. */
void e1000_count_rx_good(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	e1000_count(card, E1000_GPRC);
	add64(card, E1000_GORCL, len + CRC_LEN);
	count_size(card, E1000_PRC64, len + CRC_LEN);
	count_groups(card, frame, E1000_BPRC, E1000_MPRC);
}

/* Flow control counts in the totals alone (8254x manual 13.7). */
void e1000_count_tx_mac(struct e1000 *card, uint32_t len)
{
	e1000_count(card, E1000_TPT);
	add64(card, E1000_TOTL, len + CRC_LEN);
}

void e1000_count_tx(struct e1000 *card, const uint8_t *frame, uint32_t len)
{
	e1000_count_tx_mac(card, len);
	e1000_count(card, E1000_GPTC);
	add64(card, E1000_GOTCL, len + CRC_LEN);
	count_size(card, E1000_PTC64, len + CRC_LEN);
	count_groups(card, frame, E1000_BPTC, E1000_MPTC);
}
