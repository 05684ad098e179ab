/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rheinfall: frames into a card and out of it, through the network scheme and nothing else. It
 * mirrors, generates and measures, records and replays, and bridges two cards.
 *
 *     main.c      arguments, signals, exit codes
 *     port.c      a URL that is open for frames
 *     ring.c      the same by shared rings
 *     generate.c  sends a stream, measures what comes back
 *     forward.c   mirror and bridge: a frame read is a frame to be written
 *     capture.c   receives and measures or records; replays a recording
 *     report.c    the line each second, the summary, JSON
 *     payload.h, meter.h, histogram.h   what frames carry and how they are judged: pure
 */
#ifndef RHEINFALL_RHEINFALL_H
#define RHEINFALL_RHEINFALL_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "rheinfall/meter.h"
#include "scheme/ring.h"
#include "scheme/scheme.h"

#define SECOND_NS 1000000000ull

#define MAX_SIZES 16u

enum mode { MODE_MIRROR, MODE_GENERATE, MODE_RECEIVE, MODE_RECORD, MODE_REPLAY, MODE_BRIDGE };

struct options {
	enum mode mode;
	const char *url[2]; /* [1]: bridge only */
	const char *file;   /* recording to write or read */
	size_t sizes;       /* generate: frames of size[0 .. sizes) in turn */
	uint32_t size[MAX_SIZES];
	uint64_t count;       /* frames; 0: no limit */
	uint64_t duration_ns; /* 0: no limit */
	uint64_t rate;        /* frames a second; 0: as fast as it goes */
	unsigned burst;       /* generate: frames that one system call sends; 1: plain writes */
	uint64_t window;      /* frames under way at most; 0: no limit */
	uint64_t drain_ns;    /* how long to wait for stragglers */
	uint64_t link_wait_ns;
	uint8_t to[6];
	bool swap;       /* mirror: exchange the addresses */
	bool one_way;    /* generate: nothing will come back */
	bool no_promisc; /* leave the card's filter as it is */
	bool ring;       /* shared rings instead of reads and writes */
	bool quiet, json, expect_lossless;
};

/* Why something ended that should not have, a line for people. */
struct failure {
	char text[400];
};
/* Sets the text, returns the error. */
__attribute__((format(printf, 3, 4))) int fail(
	struct failure *why, int error, const char *format, ...);

/* --- a run --- */

struct flow {
	uint64_t frames, bytes;
	uint64_t dropped; /* could not be written: link down, or not of a size for that card */
	uint64_t last_ns;
};

/* What is counted. tx and rx are the two directions of a mirror's, generator's, recorder's URL; a
 * bridge has lane[0] from the first URL to the second and lane[1] back.
 */
struct result {
	uint64_t begin_ns, end_ns;
	struct flow tx, rx, lane[2];
	uint64_t no_link, refused; /* what the driver's page says of frames written */
	bool ended;                /* generate: whoever is missing now is lost */
	struct meter *meter;       /* or NULL: nothing is measured */
};

struct live {
	bool on, terminal, shown;
	uint64_t next_ns, last_ns;
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes; /* at last_ns */
};

/* Frames on their way through here: frame[first .. n). They do not all begin in the same sets of
 * the processor's caches. A frame that lies in ring memory is at offset[] there; 0: in data[].
 */
struct batch {
	unsigned first, n;
	struct iovec frame[SCHEME_BURST];
	uint32_t offset[SCHEME_BURST];
	uint8_t data[SCHEME_BURST][FRAME_MAX + 192];
};

/* Buffers for rings, in memory that all rings of this program share: a frame received by one is
 * sent by another where it lies.
 */
struct buffers {
	int memory;
	uint32_t *free; /* offsets: free[0 .. frees) */
	size_t frees;
};

struct run {
	const struct options *options;
	const volatile sig_atomic_t *interrupted;
	int wake_fd; /* becomes readable when *interrupted becomes 1 */
	struct result result;
	struct live live;
	struct batch batch[2];  /* two directions at most */
	struct buffers buffers; /* --ring */
};

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- ports --- */

