/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An SFP+ module as its management bus shows it (SFF-8472): two memories of 256 bytes behind a
 * two-wire bus, at device addresses A0 (what it is) and A2 (its diagnostics). A cage may be empty:
 * then nobody answers.
 */
#ifndef NICSIM_IXGBE_SFP_H
#define NICSIM_IXGBE_SFP_H

#include <stdbool.h>
#include <stdint.h>

enum sfp_kind {
	SFP_NONE,
	SFP_SR,
	SFP_LR,
	SFP_COPPER,
	SFP_1G_T,
	SFP_1G_SX,
	SFP_1G_LX,
	SFP_FOREIGN,
	SFP_FC, /* Fibre Channel: of no use */
	SFP_KINDS,
};

struct sfp {
	enum sfp_kind kind;
	uint8_t memory[2][256];
	uint8_t pointer[2]; /* where the next byte is read */
	bool dark;          /* it sees no light */
	/* the bus */
	bool clock, data; /* as the driver drives them */
	bool pull;        /* the module pulls the data line down */
	enum { BUS_IDLE, BUS_ADDRESS, BUS_POINTER, BUS_WRITE, BUS_READ } state;
	unsigned bits;
	uint8_t byte;
	unsigned chip; /* memory[chip] */
	bool heard;    /* the driver acknowledged what it read */
};

/* The names of --module: none, sr, lr, copper, 1g-t, 1g-sx, 1g-lx, foreign, fc. SFP_KINDS: there is
 * none of it.
 */
enum sfp_kind sfp_find(const char *name);

void sfp_plug(struct sfp *sfp, enum sfp_kind kind);
/* The lines as the driver drives them; open drain: true lets go. */
void sfp_lines(struct sfp *sfp, bool clock, bool data);
/* The data line as all see it. */
bool sfp_data(const struct sfp *sfp);

#endif
