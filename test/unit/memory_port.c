/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See memory_port.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/memory_port.h"

void memory_port_frame(uint8_t *frame, size_t len, uint8_t mark)
{
	memset(frame, mark, len);
	memset(frame, 0x02, len < 12 ? len : 12);
	if (len >= 14) {
		frame[12] = 0x08;
		frame[13] = 0x00;
	}
	for (size_t i = 14; len > PORT_ROOM && i < len; i++) {
		frame[i] = (uint8_t)(mark + i / 16 * 7);
	}
}

void memory_port_receive(struct memory_port *p, size_t len, uint8_t mark)
{
	struct port_frame *f = &p->rx[p->rx_head % PORT_FRAMES];

	assert_true(p->rx_head - p->rx_tail < PORT_FRAMES);
	f->len = len;
	memory_port_frame(f->data, len, mark);
	p->rx_head++;
}

/* Room for `len` bytes in a chain: how many pieces. */
static size_t pieces_of(struct port_chain *chain, struct scheme_buffer *buffers, size_t len)
{
	size_t n = (len + PORT_ROOM - 1) / PORT_ROOM;

	n = n == 0 ? 1 : n < SCHEME_PIECES ? n : SCHEME_PIECES;
	for (size_t i = 0; i < n; i++) {
		buffers[i] = (struct scheme_buffer){
			.data = chain->piece[i], .len = PORT_ROOM, .more = i + 1 < n};
	}
	return n;
}

static size_t rx_peek(void *ctx, struct scheme_buffer *frames, size_t n)
{
	struct memory_port *p = ctx;
	size_t i;

	assert_true(n > 0 && n <= SCHEME_BURST);
	for (i = 0; i < n && p->rx_tail + i != p->rx_head; i++) {
		struct port_frame *f = &p->rx[(p->rx_tail + i) % PORT_FRAMES];
		if (f->len <= PORT_ROOM) {
			*frames++ = (struct scheme_buffer){.data = f->data, .len = f->len};
			continue;
		}
		size_t pieces =
			pieces_of(&p->peeked[(p->rx_tail + i) % SCHEME_BURST], frames, f->len);
		frames[pieces - 1].len = f->len - (pieces - 1) * PORT_ROOM;
		for (size_t k = 0; k < pieces; k++) {
			memcpy(frames[k].data, f->data + k * PORT_ROOM, frames[k].len);
		}
		frames += pieces;
	}
	return i;
}

static void rx_pop(void *ctx, size_t n)
{
	struct memory_port *p = ctx;

	assert_true(n > 0 && n <= p->rx_head - p->rx_tail);
	p->rx_tail += (unsigned)n;
}

static size_t tx_reserve(void *ctx, struct scheme_buffer *buffers, size_t n)
{
	struct memory_port *p = ctx;

	assert_true(n > 0 && n <= SCHEME_BURST);
	for (unsigned i = 0; i < PORT_BUFFERS && p->reserved_count < n; i++) {
		if (!p->in_use[i] && p->reserved_count < p->limit) {
			p->in_use[i] = true;
			p->reserved[p->reserved_count++] = i;
		}
	}
	if (n > p->reserved_count) {
		n = p->reserved_count;
	}
	if (n > p->limit) {
		n = p->limit;
	}
	for (size_t i = 0; i < n; i++) {
		buffers += pieces_of(&p->buffers[p->reserved[i]], buffers, p->mtu + 18u);
	}
	return n;
}

static void tx_push(void *ctx, size_t len)
{
	struct memory_port *p = ctx;

	assert_true(p->reserved_count > 0 && len <= SCHEME_FRAME_MAX);
	unsigned first = p->reserved[0];
	p->reserved_count--;
	memmove(p->reserved, p->reserved + 1, p->reserved_count * sizeof(p->reserved[0]));
	p->in_use[first] = false;
	if (len == 0) {
		return;
	}
	struct port_frame *f = &p->tx[p->sent++ % PORT_FRAMES];
	f->len = len;
	for (size_t at = 0; at < len; at += PORT_ROOM) {
		memcpy(f->data + at, p->buffers[first].piece[at / PORT_ROOM],
			len - at < PORT_ROOM ? len - at : PORT_ROOM);
	}
	if (p->echo && p->rx_head - p->rx_tail < PORT_FRAMES) {
		p->rx[p->rx_head++ % PORT_FRAMES] = *f;
	}
}

static void get_mac(void *ctx, uint8_t mac[6])
{
	static const uint8_t ours[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

	(void)ctx;
	memcpy(mac, ours, sizeof(ours));
}

static void get_link(void *ctx, struct scheme_link *link)
{
	*link = ((struct memory_port *)ctx)->link;
}

static size_t get_stats(void *ctx, char *text, size_t size)
{
	struct memory_port *p = ctx;

	return (size_t)snprintf(text, size, "tx_frames %u\n", p->sent);
}

static uint16_t get_mtu(void *ctx)
{
	return ((struct memory_port *)ctx)->mtu;
}

static int set_mtu(void *ctx, uint16_t mtu)
{
	struct memory_port *p = ctx;

	if (p->set_error == 0) {
		p->mtu = mtu;
	}
	return p->set_error;
}

static bool get_promiscuous(void *ctx)
{
	return ((struct memory_port *)ctx)->promiscuous;
}

static int set_promiscuous(void *ctx, bool on)
{
	struct memory_port *p = ctx;

	if (p->set_error == 0) {
		p->promiscuous = on;
	}
	return p->set_error;
}

static size_t get_cage(void *ctx, char *text, size_t size)
{
	static const char cage[] = "seccomp 1\nroot empty\n";

	(void)ctx;
	assert_true(size >= sizeof(cage));
	memcpy(text, cage, sizeof(cage) - 1);
	return sizeof(cage) - 1;
}

struct scheme_port memory_port_init(struct memory_port *p)
{
	memset(p, 0, sizeof(*p));
	p->limit = PORT_BUFFERS;
	p->link = (struct scheme_link){true, 10000};
	p->mtu = 1500;
	return (struct scheme_port){
		.ctx = p,
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
