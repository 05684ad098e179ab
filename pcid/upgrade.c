/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One driver after another, on a card that runs.
 */
#include "pcid/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "pcid/clients.h"
#include "pcid/control.h"
#include "pcid/life.h"

#define COMING_LIMIT_MS   5000
#define STOPPING_LIMIT_MS 5000

#define VFIO_USER "vfio-user:"

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The newcomer, while it is not the card's driver: it goes. */
static void dismiss(struct card *card)
{
	struct card_upgrade *up = &card->upgrade;
	int channel = up->channel.fd;

	unwatch(card->pcid, &up->channel);
	if (channel >= 0)
		(void)close(channel);
	if (up->pid > 0)
		(void)kill(up->pid, SIGKILL); /* reaped like any child */
	up->pid = 0;
}

static void finish(struct card *card, int error, const char *text)
{
	dismiss(card);
	card->upgrade.state = UPGRADE_NONE;
	control_answer(card->upgrade.asker, error, text);
	card->upgrade.asker = -1;
}

void upgrade_fail(struct card *card, int error, const char *text)
{
	char line[256];

	if (card->upgrade.state == UPGRADE_NONE)
		return;
	(void)snprintf(
		line, sizeof(line), "network:%.63s: not upgraded: %.160s", card->name.scheme, text);
	complain("%s", line);
	finish(card, error, line);
}

/* --- the newcomer comes --- */

static void stop_driver(struct card *card)
{
	const struct pcid_message stop = {.type = PCID_STOP};
	struct card_upgrade *up = &card->upgrade;
	int channel = card->driver.channel.fd;
	int error;

	if (channel >= 0)
		scheme_take_rights(channel, true);
	error = channel < 0 ? -EPIPE : pcid_send(channel, &stop, NULL);
	if (error != 0) {
		upgrade_fail(card, error, "the running driver is not reached; it is left running");
		return;
	}
	up->state = UPGRADE_STOPPING;
	up->deadline = now_ms() + STOPPING_LIMIT_MS;
	up->stopped_us = now_us();
	unwatch(card->pcid, &card->listener); /* who comes now is the next driver's */
}

static void newcomer_speaks(struct source *source, uint32_t events)
{
	struct card *card =
		(struct card *)((char *)source - offsetof(struct card, upgrade.channel));
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];
	int result = pcid_receive(source->fd, &message, fds);

	(void)events;
	while (result > 0 && message.fds > 0)
		(void)close(fds[--message.fds]);
	if (result > 0 && message.type == PCID_PONG && card->upgrade.state == UPGRADE_COMING)
		stop_driver(card);
	else if (result > 0 && message.type == PCID_FAILED)
		upgrade_fail(card, -ENOEXEC, message.failed.text);
	else if (result == 0)
		upgrade_fail(card, -ENOEXEC, "the new program ends at once");
	else if (result != -EAGAIN)
		upgrade_fail(card, -ENOEXEC, "the new program is no driver of this version");
}

void upgrade_begin(struct card *card, const char *program, int asker)
{
	const struct pcid_message ping = {.type = PCID_PING};
	struct card_upgrade *up = &card->upgrade;
	int channel;
	int error;

	if (up->state != UPGRADE_NONE) {
		control_answer(asker, -EBUSY, "an upgrade is under way already: wait for its end");
		return;
	}
	if (card->driver.state != DRIVER_READY || card->pcid->stopping) {
		control_answer(asker, -EAGAIN, "no driver is ready: try again when one is");
		return;
	}
	*up = (struct card_upgrade){.state = UPGRADE_COMING,
		.asker = asker,
		.leaving = up->leaving,
		.channel = {.ready = newcomer_speaks, .fd = -1},
		.deadline = now_ms() + COMING_LIMIT_MS};
	(void)snprintf(up->program, sizeof(up->program), "%s",
		program[0] != '\0' ? program : card->program);
	error = life_spawn(card, up->program, &up->pid, &channel);
	if (error == 0) {
		error = watch(card->pcid, &up->channel, channel, EPOLLIN);
		if (error != 0)
			(void)close(channel);
		else
			error = pcid_send(channel, &ping, NULL);
	}
	if (error != 0 && error != -EPIPE) /* one that died at once is heard of */
		upgrade_fail(card, error, "the new program cannot be started");
}

/* --- the card changes hands --- */

