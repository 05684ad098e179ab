/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A software card for one program. nicsim gets one end of a socket pair, starts, and goes into the
 * background; the end of the other end is the end of the card. So there is no path to clean up, no
 * process to wait for, and none to kill: not even after a crash.
 */
#include "pci/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pci/function.h"

#define PREFIX       "sim:"
#define DEFAULT_WIRE "loop"
#define CHILD_FD     3     /* nicsim's end of the socket, in nicsim */
#define START_MS     30000 /* it does no more than open files; a busy machine is given time */
#define END_MS       10000

bool sim_is(const char *address)
{
	return strncmp(address, PREFIX, strlen(PREFIX)) == 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until there is something to read, or its end. False: not in time. */
static bool await(int fd, int64_t end)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return true;
		if (left <= 0)
			return false;
	}
}

/* --- which program --- */

/* The folder of the program that runs, without a slash at its end. */
static bool own_folder(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size);
	char *slash;

	if (n <= 0 || (size_t)n >= size)
		return false;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

/* $IXGBED_NICSIM if it is set; else beside the program, as installed or as in a build folder; else
 * where it is installed; else a name for $PATH to find. A program with rights that its user has not
 * listens to no environment.
 */
static void find_program(char *out, size_t size)
{
	static const char *const beside[] = {"nicsim", "../nicsim/nicsim", "../bin/nicsim"};
	const char *named = secure_getenv("IXGBED_NICSIM");
	char folder[2048];

	if (named && *named) {
		snprintf(out, size, "%s", named);
		return;
	}
	if (own_folder(folder, sizeof(folder))) {
		for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
			snprintf(out, size, "%s/%s", folder, beside[i]);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(
		out, size, "%s", access(NICSIM_INSTALLED, X_OK) == 0 ? NICSIM_INSTALLED : "nicsim");
}

/* --- the process --- */

/* Two ends that an exec closes, and that are none of the descriptors which nicsim is given. */
static int above(int ends[2])
{
	for (unsigned i = 0; i < 2; i++) {
		int fd = fcntl(ends[i], F_DUPFD_CLOEXEC, CHILD_FD + 1);
		int error = -errno;

		if (fd < 0) {
			close(ends[0]);
			close(ends[1]);
			return error;
		}
		close(ends[i]);
		ends[i] = fd;
	}
	return 0;
}

/* nicsim with `socket` as CHILD_FD, its words to `words`, and nothing else of ours: no descriptor,
 * no signal that is blocked or ignored. Its id or -errno.
 */
static pid_t spawn(const char *program, const char *wire, int socket, int words)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	uint8_t random[5] = {0};
	char mac[18];
	sigset_t none, all;
	pid_t pid = -1;
	char *const arguments[] = {"nicsim", "--device", "x540", "--fd", "3", "--wire",
		(char *)(uintptr_t)wire, "--mac", mac, NULL};
	int error;

	/* Two cards on a cable must not have the same address; no two programs know of each other.
	 * Locally administered (IEEE 802), as those that nicsim gives by itself.
	 */
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(mac, sizeof(mac), "02:%02x:%02x:%02x:%02x:%02x", random[0], random[1], random[2],
		random[3], random[4]);
	sigemptyset(&none);
	sigfillset(&all);
	error = posix_spawn_file_actions_init(&files);
	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (error)
		goto no_attributes;
	if ((error = posix_spawnattr_setflags(
		     &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) ||
		(error = posix_spawnattr_setsigmask(&attributes, &none)) ||
		(error = posix_spawnattr_setsigdefault(&attributes, &all)) ||
		(error = posix_spawn_file_actions_addopen(
			 &files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) ||
		(error = posix_spawn_file_actions_adddup2(&files, words, STDOUT_FILENO)) ||
		(error = posix_spawn_file_actions_adddup2(&files, words, STDERR_FILENO)) ||
		(error = posix_spawn_file_actions_adddup2(&files, socket, CHILD_FD)) ||
		(error = posix_spawn_file_actions_addclosefrom_np(&files, CHILD_FD + 1)))
		goto out;
	error = posix_spawnp(&pid, program, &files, &attributes, arguments, environ);
out:
	posix_spawnattr_destroy(&attributes);
no_attributes:
	posix_spawn_file_actions_destroy(&files);
	return error ? -error : pid;
}

/* Reads what it says until it has nothing more to say, and keeps the beginning. False: not in time.
 */
static bool listen_to(int words, char *text, size_t size, int64_t end)
{
	char waste[256];
	size_t used = 0;
	ssize_t n;

	do {
		bool full = used + 1 >= size;

		if (!await(words, end))
			return false;
		n = full ? read(words, waste, sizeof(waste))
			 : read(words, text + used, size - 1 - used);
		if (n > 0 && !full)
			used += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	text[used] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* How the process that was started ended, which it does as soon as it has no more to say; killed if
 * not. True: well. A program that has waited for it in our place cannot be asked: true, too, and
 * the first message tells.
 */
static bool started(pid_t pid, int64_t end)
{
	int status = 0;
	pid_t n;

	for (;;) {
		n = waitpid(pid, &status, WNOHANG);
		if (n != 0 && !(n < 0 && errno == EINTR))
			break;
		if (now_ms() >= end) {
			kill(pid, SIGKILL);
			end = INT64_MAX;
		}
		pci_delay_us(200);
	}
	return n < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int sim_start(const char *address, struct pci_error *why)
{
	const char *wire = address + strlen(PREFIX);
	int64_t end = now_ms() + START_MS;
	char program[2304], text[192] = "";
	int link[2], words[2];
	bool heard, well;
	pid_t pid;
	int error;

	find_program(program, sizeof(program));
	error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) ? -errno : above(link);
	if (error)
		return pci_fail(why, error, "%s: %s", address, strerror(-error));
	error = pipe2(words, O_CLOEXEC) ? -errno : above(words);
	if (error)
		goto no_words;
	pid = spawn(program, *wire ? wire : DEFAULT_WIRE, link[1], words[1]);
	close(link[1]);
	link[1] = -1;
	close(words[1]);
	if (pid < 0) {
		error = pid;
		close(words[0]);
		goto no_words;
	}
	heard = listen_to(words[0], text, sizeof(text), end);
	close(words[0]);
	well = started(pid, heard ? end : 0);
	if (heard && well)
		return link[0];
	close(link[0]);
	if (!heard)
		return pci_fail(why, -ETIMEDOUT, "%s: %.128s does not start", address, program);
	return pci_fail(why, -EINVAL, "%s: %s", address,
		*text ? text : "nicsim ended without a word: run it by hand");

no_words:
	close(link[0]);
	if (link[1] >= 0)
		close(link[1]);
	if (error == -ENOENT || error == -EACCES)
		return pci_fail(why, -ENOENT,
			"%s: no program %.128s (%s): install nicsim, or name it in $IXGBED_NICSIM",
			address, program, strerror(-error));
	return pci_fail(
		why, error, "%s: %.128s can't be started: %s", address, program, strerror(-error));
}

void sim_end(int socket)
{
	int64_t end = now_ms() + END_MS;
	uint8_t waste[256];
	ssize_t n;

	if (shutdown(socket, SHUT_WR))
		return;
	/* Its process keeps its end open until it has ended itself. */
	do {
		if (!await(socket, end))
			return;
		n = recv(socket, waste, sizeof(waste), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
}
