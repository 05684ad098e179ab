/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The command line of driver daemons.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcid/channel.h"

#define CLIENT_MIB_DEFAULT 64u
#define FRAMES_MIB_DEFAULT 8u
#define FRAMES_MIB_MAX     ((unsigned)(DMA_MAX_CHUNKS * DMA_CHUNK_SIZE >> 20))

static const char help[] =
	"Usage: %s [OPTION]... NAME BAR IRQ     started by pcid\n"
	"       %s [OPTION]... --device ADDR     without pcid\n"
	"Serves a network card as the scheme network:NAME.\n"
	"\n"
	"NAME, BAR and IRQ are what pcid's configuration hands over, as on Redox. On Linux the "
	"card\n"
	"comes through the channel $" PCID_CHANNEL_ENV ": the three are checked and not used.\n"
	"\n"
	"  --device ADDR   0000:01:00.0 (bound to vfio-pci), vfio-user:SOCKET, or sim:WIRE\n"
	"  --name NAME     of the scheme; as pcid would name it if not given\n"
	"  --group NAME    let this group's members open it (else root and this user)\n"
	"  --anyone        let anyone open it\n"
	"  --frames-mib N  memory for frames in MiB (8)\n"
	"  --client-mib N  memory that a client who owns a queue may bring, at most (64; 0: nobody "
	"may\n"
	"                  own one); these six with --device only\n"
	"  --poll          never sleep; interrupts stay off\n"
	"  --irq           sleep as soon as there is nothing to do\n"
	"                  (neither: poll for 50 us more, then sleep)\n"
	"  --msix, --msi, --intx   the kind of interrupts (the best that the card has)\n"
	"  --queues N      queue pairs, 1 to 16 (1)\n"
	"  --rx-ring N     descriptors, a power of two from 64 to 4096 (512)\n"
	"  --tx-ring N     the same\n"
	"  --mtu N         68 to %u (1500)\n"
	"  --promisc       receive what is addressed to others, too\n"
	"  --blocking-tx   send a frame, wait until the card has sent it, then the next\n"
	"  --offloads      checksums, segmentation and more for clients who own a queue\n"
	"  --pause WHAT    flow control of the link: rx, tx or both\n"
	"  --drop WHEN     frames without a buffer: never, always; not each card has these three\n"
	"  --user NAME     started by root, go on as this user, with NAME:GROUP this group\n"
	"                  (65534, nobody)\n"
	"  --no-cage       keep all rights: for debuggers and valgrind alone\n"
	"  --record FILE   keep each register access, for a post-mortem or nicsim replay\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 stopped by a signal, 1 failure, 2 wrong usage.\n";

enum choice {
	OPTION_DEVICE = 256,
	OPTION_NAME,
	OPTION_GROUP,
	OPTION_ANYONE,
	OPTION_FRAMES_MIB,
	OPTION_CLIENT_MIB,
	OPTION_POLL,
	OPTION_IRQ,
	OPTION_MSIX,
	OPTION_MSI,
	OPTION_INTX,
	OPTION_QUEUES,
	OPTION_RX_RING,
	OPTION_TX_RING,
	OPTION_MTU,
	OPTION_PROMISC,
	OPTION_BLOCKING_TX,
	OPTION_OFFLOADS,
	OPTION_PAUSE,
	OPTION_DROP,
	OPTION_USER,
	OPTION_NO_CAGE,
	OPTION_RECORD,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"device", required_argument, NULL, OPTION_DEVICE},
	{"name", required_argument, NULL, OPTION_NAME},
	{"group", required_argument, NULL, OPTION_GROUP},
	{"anyone", no_argument, NULL, OPTION_ANYONE},
	{"frames-mib", required_argument, NULL, OPTION_FRAMES_MIB},
	{"client-mib", required_argument, NULL, OPTION_CLIENT_MIB},
	{"poll", no_argument, NULL, OPTION_POLL},
	{"irq", no_argument, NULL, OPTION_IRQ},
	{"msix", no_argument, NULL, OPTION_MSIX},
	{"msi", no_argument, NULL, OPTION_MSI},
	{"intx", no_argument, NULL, OPTION_INTX},
	{"queues", required_argument, NULL, OPTION_QUEUES},
	{"rx-ring", required_argument, NULL, OPTION_RX_RING},
	{"tx-ring", required_argument, NULL, OPTION_TX_RING},
	{"mtu", required_argument, NULL, OPTION_MTU},
	{"promisc", no_argument, NULL, OPTION_PROMISC},
	{"blocking-tx", no_argument, NULL, OPTION_BLOCKING_TX},
	{"offloads", no_argument, NULL, OPTION_OFFLOADS},
	{"pause", required_argument, NULL, OPTION_PAUSE},
	{"drop", required_argument, NULL, OPTION_DROP},
	{"user", required_argument, NULL, OPTION_USER},
	{"no-cage", no_argument, NULL, OPTION_NO_CAGE},
	{"record", required_argument, NULL, OPTION_RECORD},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

