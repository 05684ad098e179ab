/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One direction only: receives and measures or records, and sends what was recorded.
 */
#include "rheinfall/rheinfall.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

/* How long the driver may do nothing with what waits before a replay has failed. */
#define SETTLE_NS (10 * SECOND_NS)

/* --- receive, record --- */

struct recorder {
	pcap_t *format;
	pcap_dumper_t *file;
	uint64_t flush_ns;
};

static int recorder_open(struct recorder *rec, const char *path, struct failure *why)
{
	rec->format = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, FRAME_MAX, PCAP_TSTAMP_PRECISION_NANO);
	if (!rec->format)
		return fail(why, -ENOMEM, "%s: no memory", path);
	rec->file = pcap_dump_open(rec->format, path);
	if (!rec->file) {
		(void)fail(why, -EIO, "%s", pcap_geterr(rec->format));
		pcap_close(rec->format);
		rec->format = NULL;
		return -EIO;
	}
	return 0;
}

static int recorder_flush(struct recorder *rec, const char *path, struct failure *why)
{
	if (pcap_dump_flush(rec->file) < 0 || ferror(pcap_dump_file(rec->file)))
		return fail(why, -EIO, "%s: cannot be written; is there room for it?", path);
	return 0;
}

static void recorder_write(struct recorder *rec, const uint8_t *frame, size_t len)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct pcap_pkthdr header = {.caplen = (bpf_u_int32)len, .len = (bpf_u_int32)len};
	header.ts.tv_sec = t.tv_sec;
	header.ts.tv_usec = t.tv_nsec; /* nanoseconds, as the file's head says */
	pcap_dump((uint8_t *)rec->file, &header, frame);
}

static void recorder_close(struct recorder *rec)
{
	if (rec->file)
		pcap_dump_close(rec->file);
	if (rec->format)
		pcap_close(rec->format);
}

/* Reads at most n frames; returns how many, or -errno. */
static int receive_burst(
	struct run *run, struct port *p, struct recorder *rec, unsigned n, struct failure *why)
{
	struct result *r = &run->result;
	struct batch *batch = &run->batch[0];
	int got = port_receive(p, batch, n);
	if (got < 0)
		return port_failed(p, got, why);
	uint64_t now = now_ns();
	for (int i = 0; i < got; i++) {
		const struct iovec *frame = &batch->frame[i];
		if (r->rx.frames++ == 0)
			r->begin_ns = now; /* rates count from the first */
		r->rx.bytes += frame->iov_len;
		r->rx.last_ns = now;
		if (r->meter)
			(void)meter_note(r->meter, frame->iov_base, frame->iov_len, now);
		if (rec->file)
			recorder_write(rec, frame->iov_base, frame->iov_len);
	}
	return got;
}

static int receive_loop(struct run *run, struct port *p, struct recorder *rec, struct failure *why)
{
	const struct options *o = run->options;
	const struct result *r = &run->result;
	uint64_t end = o->duration_ns > 0 ? now_ns() + o->duration_ns : UINT64_MAX;
	while (!*run->interrupted && (o->count == 0 || r->rx.frames < o->count)) {
		uint64_t now = now_ns();
		if (now >= end)
			break;
		report_live(run, now);
		/* Once a second, so that a file is of use while it grows. */
		if (rec->file && now >= rec->flush_ns) {
			rec->flush_ns = now + SECOND_NS;
			int err = recorder_flush(rec, o->file, why);
			if (err)
				return err;
		}
		uint64_t n =
			o->count > 0 ? least(SCHEME_BURST, o->count - r->rx.frames) : SCHEME_BURST;
		int got = receive_burst(run, p, rec, (unsigned)n, why);
		if (got < 0)
			return got;
		const struct awaited port = {.port = p, .events = POLLIN};
		if (got == 0)
			run_wait(run, &port, 1, rec->file ? least(end, rec->flush_ns) : end);
	}
	return rec->file ? recorder_flush(rec, o->file, why) : 0;
}

int receive(struct run *run, struct port *p, struct failure *why)
{
	struct recorder rec = {0};
	if (run->result.meter)
		meter_init(run->result.meter, clock_identity());
	if (run->options->file) {
		int err = recorder_open(&rec, run->options->file, why);
		if (err)
			return err;
	}
	int err = receive_loop(run, p, &rec, why);
	recorder_close(&rec);
	run->result.ended = true;
	return err;
}

