/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames between the scheme's core and the card's queues. What comes is taken from each in turn, a
 * burst at a time; with one thread there is nothing to gain from sending by several.
 */
#include "daemon/port.h"

#include "daemon/again.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VLAN_HEADER 18u /* Ethernet header and one 802.1Q tag */
/* How long a frame that is waited for may keep everything else: a card without a link sends none.
 */
#define BLOCK_NS 100000000

/* The entries of the frame that begins here, of n; n if it does not end. */
static size_t entries_of(const struct frame *frame, size_t n)
{
	size_t i = 0;

	while (i < n && (frame[i].flags & FRAME_MORE) != 0)
		i++;
	return i < n ? i + 1 : n;
}

static void put_back(struct port *port, const struct frame *frame, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)nic_pool_put(&port->pool, &frame[i].offset, 1);
}

/* --- received frames --- */

/* Takes damaged frames out of the burst, and such as are longer than any that should come. */
static void sort_out(struct port *port)
{
	size_t kept = 0, n;

	for (size_t i = 0; i < port->rx_end; i += n) {
		struct frame *frame = &port->rx[i];
		bool damaged = false, ends;

		n = entries_of(frame, port->rx_end - i);
		ends = (frame[n - 1].flags & FRAME_MORE) == 0;
		for (size_t k = 0; k < n; k++)
			damaged |= (frame[k].flags & FRAME_ERROR) != 0;
		if (!damaged && ends && n <= PORT_PIECES) {
			frame->flags &= (uint16_t)~FRAME_META;
			memmove(&port->rx[kept], frame, n * sizeof(*frame));
			kept += n;
			continue;
		}
		port->rx_damaged += damaged;
		port->rx_chained += !damaged;
		put_back(port, frame, n);
	}
	port->rx_end = kept;
}

/* The next burst, from the first queue that has one. */
static void receive(struct port *port)
{
	port->rx_at = port->rx_end = 0;
	for (unsigned i = 0; i < port->queues && port->rx_end == 0; i++) {
		struct nic_queue *queue = port->queue[port->turn];

		port->turn = port->turn + 1 < port->queues ? port->turn + 1 : 0;
		if (queue == NULL)
			continue;
		port->rx_end = nic_rx(queue, &port->pool, port->rx, PORT_BURST);
		sort_out(port);
	}
}

static size_t rx_peek(void *ctx, struct scheme_buffer *frames, size_t n)
{
	struct port *port = ctx;
	size_t count = 0;

	if (port->rx_at == port->rx_end)
		receive(port);
	for (size_t i = port->rx_at; i < port->rx_end && count < n; i++) {
		const struct frame *frame = &port->rx[i];
		bool more = (frame->flags & FRAME_MORE) != 0;

		*frames++ = (struct scheme_buffer){.data = nic_data(&port->pool, frame->offset),
			.len = frame->len,
			.more = more};
		count += !more;
	}
	return count;
}

static void rx_pop(void *ctx, size_t n)
{
	struct port *port = ctx;

	for (port->taken += n; n > 0; n--) {
		const struct frame *frame = &port->rx[port->rx_at];
		size_t entries = entries_of(frame, port->rx_end - port->rx_at);

		put_back(port, frame, entries);
		port->rx_at += entries;
	}
}

bool port_has_frames(const struct port *port)
{
	return port->rx_at < port->rx_end;
}

/* --- frames to send --- */

/* Takes the frame that begins at tx[at] out. */
static void drop(struct port *port, size_t at)
{
	size_t n = entries_of(&port->tx[at], port->tx_queued - at);

	put_back(port, &port->tx[at], n);
	port->tx_queued -= n;
	memmove(&port->tx[at], &port->tx[at + n], (port->tx_queued - at) * sizeof(port->tx[0]));
	port->tx_refused++;
}

/* What is reserved is free again. */
static void release(struct port *port)
{
	(void)nic_pool_put(&port->pool, &port->reserved[port->reserved_at],
		port->reserved_end - port->reserved_at);
	port->reserved_at = port->reserved_end = 0;
}

