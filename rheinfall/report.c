/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What people and programs are told: a line each second (to standard error, so that the rest can
 * be piped), a summary or a JSON object at the end (to standard output).
 */
#include "rheinfall/rheinfall.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double per_second(uint64_t count, uint64_t ns)
{
	return ns > 0 ? (double)count * (double)SECOND_NS / (double)ns : 0.0;
}

static double mbit(uint64_t bytes, uint64_t ns)
{
	return per_second(bytes * 8, ns) / 1e6;
}

/* 1234567 as 1,234,567. */
struct grouped {
	char text[32];
};

static struct grouped group(uint64_t value)
{
	char digits[24];
	struct grouped g;
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	char *to = g.text;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return g;
}

static struct grouped group_rate(double value)
{
	return group((uint64_t)(value + 0.5));
}

/* --- the line each second --- */

/* Prints a line over the former one on a terminal, below it elsewhere. */
static void show(struct live *live, const char *text)
{
	if (live->terminal)
		fprintf(stderr, "\r%s\033[K", text);
	else
		fprintf(stderr, "%s\n", text);
}

void report_live(struct run *run, uint64_t now)
{
	struct live *live = &run->live;
	const struct result *r = &run->result;
	if (!live->on || now < live->next_ns)
		return;
	uint64_t tx_frames = r->tx.frames, rx_frames = r->rx.frames;
	uint64_t tx_bytes = r->tx.bytes, rx_bytes = r->rx.bytes;
	bool lanes = run->options->mode == MODE_BRIDGE;
	if (lanes) {
		tx_frames = r->lane[0].frames, rx_frames = r->lane[1].frames;
		tx_bytes = r->lane[0].bytes, rx_bytes = r->lane[1].bytes;
	}

	uint64_t ns = now - live->last_ns;
	char text[256];
	int n = snprintf(text, sizeof(text), "%s %9s/s %8.1f Mbit/s   %s %9s/s %8.1f Mbit/s",
		lanes ? "->" : "tx", group_rate(per_second(tx_frames - live->tx_frames, ns)).text,
		mbit(tx_bytes - live->tx_bytes, ns), lanes ? "<-" : "rx",
		group_rate(per_second(rx_frames - live->rx_frames, ns)).text,
		mbit(rx_bytes - live->rx_bytes, ns));
	if (r->meter && n > 0 && (size_t)n < sizeof(text)) {
		struct meter_sum sum;
		meter_sum(r->meter, false, &sum);
		snprintf(text + n, sizeof(text) - (size_t)n, "   lost %s", group(sum.lost).text);
	}
	show(live, text);
	live->shown = true;

	live->last_ns = now;
	live->tx_frames = tx_frames, live->rx_frames = rx_frames;
	live->tx_bytes = tx_bytes, live->rx_bytes = rx_bytes;
	live->next_ns += SECOND_NS;
	if (live->next_ns <= now)
		live->next_ns = now + SECOND_NS;
}

/* --- the summary --- */

/* From the start until the last frame: what came after it was waiting. */
static uint64_t flow_ns(const struct result *r, const struct flow *f)
{
	return f->last_ns > r->begin_ns ? f->last_ns - r->begin_ns : 0;
}

static void print_flow(const char *what, const struct result *r, const struct flow *f)
{
	printf("  %-9s %14s frames %12s/s %10.1f Mbit/s", what, group(f->frames).text,
		group_rate(per_second(f->frames, flow_ns(r, f))).text,
		mbit(f->bytes, flow_ns(r, f)));
	if (f->dropped > 0)
		printf(", %s dropped", group(f->dropped).text);
	printf("\n");
}

static void print_time(const char *what, uint64_t ns, const char *end)
{
	if (ns < 1000000)
		printf("%s %.1f us%s", what, (double)ns / 1e3, end);
	else if (ns < SECOND_NS)
		printf("%s %.2f ms%s", what, (double)ns / 1e6, end);
	else
		printf("%s %.2f s%s", what, (double)ns / 1e9, end);
}

static void print_meter(const struct meter *m, bool ended)
{
	struct meter_sum sum;
	meter_sum(m, ended, &sum);
	printf("  lost %s, duplicated %s, reordered %s, late %s, corrupted %s, foreign %s\n",
		group(sum.lost).text, group(sum.duplicated).text, group(sum.reordered).text,
		group(sum.late).text, group(m->corrupted).text, group(m->foreign).text);
	const struct histogram *h = &m->latency;
	if (h->count == 0)
		return;
	print_time("  latency: min", h->min, ", ");
	print_time("median", histogram_quantile(h, 5000), ", ");
	print_time("90 %", histogram_quantile(h, 9000), ", ");
	print_time("99 %", histogram_quantile(h, 9900), ", ");
	print_time("99.9 %", histogram_quantile(h, 9990), ", ");
	print_time("max", h->max, "\n");
}

void report_summary(const struct run *run)
{
	const struct options *o = run->options;
	const struct result *r = &run->result;
	printf("%s", o->url[0]);
	if (o->mode == MODE_BRIDGE)
		printf(" and %s", o->url[1]);
	printf(": %.2f s", (double)(r->end_ns - r->begin_ns) / (double)SECOND_NS);
	if (o->mode == MODE_GENERATE) {
		for (size_t i = 0; i < o->sizes; i++)
			printf("%s%u", i == 0 ? ", frames of " : ",", o->size[i]);
		printf(" bytes");
	}
	printf("\n");

	if (o->mode == MODE_BRIDGE) {
		print_flow("forth", r, &r->lane[0]);
		print_flow("back", r, &r->lane[1]);
	}
	if (o->mode == MODE_MIRROR || o->mode == MODE_GENERATE || o->mode == MODE_REPLAY)
		print_flow("sent", r, &r->tx);
	if (r->no_link > 0 || r->refused > 0)
		printf("  of these dropped by the driver: %s since the link was down, %s of wrong "
		       "size\n",
			group(r->no_link).text, group(r->refused).text);
	if (o->mode == MODE_MIRROR || o->mode == MODE_RECEIVE || o->mode == MODE_RECORD ||
		(o->mode == MODE_GENERATE && !o->one_way))
		print_flow("received", r, &r->rx);
	if (o->mode == MODE_GENERATE && r->rx.frames == 0 && r->tx.frames > 0 && !o->one_way)
		printf("  nothing came back: is a rheinfall mirroring at the other end?\n");
	if (r->meter && !o->one_way)
		print_meter(r->meter, r->ended);
}

