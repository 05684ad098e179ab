/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card is opened, sends a frame, receives it, is closed; and again, each time with another access
 * of its driver failing: the first, the second ... What test/test_sweep.py and test/sweep drive.
 * The card is nicsim's, which lets the access fail; the driver's clock is one of this program's
 * own, that moves only when the driver sleeps, so that time-outs cost no time. For each outcome a
 * line: how often, and what it was. Exit status 1: something happened that must not.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nic/pool.h"

#define RING      64u
#define OUTCOMES  128u
#define PATIENCE  1000   /* ms for the frame, of true time */
#define ALARM_S   60u    /* for one run: a hang */
#define TIME_MS   10000u /* of the driver's clock, that a run may take */
#define FRAME_LEN 60u

/* --- the driver's clock --- */

static uint64_t slept_ns;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_nanosleep(
	clockid_t id, int flags, const struct timespec *wanted, struct timespec *left);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	int rc = __real_clock_gettime(id, now);
	uint64_t ns = (uint64_t)now->tv_nsec + slept_ns;

	now->tv_sec += (time_t)(ns / 1000000000);
	now->tv_nsec = (long)(ns % 1000000000);
	return rc;
}

int __wrap_clock_nanosleep(
	clockid_t id, int flags, const struct timespec *wanted, struct timespec *left)
{
	(void)id;
	(void)flags;
	(void)left;
	slept_ns += (uint64_t)wanted->tv_sec * 1000000000 + (uint64_t)wanted->tv_nsec;
	return 0;
}

/* --- nicsim's control --- */

static const char *control;

/* Asks nicsim; the answer's text, or the end of this program. */
static const char *ask(const char *command)
{
	static char answer[4097];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char request[64];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t n = -1;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", control);
	snprintf(request, sizeof request, "\n%s", command);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
		send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
		n = recv(fd, answer, sizeof answer - 1, 0);
	close(fd);
	if (n < 3 || strncmp(answer, "ok\n", 3) != 0) {
		fprintf(stderr, "nic_sweep: %s: nicsim does not do it\n", command);
		exit(2);
	}
	answer[n] = '\0';
	return answer + 3;
}

static uint64_t counter(const char *name)
{
	char word[32];
	const char *at;

	snprintf(word, sizeof word, "%s ", name);
	at = strstr(ask("counters"), word);
	return at ? strtoull(at + strlen(word), NULL, 0) : 0;
}

/* --- one run --- */

struct run {
	const char *address;
	struct pci_function *fn;
	struct dma_region *rings, *frames;
	struct nic *nic;
	struct nic_pool pool;
	char text[300]; /* what came of it */
};

static bool frame_comes_back(struct run *r)
{
	struct nic_queue *q = nic_queue(r->nic, 0);
	struct frame frame;
	uint32_t offset;
	uint8_t *data;

	(void)nic_rx(q, &r->pool, &frame, 0);
	nic_flush(q);
	if (nic_pool_get(&r->pool, &offset, 1) != 1)
		return false;
	data = nic_data(&r->pool, offset);
	memset(data, 0x5a, FRAME_LEN);
	nic_mac(r->nic, data);
	frame = (struct frame){offset, FRAME_LEN, 0};
	if (nic_tx(q, &r->pool, &frame, 1) != 1)
		return false;
	nic_flush(q);
	for (int ms = 0; ms < PATIENCE && !nic_gone(r->nic); ms++) {
		if (nic_rx(q, &r->pool, &frame, 1) == 1)
			return frame.len == FRAME_LEN && frame.flags == 0 &&
			       nic_data(&r->pool, frame.offset)[20] == 0x5a;
		poll(NULL, 0, 1);
		if (ms % 100 == 99) /* a tail that got lost, a card that is gone */
			(void)nic_check(r->nic, NULL);
	}
	return false;
}

static void go(struct run *r)
{
	struct nic_config config = {
		.queues = 1, .rx_ring = RING, .tx_ring = RING, .mtu = 1500, .interrupts = true};
	struct pci_error why = {""};
	int rc = pci_open(&r->fn, r->address, &why);

	if (!rc)
		rc = pci_dma_create(r->fn, nic_ring_bytes(&config), &r->rings, &why);
	if (!rc)
		rc = pci_dma_create(r->fn, 256 * NIC_BUFFER_STRIDE, &r->frames, &why);
	if (!rc)
		rc = nic_pool_init(&r->pool, r->frames);
	config.rings = r->rings;
	config.frames = r->frames;
	if (!rc)
		rc = nic_open(&r->nic, r->fn, &config, &why);
	if (rc) {
		const char *what = strstr(why.text, r->address);

		what = what ? what + strlen(r->address) : why.text;
		snprintf(r->text, sizeof r->text, "%s%s", strerror(-rc), what);
	} else if (frame_comes_back(r)) {
		snprintf(r->text, sizeof r->text, "works");
	} else {
		snprintf(r->text, sizeof r->text, "%s",
			nic_gone(r->nic) ? "is gone while it runs" : "DEAF: no frame comes back");
	}
	nic_close(r->nic);
	nic_pool_fini(&r->pool);
	if (r->frames)
		pci_dma_destroy(r->fn, r->frames);
	if (r->rings)
		pci_dma_destroy(r->fn, r->rings);
	if (r->fn)
		pci_close(r->fn);
}

