/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the kernel or a vfio-user server says of a region, checked.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

#include "pci/function.h"

/* Whole pages inside the region, or nothing. */
static bool add_area(struct pci_region *region, uint64_t offset, uint64_t size)
{
	if (offset > region->size || size > region->size - offset || offset % PCI_PAGE)
		return false;
	size -= size % PCI_PAGE;
	if (size) {
		region->area[region->areas].offset = offset;
		region->area[region->areas++].size = size;
	}
	return true;
}

static int parse_sparse(struct pci_region *region, const uint8_t *info, size_t size, size_t at,
	struct pci_error *why)
{
	struct vfio_region_info_cap_sparse_mmap sparse;

	if (size - at < sizeof(sparse))
		return pci_fail(why, -EPROTO, "a capability is cut off");
	memcpy(&sparse, info + at, sizeof(sparse));
	at += sizeof(sparse);
	if (sparse.nr_areas > PCI_MAX_AREAS ||
		sparse.nr_areas * sizeof(struct vfio_region_sparse_mmap_area) > size - at)
		return pci_fail(
			why, -EPROTO, "%u areas to map are too many", (unsigned)sparse.nr_areas);
	for (unsigned i = 0; i < sparse.nr_areas; i++) {
		struct vfio_region_sparse_mmap_area area;

		memcpy(&area, info + at + i * sizeof(area), sizeof(area));
		if (!add_area(region, area.offset, area.size))
			return pci_fail(why, -EPROTO, "an area to map lies outside its region");
	}
	return 0;
}

int pci_parse_region(
	struct pci_region *region, const uint8_t *info, size_t size, struct pci_error *why)
{
	struct vfio_region_info head;
	struct vfio_info_cap_header cap;
	bool sparse = false;
	int error;

	*region = (struct pci_region){0};
	if (size < sizeof(head))
		return pci_fail(why, -EPROTO, "a region's description is cut off");
	memcpy(&head, info, sizeof(head));
	region->size = head.size;
	region->offset = head.offset;
	region->flags = head.flags;
	if (!(head.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (head.offset % PCI_PAGE || head.offset > INT64_MAX - head.size || head.size > INT64_MAX)
		return pci_fail(why, -EPROTO, "a region lies at no possible place of its file");
	if (head.flags & VFIO_REGION_INFO_FLAG_CAPS) {
		size_t at = head.cap_offset;

		/* Offsets must grow: no loop. */
		for (size_t last = sizeof(head) - 1; at; last = at, at = cap.next) {
			if (at <= last || at % 4 || at > size || size - at < sizeof(cap))
				return pci_fail(
					why, -EPROTO, "a region's capabilities are no list");
			memcpy(&cap, info + at, sizeof(cap));
			if (cap.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP || sparse)
				continue;
			error = parse_sparse(region, info, size, at, why);
			if (error)
				return error;
			sparse = true;
		}
	}
	if (!sparse)
		add_area(region, 0, region->size);
	return 0;
}
