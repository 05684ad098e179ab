/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rheinfall's command line: every argument is checked before anything is opened.
 */
#include "rheinfall/confine.h"
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_LOSSY = 3 };

/* "RHEIN" as a locally administered address: no host's, so that no stack takes these frames for
 * itself, as it would a broadcast. */
static const uint8_t default_to[6] = {0x02, 0x52, 0x48, 0x45, 0x49, 0x4e};

/* IMIX, the usual simple mix of 7 : 4 : 1, here without CRC. */
static const uint32_t imix[] = {60, 590, 60, 590, 60, 1514, 60, 590, 60, 60, 590, 60};

static const char usage[] =
	"usage: rheinfall [--url URL] [what] [options]      sends back what it receives, by "
	"default\n"
	"  what: --generate             sends a numbered stream, measures what comes back\n"
	"        --receive              measures streams that arrive\n"
	"        --write FILE           records what arrives as pcap\n"
	"        --read FILE            sends what was recorded\n"
	"        --bridge URL1 URL2     carries frames between two cards, both ways\n"
	"  end:  --count N  --duration S\n"
	"  generate: --size N[,N...] | imix  --rate N  --burst N  --window N  --to MAC  --drain MS "
	" "
	"--one-way\n"
	"  mirror:   --swap             exchange the addresses, for a path through switches\n"
	"  --ring                       by shared rings instead of system calls\n"
	"  --link-wait S  --no-promisc  --quiet  --json  --expect-lossless  --help  --version\n"
	"see rheinfall(1)\n";

/* --- arguments --- */

