/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The card as the scheme's core sees it: a port. Frames lie in the DMA memory from the moment that
 * a client wrote them, or the card, until they are delivered; a frame costs no allocation, and no
 * copy but that of the socket.
 */
#ifndef DAEMON_PORT_H
#define DAEMON_PORT_H

#include "daemon/cage.h"
#include "nic/pool.h"
#include "scheme/server.h"

#define PORT_BURST  64u
#define PORT_PIECES SCHEME_PIECES
#define PORT_MODULE 160u /* bytes of a text about a module */

/* What the loop knows of itself, for /stats. */
struct port_loop {
	uint64_t rounds, sleeps, interrupts;
};

/* A port at a burst boundary, when no frame is half way: fixed sizes and no pointer. */
struct port_state {
	uint32_t rx_count, tx_count;               /* entries of whole frames */
	struct frame rx[PORT_BURST];               /* received, and not yet taken */
	struct frame tx[PORT_BURST * PORT_PIECES]; /* to be sent */
	uint64_t rx_damaged, rx_chained, tx_refused;
	uint64_t rounds, sleeps, interrupts;
	uint64_t upgrades;
	char module[PORT_MODULE];
};

struct port {
	struct nic *nic;
	unsigned queues;
	struct nic_queue *queue[NIC_MAX_QUEUES]; /* NULL: a client owns it (daemon/owner.h) */
	struct nic_queue *sender; /* the one of them that frames are sent by; NULL: all are owned */
	unsigned turn;            /* the queue that is asked for frames next */
	const struct dma_region *frames;
	struct nic_pool pool;
	unsigned rx_ring, tx_ring;
	uint32_t offloads; /* of the card's queues; the frames here have no metadata */
	/* Received, and not yet taken: rx[rx_at .. rx_end), whole frames. */
	struct frame rx[PORT_BURST];
	size_t rx_at, rx_end;
	/* To be sent: tx[0 .. tx_queued), the same. */
	struct frame tx[PORT_BURST * PORT_PIECES];
	size_t tx_queued;
	/* Buffers that are being filled: reserved[reserved_at .. reserved_end), `pieces` a frame.
	 */
	uint32_t reserved[SCHEME_BURST_PIECES];
	size_t reserved_at, reserved_end;
	struct scheme_link link;
	char module[PORT_MODULE]; /* of nic_module(), as told last */
	uint16_t mtu;
	unsigned pieces; /* buffers of the largest frame */
	size_t spare;    /* buffers that frames to be sent may have before the card does */
	bool promiscuous;
	bool blocking;         /* each frame is waited for until the card has sent it */
	uint64_t rx_damaged;   /* frames that the card says are */
	uint64_t rx_chained;   /* in more buffers than any that should come */
	uint64_t tx_refused;   /* that the card's driver does not take */
	uint64_t taken;        /* frames taken from and given to the port, for the loop */
	struct port_loop loop; /* counted by the loop */
	/* What is in force, for /cage; NULL: nothing is. */
	const struct cage *cage;
	const char *program; /* this, for messages */
	uint64_t upgrades;   /* drivers that handed the card over without a reset */
	struct again *again; /* what is left to the next driver (daemon/again.h), or NULL */
};

/* -ENOMEM; -ENOSPC with `why`: the frame memory is too small for such rings. */
int port_init(
	struct port *port, struct nic *nic, const struct nic_config *config, struct pci_error *why);
/* Of a card that was adopted, behind port_init(): the frames at hand are these, the settings and
 * counters go on, and every other buffer that the card does not hold is free. -EINVAL with `why`:
 * a buffer is no buffer, or is held twice, or a frame is longer than one; -ENOMEM.
 */
int port_resume(struct port *port, const struct port_state *from, struct pci_error *why);
/* Frames at hand, counters: what another process needs to go on. */
void port_save(const struct port *port, struct port_state *to);
void port_fini(struct port *port);
/* The table for the core. */
struct scheme_port port_table(struct port *port);

/* Gives queued frames to the card, one burst; returns how many went. Where each is waited for:
 * until one is not sent within 100 ms; that one is then the card's, and none follows before it is
 * sent.
 */
size_t port_flush(struct port *port);
/* Publishes what the queues' verbs kept back. */
void port_publish(struct port *port);
/* Gives a queue of its own away: what was given to be sent is sent if that is possible at once,
 * what came and nobody took yet stays at hand. Without any, nothing comes until port_regain(), and
 * what is to be sent is refused. Errors as nic_queue_stop(), and -ENOMEM; then nothing has changed.
 */
int port_yield(struct port *port, unsigned index);
/* Errors as nic_queue_start(). */
int port_regain(struct port *port, unsigned index);
/* Asks the card for the link. -ENODEV. */
int port_read_link(struct port *port);
/* What the card's cage holds, where that is news, or NULL. */
const char *port_module_news(struct port *port);
/* Frames wait for a reader. Does not look at the card. */
bool port_has_frames(const struct port *port);
/* A frame could be queued. */
bool port_can_send(struct port *port);
/* All that was queued has left the card, as far as it goes within `ms` milliseconds. */
void port_drain(struct port *port, unsigned ms);

#endif
