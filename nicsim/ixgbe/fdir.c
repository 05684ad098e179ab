/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Flow director filters of the kind that a driver sets for each of its connections (signature mode,
 * 82599 datasheet 7.1.2.7): a frame's addresses, ports, tag and type make two hashes of 15 bits,
 * one of which names a bucket, the other one a filter in it.
 */
#include <string.h>

#include "nicsim/bytes.h"
#include "nicsim/ixgbe/card.h"

#define HASH 0x7fffu
/* Flow types, as they go into the hash. */
#define FLOW_UDP  1u
#define FLOW_TCP  2u
#define FLOW_SCTP 3u
#define FLOW_IPV6 4u

/* --- the hash (7.1.2.7.3) --- */

/* A window of 16 bits slides over the stream of all fields, and is added where the key, repeated,
 * has a bit set. As the key has 32 bits, the fields can be added up first: `common` is their sum,
 * but for the first doubleword, `flow`. The stream's first 16 bits come without what would precede
 * them.
 */
static uint32_t hash(uint32_t key, uint32_t flow, uint32_t common)
{
	uint32_t low = common << 16 | common >> 16, high = common ^ flow ^ flow >> 16, sum = 0;

	for (unsigned n = 0; n < 16; n++) {
		if (key >> n & 1)
			sum ^= low >> n;
		if (key >> (n + 16) & 1)
			sum ^= high >> n;
		if (n == 0)
			low ^= flow ^ flow << 16;
	}
	return sum & HASH;
}

static uint32_t flow_type(const struct sim_headers *headers)
{
	uint32_t type = headers->types & SIM_TYPE_IPV4 ? 0 : FLOW_IPV6;

	if (headers->inner != headers->ip)
		return type;
	if (headers->types & SIM_TYPE_TCP)
		return type | FLOW_TCP;
	if (headers->types & SIM_TYPE_UDP)
		return type | FLOW_UDP;
	return headers->types & SIM_TYPE_SCTP ? type | FLOW_SCTP : type;
}

static uint32_t sum_fields(const struct ixgbe *card, const struct sim_headers *headers,
	const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + headers->ip;
	bool ipv4 = headers->types & SIM_TYPE_IPV4;
	uint32_t flex = 2 * FDIRCTRL_FLEX(card->reg[FDIRCTRL / 4]), sum = 0;

	for (unsigned i = 0; i < (ipv4 ? 8u : 32u); i += 4)
		sum ^= sim_be32(ip + (ipv4 ? 12 : 8) + i);
	if (headers->l4 && headers->inner == headers->ip)
		sum ^= sim_be32(frame + headers->l4);
	if (flex + 2 <= len)
		sum ^= (uint32_t)sim_be16(frame + flex) << 16;
	return sum;
}

/* --- the table --- */

static uint32_t capacity(const struct ixgbe *card)
{
	uint32_t size = FDIRCTRL_PBALLOC(card->reg[FDIRCTRL / 4]);

	return size && !(card->reg[FDIRCTRL / 4] & FDIRCTRL_PERFECT) ? (4096u << size) - 2 : 0;
}

/* The place of the filter's number: the bucket's, or that of the one before it. */
static uint16_t *find(struct ixgbe_fdir *fdir, uint32_t bucket, uint32_t signature)
{
	uint16_t *place = &fdir->bucket[bucket];

	while (*place && fdir->filter[*place - 1].signature != signature)
		place = &fdir->filter[*place - 1].next;
	return place;
}

static void clear(struct ixgbe *card)
{
	struct ixgbe_fdir *fdir = &card->fdir;

	if (fdir->made)
		memset(fdir->bucket, 0, sizeof(fdir->bucket));
	fdir->made = fdir->used = 0;
	fdir->spare = 0;
	card->reg[FDIRFREE / 4] = capacity(card);
}

/* One that is not in use; 0: there is none. Numbers are from 1. */
static uint16_t take_filter(struct ixgbe *card)
{
	struct ixgbe_fdir *fdir = &card->fdir;
	uint16_t n = fdir->spare;

	if (fdir->used >= capacity(card))
		return 0;
	if (n)
		fdir->spare = fdir->filter[n - 1].next;
	else
		n = (uint16_t)++fdir->made;
	fdir->used++;
	card->reg[FDIRFREE / 4]--;
	return n;
}

