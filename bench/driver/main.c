/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a frame costs in the driver, for bench/driver.py: measures one thing on a card in memory and
 * prints "name value" lines.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include "bench/driver/queues.h"
#include "bench/driver/steps.h"
#include "nic/ixgbe/ixgbe_path.h"

static const char help[] =
	"usage: driver_cost [option ...]\n"
	"What a frame costs in the driver, with a card in memory. Prints lines of a name and a "
	"value.\n"
	"  --mode WORD     see --list (forward)\n"
	"  --path WORD     the driver's code for a set of instructions, see --list (the widest)\n"
	"  --burst N       frames of a call, 1 to 256 (32)\n"
	"  --ring N        descriptors of each ring (512)\n"
	"  --frame N       bytes of a frame without the CRC, 60 to 1514 (60)\n"
	"  --count         instructions and doorbells\n"
	"  --cycles WORD   hot, llc or dram: where the lines that the card wrote are\n"
	"  --queues N      queues that are timed in turn, 1 to 16 (1)\n"
	"  --threads N     1 or 2: processors that share them\n"
	"  --apart         what two queues have in common, and what one takes\n"
	"  --rounds N      rounds that are timed (4000)\n"
	"  --list          modes and paths\n"
	"  --machine       what the processor's clock and caches do\n"
	"  --spoil WORD    the card gets to see something wrongly, which it must find: rs, last,\n"
	"                  eop, length, sent, given, slot, frame, tail\n";

static const char *const spoils[] = {
	"", "rs", "last", "eop", "length", "sent", "given", "slot", "frame", "tail"};
static const char *const warmths[] = {"hot", "llc", "dram"};

struct options {
	struct setting setting;
	bool count, machine, cycles, side_by_side;
	unsigned threads; /* 0: this one */
	enum warmth warmth;
	size_t rounds;
};

/* The rounds that are counted go twice around the rings. */
static unsigned turns(const struct setting *setting)
{
	unsigned round = setting->ring / setting->mode->in_round;

	return 2 * setting->ring / (round < RIG_ROUND ? round : RIG_ROUND);
}

static int failed(int rc, const struct pci_error *why)
{
	(void)fprintf(stderr, "driver_cost: %s\n", why->text[0] ? why->text : strerror(-rc));
	return 1;
}

static int count(const struct setting *setting)
{
	struct card_accesses accesses;
	struct pci_error why = {""};
	uint64_t instructions, frames;
	int rc = doorbells_count(setting, turns(setting), &accesses, &frames, &why);

	if (rc)
		return failed(rc, &why);
	(void)printf("rx_doorbells %.6g\n", (double)accesses.rx_tails / (double)frames);
	(void)printf("tx_doorbells %.6g\n", (double)accesses.tx_tails / (double)frames);
	rc = steps_count(setting, turns(setting), &instructions, &frames, &why);
	if (rc == -EPERM)
		(void)printf("no_instructions processes cannot be traced here\n");
	else if (rc)
		return failed(rc, &why);
	else
		(void)printf("instructions %.6g\n", (double)instructions / (double)frames);
	return 0;
}

static int time_rounds(const struct options *options)
{
	const char *reason = cache_cannot(options->warmth);
	struct pci_error why = {""};
	struct cycles cycles;
	int rc;

	if (reason) {
		(void)printf("no_cycles %s\n", reason);
		return 0;
	}
	rc = options->threads ? queues_measure(&options->setting, options->threads, options->rounds,
					&cycles, &why)
			      : cycles_measure(&options->setting, options->warmth, options->rounds,
					&cycles, &why);
	if (rc)
		return failed(rc, &why);
	if (cycles.rounds == 0) {
		(void)printf("no_cycles the machine was too busy\n");
		return 0;
	}
	(void)printf("cycles_min %.4g\ncycles_median %.4g\nrounds %zu\ndropped %zu\n", cycles.min,
		cycles.median, cycles.rounds, cycles.dropped);
	return 0;
}

static int look_apart(const struct setting *setting)
{
	struct pci_error why = {""};
	size_t lines, driver, rings;
	int rc = queues_shared_lines(setting, &lines, &why);

	if (!rc)
		rc = queues_memory(setting, &driver, &rings, &why);
	if (rc)
		return failed(rc, &why);
	(void)printf("shared_lines %zu\ndriver_bytes %zu\nring_bytes %zu\n", lines, driver, rings);
	return 0;
}

static void describe_machine(void)
{
	if (!CACHE_CLOCK) {
		(void)printf("no_cycles %s\n", cache_cannot(WARMTH_HOT));
		return;
	}
	(void)printf("clock_cost %u\n", cache_clock_cost());
	(void)printf("core_cycles_per_cycle %.3g\n", cache_core_cycles());
	for (unsigned i = 0; i < 3; i++) {
		const char *reason = cache_cannot((enum warmth)i);

		(void)printf("reload_%s %u\n", warmths[i],
			cache_reload((enum warmth)i) - cache_clock_cost());
		if (reason)
			(void)printf("no_%s %s\n", warmths[i], reason);
	}
}

