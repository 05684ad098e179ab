/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A wire: what a card's port is plugged into. Frames are without preamble and CRC.
 *
 *     tap:IF            a TAP interface of the kernel (made if need be)
 *     loop              what is sent comes back
 *     cable:NAME        the other end is another card's cable:NAME, in this process or another
 *     pcap:IN[,OUT]     plays IN once, as fast as the card takes it; writes what is sent to OUT
 *     gen:SIZE[@RATE]   frames of SIZE bytes for ever, RATE a second (without: as taken)
 *     sink              takes everything, gives nothing
 *
 * NAME is a socket in $NICSIM_ROOT, else $XDG_RUNTIME_DIR, else /tmp, or a path if a '/' is in it.
 * IN may be '-' or empty: then it only records. It may be a FIFO: what is written into that, in the
 * format of pcap, is played as it comes, so that somebody else can say when.
 */
#ifndef NICSIM_WIRE_H
#define NICSIM_WIRE_H

#include "nicsim/loop.h"
#include "nicsim/nicsim.h"

struct wire;

/* A frame where it lies, for bursts. Its bytes may be a driver's memory, which changes at any time.
 */
struct wire_frame {
	const uint8_t *bytes;
	size_t len; /* SIM_FRAME_MIN to SIM_FRAME_MAX */
};

/* The card's side. Called from the loop, carrier() from wire_open() and wire_set_link() also; never
 * after wire_close(). receive() must not call the wire back, and none may close it.
 */
struct wire_port {
	void *ctx;
	/* A frame arrives. False: there is no room now. If may_wait the wire keeps the frame and
	 * offers it again after wire_resume(); else it is lost and the card has counted it. */
	bool (*receive)(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
	/* May be NULL. Several frames at once, of which those that find no room may wait: how many
	 * were taken, from the first on. Fewer: as after false. */
	size_t (*receive_burst)(void *ctx, const struct wire_frame *frames, size_t n);
	/* The link partner came or went. */
	void (*carrier)(void *ctx, bool up);
	/* After wire_send() said -EAGAIN: there is room again. */
	void (*sendable)(void *ctx);
	/* May be NULL: then frames take no time. The link's speed in Mbit/s: what is sent takes as
	 * long as it does at that. What does not fit in front of the link finds no room. */
	unsigned (*speed)(void *ctx);
	/* May be NULL. The wire came to an end while in use (its interface was deleted, its file's
	 * disk is full): carrier is down and stays so. One line for people says why. */
	void (*broken)(void *ctx, const struct sim_error *why);
};

/* Plugs in. The port's link state starts down; carrier() says when it is up (maybe before this
 * returns). `why` tells what is wrong with the specification or the thing it names.
 */
int wire_open(struct wire **out, const char *spec, struct loop *loop, const struct wire_port *port,
	struct sim_error *why);
void wire_close(struct wire *wire);

/* Sends a frame of SIM_FRAME_MIN to SIM_FRAME_MAX bytes. 0: gone out; -EAGAIN: no room, try again
 * after sendable(). A frame sent while there is no carrier, or the card's own link is down, is lost
 * (0). -EINVAL: not of such a length.
 */
int wire_send(struct wire *wire, const uint8_t *frame, size_t len);
/* Whether the wire takes bursts. */
bool wire_bursts(const struct wire *wire);
/* Sends several frames at once: how many, from the first on. Fewer: as after -EAGAIN. */
size_t wire_send_burst(struct wire *wire, const struct wire_frame *frames, size_t n);
/* There is room in the card again: offers what waits. */
void wire_resume(struct wire *wire);
/* The card's own end of the link went down or up; it starts down. Nothing is played or generated
 * while it is down, what arrives is lost, and the other end of a cable sees its carrier change.
 */
void wire_set_link(struct wire *wire, bool up);
/* The speed of the card's own end in Mbit/s, for fibre: the other end of a cable that has another
 * one is no partner. 0, which it starts with: any.
 */
void wire_set_speed(struct wire *wire, unsigned mbit);
/* Whether the other end sends, at whatever speed. */
bool wire_lit(const struct wire *wire);
/* The card was off for a moment: what it sent and would hear itself is gone. */
void wire_forget(struct wire *wire);
/* How often sending had to wait for the link's speed. */
uint64_t wire_paced(const struct wire *wire);
/* What it is, for messages: the specification. */
const char *wire_name(const struct wire *wire);

#endif
