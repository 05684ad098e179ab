/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The words that one driver leaves to the next.
 */
#include "daemon/again.h"

#define MAGIC 0x6e696761u /* "agin" */

struct again *again_begin(void *state, struct nic_config *config, uint32_t limit, uint16_t mtu_max)
{
	struct again *again = (struct again *)(void *)((uint8_t *)state + AGAIN_OFFSET);

	if (atomic_load_explicit(&again->magic, memory_order_relaxed) == MAGIC) {
		uint32_t mtu = atomic_load_explicit(&again->mtu, memory_order_relaxed);
		uint32_t lost = atomic_load_explicit(&again->in_flight, memory_order_relaxed);

		if (mtu >= NIC_MTU_MIN && mtu <= mtu_max)
			config->mtu = (uint16_t)mtu;
		config->promiscuous =
			atomic_load_explicit(&again->promiscuous, memory_order_relaxed) != 0;
		if (atomic_load_explicit(&again->serving, memory_order_relaxed) != 0) {
			atomic_fetch_add_explicit(&again->restarts, 1, memory_order_relaxed);
			atomic_fetch_add_explicit(
				&again->lost, lost < limit ? lost : limit, memory_order_relaxed);
		}
	} else {
		atomic_store_explicit(&again->restarts, 0, memory_order_relaxed);
		atomic_store_explicit(&again->lost, 0, memory_order_relaxed);
		atomic_store_explicit(&again->mtu, config->mtu, memory_order_relaxed);
		atomic_store_explicit(
			&again->promiscuous, config->promiscuous, memory_order_relaxed);
	}
	atomic_store_explicit(&again->in_flight, 0, memory_order_relaxed);
	atomic_store_explicit(&again->serving, 1, memory_order_relaxed);
	/* Release: a driver that dies before leaves no half of it. */
	atomic_store_explicit(&again->magic, MAGIC, memory_order_release);
	return again;
}

uint32_t again_in_flight(const void *state)
{
	const struct again *again =
		(const struct again *)(const void *)((const uint8_t *)state + AGAIN_OFFSET);

	return atomic_load_explicit(&again->in_flight, memory_order_relaxed);
}

void again_failed(struct again *again, uint32_t lost, uint32_t limit)
{
	atomic_fetch_add_explicit(&again->restarts, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&again->lost, lost < limit ? lost : limit, memory_order_relaxed);
}

void again_end(struct again *again)
{
	atomic_store_explicit(&again->serving, 0, memory_order_relaxed);
}

void again_note(struct again *again, const struct port *port)
{
	/* Of a queue that a client owns its handle counts them. */
	size_t held = port->sender != NULL ? nic_tx_held(port->sender) : 0;
	uint32_t now = (uint32_t)(held + port->tx_queued + port->rx_end - port->rx_at);

	if (atomic_load_explicit(&again->in_flight, memory_order_relaxed) != now)
		atomic_store_explicit(&again->in_flight, now, memory_order_relaxed);
}

void again_set(struct again *again, const struct port *port)
{
	atomic_store_explicit(&again->mtu, port->mtu, memory_order_relaxed);
	atomic_store_explicit(&again->promiscuous, port->promiscuous, memory_order_relaxed);
}
