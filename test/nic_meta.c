/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends frames with metadata through a card whose wire brings them back, and prints what comes, for
 * test/test_nic_meta.py to judge. Each line of the file, in hexadecimal:
 *
 *     BACK CUT FLAGS TYPE VLAN MSS L2 L3 L4 DATA
 *
 * how many frames come back of it, the bytes of each piece that it is sent in, its metadata (none
 * if the flags are 0), the frame. What comes, a frame a line:
 *
 *     FLAGS TYPE VLAN HASH DATA
 *
 * --dropped N --then M: at the end it waits until the card has dropped N frames, and then takes M.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic/card.h"

#define BURST   32u
#define ENTRIES 40u
#define HEADER  sizeof(struct frame_meta)

struct request {
	unsigned back, cut;
	struct frame_meta meta;
	unsigned len;
	uint8_t data[NIC_SEGMENT_MAX];
};

struct options {
	bool starves;
	unsigned dropped, then;
};

/* What passes the filters. */
#define LIST 256u

struct list {
	size_t addresses, vlans;
	uint8_t address[LIST][6];
	uint16_t vlan[LIST];
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "nic_meta: %s: %s\n", what, why);
	return 1;
}

/* The number at *at, which moves behind it. */
static unsigned number(char **at)
{
	return (unsigned)strtoul(*at, at, 16);
}

