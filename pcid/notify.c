/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Telling a service manager. Whether it listens is its business: nobody waits for it.
 */
#include "pcid/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *lines)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len;
	int error;
	int fd;

	if (name == NULL)
		return -ENOENT;
	len = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || len < 2 || len > sizeof(to.sun_path) - 1)
		return -EINVAL;
	memcpy(to.sun_path, name, len);
	if (name[0] == '@') /* an abstract name: all its bytes count, and no NUL behind them */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT,
			(const struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0
			? -errno
			: 0;
	(void)close(fd);
	return error;
}

void notify_serving(struct notify *notify, size_t serving, size_t cards)
{
	char lines[96];
	bool ready = !notify->ready && serving == cards;

	if (notify->told && notify->serving == serving && notify->cards == cards)
		return;
	(void)snprintf(lines, sizeof(lines), "%sSTATUS=%zu of %zu cards served\n",
		ready ? "READY=1\n" : "", serving, cards);
	(void)notify_send(lines);
	notify->told = true;
	notify->ready = notify->ready || ready;
	notify->serving = serving;
	notify->cards = cards;
}

void notify_stopping(void)
{
	(void)notify_send("STOPPING=1\nSTATUS=stopping\n");
}
