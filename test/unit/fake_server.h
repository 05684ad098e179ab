/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A vfio-user server for tests of the client: a PCI function with a BAR of plain memory, which does
 * one thing wrong when told to.
 */
#ifndef TEST_FAKE_SERVER_H
#define TEST_FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_BAR_SIZE 0x20000u
#define FAKE_VECTORS  5u
#define FAKE_ALIVE    0x8u /* the register that never reads all-ones */

enum fake_deed {
	FAKE_GOOD,
	FAKE_STALL,         /* no reply, ever */
	FAKE_DEAF,          /* from that command on it reads nothing, the connection stays open */
	FAKE_DIE,           /* closes instead of a reply */
	FAKE_DIE_HALF,      /* closes within the header */
	FAKE_DIE_PAYLOAD,   /* closes within the payload */
	FAKE_WRONG_ID,      /* of another request */
	FAKE_WRONG_COMMAND, /* another command's reply */
	FAKE_WRONG_TYPE,    /* neither command nor reply */
	FAKE_TINY,          /* a message smaller than its header */
	FAKE_HUGE,          /* of 4 GiB - 1 */
	FAKE_SHORT,         /* the payload's last byte is missing */
	FAKE_LONG,          /* 1 KiB too many */
	FAKE_REFUSE,        /* an error reply with `value` */
	FAKE_REFUSE_LONG,   /* an error reply with a payload */
	FAKE_FD,            /* a descriptor more than there should be */
	FAKE_FDS,           /* 20 descriptors */
	FAKE_UNASKED,       /* a DMA_READ of its own before the reply, its size `value` if not 0 */
	FAKE_UNASKED_LATER, /* the same after the reply */
	FAKE_UNASKED_FD,    /* the same with a descriptor */
	FAKE_FLOOD,         /* hundreds of them */
	FAKE_PATCH,         /* the payload's word at `offset` is `value` */
	FAKE_TEXT,          /* VERSION's JSON is `text` */
	FAKE_FLIP, /* one bit of the reply, bit `value` of it, is another; then it closes */
};

struct fake_mischief {
	uint16_t command;
	unsigned nth; /* 0: the first of that command */
	enum fake_deed deed;
	uint32_t offset, value;
	const char *text;
};

struct fake_map {
	uint64_t iova, size, offset;
	int fd;
};

struct fake {
	/* Set before fake_start(). */
	struct fake_mischief mischief;
	unsigned max_fds;  /* 0: does not say */
	bool not_sealed;   /* the BAR's memory */
	bool not_mappable; /* no part of the BAR */
	bool whole;        /* all of the BAR can be mapped, without a list */

	char dir[64], path[96], address[128];
	int listener;
	pthread_t thread;
	unsigned seen; /* of mischief.command */

	/* What a test looks at. The server has stored it before it answers. */
	uint8_t *bar; /* FAKE_BAR_SIZE */
	int bar_fd;
	uint8_t config[4096];
	unsigned express; /* version of its PCI Express capability; 0: 2; 0xff: there is none */
	atomic_uint reads, writes, posted; /* messages for the BAR */
	atomic_uint resets, unmasks, irq_messages, refusals, last_id;
	struct fake_map map[8];
	atomic_uint maps;
	int irq[3][FAKE_VECTORS];
};

/* Fills in a quiet X540-like config space and starts serving one client. */
void fake_start(struct fake *f);
/* Waits for the server's end, which the client's end or an unused socket brings; frees all. */
void fake_stop(struct fake *f);

#endif
