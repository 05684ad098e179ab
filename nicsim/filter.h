/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How cards look at addresses and tags, and by which sizes they count: all but the broadcast
 * address as Intel's do. Of frames that are at least SIM_FRAME_MIN long.
 */
#ifndef NICSIM_FILTER_H
#define NICSIM_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "nicsim/bytes.h"

#define SIM_SIZE_BINS 6u /* 64 bytes with CRC, to 127, 255, 511, 1023, and above */

static inline bool sim_is_broadcast(const uint8_t *address)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	return memcmp(address, broadcast, sizeof(broadcast)) == 0;
}

/* Whether the address is among `n` receive addresses: pairs of registers, low and high, which is
 * `valid` and the address's last two bytes.
 */
static inline bool sim_address_exact(
	const uint32_t *pairs, unsigned n, uint32_t valid, const uint8_t *address)
{
	uint32_t low, high;

	memcpy(&low, address, 4);
	high = valid | (uint32_t)address[4] | (uint32_t)address[5] << 8;
	for (unsigned i = 0; i < n; i++) {
		if (pairs[2 * i] == low && pairs[2 * i + 1] == high)
			return true;
	}
	return false;
}

/* Whether a table of 4096 bits has the address: 12 bits of its last 16, by `offset` 0 to 3. */
static inline bool sim_address_hashed(
	const uint32_t *table, unsigned offset, const uint8_t *address)
{
	static const unsigned shift[] = {4, 3, 2, 0};
	uint32_t last = (uint32_t)address[4] | (uint32_t)address[5] << 8;
	uint32_t hash = last >> shift[offset] & 0xfff;

	return table[hash / 32] >> (hash & 31) & 1;
}

/* Whether a tag's VLAN is in a table of 4096 bits, and its CFI, where that is `compared`, is so. */
static inline bool sim_tag_passes(const uint32_t *table, unsigned tag, bool compared, bool cfi)
{
	if (compared && cfi != ((tag & 0x1000) != 0))
		return false;
	return table[(tag & 0xfff) >> 5] >> (tag & 31) & 1;
}

/* `octets` with CRC. */
static inline unsigned sim_size_bin(uint32_t octets)
{
	unsigned bin = octets <= 64 ? 0 : 26u - (unsigned)__builtin_clz(octets);

	return bin < SIM_SIZE_BINS ? bin : SIM_SIZE_BINS - 1;
}

#endif
