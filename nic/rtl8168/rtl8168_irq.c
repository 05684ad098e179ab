/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts: one vector for all causes, whatever MSI-X offers; they are masked and read here.
 *
 * No wake-up is lost: a cause is latched in ISR also while masked, so that arming with one pending
 * sends the interrupt at once; and what was latched before the causes were read lies in the rings
 * already, where the caller looks after nic_irq_ack().
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"

#define IRQ_QUEUES (IRQ_ROK | IRQ_RER | IRQ_TOK | IRQ_TER)

void rtl8168_irq_mask(struct rtl8168 *dev)
{
	reg_write16(&dev->nic.bar, IMR, 0);
	reg_write16(&dev->nic.bar, ISR, UINT16_MAX);
}

int rtl8168_irq_start(struct rtl8168 *dev)
{
	if ((dev->model->quirks & QUIRK_INTX) && dev->nic.config.interrupts) {
		if (dev->nic.config.pick_irq && dev->nic.config.irq != PCI_IRQ_INTX)
			return nic_fail(&dev->nic, -ENOTSUP,
				"a %s loses message interrupts: use INTx", dev->model->name);
		dev->nic.config.pick_irq = true;
		dev->nic.config.irq = PCI_IRQ_INTX;
	}
	return nic_irq_enable(&dev->nic);
}

void rtl8168_irq_stop(struct rtl8168 *dev)
{
	rtl8168_irq_mask(dev);
	nic_irq_disable(&dev->nic);
}

int rtl8168_irq_ack(struct nic *nic, size_t which)
{
	uint16_t causes;
	int events = 0;

	(void)which;
	if (pci_gone(nic->fn))
		return -ENODEV;
	reg_write16(&nic->bar, IMR, 0);
	causes = reg_read16(&nic->bar, ISR);
	if (pci_gone(nic->fn))
		return -ENODEV;
	/* Not SERR, which nic_check() looks for. */
	causes &= IRQ_QUEUES | IRQ_LINK;
	reg_write16(&nic->bar, ISR, causes);
	if (causes & IRQ_QUEUES)
		events |= NIC_EVENT_QUEUES;
	if (causes & IRQ_LINK)
		events |= NIC_EVENT_LINK;
	return events;
}

void rtl8168_irq_arm(struct nic *nic)
{
	if (!nic->irq.vectors)
		return;
	reg_write16(&nic->bar, IMR, IRQ_QUEUES | IRQ_LINK);
	if (nic->irq.kind == PCI_IRQ_INTX)
		pci_irq_unmask(nic->fn);
}

void rtl8168_irq_arm_queue(struct nic *nic, unsigned index)
{
	(void)index;
	rtl8168_irq_arm(nic);
}
