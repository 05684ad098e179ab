/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Binding a function to vfio-pci, and giving it back.
 */
#ifndef PCID_BIND_H
#define PCID_BIND_H

#include <stdbool.h>
#include <stddef.h>

/* What was before. */
struct binding {
	char address[16];
	char driver[64];   /* that held it, or "" */
	char override[64]; /* driver_override, or "" */
	bool changed;
};

/* Has vfio-pci take the function: driver_override, unbind, drivers_probe. The caller has judged it.
 * On failure what was is restored. -errno with a text.
 */
int bind_to_vfio(
	struct binding *binding, const char *address, const char *sysfs, char *why, size_t size);
/* Gives it back to the driver that it had. 0, or -errno with a text. */
int bind_restore(struct binding *binding, const char *sysfs, char *why, size_t size);

#endif
