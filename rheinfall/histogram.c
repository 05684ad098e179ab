/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See histogram.h.
 */
#include "rheinfall/histogram.h"

static uint32_t bucket_of(uint64_t value)
{
	if (value >> HISTOGRAM_BITS == 0)
		return (uint32_t)value;
	/* The top 8 bits of the value: its power of two by `shift`, its place there by the rest. */
	uint32_t shift = 63u - HISTOGRAM_BITS - (uint32_t)__builtin_clzll(value);
	uint32_t place = (uint32_t)(value >> shift) & ((1u << HISTOGRAM_BITS) - 1u);
	return ((shift + 1u) << HISTOGRAM_BITS) + place;
}

static uint64_t largest_in(uint32_t bucket)
{
	if (bucket >> HISTOGRAM_BITS == 0)
		return bucket;
	uint32_t shift = (bucket >> HISTOGRAM_BITS) - 1u;
	uint64_t place = bucket & ((1u << HISTOGRAM_BITS) - 1u);
	uint64_t smallest = (1ull << HISTOGRAM_BITS | place) << shift;
	return smallest + ((1ull << shift) - 1u);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->bucket[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t share)
{
	if (h->count == 0)
		return 0;
	/* In two parts, so that no count overflows the product. */
	uint64_t rank = h->count / 10000u * share + (h->count % 10000u * share + 9999u) / 10000u;
	if (rank <= 1)
		return h->min;

	uint64_t below = 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += h->bucket[i];
		if (below >= rank)
			return largest_in(i) < h->max ? largest_in(i) : h->max;
	}
	return h->max;
}
