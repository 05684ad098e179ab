/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: what a driver that went mad left to the next one, and to pcid: the flight recorder,
 * the words of one that died, the frames of one that handed over. Records come in order and of
 * known kinds; settings stay in their ranges; each buffer is in one place or the state is refused.
 */
#include <errno.h>
#include <stdlib.h>

#include "../unit/fake_card.h"
#include "daemon/again.h"
#include "daemon/port.h"
#include "pci/recorder.h"
#include "program.h"

#define RING 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the recorder --- */

static void recorder(struct program *p)
{
	static struct flight_record found[FLIGHT_SLOTS];
	static _Alignas(8) uint8_t memory[FLIGHT_BYTES];
	const struct flight_ring ring = {.magic = FLIGHT_RING_MAGIC,
		.version = FLIGHT_VERSION,
		.record_size = sizeof(struct flight_record),
		.slots = FLIGHT_SLOTS,
		.clock = {.hz = 1000000000}};
	struct recorder_found what;
	uint32_t sequence = word(p, 4);
	size_t bytes = word(p, 1) & 1 ? word(p, 2) : sizeof(memory);

	memset(memory, 0, sizeof(memory));
	memcpy(memory, &ring, sizeof(ring));
	if (word(p, 1) & 1)
		take_bytes(p, memory, sizeof(ring));
	while (p->at < p->end) {
		uint32_t how = word(p, 1);
		struct flight_record record = {.time = number(p, how & 8 ? 8 : 1), .offset = 8};

		sequence += how & 1 ? 1 : word(p, 2);
		record.seal = flight_seal(sequence, (uint8_t)(how >> 4), how & 7);
		if (how & 4)
			record.seal = number(p, 8);
		memcpy(memory + FLIGHT_FIRST + sequence % FLIGHT_SLOTS * sizeof(record), &record,
			sizeof(record));
	}
	if (recorder_read(memory, bytes < sizeof(memory) ? bytes : sizeof(memory), found, &what))
		return;
	if (what.records == 0 || what.records + what.torn > FLIGHT_SLOTS)
		abort();
	for (uint32_t i = 0; i < what.records; i++) {
		uint8_t kind = flight_kind(&found[i]);

		if (kind == FLIGHT_NONE || kind >= FLIGHT_KINDS ||
			(i > 0 && (int32_t)(flight_sequence(&found[i]) -
					    flight_sequence(&found[i - 1])) <= 0))
			abort();
		(void)recorder_ns(&what.clock, found[i].time);
	}
}

/* --- of one that died --- */

static void again(struct program *p)
{
	static _Alignas(64) uint8_t memory[AGAIN_OFFSET + sizeof(struct again)];
	struct nic_config config = {.mtu = 1500};
	struct again *again;
	uint64_t lost;

	take_bytes(p, memory + AGAIN_OFFSET, sizeof(struct again));
	if (word(p, 1) & 1)
		memcpy(memory + AGAIN_OFFSET, "agin", 4);
	lost = ((struct again *)(void *)(memory + AGAIN_OFFSET))->lost;
	again = again_begin(memory, &config, 100, 9000);
	if (config.mtu < NIC_MTU_MIN || config.mtu > 9000 || !again->serving || again->in_flight)
		abort();
	if (again->lost != 0 && again->lost - lost > 100)
		abort();
}

/* --- of one that handed over --- */

struct daemon {
	struct pci_function *fn;
	struct nic_config config;
	struct nic *nic;
	struct port port;
	struct scheme_port table;
};

static const struct dma_region *frame_memory(struct pci_function *fn)
{
	static struct dma_region *made;

	if (!made)
		made = fake_region_new(fn, DMA_CHUNK_SIZE);
	fn->region[0] = made;
	return made;
}

