/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What it costs to hand a frame to another process: a driver and a client, each on a core of its
 * own, and a card in the driver's process that takes and has frames at once. Every frame is
 * numbered by who makes it and judged by who gets it. For bench/rings.py: prints frames a second.
 *
 *     rings_bench WHAT SIZE MS
 *
 *     ring-send, ring-receive, ring-forward     scheme_open_ring()
 *     plain-send, plain-receive                 write(2), read(2) of network:NAME
 *     socket                                    a SOCK_SEQPACKET pair alone
 *     tap, packet                               write(2) to a TAP interface, send(2) by AF_PACKET
 * over the interface bench0, in a namespace made for it
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scheme/linux.h"
#include "scheme/ring.h"

#define NAME    "bench"
#define BUFFERS 512u /* of the card, each way */
#define ROOM    2048u
#define STRIDE  2112u
#define BURST   32u
#define WARM_NS 50000000

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "rings_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void take_core(unsigned which)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && which-- == 0)
			CPU_SET(i, &one);
	if (CPU_COUNT(&one) == 1)
		(void)sched_setaffinity(0, sizeof(one), &one);
}

/* --- frames --- */

static void make(uint8_t *frame, size_t size, uint64_t number)
{
	static const uint8_t head[14] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0x88, 0xb5};

	memset(frame + 22, (int)number, size - 22);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + 14, &number, sizeof(number));
}

static uint64_t number_of(const uint8_t *frame)
{
	uint64_t number;

	memcpy(&number, frame + 14, sizeof(number));
	return number;
}

/* --- the card --- */

struct shared { /* what the card counts, for the other process */
	_Alignas(128) _Atomic uint64_t sent, received;
	_Atomic bool ready, stop, bad;
};

struct card {
	struct shared *shared;
	size_t size;
	bool receives;
	uint64_t rx_number, rx_head, rx_tail, tx_number, tx_tail;
	uint8_t *rx, *tx;
};

static uint8_t *buffer(uint8_t *ring, uint64_t i)
{
	return ring + i % BUFFERS * STRIDE;
}

static size_t rx_peek(void *ctx, struct scheme_buffer *frames, size_t n)
{
	struct card *c = ctx;

	if (!c->receives)
		return 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t *frame = buffer(c->rx, c->rx_tail + i);
		uint64_t number = c->rx_tail + i;
		memcpy(frame + 14, &number, sizeof(number));
		frames[i] = (struct scheme_buffer){frame, c->size};
	}
	return n;
}

static void rx_pop(void *ctx, size_t n)
{
	struct card *c = ctx;

	c->rx_tail += n;
	atomic_store_explicit(&c->shared->received, c->rx_tail, memory_order_relaxed);
}

static size_t tx_reserve(void *ctx, struct scheme_buffer *buffers, size_t n)
{
	struct card *c = ctx;

	for (size_t i = 0; i < n; i++)
		buffers[i] = (struct scheme_buffer){buffer(c->tx, c->tx_tail + i), ROOM};
	return n;
}

static void tx_push(void *ctx, size_t len)
{
	struct card *c = ctx;
	const uint8_t *frame = buffer(c->tx, c->tx_tail++);

	if (len != c->size || number_of(frame) != c->tx_number)
		atomic_store(&c->shared->bad, true);
	c->tx_number++;
}

static void get_mac(void *ctx, uint8_t mac[6])
{
	(void)ctx;
	memset(mac, 2, 6);
}

static void get_link(void *ctx, struct scheme_link *link)
{
	(void)ctx;
	*link = (struct scheme_link){true, 10000};
}

static size_t get_stats(void *ctx, char *text, size_t size)
{
	(void)ctx;
	(void)text;
	(void)size;
	return 0;
}

static uint16_t get_mtu(void *ctx)
{
	(void)ctx;
	return 1500;
}

static int set_mtu(void *ctx, uint16_t mtu)
{
	(void)ctx;
	(void)mtu;
	return -EINVAL;
}

static bool get_promiscuous(void *ctx)
{
	(void)ctx;
	return false;
}

static int set_promiscuous(void *ctx, bool on)
{
	(void)ctx;
	(void)on;
	return -EINVAL;
}

