/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim's command line: cards, their sockets and wires; signals; counters for people.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "nicsim/confine.h"
#include "nicsim/control.h"
#include "nicsim/detach.h"
#include "nicsim/dma.h"
#include "nicsim/ixgbe/ixgbe.h"
#include "nicsim/kind.h"
#include "nicsim/loop.h"
#include "nicsim/registers.h"
#include "nicsim/replay.h"
#include "nicsim/report.h"
#include "nicsim/server.h"

#define CARDS_MAX  64u
#define FAULTS_MAX 8u /* a card */
#define VERSION    "0.1.0"

enum { EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

struct slot {
	const char *socket, *wire;
	int client;      /* --fd, or -1 */
	const char *who; /* the socket's path, for people */
	struct card_kind kind;
	enum sfp_kind module;
	bool no_msix;
	struct fault_spec fault[FAULTS_MAX];
	unsigned faults;
	bool second; /* the other port of the card before */
	uint8_t mac[6];
	struct report report;
	struct dma *dma;
	void *card;
	struct server *server;
};

struct process {
	struct loop *loop;
	struct loop_io signals;
	bool strict, verbose, mapped, paced;
	const char *control_path; /* --control, or NULL */
	struct control *control;
	unsigned cards;
	struct slot slot[CARDS_MAX];
	struct control_card controlled[CARDS_MAX]; /* the same cards, for the control */
};

static const char help[] =
	"usage: nicsim --device CARD --socket PATH --wire WIRE [--mac MAC] [--module KIND]\n"
	"              [--no-msix] [--second-port --socket PATH --wire WIRE ...] [--device ...] "
	"...\n"
	"       nicsim ctl CONTROL [--card SOCKET] COMMAND\n"
	"       nicsim replay FILE [--device CARD] [--json]\n"
	"       nicsim registers CARD\n"
	"\n"
	"Serves network cards in software, each as a vfio-user device on a Unix socket.\n"
	"\n"
	"  --device CARD        begins a card: x540 (Intel X540-T2, 8086:1528), x550 (X550-T2,\n"
	"                       8086:1563), 82599 (SFP+, 8086:10fb), 82599-kx4 (8086:10f7),\n"
	"                       82574l (Intel 82574L, 8086:10d3), rtl8168 (Realtek RTL8168DP,\n"
	"                       10ec:8168), rtl8168c (RTL8168C), rtl8161 (the first as 10ec:8161)\n"
	"  --second-port        begins the second port of that card: what follows is that port's\n"
	"  --socket PATH        where its driver connects\n"
	"  --fd N               instead: its driver is at the other end of this stream socket. "
	"nicsim\n"
	"                       goes into the background, serves one card, and ends with the "
	"driver\n"
	"  --wire WIRE          what its port is plugged into:\n"
	"                         tap:IF           a TAP interface of the kernel\n"
	"                         loop             what is sent comes back\n"
	"                         cable:NAME       another card's cable:NAME, in any process\n"
	"                         pcap:IN[,OUT]    plays IN, writes what is sent to OUT\n"
	"                         gen:SIZE[@RATE]  makes frames of SIZE bytes, RATE a second\n"
	"                         sink             takes everything, gives nothing\n"
	"  --mac MAC            its address; default 02:00:00:00:00:01 and so on\n"
	"  --module KIND        what an 82599's cage holds: sr (default), lr, copper, 1g-t, "
	"1g-sx,\n"
	"                       1g-lx, foreign (of no known vendor), fc (Fibre Channel), none\n"
	"  --fault SPEC         something of it is out of order; may be repeated (doc/nicsim.md)\n"
	"  --no-msix            it lacks MSI-X: its driver takes MSI\n"
	"\n"
	"  --doorbells trapped  each register access is a message: exact, the default\n"
	"  --doorbells mapped   the registers of queues are shared memory, which is polled: fast\n"
	"  --pace               what a card sends takes the time that it takes on its link\n"
	"  --control PATH       a socket for nicsim ctl, by which cards are changed while they "
	"run\n"
	"  --strict             reports accesses that the datasheet forbids\n"
	"  --verbose            reports clients, and each card's counters at the end\n"
	"  --help, --version\n"
	"\n"
	"ctl pulls cables, plugs modules, removes cards: see nicsim ctl --help.\n"
	"replay runs the register accesses of a trace (ixgbed --record FILE) against the card and\n"
	"tells each answer that differs. Exit status: 0 none does, 1 some do, 2 no trace.\n"
	"registers lists what registers a card has.\n"
	"\n"
	"SIGUSR1 prints the counters; SIGTERM and SIGINT end nicsim.\n";

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "nicsim: %s%s%s; see nicsim --help\n", what, value ? " " : "",
		value ? value : "");
	return EXIT_USAGE;
}

