/* SPDX-License-Identifier: BSD-3-Clause
 *
 * BARs: mapping them, as far as they can be mapped, and the registers in them. This is the data
 * path's way to the card: one comparison, one bit test, one access.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "pci/function.h"

#define WHOLE_SHIFT 31 /* one part: all of a BAR */
#define PAGE_SHIFT  12
#define PARTS       64u

/* Whether touching a mapping of a peer's file can't kill us: it is a memfd, and nobody can cut it
 * shorter or (huge pages) punch holes that can't be filled.
 */
static bool stays(int fd, uint64_t end)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;
	struct statfs fs;

	return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &status) == 0 &&
	       (uint64_t)status.st_size >= end && fstatfs(fd, &fs) == 0 &&
	       fs.f_type != HUGETLBFS_MAGIC;
}

/* Puts the areas of the region in place; what lies between stays unmapped. */
static int map_areas(struct pci_bar *bar, const struct pci_region *region, int fd)
{
	size_t room = (bar->size + PCI_PAGE - 1) & ~(size_t)(PCI_PAGE - 1);
	uint8_t *base;

	base = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < region->areas; i++) {
		uint64_t offset = region->area[i].offset;
		uint64_t size = region->area[i].size;

		if (!bar->fn->backend->kernel && !stays(fd, region->offset + offset + size))
			continue;
		if (mmap(base + offset, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    (off_t)(region->offset + offset)) == MAP_FAILED) {
			int error = -errno;

			munmap(base, room);
			return error;
		}
		if (offset == 0 && size == bar->size) {
			bar->part_shift = WHOLE_SHIFT;
			bar->mapped = 1;
			break;
		}
		for (uint64_t page = offset >> PAGE_SHIFT;
			page < (offset + size) >> PAGE_SHIFT && page < PARTS; page++)
			bar->mapped |= UINT64_C(1) << page;
	}
	if (bar->mapped)
		bar->base = (volatile uint8_t __iomem *)base;
	else
		munmap(base, room);
	return 0;
}

int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why)
{
	_Alignas(8) uint8_t info[PCI_MAX_INFO];
	struct pci_region region;
	struct pci_error what = {""};
	int fd = -1, size, error;

	if (index >= PCI_BARS || alive % 4)
		return pci_fail(why, -EINVAL, "%s: BAR %u can't be mapped", fn->address, index);
	if (pci_gone(fn))
		return pci_fail(why, -ENODEV, "%s: the card is gone", fn->address);
	size = fn->backend->region(fn, index, info, &fd, why);
	if (size < 0)
		return size;
	error = pci_parse_region(&region, info, (size_t)size, &what);
	if (!error && region.size > PCI_MAX_BAR)
		error = pci_fail(
			&what, -EPROTO, "%llu bytes are too many", (unsigned long long)region.size);
	if (!error && region.size < (uint64_t)alive + 4)
		error = pci_fail(&what, -EINVAL, "it has %llu bytes: is it another card's?",
			(unsigned long long)region.size);
	if (error)
		goto out;
	*bar = (struct pci_bar){
		.fn = fn,
		.part_shift = PAGE_SHIFT,
		.size = (uint32_t)region.size,
		.alive = alive,
		.index = index,
	};
	atomic_store(&fn->misuse[index], 0);
	error = pci_set_memory(fn);
	if (error) {
		pci_fail(&what, error, "memory access can't be switched on: %s", strerror(-error));
		goto out;
	}
	if (fd >= 0) {
		error = map_areas(bar, &region, fd);
		if (error)
			pci_fail(&what, error, "it can't be mapped: %s", strerror(-error));
	}
out:
	if (fd >= 0)
		close(fd);
	return error ? pci_fail(why, error, "%s: BAR %u: %s", fn->address, index, what.text) : 0;
}

void pci_bar_unmap(struct pci_bar *bar)
{
	if (bar->base)
		munmap((void *)(uintptr_t)bar->base,
			(bar->size + PCI_PAGE - 1) & ~(size_t)(PCI_PAGE - 1));
	*bar = (struct pci_bar){0};
}

static bool in_bar(const struct pci_bar *bar, uint32_t offset, uint32_t size)
{
	if (offset % size == 0 && offset < bar->size && bar->size - offset >= size)
		return true;
	if (bar->fn)
		atomic_fetch_add_explicit(&bar->fn->misuse[bar->index], 1, memory_order_relaxed);
	return false;
}

static bool is_mapped(const struct pci_bar *bar, uint32_t offset)
{
	uint32_t part = offset >> bar->part_shift;

	return part < PARTS && (bar->mapped >> part & 1);
}

/* What a register of `size` bytes reads when nobody answers. */
static inline uint32_t all_ones(uint32_t size)
{
	return UINT32_MAX >> (32 - 8 * size);
}

