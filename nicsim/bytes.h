/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers as frames (and the memory of SFP modules) hold them: big endian, at any address.
 */
#ifndef NICSIM_BYTES_H
#define NICSIM_BYTES_H

#include <stdint.h>

static inline uint32_t sim_be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t sim_be32(const uint8_t *at)
{
	return sim_be16(at) << 16 | sim_be16(at + 2);
}

static inline void sim_put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void sim_put_be32(uint8_t *at, uint32_t value)
{
	sim_put_be16(at, value >> 16);
	sim_put_be16(at + 2, value);
}

#endif
