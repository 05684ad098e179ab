/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A driver's state: memory by another process's descriptor.
 */
#include "pcid/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcid/channel.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int state_create(void)
{
	int memfd = memfd_create("driver-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (memfd < 0)
		return -errno;
	if (ftruncate(memfd, (off_t)PCID_STATE_BYTES) != 0 ||
		fcntl(memfd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) != 0) {
		error = -errno;
		(void)close(memfd);
		return error;
	}
	return memfd;
}

int state_map(int memfd, void **out)
{
	struct stat st;
	int seals = fcntl(memfd, F_GET_SEALS);
	void *state;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(memfd, &st) != 0 ||
		st.st_size != (off_t)PCID_STATE_BYTES)
		return -EINVAL;
	state = mmap(NULL, PCID_STATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (state == MAP_FAILED)
		return -errno;
	*out = state;
	return 0;
}

void state_unmap(void *state)
{
	if (state != NULL)
		(void)munmap(state, PCID_STATE_BYTES);
}
