/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames are for this card (RTL8169 datasheet 6.12, RCR; 6.2, MAR).
 */
#include "nicsim/filter.h"
#include "nicsim/rtl8168/card.h"

bool rtl8168_is_mine(const struct rtl8168 *card, const uint8_t *address)
{
	return memcmp(card->reg + RTL_IDR, address, 6) == 0;
}

/* The highest six bits of the address's CRC, most significant bit first. The PCI Express cards have
 * the table's bytes in the other order than the RTL8169 (Linux's r8169, FreeBSD's if_re).
 */
static bool hashed(const struct rtl8168 *card, const uint8_t *address)
{
	uint32_t crc = ~sim_crc32(address, 6), hash = 0;

	/* sim_crc32() is what goes on a wire: inverted, least significant bit first. */
	for (unsigned i = 0; i < 6; i++)
		hash = hash << 1 | (crc >> i & 1);
	return card->reg[RTL_MAR + 7 - hash / 8] >> (hash & 7) & 1;
}

bool rtl8168_filter(const struct rtl8168 *card, const uint8_t *address)
{
	uint32_t control = card->reg[RTL_RCR];

	if (!(address[0] & 1))
		return control & RCR_ALL ||
		       (control & RCR_PHYSICAL && rtl8168_is_mine(card, address));
	if (sim_is_broadcast(address))
		return control & RCR_BROADCAST;
	return control & RCR_MULTICAST && hashed(card, address);
}
