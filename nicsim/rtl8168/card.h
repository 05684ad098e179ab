/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state of an RTL8168; shared by its parts:
 *
 *     life.c    life, resets           table.c    every register, one row each
 *     model.c   the variants           indirect.c registers behind registers
 *     phy.c     the PHY and the link   irq.c      causes, the mask, messages
 *     stats.c   tally counters         filter.c   which frames are ours
 *     rx.c, tx.c  the rings            ring.c     what both have
 *     fault.c   what can go wrong      family.c   what nicsim knows of it
 */
#ifndef NICSIM_RTL8168_CARD_H
#define NICSIM_RTL8168_CARD_H

#include <string.h>

#include "nicsim/kind.h"
#include "nicsim/offload.h"
#include "nicsim/request.h"
#include "nicsim/rtl8168/regs.h"
#include "nicsim/wire.h"

#define RTL8168_IO_BAR    0u
#define RTL8168_BAR       2u
#define RTL8168_MSIX_BAR  4u
#define RTL8168_REGS      256u
#define RTL8168_BAR_SIZE  4096u
#define RTL8168_MSIX_SIZE 16384u
#define RTL8168_RING      1024u /* descriptors at most */
#define RTL8168_FIFO      65536u
#define RTL8168_TX_DATA   (65536u + 16384u) /* the largest segmentation request */
#define RTL8168_FRAME_MIN 60u               /* on a link, without CRC */
#define RTL8168_FRAME_MAX 1518u             /* without jumbo frames, with a VLAN tag, no CRC */
#define RTL8168_PHY_PAGES 8u

/* What the variants differ in. */
struct rtl8168_model {
	const char *name;
	uint16_t device;
	uint8_t revision;
	uint16_t xid;             /* TCR's bits from 20 on, as r8169 prints it */
	uint8_t vectors;          /* of MSI-X */
	uint16_t jumbo;           /* the largest frame with them on, without CRC */
	uint8_t config3, config4; /* the bits that turn them on */
};

/* As TCR has it. */
static inline uint32_t rtl8168_xid(const struct rtl8168_model *model)
{
	return (uint32_t)model->xid << 20;
}

struct rtl8168_descriptor {
	uint32_t options1, options2;
	uint64_t address;
};

/* Where the card is in a ring, and the descriptors from there on that it is about to use. */
struct rtl8168_ring {
	uint32_t base; /* the register */
	uint32_t at;
	unsigned hint, hint_buffer; /* of dma.h */
	unsigned count;
	struct {
		uint32_t at;
		struct rtl8168_descriptor descriptor;
	} taken[RTL8168_RING];
};

struct rtl8168_phy {
	uint16_t reg[RTL8168_PHY_PAGES][32];
	uint16_t page;
	bool link_fell; /* since its status was read last */
};

struct rtl8168_counters {
	uint64_t tx_ok, rx_ok, tx_errors;
	uint64_t rx_errors, rx_missed;
	uint64_t rx_unicast, rx_broadcast, rx_multicast;
	uint64_t tx_aborted;
};

struct rtl8168_rx {
	struct loop_work work;
	struct loop_timer timer; /* when to look for descriptors again */
	uint64_t wait;           /* ns, that it takes */
	struct rtl8168_ring ring;
	bool wire_waits; /* the wire was told that there is no room */
	/* What found no descriptor: frames, each behind its length and what was wrong with it. */
	uint32_t used;
	uint8_t fifo[RTL8168_FIFO];
	uint8_t stored[SIM_FRAME_MAX + 4];
	uint8_t padded[RTL8168_FRAME_MIN];
};

struct rtl8168_tx {
	struct loop_work work;
	struct rtl8168_ring ring[2]; /* normal, high priority */
	unsigned busy;               /* rings that may have something to send, a bit each */
	bool wire_full;
	unsigned turn; /* the ring that is served */
	/* At that ring's place. */
	struct request request;
	uint32_t options1, options2; /* of its first descriptor */
	struct sim_context context;
};

