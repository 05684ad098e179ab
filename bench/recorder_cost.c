/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a record of the flight recorder costs: prints ns and instructions, for bench/recorder.py.
 * Instructions are counted by walking a child step by step, which needs no counters of the
 * processor's: virtual machines often have none.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pci/recorder.h"

#define RECORDS 20000000u
#define STEPS   1000u

static __attribute__((noinline)) void record(struct recorder *recorder, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		recorder_add(recorder, FLIGHT_PUBLISH, 0, 0x6018, i);
		__asm__ volatile("" ::: "memory");
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How many instructions a process of its own runs to make n records; -1: it can't be walked. */
static long walk(struct recorder *recorder, uint32_t n)
{
	pid_t child = fork();
	long steps = 0;
	int status;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		(void)raise(SIGSTOP);
		record(recorder, n);
		_exit(0);
	}
	if (child < 0)
		return -1;
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
			break;
		steps++;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? steps : -1;
}

int main(void)
{
	void *memory = aligned_alloc(4096, (FLIGHT_BYTES + 4095) & ~(size_t)4095);
	struct recorder recorder;
	long one, two;
	int64_t start;

	if (memory == NULL || recorder_open(&recorder, memory, FLIGHT_BYTES) != 0)
		return 1;
	record(&recorder, FLIGHT_SLOTS); /* every page is there */
	start = now_ns();
	record(&recorder, RECORDS);
	(void)printf("ns %.3f\n", (double)(now_ns() - start) / RECORDS);
	one = walk(&recorder, STEPS);
	two = walk(&recorder, 2 * STEPS);
	if (one >= 0 && two >= 0)
		(void)printf("instructions %.1f\n", (double)(two - one) / STEPS);
	(void)printf("tsc %d\n", recorder.tsc);
	free(memory);
	return 0;
}
