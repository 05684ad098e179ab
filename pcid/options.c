/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid's command line.
 */
#include "pcid/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/pci.h"

#define FRAMES_MIB_DEFAULT 8u
#define CLIENT_MIB_DEFAULT 64u
#define FRAMES_MIB_MAX     ((unsigned)(DMA_MAX_CHUNKS * DMA_CHUNK_SIZE >> 20))

static const char help[] =
	"Usage: pcid [OPTION]...\n"
	"Finds network cards, starts for each the driver daemon that its configuration names, and "
	"owns\n"
	"what must outlive a driver.\n"
	"\n"
	"Without a card named by --vfio-user or --bind it takes every PCI function that is bound "
	"to\n"
	"vfio-pci and that the configuration knows.\n"
	"\n"
	"  --vfio-user SOCKET  a card in software, behind this socket\n"
	"  --bind ADDR         the card at this PCI address (0000:01:00.0): bound to vfio-pci if "
	"it\n"
	"                      is not yet, given back at the end; never one that is in use\n"
	"  --config FILE       configuration, instead of " PCID_CONFIG "\n"
	"  --driver-path DIR   where drivers are looked for first (else $PCID_DRIVER_PATH, else "
	"the\n"
	"                      folder of pcid itself; then $PATH)\n"
	"  --group NAME        let this group's members open the cards (else root and pcid's "
	"user)\n"
	"  --anyone            let anyone open them\n"
	"  --frames-mib N      memory for frames of each card, in MiB (8)\n"
	"  --client-mib N      memory that a client who owns a queue may bring, at most, in MiB "
	"(64; 0:\n"
	"                      nobody may own one)\n"
	"  --max-deaths N/T    give a card up when more than N of its drivers die within T "
	"seconds\n"
	"                      (10/30; 0: never)\n"
	"  --watchdog S        kill and replace a driver that does not answer for S seconds (5; 0: "
	"never)\n"
	"  --post-mortem NAME  have the pcid that runs write what the driver of network:NAME did "
	"last\n"
	"  --post-mortem-dir DIR  where the post-mortem of a driver that died goes (else\n"
	"                      $STATE_DIRECTORY, $XDG_STATE_HOME/ixgbed, /var/lib/ixgbed)\n"
	"  --upgrade NAME      have the pcid that runs replace the driver of network:NAME while "
	"frames "
	"flow\n"
	"  --program FILE      by this newer program (else by the file that it was started from)\n"
	"  --list              show the network cards of this machine, and which could be taken\n"
	"  --dry-run           show what would be started, and start nothing\n"
	"  --sysfs DIR         where sysfs is mounted (/sys)\n"
	"  --help, --version\n"
	"\n"
	"Several --vfio-user, --bind and --config may be given. Exit status: 0 stopped by a "
	"signal,\n"
	"1 failure, 2 wrong usage or configuration.\n";

enum choice {
	OPTION_CONFIG = 256,
	OPTION_VFIO_USER,
	OPTION_BIND,
	OPTION_UPGRADE,
	OPTION_PROGRAM,
	OPTION_LIST,
	OPTION_DRY_RUN,
	OPTION_GROUP,
	OPTION_ANYONE,
	OPTION_FRAMES_MIB,
	OPTION_CLIENT_MIB,
	OPTION_DRIVER_PATH,
	OPTION_MAX_DEATHS,
	OPTION_WATCHDOG,
	OPTION_SYSFS,
	OPTION_POST_MORTEM,
	OPTION_POST_MORTEM_DIR,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"vfio-user", required_argument, NULL, OPTION_VFIO_USER},
	{"bind", required_argument, NULL, OPTION_BIND},
	{"upgrade", required_argument, NULL, OPTION_UPGRADE},
	{"program", required_argument, NULL, OPTION_PROGRAM},
	{"list", no_argument, NULL, OPTION_LIST},
	{"dry-run", no_argument, NULL, OPTION_DRY_RUN},
	{"group", required_argument, NULL, OPTION_GROUP},
	{"anyone", no_argument, NULL, OPTION_ANYONE},
	{"frames-mib", required_argument, NULL, OPTION_FRAMES_MIB},
	{"client-mib", required_argument, NULL, OPTION_CLIENT_MIB},
	{"driver-path", required_argument, NULL, OPTION_DRIVER_PATH},
	{"max-deaths", required_argument, NULL, OPTION_MAX_DEATHS},
	{"watchdog", required_argument, NULL, OPTION_WATCHDOG},
	{"sysfs", required_argument, NULL, OPTION_SYSFS},
	{"post-mortem", required_argument, NULL, OPTION_POST_MORTEM},
	{"post-mortem-dir", required_argument, NULL, OPTION_POST_MORTEM_DIR},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("pcid: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputs("\n", stderr);
	va_end(args);
	return -EINVAL;
}

static int add(const char **list, size_t *count, size_t limit, const char *what, const char *value)
{
	if (value[0] == '\0')
		return refuse("--%s is empty; see --help", what);
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(list[i], value) == 0)
			return refuse("--%s %s is given twice", what, value);
	}
	if (*count >= limit)
		return refuse("more than %zu --%s", limit, what);
	list[(*count)++] = value;
	return 0;
}

