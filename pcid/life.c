/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver's life: begun, watched, begun again when it ended, given up (doc/life.md).
 */
#include "pcid/life.h"

#include "pcid/clients.h"
#include "pcid/control.h"
#include "pcid/memory.h"
#include "pcid/orphan.h"
#include "pcid/post_mortem.h"
#include "pcid/upgrade.h"

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

#define START_LIMIT_MS 30000
#define PING_MS        1000
/* The first new try comes at once, the next after 10 ms, then twice that each time. */
#define BACKOFF_MIN_MS 10u
#define BACKOFF_MAX_MS 1000u
/* A driver that has served for so long does not die of its start. */
#define SERVED_MS 50
/* The exit status of a driver whose card is gone: unplugged, or its server ended. */
#define STATUS_GONE 3

#define VFIO_USER "vfio-user:"

#define card_of(source, member) ((struct card *)((char *)(source)-offsetof(struct card, member)))

static const char *driver_name(const struct card *card)
{
	const char *slash = strrchr(card->program, '/');

	return slash != NULL ? slash + 1 : card->program;
}

/* --- the last of a driver --- */

/* Writes what was kept when it died: not before another one serves, since that takes longer than
 * much of a restart.
 */
static void write_last(struct card *card)
{
	char text[PATH_MAX + SCHEME_NAME_MAX + 64];
	struct post_mortem *report = card->dead;

	card->dead = NULL;
	if (report == NULL)
		return;
	if (post_mortem_write(report, text, sizeof(text)) == 0)
		say("%s", text);
	else
		complain("%s", text);
}

/* --- the channel --- */

static void driver_ready(struct card *card)
{
	card->driver.state = DRIVER_READY;
	say("network:%s ready (%s pid %d, %s)", card->name.scheme, driver_name(card),
		(int)card->driver.pid, card->address);
	card->driver.ready_at = now_ms();
	card->driver.ping_at = card->driver.ready_at + PING_MS;
	card->deaths.served = true;
	card->deaths.away = false;
	orphan_note(card);
	upgrade_ready(card);
	clients_hand_over(card);
	write_last(card);
}

/* Reads what the driver says; false at its end. */
static bool listen_to_driver(struct card *card)
{
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];
	int result;

	while ((result = pcid_receive(card->driver.channel.fd, &message, fds)) > 0) {
		if (message.type == PCID_STOPPED)
			upgrade_stopped(card, &message, fds);
		while (message.fds > 0)
			(void)close(fds[--message.fds]);
		if (message.type == PCID_PONG && card->driver.pinged) {
			card->driver.pinged = false;
			card->driver.ping_at = now_ms() + PING_MS;
		} else if (message.type == PCID_OPENED) {
			clients_opened(card, message.opened.id, message.opened.error);
		} else if (message.type == PCID_MAP) {
			clients_map(card, message.memory.id, &message.memory.at);
		} else if (message.type == PCID_UNMAP) {
			memory_unmap(card, message.unmap.id);
		} else if (message.type == PCID_READY && card->driver.state == DRIVER_STARTING) {
			driver_ready(card);
		} else if (message.type == PCID_FAILED && !card->driver.complained) {
			card->driver.complained = card->upgrade.state != UPGRADE_TAKING;
			upgrade_said(card, message.failed.text);
			complain("network:%s: %s pid %d: %s", card->name.scheme, driver_name(card),
				(int)card->driver.pid, message.failed.text);
		}
	}
	return result == -EAGAIN || result == -EPROTO;
}

static void channel_ready(struct source *source, uint32_t events)
{
	struct card *card = card_of(source, driver.channel);

	if ((events & EPOLLOUT) != 0)
		clients_hand_over(card);
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
__attribute__((noreturn)) static void become_driver(
	const struct card *card, const char *program, int channel)
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
	(void)execv(program, card->arguments);
	(void)snprintf(message.failed.text, sizeof(message.failed.text), "%.160s cannot be run: %s",
		program, strerror(errno));
	(void)pcid_send(channel, &message, NULL);
	_exit(127);
}

