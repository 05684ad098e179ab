/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Microsoft's Toeplitz hash, by which cards spread frames over queues (82599 datasheet 7.1.2.8). It
 * is the sum (exclusive or) of one 32-bit window of the key for each bit of the input that is set,
 * so that it can be had a byte at a time from a table, which is made when the key was written.
 */
#ifndef NICSIM_TOEPLITZ_H
#define NICSIM_TOEPLITZ_H

#include <stdint.h>

#define TOEPLITZ_KEY   40u
#define TOEPLITZ_INPUT 36u /* bytes: two IPv6 addresses, two ports */

struct toeplitz {
	uint32_t table[TOEPLITZ_INPUT][256];
};

void toeplitz_set_key(struct toeplitz *toeplitz, const uint8_t key[TOEPLITZ_KEY]);
/* `len`: up to TOEPLITZ_INPUT. */
uint32_t toeplitz_hash(const struct toeplitz *toeplitz, const uint8_t *input, unsigned len);

#endif
