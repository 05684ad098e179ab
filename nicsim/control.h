/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The control socket: what happens to a card while it runs (a cable that is pulled, a fault) is
 * asked for there. A connection (SOCK_SEQPACKET) is for one request, one packet: the card's socket
 * (empty: the only card) and the words of the command, a line each. The answer is another: a line
 * "ok" or "error", then text.
 */
#ifndef NICSIM_CONTROL_H
#define NICSIM_CONTROL_H

#include "nicsim/kind.h"
#include "nicsim/loop.h"
#include "nicsim/nicsim.h"
#include "nicsim/server.h"

#define CONTROL_MAX   4096u /* bytes of a request or of an answer */
#define CONTROL_WORDS 8u    /* of a command */

struct control;

struct control_card {
	const char *name; /* its socket */
	const struct card_family *family;
	void *card;
	struct server *server;
	struct dma *dma;
};

/* Listens at `path`, which is for its own user alone. The cards are the caller's and outlive it. */
int control_create(struct control **out, struct loop *loop, const char *path,
	const struct control_card *cards, unsigned count, struct sim_error *why);
/* Also removes the socket file. */
void control_destroy(struct control *control);

/* nicsim ctl ...: the other side. Returns the exit status. */
int control_main(int argc, char **argv);

#endif
