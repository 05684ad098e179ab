/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The module's side of the two-wire bus, and what its memories hold.
 */
#include "nicsim/ixgbe/sfp.h"

#include <string.h>

#include "nicsim/bytes.h"

/* --- what it is: SFF-8472, chapters 5 to 8 --- */

static const char *const names[SFP_KINDS] = {
	[SFP_NONE] = "none",
	[SFP_SR] = "sr",
	[SFP_LR] = "lr",
	[SFP_COPPER] = "copper",
	[SFP_1G_T] = "1g-t",
	[SFP_1G_SX] = "1g-sx",
	[SFP_1G_LX] = "1g-lx",
	[SFP_FOREIGN] = "foreign",
	[SFP_FC] = "fc",
};

enum sfp_kind sfp_find(const char *name)
{
	enum sfp_kind kind = SFP_NONE;

	while (kind < SFP_KINDS && strcmp(names[kind], name) != 0)
		kind++;
	return kind;
}

struct nature {
	uint8_t connector, ten_gig, one_gig, cable;
	uint8_t fibre_channel; /* speeds */
	uint8_t rate;          /* in 100 Mbit/s */
	uint16_t wavelength;
	uint8_t oui[3];
	const char *vendor, *part;
};

#define RJ45     0x22
#define INTEL    {0x00, 0x1b, 0x21}, "Intel Corp"
#define STRANGER {0x00, 0x00, 0x5e}, "SOMEBODY ELSE"

/* clang-format off */
static const struct nature natures[SFP_KINDS] = {
	[SFP_SR] = {0x07, 0x10, 0x01, 0, 0, 103, 850, INTEL, "FTLX8571D3BCV-IT"},
	[SFP_LR] = {0x07, 0x20, 0x02, 0, 0, 103, 1310, INTEL, "FTLX1471D3BCV-IT"},
	[SFP_COPPER] = {0x21, 0, 0, 0x04, 0, 103, 0, INTEL, "XDACBL3M"},
	[SFP_1G_T] = {RJ45, 0, 0x08, 0, 0, 13, 0, INTEL, "1000BASE-T"},
	[SFP_1G_SX] = {0x07, 0, 0x01, 0, 0, 13, 850, INTEL, "FTLF8519P2BCL-IN"},
	[SFP_1G_LX] = {0x07, 0, 0x02, 0, 0, 13, 1310, INTEL, "1000BASE-LX"},
	[SFP_FOREIGN] = {0x07, 0x10, 0, 0, 0, 103, 850, STRANGER, "UNKNOWN-10G-SR"},
	[SFP_FC] = {0x07, 0, 0, 0, 0x40, 85, 850, STRANGER, "FC-8G-SW"},
};
/* clang-format on */

static uint8_t sum(const uint8_t *bytes, unsigned n)
{
	unsigned total = 0;

	for (unsigned i = 0; i < n; i++)
		total += bytes[i];
	return (uint8_t)total;
}

/* Texts fill their field with spaces (SFF-8472, 8.4). */
static void put_text(uint8_t *at, unsigned size, const char *text)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(*text ? *text++ : ' ');
}

static bool has_diagnostics(const struct nature *nature)
{
	return !nature->cable && nature->connector != RJ45;
}

static void describe(uint8_t *a0, const struct nature *nature)
{
	a0[0] = 0x03; /* SFP or SFP+ */
	a0[1] = 0x04; /* that is read over two wires */
	a0[2] = nature->connector;
	a0[3] = nature->ten_gig;
	a0[6] = nature->one_gig;
	a0[8] = nature->cable;
	a0[10] = nature->fibre_channel;
	a0[11] = 0x06; /* 64B/66B */
	a0[12] = nature->rate;
	a0[18] = 3; /* metres of cable, or tens of metres of fibre */
	put_text(a0 + 20, 16, nature->vendor);
	memcpy(a0 + 37, nature->oui, 3);
	put_text(a0 + 40, 16, nature->part);
	put_text(a0 + 56, 4, "A");
	sim_put_be16(a0 + 60, nature->wavelength);
	a0[63] = sum(a0, 63);
	put_text(a0 + 68, 16, "NICSIM0001");
	put_text(a0 + 84, 8, "260101");
	if (has_diagnostics(nature)) {
		a0[65] = 0x02; /* it has a line for the loss of light */
		a0[92] = 0x68; /* diagnostics, calibrated in the module, average power */
		a0[93] = 0x10; /* which they show, too */
		a0[94] = 0x05; /* SFF-8472 revision 11.0 */
	}
	a0[95] = sum(a0 + 64, 31);
}

/* Diagnostics of a module that is well: limits first, then what it measures (SFF-8472, 9.5, 9.8).
 */
