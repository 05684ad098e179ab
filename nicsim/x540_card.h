/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state of an X540, or of an 82599, which is much the same card; shared by its parts:
 *
 *     x540.c         life, reset               x540_table.c  every register, one row each
 *     x540_model.c   the models                x540_link.c   link, module, speed
 *     x540_nvm.c     EEPROM, semaphores, PHY   x540_irq.c    causes, masks, vectors
 *     x540_filter.c  which frames are ours     x540_stats.c  counters
 *     x540_rx.c, x540_tx.c  the rings          x540_offload.c  arithmetic over frames
 *     x540_rss.c  which queue a frame is for   x540_doorbells.c  registers in shared pages
 *     x540_rx_burst.c, x540_tx_burst.c  the quick way for common frames (x540_burst.h)
 */
#ifndef NICSIM_X540_CARD_H
#define NICSIM_X540_CARD_H

#include <stdatomic.h>

#include "nicsim/pci.h"
#include "nicsim/report.h"
#include "nicsim/sfp.h"
#include "nicsim/spi.h"
#include "nicsim/wire.h"
#include "nicsim/x540.h"
#include "nicsim/x540_model.h"
#include "nicsim/x540_offload.h"
#include "nicsim/x540_regs.h"

#define X540_CSR_SIZE     0x40000u /* registers end here; the rest of BAR 0 is the flash window */
#define X540_NVM_WORDS    1024u
#define X540_TX_CHAIN     40u /* descriptors a frame at most (82599 datasheet 7.2.3.3) */
#define X540_TX_DATA      (256u * 1024u + 16384u) /* the largest segmentation request */
#define X540_RX_BUFFER    (512u * 1024u)          /* the largest of the models */
#define X540_RX_QUEUES    16u                     /* that RSS can lead to */
#define X540_TX_QUEUES    64u                     /* without DCB and virtualization */
#define X540_RSS_INPUT    36u                     /* bytes: two IPv6 addresses, two ports */
#define X540_MSIX_TABLE   16384u                  /* BAR 4 */
#define X540_WINDOW_PAGES 4u /* that can be mapped: the registers of the queues */
#define X540_WINDOW_SIZE  0xe000u

struct x540_nvm {
	uint16_t shadow[X540_NVM_WORDS]; /* what EERD and EEWR see */
	uint16_t flash[X540_NVM_WORDS];  /* what outlives a reset */
	struct spi spi;                  /* 82599: the pins to `flash` */
};

struct x540_phy {
	uint16_t address; /* of the register, by the last address cycle */
	bool low_power;
	uint16_t advertise, advertise_10g, provision; /* autonegotiation: what the driver wrote */
};

/* Interrupt state (82599 datasheet 7.3): queue causes are kept by vector, because more vectors than
 * the 16 bits of EICR exist.
 */
struct x540_irq {
	uint64_t queue_cause, queue_mask, queue_auto_mask; /* by vector */
	uint32_t other_cause, other_mask, other_auto_mask; /* bits 16 and up of EICR */
	uint64_t fire;              /* vectors with a new event that has not led to a message yet */
	uint64_t next[IRQ_VECTORS]; /* EITR: no message before that time, ns */
	struct loop_work work;
	struct loop_timer timer;
};

struct x540_rss {
	bool stale; /* the table is of another key */
	uint32_t table[X540_RSS_INPUT][256];
};

/* Where a frame goes, and the hash that says so; type 0: none. */
struct x540_path {
	uint32_t hash;
	uint8_t type;
	uint8_t queue;
};

/* Frames of a burst, as the counters want them: octets and sizes with CRC. */
struct x540_tally {
	uint32_t frames, broadcast, multicast;
	uint32_t size[6];   /* 64, to 127, 255, 511, 1023, above */
	uint32_t last, bin; /* the last frame's size, and which of these it is */
	uint64_t octets;
};

struct x540_rx_queue {
	unsigned hint_ring, hint_buffer;
};

struct x540_rx {
	struct loop_work work;
	struct x540_rx_queue queue[X540_RX_QUEUES];
	struct dma_window ring, buffers; /* of bursts, which are for queue 0 */
	uint32_t on;                     /* queues that are enabled, a bit each */
	bool wire_waits;                 /* the wire was told that there is no room */
	/* The packet buffer: frames in a ring of bytes, each behind its length and its path. */
	uint32_t head, used;
	uint8_t buffer[X540_RX_BUFFER];
	uint8_t frame[SIM_FRAME_MAX]; /* one that wraps round the end, in one piece */
	uint8_t edited[SIM_FRAME_MAX + 4];
	uint8_t taken[SIM_FRAME_MAX]; /* one of a burst that is not common */
	uint8_t padded[60];
};