/* The driver: registrar, transport and core as pcid and a daemon have them, polling. */
static void drive(struct shared *shared, size_t size, bool receives)
{
	const struct scheme_access only_us = {.group = (gid_t)-1};
	struct card c = {.shared = shared, .size = size, .receives = receives};
	const struct scheme_port port = {
		.ctx = &c,
		.rx_peek = rx_peek,
		.rx_pop = rx_pop,
		.tx_reserve = tx_reserve,
		.tx_push = tx_push,
		.mac = get_mac,
		.link = get_link,
		.stats = get_stats,
		.mtu = get_mtu,
		.set_mtu = set_mtu,
		.promiscuous = get_promiscuous,
		.set_promiscuous = set_promiscuous,
	};
	struct scheme_registrar *registrar;
	struct scheme_client client;
	struct scheme_linux *transport;
	struct scheme *core;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	take_core(1);
	c.rx = aligned_alloc(64, (size_t)BUFFERS * STRIDE);
	c.tx = aligned_alloc(64, (size_t)BUFFERS * STRIDE);
	if (c.rx == NULL || c.tx == NULL || scheme_create(&core, NAME, &port) != 0 ||
		scheme_linux_create(&transport, core) != 0 ||
		scheme_registrar_create(&registrar, NAME, &only_us) != 0)
		die("driver");
	for (uint64_t i = 0; i < BUFFERS; i++) {
		make(buffer(c.rx, i), size, i);
		make(buffer(c.tx, i), size, i);
	}
	atomic_store(&shared->ready, true);
	for (unsigned round = 0; !atomic_load_explicit(&shared->stop, memory_order_relaxed);
		round++) {
		if (round % 1024 == 0 && scheme_registrar_next(registrar, &client) == 1)
			(void)scheme_linux_adopt(transport, &client);
		(void)scheme_linux_round(transport);
		if (scheme_open_handles(core) > 0)
			scheme_tick(core);
		atomic_store_explicit(&shared->sent, c.tx_number, memory_order_relaxed);
	}
	scheme_linux_destroy(transport);
	scheme_registrar_destroy(registrar);
	scheme_destroy(core);
	exit(0);
}

/* --- clients --- */

struct client {
	struct shared *shared;
	size_t size;
	uint64_t number;
	struct scheme_ring *ring;
	uint8_t *frames;
	uint32_t free[4 * SCHEME_RING_DEFAULT];
	size_t frees;
	int fd;
	const struct scheme_status *status;
	uint8_t data[BURST][STRIDE];
};

static void bad(struct client *c)
{
	atomic_store(&c->shared->bad, true);
}

static void ring_send(struct client *c)
{
	struct scheme_frame burst[BURST];
	size_t n;

	c->frees += scheme_ring_tx_return(c->ring, c->free + c->frees, BURST);
	n = c->frees < BURST ? c->frees : BURST;
	if (n > SCHEME_RING_DEFAULT - scheme_ring_tx_held(c->ring))
		n = SCHEME_RING_DEFAULT - scheme_ring_tx_held(c->ring);
	for (size_t i = 0; i < n; i++)
		scheme_ring_will_write(c->frames + c->free[c->frees - 1 - i]);
	for (size_t i = 0; i < n; i++) {
		burst[i] = (struct scheme_frame){
			.offset = c->free[--c->frees], .len = (uint16_t)c->size};
		make(c->frames + burst[i].offset, c->size, c->number++);
	}
	(void)scheme_ring_tx_provide(c->ring, burst, n);
}

static void ring_receive(struct client *c)
{
	struct scheme_frame burst[BURST];
	uint32_t offsets[BURST];
	size_t n = scheme_ring_rx_return(c->ring, burst, BURST);

	for (size_t i = 0; i < n; i++) {
		if (burst[i].len != c->size ||
			number_of(c->frames + burst[i].offset) != c->number++)
			bad(c);
		offsets[i] = burst[i].offset;
	}
	(void)scheme_ring_rx_provide(c->ring, offsets, n);
}

static void ring_forward(struct client *c)
{
	struct scheme_frame burst[BURST];
	uint32_t offsets[BURST];
	size_t n = SCHEME_RING_DEFAULT - scheme_ring_tx_held(c->ring);

	n = scheme_ring_rx_return(c->ring, burst, n < BURST ? n : BURST);
	for (size_t i = 0; i < n; i++) {
		uint8_t *frame = c->frames + burst[i].offset;
		if (number_of(frame) != c->number++)
			bad(c);
		frame[0] ^= 4;
	}
	(void)scheme_ring_tx_provide(c->ring, burst, n);
	n = scheme_ring_tx_return(c->ring, offsets, BURST);
	(void)scheme_ring_rx_provide(c->ring, offsets, n);
}

static void plain_send(struct client *c)
{
	make(c->data[0], c->size, c->number);
	if (write(c->fd, c->data[0], c->size) == (ssize_t)c->size)
		c->number++;
}

static void plain_receive(struct client *c)
{
	ssize_t n = read(c->fd, c->data[0], STRIDE);

	if (n > 0 && ((size_t)n != c->size || number_of(c->data[0]) != c->number++))
		bad(c);
}

static void open_client(struct client *c, const char *what)
{
	uint32_t offsets[SCHEME_RING_DEFAULT];
	int ret;

	if (strncmp(what, "ring", 4) != 0) {
		c->fd = scheme_open("network:" NAME, O_RDWR | O_CLOEXEC, &c->status);
		if (c->fd >= 0)
			return;
		errno = -c->fd;
		die("network:" NAME);
	}
	ret = scheme_open_ring("network:" NAME, O_RDWR | O_CLOEXEC, NULL, &c->ring);
	if (ret < 0) {
		errno = -ret;
		die("network:" NAME);
	}
	c->frames = scheme_ring_frames(c->ring, NULL);
	for (uint32_t i = 0; i < SCHEME_RING_DEFAULT; i++) {
		offsets[i] = scheme_ring_buffer(i);
		c->free[c->frees++] = scheme_ring_buffer(SCHEME_RING_DEFAULT + i);
	}
	if (strcmp(what, "ring-send") != 0)
		(void)scheme_ring_rx_provide(c->ring, offsets, SCHEME_RING_DEFAULT);
}

