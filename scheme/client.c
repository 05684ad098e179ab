/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client's side of a scheme: from URL to descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scheme/scheme.h"
#include "scheme/socket.h"
#include "scheme/wire.h"

#define OPEN_MS 10000

int scheme_parse(const char *url, char name[SCHEME_NAME_MAX], char path[SCHEME_PATH_MAX])
{
	static const char scheme[] = "network:";

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
		return -EINVAL;
	}
	url += sizeof(scheme) - 1;
	size_t name_len = strcspn(url, "/");
	size_t path_len = strlen(url + name_len);
	if (name_len >= SCHEME_NAME_MAX || path_len >= SCHEME_PATH_MAX) {
		return -EINVAL;
	}
	memcpy(name, url, name_len);
	name[name_len] = '\0';
	memcpy(path, url + name_len, path_len + 1);
	return name_len == 0 || scheme_name_ok(name) ? 0 : -EINVAL;
}

static int set_send_timeout(int fd, long ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ? -errno : 0;
}

/* Connects to the socket of a name; waits while the owner's queue of connections is full. */
static int dial(int directory, const char *name, long deadline)
{
	const int size = SCHEME_SNDBUF;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0) {
		return -errno;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* never fails, may cut */
	do {
		long left = deadline - scheme_now();
		ret = left <= 0 ? -EAGAIN : set_send_timeout(fd, left);
		if (ret == 0) {
			ret = scheme_connect_at(fd, directory, name);
		}
	} while (ret == -EINTR);
	if (ret == 0) {
		ret = set_send_timeout(fd, 0);
	}
	if (ret < 0) {
		close(fd);
		return ret == -EAGAIN ? -ETIMEDOUT : ret;
	}
	return fd;
}

/* The first scheme by name whose owner answers. */
static int dial_first(int directory, long deadline)
{
	char(*names)[SCHEME_NAME_MAX] = NULL;
	int n = scheme_names(&names);
	int fd = n < 0 ? n : -ENOENT;

	for (int i = 0; i < n; i++) {
		fd = dial(directory, names[i], deadline);
		if (fd != -ECONNREFUSED && fd != -ENOENT) {
			break;
		}
	}
	free(names);
	return fd;
}

static int wait_readable(int fd, long deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ret;

	do {
		long left = deadline - scheme_now();
		ret = left <= 0 ? 0 : poll(&p, 1, (int)left);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret == 0 ? -ETIMEDOUT : 0;
}

/* The first descriptor of a message, or -1; alignment leaves room for a second, which is closed. */
static void take_descriptors(struct msghdr *msg, int *first)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	*first = -1;
	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
		return;
	}
	for (size_t at = 0; CMSG_LEN(at + sizeof(fd)) <= c->cmsg_len; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
		if (at == 0) {
			*first = fd;
		} else {
			close(fd);
		}
	}
}

/* Receives the reply; *page is the descriptor that came with it, or -1. */
static int receive_reply(int fd, int *page)
{
	struct scheme_reply reply;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	*page = -1;
	/* A reset is reported before what was sent ahead of it: a refusal may follow. */
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0) {
		return -errno;
	}
	take_descriptors(&msg, page);
	if (n == 0) {
		return -ENODEV;
	}
	if (n != sizeof(reply) || (msg.msg_flags & MSG_TRUNC) != 0 || reply.magic != SCHEME_MAGIC ||
		reply.error > 0 || reply.error < -4095) {
		return -EPROTO;
	}
	return reply.error;
}

/* Maps a status page, once it is certain that no access to it can fail. */
static int map_page(int fd, const struct scheme_status **status)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size != SCHEME_STATUS_SIZE) {
		return -EPROTO;
	}
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
		return -EPROTO;
	}
	void *page = mmap(NULL, SCHEME_STATUS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		return -errno;
	}
	*status = page;
	return 0;
}

static int handshake(int fd, const struct scheme_request *request, const int *fds, size_t n,
	const struct scheme_status **status, long deadline)
{
	int page = -1;
	int ret = scheme_send_with(fd, request, sizeof(*request), fds, n, 0);

	/* Whoever is refused may be so before its request is read: the reply is what counts. */
	if (ret < 0 && ret != -EPIPE && ret != -ECONNRESET) {
		return ret;
	}
	ret = wait_readable(fd, deadline);
	if (ret < 0) {
		return ret;
	}
	ret = receive_reply(fd, &page);
	if (ret == 0 && page < 0) {
		ret = -EPROTO;
	}
	if (ret == 0 && status != NULL) {
		ret = map_page(page, status);
	}
	if (page >= 0) {
		close(page);
	}
	return ret;
}

