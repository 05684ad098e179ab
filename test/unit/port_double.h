/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card's port for tests of wires: keeps what it receives, has room for as much as it is told to,
 * and runs the loop until something holds.
 */
#ifndef TEST_PORT_DOUBLE_H
#define TEST_PORT_DOUBLE_H

#include "nicsim/wire.h"

struct port_double {
	struct wire_port port;
	struct wire *wire;
	bool carrier;
	unsigned int changes; /* of carrier */
	unsigned int sendable;
	unsigned int lost;   /* refused, and may_wait was false */
	size_t room;         /* frames that still fit */
	size_t frames;       /* received */
	unsigned int bursts; /* in which they came, if the port takes bursts */
	uint8_t *bytes;      /* a 16-bit length and so many bytes each, if keep */
	size_t used;
	size_t size;
	bool keep;
	struct sim_error broken;
};

void port_double_init(struct port_double *it);
void port_double_free(struct port_double *it);
/* Opens a wire for it, link up; fails the test if that fails. */
void port_double_open(struct port_double *it, const char *spec, struct loop *loop);
/* The same for a port that takes bursts. */
void port_double_open_bursts(struct port_double *it, const char *spec, struct loop *loop);
void port_double_close(struct port_double *it);
/* The n-th frame kept, from 0. */
const uint8_t *port_double_frame(const struct port_double *it, size_t n, size_t *len);

/* The n-th frame kept is this one. */
void port_double_expect(const struct port_double *it, size_t n, const uint8_t *frame, size_t len);
/* Opens what must not open: that error, one line that says `part`. */
void port_double_refused(struct loop *loop, const char *spec, int error, const char *part);

/* Frames of all lengths, both limits included, each its own. */
size_t frame_length(unsigned int n);
void make_frame(uint8_t *frame, size_t len, unsigned int n);

/* At least so much has become of a port; for run_until(). */
struct wanted {
	const struct port_double *port;
	size_t frames;
	unsigned int sendable;
	unsigned int lost;
	unsigned int changes;
};
bool arrived(void *wanted);

/* Runs the loop until holds(ctx), 20 s at most: false then. */
bool run_until(struct loop *loop, bool (*holds)(void *ctx), void *ctx);
/* Runs it so many times around. */
void run_turns(struct loop *loop, unsigned int turns);

#endif