/* Lets the client go on for some time; returns frames a second, as the card counts them. */
static double run(struct client *c, void (*step)(struct client *), _Atomic uint64_t *count, int ms)
{
	int64_t begin = now_ns() + WARM_NS, end;
	uint64_t first;

	while (now_ns() < begin)
		for (unsigned i = 0; i < 64; i++)
			step(c);
	begin = now_ns();
	end = begin + (int64_t)ms * 1000000;
	first = atomic_load(count);
	while (now_ns() < end)
		for (unsigned i = 0; i < 64; i++)
			step(c);
	return (double)(atomic_load(count) - first) * 1e9 / (double)(now_ns() - begin);
}

static double through_scheme(const char *what, size_t size, int ms)
{
	static const struct {
		const char *what;
		void (*step)(struct client *);
		bool receives, counts_received;
	} kinds[] = {
		{"ring-send", ring_send, false, false},
		{"ring-receive", ring_receive, true, true},
		{"ring-forward", ring_forward, true, false},
		{"plain-send", plain_send, false, false},
		{"plain-receive", plain_receive, true, true},
	};
	struct shared *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct client *c = calloc(1, sizeof(*c));
	size_t kind = 0;
	double rate;
	pid_t driver;
	int status;

	while (kind < 5 && strcmp(kinds[kind].what, what) != 0)
		kind++;
	if (kind == 5 || shared == MAP_FAILED || c == NULL)
		die(what);
	driver = fork();
	if (driver == 0)
		drive(shared, size, kinds[kind].receives);
	take_core(0);
	while (!atomic_load(&shared->ready) && waitpid(driver, &status, WNOHANG) == 0)
		(void)sched_yield();
	c->shared = shared;
	c->size = size;
	open_client(c, what);
	rate = run(c, kinds[kind].step,
		kinds[kind].counts_received ? &shared->received : &shared->sent, ms);
	atomic_store(&shared->stop, true);
	if (waitpid(driver, &status, 0) != driver || status != 0 || atomic_load(&shared->bad)) {
		errno = EIO;
		die("frames came that were not sent");
	}
	free(c);
	return rate;
}

/* --- others, for comparison --- */

/* A reader in a process of its own, which counts. */
static pid_t start_reader(int fd, struct shared *shared)
{
	static uint8_t data[STRIDE];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	take_core(1);
	for (uint64_t n = 1;; n++) {
		if (read(fd, data, sizeof(data)) <= 0)
			exit(0);
		atomic_store_explicit(&shared->sent, n, memory_order_relaxed);
	}
}

static int open_tap(void)
{
	struct ifreq it = {.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "bench"};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int up = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &it) < 0)
		die("/dev/net/tun");
	it.ifr_flags = IFF_UP;
	if (up < 0 || ioctl(up, SIOCSIFFLAGS, &it) < 0)
		die("tap");
	close(up);
	return fd;
}

static int open_packet(const char *interface)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		die("AF_PACKET");
	return fd;
}

static double by_system(const char *what, size_t size, int ms)
{
	struct shared *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct client *c = calloc(1, sizeof(*c));
	int pair[2] = {-1, -1};
	pid_t reader = 0;
	bool counted = false;
	double rate;
	int64_t begin;

	if (shared == MAP_FAILED || c == NULL)
		die(what);
	if (strcmp(what, "socket") == 0) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
			die("socketpair");
		counted = true;
	} else if (strcmp(what, "packet") == 0) {
		pair[0] = open_packet("bench0");
	} else {
		pair[0] = open_tap();
	}
	if (counted)
		reader = start_reader(pair[1], shared);
	take_core(0);
	c->shared = shared;
	c->size = size;
	c->fd = pair[0];
	rate = run(c, plain_send, &shared->sent, ms);
	if (!counted) { /* what was written is gone when write() returns */
		uint64_t first = c->number;
		begin = now_ns();
		while (now_ns() < begin + (int64_t)ms * 1000000)
			plain_send(c);
		rate = (double)(c->number - first) * 1e9 / (double)(now_ns() - begin);
	}
	if (reader > 0) {
		(void)kill(reader, SIGKILL);
		(void)waitpid(reader, NULL, 0);
	}
	free(c);
	return rate;
}

int main(int argc, char **argv)
{
	size_t size = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	int ms = argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0;

	if (size < 60 || size > 1514 || ms < 1) {
		(void)fprintf(stderr, "usage: rings_bench WHAT SIZE MS\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[1], "socket") == 0 || strcmp(argv[1], "tap") == 0 ||
		strcmp(argv[1], "packet") == 0)
		(void)printf("%.0f\n", by_system(argv[1], size, ms));
	else
		(void)printf("%.0f\n", through_scheme(argv[1], size, ms));
	return 0;
}
