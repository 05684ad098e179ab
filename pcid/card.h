/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One card, and all that pcid owns of it: what outlives a driver is here, what is a driver's own is
 * in struct card_driver. A driver is started with the first and brings only the second.
 */
#ifndef PCID_CARD_H
#define PCID_CARD_H

#include <limits.h>
#include <sys/types.h>

#include "pcid/bind.h"
#include "pcid/channel.h"
#include "pcid/command.h"
#include "pcid/name.h"
#include "pcid/pcid.h"

/* A client as pcid keeps it: enough to hand it to another driver. */
struct card_client {
	struct source hangup; /* its connection */
	struct scheme_client scheme;
	struct card *card;
	struct card_client *next;
};

enum driver_state {
	DRIVER_NONE,
	DRIVER_STARTING, /* until READY, FAILED or the limit */
	DRIVER_READY,
};

struct card_driver {
	enum driver_state state;
	pid_t pid;
	struct source channel;
	int64_t deadline;           /* of STARTING, ms */
	struct card_client *unsent; /* the channel was full: this one waits for it */
	bool complained;            /* it has said why it ends */
};

struct card {
	struct pcid *pcid;
	char address[128]; /* as pci_open() takes it */
	struct pcid_name name;
	bool by_hand; /* named on the command line */
	const struct pcid_driver *entry;
	char program[PATH_MAX];
	char **arguments;
	struct binding binding;

	struct pci_function *fn; /* of vfio-user: until it was handed over */
	struct pci_id id;
	struct dma_region *region[PCID_REGIONS]; /* as fn */
	struct dma_handover table[PCID_REGIONS];
	int region_fd[PCID_REGIONS];
	int state_fd; /* pcid/state.h */

	struct scheme_registrar *registrar;
	struct source listener;
	bool turned_away; /* clients, and it was said */
	struct card_client *clients;

	struct card_driver driver;
};

/* Makes a card of an address: "0000:01:00.0" or "vfio-user:PATH". -ENOMEM. */
int card_create(struct card **out, struct pcid *pcid, const char *address);
/* Frees all; its driver must be gone. Gives the function back to the driver it had. */
void card_destroy(struct card *card);

/* Opens the function, finds its entry, name, program and arguments. Says what is wrong. -errno. */
int card_open(struct card *card);
/* For cards on the bus the same without opening them: nothing is touched. */
int card_plan(struct card *card);
/* Makes the DMA regions and the scheme, starts the driver. Says what is wrong. -errno. */
int card_start(struct card *card);

/* The driver's process has ended, with that status of waitpid(2). */
void card_driver_ended(struct card *card, int status);
/* What is due by time: the limit of a start, the registrar's time-outs. Returns ms until the next,
 * -1: nothing is due. */
int card_due(struct card *card);

#endif
