/* SPDX-License-Identifier: BSD-3-Clause
 *
 * scheme: everything is a URL. This is the client's side, the only header a program needs to use a
 * card.
 *
 *     network:               the first card (by name) whose driver answers
 *     network:NAME           frames: one read is one frame (cut to the buffer), one write sends one
 *     network:NAME/mac       6 bytes
 *     network:NAME/link      "up 10000\n" or "down 0\n": state and Mbit/s
 *     network:NAME/stats     counters, a "name value\n" line each
 *     network:NAME/mtu       the MTU in decimal, "1500\n"; writable
 *     network:NAME/promisc   "0\n" or "1\n"; writable
 *     network:NAME/cage      what keeps the driver from doing harm, a "name value\n" line each
 *     network:NAME/tap       copies of all frames, both ways: best effort; read only
 *     network:NAME/queue/N   a queue of the card: who owns it, a "name value\n" line each; with
 *                            rings (scheme/ring.h), its frames, in the client's own memory
 *
 * scheme_open() returns a plain descriptor: read(2), write(2), poll(2), O_NONBLOCK, dup(2) and
 * close(2) work on it, from any program or language.
 *
 * Frames: the path is a mailbox, not a broadcast: of several handles, each frame goes to one.
 * Frames wait for a handle that is open for reading, so a program that only sends should open
 * O_WRONLY. A plain write(2) means "queued"; what became of it is in the handle's status page,
 * which scheme_write() consults. While a client owns the queue, others get no frames, and what they
 * write is refused. In each direction SCHEME_QUEUE_FRAMES full frames fit between
 * program and driver, more when they are short, SCHEME_QUEUE_LARGE of the largest; then a read
 * ahead stops, or a write blocks (EAGAIN).
 *
 * Values: what it was at the opening, in one read, then end of file (a read of 0). To see a value
 * again, also after writing it, open it again. A write sets it: the decimal number, with or without
 * a newline.
 *
 * The end of file of frames means that the driver has left for good; a write(2) is then EPIPE, with
 * SIGPIPE as on any socket (scheme_write() never raises it).
 *
 * Sockets lie in "network" under $SCHEME_ROOT, else /run/scheme, else $XDG_RUNTIME_DIR/scheme (the
 * first that is set or exists).
 */
#ifndef SCHEME_SCHEME_H
#define SCHEME_SCHEME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* C++ has C's atomic types from C++23 on only; those of its own have the same layout. */
#ifdef __cplusplus
#include <atomic>
typedef std::atomic<uint32_t> scheme_atomic_u32;
typedef std::atomic<int32_t> scheme_atomic_i32;
typedef std::atomic<uint64_t> scheme_atomic_u64;
#else
#include <stdatomic.h>
typedef _Atomic uint32_t scheme_atomic_u32;
typedef _Atomic int32_t scheme_atomic_i32;
typedef _Atomic uint64_t scheme_atomic_u64;
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define SCHEME_PATH_MAX     192 /* what follows "network:NAME", with the NUL */
#define SCHEME_NAME_MAX     64  /* NAME, with the NUL */
#define SCHEME_QUEUE_FRAMES 128 /* of 1518 bytes, each way, without special rights */
#define SCHEME_QUEUE_LARGE  24  /* of SCHEME_FRAME_MAX bytes */

#define SCHEME_BURST 32 /* frames that one call moves at most */

/* The longest frame of any card, without the CRC: an MTU of 9,710, header, VLAN tag. */
#define SCHEME_FRAME_MAX 9728u

