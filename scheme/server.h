/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The core of a scheme's server: handles and frames, no operating system and no network card.
 * It is a pull model, as Redox's kernel drives it: a transport calls open, read, write, fevent,
 * dup, fpath and close; frames come from and go to a port that the daemon brings.
 *
 *     transport (Linux socket, Redox, memory)  ->  scheme core  ->  port (the daemon, over nic.h)
 */
#ifndef SCHEME_SERVER_H
#define SCHEME_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scheme/ring.h"
#include "scheme/scheme.h"

#define SCHEME_MAX_HANDLES 256

struct scheme_link {
	bool up;
	uint32_t mbit;
	bool owned; /* a client owns the queue of the frames' path: nothing comes, and what is
		     * written is refused (-EBUSY) */
};

/* A frame lies in one piece, or in as many as SCHEME_PIECES, one entry each. */
struct scheme_buffer {
	uint8_t *data;
	size_t len;
	bool more; /* it goes on in the next entry */
};

#define SCHEME_PIECES ((SCHEME_FRAME_MAX + SCHEME_RING_BUFFER - 1) / SCHEME_RING_BUFFER)
/* Entries for a burst of any frames. */
#define SCHEME_BURST_PIECES (SCHEME_BURST * SCHEME_PIECES)

struct scheme_rings;

/* What a round with an owner's rings came to. */
struct scheme_moved {
	uint32_t received, sent, no_link, refused; /* frames */
	int error;                                 /* of the newest of the last two */
};

/* Queues of the card that clients may own, with rings: the card works on their memory itself. */
struct scheme_queues {
	void *ctx;
	unsigned count;    /* 0: none, and the rest is not used */
	uint32_t offloads; /* enum scheme_offload, of all of them */
	/* The queue is the rings' owner's, until leave(). resumed: an earlier driver had the same
	 * rings, which are to be resumed; *lost as scheme_rings_resume() says. -errno. */
	int (*own)(void *ctx, unsigned index, struct scheme_rings *rings, bool resumed,
		uint32_t *lost);
	/* Moves what can be moved, at most SCHEME_RING_BUDGET frames each way, by `access`
	 * (SCHEME_READ, SCHEME_WRITE). Returns how many buffers and frames changed hands, or
	 * -EPROTO. */
	ssize_t (*move)(void *ctx, unsigned index, uint32_t access, struct scheme_moved *moved);
	/* SCHEME_RING_RX, SCHEME_RING_TX: what the queue could take now. */
	unsigned (*room)(void *ctx, unsigned index);
	/* What was provided to be sent is sent, as far as that is possible at once. The rings are
	 * still there. */
	void (*leave)(void *ctx, unsigned index);
	/* Who owns it, "name value\n" lines; returns the length, at most size. */
	size_t (*text)(void *ctx, unsigned index, char *text, size_t size);
};

/* What the daemon brings. Only called from within the core's functions, on their thread. Frames
 * move in bursts, since a transport pays more for a system call than for a frame.
 */
struct scheme_port {
	void *ctx;
	/* The oldest received frames, at most n (n <= SCHEME_BURST), oldest first, in room for n *
	 * SCHEME_PIECES entries; no piece is longer than SCHEME_RING_BUFFER. Returns how many
	 * frames. They stay until rx_pop() has taken the n oldest away. */
	size_t (*rx_peek)(void *ctx, struct scheme_buffer *frames, size_t n);
	void (*rx_pop)(void *ctx, size_t n);
	/* Buffers for at most n frames to send (n <= SCHEME_BURST), in room as above: for each a
	 * chain that holds the MTU's largest frame, with its pieces' sizes (the first at least 18
	 * bytes). Returns for how many frames, 0: none is free. They stay reserved, in this order:
	 * reserving again returns the same first, and then others if n is larger. */
	size_t (*tx_reserve)(void *ctx, struct scheme_buffer *buffers, size_t n);
	/* Queues `len` bytes of the first reserved chain; 0: nothing was put there, it is free
	 * again. Either way the next one is the first now. */
	void (*tx_push)(void *ctx, size_t len);
	void (*mac)(void *ctx, uint8_t mac[6]);
	/* Called by each scheme_tick(): from memory, not from the card. */
	void (*link)(void *ctx, struct scheme_link *link);
	/* Counters as "name value\n" lines; returns the length, at most size. */
	size_t (*stats)(void *ctx, char *text, size_t size);
	/* What keeps the driver from doing harm, lines of the same form; NULL: nothing is said. */
	size_t (*cage)(void *ctx, char *text, size_t size);
	uint16_t (*mtu)(void *ctx);              /* as link() */
	int (*set_mtu)(void *ctx, uint16_t mtu); /* 0 or -errno */
	bool (*promiscuous)(void *ctx);
	int (*set_promiscuous)(void *ctx, bool on); /* 0 or -errno */
	struct scheme_queues queues;
};

struct scheme;

/* Returned by reads that have nothing now, and by writes that have no room now: the caller is
 * parked and tries again when scheme_handle_ready() says so. (-EAGAIN, as in Redox's protocol.)
 */
#define SCHEME_PARKED (-11)

/* -EINVAL (the name), -ENOMEM. */
int scheme_create(struct scheme **out, const char *name, const struct scheme_port *port);
/* Closes what is open. */
void scheme_destroy(struct scheme *s);
unsigned scheme_open_handles(const struct scheme *s);

