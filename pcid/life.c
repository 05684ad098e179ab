/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Starting a driver, letting clients in to it, and what follows its end.
 */
#include "pcid/life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_LIMIT_MS    30000
#define CLIENTS_AT_A_TIME 16

#define card_of(source, member) ((struct card *)((char *)(source)-offsetof(struct card, member)))

static const char *driver_name(const struct card *card)
{
	const char *slash = strrchr(card->program, '/');

	return slash != NULL ? slash + 1 : card->program;
}

/* --- clients --- */

static void close_client(struct scheme_client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	(void)close(client->status_fd);
	(void)close(client->reader_fd);
}

static void drop_client(struct card_client *client)
{
	struct card *card = client->card;
	struct card_client **link = &card->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	unwatch(card->pcid, &client->hangup);
	close_client(&client->scheme);
	free(client);
}

/* The client or the driver has ended the connection. */
static void client_hung_up(struct source *source, uint32_t events)
{
	struct card_client *client = (struct card_client *)source; /* its first member */

	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		drop_client(client);
}

static int send_client(const struct card *card, const struct scheme_client *client)
{
	const int fds[PCID_CLIENT_FDS] = {client->fd, client->status_fd, client->reader_fd};
	struct pcid_message message = {.type = PCID_CLIENT, .fds = PCID_CLIENT_FDS};

	message.client.request = client->request;
	message.client.id = client->id;
	message.client.pid = client->pid;
	message.client.uid = client->uid;
	message.client.gid = client->gid;
	return pcid_send(card->driver.channel.fd, &message, fds);
}

/* Who cannot be served is told so. */
static void refuse_client(struct card_client *client, int error)
{
	const struct scheme_reply reply = {.magic = SCHEME_MAGIC, .error = error};

	(void)send(client->scheme.fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	close_client(&client->scheme);
	free(client);
}

/* Hands the client to the driver and keeps it, or keeps it waiting for the channel. */
static void hand_over(struct card *card, struct card_client *client)
{
	int error = send_client(card, &client->scheme);

	if (error == -EAGAIN) {
		card->driver.unsent = client;
		(void)watch_for(card->pcid, &card->driver.channel, EPOLLIN | EPOLLOUT);
		unwatch(card->pcid, &card->listener);
		return;
	}
	if (error == 0) /* a hang-up is reported without being asked for */
		error = watch(card->pcid, &client->hangup, client->scheme.fd, 0);
	if (error != 0) {
		refuse_client(client, error == -EPIPE ? -ENODEV : error);
		return;
	}
	client->next = card->clients;
	card->clients = client;
}

static void client_knocks(struct source *source, uint32_t events);

static void listen_on(struct card *card)
{
	int error;

	card->listener.ready = client_knocks;
	error = watch(card->pcid, &card->listener, scheme_registrar_fd(card->registrar), EPOLLIN);
	if (error != 0)
		complain("network:%s: no client can be let in: %s", card->name.scheme,
			strerror(-error));
}

static void let_in(struct card *card)
{
	for (unsigned i = 0; i < CLIENTS_AT_A_TIME && card->driver.unsent == NULL; i++) {
		struct card_client *client = calloc(1, sizeof(*client));
		int result = client == NULL
				     ? -ENOMEM
				     : scheme_registrar_next(card->registrar, &client->scheme);

		if (result > 0) {
			card->turned_away = false;
			client->card = card;
			client->hangup = (struct source){.ready = client_hung_up, .fd = -1};
			hand_over(card, client);
			continue;
		}
		free(client);
		if (result < 0) {
			/* The registrar pauses by itself; one line is enough for all its tries. */
			if (!card->turned_away)
				complain("network:%s: a client was not let in: %s",
					card->name.scheme, strerror(-result));
			card->turned_away = true;
		}
		return;
	}
}

static void client_knocks(struct source *source, uint32_t events)
{
	(void)events;
	let_in(card_of(source, listener));
}

/* --- the channel --- */

static void driver_ready(struct card *card)
{
	card->driver.state = DRIVER_READY;
	say("network:%s ready (%s pid %d, %s)", card->name.scheme, driver_name(card),
		(int)card->driver.pid, card->address);
	listen_on(card);
}

/* Reads what the driver says; false at its end. */
static bool listen_to_driver(struct card *card)
{
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];
	int result;

	while ((result = pcid_receive(card->driver.channel.fd, &message, fds)) > 0) {
		while (message.fds > 0) /* a driver has none to give */
			(void)close(fds[--message.fds]);
		if (message.type == PCID_READY && card->driver.state == DRIVER_STARTING) {
			driver_ready(card);
		} else if (message.type == PCID_FAILED && !card->driver.complained) {
			card->driver.complained = true;
			complain("network:%s: %s pid %d: %s", card->name.scheme, driver_name(card),
				(int)card->driver.pid, message.failed.text);
		}
	}
	return result == -EAGAIN || result == -EPROTO;
}

static void channel_ready(struct source *source, uint32_t events)
{
	struct card *card = card_of(source, driver.channel);

	if ((events & EPOLLOUT) != 0 && card->driver.unsent != NULL) {
		struct card_client *client = card->driver.unsent;

		card->driver.unsent = NULL;
		(void)watch_for(card->pcid, source, EPOLLIN);
		hand_over(card, client);
		if (card->driver.unsent == NULL)
			listen_on(card);
	}
	if (!listen_to_driver(card)) {
		/* It will be seen to end; until then nobody else can be let in. */
		int fd = source->fd;

		unwatch(card->pcid, source);
		unwatch(card->pcid, &card->listener);
		(void)close(fd);
	}
}

/* --- begin and end --- */