/* START with a function and its descriptors. */
static int send_start(
	const struct card *card, struct pcid_message *message, int fds[PCID_CHANNEL_FDS])
{
	int error;

	(void)snprintf(message->start.name, sizeof(message->start.name), "%s", card->name.scheme);
	message->start.client_bytes = card->pcid->options.client_bytes;
	message->fds = message->start.function.fds;
	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		message->start.region[i] = card->table[i];
		fds[message->fds++] = card->region_fd[i];
	}
	fds[message->fds++] = card->state_fd;
	if (message->start.adopt != 0)
		message->start.memories = memory_count(card);
	error = pcid_send(card->driver.channel.fd, message, fds);
	if (error == 0 && message->start.adopt != 0)
		error = memory_send_all(card, card->driver.channel.fd);
	return error;
}

static int send_own_start(const struct card *card, uint32_t adopt)
{
	struct pcid_message message = {.type = PCID_START, .start.adopt = adopt};
	int fds[PCID_CHANNEL_FDS];
	int error = pci_export(card->fn, &message.start.function, fds);

	return error == 0 ? send_start(card, &message, fds) : error;
}

int life_send_start(const struct card *card, const struct pci_handover *function, const int *fds)
{
	struct pcid_message message = {.type = PCID_START, .start.adopt = 1};
	int all[PCID_CHANNEL_FDS];

	if (function == NULL)
		return send_own_start(card, 1);
	message.start.function = *function;
	memcpy(all, fds, function->fds * sizeof(all[0]));
	return send_start(card, &message, all);
}

/* A vfio-user connection is its user's alone; of VFIO pcid keeps container and device. */
static void let_go(struct card *card)
{
	if (strncmp(card->address, VFIO_USER, strlen(VFIO_USER)) != 0)
		return;
	pci_close(card->fn);
	card->fn = NULL;
	for (unsigned i = 0; i < PCID_REGIONS; i++)
		card->region[i] = NULL;
}

int life_spawn(const struct card *card, const char *program, pid_t *pid, int *channel)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	scheme_take_rights(ends[0], false); /* but with STOPPED, which is asked for */
	*pid = fork();
	if (*pid < 0) {
		int error = -errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return error;
	}
	if (*pid == 0)
		become_driver(card, program, ends[1]);
	(void)close(ends[1]);
	*channel = ends[0];
	return 0;
}

void life_adopt_process(struct card *card, pid_t pid, int channel)
{
	card->driver = (struct card_driver){
		.state = DRIVER_STARTING,
		.pid = pid,
		.channel = {.ready = channel_ready, .fd = -1},
		.deadline = now_ms() + START_LIMIT_MS,
	};
	if (watch(card->pcid, &card->driver.channel, channel, EPOLLIN) != 0)
		(void)close(channel); /* the driver hears that, and ends */
}

int life_begin(struct card *card)
{
	int channel = -1;
	pid_t pid = -1;
	int error = life_spawn(card, card->program, &pid, &channel);

	if (error == 0) {
		life_adopt_process(card, pid, channel);
		error = card->driver.channel.fd < 0 ? -EPIPE : send_own_start(card, 0);
	}
	if (error != 0 && error != -EPIPE) { /* a driver that died at once will be seen to end */
		complain("%s: %s cannot be started: %s", card->address, card->program,
			strerror(-error));
		return error;
	}
	let_go(card);
	return 0;
}

/* No driver has the card now: it falls silent, before anybody else gets its memory. A card behind
 * vfio-user was reset by its server when the driver's connection ended.
 */
static void quiesce(struct card *card)
{
	struct card_driver *driver = &card->driver;
	int channel = driver->channel.fd;

	unwatch(card->pcid, &driver->channel);
	if (channel >= 0)
		(void)close(channel);
	if (card->fn != NULL) {
		int error = pci_quiesce(card->fn);

		if (error != 0 && error != -ENODEV)
			complain("%s: does not fall silent: %s", card->address, strerror(-error));
	}
	memory_drop_all(card);
	*driver = (struct card_driver){.channel = {.fd = -1}};
}

void life_end(struct card *card)
{
	upgrade_fail(card, -ENODEV, "the card is not served any more");
	write_last(card);
	control_close(card);
	quiesce(card);
	/* The scheme before its clients: who reads end of file and opens again finds none. */
	unwatch(card->pcid, &card->listener);
	if (card->registrar != NULL)
		scheme_registrar_stop(card->registrar);
	clients_end(card);
	scheme_registrar_destroy(card->registrar);
	card->registrar = NULL;
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
}

