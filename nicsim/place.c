/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A socket takes its place.
 */
#include "nicsim/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Removes a socket file that nobody listens on. */
static int clear_stale(const struct sockaddr_un *address, int type)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	/* EPROTOTYPE: somebody is there, with another type of socket. */
	if (rc != -ECONNREFUSED)
		return rc == 0 || rc == -EAGAIN || rc == -EPROTOTYPE ? -EADDRINUSE : rc;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static void explain(const char *path, int rc, struct sim_error *why)
{
	if (rc == -EADDRINUSE)
		snprintf(why->text, sizeof(why->text),
			"socket %s: another server listens there; end it or choose another path",
			path);
	else if (rc == -EEXIST)
		snprintf(why->text, sizeof(why->text),
			"socket %s: a file that is no socket is there; choose another path", path);
	else
		snprintf(why->text, sizeof(why->text), "socket %s: %s", path, strerror(-rc));
}

int place_socket(const char *path, int type, struct sockaddr_un *address, struct sim_error *why)
{
	int fd = -1, rc;

	if (strlen(path) == 0 || strlen(path) >= sizeof(address->sun_path)) {
		snprintf(why->text, sizeof(why->text),
			"socket path of %zu bytes: 1 to %zu are possible", strlen(path),
			sizeof(address->sun_path) - 1);
		return -EINVAL;
	}
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, strlen(path) + 1);
	rc = clear_stale(address, type);
	if (rc)
		goto fail;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	rc = -errno;
	if (fd >= 0)
		close(fd);
fail:
	explain(path, rc, why);
	return rc;
}
