/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid's configuration: which driver serves which function. [[drivers]] tables in the format of
 * Redox's pcid, as the paper's config.toml has them:
 *
 *     [[drivers]]
 *     name = "Intel 10G NIC"
 *     class = 2                                        0 to 255; also subclass, interface
 *     ids = { 0x8086 = [0x10FB, 0x1528] }              devices by vendor
 *     vendor = 0x8086                                  also device
 *     device_id_range = { start = 0x10F0, end = 0x1100 }   end is the first that is not in it
 *     command = ["ixgbed", "$NAME", "$BAR0", "$IRQ"]
 *
 * All conditions that an entry has must hold; the first entry whose conditions hold is taken.
 */
#ifndef PCID_CONFIG_H
#define PCID_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/pci.h"

#define PCID_MAX_ARGUMENTS 64u

struct pcid_range {
	bool present;
	uint32_t first, last;
};

struct pcid_ids {
	uint16_t vendor;
	size_t count;
	uint16_t *devices;
};

struct pcid_driver {
	char *name; /* for people */
	unsigned line;
	struct pcid_range class, subclass, interface, vendor, device, device_id_range;
	bool has_ids;
	struct pcid_ids *ids;
	size_t ids_count;
	char **command; /* ends with NULL; at least the program */
};

struct pcid_config {
	struct pcid_driver *drivers;
	size_t count;
};

struct config_error {
	char text[512]; /* "FILE:LINE: what; expected ..." */
};

/* Adds the entries of a text to the configuration; `file` is its name in errors. On failure the
 * configuration is as before. -EINVAL with `why`; -ENOMEM.
 */
int config_parse(struct pcid_config *config, const char *text, size_t len, const char *file,
	struct config_error *why);
/* The same from a file. Also the errors of reading it, with `why`. */
int config_load(struct pcid_config *config, const char *path, struct config_error *why);
void config_free(struct pcid_config *config);

/* The first entry that serves such a function, or NULL. */
const struct pcid_driver *config_match(const struct pcid_config *config, const struct pci_id *id);

#endif