struct reading {
	struct daemon_options *options;
	const struct daemon_program *program;
	const char *alone; /* the last option given that is for use without pcid, or NULL */
};

__attribute__((format(printf, 2, 3))) static int refuse(
	const struct daemon_program *program, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fprintf(stderr, "%s: ", program->name);
	(void)vfprintf(stderr, format, args);
	(void)fprintf(stderr, "; see %s --help\n", program->name);
	va_end(args);
	return -EINVAL;
}

static bool read_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value < min ||
		value > max)
		return false;
	*out = (unsigned)value;
	return true;
}

static int read_ring(const struct reading *r, const char *option, const char *text, unsigned *out)
{
	if (!read_number(text, NIC_RING_MIN, NIC_RING_MAX, out) || (*out & (*out - 1)) != 0)
		return refuse(r->program, "--%s %s: expected a power of two from %u to %u", option,
			text, NIC_RING_MIN, NIC_RING_MAX);
	return 0;
}

static int read_mode(const struct reading *r, enum daemon_mode mode)
{
	if (r->options->mode != MODE_ADAPTIVE && r->options->mode != mode)
		return refuse(r->program, "--poll and --irq exclude one another");
	r->options->mode = mode;
	return 0;
}

static int read_irq(const struct reading *r, enum pci_irq irq)
{
	if (r->options->pick_irq && r->options->irq != irq)
		return refuse(r->program, "--msix, --msi and --intx exclude one another");
	r->options->pick_irq = true;
	r->options->irq = irq;
	return 0;
}

/* Options of what not every driver's cards can; what one of them cannot, its driver says. */
static int read_ability(const struct reading *r, int option, const char *value)
{
	struct daemon_options *o = r->options;
	bool some =
		option == OPTION_OFFLOADS ? r->program->offloads != 0 : r->program->flow_control;

	if (!some)
		return refuse(r->program, "--%s: its cards have none here",
			option == OPTION_PAUSE  ? "pause"
			: option == OPTION_DROP ? "drop"
						: "offloads");
	if (option == OPTION_OFFLOADS)
		o->offloads = r->program->offloads;
	else if (option == OPTION_PAUSE && strcmp(value, "both") == 0)
		o->pause = NIC_PAUSE_RX | NIC_PAUSE_TX;
	else if (option == OPTION_PAUSE && strcmp(value, "rx") == 0)
		o->pause = NIC_PAUSE_RX;
	else if (option == OPTION_PAUSE && strcmp(value, "tx") == 0)
		o->pause = NIC_PAUSE_TX;
	else if (option == OPTION_PAUSE)
		return refuse(r->program, "--pause %s: expected rx, tx or both", value);
	else if (strcmp(value, "never") == 0)
		o->drop = NIC_DROP_NEVER;
	else if (strcmp(value, "always") == 0)
		o->drop = NIC_DROP_ALWAYS;
	else
		return refuse(r->program, "--drop %s: expected never or always", value);
	return 0;
}

/* Options that only a daemon without pcid has. */
static int read_alone(struct reading *r, int option, const char *value)
{
	struct daemon_options *o = r->options;
	const struct group *group;
	unsigned mib;

	switch (option) {
	case OPTION_DEVICE:
		r->alone = "--device";
		o->device = value;
		return 0;
	case OPTION_NAME:
		r->alone = "--name";
		o->name = value;
		return 0;
	case OPTION_GROUP:
		r->alone = "--group";
		group = getgrnam(value);
		if (group == NULL)
			return refuse(r->program, "--group %s: there is no such group", value);
		o->access.group = group->gr_gid;
		return 0;
	case OPTION_ANYONE:
		r->alone = "--anyone";
		o->access.anyone = true;
		return 0;
	case OPTION_CLIENT_MIB:
		r->alone = "--client-mib";
		if (!read_number(value, 0, FRAMES_MIB_MAX, &mib))
			return refuse(r->program, "--client-mib %s: expected 0 to %u", value,
				FRAMES_MIB_MAX);
		o->client_bytes = (size_t)mib << 20;
		return 0;
	default:
		r->alone = "--frames-mib";
		if (!read_number(value, 1, FRAMES_MIB_MAX, &mib))
			return refuse(r->program, "--frames-mib %s: expected 1 to %u", value,
				FRAMES_MIB_MAX);
		o->frame_bytes = (size_t)mib << 20;
		return 0;
	}
}