static int unknown_device(const char *name)
{
	char names[96], what[128];

	card_names(names, sizeof(names));
	snprintf(what, sizeof(what), "unknown device (there are %s):", names);
	return usage(what, name);
}

/* Six bytes in hexadecimal with colons; a unicast address that is not zero. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
	unsigned any = 0;

	for (unsigned i = 0; i < 6; i++) {
		char pair[3] = {0}, *end;

		for (unsigned k = 0; k < 2; k++) {
			if (!strchr("0123456789abcdefABCDEF", text[k]) || !text[k])
				return false;
			pair[k] = text[k];
		}
		mac[i] = (uint8_t)strtoul(pair, &end, 16);
		any |= mac[i];
		if (text[2] != (i < 5 ? ':' : '\0'))
			return false;
		text += 3;
	}
	return any && !(mac[0] & 1);
}

/* A descriptor that may be inherited: above the standard ones. */
static bool parse_fd(const char *text, int *fd)
{
	unsigned long value;

	if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 4)
		return false;
	value = strtoul(text, NULL, 10);
	*fd = (int)value;
	return value > STDERR_FILENO;
}

/* What each card needs to be served. */
static int check(struct process *process)
{
	if (!process->cards)
		return usage("no --device", NULL);
	for (unsigned i = 0; i < process->cards; i++) {
		struct slot *slot = &process->slot[i];

		slot->who = slot->socket ? slot->socket : "--fd";
		if (slot->client >= 0 && (process->cards > 1 || slot->socket))
			return usage("--fd serves one card, without a --socket", NULL);
		if (!slot->socket && slot->client < 0)
			return usage("a --device or --second-port has no --socket", NULL);
		if (!slot->wire)
			return usage("a --device or --second-port has no --wire: its socket is",
				slot->who);
		for (unsigned k = 0; k < i; k++) {
			if (strcmp(process->slot[k].socket, slot->socket) == 0)
				return usage("two cards on one socket:", slot->socket);
		}
	}
	return 0;
}

static bool is_ixgbe(const struct slot *slot)
{
	return slot->kind.family == &ixgbe_family;
}

/* For a module. */
static bool has_cage(const struct slot *slot)
{
	return is_ixgbe(slot) && ((const struct ixgbe_model *)slot->kind.model)->media == MEDIA_SFP;
}

/* One port more, of that kind; NULL: there are too many. */
static struct slot *next_slot(struct process *process, const struct card_kind *kind)
{
	struct slot *slot;

	if (process->cards == CARDS_MAX)
		return NULL;
	slot = &process->slot[process->cards++];
	slot->client = -1;
	slot->kind = *kind;
	slot->module = has_cage(slot) ? SFP_SR : SFP_NONE;
	slot->mac[0] = 0x02;
	slot->mac[5] = (uint8_t)process->cards;
	return slot;
}

