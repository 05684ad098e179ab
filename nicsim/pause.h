/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Flow control of a link (IEEE 802.3 annex 31B), of whatever card: pause frames hold what this end
 * sends, and are sent when the packet buffer fills. When, and what they look like, a family's
 * registers say. That of priorities (PFC) is not there, as there is one traffic class.
 */
#ifndef NICSIM_PAUSE_H
#define NICSIM_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "nicsim/loop.h"

#define PAUSE_FRAME 60u /* bytes, without CRC */

/* Where pause frames go and come from, and what becomes of those that come. */
struct pause_rules {
	uint8_t group[6], station[6];
	uint16_t type;
	bool obeys;          /* they hold what is sent, and are counted */
	bool discards;       /* and end here, instead of going on as frames like others */
	bool passes_control; /* control frames that are no pauses go on */
	uint16_t time;       /* what is sent: quanta, and so many before they are over again; */
	uint16_t before;     /* 0: not again */
	unsigned mbit;       /* of the link */
};

/* When they are sent, in bytes of the packet buffer. */
struct pause_levels {
	bool sends;
	bool xon; /* also when it is empty again */
	uint32_t high, low;
};

struct pause_ops {
	struct pause_rules (*rules)(void *card);
	struct pause_levels (*levels)(void *card);
	/* Whether there is somebody to be held. */
	bool (*linked)(void *card);
	void (*received)(void *card, bool off);
	/* 0: it is on its way, and counted; else later. */
	int (*send)(void *card, const uint8_t *frame, bool off);
	/* What was held may be sent. */
	void (*go_on)(void *card);
};

enum pause_owed { PAUSE_NOTHING, PAUSE_XOFF, PAUSE_XON };

struct pause {
	const struct pause_ops *ops;
	void *card;
	struct loop *loop;
	struct loop_timer held;    /* while it runs nothing is sent */
	struct loop_timer refresh; /* until the next XOFF frame */
	struct loop_work work;
	enum pause_owed owed; /* a frame that is to be sent */
	bool above; /* the packet buffer was fuller than the high mark, and is than the low */
	bool again; /* and its overflow has been told of */
};

void pause_init(struct pause *pause, const struct pause_ops *ops, void *card, struct loop *loop);
/* As after a reset. */
void pause_stop(struct pause *pause);
/* The link fell: nobody holds, nobody is held. */
void pause_link_down(struct pause *pause);
/* A frame of the control type came in; true: it ends here. */
bool pause_take(struct pause *pause, const struct pause_rules *rules, const uint8_t *frame);
/* The packet buffer has become fuller or emptier, and holds so many bytes. */
void pause_level(struct pause *pause, uint32_t used);
/* There was no room in it: the other end did not hear, maybe. */
void pause_overflow(struct pause *pause);
/* An XOFF frame for no reason but that. */
void pause_send(struct pause *pause);
/* The wire has room again. */
void pause_sendable(struct pause *pause);

/* Nothing may be sent now; ops.go_on() follows. */
static inline bool pause_holds(const struct pause *pause)
{
	return pause->held.armed;
}

#endif