/* Buffers of the largest frame. */
static unsigned pieces_at(uint16_t mtu)
{
	return (mtu + VLAN_HEADER + NIC_BUFFER_SIZE - 1) / NIC_BUFFER_SIZE;
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The ring is empty: all that the card was given has been sent. */
static bool all_sent(struct port *port)
{
	(void)nic_tx(port->sender, &port->pool, NULL, 0);
	return nic_tx_held(port->sender) == 0;
}

/* Waits for what the card was given last. */
static bool wait_sent(struct port *port)
{
	int64_t end = now_ns() + BLOCK_NS;

	nic_flush(port->sender);
	while (!all_sent(port)) {
		if (nic_gone(port->nic) || now_ns() >= end)
			return false;
		(void)sched_yield(); /* a card in software may wait for this very processor */
	}
	return true;
}

/* One frame after the other, each sent before the next is given. */
static size_t send_blocking(struct port *port)
{
	size_t sent = 0;

	if (nic_tx_held(port->sender) > 0 && !all_sent(port))
		return 0;
	do {
		size_t n = entries_of(&port->tx[sent], port->tx_queued - sent);

		if (nic_tx(port->sender, &port->pool, &port->tx[sent], n) == 0)
			break;
		sent += n;
	} while (wait_sent(port) && sent < port->tx_queued);
	return sent;
}

size_t port_flush(struct port *port)
{
	size_t sent;

	if (port->tx_queued == 0 || port->sender == NULL)
		return 0;
	sent = port->blocking ? send_blocking(port)
			      : nic_tx(port->sender, &port->pool, port->tx, port->tx_queued);
	port->tx_queued -= sent;
	if (sent > 0)
		memmove(&port->tx[0], &port->tx[sent], port->tx_queued * sizeof(port->tx[0]));
	else if (nic_tx_held(port->sender) == 0 && !nic_gone(port->nic))
		drop(port, 0); /* the ring is empty: it is the frame that is not taken */
	return sent;
}

static size_t tx_reserve(void *ctx, struct scheme_buffer *buffers, size_t n)
{
	struct port *port = ctx;
	size_t have = port->reserved_end - port->reserved_at;
	size_t pieces = port->pieces;
	size_t want = (n < SCHEME_BURST ? n : SCHEME_BURST) * pieces;
	size_t most = PORT_BURST * pieces < port->spare ? PORT_BURST * pieces : port->spare;

	if (port->sender == NULL)
		return 0;
	memmove(&port->reserved[0], &port->reserved[port->reserved_at],
		have * sizeof(port->reserved[0]));
	port->reserved_at = 0;
	if (port->tx_queued + want > most)
		(void)port_flush(port);
	if (port->tx_queued + want > most)
		want = port->tx_queued < most ? most - port->tx_queued : 0;
	if (have < want) {
		if (port->pool.top < want - have) /* what was sent comes back */
			(void)nic_tx(port->sender, &port->pool, NULL, 0);
		have += nic_pool_get(&port->pool, &port->reserved[have], want - have);
	}
	port->reserved_end = have;
	n = (want < have ? want : have) / pieces;
	for (size_t i = 0; i < n * pieces; i++)
		buffers[i] =
			(struct scheme_buffer){.data = nic_data(&port->pool, port->reserved[i]),
				.len = NIC_BUFFER_SIZE,
				.more = (i + 1) % pieces != 0};
	return n;
}

static void tx_push(void *ctx, size_t len)
{
	struct port *port = ctx;
	const uint32_t *offset = &port->reserved[port->reserved_at];
	size_t used = 0;

	port->reserved_at += port->pieces;
	port->taken += len > 0;
	for (; len > 0; used++) {
		size_t part = len < NIC_BUFFER_SIZE ? len : NIC_BUFFER_SIZE;

		len -= part;
		port->tx[port->tx_queued++] = (struct frame){.offset = offset[used],
			.len = (uint16_t)part,
			.flags = len > 0 ? FRAME_MORE : 0};
	}
	(void)nic_pool_put(&port->pool, &offset[used], port->pieces - used);
}

bool port_can_send(struct port *port)
{
	struct scheme_buffer buffers[SCHEME_PIECES];

	return tx_reserve(port, buffers, 1) > 0;
}

void port_drain(struct port *port, unsigned ms)
{
	for (unsigned left = ms * 10; left > 0 && port->sender != NULL && !nic_gone(port->nic);
		left--) {
		(void)port_flush(port);
		nic_flush(port->sender);
		if (all_sent(port) && port->tx_queued == 0)
			return;
		pci_delay_us(100);
	}
}

/* --- queues come and go --- */

void port_publish(struct port *port)
{
	for (unsigned i = 0; i < port->queues; i++) {
		if (port->queue[i] != NULL)
			nic_flush(port->queue[i]);
	}
}

/* One queue sends, until it is given away: its ring is the only one that sent frames come back
 * from. After a hand-over it is the one that has some.
 */
static void choose_sender(struct port *port)
{
	port->sender = NULL;
	for (unsigned i = 0; i < port->queues; i++) {
		struct nic_queue *queue = port->queue[i];

		if (queue != NULL && (port->sender == NULL || nic_tx_held(queue) > 0))
			port->sender = queue;
	}
}

int port_yield(struct port *port, unsigned index)
{
	struct nic_queue *queue = port->queue[index];
	size_t held;
	uint32_t *offsets;
	int error;

	(void)port_flush(port);
	held = nic_rx_held(queue) + nic_tx_held(queue);
	offsets = malloc((held + 1) * sizeof(*offsets));
	if (offsets == NULL)
		return -ENOMEM;
	nic_held(queue, offsets);
	error = nic_queue_stop(port->nic, index);
	if (error == 0) {
		(void)nic_pool_put(&port->pool, offsets, held);
		port->queue[index] = NULL;
		if (port->sender == queue)
			choose_sender(port);
		while (port->sender == NULL && port->tx_queued > 0)
			drop(port, 0);
	}
	free(offsets);
	return error;
}

int port_regain(struct port *port, unsigned index)
{
	int error = nic_queue_start(port->nic, index, port->frames);

	if (error != 0)
		return error;
	port->queue[index] = nic_queue(port->nic, index);
	if (port->sender == NULL)
		port->sender = port->queue[index];
	return 0;
}

/* --- state --- */

int port_read_link(struct port *port)
{
	struct nic_link link;
	int error = nic_link(port->nic, &link);

	if (error == 0)
		port->link = (struct scheme_link){.up = link.up, .mbit = link.mbit};
	return error;
}

const char *port_module_news(struct port *port)
{
	struct nic_module module;
	bool first = port->module[0] == '\0';

	nic_module(port->nic, &module);
	/* Nobody has asked since the driver before, who knew. */
	if (module.text[0] == '\0' ||
		strncmp(port->module, module.text, sizeof(port->module) - 1) == 0)
		return NULL;
	(void)snprintf(port->module, sizeof(port->module), "%s", module.text);
	/* That it is a good one at the start is none. */
	return first && !module.trouble ? NULL : port->module;
}

static void get_link(void *ctx, struct scheme_link *link)
{
	const struct port *port = ctx;

	*link = port->link;
	link->owned = port->sender == NULL;
}

static void get_mac(void *ctx, uint8_t mac[6])
{
	const struct port *port = ctx;

	nic_mac(port->nic, mac);
}

static uint16_t get_mtu(void *ctx)
{
	const struct port *port = ctx;

	return port->mtu;
}

/* For a driver that may follow. */
static void note_setting(const struct port *port)
{
	if (port->again != NULL)
		again_set(port->again, port);
}

static int set_mtu(void *ctx, uint16_t mtu)
{
	struct port *port = ctx;
	int error;

	(void)port_flush(port); /* what was queued by the old one is let through if there is room */
	error = nic_set_mtu(port->nic, mtu);
	if (error != 0)
		return error;
	release(port); /* in chains of the old length */
	port->mtu = mtu;
	port->pieces = pieces_at(mtu);
	note_setting(port);
	for (size_t i = 0; i < port->tx_queued;) {
		size_t n = entries_of(&port->tx[i], port->tx_queued - i);
		size_t len = 0;

		for (size_t k = i; k < i + n; k++)
			len += port->tx[k].len;
		if (len > mtu + VLAN_HEADER)
			drop(port, i);
		else
			i += n;
	}
	return 0;
}

static bool get_promiscuous(void *ctx)
{
	const struct port *port = ctx;

	return port->promiscuous;
}

static int set_promiscuous(void *ctx, bool on)
{
	struct port *port = ctx;
	int error = nic_set_promiscuous(port->nic, on);

	if (error == 0) {
		port->promiscuous = on;
		note_setting(port);
	}
	return error;
}

/* Where there are several: what each got and sent, whoever has it. Returns the length. */
static size_t queue_stats(const struct port *port, char *text, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; port->queues > 1 && i < port->queues && len < size; i++) {
		struct nic_queue_stats q = {0};
		int n;

		(void)nic_queue_stats(port->nic, i, &q);
		n = snprintf(text + len, size - len,
			"queue_%u_rx_frames %" PRIu64 "\nqueue_%u_rx_dropped %" PRIu64
			"\nqueue_%u_tx_frames %" PRIu64 "\n",
			i, q.rx_frames, i, q.rx_dropped, i, q.tx_frames);
		len += n < 0 ? 0 : (size_t)n;
	}
	return len < size ? len : size;
}

