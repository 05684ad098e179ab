/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether an input left a descriptor open: the lowest one that is free is then another than before.
 */
#ifndef TEST_FUZZ_DESCRIPTORS_H
#define TEST_FUZZ_DESCRIPTORS_H

#include <stdlib.h>
#include <unistd.h>

static inline int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	if (fd < 0)
		abort();
	(void)close(fd);
	return fd;
}

#endif
