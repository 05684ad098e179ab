/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The handshake's request: made by clients, judged by the registrar before anything else looks at
 * it.
 */
#include <errno.h>
#include <string.h>

#include "scheme/wire.h"

static int check_path(const char *path, size_t len)
{
	if (len > 0 && path[0] != '/') {
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		if (path[i] <= ' ' || path[i] > '~') {
			return -EINVAL;
		}
	}
	for (size_t i = len; i < SCHEME_PATH_MAX; i++) {
		if (path[i] != '\0') {
			return -EINVAL;
		}
	}
	return 0;
}

int scheme_request_check(const struct scheme_request *request, size_t len)
{
	if (len != sizeof(*request) || request->magic != SCHEME_MAGIC ||
		request->version != SCHEME_VERSION || request->reserved != 0) {
		return -EPROTO;
	}
	if (request->path_len >= SCHEME_PATH_MAX || request->flags == 0 ||
		(request->flags & ~(SCHEME_READ | SCHEME_WRITE)) != 0) {
		return -EINVAL;
	}
	return check_path(request->path, request->path_len);
}

int scheme_request_make(struct scheme_request *request, const char *path, uint32_t flags)
{
	size_t len = strnlen(path, SCHEME_PATH_MAX);

	*request = (struct scheme_request){
		.magic = SCHEME_MAGIC,
		.version = SCHEME_VERSION,
		.path_len = (uint16_t)len,
		.flags = flags,
	};
	if (len < SCHEME_PATH_MAX) {
		memcpy(request->path, path, len);
	}
	return scheme_request_check(request, sizeof(*request));
}