struct rtl8168 {
	struct function fn;
	struct function_ident ident;
	const struct rtl8168_model *model;
	struct loop *loop;
	struct report *report;
	struct wire *wire;
	uint8_t mac[6];
	bool carrier;  /* what the wire says */
	bool pulled;   /* the cable is out, whatever the wire says (nicsim ctl) */
	bool linked;   /* what was found when something changed last */
	bool fire;     /* an event that has not led to a message */
	uint32_t mask; /* IMR as it was before it is written */
	struct loop_work irq_work;
	struct rtl8168_phy phy;
	struct rtl8168_counters counters;
	struct rtl8168_rx rx;
	struct rtl8168_tx tx;
	struct card_faults faults;
	uint16_t ephy[128];        /* of the PCI Express PHY */
	uint32_t eri[1024];        /* behind ERIAR */
	uint8_t row[RTL8168_REGS]; /* of the table, by byte; 0: none */
	uint8_t reg[RTL8168_REGS]; /* little endian */
};

/* A register of `size` bytes. */
static inline uint32_t rtl8168_get(const struct rtl8168 *card, uint32_t offset, unsigned size)
{
	uint32_t value = 0;

	memcpy(&value, card->reg + offset, size);
	return value;
}

static inline void rtl8168_put(struct rtl8168 *card, uint32_t offset, unsigned size, uint32_t value)
{
	memcpy(card->reg + offset, &value, size);
}

/* --- model.c --- */
#define RTL8168_VENDOR 0x10ecu
#define RTL8168_NAMES  "rtl8168, rtl8168c, rtl8161"
const struct rtl8168_model *rtl8168_find_model(const char *name);
/* The first with that PCI id, of vendor RTL8168_VENDOR. */
const struct rtl8168_model *rtl8168_find_id(uint16_t device);

/* --- life.c --- */
int rtl8168_create(struct rtl8168 **out, const struct card_options *options, struct loop *loop,
	struct dma *dma, struct report *report, struct sim_error *why);
void rtl8168_destroy(struct rtl8168 *card);
/* Something of the client's memory could not be reached. */
void rtl8168_bus_error(struct rtl8168 *card);
/* At all that may wait for what has changed. */
void rtl8168_look_again(struct rtl8168 *card);
/* The longest frame, without CRC, that goes either way. */
uint32_t rtl8168_longest(const struct rtl8168 *card);
void rtl8168_write_cr(struct rtl8168 *card, uint32_t written);
uint32_t rtl8168_read_cr(struct rtl8168 *card);
void rtl8168_write_9346cr(struct rtl8168 *card, uint32_t written);

/* --- table.c --- */
void rtl8168_table_init(struct rtl8168 *card);
void rtl8168_list_registers(const struct rtl8168_model *model, card_tell_register *each);
/* Each register at its reset value; `all`: also those that a reset by CR leaves as they are. */
void rtl8168_table_reset(struct rtl8168 *card, bool all);
uint32_t rtl8168_reg_read(struct rtl8168 *card, uint32_t offset, unsigned size);
void rtl8168_reg_write(struct rtl8168 *card, uint32_t offset, unsigned size, uint32_t value);

/* --- indirect.c --- */
void rtl8168_write_csiar(struct rtl8168 *card, uint32_t written);
void rtl8168_write_eriar(struct rtl8168 *card, uint32_t written);
void rtl8168_write_ephyar(struct rtl8168 *card, uint32_t written);
void rtl8168_write_ocpar(struct rtl8168 *card, uint32_t written);

