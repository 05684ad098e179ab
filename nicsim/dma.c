/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client's memory: files mapped whole and once each, and a sorted table of maps into them.
 */
#include "nicsim/dma.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A file of the client, mapped from its first byte to its last. */
struct file {
	struct file *next;
	dev_t device;
	ino_t inode;
	uint8_t *base;
	size_t size;
	int prot;
	unsigned users; /* maps that point into it */
	volatile sig_atomic_t lost;
};

struct map {
	uint64_t first, last; /* IOVA, both inclusive */
	uint8_t *base;        /* NULL: no file */
	struct file *file;
	unsigned prot;
};

struct dma {
	struct map *maps; /* sorted, none overlaps */
	unsigned count, room;
	uint64_t generation; /* grows with each change of maps[] */
	struct dma_counters counters;
};

/* All files of the process. A signal handler has no other way to find what it interrupts. */
static struct file *files;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;
	int saved = errno;

	(void)context;
	for (struct file *file = files; file; file = file->next) {
		if (at < file->base || at >= file->base + file->size)
			continue;
		if (mmap(file->base, file->size, PROT_READ | PROT_WRITE,
			    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0) == MAP_FAILED)
			break;
		file->lost = 1;
		errno = saved;
		return;
	}
	/* None of ours: die as if there were no handler. */
	signal(number, SIG_DFL);
	raise(number);
}