struct port {
	char name[sizeof("network:") + SCHEME_NAME_MAX]; /* of the scheme, without a path */
	int fd;                                          /* non-blocking */
	struct scheme_ring *ring;                        /* or NULL */
	struct buffers *buffers;                         /* its */
	bool left; /* the ring's driver: what it returned is still there */
	const struct scheme_status *status;
	uint32_t written; /* frames; as status->writes, it may wrap */
	bool restore_promisc;
};

/* Opens a URL for frames. access is O_RDONLY, O_WRONLY or O_RDWR; `buffers` for a ring, or NULL.
 * With `promisc` the card receives frames to any address until port_close(); `warning` (text "" if
 * none) says if that failed.
 */
int port_open(struct port *p, const char *url, int access, struct buffers *buffers, bool promisc,
	struct failure *warning, struct failure *why);
void port_close(struct port *p);
int port_mac(const struct port *p, uint8_t mac[6], struct failure *why);
/* The longest frame it sends. */
static inline size_t port_frame_max(const struct port *p)
{
	return atomic_load_explicit(&p->status->mtu, memory_order_relaxed) + FRAME_HEADER;
}

/* Writes what it can of a batch by one system call, advancing batch->first. Returns how many; 0:
 * there is no room now. -ENETDOWN, -EMSGSIZE, -EINVAL: the first cannot be written, the next may
 * be; others: the port is of no use any more.
 */
int port_send(struct port *p, struct batch *batch);
/* The same for one frame, as a plain write(2). */
int port_send_one(struct port *p, const uint8_t *frame, size_t len);
/* Reads at most `max` frames into an empty batch. Returns how many; 0: there are none now. -errno;
 * -EPIPE: the driver has left.
 */
int port_receive(struct port *p, struct batch *batch, unsigned max);
/* The text for an error of these. */
int port_failed(const struct port *p, int error, struct failure *why);

/* A port to be waited for: POLLIN, POLLOUT, or 0: not now. */
struct awaited {
	struct port *port;
	short events;
};
/* Waits until one of them is ready, the time `until_ns` or that of the next live line has come, or
 * a signal. Entries without events are left out, so that a peer that hung up does not wake who has
 * no use for it yet. At most 2.
 */
void run_wait(const struct run *run, const struct awaited *awaited, size_t n, uint64_t until_ns);

/* Waits for the link to be up, as long as the options say, or for a signal (then 0). */
int port_await_link(struct port *p, struct run *run, struct failure *why);
/* Waits until the driver has dealt with all that was written. Gives up when it does not get on for
 * `limit_ns`, at a signal, or when it has left. Returns how many frames still wait.
 */
uint32_t port_settle(struct port *p, struct run *run, uint64_t limit_ns);

/* --- ports by rings, for port.c --- */

/* Memory and buffers for one port, or for the two of a bridge. -errno. */
int buffers_init(struct buffers *b, size_t ports);
void buffers_fini(struct buffers *b);
/* Of port_open(), port_send(), port_send_one(), port_receive(). */
int ring_open(struct port *p, const char *url, int access);
int ring_send(struct port *p, struct batch *batch);
int ring_send_one(struct port *p, const uint8_t *frame, size_t len);
int ring_receive(struct port *p, struct batch *batch, unsigned max);
/* Around a poll() of the port's descriptor for POLLIN. False: do not wait. */
bool ring_sleep(struct port *p, short events);
void ring_awake(struct port *p);

/* --- what can be done; each runs to its end: 0 or -errno with a text --- */

int generate(struct run *run, struct port *p, struct failure *why);
int mirror(struct run *run, struct port *p, struct failure *why);
int bridge(struct run *run, struct port p[2], struct failure *why);
int receive(struct run *run, struct port *p, struct failure *why);
int replay(struct run *run, struct port *p, struct failure *why);

/* A number that only programs on the same booted system share, as CLOCK_MONOTONIC is shared. */
uint16_t clock_identity(void);

/* --- reports --- */

/* To be called in each round: a line each second. */
void report_live(struct run *run, uint64_t now);
void report_summary(const struct run *run);
/* `error` as it was said, or NULL. */
void report_json(const struct run *run, const char *error);
/* A generated stream came back, or arrived, each frame once and unchanged. */
bool report_lossless(const struct run *run);

#endif
