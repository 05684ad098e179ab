/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Into the cage, in the order in which each step still has the right that it needs.
 */
#include "daemon/cage.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/cage_parts.h"

/* --- its user --- */

static bool is_number(const char *text, unsigned *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value >= UINT32_MAX)
		return false;
	*out = (unsigned)value;
	return true;
}

int cage_user(const char *text, struct cage_options *options)
{
	const char *colon = strchr(text, ':');
	const struct passwd *user;
	const struct group *group;
	char name[256];

	if ((size_t)snprintf(name, sizeof(name), "%.*s",
		    (int)(colon != NULL ? colon - text : (long)strlen(text)), text) >= sizeof(name))
		return -EINVAL;
	options->given = true;
	user = getpwnam(name);
	if (user != NULL) {
		options->uid = user->pw_uid;
		options->gid = user->pw_gid;
	} else if (is_number(name, &options->uid)) {
		options->gid = options->uid;
	} else {
		return -EINVAL;
	}
	if (colon == NULL)
		return 0;
	group = getgrnam(colon + 1);
	if (group != NULL)
		options->gid = group->gr_gid;
	else if (!is_number(colon + 1, &options->gid))
		return -EINVAL;
	return 0;
}

static int become(const struct cage_options *options)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) != 0 || setresgid(options->gid, options->gid, options->gid) != 0 ||
		setresuid(options->uid, options->uid, options->uid) != 0)
		return options->given ? -errno : 0;
	return 0;
}

/* --- its rights --- */

/* The bounding set goes while there is the right to change it: an ordinary user outside a user
 * namespace has not, nor a use for it, since no new privileges come.
 */
static void drop_bounding_set(void)
{
	capng_get_caps_process();
	capng_clear(CAPNG_SELECT_BOUNDS);
	(void)capng_apply(CAPNG_SELECT_BOUNDS);
}

static int drop_capabilities(void)
{
	capng_get_caps_process();
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

/* Frames are nobody's business: no core, no debugger of the same user's, no /proc/PID/mem. */
static int no_dumps(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

/* --- what is in force --- */

__attribute__((format(printf, 2, 3))) static void tell(struct cage *cage, const char *format, ...)
{
	size_t room = sizeof(cage->text) - cage->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(cage->text + cage->len, room, format, args);
	va_end(args);
	if (n > 0)
		cage->len += (size_t)n < room ? (size_t)n : room - 1;
}

static const char *amount(capng_results_t of)
{
	return of == CAPNG_NONE ? "none" : of == CAPNG_FULL ? "all" : "some";
}

/* As the system has it, where it can be asked. */
static void tell_rights(struct cage *cage)
{
	capng_get_caps_process();
	tell(cage,
		"user %u\ngroup %u\ncapabilities %s\nbounding %s\nno_new_privs %d\ndumpable %d\n",
		(unsigned)getuid(), (unsigned)getgid(),
		amount(capng_have_capabilities(CAPNG_SELECT_CAPS)),
		amount(capng_have_capabilities(CAPNG_SELECT_BOUNDS)),
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

static void tell_room(struct cage *cage, const struct cage_room *room)
{
	bool any = room->user || room->mount || room->net || room->ipc || room->uts;

	tell(cage, "namespaces%s%s%s%s%s%s\nroot %s\n", room->user ? " user" : "",
		room->mount ? " mount" : "", room->net ? " net" : "", room->ipc ? " ipc" : "",
		room->uts ? " uts" : "", any ? "" : " none", room->empty ? "empty" : "system");
}

static int fail(struct pci_error *why, int error, const char *what)
{
	(void)snprintf(why->text, sizeof(why->text),
		"the cage cannot be closed: %s: %s; nothing is served without it but by --no-cage",
		what, strerror(-error));
	return error;
}

int cage_enter(
	struct cage *cage, const struct cage_options *options, bool vfio, struct pci_error *why)
{
	struct cage_room room = {0};
	int landlock;
	int error;

	cage->len = 0;
	if (options->off) {
		tell(cage, "seccomp 0\nlandlock 0\n");
		tell_rights(cage);
		tell_room(cage, &room);
		return 0;
	}
	cage_leave_system(&room);
	drop_bounding_set();
	error = become(options);
	if (error != 0)
		return fail(why, error, "it cannot become another user");
	error = drop_capabilities();
	if (error != 0)
		return fail(why, error, "capabilities");
	error = no_dumps();
	if (error != 0)
		return fail(why, error, "dumps");
	landlock = cage_landlock();
	tell(cage, "seccomp %d\nlandlock %d\n", !CAGE_SANITIZED, landlock);
	tell_rights(cage);
	tell_room(cage, &room);
	error = cage_filter(vfio);
	if (error != 0)
		return fail(why, error, "seccomp");
	return 0;
}