struct x540_tx_queue {
	unsigned hint_ring, hint_buffer, hint_head;
	struct dma_window ring, buffers; /* of bursts */
	struct x540_context context[2];
	uint32_t done; /* descriptors before TDH that are not written back yet (WTHRESH) */
};

struct x540_tx {
	struct loop_work work;
	struct loop_timer flush; /* for a group of write-backs that does not fill */
	struct x540_tx_queue queue[X540_TX_QUEUES];
	uint64_t busy;    /* queues that may have something to send, a bit each */
	uint64_t grouped; /* and with `done` */
	unsigned turn;    /* the queue that is served */
	bool wire_full;
	/* The request at that queue's TDH, gathered and not wholly sent. */
	bool loaded;
	bool broken;              /* it is not sent, but done */
	unsigned chain;           /* its descriptors */
	uint64_t report;          /* which of them have RS */
	uint32_t command, status; /* the second quadword of its first descriptor */
	uint32_t length;          /* bytes in data[] */
	uint32_t sent, segments;  /* payload bytes that went out, in how many segments */
	uint8_t data[X540_TX_DATA + 64];
	uint8_t frame[SIM_FRAME_MAX + 64];
	uint8_t tagged[SIM_FRAME_MAX + 64];
};

/* The queues' registers in memory that the client has mapped (--doorbells mapped). */
struct x540_doorbells {
	struct loop_poll poll;
	_Atomic(uint32_t) *page;        /* the shared file; NULL: everything is trapped */
	uint64_t on[X540_WINDOW_PAGES]; /* queues that are on, by page */
	unsigned turns;
	/* What the file held when both sides last agreed, by register. */
	uint32_t seen[X540_WINDOW_SIZE / 4];
};

struct x540 {
	struct function fn;
	struct function_ident ident;
	struct loop *loop;
	struct report *report;
	struct wire *wire;
	uint8_t mac[6];
	const struct x540_model *model;
	struct sfp sfp;   /* 82599 with a cage */
	bool carrier;     /* what the wire says */
	bool linked;      /* what was found when something changed last */
	bool link_fell;   /* since LINKS was read last */
	unsigned rar_top; /* receive addresses from here on are not valid */
	struct x540_nvm nvm;
	struct x540_phy phy;
	struct x540_irq irq;
	struct x540_rss rss;
	struct x540_rx rx;
	struct x540_tx tx;
	struct x540_doorbells doorbells;
	uint8_t msix[X540_MSIX_TABLE];
	uint16_t row[X540_CSR_SIZE / 4]; /* of the table, by register; 0: none */
	uint32_t reg[X540_CSR_SIZE / 4];
};

/* --- x540_table.c --- */
enum { ROW_X540 = 8, ROW_82599 = 16 }; /* registers of one family alone */
void x540_table_init(struct x540 *card);
/* Each register at its reset value. `power`: also those that a software reset leaves alone. */
void x540_table_reset(struct x540 *card, bool power);
/* Reading it clears it: what it holds depends on the wire. */
bool x540_is_counter(const struct x540 *card, uint32_t offset);
uint32_t x540_reg_read(struct x540 *card, uint32_t offset);
void x540_reg_write(struct x540 *card, uint32_t offset, uint32_t value);

static inline uint32_t *x540_reg(struct x540 *card, uint32_t offset)
{
	return &card->reg[offset / 4];
}