/* The newcomer is the card's driver from now on. */
static void promote(struct card *card)
{
	struct card_upgrade *up = &card->upgrade;
	int old = card->driver.channel.fd;
	int channel = up->channel.fd;

	unwatch(card->pcid, &card->driver.channel);
	if (old >= 0)
		(void)close(old);
	unwatch(card->pcid, &up->channel);
	up->leaving = card->driver.pid;
	life_adopt_process(card, up->pid, channel);
	card->driver.adopts = true;
	up->pid = 0;
	up->state = UPGRADE_TAKING;
	clients_next_driver(card);
}

void upgrade_stopped(struct card *card, const struct pcid_message *message, const int *fds)
{
	const struct pci_handover *function = &message->stopped.function;
	struct card_upgrade *up = &card->upgrade;
	bool ours = strncmp(function->address, card->address, sizeof(function->address)) == 0;
	int error;

	if (up->state != UPGRADE_STOPPING || !ours) {
		/* Nobody has asked it to, or it is mad. It ends, and is followed by another. */
		(void)kill(card->driver.pid, SIGKILL);
		return;
	}
	promote(card);
	/* Of VFIO pcid has container and device itself; a vfio-user connection is what came. */
	if (strncmp(card->address, VFIO_USER, strlen(VFIO_USER)) == 0)
		error = life_send_start(card, function, fds);
	else
		error = life_send_start(card, NULL, NULL);
	if (error != 0 && error != -EPIPE) /* it ends, and is followed by another */
		(void)kill(card->driver.pid, SIGKILL);
}

/* --- and it is over --- */

void upgrade_said(struct card *card, const char *text)
{
	if (card->upgrade.state == UPGRADE_TAKING)
		(void)snprintf(card->upgrade.said, sizeof(card->upgrade.said), "%s", text);
}

void upgrade_ready(struct card *card)
{
	struct card_upgrade *up = &card->upgrade;
	int64_t gap = now_us() - up->stopped_us;
	char text[256];

	if (up->state != UPGRADE_TAKING)
		return;
	if (up->leaving > 0) /* it has handed all over, and has nothing to do here any more */
		(void)kill(up->leaving, SIGKILL);
	memcpy(card->program, up->program, sizeof(card->program));
	if (up->said[0] != '\0') {
		(void)snprintf(text, sizeof(text),
			"network:%.63s: the new driver serves, but after a reset: %.130s",
			card->name.scheme, up->said);
		complain("%s", text);
		finish(card, -EINVAL, text);
		return;
	}
	(void)snprintf(text, sizeof(text),
		"network:%.63s upgraded: pid %d, %lld.%03lld ms between the two", card->name.scheme,
		(int)card->driver.pid, (long long)(gap / 1000), (long long)(gap % 1000));
	finish(card, 0, text);
}

void upgrade_driver_ended(struct card *card)
{
	struct card_upgrade *up = &card->upgrade;

	if (up->state == UPGRADE_TAKING)
		upgrade_fail(card, -ENOEXEC,
			"the new program ended before it was ready; the old one starts afresh");
	else
		upgrade_fail(card, -ESRCH, "the running driver ended");
}

bool upgrade_process_ended(struct card *card, pid_t pid)
{
	struct card_upgrade *up = &card->upgrade;

	if (pid == up->leaving) {
		up->leaving = 0;
		return true;
	}
	if (up->state == UPGRADE_NONE || pid != up->pid)
		return false;
	up->pid = 0;
	if (up->channel.fd >= 0) /* its last words, which end the upgrade */
		newcomer_speaks(&up->channel, EPOLLIN);
	upgrade_fail(card, -ENOEXEC, "the new program ended at once");
	return true;
}

int upgrade_due(struct card *card)
{
	struct card_upgrade *up = &card->upgrade;
	int64_t left;

	if (up->state != UPGRADE_COMING && up->state != UPGRADE_STOPPING)
		return -1;
	left = up->deadline - now_ms();
	if (left > 0)
		return (int)left;
	if (up->state == UPGRADE_COMING) {
		upgrade_fail(card, -ETIMEDOUT,
			"the new program does not say that it is there; the old one serves");
		return -1;
	}
	upgrade_fail(
		card, -ETIMEDOUT, "the running driver does not stop: killed, and started afresh");
	(void)kill(card->driver.pid, SIGKILL);
	return -1;
}