enum {
	OPT_URL = 256,
	OPT_RECEIVE,
	OPT_WRITE,
	OPT_READ,
	OPT_BRIDGE,
	OPT_COUNT,
	OPT_DURATION,
	OPT_RATE,
	OPT_BURST,
	OPT_WINDOW,
	OPT_TO,
	OPT_DRAIN,
	OPT_LINK_WAIT,
	OPT_SWAP,
	OPT_ONE_WAY,
	OPT_RING,
	OPT_NO_PROMISC,
	OPT_QUIET,
	OPT_JSON,
	OPT_EXPECT_LOSSLESS,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"url", required_argument, NULL, OPT_URL},
	{"generate", no_argument, NULL, 'g'},
	{"receive", no_argument, NULL, OPT_RECEIVE},
	{"write", required_argument, NULL, OPT_WRITE},
	{"read", required_argument, NULL, OPT_READ},
	{"bridge", required_argument, NULL, OPT_BRIDGE},
	{"size", required_argument, NULL, 's'},
	{"count", required_argument, NULL, OPT_COUNT},
	{"duration", required_argument, NULL, OPT_DURATION},
	{"rate", required_argument, NULL, OPT_RATE},
	{"burst", required_argument, NULL, OPT_BURST},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"to", required_argument, NULL, OPT_TO},
	{"drain", required_argument, NULL, OPT_DRAIN},
	{"link-wait", required_argument, NULL, OPT_LINK_WAIT},
	{"swap", no_argument, NULL, OPT_SWAP},
	{"one-way", no_argument, NULL, OPT_ONE_WAY},
	{"ring", no_argument, NULL, OPT_RING},
	{"no-promisc", no_argument, NULL, OPT_NO_PROMISC},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"json", no_argument, NULL, OPT_JSON},
	{"expect-lossless", no_argument, NULL, OPT_EXPECT_LOSSLESS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

/* The modes that an option belongs to, as bits; options not named here belong to all. */
#define IN(mode) (1u << (mode))
static const struct {
	int option;
	unsigned modes;
	const char *name, *where;
} belongs[] = {
	{'s', IN(MODE_GENERATE), "--size", "--generate"},
	{OPT_RATE, IN(MODE_GENERATE) | IN(MODE_REPLAY), "--rate", "--generate or --read"},
	{OPT_BURST, IN(MODE_GENERATE), "--burst", "--generate"},
	{OPT_WINDOW, IN(MODE_GENERATE), "--window", "--generate"},
	{OPT_TO, IN(MODE_GENERATE), "--to", "--generate"},
	{OPT_DRAIN, IN(MODE_GENERATE) | IN(MODE_MIRROR) | IN(MODE_BRIDGE), "--drain",
		"--generate, --bridge or a mirror"},
	{OPT_LINK_WAIT, IN(MODE_GENERATE) | IN(MODE_REPLAY), "--link-wait", "--generate or --read"},
	{OPT_ONE_WAY, IN(MODE_GENERATE), "--one-way", "--generate"},
	{OPT_SWAP, IN(MODE_MIRROR), "--swap", "a mirror"},
	{OPT_EXPECT_LOSSLESS, IN(MODE_GENERATE) | IN(MODE_RECEIVE), "--expect-lossless",
		"--generate or --receive"},
};

/* Decimal digits, from min to max. */
static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		unsigned digit = (unsigned)(*text - '0');
		if (v > (max - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	*value = v;
	return v < min ? -ERANGE : 0;
}

/* Seconds, with up to nine decimals, from `min` ns to 10^6 s. */
static int parse_seconds(const char *text, uint64_t min, uint64_t *ns)
{
	char whole[16];
	const char *point = strchr(text, '.');
	size_t len = point ? (size_t)(point - text) : strlen(text);
	uint64_t seconds, part = 0;
	if (len >= sizeof(whole))
		return -ERANGE;
	snprintf(whole, sizeof(whole), "%.*s", (int)len, text);
	int err = parse_number(whole, 0, 1000000, &seconds);
	if (err)
		return err;
	if (point) {
		size_t places = strlen(point + 1);
		if (places > 9)
			return -ERANGE;
		err = parse_number(point + 1, 0, SECOND_NS - 1, &part);
		if (err)
			return err;
		for (size_t i = places; i < 9; i++)
			part *= 10;
	}
	*ns = seconds * SECOND_NS + part;
	return *ns < min ? -ERANGE : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int parse_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);
		if (high < 0 || low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int parse_sizes(const char *text, struct options *o)
{
	if (strcmp(text, "imix") == 0) {
		o->sizes = sizeof(imix) / sizeof(imix[0]);
		memcpy(o->size, imix, sizeof(imix));
		return 0;
	}
	char word[8];
	for (o->sizes = 0;; text++) {
		size_t len = strcspn(text, ",");
		uint64_t size;
		if (o->sizes == MAX_SIZES || len >= sizeof(word))
			return -ERANGE;
		snprintf(word, sizeof(word), "%.*s", (int)len, text);
		int err = parse_number(word, FRAME_MIN, FRAME_MAX, &size);
		if (err)
			return err;
		o->size[o->sizes++] = (uint32_t)size;
		text += len;
		if (*text == '\0')
			return 0;
	}
}

static int set_mode(struct options *o, enum mode mode, bool *chosen, struct failure *why)
{
	if (*chosen)
		return fail(why, -EINVAL,
			"only one of --generate, --receive, --write, --read, --bridge");
	*chosen = true;
	o->mode = mode;
	return 0;
}

/* One option; its value is wrong if the text names what it has to be. */
static int parse_option(int option, const char *value, struct options *o, const char **wanted)
{
	uint64_t number;
	switch (option) {
	case 's':
		*wanted = "--size: one or up to 16 lengths from 60 to 16384 bytes with commas, or "
			  "imix";
		return parse_sizes(value, o);
	case OPT_COUNT:
		*wanted = "--count: a number of frames from 1 to 10^18";
		return parse_number(value, 1, 1000000000000000000u, &o->count);
	case OPT_DURATION:
		*wanted = "--duration: seconds from 0.001 to 1000000";
		return parse_seconds(value, SECOND_NS / 1000, &o->duration_ns);
	case OPT_RATE:
		*wanted = "--rate: frames a second from 1 to 1000000000";
		return parse_number(value, 1, 1000000000, &o->rate);
	case OPT_BURST:
		*wanted = "--burst: frames of one system call from 1 to 32";
		if (parse_number(value, 1, SCHEME_BURST, &number) < 0)
			return -EINVAL;
		o->burst = (unsigned)number;
		return 0;
	case OPT_WINDOW:
		*wanted = "--window: a number of frames from 1 to 1000000";
		return parse_number(value, 1, 1000000, &o->window);
	case OPT_TO:
		*wanted = "--to: an address as 02:52:48:45:49:4e";
		return parse_mac(value, o->to);
	case OPT_DRAIN:
		*wanted = "--drain: milliseconds from 0 to 1000000";
		if (parse_number(value, 0, 1000000, &o->drain_ns) < 0)
			return -EINVAL;
		o->drain_ns *= 1000000;
		return 0;
	case OPT_LINK_WAIT:
		*wanted = "--link-wait: seconds from 0 to 1000000";
		return parse_seconds(value, 0, &o->link_wait_ns);
	case OPT_URL: o->url[0] = value; return 0;
	case OPT_SWAP: o->swap = true; return 0;
	case OPT_ONE_WAY: o->one_way = true; return 0;
	case OPT_RING: o->ring = true; return 0;
	case OPT_NO_PROMISC: o->no_promisc = true; return 0;
	case OPT_QUIET: o->quiet = true; return 0;
	case OPT_JSON: o->json = true; return 0;
	case OPT_EXPECT_LOSSLESS: o->expect_lossless = true; return 0;
	default: return -EINVAL;
	}
}

static int check_combination(
	const struct options *o, const bool *given, bool url_given, struct failure *why)
{
	for (size_t i = 0; i < sizeof(belongs) / sizeof(belongs[0]); i++)
		if (given[i] && !(belongs[i].modes & IN(o->mode)))
			return fail(why, -EINVAL, "%s belongs to %s", belongs[i].name,
				belongs[i].where);
	if (o->mode == MODE_BRIDGE && url_given)
		return fail(why, -EINVAL, "--bridge names its two URLs itself, without --url");
	if (o->one_way && (o->window > 0 || o->expect_lossless))
		return fail(why, -EINVAL,
			"--one-way expects nothing back: not with --window or --expect-lossless");
	if (o->file && strcmp(o->file, "-") == 0)
		return fail(why, -EINVAL, "a recording has to be a file, not -");
	return 0;
}

/* 1: to print `text` was all; 0; -EINVAL with a text ("" if getopt said it). */
static int parse(int argc, char **argv, struct options *o, const char **text, struct failure *why)
{
	bool given[sizeof(belongs) / sizeof(belongs[0])] = {0};
	bool chosen = false, url_given = false;
	int option;
	why->text[0] = '\0';
	while ((option = getopt_long(argc, argv, "+gs:h", long_options, NULL)) != -1) {
		int err = 0;
		const char *wanted = NULL;
		for (size_t i = 0; i < sizeof(belongs) / sizeof(belongs[0]); i++)
			given[i] |= belongs[i].option == option;
		url_given |= option == OPT_URL;
		switch (option) {
		case '?': return -EINVAL;
		case 'h': *text = usage; return 1;
		case OPT_VERSION: *text = "rheinfall " PROJECT_VERSION "\n"; return 1;
		case 'g': err = set_mode(o, MODE_GENERATE, &chosen, why); break;
		case OPT_RECEIVE: err = set_mode(o, MODE_RECEIVE, &chosen, why); break;
		case OPT_WRITE:
			err = set_mode(o, MODE_RECORD, &chosen, why);
			o->file = optarg;
			break;
		case OPT_READ:
			err = set_mode(o, MODE_REPLAY, &chosen, why);
			o->file = optarg;
			break;
		case OPT_BRIDGE:
			err = set_mode(o, MODE_BRIDGE, &chosen, why);
			if (!err && (optind >= argc || argv[optind][0] == '-'))
				return fail(why, -EINVAL, "--bridge needs two URLs");
			if (!err) {
				o->url[0] = optarg;
				o->url[1] = argv[optind++];
			}
			break;
		default:
			err = parse_option(option, optarg, o, &wanted);
			if (err && wanted)
				return fail(why, -EINVAL, "%s, not \"%s\"", wanted, optarg);
		}
		if (err)
			return err;
	}
	if (optind < argc)
		return fail(why, -EINVAL, "\"%s\" is not an option", argv[optind]);
	return check_combination(o, given, url_given, why);
}

/* --- signals --- */

static volatile sig_atomic_t interrupted;
static int wake_fd = -1;

static void on_signal(int number)
{
	(void)number;
	int saved = errno;
	const uint64_t one = 1;
	interrupted = 1;
	(void)!write(wake_fd, &one, sizeof(one));
	errno = saved;
}

static int catch_signals(void)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return -errno;
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

/* --- running --- */

static int run_mode(struct run *run, struct port ports[2], struct failure *why)
{
	const struct options *o = run->options;
	static const int access[] = {[MODE_MIRROR] = O_RDWR,
		[MODE_GENERATE] = O_RDWR,
		[MODE_RECEIVE] = O_RDONLY,
		[MODE_RECORD] = O_RDONLY,
		[MODE_REPLAY] = O_WRONLY,
		[MODE_BRIDGE] = O_RDWR};
	int mode = o->one_way ? O_WRONLY : access[o->mode];
	size_t n = o->mode == MODE_BRIDGE ? 2 : 1;
	int buffers = o->ring ? buffers_init(&run->buffers, n) : 0;
	if (buffers)
		return fail(why, buffers, "no memory for rings: %s", strerror(-buffers));
	for (size_t i = 0; i < n; i++) {
		struct failure warning;
		int err = port_open(&ports[i], o->url[i], mode, o->ring ? &run->buffers : NULL,
			mode != O_WRONLY && !o->no_promisc, &warning, why);
		if (err)
			return err;
		if (warning.text[0])
			fprintf(stderr, "rheinfall: %s\n", warning.text);
	}
	int confined = confine();
	if (confined)
		fprintf(stderr, "rheinfall: it keeps rights that it does not need: %s\n",
			strerror(-confined));
	switch (o->mode) {
	case MODE_MIRROR: return mirror(run, &ports[0], why);
	case MODE_GENERATE: return generate(run, &ports[0], why);
	case MODE_RECEIVE:
	case MODE_RECORD: return receive(run, &ports[0], why);
	case MODE_REPLAY: return replay(run, &ports[0], why);
	case MODE_BRIDGE: return bridge(run, ports, why);
	}
	return -EINVAL;
}

static void read_pages(struct result *r, const struct port ports[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (ports[i].fd < 0)
			continue;
		r->no_link += atomic_load(&ports[i].status->no_link);
		r->refused += atomic_load(&ports[i].status->refused);
	}
}

static bool anything(const struct result *r)
{
	return r->tx.frames + r->rx.frames + r->lane[0].frames + r->lane[1].frames > 0;
}

/* Runs what the options say and reports; returns the exit code. */
static int execute(struct run *run)
{
	const struct options *o = run->options;
	struct port ports[2] = {{.fd = -1}, {.fd = -1}};
	struct failure why = {.text = ""};
	int err = run_mode(run, ports, &why);
	run->result.end_ns = now_ns();
	read_pages(&run->result, ports);
	port_close(&ports[0]);
	port_close(&ports[1]);
	buffers_fini(&run->buffers);

	if (run->live.terminal && run->live.shown)
		fputc('\n', stderr);
	if (err)
		fprintf(stderr, "rheinfall: %s\n", why.text);
	if (o->json)
		report_json(run, err ? why.text : NULL);
	else if (!err || anything(&run->result))
		report_summary(run);
	if (err)
		return EXIT_FAILURE;
	if (!o->expect_lossless || report_lossless(run))
		return 0;
	fprintf(stderr, "rheinfall: %s: not lossless\n", o->url[0]);
	return EXIT_LOSSY;
}

int main(int argc, char **argv)
{
	struct options options = {.mode = MODE_MIRROR,
		.url = {"network:"},
		.sizes = 1,
		.size = {1500},
		.burst = SCHEME_BURST,
		.drain_ns = SECOND_NS / 2,
		.link_wait_ns = 10 * SECOND_NS};
	struct failure why;
	memcpy(options.to, default_to, sizeof(options.to));
	const char *text = NULL;
	int err = parse(argc, argv, &options, &text, &why);
	if (err == 1) {
		fputs(text, stdout);
		return 0;
	}
	if (err) {
		if (why.text[0])
			fprintf(stderr, "rheinfall: %s\n", why.text);
		return EXIT_USAGE;
	}
	err = catch_signals();
	if (err) {
		fprintf(stderr, "rheinfall: cannot catch signals: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	/* Time-outs to the nanosecond instead of 50 us later: for --rate. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);

	bool measures = options.mode == MODE_GENERATE || options.mode == MODE_RECEIVE;
	struct run *run = calloc(1, sizeof(*run));
	struct meter *meter = measures ? calloc(1, sizeof(*meter)) : NULL;
	if (!run || (measures && !meter)) {
		fprintf(stderr, "rheinfall: no memory\n");
		free(run);
		free(meter);
		return EXIT_FAILURE;
	}
	uint64_t now = now_ns();
	run->options = &options;
	run->buffers.memory = -1;
	run->interrupted = &interrupted;
	run->wake_fd = wake_fd;
	run->result.meter = meter;
	run->result.begin_ns = now;
	run->live = (struct live){.on = !options.quiet,
		.terminal = isatty(STDERR_FILENO),
		.next_ns = now + SECOND_NS,
		.last_ns = now};

	int code = execute(run);
	free(meter);
	free(run);
	close(wake_fd);
	return code;
}
