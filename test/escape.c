/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver gone mad: enters the cage as a daemon does, then tries the one thing that its argument
 * names, and says what came of it. For test/test_cage.py; not installed.
 *
 *     escape [--vfio] [--no-cage] [--user NAME] THING
 *
 * Prints what is in force ("| " before each line), then "0", or the error's number, of the attempt.
 * Where the attempt ends the process, nothing more.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cage.h"

/* What was open before, as a daemon has it. */
static int event, pair[2], epoll, zero, tcp;
static void *page;
static pid_t parent;
static char word[8] = "word";

#define CALL(name, expression)             \
	static long name(void)             \
	{                                  \
		return (long)(expression); \
	}

/* --- what must not work --- */

CALL(open_file, syscall(SYS_open, "/etc/passwd", O_RDONLY))
CALL(openat_file, openat(AT_FDCWD, "/etc/passwd", O_RDONLY))
CALL(openat_proc, openat(AT_FDCWD, "/proc/self/mem", O_RDWR))
CALL(openat2_file, syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0))
CALL(make_socket, socket(AF_UNIX, SOCK_STREAM, 0))
CALL(make_inet, socket(AF_INET, SOCK_DGRAM, 0))
CALL(make_pair, socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
CALL(trace_parent, ptrace(PTRACE_ATTACH, parent, NULL, NULL))
CALL(run_program, execl("/bin/true", "true", (char *)NULL))
CALL(run_memory, syscall(SYS_execveat, zero, "", NULL, NULL, AT_EMPTY_PATH))
CALL(kill_parent, kill(parent, SIGKILL))
CALL(kill_init, syscall(SYS_tgkill, 1, 1, SIGTERM))
CALL(kill_by_pidfd, syscall(SYS_pidfd_open, parent, 0))
CALL(map_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
CALL(protect_exec, mprotect(page, 4096, PROT_READ | PROT_EXEC))
CALL(pkey_exec, syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1))
CALL(ioctl_inject, ioctl(zero, TIOCSTI, word))
CALL(ioctl_reset, ioctl(event, VFIO_DEVICE_RESET))
CALL(ioctl_map, ioctl(event, VFIO_IOMMU_MAP_DMA, page))
/* The kernel looks at the lower half of a request alone; a filter must, too. */
CALL(ioctl_high, syscall(SYS_ioctl, zero, (1UL << 32) | TIOCSTI, word))
CALL(make_process, syscall(SYS_fork))
CALL(make_clone, syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL))
CALL(make_clone3, syscall(SYS_clone3, NULL, 0))
CALL(make_memory, memfd_create("x", 0))
CALL(become_root, setuid(0))
CALL(mount_file, mount("none", "/", "tmpfs", 0, NULL))
CALL(new_namespace, unshare(CLONE_NEWUSER))
CALL(join_namespace, setns(event, 0))
CALL(load_bpf, syscall(SYS_bpf, 0, NULL, 0))
CALL(make_uring, syscall(SYS_io_uring_setup, 1, NULL))
CALL(make_userfault, syscall(SYS_userfaultfd, 0))
CALL(perf_event, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))
CALL(add_key, syscall(SYS_add_key, "user", "x", word, 4, -1))
CALL(set_name, prctl(PR_SET_DUMPABLE, 1))
CALL(change_root, chroot("/"))
CALL(unlink_file, unlinkat(AT_FDCWD, "/etc/passwd", 0))
CALL(raise_limit, syscall(SYS_prlimit64, 0, 0, NULL, NULL))
CALL(own_signals, fcntl(pair[0], F_SETOWN, parent))
CALL(connect_tcp, connect(tcp, NULL, 0))
CALL(bind_tcp, bind(tcp, NULL, 0))
CALL(accept_tcp, accept4(tcp, NULL, NULL, 0))
CALL(old_abi, syscall(0x40000000 | SYS_getppid))

static long read_parent(void)
{
	struct iovec here = {page, 8};
	struct iovec there = {page, 8};

	return process_vm_readv(parent, &here, 1, &there, 1, 0);
}

/* --- what must go on working --- */

CALL(allowed_read, (eventfd_write(event, 1), read(event, page, 8) - 8))
CALL(allowed_send, send(pair[0], word, 4, MSG_DONTWAIT) - 4)
CALL(allowed_epoll, epoll_wait(epoll, &(struct epoll_event){0}, 1, 0))
CALL(allowed_yield, sched_yield())
CALL(allowed_protect, mprotect(page, 4096, PROT_READ))
CALL(allowed_flags, fcntl(pair[0], F_SETFL, O_NONBLOCK))
CALL(allowed_duplicate, fcntl(pair[0], F_DUPFD_CLOEXEC, 0) < 0)
CALL(allowed_statfs, fstatfs(pair[0], &(struct statfs){0}))
CALL(allowed_sleep, nanosleep(&(struct timespec){.tv_nsec = 1}, NULL))

