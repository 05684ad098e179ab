/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver of Intel's 82599, X540 and X550 families (10 Gbit/s).
 *
 *     ixgbe_ids.c    which ids            ixgbe_sync.c    semaphores shared with others
 *     ixgbe_init.c   reset, start, stop   ixgbe_eeprom.c  its EEPROM and MAC address
 *     ixgbe_queue.c  queue pairs          ixgbe_link.c    link and PHY
 *     ixgbe_sfp.c    the module in a cage ixgbe_i2c.c     and the bus to it
 *     ixgbe_firmware.c  what an X550's firmware is asked for
 *     ixgbe_rx.c, ixgbe_tx.c: the verbs   ixgbe_stats.c   counters
 *     ixgbe_in_place.c  forwarding on one ring
 *     ixgbe_full.c   metadata in front of frames
 *     ixgbe_path.c   which code for them  ixgbe_check.c   whether the card is well
 *     ixgbe_irq.c    interrupts           ixgbe_rss.c     which queue a frame goes to
 *     ixgbe_filter.c which frames come
 *     ixgbe_state.c  from one process to the next
 *     ixgbe_regs.h   registers
 *
 * Private to the driver; users read nic/nic.h.
 */
#ifndef NIC_IXGBE_H
#define NIC_IXGBE_H

#include "nic/driver.h"
#include "nic/ixgbe/ixgbe_regs.h"

enum ixgbe_family {
	IXGBE_82599,
	IXGBE_X540,
	IXGBE_X550,
	IXGBE_X550EM_X,
	IXGBE_X550EM_A,
	IXGBE_VF, /* a virtual function of any of them: refused */
};

enum ixgbe_media {
	IXGBE_COPPER,
	IXGBE_SFP,
	IXGBE_QSFP,
	IXGBE_LCO, /* optics on the board */
	IXGBE_BACKPLANE,
	IXGBE_CX4,
	IXGBE_NONE,
};

struct ixgbe_model {
	uint16_t device;
	uint8_t family;
	uint8_t media;
	const char *name;
};

/* NULL: not one of the family's. */
const struct ixgbe_model *ixgbe_find_model(const struct pci_id *id);
bool ixgbe_serves(const struct pci_id *id, const char **why);

/* Of a queue in place (ixgbe_in_place.c). Indices run freely through 32 bits. */
struct ixgbe_in_place {
	const struct dma_region *rings; /* NULL: it is none */
	uint64_t rx_iova, tx_iova;      /* of its rings */
	uint64_t head_iova;
	dma_word __dma *head;                     /* where the card writes its transmit head */
	const struct ixgbe_queue *input, *output; /* which were found to fit */
	uint32_t every; /* slots from one report of the head to the next */
	/* receiving */
	uint64_t whole; /* as rx_whole */
	uint32_t at, shown;
	/* sending */
	uint32_t tail, sent;
	uint64_t wild; /* the last head that cannot be; beyond 32 bits: none */
};

/* A transmit context descriptor, but for its own number. */
struct ixgbe_context {
	uint64_t word[2];
};

/* In cache lines of its own: different queues may be different threads'. What lies beyond them is
 * read only while queues are in use.
 */
struct ixgbe_queue {
	_Alignas(CACHE_LINE) struct nic_queue head;
	const struct pci_bar *bar;
	const uint64_t *iova; /* of the frame region's chunks; NULL while it stands still */
	uint32_t region_size;
	uint32_t rx_span;  /* a buffer's offset lies up to that far beyond NIC_BUFFER_HEAD */
	bool one_run;      /* the chunks lie one behind the other: iova[0] + offset is an address */
	uint32_t rdt, tdt; /* tail registers */
	volatile uint8_t __iomem *rdt_direct, *tdt_direct; /* as reg_direct() says */

	/* receive */
	uint32_t rx_batch; /* slots kept back before the tail is written */
	uint64_t rx_whole; /* status of a good frame; matches nothing after a torn one */
	uint32_t rx_parts; /* buffers of the largest frame; written by nic_set_mtu() */

