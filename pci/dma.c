/* SPDX-License-Identifier: BSD-3-Clause
 *
 * DMA memory: memfds sealed against resizing, mapped here and for the card.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "pci/function.h"

#define SEALS    (F_SEAL_SHRINK | F_SEAL_GROW)
#define MAX_SIZE (DMA_MAX_CHUNKS * DMA_CHUNK_SIZE)

struct dma_entry {
	struct dma_region region; /* first: what the caller holds is the entry */
	struct dma_entry *next;
	bool ours; /* the card's mapping, to undo; else there is none, or it is somebody else's */
};

static size_t chunk_size(const struct dma_region *region, size_t chunk)
{
	size_t left = region->size - (chunk << DMA_CHUNK_SHIFT);

	return left < DMA_CHUNK_SIZE ? left : DMA_CHUNK_SIZE;
}

/* Bytes from `chunk` on whose IOVAs follow one another; the next run begins at *next. */
static size_t run_size(const struct dma_region *region, size_t chunk, size_t *next)
{
	size_t size = chunk_size(region, chunk);
	size_t i = chunk + 1;

	while (i < region->chunks && region->iova[i] == region->iova[chunk] + size)
		size += chunk_size(region, i++);
	*next = i;
	return size;
}

/* Unmaps the runs of chunks [0, end) from the card. */
static void unmap_runs(struct pci_function *fn, const struct dma_region *region, size_t end)
{
	for (size_t chunk = 0, next; chunk < end; chunk = next) {
		size_t size = run_size(region, chunk, &next);

		fn->backend->dma_unmap(fn, region->iova[chunk], size);
	}
}

static int map_runs(struct pci_function *fn, const struct dma_region *region, struct pci_error *why)
{
	for (size_t chunk = 0, next; chunk < region->chunks; chunk = next) {
		size_t size = run_size(region, chunk, &next);
		int error = fn->backend->dma_map(
			fn, region, chunk << DMA_CHUNK_SHIFT, region->iova[chunk], size, why);

		if (error) {
			unmap_runs(fn, region, chunk);
			return error;
		}
	}
	return 0;
}

static void free_iovas(struct pci_function *fn, const struct dma_region *region, size_t end)
{
	/* A run was taken as one, or chunk by chunk: a start that is none is ignored. */
	for (size_t chunk = 0; chunk < end; chunk++)
		iova_free(&fn->iova, region->iova[chunk]);
}

/* One run if there is one, else chunk by chunk. */
static int take_iovas(struct pci_function *fn, struct dma_region *region)
{
	int error = iova_alloc(&fn->iova, region->size, &region->iova[0]);

	if (!error) {
		for (size_t i = 1; i < region->chunks; i++)
			region->iova[i] = region->iova[0] + (i << DMA_CHUNK_SHIFT);
		return 0;
	}
	for (size_t i = 0; i < region->chunks; i++) {
		error = iova_alloc(&fn->iova, chunk_size(region, i), &region->iova[i]);
		if (error) {
			free_iovas(fn, region, i);
			return error;
		}
	}
	return 0;
}

static int reserve_iovas(struct pci_function *fn, const struct dma_region *region)
{
	for (size_t i = 0; i < region->chunks; i++) {
		int error = region->iova[i] % PCI_PAGE ? -EINVAL
						       : iova_reserve(&fn->iova, region->iova[i],
								 chunk_size(region, i));

		if (error) {
			free_iovas(fn, region, i);
			return error;
		}
	}
	return 0;
}

/* Why that memory cannot be trusted to stay, or NULL; *size is its size. Resizing would make our
 * own accesses fatal, and so would a hole in huge pages once none is left to fill it.
 */
