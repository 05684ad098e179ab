/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two ends of a cable: names, locks, sockets.
 */
#include "nicsim/wire_plug.h"
#include "nicsim/wire_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST  0 /* offsets of the locked bytes */
#define SECOND 1
/* A millisecond apart: so often two ends are found that may be about to leave, and so often one
 * that holds both bytes, as it does while it leaves or becomes the first: not for long, but it may
 * not be run in between. */
#define ATTEMPTS         50
#define ATTEMPTS_PASSING 10000

/* Locks are of the open file, not of the process: both ends may be in one. */
static bool set_lock(int lock, short type, off_t start, off_t len)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(lock, F_OFD_SETLK, &range) == 0;
}

static bool take(int lock, off_t byte)
{
	return set_lock(lock, F_WRLCK, byte, 1);
}

/* Whether one end holds both bytes: they are free in a moment, or one of them is. */
static bool is_passing(int lock)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST, .l_len = 2};

	return !fcntl(lock, F_OFD_GETLK, &range) && range.l_type != F_UNLCK && range.l_len == 2;
}

/* Locks of a file that is no longer the one of that name bind nobody. To remove the name takes both
 * locks, so that whoever holds one and has found this true may rely on it. */
static bool current(int lock, const char *name)
{
	struct stat mine, named;

	return !fstat(lock, &mine) && !stat(name, &named) && mine.st_dev == named.st_dev &&
	       mine.st_ino == named.st_ino;
}

static int make_names(struct wire_plug *plug, const char *name, struct sim_error *why)
{
	const char *root = getenv("NICSIM_ROOT");
	char *path = plug->address.sun_path;
	size_t size = sizeof(plug->address.sun_path);
	int len;

	if (!root || !*root)
		root = getenv("XDG_RUNTIME_DIR");
	if (!root || !*root)
		root = "/tmp";
	plug->address.sun_family = AF_UNIX;
	if (strchr(name, '/'))
		len = snprintf(path, size, "%s", name);
	else
		len = snprintf(path, size, "%s/nicsim-%s.cable", root, name);
	if (len < 0 || (size_t)len >= size)
		return wire_fail(why, ENAMETOOLONG,
			"wire cable:%.120s: the socket's path has more than %zu characters: take a "
			"shorter one",
			name, size - 1);
	snprintf(plug->lock_name, sizeof(plug->lock_name), "%s.lock", path);
	return 0;
}

/* 1: removed, or there was none; 0: not ours to remove. */
static bool remove_stale(struct wire_plug *plug)
{
	const struct sockaddr *address = (const struct sockaddr *)&plug->address;
	struct stat st;
	bool stale;
	int fd;

	if (lstat(plug->address.sun_path, &st))
		return true; /* bind() will say what is wrong, if it is not that there is none */
	if (!S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, address, sizeof(plug->address)) && errno == ECONNREFUSED;
	close(fd);
	return stale && !unlink(plug->address.sun_path);
}

static int start_listening(struct wire_plug *plug, struct sim_error *why)
{
	const char *path = plug->address.sun_path;
	int fd, err;

	if (!remove_stale(plug))
		return wire_fail(why, EADDRINUSE,
			"wire cable: %s is in use by something that is no cable: take another name",
			path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&plug->address, sizeof(plug->address)) ||
		listen(fd, 4)) {
		err = wire_fail(
			why, errno, "wire cable: %s: cannot listen: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return err;
	}
	plug->listener = fd;
	return 0;
}

/* One attempt to take an end: 1 the first, 2 the second, 0 none was free; then `passing` says
 * whether one had both. */
static int take_end(struct wire_plug *plug, bool *passing, struct sim_error *why)
{
	int fd = open(plug->lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int end;

	if (fd < 0)
		return wire_fail(
			why, errno, "wire cable: %s: %s", plug->lock_name, strerror(errno));
	end = take(fd, FIRST) ? 1 : take(fd, SECOND) ? 2 : 0;
	if (!end || !current(fd, plug->lock_name)) {
		*passing = end || is_passing(fd);
		close(fd);
		return 0;
	}
	plug->lock = fd;
	return end;
}

int wire_plug_open(struct wire_plug *plug, const char *name, struct sim_error *why)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int taken = 0, moving = 0; /* attempts that found two ends, and others */
	bool passing = false;
	int end, err;

	plug->lock = plug->listener = -1;
	err = make_names(plug, name, why);
	if (err)
		return err;
	while (!(end = take_end(plug, &passing, why))) {
		if (passing ? ++moving == ATTEMPTS_PASSING : ++taken == ATTEMPTS)
			break;
		nanosleep(&pause, NULL);
	}
	if (!end)
		return wire_fail(why, EBUSY,
			"wire cable:%.60s: both its ends are plugged in already (%s): take another "
			"name",
			name, plug->address.sun_path);
	if (end == 1) {
		err = start_listening(plug, why);
		if (err)
			wire_plug_close(plug);
		return err;
	}
	return end < 0 ? end : 0;
}

void wire_plug_close(struct wire_plug *plug)
{
	if (plug->lock < 0)
		return;
	if (plug->listener >= 0) {
		close(plug->listener);
		unlink(plug->address.sun_path);
	}
	/* The last one takes the file along, also of two that leave at once: each lets go first. */
	set_lock(plug->lock, F_UNLCK, FIRST, 2);
	if (set_lock(plug->lock, F_WRLCK, FIRST, 2) && current(plug->lock, plug->lock_name))
		unlink(plug->lock_name);
	close(plug->lock);
	plug->lock = plug->listener = -1;
}

int wire_plug_connect(struct wire_plug *plug)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)&plug->address, sizeof(plug->address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int wire_plug_promote(struct wire_plug *plug, struct sim_error *why)
{
	int err;

	if (!take(plug->lock, FIRST))
		return 0;
	err = start_listening(plug, why);
	if (err)
		return err;
	set_lock(plug->lock, F_UNLCK, SECOND, 1);
	return 1;
}
