/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Several queues: side by side on two cores, and in memory.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/driver/queues.h"

/* --- on several cores --- */

struct thread {
	_Alignas(CACHE_LINE) pthread_t id;
	struct bed *bed;
	unsigned index, threads;
	int core;
	size_t rounds;
	uint32_t *sample;
	struct cycles cycles;
	size_t kept;
	bool in_order;
	pthread_barrier_t *start;
};

static void *run_thread(void *ctx)
{
	struct thread *thread = ctx;
	struct bed *bed = thread->bed;
	unsigned queues =
		(bed->setting.queues - thread->index + thread->threads - 1) / thread->threads;
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET((unsigned)thread->core, &cores);
	(void)pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
	thread->in_order = true;
	for (unsigned i = 0; i < queues && thread->in_order; i++)
		thread->in_order = rig_warm(&bed->rig[thread->index + i * thread->threads]);
	(void)pthread_barrier_wait(thread->start);
	if (thread->in_order)
		thread->in_order = cycles_sample(bed->rig + thread->index, thread->threads, queues,
			WARMTH_HOT, thread->sample, thread->rounds, &thread->kept,
			&thread->cycles.dropped);
	return NULL;
}

/* The first `n` processors that this process may use, or -EINVAL. */
static int find_cores(int core[], unsigned n)
{
	cpu_set_t cores;
	unsigned found = 0;

	(void)sched_getaffinity(0, sizeof cores, &cores);
	for (int i = 0; i < CPU_SETSIZE && found < n; i++)
		if (CPU_ISSET((unsigned)i, &cores))
			core[found++] = i;
	return found == n ? 0 : -EINVAL;
}

static int run_threads(struct thread *thread, unsigned threads, struct pci_error *why)
{
	pthread_barrier_t start;
	unsigned running = 0;
	int rc = pthread_barrier_init(&start, NULL, threads);

	if (rc)
		return -rc;
	for (; running < threads; running++) {
		thread[running].start = &start;
		rc = pthread_create(&thread[running].id, NULL, run_thread, &thread[running]);
		if (rc)
			break;
	}
	if (rc) { /* those that run wait for the others for ever: the process ends */
		(void)snprintf(why->text, sizeof why->text, "no thread: %s", strerror(rc));
		return -rc;
	}
	for (unsigned i = 0; i < threads; i++)
		(void)pthread_join(thread[i].id, NULL);
	(void)pthread_barrier_destroy(&start);
	return 0;
}

static int collect(struct bed *bed, const struct thread *thread, unsigned threads,
	struct cycles *cycles, struct pci_error *why)
{
	size_t kept = 0;
	uint32_t *all;

	*cycles = (struct cycles){0};
	for (unsigned i = 0; i < bed->setting.queues; i++)
		if (rig_fault(&bed->rig[i])) {
			(void)snprintf(why->text, sizeof why->text, "queue %u: %s", i,
				rig_fault(&bed->rig[i]));
			return -EIO;
		}
	for (unsigned i = 0; i < threads; i++)
		kept += thread[i].kept;
	all = calloc(kept + 1, sizeof *all);
	if (!all)
		return -ENOMEM;
	kept = 0;
	for (unsigned i = 0; i < threads; i++) {
		memcpy(all + kept, thread[i].sample, thread[i].kept * sizeof *all);
		kept += thread[i].kept;
		cycles->dropped += thread[i].cycles.dropped;
	}
	cycles_summarize(all, kept, bed->rig[0].round, cycles);
	free(all);
	return 0;
}

int queues_measure(const struct setting *setting, unsigned threads, size_t rounds,
	struct cycles *cycles, struct pci_error *why)
{
	struct thread thread[QUEUES_THREADS];
	int core[QUEUES_THREADS];
	uint32_t *sample;
	struct bed bed;
	int rc = threads <= setting->queues && threads <= QUEUES_THREADS ? find_cores(core, threads)
									 : -EINVAL;

	if (rc) {
		(void)snprintf(why->text, sizeof why->text,
			"%u threads want as many queues and processors", threads);
		return rc;
	}
	sample = calloc(threads * rounds, sizeof *sample);
	if (!sample)
		return -ENOMEM;
	rc = bed_open(&bed, setting, true, why);
	if (rc)
		goto out;
	for (unsigned i = 0; i < threads; i++)
		thread[i] = (struct thread){.bed = &bed,
			.index = i,
			.threads = threads,
			.core = core[i],
			.rounds = rounds,
			.sample = sample + i * rounds};
	rc = run_threads(thread, threads, why);
	if (!rc)
		rc = collect(&bed, thread, threads, cycles, why);
	bed_close(&bed);
out:
	free(sample);
	return rc;
}

/* --- in each other's way --- */

#define AREAS 256u

/* All that the process can write, and what it was. */
struct snapshot {
	struct area {
		uint8_t *start;
		size_t size;
	} area[AREAS];
	unsigned areas;
	size_t size;
	uint8_t *copy;
	uint8_t *writers; /* of each line: bit n, rig n */
};

static bool is_frames(const struct bed *bed, const uint8_t *start, const uint8_t *end)
{
	for (unsigned i = 0; i < bed->setting.queues; i++) {
		const struct dma_region *frames =
			i ? bed->config.queue_frames[i] : bed->config.frames;

		if (start < frames->base + frames->size && frames->base < end)
			return true;
	}
	return false;
}

