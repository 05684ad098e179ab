/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The link: up when the wire has carrier and this end sends. A copper PHY sends unless it is in low
 * power; an 82599 sends through its module's laser (SDP3), or over its backplane, in the mode that
 * AUTOC says.
 */
#include "nicsim/x540_card.h"

/* Whether the module is there, sends, and does so at the speed that AUTOC asks for. */
static bool module_sends(const struct x540 *card)
{
	bool slow = x540_link_mbit(card) == 1000;

	if (card->reg[ESDP / 4] & ESDP_LASER_OFF)
		return false;
	switch (card->sfp.kind) {
	case SFP_NONE: return false;
	case SFP_1G_SX: return slow;
	case SFP_COPPER:
	case SFP_FOREIGN: return !slow;
	default: return true;
	}
}

/* What the other end of the cable sees of us. The PHY answers while the MAC is reset. */
static bool sends(const struct x540 *card)
{
	if (card->model->media == MEDIA_COPPER)
		return !card->phy.low_power;
	if (card->reg[AUTOC2 / 4] & AUTOC2_LINK_DISABLE)
		return false;
	return card->model->media == MEDIA_KX4 || module_sends(card);
}

bool x540_link(const struct x540 *card)
{
	return card->carrier && sends(card);
}

unsigned x540_link_mbit(const struct x540 *card)
{
	uint32_t mode = card->reg[AUTOC / 4] & AUTOC_LMS;

	if (card->model->media == MEDIA_COPPER)
		return 10000;
	return mode == AUTOC_LMS_1G || mode == AUTOC_LMS_1G_AN ? 1000 : 10000;
}

/* Something that decides on the link may have changed: the wire hears of it, the driver, too. */
void x540_link_changed(struct x540 *card)
{
	bool was = card->linked;

	if (card->wire)
		wire_set_link(card->wire, sends(card)); /* may say at once what carrier there is */
	card->linked = x540_link(card);
	if (!card->linked)
		card->link_fell = true;
	if (card->linked != was)
		x540_cause(card, EICR_LSC);
	/* The MAC sends into nothing while there is no link, and goes on when it is back. */
	if (card->linked && !was)
		x540_tx_sendable(card);
}

void x540_carrier(void *ctx, bool up)
{
	struct x540 *card = ctx;

	if (card->carrier == up)
		return;
	card->carrier = up;
	x540_link_changed(card);
}

uint32_t x540_read_links(struct x540 *card, uint32_t offset)
{
	bool up = x540_link(card);
	uint32_t value = 0;

	(void)offset;
	if (up)
		value = LINKS_NOW | LINKS_AN_DONE |
			(x540_link_mbit(card) == 1000 ? LINKS_SPEED_1G : LINKS_SPEED);
	if (up && !card->link_fell)
		value |= LINKS_UP;
	card->link_fell = !up;
	return value;
}

/* --- the 82599's own --- */

/* As its EEPROM has it: by its media. */
void x540_link_reset(struct x540 *card)
{
	if (card->model->media == MEDIA_SFP) {
		card->reg[AUTOC / 4] = 0xc09c0004 | AUTOC_LMS_10G_SERIAL;
		card->reg[AUTOC2 / 4] = AUTOC2_SFI;
	} else if (card->model->media == MEDIA_KX4) {
		card->reg[AUTOC / 4] = 0xc09c0004 | AUTOC_LMS_KX4;
	}
	x540_link_changed(card);
}

/* A restart of negotiation is over at once; it is seen as a link that fell and is back. */
void x540_write_autoc(struct x540 *card, uint32_t offset, uint32_t value)
{
	*x540_reg(card, offset) &= ~AUTOC_RESTART;
	if ((value & AUTOC_RESTART) && card->linked) {
		card->link_fell = true;
		x540_cause(card, EICR_LSC);
	}
	x540_link_changed(card);
}

void x540_write_link(struct x540 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	(void)value;
	x540_link_changed(card);
}

/* Pins: SDP2 tells that there is a module (82599 datasheet 3.7.3.1, as Linux has it wired). */
uint32_t x540_read_esdp(struct x540 *card, uint32_t offset)
{
	uint32_t value = *x540_reg(card, offset) & ~ESDP_MODULE;

	if (card->model->media == MEDIA_SFP && card->sfp.kind != SFP_NONE)
		value |= ESDP_MODULE;
	return value;
}

void x540_plug_module(struct x540 *card, enum sfp_kind kind)
{
	bool had = card->sfp.kind != SFP_NONE;

	sfp_plug(&card->sfp, kind);
	x540_link_changed(card);
	if (had != (kind != SFP_NONE))
		x540_cause(card, EICR_SDP2);
}

/* The two lines to the module are read as they are, whoever pulls them down. */
uint32_t x540_read_i2cctl(struct x540 *card, uint32_t offset)
{
	uint32_t value = *x540_reg(card, offset) & (I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT);

	if (value & I2CCTL_CLOCK_OUT)
		value |= I2CCTL_CLOCK_IN;
	if (sfp_data(&card->sfp))
		value |= I2CCTL_DATA_IN;
	return value;
}

void x540_write_i2cctl(struct x540 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	sfp_lines(&card->sfp, (value & I2CCTL_CLOCK_OUT) != 0, (value & I2CCTL_DATA_OUT) != 0);
}
