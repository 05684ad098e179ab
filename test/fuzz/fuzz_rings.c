/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a client that writes anything into its ring memory, at any time, and drivers that
 * follow one another. Nothing outside the memory is read or written, no frame longer than its
 * buffer goes to the card, and the driver's own indices stay in order.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scheme/ring_layout.h"
#include "scheme/rings.h"
#include "scheme/server.h"
#include "scheme/wire.h"

#define SIZE  64u
#define BYTES 8192u
#define ROOM  2048u
#define PARTS 3u /* pieces of the largest frame */
#define MTU   5000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct card {
	uint8_t frame[ROOM];
	uint8_t *buffer[SCHEME_BURST * PARTS];
};

/* Every fourth frame is large. */
static size_t rx_peek(void *ctx, struct scheme_buffer *frames, size_t n)
{
	struct card *c = ctx;

	for (size_t i = 0; i < n; i++) {
		for (size_t parts = i % 4 == 3 ? SCHEME_PIECES : 1; parts > 0; parts--) {
			*frames++ = (struct scheme_buffer){.data = c->frame,
				.len = parts > 1 || i % 3 == 0 ? ROOM : 60,
				.more = parts > 1};
		}
	}
	return n;
}

static void rx_pop(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
}

static size_t tx_reserve(void *ctx, struct scheme_buffer *buffers, size_t n)
{
	struct card *c = ctx;

	for (size_t i = 0; i < n * PARTS; i++) {
		buffers[i] = (struct scheme_buffer){
			.data = c->buffer[i], .len = ROOM, .more = i % PARTS != PARTS - 1};
	}
	return n;
}

static void tx_push(void *ctx, size_t len)
{
	(void)ctx;
	if (len > MTU + 18 || (len > 0 && len < 14)) {
		abort();
	}
}

static void get_link(void *ctx, struct scheme_link *link)
{
	(void)ctx;
	*link = (struct scheme_link){true, 10000};
}

static uint16_t get_mtu(void *ctx)
{
	(void)ctx;
	return MTU;
}

/* Two bytes of the input, which say where, and four, which say what. */
struct script {
	const uint8_t *data;
	size_t size;
};

static uint32_t next(struct script *s, size_t bytes)
{
	uint32_t value = 0;

	bytes = bytes < s->size ? bytes : s->size;
	memcpy(&value, s->data, bytes);
	s->data += bytes;
	s->size -= bytes;
	return value;
}

static void in_order(const struct scheme_rings *r)
{
	if (scheme_rings_rx_held(r) > r->rx.size || scheme_rings_tx_held(r) > r->tx.size) {
		abort();
	}
}

static void play(struct script *script, struct scheme *scheme, int64_t handle,
	struct scheme_rings *r, struct ring_client *client, uint8_t *frames,
	struct ring_driver *driver)
{
	const size_t words = ring_bytes(SIZE, SIZE) / sizeof(uint32_t);
	uint32_t lost;

	while (script->size > 0) {
		_Atomic uint32_t *memory = (_Atomic uint32_t *)client;
		ssize_t ret = 0;
		switch (next(script, 1) % 8) {
		case 0: memory[next(script, 2) % words] = next(script, 4); break;
		case 1: client->rx_provided += next(script, 1); break;
		case 2: client->tx_provided += next(script, 1); break;
		case 3: { /* a slot that may be in order */
			size_t slot =
				RING_SLOTS / sizeof(uint32_t) + 2 * (next(script, 1) % (2 * SIZE));
			memory[slot] = next(script, 2) % (BYTES + 100);
			uint32_t what = next(script, 2);
			memory[slot + 1] = what % 1600 | (what >> 15) << 16; /* and MORE */
			break;
		}
		case 4: ret = scheme_handle_exchange(scheme, handle); break;
		case 5: (void)scheme_rings_sleep(r, next(script, 1) & 3); break;
		case 6:
			(void)scheme_rings_must_wake(r);
			scheme_rings_awake(r);
			break;
		default: /* another driver, of one that died or handed over, or had gone mad */
			if (next(script, 1) % 4 == 0) {
				driver->rx_taken = next(script, 4);
				driver->tx_done = next(script, 4);
			}
			scheme_rings_init(r, frames, BYTES, client, driver, SIZE, SIZE);
			ret = scheme_rings_resume(r, false, &lost);
			if (ret == 0 && lost > SIZE) {
				abort();
			}
		}
		if (ret < 0) {
			return; /* hung up */
		}
		in_order(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {data, size};
	struct scheme_rings rings;
	struct scheme *scheme;
	static struct card card;
	/* Of exact sizes, for the sanitizer to guard. */
	struct ring_client *client = aligned_alloc(RING_APART, ring_bytes(SIZE, SIZE));
	void *page = aligned_alloc(RING_APART, 4096);
	uint8_t *frames = malloc(BYTES);

	if (client == NULL || page == NULL || frames == NULL) {
		abort();
	}
	memset(client, 0, ring_bytes(SIZE, SIZE));
	memset(page, 0, 4096);
	memset(frames, 0x5a, BYTES);
	for (unsigned i = 0; i < SCHEME_BURST * PARTS; i++) {
		card.buffer[i] = card.buffer[i] != NULL ? card.buffer[i] : malloc(ROOM);
		if (card.buffer[i] == NULL) {
			abort();
		}
	}
	const struct scheme_port port = {.ctx = &card,
		.rx_peek = rx_peek,
		.rx_pop = rx_pop,
		.tx_reserve = tx_reserve,
		.tx_push = tx_push,
		.link = get_link,
		.mtu = get_mtu};
	if (scheme_create(&scheme, "card", &port) != 0) {
		abort();
	}
	int64_t handle = scheme_handle_open(scheme, "", SCHEME_READ | SCHEME_WRITE, page);
	scheme_rings_init(&rings, frames, BYTES, client, ring_driver_of(page), SIZE, SIZE);
	if (handle < 0 || scheme_handle_rings(scheme, handle, &rings) != 0) {
		abort();
	}
	play(&script, scheme, handle, &rings, client, frames, ring_driver_of(page));
	scheme_destroy(scheme);
	free(client);
	free(page);
	free(frames);
	return 0;
}
