/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Into the background.
 */
#include "nicsim/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int detach(int *told)
{
	char word;
	int ends[2];
	ssize_t n;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int rc = -errno;

		close(ends[0]);
		close(ends[1]);
		return rc;
	}
	if (child == 0) {
		close(ends[0]);
		setsid();
		*told = ends[1];
		return 0;
	}
	close(ends[1]);
	do
		n = read(ends[0], &word, 1);
	while (n < 0 && errno == EINTR);
	close(ends[0]);
	return n == 1 ? DETACH_STARTED : DETACH_FAILED;
}

void detach_done(int told)
{
	static const char word = 1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* First the output: who reads it waits for its end. */
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	/* The old process stays until it has heard: the pipe takes a byte at once. */
	(void)!write(told, &word, 1);
	close(told);
}