static const char *unfit(int memfd, bool huge, size_t *size)
{
	struct stat status;
	struct statfs fs;
	int seals = fcntl(memfd, F_GET_SEALS);

	if (seals < 0 || fstat(memfd, &status) || fstatfs(memfd, &fs))
		return "it is no memfd";
	if ((seals & SEALS) != SEALS)
		return "it is not sealed against shrinking and growing";
	if (seals & F_SEAL_WRITE || (fcntl(memfd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return "it is not to be written to";
	if (!huge && fs.f_type == HUGETLBFS_MAGIC)
		return "it is of huge pages, in which its owner can punch holes";
	if (status.st_size <= 0 || status.st_size % PCI_PAGE || (uint64_t)status.st_size > MAX_SIZE)
		return "its size is not 4 KiB to 1 GiB in whole pages";
	*size = (size_t)status.st_size;
	return NULL;
}

/* Maps the memfd here; the entry takes it over, also on failure: NULL, memory is short. */
static struct dma_entry *new_entry(int memfd, size_t size)
{
	struct dma_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		goto no_entry;
	entry->region.size = size;
	entry->region.memfd = memfd;
	entry->region.chunks = (uint32_t)((size + DMA_CHUNK_SIZE - 1) >> DMA_CHUNK_SHIFT);
	entry->region.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (entry->region.base == MAP_FAILED)
		goto no_mapping;
	/* Frames are nobody's business, a core dump's reader's neither. */
	(void)madvise(entry->region.base, size, MADV_DONTDUMP);
	return entry;
no_mapping:
	free(entry);
no_entry:
	close(memfd);
	return NULL;
}

static void free_entry(struct dma_entry *entry)
{
	munmap(entry->region.base, entry->region.size);
	close(entry->region.memfd);
	free(entry);
}

static void link_entry(struct pci_function *fn, struct dma_entry *entry)
{
	entry->next = fn->regions;
	fn->regions = entry;
}

/* Gives new memory its place in the card's addresses, of which the card is not told. Frees the
 * entry on failure.
 */
static int place(struct pci_function *fn, struct dma_entry *entry, struct dma_region **out,
	struct pci_error *why)
{
	int error = take_iovas(fn, &entry->region);

	if (error) {
		pci_fail(why, error, "%s: no I/O virtual addresses left for %zu KiB", fn->address,
			entry->region.size >> 10);
		free_entry(entry);
		return error;
	}
	link_entry(fn, entry);
	*out = &entry->region;
	return 0;
}

/* The same, and maps it. */
static int attach(struct pci_function *fn, struct dma_entry *entry, struct dma_region **out,
	struct pci_error *why)
{
	struct dma_region *region;
	int error = place(fn, entry, &region, why);

	if (error)
		return error;
	error = pci_dma_map(fn, region, why);
	if (error) {
		pci_dma_destroy(fn, region);
		return error;
	}
	*out = region;
	return 0;
}

/* A memfd of that size whose pages are there, or -errno. */
static int new_memfd(size_t size, unsigned flags)
{
	int memfd = memfd_create("pci-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	int error;

	if (memfd < 0)
		return -errno;
	if (fallocate(memfd, 0, 0, (off_t)size) || fcntl(memfd, F_ADD_SEALS, SEALS | F_SEAL_SEAL)) {
		error = -errno;
		close(memfd);
		return error;
	}
	return memfd;
}

int pci_dma_create(
	struct pci_function *fn, size_t size, struct dma_region **out, struct pci_error *why)
{
	struct dma_entry *entry;
	int memfd = -1;

	if (pci_gone(fn))
		return pci_fail(why, -ENODEV, "%s: the card is gone", fn->address);
	if (size == 0 || size > MAX_SIZE)
		return pci_fail(why, -EINVAL, "%s: a DMA region has 1 byte to %zu MiB", fn->address,
			MAX_SIZE >> 20);
	size = (size + PCI_PAGE - 1) & ~(size_t)(PCI_PAGE - 1);
	if (size % DMA_CHUNK_SIZE == 0)
		memfd = new_memfd(size, MFD_HUGETLB | MFD_HUGE_2MB);
	if (memfd < 0) /* none set aside: they are for who wants them */
		memfd = new_memfd(size, 0);
	entry = memfd < 0 ? NULL : new_entry(memfd, size);
	if (!entry)
		return pci_fail(why, -ENOMEM, "%s: %zu KiB of memory can't be had: %s", fn->address,
			size >> 10, strerror(memfd < 0 ? -memfd : ENOMEM));
	return attach(fn, entry, out, why);
}

/* An entry for a memfd that somebody else has; NULL with *error and `why`. */
static struct dma_entry *entry_of(
	struct pci_function *fn, int memfd, bool huge, int *error, struct pci_error *why)
{
	struct dma_entry *entry;
	const char *fault;
	size_t size;
	int own;

	if (pci_gone(fn)) {
		*error = pci_fail(why, -ENODEV, "%s: the card is gone", fn->address);
		return NULL;
	}
	fault = unfit(memfd, huge, &size);
	if (fault) {
		*error = pci_fail(
			why, -EINVAL, "%s: memory can't be attached: %s", fn->address, fault);
		return NULL;
	}
	own = fcntl(memfd, F_DUPFD_CLOEXEC, 0);
	entry = own < 0 ? NULL : new_entry(own, size);
	if (!entry)
		*error = pci_fail(why, -ENOMEM, "%s: memory can't be attached: %s", fn->address,
			strerror(ENOMEM));
	return entry;
}

int pci_dma_attach(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why)
{
	int error = 0;
	struct dma_entry *entry = entry_of(fn, memfd, false, &error, why);

	return entry ? attach(fn, entry, out, why) : error;
}

int pci_dma_again(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why)
{
	int error = 0;
	struct dma_entry *entry = entry_of(fn, memfd, true, &error, why);

	return entry ? attach(fn, entry, out, why) : error;
}

int pci_dma_place(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why)
{
	int error = 0;
	struct dma_entry *entry = entry_of(fn, memfd, false, &error, why);

	return entry ? place(fn, entry, out, why) : error;
}

int pci_dma_map(struct pci_function *fn, struct dma_region *region, struct pci_error *why)
{
	int error = map_runs(fn, region, why);

	if (!error)
		pci_dma_own(region);
	return error;
}

void pci_dma_own(struct dma_region *region)
{
	((struct dma_entry *)region)->ours = true;
}

/* Maps the entry for the card at those addresses. Frees it on failure. */
static int attach_at(struct pci_function *fn, struct dma_entry *entry, const uint64_t *iova,
	struct dma_region **out, struct pci_error *why)
{
	int error;

	memcpy(entry->region.iova, iova, entry->region.chunks * sizeof(*iova));
	error = reserve_iovas(fn, &entry->region);
	if (error) {
		free_entry(entry);
		return pci_fail(why, error == -EBUSY ? -EEXIST : error,
			"%s: memory can't be attached: its addresses are taken or out of reach",
			fn->address);
	}
	link_entry(fn, entry);
	error = pci_dma_map(fn, &entry->region, why);
	if (error) {
		pci_dma_destroy(fn, &entry->region);
		return error;
	}
	*out = &entry->region;
	return 0;
}

int pci_dma_attach_at(struct pci_function *fn, int memfd, const struct dma_handover *at,
	struct dma_region **out, struct pci_error *why)
{
	int error = 0;
	struct dma_entry *entry = entry_of(fn, memfd, false, &error, why);

	if (!entry)
		return error;
	if (at->size != entry->region.size || at->chunks != entry->region.chunks) {
		error = pci_fail(why, -EINVAL, "%s: memory of %zu KiB can't be attached as %llu",
			fn->address, entry->region.size >> 10, (unsigned long long)at->size >> 10);
		free_entry(entry);
		return error;
	}
	return attach_at(fn, entry, at->iova, out, why);
}

int pci_dma_share(struct pci_function *fn, const struct dma_region *region, struct dma_region **out,
	struct pci_error *why)
{
	int error = 0;
	struct dma_entry *entry = entry_of(fn, region->memfd, true, &error, why);

	return entry ? attach_at(fn, entry, region->iova, out, why) : error;
}

bool pci_dma_same(const struct dma_region *a, const struct dma_region *b)
{
	struct stat left, right;

	return !fstat(a->memfd, &left) && !fstat(b->memfd, &right) && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

int pci_dma_import(struct pci_function *fn, const struct dma_handover *handover, int memfd,
	struct dma_region **out, struct pci_error *why)
{
	struct dma_entry *entry;
	const char *fault;
	size_t size = 0;
	int error;

	fault = unfit(memfd, true, &size);
	if (!fault && (handover->size != size ||
			      handover->chunks != (size + DMA_CHUNK_SIZE - 1) >> DMA_CHUNK_SHIFT))
		fault = "its size is another one";
	if (fault) {
		close(memfd);
		return pci_fail(
			why, -EINVAL, "%s: memory can't be taken over: %s", fn->address, fault);
	}
	entry = new_entry(memfd, size);
	if (!entry)
		return pci_fail(why, -ENOMEM, "%s: memory can't be taken over: %s", fn->address,
			strerror(ENOMEM));
	memcpy(entry->region.iova, handover->iova,
		handover->chunks * sizeof(entry->region.iova[0]));
	error = reserve_iovas(fn, &entry->region);
	if (error) {
		free_entry(entry);
		return pci_fail(why, error,
			"%s: memory can't be taken over: its addresses are taken or out of reach",
			fn->address);
	}
	link_entry(fn, entry);
	*out = &entry->region;
	return 0;
}

void pci_dma_export(const struct dma_region *region, struct dma_handover *handover)
{
	*handover = (struct dma_handover){.size = region->size, .chunks = region->chunks};
	memcpy(handover->iova, region->iova, region->chunks * sizeof(region->iova[0]));
}

void pci_dma_destroy(struct pci_function *fn, struct dma_region *region)
{
	struct dma_entry **link = &fn->regions;
	struct dma_entry *entry;

	while (*link && &(*link)->region != region)
		link = &(*link)->next;
	entry = *link;
	if (!entry)
		return;
	*link = entry->next;
	if (entry->ours)
		unmap_runs(fn, region, region->chunks);
	free_iovas(fn, region, region->chunks);
	free_entry(entry);
}

void pci_dma_release(struct pci_function *fn)
{
	while (fn->regions) {
		struct dma_entry *entry = fn->regions;

		if (!fn->exported) {
			pci_dma_destroy(fn, &entry->region);
			continue;
		}
		fn->regions = entry->next;
		free_entry(entry);
	}
}
