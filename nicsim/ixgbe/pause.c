/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Flow control of the link (IEEE 802.3 annex 31B; 82599 datasheet 3.7.7.3): pause frames hold what
 * this end sends, and are sent when the packet buffer fills. That of priorities (PFC) is not there,
 * as there is one traffic class.
 */
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/ixgbe/card.h"

#define TYPE_CONTROL 0x8808u
#define OPCODE_PAUSE 0x0001u
#define FRAME_LEN    60u
#define QUANTUM      512u /* bit times */

static const uint8_t group[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x01};

static uint64_t quanta_ns(const struct ixgbe *card, uint32_t quanta)
{
	return (uint64_t)quanta * QUANTUM * 1000 / ixgbe_link_mbit(card);
}

static void station_address(struct ixgbe *card, uint8_t address[6])
{
	uint32_t low = *ixgbe_reg(card, RAL(0)), high = *ixgbe_reg(card, RAH(0));

	for (unsigned i = 0; i < 4; i++)
		address[i] = (uint8_t)(low >> 8 * i);
	address[4] = (uint8_t)high;
	address[5] = (uint8_t)(high >> 8);
}

/* --- received --- */

bool ixgbe_pause_holds(const struct ixgbe *card)
{
	return card->pause.held.armed;
}

static void go_on(struct ixgbe *card)
{
	loop_timer_cancel(card->loop, &card->pause.held);
	ixgbe_tx_go_on(card);
}

static void on_held(struct loop_timer *timer)
{
	go_on((struct ixgbe *)((char *)timer - offsetof(struct ixgbe, pause.held)));
}

static void obey(struct ixgbe *card, uint32_t quanta)
{
	ixgbe_count(card, quanta ? LXOFFRXCNT : LXONRXCNT);
	if (quanta)
		loop_timer_set(card->loop, &card->pause.held, quanta_ns(card, quanta));
	else
		go_on(card);
}

/* By MFLCN: DPF counts only where flow control is on, PMCF is about what is no pause
 * frame.
 */
bool ixgbe_pause_take(struct ixgbe *card, const uint8_t *frame)
{
	uint32_t control = *ixgbe_reg(card, MFLCN);
	unsigned opcode = sim_be16(frame + 14);
	uint8_t station[6];

	if (sim_be16(frame + 12) != TYPE_CONTROL)
		return false;
	station_address(card, station);
	if (memcmp(frame, group, 6) != 0 && memcmp(frame, station, 6) != 0)
		return false;
	if (opcode != OPCODE_PAUSE)
		return !(control & MFLCN_PASS_CONTROL);
	if (!(control & MFLCN_RFCE))
		return false;
	obey(card, sim_be16(frame + 16));
	return control & MFLCN_DISCARD_PAUSE;
}

uint32_t ixgbe_read_tfcs(struct ixgbe *card, uint32_t offset)
{
	(void)offset;
	return ixgbe_pause_holds(card) ? TFCS_TXOFF : 0;
}

/* --- sent --- */

bool ixgbe_pause_sends(const struct ixgbe *card)
{
	return FCCFG_TFCE(card->reg[FCCFG / 4]) == FCCFG_TFCE_LINK &&
	       card->reg[FCRTH(0u) / 4] & FCRTH_ENABLE;
}

static void owe(struct ixgbe *card, enum ixgbe_owed what)
{
	card->pause.owed = what;
	loop_defer(card->loop, &card->pause.work);
}

void ixgbe_pause_level(struct ixgbe *card)
{
	struct ixgbe_pause *pause = &card->pause;
	uint32_t low = card->reg[FCRTL(0u) / 4], used = card->rx.used;

	if (!ixgbe_pause_sends(card)) {
		pause->above = false;
		return;
	}
	if (!pause->above && used >= FCRT_BYTES(card->reg[FCRTH(0u) / 4])) {
		pause->above = true;
		owe(card, OWES_XOFF);
	} else if (pause->above && used <= FCRT_BYTES(low)) {
		pause->above = false;
		loop_timer_cancel(card->loop, &pause->refresh);
		if (low & FCRTL_XON)
			owe(card, OWES_XON);
		else
			pause->owed = OWES_NOTHING;
	}
}

/* Again before it runs out at the other end: FCRTV quanta before (8.2.3.3.5). */
static void set_refresh(struct ixgbe *card)
{
	uint32_t time = card->reg[FCTTV / 4] & 0xffff, before = card->reg[FCRTV / 4];

	if (before && before < time)
		loop_timer_set(card->loop, &card->pause.refresh, quanta_ns(card, time - before));
}

static void on_refresh(struct loop_timer *timer)
{
	struct ixgbe *card =
		(struct ixgbe *)((char *)timer - offsetof(struct ixgbe, pause.refresh));

	if (ixgbe_pause_sends(card))
		owe(card, OWES_XOFF);
}

static void on_work(struct loop_work *work)
{
	struct ixgbe *card = (struct ixgbe *)((char *)work - offsetof(struct ixgbe, pause.work));
	struct ixgbe_pause *pause = &card->pause;
	bool off = pause->owed == OWES_XOFF;
	uint32_t time = off ? card->reg[FCTTV / 4] & 0xffff : 0;
	uint8_t frame[FRAME_LEN] = {0};

	if (pause->owed == OWES_NOTHING)
		return;
	if (!ixgbe_link(card) || *ixgbe_reg(card, HLREG0) & HLREG0_LOOPBACK) {
		pause->owed = OWES_NOTHING; /* there is nobody to be held */
		return;
	}
	memcpy(frame, group, 6);
	station_address(card, frame + 6);
	frame[12] = TYPE_CONTROL >> 8;
	frame[13] = TYPE_CONTROL & 0xff;
	frame[15] = OPCODE_PAUSE;
	frame[16] = (uint8_t)(time >> 8);
	frame[17] = (uint8_t)time;
	if (wire_send(card->wire, frame, FRAME_LEN) < 0)
		return; /* it is owed until there is room */
	pause->owed = OWES_NOTHING;
	ixgbe_count(card, off ? LXOFFTXC : LXONTXC);
	ixgbe_count_tx_mac(card, frame, FRAME_LEN);
	if (off)
		set_refresh(card);
}

void ixgbe_pause_sendable(struct ixgbe *card)
{
	if (card->pause.owed != OWES_NOTHING)
		loop_defer(card->loop, &card->pause.work);
}

/* --- life --- */

void ixgbe_pause_init(struct ixgbe *card)
{
	card->pause.held.fire = on_held;
	card->pause.refresh.fire = on_refresh;
	card->pause.work.run = on_work;
}

void ixgbe_pause_link_down(struct ixgbe *card)
{
	ixgbe_pause_stop(card);
	ixgbe_tx_go_on(card);
}

void ixgbe_pause_stop(struct ixgbe *card)
{
	loop_timer_cancel(card->loop, &card->pause.held);
	loop_timer_cancel(card->loop, &card->pause.refresh);
	loop_defer_cancel(card->loop, &card->pause.work);
	card->pause.owed = OWES_NOTHING;
	card->pause.above = false;
}