/* --- replay --- */

/* Sends one frame, waiting for room and for the link. 0, also when interrupted, or -errno. */
static int send_patiently(
	struct run *run, struct port *p, const uint8_t *frame, size_t len, struct failure *why)
{
	while (!*run->interrupted) {
		report_live(run, now_ns());
		int sent = port_send_one(p, frame, len);
		if (sent == 1) {
			run->result.tx.frames++;
			run->result.tx.bytes += len;
			run->result.tx.last_ns = now_ns();
			return 0;
		}
		if (sent == 0) {
			const struct awaited port = {.port = p, .events = POLLOUT};
			run_wait(run, &port, 1, UINT64_MAX);
		} else if (sent == -ENETDOWN) {
			int err = port_await_link(p, run, why);
			if (err)
				return err;
		} else {
			return port_failed(p, sent, why);
		}
	}
	return 0;
}

static void await_turn(struct run *run, uint64_t due)
{
	while (!*run->interrupted && now_ns() < due) {
		report_live(run, now_ns());
		run_wait(run, NULL, 0, due);
	}
}

static int replay_loop(struct run *run, struct port *p, pcap_t *file, struct failure *why)
{
	const struct options *o = run->options;
	uint64_t begin = now_ns(), number = 0;
	run->result.begin_ns = begin;
	while (!*run->interrupted && (o->count == 0 || number < o->count)) {
		struct pcap_pkthdr *header;
		const uint8_t *frame;
		int got = pcap_next_ex(file, &header, &frame);
		if (got == PCAP_ERROR_BREAK)
			break;
		if (got != 1)
			return fail(why, -EIO, "%s: after frame %llu: %s", o->file,
				(unsigned long long)number, pcap_geterr(file));
		number++;
		if (header->caplen != header->len)
			return fail(why, -EINVAL,
				"%s: frame %llu was cut when it was recorded, %u of %u bytes; "
				"record it whole",
				o->file, (unsigned long long)number, header->caplen, header->len);
		if (o->rate > 0)
			await_turn(run, begin + (number - 1) / o->rate * SECOND_NS +
						(number - 1) % o->rate * SECOND_NS / o->rate);
		if (o->duration_ns > 0 && now_ns() - begin >= o->duration_ns)
			break;
		int err = send_patiently(run, p, frame, header->len, why);
		if (err == -EMSGSIZE || err == -EINVAL)
			return fail(why, err,
				"%s: frame %llu is too %s for %s: %u bytes, of %u to %zu", o->file,
				(unsigned long long)number, err == -EINVAL ? "short" : "long",
				p->name, header->len, FRAME_HEADER, port_frame_max(p));
		if (err)
			return err;
	}
	return 0;
}

int replay(struct run *run, struct port *p, struct failure *why)
{
	const struct options *o = run->options;
	char text[PCAP_ERRBUF_SIZE];
	FILE *stream = fopen(o->file, "re");
	if (!stream)
		return fail(why, -errno, "%s: %s", o->file, strerror(errno));
	pcap_t *file = pcap_fopen_offline(stream, text);
	if (!file) {
		fclose(stream);
		return fail(why, -EINVAL, "%s: not a recording: %s", o->file, text);
	}
	int err = 0;
	if (pcap_datalink(file) != DLT_EN10MB) {
		err = fail(why, -EINVAL, "%s: a recording of %s, not of Ethernet", o->file,
			pcap_datalink_val_to_description_or_dlt(pcap_datalink(file)));
		goto out;
	}
	err = port_await_link(p, run, why);
	if (!err)
		err = replay_loop(run, p, file, why);
	if (err)
		goto out;
	uint32_t waiting = port_settle(p, run, SETTLE_NS);
	uint64_t lost = atomic_load(&p->status->no_link) + atomic_load(&p->status->refused);
	if (waiting > 0 && !*run->interrupted)
		err = fail(why, -EIO, "%s: its driver did not take the last %u frames", p->name,
			waiting);
	else if (lost > 0)
		err = fail(why, -EIO,
			"%s: its driver dropped %llu frames: the link was down or the MTU changed",
			p->name, (unsigned long long)lost);
out:
	pcap_close(file);
	run->result.ended = true;
	return err;
}
