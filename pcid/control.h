/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an operator can ask of a running pcid: a SOCK_SEQPACKET socket a card, NAME.control beside
 * the folder of the schemes' sockets, of mode 0600: for pcid's own user and root. One request of a
 * fixed size, one reply.
 */
#ifndef PCID_CONTROL_H
#define PCID_CONTROL_H

#include "pcid/card.h"

enum control_what { CONTROL_UPGRADE = 1, CONTROL_POST_MORTEM = 2 };

struct control_request {
	uint32_t magic;
	uint32_t what;
	char program[PATH_MAX]; /* for an upgrade: absolute; "": the one that runs, which may be a
				   newer file now */
};

struct control_reply {
	uint32_t magic;
	int32_t error;  /* 0 or -errno */
	char text[256]; /* a line for people, either way */
};

/* Listens for the card; a socket that is left over goes. -errno. */
int control_listen(struct card *card);
void control_close(struct card *card);
/* Ends the patience with who connects and says nothing; ms until that is due, or -1. */
int control_due(struct card *card);
/* Answers who asked, and closes. */
void control_answer(int fd, int error, const char *text);

/* The client: asks whoever serves network:NAME, and waits for the reply (60 s at most). 0 with a
 * reply, whatever it says; -ENOENT: nobody serves it; -EACCES: not allowed to; -ETIMEDOUT; -EPROTO.
 */
int control_ask(
	const char *name, const struct control_request *request, struct control_reply *reply);
/* `pcid --upgrade NAME`: the exit status. */
int control_upgrade(const char *name, const char *program);
/* `pcid --post-mortem NAME`, too. */
int control_post_mortem(const char *name);

#endif