/* Opens a path ("" for frames). `access` is SCHEME_READ | SCHEME_WRITE of wire.h. `status` is the
 * handle's page, written only (its reader may be hostile), or NULL. Returns a handle's id, > 0, or
 * -ENOENT, -EACCES (to write what is read only, or no access at all), -EMFILE, -ENOMEM. A value is
 * taken here: a handle reads what it was when it was opened.
 */
int64_t scheme_handle_open(
	struct scheme *s, const char *path, uint32_t access, struct scheme_status *status);
/* The handle, just opened, goes on for one that an earlier driver had with the same page: its
 * counters go on from the page's, which are only numbers; a value that was delivered is at its end.
 */
void scheme_handle_resume(struct scheme *s, int64_t id);
/* The same path opened once more, without a page. -EBADF, and as open. */
int64_t scheme_handle_dup(struct scheme *s, int64_t id);
void scheme_handle_close(struct scheme *s, int64_t id);
/* "network:NAME/path"; returns the length, cut to size, without a NUL. -EBADF. */
ssize_t scheme_handle_fpath(struct scheme *s, int64_t id, char *text, size_t size);

/* One frame, cut to size, or what is left of the value. 0 is the end of a value, or size is 0.
 * SCHEME_PARKED, -EBADF, -EACCES. */
ssize_t scheme_handle_read(struct scheme *s, int64_t id, void *data, size_t size);
/* One frame to send or a value to set: len, or SCHEME_PARKED, -EBADF; or refused, counted in the
 * handle's page, and there in `error`: -EINVAL (shorter than a header; not a number, or out of
 * range), -EMSGSIZE (14 bytes more than the MTU, 18 with a VLAN tag, are the most), -ENETDOWN,
 * -EACCES, or what setting the value came to. An empty write is nothing: 0.
 */
ssize_t scheme_handle_write(struct scheme *s, int64_t id, const void *data, size_t len);

/* The same without a copy and in bursts, for a transport that can move data itself. peek: up to n
 * frames at hand, oldest first, or the value, in room for n * SCHEME_PIECES entries; returns how
 * many, or what scheme_handle_read() does; pop: the first n of them were delivered.
 */
ssize_t scheme_handle_peek(struct scheme *s, int64_t id, struct scheme_buffer *data, size_t n);
void scheme_handle_pop(struct scheme *s, int64_t id, size_t n);
/* Where to put what is to be written: chains of buffers for up to n frames, in room as above;
 * returns how many, or SCHEME_PARKED, -EBADF. Then commit for as many of them as were filled, in
 * their order, with nothing else called on the scheme in between: each is judged as
 * scheme_handle_write() does. A len above the chain's size means that it was longer.
 */
ssize_t scheme_handle_reserve(
	struct scheme *s, int64_t id, struct scheme_buffer *buffers, size_t n);
ssize_t scheme_handle_commit(struct scheme *s, int64_t id, size_t len);

/* --- a handle with shared rings (scheme/rings.h) --- */

/* The handle, just opened, moves frames through rings, which stay until it is closed. -EBADF,
 * -EINVAL: not the path of frames.
 */
int scheme_handle_rings(struct scheme *s, int64_t id, struct scheme_rings *rings);
/* Moves what can be moved between rings and port, at most SCHEME_RING_BUDGET frames each way:
 * frames are copied, once. Frames sent are judged as by scheme_handle_write(), and those with flags
 * that there are none, or with an empty entry, are refused: -EINVAL. Returns how many moved;
 * -EBADF, -EPROTO: the client broke the rules, close it.
 */
ssize_t scheme_handle_exchange(struct scheme *s, int64_t id);
/* The handle, just opened on the path of a queue, owns that queue, by these rings. -EBADF, -EINVAL:
 * another path; errors of the port: -EBUSY, somebody owns it; -EPROTO: it is resumed, and client
 * and card do not agree.
 */
int scheme_handle_own(struct scheme *s, int64_t id, struct scheme_rings *rings, bool resumed);
/* What the queue could take (SCHEME_RING_RX, SCHEME_RING_TX); of others 0. */
unsigned scheme_handle_room(struct scheme *s, int64_t id);
/* The number of a queue's path, or -ENOENT. */
int scheme_queue_path(const char *path);
/* Frames that a driver took and did not send. */
void scheme_handle_lost(struct scheme *s, int64_t id, uint32_t lost);

/* As long as the copies of as many frames through a socket take, about. */
#define SCHEME_RING_BUDGET 128u

/* Counters of all handles that ever were, as in /stats; for one scheme to go on from another's. */
struct scheme_totals {
	uint64_t unclaimed, refused, no_link, tap_dropped;
};
void scheme_get_totals(const struct scheme *s, struct scheme_totals *totals);
void scheme_set_totals(struct scheme *s, const struct scheme_totals *totals);

/* Events: the bits that the handle's owner asked for with fevent, and which of them now hold. */
#define SCHEME_EVENT_READ  1u
#define SCHEME_EVENT_WRITE 2u
/* 0, -EBADF, -EINVAL (other bits). */
int scheme_handle_fevent(struct scheme *s, int64_t id, uint32_t interest);
/* 0 also for no such handle. */
uint32_t scheme_handle_ready(struct scheme *s, int64_t id);

/* Once a round of the daemon: writes link and MTU to the status pages when they changed, and drops
 * frames while nobody has the frames' path open for reading (counted as unclaimed; at most 256 a
 * call). Taps get their copies of a frame whenever it is read, dropped here, or sent.
 */
void scheme_tick(struct scheme *s);

#endif
