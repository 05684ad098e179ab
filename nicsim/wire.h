/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A wire: what a card's port is plugged into. Frames are without preamble and CRC.
 *
 *     tap:IF            a TAP interface of the kernel (made if need be)
 *     loop              what is sent comes back
 *     cable:NAME        the other end is another card's cable:NAME, in this process or another
 *     pcap:IN[,OUT]     plays IN once, as fast as the card takes it; writes what is sent to OUT
 *     gen:SIZE[@RATE]   frames of SIZE bytes without CRC for ever, RATE a second (without: as
 * taken) sink              takes everything, gives nothing
 */
#ifndef NICSIM_WIRE_H
#define NICSIM_WIRE_H

#include "nicsim/loop.h"
#include "nicsim/nicsim.h"

struct wire;

/* The card's side. Called from the loop or from within wire_send(), never after wire_close(). */
struct wire_port {
	void *ctx;
	/* A frame arrives. False: there is no room now. If may_wait the wire keeps the frame and
	 * offers it again after wire_resume(); else it is lost and the card has counted it. */
	bool (*receive)(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
	/* The link partner came or went. */
	void (*carrier)(void *ctx, bool up);
	/* After wire_send() said -EAGAIN: there is room again. */
	void (*sendable)(void *ctx);
};

/* Plugs in. The port's link state starts down; carrier() says when it is up (maybe before this
 * returns). `why` tells what is wrong with the specification or the thing it names.
 */
int wire_open(struct wire **out, const char *spec, struct loop *loop, const struct wire_port *port,
	struct sim_error *why);
void wire_close(struct wire *wire);

/* Sends a frame of SIM_FRAME_MIN to SIM_FRAME_MAX bytes. 0: gone out; -EAGAIN: no room, try again
 * after sendable(). A frame sent while there is no carrier is lost (0).
 */
int wire_send(struct wire *wire, const uint8_t *frame, size_t len);
/* There is room in the card again: offers what waits. */
void wire_resume(struct wire *wire);
/* The card's own end of the link went down or up (the other end of a cable sees its carrier
 * change). */
void wire_set_link(struct wire *wire, bool up);
/* What it is, for messages: the specification. */
const char *wire_name(const struct wire *wire);

#endif
