/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The handshake's request: made by clients, judged by the registrar before anything else looks at
 * it.
 */
#include <errno.h>
#include <string.h>

#include "scheme/ring.h"
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

static bool order_ok(uint8_t order)
{
	return order < 32 && 1u << order >= SCHEME_RING_MIN && 1u << order <= SCHEME_RING_MAX;
}

int scheme_request_check(const struct scheme_request *request, size_t len)
{
	if (len != sizeof(*request) || request->magic != SCHEME_MAGIC || request->reserved != 0) {
		return -EPROTO;
	}
	if (scheme_request_has_rings(request)) {
		if (!order_ok(request->rx_order) || !order_ok(request->tx_order)) {
			return -EINVAL;
		}
	} else if (request->version != SCHEME_VERSION || request->rx_order != 0 ||
		   request->tx_order != 0) {
		return -EPROTO;
	}
	if (request->path_len >= SCHEME_PATH_MAX || request->flags == 0 ||
		(request->flags & ~(SCHEME_READ | SCHEME_WRITE)) != 0) {
		return -EINVAL;
	}
	return check_path(request->path, request->path_len);
}

static void fill(struct scheme_request *request, const char *path, uint32_t flags)
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
}

int scheme_request_make(struct scheme_request *request, const char *path, uint32_t flags)
{
	fill(request, path, flags);
	return scheme_request_check(request, sizeof(*request));
}

/* log2; not in order (0) of what is no power of two. */
static uint8_t order_of(uint32_t size)
{
	uint8_t order = 0;

	while (order < 31 && 1u << order < size) {
		order++;
	}
	return 1u << order == size ? order : 0;
}

int scheme_request_make_rings(struct scheme_request *request, const char *path, uint32_t flags,
	uint32_t rx_size, uint32_t tx_size)
{
	fill(request, path, flags);
	request->version = SCHEME_VERSION_RINGS;
	request->rx_order = order_of(rx_size);
	request->tx_order = order_of(tx_size);
	return scheme_request_check(request, sizeof(*request));
}