/* --- again --- */

/* Notes one more; whether it is one too many. */
static bool too_many_deaths(struct card *card)
{
	const struct pcid_options *options = &card->pcid->options;
	struct card_deaths *deaths = &card->deaths;
	int64_t since = now_ms() - (int64_t)options->deaths_s * 1000;
	size_t kept = 0;

	if (options->max_deaths == 0)
		return false;
	for (size_t i = 0; i < deaths->count; i++) {
		if (deaths->at[i] >= since)
			deaths->at[kept++] = deaths->at[i];
	}
	deaths->at[kept++] = now_ms(); /* at most max_deaths were kept: one more ended it */
	deaths->count = kept;
	return kept > options->max_deaths;
}

static void try_later(struct card *card)
{
	unsigned *backoff = &card->deaths.backoff;

	card->driver.state = DRIVER_AWAY;
	card->driver.deadline = now_ms() + *backoff;
	*backoff = *backoff == 0                   ? BACKOFF_MIN_MS
		   : *backoff < BACKOFF_MAX_MS / 2 ? *backoff * 2
						   : BACKOFF_MAX_MS;
}

/* Opens a card that pcid does not hold, with the memory that was its before. */
static int reopen(struct card *card, struct pci_error *why)
{
	const struct pci_id *id;
	int error;

	pci_close(card->fn);
	card->fn = NULL;
	for (unsigned i = 0; i < PCID_REGIONS; i++)
		card->region[i] = NULL;
	error = pci_open(&card->fn, card->address, why);
	if (error != 0)
		return error;
	id = pci_ident(card->fn);
	if (id->vendor != card->id.vendor || id->device != card->id.device) {
		(void)snprintf(why->text, sizeof(why->text),
			"%.128s: another card is there now: %04x:%04x", card->address, id->vendor,
			id->device);
		error = -ENODEV;
	}
	for (unsigned i = 0; error == 0 && i < PCID_REGIONS; i++) {
		error = pci_dma_again(card->fn, card->region_fd[i], &card->region[i], why);
		if (error == 0)
			pci_dma_export(card->region[i], &card->table[i]);
	}
	if (error != 0) {
		pci_close(card->fn);
		card->fn = NULL;
	}
	return error;
}

static void begin_again(struct card *card)
{
	struct pci_error why = {""};

	if ((card->fn == NULL || pci_gone(card->fn)) && reopen(card, &why) != 0) {
		if (!card->deaths.away)
			complain("network:%s: the card is away: %s; its clients wait until it is "
				 "back",
				card->name.scheme, why.text);
		card->deaths.away = true;
		write_last(card);
		try_later(card);
		return;
	}
	if (life_begin(card) == 0)
		return;
	if (card->driver.pid > 0) /* it is seen to end, and followed by another */
		(void)kill(card->driver.pid, SIGKILL);
	else
		try_later(card);
}

bool card_lives(const struct card *card)
{
	return card->driver.pid > 0 || card->driver.state == DRIVER_AWAY;
}

/* Keeps what the driver did last, for whoever wants to know why it died, where it did not say. */
static void keep_last(struct card *card, int pid, int status)
{
	char end[POST_MORTEM_END];
	int error;

	write_last(card); /* of one that died before it was ready */
	if (WIFSIGNALED(status))
		(void)snprintf(end, sizeof(end), "%.60s pid %d was killed by signal %d (%s)",
			driver_name(card), pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 && !card->driver.complained)
		(void)snprintf(end, sizeof(end), "%.60s pid %d ended with status %d",
			driver_name(card), pid, WEXITSTATUS(status));
	else
		return;
	error = post_mortem_take(&card->dead, card, end);
	if (error != 0 && error != -ENODATA)
		complain("network:%s: no post-mortem: %s", card->name.scheme, strerror(-error));
}

