/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap: plays one file, records to another. A file to be played is read once from end to end before
 * anything starts, because only then can a fault in it be reported to the one who named it.
 */
#include "nicsim/wire_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_NS   5000000u /* recorded frames are in the file after that */
#define SNAP_BYTES 65535

struct player {
	struct wire wire;
	struct loop_work work;
	struct loop_timer timer; /* to flush */
	pcap_t *in;              /* NULL: nothing to play, or over */
	const uint8_t *frame;    /* next, in memory of `in`; NULL: read one */
	size_t len;
	pcap_t *shape; /* what kind of file `out` is */
	pcap_dumper_t *out;
	char *out_name;
};

static struct player *of(struct wire *wire)
{
	return (struct player *)wire;
}

/* Only regular files: a FIFO or a device would hold up the loop, or never end. */
static int open_regular(const char *name, int flags, const char *mode, FILE **out, struct stat *st,
	struct sim_error *why)
{
	int fd = open(name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);

	if (fd < 0)
		return wire_fail(why, errno, "wire pcap: %.120s: %s", name, strerror(errno));
	if (fstat(fd, st) || !S_ISREG(st->st_mode)) {
		close(fd);
		return wire_fail(
			why, EINVAL, "wire pcap: %.120s is no regular file: name one", name);
	}
	*out = fdopen(fd, mode);
	if (!*out) {
		close(fd);
		return wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	}
	return 0;
}

static int open_in(const char *name, pcap_t **out, struct stat *st, struct sim_error *why)
{
	char text[PCAP_ERRBUF_SIZE];
	FILE *file = NULL;
	pcap_t *in;
	int err = open_regular(name, O_RDONLY, "r", &file, st, why);

	if (!file)
		return err;
	in = pcap_fopen_offline(file, text);
	if (!in) {
		fclose(file);
		return wire_fail(
			why, EINVAL, "wire pcap: %.80s is no capture file (%.80s)", name, text);
	}
	if (pcap_datalink(in) != DLT_EN10MB) {
		const char *type = pcap_datalink_val_to_name(pcap_datalink(in));

		err = wire_fail(why, EINVAL,
			"wire pcap: %.80s holds frames of type %s: record Ethernet (EN10MB)", name,
			type ? type : "unknown");
		pcap_close(in);
		return err;
	}
	*out = in;
	return 0;
}

/* What is wrong with a frame, or NULL. */
static const char *fault(const struct pcap_pkthdr *head)
{
	if (head->caplen < head->len)
		return "was cut when captured: record whole frames (tcpdump -s 0)";
	if (head->caplen < SIM_FRAME_MIN)
		return "is shorter than an Ethernet header: remove it";
	if (head->caplen > SIM_FRAME_MAX)
		return "is longer than 16384 bytes: record with offloads (TSO, GRO) off";
	return NULL;
}

/* Reads it all. */
static int check(const char *name, struct stat *st, struct sim_error *why)
{
	struct pcap_pkthdr *head;
	const u_char *data;
	uint64_t n = 0;
	pcap_t *in = NULL;
	int err = open_in(name, &in, st, why);

	if (!in)
		return err;
	for (;;) {
		const char *what;
		int got = pcap_next_ex(in, &head, &data);

		if (got == PCAP_ERROR_BREAK)
			break;
		n++;
		if (got != 1)
			err = wire_fail(why, EINVAL,
				"wire pcap: %.80s: broken at frame %llu (%.80s)", name,
				(unsigned long long)n, pcap_geterr(in));
		else if ((what = fault(head)))
			err = wire_fail(why, EINVAL, "wire pcap: %.80s: frame %llu %s", name,
				(unsigned long long)n, what);
		if (err)
			break;
	}
	pcap_close(in);
	return err;
}

static void play(struct loop_work *work)
{
	struct player *it = container_of(work, struct player, work);
	struct pcap_pkthdr *head;
	int got = 1;

	for (unsigned int i = 0; i < WIRE_BUDGET; i++) {
		if (!it->wire.linked || !it->in)
			return;
		if (!it->frame) {
			got = pcap_next_ex(it->in, &head, &it->frame);
			if (got != 1 || fault(head))
				goto end;
			it->len = head->caplen;
		}
		if (!wire_receive(&it->wire, it->frame, it->len, true))
			return;
		it->frame = NULL;
	}
	loop_defer(it->wire.loop, &it->work);
	return;

end:
	pcap_close(it->in);
	it->in = NULL;
	it->frame = NULL;
	if (got != PCAP_ERROR_BREAK)
		wire_broken(&it->wire, "wire %.120s: the file changed while it was played",
			it->wire.spec);
}

static void pcap_resume(struct wire *wire)
{
	loop_defer(wire->loop, &of(wire)->work);
}

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
	FILE *file = NULL;
	int err;

	it->out_name = strdup(name);
	it->shape = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, SNAP_BYTES, PCAP_TSTAMP_PRECISION_NANO);
	if (!it->out_name || !it->shape)
		return wire_fail(why, ENOMEM, "wire pcap: %.120s: out of memory", name);
	/* Emptied only once it is known not to be the file to be played. */
	err = open_regular(name, O_WRONLY | O_CREAT, "w", &file, &st, why);
	if (!file)
		return err;
	if (in && st.st_dev == in->st_dev && st.st_ino == in->st_ino)
		err = wire_fail(why, EINVAL,
			"wire pcap: %.120s is to be played and written: name two files", name);
	else if (ftruncate(fileno(file), 0))
		err = wire_fail(why, errno, "wire pcap: %.120s: %s", name, strerror(errno));
	if (err) {
		fclose(file);
		return err;
	}
	it->out = pcap_dump_fopen(it->shape, file);
	if (!it->out)
		return wire_fail(why, EIO, "wire pcap: %.80s: %.80s", name, pcap_geterr(it->shape));
	if (pcap_dump_flush(it->out))
		return wire_fail(why, errno, "wire pcap: %.120s cannot be written: %s", name,
			strerror(errno));
	return 0;
}

static void pcap_close_files(struct wire *wire)
{
	struct player *it = of(wire);

	loop_defer_cancel(wire->loop, &it->work);
	loop_timer_cancel(wire->loop, &it->timer);
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
	if (*in_name) {
		err = check(in_name, &st, why);
		if (!err)
			err = open_in(in_name, &it->in, &st, why);
	}
	if (!err && out_name)
		err = open_out(it, out_name, *in_name ? &st : NULL, why);
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
	.link = pcap_resume,
};
