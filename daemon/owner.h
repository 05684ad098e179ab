/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Queues of the card that clients own: network:NAME/queue/N, opened with rings. The client's memory
 * becomes memory of the card, and the queue works on it: nobody copies. A queue's way from the
 * daemon to a client and back:
 *
 *     asked    its memory has addresses of the card; pcid is asked to have it mapped there
 *     ready    the card reaches the memory; the queue is as it was
 *     served   the queue was stopped, and started on the client's memory
 *     none     the queue was stopped, then the memory unmapped, then given up; the queue was
 *              started on the daemon's own memory again
 *
 * The daemon reads and writes none of that memory, but the rings in front of it, and the metadata
 * in front of frames, which its driver copies out before it judges it: the memory is a memfd that
 * does not shrink, and none of huge pages (scheme_rings_judge()), so that this cannot fail.
 */
#ifndef DAEMON_OWNER_H
#define DAEMON_OWNER_H

#include "daemon/port.h"
#include "daemon/resources.h"
#include "scheme/linux.h"
#include "scheme/rings.h"

enum owner_state { OWNER_NONE, OWNER_ASKED, OWNER_READY, OWNER_SERVED };

/* Which slots of a client's transmit ring hold what was refused: a bit each. */
struct owner_refused {
	uint64_t bit[SCHEME_RING_MAX / 64];
};

struct owner {
	enum owner_state state;
	uint32_t client; /* pcid's number for it */
	pid_t pid;
	uid_t uid;
	struct dma_region *region;
	struct scheme_client waiting; /* asked: to be opened when the memory is the card's */
	struct scheme_rings *rings;   /* served */
	struct owner_refused refused;
};

struct owners {
	struct port *port;
	struct resources *resources;
	unsigned queues;
	struct owner queue[NIC_MAX_QUEUES];
	int stuck; /* 0, or -errno: a queue neither stops nor starts, and only a reset helps */
};

/* What one driver tells the next. */
struct owner_save {
	uint32_t client; /* 0: nobody owns the queue */
	uint32_t reserved;
	struct owner_refused refused;
};

/* Above a card that was opened (nobody owns anything). */
void owners_init(struct owners *owners, struct port *port, struct resources *r, unsigned queues);

/* A client asks for a queue with rings. 1: it can be opened now; 0: pcid was asked, and the client
 * is kept here; -errno: it cannot. -EBUSY: somebody has the queue; -EDQUOT: its memory is larger
 * than a client's may be; -ENOTSUP: a card of VFIO without pcid; errors as pci_dma_place(). Clients
 * of other paths: 1.
 */
int owners_ask(struct owners *owners, const struct scheme_client *client);
/* What pcid says of a client's memory (MAPPED). True with the client that waited for it, to be
 * opened, or refused with the error; false: nobody did.
 */
bool owners_mapped(struct owners *owners, const struct pcid_message *message,
	struct scheme_client *client, int *error);
/* pcid is gone: true with a client that waited, to be hung up; false: there is no other. */
bool owners_drop_asked(struct owners *owners, struct scheme_client *client);
/* What could not be opened in the end gives its memory back. */
void owners_forget(struct owners *owners, uint32_t id);
/* All clients of the driver before have come: memory of those that have not is given back. */
void owners_settle(struct owners *owners);
/* Publishes what the queues' verbs kept back. */
void owners_flush(struct owners *owners);

/* Leaves every queue as it runs, for the next driver; nothing is stopped behind it. */
void owners_leave(struct owners *owners, struct owner_save save[NIC_MAX_QUEUES]);
/* The regions that queues run on, by what was left and what pcid has handed over, into the
 * configuration for nic_adopt(). -EINVAL with `why`: the two don't match.
 */
int owners_find(const struct resources *r, const struct owner_save save[NIC_MAX_QUEUES],
	struct nic_config *config, struct pci_error *why);
/* Behind owners_init(), above a card that was adopted: goes on with what was left. */
void owners_take(struct owners *owners, const struct owner_save save[NIC_MAX_QUEUES]);

/* For the core. */
struct scheme_queues owners_table(struct owners *owners);

/* owner_frames.c: moves what can be moved between a client's rings and its queue. Returns how many
 * buffers and frames changed hands, or -EPROTO: the client broke the rules.
 */
ssize_t owner_move(struct owner *o, struct nic_queue *q, const struct port *port, uint32_t access,
	struct scheme_moved *moved);
/* The verbs that the card has room for: SCHEME_RING_RX, SCHEME_RING_TX. */
unsigned owner_room(const struct port *port, const struct nic_queue *q);
/* Whether a queue that ran on holds what the client's rings say. */
bool owner_in_step(struct owner *o, const struct nic_queue *q, const struct scheme_rings *r);

#endif
