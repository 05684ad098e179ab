/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is found out about a received frame: the queue it goes to (82599 datasheet 7.1.2), and what
 * its descriptor says of it.
 */
#include <string.h>

#include "nicsim/headers.h"
#include "nicsim/ixgbe/card.h"

#define NO_QUEUE (-1)
#define TCP_SYN  0x02u /* of the flags, 13 bytes into the header */

/* --- filters, each of which leads to a queue --- */

int ixgbe_ethertype_filter(const struct ixgbe *card, unsigned ethertype)
{
	for (unsigned n = 0; n < ETQF_COUNT; n++) {
		uint32_t filter = card->reg[ETQF(n) / 4];

		if (filter & ETQF_ENABLE && ETQF_TYPE(filter) == ethertype)
			return (int)n;
	}
	return -1;
}

static int ethertype_queue(const struct ixgbe *card, int filter)
{
	uint32_t queue = filter < 0 ? 0 : card->reg[ETQS(filter) / 4];

	return queue & ETQS_ENABLE ? (int)ETQS_QUEUE(queue) : NO_QUEUE;
}

static int syn_queue(
	const struct ixgbe *card, const struct sim_headers *headers, const uint8_t *frame)
{
	uint32_t filter = card->reg[SYNQF / 4];

	if (!(filter & SYNQF_ENABLE) || !(headers->types & SIM_TYPE_TCP) ||
		!(frame[headers->l4 + 13] & TCP_SYN))
		return NO_QUEUE;
	return (int)SYNQF_QUEUE(filter);
}

/* What 5-tuple filters compare, as their registers have it. */
struct tuple {
	uint32_t protocol, source, destination, ports;
	bool transport; /* there are ports */
};

static void make_tuple(struct tuple *tuple, const struct sim_headers *headers, const uint8_t *frame)
{
	const uint8_t *ip = frame + headers->ip;

	memset(tuple, 0, sizeof(*tuple));
	tuple->protocol = headers->types & SIM_TYPE_TCP    ? FTQF_TCP
			  : headers->types & SIM_TYPE_UDP  ? FTQF_UDP
			  : headers->types & SIM_TYPE_SCTP ? FTQF_SCTP
							   : FTQF_OTHER;
	memcpy(&tuple->source, ip + 12, 4);
	memcpy(&tuple->destination, ip + 16, 4);
	tuple->transport = headers->l4 != 0;
	if (headers->l4)
		memcpy(&tuple->ports, frame + headers->l4, 4);
}

static bool matches(const struct ixgbe *card, unsigned n, const struct tuple *tuple)
{
	uint32_t filter = card->reg[FTQF(n) / 4], ignored = FTQF_IGNORED(filter);
	uint32_t ports = card->reg[SDPQF(n) / 4] ^ tuple->ports;

	if (!(ignored & FTQF_PROTOCOL) && FTQF_OF(filter) != tuple->protocol)
		return false;
	if (!(ignored & FTQF_SOURCE) && card->reg[SAQF(n) / 4] != tuple->source)
		return false;
	if (!(ignored & FTQF_DESTINATION) && card->reg[DAQF(n) / 4] != tuple->destination)
		return false;
	if (!(ignored & FTQF_SOURCE_PORT) && (ports & 0xffff || !tuple->transport))
		return false;
	return ignored & FTQF_DESTINATION_PORT || (ports >> 16 == 0 && tuple->transport);
}

/* Of those that match the one with the highest priority, of equal ones the first (7.1.2.5). */
static int tuple_queue(
	const struct ixgbe *card, const struct sim_headers *headers, const uint8_t *frame)
{
	struct tuple tuple;
	int queue = NO_QUEUE;
	uint32_t best = 0;

	if (!card->tuple_top || !(headers->types & SIM_TYPE_IPV4) || headers->inner != headers->ip)
		return NO_QUEUE;
	make_tuple(&tuple, headers, frame);
	for (unsigned n = 0; n < card->tuple_top; n++) {
		uint32_t filter = card->reg[FTQF(n) / 4], priority = FTQF_PRIORITY(filter) + 1;

		if (filter & FTQF_ENABLE && priority > best && matches(card, n, &tuple)) {
			best = priority;
			queue = (int)L34TIMIR_QUEUE(card->reg[L34TIMIR(n) / 4]);
		}
	}
	return queue;
}

/* In the order of 7.1.2.1. */
static int filter_queue(const struct ixgbe *card, const struct sim_headers *headers,
	const uint8_t *frame, int ethertype)
{
	bool syn_first = card->reg[SYNQF / 4] & SYNQF_FIRST;
	int queue = ethertype_queue(card, ethertype);

	if (queue == NO_QUEUE && syn_first)
		queue = syn_queue(card, headers, frame);
	if (queue == NO_QUEUE)
		queue = tuple_queue(card, headers, frame);
	if (queue == NO_QUEUE && !syn_first)
		queue = syn_queue(card, headers, frame);
	return queue;
}

/* --- all of it --- */

struct ixgbe_verdict ixgbe_judge(struct ixgbe *card, const uint8_t *frame, uint32_t len)
{
	struct ixgbe_verdict verdict = {0};
	struct sim_headers headers;
	uint32_t control = *ixgbe_reg(card, RXCSUM), status;
	int filter, queue;

	sim_headers(&headers, frame, len, VLNCTRL_TYPE(*ixgbe_reg(card, VLNCTRL)));
	status = sim_check_sums(&headers, frame);
	verdict.info = headers.types;
	filter = ixgbe_ethertype_filter(card, headers.ethertype);
	if (filter >= 0)
		verdict.info = SIM_TYPE_L2 | SIM_TYPE_ETQF(filter);
	ixgbe_rss(card, &verdict, &headers, frame, len);
	queue = filter_queue(card, &headers, frame, filter);
	if (queue == NO_QUEUE) {
		queue = ixgbe_fdir_queue(card, &headers, frame, len);
		if (queue != NO_QUEUE)
			status |= SIM_STATUS_FLM;
	}
	if (queue != NO_QUEUE)
		verdict.queue = (uint8_t)queue;
	/* There is room for one of them. */
	if (!(control & RXCSUM_PCSD)) {
		verdict.info &= ~RSS_TYPE;
		verdict.hash =
			control & RXCSUM_IPPCSE ? sim_check_fragment(&headers, frame, &status) : 0;
	}
	if (frame[0] & 1)
		status |= SIM_STATUS_PIF;
	verdict.status = status;
	return verdict;
}

/* Keeps track of how many filters a search must look at. */
void ixgbe_write_ftqf(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	unsigned n = (offset - FTQF(0)) / 4;

	if (value & FTQF_ENABLE) {
		if (card->tuple_top <= n)
			card->tuple_top = n + 1;
	} else {
		while (card->tuple_top && !(card->reg[FTQF(card->tuple_top - 1) / 4] & FTQF_ENABLE))
			card->tuple_top--;
	}
}

void ixgbe_steer_reset(struct ixgbe *card)
{
	card->tuple_top = 0;
}