static size_t get_stats(void *ctx, char *text, size_t size)
{
	const struct port *port = ctx;
	struct nic_stats s = {0};
	size_t rx_held = 0;
	size_t tx_held = 0;
	int n;

	for (unsigned i = 0; i < port->queues; i++) { /* whoever has them */
		rx_held += nic_rx_held(nic_queue(port->nic, i));
		tx_held += nic_tx_held(nic_queue(port->nic, i));
	}
	(void)nic_stats(port->nic, &s);
	n = snprintf(text, size,
		"rx_frames %" PRIu64 "\nrx_bytes %" PRIu64 "\ntx_frames %" PRIu64
		"\ntx_bytes %" PRIu64 "\nrx_missed %" PRIu64 "\nrx_dropped %" PRIu64
		"\nrx_crc_errors %" PRIu64 "\nrx_length_errors %" PRIu64
		"\nrx_other_errors %" PRIu64 "\nrx_damaged %" PRIu64 "\nrx_chained %" PRIu64
		"\ntx_refused %" PRIu64 "\nbad_offsets %" PRIu64 "\nbad_writebacks %" PRIu64
		"\npool_size %u\npool_free %u\nrx_ring %u\nrx_held %zu\nrx_waiting %zu"
		"\ntx_ring %u\ntx_held %zu\ntx_waiting %zu\nrounds %" PRIu64 "\nsleeps %" PRIu64
		"\ninterrupts %" PRIu64 "\nrestarts %" PRIu32 "\nlost_in_restart %" PRIu64
		"\nupgrades %" PRIu64 "\nmodel %s\nirq %s\n",
		s.rx_frames, s.rx_bytes, s.tx_frames, s.tx_bytes, s.rx_missed, s.rx_dropped,
		s.rx_crc_errors, s.rx_length_errors, s.rx_other_errors, port->rx_damaged,
		port->rx_chained, port->tx_refused, s.bad_offsets, s.bad_writebacks,
		port->pool.size, port->pool.top, port->rx_ring, rx_held, port->rx_end - port->rx_at,
		port->tx_ring, tx_held, port->tx_queued, port->loop.rounds, port->loop.sleeps,
		port->loop.interrupts,
		port->again == NULL ? 0 : atomic_load(&port->again->restarts),
		port->again == NULL ? 0 : atomic_load(&port->again->lost), port->upgrades,
		nic_model(port->nic), nic_irq_name(port->nic));
	if (n < 0)
		return 0;
	if ((size_t)n >= size)
		return size;
	if (port->module[0] != '\0')
		n += snprintf(text + n, size - (size_t)n, "module %s\n", port->module);
	if ((size_t)n >= size)
		return size;
	return (size_t)n + queue_stats(port, text + n, size - (size_t)n);
}

