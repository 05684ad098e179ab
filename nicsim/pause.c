/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What holds, and what is owed to the other end.
 */
#include "nicsim/pause.h"

#include <stddef.h>
#include <string.h>

#include "nicsim/bytes.h"

#define OPCODE_PAUSE 0x0001u
#define QUANTUM      512u /* bit times */

static uint64_t quanta_ns(const struct pause_rules *rules, uint32_t quanta)
{
	return (uint64_t)quanta * QUANTUM * 1000 / rules->mbit;
}

/* --- received --- */

static void go_on(struct pause *pause)
{
	loop_timer_cancel(pause->loop, &pause->held);
	pause->ops->go_on(pause->card);
}

static void on_held(struct loop_timer *timer)
{
	go_on((struct pause *)((char *)timer - offsetof(struct pause, held)));
}

static void obey(struct pause *pause, const struct pause_rules *rules, uint32_t quanta)
{
	pause->ops->received(pause->card, quanta != 0);
	if (quanta)
		loop_timer_set(pause->loop, &pause->held, quanta_ns(rules, quanta));
	else
		go_on(pause);
}

bool pause_take(struct pause *pause, const struct pause_rules *rules, const uint8_t *frame)
{
	if (memcmp(frame, rules->group, 6) != 0 && memcmp(frame, rules->station, 6) != 0)
		return false;
	if (sim_be16(frame + 14) != OPCODE_PAUSE)
		return !rules->passes_control;
	if (!rules->obeys)
		return false;
	obey(pause, rules, sim_be16(frame + 16));
	return rules->discards;
}

/* --- sent --- */

static void owe(struct pause *pause, enum pause_owed what)
{
	pause->owed = what;
	loop_defer(pause->loop, &pause->work);
}

void pause_level(struct pause *pause, uint32_t used)
{
	const struct pause_levels levels = pause->ops->levels(pause->card);

	if (!levels.sends) {
		pause->above = false;
		return;
	}
	if (!pause->above && used >= levels.high) {
		pause->above = true;
		pause->again = false;
		owe(pause, PAUSE_XOFF);
	} else if (pause->above && used <= levels.low) {
		pause->above = false;
		loop_timer_cancel(pause->loop, &pause->refresh);
		if (levels.xon)
			owe(pause, PAUSE_XON);
		else
			pause->owed = PAUSE_NOTHING;
	}
}

void pause_overflow(struct pause *pause)
{
	if (!pause->above || pause->again || pause->owed == PAUSE_XOFF)
		return; /* the first is still on its way */
	pause->again = true;
	owe(pause, PAUSE_XOFF);
}

void pause_send(struct pause *pause)
{
	owe(pause, PAUSE_XOFF);
}

/* Again before it runs out at the other end. */
static void set_refresh(struct pause *pause, const struct pause_rules *rules)
{
	if (rules->before && rules->before < rules->time)
		loop_timer_set(pause->loop, &pause->refresh,
			quanta_ns(rules, rules->time - (uint32_t)rules->before));
}

static void on_refresh(struct loop_timer *timer)
{
	struct pause *pause = (struct pause *)((char *)timer - offsetof(struct pause, refresh));

	if (pause->ops->levels(pause->card).sends)
		owe(pause, PAUSE_XOFF);
}

static void on_work(struct loop_work *work)
{
	struct pause *pause = (struct pause *)((char *)work - offsetof(struct pause, work));
	const struct pause_rules rules = pause->ops->rules(pause->card);
	bool off = pause->owed == PAUSE_XOFF;
	uint32_t time = off ? rules.time : 0;
	uint8_t frame[PAUSE_FRAME] = {0};

	if (pause->owed == PAUSE_NOTHING)
		return;
	if (!pause->ops->linked(pause->card)) {
		pause->owed = PAUSE_NOTHING;
		return;
	}
	memcpy(frame, rules.group, 6);
	memcpy(frame + 6, rules.station, 6);
	sim_put_be16(frame + 12, rules.type);
	frame[15] = OPCODE_PAUSE;
	sim_put_be16(frame + 16, time);
	if (pause->ops->send(pause->card, frame, off))
		return; /* it is owed until there is room */
	pause->owed = PAUSE_NOTHING;
	if (off)
		set_refresh(pause, &rules);
}

void pause_sendable(struct pause *pause)
{
	if (pause->owed != PAUSE_NOTHING)
		loop_defer(pause->loop, &pause->work);
}

/* --- life --- */

void pause_init(struct pause *pause, const struct pause_ops *ops, void *card, struct loop *loop)
{
	*pause = (struct pause){.ops = ops,
		.card = card,
		.loop = loop,
		.held.fire = on_held,
		.refresh.fire = on_refresh,
		.work.run = on_work};
}

void pause_stop(struct pause *pause)
{
	loop_timer_cancel(pause->loop, &pause->held);
	loop_timer_cancel(pause->loop, &pause->refresh);
	loop_defer_cancel(pause->loop, &pause->work);
	pause->owed = PAUSE_NOTHING;
	pause->above = false;
}

void pause_link_down(struct pause *pause)
{
	pause_stop(pause);
	pause->ops->go_on(pause->card);
}
