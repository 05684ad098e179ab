/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap: plays one file, records to another. A file to be played is read once from end to end before
 * anything starts, because only then can a fault in it be reported to the one who named it. A FIFO
 * is played as it comes.
 */
#include "nicsim/wire_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_NS   5000000u /* recorded frames are in the file after that */
#define SNAP_BYTES 65535

struct player {
	struct wire wire;
	struct loop_work work;
	struct loop_timer timer; /* to flush */
	pcap_t *in;              /* NULL: no file to play, or over */
	struct loop_io fifo;     /* fd -1: no FIFO, or over */
	struct wire_feed feed;   /* what came from it */
	bool watched;            /* fifo is in the loop */
	bool full;               /* the card has no room */
	bool ended;              /* nobody writes to the FIFO any more */
	const uint8_t *frame;    /* next, in memory of `in` or `feed`; NULL: get one */
	size_t len;
	pcap_t *shape; /* what kind of file `out` is */
	pcap_dumper_t *out;
	char *out_name;
};

static struct player *of(struct wire *wire)
{
	return (struct player *)wire;
}

static int open_file(const char *name, int flags, int *fd, struct stat *st, struct sim_error *why)
{
	/* Without waiting for the other end, should it be a FIFO. */
	*fd = open(name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
	if (*fd >= 0 && !fstat(*fd, st))
		return 0;
	return wire_fail(why, errno, "wire pcap: %.120s: %s", name, strerror(errno));
}

/* --- playing a file --- */

static int open_capture(int fd, const char *name, pcap_t **out, struct sim_error *why)
{
	char text[PCAP_ERRBUF_SIZE];
	FILE *file = fdopen(fd, "r");
	const char *type;
	pcap_t *in;

	if (!file) {
		close(fd);
		return wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	}
	in = pcap_fopen_offline(file, text);
	if (!in) {
		fclose(file);
		return wire_fail(
			why, EINVAL, "wire pcap: %.80s is no capture file (%.80s)", name, text);
	}
	*out = in;
	if (pcap_datalink(in) == DLT_EN10MB)
		return 0;
	type = pcap_datalink_val_to_name(pcap_datalink(in));
	return wire_fail(why, EINVAL,
		"wire pcap: %.80s holds frames of type %s: record Ethernet (EN10MB)", name,
		type ? type : "unknown");
}

/* Reads it all. */
static int check(pcap_t *in, const char *name, struct sim_error *why)
{
	struct pcap_pkthdr *head;
	const u_char *data;
	const char *fault;

	for (unsigned long long n = 1;; n++) {
		int got = pcap_next_ex(in, &head, &data);

		if (got == PCAP_ERROR_BREAK)
			return 0;
		if (got != 1)
			return wire_fail(why, EINVAL,
				"wire pcap: %.80s: broken at frame %llu (%.80s)", name, n,
				pcap_geterr(in));
		fault = wire_feed_fault(head->caplen, head->len);
		if (fault)
			return wire_fail(
				why, EINVAL, "wire pcap: %.80s: frame %llu %s", name, n, fault);
	}
}

/* Leaves it at the first frame. */
static int open_checked(int fd, const char *name, pcap_t **out, struct sim_error *why)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pcap_t *in = NULL;
	int err;

	if (again < 0) {
		close(fd);
		return wire_fail(why, errno, "wire pcap: %.120s: %s", name, strerror(errno));
	}
	err = open_capture(fd, name, &in, why);
	if (!err)
		err = check(in, name, why);
	if (in)
		pcap_close(in);
	if (err || lseek(again, 0, SEEK_SET)) {
		close(again);
		return err ? err : wire_fail(why, EIO, "wire pcap: %.120s: cannot rewind", name);
	}
	return open_capture(again, name, out, why);
}

/* 1, 0 at the end, -EPROTO if it is not what it was. */
static int next_of_file(struct player *it)
{
	struct pcap_pkthdr *head;
	int got = pcap_next_ex(it->in, &head, &it->frame);

	if (got == 1 && !wire_feed_fault(head->caplen, head->len)) {
		it->len = head->caplen;
		return 1;
	}
	it->frame = NULL;
	pcap_close(it->in);
	it->in = NULL;
	if (got == PCAP_ERROR_BREAK)
		return 0;
	wire_broken(&it->wire, "wire %.120s: the file changed while it was played", it->wire.spec);
	return -EPROTO;
}