static size_t get_cage(void *ctx, char *text, size_t size)
{
	const struct port *port = ctx;
	size_t len = port->cage != NULL ? port->cage->len : 0;

	if (len > size)
		len = size;
	if (len > 0)
		memcpy(text, port->cage->text, len);
	return len;
}

/* --- the port --- */

int port_init(
	struct port *port, struct nic *nic, const struct nic_config *config, struct pci_error *why)
{
	/* All receive rings full and the one that sends, a burst each way in this port, one more
	 * being filled. Where large frames have no more than that, their bursts are smaller.
	 */
	size_t rings = (size_t)config->queues * config->rx_ring + config->tx_ring;
	size_t need = rings + 2 * PORT_BURST + SCHEME_BURST;
	int error;

	*port = (struct port){
		.nic = nic,
		.queues = config->queues,
		.frames = config->frames,
		.rx_ring = config->rx_ring,
		.tx_ring = config->tx_ring,
		.offloads = config->offloads,
		.mtu = config->mtu,
		.pieces = pieces_at(config->mtu),
		.promiscuous = config->promiscuous,
	};
	for (unsigned i = 0; i < config->queues; i++)
		port->queue[i] = nic_queue(nic, i);
	choose_sender(port);
	error = nic_pool_init(&port->pool, config->frames);
	if (error != 0) {
		(void)snprintf(why->text, sizeof(why->text), "no memory left");
		return error;
	}
	if (port->pool.size < need) {
		(void)snprintf(why->text, sizeof(why->text),
			"frame memory of %zu KiB is too small for rings of %u and %u: give "
			"--frames-mib %zu, or %s",
			config->frames->size >> 10, config->rx_ring, config->tx_ring,
			(need * NIC_BUFFER_STRIDE >> 20) + 1,
			config->queues > 1 ? "fewer or smaller ones" : "smaller rings");
		nic_pool_fini(&port->pool);
		return -ENOSPC;
	}
	port->spare = port->pool.size - rings - PORT_BURST;
	return 0;
}

