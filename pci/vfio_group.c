/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See Linux, Documentation/driver-api/vfio.rst: a group can be used when each of its devices is
 * bound to a VFIO driver, to a driver that is known to do no DMA, or to none.
 */
#include "pci/vfio_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pci/function.h"

/* The last part of where a symbolic link leads. False: there is no such link. */
static bool link_name(char name[NAME_MAX + 1], const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *last;

	if (n <= 0)
		return false;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!*last || strlen(last) > NAME_MAX)
		return false;
	memcpy(name, last, strlen(last) + 1);
	return true;
}

static bool harmless(const char *driver)
{
	static const char *const names[] = {"vfio-pci", "pci-stub", "pcieport"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(driver, names[i]) == 0)
			return true;
	}
	return false;
}

/* Refuses a group with a member whose driver uses it. `directory` lists the members. */
static int check_members(
	const char *directory, const char *address, int group, struct pci_error *why)
{
	DIR *members = opendir(directory);
	struct dirent *member;
	int error = 0;

	if (!members)
		return pci_fail(why, -errno, "%s: %s: %s", address, directory, strerror(errno));
	while (!error && (member = readdir(members))) {
		char path[PATH_MAX], driver[NAME_MAX + 1];

		if (member->d_name[0] == '.' ||
			snprintf(path, sizeof(path), "%s/%s/driver", directory, member->d_name) >=
				(int)sizeof(path) ||
			!link_name(driver, path) || harmless(driver))
			continue;
		error = pci_fail(why, -EBUSY,
			"%s: IOMMU group %d also holds %.40s, which driver %.40s uses: unbind that "
			"one too, or put the card into another slot",
			address, group, member->d_name, driver);
	}
	closedir(members);
	return error;
}

int vfio_find_group(const struct vfio_paths *paths, const char *address, struct pci_error *why)
{
	char device[PATH_MAX / 2], path[PATH_MAX], name[NAME_MAX + 1];
	char *end;
	long group;

	if (snprintf(device, sizeof(device), "%s/bus/pci/devices/%s", paths->sysfs, address) >=
		(int)sizeof(device))
		return pci_fail(why, -ENAMETOOLONG, "%s: the path of sysfs is too long", address);
	if (access(device, F_OK))
		return pci_fail(why, -ENOENT,
			"%s: no such PCI function: lspci -D lists those that there are", address);
	snprintf(path, sizeof(path), "%s/iommu_group", device);
	if (!link_name(name, path))
		return pci_fail(why, -ENOTSUP,
			"%s: no IOMMU: switch it on in the firmware (VT-d, AMD-Vi) and, for Intel, "
			"boot Linux with intel_iommu=on",
			address);
	group = strtol(name, &end, 10);
	if (*end || group < 0 || group > INT_MAX)
		return pci_fail(
			why, -ENOTSUP, "%s: %.40s is no number of an IOMMU group", address, name);
	snprintf(path, sizeof(path), "%s/driver", device);
	if (!link_name(name, path))
		return pci_fail(why, -EBUSY,
			"%s: no driver has it, vfio-pci should: pcid --bind %s does that (by hand: "
			"doc/real-card.md)",
			address, address);
	if (strcmp(name, "vfio-pci") != 0)
		return pci_fail(why, -EBUSY,
			"%s: driver %.40s has it, vfio-pci should: pcid --bind %s does that (by "
			"hand: doc/real-card.md)",
			address, name, address);
	snprintf(path, sizeof(path), "%s/iommu_group/devices", device);
	return check_members(path, address, (int)group, why) ? -EBUSY : (int)group;
}

int vfio_open_group(
	const struct vfio_paths *paths, const char *address, int group, struct pci_error *why)
{
	char path[PATH_MAX];
	int fd, error;

	snprintf(path, sizeof(path), "%.1000s/%d", paths->dev, group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	error = -errno;
	switch (error) {
	case -EBUSY:
		return pci_fail(why, error, "%s: another program has %s: fuser -v %s names it",
			address, path, path);
	case -EACCES:
	case -EPERM:
		return pci_fail(why, error,
			"%s: no permission on %s: as root, chown it to the user who runs this",
			address, path);
	case -ENOENT:
		snprintf(path, sizeof(path), "%.1000s/noiommu-%d", paths->dev, group);
		if (access(path, F_OK) == 0)
			return pci_fail(why, -ENOTSUP,
				"%s: VFIO runs without an IOMMU, so the card could write anywhere: "
				"that is not offered; switch the IOMMU on",
				address);
		return pci_fail(why, -ENOTSUP, "%s: there is no %.100s/%d: modprobe vfio-pci",
			address, paths->dev, group);
	default: return pci_fail(why, error, "%s: %s: %s", address, path, strerror(-error));
	}
}
