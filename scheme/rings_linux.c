/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The memory of shared rings: judged where it enters, mapped where it is used.
 */
#include "scheme/rings_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "scheme/ring_layout.h"

static size_t ring_memory_bytes(const struct scheme_request *request)
{
	return ring_bytes(1u << request->rx_order, 1u << request->tx_order);
}

static int judge(int fd, size_t least, size_t most)
{
	const int fixed = F_SEAL_SHRINK | F_SEAL_GROW;
	struct statfs fs;
	struct stat st;

	/* First: it is -EINVAL of all but memfds. A question to another file system could wait for
	 * an answer for ever. */
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & fixed) != fixed) {
		return -EINVAL;
	}
	if (fstatfs(fd, &fs) < 0 || fs.f_type == HUGETLBFS_MAGIC || fstat(fd, &st) < 0) {
		return -EINVAL;
	}
	return st.st_size % 4096 == 0 && st.st_size >= (off_t)least && st.st_size <= (off_t)most
		       ? 0
		       : -EINVAL;
}

int scheme_rings_judge(const struct scheme_request *request, const int fds[SCHEME_REQUEST_FDS])
{
	size_t bytes = ring_memory_bytes(request);
	int ret = judge(fds[SCHEME_FD_RINGS], bytes, bytes + 4096);

	return ret < 0 ? ret : judge(fds[SCHEME_FD_FRAMES], 4096, SCHEME_RING_MEMORY_MAX);
}

int scheme_rings_map(struct scheme_rings *r, const struct scheme_request *request,
	const int fds[SCHEME_REQUEST_FDS], struct scheme_status *page)
{
	struct stat st;
	int ret;

	if (fstat(fds[SCHEME_FD_FRAMES], &st) < 0) {
		return -errno;
	}
	void *rings = mmap(NULL, ring_memory_bytes(request), PROT_READ | PROT_WRITE, MAP_SHARED,
		fds[SCHEME_FD_RINGS], 0);
	if (rings == MAP_FAILED) {
		ret = -errno;
		goto fail_rings;
	}
	void *frames = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		fds[SCHEME_FD_FRAMES], 0);
	if (frames == MAP_FAILED) {
		ret = -errno;
		goto fail_frames;
	}
	scheme_rings_init(r, frames, (size_t)st.st_size, rings, ring_driver_of(page),
		1u << request->rx_order, 1u << request->tx_order);
	return 0;

fail_frames:
	munmap(rings, ring_memory_bytes(request));
fail_rings:
	/* Sealed against writing, or open for reading alone. */
	return ret == -EPERM || ret == -EACCES ? -EINVAL : ret;
}

void scheme_rings_unmap(struct scheme_rings *r)
{
	munmap(r->frames, r->bytes);
	munmap(r->client, ring_bytes(r->rx.size, r->tx.size));
}
