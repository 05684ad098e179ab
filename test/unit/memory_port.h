/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card in memory for the scheme's tests: what is received waits in a list, buffers to send are
 * few, and what is sent is on record. It holds the core to the port's rules. A frame longer than a
 * piece comes in several, which do not touch one another, and so does the room for one.
 */
#ifndef TEST_MEMORY_PORT_H
#define TEST_MEMORY_PORT_H

#include "scheme/server.h"

#define PORT_FRAMES  1024u
#define PORT_BUFFERS 64u
#define PORT_ROOM    2048u /* of a piece */

struct port_frame {
	size_t len;
	uint8_t data[SCHEME_FRAME_MAX];
};

/* A chain of pieces, with a gap behind each. */
struct port_chain {
	uint8_t piece[SCHEME_PIECES][PORT_ROOM + 16];
};

struct memory_port {
	struct port_frame rx[PORT_FRAMES]; /* rx[rx_tail .. rx_head) wait */
	unsigned rx_head, rx_tail;
	struct port_frame tx[PORT_FRAMES]; /* tx[0 .. sent): pushed, the newest PORT_FRAMES */
	unsigned sent;
	struct port_chain peeked[SCHEME_BURST]; /* large frames that wait, by their place */
	struct port_chain buffers[PORT_BUFFERS];
	unsigned reserved[PORT_BUFFERS]; /* indices, the first first */
	unsigned reserved_count;
	bool in_use[PORT_BUFFERS];
	unsigned limit; /* buffers that may be reserved at a time */
	bool echo;      /* what is sent is received */
	struct scheme_link link;
	uint16_t mtu;
	bool promiscuous;
	int set_error; /* what setting a value comes to */
};

struct scheme_port memory_port_init(struct memory_port *p);
/* A frame arrives: `len` bytes, of which the first 12 are 0x02, then 0x0800, then `mark`; of more
 * than PORT_ROOM each 16 bytes differ from the next.
 */
void memory_port_receive(struct memory_port *p, size_t len, uint8_t mark);
/* Such a frame to send. */
void memory_port_frame(uint8_t *frame, size_t len, uint8_t mark);

#endif
