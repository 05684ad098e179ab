/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See meter.h. The numbers seen are a bitmap over the newest METER_WINDOW ones, used as a ring.
 */
#include "rheinfall/meter.h"

#include <string.h>

static bool test_and_set(struct sequence *s, uint64_t number)
{
	uint64_t *word = &s->seen[number % METER_WINDOW / 64];
	uint64_t bit = 1ull << number % 64;
	bool was = *word & bit;
	*word |= bit;
	return was;
}

/* Makes `number` the highest: what the window newly covers was not seen yet. */
static void advance(struct sequence *s, uint64_t number)
{
	if (number - s->next >= METER_WINDOW) {
		memset(s->seen, 0, sizeof(s->seen));
	} else {
		for (uint64_t n = s->next; n <= number; n++)
			s->seen[n % METER_WINDOW / 64] &= ~(1ull << n % 64);
	}
	s->next = number + 1;
}

void sequence_note(struct sequence *s, uint64_t number)
{
	if (number >= s->next) {
		advance(s, number);
		test_and_set(s, number);
		s->unique++;
	} else if (number < s->first || s->next - number > METER_WINDOW) {
		s->late++;
	} else if (test_and_set(s, number)) {
		s->duplicated++;
	} else {
		s->unique++;
		s->reordered++;
	}
}

uint64_t sequence_missing(const struct sequence *s)
{
	return s->next - s->first - s->unique;
}

void meter_init(struct meter *m, uint16_t clock)
{
	memset(m, 0, sizeof(*m));
	payload_init(&m->tables);
	m->clock = clock;
	m->limit = UINT64_MAX;
}

void meter_init_own(struct meter *m, uint16_t clock, uint32_t stream)
{
	meter_init(m, clock);
	m->own = true;
	m->limit = 0;
	m->streams = 1;
	m->stream[0].id = stream;
}

/* The stream a frame belongs to, or NULL. */
static struct sequence *find(struct meter *m, const struct stamp *stamp)
{
	if (m->streams > 0 && m->stream[m->current].id == stamp->stream)
		return &m->stream[m->current].sequence;
	for (size_t i = 0; i < m->streams; i++) {
		if (m->stream[i].id != stamp->stream)
			continue;
		m->current = i;
		return &m->stream[i].sequence;
	}
	if (m->own || m->streams == METER_STREAMS)
		return NULL;

	struct meter_stream *fresh = &m->stream[m->streams];
	fresh->id = stamp->stream;
	if (stamp->number > METER_WINDOW)
		fresh->sequence.first = fresh->sequence.next = stamp->number;
	m->current = m->streams++;
	return &fresh->sequence;
}

bool meter_note(struct meter *m, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	struct stamp stamp;
	switch (payload_check(&m->tables, frame, len, &stamp)) {
	case PAYLOAD_FOREIGN: m->foreign++; return false;
	case PAYLOAD_CORRUPTED: m->corrupted++; return false;
	case PAYLOAD_INTACT: break;
	}
	struct sequence *s = find(m, &stamp);
	if (!s) {
		m->foreign++;
		return false;
	}
	if (stamp.number >= m->limit) { /* nobody sent that */
		m->corrupted++;
		return false;
	}

	uint64_t before = s->unique;
	sequence_note(s, stamp.number);
	if (s->unique == before)
		return false;
	/* Two processors' clocks may differ by a few ns, never by more than that. */
	if (stamp.clock == m->clock)
		histogram_add(&m->latency, now_ns > stamp.sent_ns ? now_ns - stamp.sent_ns : 0);
	return true;
}

void meter_sum(const struct meter *m, bool ended, struct meter_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (size_t i = 0; i < m->streams; i++) {
		const struct sequence *s = &m->stream[i].sequence;
		sum->unique += s->unique;
		sum->lost += sequence_missing(s);
		sum->duplicated += s->duplicated;
		sum->reordered += s->reordered;
		sum->late += s->late;
	}
	if (m->own && ended)
		sum->lost = m->limit - sum->unique;
}
