/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where the sockets of schemes lie, and what client and server both do with them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "scheme/linux.h"
#include "scheme/socket.h"

#ifndef SO_PASSRIGHTS /* include/uapi/asm-generic/socket.h, Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif

long scheme_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int scheme_send_with(int fd, const void *data, size_t len, const int *fds, size_t n, int flags)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(SCHEME_REQUEST_FDS * sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(n * sizeof(int))}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

bool scheme_name_ok(const char *name)
{
	size_t len = strnlen(name, SCHEME_NAME_MAX);

	if (len == 0 || len == SCHEME_NAME_MAX || name[0] == '.') {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/') {
			return false;
		}
	}
	return true;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int scheme_directory(char *out, size_t size)
{
	const char *root = secure_getenv("SCHEME_ROOT");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int len;

	if (root != NULL && root[0] != '\0') {
		len = snprintf(out, size, "%s/network", root);
	} else if (is_directory("/run/scheme") || runtime == NULL || runtime[0] == '\0') {
		len = snprintf(out, size, "/run/scheme/network");
	} else {
		len = snprintf(out, size, "%s/scheme/network", runtime);
	}
	if (len < 0 || (size_t)len >= size) {
		return -ENAMETOOLONG;
	}
	return is_directory(out) ? 0 : -ENOENT;
}

int scheme_directory_open(void)
{
	char path[4096];
	int ret = scheme_directory(path, sizeof(path));

	if (ret < 0) {
		return ret;
	}
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* sun_path holds 107 bytes, which a directory of a test or a user can exceed: the way through the
 * directory's descriptor is always short.
 */
static struct sockaddr_un address(int directory, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", directory, name);
	return addr;
}

int scheme_bind_at(int fd, int directory, const char *name)
{
	struct sockaddr_un addr = address(directory, name);

	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

int scheme_connect_at(int fd, int directory, const char *name)
{
	struct sockaddr_un addr = address(directory, name);

	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int scheme_names(char (**names)[SCHEME_NAME_MAX])
{
	char path[4096];
	char(*list)[SCHEME_NAME_MAX] = NULL;
	size_t n = 0;
	const struct dirent *entry;
	int ret = scheme_directory(path, sizeof(path));

	if (ret < 0) {
		return ret;
	}
	DIR *dir = opendir(path);
	if (dir == NULL) {
		return -errno;
	}
	while (n < 4096 && (entry = readdir(dir)) != NULL) {
		if (!scheme_name_ok(entry->d_name)) {
			continue;
		}
		if ((n & (n - 1)) == 0) { /* doubled whenever it is full */
			void *more = realloc(list, (n == 0 ? 1 : 2 * n) * sizeof(*list));
			if (more == NULL) {
				ret = -ENOMEM;
				goto fail;
			}
			list = more;
		}
		memcpy(list[n++], entry->d_name, strlen(entry->d_name) + 1);
	}
	closedir(dir);
	if (n > 1) {
		qsort(list, n, sizeof(*list), by_name);
	}
	*names = list;
	return (int)n;

fail:
	free(list);
	closedir(dir);
	return ret;
}

void scheme_take_rights(int fd, bool take)
{
	const int on = take;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
}

void scheme_hang_up(int fd)
{
	struct msghdr msg = {0};

	shutdown(fd, SHUT_RDWR); /* from here on nothing can be queued any more */
	/* Who sent descriptors along need not read what it was sent: all that is left goes at once.
	 */
	while (recvmsg(fd, &msg, MSG_DONTWAIT) >= 0 &&
		(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == MSG_TRUNC) {
	}
	close(fd);
}