static void start(struct daemon *d, uint32_t how)
{
	struct pci_error why;

	d->fn = fake_card_new(0x10fb);
	d->config = (struct nic_config){.queues = 1 + (how & 1),
		.rx_ring = RING,
		.tx_ring = RING,
		.mtu = how & 2 ? 9000 : 1500};
	d->config.frames = d->config.queue_frames[1] = frame_memory(d->fn);
	d->config.rings = fake_region_new(d->fn, nic_ring_bytes(&d->config));
	d->config.state = calloc(1, nic_state_bytes(&d->config));
	if (!d->config.state || nic_open(&d->nic, d->fn, &d->config, &why) ||
		port_init(&d->port, d->nic, &d->config, &why))
		abort();
	d->table = port_table(&d->port);
}

static void work(struct daemon *d, struct program *p, uint32_t steps)
{
	static const uint8_t frame[9018];
	struct scheme_buffer buffers[SCHEME_BURST_PIECES];
	const uint32_t longest = d->config.mtu + 14u;
	uint32_t what;

	for (; steps; steps--) {
		what = word(p, 2);
		switch (what & 3) {
		case 0:
			(void)fake_receive_on(d->fn, (what >> 2) % d->config.queues, frame,
				14 + (what >> 3) % (longest - 13));
			break;
		case 1:
			if (d->table.rx_peek(&d->port, buffers, SCHEME_BURST) > 0)
				d->table.rx_pop(&d->port, 1);
			break;
		case 2:
			if (d->table.tx_reserve(&d->port, buffers, 1 + (what >> 2) % 4) > 0)
				d->table.tx_push(&d->port, 14 + (what >> 4) % (longest - 13));
			break;
		default:
			(void)port_flush(&d->port);
			port_publish(&d->port);
			(void)fake_transmit(d->fn, what >> 2 & 15);
		}
	}
}

/* Each buffer is free, the card's, at hand, or being filled. */
static void check_buffers(const struct daemon *d)
{
	const struct port *port = &d->port;
	size_t n = port->pool.top + port->rx_end - port->rx_at + port->tx_queued +
		   port->reserved_end - port->reserved_at;

	for (unsigned i = 0; i < port->queues; i++)
		n += nic_rx_held(port->queue[i]) + nic_tx_held(port->queue[i]);
	if (n != port->pool.size)
		abort();
}

static void spoil(struct port_state *state, struct program *p)
{
	uint32_t what = word(p, 1);

	switch (what % 4) {
	case 0: state->rx_count = word(p, 2) % (PORT_BURST + 2); break;
	case 1: state->tx_count = word(p, 2) % (PORT_BURST * PORT_PIECES + 2); break;
	case 2: state->rx[(what >> 2) % PORT_BURST].len = (uint16_t)number(p, 2); break;
	default: ((uint8_t *)state)[word(p, 2) % sizeof(*state)] ^= (uint8_t)(what >> 2);
	}
}

static void hand_over(struct program *p)
{
	struct daemon d = {0};
	struct pci_error why = {""};
	struct port_state state;
	uint32_t how = word(p, 1);

	start(&d, how);
	work(&d, p, word(p, 1) % 64);
	check_buffers(&d);
	memset(&state, 0, sizeof(state));
	port_save(&d.port, &state);
	port_fini(&d.port);
	nic_release(d.nic);
	if (nic_adopt(&d.nic, d.fn, &d.config, &why) || port_init(&d.port, d.nic, &d.config, &why))
		abort();
	for (uint32_t n = how >> 2 & 7; n; n--)
		spoil(&state, p);
	if (port_resume(&d.port, &state, &why) == 0) {
		d.table = port_table(&d.port);
		check_buffers(&d);
		work(&d, p, 32);
		check_buffers(&d);
	} else if (!why.text[0] || !(how >> 2 & 7)) {
		abort();
	}
	port_fini(&d.port);
	nic_close(d.nic);
	fake_region_free((struct dma_region *)(uintptr_t)d.config.rings);
	free(d.config.state);
	fake_card_free(d.fn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {data, data + size};

	switch (word(&program, 1) % 4) {
	case 0: recorder(&program); break;
	case 1: again(&program); break;
	default: hand_over(&program);
	}
	return 0;
}