static int list_areas(struct snapshot *snapshot, const struct bed *bed)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	if (!maps)
		return -errno;
	while (fgets(line, sizeof line, maps) && snapshot->areas < AREAS) {
		/* "start-end rw.. ...", in hexadecimal (proc(5)) */
		char *at;
		uintptr_t start = strtoul(line, &at, 16);
		uintptr_t end = *at == '-' ? strtoul(at + 1, &at, 16) : start;

		if (strncmp(at, " rw", 3) != 0 || strstr(line, "[stack]") ||
			is_frames(bed, (uint8_t *)start, (uint8_t *)end))
			continue;
		snapshot->area[snapshot->areas].start = (uint8_t *)start;
		snapshot->area[snapshot->areas++].size = end - start;
		snapshot->size += end - start;
	}
	(void)fclose(maps);
	return snapshot->areas < AREAS ? 0 : -EIO;
}

static void take(struct snapshot *snapshot)
{
	uint8_t *to = snapshot->copy;

	for (unsigned i = 0; i < snapshot->areas; i++) {
		memcpy(to, snapshot->area[i].start, snapshot->area[i].size);
		to += snapshot->area[i].size;
	}
}

static void compare(struct snapshot *snapshot, unsigned writer)
{
	const uint8_t *was = snapshot->copy;
	size_t line = 0;

	for (unsigned i = 0; i < snapshot->areas; i++)
		for (size_t at = 0; at < snapshot->area[i].size;
			at += CACHE_LINE, was += CACHE_LINE, line++)
			if (memcmp(was, snapshot->area[i].start + at, CACHE_LINE) != 0)
				snapshot->writers[line] |= (uint8_t)(1u << writer);
}

/* Rounds of both queues, each between two looks at all memory. */
static bool watch(struct bed *bed, struct snapshot *snapshot)
{
	for (unsigned round = 0; round < 8; round++) {
		struct rig *rig = &bed->rig[round % 2];
		size_t done;

		rig_before(rig, WARMTH_HOT);
		take(snapshot);
		done = bed->setting.mode->round(rig, rig->round);
		compare(snapshot, round % 2);
		if (!rig_after(rig, done))
			return false;
	}
	return true;
}

static int find_shared(struct bed *bed, struct snapshot *snapshot, size_t *lines)
{
	size_t all, written[2] = {0, 0};
	int rc = list_areas(snapshot, bed);

	if (rc)
		return rc;
	/* Made after the list, so that it is not on it. */
	all = snapshot->size / CACHE_LINE;
	snapshot->copy = mmap(NULL, snapshot->size + all, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (snapshot->copy == MAP_FAILED)
		return -ENOMEM;
	snapshot->writers = snapshot->copy + snapshot->size;
	rc = watch(bed, snapshot) ? 0 : -EIO;
	*lines = 0;
	for (size_t i = 0; i < all; i++) {
		written[0] += snapshot->writers[i] & 1;
		written[1] += snapshot->writers[i] >> 1 & 1;
		*lines += snapshot->writers[i] == 3;
	}
	/* Each has its descriptors at least. */
	if (!rc && (written[0] < bed->rig[0].round / 4 || written[1] < bed->rig[1].round / 4))
		rc = -EIO;
	(void)munmap(snapshot->copy, snapshot->size + all);
	return rc;
}

int queues_shared_lines(const struct setting *setting, size_t *lines, struct pci_error *why)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	struct setting two = *setting;
	struct bed bed;
	int rc = -ENOMEM;

	if (!snapshot)
		return rc;
	two.queues = 2;
	rc = bed_open(&bed, &two, true, why);
	if (rc)
		goto out;
	rc = rig_warm(&bed.rig[0]) && rig_warm(&bed.rig[1]) ? 0 : -EIO;
	if (!rc)
		rc = find_shared(&bed, snapshot, lines);
	for (unsigned i = 0; i < 2; i++)
		if (rig_fault(&bed.rig[i]))
			(void)snprintf(why->text, sizeof why->text, "%s", rig_fault(&bed.rig[i]));
	bed_close(&bed);
out:
	free(snapshot);
	return rc;
}

/* --- in memory --- */

/* What nic_open() takes of the heap for so many queues. */
static int heap_of(const struct setting *setting, unsigned queues, size_t *bytes, size_t *rings,
	struct pci_error *why)
{
	struct setting some = *setting;
	struct bed bed;
	int rc;

	some.queues = queues;
	rc = bed_open(&bed, &some, true, why);
	if (rc)
		return rc;
	*rings = nic_ring_bytes(&bed.config);
	/* Opened once more, with nothing else around it. */
	nic_close(bed.nic);
	*bytes = mallinfo2().uordblks;
	rc = nic_open(&bed.nic, card_function(bed.card), &bed.config, why);
	*bytes = mallinfo2().uordblks - *bytes;
	if (rc)
		bed.nic = NULL;
	bed_close(&bed);
	return rc;
}

int queues_memory(
	const struct setting *setting, size_t *driver, size_t *rings, struct pci_error *why)
{
	size_t heap[2] = {0, 0};
	size_t ring[2] = {0, 0};
	/* One queue alone has the card's own memory beside it (nic_ring_bytes()). */
	int rc = heap_of(setting, 2, &heap[0], &ring[0], why);

	if (!rc)
		rc = heap_of(setting, 3, &heap[1], &ring[1], why);
	*driver = heap[1] - heap[0];
	*rings = ring[1] - ring[0];
	return rc;
}
