/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: any bytes as a scheme's request, and as a URL. What is accepted must be what it
 * claims.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scheme/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_request(const uint8_t *data, size_t size)
{
	struct scheme_request request, again;

	memset(&request, 0xa5, sizeof(request));
	memcpy(&request, data, size < sizeof(request) ? size : sizeof(request));
	if (scheme_request_check(&request, size) != 0) {
		return;
	}
	/* A string, and the one that we would have sent. */
	if (size != sizeof(request) || strnlen(request.path, SCHEME_PATH_MAX) != request.path_len ||
		scheme_request_make(&again, request.path, request.flags) != 0 ||
		memcmp(&request, &again, sizeof(request)) != 0) {
		abort();
	}
}

static void as_url(const uint8_t *data, size_t size)
{
	char name[SCHEME_NAME_MAX], path[SCHEME_PATH_MAX];
	char *url = malloc(sizeof("network:") + size);

	if (url == NULL) {
		return;
	}
	memcpy(url, "network:", 8);
	memcpy(url + 8, data, size);
	url[8 + size] = '\0';
	if (scheme_parse(url, name, path) == 0) {
		size_t len = strlen(name);
		if (strncmp(url + 8, name, len) != 0 || strcmp(url + 8 + len, path) != 0 ||
			strchr(name, '/') != NULL || (path[0] != '\0' && path[0] != '/')) {
			abort();
		}
	}
	free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_request(data, size);
	as_url(data, size);
	return 0;
}
