/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The link: up when the wire has carrier and this end sends. A copper PHY sends unless it is in low
 * power; an 82599 sends through its module's laser (SDP3), or over its backplane, in the mode that
 * AUTOC says.
 */
#include "nicsim/ixgbe/card.h"

/* Whether the module is there, sends, and does so at the speed that AUTOC asks for. */
static bool module_sends(const struct ixgbe *card)
{
	bool slow = ixgbe_link_mbit(card) == 1000;

	if (card->reg[ESDP / 4] & ESDP_LASER_OFF)
		return false;
	switch (card->sfp.kind) {
	case SFP_NONE:
	case SFP_FC: return false;
	case SFP_1G_T:
	case SFP_1G_SX:
	case SFP_1G_LX: return slow;
	case SFP_COPPER:
	case SFP_FOREIGN: return !slow;
	default: return true;
	}
}

/* What the other end of the cable sees of us. The PHY answers while the MAC is reset. */
static bool sends(const struct ixgbe *card)
{
	if (card->pulled)
		return false;
	if (card->model->media == MEDIA_COPPER)
		return !card->phy.low_power;
	if (card->reg[AUTOC2 / 4] & AUTOC2_LINK_DISABLE)
		return false;
	return card->model->media == MEDIA_KX4 || module_sends(card);
}

bool ixgbe_link(const struct ixgbe *card)
{
	return card->carrier && sends(card);
}

unsigned ixgbe_link_mbit(const struct ixgbe *card)
{
	uint32_t mode = card->reg[AUTOC / 4] & AUTOC_LMS;

	if (card->model->media == MEDIA_COPPER)
		return 10000;
	return mode == AUTOC_LMS_1G || mode == AUTOC_LMS_1G_AN ? 1000 : 10000;
}

/* Something that decides on the link may have changed: the wire hears of it, the driver, too. */
void ixgbe_link_changed(struct ixgbe *card)
{
	bool was = card->linked;

	if (card->wire) { /* which may say at once what carrier there is */
		wire_set_speed(
			card->wire, card->model->media == MEDIA_SFP ? ixgbe_link_mbit(card) : 0);
		wire_set_link(card->wire, sends(card));
	}
	card->linked = ixgbe_link(card);
	if (!card->linked) {
		card->link_fell = true;
		pause_link_down(&card->pause);
	}
	if (card->linked != was)
		ixgbe_cause(card, EICR_LSC);
	/* The MAC sends into nothing while there is no link, and goes on when it is back. */
	if (card->linked && !was)
		ixgbe_tx_sendable(card);
}

void ixgbe_carrier(void *ctx, bool up)
{
	struct ixgbe *card = ctx;

	if (card->carrier == up)
		return;
	card->carrier = up;
	ixgbe_link_changed(card);
}

void ixgbe_pull_cable(struct ixgbe *card, bool pulled)
{
	card->pulled = pulled;
	ixgbe_link_changed(card);
}

uint32_t ixgbe_read_links(struct ixgbe *card, uint32_t offset)
{
	bool up = ixgbe_link(card);
	uint32_t value = 0;

	(void)offset;
	if (up)
		value = LINKS_NOW | LINKS_AN_DONE |
			(ixgbe_link_mbit(card) == 1000 ? LINKS_SPEED_1G : LINKS_SPEED);
	if (up && !card->link_fell)
		value |= LINKS_UP;
	card->link_fell = !up;
	return value;
}

/* --- the 82599's own --- */

/* As its EEPROM has it: by its media. */
void ixgbe_link_reset(struct ixgbe *card)
{
	if (card->model->media == MEDIA_SFP) {
		card->reg[AUTOC / 4] = 0xc09c0004 | AUTOC_LMS_10G_SERIAL;
		card->reg[AUTOC2 / 4] = AUTOC2_SFI;
	} else if (card->model->media == MEDIA_KX4) {
		card->reg[AUTOC / 4] = 0xc09c0004 | AUTOC_LMS_KX4;
	}
	ixgbe_link_changed(card);
}

/* A restart of negotiation is over at once; it is seen as a link that fell and is back. */
void ixgbe_write_autoc(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	*ixgbe_reg(card, offset) &= ~AUTOC_RESTART;
	if ((value & AUTOC_RESTART) && card->linked) {
		card->link_fell = true;
		ixgbe_cause(card, EICR_LSC);
	}
	ixgbe_link_changed(card);
}

void ixgbe_write_link(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	(void)value;
	ixgbe_link_changed(card);
}

/* Pins: SDP2 tells that there is a module (82599 datasheet 3.7.3.1, as Linux has it wired). */
uint32_t ixgbe_read_esdp(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset) & ~ESDP_MODULE;

	if (card->model->media == MEDIA_SFP && card->sfp.kind != SFP_NONE)
		value |= ESDP_MODULE;
	return value;
}

void ixgbe_plug_module(struct ixgbe *card, enum sfp_kind kind)
{
	bool had = card->sfp.kind != SFP_NONE;

	sfp_plug(&card->sfp, kind);
	ixgbe_link_changed(card);
	if (had != (kind != SFP_NONE) && card->reg[GPIE / 4] & GPIE_SDP2)
		ixgbe_cause(card, EICR_SDP2);
}

/* The two lines to the module are read as they are, whoever pulls them down. */
uint32_t ixgbe_read_i2cctl(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset) & (I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT);

	if (value & I2CCTL_CLOCK_OUT)
		value |= I2CCTL_CLOCK_IN;
	if (sfp_data(&card->sfp))
		value |= I2CCTL_DATA_IN;
	return value;
}

void ixgbe_write_i2cctl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	card->sfp.dark = card->pulled || !wire_lit(card->wire);
	sfp_lines(&card->sfp, (value & I2CCTL_CLOCK_OUT) != 0, (value & I2CCTL_DATA_OUT) != 0);
}
