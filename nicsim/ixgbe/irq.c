/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts (82599 datasheet 7.3 and 8.2.3.5): causes, masks, automatic clearing and masking, and
 * the vectors they lead to.
 *
 * With multiple MSI-X vectors a queue's cause has the number of its vector, 0 to 63; EICR and its
 * companions show those below 16. Otherwise IVAR names a bit of EICR, 0 to 15, and all causes
 * together make one interrupt.
 *
 * A message is sent for an event, not for a state: each event on a vector that is not masked leads
 * to one, and those that fall into the vector's EITR interval, or into one turn of the loop, to one
 * together. An event on a masked vector waits for the mask.
 */
#include "nicsim/ixgbe/card.h"

#define AUTO_CLEAR_LOW 0xffffull /* vectors that EIAC governs; the others always clear */

static bool multiple(const struct ixgbe *card)
{
	return card->fn.irqs.kind == IRQ_MSIX && (card->reg[GPIE / 4] & GPIE_MULTIPLE_MSIX);
}

/* The vector of the causes that are not a queue's; -1: none. */
static int other_vector(const struct ixgbe *card, uint32_t cause)
{
	uint32_t misc = card->reg[IVAR_MISC / 4];

	if (!(cause & EICR_TIMER))
		misc >>= 8;
	return misc & IVAR_VALID ? (int)(misc & IVAR_VECTOR) : -1;
}

/* The vectors that these causes lead to; without multiple ones there is vector 0. */
static uint64_t vectors(const struct ixgbe *card, uint64_t queues, uint32_t other)
{
	int misc = other & ~EICR_TIMER ? other_vector(card, 0) : -1;
	int timer = other & EICR_TIMER ? other_vector(card, EICR_TIMER) : -1;

	if (!multiple(card))
		return (queues & EICR_QUEUES) || other ? 1 : 0;
	if (misc >= 0)
		queues |= 1ull << misc;
	if (timer >= 0)
		queues |= 1ull << timer;
	return queues;
}

/* Those of everything that is pending and not masked. */
static uint64_t ready(const struct ixgbe *card)
{
	const struct ixgbe_irq *irq = &card->irq;

	return vectors(
		card, irq->queue_cause & irq->queue_mask, irq->other_cause & irq->other_mask);
}

/* What a message does to the causes that led to it. */
static void acknowledge(struct ixgbe *card, unsigned vector)
{
	struct ixgbe_irq *irq = &card->irq;
	uint32_t eiac = card->reg[EIAC / 4];
	uint64_t clear = (eiac & EICR_QUEUES) | ~AUTO_CLEAR_LOW;
	bool other = other_vector(card, 0) == (int)vector;
	uint64_t bit = 1ull << vector;

	if (card->reg[GPIE / 4] & GPIE_EIAME) {
		irq->queue_mask &= ~(bit & irq->queue_auto_mask);
		if (other)
			irq->other_mask &= ~irq->other_auto_mask;
	}
	irq->queue_cause &= ~(bit & clear);
	if (other)
		irq->other_cause &= ~(eiac & ~EICR_QUEUES);
}

static uint64_t interval(const struct ixgbe *card, unsigned vector)
{
	return EITR_INTERVAL(card->reg[EITR(vector) / 4]) * EITR_UNIT;
}

uint64_t ixgbe_irq_interval(struct ixgbe *card, unsigned queue, bool tx)
{
	uint32_t entry = card->reg[IVAR(queue / 2) / 4] >> (16 * (queue & 1) + (tx ? 8 : 0));

	return interval(card, multiple(card) ? entry & IVAR_VECTOR : 0);
}

/* Whether EITR lets the vector wait; then *wait is at most what is left of it. */
static bool waits(const struct ixgbe *card, unsigned vector, uint64_t now, uint64_t *wait)
{
	uint64_t next = card->irq.next[vector];

	if (next <= now || next - now > interval(card, vector))
		return false;
	if (next - now < *wait)
		*wait = next - now;
	return true;
}

/* INTx: the line follows the causes, but for rising again too early. */
static void set_line(struct ixgbe *card)
{
	struct ixgbe_irq *irq = &card->irq;
	uint64_t wait = UINT64_MAX;

	if (!ready(card) || card->fn.irqs.line || interval(card, 0) == 0) {
		irqs_line(&card->fn.irqs, ready(card) != 0);
		return;
	}
	if (waits(card, 0, loop_now(), &wait)) {
		loop_timer_set(card->loop, &irq->timer, wait);
		return;
	}
	irq->next[0] = loop_now() + interval(card, 0);
	irqs_line(&card->fn.irqs, true);
}

