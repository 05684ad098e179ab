/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Polling, sleeping, and what wakes.
 */
#include "daemon/loop.h"

#include "daemon/again.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* How long to go on polling without work: about what an interrupt and a wake-up cost together. */
#define IDLE_BUDGET_NS 50000
/* Rounds between two looks at what is no traffic (signals, new clients). */
#define ROUNDS_PER_LOOK 64u
/* Octet counters wrap within a minute at 10 Gbit/s (nic.h: at least every 30 s). */
#define COUNTERS_NS 25000000000
/* The same for the first time above a card that was taken over. */
#define SETTLED_NS 1000000000
/* Where no interrupt tells of the link. */
#define LINK_POLL_NS   200000000
#define CLIENTS_A_LOOK 16
/* Between two looks at whether the card is well, which also find what an interrupt that got lost
 * should have told.
 */
#define CHECK_NS 1000000000

/* What an epoll event is about; an interrupt's number is added to the last. */
enum what { WHAT_SCHEME, WHAT_CHANNEL, WHAT_SIGNAL, WHAT_GONE, WHAT_IRQ };

struct loop {
	struct resources *resources;
	struct port *port;
	struct owners *owners;
	enum daemon_mode mode;
	struct scheme *scheme;
	struct scheme_linux *transport;
	int epoll;
	int signals;
	int irq[NIC_MAX_QUEUES + 1];
	size_t irqs;
	int64_t counters_due; /* CLOCK_MONOTONIC ns */
	int64_t check_due;
	unsigned handles; /* that are open, when last looked at */
	bool orphan;      /* pcid is gone: it serves who is open, and ends with the last */
	bool hands_over;
	bool waits; /* for the clients of the driver before: no frame is nobody's as yet */
	bool stop;
	int error; /* why it stops */
	struct pci_error *why;
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void end(struct loop *loop, int error, const char *why)
{
	if (loop->stop)
		return;
	loop->stop = true;
	loop->error = error;
	if (error != 0)
		(void)snprintf(loop->why->text, sizeof(loop->why->text), "%s", why);
}

/* For whoever reads the flight recorder. */
static void note(struct loop *loop, enum flight_kind kind, size_t which, uint32_t value)
{
	recorder_add(&loop->resources->recorder, kind, 0, (uint32_t)which, value);
}

static void card_gone(struct loop *loop)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
		"%.140s: the card is gone: unplugged, or its server ended",
		pci_address(loop->resources->fn));
	end(loop, -ENODEV, text);
}

/* --- making it --- */

static int watch(struct loop *loop, int fd, enum what what, size_t number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(what + number)};

	if (fd < 0)
		return 0;
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int watch_all(struct loop *loop)
{
	const struct resources *r = loop->resources;
	int error = watch(loop, scheme_linux_fd(loop->transport), WHAT_SCHEME, 0);

	if (error == 0)
		error = watch(loop, loop->signals, WHAT_SIGNAL, 0);
	if (error == 0)
		error = watch(loop, r->channel, WHAT_CHANNEL, 0);
	if (error == 0)
		error = watch(loop, pci_gone_fd(r->fn), WHAT_GONE, 0);
	for (size_t i = 0; error == 0 && i < loop->irqs; i++)
		error = watch(loop, loop->irq[i], WHAT_IRQ, i);
	return error;
}

int loop_create(struct loop **out, struct resources *resources, struct port *port,
	struct owners *owners, enum daemon_mode mode, struct pci_error *why)
{
	struct scheme_port table = port_table(port);
	struct loop *loop = calloc(1, sizeof(*loop));
	sigset_t set;
	int error = -ENOMEM;

	if (loop == NULL)
		goto failed;
	table.queues = owners_table(owners);
	loop->resources = resources;
	loop->port = port;
	loop->owners = owners;
	loop->mode = mode;
	loop->epoll = -1;
	loop->signals = -1;
	loop->waits = resources->adopt;
	if (resources->adopt) /* clients wait; link and counters were read a moment ago */
		loop->counters_due = now_ns() + SETTLED_NS;
	loop->irqs = nic_irq_fds(port->nic, loop->irq);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		error = -errno;
		goto failed;
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	loop->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	error = loop->signals < 0 ? -errno : scheme_create(&loop->scheme, resources->name, &table);
	if (error == 0)
		error = scheme_linux_create(&loop->transport, loop->scheme);
	if (error == 0)
		error = watch_all(loop);
	if (error != 0)
		goto failed;
	*out = loop;
	return 0;
failed:
	(void)snprintf(why->text, sizeof(why->text), "network:%s: cannot be served: %s",
		resources->name, strerror(-error));
	loop_destroy(loop);
	return error;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	/* What pcid holds it decides on. */
	if (!loop->resources->alone && !loop->orphan)
		scheme_linux_leave(loop->transport);
	else
		scheme_linux_destroy(loop->transport);
	if (loop->scheme != NULL)
		scheme_destroy(loop->scheme);
	if (loop->signals >= 0)
		(void)close(loop->signals);
	if (loop->epoll >= 0)
		(void)close(loop->epoll);
	free(loop);
}

