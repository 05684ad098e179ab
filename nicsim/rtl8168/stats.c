/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tally counters, which the card writes to memory when it is asked to (RTL8169 datasheet 6.1,
 * DTCCR). What no wire can bring stays 0: collisions, alignment errors, underruns.
 */
#include "nicsim/filter.h"
#include "nicsim/rtl8168/card.h"

struct dump {
	uint64_t tx_ok, rx_ok, tx_errors;
	uint32_t rx_errors;
	uint16_t rx_missed, alignment;
	uint32_t one_collision, collisions;
	uint64_t rx_unicast, rx_broadcast;
	uint32_t rx_multicast;
	uint16_t tx_aborted, tx_underrun;
};

_Static_assert(sizeof(struct dump) == 64, "as the datasheet has it");

void rtl8168_count_rx(struct rtl8168 *card, const uint8_t *frame)
{
	struct rtl8168_counters *counters = &card->counters;

	counters->rx_ok++;
	if (sim_is_broadcast(frame))
		counters->rx_broadcast++;
	else if (frame[0] & 1)
		counters->rx_multicast++;
	else if (rtl8168_is_mine(card, frame))
		counters->rx_unicast++;
}

/* Ends at once. */
void rtl8168_write_dtccr(struct rtl8168 *card, uint32_t written)
{
	const struct rtl8168_counters *counters = &card->counters;
	uint32_t low = rtl8168_get(card, RTL_DTCCR, 4);
	uint64_t address = (low & DTCCR_ADDRESS) | (uint64_t)rtl8168_get(card, RTL_DTCCR + 4, 4)
							   << 32;
	unsigned hint = 0;

	rtl8168_put(card, RTL_DTCCR, 4, low & DTCCR_ADDRESS);
	if (written & DTCCR_RESET)
		memset(&card->counters, 0, sizeof(card->counters));
	if (written & DTCCR_DUMP) {
		const struct dump dump = {.tx_ok = counters->tx_ok,
			.rx_ok = counters->rx_ok,
			.tx_errors = counters->tx_errors,
			.rx_errors = (uint32_t)counters->rx_errors,
			.rx_missed = (uint16_t)counters->rx_missed,
			.rx_unicast = counters->rx_unicast,
			.rx_broadcast = counters->rx_broadcast,
			.rx_multicast = (uint32_t)counters->rx_multicast,
			.tx_aborted = (uint16_t)counters->tx_aborted};

		if (function_dma_write(&card->fn, &hint, address, &dump, sizeof(dump)))
			rtl8168_bus_error(card);
	}
}