/* Sends what may be sent now; sets the timer for what may not yet. */
static void deliver(struct ixgbe *card)
{
	struct ixgbe_irq *irq = &card->irq;
	uint64_t fire = irq->fire & ready(card);
	uint64_t now, wait = UINT64_MAX;

	if (card->fn.irqs.kind != IRQ_MSI && card->fn.irqs.kind != IRQ_MSIX) {
		set_line(card);
		return;
	}
	now = fire ? loop_now() : 0;
	for (unsigned vector = 0; fire && vector < IRQ_VECTORS; vector++) {
		uint64_t bit = 1ull << vector;

		if (!(fire & bit))
			continue;
		fire &= ~bit;
		if (waits(card, vector, now, &wait))
			continue;
		irq->fire &= ~bit;
		irq->next[vector] = now + interval(card, vector);
		if (multiple(card))
			acknowledge(card, vector);
		irqs_message(&card->fn.irqs, vector);
	}
	if (wait != UINT64_MAX)
		loop_timer_set(card->loop, &irq->timer, wait);
}

static void on_work(struct loop_work *work)
{
	struct ixgbe *card = (struct ixgbe *)((char *)work - offsetof(struct ixgbe, irq.work));

	deliver(card);
}

static void on_timer(struct loop_timer *timer)
{
	struct ixgbe *card = (struct ixgbe *)((char *)timer - offsetof(struct ixgbe, irq.timer));

	deliver(card);
}

void ixgbe_irq_init(struct ixgbe *card)
{
	card->irq.work.run = on_work;
	card->irq.timer.fire = on_timer;
}

void ixgbe_irq_stop(struct ixgbe *card)
{
	loop_defer_cancel(card->loop, &card->irq.work);
	loop_timer_cancel(card->loop, &card->irq.timer);
}

void ixgbe_irq_reset(struct ixgbe *card)
{
	struct ixgbe_irq *irq = &card->irq;

	irq->queue_cause = irq->queue_mask = irq->queue_auto_mask = 0;
	irq->other_cause = irq->other_mask = irq->other_auto_mask = 0;
	irq->fire = 0;
	for (unsigned i = 0; i < IRQ_VECTORS; i++)
		irq->next[i] = 0;
	irqs_line(&card->fn.irqs, false);
}

/* Something happened on vectors that are not masked; the messages go out when the turn's work is
 * done.
 */
static void event(struct ixgbe *card, uint64_t which)
{
	card->irq.fire |= which;
	loop_defer(card->loop, &card->irq.work);
}

/* Queue causes by number, others by bit, as if the hardware had set them. */
static void set_causes(struct ixgbe *card, uint64_t queues, uint32_t other)
{
	struct ixgbe_irq *irq = &card->irq;

	irq->queue_cause |= queues;
	irq->other_cause |= other;
	event(card, vectors(card, queues & irq->queue_mask, other & irq->other_mask));
}

void ixgbe_cause(struct ixgbe *card, uint32_t bits)
{
	set_causes(card, 0, bits);
}

void ixgbe_cause_queue(struct ixgbe *card, unsigned queue, bool tx)
{
	uint32_t entry = card->reg[IVAR(queue / 2) / 4] >> (16 * (queue & 1) + (tx ? 8 : 0));

	if (entry & IVAR_VALID)
		set_causes(card, 1ull << (entry & (multiple(card) ? IVAR_VECTOR : 15u)), 0);
}

/* The kind of interrupts changed, or a mask: events that waited may go. */
void ixgbe_irq_changed(struct ixgbe *card)
{
	event(card, ready(card));
}

static void mask(struct ixgbe *card, uint64_t queues, uint32_t other)
{
	card->irq.queue_mask &= ~queues;
	card->irq.other_mask &= ~other;
	loop_defer(card->loop, &card->irq.work); /* a line may have to fall */
}

static void unmask(struct ixgbe *card, uint64_t queues, uint32_t other)
{
	struct ixgbe_irq *irq = &card->irq;

	queues &= ~irq->queue_mask;
	other &= ~irq->other_mask;
	irq->queue_mask |= queues;
	irq->other_mask |= other;
	event(card, vectors(card, queues & irq->queue_cause, other & irq->other_cause));
}

/* Reading or writing EICR masks what EIAM says, where messages do not (8.2.3.5.6). */
static void auto_mask(struct ixgbe *card)
{
	if (!(card->reg[GPIE / 4] & GPIE_EIAME))
		mask(card, card->irq.queue_auto_mask, card->irq.other_auto_mask);
}

