/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state of an 82574L; shared by its parts:
 *
 *     life.c    life, resets           table.c   every register, one row each
 *     nvm.c     EEPROM                 phy.c     the PHY and the link
 *     irq.c     causes, masks, vectors stats.c   counters
 *     filter.c  which frames are ours  rx.c, tx.c  the rings
 *     pause.c   flow control           fault.c   what can go wrong
 *     family.c  what nicsim knows of it
 */
#ifndef NICSIM_E1000_CARD_H
#define NICSIM_E1000_CARD_H

#include "nicsim/e1000/regs.h"
#include "nicsim/fault_card.h"
#include "nicsim/headers.h"
#include "nicsim/kind.h"
#include "nicsim/offload.h"
#include "nicsim/pause.h"
#include "nicsim/request.h"
#include "nicsim/toeplitz.h"
#include "nicsim/wire.h"

#define E1000_VENDOR     0x8086u
#define E1000_DEVICE     0x10d3u
#define E1000_CSR_SIZE   0x20000u /* BAR 0 */
#define E1000_MSIX_TABLE 16384u   /* BAR 4 */
#define E1000_VECTORS    5u
#define E1000_MBIT       1000u /* the one speed that the PHY negotiates */
#define E1000_QUEUES     2u    /* of each direction */
#define E1000_NVM_WORDS  512u
#define E1000_RX_BUFFER  40960u /* all that PBA can give */
#define E1000_TX_CHAIN   64u    /* descriptors a frame at most; the card itself sets no limit */
#define E1000_TX_DATA    (65536u + 16384u) /* the largest segmentation request */

struct e1000_phy {
	uint16_t reg[32];
	bool link_fell; /* since its status was read last */
};

struct e1000_irq {
	uint32_t cause, mask;
	uint32_t fire;                /* vectors with a new event that has not led to a message */
	uint64_t next[E1000_VECTORS]; /* no message before that time, ns */
	struct loop_work work;
	struct loop_timer timer;
};

struct e1000_rx {
	struct loop_work work;
	unsigned hint_ring[E1000_QUEUES], hint_buffer[E1000_QUEUES];
	bool wire_waits; /* the wire was told that there is no room */
	bool key_stale;
	struct toeplitz toeplitz;
	/* The packet buffer: frames, each behind its length. */
	uint32_t used;
	uint8_t buffer[E1000_RX_BUFFER];
	uint8_t edited[SIM_FRAME_MAX + 4];
	uint8_t padded[60];
};

/* A context descriptor (82574 datasheet 7.2.10.2, 7.2.12). */
struct e1000_context {
	uint8_t ip_start, ip_at, l4_start, l4_at;
	uint16_t ip_end, l4_end; /* last bytes; 0: of the frame */
	struct sim_context segment;
};

struct e1000_tx {
	struct loop_work work;
	unsigned hint_ring[E1000_QUEUES], hint_buffer[E1000_QUEUES];
	struct e1000_context context; /* one, whatever queue it came by (as FreeBSD's em has it) */
	unsigned busy;                /* queues that may have something to send, a bit each */
	unsigned turn;                /* the queue that is served */
	bool wire_full;
	/* At that queue's TDH. */
	struct request request;
	unsigned chain;           /* its descriptors */
	uint64_t report;          /* which of them have RS */
	uint32_t command, status; /* the second quadword of its first descriptor */
	uint32_t last, tag;       /* and of its last */
};

struct e1000 {
	struct function fn;
	struct function_ident ident;
	struct loop *loop;
	struct report *report;
	struct wire *wire;
	uint8_t mac[6];
	struct card_faults faults;
	bool carrier; /* what the wire says */
	bool pulled;  /* the cable is out, whatever the wire says (nicsim ctl) */
	bool linked;  /* what was found when something changed last */
	struct e1000_phy phy;
	struct e1000_irq irq;
	struct e1000_rx rx;
	struct e1000_tx tx;
	struct pause pause;
	uint16_t nvm[E1000_NVM_WORDS];
	struct table_latch latch;
	uint16_t row[E1000_CSR_SIZE / 4]; /* of the table, by register; 0: none */
	uint32_t reg[E1000_CSR_SIZE / 4];
};

static inline uint32_t *e1000_reg(struct e1000 *card, uint32_t offset)
{
	return &card->reg[offset / 4];
}