	/* transmit */
	uint32_t tx_every; /* descriptors from one RS to the next, at most */
	uint32_t tx_max;   /* bytes of the largest frame; written by nic_set_mtu() */
	uint32_t tx_done;  /* slots up to here are sent */
	uint32_t rs_head, rs_tail;
	uint32_t *rs; /* ring of the indices that carry an RS whose DD was not seen yet */

	/* Forwarded: what lies from `begin` to `tail` in the transmit ring are buffers that were in
	 * order for an rx_span of `span`.
	 */
	struct {
		uint32_t begin, tail, span;
		uint32_t batch; /* that many sent buffers are taken at once, while there is time */
	} swap;
	struct ixgbe_in_place place;

	/* ixgbe_full.c: what it does more than the common verbs do; 0: these are its own */
	uint32_t offloads;
	const struct nic_verbs *common;
	bool udp_unsure;                 /* a bad UDP checksum may be none */
	struct ixgbe_context context[2]; /* as the card has them; 0: never written */
	unsigned context_last;
	struct nic_seen seen;
};

enum ixgbe_module_kind {
	IXGBE_MODULE_UNREAD, /* nobody asked as yet */
	IXGBE_MODULE_ABSENT,
	IXGBE_MODULE_UNREADABLE, /* the bus to it is stuck */
	IXGBE_MODULE_UNKNOWN,    /* of no kind that can be used; from here on there is one */
	IXGBE_MODULE_DA,         /* a passive cable */
	IXGBE_MODULE_DA_ACTIVE,
	IXGBE_MODULE_SR,
	IXGBE_MODULE_LR,
	IXGBE_MODULE_1G_T, /* 1 Gbit/s alone, from here on */
	IXGBE_MODULE_1G_SX,
	IXGBE_MODULE_1G_LX,
};

/* What is in the cage of an 82599. */
struct ixgbe_module {
	enum ixgbe_module_kind kind;
	bool dual;      /* 10 and 1 Gbit/s */
	bool trouble;   /* of nic_module() */
	char text[160]; /* the same */
};

struct ixgbe {
	struct nic nic;
	const struct ixgbe_model *model;
	uint32_t irq_mask;    /* of EIMS when armed */
	struct nic_stats sum; /* without what is counted by queue */
	struct nic_queue_stats queue_sum[NIC_MAX_QUEUES];
	unsigned port; /* of the card: 0 or 1 */
	struct ixgbe_module module;
	struct {
		bool was_up;    /* when last looked at */
		bool set_up;    /* for the module that there is */
		bool slow;      /* at 1 Gbit/s */
		unsigned looks; /* without a link, though there is light */
	} link;
};

static inline struct ixgbe *ixgbe_of(struct nic *nic)
{
	return (struct ixgbe *)nic;
}

/* ixgbe_queue.c */
/* Takes ring memory and books; the card is not touched. -ENOMEM. */
int ixgbe_queue_create(struct ixgbe *dev, unsigned index);
void ixgbe_queue_destroy(struct ixgbe *dev, unsigned index);
/* Programs a queue with empty rings and enables it. -ETIMEDOUT, -ENODEV. */
int ixgbe_queue_start(struct ixgbe *dev, unsigned index, const struct dma_region *frames);
/* Of a queue that runs already: its frames are these, and its verbs work. */
void ixgbe_queue_use(struct ixgbe_queue *q, const struct dma_region *frames);
/* Stops a queue and empties its rings, also where the card does not do it: -ETIMEDOUT, -ENODEV. */
int ixgbe_queue_stop(struct ixgbe *dev, unsigned index);
/* While it runs. Frames that are larger than this may still come: of an earlier, larger MTU. */
void ixgbe_queue_set_mtu(struct ixgbe_queue *q, uint16_t mtu);
/* The largest frame that may be sent at an MTU: header and a VLAN tag are added, the CRC not. */
uint32_t ixgbe_frame_max(uint16_t mtu);

/* ixgbe_check.c: that of nic_check() */
int ixgbe_check(struct nic *nic, unsigned index);

/* ixgbe_rss.c: with several queues, frames are spread over those that run. */
void ixgbe_rss_start(struct ixgbe *dev);
/* The same again, after a queue was started or is about to be stopped (its `frames` are NULL). */
void ixgbe_rss_spread(struct ixgbe *dev);

