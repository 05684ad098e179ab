/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the cage: its walls.
 */
#ifndef DAEMON_CAGE_PARTS_H
#define DAEMON_CAGE_PARTS_H

#include <stdbool.h>

/* A sanitizer's runtime opens files, maps what it likes and traces its own process at the end:
 * there is no file system to take away then, and no filter.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define CAGE_SANITIZED 1
#endif
#endif
#ifndef CAGE_SANITIZED
#define CAGE_SANITIZED 0
#endif

struct cage_room {
	bool user, mount, net, ipc, uts; /* namespaces of its own */
	bool empty;                      /* the root is an empty folder that nobody can write to */
};

/* New namespaces and an empty root, as far as the system allows it. Needs CAP_SYS_ADMIN, or the
 * right to make user namespaces, and a single thread.
 */
void cage_leave_system(struct cage_room *room);
/* No access to any file, TCP port, or, where the kernel knows that, abstract socket or signal
 * outside. Needs PR_SET_NO_NEW_PRIVS. Returns the kernel's Landlock ABI, 0: it has none.
 */
int cage_landlock(void);
/* The list of system calls that are left; any other is the end of the process. -errno. */
int cage_filter(bool vfio);

#endif