static int apply_flags(int fd, int flags)
{
	if ((flags & O_CLOEXEC) == 0 && fcntl(fd, F_SETFD, 0) < 0) {
		return -errno;
	}
	if ((flags & O_NONBLOCK) != 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		return -errno;
	}
	return 0;
}

int scheme_access_of(int flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY: return SCHEME_READ;
	case O_WRONLY: return SCHEME_WRITE;
	case O_RDWR: return SCHEME_READ | SCHEME_WRITE;
	default: return -EINVAL;
	}
}

int scheme_ask(const char *name, const struct scheme_request *request, const int *fds, size_t n,
	int flags, const struct scheme_status **status)
{
	const struct scheme_status *page = NULL;
	long deadline = scheme_now() + OPEN_MS;
	int directory = scheme_directory_open();

	if (directory < 0) {
		return directory;
	}
	int fd =
		name[0] == '\0' ? dial_first(directory, deadline) : dial(directory, name, deadline);
	close(directory);
	if (fd < 0) {
		return fd;
	}
	int ret = handshake(fd, request, fds, n, status != NULL ? &page : NULL, deadline);
	if (ret == 0) {
		ret = apply_flags(fd, flags);
	}
	if (ret < 0) {
		scheme_unmap_status(page);
		close(fd);
		return ret;
	}
	if (status != NULL) {
		*status = page;
	}
	return fd;
}

int scheme_open(const char *url, int flags, const struct scheme_status **status)
{
	char name[SCHEME_NAME_MAX];
	char path[SCHEME_PATH_MAX];
	struct scheme_request request;
	int access = scheme_access_of(flags);

	if (access < 0 || (flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) != 0 ||
		scheme_parse(url, name, path) < 0 ||
		scheme_request_make(&request, path, (uint32_t)access) < 0) {
		return -EINVAL;
	}
	return scheme_ask(name, &request, NULL, 0, flags, status);
}

void scheme_unmap_status(const struct scheme_status *status)
{
	if (status != NULL) {
		munmap((void *)(uintptr_t)status, SCHEME_STATUS_SIZE);
	}
}

int scheme_list(int (*found)(void *ctx, const char *name), void *ctx)
{
	char(*names)[SCHEME_NAME_MAX] = NULL;
	int directory = scheme_directory_open();
	int ret = 0;

	if (directory < 0) {
		return directory == -ENOENT ? 0 : directory;
	}
	int n = scheme_names(&names);
	if (n < 0) {
		ret = n;
	}
	for (int i = 0; i < n && ret == 0; i++) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0) {
			ret = -errno;
			break;
		}
		int answer = scheme_connect_at(fd, directory, names[i]);
		close(fd);
		if (answer == 0 || answer == -EAGAIN) { /* EAGAIN: its queue is full, so it lives */
			ret = found(ctx, names[i]);
		}
	}
	free(names);
	close(directory);
	return ret;
}

const char *scheme_strerror(int error)
{
	switch (-error) {
	case EINVAL: return "not a URL, value or frame of this kind: network:NAME/path is expected";
	case ENOENT: return "no such scheme or path: `scheme ls` shows what there is";
	case EACCES:
		return "not allowed: ask as root or a member of the scheme's group, or for reading";
	case ECONNREFUSED: return "its owner is gone: start pcid again";
	case ENODEV: return "its driver is gone: see what pcid says about it, and start it again";
	case EMFILE: return "too many handles are open: close some";
	case ENFILE: return "too many files are open on this machine: close some";
	case ENOMEM: return "no memory left: end something";
	case ETIMEDOUT: return "no answer in time: see whether pcid and the driver run";
	case EPROTO: return "it speaks another protocol or version: use programs of one release";
	case EMSGSIZE: return "longer than the MTU allows: see the path /mtu";
	case ENETDOWN: return "the link is down: check the cable and the path /link";
	case EAGAIN: return "full: try again when poll says so";
	case EPIPE: return "the driver has left: open it again";
	case EBUSY: return "somebody owns its queue: see the path /queue/0, and try again later";
	case EDQUOT:
		return "more memory than a client may bring: see the path /queue/0, or pcid "
		       "--client-mib";
	case ENOTSUP: return "not without pcid: start the driver by it";
	case ENAMETOOLONG:
		return "the path of its directory is too long: set a shorter SCHEME_ROOT";
	default: break;
	}
	const char *text = strerrordesc_np(-error);
	return text != NULL ? text : "an error without a name";
}