/* --- phy.c --- */
void rtl8168_phy_reset(struct rtl8168 *card);
void rtl8168_write_phyar(struct rtl8168 *card, uint32_t written);
uint32_t rtl8168_read_phystatus(struct rtl8168 *card);
/* What is sent comes back, from the PHY or the MAC. */
bool rtl8168_loops(const struct rtl8168 *card);
bool rtl8168_link(const struct rtl8168 *card);
void rtl8168_link_changed(struct rtl8168 *card);
void rtl8168_carrier(void *ctx, bool up);
void rtl8168_pull_cable(struct rtl8168 *card, bool pulled);

/* --- fault.c --- */
extern const struct fault_ops rtl8168_fault_ops;

/* --- irq.c --- */
void rtl8168_irq_init(struct rtl8168 *card);
void rtl8168_irq_reset(struct rtl8168 *card);
void rtl8168_irq_stop(struct rtl8168 *card);
void rtl8168_cause(struct rtl8168 *card, uint32_t bits);
/* Looks again at what is pending and not masked. */
void rtl8168_irq_changed(struct rtl8168 *card);
void rtl8168_write_imr(struct rtl8168 *card, uint32_t written);
void rtl8168_write_isr(struct rtl8168 *card, uint32_t written);

/* --- stats.c --- */
void rtl8168_count_rx(struct rtl8168 *card, const uint8_t *frame);
void rtl8168_write_dtccr(struct rtl8168 *card, uint32_t written);

/* --- filter.c --- */
bool rtl8168_is_mine(const struct rtl8168 *card, const uint8_t *address);
bool rtl8168_filter(const struct rtl8168 *card, const uint8_t *address);

/* --- ring.c --- */
/* Takes one descriptor more. -EAGAIN: it is not the card's; -ENOSPC: all of the ring are taken;
 * -EFAULT: it is out of reach, and the driver was told.
 */
int rtl8168_ring_take(struct rtl8168 *card, struct rtl8168_ring *ring);
/* Writes the n-th taken one's first doubleword, which holds OWN, behind the second (NULL: that
 * stays).
 */
void rtl8168_ring_give_back(struct rtl8168 *card, struct rtl8168_ring *ring, unsigned n,
	uint32_t options1, const uint32_t *options2);
uint64_t rtl8168_ring_base(const struct rtl8168 *card, const struct rtl8168_ring *ring);
/* Descriptors, as far as they can be read. */
uint32_t rtl8168_ring_size(struct rtl8168 *card, const struct rtl8168_ring *ring);
/* Clears OWN of one and leaves the rest as it is. */
void rtl8168_ring_set_done(struct rtl8168 *card, struct rtl8168_ring *ring, uint32_t at);
/* Behind what is taken. */
void rtl8168_ring_advance(struct rtl8168 *card, struct rtl8168_ring *ring);
/* A base was written: back to the first descriptor. */
void rtl8168_write_rdsar(struct rtl8168 *card, uint32_t written);
void rtl8168_write_tnpds(struct rtl8168 *card, uint32_t written);
void rtl8168_write_thpds(struct rtl8168 *card, uint32_t written);

/* --- rx.c --- */
void rtl8168_rx_init(struct rtl8168 *card);
void rtl8168_rx_reset(struct rtl8168 *card);
void rtl8168_rx_stop(struct rtl8168 *card);
void rtl8168_write_rcr(struct rtl8168 *card, uint32_t written);
bool rtl8168_rx_frame(void *ctx, const uint8_t *frame, size_t len, bool may_wait);
/* Something changed that frames may wait for. */
void rtl8168_rx_look_again(struct rtl8168 *card);

/* --- tx.c --- */
void rtl8168_tx_init(struct rtl8168 *card);
void rtl8168_tx_reset(struct rtl8168 *card);
void rtl8168_tx_stop(struct rtl8168 *card);
void rtl8168_tx_sendable(void *ctx);
void rtl8168_tx_look_again(struct rtl8168 *card);
void rtl8168_write_tppoll(struct rtl8168 *card, uint32_t written);
uint32_t rtl8168_read_tppoll(struct rtl8168 *card);

#endif
