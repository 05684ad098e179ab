/* SPDX-License-Identifier: BSD-3-Clause
 *
 * loop: what is sent comes back, in order, through a queue with an end to it. And sink, which is
 * less.
 */
#include "nicsim/wire_kind.h"

#include <errno.h>
#include <string.h>

#define QUEUE_BYTES (64u * 1024)

struct loopback {
	struct wire wire;
	struct wire_fifo queue; /* of a 16-bit length and so many bytes */
	struct loop_work work;
	bool blocked; /* the card waits to send */
};

static struct loopback *of(struct wire *wire)
{
	return (struct loopback *)wire;
}

static void deliver(struct loop_work *work)
{
	struct loopback *it = container_of(work, struct loopback, work);
	unsigned int budget = WIRE_BUDGET;

	for (; wire_fifo_used(&it->queue) && budget; budget--) {
		const uint8_t *record = it->queue.bytes + it->queue.head;
		uint16_t len;

		memcpy(&len, record, sizeof(len));
		if (!wire_receive(&it->wire, record + sizeof(len), len, true))
			break;
		it->queue.head += sizeof(len) + len;
	}
	if (!budget)
		loop_defer(it->wire.loop, &it->work);
	/* Only when any frame would fit: the card need not try twice. */
	if (it->blocked && wire_fifo_free(&it->queue) >= sizeof(uint16_t) + SIM_FRAME_MAX) {
		it->blocked = false;
		it->wire.port.sendable(it->wire.port.ctx);
	}
}

static int loop_open(struct wire *wire, const char *args, struct sim_error *why)
{
	struct loopback *it = of(wire);

	(void)args;
	if (wire_fifo_create(&it->queue, QUEUE_BYTES))
		return wire_fail(why, ENOMEM, "wire loop: out of memory");
	it->work.run = deliver;
	wire_carrier(wire, true);
	return 0;
}

static void loop_close(struct wire *wire)
{
	struct loopback *it = of(wire);

	loop_defer_cancel(wire->loop, &it->work);
	wire_fifo_destroy(&it->queue);
}

static int loop_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	struct loopback *it = of(wire);
	uint16_t head = (uint16_t)len;
	uint8_t *record = wire_fifo_room(&it->queue, sizeof(head) + len);

	if (!record) {
		it->blocked = true;
		return -EAGAIN;
	}
	memcpy(record, &head, sizeof(head));
	memcpy(record + sizeof(head), frame, len);
	it->queue.tail += sizeof(head) + len;
	loop_defer(wire->loop, &it->work);
	return 0;
}

static void loop_resume(struct wire *wire)
{
	loop_defer(wire->loop, &of(wire)->work);
}

/* A link that went down takes with it what was under way, and so does a card that was off. */
static void loop_link(struct wire *wire)
{
	struct loopback *it = of(wire);

	it->queue.head = it->queue.tail = 0;
	loop_defer(wire->loop, &it->work);
}

const struct wire_kind wire_loop = {
	.name = "loop",
	.form = "loop",
	.size = sizeof(struct loopback),
	.open = loop_open,
	.close = loop_close,
	.send = loop_send,
	.resume = loop_resume,
	.link = loop_link,
	.forget = loop_link,
};

static int sink_open(struct wire *wire, const char *args, struct sim_error *why)
{
	(void)args;
	(void)why;
	wire_carrier(wire, true);
	return 0;
}

static void sink_close(struct wire *wire)
{
	(void)wire;
}

static int sink_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	(void)wire;
	(void)frame;
	(void)len;
	return 0;
}

static size_t sink_send_burst(struct wire *wire, const struct wire_frame *frames, size_t n)
{
	(void)wire;
	(void)frames;
	return n;
}

const struct wire_kind wire_sink = {
	.name = "sink",
	.form = "sink",
	.size = sizeof(struct wire),
	.open = sink_open,
	.close = sink_close,
	.send = sink_send,
	.send_burst = sink_send_burst,
};
