/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid's command line.
 */
#ifndef PCID_OPTIONS_H
#define PCID_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "scheme/linux.h"

#define PCID_MAX_CARDS   64u
#define PCID_MAX_CONFIGS 16u
#define PCID_MAX_DEATHS  100u

struct pcid_options {
	const char *config[PCID_MAX_CONFIGS];
	size_t configs;
	const char *socket[PCID_MAX_CARDS]; /* --vfio-user */
	size_t sockets;
	const char *bind[PCID_MAX_CARDS]; /* --bind, in the form of sysfs */
	size_t binds;
	const char *upgrade;     /* the name of a scheme; NULL: be the manager */
	const char *post_mortem; /* the same, for --post-mortem */
	const char *program;     /* the newer driver; NULL: the one that runs */
	bool list;
	bool dry_run;
	struct scheme_access access;
	size_t frame_bytes;
	size_t client_bytes;           /* that a client who owns a queue may bring, at most */
	unsigned max_deaths, deaths_s; /* more drivers that die in that time: no other; 0: always */
	unsigned watchdog_s;           /* a driver that says nothing for so long hangs; 0: none */
	const char *driver_path;       /* or NULL */
	const char *sysfs;
	const char *post_mortems; /* a folder, or NULL */
};

/* Reads it. 0: go on; 1: all is done (--help, --version); -EINVAL: wrong, and it has said what. */
int options_read(struct pcid_options *options, int argc, char **argv);

#endif
