/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a program does with a driver, over and over.
 */
#include <string.h>

#include "bench/driver/rig.h"
#include "nic/forward.h"

static inline void touch(const struct rig *rig, const struct frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		nic_data(&rig->pool, frames[i].offset)[DEVICE_TOUCHED]++;
}

/* What was not sent goes back. */
static inline void drop(struct nic_pool *pool, const struct frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)nic_pool_put(pool, &frames[i].offset, 1);
}

/* --- nic_rx() and nic_tx() --- */

static size_t forward(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t received = nic_rx(rig->q, &rig->pool, rig->frame, burst);
		size_t sent;

		if (received == 0)
			break;
		touch(rig, rig->frame, received);
		sent = nic_tx(rig->q, &rig->pool, rig->frame, received);
		if (sent < received)
			drop(&rig->pool, rig->frame + sent, received - sent);
		done += sent;
	}
	return done;
}

static size_t rx(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t received = nic_rx(rig->q, &rig->pool, rig->frame + done, burst);

		if (received == 0)
			break;
		done += received;
	}
	return done;
}

static size_t tx(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t sent = nic_tx(rig->q, &rig->pool, rig->frame + done, burst);

		if (sent == 0)
			break;
		done += sent;
	}
	return done;
}

/* --- the four verbs: the pool's stack is the program's own --- */

/* Gives n buffers to the card; what it does not take stays on the stack. */
static inline void provide(struct rig *rig, size_t n)
{
	struct nic_pool *pool = &rig->pool;
	uint32_t *from = pool->free + (pool->top - n);
	size_t taken = nic_rx_provide(rig->q, from, n);

	if (taken < n)
		memmove(from, from + taken, (n - taken) * sizeof *from);
	pool->top -= (uint32_t)taken;
}

static inline void reclaim(struct rig *rig, size_t n)
{
	struct nic_pool *pool = &rig->pool;

	pool->top += (uint32_t)nic_tx_return(rig->q, pool->free + pool->top, n);
}

static size_t forward_verbs(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t received = nic_rx_return(rig->q, rig->frame, burst);
		size_t sent;

		if (received == 0)
			break;
		touch(rig, rig->frame, received);
		reclaim(rig, received);
		provide(rig, received);
		sent = nic_tx_provide(rig->q, rig->frame, received);
		if (sent < received)
			drop(&rig->pool, rig->frame + sent, received - sent);
		done += sent;
	}
	return done;
}

static size_t rx_verbs(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t received = nic_rx_return(rig->q, rig->frame + done, burst);

		if (received == 0)
			break;
		provide(rig, received);
		done += received;
	}
	return done;
}

static size_t tx_verbs(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t sent;

		reclaim(rig, burst);
		sent = nic_tx_provide(rig->q, rig->frame + done, burst);
		if (sent == 0)
			break;
		done += sent;
	}
	return done;
}

/* --- nic_forward() --- */

static void touch_all(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	size_t i = 0;

	(void)ctx;
	for (base += DEVICE_TOUCHED; i + 4 <= n; i += 4) {
		base[frames[i].offset]++;
		base[frames[i + 1].offset]++;
		base[frames[i + 2].offset]++;
		base[frames[i + 3].offset]++;
	}
	for (; i < n; i++)
		base[frames[i].offset]++;
}

static size_t fused(struct rig *rig, size_t n)
{
	size_t burst = rig->setting->burst;
	size_t done = 0;

	while (done < n) {
		size_t taken = nic_forward(rig->q, rig->q, burst, touch_all, NULL);

		if (taken == 0)
			break;
		done += taken;
	}
	return done;
}

/* --- what lies around them --- */

static void make_frames(struct rig *rig, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct frame *frame = &rig->frame[i];

		*frame = (struct frame){.len = rig->setting->len};
		if (nic_pool_get(&rig->pool, &frame->offset, 1) == 1)
			device_stamp(rig->device, nic_data(&rig->pool, frame->offset));
	}
}

static void look_at_frames(struct rig *rig, size_t n)
{
	for (size_t i = 0; i < n; i++)
		device_received(
			rig->device, nic_data(&rig->pool, rig->frame[i].offset), rig->frame[i].len);
	/* Backwards, so that the buffer that comes out first is the one that came in first. */
	for (size_t i = n; i-- > 0;)
		(void)nic_pool_put(&rig->pool, &rig->frame[i].offset, 1);
}

/* Before anything comes. */
static void fill(struct rig *rig)
{
	(void)nic_rx(rig->q, &rig->pool, rig->frame, 1);
	nic_flush(rig->q);
}

/* A round of buffers more than the receive ring holds, so that it need not wait for those that are
 * being sent: they come in by the transmit ring.
 */
static void fill_both(struct rig *rig)
{
	fill(rig);
	make_frames(rig, rig->round);
	(void)nic_tx(rig->q, &rig->pool, rig->frame, rig->round);
	(void)device_transmit(rig->device, false, WARMTH_HOT);
	device_begin(rig->device);
}

/* All slots of the one ring have a buffer. */
static void fill_in_place(struct rig *rig)
{
	struct nic_pool *pool = &rig->pool;

	pool->top -= rig->setting->ring;
	(void)nic_rx_provide(rig->q, pool->free + pool->top, rig->setting->ring);
}

const struct mode rig_modes[] = {
	{"forward", true, true, false, 2, fill, NULL, NULL, forward},
	{"rx", true, false, false, 2, fill, NULL, look_at_frames, rx},
	{"tx", false, true, false, 2, fill, make_frames, NULL, tx},
	{"forward_verbs", true, true, false, 2, fill, NULL, NULL, forward_verbs},
	{"rx_verbs", true, false, false, 2, fill, NULL, look_at_frames, rx_verbs},
	{"tx_verbs", false, true, false, 2, fill, make_frames, NULL, tx_verbs},
	{"fused", true, true, false, 2, fill_both, NULL, NULL, fused},
	/* Up to a quarter of the ring waits to be reported. */
	{"inplace", true, true, true, 4, fill_in_place, NULL, NULL, fused},
};
const size_t rig_mode_count = sizeof rig_modes / sizeof rig_modes[0];
