/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: what a scheme and a handle are.
 */
#ifndef SCHEME_CORE_H
#define SCHEME_CORE_H

#include "scheme/server.h"
#include "scheme/wire.h"

#define VALUE_MAX   32u   /* of a value that is written */
#define STATS_MAX   4096u /* of the text at /stats, and at /cage */
#define TAP_FRAMES  256u  /* copies that wait in a tap; a power of two */
#define TAP_BYTES   (TAP_FRAMES * 2048u)
#define TICK_FRAMES 256u

enum path {
	PATH_FRAMES,
	PATH_MAC,
	PATH_LINK,
	PATH_STATS,
	PATH_MTU,
	PATH_PROMISC,
	PATH_TAP,
	PATH_CAGE,
	PATH_QUEUE, /* with rings: a queue and its frames; without: a value */
};

struct copy {
	uint32_t at, len;
};

struct tap {
	uint32_t head, tail; /* free-running: head - tail copies wait */
	uint32_t at;         /* behind the newest copy */
	struct copy copy[TAP_FRAMES];
	uint8_t data[TAP_BYTES];
};

/* What happened on a handle, or on all of them. A page is written from here and never read. */
struct counters {
	uint64_t sent, refused, no_link, received, tap_dropped, lost;
};

/* What became of some writes. */
struct verdicts {
	uint32_t n, sent, no_link, refused;
	int error; /* the newest that is none of `sent` */
};

struct handle {
	int64_t id;      /* 0: free */
	int64_t next_id; /* of the slot: an id is never used twice */
	enum path path;
	unsigned queue;    /* of PATH_QUEUE */
	uint32_t access;   /* SCHEME_READ, SCHEME_WRITE */
	uint32_t interest; /* SCHEME_EVENT_* */
	uint32_t writes;
	struct scheme_status *page; /* or NULL */
	struct counters count;
	uint8_t *value; /* what is read of a value: value[value_at .. value_len) */
	size_t value_len, value_at;
	struct tap *tap;
	struct scheme_rings *rings; /* or NULL */
};

struct scheme {
	char name[SCHEME_NAME_MAX];
	struct scheme_port port;
	struct scheme_link link; /* as in the pages */
	uint16_t mtu;
	unsigned readers; /* handles that frames wait for */
	unsigned taps;
	unsigned open;
	uint64_t unclaimed;
	struct counters count; /* of all handles that ever were */
	/* What scheme_handle_reserve() gave out; reserved[at .. end) are not committed yet. */
	struct scheme_buffer reserved[SCHEME_BURST_PIECES];
	size_t at, end;
	uint8_t scratch[SCHEME_FRAME_MAX]; /* receives what will not be sent */
	struct handle handles[SCHEME_MAX_HANDLES];
};

/* The handle of an id, or NULL. */
struct handle *scheme_find(struct scheme *s, int64_t id);
/* Brings link and MTU from the port to the pages. */
void scheme_refresh(struct scheme *s);

/* values.c: the value as it is now into the handle. 0, -ENOMEM. */
int scheme_value_take(struct scheme *s, struct handle *h);
/* Sets mtu or promisc from text. 0, -EINVAL, or the port's error. */
int scheme_value_set(struct scheme *s, const struct handle *h, const uint8_t *text, size_t len);

/* tap.c: a copy of `len` bytes of a frame for each tap that has room. */
void scheme_tap(struct scheme *s, const struct scheme_buffer *frame, size_t len);
/* As scheme_handle_peek() and scheme_handle_pop(); 0: there is none. */
size_t scheme_tap_peek(struct tap *tap, struct scheme_buffer *data, size_t n);
void scheme_tap_pop(struct tap *tap, size_t n);

/* frames.c: the pieces of a frame, and its length or the room in them. */
size_t scheme_pieces(const struct scheme_buffer *frame, size_t *bytes);
/* Copies `len` bytes out of a frame's pieces, which have as many, or into them. */
void scheme_gather(uint8_t *to, const struct scheme_buffer *frame, size_t len);
void scheme_scatter(const struct scheme_buffer *frame, const uint8_t *from, size_t len);
/* The oldest n received frames were delivered to the handle. */
void scheme_pop_frames(struct scheme *s, struct handle *h, size_t n);
/* Frames were delivered to the handle. */
void scheme_count_received(struct handle *h, size_t n);
/* Sends `len` bytes of the first chain that the core reserved, or none, as they are judged. */
int scheme_send_frame(struct scheme *s, const struct scheme_buffer *chain, size_t len);
void scheme_count_verdict(struct verdicts *v, int verdict);
/* Into counters and page. */
void scheme_record(struct scheme *s, struct handle *h, const struct verdicts *v);

/* queues.c: scheme_handle_exchange() of a handle that owns a queue. */
ssize_t scheme_exchange_owned(struct scheme *s, struct handle *h);

#endif
