/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A histogram of times with buckets that grow with the value, so that nanoseconds and seconds fit
 * in one table and each is known to better than 1 % (1/128).
 */
#ifndef RHEINFALL_HISTOGRAM_H
#define RHEINFALL_HISTOGRAM_H

#include <stdint.h>

/* Each power of two is divided into 2^7 buckets; values below 2^8 have one each. */
#define HISTOGRAM_BITS    7u
#define HISTOGRAM_BUCKETS ((64u - HISTOGRAM_BITS + 1u) << HISTOGRAM_BITS)

struct histogram {
	uint64_t count, min, max; /* min and max are exact; 0 when empty */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* An empty histogram is all zeroes. */
void histogram_add(struct histogram *h, uint64_t value);

/* The smallest value that `share` of all do not exceed (nearest rank), share in 1/10,000: 5000 is
 * the median. Too large by at most 1/128 of itself, never above max; 0 when empty.
 */
uint64_t histogram_quantile(const struct histogram *h, uint32_t share);

#endif
