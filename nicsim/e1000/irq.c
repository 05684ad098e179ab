/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts (82574 datasheet 7.4, 10.2.4): causes, masks, automatic clearing and masking, and the
 * vectors they lead to.
 *
 * With MSI-X each queue has a cause of its own and all else is one more, OTHER; IVAR names the
 * vector of each. With MSI and INTx there are the causes of the family's first cards.
 *
 * A message is sent for an event, not for a state: each event on a vector that is not masked leads
 * to one, and those that fall into the vector's interval, or into one turn of the loop, to one
 * together. An event on a masked vector waits for the mask.
 */
#include "nicsim/e1000/card.h"

#define INTERVAL_UNIT 256u /* ns */
#define SOURCES       5u   /* of MSI-X */
/* What makes OTHER, whether it is masked or not (82574 specification update, erratum 12). */
#define OTHERS (E1000_CAUSE_LSC | E1000_CAUSE_RXO | E1000_CAUSE_MDAC | 0x00070000u)

static bool has_vectors(const struct e1000 *card)
{
	return card->fn.irqs.kind == IRQ_MSIX;
}

static bool has_messages(const struct e1000 *card)
{
	return has_vectors(card) || card->fn.irqs.kind == IRQ_MSI;
}

/* The causes that lead to a vector, by IVAR. */
static uint32_t sources_of(const struct e1000 *card, unsigned vector)
{
	uint32_t ivar = card->reg[E1000_IVAR / 4], causes = 0;

	for (unsigned i = 0; i < SOURCES; i++) {
		uint32_t entry = ivar >> 4 * i & 15;

		if (entry & E1000_IVAR_VALID && (entry & E1000_IVAR_VECTOR) == vector)
			causes |= E1000_CAUSE_RXQ(0) << i;
	}
	return causes;
}

/* The vectors that these causes lead to; without MSI-X there is vector 0. */
static uint32_t vectors(const struct e1000 *card, uint32_t causes)
{
	uint32_t found = 0;

	if (!has_vectors(card))
		return causes ? 1 : 0;
	for (unsigned vector = 0; vector < E1000_VECTORS; vector++) {
		if (sources_of(card, vector) & causes)
			found |= 1u << vector;
	}
	return found;
}

static uint32_t ready(const struct e1000 *card)
{
	return vectors(card, card->irq.cause & card->irq.mask);
}

static bool asserted(const struct e1000 *card)
{
	return card->irq.cause & card->irq.mask;
}

/* What a message does to the causes that led to it (10.2.4.6, 10.2.4.7). */
static void acknowledge(struct e1000 *card, unsigned vector)
{
	struct e1000_irq *irq = &card->irq;
	uint32_t sources = sources_of(card, vector);

	irq->cause &= ~(sources & irq->cause & card->reg[E1000_EIAC / 4]);
	if (card->reg[E1000_CTRL_EXT / 4] & E1000_CTRL_EXT_EIAME)
		irq->mask &= ~(sources & card->reg[E1000_IAM / 4]);
}

static uint64_t interval(const struct e1000 *card, unsigned vector)
{
	uint32_t reg = has_vectors(card) ? E1000_EITR(vector) : E1000_ITR;

	return (uint64_t)card->reg[reg / 4] * INTERVAL_UNIT;
}

/* Whether the vector has to wait; then *wait is at most what is left of it. */
static bool waits(const struct e1000 *card, unsigned vector, uint64_t now, uint64_t *wait)
{
	uint64_t next = card->irq.next[vector];

	if (next <= now || next - now > interval(card, vector))
		return false;
	if (next - now < *wait)
		*wait = next - now;
	return true;
}

/* INTx: the line follows the causes, but for rising again too early. */
static void set_line(struct e1000 *card)
{
	struct e1000_irq *irq = &card->irq;
	uint64_t wait = UINT64_MAX, now;

	if (!asserted(card) || card->fn.irqs.line) {
		irqs_line(&card->fn.irqs, asserted(card));
		return;
	}
	now = loop_now();
	if (waits(card, 0, now, &wait)) {
		loop_timer_set(card->loop, &irq->timer, wait);
		return;
	}
	irq->next[0] = now + interval(card, 0);
	e1000_count(card, E1000_IAC);
	irqs_line(&card->fn.irqs, true);
}