/* --- all of them --- */

static struct {
	char text[300];
	unsigned times, first;
} outcomes[OUTCOMES];
static unsigned tried, wrong;
static char now[64]; /* what is tried, for who is stopped */

static void note(const char *text, unsigned n)
{
	unsigned i = 0;

	while (i < OUTCOMES - 1 && outcomes[i].times && strcmp(outcomes[i].text, text) != 0)
		i++;
	if (!outcomes[i].times) {
		snprintf(outcomes[i].text, sizeof outcomes[i].text, "%s", text);
		outcomes[i].first = n;
	}
	outcomes[i].times++;
}

static void on_alarm(int number)
{
	static const char text[] = "nic_sweep: it does not end: ";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof text - 1);
	(void)!write(STDERR_FILENO, now, strlen(now));
	(void)!write(STDERR_FILENO, "\n", 1);
	_exit(3);
}

static void complain(unsigned n, const char *what, uint64_t value)
{
	fprintf(stderr, "nic_sweep: %u: %s %" PRIu64 "\n", n, what, value);
	wrong++;
}

/* The run in which the nth access fails. */
static void try_one(const char *address, const char *what, const char *how, unsigned n)
{
	struct run r = {.address = address};
	uint64_t refused = counter("refused"), began = slept_ns;

	snprintf(now, sizeof now, "fault\n%s=%u,%s", what, n, how);
	(void)ask(now);
	alarm(ALARM_S);
	go(&r);
	while (counter("client")) /* until nicsim has seen all of it */
		poll(NULL, 0, 1);
	alarm(0);
	tried++;
	note(r.text, n);
	if (strncmp(r.text, "DEAF", 4) == 0)
		complain(n, r.text, 0);
	if (counter("refused") != refused)
		complain(n, "accesses outside its memory:", counter("refused") - refused);
	if ((slept_ns - began) / 1000000 > TIME_MS)
		complain(n, "it took ms:", (slept_ns - began) / 1000000);
}

static void print_outcomes(const char *what, const char *how, unsigned total)
{
	unsigned worked = 0;

	for (unsigned i = 0; i < OUTCOMES && outcomes[i].times; i++) {
		/* The run with nothing failing is none of them. */
		unsigned times = outcomes[i].times - (i == 0 ? 1 : 0);

		if (i == 0)
			worked = times;
		if (times)
			printf("%6u  %s (first: %u)\n", times, outcomes[i].text, outcomes[i].first);
	}
	printf("%s=N,%s of %u: tried %u, worked %u, ended with an error %u, wrong %u\n", what, how,
		total, tried - 1, worked, tried - 1 - worked, wrong);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"control", 1, NULL, 'c'}, {"what", 1, NULL, 'w'},
		{"how", 1, NULL, 'h'}, {"first", 1, NULL, 'f'}, {"last", 1, NULL, 'l'},
		{"step", 1, NULL, 's'}, {"ending", 1, NULL, 'e'}, {NULL, 0, NULL, 0}};
	const char *what = "access", *how = "ones";
	unsigned first = 1, last = 0, step = 1, ending = 0;
	unsigned total;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'c': control = optarg; break;
		case 'w': what = optarg; break;
		case 'h': how = optarg; break;
		case 'f': first = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l': last = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': step = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'e': ending = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (!control || optind + 1 != argc || step == 0) {
		fputs("usage: nic_sweep --control PATH [--what access|message] [--how HOW] "
		      "[--first N] "
		      "[--last N] [--step N] [--ending N] ADDRESS\n",
			stderr);
		return 2;
	}
	signal(SIGALRM, on_alarm);
	/* Once with nothing failing: how many there are. */
	try_one(argv[optind], what, how, 0);
	if (strcmp(outcomes[0].text, "works") != 0) {
		printf("nothing fails, and yet: %s\n", outcomes[0].text);
		return 1;
	}
	total = (unsigned)counter(strcmp(what, "access") == 0 ? "accesses" : "messages");
	last = last && last < total ? last : total;
	if (ending && ending < total)
		first = total - ending + 1;
	for (unsigned n = first; n <= last; n += step)
		try_one(argv[optind], what, how, n);
	(void)ask("fault\nnone");
	print_outcomes(what, how, total);
	return wrong ? 1 : 0;
}
