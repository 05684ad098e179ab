/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The channel between pcid and a driver daemon: a SOCK_SEQPACKET socket, whose number the daemon
 * finds in $PCID_CLIENT_CHANNEL, and messages of one fixed size for each type, with descriptors
 * beside them. What the daemon needs, pcid owns and hands over here; the daemon creates nothing.
 *
 *     type     from    what                             descriptors
 *     START    pcid    function, DMA regions, name      function's, one a region, state's
 *     CLIENT   pcid    a client that was let in         connection, page, page read-only; of one
 *                                                       with rings: frame memory, ring memory
 *     OPENED   daemon  what became of a client's request: 0 or -errno
 *     ANSWERED pcid    the client knows: serve it
 *     READY    daemon  it serves
 *     FAILED   daemon  why it cannot, a line of text
 *     PING     pcid    are you there? (once READY)
 *     PONG     daemon  from its loop: yes; or before START: it waits for that
 *     KEPT     pcid    to a driver that adopts: all clients of the one before were handed over
 *     STOP     pcid    stop between two bursts, leave the card running, hand it back
 *     STOPPED  daemon  the card, as it was left; it ends       function's
 *     MAP      daemon  a client's memory is to be the card's, at these addresses
 *     MAPPED   pcid    what became of that: 0 or -errno
 *     UNMAP    daemon  the card has let go of a client's memory
 *     MEMORY   pcid    behind a START that adopts: a client's memory that the card has   memfd
 *
 * A client has one answer, whatever dies in between: the daemon opens what it asked for and says
 * OPENED, pcid answers the client and says ANSWERED. One that comes with `resumed` was answered
 * when it was an earlier driver's; for it neither is said.
 *
 * A client that owns a queue has the card work on its own memory. Where pcid has the card open
 * (VFIO) it maps the memory, by its own limits, before it says MAPPED; where the card's connection
 * is the daemon's (vfio-user) the daemon does behind it. In both the daemon unmaps, when the queue
 * has stopped; for a daemon that died pcid does, when the card is silent.
 *
 * End of file from pcid: stop. End of file from the daemon: it died or has stopped.
 */
#ifndef PCID_CHANNEL_H
#define PCID_CHANNEL_H

#include <stdint.h>

#include "pci/pci.h"
#include "scheme/linux.h"

#define PCID_CHANNEL_ENV "PCID_CLIENT_CHANNEL"
#define PCID_REGIONS     2 /* 0: rings, 1: frames */
#define PCID_CHANNEL_FDS (PCI_HANDOVER_FDS + PCID_REGIONS + 1)
#define PCID_CLIENT_FDS  3 /* and SCHEME_REQUEST_FDS, where it asks for rings */

_Static_assert(
	PCID_CLIENT_FDS + SCHEME_REQUEST_FDS <= PCID_CHANNEL_FDS, "a client's are not the most");

/* A driver's state lies in memory that outlives it: a sealed memfd of pcid's, zero at first, that
 * the card never reaches. What is in it is the daemon's business (daemon/state.h).
 */
#define PCID_STATE_BYTES ((size_t)1 << 20)
/* But for the flight recorder (pci/recorder.h), from here on: pcid writes the post-mortem. */
#define PCID_STATE_RECORDER ((size_t)0x80000)

enum pcid_message_type {
	PCID_START = 1,
	PCID_CLIENT,
	PCID_READY,
	PCID_FAILED,
	PCID_PING,
	PCID_PONG,
	PCID_STOP,
	PCID_STOPPED,
	PCID_OPENED,
	PCID_ANSWERED,
	PCID_KEPT,
	PCID_MAP,
	PCID_MAPPED,
	PCID_UNMAP,
	PCID_MEMORY,
};

/* MEMORY messages behind a START: a queue is one client's. */
#define PCID_MEMORIES 16u

struct pcid_message {
	uint32_t type;
	uint32_t fds; /* how many descriptors came with it */
	union {
		struct {
			char name[SCHEME_NAME_MAX]; /* the scheme's: network:NAME */
			struct pci_handover function;
			struct dma_handover region[PCID_REGIONS];
			uint32_t adopt; /* 1: the card runs, and the state says how; 0: start it */
			uint32_t memories;     /* MEMORY messages that follow */
			uint64_t client_bytes; /* that a client's memory may have at most */
		} start;
		struct {
			struct scheme_request request;
			uint32_t id;
			int32_t pid;
			uint32_t uid, gid;
			uint32_t resumed; /* 0 or 1 */
		} client;
		struct {
			struct pci_handover function;
		} stopped;
		struct {
			uint32_t id;
			int32_t error;
		} opened;
		struct {
			uint32_t id;
		} answered;
		struct {
			uint32_t id;       /* the client's */
			uint32_t reserved; /* 0 */
			struct dma_handover at;
		} memory; /* MAP, MEMORY */
		struct {
			uint32_t id;
			int32_t error;
			uint32_t done; /* 1: the card has it; 0: the daemon is to tell the card */
		} mapped;
		struct {
			uint32_t id;
		} unmap;
		struct {
			char text[256];
		} failed;
	};
};

/* How many descriptors go with CLIENT. */
static inline uint32_t pcid_client_fds(const struct scheme_request *request)
{
	return PCID_CLIENT_FDS + (scheme_request_has_rings(request) ? SCHEME_REQUEST_FDS : 0);
}
/* CLIENT of a client and back. Its descriptors are fds[0 .. message.fds). */
void pcid_client_pack(struct pcid_message *message, int fds[PCID_CHANNEL_FDS],
	const struct scheme_client *client, bool resumed);
void pcid_client_unpack(
	const struct pcid_message *message, const int *fds, struct scheme_client *client);

/* Sends one message with its descriptors, which stay the caller's. -EINVAL: not a message; -EPIPE:
 * the other side is gone; -EAGAIN: it does not read now; other errors of sendmsg(2).
 */
int pcid_send(int channel, const struct pcid_message *message, const int *fds);
/* Receives one; fds[0 .. message->fds) become the caller's. Does not wait. 1; 0: the other side is
 * gone; -EAGAIN: nothing there; -EPROTO: not a message of this kind (its descriptors are closed).
 */
int pcid_receive(int channel, struct pcid_message *message, int fds[PCID_CHANNEL_FDS]);

#endif
