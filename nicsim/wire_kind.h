/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a kind of wire is to wire.c, and what the kinds share. Inside of wire*.c only.
 */
#ifndef NICSIM_WIRE_KIND_H
#define NICSIM_WIRE_KIND_H

#include "nicsim/wire.h"
#include "nicsim/wire_pace.h"

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* A wire never keeps the loop for longer than this many frames; the rest is deferred. */
#define WIRE_BUDGET 64u

struct wire_kind {
	const char *name;
	const char *form; /* how it is written, for messages */
	size_t size;      /* of the kind's structure, which begins with its struct wire */
	/* args is what stands behind "name:", or empty. After an error close() is not called. */
	int (*open)(struct wire *wire, const char *args, struct sim_error *why);
	void (*close)(struct wire *wire);
	/* Called with carrier and link up and a length that is allowed. */
	int (*send)(struct wire *wire, const uint8_t *frame, size_t len);
	/* These may be absent. */
	size_t (*send_burst)(struct wire *wire, const struct wire_frame *frames, size_t n);
	void (*resume)(struct wire *wire);
	void (*link)(struct wire *wire); /* wire->linked has changed, or the speed of what is */
	void (*forget)(struct wire *wire);
};

struct wire {
	const struct wire_kind *kind;
	struct loop *loop;
	struct wire_port port;
	char *spec;
	bool linked;   /* the card's end is up */
	bool carrier;  /* the other end is, as the port was told */
	bool lit;      /* a cable's other end is, at whatever speed */
	unsigned mbit; /* of the card's end; 0: any */
	struct wire_pace pace;
	struct loop_timer pace_timer; /* there is room again in front of the link */
	uint64_t paced;               /* how often there was none */
};

extern const struct wire_kind wire_tap;
extern const struct wire_kind wire_loop;
extern const struct wire_kind wire_cable;
extern const struct wire_kind wire_pcap;
extern const struct wire_kind wire_gen;
extern const struct wire_kind wire_sink;

/* Tells the port, if it does not know yet. */
void wire_carrier(struct wire *wire, bool up);
/* Carrier down for good, and why. */
void wire_broken(struct wire *wire, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Fills in the message; returns -error. */
int wire_fail(struct sim_error *why, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline bool wire_receive(struct wire *wire, const uint8_t *frame, size_t len, bool may_wait)
{
	return wire->port.receive(wire->port.ctx, frame, len, may_wait);
}

static inline bool wire_receives_bursts(const struct wire *wire)
{
	return wire->port.receive_burst != NULL;
}

static inline size_t wire_receive_burst(
	struct wire *wire, const struct wire_frame *frames, size_t n)
{
	return wire->port.receive_burst(wire->port.ctx, frames, n);
}

/* A queue of bytes, each record of which lies in one piece: what was appended last, moved to the
 * front when the end is reached. As the memory is twice the capacity, that moves each byte once at
 * most.
 */
struct wire_fifo {
	uint8_t *bytes;
	size_t capacity;
	size_t head;
	size_t tail;
};

int wire_fifo_create(struct wire_fifo *fifo, size_t capacity);
void wire_fifo_destroy(struct wire_fifo *fifo);
/* Where the next `want` bytes go (then add them to tail); NULL when there is no room. */
uint8_t *wire_fifo_room(struct wire_fifo *fifo, size_t want);

static inline size_t wire_fifo_used(const struct wire_fifo *fifo)
{
	return fifo->tail - fifo->head;
}

static inline size_t wire_fifo_free(const struct wire_fifo *fifo)
{
	return fifo->capacity - wire_fifo_used(fifo);
}

/* gen's arithmetic: how many frames are due `elapsed` ns after the start, and when the n-th (from
 * 0) is. Rates are at most WIRE_GEN_RATE_MAX; whole seconds and the rest are reckoned apart, so
 * that nothing overflows within five centuries.
 */
#define WIRE_GEN_RATE_MAX 100000000u
uint64_t wire_gen_due(uint64_t elapsed, uint32_t rate);
uint64_t wire_gen_when(uint64_t n, uint32_t rate);
void wire_gen_frame(uint8_t *frame, size_t size, uint64_t sequence);

#endif
