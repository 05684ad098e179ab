/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The checks before a card is taken.
 */
#include "pcid/judge.h"

#include <dirent.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_NETWORK 0x02u
#define CLASS_BRIDGE  0x06u

/* Whether the device behind an interface is the function, or a child of it (as virtio's is). */
static bool belongs(const char *sysfs, const char *interface, const char *address)
{
	char link[PATH_MAX];
	char real[PATH_MAX];
	size_t len = strlen(address);
	int n = snprintf(link, sizeof(link), "%s/class/net/%s/device", sysfs, interface);

	if (n < 0 || (size_t)n >= sizeof(link) || realpath(link, real) == NULL)
		return false;
	for (const char *at = real; (at = strstr(at, address)) != NULL; at++) {
		if (at > real && at[-1] == '/' && (at[len] == '\0' || at[len] == '/'))
			return true;
	}
	return false;
}

static bool is_up(const char *sysfs, const char *interface)
{
	char path[PATH_MAX];
	char text[32] = "";
	FILE *file;
	int n = snprintf(path, sizeof(path), "%s/class/net/%s/flags", sysfs, interface);

	if (n < 0 || (size_t)n >= sizeof(path))
		return true;
	file = fopen(path, "re");
	if (file == NULL)
		return true; /* what cannot be known is taken for the worse */
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	(void)fclose(file);
	return text[0] == '\0' || (strtoul(text, NULL, 16) & IFF_UP) != 0;
}

static bool is_addressed(const char *interface)
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return true;
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		if (a->ifa_addr != NULL && strcmp(a->ifa_name, interface) == 0 &&
			(a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6))
			found = true;
	}
	freeifaddrs(all);
	return found;
}

/* Whether a function's network interface is in use; `text` says how. */
static bool in_use(const struct bus_function *f, const char *sysfs, char *text, size_t size)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	bool visible = false;
	bool used = false;
	DIR *dir;
	int n = snprintf(path, sizeof(path), "%s/class/net", sysfs);

	if (f->driver[0] == '\0' || strcmp(f->driver, VFIO_DRIVER) == 0)
		return false;
	dir = n < 0 || (size_t)n >= sizeof(path) ? NULL : opendir(path);
	while (!used && dir != NULL && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		const char *state;

		if (name[0] == '.' || !belongs(sysfs, name, f->address))
			continue;
		visible = true;
		state = is_up(sysfs, name) ? "is up" : is_addressed(name) ? "has an address" : NULL;
		if (state == NULL)
			continue;
		(void)snprintf(text, size,
			"its interface %.32s %s: take it down and its addresses away first", name,
			state);
		used = true;
	}
	if (dir != NULL)
		(void)closedir(dir);
	if (!used && !visible && f->class >> 16 == CLASS_NETWORK) {
		(void)snprintf(text, size,
			"driver %s holds it, and no interface of it is to be seen here: another "
			"network "
			"namespace may use it; unbind it by hand",
			f->driver);
		used = true;
	}
	return used;
}

/* Whether VFIO lets a group pass in which such a function is (Linux, vfio.rst: all members bound to
 * vfio, to no driver, or to one of those that do no DMA).
 */
static bool harmless(const struct bus_function *f)
{
	return f->driver[0] == '\0' || strcmp(f->driver, VFIO_DRIVER) == 0 ||
	       strcmp(f->driver, "pci-stub") == 0 || f->class >> 16 == CLASS_BRIDGE;
}

enum verdict judge_function(const struct bus *bus, const struct bus_function *f, bool bind,
	const char *sysfs, char *text, size_t size)
{
	bool bound = strcmp(f->driver, VFIO_DRIVER) == 0;
	const struct bus_function *neighbour = NULL;
	char what[256];

	text[0] = '\0';
	if (f->group < 0) {
		(void)snprintf(text, size,
			"no IOMMU watches over it: switch the IOMMU on in the firmware and boot "
			"with "
			"intel_iommu=on (AMD's is on by default)");
		return VERDICT_NO;
	}
	if (in_use(f, sysfs, text, size))
		return VERDICT_NO;
	for (size_t i = 0; i < bus->count; i++) {
		const struct bus_function *other = &bus->functions[i];

		if (other == f || other->group != f->group || other->class >> 16 == CLASS_BRIDGE)
			continue;
		neighbour = other;
		if (in_use(other, sysfs, what, sizeof(what))) {
			(void)snprintf(text, size, "IOMMU group %d is shared with %s, and %s",
				f->group, other->address, what);
			return VERDICT_NO;
		}
		if (!harmless(other)) {
			(void)snprintf(text, size,
				"IOMMU group %d is shared with %s, which driver %s holds: unbind "
				"that one "
				"too",
				f->group, other->address, other->driver);
			return VERDICT_NO;
		}
	}
	if (!bound && !bind) {
		(void)snprintf(text, size, "%s%s: name it by --bind %s to take it",
			f->driver[0] == '\0' ? "no driver is bound to it" : "bound to driver ",
			f->driver, f->address);
		return VERDICT_NO;
	}
	if (neighbour != NULL)
		(void)snprintf(text, size,
			"not isolated: it shares IOMMU group %d with %s, and each can reach what "
			"the "
			"other can",
			f->group, neighbour->address);
	return bound ? VERDICT_READY : VERDICT_BIND;
}