/* --- playing a FIFO --- */

static void watch_fifo(struct player *it)
{
	/* Not while what has come waits: the end of a FIFO is always reported. */
	bool wanted = it->fifo.fd >= 0 && it->wire.linked && !it->full && !it->ended;

	if (wanted == it->watched)
		return;
	it->watched = wanted;
	if (wanted)
		(void)loop_add(it->wire.loop, &it->fifo, EPOLLIN);
	else
		loop_remove(it->wire.loop, &it->fifo);
}

static void close_fifo(struct player *it)
{
	if (it->fifo.fd < 0)
		return;
	if (it->watched)
		loop_remove(it->wire.loop, &it->fifo);
	it->watched = false;
	close(it->fifo.fd);
	it->fifo.fd = -1;
	wire_feed_destroy(&it->feed);
}

static void fed(struct loop_io *io, uint32_t events)
{
	struct player *it = container_of(io, struct player, fifo);
	size_t free = wire_fifo_free(&it->feed.bytes);
	ssize_t n;

	(void)events;
	/* There is room: play() ran since the last time, and took something or found no whole
	 * frame. */
	n = read(io->fd, wire_fifo_room(&it->feed.bytes, free), free);
	if (n > 0)
		it->feed.bytes.tail += (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		it->ended = true;
	loop_defer(it->wire.loop, &it->work);
	watch_fifo(it);
}

/* 1, 0 when there is none now or none any more, -EPROTO if it is no capture. */
static int next_of_fifo(struct player *it)
{
	const char *fault;
	int got = wire_feed_next(&it->feed, &it->frame, &it->len, &fault);

	if (!got && it->ended) {
		if (!wire_fifo_used(&it->feed.bytes)) {
			close_fifo(it);
			return 0;
		}
		fault = "is not whole: the FIFO was closed within it";
		got = -EPROTO;
	}
	if (got >= 0)
		return got;
	if (it->feed.begun)
		wire_broken(&it->wire, "wire %.80s: frame %llu %s", it->wire.spec,
			(unsigned long long)it->feed.frames + 1, fault);
	else
		wire_broken(&it->wire, "wire %.80s: what comes %s", it->wire.spec, fault);
	close_fifo(it);
	return got;
}

/* --- playing --- */

static void play(struct loop_work *work)
{
	struct player *it = container_of(work, struct player, work);
	bool from_file = it->in != NULL;

	if (!it->wire.linked || (!it->in && it->fifo.fd < 0))
		return;
	it->full = false;
	for (unsigned int i = 0; i < WIRE_BUDGET; i++) {
		if (!it->frame && (from_file ? next_of_file(it) : next_of_fifo(it)) <= 0)
			goto out;
		it->full = !wire_receive(&it->wire, it->frame, it->len, true);
		if (it->full)
			goto out;
		it->frame = NULL;
		if (!from_file)
			wire_feed_take(&it->feed, it->len);
	}
	loop_defer(it->wire.loop, &it->work);
out:
	watch_fifo(it);
}

static void pcap_resume(struct wire *wire)
{
	loop_defer(wire->loop, &of(wire)->work);
}

static void pcap_link(struct wire *wire)
{
	watch_fifo(of(wire));
	pcap_resume(wire);
}

static int open_in(struct player *it, const char *name, struct stat *st, struct sim_error *why)
{
	int fd;
	int err = open_file(name, O_RDONLY, &fd, st, why);

	if (err)
		return err;
	if (S_ISREG(st->st_mode))
		return open_checked(fd, name, &it->in, why);
	if (!S_ISFIFO(st->st_mode)) {
		close(fd);
		return wire_fail(why, EINVAL,
			"wire pcap: %.120s is no regular file or FIFO: name one", name);
	}
	if (wire_feed_create(&it->feed)) {
		close(fd);
		return wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	}
	it->fifo.fd = fd;
	return 0;
}

/* --- recording --- */

/* stdio keeps an error until asked, so that once a flush is often enough. */
static void flush(struct loop_timer *timer)
{
	struct player *it = container_of(timer, struct player, timer);

	if (!pcap_dump_flush(it->out) && !ferror(pcap_dump_file(it->out)))
		return;
	wire_broken(&it->wire, "wire pcap: %.120s cannot be written: %s", it->out_name,
		strerror(errno));
}

static int pcap_send_frame(struct wire *wire, const uint8_t *frame, size_t len)
{
	struct player *it = of(wire);
	struct pcap_pkthdr head = {.caplen = (bpf_u_int32)len, .len = (bpf_u_int32)len};
	struct timespec now;

	if (!it->out)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	head.ts.tv_sec = now.tv_sec;
	head.ts.tv_usec = now.tv_nsec; /* the file counts nanoseconds */
	pcap_dump((u_char *)it->out, &head, frame);
	if (!it->timer.armed)
		loop_timer_set(wire->loop, &it->timer, FLUSH_NS);
	return 0;
}

static int open_out(
	struct player *it, const char *name, const struct stat *in, struct sim_error *why)
{
	struct stat st = {0};
	FILE *file;
	int fd, err;

	it->out_name = strdup(name);
	it->shape = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, SNAP_BYTES, PCAP_TSTAMP_PRECISION_NANO);
	if (!it->out_name || !it->shape)
		return wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	/* Emptied only once it is known not to be the file to be played. */
	err = open_file(name, O_WRONLY | O_CREAT, &fd, &st, why);
	if (err)
		return err;
	if (!S_ISREG(st.st_mode))
		err = wire_fail(
			why, EINVAL, "wire pcap: %.120s is no regular file: name one", name);
	else if (st.st_dev == in->st_dev && st.st_ino == in->st_ino)
		err = wire_fail(why, EINVAL,
			"wire pcap: %.120s is to be played and written: name two files", name);
	else if (ftruncate(fd, 0))
		err = wire_fail(why, errno, "wire pcap: %.120s: %s", name, strerror(errno));
	file = err ? NULL : fdopen(fd, "w");
	if (!file) {
		close(fd);
		return err ? err : wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	}
	it->out = pcap_dump_fopen(it->shape, file);
	if (!it->out)
		return wire_fail(why, EIO, "wire pcap: %.80s: %.80s", name, pcap_geterr(it->shape));
	if (pcap_dump_flush(it->out))
		return wire_fail(why, errno, "wire pcap: %.120s cannot be written: %s", name,
			strerror(errno));
	return 0;
}

