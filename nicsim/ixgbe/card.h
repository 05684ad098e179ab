/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state of a card of the ixgbe family; shared by its parts:
 *
 *     reset.c   life, reset               table.c     every register, one row each
 *     model.c   the models                link.c      link, module, speed
 *     nvm.c     EEPROM                    irq.c       causes, masks, vectors
 *     shared.c  what two ports share
 *     phy.c     the copper PHY            firmware.c  the X550's mailbox
 *     spi.c     the EEPROM's pins         sfp.c       the module's memories
 *     filter.c  which frames are ours     stats.c     counters
 *     steer.c   for which queue           rss.c       by a hash
 *     fdir.c    by the flow director
 *     rx.c, tx.c  the rings               doorbells.c registers in shared pages
 *     pause.c   flow control
 *     rx_burst.c, tx_burst.c  the quick way for common frames (burst.h)
 *     command.c  what nicsim ctl asks for  fault.c  what can go wrong
 */
#ifndef NICSIM_IXGBE_CARD_H
#define NICSIM_IXGBE_CARD_H

#include <stdatomic.h>

#include "nicsim/fault_card.h"
#include "nicsim/headers.h"
#include "nicsim/ixgbe/ixgbe.h"
#include "nicsim/ixgbe/model.h"
#include "nicsim/ixgbe/regs.h"
#include "nicsim/ixgbe/sfp.h"
#include "nicsim/ixgbe/spi.h"
#include "nicsim/offload.h"
#include "nicsim/pause.h"
#include "nicsim/pci.h"
#include "nicsim/report.h"
#include "nicsim/request.h"
#include "nicsim/toeplitz.h"
#include "nicsim/wire.h"

#define IXGBE_CSR_SIZE     0x40000u /* registers end here; the rest of BAR 0 is the flash window */
#define IXGBE_NVM_WORDS    1024u
#define IXGBE_NVM_CHECKSUM 0x3fu /* the word */
#define IXGBE_PORTS        2u
#define IXGBE_SHARED       0x10000u /* registers that may be shared: from here */
#define IXGBE_SHARED_SIZE  0x06000u
#define IXGBE_TX_CHAIN     40u         /* descriptors a frame at most (82599 datasheet 7.2.3.3) */
#define IXGBE_TX_DATA      REQUEST_MAX /* the largest segmentation request */
#define IXGBE_RX_BUFFER    (512u * 1024u) /* the largest of the models */
#define IXGBE_RX_QUEUES    64u            /* that RSS can lead to, on any model */
#define IXGBE_TX_QUEUES    64u            /* without DCB and virtualization */
#define IXGBE_FDIR_BUCKETS 32768u
#define IXGBE_FDIR_FILTERS 32766u /* with the most memory for them */
#define IXGBE_MSIX_TABLE   16384u /* BAR 4 */
#define IXGBE_WINDOW_PAGES 4u     /* that can be mapped: the registers of the queues */
#define IXGBE_WINDOW_SIZE  0xe000u

struct ixgbe_nvm {
	uint16_t shadow[IXGBE_NVM_WORDS]; /* what EERD and EEWR see */
	uint16_t flash[IXGBE_NVM_WORDS];  /* what outlives a reset */
	struct spi spi;                   /* 82599: the pins to `flash` */
};

/* What the ports of a card share (shared.c). */
struct ixgbe_shared {
	struct ixgbe *port[IXGBE_PORTS]; /* NULL: there is none */
	struct ixgbe_nvm nvm;
	int pins; /* 82599: the port that has the EEPROM's pins, or -1 */
	uint32_t reg[IXGBE_SHARED_SIZE / 4];
};

struct ixgbe_phy {
	uint16_t address; /* of the register, by the last address cycle */
	bool low_power;
	uint16_t advertise, advertise_10g, provision; /* autonegotiation: what the driver wrote */
};

/* Interrupt state (82599 datasheet 7.3): queue causes are kept by vector, because more vectors than
 * the 16 bits of EICR exist.
 */
struct ixgbe_irq {
	uint64_t queue_cause, queue_mask, queue_auto_mask; /* by vector */
	uint32_t other_cause, other_mask, other_auto_mask; /* bits 16 and up of EICR */
	uint64_t fire;              /* vectors with a new event that has not led to a message yet */
	uint64_t next[IRQ_VECTORS]; /* EITR: no message before that time, ns */
	struct loop_work work;
	struct loop_timer timer;
};

struct ixgbe_rss {
	bool stale; /* the table is of another key */
	struct toeplitz toeplitz;
};

/* Where a frame goes, and what an advanced descriptor says of it (82599 datasheet 7.1.6.2). */
struct ixgbe_verdict {
	uint32_t info;   /* first doubleword: RSS type, packet type */
	uint32_t hash;   /* second one: of RSS, or a fragment's checksum and identification */
	uint32_t status; /* third one: status and errors, but for DD, EOP and VP */
	uint8_t queue;
};

