/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The paths there are, and which of them this processor runs.
 */
#include "nic/ixgbe/ixgbe_path.h"

static void flush(struct nic_queue *head)
{
	struct ixgbe_queue *q = ixgbe_queue(head);
	struct ring *ring = &q->head.rx;

	/* tx_provide() keeps nothing back. */
	if (ring_kept(ring))
		ixgbe_publish(q, ring, q->rdt_direct, q->rdt, ring->tail);
}

#define VERBS(path)                                                                         \
	{                                                                                   \
		.rx_provide = ixgbe_rx_provide_##path, .rx_return = ixgbe_rx_return_##path, \
		.tx_provide = ixgbe_tx_provide_##path, .tx_return = ixgbe_tx_return_##path, \
		.flush = flush, .rx = ixgbe_rx_##path, .tx = ixgbe_tx_##path,               \
	}

enum path {
#ifdef IXGBE_VECTOR_PATHS
	PATH_AVX512,
	PATH_AVX2,
#endif
	PATH_PLAIN,
	PATHS
};

const char *const ixgbe_paths[] = {
#ifdef IXGBE_VECTOR_PATHS
	[PATH_AVX512] = "avx512",
	[PATH_AVX2] = "avx2",
#endif
	[PATH_PLAIN] = "plain",
	[PATHS] = NULL,
};

static const struct nic_verbs verbs[] = {
#ifdef IXGBE_VECTOR_PATHS
	[PATH_AVX512] = VERBS(avx512),
	[PATH_AVX2] = VERBS(avx2),
#endif
	[PATH_PLAIN] = VERBS(plain),
};

/* The processor and the operating system: the compiler's own test asks both. */
static bool runs(enum path path)
{
#ifdef IXGBE_VECTOR_PATHS
	if (path == PATH_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
	if (path == PATH_AVX2)
		return __builtin_cpu_supports("avx2");
#endif
	return path == PATH_PLAIN;
}

const struct nic_verbs *ixgbe_path_verbs(const char *name)
{
	for (enum path path = 0; path < PATHS; path++)
		if (strcmp(ixgbe_paths[path], name) == 0 && runs(path))
			return &verbs[path];
	return NULL;
}

const struct nic_verbs *ixgbe_widest_verbs(void)
{
	enum path path = 0;

	while (!runs(path))
		path++;
	return &verbs[path];
}
