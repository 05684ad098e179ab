/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The system calls that a daemon makes while it serves and when it ends. Those of the data path
 * have no condition on an argument: the kernel then lets them through without running the filter
 * (its bitmap of calls that are always allowed, since 5.11).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/cage_parts.h"

#if !CAGE_SANITIZED

static const int always[] = {
	/* clients, pcid, a card behind vfio-user */
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(close),
	/* eventfds, a signalfd, words for people; a card's configuration space */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	/* waiting */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(restart_syscall),
	/* memory; what maps or changes it is below */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(getrandom),
	/* its end, by a signal of its own (abort) too */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* What libraries try on their own and can do without: it fails, and nothing worse. A daemon that
 * goes on is better than one killed by a C library that looks for a file of messages.
 */
static const struct {
	int call, error;
} refused[] = {
	{SCMP_SYS(openat), EACCES},
	{SCMP_SYS(open), EACCES},
};

/* The last two, and fstatfs: a client's memory is judged, and duplicated. */
static const unsigned fcntl_commands[] = {
	F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GET_SEALS, F_DUPFD_CLOEXEC};

/* Requests to a device that VFIO has opened: reset and interrupts; and taking memory away from the
 * card, at the end. Not VFIO_DEVICE_PCI_HOT_RESET, which start-up alone needs: it has the number of
 * VFIO_IOMMU_MAP_DMA.
 */
static const unsigned vfio_requests[] = {
	VFIO_DEVICE_RESET,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_GET_IRQ_INFO,
	VFIO_IOMMU_UNMAP_DMA,
};

static int allow(scmp_filter_ctx filter, int call, unsigned argument, uint64_t value)
{
	/* The kernel takes the lower 32 bits of these arguments; so does this. */
	const struct scmp_arg_cmp same = SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, value);

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &same);
}

static int add_rules(scmp_filter_ctx filter, bool vfio)
{
	const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp is_terminal = SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TCGETS);
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(always) / sizeof(always[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, always[i], 0);
	for (size_t i = 0; error == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		error = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO((uint16_t)refused[i].error), refused[i].call, 0);
	if (error == 0)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &no_exec);
	if (error == 0)
		error = seccomp_rule_add_array(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &no_exec);
	for (size_t i = 0; error == 0 && i < sizeof(fcntl_commands) / sizeof(fcntl_commands[0]);
		i++)
		error = allow(filter, SCMP_SYS(fcntl), 1, fcntl_commands[i]);
	for (size_t i = 0;
		error == 0 && vfio && i < sizeof(vfio_requests) / sizeof(vfio_requests[0]); i++)
		error = allow(filter, SCMP_SYS(ioctl), 1, vfio_requests[i]);
	/* stdio asks of what it writes to; it shall take it for no terminal. */
	if (error == 0)
		error = seccomp_rule_add_array(
			filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, &is_terminal);
	/* fstat of the C library is a newfstatat with an empty path. */
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fstat), 0);
	if (error == 0)
		error = allow(filter, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH);
	if (error == 0)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fstatfs), 0);
	if (error == 0) /* itself alone, as abort() and raise() do */
		error = allow(filter, SCMP_SYS(tgkill), 0, (uint32_t)getpid());
	return error;
}

int cage_filter(bool vfio)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error;

	if (filter == NULL)
		return -ENOMEM;
	error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree instead of a list. */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* Kernels before 5.16 would slow the process down by a mitigation for programs that run
	 * others' code, which this one does not. Where that cannot be asked for it is not needed.
	 */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (error == 0)
		error = add_rules(filter, vfio);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

#else

int cage_filter(bool vfio)
{
	(void)vfio;
	return 0;
}

#endif
