/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts. With several vectors of MSI-X, vector i is queue i's, both directions, and the last
 * is the link's: the card masks and clears a queue's causes as it sends their message, and an
 * interrupt costs no register access. With one vector (MSI, INTx, a poor MSI-X) the causes are
 * masked and read here.
 *
 * No wake-up is lost: a cause is latched in ICR also while masked, so that arming with one pending
 * sends the interrupt at once; and what was latched before the causes were read lies in the rings
 * already, where the caller looks after nic_irq_ack().
 */
#include <errno.h>

#include "nic/e1000/e1000.h"

/* At most one interrupt of a queue in 20 us, so that sparse traffic cannot take more than 50,000
 * wake-ups a second; the first after a silence comes at once.
 */
#define THROTTLE_US  20u
#define THROTTLE_ITR (THROTTLE_US * 1000u / 256u)

static bool split(const struct e1000 *dev)
{
	return dev->nic.irq.vectors > 1;
}

/* The link's, where that is not the only one. */
static unsigned other_vector(const struct e1000 *dev)
{
	return dev->nic.irq.vectors - 1;
}

static unsigned queue_vector(const struct e1000 *dev, unsigned queue)
{
	return split(dev) ? queue : 0;
}

/* The causes of a queue of the 82574, and of all. */
static uint32_t queue_causes(unsigned queue)
{
	return IRQ_RXQ(queue) | IRQ_TXQ(queue);
}

static uint32_t all_causes(const struct e1000 *dev)
{
	uint32_t causes = 0;

	if (!e1000_is(dev, E1000_82574))
		return 0;
	for (unsigned i = 0; i < dev->nic.queues; i++)
		causes |= queue_causes(i);
	return causes;
}

/* 82576: the vectors of all queues. */
static uint32_t queue_vectors(const struct e1000 *dev)
{
	return split(dev) ? BIT(dev->nic.queues) - 1 : 1;
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
	uint32_t queues = split(dev) ? all_causes(dev) : 0;
	uint32_t ivar = (other_vector(dev) | IVAR_ENABLED) << IVAR_OTHER;

	if (dev->nic.irq.kind != PCI_IRQ_MSIX)
		return;
	for (unsigned i = 0; i < dev->nic.queues; i++) {
		uint32_t entry = queue_vector(dev, i) | IVAR_ENABLED;

		ivar |= entry << IVAR_RX(i) | entry << IVAR_TX(i);
		reg_write(&dev->nic.bar, EITR_82574(queue_vector(dev, i)), THROTTLE_ITR);
	}
	reg_write(&dev->nic.bar, IVAR_82574, ivar);
	reg_write(&dev->nic.bar, IAM, queues);
	reg_write(&dev->nic.bar, EIAC_82574, queues);
	reg_set(&dev->nic.bar, CTRL_EXT, CTRL_EXT_EIAME | CTRL_EXT_PBA_CLR);
}

/* 8.8.13 of the 82576: a register is shared by queues n and n + 8. */
static void route_82576(struct e1000 *dev, unsigned queue)
{
	unsigned shift = queue < 8 ? 0 : 16;
	uint32_t both = (queue_vector(dev, queue) | IVAR_VALID) * 0x0101u;
	uint32_t ivar = reg_read(&dev->nic.bar, IVAR(queue % 8));

	reg_write(&dev->nic.bar, IVAR(queue % 8), (ivar & ~(0xFFFFu << shift)) | both << shift);
	reg_write(&dev->nic.bar, EITR(queue_vector(dev, queue)), THROTTLE_US << 2 | EITR_CNT_IGNR);
}

/* 82576 datasheet 7.3: as on the 82599. With MSI and INTx the causes are those of 1998. */
static void program_82576(struct e1000 *dev)
{
	if (dev->nic.irq.kind != PCI_IRQ_MSIX) {
		reg_write(&dev->nic.bar, GPIE, 0);
		return;
	}
	reg_write(&dev->nic.bar, GPIE, GPIE_MSIX | GPIE_EIAME | GPIE_PBA_SUPPORT);
	for (unsigned i = 0; i < dev->nic.queues; i++)
		route_82576(dev, i);
	reg_write(&dev->nic.bar, IVAR_MISC, (other_vector(dev) | IVAR_VALID) << 8);
	reg_write(&dev->nic.bar, EIAC, queue_vectors(dev));
	reg_write(&dev->nic.bar, EIAM, queue_vectors(dev) | BIT(other_vector(dev)));
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
		reg_write(&dev->nic.bar, EIMS, BIT(other_vector(dev)));
	}
}

int e1000_irq_ack(struct nic *nic, size_t which)
{
	struct e1000 *dev = e1000_of(nic);
	uint32_t causes;
	int events = 0;

	if (pci_gone(nic->fn))
		return -ENODEV;
	if (split(dev) && which < other_vector(dev))
		return NIC_EVENT_QUEUES; /* masked and cleared by the card */

	if (!split(dev))
		reg_write(&dev->nic.bar, IMC, UINT32_MAX);
	causes = take_causes(dev);
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (causes & IRQ_LSC)
		events |= NIC_EVENT_LINK;
	if (!split(dev)) {
		if (causes & (IRQ_QUEUES | all_causes(dev)))
			events |= NIC_EVENT_QUEUES;
		return events;
	}
	/* What was read here of the queue's causes, the 82574 sends no message for any more. */
	if (causes & all_causes(dev))
		reg_write(&dev->nic.bar, ICS, causes & all_causes(dev));
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
	if (msix && e1000_is(dev, E1000_82576)) {
		reg_write(&dev->nic.bar, IMS, IRQ_LSC);
		reg_write(&dev->nic.bar, EIMS, queue_vectors(dev) | BIT(other_vector(dev)));
	} else if (msix) {
		reg_write(&dev->nic.bar, IMS, all_causes(dev) | IRQ_OTHER | IRQ_LSC);
	} else {
		reg_write(&dev->nic.bar, IMS, IRQ_QUEUES | IRQ_LSC);
	}
	if (dev->nic.irq.kind == PCI_IRQ_INTX)
		pci_irq_unmask(nic->fn);
}

/* No memory is written, so that threads with a queue each do not meet. */
void e1000_irq_arm_queue(struct nic *nic, unsigned index)
{
	struct e1000 *dev = e1000_of(nic);

	if (!split(dev))
		e1000_irq_arm(nic);
	else if (e1000_is(dev, E1000_82576))
		reg_write(&dev->nic.bar, EIMS, BIT(index));
	else
		reg_write(&dev->nic.bar, IMS, queue_causes(index));
}
