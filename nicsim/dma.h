/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client's memory, as the card sees it: a table of maps from bus addresses (IOVA) to pieces of
 * files that the client passed. The card reaches nothing else; each attempt is refused and counted.
 *
 * The client keeps its hands on those files. It may cut one short, or punch a hole into one of huge
 * pages, after it was mapped here; touching such a page raises SIGBUS. dma_survive_sigbus()
 * installs a handler that puts zero pages where the file's memory was and marks the file lost: the
 * access ends, later ones are refused. That costs nothing per access and covers each way to lose a
 * page, while seals (F_SEAL_SHRINK) would exclude unsealed files and not cover holes, and
 * pread/pwrite cannot write to hugetlbfs. Files served by other programs (FUSE, network) are not
 * mapped at all: they could make an access wait for ever.
 */
#ifndef NICSIM_DMA_H
#define NICSIM_DMA_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMA_CAN_READ  1u /* by the card; the values of VFIO_DMA_MAP_FLAG_* */
#define DMA_CAN_WRITE 2u
#define DMA_MAX_MAPS  65535u
#define DMA_PAGE      4096u /* addresses and sizes of maps are multiples of it */

struct dma;

struct dma_counters {
	uint64_t
		refused; /* accesses outside the maps, against their permission, or to lost files */
	uint64_t last;   /* the address of the last one */
	uint64_t lost;   /* files whose pages went away under a map */
};

int dma_create(struct dma **out);
void dma_destroy(struct dma *dma);

/* Once a process, before anything is mapped. 0 or -errno. */
int dma_survive_sigbus(void);

/* Maps [iova, iova + size) to the file's bytes from `offset` on. Without a file (fd < 0) the map is
 * on record but out of reach. Closes fd, also on failure. -EINVAL: empty, unaligned, wrapping, or
 * beyond the file; -EEXIST: overlaps a map; -ENOSPC: DMA_MAX_MAPS; -EACCES: writable map of a
 * read-only descriptor; -ENOTSUP: no memory file (memfd, tmpfs, hugetlbfs); -ENOMEM.
 */
int dma_map(struct dma *dma, uint64_t iova, uint64_t size, unsigned prot, int fd, uint64_t offset);
/* Drops the maps inside [iova, iova + size); none is no error. -EINVAL: would cut a map in two. */
int dma_unmap(struct dma *dma, uint64_t iova, uint64_t size);
void dma_unmap_all(struct dma *dma);

/* The card's accesses. `hint` remembers where the last one of its kind was found; start with 0.
 * -EFAULT: some byte of it is out of reach; nothing was written then.
 */
int dma_read(struct dma *dma, unsigned *hint, uint64_t iova, void *to, size_t len);
int dma_write(struct dma *dma, unsigned *hint, uint64_t iova, const void *from, size_t len);

/* --- for who touches much: a map, looked up once --- */

struct dma_window {
	uint64_t first, size; /* IOVA; 0 bytes: nothing is known */
	uint8_t *base;
	unsigned prot;
	uint64_t generation;               /* of the table of maps */
	const volatile sig_atomic_t *lost; /* of the file */
};

/* Makes the window the map that holds all of [iova, iova + len), with these permissions, unless it
 * is already. False: there is none; nothing is counted. It is good until dma_map() or dma_unmap(),
 * also while its file gets lost: then what is read are zeros (dma_window_lost()).
 */
bool dma_window(
	struct dma *dma, uint64_t iova, size_t len, unsigned prot, struct dma_window *window);
/* To be called before a window of earlier is used: forgets what is not good any more. */
void dma_window_refresh(const struct dma *dma, struct dma_window *window);
/* A file got lost while its window was in use, by an access to iova or near it. */
void dma_count_lost(struct dma *dma, uint64_t iova);

/* NULL: not in the window. */
static inline uint8_t *dma_window_at(const struct dma_window *window, uint64_t iova, size_t len)
{
	uint64_t at = iova - window->first;

	return at < window->size && len <= window->size - at ? window->base + at : NULL;
}

static inline bool dma_window_lost(const struct dma_window *window)
{
	return window->size && *window->lost;
}

const struct dma_counters *dma_counters(const struct dma *dma);
/* For accesses that a card refuses for its own reason (no bus mastering). */
void dma_count_refused(struct dma *dma, uint64_t iova);

#endif
