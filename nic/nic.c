/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The class: finds the driver of a function, checks what callers hand in, and passes calls on.
 */
#include <errno.h>
#include <stdio.h>

#include "nic/driver.h"
#include "nic/state.h"

static const struct nic_driver *const drivers[] = {
	&ixgbe_driver, &e1000_driver, &rtl8168_driver, NULL};

static const struct nic_driver *find(const struct pci_id *id, const char **why)
{
	*why = NULL;
	for (const struct nic_driver *const *driver = drivers; *driver; driver++)
		if ((*driver)->serves(id, why))
			return *driver;
	return NULL;
}

const char *nic_driver_for(const struct pci_id *id, const char **why)
{
	const char *reason = NULL;
	const struct nic_driver *driver = find(id, &reason);

	if (why)
		*why = reason;
	return driver ? driver->name : NULL;
}

static size_t align(size_t value, size_t to)
{
	return (value + to - 1) & ~(to - 1);
}

struct nic_ring_place nic_place_rings(const struct nic_config *config, unsigned index)
{
	size_t rx_bytes = (size_t)config->rx_ring * RING_DESCRIPTOR;
	size_t tx_bytes = (size_t)config->tx_ring * RING_DESCRIPTOR;
	struct nic_ring_place place = {0};

	for (unsigned i = 0; i <= index; i++) {
		place.rx = align(place.end, rx_bytes);
		place.tx = align(place.rx + rx_bytes, tx_bytes);
		place.end = place.tx + tx_bytes;
		place.heads = place.end;
		if (config->in_place)
			place.end += 2 * CACHE_LINE;
	}
	if (config->in_place == NIC_MIRROR)
		place.tx = place.rx;
	if (config->in_place == NIC_RIGHT) {
		place.tx = place.rx;
		place.rx += rx_bytes;
	}
	return place;
}

static bool ring_in_order(unsigned slots)
{
	return slots >= NIC_RING_MIN && slots <= NIC_RING_MAX && (slots & (slots - 1)) == 0;
}

static bool queues_in_order(const struct nic_config *config)
{
	return config->queues >= 1 && config->queues <= NIC_MAX_QUEUES &&
	       ring_in_order(config->rx_ring) && ring_in_order(config->tx_ring);
}

size_t nic_ring_bytes(const struct nic_config *config)
{
	if (!queues_in_order(config))
		return 0;
	return nic_place_rings(config, config->queues - 1).end +
	       (config->queues == 1 && !config->in_place ? NIC_CARD_BYTES : 0);
}

const struct dma_region *nic_config_frames(const struct nic_config *config, unsigned index)
{
	return index == 0 ? config->frames : config->queue_frames[index];
}

static bool frames_in_order(const struct nic_config *config)
{
	if (!config->frames)
		return false;
	for (unsigned i = 0; i < config->queues; i++) {
		const struct dma_region *frames = nic_config_frames(config, i);

		if (frames && frames->size < NIC_BUFFER_STRIDE)
			return false;
	}
	return true;
}

bool nic_drops(const struct nic_config *config)
{
	/* With several queues one without buffers would hold up the others. */
	return config->drop == NIC_DROP_AUTO ? config->queues > 1 : config->drop == NIC_DROP_ALWAYS;
}

static bool mtu_in_order(uint16_t mtu)
{
	return mtu >= NIC_MTU_MIN && mtu <= NIC_MTU_MAX;
}

/* What is wrong with a configuration, or NULL. */
static const char *objection(const struct nic_config *config)
{
	if (!queues_in_order(config))
		return "1 to 16 queue pairs, rings of a power of two from 64 to 4096 descriptors";
	if ((unsigned)config->in_place > NIC_RIGHT)
		return "no such way to run in place";
	if (config->in_place && config->rx_ring != config->tx_ring)
		return "rings in place are of one size";
	if (config->in_place && config->offloads)
		return "queues in place have no offloads";
	if (config->in_place && config->state)
		return "queues in place are not handed over";
	if (!mtu_in_order(config->mtu))
		return "the MTU must lie between 68 and 9710";
	if (!config->rings || config->rings->size < nic_ring_bytes(config))
		return "the ring memory is smaller than nic_ring_bytes()";
	if (!frames_in_order(config))
		return "the frame memory does not hold a single buffer";
	if (config->pause > (NIC_PAUSE_RX | NIC_PAUSE_TX) ||
		(unsigned)config->drop > NIC_DROP_ALWAYS)
		return "no such flow control";
	if (config->pick_irq && (unsigned)config->irq >= PCI_IRQ_KINDS)
		return "no such kind of interrupt";
	return NULL;
}

int nic_choose(const struct nic_driver **out, struct pci_function *fn,
	const struct nic_config *config, struct pci_error *why)
{
	const struct pci_id *id = pci_ident(fn);
	const char *reason = NULL;
	const struct nic_driver *driver = find(id, &reason);

	if (!driver) {
		snprintf(why->text, sizeof why->text, "%s: no driver for %04x:%04x%s%s",
			pci_address(fn), id->vendor, id->device, reason ? ": " : "",
			reason ? reason : "");
		return -ENOTSUP;
	}
	reason = objection(config);
	if (reason) {
		snprintf(why->text, sizeof why->text, "%s %s: bad configuration: %s", driver->name,
			pci_address(fn), reason);
		return -EINVAL;
	}
	*out = driver;
	return 0;
}

size_t nic_state_bytes(const struct nic_config *config)
{
	return queues_in_order(config) ? nic_state_size(config) : 0;
}

const struct dma_region *nic_queue_frames(const struct nic *nic, unsigned index)
{
	return index < nic->queues ? nic->queue[index]->frames : NULL;
}

