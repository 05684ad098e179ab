/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts (82599 datasheet 7.3). With MSI-X, vector i is queue i's, both directions, and the
 * last is for all else (the link); the card masks a cause when it sends its message and clears a
 * queue's: an interrupt costs no register access. With one vector (MSI, INTx, a poor MSI-X) the
 * causes are read from EICR.
 *
 * No wake-up is lost: a cause is latched in EICR also while masked, so that arming (EIMS) with one
 * pending sends the interrupt at once; and what was latched before the causes were read lies in the
 * rings already, where the caller looks after nic_irq_ack().
 */
#include <errno.h>

#include "nic/ixgbe/ixgbe.h"

/* EITR counts in steps of 2.048 us from bit 3 on (8.2.3.5.12): at most one interrupt in 20 us per
 * vector. The first one after a silence comes at once, so a lone frame does not wait; under load
 * the caller polls and arms rarely, and this bounds what is between: sparse traffic cannot take
 * more than 50,000 wake-ups a second. The link's vector: one in 500 us.
 */
#define EITR_QUEUE (10u << 3)
#define EITR_OTHER (244u << 3)

/* Causes to vectors: IVAR[n] holds RX 2n, TX 2n, RX 2n + 1, TX 2n + 1, a byte each (8.2.3.5.13). */
static void route_queue(struct ixgbe *dev, unsigned queue, unsigned vector)
{
	unsigned shift = queue % 2 * 16;
	uint32_t both = (vector | IVAR_VALID) * 0x0101u;
	uint32_t ivar = reg_read(&dev->nic.bar, IVAR(queue / 2));

	reg_write(&dev->nic.bar, IVAR(queue / 2), (ivar & ~(0xFFFFu << shift)) | both << shift);
}

/* An SFP+ cage tells that a module came or went by SDP2 (as Linux has it wired). */
static uint32_t other_causes(const struct ixgbe *dev)
{
	return IRQ_LINK | (ixgbe_has_cage(dev) ? IRQ_SDP2 : 0);
}

static void program(struct ixgbe *dev)
{
	const struct nic_irq *irq = &dev->nic.irq;
	bool split = irq->vectors > 1;
	uint32_t queues = split ? (1u << dev->nic.queues) - 1 : 1;

	for (unsigned i = 0; i < dev->nic.queues; i++) {
		route_queue(dev, i, split ? i : 0);
		reg_write(&dev->nic.bar, EITR(i), EITR_QUEUE | EITR_CNT_WDIS);
	}
	dev->irq_mask = queues | other_causes(dev);
	if (irq->kind == PCI_IRQ_MSIX) {
		unsigned other = irq->vectors - 1;

		reg_write(&dev->nic.bar, IVAR_MISC, (other | IVAR_VALID) << IVAR_MISC_OTHER_SHIFT);
		if (split)
			reg_write(&dev->nic.bar, EITR(other), EITR_OTHER | EITR_CNT_WDIS);
		/* 7.3.1.3, 7.3.1.4: clear queues and mask all as a message leaves; reading EICR
		 * leaves the queues' bits alone.
		 */
		reg_write(&dev->nic.bar, EIAC, split ? queues : 0);
		reg_write(&dev->nic.bar, EIAM, dev->irq_mask);
		reg_write(&dev->nic.bar, GPIE,
			GPIE_MSIX | GPIE_EIAME | GPIE_PBA_SUPPORT | (split ? GPIE_OCD : 0) |
				(ixgbe_has_cage(dev) ? GPIE_SDP2 : 0));
	} else {
		/* Reading EICR clears and, by EIAM, masks what it tells (7.3.1.4). */
		reg_write(&dev->nic.bar, EIAC, 0);
		reg_write(&dev->nic.bar, EIAM, dev->irq_mask);
		reg_write(&dev->nic.bar, GPIE, ixgbe_has_cage(dev) ? GPIE_SDP2 : 0);
	}
}

int ixgbe_irq_start(struct ixgbe *dev)
{
	int rc = nic_irq_enable(&dev->nic);

	if (!rc && dev->nic.irq.vectors)
		program(dev);
	return rc;
}

void ixgbe_irq_stop(struct ixgbe *dev)
{
	reg_write(&dev->nic.bar, EIMC, EIMC_ALL);
	nic_irq_disable(&dev->nic);
}

static void module_changed(struct ixgbe *dev)
{
	struct pci_error unread;

	dev->nic.why = &unread;
	ixgbe_link_renew(dev);
	dev->nic.why = NULL;
}

int ixgbe_irq_ack(struct nic *nic, size_t which)
{
	struct ixgbe *dev = ixgbe_of(nic);
	uint32_t causes;
	int events = 0;

	if (pci_gone(nic->fn))
		return -ENODEV;
	if (dev->nic.irq.vectors > 1 && which + 1 < dev->nic.irq.vectors)
		return NIC_EVENT_QUEUES; /* masked and cleared by the card */

	causes = reg_read(&dev->nic.bar, EICR);
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (dev->nic.irq.vectors == 1 && (causes & IRQ_QUEUES))
		events |= NIC_EVENT_QUEUES;
	if (causes & other_causes(dev))
		events |= NIC_EVENT_LINK;
	if (causes & IRQ_SDP2 && ixgbe_has_cage(dev))
		module_changed(dev);
	/* A vector of its own need not wait until the queues are idle and all is armed. */
	if (dev->nic.irq.vectors > 1)
		reg_write(&dev->nic.bar, EIMS, other_causes(dev));
	return events;
}

void ixgbe_irq_arm(struct nic *nic)
{
	struct ixgbe *dev = ixgbe_of(nic);

	if (!dev->nic.irq.vectors)
		return;
	reg_write(&dev->nic.bar, EIMS, dev->irq_mask);
	if (dev->nic.irq.kind == PCI_IRQ_INTX)
		pci_irq_unmask(nic->fn);
}

/* No memory is written, so that threads with a queue each do not meet. */
void ixgbe_irq_arm_queue(struct nic *nic, unsigned index)
{
	struct ixgbe *dev = ixgbe_of(nic);

	if (dev->nic.irq.vectors > 1)
		reg_write(&dev->nic.bar, EIMS, 1u << index);
	else
		ixgbe_irq_arm(nic);
}
