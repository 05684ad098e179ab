/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A function behind the kernel's VFIO: container, group, device (Linux,
 * Documentation/driver-api/vfio.rst and include/uapi/linux/vfio.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pci/function.h"
#include "pci/vfio_group.h"

#define MAX_RANGES 64u

struct vfio_function {
	struct pci_function fn; /* first */
	int container, group, device;
	bool can_reset;
	uint64_t offset[VFIO_PCI_NUM_REGIONS]; /* of a region in the device's file */
	uint64_t mapped;                       /* bytes, for the card */
};

static struct vfio_function *self(struct pci_function *fn)
{
	return (struct vfio_function *)fn;
}

static int vfio_ioctl(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

/* --- operations --- */

static int vfio_region(struct pci_function *fn, unsigned index, uint8_t info[PCI_MAX_INFO], int *fd,
	struct pci_error *why)
{
	struct vfio_region_info head = {.argsz = PCI_MAX_INFO, .index = index};
	int error;

	memset(info, 0, PCI_MAX_INFO);
	memcpy(info, &head, sizeof(head));
	*fd = -1;
	error = vfio_ioctl(self(fn)->device, VFIO_DEVICE_GET_REGION_INFO, info);
	if (error < 0)
		return pci_fail(why, error, "%s: VFIO knows no region %u: %s", fn->address, index,
			strerror(-error));
	memcpy(&head, info, sizeof(head));
	self(fn)->offset[index] = head.offset;
	if (head.flags & VFIO_REGION_INFO_FLAG_MMAP) {
		*fd = fcntl(self(fn)->device, F_DUPFD_CLOEXEC, 0);
		if (*fd < 0)
			return pci_fail(why, -errno, "%s: %s", fn->address, strerror(errno));
	}
	return head.argsz < PCI_MAX_INFO ? (int)head.argsz : (int)PCI_MAX_INFO;
}

static int vfio_read(
	struct pci_function *fn, unsigned region, uint64_t offset, unsigned size, uint32_t *value)
{
	ssize_t n;

	*value = 0;
	n = pread(self(fn)->device, value, size, (off_t)(self(fn)->offset[region] + offset));
	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

static int vfio_write(struct pci_function *fn, unsigned region, uint64_t offset, unsigned size,
	uint32_t value, bool posted)
{
	ssize_t n =
		pwrite(self(fn)->device, &value, size, (off_t)(self(fn)->offset[region] + offset));

	(void)posted;
	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

static int vfio_irq_count(struct pci_function *fn, unsigned index)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};
	int error = vfio_ioctl(self(fn)->device, VFIO_DEVICE_GET_IRQ_INFO, &info);

	if (error < 0)
		return error;
	return info.flags & VFIO_IRQ_INFO_EVENTFD ? (int)info.count : 0;
}

static int vfio_irq_set(
	struct pci_function *fn, unsigned index, uint32_t flags, unsigned count, const int *fds)
{
	const struct vfio_irq_set head = {
		.argsz = (uint32_t)(sizeof(head) + (fds ? count * sizeof(*fds) : 0)),
		.flags = flags,
		.index = index,
		.count = count,
	};
	_Alignas(struct vfio_irq_set) uint8_t set[sizeof(head) + PCI_MAX_VECTORS * sizeof(*fds)];

	if (head.argsz > sizeof(set))
		return -EINVAL;
	memcpy(set, &head, sizeof(head));
	if (fds)
		memcpy(set + sizeof(head), fds, count * sizeof(*fds));
	return vfio_ioctl(self(fn)->device, VFIO_DEVICE_SET_IRQS, set);
}

/* KiB of memory that this process has locked already. */
static uint64_t locked_kib(const struct vfio_function *f)
{
	uint64_t kib = f->mapped >> 10;
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	if (!status)
		return kib;
	while (fgets(line, sizeof(line), status)) {
		if (strncmp(line, "VmLck:", 6) == 0)
			kib = strtoull(line + 6, NULL, 10);
	}
	fclose(status);
	return kib;
}

static int explain_map(const struct vfio_function *f, int error, size_t size, struct pci_error *why)
{
	struct rlimit limit;
	uint64_t wanted = locked_kib(f) + (size >> 10);

	if (error == -ENOMEM && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
		limit.rlim_cur >> 10 < wanted)
		return pci_fail(why, error,
			"%s: the limit of locked memory is %llu KiB, %llu are needed: ulimit -l "
			"%llu, or LimitMEMLOCK=%lluK in the service",
			f->fn.address, (unsigned long long)limit.rlim_cur >> 10,
			(unsigned long long)wanted, (unsigned long long)wanted,
			(unsigned long long)wanted);
	if (error == -ENOSPC)
		return pci_fail(why, error,
			"%s: the IOMMU takes no more mappings: raise dma_entry_limit of "
			"vfio_iommu_type1",
			f->fn.address);
	return pci_fail(why, error, "%s: %zu KiB can't be mapped for the card: %s", f->fn.address,
		size >> 10, strerror(-error));
}

static int vfio_dma_map(struct pci_function *fn, const struct dma_region *region, size_t offset,
	uint64_t iova, size_t size, struct pci_error *why)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)(region->base + offset),
		.iova = iova,
		.size = size,
	};
	int error = vfio_ioctl(self(fn)->container, VFIO_IOMMU_MAP_DMA, &map);

	if (error < 0)
		return explain_map(self(fn), error, size, why);
	self(fn)->mapped += size;
	return 0;
}

