/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cage's namespaces, its empty root, and Landlock (Linux, Documentation/userspace-api/
 * landlock.rst).
 */
#include <linux/landlock.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/cage_parts.h"

/* Puts an empty folder in the place of the root. Where the system's root cannot be exchanged (an
 * initial RAM disk) it is left by chroot, which is no wall for who has CAP_SYS_CHROOT or a folder
 * open: a daemon has neither.
 */
static bool empty_root(void)
{
	/* The new file system is mounted on one of these, for a moment, where nobody else sees it.
	 */
	static const char *const places[] = {"/proc", "/sys", "/dev", "/tmp", "/run"};
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (mount("cage", places[i], "tmpfs", flags, "nr_inodes=1,mode=555") != 0)
			continue;
		if (chdir(places[i]) != 0)
			return false;
		if (syscall(SYS_pivot_root, ".", ".") == 0)
			(void)umount2(".", MNT_DETACH); /* the old root, which lies on the new */
		else if (chroot(".") != 0)
			return false;
		return chdir("/") == 0;
	}
	return false;
}

void cage_leave_system(struct cage_room *room)
{
	*room = (struct cage_room){0};
	room->mount = unshare(CLONE_NEWNS) == 0;
	/* Root without CAP_SYS_ADMIN stays root: in a user namespace it could not become another.
	 */
	if (!room->mount && geteuid() != 0) {
		room->user = unshare(CLONE_NEWUSER) == 0;
		room->mount = room->user && unshare(CLONE_NEWNS) == 0;
	}
	room->net = unshare(CLONE_NEWNET) == 0;
	room->ipc = unshare(CLONE_NEWIPC) == 0;
	room->uts = unshare(CLONE_NEWUTS) == 0;
	if (room->mount && !CAGE_SANITIZED)
		room->empty = empty_root();
}

/* The kernel's struct landlock_ruleset_attr as of ABI 6, which older headers do not have. */
struct ruleset {
	uint64_t files;  /* ABI 1 */
	uint64_t net;    /* ABI 4: bind and connect of TCP */
	uint64_t scoped; /* ABI 6: abstract Unix sockets, signals */
};

int cage_landlock(void)
{
	struct ruleset rules = {.files = (UINT64_C(1) << 13) - 1};
	size_t size = sizeof(rules.files);
	long abi;
	long fd;
	bool done;

	if (CAGE_SANITIZED)
		return 0;
	abi = syscall(
		SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return 0;
	if (abi >= 2)
		rules.files |= UINT64_C(1) << 13; /* REFER */
	if (abi >= 3)
		rules.files |= UINT64_C(1) << 14; /* TRUNCATE */
	if (abi >= 5)
		rules.files |= UINT64_C(1) << 15; /* IOCTL_DEV, of what is opened from now on */
	if (abi >= 4) {
		rules.net = 3;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 6) {
		rules.scoped = 3;
		size = sizeof(rules);
	}
	fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return 0;
	done = syscall(SYS_landlock_restrict_self, (int)fd, 0) == 0;
	(void)close((int)fd);
	return done ? (int)abi : 0;
}
