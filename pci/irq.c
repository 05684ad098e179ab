/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupts as eventfds. Both ways in speak VFIO_DEVICE_SET_IRQS.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pci/function.h"

static unsigned vfio_index(enum pci_irq kind)
{
	switch (kind) {
	case PCI_IRQ_MSIX: return VFIO_PCI_MSIX_IRQ_INDEX;
	case PCI_IRQ_MSI: return VFIO_PCI_MSI_IRQ_INDEX;
	default: return VFIO_PCI_INTX_IRQ_INDEX;
	}
}

/* More cannot be (PCI Local Bus 3.0, 6.8.2.2 and 6.8.1.3). */
static unsigned most(enum pci_irq kind)
{
	switch (kind) {
	case PCI_IRQ_MSIX: return 2048;
	case PCI_IRQ_MSI: return 32;
	default: return 1;
	}
}

unsigned pci_irq_count(struct pci_function *fn, enum pci_irq kind)
{
	int count;

	if ((unsigned)kind >= PCI_IRQ_KINDS || pci_gone(fn))
		return 0;
	count = fn->backend->irq_count(fn, vfio_index(kind));
	return count > 0 && (unsigned)count <= most(kind) ? (unsigned)count : 0;
}

static int set_off(struct pci_function *fn, enum pci_irq kind)
{
	return fn->backend->irq_set(fn, vfio_index(kind),
		VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL);
}

void pci_irq_release(struct pci_function *fn)
{
	for (unsigned i = 0; i < fn->vectors; i++)
		close(fn->vector_fd[i]);
	fn->vectors = 0;
}

/* One kind at a time may be on. What is may also be a former owner's, who died with it: so all are
 * switched off; that those that were not on refuse it does not matter.
 */
void pci_irq_all_off(struct pci_function *fn)
{
	pci_irq_release(fn);
	for (enum pci_irq kind = PCI_IRQ_MSIX; kind < PCI_IRQ_KINDS; kind++) {
		if (pci_irq_count(fn, kind))
			set_off(fn, kind);
	}
}

int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[])
{
	unsigned count;
	int error;

	if (pci_gone(fn))
		return -ENODEV;
	count = pci_irq_count(fn, kind);
	if (pci_gone(fn))
		return -ENODEV;
	if (!count)
		return -ENOTSUP;
	if (!vectors || vectors > count || vectors > PCI_MAX_VECTORS)
		return -EINVAL;
	pci_irq_all_off(fn);
	for (; fn->vectors < vectors; fn->vectors++) {
		fn->vector_fd[fn->vectors] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fn->vector_fd[fn->vectors] < 0) {
			error = -errno;
			goto no_vectors;
		}
	}
	error = fn->backend->irq_set(fn, vfio_index(kind),
		VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, vectors, fn->vector_fd);
	if (error)
		goto no_vectors;
	fn->irq = kind;
	for (unsigned i = 0; i < vectors; i++)
		fd[i] = fn->vector_fd[i];
	return 0;
no_vectors:
	pci_irq_release(fn);
	return error;
}

void pci_irq_disable(struct pci_function *fn)
{
	if (!fn->vectors)
		return;
	if (!pci_gone(fn))
		set_off(fn, fn->irq);
	pci_irq_release(fn);
}

int pci_irq_unmask(struct pci_function *fn)
{
	if (pci_gone(fn))
		return -ENODEV;
	if (!fn->vectors || fn->irq != PCI_IRQ_INTX)
		return 0;
	return fn->backend->irq_set(fn, VFIO_PCI_INTX_IRQ_INDEX,
		VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 1, NULL);
}