/* ixgbe_filter.c */
void ixgbe_filter_start(struct ixgbe *dev);
/* By the configuration. */
void ixgbe_filter_write(struct ixgbe *dev);
void ixgbe_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n);
void ixgbe_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n);

/* ixgbe_sync.c: SYNC_* resources that the card's other port, its firmware, or Linux may hold. */
int ixgbe_sync_acquire(struct ixgbe *dev, uint32_t resources);
void ixgbe_sync_release(struct ixgbe *dev, uint32_t resources);

/* ixgbe_eeprom.c */
int ixgbe_eeprom_wait(struct ixgbe *dev);
int ixgbe_eeprom_check(struct ixgbe *dev);
int ixgbe_read_mac(struct ixgbe *dev);

/* `count` words as they are, whatever they belong to; the caller has SYNC_EEPROM. -ETIMEDOUT,
 * -ENODEV.
 */
int ixgbe_eeprom_words(struct ixgbe *dev, uint32_t address, uint16_t *word, unsigned count);

/* ixgbe_firmware.c */
/* -EIO: it is in recovery, and the card must not be used. */
int ixgbe_firmware_check(struct ixgbe *dev);
/* Words of an X550's EEPROM, at most 512; the caller has SYNC_MAILBOX. -EIO, -ETIMEDOUT, -ENODEV.
 */
int ixgbe_firmware_read(struct ixgbe *dev, uint32_t address, uint16_t *word, unsigned count);

/* ixgbe_i2c.c */
/* Bytes from `offset` on of the memory at the bus address `device` (bit 0 is 0); none: whether it
 * answers. The caller has SYNC_PHY*. -ENXIO: nobody answers; -EIO: the bus is stuck; -ENODEV.
 */
int ixgbe_i2c_read(struct ixgbe *dev, uint8_t device, uint8_t offset, uint8_t *bytes, unsigned n);

/* ixgbe_sfp.c, for cards with a cage */
bool ixgbe_has_cage(const struct ixgbe *dev);
/* Whether it does 1 Gbit/s alone. */
bool ixgbe_sfp_slow(const struct ixgbe_module *module);
/* Into dev->module, whatever it is, or whether there is none; some 25 ms. -EBUSY, -ENODEV. */
int ixgbe_sfp_identify(struct ixgbe *dev);
/* Whether there is one, as when it was identified. */
bool ixgbe_sfp_same(struct ixgbe *dev);
/* Whether it sees light; or does not say. */
bool ixgbe_sfp_lit(struct ixgbe *dev);
/* Writes what the EEPROM has listed for it. Errors as ixgbe_eeprom_words(), and -EBUSY. */
int ixgbe_sfp_prepare(struct ixgbe *dev);

/* ixgbe_link.c */
int ixgbe_link_start(struct ixgbe *dev);
/* The module may be another one: some 100 ms. */
void ixgbe_link_renew(struct ixgbe *dev);
void ixgbe_link_check(struct nic *nic);
int ixgbe_link(struct nic *nic, struct nic_link *link);
void ixgbe_module(const struct nic *nic, struct nic_module *module);

/* ixgbe_irq.c */
int ixgbe_irq_start(struct ixgbe *dev);
void ixgbe_irq_stop(struct ixgbe *dev);
int ixgbe_irq_ack(struct nic *nic, size_t which);
void ixgbe_irq_arm(struct nic *nic);
void ixgbe_irq_arm_queue(struct nic *nic, unsigned index);

/* ixgbe_state.c: config.state, of which there need be none but to load it. */
void ixgbe_state_save(struct ixgbe *dev);
/* Into queues that were just created; those that ran do. -EINVAL: it does not check out; -ENOMEM.
 */
int ixgbe_state_load(struct ixgbe *dev);
/* Whether the card runs with these rings: -EINVAL. */
int ixgbe_state_compare(struct ixgbe *dev);

/* ixgbe_stats.c */
int ixgbe_stats(struct nic *nic, struct nic_stats *stats);
int ixgbe_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
/* Gives each queue counters of its own, and forgets what the card counted so far. */
void ixgbe_stats_start(struct ixgbe *dev);

#endif
