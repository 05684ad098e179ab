/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card's life: opened and closed, handed from one process to the next, its queues started and
 * stopped. What a driver does of it is in its table.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "nic/driver.h"
#include "nic/state.h"

int nic_fail(struct nic *nic, int rc, const char *format, ...)
{
	char what[200];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(nic->why->text, sizeof nic->why->text, "%s %s: %s", nic->driver->name,
		pci_address(nic->fn), what);
	return rc;
}

int nic_wait(struct nic *nic, uint32_t reg, uint32_t mask, uint32_t value, unsigned timeout_us,
	const char *what, const char *where)
{
	int rc = reg_poll(&nic->bar, reg, mask, value, timeout_us);

	if (rc == -ETIMEDOUT)
		return nic_fail(nic, rc, "%s within %u ms (%s): power-cycle the card", what,
			timeout_us / 1000, where);
	return rc;
}

int nic_hold(struct nic *nic, uint32_t reg, uint32_t value, uint32_t mask)
{
	uint32_t found = 0;

	for (unsigned i = 0; i < 2; i++) {
		reg_write(&nic->bar, reg, value);
		found = reg_read(&nic->bar, reg);
		if (pci_gone(nic->fn))
			return -ENODEV;
		if (((found ^ value) & mask) == 0)
			return 0;
	}
	return nic_fail(nic, -EIO,
		"register 0x%05x does not keep what is written to it (0x%x becomes 0x%x): "
		"power-cycle the card",
		reg, value, found);
}

/* Whether the card reaches all of it; true: there is none. */
static bool reaches(const struct nic *nic, const struct dma_region *region)
{
	for (size_t at = 0; nic->narrow && region && at < region->size; at += DMA_CHUNK_SIZE) {
		size_t left = region->size - at;
		size_t size = left < DMA_CHUNK_SIZE ? left : DMA_CHUNK_SIZE;

		if (dma_iova(region, at) + (size - 1) > UINT32_MAX)
			return false;
	}
	return true;
}

static bool reaches_all(const struct nic *nic)
{
	const struct nic_config *config = &nic->config;
	bool all = reaches(nic, config->rings);

	for (unsigned i = 0; i < nic->queues; i++)
		all = all && reaches(nic, nic_config_frames(config, i));
	return all;
}

static void destroy(struct nic *nic)
{
	nic->driver->destroy(nic);
	pci_bar_unmap(&nic->bar);
	free(nic);
}

/* The card's books and its registers. */
static int create(struct nic **out, const struct nic_driver *driver, struct pci_function *fn,
	const struct nic_config *config, struct pci_error *why)
{
	struct nic *nic = calloc(1, driver->size);
	int rc;

	if (!nic) {
		snprintf(why->text, sizeof why->text, "%s %s: out of memory", driver->name,
			pci_address(fn));
		return -ENOMEM;
	}
	nic->driver = driver;
	nic->fn = fn;
	nic->config = *config;
	nic->queues = config->queues;
	nic->why = why;
	rc = pci_bar_map(fn, driver->bar, driver->alive, &nic->bar, why);
	if (rc) {
		free(nic);
		return rc;
	}
	if (nic->bar.size < driver->bar_bytes)
		rc = nic_fail(nic, -EIO, "BAR %u has %u bytes, not %u KiB: is it another card's?",
			driver->bar, nic->bar.size, driver->bar_bytes / 1024);
	else
		rc = driver->create(nic);
	/* In place a frame is sent from the slot that it came in. */
	if (config->in_place && nic->mtu_max > NIC_MTU_ONE_BUFFER)
		nic->mtu_max = NIC_MTU_ONE_BUFFER;
	if (!rc && config->mtu > nic->mtu_max)
		rc = nic_fail(nic, -EINVAL, "its MTU goes up to %u here, not %u", nic->mtu_max,
			config->mtu);
	if (!rc && config->offloads & ~nic->offloads)
		rc = nic_fail(nic, -EINVAL, "it has not all of the offloads 0x%x, only 0x%x",
			config->offloads, nic->offloads);
	if (!rc && !reaches_all(nic))
		rc = nic_fail(nic, -EINVAL,
			"the %s reaches the first 4 GiB alone, and its memory lies beyond: give it "
			"less, or open it first of the cards that share it",
			nic->model);
	if (rc == -ENOMEM)
		(void)nic_fail(nic, rc, "out of memory");
	if (rc) {
		destroy(nic);
		return rc;
	}
	*out = nic;
	return 0;
}

/* The end of a beginning, good or bad. */
static int settle(struct nic **out, struct nic *nic, int rc, bool started)
{
	/* A register that is read in vain shows only here. */
	if (pci_gone(nic->fn))
		rc = nic_fail(nic, -ENODEV, "the card is gone");
	if (rc) {
		if (started)
			nic->driver->stop(nic);
		destroy(nic);
		return rc;
	}
	nic->why = NULL;
	*out = nic;
	return 0;
}

