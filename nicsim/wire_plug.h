/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who is at which end of a cable. A cable NAME is a Unix socket and, beside it, a file NAME.lock,
 * two bytes of which are locked by its two ends. The first listens, the second connects. As locks
 * vanish with their owner, a socket whose first byte is free is stale, whoever died how; and of two
 * ends that come at the same moment exactly one is the first.
 */
#ifndef NICSIM_WIRE_PLUG_H
#define NICSIM_WIRE_PLUG_H

#include "nicsim/nicsim.h"

#include <sys/un.h>

struct wire_plug {
	struct sockaddr_un address;
	char lock_name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int lock;
	int listener; /* -1: this is the second end */
};

/* Takes an end. -EBUSY when both are taken. */
int wire_plug_open(struct wire_plug *plug, const char *name, struct sim_error *why);
void wire_plug_close(struct wire_plug *plug);
/* The second end only. A nonblocking socket connected to the first end, or -errno: it is not
 * listening (yet). */
int wire_plug_connect(struct wire_plug *plug);
/* The second end only: becomes the first if that is gone (1), or stays what it is (0). An error is
 * one that will not go away. */
int wire_plug_promote(struct wire_plug *plug, struct sim_error *why);

#endif