/* Sends what may be sent now; sets the timer for what may not yet. */
static void deliver(struct e1000 *card)
{
	struct e1000_irq *irq = &card->irq;
	uint32_t fire = irq->fire & ready(card);
	uint64_t now, wait = UINT64_MAX;

	if (!has_messages(card)) {
		set_line(card);
		return;
	}
	now = fire ? loop_now() : 0;
	for (unsigned vector = 0; vector < E1000_VECTORS; vector++) {
		if (!(fire >> vector & 1) || waits(card, vector, now, &wait))
			continue;
		irq->fire &= ~(1u << vector);
		irq->next[vector] = now + interval(card, vector);
		if (has_vectors(card))
			acknowledge(card, vector);
		e1000_count(card, E1000_IAC);
		irqs_message(&card->fn.irqs, vector);
	}
	if (wait != UINT64_MAX)
		loop_timer_set(card->loop, &irq->timer, wait);
}

static void on_work(struct loop_work *work)
{
	struct e1000 *card = (struct e1000 *)((char *)work - offsetof(struct e1000, irq.work));

	deliver(card);
}

static void on_timer(struct loop_timer *timer)
{
	struct e1000 *card = (struct e1000 *)((char *)timer - offsetof(struct e1000, irq.timer));

	deliver(card);
}

void e1000_irq_init(struct e1000 *card)
{
	card->irq.work.run = on_work;
	card->irq.timer.fire = on_timer;
}

void e1000_irq_stop(struct e1000 *card)
{
	loop_defer_cancel(card->loop, &card->irq.work);
	loop_timer_cancel(card->loop, &card->irq.timer);
}

void e1000_irq_reset(struct e1000 *card)
{
	struct e1000_irq *irq = &card->irq;

	irq->cause = irq->mask = irq->fire = 0;
	for (unsigned i = 0; i < E1000_VECTORS; i++)
		irq->next[i] = 0;
	irqs_line(&card->fn.irqs, false);
}

/* Something happened on vectors that are not masked; the messages go out when the turn's work is
 * done.
 */
static void event(struct e1000 *card, uint32_t which)
{
	card->irq.fire |= which;
	loop_defer(card->loop, &card->irq.work);
}

void e1000_cause(struct e1000 *card, uint32_t bits)
{
	if (has_vectors(card) && bits & OTHERS)
		bits |= E1000_CAUSE_OTHER;
	card->irq.cause |= bits;
	event(card, vectors(card, bits & card->irq.mask));
}

void e1000_cause_queue(struct e1000 *card, unsigned queue, bool tx)
{
	if (has_vectors(card))
		e1000_cause(card, tx ? E1000_CAUSE_TXQ(queue) : E1000_CAUSE_RXQ(queue));
	else
		e1000_cause(card, tx ? E1000_CAUSE_TXDW : E1000_CAUSE_RXT);
}

void e1000_irq_changed(struct e1000 *card)
{
	event(card, ready(card));
}

/* --- registers --- */

static void mask(struct e1000 *card, uint32_t bits)
{
	card->irq.mask &= ~bits;
	loop_defer(card->loop, &card->irq.work); /* a line may have to fall */
}

/* Reading or writing ICR masks what IAM says, where CTRL_EXT asks for it (10.2.2.4). */
static void auto_mask(struct e1000 *card)
{
	if (card->reg[E1000_CTRL_EXT / 4] & E1000_CTRL_EXT_IAME)
		mask(card, card->reg[E1000_IAM / 4]);
}

static void clear(struct e1000 *card, uint32_t bits)
{
	card->irq.cause &= ~bits;
	if (!has_messages(card))
		set_line(card);
}

/* A read clears where an interrupt is asserted, or all is masked (10.2.4.1). */
uint32_t e1000_read_icr(struct e1000 *card, uint32_t offset)
{
	bool is_asserted = asserted(card);
	uint32_t value = card->irq.cause | (is_asserted ? E1000_ICR_ASSERTED : 0);

	(void)offset;
	if (!is_asserted && card->irq.mask)
		return value;
	if (is_asserted)
		auto_mask(card);
	clear(card, E1000_CAUSES);
	return value;
}

void e1000_write_icr(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	auto_mask(card);
	clear(card, value);
}

uint32_t e1000_read_ims(struct e1000 *card, uint32_t offset)
{
	(void)offset;
	return card->irq.mask;
}

uint32_t e1000_read_nothing(struct e1000 *card, uint32_t offset)
{
	(void)card;
	(void)offset;
	return 0;
}

void e1000_write_ims(struct e1000 *card, uint32_t offset, uint32_t value)
{
	uint32_t more = value & E1000_CAUSES & ~card->irq.mask;

	(void)offset;
	card->irq.mask |= more;
	event(card, vectors(card, more & card->irq.cause));
}

void e1000_write_imc(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	mask(card, value);
}

void e1000_write_ics(struct e1000 *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	e1000_cause(card, value & E1000_CAUSES);
}