int nic_open(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why)
{
	const struct nic_driver *driver;
	struct pci_error unread;
	struct nic *nic;
	int rc;

	*out = NULL;
	if (!why)
		why = &unread;
	rc = nic_choose(&driver, fn, config, why);
	if (rc)
		return rc;
	rc = pci_quiesce(fn);
	if (rc && rc != -ETIMEDOUT) { /* the driver's own reset knows what to do then */
		snprintf(why->text, sizeof why->text, "%s %s: the function cannot be quiesced",
			driver->name, pci_address(fn));
		return rc;
	}
	rc = create(&nic, driver, fn, config, why);
	if (rc)
		return rc;
	nic_state_forget(config);
	return settle(out, nic, driver->start(nic), true);
}

void nic_close(struct nic *nic)
{
	if (!nic)
		return;
	nic->driver->stop(nic);
	destroy(nic);
}

int nic_adopt(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why)
{
	const struct nic_driver *driver;
	struct pci_error unread;
	struct nic *nic;
	int rc;

	*out = NULL;
	if (!why)
		why = &unread;
	rc = nic_choose(&driver, fn, config, why);
	if (rc)
		return rc;
	if (!config->state) {
		snprintf(why->text, sizeof why->text, "%s %s: no memory with a state", driver->name,
			pci_address(fn));
		return -EINVAL;
	}
	rc = create(&nic, driver, fn, config, why);
	if (rc)
		return rc;
	rc = driver->load(nic);
	nic_state_forget(config);
	return settle(out, nic, rc ? rc : driver->resume(nic), false);
}

void nic_release(struct nic *nic)
{
	if (!nic)
		return;
	nic->driver->save(nic);
	destroy(nic);
}

int nic_check(struct nic *nic, struct pci_error *why)
{
	struct pci_error unread;
	int rc = 0;

	if (pci_gone(nic->fn))
		return -ENODEV;
	nic->why = why ? why : &unread;
	for (unsigned i = 0; nic->driver->check && i < nic->queues && !rc; i++)
		rc = nic->queue[i]->frames ? nic->driver->check(nic, i) : 0;
	if (nic->driver->check_link && !rc)
		nic->driver->check_link(nic);
	nic->why = NULL;
	return pci_gone(nic->fn) ? -ENODEV : rc;
}

int nic_queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	struct pci_error unread;
	int rc;

	if (index >= nic->queues || !frames || frames->size < NIC_BUFFER_STRIDE ||
		!reaches(nic, frames))
		return -EINVAL;
	if (pci_gone(nic->fn))
		return -ENODEV;
	if (nic->queue[index]->frames)
		return -EBUSY;
	nic->why = &unread;
	rc = nic->driver->queue_start(nic, index, frames);
	nic->why = NULL;
	return pci_gone(nic->fn) ? -ENODEV : rc;
}

int nic_queue_stop(struct nic *nic, unsigned index)
{
	int rc;

	if (index >= nic->queues)
		return -EINVAL;
	if (!nic->queue[index]->frames)
		return 0;
	rc = nic->driver->queue_stop(nic, index);
	return pci_gone(nic->fn) ? -ENODEV : rc;
}

/* --- interrupts --- */

static int enable(struct nic *nic, enum pci_irq kind)
{
	unsigned have = pci_irq_count(nic->fn, kind);
	unsigned want = nic->queues + 1;
	int rc;

	if (!have)
		return -ENOTSUP;
	if (kind != PCI_IRQ_MSIX || have < want || nic->driver->one_vector)
		want = 1;
	rc = pci_irq_enable(nic->fn, kind, want, nic->irq.fd);
	if (rc)
		return rc;
	nic->irq.kind = kind;
	nic->irq.vectors = want;
	return 0;
}

int nic_irq_enable(struct nic *nic)
{
	const struct nic_config *config = &nic->config;
	int rc = -ENOTSUP;

	if (!config->interrupts)
		return 0;
	if (config->pick_irq) {
		rc = enable(nic, config->irq);
	} else {
		/* In the order of enum pci_irq: the best first. */
		for (unsigned kind = 0; kind < PCI_IRQ_KINDS && rc == -ENOTSUP; kind++)
			rc = enable(nic, (enum pci_irq)kind);
	}
	if (rc)
		return nic_fail(nic, rc, "interrupts cannot be set up%s: use polling",
			config->pick_irq ? " in the way that was asked for" : "");
	return 0;
}

void nic_irq_disable(struct nic *nic)
{
	if (nic->irq.vectors)
		pci_irq_disable(nic->fn);
	nic->irq.vectors = 0;
}
