/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Statistics (82599 datasheet 8.2.3.23). Lengths count from the destination address to the CRC,
 * which frames have here in mind only: `len` is without it. Packet counters are 32 bits and wrap,
 * octet counters 36 bits in two registers.
 */
#include "nicsim/filter.h"
#include "nicsim/ixgbe/card.h"

#define CRC_LEN 4u

void ixgbe_count(struct ixgbe *card, uint32_t offset)
{
	++*ixgbe_reg(card, offset);
}

/* The high half is the neighbour. */
static void add36(struct ixgbe *card, uint32_t low, uint64_t octets)
{
	uint64_t sum = (*ixgbe_reg(card, low) | (uint64_t)*ixgbe_reg(card, low + 4) << 32) + octets;

	*ixgbe_reg(card, low) = (uint32_t)sum;
	*ixgbe_reg(card, low + 4) = (uint32_t)(sum >> 32) & 0xf;
}

/* 64, to 127, 255, 511, 1023, and above: six registers in a row. */
static void count_size(struct ixgbe *card, uint32_t first, uint32_t len)
{
	ixgbe_count(card, first + 4 * sim_size_bin(len));
}

/* Everything that comes in, before any filter. */
void ixgbe_count_rx_seen(struct ixgbe *card, uint32_t len)
{
	ixgbe_count(card, TPR);
	add36(card, TORL, len + CRC_LEN);
}

/* A frame of legal length that passed the filters. */
void ixgbe_count_rx_good(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	len += CRC_LEN;
	ixgbe_count(card, GPRC);
	add36(card, GORCL, len);
	count_size(card, PRC64, len);
	if (sim_is_broadcast(frame))
		ixgbe_count(card, BPRC);
	else if (frame[0] & 1)
		ixgbe_count(card, MPRC);
	ixgbe_count(card, RXNFGPC);
	add36(card, RXNFGBCL, len);
}

/* The counter of a queue: RQSMR and TQSM name 16 of them. */
static uint32_t counter_of(struct ixgbe *card, uint32_t map, unsigned queue)
{
	return *ixgbe_reg(card, map + queue / 4 * 4) >> 8 * (queue % 4) & 15;
}

/* What reached memory: by queue and in total, without CRC if that is stripped. */
void ixgbe_count_rx_queued(struct ixgbe *card, unsigned queue, uint32_t len)
{
	uint32_t counter = counter_of(card, RQSMR(0u), queue);

	ixgbe_count(card, RX_QUEUE(counter) + QPRC);
	add36(card, RX_QUEUE(counter) + QBRC_L, len);
	ixgbe_count(card, RXDGPC);
	add36(card, RXDGBCL, len);
}

void ixgbe_count_rx_dropped(struct ixgbe *card, unsigned queue)
{
	ixgbe_count(card, QPRDC(counter_of(card, RQSMR(0u), queue)));
}

static void add(struct ixgbe *card, uint32_t offset, uint32_t n)
{
	*ixgbe_reg(card, offset) += n;
}

static void add_sizes(struct ixgbe *card, uint32_t first, const struct ixgbe_tally *tally)
{
	for (unsigned i = 0; i < 6; i++)
		add(card, first + 4 * i, tally->size[i]);
}

void ixgbe_count_rx_burst(
	struct ixgbe *card, uint32_t seen, uint64_t seen_octets, const struct ixgbe_tally *good)
{
	add(card, TPR, seen);
	add36(card, TORL, seen_octets);
	add(card, GPRC, good->frames);
	add36(card, GORCL, good->octets);
	add_sizes(card, PRC64, good);
	add(card, BPRC, good->broadcast);
	add(card, MPRC, good->multicast);
	add(card, RXNFGPC, good->frames);
	add36(card, RXNFGBCL, good->octets);
}

void ixgbe_count_rx_queued_burst(
	struct ixgbe *card, unsigned queue, uint32_t frames, uint64_t octets)
{
	uint32_t counter = counter_of(card, RQSMR(0u), queue);

	add(card, RX_QUEUE(counter) + QPRC, frames);
	add36(card, RX_QUEUE(counter) + QBRC_L, octets);
	add(card, RXDGPC, frames);
	add36(card, RXDGBCL, octets);
}

void ixgbe_count_tx_burst(struct ixgbe *card, unsigned queue, const struct ixgbe_tally *tally)
{
	uint32_t counter = counter_of(card, TQSM(0u), queue);

	add(card, GPTC, tally->frames);
	add36(card, GOTCL, tally->octets);
	add(card, TPT, tally->frames);
	add_sizes(card, PTC64, tally);
	add(card, BPTC, tally->broadcast);
	add(card, MPTC, tally->multicast);
	add(card, TX_QUEUE(counter) + QPTC, tally->frames);
	add36(card, QBTC_L(counter), tally->octets);
	add(card, TXDGPC, tally->frames);
	add36(card, TXDGBCL, tally->octets);
}

void ixgbe_count_tx_mac(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	len += CRC_LEN;
	ixgbe_count(card, GPTC);
	add36(card, GOTCL, len);
	ixgbe_count(card, TPT);
	count_size(card, PTC64, len);
	if (sim_is_broadcast(frame))
		ixgbe_count(card, BPTC);
	else if (frame[0] & 1)
		ixgbe_count(card, MPTC);
}

void ixgbe_count_tx(struct ixgbe *card, unsigned queue, const uint8_t *frame, uint32_t len)
{
	uint32_t counter = counter_of(card, TQSM(0u), queue);

	ixgbe_count_tx_mac(card, frame, len);
	len += CRC_LEN;
	ixgbe_count(card, TX_QUEUE(counter) + QPTC);
	add36(card, QBTC_L(counter), len);
	ixgbe_count(card, TXDGPC);
	add36(card, TXDGBCL, len);
}
