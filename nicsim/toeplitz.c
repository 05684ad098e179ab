/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Toeplitz hash by a table.
 */
#include "nicsim/toeplitz.h"

/* The window of the key that begins at bit `at`. */
static uint32_t window(const uint8_t *key, unsigned at)
{
	uint64_t five = 0;

	for (unsigned i = 0; i < 5; i++)
		five = five << 8 | key[at / 8 + i];
	return (uint32_t)(five >> (8 - at % 8));
}

void toeplitz_set_key(struct toeplitz *toeplitz, const uint8_t key[TOEPLITZ_KEY])
{
	for (unsigned at = 0; at < TOEPLITZ_INPUT; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			uint32_t sum = 0;

			for (unsigned bit = 0; bit < 8; bit++) {
				if (byte & 0x80u >> bit)
					sum ^= window(key, 8 * at + bit);
			}
			toeplitz->table[at][byte] = sum;
		}
	}
}

uint32_t toeplitz_hash(const struct toeplitz *toeplitz, const uint8_t *input, unsigned len)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum ^= toeplitz->table[i][input[i]];
	return sum;
}
