/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which IOMMU group a function is in, and whether it may be used: what sysfs tells before any VFIO
 * device is opened, so that a refusal can say what is in the way.
 */
#ifndef PCI_VFIO_GROUP_H
#define PCI_VFIO_GROUP_H

#include "pci/pci.h"

/* Where the system's files are; tests have trees of their own. */
struct vfio_paths {
	const char *sysfs; /* "/sys" */
	const char *dev;   /* "/dev/vfio" */
};

/* The number of the group, or -errno with a text. -ENOENT: no such function; -ENOTSUP: no IOMMU, or
 * only VFIO's mode without one; -EBUSY: the function, or another one in its group, has a driver
 * that is not VFIO's.
 */
int vfio_find_group(const struct vfio_paths *paths, const char *address, struct pci_error *why);

/* Opens the group: its descriptor, or -errno with a text. -EBUSY: another program has it. */
int vfio_open_group(
	const struct vfio_paths *paths, const char *address, int group, struct pci_error *why);

#endif