struct ixgbe_fdir_filter {
	uint16_t signature;
	uint16_t next; /* in its bucket */
	uint8_t queue;
};

/* Filters by number from 1 on; 0: none. */
struct ixgbe_fdir {
	uint32_t made, used; /* the first `made` have been in use, `used` are */
	uint16_t spare;      /* the first of the others of them */
	uint16_t bucket[IXGBE_FDIR_BUCKETS];
	struct ixgbe_fdir_filter filter[IXGBE_FDIR_FILTERS];
};

/* Frames of a burst, as the counters want them: octets and sizes with CRC. */
struct ixgbe_tally {
	uint32_t frames, broadcast, multicast;
	uint32_t size[6];   /* 64, to 127, 255, 511, 1023, above */
	uint32_t last, bin; /* the last frame's size, and which of these it is */
	uint64_t octets;
};

struct ixgbe_rx_queue {
	unsigned hint_ring, hint_buffer;
};

struct ixgbe_rx {
	struct loop_work work;
	struct ixgbe_rx_queue queue[IXGBE_RX_QUEUES];
	struct dma_window ring, buffers; /* of bursts, which are for queue 0 */
	uint64_t on;                     /* queues that are enabled, a bit each */
	bool wire_waits;                 /* the wire was told that there is no room */
	/* The packet buffer: frames in a ring of bytes, each behind its length and its verdict. */
	uint32_t head, used;
	uint8_t buffer[IXGBE_RX_BUFFER];
	uint8_t frame[SIM_FRAME_MAX]; /* one that wraps round the end, in one piece */
	uint8_t edited[SIM_FRAME_MAX + 4];
	uint8_t taken[SIM_FRAME_MAX]; /* one of a burst that is not common */
	uint8_t padded[60];
};

struct ixgbe_tx_queue {
	unsigned hint_ring, hint_buffer, hint_head;
	struct dma_window ring, buffers; /* of bursts */
	struct sim_context context[2];
	uint32_t done; /* descriptors before TDH that are not written back yet (WTHRESH) */
};

struct ixgbe_tx {
	struct loop_work work;
	struct loop_timer flush; /* for a group of write-backs that does not fill */
	struct ixgbe_tx_queue queue[IXGBE_TX_QUEUES];
	uint64_t busy;    /* queues that may have something to send, a bit each */
	uint64_t grouped; /* and with `done` */
	unsigned turn;    /* the queue that is served */
	bool wire_full;
	/* At that queue's TDH. */
	struct request request;
	unsigned chain;           /* its descriptors */
	uint64_t report;          /* which of them have RS */
	uint32_t command, status; /* the second quadword of its first descriptor */
};

/* The queues' registers in memory that the client has mapped (--doorbells mapped). */
struct ixgbe_doorbells {
	struct loop_poll poll;
	_Atomic(uint32_t) *page;         /* the shared file; NULL: everything is trapped */
	uint64_t on[IXGBE_WINDOW_PAGES]; /* queues that are on, by page */
	unsigned turns;
	/* What the file held when both sides last agreed, by register. */
	uint32_t seen[IXGBE_WINDOW_SIZE / 4];
};

struct ixgbe {
	struct function fn;
	struct function_ident ident;
	struct loop *loop;
	struct report *report;
	struct wire *wire;
	uint8_t mac[6];
	const struct ixgbe_model *model;
	struct card_faults faults;
	struct sfp sfp;   /* 82599 with a cage */
	bool carrier;     /* what the wire says */
	bool pulled;      /* the cable is out, whatever the wire says (nicsim ctl) */
	bool linked;      /* what was found when something changed last */
	bool link_fell;   /* since LINKS was read last */
	unsigned rar_top; /* receive addresses from here on are not valid */
	struct ixgbe_shared *shared;
	unsigned port; /* of the card: 0 or 1 */
	struct ixgbe_phy phy;
	struct ixgbe_irq irq;
	struct ixgbe_rss rss;
	struct ixgbe_fdir fdir;
	unsigned tuple_top; /* 5-tuple filters from here on are off */
	struct ixgbe_rx rx;
	struct ixgbe_tx tx;
	struct pause pause;
	struct ixgbe_doorbells doorbells;
	struct table_latch latch;
	uint16_t row[IXGBE_CSR_SIZE / 4]; /* of the table, by register; 0: none */
	uint32_t reg[IXGBE_CSR_SIZE / 4];
};

