/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Binding by sysfs (Linux, Documentation/ABI/testing/sysfs-bus-pci).
 */
#include "pcid/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcid/judge.h"

#define PROBE_LIMIT_MS 2000

/* Writes one value to SYSFS/bus/pci/WHERE. */
static int put(const char *sysfs, const char *where, const char *value)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/bus/pci/%s", sysfs, where);
	int result = 0;
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		result = -errno;
	(void)close(fd);
	return result;
}

#define NAME_SIZE sizeof(((struct binding *)0)->driver)

static void current_driver(const char *sysfs, const char *address, char driver[NAME_SIZE])
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	const char *name;
	ssize_t len;
	int n = snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", sysfs, address);

	driver[0] = '\0';
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return;
	target[len] = '\0';
	name = strrchr(target, '/');
	(void)snprintf(driver, NAME_SIZE, "%.63s", name != NULL ? name + 1 : target);
}

static void current_override(const char *sysfs, const char *address, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t len = 0;
	int fd;
	int n = snprintf(
		path, sizeof(path), "%s/bus/pci/devices/%s/driver_override", sysfs, address);

	text[0] = '\0';
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	len = read(fd, text, size - 1);
	(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "(null)") == 0)
		text[0] = '\0';
}

/* Sets the override, takes the function from its driver, has drivers look at it if `probe`. */
static int rebind(const char *sysfs, const char *address, const char *override, bool probe)
{
	char path[128];
	char driver[NAME_SIZE];
	int result;

	(void)snprintf(path, sizeof(path), "devices/%s/driver_override", address);
	result = put(sysfs, path, override[0] != '\0' ? override : "\n");
	if (result != 0)
		return result;
	current_driver(sysfs, address, driver);
	if (driver[0] != '\0') {
		(void)snprintf(path, sizeof(path), "devices/%s/driver/unbind", address);
		result = put(sysfs, path, address);
		if (result != 0)
			return result;
	}
	return probe ? put(sysfs, "drivers_probe", address) : 0;
}

int bind_to_vfio(
	struct binding *binding, const char *address, const char *sysfs, char *why, size_t size)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	char ignored[256];
	char driver[NAME_SIZE];
	int result;

	*binding = (struct binding){0};
	(void)snprintf(binding->address, sizeof(binding->address), "%s", address);
	current_driver(sysfs, address, binding->driver);
	current_override(sysfs, address, binding->override, sizeof(binding->override));
	result = rebind(sysfs, address, VFIO_DRIVER, true);
	binding->changed = true;
	if (result != 0) {
		(void)snprintf(why, size, "%s: cannot be bound to %s: %s", address, VFIO_DRIVER,
			strerror(-result));
		goto failed;
	}
	/* The probe is done when the write returns, but udev may be at work on the module. */
	for (int ms = 0; ms < PROBE_LIMIT_MS; ms += 10) {
		current_driver(sysfs, address, driver);
		if (strcmp(driver, VFIO_DRIVER) == 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	result = -ENODEV;
	(void)snprintf(why, size, "%s: %s does not take it: load it with modprobe %s", address,
		VFIO_DRIVER, VFIO_DRIVER);
failed:
	(void)bind_restore(binding, sysfs, ignored, sizeof(ignored));
	return result;
}

int bind_restore(struct binding *binding, const char *sysfs, char *why, size_t size)
{
	int result;

	if (!binding->changed)
		return 0;
	binding->changed = false;
	result = rebind(sysfs, binding->address, binding->override, binding->driver[0] != '\0');
	if (result != 0)
		(void)snprintf(why, size, "%s: cannot be given back to %s: %s", binding->address,
			binding->driver[0] != '\0' ? binding->driver : "no driver",
			strerror(-result));
	return result;
}
