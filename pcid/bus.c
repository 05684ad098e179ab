/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Scanning by libpci.
 */
#include "bus.h" /* without its folder: see there */

#include <errno.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libpci reports an error by a function that must not return and is given no context: the scan that
 * runs waits here.
 */
static _Thread_local struct {
	jmp_buf back;
	char *why;
	size_t size;
} scan;

__attribute__((noreturn, format(printf, 1, 2))) static void failed(char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(scan.why, scan.size, format, args);
	va_end(args);
	longjmp(scan.back, 1);
}

__attribute__((format(printf, 1, 2))) static void ignored(char *format, ...)
{
	(void)format;
}

static void read_function(struct pci_dev *dev, struct bus_function *f)
{
	const char *driver;
	const char *group;
	char *end;
	int known = PCI_FILL_IDENT | PCI_FILL_IRQ | PCI_FILL_BASES | PCI_FILL_SIZES |
		    PCI_FILL_CLASS | PCI_FILL_CLASS_EXT | PCI_FILL_SUBSYS | PCI_FILL_DRIVER |
		    PCI_FILL_IOMMU_GROUP;

	(void)pci_fill_info(dev, known);
	(void)snprintf(f->address, sizeof(f->address), "%04x:%02x:%02x.%u", (unsigned)dev->domain,
		dev->bus, dev->dev, dev->func);
	f->bus = dev->bus;
	f->device = dev->dev;
	f->function = dev->func;
	f->vendor_id = dev->vendor_id;
	f->device_id = dev->device_id;
	f->subvendor_id = dev->subsys_vendor_id;
	f->subdevice_id = dev->subsys_id;
	f->class = (uint32_t)dev->device_class << 8 | dev->prog_if;
	f->revision = dev->rev_id;
	f->irq = dev->irq > 0 ? (unsigned)dev->irq : 0;
	for (int i = 0; i < 6; i++) {
		f->bar[i] = dev->base_addr[i] & PCI_ADDR_MEM_MASK;
		f->bar_size[i] = dev->size[i];
	}
	driver = pci_get_string_property(dev, PCI_FILL_DRIVER);
	(void)snprintf(f->driver, sizeof(f->driver), "%s", driver != NULL ? driver : "");
	group = pci_get_string_property(dev, PCI_FILL_IOMMU_GROUP);
	f->group = -1;
	if (group != NULL) {
		long number = strtol(group, &end, 10);

		if (*group != '\0' && *end == '\0' && number >= 0 && number <= 0xffffff)
			f->group = (int)number;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct bus_function *one = a;
	const struct bus_function *other = b;

	return strcmp(one->address, other->address);
}

int bus_open(struct bus *bus, const char *sysfs, char *why, size_t size)
{
	struct pci_access *pci = pci_alloc();
	char path[4096];
	char devices[4096];
	int n = snprintf(path, sizeof(path), "%s/bus/pci", sysfs);
	int m = snprintf(devices, sizeof(devices), "%s/bus/pci/devices", sysfs);
	size_t count = 0;

	*bus = (struct bus){.names = pci};
	if (n < 0 || (size_t)n >= sizeof(path) || m < 0 || (size_t)m >= sizeof(devices)) {
		(void)snprintf(why, size, "%.64s...: too long a path", sysfs);
		bus_close(bus);
		return -EIO;
	}
	pci->error = failed;
	pci->warning = ignored;
	pci->debug = ignored;
	pci->method = PCI_ACCESS_SYS_BUS_PCI;
	scan.why = why;
	scan.size = size;
	if (setjmp(scan.back) != 0) {
		bus_close(bus);
		return -EIO;
	}
	(void)pci_set_param(pci, (char *)(uintptr_t) "sysfs.path", path);
	pci_init(pci);
	if (access(devices, F_OK) != 0)
		return 0;
	pci_scan_bus(pci);
	for (struct pci_dev *dev = pci->devices; dev != NULL; dev = dev->next)
		count++;
	bus->functions = calloc(count + 1, sizeof(*bus->functions));
	if (bus->functions == NULL) {
		bus_close(bus);
		return -ENOMEM;
	}
	for (struct pci_dev *dev = pci->devices; dev != NULL; dev = dev->next)
		read_function(dev, &bus->functions[bus->count++]);
	qsort(bus->functions, bus->count, sizeof(*bus->functions), by_address);
	return 0;
}

void bus_close(struct bus *bus)
{
	free(bus->functions);
	if (bus->names != NULL)
		pci_cleanup(bus->names);
	*bus = (struct bus){0};
}

const struct bus_function *bus_find(const struct bus *bus, const char *address)
{
	for (size_t i = 0; i < bus->count; i++) {
		if (strcmp(bus->functions[i].address, address) == 0)
			return &bus->functions[i];
	}
	return NULL;
}

void bus_name(const struct bus *bus, uint16_t vendor, uint16_t device, char *text, size_t size)
{
	const char *name = pci_lookup_name(
		bus->names, text, (int)size, PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, vendor, device);

	if (name != text)
		(void)snprintf(text, size, "%s", name);
}
