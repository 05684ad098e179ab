/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ixgbed gone mad: serves as it does, in the same cage, until a signal has it do what a driver must
 * not. For test/test_survive_deaths.py, by the command of pcid's configuration; not installed.
 *
 *     SIGUSR1    makes a socket, which its cage forbids
 *     SIGUSR2    takes memory until there is no more, and does not know what to do then
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/daemon.h"

#define PIECE ((size_t)1 << 20)

static void make_socket(int number)
{
	(void)number;
	(void)socket(AF_UNIX, SOCK_STREAM, 0);
}

static void take_memory(int number)
{
	(void)number;
	/* A system call, and no more. NOLINTNEXTLINE(bugprone-signal-handler) */
	while (mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		MAP_FAILED)
		;
	abort();
}

int main(int argc, char **argv)
{
	static const struct daemon_program wild = {.name = "wild", .driver = "ixgbe"};

	(void)signal(SIGUSR1, make_socket);
	(void)signal(SIGUSR2, take_memory);
	return daemon_main(&wild, argc, argv);
}