static void diagnose(uint8_t *a2)
{
	static const int16_t temperature[4] = {78, -13, 73, -8}; /* degrees: alarms, warnings */

	for (unsigned i = 0; i < 4; i++)
		sim_put_be16(a2 + 2 * i, (unsigned)(uint16_t)(temperature[i] * 256));
	sim_put_be16(a2 + 8, 37000); /* supply, 100 uV */
	sim_put_be16(a2 + 10, 29000);
	sim_put_be16(a2 + 12, 36000);
	sim_put_be16(a2 + 14, 30000);
	a2[95] = sum(a2, 95);
	sim_put_be16(a2 + 96, 35 * 256);
	sim_put_be16(a2 + 98, 33000);
	sim_put_be16(a2 + 100, 4000); /* bias, 2 uA */
	sim_put_be16(a2 + 102, 5800); /* sent and received power, 0.1 uW */
	sim_put_be16(a2 + 104, 5200);
}

void sfp_plug(struct sfp *sfp, enum sfp_kind kind)
{
	memset(sfp, 0, sizeof(*sfp));
	sfp->kind = kind;
	sfp->clock = sfp->data = true;
	if (kind == SFP_NONE)
		return;
	describe(sfp->memory[0], &natures[kind]);
	if (has_diagnostics(&natures[kind]))
		diagnose(sfp->memory[1]);
}

/* --- the bus: I2C, with the module as its only device --- */

#define ADDRESS_A0 0x50u

/* A whole byte came from the driver; whether the module acknowledges it. */
static bool take_byte(struct sfp *sfp)
{
	unsigned chip = (sfp->byte >> 1) - ADDRESS_A0;

	switch (sfp->state) {
	case BUS_ADDRESS:
		if (sfp->kind == SFP_NONE ||
			chip > (has_diagnostics(&natures[sfp->kind]) ? 1u : 0u)) {
			sfp->state = BUS_IDLE;
			return false;
		}
		sfp->chip = chip;
		sfp->state = sfp->byte & 1 ? BUS_READ : BUS_POINTER;
		return true;
	case BUS_POINTER:
		sfp->pointer[sfp->chip] = sfp->byte;
		sfp->state = BUS_WRITE;
		return true;
	case BUS_WRITE: /* what it is nobody writes over: taken, and not kept */
		sfp->pointer[sfp->chip]++;
		return true;
	default: return false;
	}
}

/* The bit that the module drives while the clock is low: nine a byte, the last acknowledges. */
static void drive(struct sfp *sfp)
{
	if (sfp->state == BUS_READ && sfp->bits < 8)
		sfp->pull = !(sfp->byte >> (7 - sfp->bits) & 1);
	else
		sfp->pull = false;
}

#define A2_STATUS 110 /* SFF-8472, 9.8 */
#define NO_LIGHT  0x02

static void next_byte(struct sfp *sfp)
{
	unsigned at;

	sfp->bits = 0;
	if (sfp->state != BUS_READ)
		return;
	at = sfp->pointer[sfp->chip]++;
	sfp->byte = sfp->memory[sfp->chip][at];
	if (sfp->chip == 1 && at == A2_STATUS && sfp->dark)
		sfp->byte |= NO_LIGHT;
}

static void clock_rises(struct sfp *sfp)
{
	if (sfp->state == BUS_IDLE)
		return;
	if (sfp->bits < 8 && sfp->state != BUS_READ)
		sfp->byte = (uint8_t)(sfp->byte << 1 | sfp->data);
	if (sfp->bits == 8)
		sfp->heard = !sfp->data;
	sfp->bits++;
}

static void clock_falls(struct sfp *sfp)
{
	bool reads = sfp->state == BUS_READ;

	if (sfp->state == BUS_IDLE)
		return;
	if (sfp->bits == 8 && !reads) {
		sfp->pull = take_byte(sfp);
		return;
	}
	if (sfp->bits == 9) {
		/* A driver that does not acknowledge what it reads has had enough. The address of a
		 * read, though, was acknowledged by the module.
		 */
		if (reads && !sfp->pull && !sfp->heard)
			sfp->state = BUS_IDLE;
		else
			next_byte(sfp);
	}
	drive(sfp);
}

void sfp_lines(struct sfp *sfp, bool clock, bool data)
{
	if (clock && sfp->clock && data != sfp->data && !sfp->pull) {
		/* Start: data falls while the clock is high; stop: it rises. */
		sfp->state = data ? BUS_IDLE : BUS_ADDRESS;
		sfp->bits = 0;
		sfp->byte = 0;
		sfp->pull = false;
	}
	sfp->data = data;
	if (clock && !sfp->clock)
		clock_rises(sfp);
	else if (!clock && sfp->clock && !(sfp->state == BUS_ADDRESS && sfp->bits == 0))
		clock_falls(sfp);
	sfp->clock = clock;
}

bool sfp_data(const struct sfp *sfp)
{
	return sfp->data && !sfp->pull;
}
