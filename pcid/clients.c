/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The clients of a card: let in, kept, and handed to one driver after another.
 */
#include "pcid/clients.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pcid/memory.h"

#define CLIENTS_AT_A_TIME 16

static void close_client(const struct card *card, const struct scheme_client *client)
{
	if (client->fd >= 0)
		scheme_registrar_close(card->registrar, client->fd);
	(void)close(client->status_fd);
	(void)close(client->reader_fd);
	for (size_t i = 0; i < SCHEME_REQUEST_FDS; i++)
		if (client->ring_fds[i] >= 0)
			scheme_registrar_close(card->registrar, client->ring_fds[i]);
}

static void drop_client(struct card_client *client)
{
	struct card *card = client->card;
	struct card_client **link = &card->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	unwatch(card->pcid, &client->hangup);
	close_client(card, &client->scheme);
	free(client);
}

/* The client or the driver has ended the connection. */
static void client_hung_up(struct source *source, uint32_t events)
{
	struct card_client *client = (struct card_client *)source; /* its first member */

	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		drop_client(client);
}

/* It reads end of file, after an error where it has not been answered yet. */
static void end_client(struct card_client *client, int error)
{
	int fd = client->scheme.fd;

	unwatch(client->card->pcid, &client->hangup);
	if (!client->answered)
		(void)scheme_answer(fd, error, -1);
	scheme_registrar_hang_up(client->card->registrar, fd);
	client->scheme.fd = -1;
	drop_client(client);
}

/* --- to the driver --- */

static int send_client(const struct card *card, const struct card_client *client)
{
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];

	pcid_client_pack(&message, fds, &client->scheme, client->answered);
	return pcid_send(card->driver.channel.fd, &message, fds);
}

/* Tells the driver what it does not know of the client. 0, or as pcid_send(). */
static int tell(struct card *card, struct card_client *client)
{
	const struct pcid_message answered = {
		.type = PCID_ANSWERED, .answered.id = client->scheme.id};
	int error = 0;

	if (client->told == TOLD_NOTHING) {
		error = send_client(card, client);
		if (error == 0)
			client->told = client->answered ? TOLD_ANSWERED : TOLD_CLIENT;
	} else if (client->told == TOLD_CLIENT && client->answered) {
		error = pcid_send(card->driver.channel.fd, &answered, NULL);
		if (error == 0)
			client->told = TOLD_ANSWERED;
	}
	return error;
}

void clients_hand_over(struct card *card)
{
	const struct pcid_message kept = {.type = PCID_KEPT};
	struct source *channel = &card->driver.channel;
	struct card_client *next;

	if (card->driver.state != DRIVER_READY || channel->fd < 0)
		return;
	for (struct card_client *client = card->clients; client != NULL; client = next) {
		int error = tell(card, client);

		next = client->next;
		if (error ==
			-EAGAIN) { /* goes on when the channel has room; nobody else comes in */
			(void)watch_for(card->pcid, channel, EPOLLIN | EPOLLOUT);
			unwatch(card->pcid, &card->listener);
			return;
		}
		if (error == -EPIPE) /* the next driver's */
			return;
		if (error != 0)
			end_client(client, error);
	}
	if (card->driver.adopts && pcid_send(channel->fd, &kept, NULL) == -EAGAIN) {
		(void)watch_for(card->pcid, channel, EPOLLIN | EPOLLOUT);
		return;
	}
	card->driver.adopts = false;
	(void)watch_for(card->pcid, channel, EPOLLIN);
	clients_listen(card);
}

void clients_opened(struct card *card, uint32_t id, int error)
{
	struct card_client *client = card->clients;

	while (client != NULL && client->scheme.id != id)
		client = client->next;
	if (client == NULL || client->answered)
		return; /* gone meanwhile, or the driver is mad */
	if (error == 0)
		error = scheme_answer(client->scheme.fd, 0, client->scheme.reader_fd);
	if (error != 0) {
		end_client(client, error);
		return;
	}
	client->answered = true;
	clients_hand_over(card);
}

void clients_map(struct card *card, uint32_t id, const struct dma_handover *at)
{
	struct pcid_message mapped = {.type = PCID_MAPPED, .mapped.id = id};
	const struct card_client *client = card->clients;

	while (client != NULL && client->scheme.id != id)
		client = client->next;
	if (client == NULL || !scheme_request_has_rings(&client->scheme.request))
		mapped.mapped.error = -ENOENT; /* gone meanwhile, or the driver is mad */
	else
		mapped.mapped.error =
			memory_map(card, id, client->scheme.ring_fds[SCHEME_FD_FRAMES], at);
	mapped.mapped.done = memory_maps(card);
	/* A driver that does not read is ended by the watchdog, and loses the memory then. */
	(void)pcid_send(card->driver.channel.fd, &mapped, NULL);
}

/* --- who knocks --- */

static void let_in(struct card *card)
{
	for (unsigned i = 0; i < CLIENTS_AT_A_TIME && card->listener.fd >= 0; i++) {
		struct card_client *client = calloc(1, sizeof(*client));
		int result = client == NULL
				     ? -ENOMEM
				     : scheme_registrar_next(card->registrar, &client->scheme);

		if (result > 0) {
			card->turned_away = false;
			client->card = card;
			client->hangup = (struct source){.ready = client_hung_up, .fd = -1};
			client->next = card->clients;
			card->clients = client;
			/* A hang-up is reported without being asked for. */
			result = watch(card->pcid, &client->hangup, client->scheme.fd, 0);
			if (result != 0)
				end_client(client, result);
			else
				clients_hand_over(card);
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
	let_in((struct card *)((char *)source - offsetof(struct card, listener)));
}

void clients_listen(struct card *card)
{
	int error;

	if (card->listener.fd >= 0)
		return;
	card->listener.ready = client_knocks;
	error = watch(card->pcid, &card->listener, scheme_registrar_fd(card->registrar), EPOLLIN);
	if (error != 0)
		complain("network:%s: no client can be let in: %s", card->name.scheme,
			strerror(-error));
}

int clients_due(struct card *card)
{
	if (card->listener.fd >= 0 && scheme_registrar_timeout(card->registrar) == 0)
		let_in(card);
	return card->listener.fd >= 0 ? scheme_registrar_timeout(card->registrar) : -1;
}

/* --- without a driver --- */

void clients_wait(struct card *card)
{
	const uint32_t none = 0;

	unwatch(card->pcid, &card->listener);
	for (struct card_client *client = card->clients; client != NULL; client = client->next) {
		int page = client->scheme.status_fd;

		client->told = TOLD_NOTHING;
		(void)!pwrite(page, &none, sizeof(none), offsetof(struct scheme_status, link_up));
		(void)!pwrite(page, &none, sizeof(none), offsetof(struct scheme_status, present));
	}
}

void clients_next_driver(struct card *card)
{
	unwatch(card->pcid, &card->listener);
	for (struct card_client *client = card->clients; client != NULL; client = client->next)
		client->told = TOLD_NOTHING;
}

void clients_end(struct card *card)
{
	struct card_client *next;

	for (struct card_client *client = card->clients; client != NULL; client = next) {
		next = client->next;
		end_client(client, -ENODEV);
	}
}
