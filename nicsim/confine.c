/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rights that are given up.
 */
#include "nicsim/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>

int confine(void)
{
	bool files;

	capng_get_caps_process();
	files = capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	/* The bounding set needs a right of its own: who lacks it has no use for the set either. */
	capng_clear(CAPNG_SELECT_BOUNDS);
	(void)capng_apply(CAPNG_SELECT_BOUNDS);
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	if (files && capng_update(CAPNG_ADD, (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
			     CAP_DAC_OVERRIDE) != 0)
		return -EINVAL;
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return 0;
}
