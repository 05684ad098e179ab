/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counting instructions. The child stops itself before each round; from there it is walked step by
 * step, and what lies between its raising and lowering a flag that both see is counted.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/driver/steps.h"

struct page {
	uint32_t flag;
	uint64_t frames;
	struct pci_error why;
};

static void raise_flag(struct page *page, uint32_t value)
{
	__atomic_store_n(&page->flag, value, __ATOMIC_RELEASE);
}

/* What a round costs that does nothing: the call. */
static size_t nothing(struct rig *rig, size_t n)
{
	(void)rig;
	return n;
}

static size_t walked(struct page *page, struct rig *rig, size_t (*round)(struct rig *, size_t))
{
	size_t n = rig->round;
	size_t done;

	(void)raise(SIGSTOP);
	raise_flag(page, 1);
	done = round(rig, n);
	raise_flag(page, 0);
	return done;
}

/* The child: one round that does nothing, then `rounds` of them. */
static int child(const struct setting *setting, unsigned rounds, struct page *page)
{
	size_t (*volatile idle)(struct rig *, size_t) = nothing;
	struct bed bed;
	struct rig *rig = &bed.rig[0];

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		return EPERM;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bed_open(&bed, setting, true, &page->why))
		return EIO;
	if (rig_warm(rig)) {
		(void)walked(page, rig, idle);
		for (unsigned i = 0; i < rounds; i++) {
			size_t done;

			rig_before(rig, WARMTH_HOT);
			done = walked(page, rig, setting->mode->round);
			page->frames += done;
			if (!rig_after(rig, done))
				break;
		}
		rig_before(rig, WARMTH_HOT); /* the last round's checks */
	}
	if (rig_fault(rig)) {
		(void)snprintf(page->why.text, sizeof page->why.text, "%s", rig_fault(rig));
		return EIO;
	}
	bed_close(&bed);
	return 0;
}

/* Walks the child, which stands before a round, to the round's end. Its steps, or -1: it ended. */
static int64_t walk(pid_t pid, const struct page *page, int *status)
{
	int64_t steps = 0;
	bool began = false;

	for (;;) {
		bool counts = __atomic_load_n(&page->flag, __ATOMIC_ACQUIRE) != 0;

		if (began && !counts)
			return steps;
		began |= counts;
		steps += counts;
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 ||
			waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status))
			return -1;
	}
}

int steps_count(const struct setting *setting, unsigned rounds, uint64_t *count, uint64_t *frames,
	struct pci_error *why)
{
	struct page *page =
		mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t total = 0;
	int64_t idle = -1;
	int status = 0;
	pid_t pid;

	if (page == MAP_FAILED)
		return -ENOMEM;
	pid = fork();
	if (pid == 0)
		_exit(child(setting, rounds, page));
	while (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == SIGSTOP) {
			int64_t steps = walk(pid, page, &status);

			if (steps < 0)
				break;
			if (idle < 0)
				idle = steps;
			else
				total += steps - idle;
		}
		if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0)
			break;
	}
	*count = (uint64_t)total;
	*frames = page->frames;
	*why = page->why;
	(void)munmap(page, sizeof *page);
	if (pid < 0 || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}