void card_driver_ended(struct card *card, int status)
{
	struct card_driver *driver = &card->driver;
	const char *name = driver_name(card);
	int pid = (int)driver->pid;
	bool stopping = card->pcid->stopping;
	bool gone = WIFEXITED(status) && WEXITSTATUS(status) == STATUS_GONE;
	const struct pcid_options *options = &card->pcid->options;

	driver->pid = 0;
	orphan_forget(card);
	if (driver->channel.fd >= 0)
		(void)listen_to_driver(card); /* its last words */
	if (driver->pid > 0)                  /* that it hands over: another one has the card */
		return;
	upgrade_driver_ended(card);
	if (WIFSIGNALED(status))
		complain("network:%s: %s pid %d was killed by signal %d (%s)", card->name.scheme,
			name, pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!driver->complained && (WEXITSTATUS(status) != 0 || !stopping))
		complain("network:%s: %s pid %d ended with status %d", card->name.scheme, name, pid,
			WEXITSTATUS(status));
	clients_wait(card); /* they see at once that the link is down */
	keep_last(card, pid, status);
	/* One that never served is wrong as it stands: another would not do better. */
	if (stopping || !card->deaths.served) {
		life_end(card);
		return;
	}
	if (driver->state == DRIVER_READY && now_ms() - driver->ready_at >= SERVED_MS)
		card->deaths.backoff = 0;
	quiesce(card);
	if (!gone && too_many_deaths(card)) {
		complain("network:%s: GIVEN UP: %zu drivers died within %u s; its clients are "
			 "hung up; see what is wrong and start pcid again",
			card->name.scheme, card->deaths.count, options->deaths_s);
		life_end(card);
		return;
	}
	try_later(card);
}

/* Asks the driver whether it is there, and ends one that does not say so in time. */
static void watch_over(struct card *card, int64_t now)
{
	const struct pcid_message ping = {.type = PCID_PING};
	struct card_driver *driver = &card->driver;
	int64_t patience = (int64_t)card->pcid->options.watchdog_s * 1000;

	if (!driver->pinged) {
		/* A channel without room is one that is not read: no answer to that either. */
		if (driver->channel.fd >= 0)
			(void)pcid_send(driver->channel.fd, &ping, NULL);
		driver->pinged = true;
		driver->ping_at = now + patience;
		return;
	}
	if (driver->channel.fd >= 0)
		(void)listen_to_driver(card);
	if (!driver->pinged)
		return;
	if (now - driver->ping_at > PING_MS) { /* it was us who slept: it gets its time again */
		driver->ping_at = now + patience;
		return;
	}
	complain("network:%s: %s pid %d does not answer for %u s: killed", card->name.scheme,
		driver_name(card), (int)driver->pid, card->pcid->options.watchdog_s);
	driver->complained = true;
	driver->ping_at = INT64_MAX;
	(void)kill(driver->pid, SIGKILL);
}

int card_due(struct card *card)
{
	struct card_driver *driver = &card->driver;
	int64_t now = now_ms();
	int64_t next = INT64_MAX;
	int timeout;

	if (driver->state == DRIVER_AWAY && driver->deadline <= now && !card->pcid->stopping) {
		begin_again(card);
		now = now_ms();
	}
	if (driver->state == DRIVER_READY && driver->pid > 0 && driver->ping_at <= now &&
		card->pcid->options.watchdog_s > 0)
		watch_over(card, now);

	if (driver->state == DRIVER_STARTING && driver->pid > 0 && driver->deadline <= now) {
		if (!driver->complained)
			complain("network:%s: %s pid %d is not ready after %d s: killed",
				card->name.scheme, driver_name(card), (int)driver->pid,
				START_LIMIT_MS / 1000);
		driver->complained = true;
		driver->deadline = INT64_MAX;
		(void)kill(driver->pid, SIGKILL);
	}
	if (driver->state == DRIVER_STARTING || driver->state == DRIVER_AWAY)
		next = driver->deadline;
	else if (driver->state == DRIVER_READY && card->pcid->options.watchdog_s > 0)
		next = driver->ping_at;
	timeout = upgrade_due(card);
	if (timeout >= 0 && now + timeout < next)
		next = now + timeout;
	timeout = control_due(card);
	if (timeout >= 0 && now + timeout < next)
		next = now + timeout;
	timeout = clients_due(card);
	if (timeout >= 0 && now + timeout < next)
		next = now + timeout;
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}