static void give_filter(struct ixgbe *card, uint16_t n)
{
	struct ixgbe_fdir *fdir = &card->fdir;

	fdir->filter[n - 1].next = fdir->spare;
	fdir->spare = n;
	fdir->used--;
	card->reg[FDIRFREE / 4]++;
}

/* Successes count in the one half, what could not be done in the other's register. */
static void count(struct ixgbe *card, uint32_t offset, bool removed)
{
	uint32_t value = card->reg[offset / 4], step = removed ? 0x10000 : 1;

	card->reg[offset / 4] = (value & (removed ? 0xffff : 0xffff0000)) |
				((value + step) & (removed ? 0xffff0000 : 0xffff));
}

static void add(struct ixgbe *card, uint16_t *place, uint32_t signature, uint32_t command)
{
	struct ixgbe_fdir_filter *filter;
	bool fresh = *place == 0;

	if (fresh)
		*place = take_filter(card);
	if (*place == 0 || (!fresh && !(command & FDIRCMD_UPDATE))) {
		count(card, FDIRFSTAT, false);
		return;
	}
	filter = &card->fdir.filter[*place - 1];
	if (fresh)
		*filter = (struct ixgbe_fdir_filter){.signature = (uint16_t)signature};
	filter->queue = (uint8_t)FDIRCMD_QUEUE(command);
	count(card, FDIRUSTAT, false);
}

static void take_away(struct ixgbe *card, uint16_t *place)
{
	uint16_t n = *place;

	count(card, n ? FDIRUSTAT : FDIRFSTAT, true);
	if (!n)
		return;
	*place = card->fdir.filter[n - 1].next;
	give_filter(card, n);
}

int ixgbe_fdir_queue(
	struct ixgbe *card, const struct sim_headers *headers, const uint8_t *frame, uint32_t len)
{
	uint32_t flow, common;
	uint16_t n;

	if (!headers->ip || !capacity(card))
		return -1;
	flow = flow_type(headers) << 16;
	if (sim_be16(frame + 12) == VLNCTRL_TYPE(card->reg[VLNCTRL / 4]))
		flow |= sim_be16(frame + 14);
	common = sum_fields(card, headers, frame, len);
	n = *find(&card->fdir, hash(card->reg[FDIRHKEY / 4], flow, common),
		hash(card->reg[FDIRSKEY / 4], flow, common));
	ixgbe_count(card, n ? FDIRMATCH : FDIRMISS);
	return n ? card->fdir.filter[n - 1].queue : -1;
}

/* --- registers --- */

/* A table is made, and there, at once. */
uint32_t ixgbe_read_fdirctrl(struct ixgbe *card, uint32_t offset)
{
	return *ixgbe_reg(card, offset) | FDIRCTRL_INIT_DONE;
}

void ixgbe_write_fdirctrl(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (value & FDIRCTRL_PERFECT)
		report_strict(card->report,
			"flow director: perfect filters are not served, they match nothing");
	clear(card);
}

/* Commands end at once. */
void ixgbe_write_fdircmd(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	uint32_t *command = ixgbe_reg(card, offset), of = card->reg[FDIRHASH / 4];
	uint32_t signature = FDIRHASH_SIGNATURE(of);
	uint16_t *place = find(&card->fdir, FDIRHASH_BUCKET(of), signature);

	*command = value & ~(FDIRCMD_COMMAND | FDIRCMD_VALID);
	if (value & FDIRCMD_CLEAR) {
		clear(card);
		return;
	}
	if (!capacity(card))
		return;
	switch (value & FDIRCMD_COMMAND) {
	case FDIRCMD_ADD: add(card, place, signature, value); break;
	case FDIRCMD_REMOVE: take_away(card, place); break;
	case FDIRCMD_QUERY:
		if (*place)
			*command = (*command & ~FDIRCMD_QUEUES) | FDIRCMD_VALID |
				   (uint32_t)card->fdir.filter[*place - 1].queue << 16;
		break;
	default: break;
	}
}

void ixgbe_fdir_reset(struct ixgbe *card)
{
	clear(card);
}