static void vfio_dma_unmap(struct pci_function *fn, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	/* What another process mapped is not in our sum. */
	if (vfio_ioctl(self(fn)->container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0)
		self(fn)->mapped -= size < self(fn)->mapped ? size : self(fn)->mapped;
}

/* The request to give the device back, and an uncorrectable error, come by the same eventfd. */
static void listen_for_end(struct vfio_function *f)
{
	static const unsigned indices[] = {VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX};

	for (size_t i = 0; i < 2 && f->fn.gone_fd >= 0; i++) {
		if (vfio_irq_count(&f->fn, indices[i]) > 0)
			vfio_irq_set(&f->fn, indices[i],
				VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1,
				&f->fn.gone_fd);
	}
}

/* A reset of the whole bus or slot, where all that it would hit is in our group. */
static int hot_reset(struct vfio_function *f)
{
	union {
		struct vfio_pci_hot_reset_info head;
		uint8_t bytes[4096];
	} info = {.head = {.argsz = sizeof(info)}};
	union {
		struct vfio_pci_hot_reset head;
		uint8_t bytes[sizeof(struct vfio_pci_hot_reset) + sizeof(int32_t)];
	} reset = {.head = {.argsz = sizeof(reset), .count = 1}};
	const struct vfio_pci_dependent_device *device = info.head.devices;

	/* -ENOSPC where they are more than fit. */
	if (vfio_ioctl(f->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info) < 0)
		return -ENOTSUP;
	for (unsigned i = 1; i < info.head.count; i++) {
		if (device[i].group_id != device[0].group_id)
			return -ENOTSUP;
	}
	reset.head.group_fds[0] = f->group;
	return vfio_ioctl(f->device, VFIO_DEVICE_PCI_HOT_RESET, &reset) < 0 ? -ENOTSUP : 0;
}

static int vfio_reset(struct pci_function *fn)
{
	struct vfio_function *f = self(fn);

	/* An importer that died has left its own eventfd there. */
	listen_for_end(f);
	return f->can_reset ? vfio_ioctl(f->device, VFIO_DEVICE_RESET, NULL) : hot_reset(f);
}

static bool vfio_check(struct pci_function *fn)
{
	uint64_t times;

	return fn->gone_fd >= 0 && read(fn->gone_fd, &times, sizeof(times)) == sizeof(times);
}

static void vfio_export(
	const struct pci_function *fn, struct pci_handover *handover, int fd[PCI_HANDOVER_FDS])
{
	const struct vfio_function *f = (const struct vfio_function *)fn;

	handover->kind = PCI_KIND_VFIO;
	handover->fds = 3;
	fd[0] = f->container;
	fd[1] = f->group;
	fd[2] = f->device;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void vfio_close(struct pci_function *fn)
{
	struct vfio_function *f = self(fn);

	close_if(fn->gone_fd);
	close_if(f->device);
	close_if(f->group);
	close_if(f->container);
	free(f);
}

static const struct pci_backend vfio_backend = {
	.kernel = true,
	.close = vfio_close,
	.read = vfio_read,
	.write = vfio_write,
	.region = vfio_region,
	.irq_count = vfio_irq_count,
	.irq_set = vfio_irq_set,
	.dma_map = vfio_dma_map,
	.dma_unmap = vfio_dma_unmap,
	.reset = vfio_reset,
	.check = vfio_check,
	.export = vfio_export,
};

/* --- opening --- */

/* What the IOMMU can translate. Kernels before 5.4 do not say: then 39 bits, the least that any
 * IOMMU of a PC has.
 */
static int learn_addresses(struct vfio_function *f, struct pci_error *why)
{
	union {
		struct vfio_iommu_type1_info head;
		uint8_t bytes[4096];
	} info = {.head = {.argsz = sizeof(info)}};
	struct iova_run ranges[MAX_RANGES] = {{0, (UINT64_C(1) << 39) - 1}};
	size_t n = 1, size;
	int error = vfio_ioctl(f->container, VFIO_IOMMU_GET_INFO, &info);

	if (error < 0)
		return pci_fail(why, error, "%s: VFIO says nothing of the IOMMU: %s", f->fn.address,
			strerror(-error));
	size = info.head.argsz < sizeof(info) ? info.head.argsz : sizeof(info);
	if (info.head.flags & VFIO_IOMMU_INFO_PGSIZES && !(info.head.iova_pgsizes & PCI_PAGE))
		return pci_fail(
			why, -ENOTSUP, "%s: the IOMMU has no pages of 4 KiB", f->fn.address);
	for (size_t at = info.head.flags & VFIO_IOMMU_INFO_CAPS ? info.head.cap_offset : 0;
		at && at + sizeof(struct vfio_iommu_type1_info_cap_iova_range) <= size;) {
		struct vfio_iommu_type1_info_cap_iova_range cap;

		memcpy(&cap, info.bytes + at, sizeof(cap));
		if (cap.header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
			for (n = 0; n < cap.nr_iovas && n < MAX_RANGES; n++) {
				size_t from = at + sizeof(cap) + n * sizeof(struct vfio_iova_range);
				struct vfio_iova_range range;

				if (from + sizeof(range) > size)
					break;
				memcpy(&range, info.bytes + from, sizeof(range));
				ranges[n] = (struct iova_run){range.start, range.end};
			}
			break;
		}
		at = cap.header.next;
	}
	error = iova_init(&f->fn.iova, ranges, n);
	return error ? pci_fail(why, error, "%s: %s", f->fn.address, strerror(-error)) : 0;
}

/* What is the same for a device that was opened here and one that was handed over. */
static int start(struct vfio_function *f, struct pci_error *why)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int error = vfio_ioctl(f->device, VFIO_DEVICE_GET_INFO, &info);

	if (error < 0 || !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return pci_fail(why, -EINVAL, "%s: it is no PCI device of VFIO", f->fn.address);
	f->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	error = learn_addresses(f, why);
	if (error)
		return error;
	f->fn.gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->fn.gone_fd < 0)
		return pci_fail(why, -errno, "%s: %s", f->fn.address, strerror(errno));
	listen_for_end(f);
	return 0;
}

static int open_container(
	const struct vfio_paths *paths, const char *address, struct pci_error *why)
{
	char path[64];
	int fd, error;

	snprintf(path, sizeof(path), "%.40s/vfio", paths->dev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		if (error == -ENOENT || error == -ENODEV)
			return pci_fail(why, -ENOTSUP, "%s: there is no %s: modprobe vfio-pci",
				address, path);
		if (error == -EACCES || error == -EPERM) /* it gives no access to any device */
			return pci_fail(why, error,
				"%s: no permission on %s: as root, chmod 666 it", address, path);
		return pci_fail(why, error, "%s: %s: %s", address, path, strerror(-error));
	}
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
		ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		close(fd);
		return pci_fail(why, -ENOTSUP,
			"%s: this kernel's VFIO has no type 1 IOMMU: modprobe vfio_iommu_type1",
			address);
	}
	return fd;
}