/* --- x540.c --- */
uint32_t x540_read_status(struct x540 *card, uint32_t offset);
uint32_t x540_read_timer(struct x540 *card, uint32_t offset);
void x540_write_ctrl(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_link.c --- */
bool x540_link(const struct x540 *card);
unsigned x540_link_mbit(const struct x540 *card);
void x540_link_changed(struct x540 *card);
/* What a reset of the MAC makes of it. */
void x540_link_reset(struct x540 *card);
void x540_carrier(void *ctx, bool up);
void x540_plug_module(struct x540 *card, enum sfp_kind kind);
uint32_t x540_read_links(struct x540 *card, uint32_t offset);
void x540_write_autoc(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_link(struct x540 *card, uint32_t offset, uint32_t value);
uint32_t x540_read_esdp(struct x540 *card, uint32_t offset);
uint32_t x540_read_i2cctl(struct x540 *card, uint32_t offset);
void x540_write_i2cctl(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_nvm.c --- */
void x540_nvm_build(struct x540 *card);
void x540_nvm_reset(struct x540 *card);
void x540_phy_reset(struct x540 *card);
uint32_t x540_read_swsm(struct x540 *card, uint32_t offset);
uint32_t x540_read_sw_fw_sync(struct x540 *card, uint32_t offset);
void x540_write_eec(struct x540 *card, uint32_t offset, uint32_t value);
uint32_t x540_read_eec_pins(struct x540 *card, uint32_t offset);
void x540_write_eec_pins(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_eerd(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_eewr(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_msca(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_irq.c --- */
void x540_irq_init(struct x540 *card);
void x540_irq_reset(struct x540 *card);
void x540_irq_stop(struct x540 *card);
/* A cause of EICR's bits 16 and up, or what IVAR says of a queue's. */
void x540_cause(struct x540 *card, uint32_t bits);
void x540_cause_queue(struct x540 *card, unsigned queue, bool tx);
/* Looks again at what is pending and not masked. */
void x540_irq_changed(struct x540 *card);
/* What EITR allows between two interrupts of the queue's vector, ns. */
uint64_t x540_irq_interval(struct x540 *card, unsigned queue, bool tx);
uint32_t x540_read_eicr(struct x540 *card, uint32_t offset);
void x540_write_eicr(struct x540 *card, uint32_t offset, uint32_t value);
uint32_t x540_read_mask(struct x540 *card, uint32_t offset);
void x540_write_mask(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_filter.c --- */
void x540_filter_reset(struct x540 *card);
void x540_write_rah(struct x540 *card, uint32_t offset, uint32_t value);
bool x540_filter(struct x540 *card, const uint8_t *frame, size_t len);

/* --- x540_stats.c --- */
void x540_count_rx_seen(struct x540 *card, uint32_t len);
void x540_count_rx_good(struct x540 *card, const uint8_t *frame, uint32_t len);
void x540_count_rx_queued(struct x540 *card, unsigned queue, uint32_t len);
void x540_count_rx_dropped(struct x540 *card, unsigned queue);
void x540_count_tx(struct x540 *card, unsigned queue, const uint8_t *frame, uint32_t len);
/* The same for the frames of a burst: all that were seen, with their CRCs; `good` are those that
 * passed the filters. */
void x540_count_rx_burst(
	struct x540 *card, uint32_t seen, uint64_t seen_octets, const struct x540_tally *good);
void x540_count_rx_queued_burst(
	struct x540 *card, unsigned queue, uint32_t frames, uint64_t octets);
void x540_count_tx_burst(struct x540 *card, unsigned queue, const struct x540_tally *tally);
void x540_count(struct x540 *card, uint32_t offset);

/* --- x540_doorbells.c --- */
/* Offers the pages, as x540_create() was asked to. 0 or -errno. */
int x540_doorbells_init(struct x540 *card);
void x540_doorbells_destroy(struct x540 *card);
/* The function's settle and left (pci.h). */
void x540_doorbells_settle(void *ctx);
void x540_doorbells_left(void *ctx);
/* Before a frame comes in: what the receive queues that are on have got meanwhile. */
void x540_doorbells_receive(struct x540 *card);
/* Before a descriptor is written back: a driver that has seen it may set the head to 0, and must
 * not be overwritten by an older one. `offset` is the head's, `head` what it will be.
 */
void x540_doorbells_head(struct x540 *card, uint32_t offset, uint32_t head);

/* --- x540_rss.c --- */
struct x540_path x540_rss(struct x540 *card, const uint8_t *frame, uint32_t len);
void x540_rss_reset(struct x540 *card);
void x540_write_rssrk(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_mrqc(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_rx.c --- */
void x540_rx_init(struct x540 *card);
void x540_rx_reset(struct x540 *card);
void x540_rx_stop(struct x540 *card);
bool x540_rx_frame(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
void x540_write_rdt(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_rxdctl(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_rxctrl(struct x540 *card, uint32_t offset, uint32_t value);

/* --- x540_tx.c --- */
void x540_tx_init(struct x540 *card);
void x540_tx_reset(struct x540 *card);
void x540_tx_stop(struct x540 *card);
void x540_tx_sendable(void *ctx);
void x540_write_tdt(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_txdctl(struct x540 *card, uint32_t offset, uint32_t value);
void x540_write_dmatxctl(struct x540 *card, uint32_t offset, uint32_t value);

#endif
