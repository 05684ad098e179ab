/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The values of a scheme: taken as text (or the six bytes of a MAC address) when they are opened,
 * parsed strictly when they are written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheme/core.h"

/* The port's counters, then the core's own. */
static size_t take_stats(const struct scheme *s, char *text, size_t size)
{
	size_t at = s->port.stats(s->port.ctx, text, size);

	if (at > size) {
		at = size;
	}
	int n = snprintf(text + at, size - at,
		"handles %u\nunclaimed %" PRIu64 "\nrefused %" PRIu64 "\nno_link %" PRIu64
		"\ntap_dropped %" PRIu64 "\n",
		s->open, s->unclaimed, s->count.refused, s->count.no_link, s->count.tap_dropped);
	return n > 0 && (size_t)n < size - at ? at + (size_t)n : at;
}

void scheme_get_totals(const struct scheme *s, struct scheme_totals *totals)
{
	*totals = (struct scheme_totals){
		.unclaimed = s->unclaimed,
		.refused = s->count.refused,
		.no_link = s->count.no_link,
		.tap_dropped = s->count.tap_dropped,
	};
}

void scheme_set_totals(struct scheme *s, const struct scheme_totals *totals)
{
	s->unclaimed = totals->unclaimed;
	s->count.refused = totals->refused;
	s->count.no_link = totals->no_link;
	s->count.tap_dropped = totals->tap_dropped;
}

int scheme_value_take(struct scheme *s, struct handle *h)
{
	const struct scheme_port *port = &s->port;
	size_t size = h->path == PATH_STATS || h->path == PATH_CAGE || h->path == PATH_QUEUE
			      ? STATS_MAX
			      : VALUE_MAX;
	char *text = malloc(size);
	int len = 0;

	if (text == NULL) {
		return -ENOMEM;
	}
	switch (h->path) {
	case PATH_MAC:
		port->mac(port->ctx, (uint8_t *)text);
		len = 6;
		break;
	case PATH_LINK:
		scheme_refresh(s);
		len = s->link.up ? snprintf(text, size, "up %" PRIu32 "\n", s->link.mbit)
				 : snprintf(text, size, "down 0\n");
		break;
	case PATH_STATS: len = (int)take_stats(s, text, size); break;
	case PATH_CAGE:
		if (port->cage != NULL) {
			len = (int)port->cage(port->ctx, text, size);
		}
		break;
	case PATH_MTU: len = snprintf(text, size, "%u\n", port->mtu(port->ctx)); break;
	case PATH_PROMISC: len = snprintf(text, size, "%d\n", port->promiscuous(port->ctx)); break;
	case PATH_QUEUE:
		len = (int)port->queues.text(port->queues.ctx, h->queue, text, size);
		break;
	case PATH_FRAMES:
	case PATH_TAP: break;
	}
	h->value = (uint8_t *)text;
	h->value_len = (size_t)len;
	h->value_at = 0;
	return 0;
}

/* Decimal digits and at most one newline behind them; -1: not that, or above max. */
static int parse_number(const uint8_t *text, size_t len, int max)
{
	int value = 0;

	if (len > 0 && text[len - 1] == '\n') {
		len--;
	}
	if (len == 0) {
		return -1;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return -1;
		}
		value = value * 10 + (text[i] - '0');
		if (value > max) {
			return -1;
		}
	}
	return value;
}

int scheme_value_set(struct scheme *s, const struct handle *h, const uint8_t *text, size_t len)
{
	int ret;

	if (h->path == PATH_QUEUE) { /* it is written to by rings alone */
		return -EACCES;
	}
	if (len > VALUE_MAX) { /* of which the buffer may hold only the beginning */
		return -EINVAL;
	}
	int value = parse_number(text, len, h->path == PATH_MTU ? UINT16_MAX : 1);
	if (value < 0) {
		return -EINVAL;
	}
	if (h->path == PATH_MTU) {
		ret = s->port.set_mtu(s->port.ctx, (uint16_t)value);
		scheme_refresh(s); /* the page has it before the writer hears of it */
		return ret;
	}
	return s->port.set_promiscuous(s->port.ctx, value != 0);
}
