/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A first-fit allocator over a short sorted list: a function has a handful of regions.
 */
#include "pci/iova.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN ((uint64_t)2 << 20)
#define FLOOR ((uint64_t)4 << 30)

static int by_start(const void *left, const void *right)
{
	const struct iova_run *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

/* Where in the list of used runs a run that starts there belongs. */
static size_t place(const struct iova_space *space, uint64_t start)
{
	size_t i = 0;

	while (i < space->runs && space->used[i].start < start)
		i++;
	return i;
}

static int take(struct iova_space *space, struct iova_run run)
{
	size_t at = place(space, run.start);

	if (space->runs == space->room) {
		size_t room = space->room ? 2 * space->room : 16;
		struct iova_run *used = reallocarray(space->used, room, sizeof(*used));

		if (!used)
			return -ENOMEM;
		space->used = used;
		space->room = room;
	}
	memmove(&space->used[at + 1], &space->used[at],
		(space->runs - at) * sizeof(space->used[0]));
	space->used[at] = run;
	space->runs++;
	return 0;
}

int iova_init(struct iova_space *space, const struct iova_run *ranges, size_t n)
{
	static const struct iova_run never[] = {{0, ALIGN - 1}, {0xfee00000, 0xfeefffff}};
	int error;

	*space = (struct iova_space){.ranges = n};
	space->allowed = calloc(n ? n : 1, sizeof(*ranges));
	if (!space->allowed)
		return -ENOMEM;
	if (n)
		memcpy(space->allowed, ranges, n * sizeof(*ranges));
	qsort(space->allowed, n, sizeof(*ranges), by_start);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		error = take(space, never[i]);
		if (error) {
			iova_fini(space);
			return error;
		}
	}
	return 0;
}

void iova_fini(struct iova_space *space)
{
	free(space->allowed);
	free(space->used);
	*space = (struct iova_space){0};
}

/* The lowest fitting start at or above `from` inside `range`. */
static bool fit(const struct iova_space *space, struct iova_run range, uint64_t from, uint64_t size,
	uint64_t *start)
{
	uint64_t at = range.start > from ? range.start : from;

	for (size_t i = 0; i <= space->runs; i++) {
		uint64_t aligned = (at + ALIGN - 1) & ~(ALIGN - 1);

		if (aligned < at || aligned > range.last || range.last - aligned < size - 1)
			return false;
		if (i == space->runs || space->used[i].start > aligned + (size - 1)) {
			*start = aligned;
			return true;
		}
		if (space->used[i].last == UINT64_MAX)
			return false;
		if (space->used[i].last >= at)
			at = space->used[i].last + 1;
	}
	return false;
}

int iova_alloc(struct iova_space *space, uint64_t size, uint64_t *start)
{
	static const uint64_t floors[] = {FLOOR, 0};

	if (!size)
		return -EINVAL;
	for (size_t f = space->low ? 1 : 0; f < 2; f++) {
		for (size_t i = 0; i < space->ranges; i++) {
			if (fit(space, space->allowed[i], floors[f], size, start))
				return take(space, (struct iova_run){*start, *start + (size - 1)});
		}
	}
	return -ENOSPC;
}

int iova_reserve(struct iova_space *space, uint64_t start, uint64_t size)
{
	struct iova_run run = {start, start + (size - 1)};
	size_t i = 0;

	if (!size || run.last < start)
		return -EINVAL;
	while (i < space->ranges &&
		!(space->allowed[i].start <= start && run.last <= space->allowed[i].last))
		i++;
	if (i == space->ranges)
		return -EINVAL;
	for (i = 0; i < space->runs; i++) {
		if (space->used[i].start <= run.last && space->used[i].last >= start)
			return -EBUSY;
	}
	return take(space, run);
}

void iova_free(struct iova_space *space, uint64_t start)
{
	size_t at = place(space, start);

	if (at == space->runs || space->used[at].start != start)
		return;
	space->runs--;
	memmove(&space->used[at], &space->used[at + 1],
		(space->runs - at) * sizeof(space->used[0]));
}