/* --- JSON --- */

static json_t *json_number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* Three places are enough for a rate and keep the text readable. */
static json_t *json_rate(double value)
{
	return json_real(round(value * 1000.0) / 1000.0);
}

static void add_flow(json_t *to, const char *prefix, const struct result *r, const struct flow *f)
{
	char name[32];
	snprintf(name, sizeof(name), "%sframes", prefix);
	json_object_set_new(to, name, json_number(f->frames));
	snprintf(name, sizeof(name), "%sbytes", prefix);
	json_object_set_new(to, name, json_number(f->bytes));
	snprintf(name, sizeof(name), "%sfps", prefix);
	json_object_set_new(to, name, json_rate(per_second(f->frames, flow_ns(r, f))));
	snprintf(name, sizeof(name), "%smbit", prefix);
	json_object_set_new(to, name, json_rate(mbit(f->bytes, flow_ns(r, f))));
	if (strcmp(prefix, "rx_") != 0) {
		snprintf(name, sizeof(name), "%sdropped", prefix);
		json_object_set_new(to, name, json_number(f->dropped));
	}
}

static json_t *json_latency(const struct histogram *h)
{
	if (h->count == 0)
		return json_null();
	json_t *o = json_object();
	json_object_set_new(o, "min", json_number(h->min));
	json_object_set_new(o, "p50", json_number(histogram_quantile(h, 5000)));
	json_object_set_new(o, "p90", json_number(histogram_quantile(h, 9000)));
	json_object_set_new(o, "p99", json_number(histogram_quantile(h, 9900)));
	json_object_set_new(o, "p99_9", json_number(histogram_quantile(h, 9990)));
	json_object_set_new(o, "max", json_number(h->max));
	json_object_set_new(o, "frames", json_number(h->count));
	return o;
}

static void add_meter(json_t *to, const struct meter *m, bool ended)
{
	struct meter_sum sum;
	meter_sum(m, ended, &sum);
	json_object_set_new(to, "lost", json_number(sum.lost));
	json_object_set_new(to, "duplicated", json_number(sum.duplicated));
	json_object_set_new(to, "reordered", json_number(sum.reordered));
	json_object_set_new(to, "late", json_number(sum.late));
	json_object_set_new(to, "corrupted", json_number(m->corrupted));
	json_object_set_new(to, "foreign", json_number(m->foreign));
	json_object_set_new(to, "streams", json_number(m->streams));
	json_object_set_new(to, "latency_ns", json_latency(&m->latency));
}

static json_t *json_lane(const struct run *run, size_t from)
{
	json_t *lane = json_object();
	json_object_set_new(lane, "from", json_string(run->options->url[from]));
	json_object_set_new(lane, "to", json_string(run->options->url[1 - from]));
	add_flow(lane, "", &run->result, &run->result.lane[from]);
	return lane;
}

void report_json(const struct run *run, const char *error)
{
	static const char *const modes[] = {[MODE_MIRROR] = "mirror",
		[MODE_GENERATE] = "generate",
		[MODE_RECEIVE] = "receive",
		[MODE_RECORD] = "write",
		[MODE_REPLAY] = "read",
		[MODE_BRIDGE] = "bridge"};
	const struct options *o = run->options;
	const struct result *r = &run->result;
	json_t *root = json_object();
	json_object_set_new(root, "mode", json_string(modes[o->mode]));
	json_object_set_new(root, "url", json_string(o->url[0]));
	json_object_set_new(root, "duration_s",
		json_rate((double)(r->end_ns - r->begin_ns) / (double)SECOND_NS));
	json_object_set_new(root, "error", error ? json_string(error) : json_null());
	if (o->mode == MODE_BRIDGE) {
		json_t *lanes = json_array();
		json_array_append_new(lanes, json_lane(run, 0));
		json_array_append_new(lanes, json_lane(run, 1));
		json_object_set_new(root, "lanes", lanes);
	} else {
		add_flow(root, "tx_", r, &r->tx);
		add_flow(root, "rx_", r, &r->rx);
		json_object_set_new(root, "tx_no_link", json_number(r->no_link));
		json_object_set_new(root, "tx_refused", json_number(r->refused));
	}
	if (o->mode == MODE_GENERATE) {
		json_t *sizes = json_array();
		for (size_t i = 0; i < o->sizes; i++)
			json_array_append_new(sizes, json_number(o->size[i]));
		json_object_set_new(root, "sizes", sizes);
	}
	if (r->meter && !o->one_way)
		add_meter(root, r->meter, r->ended);
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	printf("\n");
	json_decref(root);
}

bool report_lossless(const struct run *run)
{
	const struct result *r = &run->result;
	struct meter_sum sum;
	meter_sum(r->meter, r->ended, &sum);
	return sum.unique > 0 && sum.lost == 0 && sum.duplicated == 0 && sum.late == 0 &&
	       r->meter->corrupted == 0;
}
