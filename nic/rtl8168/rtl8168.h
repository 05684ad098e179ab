/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver of Realtek's RTL8168 and RTL8111. One id stands for a dozen models, which differ in
 * what has to be done for them and share rings, filters and interrupts: what a model is like is a
 * row of a table, by a field of its transmit configuration register.
 *
 *     rtl8168_ids.c    which ids and models    rtl8168_irq.c     interrupts
 *     rtl8168_init.c   reset, start, stop      rtl8168_stats.c   counters
 *     rtl8168_rx.c, rtl8168_tx.c: the verbs    rtl8168_link.c    link and PHY
 *     rtl8168_queue.c  the queue pair          rtl8168_state.c   from one process to the next
 *     rtl8168_filter.c addresses               rtl8168_check.c   whether the card is well
 *     rtl8168_regs.h   registers
 *
 * Private to the driver; users read nic/nic.h.
 */
#ifndef NIC_RTL8168_H
#define NIC_RTL8168_H

#include "nic/driver.h"
#include "nic/rtl8168/rtl8168_regs.h"

enum rtl8168_phy {
	PHY_MDIO,
	PHY_MDIO_GATED, /* the same, where the management processor must let go of it */
	PHY_OCP_GATED,  /* through that processor's window */
	PHY_OCP,        /* as memory */
};

enum rtl8168_stop {
	STOP_REQUEST, /* asked for, and a while waited */
	STOP_POLL,    /* the transmitter is let finish */
	STOP_EMPTY,   /* asked for, and told when it is done */
};

/* What lets frames of more than 1,500 bytes of payload through, beside the receiver's limit. */
enum rtl8168_jumbo { JUMBO_ALWAYS, JUMBO_B, JUMBO_C, JUMBO_DP, JUMBO_E };

enum rtl8168_quirk {
	QUIRK_INTX = 1 << 0,       /* its message interrupts get lost */
	QUIRK_CHAINS = 1 << 1,     /* receives a frame into several buffers */
	QUIRK_PAD = 1 << 2,        /* does not pad short frames rightly */
	QUIRK_ALL_GROUPS = 1 << 3, /* its hash of group addresses does not work */
	QUIRK_DASH = 1 << 4,       /* a management processor may be at work */
	QUIRK_TAKEN = 1 << 5,      /* its firmware has the card until a driver takes it */
	QUIRK_OVERFLOW = 1 << 6,   /* may receive no more once its FIFO was full */
	QUIRK_ERI_POWER = 1 << 7,  /* the PHY's power is also behind ERIAR */
	QUIRK_NARROW = 1 << 8,     /* no address above 4 GiB: Linux never gives it one */
	QUIRK_REFUSED = 1 << 9,    /* known, and not driven */
};

struct rtl8168_model {
	uint16_t mask, xid; /* bits 20 to 30 of TCR */
	const char *name;
	uint32_t rcr;    /* but for what is accepted */
	uint8_t phy;     /* enum rtl8168_phy */
	uint8_t pmch;    /* bits that have the PHY powered */
	uint8_t stop;    /* enum rtl8168_stop */
	uint8_t jumbo;   /* enum rtl8168_jumbo */
	uint8_t mtps;    /* from how many units on a frame is sent while it is still read */
	uint16_t quirks; /* enum rtl8168_quirk */
};

bool rtl8168_serves(const struct pci_id *id, const char **why);
/* By TCR; NULL: no such model is known. */
const struct rtl8168_model *rtl8168_find_model(uint32_t tcr);

struct rtl8168_queue {
	_Alignas(CACHE_LINE) struct nic_queue head;
	const struct pci_bar *bar;
	const uint64_t *iova; /* of the frame region's chunks */
	uint32_t region_size;
	uint32_t rx_span;  /* a buffer's offset lies up to that far beyond NIC_BUFFER_HEAD */
	uint32_t rx_max;   /* bytes of the largest frame wanted; written by nic_set_mtu() */
	uint32_t rx_parts; /* buffers of the largest frame; the same */
	uint64_t rx_long;  /* frames beyond rx_max */
	bool torn;         /* of no use but for the state's layout */

