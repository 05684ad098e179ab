/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How Intel's cards are told which frames to let through: pairs of registers for exact addresses,
 * tables of 4,096 bits for hashes of addresses and for VLANs (82599 datasheet 7.1.1, 8254x manual
 * 13.5). Private to nic/.
 */
#ifndef NIC_FILTER_H
#define NIC_FILTER_H

#include "nic/driver.h"

#define NIC_TABLE_WORDS 128u

static inline void nic_table_set(uint32_t words[NIC_TABLE_WORDS], unsigned bit)
{
	words[bit / 32] |= UINT32_C(1) << bit % 32;
}

/* Into the registers from `first` on. */
static inline void nic_table_write(
	const struct pci_bar *bar, uint32_t first, const uint32_t words[NIC_TABLE_WORDS])
{
	for (unsigned i = 0; i < NIC_TABLE_WORDS; i++)
		reg_write(bar, first + 4 * i, words[i]);
}

/* An address's bit, where MO is 0: the upper 12 of its last 16 (82599 datasheet 8.2.3.7.5, 8254x
 * manual 13.5.1).
 */
static inline unsigned nic_address_hash(const uint8_t address[6])
{
	return (address[4] | (unsigned)address[5] << 8) >> 4;
}

/* The exact filter of an address, RAL and RAH with the bit that makes it valid; NULL: of none. */
struct nic_exact {
	uint32_t low, high;
};
static inline struct nic_exact nic_exact(const uint8_t *address)
{
	struct nic_exact exact = {0, 0};

	if (address) {
		for (unsigned i = 0; i < 4; i++)
			exact.low |= (uint32_t)address[i] << 8 * i;
		exact.high = UINT32_C(0x80000000) | address[4] | (uint32_t)address[5] << 8;
	}
	return exact;
}

#endif
