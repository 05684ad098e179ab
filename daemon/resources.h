/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a daemon needs of the system: the card, DMA memory, clients. pcid hands all of it over; a
 * daemon that was started by hand opens it by itself. After this nothing differs.
 */
#ifndef DAEMON_RESOURCES_H
#define DAEMON_RESOURCES_H

#include "daemon/options.h"
#include "daemon/trace.h"
#include "pcid/channel.h"

struct resources {
	char name[SCHEME_NAME_MAX];
	struct pci_function *fn;
	struct dma_region *region[PCID_REGIONS];
	/* Of clients that own a queue of a card that runs: until somebody takes it over. */
	struct {
		uint32_t client;
		struct dma_region *region; /* NULL: none */
	} memory[PCID_MEMORIES];
	size_t client_bytes;      /* that a client's memory may have at most */
	void *state;              /* PCID_STATE_BYTES that outlive the daemon */
	bool adopt;               /* the card runs: the state says how */
	struct recorder recorder; /* in state, from PCID_STATE_RECORDER on */
	struct trace trace;       /* --record */
	int channel;              /* to pcid, or to the doorkeeper; or -1 */
	bool alone;               /* without pcid */
};

/* The channel that pcid has left in the environment: its descriptor; -1: there is none; -EINVAL:
 * what is there is none.
 */
int resources_channel(void);

/* Waits for pcid's START (10 s at most) and takes over what it brings. The channel is r's, also on
 * failure, so that it can be told of there. -errno with `why`.
 */
int resources_inherit(struct resources *r, int channel, struct pci_error *why);
/* Opens the device that the options name, makes memory and the scheme. -errno with `why`. */
int resources_open(struct resources *r, const struct daemon_options *options,
	const struct daemon_program *program, struct pci_error *why);
/* Starts the flight recorder in r->state, and the file that the options name. -errno with `why`. */
int resources_record(struct resources *r, const struct daemon_options *options,
	const struct daemon_program *program, struct pci_error *why);
void resources_close(struct resources *r);

#endif