static int read_group(const char *name, gid_t *group)
{
	const struct group *entry = getgrnam(name);

	if (entry == NULL)
		return refuse("--group %s: there is no such group", name);
	*group = entry->gr_gid;
	return 0;
}

static int read_mib(const char *what, unsigned least, const char *text, size_t *bytes)
{
	char *end;
	unsigned long mib;

	errno = 0;
	mib = strtoul(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || mib < least ||
		mib > FRAMES_MIB_MAX)
		return refuse("--%s %s; expected %u to %u", what, text, least, FRAMES_MIB_MAX);
	*bytes = (size_t)mib << 20;
	return 0;
}

/* "10/30", or "0". */
static int read_deaths(const char *text, struct pcid_options *o)
{
	unsigned long count, seconds = 0;
	char *end;

	if (strcmp(text, "0") == 0) {
		o->max_deaths = 0;
		return 0;
	}
	count = strtoul(text, &end, 10);
	if (*end == '/')
		seconds = strtoul(end + 1, &end, 10);
	if (strspn(text, "0123456789/") != strlen(text) || *end != '\0' || count < 1 ||
		count > PCID_MAX_DEATHS || seconds < 1 || seconds > 86400)
		return refuse("--max-deaths %s; expected N/T, 1 to %u in 1 to 86400 seconds, or 0",
			text, PCID_MAX_DEATHS);
	o->max_deaths = (unsigned)count;
	o->deaths_s = (unsigned)seconds;
	return 0;
}

static int read_watchdog(const char *text, unsigned *seconds)
{
	if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 4)
		return refuse("--watchdog %s; expected 0 to 9999 seconds", text);
	*seconds = (unsigned)strtoul(text, NULL, 10);
	return 0;
}

/* "0000:01:00.0"; sysfs knows no shorter form. */
static bool is_address(const char *text)
{
	static const char form[] = "hhhh:hh:hh.o";

	for (size_t i = 0; i < sizeof(form); i++) {
		const char *digits = form[i] == 'h' ? "0123456789abcdef" : "01234567";

		if (form[i] == 'h' || form[i] == 'o') {
			if (text[i] == '\0' || strchr(digits, text[i]) == NULL)
				return false;
		} else if (text[i] != form[i]) {
			return false;
		}
	}
	return true;
}

static int read_option(struct pcid_options *o, int option, const char *value)
{
	switch (option) {
	case OPTION_CONFIG: return add(o->config, &o->configs, PCID_MAX_CONFIGS, "config", value);
	case OPTION_VFIO_USER:
		return add(o->socket, &o->sockets, PCID_MAX_CARDS, "vfio-user", value);
	case OPTION_BIND:
		if (!is_address(value))
			return refuse(
				"--bind %s: no PCI address; expected one like 0000:01:00.0", value);
		return add(o->bind, &o->binds, PCID_MAX_CARDS, "bind", value);
	case OPTION_UPGRADE: o->upgrade = value; return 0;
	case OPTION_PROGRAM: o->program = value; return 0;
	case OPTION_LIST: o->list = true; return 0;
	case OPTION_DRY_RUN: o->dry_run = true; return 0;
	case OPTION_GROUP: return read_group(value, &o->access.group);
	case OPTION_ANYONE: o->access.anyone = true; return 0;
	case OPTION_FRAMES_MIB: return read_mib("frames-mib", 1, value, &o->frame_bytes);
	case OPTION_CLIENT_MIB: return read_mib("client-mib", 0, value, &o->client_bytes);
	case OPTION_DRIVER_PATH: o->driver_path = value; return 0;
	case OPTION_MAX_DEATHS: return read_deaths(value, o);
	case OPTION_WATCHDOG: return read_watchdog(value, &o->watchdog_s);
	case OPTION_SYSFS: o->sysfs = value; return 0;
	case OPTION_POST_MORTEM: o->post_mortem = value; return 0;
	case OPTION_POST_MORTEM_DIR: o->post_mortems = value; return 0;
	case OPTION_HELP: (void)fputs(help, stdout); return 1;
	case OPTION_VERSION: (void)puts("pcid " PCID_VERSION); return 1;
	default: return -EINVAL;
	}
}

int options_read(struct pcid_options *options, int argc, char **argv)
{
	int option;

	*options = (struct pcid_options){
		.access = {.group = (gid_t)-1},
		.frame_bytes = (size_t)FRAMES_MIB_DEFAULT << 20,
		.client_bytes = (size_t)CLIENT_MIB_DEFAULT << 20,
		.driver_path = getenv("PCID_DRIVER_PATH"),
		.sysfs = "/sys",
		.max_deaths = 10,
		.deaths_s = 30,
		.watchdog_s = 5,
	};
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return refuse("%s: %s; see pcid --help", argv[optind - 1],
				option == '?' ? "no such option" : "a value is missing");
		int result = read_option(options, option, optarg);

		if (result != 0)
			return result;
	}
	if (optind < argc)
		return refuse("%s: an argument too many; see pcid --help", argv[optind]);
	if (options->program != NULL && options->upgrade == NULL)
		return refuse("--program is for --upgrade; see pcid --help");
	if (options->configs == 0)
		options->config[options->configs++] = PCID_CONFIG;
	return 0;
}