int dma_survive_sigbus(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int dma_create(struct dma **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void dma_destroy(struct dma *dma)
{
	if (!dma)
		return;
	dma_unmap_all(dma);
	free(dma->maps);
	free(dma);
}

/* Memory files alone: see dma.h. */
static bool is_memory(int fd, const struct stat *st)
{
	struct statfs fs;

	return S_ISREG(st->st_mode) && fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC ||
		       fs.f_type == RAMFS_MAGIC);
}

/* Finds or maps the file; closes fd. NULL: *error says why. */
static struct file *file_get(int fd, unsigned prot, int *error)
{
	struct stat st;
	struct file *file = NULL;
	int access_mode = fcntl(fd, F_GETFL);
	int want, rc;

	if (access_mode < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
		goto out;
	}
	access_mode &= O_ACCMODE;
	rc = -EACCES;
	if (access_mode == O_WRONLY || ((prot & DMA_CAN_WRITE) && access_mode != O_RDWR))
		goto out;
	rc = -ENOTSUP;
	if (!is_memory(fd, &st))
		goto out;
	want = access_mode == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
	for (file = files; file; file = file->next) {
		if (file->device == st.st_dev && file->inode == st.st_ino &&
			(file->prot & want) == want && file->size >= (size_t)st.st_size &&
			!file->lost)
			break;
	}
	rc = 0;
	if (file)
		goto out;
	rc = -EINVAL;
	if (st.st_size <= 0)
		goto out;
	rc = -ENOMEM;
	file = calloc(1, sizeof(*file));
	if (!file)
		goto out;
	file->base = mmap(NULL, (size_t)st.st_size, want, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (file->base == MAP_FAILED) {
		rc = -errno;
		free(file);
		file = NULL;
		goto out;
	}
	rc = 0;
	file->device = st.st_dev;
	file->inode = st.st_ino;
	file->size = (size_t)st.st_size;
	file->prot = want;
	file->next = files;
	files = file;
out:
	close(fd);
	*error = rc;
	return rc ? NULL : file;
}

static void file_put(struct file *file)
{
	struct file **link = &files;

	if (file->users)
		return;
	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	munmap(file->base, file->size);
	free(file);
}

/* The index of the first map that ends at or after iova. */
static unsigned lower(const struct dma *dma, uint64_t iova)
{
	unsigned low = 0, high = dma->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (dma->maps[middle].last < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int grow(struct dma *dma)
{
	unsigned room = dma->room ? dma->room * 2 : 64;
	struct map *maps;

	if (dma->count < dma->room)
		return 0;
	maps = realloc(dma->maps, room * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	dma->maps = maps;
	dma->room = room;
	return 0;
}

int dma_map(struct dma *dma, uint64_t iova, uint64_t size, unsigned prot, int fd, uint64_t offset)
{
	struct file *file = NULL;
	unsigned at = 0;
	int rc = -EINVAL;

	if (size == 0 || (iova | size) % DMA_PAGE || iova + (size - 1) < iova || !prot ||
		prot & ~(DMA_CAN_READ | DMA_CAN_WRITE))
		goto close_fd;
	at = lower(dma, iova);
	rc = -EEXIST;
	if (at < dma->count && dma->maps[at].first <= iova + (size - 1))
		goto close_fd;
	rc = -ENOSPC;
	if (dma->count >= DMA_MAX_MAPS)
		goto close_fd;
	rc = grow(dma);
	if (rc)
		goto close_fd;
	if (fd >= 0) {
		file = file_get(fd, prot, &rc);
		if (!file)
			return rc;
		if (offset > file->size || size > file->size - offset) {
			file_put(file);
			return -EINVAL;
		}
		file->users++;
	}
	dma->generation++;
	memmove(dma->maps + at + 1, dma->maps + at, (dma->count - at) * sizeof(*dma->maps));
	dma->maps[at] = (struct map){.first = iova,
		.last = iova + (size - 1),
		.base = file ? file->base + offset : NULL,
		.file = file,
		.prot = prot};
	dma->count++;
	return 0;

close_fd:
	if (fd >= 0)
		close(fd);
	return rc;
}

static void drop(struct dma *dma, unsigned from, unsigned to)
{
	dma->generation++;
	for (unsigned i = from; i < to; i++) {
		struct file *file = dma->maps[i].file;

		if (!file)
			continue;
		file->users--;
		file_put(file);
	}
	memmove(dma->maps + from, dma->maps + to, (dma->count - to) * sizeof(*dma->maps));
	dma->count -= to - from;
}

int dma_unmap(struct dma *dma, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);
	unsigned from, to;

	if (size == 0 || last < iova)
		return -EINVAL;
	from = lower(dma, iova);
	for (to = from; to < dma->count && dma->maps[to].first <= last; to++) {
		if (dma->maps[to].first < iova || dma->maps[to].last > last)
			return -EINVAL;
	}
	if (to > from)
		drop(dma, from, to);
	return 0;
}

void dma_unmap_all(struct dma *dma)
{
	if (dma->count)
		drop(dma, 0, dma->count);
}

void dma_count_refused(struct dma *dma, uint64_t iova)
{
	dma->counters.refused++;
	dma->counters.last = iova;
}

const struct dma_counters *dma_counters(const struct dma *dma)
{
	return &dma->counters;
}

void dma_count_lost(struct dma *dma, uint64_t iova)
{
	dma->counters.lost++;
	dma_count_refused(dma, iova);
}

void dma_window_refresh(const struct dma *dma, struct dma_window *window)
{
	if (window->size && (window->generation != dma->generation || *window->lost))
		window->size = 0;
}

bool dma_window(
	struct dma *dma, uint64_t iova, size_t len, unsigned prot, struct dma_window *window)
{
	const struct map *map;
	unsigned at;

	dma_window_refresh(dma, window);
	if ((window->prot & prot) == prot && dma_window_at(window, iova, len))
		return true;
	window->size = 0;
	at = lower(dma, iova);
	if (at >= dma->count || iova < dma->maps[at].first)
		return false;
	map = &dma->maps[at];
	if (!map->base || (map->prot & prot) != prot || map->file->lost ||
		map->last - map->first == UINT64_MAX)
		return false;
	*window = (struct dma_window){.first = map->first,
		.size = map->last - map->first + 1,
		.base = map->base,
		.prot = prot,
		.generation = dma->generation,
		.lost = &map->file->lost};
	return dma_window_at(window, iova, len) != NULL;
}

/* Where iova is, and how many bytes from there on belong to the same map. NULL: out of reach. */
static uint8_t *reach(struct dma *dma, unsigned *hint, uint64_t iova, unsigned prot, uint64_t *run)
{
	const struct map *map;

	if (*hint >= dma->count || iova < dma->maps[*hint].first || iova > dma->maps[*hint].last) {
		*hint = lower(dma, iova);
		if (*hint >= dma->count || iova < dma->maps[*hint].first)
			return NULL;
	}
	map = &dma->maps[*hint];
	if (!map->base || !(map->prot & prot) || map->file->lost)
		return NULL;
	*run = map->last - iova + 1; /* 0: the whole of 64 bits, which no file is */
	return map->base + (iova - map->first);
}

/* Copies between the card and its client, split at each map's end. All pieces are looked up before
 * the first is touched, so that a refused access leaves no half of itself behind.
 */
static int transfer(
	struct dma *dma, unsigned *hint, uint64_t iova, uint8_t *data, size_t len, unsigned prot)
{
	uint64_t run = 0;
	uint8_t *at = reach(dma, hint, iova, prot, &run);
	uint64_t probe = iova;

	if (iova + len < iova)
		goto refused;
	if (!at || run < len) {
		for (size_t left = len; left; left -= (size_t)run, probe += run) {
			if (!reach(dma, hint, probe, prot, &run))
				goto refused;
			if (run > left)
				run = left;
		}
		at = reach(dma, hint, iova, prot, &run);
	}
	for (size_t left = len; left;) {
		size_t n = run < left ? (size_t)run : left;
		const struct file *file = dma->maps[*hint].file;

		if (prot == DMA_CAN_WRITE)
			memcpy(at, data, n);
		else
			memcpy(data, at, n);
		probe = iova;
		if (file->lost) { /* just now: reach() refuses lost files */
			dma_count_lost(dma, probe);
			return -EFAULT;
		}
		data += n;
		iova += n;
		left -= n;
		if (left)
			at = reach(dma, hint, iova, prot, &run);
	}
	return 0;

refused:
	dma_count_refused(dma, probe);
	return -EFAULT;
}

int dma_read(struct dma *dma, unsigned *hint, uint64_t iova, void *to, size_t len)
{
	return transfer(dma, hint, iova, to, len, DMA_CAN_READ);
}

int dma_write(struct dma *dma, unsigned *hint, uint64_t iova, const void *from, size_t len)
{
	return transfer(dma, hint, iova, (uint8_t *)(uintptr_t)from, len, DMA_CAN_WRITE);
}
