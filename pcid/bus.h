/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The PCI functions of this machine, as sysfs shows them, by libpci. libpci's own header is called
 * pci/pci.h too: bus.c, which includes that one, is built without our folders, and this header
 * includes nothing of ours.
 */
#ifndef PCID_BUS_H
#define PCID_BUS_H

#include <stddef.h>
#include <stdint.h>

struct bus_function {
	char address[16]; /* "0000:01:00.0" */
	uint8_t bus, device, function;
	uint16_t vendor_id, device_id, subvendor_id, subdevice_id;
	uint32_t class; /* class, subclass, interface */
	uint8_t revision;
	uint64_t bar[6], bar_size[6];
	unsigned irq;
	int group;       /* IOMMU group, or -1 */
	char driver[64]; /* that holds it, or "" */
};

struct bus {
	struct bus_function *functions; /* by address */
	size_t count;
	void *names; /* private */
};

/* Scans SYSFS/bus/pci (SYSFS is "/sys" but for tests). A machine without PCI has no functions.
 * -ENOMEM; -EIO: sysfs cannot be read, with a text.
 */
int bus_open(struct bus *bus, const char *sysfs, char *why, size_t size);
void bus_close(struct bus *bus);
/* The function at that address, or NULL. */
const struct bus_function *bus_find(const struct bus *bus, const char *address);
/* Vendor and device in words, from pci.ids; numbers where it does not know them. */
void bus_name(const struct bus *bus, uint16_t vendor, uint16_t device, char *text, size_t size);

#endif