static int read_option(struct reading *r, int option, const char *value)
{
	struct daemon_options *o = r->options;
	unsigned number;

	switch (option) {
	case OPTION_POLL: return read_mode(r, MODE_POLL);
	case OPTION_IRQ: return read_mode(r, MODE_IRQ);
	case OPTION_MSIX: return read_irq(r, PCI_IRQ_MSIX);
	case OPTION_MSI: return read_irq(r, PCI_IRQ_MSI);
	case OPTION_INTX: return read_irq(r, PCI_IRQ_INTX);
	case OPTION_QUEUES:
		if (!read_number(value, 1, NIC_MAX_QUEUES, &o->queues))
			return refuse(
				r->program, "--queues %s: expected 1 to %u", value, NIC_MAX_QUEUES);
		return 0;
	case OPTION_RX_RING: return read_ring(r, "rx-ring", value, &o->rx_ring);
	case OPTION_TX_RING: return read_ring(r, "tx-ring", value, &o->tx_ring);
	case OPTION_MTU:
		if (!read_number(value, NIC_MTU_MIN, r->program->mtu_max, &number))
			return refuse(r->program, "--mtu %s: expected %u to %u", value, NIC_MTU_MIN,
				r->program->mtu_max);
		o->mtu = (uint16_t)number;
		return 0;
	case OPTION_PROMISC: o->promiscuous = true; return 0;
	case OPTION_BLOCKING_TX: o->blocking_tx = true; return 0;
	case OPTION_OFFLOADS:
	case OPTION_PAUSE:
	case OPTION_DROP: return read_ability(r, option, value);
	case OPTION_USER:
		if (cage_user(value, &o->cage) != 0)
			return refuse(
				r->program, "--user %s: there is no such user or group", value);
		return 0;
	case OPTION_NO_CAGE: o->cage.off = true; return 0;
	case OPTION_RECORD: o->record = value; return 0;
	case OPTION_HELP:
		(void)printf(help, r->program->name, r->program->name, r->program->mtu_max);
		return 1;
	case OPTION_VERSION: (void)printf("%s %s\n", r->program->name, DAEMON_VERSION); return 1;
	default: return read_alone(r, option, value);
	}
}

/* pcid's three arguments: checked, since a wrong command in a configuration should be seen at once.
 */
static int read_arguments(const struct daemon_program *program, char **arguments, int count)
{
	static const char hexadecimal[] = "0123456789abcdefABCDEF";
	const char *bar;

	if (count != 3)
		return refuse(program, "%d arguments; expected NAME BAR IRQ", count);
	bar = strncmp(arguments[1], "0x", 2) == 0 ? arguments[1] + 2 : arguments[1];
	if (arguments[0][0] == '\0')
		return refuse(program, "NAME is empty");
	if (bar[strspn(bar, hexadecimal)] != '\0' || strlen(bar) > 16)
		return refuse(
			program, "BAR is %s; expected an address in hexadecimal", arguments[1]);
	if (arguments[2][0] == '\0' || arguments[2][strspn(arguments[2], "0123456789")] != '\0')
		return refuse(program, "IRQ is %s; expected a decimal number", arguments[2]);
	return 0;
}

int daemon_options_read(struct daemon_options *options, const struct daemon_program *program,
	bool inherited, int argc, char **argv)
{
	struct reading r = {.options = options, .program = program};
	int option;

	*options = (struct daemon_options){
		.queues = 1,
		.rx_ring = NIC_RING_DEFAULT,
		.tx_ring = NIC_RING_DEFAULT,
		.mtu = NIC_MTU_DEFAULT,
		.cage = {.uid = CAGE_NOBODY, .gid = CAGE_NOBODY},
		.access = {.group = (gid_t)-1},
		.frame_bytes = (size_t)FRAMES_MIB_DEFAULT << 20,
		.client_bytes = (size_t)CLIENT_MIB_DEFAULT << 20,
	};
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		int result;

		if (option == '?' || option == ':')
			return refuse(program, "%s: %s", argv[optind - 1],
				option == '?' ? "no such option" : "a value is missing");
		result = read_option(&r, option, optarg);
		if (result != 0)
			return result;
	}
	if (options->mode == MODE_POLL && options->pick_irq)
		return refuse(
			program, "--poll needs no interrupts: leave --msix, --msi, --intx out");
	if (inherited && r.alone != NULL)
		return refuse(program, "%s: pcid hands over the card", r.alone);
	if (inherited)
		return read_arguments(program, argv + optind, argc - optind);
	if (optind < argc)
		return refuse(program, "%s: only pcid gives arguments", argv[optind]);
	if (options->device == NULL)
		return refuse(program, "no card: start it by pcid, or give --device");
	return 0;
}