static inline uint32_t load(const struct pci_bar *bar, uint32_t offset, uint32_t size)
{
	uint32_t value;

	if (pci_gone(bar->fn))
		return all_ones(size);
	if (is_mapped(bar, offset))
		return size == 4   ? mmio_read32(bar->base + offset)
		       : size == 2 ? mmio_read16(bar->base + offset)
				   : mmio_read8(bar->base + offset);
	/* An error reply reads as a failed transaction does on the bus. */
	if (bar->fn->backend->read(bar->fn, bar->index, offset, size, &value))
		return all_ones(size);
	return value;
}

static inline uint32_t read_checked(const struct pci_bar *bar, uint32_t offset, uint32_t size)
{
	uint32_t value;

	if (!in_bar(bar, offset, size))
		return all_ones(size);
	value = load(bar, offset, size);
	/* A single transaction may fail: the card is asked twice. */
	if (value == all_ones(size) && load(bar, bar->alive, 4) == UINT32_MAX &&
		load(bar, bar->alive, 4) == UINT32_MAX)
		pci_set_gone(bar->fn);
	if (bar->fn->recorder)
		recorder_add(bar->fn->recorder, FLIGHT_READ, flight_register(bar->index, size),
			offset, value);
	return value;
}

uint32_t reg_read(const struct pci_bar *bar, uint32_t offset)
{
	return read_checked(bar, offset, 4);
}

uint16_t reg_read16(const struct pci_bar *bar, uint32_t offset)
{
	return (uint16_t)read_checked(bar, offset, 2);
}

uint8_t reg_read8(const struct pci_bar *bar, uint32_t offset)
{
	return (uint8_t)read_checked(bar, offset, 1);
}

static inline void store(const struct pci_bar *bar, uint32_t offset, uint32_t size, uint32_t value,
	enum flight_kind kind)
{
	if (!in_bar(bar, offset, size) || pci_gone(bar->fn))
		return;
	/* First, so that the last word of a process that dies by an access is that access. */
	if (bar->fn->recorder)
		recorder_add(
			bar->fn->recorder, kind, flight_register(bar->index, size), offset, value);
	/* Where other pages are mapped a message is waited for: what is written there next must
	 * not arrive before it.
	 */
	if (!is_mapped(bar, offset))
		bar->fn->backend->write(
			bar->fn, bar->index, offset, size, value, bar->base == NULL);
	else if (size == 4)
		mmio_write32(bar->base + offset, value);
	else if (size == 2)
		mmio_write16(bar->base + offset, (uint16_t)value);
	else
		mmio_write8(bar->base + offset, (uint8_t)value);
}

void reg_write(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	store(bar, offset, 4, value, FLIGHT_WRITE);
}

void reg_write16(const struct pci_bar *bar, uint32_t offset, uint16_t value)
{
	store(bar, offset, 2, value, FLIGHT_WRITE);
}

void reg_write8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	store(bar, offset, 1, value, FLIGHT_WRITE);
}

void reg_publish(const struct pci_bar *bar, uint32_t offset, uint32_t value)
{
	store(bar, offset, 4, value, FLIGHT_PUBLISH);
}

void reg_publish8(const struct pci_bar *bar, uint32_t offset, uint8_t value)
{
	store(bar, offset, 1, value, FLIGHT_PUBLISH);
}

volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset)
{
	if (!in_bar(bar, offset, 4) || !is_mapped(bar, offset) || bar->fn->recorder)
		return NULL;
	return bar->base + offset;
}

void reg_set(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) | bits);
}

void reg_clear(const struct pci_bar *bar, uint32_t offset, uint32_t bits)
{
	reg_write(bar, offset, reg_read(bar, offset) & ~bits);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int poll_until(const struct pci_bar *bar, uint32_t offset, uint32_t size, uint32_t mask,
	uint32_t value, unsigned timeout_us)
{
	uint64_t end = now_us() + timeout_us;
	unsigned pause = 1;

	for (;;) {
		/* The time is taken before the register: a process that was not run for long still
		 * looks once after its time is up.
		 */
		bool last = now_us() >= end;
		uint32_t found = read_checked(bar, offset, size);

		if (!bar->fn || pci_gone(bar->fn))
			return -ENODEV;
		if ((found & mask) == value)
			return 0;
		if (last)
			return -ETIMEDOUT;
		pci_delay_us(pause);
		if (pause < 500)
			pause *= 2;
	}
}

int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value,
	unsigned timeout_us)
{
	return poll_until(bar, offset, 4, mask, value, timeout_us);
}

int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value,
	unsigned timeout_us)
{
	return poll_until(bar, offset, 1, mask, value, timeout_us);
}

unsigned bar_misuse(const struct pci_bar *bar)
{
	return bar->fn ? atomic_load_explicit(&bar->fn->misuse[bar->index], memory_order_relaxed)
		       : 0;
}