struct nic_queue *nic_queue(struct nic *nic, unsigned index)
{
	return index < nic->queues ? nic->queue[index] : NULL;
}

size_t nic_rx_provide(struct nic_queue *q, const uint32_t *offsets, size_t n)
{
	return nic_queue_gone(q) ? 0 : q->verbs->rx_provide(q, offsets, n);
}

size_t nic_rx_return(struct nic_queue *q, struct frame *frames, size_t n)
{
	return nic_queue_gone(q) ? 0 : q->verbs->rx_return(q, frames, n);
}

size_t nic_tx_provide(struct nic_queue *q, const struct frame *frames, size_t n)
{
	return nic_queue_gone(q) ? 0 : q->verbs->tx_provide(q, frames, n);
}

size_t nic_tx_return(struct nic_queue *q, uint32_t *offsets, size_t n)
{
	return nic_queue_gone(q) ? 0 : q->verbs->tx_return(q, offsets, n);
}

void nic_flush(struct nic_queue *q)
{
	if (!nic_queue_gone(q))
		q->verbs->flush(q);
}

size_t nic_rx_held(const struct nic_queue *q)
{
	return ring_held(&q->rx);
}

size_t nic_tx_held(const struct nic_queue *q)
{
	return ring_held(&q->tx) - q->tx_bare;
}

void nic_held(const struct nic_queue *q, uint32_t *offsets)
{
	for (uint32_t at = q->rx.head; at != q->rx.tail; at++)
		*offsets++ = q->rx.buffer[at & q->rx.mask];
	for (uint32_t at = q->tx.head; at != q->tx.tail; at++)
		if (q->tx.buffer[at & q->tx.mask] != NO_BUFFER)
			*offsets++ = q->tx.buffer[at & q->tx.mask];
}

size_t nic_irq_fds(const struct nic *nic, int fd[])
{
	for (unsigned i = 0; i < nic->irq.vectors; i++)
		fd[i] = nic->irq.fd[i];
	return nic->irq.vectors;
}

int nic_irq_ack(struct nic *nic, size_t which)
{
	return nic->driver->irq_ack(nic, which);
}

void nic_irq_arm(struct nic *nic)
{
	nic->driver->irq_arm(nic);
}

void nic_irq_arm_queue(struct nic *nic, unsigned index)
{
	if (index < nic->queues)
		nic->driver->irq_arm_queue(nic, index);
}

size_t nic_irq_vector(const struct nic *nic, unsigned index)
{
	return index < nic->queues && nic->irq.vectors > 1 ? index : 0;
}

const char *nic_irq_name(const struct nic *nic)
{
	static const char *const names[PCI_IRQ_KINDS] = {"MSI-X", "MSI", "INTx"};

	return nic->irq.vectors ? names[nic->irq.kind] : "none";
}

bool nic_gone(const struct nic *nic)
{
	return pci_gone(nic->fn);
}

void nic_mac(const struct nic *nic, uint8_t mac[6])
{
	memcpy(mac, nic->mac, sizeof nic->mac);
}

int nic_link(struct nic *nic, struct nic_link *link)
{
	return nic->driver->link(nic, link);
}

void nic_module(const struct nic *nic, struct nic_module *module)
{
	*module = (struct nic_module){.text = ""};
	if (nic->driver->module)
		nic->driver->module(nic, module);
}

int nic_stats(struct nic *nic, struct nic_stats *stats)
{
	int rc = nic->driver->stats(nic, stats);

	stats->bad_offsets = stats->bad_writebacks = 0;
	for (unsigned i = 0; i < nic->queues; i++) {
		const struct nic_queue *q = nic->queue[i];

		stats->bad_offsets += __atomic_load_n(&q->bad_offsets, __ATOMIC_RELAXED);
		stats->bad_writebacks += __atomic_load_n(&q->bad_writebacks, __ATOMIC_RELAXED);
	}
	return rc;
}

int nic_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	*stats = (struct nic_queue_stats){0};
	return index < nic->queues ? nic->driver->queue_stats(nic, index, stats) : -EINVAL;
}

void nic_stats_add(struct nic_stats *sum, const struct nic_stats *now)
{
	sum->rx_frames += now->rx_frames;
	sum->rx_bytes += now->rx_bytes;
	sum->tx_frames += now->tx_frames;
	sum->tx_bytes += now->tx_bytes;
	sum->rx_missed += now->rx_missed;
	sum->rx_dropped += now->rx_dropped;
	sum->rx_crc_errors += now->rx_crc_errors;
	sum->rx_length_errors += now->rx_length_errors;
	sum->rx_other_errors += now->rx_other_errors;
}

int nic_set_promiscuous(struct nic *nic, bool on)
{
	nic->config.promiscuous = on;
	nic->driver->set_promiscuous(nic);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int nic_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n)
{
	if (!nic->driver->set_addresses)
		return -ENOTSUP;
	nic->driver->set_addresses(nic, addresses, addresses ? n : 0);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int nic_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n)
{
	if (!nic->driver->set_vlans)
		return -ENOTSUP;
	for (size_t i = 0; vlans && i < n; i++)
		if (vlans[i] > 4095)
			return -EINVAL;
	nic->driver->set_vlans(nic, vlans, vlans ? n : 0);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int nic_set_mtu(struct nic *nic, uint16_t mtu)
{
	if (!mtu_in_order(mtu) || mtu > nic->mtu_max)
		return -EINVAL;
	nic->config.mtu = mtu;
	nic->driver->set_mtu(nic);
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

uint16_t nic_mtu_max(const struct nic *nic)
{
	return nic->mtu_max;
}

uint32_t nic_offloads(const struct nic *nic)
{
	return nic->offloads;
}

const char *nic_model(const struct nic *nic)
{
	return nic->model;
}
