/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Letting clients in without pcid.
 */
#include "daemon/doorkeeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcid/channel.h"

/* Reads what the daemon says; false at its end. */
static bool listen_to_daemon(int channel, bool *ready)
{
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];
	int result;

	while ((result = pcid_receive(channel, &message, fds)) > 0) {
		*ready = *ready || message.type == PCID_READY;
		while (message.fds > 0)
			(void)close(fds[--message.fds]);
	}
	return result == -EAGAIN;
}

static int hand_over(int channel, const struct scheme_client *client)
{
	struct pcid_message message;
	struct pollfd room = {.fd = channel, .events = POLLOUT};
	int fds[PCID_CHANNEL_FDS];
	int error;

	pcid_client_pack(&message, fds, client, false);
	while ((error = pcid_send(channel, &message, fds)) == -EAGAIN)
		(void)poll(&room, 1, -1); /* a daemon that ends is an event, too */
	for (unsigned i = 0; i < message.fds; i++)
		(void)close(fds[i]);
	return error;
}

static void keep_door(struct scheme_registrar *registrar, int channel)
{
	struct pollfd wait[] = {
		{.fd = channel, .events = POLLIN},
		{.fd = -1, .events = POLLIN},
	};
	bool ready = false;

	while (listen_to_daemon(channel, &ready)) {
		struct scheme_client client;

		if (ready) {
			wait[1].fd = scheme_registrar_fd(registrar);
			if (scheme_registrar_next(registrar, &client) > 0) {
				if (hand_over(channel, &client) != 0)
					return;
				continue;
			}
		}
		(void)poll(wait, 2, ready ? scheme_registrar_timeout(registrar) : -1);
	}
}

int doorkeeper_start(struct scheme_registrar *registrar)
{
	int ends[2];
	pid_t pid;
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		error = -errno;
		scheme_registrar_destroy(registrar);
		return error;
	}
	pid = fork();
	if (pid == 0) {
		/* What stops the daemon, at a terminal too, stops this by the channel alone. */
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGTERM, SIG_IGN);
		(void)signal(SIGHUP, SIG_IGN);
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		(void)close(ends[0]);
		/* Nobody waits for what is printed here. */
		(void)close(STDIN_FILENO);
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
		keep_door(registrar, ends[1]);
		scheme_registrar_destroy(registrar);
		(void)close(ends[1]); /* what doorkeeper_stop() waits for */
		_exit(0);
	}
	error = pid < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (error != 0) {
		(void)close(ends[0]);
		scheme_registrar_destroy(registrar);
		return error;
	}
	scheme_registrar_forget(registrar);
	return ends[0];
}

void doorkeeper_stop(int channel)
{
	struct pollfd end = {.fd = channel, .events = POLLIN};
	char word;

	(void)shutdown(channel, SHUT_WR);
	do
		(void)poll(&end, 1, -1);
	while (recv(channel, &word, sizeof(word), MSG_DONTWAIT) > 0);
	(void)close(channel);
}
