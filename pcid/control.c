/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The control socket, both sides.
 */
#include "pcid/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "pcid/post_mortem.h"
#include "pcid/upgrade.h"

#define CONTROL_MAGIC 0x6c727463u /* "ctrl" */
#define REPLY_LIMIT_S 60
/* For a request to follow its connection; whoever asks may have to wait for a processor. */
#define REQUEST_LIMIT_MS 5000

/* --- where it is --- */

/* The folder, beside that of the schemes' sockets, as a descriptor; and the address in it, which is
 * so short however long the folder's path is. The descriptor is the caller's. -errno.
 */
static int place(struct sockaddr_un *address, const char *name)
{
	char folder[PATH_MAX];
	int fd = scheme_directory(folder, sizeof(folder));
	char *slash = strrchr(folder, '/');

	if (fd != 0)
		return fd;
	if (slash == NULL || name[0] == '\0' || strchr(name, '/') != NULL ||
		strlen(name) >= SCHEME_NAME_MAX)
		return -ENOENT;
	*slash = '\0';
	fd = open(folder[0] == '\0' ? "/" : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(address->sun_path, sizeof(address->sun_path),
		"/proc/self/fd/%d/%.63s.control", fd, name);
	return fd;
}

/* --- pcid --- */

void control_answer(int fd, int error, const char *text)
{
	struct control_reply reply = {.magic = CONTROL_MAGIC, .error = error};

	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	(void)send(fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

/* Root and pcid's own user: the socket's mode says so already where the file system is obeyed. */
static bool allowed(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static bool in_order(const struct control_request *request, ssize_t size)
{
	return size == (ssize_t)sizeof(*request) && request->magic == CONTROL_MAGIC &&
	       (request->what == CONTROL_UPGRADE || request->what == CONTROL_POST_MORTEM) &&
	       memchr(request->program, '\0', sizeof(request->program)) != NULL &&
	       (request->program[0] == '\0' || request->program[0] == '/');
}

/* Of a driver that lives: what it has done until now. */
static void answer_post_mortem(const struct card *card, int fd)
{
	char end[64], text[sizeof(((struct control_reply *)0)->text)];
	struct post_mortem *report;
	int error;

	if (card->driver.pid > 0)
		(void)snprintf(end, sizeof(end), "pid %d runs", (int)card->driver.pid);
	else
		(void)snprintf(end, sizeof(end), "no driver runs");
	error = post_mortem_take(&report, card, end);
	if (error == 0)
		error = post_mortem_write(report, text, sizeof(text));
	else
		(void)snprintf(text, sizeof(text), "network:%s: no post-mortem: %s",
			card->name.scheme,
			error == -ENODATA ? "nothing was recorded" : strerror(-error));
	control_answer(fd, error, text);
}

/* The request of who asks is there, or will not be. */
static void heard(struct card *card, const struct control_request *request, ssize_t size)
{
	int fd = card->asker.fd;

	unwatch(card->pcid, &card->asker);
	(void)watch_for(card->pcid, &card->control, EPOLLIN);
	if (!in_order(request, size))
		control_answer(fd, -EPROTO, "not understood: is that pcid of this version?");
	else if (request->what == CONTROL_UPGRADE)
		upgrade_begin(card, request->program, fd);
	else
		answer_post_mortem(card, fd);
}

static void request_comes(struct source *source, uint32_t events)
{
	struct card *card = (struct card *)((char *)source - offsetof(struct card, asker));
	struct control_request request;
	ssize_t n = recv(source->fd, &request, sizeof(request), MSG_TRUNC | MSG_DONTWAIT);

	(void)events;
	if (n >= 0 || errno != EAGAIN)
		heard(card, &request, n);
}

/* One is heard at a time; others wait in the socket's queue. */
static void asked(struct source *source, uint32_t events)
{
	struct card *card = (struct card *)((char *)source - offsetof(struct card, control));
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (!allowed(fd)) {
		control_answer(fd, -EACCES, "only root and pcid's own user may ask that");
		return;
	}
	card->asker.ready = request_comes;
	if (watch(card->pcid, &card->asker, fd, EPOLLIN) != 0) {
		control_answer(fd, -ENOMEM, "no memory left");
		return;
	}
	card->asker_deadline = now_ms() + REQUEST_LIMIT_MS;
	(void)watch_for(card->pcid, &card->control, 0);
}

int control_due(struct card *card)
{
	const struct control_request none = {0};
	int64_t left;

	if (card->asker.fd < 0)
		return -1;
	left = card->asker_deadline - now_ms();
	if (left > 0)
		return (int)left;
	heard(card, &none, -1);
	return -1;
}

int control_listen(struct card *card)
{
	struct sockaddr_un address;
	int folder = place(&address, card->name.scheme);
	int error = 0;
	int fd;
	mode_t mask;

	if (folder < 0)
		return folder;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		error = -errno;
		(void)close(folder);
		return error;
	}
	scheme_take_rights(fd, false);
	/* The name is ours: the scheme of that name is. */
	(void)unlink(address.sun_path);
	mask = umask(0177);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4) != 0)
		error = -errno;
	(void)umask(mask);
	(void)close(folder);
	card->control.ready = asked;
	if (error == 0)
		error = watch(card->pcid, &card->control, fd, EPOLLIN);
	if (error != 0)
		(void)close(fd);
	return error;
}

void control_close(struct card *card)
{
	struct sockaddr_un address;
	int fd = card->control.fd;

	if (fd < 0)
		return;
	unwatch(card->pcid, &card->control);
	(void)close(fd);
	fd = card->asker.fd;
	unwatch(card->pcid, &card->asker);
	if (fd >= 0)
		(void)close(fd);
	fd = place(&address, card->name.scheme);
	if (fd < 0)
		return;
	(void)unlink(address.sun_path);
	(void)close(fd);
}

/* --- who asks --- */

int control_ask(
	const char *name, const struct control_request *request, struct control_reply *reply)
{
	const struct timeval patience = {.tv_sec = REPLY_LIMIT_S};
	struct sockaddr_un address;
	int folder = place(&address, name);
	int error = 0;
	int fd;
	ssize_t n;

	if (folder < 0)
		return folder;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		error = -errno;
		(void)close(folder);
		return error;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		error = errno == ECONNREFUSED ? -ENOENT : -errno;
		goto out;
	}
	if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) < 0 && errno != EPIPE) {
		error = -errno;
		goto out;
	}
	n = recv(fd, reply, sizeof(*reply), 0);
	if (n < 0)
		error = errno == EAGAIN ? -ETIMEDOUT : -errno;
	else if (n != (ssize_t)sizeof(*reply) || reply->magic != CONTROL_MAGIC ||
		 memchr(reply->text, '\0', sizeof(reply->text)) == NULL)
		error = -EPROTO;
