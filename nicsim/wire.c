/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Wires: the specification is read here, the rest is the kind's.
 */
#include "nicsim/wire_kind.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct wire_kind *const kinds[] = {
	&wire_tap, &wire_loop, &wire_cable, &wire_pcap, &wire_gen, &wire_sink};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Names come from outside: whatever is in them, a message stays one line. */
static void fill(struct sim_error *why, const char *format, va_list args)
{
	vsnprintf(why->text, sizeof(why->text), format, args);
	for (char *c = why->text; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
}

int wire_fail(struct sim_error *why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(why, format, args);
	va_end(args);
	return -error;
}

void wire_carrier(struct wire *wire, bool up)
{
	if (wire->carrier == up)
		return;
	wire->carrier = up;
	wire->port.carrier(wire->port.ctx, up);
}

void wire_broken(struct wire *wire, const char *format, ...)
{
	struct sim_error why;
	va_list args;

	va_start(args, format);
	fill(&why, format, args);
	va_end(args);
	wire_carrier(wire, false);
	if (wire->port.broken)
		wire->port.broken(wire->port.ctx, &why);
}

static const struct wire_kind *find(const char *name, size_t len)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (strlen(kinds[i]->name) == len && !memcmp(kinds[i]->name, name, len))
			return kinds[i];
	}
	return NULL;
}

static int unknown(const char *spec, struct sim_error *why)
{
	char forms[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < KINDS && used < sizeof(forms); i++)
		used += (size_t)snprintf(forms + used, sizeof(forms) - used, "%s%s",
			i == 0          ? ""
			: i + 1 < KINDS ? ", "
					: " or ",
			kinds[i]->form);
	return wire_fail(
		why, EINVAL, "wire %.40s: no such kind; write %s", *spec ? spec : "''", forms);
}

/* --- the link's speed --- */

static void pace_over(struct loop_timer *timer)
{
	struct wire *wire = container_of(timer, struct wire, pace_timer);

	wire->port.sendable(wire->port.ctx);
}

static bool pace_room(struct wire *wire)
{
	return wire_pace_room(&wire->pace, loop_now());
}

static void pace_wait(struct wire *wire)
{
	wire->paced++;
	loop_timer_set(wire->loop, &wire->pace_timer, wire_pace_wait(&wire->pace));
}

static int send_paced(struct wire *wire, const uint8_t *frame, size_t len)
{
	int rc;

	if (!pace_room(wire)) {
		pace_wait(wire);
		return -EAGAIN;
	}
	rc = wire->kind->send(wire, frame, len);
	if (rc == 0)
		wire_pace_take(&wire->pace, wire_pace_time(len, wire->port.speed(wire->port.ctx)));
	return rc;
}

static size_t send_burst_paced(struct wire *wire, const struct wire_frame *frames, size_t n)
{
	struct wire_pace ahead;
	unsigned mbit = wire->port.speed(wire->port.ctx);
	size_t fit = 0, taken = 0;

	(void)pace_room(wire);
	for (ahead = wire->pace; fit < n && wire_pace_room(&ahead, ahead.at); fit++)
		wire_pace_take(&ahead, wire_pace_time(frames[fit].len, mbit));
	if (fit > 0)
		taken = wire->kind->send_burst(wire, frames, fit);
	for (size_t i = 0; i < taken; i++)
		wire_pace_take(&wire->pace, wire_pace_time(frames[i].len, mbit));
	if (taken == fit && fit < n)
		pace_wait(wire);
	return taken;
}

/* --- what a card does --- */

int wire_open(struct wire **out, const char *spec, struct loop *loop, const struct wire_port *port,
	struct sim_error *why)
{
	size_t len = strcspn(spec, ":");
	const struct wire_kind *kind = find(spec, len);
	struct wire *wire;
	int err;

	if (!kind)
		return unknown(spec, why);
	/* A form without a colon is a name and nothing more. */
	if (!strchr(kind->form, ':') ? spec[len] != '\0' : !spec[len] || !spec[len + 1])
		return wire_fail(why, EINVAL, "wire %.60s: write %s", spec, kind->form);

	wire = calloc(1, kind->size);
	if (!wire)
		return wire_fail(why, ENOMEM, "wire %.60s: out of memory", spec);
	wire->kind = kind;
	wire->loop = loop;
	wire->port = *port;
	wire->pace_timer.fire = pace_over;
	wire->spec = strdup(spec);
	if (!wire->spec) {
		err = wire_fail(why, ENOMEM, "wire %.60s: out of memory", spec);
		goto free_wire;
	}
	*out = wire;
	err = kind->open(wire, spec[len] ? spec + len + 1 : "", why);
	if (err)
		goto free_spec;
	return 0;

free_spec:
	*out = NULL;
	free(wire->spec);
free_wire:
	free(wire);
	return err;
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	loop_timer_cancel(wire->loop, &wire->pace_timer);
	wire->kind->close(wire);
	free(wire->spec);
	free(wire);
}

int wire_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	if (len < SIM_FRAME_MIN || len > SIM_FRAME_MAX)
		return -EINVAL;
	if (!wire->carrier || !wire->linked)
		return 0;
	return wire->port.speed ? send_paced(wire, frame, len) : wire->kind->send(wire, frame, len);
}

bool wire_bursts(const struct wire *wire)
{
	return wire->kind->send_burst != NULL;
}

size_t wire_send_burst(struct wire *wire, const struct wire_frame *frames, size_t n)
{
	if (!wire->carrier || !wire->linked)
		return n;
	return wire->port.speed ? send_burst_paced(wire, frames, n)
				: wire->kind->send_burst(wire, frames, n);
}

void wire_resume(struct wire *wire)
{
	if (wire->kind->resume)
		wire->kind->resume(wire);
}

void wire_set_link(struct wire *wire, bool up)
{
	if (wire->linked == up)
		return;
	wire->linked = up;
	if (wire->kind->link)
		wire->kind->link(wire);
}

void wire_set_speed(struct wire *wire, unsigned mbit)
{
	if (wire->mbit == mbit)
		return;
	wire->mbit = mbit;
	if (wire->linked && wire->kind->link)
		wire->kind->link(wire);
}

bool wire_lit(const struct wire *wire)
{
	return wire->lit || wire->carrier;
}

void wire_forget(struct wire *wire)
{
	if (wire->kind->forget)
		wire->kind->forget(wire);
}

uint64_t wire_paced(const struct wire *wire)
{
	return wire->paced;
}

const char *wire_name(const struct wire *wire)
{
	return wire->spec;
}