static int parse(struct process *process, int argc, char **argv)
{
	enum {
		DEVICE,
		SECOND_PORT,
		SOCKET,
		FD,
		WIRE,
		MAC,
		MODULE,
		FAULT,
		NO_MSIX,
		DOORBELLS,
		PACE,
		CONTROL,
		STRICT,
		VERBOSE,
		HELP,
		VERSION_
	};
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"second-port", no_argument, NULL, SECOND_PORT},
		{"socket", required_argument, NULL, SOCKET},
		{"fd", required_argument, NULL, FD},
		{"wire", required_argument, NULL, WIRE},
		{"mac", required_argument, NULL, MAC},
		{"module", required_argument, NULL, MODULE},
		{"no-msix", no_argument, NULL, NO_MSIX},
		{"doorbells", required_argument, NULL, DOORBELLS},
		{"pace", no_argument, NULL, PACE},
		{"control", required_argument, NULL, CONTROL},
		{"fault", required_argument, NULL, FAULT},
		{"strict", no_argument, NULL, STRICT},
		{"verbose", no_argument, NULL, VERBOSE},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION_},
		{0},
	};
	static const char too_many[] = "too many cards: 64 ports fit in one process";
	struct card_kind kind;
	struct slot *slot = NULL;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (!slot && option >= SECOND_PORT && option <= NO_MSIX)
			return usage("--device must stand before", argv[optind - (optarg ? 2 : 1)]);
		switch (option) {
		case DEVICE:
			if (!card_find_kind(optarg, &kind))
				return unknown_device(optarg);
			slot = next_slot(process, &kind);
			if (!slot)
				return usage(too_many, NULL);
			break;
		case SECOND_PORT:
			if (slot->second)
				return usage("a card has two ports: --device begins another", NULL);
			if (!is_ixgbe(slot))
				return usage("it has one port:", slot->kind.name);
			slot = next_slot(process, &slot->kind);
			if (!slot)
				return usage(too_many, NULL);
			slot->second = true;
			break;
		case SOCKET: slot->socket = optarg; break;
		case FD:
			if (!parse_fd(optarg, &slot->client))
				return usage("no descriptor above 2:", optarg);
			break;
		case WIRE: slot->wire = optarg; break;
		case MAC:
			if (!parse_mac(optarg, slot->mac))
				return usage("no unicast MAC address (02:00:00:00:00:01):", optarg);
			break;
		case MODULE:
			if (!has_cage(slot))
				return usage("it has no cage for a module:", slot->kind.name);
			slot->module = sfp_find(optarg);
			if (slot->module == SFP_KINDS)
				return usage("unknown module (sr, lr, copper, 1g-t, 1g-sx, 1g-lx, "
					     "foreign, fc, none):",
					optarg);
			break;
		case NO_MSIX: slot->no_msix = true; break;
		case DOORBELLS:
			process->mapped = strcmp(optarg, "mapped") == 0;
			if (!process->mapped && strcmp(optarg, "trapped") != 0)
				return usage("doorbells are trapped or mapped, not", optarg);
			break;
		case PACE: process->paced = true; break;
		case CONTROL: process->control_path = optarg; break;
		case FAULT:
			if (slot->faults == FAULTS_MAX)
				return usage("too many faults: 8 fit on a card", NULL);
			if (!fault_parse(slot->kind.family->fault_list, optarg,
				    &slot->fault[slot->faults++]))
				return usage("no such fault, or not with these values:", optarg);
			break;
		case STRICT: process->strict = true; break;
		case VERBOSE: process->verbose = true; break;
		case HELP: fputs(help, stdout); exit(EXIT_SUCCESS);
		case VERSION_: puts("nicsim " VERSION); exit(EXIT_SUCCESS);
		case ':': return usage("a value is missing after", argv[optind - 1]);
		default: return usage("unknown option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	return check(process);
}

static void print_counters(const struct process *process)
{
	for (unsigned i = 0; i < process->cards; i++) {
		const struct slot *slot = &process->slot[i];
		const struct dma_counters *dma = dma_counters(slot->dma);

		fprintf(stderr,
			"nicsim: %s: refused DMA %" PRIu64 ", last at 0x%" PRIx64
			", lost files %" PRIu64 "\n",
			slot->who, dma->refused, dma->last, dma->lost);
	}
}

static void on_signal(struct loop_io *io, uint32_t events)
{
	struct process *process =
		(struct process *)((char *)io - offsetof(struct process, signals));
	struct signalfd_siginfo info;

	(void)events;
	if (read(io->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		print_counters(process);
	else
		loop_stop(process->loop);
}

static int watch_signals(struct process *process)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	process->signals.ready = on_signal;
	process->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (process->signals.fd < 0)
		return -errno;
	return loop_add(process->loop, &process->signals, EPOLLIN);
}

static void log_event(void *ctx, const char *text)
{
	report_event(ctx, text);
}

static int open_slot(struct process *process, struct slot *slot, struct sim_error *why)
{
	const struct card_family *family = slot->kind.family;
	const struct card_options options = {.model = slot->kind.model,
		.mac = slot->mac,
		.wire = slot->wire,
		.no_msix = slot->no_msix,
		.paced = process->paced,
		.module = slot->module,
		.first = slot->second ? slot[-1].card : NULL,
		.mapped = process->mapped};
	struct function *fn;
	int rc;

	slot->report = (struct report){
		.who = slot->who, .strict = process->strict, .verbose = process->verbose};
	snprintf(why->text, sizeof(why->text), "socket %s: out of memory", slot->who);
	rc = dma_create(&slot->dma);
	if (rc)
		return rc;
	rc = family->create(&slot->card, &options, process->loop, slot->dma, &slot->report, why);
	for (unsigned i = 0; rc == 0 && i < slot->faults; i++)
		rc = fault_set(family->faults(slot->card), &slot->fault[i]);
	if (rc)
		return rc;
	fn = family->function(slot->card);
	if (slot->client >= 0)
		return server_attach(&slot->server, process->loop, slot->client, fn, log_event,
			&slot->report, why);
	return server_create(
		&slot->server, process->loop, slot->socket, fn, log_event, &slot->report, why);
}

static int open_control(struct process *process, struct sim_error *why)
{
	for (unsigned i = 0; i < process->cards; i++) {
		const struct slot *slot = &process->slot[i];

		process->controlled[i] = (struct control_card){.name = slot->who,
			.family = slot->kind.family,
			.card = slot->card,
			.server = slot->server,
			.dma = slot->dma};
	}
	return control_create(&process->control, process->loop, process->control_path,
		process->controlled, process->cards, why);
}

static int start(struct process *process)
{
	struct sim_error why = {0};
	int rc;

	if ((rc = dma_survive_sigbus()) || (rc = loop_create(&process->loop)) ||
		(rc = watch_signals(process))) {
		fprintf(stderr, "nicsim: cannot start: %s\n", strerror(-rc));
		return rc;
	}
	for (unsigned i = 0; i < process->cards; i++) {
		rc = open_slot(process, &process->slot[i], &why);
		if (rc) {
			fprintf(stderr, "nicsim: %s\n", why.text);
			return rc;
		}
	}
	if (process->control_path) {
		rc = open_control(process, &why);
		if (rc) {
			fprintf(stderr, "nicsim: %s\n", why.text);
			return rc;
		}
	}
	for (unsigned i = 0; i < process->cards; i++) {
		const struct slot *slot = &process->slot[i];
		const uint8_t *mac = slot->mac;

		printf("nicsim: %s %02x:%02x:%02x:%02x:%02x:%02x on %s, wire %s%s\n",
			slot->kind.name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], slot->who,
			slot->wire, slot->second ? ", second port" : "");
	}
	fflush(stdout);
	return 0;
}

static void end(struct process *process)
{
	control_destroy(process->control);
	/* Clients first: none sees a half of a card. */
	for (unsigned i = 0; i < process->cards; i++)
		server_destroy(process->slot[i].server);
	for (unsigned i = 0; i < process->cards; i++) {
		if (process->slot[i].kind.family)
			process->slot[i].kind.family->destroy(process->slot[i].card);
		dma_destroy(process->slot[i].dma);
	}
	if (process->signals.fd >= 0)
		close(process->signals.fd);
	loop_destroy(process->loop);
}

/* From the start to the end of all cards; `told`: who waits for the start, or -1. */
static int serve(struct process *process, int told)
{
	int rc = start(process);

	if (rc == 0 && (rc = confine()) != 0)
		fprintf(stderr, "nicsim: cannot give up its rights: %s\n", strerror(-rc));
	if (rc == 0) {
		if (told >= 0)
			detach_done(told);
		rc = loop_run(process->loop);
		if (rc)
			fprintf(stderr, "nicsim: %s\n", strerror(-rc));
		if (process->verbose)
			print_counters(process);
	}
	end(process);
	return rc ? EXIT_RUNTIME : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct process *process = calloc(1, sizeof(*process));
	int told = -1;
	int rc;

	if (argc > 1 && strcmp(argv[1], "replay") == 0) {
		free(process);
		return replay_main(argc - 1, argv + 1);
	}
	if (argc > 1 && strcmp(argv[1], "registers") == 0) {
		free(process);
		return registers_main(argc - 1, argv + 1);
	}
	if (argc > 1 && strcmp(argv[1], "ctl") == 0) {
		free(process);
		return control_main(argc - 1, argv + 1);
	}
	if (!process) {
		fputs("nicsim: out of memory\n", stderr);
		return EXIT_RUNTIME;
	}
	process->signals.fd = -1;
	rc = parse(process, argc, argv);
	if (rc == 0 && process->slot[0].client >= 0) {
		rc = detach(&told);
		if (rc > 0) {
			/* In the background it says what is wrong; here is how it came out. */
			free(process);
			return rc == DETACH_STARTED ? EXIT_SUCCESS : EXIT_RUNTIME;
		}
		if (rc < 0)
			fprintf(stderr, "nicsim: cannot go into the background: %s\n",
				strerror(-rc));
		rc = rc < 0 ? EXIT_RUNTIME : 0;
	}
	if (rc == 0)
		rc = serve(process, told);
	free(process);
	return rc;
}
