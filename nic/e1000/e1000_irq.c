/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts. With two vectors of MSI-X the first is the queue's and the second the link's: the
 * card masks and clears the queue's causes as it sends their message, and an interrupt costs no
 * register access. With one vector (MSI, INTx, a poor MSI-X) the causes are masked and read here.
 *
 * No wake-up is lost: a cause is latched in ICR also while masked, so that arming with one pending
 * sends the interrupt at once; and what was latched before the causes were read lies in the rings
 * already, where the caller looks after nic_irq_ack().
 */
#include <errno.h>

#include "nic/e1000/e1000.h"

/* At most one interrupt of the queue in 20 us, so that sparse traffic cannot take more than 50,000
 * wake-ups a second; the first after a silence comes at once.
 */
#define THROTTLE_US  20u
#define THROTTLE_ITR (THROTTLE_US * 1000u / 256u)

#define VECTOR_QUEUE 0u
#define VECTOR_LINK  1u

static bool split(const struct e1000 *dev)
{
	return dev->nic.irq.vectors > 1;
}

void e1000_irq_mask(struct e1000 *dev)
{
	reg_write(&dev->nic.bar, IMC, UINT32_MAX);
	if (dev->model->family == E1000_82576)
		reg_write(&dev->nic.bar, EIMC, UINT32_MAX);
	(void)reg_read(&dev->nic.bar, ICR);
}

/* 82574 datasheet 7.4: a message tells of one of its causes, which clears (EIAC) and masks (IAM)
 * itself.
 */
static void program_82574(struct e1000 *dev)
{
	if (dev->nic.irq.kind != PCI_IRQ_MSIX)
		return;
	reg_write(&dev->nic.bar, IVAR_82574,
		(VECTOR_QUEUE | IVAR_ENABLED) | (VECTOR_QUEUE | IVAR_ENABLED) << IVAR_TX |
			((split(dev) ? VECTOR_LINK : VECTOR_QUEUE) | IVAR_ENABLED) << IVAR_OTHER);
	reg_write(&dev->nic.bar, EITR_82574(VECTOR_QUEUE), THROTTLE_ITR);
	reg_write(&dev->nic.bar, IAM, split(dev) ? IRQ_RXQ0 | IRQ_TXQ0 : 0);
	reg_write(&dev->nic.bar, EIAC_82574, split(dev) ? IRQ_RXQ0 | IRQ_TXQ0 : 0);
	reg_set(&dev->nic.bar, CTRL_EXT, CTRL_EXT_EIAME | CTRL_EXT_PBA_CLR);
}

/* 82576 datasheet 7.3: as on the 82599. With MSI and INTx the causes are those of 1998. */
static void program_82576(struct e1000 *dev)
{
	if (dev->nic.irq.kind != PCI_IRQ_MSIX) {
		reg_write(&dev->nic.bar, GPIE, 0);
		return;
	}
	reg_write(&dev->nic.bar, GPIE, GPIE_MSIX | GPIE_EIAME | GPIE_PBA_SUPPORT);
	reg_write(&dev->nic.bar, IVAR0, (VECTOR_QUEUE | IVAR_VALID) * 0x0101u);
	reg_write(&dev->nic.bar, IVAR_MISC,
		((split(dev) ? VECTOR_LINK : VECTOR_QUEUE) | IVAR_VALID) << 8);
	reg_write(&dev->nic.bar, EITR(VECTOR_QUEUE), THROTTLE_US << 2 | EITR_CNT_IGNR);
	reg_write(&dev->nic.bar, EIAC, BIT(VECTOR_QUEUE));
	reg_write(&dev->nic.bar, EIAM, BIT(VECTOR_QUEUE) | BIT(VECTOR_LINK));
}

static void program(struct e1000 *dev)
{
	switch (dev->model->family) {
	case E1000_82574: program_82574(dev); break;
	case E1000_82576: program_82576(dev); break;
	default: break;
	}
	if (dev->nic.irq.kind != PCI_IRQ_MSIX)
		reg_write(&dev->nic.bar, ITR, THROTTLE_ITR);
}

int e1000_irq_start(struct e1000 *dev)
{
	int rc = nic_irq_enable(&dev->nic);

	if (!rc && dev->nic.irq.vectors)
		program(dev);
	return rc;
}

void e1000_irq_stop(struct e1000 *dev)
{
	e1000_irq_mask(dev);
	nic_irq_disable(&dev->nic);
}

/* The causes, which are cleared. Older cards do so when they are read; the 82574 not always
 * (10.2.4.1), thus by writing them, too.
 */
static uint32_t take_causes(struct e1000 *dev)
{
	uint32_t causes = reg_read(&dev->nic.bar, ICR);

	if (dev->model->family != E1000_8254X)
		reg_write(&dev->nic.bar, ICR, causes);
	return causes;
}

static void arm_link(struct e1000 *dev)
{
	if (dev->model->family == E1000_82574) {
		reg_write(&dev->nic.bar, IMS, IRQ_LSC | IRQ_OTHER);
	} else {
		reg_write(&dev->nic.bar, IMS, IRQ_LSC);
		reg_write(&dev->nic.bar, EIMS, BIT(VECTOR_LINK));
	}
}

int e1000_irq_ack(struct nic *nic, size_t which)
{
	struct e1000 *dev = e1000_of(nic);
	uint32_t queues = IRQ_QUEUES | IRQ_RXQ0 | IRQ_TXQ0;
	uint32_t causes;
	int events = 0;

	if (pci_gone(nic->fn))
		return -ENODEV;
	if (split(dev) && which == VECTOR_QUEUE)
		return NIC_EVENT_QUEUES; /* masked and cleared by the card */

	if (!split(dev))
		reg_write(&dev->nic.bar, IMC, UINT32_MAX);
	causes = take_causes(dev);
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (causes & IRQ_LSC)
		events |= NIC_EVENT_LINK;
	if (!split(dev)) {
		if (causes & queues)
			events |= NIC_EVENT_QUEUES;
		return events;
	}
	/* What was read here of the queue's causes, the 82574 sends no message for any more. */
	if (dev->model->family == E1000_82574 && (causes & (IRQ_RXQ0 | IRQ_TXQ0)))
		reg_write(&dev->nic.bar, ICS, causes & (IRQ_RXQ0 | IRQ_TXQ0));
	/* A vector of its own need not wait until the queue is idle and all is armed. */
	arm_link(dev);
	return events;
}

void e1000_irq_arm(struct nic *nic)
{
	struct e1000 *dev = e1000_of(nic);
	bool msix = dev->nic.irq.kind == PCI_IRQ_MSIX;

	if (!dev->nic.irq.vectors)
		return;
	if (msix && dev->model->family == E1000_82576) {
		reg_write(&dev->nic.bar, IMS, IRQ_LSC);
		reg_write(&dev->nic.bar, EIMS,
			BIT(VECTOR_QUEUE) | (split(dev) ? BIT(VECTOR_LINK) : 0));
	} else if (msix) {
		reg_write(&dev->nic.bar, IMS, IRQ_RXQ0 | IRQ_TXQ0 | IRQ_OTHER | IRQ_LSC);
	} else {
		reg_write(&dev->nic.bar, IMS, IRQ_QUEUES | IRQ_LSC);
	}
	if (dev->nic.irq.kind == PCI_IRQ_INTX)
		pci_irq_unmask(nic->fn);
}

void e1000_irq_arm_queue(struct nic *nic, unsigned index)
{
	(void)index;
	e1000_irq_arm(nic);
}
