/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the Linux side of the scheme: the memory of shared rings, as descriptors.
 */
#ifndef SCHEME_RINGS_LINUX_H
#define SCHEME_RINGS_LINUX_H

#include "scheme/linux.h"
#include "scheme/rings.h"

/* Judges what came with a request for rings. No access to the memory can fail later: it is a memfd
 * that neither shrinks nor grows, and not of huge pages, of which a hole that its owner punches
 * could not be filled again. (Where a hole is filled, it is with zeros.) -EINVAL.
 */
int scheme_rings_judge(const struct scheme_request *request, const int fds[SCHEME_REQUEST_FDS]);
/* Maps it; `page` is the handle's, as mapped. -EINVAL: the memory is none any more that may be
 * written to; errors of mmap(2).
 */
int scheme_rings_map(struct scheme_rings *r, const struct scheme_request *request,
	const int fds[SCHEME_REQUEST_FDS], struct scheme_status *page);
void scheme_rings_unmap(struct scheme_rings *r);

#endif