/* Puts the group into the container and takes the device out of it. */
static int open_device(struct vfio_function *f, int group, struct pci_error *why)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	const char *address = f->fn.address;
	int error = vfio_ioctl(f->group, VFIO_GROUP_GET_STATUS, &status);

	if (error < 0 || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return pci_fail(why, -EBUSY,
			"%s: another device of IOMMU group %d is in use: ls "
			"/sys/kernel/iommu_groups/%d/devices lists them; unbind them",
			address, group, group);
	error = vfio_ioctl(f->group, VFIO_GROUP_SET_CONTAINER, &f->container);
	if (error < 0)
		return pci_fail(why, error, "%s: IOMMU group %d can't be used: %s", address, group,
			strerror(-error));
	if (ioctl(f->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
		if (errno == EPERM)
			return pci_fail(why, -ENOTSUP,
				"%s: the IOMMU can't remap interrupts, so the card could forge "
				"them: switch interrupt remapping on in the firmware",
				address);
		return pci_fail(
			why, -errno, "%s: the IOMMU can't be used: %s", address, strerror(errno));
	}
	f->device = vfio_ioctl(f->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)address);
	if (f->device < 0)
		return pci_fail(why, f->device, "%s: VFIO does not open the device: %s", address,
			strerror(-f->device));
	return 0;
}

static struct vfio_function *new_function(const char *address)
{
	struct vfio_function *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	pci_function_init(&f->fn, &vfio_backend, address);
	f->container = f->group = f->device = -1;
	return f;
}

int vfio_open(struct pci_function **out, const char *address, struct pci_error *why)
{
	static const struct vfio_paths paths = {"/sys", "/dev/vfio"};
	struct vfio_function *f;
	int group, error;

	group = vfio_find_group(&paths, address, why);
	if (group < 0)
		return group;
	f = new_function(address);
	if (!f)
		return pci_fail(why, -ENOMEM, "%s: %s", address, strerror(ENOMEM));
	error = f->container = open_container(&paths, address, why);
	if (error >= 0)
		error = f->group = vfio_open_group(&paths, address, group, why);
	if (error >= 0)
		error = open_device(f, group, why);
	if (error >= 0)
		error = start(f, why);
	if (error < 0) {
		pci_close(&f->fn);
		return error;
	}
	*out = &f->fn;
	return 0;
}

int vfio_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why)
{
	struct vfio_function *f = new_function(handover->address);
	int error;

	if (!f) {
		for (size_t i = 0; i < 3; i++)
			close(fd[i]);
		return pci_fail(why, -ENOMEM, "%s: %s", handover->address, strerror(ENOMEM));
	}
	f->container = fd[0];
	f->group = fd[1];
	f->device = fd[2];
	error = start(f, why);
	if (error) {
		pci_close(&f->fn);
		return error;
	}
	*out = &f->fn;
	return 0;
}