static int refuse(struct pci_error *why, int error, const char *text)
{
	(void)snprintf(why->text, sizeof(why->text), "state of the port: %s", text);
	return error;
}

void port_save(const struct port *port, struct port_state *to)
{
	*to = (struct port_state){
		.rx_count = (uint32_t)(port->rx_end - port->rx_at),
		.tx_count = (uint32_t)port->tx_queued,
		.rx_damaged = port->rx_damaged,
		.rx_chained = port->rx_chained,
		.tx_refused = port->tx_refused,
		.rounds = port->loop.rounds,
		.sleeps = port->loop.sleeps,
		.interrupts = port->loop.interrupts,
		.upgrades = port->upgrades,
	};
	memcpy(to->module, port->module, sizeof(to->module));
	memcpy(to->rx, &port->rx[port->rx_at], to->rx_count * sizeof(to->rx[0]));
	memcpy(to->tx, port->tx, to->tx_count * sizeof(to->tx[0]));
}

/* Whole frames, of which none is longer than the longest, and no entry than its buffer. */
static bool frames_in_order(const struct frame *frame, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t entries = entries_of(&frame[i], n - i);

		if (entries > PORT_PIECES || frame[i + entries - 1].flags != 0)
			return false;
		for (; entries > 0; entries--, i++) {
			if (frame[i].len > NIC_BUFFER_SIZE || (frame[i].flags & ~FRAME_MORE) != 0)
				return false;
		}
	}
	return true;
}

int port_resume(struct port *port, const struct port_state *from, struct pci_error *why)
{
	size_t held = 0;
	uint32_t *offsets;
	int error;

	for (unsigned i = 0; i < port->queues; i++) {
		if (nic_queue_frames(port->nic, i) != port->frames)
			port->queue[i] = NULL; /* a client owns it */
		else
			held += nic_rx_held(port->queue[i]) + nic_tx_held(port->queue[i]);
	}
	choose_sender(port);
	if (from->rx_count > PORT_BURST || from->tx_count > PORT_BURST * PORT_PIECES)
		return refuse(why, -EINVAL, "more frames than a burst");
	if (!frames_in_order(from->rx, from->rx_count) ||
		!frames_in_order(from->tx, from->tx_count))
		return refuse(why, -EINVAL, "a frame is not in order");
	offsets = malloc((held + from->rx_count + from->tx_count) * sizeof(*offsets) + 1);
	if (offsets == NULL)
		return refuse(why, -ENOMEM, "no memory left");
	held = 0;
	for (unsigned i = 0; i < port->queues; i++) {
		if (port->queue[i] == NULL)
			continue;
		nic_held(port->queue[i], offsets + held);
		held += nic_rx_held(port->queue[i]) + nic_tx_held(port->queue[i]);
	}
	for (uint32_t i = 0; i < from->rx_count; i++)
		offsets[held++] = from->rx[i].offset;
	for (uint32_t i = 0; i < from->tx_count; i++)
		offsets[held++] = from->tx[i].offset;
	error = nic_pool_claim(&port->pool, offsets, held);
	free(offsets);
	if (error != 0)
		return refuse(why, error, "a buffer is no buffer, or is held twice");
	memcpy(port->rx, from->rx, from->rx_count * sizeof(port->rx[0]));
	port->rx_end = from->rx_count;
	memcpy(port->tx, from->tx, from->tx_count * sizeof(port->tx[0]));
	port->tx_queued = from->tx_count;
	memcpy(port->module, from->module, sizeof(port->module));
	port->module[sizeof(port->module) - 1] = '\0';
	port->rx_damaged = from->rx_damaged;
	port->rx_chained = from->rx_chained;
	port->tx_refused = from->tx_refused;
	port->upgrades = from->upgrades + 1;
	port->loop = (struct port_loop){from->rounds, from->sleeps, from->interrupts};
	return 0;
}

void port_fini(struct port *port)
{
	nic_pool_fini(&port->pool);
}

struct scheme_port port_table(struct port *port)
{
	return (struct scheme_port){
		.ctx = port,
		.rx_peek = rx_peek,
		.rx_pop = rx_pop,
		.tx_reserve = tx_reserve,
		.tx_push = tx_push,
		.mac = get_mac,
		.link = get_link,
		.stats = get_stats,
		.cage = get_cage,
		.mtu = get_mtu,
		.set_mtu = set_mtu,
		.promiscuous = get_promiscuous,
		.set_promiscuous = set_promiscuous,
	};
}
