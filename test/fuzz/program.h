/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An input as a program: numbers are taken from its front; what is missing at its end is 0.
 */
#ifndef TEST_FUZZ_PROGRAM_H
#define TEST_FUZZ_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct program {
	const uint8_t *at, *end;
};

static inline uint64_t number(struct program *p, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && p->at < p->end; i++)
		value |= (uint64_t)*p->at++ << 8 * i;
	return value;
}

static inline uint32_t word(struct program *p, unsigned bytes)
{
	return (uint32_t)number(p, bytes);
}

/* How many bytes there were. */
static inline size_t take_bytes(struct program *p, void *to, size_t n)
{
	if (n > (size_t)(p->end - p->at))
		n = (size_t)(p->end - p->at);
	if (n > 0)
		memcpy(to, p->at, n);
	p->at += n;
	return n;
}

#endif