/* --- the wire --- */

static void pcap_close_files(struct wire *wire)
{
	struct player *it = of(wire);

	loop_defer_cancel(wire->loop, &it->work);
	loop_timer_cancel(wire->loop, &it->timer);
	close_fifo(it);
	if (it->out)
		pcap_dump_close(it->out);
	if (it->shape)
		pcap_close(it->shape);
	if (it->in)
		pcap_close(it->in);
	free(it->out_name);
}

static int pcap_open_files(struct wire *wire, const char *args, struct sim_error *why)
{
	struct player *it = of(wire);
	char *in_name = strdup(args);
	char *out_name = in_name ? strchr(in_name, ',') : NULL;
	struct stat st = {0};
	int err = 0;

	it->work.run = play;
	it->timer.fire = flush;
	it->fifo = (struct loop_io){.ready = fed, .fd = -1};
	if (!in_name)
		return wire_fail(why, ENOMEM, "wire pcap: out of memory");
	if (out_name)
		*out_name++ = '\0';
	if (!strcmp(in_name, "-"))
		in_name[0] = '\0';
	if ((out_name && !*out_name) || (!out_name && !*in_name)) {
		err = wire_fail(why, EINVAL, "wire pcap:%.80s: names no file; write %s", args,
			wire->kind->form);
		goto out;
	}
	if (*in_name)
		err = open_in(it, in_name, &st, why);
	if (!err && out_name)
		err = open_out(it, out_name, &st, why);
	if (err)
		pcap_close_files(wire);
	else
		wire_carrier(wire, true);
out:
	free(in_name);
	return err;
}

const struct wire_kind wire_pcap = {
	.name = "pcap",
	.form = "pcap:IN[,OUT]",
	.size = sizeof(struct player),
	.open = pcap_open_files,
	.close = pcap_close_files,
	.send = pcap_send_frame,
	.resume = pcap_resume,
	.link = pcap_link,
};