static int index_of(const char *word, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	(void)fprintf(stderr, "driver_cost: what is \"%s\"?\n%s", word, help);
	exit(2);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < least || value > most) {
		(void)fprintf(stderr, "driver_cost: %s: %u to %u\n", text, least, most);
		exit(2);
	}
	return (unsigned)value;
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < rig_mode_count; i++)
		if (strcmp(name, rig_modes[i].name) == 0)
			return &rig_modes[i];
	(void)fprintf(stderr, "driver_cost: no mode %s\n%s", name, help);
	exit(2);
}

static void list(void)
{
	(void)printf("modes");
	for (size_t i = 0; i < rig_mode_count; i++)
		(void)printf(" %s", rig_modes[i].name);
	(void)printf("\npaths");
	for (const char *const *path = ixgbe_paths; *path; path++)
		if (rig_has_path(*path))
			(void)printf(" %s", *path);
	(void)printf("\npaths_not_run");
	for (const char *const *path = ixgbe_paths; *path; path++)
		if (!rig_has_path(*path))
			(void)printf(" %s", *path);
	(void)printf("\nring_max %u\n", NIC_RING_MAX);
}

static const char *widest(void)
{
	const char *const *path = ixgbe_paths;

	while (!rig_has_path(*path)) /* the last one, in plain C, is everywhere */
		path++;
	return *path;
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"mode", required_argument, NULL, 'm'},
		{"path", required_argument, NULL, 'p'},
		{"burst", required_argument, NULL, 'b'},
		{"ring", required_argument, NULL, 'r'},
		{"frame", required_argument, NULL, 'f'},
		{"count", no_argument, NULL, 'c'},
		{"cycles", required_argument, NULL, 'y'},
		{"rounds", required_argument, NULL, 'n'},
		{"queues", required_argument, NULL, 'q'},
		{"threads", required_argument, NULL, 't'},
		{"apart", no_argument, NULL, 'a'},
		{"list", no_argument, NULL, 'l'},
		{"machine", no_argument, NULL, 'M'},
		{"spoil", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {
		.setting = {.mode = &rig_modes[0],
			.path = widest(),
			.queues = 1,
			.burst = 32,
			.ring = NIC_RING_DEFAULT,
			.len = DEVICE_FRAME_MIN},
		.rounds = 4000,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
		switch (c) {
		case 'm': options.setting.mode = find_mode(optarg); break;
		case 'p':
			if (!rig_has_path(optarg)) {
				(void)fprintf(stderr, "driver_cost: no path %s here\n", optarg);
				exit(2);
			}
			options.setting.path = optarg;
			break;
		case 'b': options.setting.burst = number(optarg, 1, RIG_BURST_MAX); break;
		case 'r': options.setting.ring = number(optarg, NIC_RING_MIN, NIC_RING_MAX); break;
		case 'f':
			options.setting.len =
				(uint16_t)number(optarg, DEVICE_FRAME_MIN, DEVICE_FRAME_MAX);
			break;
		case 'c': options.count = true; break;
		case 'y':
			options.cycles = true;
			options.warmth = (enum warmth)index_of(optarg, warmths, 3);
			break;
		case 'n': options.rounds = number(optarg, 16, 10000000); break;
		case 'q': options.setting.queues = number(optarg, 1, NIC_MAX_QUEUES); break;
		case 't': options.threads = number(optarg, 1, QUEUES_THREADS); break;
		case 'a': options.side_by_side = true; break;
		case 'l': list(); exit(0);
		case 'M': options.machine = true; break;
		case 's':
			options.setting.spoil = (enum spoil)index_of(
				optarg, spoils, sizeof spoils / sizeof spoils[0]);
			break;
		case 'h': (void)fputs(help, stdout); exit(0);
		default: (void)fputs(help, stderr); exit(2);
		}
	if (options.setting.queues > 1 && !options.threads)
		options.threads = 1;
	if (options.setting.burst > options.setting.ring / options.setting.mode->in_round) {
		(void)fprintf(stderr, "driver_cost: a burst is at most a round: 1/%u of a ring\n",
			options.setting.mode->in_round);
		exit(2);
	}
	return options;
}

/* Addresses that are the same each time: libc's functions count by alignment. */
static void hold_still(char **argv)
{
	int old = personality(0xFFFFFFFF);

	if (old != -1 && !(old & ADDR_NO_RANDOMIZE) &&
		personality((unsigned)old | ADDR_NO_RANDOMIZE) != -1)
		(void)execv("/proc/self/exe", argv);
}

static void stay_on_one_core(void)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET((unsigned)sched_getcpu(), &cores);
	(void)sched_setaffinity(0, sizeof cores, &cores);
}

int main(int argc, char **argv)
{
	struct options options;

	hold_still(argv);
	options = parse(argc, argv);
	if (!options.threads)
		stay_on_one_core();
	if (options.machine)
		describe_machine();
	if (options.count && count(&options.setting))
		return 1;
	if (options.side_by_side && look_apart(&options.setting))
		return 1;
	if (options.cycles && time_rounds(&options))
		return 1;
	return 0;
}
