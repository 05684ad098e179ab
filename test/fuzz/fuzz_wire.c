/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: any bytes as what another process sends down a cable, and as a capture in a FIFO. The
 * first byte says which, the second in pieces of what size it comes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nicsim/wire_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static char dir[] = "/tmp/fuzz_wire.XXXXXX";

static bool receive(void *ctx, const uint8_t *frame, size_t len, bool may_wait)
{
	uint8_t copy[SIM_FRAME_MAX];

	if (len < SIM_FRAME_MIN || len > SIM_FRAME_MAX || !may_wait)
		abort();
	memcpy(copy, frame, len); /* all of it is there */
	(void)ctx;
	return copy[len - 1] != 0xee; /* no room at times, or for ever */
}

static void carrier(void *ctx, bool up)
{
	(void)ctx;
	(void)up;
}

static void sendable(void *ctx)
{
	(void)ctx;
}

static void stop(struct loop_work *work)
{
	(void)work;
	loop_stop(loop);
}

static void turn(void)
{
	struct loop_work work = {.run = stop};

	loop_defer(loop, &work);
	if (loop_run(loop))
		abort();
}

static void clean(void)
{
	rmdir(dir);
}

static void as_peer(const uint8_t *data, size_t size, size_t piece)
{
	static const uint8_t greeting[16] = "\x08\0\x01\0cable 1\0\0\0\x02\0";
	const struct wire_port port = {
		.receive = receive, .carrier = carrier, .sendable = sendable};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sim_error why;
	struct wire *wire;
	char spec[64];
	int fd;

	snprintf(spec, sizeof(spec), "cable:%s/x", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/x", dir);
	if (wire_open(&wire, spec, loop, &port, &why)) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	wire_set_link(wire, true);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		abort();
	/* Half of them get past the greeting. */
	if (size & 1)
		(void)!send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL);
	while (size) {
		size_t n = size < piece ? size : piece;

		if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		data += n;
		size -= n;
		turn();
		wire_resume(wire);
	}
	for (unsigned int i = 0; i < 4; i++)
		turn();
	close(fd);
	turn();
	wire_close(wire);
}

static void as_capture(const uint8_t *data, size_t size, size_t piece)
{
	struct wire_feed feed = {0};
	const uint8_t *frame;
	const char *fault;
	size_t len;
	int got = 0;

	if (wire_feed_create(&feed))
		return;
	while (size && got >= 0) {
		size_t n = size < piece ? size : piece;
		uint8_t *room = wire_fifo_room(&feed.bytes, n);

		if (!room)
			abort(); /* what is not a whole frame always leaves room for it */
		memcpy(room, data, n);
		feed.bytes.tail += n;
		data += n;
		size -= n;
		while ((got = wire_feed_next(&feed, &frame, &len, &fault)) == 1) {
			(void)receive(NULL, frame, len, true);
			wire_feed_take(&feed, len);
		}
		if (got < 0 && !fault)
			abort();
	}
	wire_feed_destroy(&feed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece;

	if (!loop) {
		if (!mkdtemp(dir) || loop_create(&loop))
			abort();
		atexit(clean);
	}
	if (size < 2)
		return 0;
	piece = 1 + 31u * data[1];
	if (data[0] & 1)
		as_capture(data + 2, size - 2, piece);
	else
		as_peer(data + 2, size - 2, piece);
	return 0;
}
