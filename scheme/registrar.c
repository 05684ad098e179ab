/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The registrar: the listening socket of a scheme, who may connect to it, and what they ask for.
 * Credentials are judged before a byte is read, so that who may not come in cannot keep others out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scheme/linux.h"
#include "scheme/receiver.h"
#include "scheme/socket.h"

#define WAITING    64
#define REQUEST_MS 2000
#define PAUSE_MS   100
#define BACKLOG    64
#define GROUPS     256 /* supplementary groups of a peer that are looked at */

struct waiting {
	int fd;
	struct ucred peer;
	long deadline;
};

struct scheme_registrar {
	int epoll;
	int listener; /* -1: closed */
	int directory;
	struct receiver *receiver;
	char name[SCHEME_NAME_MAX];
	dev_t dev; /* of the socket in the file system, to unlink no other */
	ino_t ino;
	struct scheme_access access;
	bool listening; /* the listener is in the epoll set */
	bool deaf;      /* who waits is not in it either: there is enough to be closed */
	long resume_at; /* when to try again, where descriptors are short; 0: no such time */
	uint32_t next_id;
	unsigned count;
	struct waiting waiting[WAITING];
};

/* --- the socket and its place --- */

/* $SCHEME_ROOT or its like, and "network" in it. */
static int make_directory(void)
{
	char path[4096];
	int ret = scheme_directory(path, sizeof(path));

	if (ret == -ENOENT) {
		char *slash = strrchr(path, '/');
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST) {
			return -errno;
		}
		*slash = '/';
		if (mkdir(path, 0755) < 0 && errno != EEXIST) {
			return -errno;
		}
		ret = 0;
	}
	return ret < 0 ? ret : scheme_directory_open();
}

/* 0 when the name is free or its socket is dead. */
static int probe(int directory, const char *name)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return -EEXIST;
	}
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	int ret = scheme_connect_at(fd, directory, name);
	close(fd);
	return ret == -ECONNREFUSED || ret == -ENOENT ? 0 : -EADDRINUSE;
}

/* The socket gets its name when it listens, in one step: nobody finds it deaf or missing. */
static int publish(struct scheme_registrar *r)
{
	char temporary[SCHEME_NAME_MAX + 16];
	struct stat st;

	int ret = probe(r->directory, r->name);
	if (ret < 0) {
		return ret;
	}
	snprintf(temporary, sizeof(temporary), ".%s.%d", r->name, (int)getpid());
	(void)unlinkat(r->directory, temporary, 0); /* of a dead process with our number */
	ret = scheme_bind_at(r->listener, r->directory, temporary);
	if (ret < 0) {
		return ret;
	}
	/* Whoever connects is judged by credentials, not by the file's mode. */
	if (fchmodat(r->directory, temporary, 0666, 0) < 0 ||
		fstatat(r->directory, temporary, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		listen(r->listener, BACKLOG) < 0 ||
		renameat(r->directory, temporary, r->directory, r->name) < 0) {
		ret = -errno;
		(void)unlinkat(r->directory, temporary, 0);
		return ret;
	}
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	return 0;
}

static void unpublish(const struct scheme_registrar *r)
{
	struct stat st;

	if (fstatat(r->directory, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == r->dev &&
		st.st_ino == r->ino) {
		(void)unlinkat(r->directory, r->name, 0);
	}
}

static int watch(const struct scheme_registrar *r, int op, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(r->epoll, op, fd, &event) < 0 ? -errno : 0;
}

static void listen_or_not(struct scheme_registrar *r, bool on)
{
	if (on != r->listening && watch(r, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, r->listener) == 0) {
		r->listening = on;
	}
}

int scheme_registrar_create(
	struct scheme_registrar **out, const char *name, const struct scheme_access *access)
{
	int ret;

	if (!scheme_name_ok(name)) {
		return -EINVAL;
	}
	struct scheme_registrar *r = calloc(1, sizeof(*r));
	if (r == NULL) {
		return -ENOMEM;
	}
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->access = *access;
	r->next_id = 1;
	r->directory = make_directory();
	if (r->directory < 0) {
		ret = r->directory;
		goto fail_directory;
	}
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0) {
		ret = -errno;
		goto fail_epoll;
	}
	ret = receiver_create(&r->receiver);
	if (ret < 0) {
		goto fail_receiver;
	}
	r->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->listener < 0) {
		ret = -errno;
		goto fail_listener;
	}
	ret = publish(r);
	if (ret < 0) {
		goto fail_publish;
	}
	ret = watch(r, EPOLL_CTL_ADD, r->listener);
	if (ret < 0) {
		goto fail_watch;
	}
	r->listening = true;
	*out = r;
	return 0;

fail_watch:
	unpublish(r);
fail_publish:
	close(r->listener);
fail_listener:
	receiver_destroy(r->receiver);
fail_receiver:
	close(r->epoll);
fail_epoll:
	close(r->directory);
fail_directory:
	free(r);
	return ret;
}

