/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether a PCI function may be taken. A card in use is never taken away from who uses it.
 */
#ifndef PCID_JUDGE_H
#define PCID_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "pcid/bus.h"

#define VFIO_DRIVER "vfio-pci"

enum verdict {
	VERDICT_READY, /* bound to vfio-pci */
	VERDICT_BIND,  /* may be bound to vfio-pci */
	VERDICT_NO,
};

/* Judges a function; `text` says why not, or what to know of it ("" if nothing), in words for
 * people. `bind`: whether the user asked for it to be bound.
 *
 * Not taken: without an IOMMU group; bound to another driver, or to none, unless `bind`; when any
 * function of its group has a network interface that is up or has an address, or may have one in
 * another network namespace; when another function of its group is bound to another driver (VFIO
 * refuses such a group). Functions of one group reach one another's memory: said in `text`.
 */
enum verdict judge_function(const struct bus *bus, const struct bus_function *f, bool bind,
	const char *sysfs, char *text, size_t size);

#endif
