/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts (RTL8169 datasheet 6.9, 6.10): ISR has what happened, until 1 is written to its bits;
 * IMR says what of it interrupts. There is one message, or one line.
 *
 * A message is sent when a bit that is not masked rises, or is unmasked while it is set. All that
 * happens in one turn of the loop leads to one message.
 */
#include "nicsim/rtl8168/card.h"

static uint32_t pending(const struct rtl8168 *card)
{
	return rtl8168_get(card, RTL_ISR, 2) & rtl8168_get(card, RTL_IMR, 2);
}

static void on_work(struct loop_work *work)
{
	struct rtl8168 *card =
		(struct rtl8168 *)((char *)work - offsetof(struct rtl8168, irq_work));
	enum irq_kind kind = card->fn.irqs.kind;

	irqs_line(&card->fn.irqs, pending(card) && kind != IRQ_MSI && kind != IRQ_MSIX);
	if (card->fire && pending(card))
		irqs_message(&card->fn.irqs, 0);
	card->fire = false;
}

void rtl8168_irq_init(struct rtl8168 *card)
{
	card->irq_work.run = on_work;
}

void rtl8168_irq_stop(struct rtl8168 *card)
{
	loop_defer_cancel(card->loop, &card->irq_work);
}

void rtl8168_irq_reset(struct rtl8168 *card)
{
	card->fire = false;
	card->mask = 0;
	irqs_line(&card->fn.irqs, false);
}

/* A line falls at once, so that who unmasks it in the next message is not told twice. */
static void look(struct rtl8168 *card, uint32_t risen)
{
	if (risen)
		card->fire = true;
	if (!pending(card))
		irqs_line(&card->fn.irqs, false);
	loop_defer(card->loop, &card->irq_work);
}

void rtl8168_cause(struct rtl8168 *card, uint32_t bits)
{
	uint32_t status = rtl8168_get(card, RTL_ISR, 2);

	rtl8168_put(card, RTL_ISR, 2, status | bits);
	look(card, bits & ~status & rtl8168_get(card, RTL_IMR, 2));
}

void rtl8168_irq_changed(struct rtl8168 *card)
{
	look(card, pending(card));
}

/* --- registers --- */

void rtl8168_write_imr(struct rtl8168 *card, uint32_t written)
{
	uint32_t unmasked = rtl8168_get(card, RTL_IMR, 2) & ~card->mask;

	(void)written;
	card->mask = rtl8168_get(card, RTL_IMR, 2);
	look(card, unmasked & rtl8168_get(card, RTL_ISR, 2));
}

void rtl8168_write_isr(struct rtl8168 *card, uint32_t written)
{
	rtl8168_put(card, RTL_ISR, 2, rtl8168_get(card, RTL_ISR, 2) & ~written);
	look(card, 0);
}