/* The new process: a driver finds its end of the channel in its environment, and nothing else. */
__attribute__((noreturn)) static void become_driver(const struct card *card, int channel)
{
	struct pcid_message message = {.type = PCID_FAILED};
	char number[16];
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)snprintf(number, sizeof(number), "%d", channel);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || fcntl(channel, F_SETFD, 0) < 0 ||
		setenv(PCID_CHANNEL_ENV, number, 1) != 0)
		_exit(127);
	(void)execv(card->program, card->arguments);
	(void)snprintf(message.failed.text, sizeof(message.failed.text), "%.160s cannot be run: %s",
		card->program, strerror(errno));
	(void)pcid_send(channel, &message, NULL);
	_exit(127);
}

static int send_start(const struct card *card)
{
	struct pcid_message message = {.type = PCID_START};
	int fds[PCID_CHANNEL_FDS];
	int error;

	(void)snprintf(message.start.name, sizeof(message.start.name), "%s", card->name.scheme);
	error = pci_export(card->fn, &message.start.function, fds);
	if (error != 0)
		return error;
	message.fds = message.start.function.fds;
	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		message.start.region[i] = card->table[i];
		fds[message.fds++] = card->region_fd[i];
	}
	fds[message.fds++] = card->state_fd;
	return pcid_send(card->driver.channel.fd, &message, fds);
}

int life_begin(struct card *card)
{
	int ends[2];
	int error;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		error = -errno;
		goto failed;
	}
	pid = fork();
	if (pid < 0) {
		error = -errno;
		(void)close(ends[0]);
		(void)close(ends[1]);
		goto failed;
	}
	if (pid == 0)
		become_driver(card, ends[1]);
	(void)close(ends[1]);
	card->driver = (struct card_driver){
		.state = DRIVER_STARTING,
		.pid = pid,
		.channel = {.ready = channel_ready, .fd = -1},
		.deadline = now_ms() + START_LIMIT_MS,
	};
	error = watch(card->pcid, &card->driver.channel, ends[0], EPOLLIN);
	if (error != 0) {
		(void)close(ends[0]);
		goto failed;
	}
	error = send_start(card);
	if (error != 0 && error != -EPIPE) /* a driver that died at once will be seen to end */
		goto failed;
	return 0;
failed:
	complain("%s: %s cannot be started: %s", card->address, card->program, strerror(-error));
	return error;
}

void life_end(struct card *card)
{
	struct card_driver *driver = &card->driver;
	int channel = driver->channel.fd;

	unwatch(card->pcid, &driver->channel);
	if (channel >= 0)
		(void)close(channel);
	/* The card first: it must not write to memory that somebody else gets. A card behind
	 * vfio-user was reset by its server when the driver's connection ended.
	 */
	if (card->fn != NULL) {
		int error = pci_quiesce(card->fn);

		if (error != 0 && error != -ENODEV)
			complain("%s: does not fall silent: %s", card->address, strerror(-error));
	}
	/* The scheme before its clients: who reads end of file and opens again finds none. */
	unwatch(card->pcid, &card->listener);
	if (card->registrar != NULL)
		scheme_registrar_destroy(card->registrar);
	card->registrar = NULL;
	if (driver->unsent != NULL)
		refuse_client(driver->unsent, -ENODEV);
	while (card->clients != NULL) {
		struct card_client *client = card->clients;

		card->clients = client->next;
		unwatch(card->pcid, &client->hangup);
		scheme_hang_up(client->scheme.fd);
		client->scheme.fd = -1;
		close_client(&client->scheme);
		free(client);
	}
	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		if (card->region[i] != NULL)
			pci_dma_destroy(card->fn, card->region[i]);
		card->region[i] = NULL;
		if (card->region_fd[i] >= 0)
			(void)close(card->region_fd[i]);
		card->region_fd[i] = -1;
	}
	if (card->state_fd >= 0)
		(void)close(card->state_fd);
	card->state_fd = -1;
	pci_close(card->fn);
	card->fn = NULL;
	*driver = (struct card_driver){.channel = {.fd = -1}};
}

void card_driver_ended(struct card *card, int status)
{
	struct card_driver *driver = &card->driver;
	const char *name = driver_name(card);
	int pid = (int)driver->pid;
	bool stopping = card->pcid->stopping;

	driver->pid = 0;
	if (driver->channel.fd >= 0)
		(void)listen_to_driver(card); /* its last words */
	if (WIFSIGNALED(status))
		complain("network:%s: %s pid %d was killed by signal %d (%s)", card->name.scheme,
			name, pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!driver->complained && (WEXITSTATUS(status) != 0 || !stopping))
		complain("network:%s: %s pid %d ended with status %d", card->name.scheme, name, pid,
			WEXITSTATUS(status));
	life_end(card);
}

int card_due(struct card *card)
{
	struct card_driver *driver = &card->driver;
	int64_t now = now_ms();
	int64_t next = INT64_MAX;
	int timeout;

	if (driver->state == DRIVER_STARTING && driver->pid > 0 && driver->deadline <= now) {
		if (!driver->complained)
			complain("network:%s: %s pid %d is not ready after %d s: killed",
				card->name.scheme, driver_name(card), (int)driver->pid,
				START_LIMIT_MS / 1000);
		driver->complained = true;
		driver->deadline = INT64_MAX;
		(void)kill(driver->pid, SIGKILL);
	}
	if (driver->state == DRIVER_STARTING)
		next = driver->deadline;
	if (card->listener.fd >= 0) {
		timeout = scheme_registrar_timeout(card->registrar);
		if (timeout == 0) {
			let_in(card);
			timeout = card->listener.fd >= 0 ? scheme_registrar_timeout(card->registrar)
							 : -1;
		}
		if (timeout >= 0 && now + timeout < next)
			next = now + timeout;
	}
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}
