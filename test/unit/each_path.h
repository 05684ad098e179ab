/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A group of tests on each path of the ixgbe driver that this processor runs (ixgbe_path.h). Behind
 * cmocka.h.
 */
#ifndef TEST_EACH_PATH_H
#define TEST_EACH_PATH_H

#include "nic/ixgbe/ixgbe_path.h"

/* Once for each layout from 0 on; what is not run is said. Returns how many tests failed. */
static inline int on_each_path(const struct nic_verbs *(*verbs_of)(const char *path),
	unsigned layouts, int (*group)(const char *path, unsigned layout))
{
	int failed = 0;

	for (const char *const *name = ixgbe_paths; *name; name++) {
		if (!verbs_of(*name)) {
			print_message("path %s: not run, this processor does not have it\n", *name);
			continue;
		}
		for (unsigned layout = 0; layout < layouts; layout++)
			failed += group(*name, layout);
	}
	return failed;
}

#endif