/* A handle's page, written by the driver, read by the client. Counters only grow. */
struct scheme_status {
	scheme_atomic_u32 link_up;
	scheme_atomic_u32 link_mbit;
	scheme_atomic_u32 mtu;      /* payload of the largest frame; the frame is 14 bytes longer */
	scheme_atomic_u32 writes;   /* futex word: writes that the driver has dealt with */
	scheme_atomic_i32 error;    /* 0, or the -errno of the newest write that was refused; of a
				       value: what the newest write came to */
	scheme_atomic_u32 present;  /* 1 while a driver serves the handle */
	scheme_atomic_u64 sent;     /* frames given to the card */
	scheme_atomic_u64 refused;  /* frames too short or too long, values that are none */
	scheme_atomic_u64 no_link;  /* frames dropped since the link was down */
	scheme_atomic_u64 received; /* frames delivered; of a value: 1 when it was */
	scheme_atomic_u64 tap_dropped; /* copies that had no room */
	scheme_atomic_u32 value;       /* 1: the handle is a value's, not frames' */
	scheme_atomic_u64 lost;  /* of rings: frames that a driver had taken and took with it */
	scheme_atomic_u32 owned; /* 1: another client owns the queue, and frames are refused */
	/* enum scheme_offload of scheme/ring.h: what metadata its frames may have. */
	scheme_atomic_u32 offloads;
};

/* Opens a URL. flags: O_RDONLY, O_WRONLY or O_RDWR, with O_NONBLOCK and O_CLOEXEC. Where `status`
 * is not NULL the handle's page is mapped there; scheme_unmap_status() gives it back. Returns a
 * descriptor, or -EINVAL (no URL or flags of this kind), -ENOENT (no such scheme or path), -EACCES
 * (not allowed to), -ECONNREFUSED (the scheme's owner is gone), -ENODEV (its driver is gone),
 * -EMFILE (it has too many handles), -ETIMEDOUT (no answer in 10 s), -EPROTO (the answer is none),
 * or what the system says (-ENOMEM, -ENFILE).
 */
int scheme_open(const char *url, int flags, const struct scheme_status **status);
void scheme_unmap_status(const struct scheme_status *status);

/* write(2) that reports what a plain one cannot: -EMSGSIZE (longer than the MTU allows, 4 bytes
 * more with a VLAN tag), -EINVAL (shorter than a header), -ENETDOWN (link down); on mtu and promisc
 * it waits for the driver's verdict (2 s at most: -ETIMEDOUT), which is that of this write when
 * nobody else writes to the same handle. -EAGAIN where the descriptor is non-blocking and full;
 * -EPIPE: the driver has left. Without a status page (NULL) it is a plain write that raises no
 * signal.
 */
ssize_t scheme_write(int fd, const struct scheme_status *status, const void *data, size_t len);

/* What scheme_write() of that frame would be refused for now, as far as the page tells: 0,
 * -EMSGSIZE, -EINVAL, -ENETDOWN.
 */
int scheme_judge(const struct scheme_status *status, const void *frame, size_t len);

/* Many frames by one system call, which costs more than moving a frame does; n above SCHEME_BURST
 * is cut to it. Of write: how many were queued; it stops ahead of the first that scheme_write()
 * would refuse, and returns what that does when it is the very first. Of read: waits for one frame
 * (not if the descriptor is non-blocking: -EAGAIN) and takes what else is there; iov_len of each
 * becomes its length, cut to what it was; 0 is the end of file.
 */
int scheme_write_burst(
	int fd, const struct scheme_status *status, const struct iovec *frames, unsigned n);
int scheme_read_burst(int fd, struct iovec *frames, unsigned n);

/* What a negative result of scheme_open() or scheme_write() means, and what to do: a line for
 * people, without a newline.
 */
const char *scheme_strerror(int error);

/* Splits "network:NAME/path". name is empty for the first card; path is "" or begins with a slash.
 * -EINVAL.
 */
int scheme_parse(const char *url, char name[SCHEME_NAME_MAX], char path[SCHEME_PATH_MAX]);
/* The directory that holds the sockets of network schemes, ending without a slash. -ENOENT (`out`
 * is where it would be), -ENAMETOOLONG.
 */
int scheme_directory(char *out, size_t size);
/* Calls found() for each scheme whose owner answers, by ascending name; stops when it returns
 * non-zero, and returns that. No directory: no schemes, 0. Sockets that nobody listens on are
 * passed over.
 */
int scheme_list(int (*found)(void *ctx, const char *name), void *ctx);

#ifdef __cplusplus
}
#endif

#endif