/* --- life.c --- */
int e1000_create(struct e1000 **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why);
void e1000_destroy(struct e1000 *card);
uint32_t e1000_read_status(struct e1000 *card, uint32_t offset);
void e1000_write_ctrl(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_ctrl_ext(struct e1000 *card, uint32_t offset, uint32_t value);
uint32_t e1000_read_swsm(struct e1000 *card, uint32_t offset);
/* At everything that frames and interrupts may wait for. */
void e1000_look_again(struct e1000 *card);

/* --- table.c --- */
void e1000_table_init(struct e1000 *card);
/* Each register at its reset value. */
void e1000_table_reset(struct e1000 *card);
void e1000_list_registers(card_tell_register *each);
/* Reading it clears it: what it holds depends on the wire. */
bool e1000_is_counter(const struct e1000 *card, uint32_t offset);
uint32_t e1000_reg_read(struct e1000 *card, uint32_t offset);
void e1000_reg_write(struct e1000 *card, uint32_t offset, uint32_t value);

/* --- nvm.c --- */
void e1000_nvm_build(struct e1000 *card);
/* Makes the checksum wrong, or right again. */
void e1000_nvm_spoil(struct e1000 *card);
void e1000_write_eerd(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_eewr(struct e1000 *card, uint32_t offset, uint32_t value);

/* --- phy.c --- */
void e1000_phy_reset(struct e1000 *card);
void e1000_write_mdic(struct e1000 *card, uint32_t offset, uint32_t value);
/* What is sent comes back, from the PHY or the MAC. */
bool e1000_loops(const struct e1000 *card);
/* The MAC's link. */
bool e1000_link(const struct e1000 *card);
void e1000_link_changed(struct e1000 *card);
void e1000_carrier(void *ctx, bool up);
void e1000_pull_cable(struct e1000 *card, bool pulled);

/* --- irq.c --- */
void e1000_irq_init(struct e1000 *card);
void e1000_irq_reset(struct e1000 *card);
void e1000_irq_stop(struct e1000 *card);
void e1000_cause(struct e1000 *card, uint32_t bits);
/* Something was received into a queue, or is sent from it. */
void e1000_cause_queue(struct e1000 *card, unsigned queue, bool tx);
/* Looks again at what is pending and not masked. */
void e1000_irq_changed(struct e1000 *card);
uint32_t e1000_read_icr(struct e1000 *card, uint32_t offset);
void e1000_write_icr(struct e1000 *card, uint32_t offset, uint32_t value);
uint32_t e1000_read_ims(struct e1000 *card, uint32_t offset);
uint32_t e1000_read_nothing(struct e1000 *card, uint32_t offset);
void e1000_write_ims(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_imc(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_ics(struct e1000 *card, uint32_t offset, uint32_t value);

/* --- stats.c --- */
void e1000_count(struct e1000 *card, uint32_t offset);
void e1000_count_rx_seen(struct e1000 *card, uint32_t len);
void e1000_count_rx_good(struct e1000 *card, const uint8_t *frame, uint32_t len);
void e1000_count_tx(struct e1000 *card, const uint8_t *frame, uint32_t len);
/* One that the MAC made: a pause. */
void e1000_count_tx_mac(struct e1000 *card, uint32_t len);

/* --- filter.c --- */
void e1000_filter_reset(struct e1000 *card);
bool e1000_filter(struct e1000 *card, const uint8_t *frame, uint32_t len);

/* --- fault.c --- */
extern const struct fault_ops e1000_fault_ops;

/* --- pause.c --- */
void e1000_pause_init(struct e1000 *card);
/* A frame came in; true: it ends here. */
bool e1000_pause_take(struct e1000 *card, const uint8_t *frame);

/* --- rx.c --- */
void e1000_rx_init(struct e1000 *card);
void e1000_rx_reset(struct e1000 *card);
void e1000_rx_stop(struct e1000 *card);
bool e1000_rx_frame(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
/* Something changed that frames may wait for. */
void e1000_rx_look_again(struct e1000 *card);
void e1000_write_rdh(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_rdt(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_rctl(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_rssrk(struct e1000 *card, uint32_t offset, uint32_t value);

/* --- tx.c --- */
void e1000_tx_init(struct e1000 *card);
void e1000_tx_reset(struct e1000 *card);
void e1000_tx_stop(struct e1000 *card);
void e1000_tx_sendable(void *ctx);
/* Sets DD and leaves the rest of the descriptor as it is. */
void e1000_tx_set_done(struct e1000 *card, unsigned queue, uint32_t index);
void e1000_tx_look_again(struct e1000 *card);
/* After a pause. */
void e1000_tx_go_on(struct e1000 *card);
void e1000_write_tdh(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_tdt(struct e1000 *card, uint32_t offset, uint32_t value);
void e1000_write_tctl(struct e1000 *card, uint32_t offset, uint32_t value);

#endif