/* --- table.c --- */
/* Registers of some families alone. */
enum { ROW_X540 = 0x100, ROW_82599 = 0x200, ROW_X550 = 0x400, ROW_FAMILIES = 0x700 };
/* A software reset; of all that is the port's; of what the ports share, too. */
enum ixgbe_reset { RESET_MAC, RESET_PORT, RESET_CARD };
void ixgbe_table_init(struct ixgbe *card);
/* Each register at its reset value. */
void ixgbe_table_reset(struct ixgbe *card, enum ixgbe_reset reset);
/* Reading it clears it: what it holds depends on the wire. */
bool ixgbe_is_counter(const struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_reg_read(struct ixgbe *card, uint32_t offset);
void ixgbe_reg_write(struct ixgbe *card, uint32_t offset, uint32_t value);

static inline uint32_t *ixgbe_reg(struct ixgbe *card, uint32_t offset)
{
	return &card->reg[offset / 4];
}

static inline uint32_t *ixgbe_shared_reg(struct ixgbe *card, uint32_t offset)
{
	return &card->shared->reg[(offset - IXGBE_SHARED) / 4];
}

/* --- shared.c --- */
/* A card of its own, or the other port of `first`'s. -1: out of memory. */
int ixgbe_shared_join(struct ixgbe *card, struct ixgbe *first);
void ixgbe_shared_leave(struct ixgbe *card);
/* Whether nobody uses the other port. */
bool ixgbe_shared_idle(const struct ixgbe *card);
uint32_t ixgbe_read_swsm(struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_read_sw_fw_sync(struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_read_factps(struct ixgbe *card, uint32_t offset);

/* --- reset.c --- */
uint32_t ixgbe_read_status(struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_read_timer(struct ixgbe *card, uint32_t offset);
void ixgbe_write_ctrl(struct ixgbe *card, uint32_t offset, uint32_t value);
/* At everything that frames and interrupts may wait for. */
void ixgbe_look_again(struct ixgbe *card);

/* --- link.c --- */
bool ixgbe_link(const struct ixgbe *card);
unsigned ixgbe_link_mbit(const struct ixgbe *card);
void ixgbe_link_changed(struct ixgbe *card);
/* What a reset of the MAC makes of it. */
void ixgbe_link_reset(struct ixgbe *card);
void ixgbe_carrier(void *ctx, bool up);
void ixgbe_pull_cable(struct ixgbe *card, bool pulled);
void ixgbe_plug_module(struct ixgbe *card, enum sfp_kind kind);
uint32_t ixgbe_read_links(struct ixgbe *card, uint32_t offset);
void ixgbe_write_autoc(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_link(struct ixgbe *card, uint32_t offset, uint32_t value);
uint32_t ixgbe_read_esdp(struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_read_i2cctl(struct ixgbe *card, uint32_t offset);
void ixgbe_write_i2cctl(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- nvm.c --- */
void ixgbe_nvm_build(struct ixgbe_shared *shared);
void ixgbe_nvm_reset(struct ixgbe_shared *shared);
/* The port's address, low byte first, in the words from there on; NULL: the EEPROM has none. */
const uint16_t *ixgbe_nvm_mac(const struct ixgbe *card);
void ixgbe_pins_reset(struct ixgbe *card);
void ixgbe_write_eec(struct ixgbe *card, uint32_t offset, uint32_t value);
uint32_t ixgbe_read_eec_pins(struct ixgbe *card, uint32_t offset);
void ixgbe_write_eec_pins(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_eerd(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_eewr(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- firmware.c --- */
void ixgbe_write_hicr(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- phy.c --- */
void ixgbe_phy_reset(struct ixgbe *card);
void ixgbe_write_msca(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- irq.c --- */
void ixgbe_irq_init(struct ixgbe *card);
void ixgbe_irq_reset(struct ixgbe *card);
void ixgbe_irq_stop(struct ixgbe *card);
/* A cause of EICR's bits 16 and up, or what IVAR says of a queue's. */
void ixgbe_cause(struct ixgbe *card, uint32_t bits);
void ixgbe_cause_queue(struct ixgbe *card, unsigned queue, bool tx);
/* Looks again at what is pending and not masked. */
void ixgbe_irq_changed(struct ixgbe *card);
/* What EITR allows between two interrupts of the queue's vector, ns. */
uint64_t ixgbe_irq_interval(struct ixgbe *card, unsigned queue, bool tx);
uint32_t ixgbe_read_eicr(struct ixgbe *card, uint32_t offset);
void ixgbe_write_eicr(struct ixgbe *card, uint32_t offset, uint32_t value);
uint32_t ixgbe_read_mask(struct ixgbe *card, uint32_t offset);
uint32_t ixgbe_read_eitr(struct ixgbe *card, uint32_t offset);
void ixgbe_write_eitr(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_mask(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- filter.c --- */
void ixgbe_filter_reset(struct ixgbe *card);
void ixgbe_write_rah(struct ixgbe *card, uint32_t offset, uint32_t value);
bool ixgbe_filter(struct ixgbe *card, const uint8_t *frame, size_t len);

/* --- stats.c --- */
void ixgbe_count_rx_seen(struct ixgbe *card, uint32_t len);
void ixgbe_count_rx_good(struct ixgbe *card, const uint8_t *frame, uint32_t len);
void ixgbe_count_rx_queued(struct ixgbe *card, unsigned queue, uint32_t len);
void ixgbe_count_rx_dropped(struct ixgbe *card, unsigned queue);
void ixgbe_count_tx(struct ixgbe *card, unsigned queue, const uint8_t *frame, uint32_t len);
/* One that is of no queue. */
void ixgbe_count_tx_mac(struct ixgbe *card, const uint8_t *frame, uint32_t len);
/* The same for the frames of a burst: all that were seen, with their CRCs; `good` are those that
 * passed the filters. */
void ixgbe_count_rx_burst(
	struct ixgbe *card, uint32_t seen, uint64_t seen_octets, const struct ixgbe_tally *good);
void ixgbe_count_rx_queued_burst(
	struct ixgbe *card, unsigned queue, uint32_t frames, uint64_t octets);
void ixgbe_count_tx_burst(struct ixgbe *card, unsigned queue, const struct ixgbe_tally *tally);
void ixgbe_count(struct ixgbe *card, uint32_t offset);

/* --- pause.c --- */
void ixgbe_pause_init(struct ixgbe *card);
/* A frame came in; true: it ends here. */
bool ixgbe_pause_take(struct ixgbe *card, const uint8_t *frame);
/* Whether the other end is held when the packet buffer fills. */
bool ixgbe_pause_sends(const struct ixgbe *card);
uint32_t ixgbe_read_tfcs(struct ixgbe *card, uint32_t offset);

/* --- doorbells.c --- */
/* Offers the pages, as ixgbe_create() was asked to. 0 or -errno. */
int ixgbe_doorbells_init(struct ixgbe *card);
void ixgbe_doorbells_destroy(struct ixgbe *card);
/* The function's settle and left (pci.h). */
void ixgbe_doorbells_settle(void *ctx);
void ixgbe_doorbells_left(void *ctx);
/* Before a frame comes in: what the receive queues that are on have got meanwhile. */
void ixgbe_doorbells_receive(struct ixgbe *card);
/* Before a descriptor is written back: a driver that has seen it may set the head to 0, and must
 * not be overwritten by an older one. `offset` is the head's, `head` what it will be.
 */
void ixgbe_doorbells_head(struct ixgbe *card, uint32_t offset, uint32_t head);

/* --- steer.c --- */
struct ixgbe_verdict ixgbe_judge(struct ixgbe *card, const uint8_t *frame, uint32_t len);
/* The ETQF that matches; -1: none. */
int ixgbe_ethertype_filter(const struct ixgbe *card, unsigned ethertype);

void ixgbe_write_ftqf(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_steer_reset(struct ixgbe *card);

/* --- fdir.c --- */
void ixgbe_fdir_reset(struct ixgbe *card);
/* The queue that a filter names; -1: none matches. */
int ixgbe_fdir_queue(
	struct ixgbe *card, const struct sim_headers *headers, const uint8_t *frame, uint32_t len);
uint32_t ixgbe_read_fdirctrl(struct ixgbe *card, uint32_t offset);
void ixgbe_write_fdirctrl(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_fdircmd(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- rss.c --- */
/* Adds hash, type and queue, of what can be hashed. */
void ixgbe_rss(struct ixgbe *card, struct ixgbe_verdict *verdict, const struct sim_headers *headers,
	const uint8_t *frame, uint32_t len);
void ixgbe_rss_reset(struct ixgbe *card);
void ixgbe_write_rssrk(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_mrqc(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- rx.c --- */
void ixgbe_rx_init(struct ixgbe *card);
void ixgbe_rx_reset(struct ixgbe *card);
void ixgbe_rx_stop(struct ixgbe *card);
bool ixgbe_rx_frame(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
void ixgbe_write_rdt(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_rxdctl(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_rxctrl(struct ixgbe *card, uint32_t offset, uint32_t value);

/* --- tx.c --- */
void ixgbe_tx_init(struct ixgbe *card);
void ixgbe_tx_reset(struct ixgbe *card);
void ixgbe_tx_stop(struct ixgbe *card);
void ixgbe_tx_sendable(void *ctx);
/* Sets DD and leaves the rest of the descriptor as it is. */
void ixgbe_tx_set_done(struct ixgbe *card, unsigned queue, uint32_t index);
/* After a pause. */
void ixgbe_tx_go_on(struct ixgbe *card);
void ixgbe_write_tdt(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_txdctl(struct ixgbe *card, uint32_t offset, uint32_t value);
void ixgbe_write_dmatxctl(struct ixgbe *card, uint32_t offset, uint32_t value);

#endif
