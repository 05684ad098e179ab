/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cage: after start-up a driver daemon has no business with the system any more, and no way to
 * it. What it has open it keeps; nothing else can be had. doc/cage.md tells what each measure
 * stops.
 */
#ifndef DAEMON_CAGE_H
#define DAEMON_CAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "pci/pci.h"

#define CAGE_NOBODY   65534 /* the user and group that own nothing (kernel.overflowuid) */
#define CAGE_TEXT_MAX 512

struct cage_options {
	bool off;   /* for debuggers and valgrind */
	bool given; /* the user was asked for: no other will do */
	uid_t uid;  /* who a daemon becomes that root has started */
	gid_t gid;
};

/* What is in force: a line for each measure, "seccomp 1\n" and so on. */
struct cage {
	char text[CAGE_TEXT_MAX];
	size_t len;
};

/* "NAME", "NAME:GROUP", or numbers; a name without a group has its own. -EINVAL: no such one. Reads
 * the system's lists of users.
 */
int cage_user(const char *text, struct cage_options *options);

/* Goes in, for good: called once, by the only thread, when everything is open. `vfio`: the card is
 * behind the kernel's VFIO, whose reset and interrupts are asked for by ioctl. Namespaces,
 * Landlock, and the user that is the default are used where the system allows it (in a container
 * that knows one user there is no other); everything else is a must: -errno with `why`, and then
 * nothing may be served.
 */
int cage_enter(
	struct cage *cage, const struct cage_options *options, bool vfio, struct pci_error *why);

#endif