/* --- what is no traffic --- */

/* Where there is pcid it answers the client, and then has it served. */
static void opened(struct loop *loop, const struct scheme_client *client, int error)
{
	const struct pcid_message message = {
		.type = PCID_OPENED, .opened = {.id = client->id, .error = error}};

	if (!client->held)
		return;
	error = pcid_send(loop->resources->channel, &message, NULL);
	if (error != 0 && error != -EPIPE) /* the next look sees a pcid that is gone */
		end(loop, error, "pcid does not read what it is told");
}

static void refuse(struct loop *loop, const struct scheme_client *client, int error)
{
	scheme_linux_refuse(client, error);
	opened(loop, client, error);
}

static void open_client(struct loop *loop, const struct scheme_client *client)
{
	int error = scheme_linux_adopt(loop->transport, client);

	if (error != 0)
		owners_forget(loop->owners, client->id);
	opened(loop, client, error);
}

/* pcid is gone. Who has the card open notices nothing; nobody else can come any more. */
static void orphaned(struct loop *loop)
{
	struct scheme_client client;

	loop->orphan = true;
	loop->waits = false;
	(void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->resources->channel, NULL);
	scheme_linux_drop_held(loop->transport);
	while (owners_drop_asked(loop->owners, &client))
		refuse(loop, &client, -ENODEV);
}

/* Takes the client in, or has pcid map its memory first. */
static void adopt(struct loop *loop, const struct pcid_message *message, const int *fds)
{
	struct scheme_client client;
	int asked;

	pcid_client_unpack(message, fds, &client);
	client.held = !client.resumed && !loop->resources->alone;
	note(loop, FLIGHT_CLIENT, client.id, (uint32_t)client.pid);
	asked = owners_ask(loop->owners, &client);
	if (asked < 0)
		refuse(loop, &client, asked);
	else if (asked > 0)
		open_client(loop, &client);
}

/* A client's memory is the card's, or is not to be. */
static void mapped(struct loop *loop, const struct pcid_message *message)
{
	struct scheme_client client;
	int error;

	if (!owners_mapped(loop->owners, message, &client, &error))
		return;
	if (error != 0)
		refuse(loop, &client, error);
	else
		open_client(loop, &client);
}

static void from_channel(struct loop *loop)
{
	const struct pcid_message pong = {.type = PCID_PONG};
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];

	for (unsigned i = 0; i < CLIENTS_A_LOOK; i++) {
		int result = pcid_receive(loop->resources->channel, &message, fds);

		if (result == -EAGAIN)
			return;
		if (result == 0 && !loop->resources->alone) {
			orphaned(loop);
			return;
		}
		if (result <= 0) {
			end(loop, -EPIPE,
				result < 0 ? "what pcid says is not understood"
					   : "the process that lets clients in is gone");
			return;
		}
		switch (message.type) {
		case PCID_CLIENT: adopt(loop, &message, fds); continue;
		case PCID_ANSWERED:
			scheme_linux_release(loop->transport, message.answered.id);
			break;
		case PCID_MAPPED: mapped(loop, &message); break;
		case PCID_KEPT:
			owners_settle(loop->owners);
			loop->waits = false;
			break;
		case PCID_STOP:
			loop->hands_over = true;
			end(loop, 0, "");
			return;
		case PCID_PING: (void)pcid_send(loop->resources->channel, &pong, NULL); break;
		default: break;
		}
		while (message.fds > 0)
			(void)close(fds[--message.fds]);
	}
}

static void read_link(struct loop *loop)
{
	const struct scheme_link *link = &loop->port->link;
	uint32_t before = link->up ? link->mbit : 0;
	const char *news;

	if (port_read_link(loop->port) == -ENODEV)
		card_gone(loop);
	if ((link->up ? link->mbit : 0) != before)
		note(loop, FLIGHT_LINK, 0, link->up ? link->mbit : 0);
	news = port_module_news(loop->port);
	if (news != NULL)
		(void)fprintf(stderr, "%s: network:%s: %s\n", loop->port->program,
			loop->resources->name, news);
}

