/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid's main: from the command line to a loop that ends by a signal or with the last driver.
 */
#include "pcid/pcid.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pcid/card.h"
#include "pcid/control.h"
#include "pcid/judge.h"
#include "pcid/upgrade.h"

#define STOP_LIMIT_MS 5000

enum status { STATUS_STOPPED = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static void print(FILE *to, const char *format, va_list args)
{
	(void)fputs("pcid: ", to);
	(void)vfprintf(to, format, args);
	(void)fputs("\n", to);
	(void)fflush(to);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(stdout, format, args);
	va_end(args);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(stderr, format, args);
	va_end(args);
}

int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- sources --- */

int watch(struct pcid *pcid, struct source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(pcid->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		return -errno;
	source->fd = fd;
	return 0;
}

int watch_for(struct pcid *pcid, const struct source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = (void *)(uintptr_t)source};

	return epoll_ctl(pcid->epoll, EPOLL_CTL_MOD, source->fd, &event) != 0 ? -errno : 0;
}

void unwatch(struct pcid *pcid, struct source *source)
{
	if (source->fd >= 0)
		(void)epoll_ctl(pcid->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
}

/* --- signals and ends --- */

static void end_of(struct pcid *pcid, pid_t pid, int status)
{
	for (size_t i = 0; i < pcid->cards; i++) {
		if (pcid->card[i]->driver.pid == pid)
			card_driver_ended(pcid->card[i], status);
		else if (upgrade_process_ended(pcid->card[i], pid))
			return;
	}
}

static void signalled(struct source *source, uint32_t events)
{
	struct pcid *pcid = (struct pcid *)((char *)source - offsetof(struct pcid, signals));
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		pcid->stopping = true;
		return;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		end_of(pcid, pid, status);
}

static int watch_signals(struct pcid *pcid)
{
	struct rlimit files;
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Three descriptors a client, and as many again while they travel. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	pcid->epoll = epoll_create1(EPOLL_CLOEXEC);
	fd = pcid->epoll < 0 ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	pcid->signals.ready = signalled;
	return watch(pcid, &pcid->signals, fd, EPOLLIN);
}

/* Cards that are served, or will be again. */
static size_t living(const struct pcid *pcid)
{
	size_t count = 0;

	for (size_t i = 0; i < pcid->cards; i++)
		count += card_lives(pcid->card[i]);
	return count;
}

static size_t drivers(const struct pcid *pcid)
{
	size_t count = 0;

	for (size_t i = 0; i < pcid->cards; i++)
		count += pcid->card[i]->driver.pid > 0;
	return count;
}

static size_t serving(const struct pcid *pcid)
{
	size_t count = 0;

	for (size_t i = 0; i < pcid->cards; i++)
		count += pcid->card[i]->driver.state == DRIVER_READY;
	return count;
}

/* One event, or what is due by time; waits at most `limit` ms (-1: for ever). One event at a time:
 * what its source frees may be what the next is about.
 */
static void turn(struct pcid *pcid, int64_t limit)
{
	struct epoll_event event;

	for (size_t i = 0; i < pcid->cards; i++) {
		int due = card_due(pcid->card[i]);

		if (due >= 0 && (limit < 0 || due < limit))
			limit = due;
	}
	if (epoll_wait(pcid->epoll, &event, 1, (int)limit) == 1) {
		struct source *source = event.data.ptr;

		source->ready(source, event.events);
	}
}

static void signal_drivers(const struct pcid *pcid, int number)
{
	for (size_t i = 0; i < pcid->cards; i++) {
		if (pcid->card[i]->driver.pid > 0)
			(void)kill(pcid->card[i]->driver.pid, number);
	}
}

static void remove_card(struct pcid *pcid, size_t at)
{
	struct card *card = pcid->card[at];

	pcid->cards--;
	for (; at < pcid->cards; at++)
		pcid->card[at] = pcid->card[at + 1];
	card_destroy(card);
}

static void stop(struct pcid *pcid)
{
	int64_t deadline = now_ms() + STOP_LIMIT_MS;

	pcid->stopping = true;
	notify_stopping();
	signal_drivers(pcid, SIGTERM);
	while (drivers(pcid) > 0) {
		int64_t left = deadline - now_ms();

		if (left <= 0) {
			signal_drivers(pcid, SIGKILL);
			left = STOP_LIMIT_MS;
			deadline += STOP_LIMIT_MS;
		}
		turn(pcid, left);
	}
	while (pcid->cards > 0)
		remove_card(pcid, pcid->cards - 1);
}

/* --- cards --- */

static struct card *add_card(struct pcid *pcid, const char *address, bool by_hand)
{
	struct card *card = NULL;

	if (pcid->cards >= PCID_MAX_CARDS) {
		complain("%s: more than %u cards", address, PCID_MAX_CARDS);
		return NULL;
	}
	if (card_create(&card, pcid, address) != 0)
		return NULL;
	card->by_hand = by_hand;
	pcid->card[pcid->cards++] = card;
	return card;
}

/* Whether a card of the same IOMMU group is taken already: VFIO gives a group to one owner, and
 * pcid one card to one driver.
 */
static const struct card *group_taken(const struct pcid *pcid, const struct bus_function *f)
{
	for (size_t i = 0; i < pcid->cards; i++) {
		const struct bus_function *other = bus_find(&pcid->bus, pcid->card[i]->address);

		if (other != NULL && other != f && other->group == f->group)
			return pcid->card[i];
	}
	return NULL;
}

/* Judges a function of the bus, adds it, binds it if asked to. */
static int take_function(struct pcid *pcid, const struct bus_function *f, bool by_hand)
{
	const struct card *taken = group_taken(pcid, f);
	const char *sysfs = pcid->options.sysfs;
	enum verdict verdict;
	struct card *card;
	char text[512];

	if (taken != NULL) {
		complain("%s: not taken: IOMMU group %d is %s's: nothing would isolate the two",
			f->address, f->group, taken->address);
		return -EBUSY;
	}
	verdict = judge_function(&pcid->bus, f, by_hand, sysfs, text, sizeof(text));
	if (verdict == VERDICT_NO) {
		if (by_hand)
			complain("%s: not taken: %s", f->address, text);
		return -EBUSY;
	}
	if (text[0] != '\0')
		complain("%s: %s", f->address, text);
	card = add_card(pcid, f->address, by_hand);
	if (card == NULL)
		return -ENOMEM;
	if (verdict == VERDICT_BIND && !pcid->options.dry_run &&
		bind_to_vfio(&card->binding, f->address, sysfs, text, sizeof(text)) != 0) {
		complain("%s", text);
		return -EBUSY;
	}
	return 0;
}

static int take_named(struct pcid *pcid)
{
	char address[PATH_MAX + 16];

	for (size_t i = 0; i < pcid->options.binds; i++) {
		const struct bus_function *f = bus_find(&pcid->bus, pcid->options.bind[i]);

		if (f == NULL) {
			complain("%s: there is no such PCI function: see pcid --list",
				pcid->options.bind[i]);
			return -ENOENT;
		}
		if (take_function(pcid, f, true) != 0)
			return -EBUSY;
	}
	for (size_t i = 0; i < pcid->options.sockets; i++) {
		(void)snprintf(address, sizeof(address), "vfio-user:%s", pcid->options.socket[i]);
		if (add_card(pcid, address, true) == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Every function bound to vfio-pci that an entry serves. */
static void take_bound(struct pcid *pcid)
{
	for (size_t i = 0; i < pcid->bus.count; i++) {
		const struct bus_function *f = &pcid->bus.functions[i];
		const struct pci_id id = {
			.vendor = f->vendor_id, .device = f->device_id, .class_code = f->class};

		if (strcmp(f->driver, VFIO_DRIVER) == 0 && config_match(&pcid->config, &id) != NULL)
			(void)take_function(pcid, f, false);
	}
}

/* Opens all cards, then starts their drivers. A card named by hand that cannot be had ends pcid;
 * one that was found is left alone.
 */
static int start_cards(struct pcid *pcid)
{
	for (size_t i = 0; i < pcid->cards;) {
		struct card *card = pcid->card[i];

		if (card_open(card) == 0) {
			i++;
		} else if (card->by_hand) {
			return -ENODEV;
		} else {
			remove_card(pcid, i);
		}
	}
	for (size_t i = 0; i < pcid->cards; i++) {
		if (card_start(pcid->card[i]) != 0 && pcid->card[i]->by_hand)
			return -ENODEV;
	}
	return 0;
}

static int run(struct pcid *pcid)
{
	int error = pcid->options.binds + pcid->options.sockets > 0 ? take_named(pcid) : 0;

	if (error == 0 && pcid->options.binds + pcid->options.sockets == 0)
		take_bound(pcid);
	if (error == 0 && pcid->cards == 0) {
		complain("no card: nothing that the configuration knows is bound to vfio-pci; see "
			 "pcid --list, or name a card by --bind or --vfio-user");
		return STATUS_FAILED;
	}
	if (pcid->options.dry_run) {
		if (error == 0)
			error = show_starts(pcid);
		while (pcid->cards > 0)
			remove_card(pcid, pcid->cards - 1);
		return error == 0 ? STATUS_STOPPED : STATUS_FAILED;
	}
	if (error == 0)
		error = start_cards(pcid);
	while (error == 0 && !pcid->stopping && living(pcid) > 0) {
		notify_serving(&pcid->notify, serving(pcid), pcid->cards);
		turn(pcid, -1);
	}
	if (error == 0 && !pcid->stopping) {
		complain("no driver is left");
		error = -ENODEV;
	}
	stop(pcid);
	return error == 0 ? STATUS_STOPPED : STATUS_FAILED;
}

/* Where drivers are looked for first: beside this program. */
static void find_folder(struct pcid *pcid)
{
	ssize_t len;

	if (pcid->options.driver_path != NULL) {
		(void)snprintf(pcid->folder, sizeof(pcid->folder), "%s", pcid->options.driver_path);
		return;
	}
	len = readlink("/proc/self/exe", pcid->folder, sizeof(pcid->folder) - 1);
	pcid->folder[len > 0 ? len : 0] = '\0';
	if (strrchr(pcid->folder, '/') != NULL)
		*strrchr(pcid->folder, '/') = '\0';
}

int main(int argc, char **argv)
{
	struct pcid pcid = {.epoll = -1, .signals.fd = -1};
	struct config_error wrong;
	char why[256];
	int status = STATUS_FAILED;
	int result = options_read(&pcid.options, argc, argv);

	if (result != 0)
		return result > 0 ? STATUS_STOPPED : STATUS_USAGE;
	if (pcid.options.post_mortem != NULL)
		return control_post_mortem(pcid.options.post_mortem);
	if (pcid.options.upgrade != NULL)
		return control_upgrade(pcid.options.upgrade, pcid.options.program);
	for (size_t i = 0; i < pcid.options.configs; i++) {
		if (config_load(&pcid.config, pcid.options.config[i], &wrong) != 0) {
			complain("%s", wrong.text);
			config_free(&pcid.config);
			return STATUS_USAGE;
		}
	}
	find_folder(&pcid);
	result = bus_open(&pcid.bus, pcid.options.sysfs, why, sizeof(why));
	if (result != 0) {
		complain("%.200s: PCI functions cannot be read: %s", pcid.options.sysfs,
			result == -ENOMEM ? "no memory left" : why);
		goto out;
	}
	if (pcid.options.list) {
		status = list_cards(&pcid);
		goto out;
	}
	result = watch_signals(&pcid);
	if (result != 0) {
		complain("epoll: %s", strerror(-result));
		goto out;
	}
	status = run(&pcid);
out:
	if (pcid.signals.fd >= 0)
		(void)close(pcid.signals.fd);
	if (pcid.epoll >= 0)
		(void)close(pcid.epoll);
	bus_close(&pcid.bus);
	config_free(&pcid.config);
	return status;
}