/* The bytes that a text has, up to what is no digit or colon. */
static unsigned hex(const char *text, uint8_t *out, unsigned room)
{
	static const char digits[] = "0123456789abcdef";
	unsigned n = 0;

	for (const char *high, *low; n < room; text += 2, n++) {
		text += *text == ':';
		high = *text ? strchr(digits, text[0]) : NULL;
		low = high && text[1] ? strchr(digits, text[1]) : NULL;
		if (!low)
			break;
		out[n] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return n;
}

static void parse(char *line, struct request *r)
{
	r->back = number(&line);
	r->cut = number(&line);
	r->meta = (struct frame_meta){.flags = (uint16_t)number(&line)};
	r->meta.type = (uint16_t)number(&line);
	r->meta.vlan = (uint16_t)number(&line);
	r->meta.mss = (uint16_t)number(&line);
	r->meta.l2_len = (uint8_t)number(&line);
	r->meta.l3_len = (uint16_t)number(&line);
	r->meta.l4_len = (uint8_t)number(&line);
	line += strspn(line, " ");
	r->len = hex(line, r->data, sizeof r->data);
}

/* Queues it; false: it is refused, or there are too few buffers. */
static bool send_one(struct nic_card *card, const struct request *r)
{
	struct frame frames[ENTRIES];
	uint32_t offset;
	size_t n = 0;

	for (unsigned at = 0; at < r->len && n < ENTRIES; n++) {
		unsigned len = r->len - at < r->cut ? r->len - at : r->cut;

		if (!nic_pool_get(&card->pool, &offset, 1))
			return false;
		memcpy(nic_data(&card->pool, offset), r->data + at, len);
		at += len;
		frames[n] = (struct frame){offset, (uint16_t)len, at < r->len ? FRAME_MORE : 0};
	}
	if (n && r->meta.flags) {
		memcpy(nic_data(&card->pool, frames[0].offset) - HEADER, &r->meta, HEADER);
		frames[0].flags |= FRAME_META;
	}
	return nic_tx(card->queue, &card->pool, frames, n) == n;
}

/* Prints what came; returns how many frames. */
static unsigned print_frames(struct nic_card *card)
{
	struct frame frames[BURST];
	size_t got = nic_rx(card->queue, &card->pool, frames, BURST);
	unsigned whole = 0;
	bool begins = true;

	for (size_t i = 0; i < got; i++) {
		const uint8_t *data = nic_data(&card->pool, frames[i].offset);
		struct frame_meta meta = {0};

		if (frames[i].flags & FRAME_META)
			memcpy(&meta, data - HEADER, HEADER);
		if (begins)
			printf("%x %x %x %x ", meta.flags, meta.type, meta.vlan, meta.hash);
		for (unsigned k = 0; k < frames[i].len; k++)
			printf("%02x", data[k]);
		begins = !(frames[i].flags & FRAME_MORE);
		if (begins)
			printf("%s\n", frames[i].flags & FRAME_ERROR ? " error" : "");
		whole += begins;
		nic_pool_put(&card->pool, &frames[i].offset, 1);
	}
	return whole;
}

/* Prints that many frames, as they come. */
static int await_frames(struct nic_card *card, unsigned n)
{
	for (unsigned ms = 0; n; ms++) {
		unsigned got = print_frames(card);

		if (ms > 30000 || nic_gone(card->nic))
			return -1;
		if (got > n)
			return -1;
		n -= got;
		if (!got)
			usleep(1000);
	}
	return 0;
}

/* What was not received meanwhile. */
static int take_the_rest(struct nic_card *card, const struct options *o)
{
	struct nic_stats stats = {0};

	for (unsigned ms = 0; stats.rx_dropped < o->dropped && ms < 30000; ms++) {
		if (nic_stats(card->nic, &stats))
			return fail("stats", "none");
		usleep(1000);
	}
	if (await_frames(card, o->then))
		return fail("the rest", "not all of it comes");
	if (nic_stats(card->nic, &stats))
		return fail("stats", "none");
	printf("dropped %u missed %u\n", (unsigned)stats.rx_dropped, (unsigned)stats.rx_missed);
	return 0;
}

static int run(struct nic_card *card, FILE *file, const struct options *o)
{
	static struct request r;
	char *line = NULL;
	size_t room = 0;

	nic_rx(card->queue, &card->pool, NULL, 0);
	nic_flush(card->queue);
	if (nic_card_wait_link(card, 30000))
		return fail("link", "it does not come up");
	while (getline(&line, &room, file) > 0) {
		parse(line, &r);
		if (!send_one(card, &r))
			return fail("refused", line);
		if (await_frames(card, r.back))
			return fail("not so much comes back of", line);
		(void)nic_tx(card->queue, &card->pool, NULL, 0);
	}
	free(line);
	if (o->starves && take_the_rest(card, o))
		return 1;
	printf("end\n");
	return 0;
}

static void add_address(struct list *list, const char *text)
{
	(void)hex(text, list->address[list->addresses++ % LIST], 6);
}

static int set_filters(struct nic *nic, const struct list *list)
{
	const uint8_t(*addresses)[6] = list->address;

	if (list->addresses && nic_set_addresses(nic, addresses, list->addresses))
		return fail("filters", "addresses");
	if (list->vlans && nic_set_vlans(nic, list->vlan, list->vlans))
		return fail("filters", "VLANs");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"offloads", 1, NULL, 'o'}, {"mtu", 1, NULL, 'm'},
		{"filtered", 0, NULL, 'f'}, {"address", 1, NULL, 'a'}, {"vlan", 1, NULL, 'v'},
		{"ring", 1, NULL, 'r'}, {"drop", 1, NULL, 'd'}, {"dropped", 1, NULL, 'D'},
		{"then", 1, NULL, 't'}, {NULL, 0, NULL, 0}};
	struct nic_config config = {.promiscuous = true};
	struct list list = {0};
	struct options o = {0};
	struct nic_card card;
	struct pci_error why;
	FILE *file;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'o': config.offloads = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'm': config.mtu = (uint16_t)strtoul(optarg, NULL, 0); break;
		case 'f': config.promiscuous = false; break;
		case 'a': add_address(&list, optarg); break;
		case 'v':
			list.vlan[list.vlans++ % LIST] = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'r': config.rx_ring = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'd': config.drop = (enum nic_drop)strtoul(optarg, NULL, 10); break;
		case 'D':
			o.starves = true;
			o.dropped = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't': o.then = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (optind + 2 != argc)
		return fail("usage", "nic_meta [options] ADDRESS FILE");
	file = fopen(argv[optind + 1], "r");
	if (!file)
		return fail(argv[optind + 1], "cannot be read");
	rc = nic_card_open(&card, argv[optind], &config, NULL, &why);
	if (rc)
		fail(argv[optind], why.text);
	else
		rc = set_filters(card.nic, &list) || run(&card, file, &o);
	nic_card_close(&card);
	fclose(file);
	return rc ? 1 : 0;
}