out:
	(void)close(folder);
	(void)close(fd);
	return error;
}

/* Says what became of it; `what` it is that was asked. The exit status. */
static int ask(const char *name, const struct control_request *request, const char *what)
{
	struct control_reply reply = {0};
	int error = control_ask(name, request, &reply);

	if (error == 0 && reply.error == 0) {
		say("%s", reply.text);
		return 0;
	}
	if (error == 0)
		complain("%s", reply.text);
	else if (error == -ENOENT)
		complain("network:%s: no pcid serves it: see scheme ls, and SCHEME_ROOT", name);
	else if (error == -EACCES)
		complain("network:%s: only root and pcid's own user may %s", name, what);
	else
		complain("network:%s: pcid does not answer: %s", name, strerror(-error));
	return 1;
}

int control_post_mortem(const char *name)
{
	static const struct control_request request = {
		.magic = CONTROL_MAGIC, .what = CONTROL_POST_MORTEM};

	return ask(name, &request, "read its recorder");
}

int control_upgrade(const char *name, const char *program)
{
	static struct control_request request = {.magic = CONTROL_MAGIC, .what = CONTROL_UPGRADE};
	char path[PATH_MAX];

	if (program != NULL && realpath(program, path) == NULL) {
		complain("%s: %s", program, strerror(errno));
		return 1;
	}
	if (program != NULL)
		(void)snprintf(request.program, sizeof(request.program), "%s", path);
	return ask(name, &request, "replace its driver");
}