static void interrupt(struct loop *loop, size_t which)
{
	uint64_t count;
	int events;

	if (read(loop->irq[which], &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	loop->port->loop.interrupts++;
	events = nic_irq_ack(loop->port->nic, which);
	note(loop, FLIGHT_INTERRUPT, which, (uint32_t)events);
	if (events == -ENODEV)
		card_gone(loop);
	else if (events > 0 && (events & NIC_EVENT_LINK) != 0)
		read_link(loop);
}

static void happened(struct loop *loop, uint32_t what)
{
	struct signalfd_siginfo info;

	switch (what) {
	case WHAT_SCHEME: /* the next round sees to it */ break;
	case WHAT_CHANNEL: from_channel(loop); break;
	case WHAT_SIGNAL:
		if (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			end(loop, 0, "");
		break;
	case WHAT_GONE:
		if (pci_check_gone(loop->resources->fn))
			card_gone(loop);
		break;
	default: interrupt(loop, what - WHAT_IRQ); break;
	}
}

/* Looks after the card itself when that is due. */
static void check(struct loop *loop)
{
	struct pci_error why = {""};
	int64_t now = now_ns();
	int error;

	if (now < loop->check_due)
		return;
	loop->check_due = now + CHECK_NS;
	error = nic_check(loop->port->nic, &why);
	if (error == -ENODEV)
		card_gone(loop);
	else if (error != 0)
		end(loop, error, why.text);
	else
		read_link(loop);
}

/* Waits up to `ms` (-1: for ever) and deals with what happened. */
static void look(struct loop *loop, int ms)
{
	struct epoll_event event[16];
	/* The end may have been seen since the last look. */
	int n = loop->stop ? 0 : epoll_wait(loop->epoll, event, 16, ms);

	for (int i = 0; i < n && !loop->stop; i++)
		happened(loop, event[i].data.u32);
	if (scheme_open_handles(loop->scheme) != loop->handles) {
		loop->handles = scheme_open_handles(loop->scheme);
		note(loop, FLIGHT_HANDLES, 0, loop->handles);
	}
	if (!loop->stop)
		check(loop);
}

/* Reads the card's counters and its link when they are due; returns ms until the next time. */
static int read_counters(struct loop *loop)
{
	int64_t now = now_ns();
	struct nic_stats ignored;

	if (now >= loop->counters_due) {
		if (nic_stats(loop->port->nic, &ignored) == -ENODEV)
			card_gone(loop);
		read_link(loop);
		loop->counters_due = now + COUNTERS_NS;
	}
	return (int)((loop->counters_due - now) / 1000000) + 1;
}

/* --- traffic --- */

/* One round of everything that moves frames; false: there was nothing to do. */
static bool move(struct loop *loop)
{
	struct port *port = loop->port;
	uint64_t before = port->taken;
	size_t moved = scheme_linux_round(loop->transport);

	if (!loop->waits)
		scheme_tick(loop->scheme);
	moved += port_flush(port);
	port->loop.rounds++;
	again_note(port->again, port);
	if (loop->owners->stuck == -ENODEV)
		card_gone(loop);
	else if (loop->owners->stuck != 0)
		end(loop, loop->owners->stuck,
			"a queue that a client had does not stop, or does not start again");
	return moved > 0 || port->taken != before;
}

/* Publishes what was kept back. */
static void flush(struct loop *loop)
{
	port_publish(loop->port);
	owners_flush(loop->owners);
}

/* False: there was work after all, and it was done. */
static bool sleep_until_something(struct loop *loop)
{
	struct port *port = loop->port;
	int ms = read_counters(loop);

	if (ms > CHECK_NS / 1000000)
		ms = CHECK_NS / 1000000;
	nic_irq_arm(port->nic);
	/* What came between the last look and the arming raised no interrupt that is still to come:
	 * one more look, and the interrupts stay armed whatever it finds.
	 */
	if (move(loop))
		return false;
	flush(loop);
	scheme_linux_arm(loop->transport, port_has_frames(port), port_can_send(port));
	trace_drain(&loop->resources->trace);
	port->loop.sleeps++;
	look(loop, ms);
	return true;
}

int loop_run(struct loop *loop, struct pci_error *why)
{
	int64_t budget = loop->mode == MODE_IRQ ? 0 : IDLE_BUDGET_NS;
	int64_t last_work = 0;
	bool worked = false;
	int64_t link_due = 0;

	loop->why = why;
	(void)read_counters(loop);
	for (unsigned round = 0; !loop->stop; round++) {
		int64_t now;

		if (round % ROUNDS_PER_LOOK == 0)
			look(loop, 0);
		if (loop->stop || (loop->orphan && scheme_linux_count(loop->transport) == 0))
			break;
		if (trace_is_due(&loop->resources->trace))
			trace_drain(&loop->resources->trace);
		if (move(loop)) {
			worked = true;
			continue;
		}
		if (nic_gone(loop->port->nic)) {
			card_gone(loop);
			break;
		}
		flush(loop);
		now = now_ns();
		if (worked)
			last_work = now;
		worked = false;
		if (loop->mode == MODE_POLL) {
			if (now >= link_due) {
				(void)read_counters(loop);
				read_link(loop);
				link_due = now + LINK_POLL_NS;
			}
		} else if (now - last_work >= budget) {
			worked = !sleep_until_something(loop);
			round = 0; /* it has looked */
		} else {
			/* Whoever makes the work may wait for this very processor. */
			(void)sched_yield();
		}
	}
	return loop->error;
}

bool loop_hands_over(const struct loop *loop)
{
	return loop->hands_over && loop->error == 0;
}

struct scheme *loop_scheme(const struct loop *loop)
{
	return loop->scheme;
}
