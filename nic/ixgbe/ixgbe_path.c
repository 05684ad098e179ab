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
		.forward = ixgbe_forward_##path,                                            \
	}

#define IN_PLACE_VERBS(path)                                                         \
	{                                                                            \
		.rx_provide = ixgbe_in_place_fill, .rx_return = nic_no_frames,       \
		.tx_provide = nic_no_frames_taken, .tx_return = nic_no_offsets_back, \
		.flush = nic_no_flush, .in_place = ixgbe_in_place_forward_##path,    \
		.in_place_objection = ixgbe_in_place_objection,                      \
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

static const struct nic_verbs in_place_verbs[] = {
#ifdef IXGBE_VECTOR_PATHS
	[PATH_AVX512] = IN_PLACE_VERBS(avx512),
	[PATH_AVX2] = IN_PLACE_VERBS(avx2),
#endif
	[PATH_PLAIN] = IN_PLACE_VERBS(plain),
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

/* PATHS: there is none of that name, or it does not run here. */
static enum path find(const char *name)
{
	enum path path = 0;

	while (path < PATHS && (strcmp(ixgbe_paths[path], name) != 0 || !runs(path)))
		path++;
	return path;
}

static enum path widest(void)
{
	enum path path = 0;

	while (!runs(path))
		path++;
	return path;
}

const struct nic_verbs *ixgbe_path_verbs(const char *name)
{
	enum path path = find(name);

	return path < PATHS ? &verbs[path] : NULL;
}

const struct nic_verbs *ixgbe_widest_verbs(void)
{
	return &verbs[widest()];
}

const struct nic_verbs *ixgbe_path_in_place(const char *name)
{
	enum path path = find(name);

	return path < PATHS ? &in_place_verbs[path] : NULL;
}

const struct nic_verbs *ixgbe_widest_in_place(void)
{
	return &in_place_verbs[widest()];
}
