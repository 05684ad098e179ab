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
	bool answered; /* its request was, by whatever driver */
	enum { TOLD_NOTHING, TOLD_CLIENT, TOLD_ANSWERED } told; /* the driver of now */
	struct card_client *next;
};

enum driver_state {
	DRIVER_NONE,
	DRIVER_STARTING, /* until READY, FAILED or the limit */
	DRIVER_READY,
	DRIVER_AWAY, /* it died, or the card went away: the next try is at `deadline` */
};

struct card_driver {
	enum driver_state state;
	pid_t pid;
	struct source channel;
	int64_t deadline; /* of STARTING and AWAY, ms */
	int64_t ready_at; /* since when it is READY */
	int64_t ping_at;  /* when the next PING goes, or went while the PONG is awaited */
	bool pinged;
	bool complained; /* it has said why it ends */
	bool adopts;     /* it serves nobody before it hears that all clients are there */
};

/* How drivers of a card ended so far. */
struct card_deaths {
	bool served;      /* one was ready: what follows is repair, not a start that failed */
	bool away;        /* the card is, and it was said */
	unsigned backoff; /* ms to the next try */
	size_t count;     /* of `at` */
	int64_t at[PCID_MAX_DEATHS + 1];
};

/* A newer driver that takes the card over (pcid/upgrade.h). */
struct card_upgrade {
	enum { UPGRADE_NONE, UPGRADE_COMING, UPGRADE_STOPPING, UPGRADE_TAKING } state;
	pid_t pid;             /* of the newcomer, until it is the card's driver */
	struct source channel; /* to it, as long */
	char program[PATH_MAX];
	int64_t deadline;   /* of COMING and STOPPING, ms */
	int64_t stopped_us; /* when the old one was told to stop */
	pid_t leaving;      /* the old one, until it has ended; 0: it has */
	int asker;          /* to be answered */
	char said[256];     /* by the newcomer, before it was ready */
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
	struct card_memory *memory; /* of clients, that the card reaches (pcid/memory.h) */

	struct card_driver driver;
	struct card_deaths deaths;
	struct post_mortem *dead; /* the newest, not written yet */
	struct card_upgrade upgrade;
	struct source control; /* where it can be asked for (pcid/control.h) */
	struct source asker;   /* who connected there, until the request is read */
	int64_t asker_deadline;
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

/* Whether a driver serves it or will again. */
bool card_lives(const struct card *card);
/* The driver's process has ended, with that status of waitpid(2). */
void card_driver_ended(struct card *card, int status);
/* What is due by time: the limit of a start, the next try, the watchdog, the registrar's time-outs.
 * Returns ms until the next,
 * -1: nothing is due. */
int card_due(struct card *card);

#endif