/* --- who connects --- */

static void refuse(const struct scheme_registrar *r, int fd, int error)
{
	struct scheme_reply reply = {.magic = SCHEME_MAGIC, .error = error};

	(void)send(fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	receiver_hang_up(r->receiver, fd);
}

static bool in_group(int fd, const struct ucred *peer, gid_t group)
{
	gid_t groups[GROUPS];
	socklen_t size = sizeof(groups);

	if (group == (gid_t)-1) {
		return false;
	}
	if (peer->gid == group) {
		return true;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		return false;
	}
	for (size_t i = 0; i < size / sizeof(groups[0]); i++) {
		if (groups[i] == group) {
			return true;
		}
	}
	return false;
}

static int judge(const struct scheme_registrar *r, int fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) < 0) {
		return -errno;
	}
	if (r->access.anyone || peer->uid == 0 || peer->uid == geteuid() ||
		in_group(fd, peer, r->access.group)) {
		return 0;
	}
	return -EACCES;
}

/* Lets in whom it may; -errno when the system has no descriptor for another. */
static int accept_all(struct scheme_registrar *r)
{
	const int size = SCHEME_SNDBUF;

	for (unsigned n = 0; n < WAITING && r->count < WAITING; n++) {
		struct waiting w = {.deadline = scheme_now() + REQUEST_MS};
		w.fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (w.fd < 0) {
			return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0
											  : -errno;
		}
		int ret = judge(r, w.fd, &w.peer);
		if (ret == 0) {
			(void)setsockopt(w.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
			ret = watch(r, EPOLL_CTL_ADD, w.fd);
		}
		if (ret < 0) {
			refuse(r, w.fd, ret);
			continue;
		}
		r->waiting[r->count++] = w;
	}
	return 0;
}

/* Takes a connection off the list; its descriptor is the caller's. */
static struct waiting remove_waiting(struct scheme_registrar *r, unsigned i)
{
	struct waiting w = r->waiting[i];

	/* Others hold the same connection later: closing would not take it out of the set. */
	(void)watch(r, EPOLL_CTL_DEL, w.fd);
	r->waiting[i] = r->waiting[--r->count];
	return w;
}

/* A handle's page: writable through one descriptor, read-only through the other, of fixed size. Its
 * mode keeps other users from opening it anew for writing through /proc.
 */
static int make_page(struct scheme_client *client)
{
	char path[32];
	int ret;
	int fd = memfd_create("scheme-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		return -errno;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ftruncate(fd, SCHEME_STATUS_SIZE) < 0 || fchmod(fd, 0400) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		ret = -errno;
		goto fail;
	}
	client->reader_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (client->reader_fd < 0) {
		ret = -errno;
		goto fail;
	}
	client->status_fd = fd;
	return 0;

fail:
	close(fd);
	return ret;
}

static void close_rings(const struct scheme_registrar *r, struct scheme_client *client)
{
	for (size_t i = 0; i < SCHEME_REQUEST_FDS; i++) {
		if (client->ring_fds[i] >= 0) {
			receiver_close(r->receiver, client->ring_fds[i]);
			client->ring_fds[i] = -1;
		}
	}
}

/* From now on who is in the middle of sending descriptors along has sent them, and all others get
 * EPERM: listen(2) fails on a connection, but only with the lock that they do it under
 * (net/unix/af_unix.c). Then nothing may lie there: before it is answered a client has nothing to
 * say, and what it sent would be for the driver, whose loop has nobody who closes for it.
 */
static int end_rights(int fd)
{
	char byte;

	scheme_take_rights(fd, false);
	(void)listen(fd, 0);
	return recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN
		       ? 0
		       : -EPROTO;
}

/* Reads the request of one that waits: 1 a client, 0 nothing yet, -errno: refused. */
static int read_request(struct scheme_registrar *r, unsigned i, struct scheme_client *client)
{
	int ret = receiver_take(r->receiver, r->waiting[i].fd, &client->request, client->ring_fds);

	if (ret == -EAGAIN) {
		if (scheme_now() < r->waiting[i].deadline) {
			return 0;
		}
		ret = -ETIMEDOUT;
	}
	struct waiting w = remove_waiting(r, i);
	if (ret == 0) {
		ret = end_rights(w.fd);
	}
	if (ret == 0) {
		ret = make_page(client);
	}
	if (ret < 0) {
		close_rings(r, client);
		refuse(r, w.fd, ret);
		return ret;
	}
	client->fd = w.fd;
	client->pid = w.peer.pid;
	client->uid = w.peer.uid;
	client->gid = w.peer.gid;
	client->id = r->next_id++;
	client->held = client->resumed = false;
	return 1;
}

/* Whether there is so much to be closed that who waits is not heard now. */
static bool is_deaf(struct scheme_registrar *r)
{
	bool deaf = receiver_full(r->receiver);

	for (unsigned i = 0; i < r->count && deaf != r->deaf; i++) {
		(void)watch(r, deaf ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, r->waiting[i].fd);
	}
	r->deaf = deaf;
	if (deaf) {
		r->resume_at = scheme_now() + PAUSE_MS;
		listen_or_not(r, false);
	}
	return deaf;
}

int scheme_registrar_next(struct scheme_registrar *r, struct scheme_client *client)
{
	int ret = 0;

	if (is_deaf(r)) {
		return 0;
	}
	if (r->resume_at == 0 || scheme_now() >= r->resume_at) {
		ret = accept_all(r);
		r->resume_at = ret < 0 ? scheme_now() + PAUSE_MS : 0;
	}
	for (unsigned i = 0; i < r->count && !receiver_full(r->receiver);) {
		unsigned before = r->count;
		if (read_request(r, i, client) == 1) {
			ret = 1;
			break;
		}
		i += r->count == before; /* else another has taken its place */
	}
	listen_or_not(r, r->count < WAITING && r->resume_at == 0);
	return ret;
}

int scheme_registrar_fd(const struct scheme_registrar *r)
{
	return r->epoll;
}

int scheme_registrar_timeout(const struct scheme_registrar *r)
{
	long next = r->resume_at;

	for (unsigned i = 0; i < r->count && !r->deaf; i++) {
		if (next == 0 || r->waiting[i].deadline < next) {
			next = r->waiting[i].deadline;
		}
	}
	if (next == 0) {
		return -1;
	}
	long left = next - scheme_now();
	return left > 0 ? (int)left : 0;
}

void scheme_registrar_hang_up(const struct scheme_registrar *r, int fd)
{
	receiver_hang_up(r->receiver, fd);
}

void scheme_registrar_close(const struct scheme_registrar *r, int fd)
{
	receiver_close(r->receiver, fd);
}

void scheme_registrar_forget(struct scheme_registrar *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		close(r->waiting[i].fd);
	}
	receiver_destroy(r->receiver);
	close(r->listener);
	close(r->epoll);
	close(r->directory);
	free(r);
}

void scheme_registrar_stop(struct scheme_registrar *r)
{
	unpublish(r);
	while (r->count > 0) {
		refuse(r, remove_waiting(r, 0).fd, -ENODEV);
	}
	receiver_close(r->receiver, r->listener); /* others may have connected, and sent */
	r->listener = -1;
}

void scheme_registrar_destroy(struct scheme_registrar *r)
{
	if (r == NULL) {
		return;
	}
	if (r->listener >= 0) {
		scheme_registrar_stop(r);
	}
	receiver_destroy(r->receiver);
	close(r->epoll);
	close(r->directory);
	free(r);
}