static long allowed_memory(void)
{
	char *memory = malloc((size_t)64 << 20);
	char *more;

	if (memory == NULL)
		return -1;
	memset(memory, 1, (size_t)64 << 20);
	more = realloc(memory, (size_t)128 << 20);
	free(more != NULL ? more : memory);
	return more != NULL ? 0 : -1;
}

static long allowed_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0) == MAP_FAILED ? -1 : 0;
}

static long allowed_descriptor(void)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec data = {word, 4};
	struct msghdr message = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &event, sizeof(event));
	if (sendmsg(pair[0], &message, MSG_DONTWAIT) != 4)
		return -1;
	return recvmsg(pair[1], &message, MSG_DONTWAIT) - 4;
}

static long abort_itself(void)
{
	abort();
}

static const struct {
	const char *name;
	long (*attempt)(void);
} things[] = {
	{"open", open_file},
	{"openat", openat_file},
	{"openat-proc", openat_proc},
	{"openat2", openat2_file},
	{"socket", make_socket},
	{"socket-inet", make_inet},
	{"socketpair", make_pair},
	{"connect", connect_tcp},
	{"bind", bind_tcp},
	{"accept", accept_tcp},
	{"ptrace", trace_parent},
	{"execve", run_program},
	{"execveat", run_memory},
	{"kill", kill_parent},
	{"tgkill", kill_init},
	{"pidfd", kill_by_pidfd},
	{"mmap-exec", map_exec},
	{"mprotect-exec", protect_exec},
	{"pkey-exec", pkey_exec},
	{"ioctl-inject", ioctl_inject},
	{"ioctl-high", ioctl_high},
	{"ioctl-reset", ioctl_reset},
	{"ioctl-map", ioctl_map},
	{"fork", make_process},
	{"clone", make_clone},
	{"clone3", make_clone3},
	{"memfd", make_memory},
	{"setuid", become_root},
	{"mount", mount_file},
	{"unshare", new_namespace},
	{"setns", join_namespace},
	{"bpf", load_bpf},
	{"io_uring", make_uring},
	{"userfaultfd", make_userfault},
	{"perf", perf_event},
	{"add_key", add_key},
	{"prctl", set_name},
	{"chroot", change_root},
	{"unlinkat", unlink_file},
	{"prlimit", raise_limit},
	{"setown", own_signals},
	{"process_vm_readv", read_parent},
	{"old-abi", old_abi},
	{"allowed-read", allowed_read},
	{"allowed-send", allowed_send},
	{"allowed-descriptor", allowed_descriptor},
	{"allowed-epoll", allowed_epoll},
	{"allowed-yield", allowed_yield},
	{"allowed-sleep", allowed_sleep},
	{"allowed-protect", allowed_protect},
	{"allowed-map", allowed_map},
	{"allowed-memory", allowed_memory},
	{"allowed-flags", allowed_flags},
	{"allowed-duplicate", allowed_duplicate},
	{"allowed-statfs", allowed_statfs},
	{"abort", abort_itself},
};

static void show(const struct cage *cage)
{
	bool start = true;

	for (size_t i = 0; i < cage->len; i++) {
		if (start)
			(void)fputs("| ", stdout);
		(void)fputc(cage->text[i], stdout);
		start = cage->text[i] == '\n';
	}
	(void)fflush(stdout);
}

static int open_things(void)
{
	parent = getppid();
	event = eventfd(0, EFD_CLOEXEC);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (event < 0 || epoll < 0 || zero < 0 || tcp < 0 || page == MAP_FAILED ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct cage_options options = {.uid = CAGE_NOBODY, .gid = CAGE_NOBODY};
	struct pci_error why;
	struct cage cage;
	bool vfio = false;
	long result;
	int at = 1;

	for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
		if (strcmp(argv[at], "--vfio") == 0)
			vfio = true;
		else if (strcmp(argv[at], "--no-cage") == 0)
			options.off = true;
		else if (at + 1 == argc || cage_user(argv[++at], &options) != 0)
			return 2;
	}
	if (at + 1 != argc || open_things() != 0)
		return 2;
	if (cage_enter(&cage, &options, vfio, &why) != 0) {
		(void)printf("refused: %s\n", why.text);
		return 3;
	}
	show(&cage);
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
		if (strcmp(things[i].name, argv[at]) != 0)
			continue;
		errno = 0;
		result = things[i].attempt();
		(void)printf("%d\n", result == 0 ? 0 : result > 0 ? -1 : errno);
		(void)fflush(stdout);
		return 0;
	}
	return 2;
}