	uint32_t tx_every; /* descriptors from one that is looked at to the next, at most */
	uint32_t tx_max;   /* bytes of the largest frame; written by nic_set_mtu() */
	uint32_t tx_done;  /* slots up to here are sent */
	uint32_t rs_head, rs_tail;
	uint32_t *rs; /* ring of the indices that are looked at and were not seen done yet */
	struct nic_seen seen;
	unsigned overrun; /* checks since the receiver's FIFO ran over, and nothing came */
	uint64_t pad;     /* the address of zeroes that fill a short frame up; 0: the card does */
	struct nic_queue_stats stats; /* this thread writes, any reads */
};

struct rtl8168 {
	struct nic nic;
	const struct rtl8168_model *model;
	size_t tally; /* in the ring memory: where the card writes it, and behind it zeroes */
	uint64_t tally_words; /* TALLY_MISSED as read last */
	bool tally_known;
	uint32_t groups[2];   /* what MAR0 and MAR4 have, where not all of multicast comes */
	struct nic_stats sum; /* of the tally's two counters */
};

static inline struct rtl8168 *rtl8168_of(struct nic *nic)
{
	return (struct rtl8168 *)nic;
}

static inline struct rtl8168_queue *rtl8168_queue_of(struct rtl8168 *dev)
{
	return (struct rtl8168_queue *)dev->nic.queue[0];
}

/* rtl8168_rx.c, rtl8168_tx.c */
size_t rtl8168_rx_provide(struct nic_queue *head, const uint32_t *offsets, size_t n);
size_t rtl8168_rx_return(struct nic_queue *head, struct frame *frames, size_t n);
size_t rtl8168_tx_provide(struct nic_queue *head, const struct frame *frames, size_t n);
size_t rtl8168_tx_return(struct nic_queue *head, uint32_t *offsets, size_t n);
/* Has the card look for frames to be sent. */
void rtl8168_tx_poll(const struct rtl8168_queue *q);

/* rtl8168_init.c: the card quiet, its rings forgotten; why is set. -ETIMEDOUT, -ENODEV. */
int rtl8168_reset(struct rtl8168 *dev);
/* What a register holds that is hardly all-ones: a single access may fail. */
uint32_t rtl8168_read_sure(struct rtl8168 *dev, uint32_t reg);

/* rtl8168_queue.c: as the class has them; why is set. */
int rtl8168_queue_create(struct rtl8168 *dev);
void rtl8168_queue_destroy(struct rtl8168 *dev);
int rtl8168_queue_start(struct rtl8168 *dev, const struct dma_region *frames);
int rtl8168_queue_stop(struct rtl8168 *dev);
/* Of a queue that runs already: its frames are these, and its verbs work. */
void rtl8168_queue_use(struct rtl8168_queue *q, const struct dma_region *frames);
/* By dev->nic.config.mtu. */
void rtl8168_write_mtu(struct rtl8168 *dev);

/* rtl8168_filter.c: by dev->nic.config and the addresses. */
void rtl8168_filter_write(struct rtl8168 *dev);
/* Of a card that runs: what its hash has. */
void rtl8168_filter_resume(struct rtl8168 *dev);
void rtl8168_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n);

/* rtl8168_state.c */
void rtl8168_state_save(struct rtl8168 *dev);
/* Into a queue that was just created. -EINVAL, -ENOMEM. */
int rtl8168_state_load(struct rtl8168 *dev);
/* Whether the card runs so: -EINVAL. */
int rtl8168_state_compare(struct rtl8168 *dev);

/* rtl8168_irq.c */
int rtl8168_irq_start(struct rtl8168 *dev);
void rtl8168_irq_stop(struct rtl8168 *dev);
/* Everything off, and forgotten what was pending. */
void rtl8168_irq_mask(struct rtl8168 *dev);
int rtl8168_irq_ack(struct nic *nic, size_t which);
void rtl8168_irq_arm(struct nic *nic);
void rtl8168_irq_arm_queue(struct nic *nic, unsigned index);

/* rtl8168_link.c */
int rtl8168_link_start(struct rtl8168 *dev);
int rtl8168_link(struct nic *nic, struct nic_link *link);
/* Whether the management processor is at work. */
bool rtl8168_dash(struct rtl8168 *dev);

/* rtl8168_check.c */
int rtl8168_check(struct nic *nic, unsigned index);

/* rtl8168_stats.c */
int rtl8168_stats(struct nic *nic, struct nic_stats *stats);
int rtl8168_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
/* Forgets what the card counted so far. */
void rtl8168_stats_clear(struct rtl8168 *dev);

#endif