static void clear_causes(struct ixgbe *card, uint32_t bits)
{
	card->irq.queue_cause &= ~(uint64_t)(bits & EICR_QUEUES);
	card->irq.other_cause &= ~(bits & ~EICR_QUEUES);
	if (card->fn.irqs.kind != IRQ_MSI && card->fn.irqs.kind != IRQ_MSIX)
		set_line(card);
}

static uint32_t causes(const struct ixgbe *card)
{
	return (uint32_t)(card->irq.queue_cause & EICR_QUEUES) | card->irq.other_cause;
}

uint32_t ixgbe_read_eicr(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = causes(card);

	(void)offset;
	auto_mask(card);
	clear_causes(card, card->reg[GPIE / 4] & GPIE_OCD ? EICR_OTHER : 0xffffffff);
	return value;
}

void ixgbe_write_eicr(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	auto_mask(card);
	clear_causes(card, value);
}

uint32_t ixgbe_read_mask(struct ixgbe *card, uint32_t offset)
{
	const struct ixgbe_irq *irq = &card->irq;

	switch (offset) {
	/* The causes without clearing them: how Linux's driver steps round an erratum. */
	case EICS: return causes(card);
	case EIMS: return (uint32_t)(irq->queue_mask & EICR_QUEUES) | irq->other_mask;
	case EIAM: return (uint32_t)(irq->queue_auto_mask & EICR_QUEUES) | irq->other_auto_mask;
	case EIMS_EX(0): return (uint32_t)irq->queue_mask;
	case EIMS_EX(1): return (uint32_t)(irq->queue_mask >> 32);
	case EIAM_EX(0): return (uint32_t)irq->queue_auto_mask;
	case EIAM_EX(1): return (uint32_t)(irq->queue_auto_mask >> 32);
	default: return 0; /* write-only */
	}
}

void ixgbe_write_mask(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	struct ixgbe_irq *irq = &card->irq;
	uint32_t other = value & 0x7fff0000, low = value & EICR_QUEUES;
	uint64_t high = (uint64_t)value << 32;

	switch (offset) {
	case EICS:
		if (!(card->reg[GPIE / 4] & GPIE_EIAME))
			unmask(card, low & irq->queue_auto_mask, other & irq->other_auto_mask);
		set_causes(card, low, other);
		break;
	case EICS_EX(0): set_causes(card, value, 0); break;
	case EICS_EX(1): set_causes(card, high, 0); break;
	case EIMS: unmask(card, low, other); break;
	case EIMS_EX(0): unmask(card, value, 0); break;
	case EIMS_EX(1): unmask(card, high, 0); break;
	case EIMC: mask(card, low, other); break;
	case EIMC_EX(0): mask(card, value, 0); break;
	case EIMC_EX(1): mask(card, high, 0); break;
	case EIAM:
		irq->queue_auto_mask = (irq->queue_auto_mask & ~(uint64_t)EICR_QUEUES) | low;
		irq->other_auto_mask = other;
		break;
	case EIAM_EX(0):
		irq->queue_auto_mask = (irq->queue_auto_mask & ~0xffffffffull) | value;
		break;
	default: irq->queue_auto_mask = (irq->queue_auto_mask & 0xffffffffull) | high; break;
	}
}

/* EITR: the interval, and a counter of what is left of it, which a write sets unless CNT_WDIS is
 * set (82599 datasheet 8.2.3.5.12).
 */
static unsigned vector_of(uint32_t offset)
{
	return offset < EITR(24) ? (offset - EITR(0)) / 4 : 24 + (offset - EITR(24)) / 4;
}

uint32_t ixgbe_read_eitr(struct ixgbe *card, uint32_t offset)
{
	uint32_t value = *ixgbe_reg(card, offset);
	unsigned vector = vector_of(offset);
	uint64_t wait = UINT64_MAX;

	if (vector < IRQ_VECTORS && waits(card, vector, loop_now(), &wait))
		value |= EITR_COUNTER((uint32_t)(wait / EITR_UNIT));
	return value;
}

void ixgbe_write_eitr(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	unsigned vector = vector_of(offset);

	if (vector >= IRQ_VECTORS || value & EITR_KEEP_COUNTER)
		return;
	card->irq.next[vector] = loop_now() + EITR_LEFT(value) * EITR_UNIT;
	loop_defer(card->loop, &card->irq.work);
}
