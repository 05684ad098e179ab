/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Names of cards.
 */
#include "pcid/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VFIO_USER "vfio-user:"
#define SIM       "sim:"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The length without that ending, unless nothing would be left. */
static size_t without(const char *text, const char *ending)
{
	size_t len = strlen(text);
	size_t n = strlen(ending);

	return len > n && strcmp(text + len - n, ending) == 0 ? len - n : len;
}

int pcid_name(struct pcid_name *out, const char *address, const char *program)
{
	const char *driver = base_name(program);
	const char *card = address;
	char url[SCHEME_NAME_MAX + 16];
	char name[SCHEME_NAME_MAX];
	char path[SCHEME_PATH_MAX];
	size_t len;

	if (strncmp(address, VFIO_USER, strlen(VFIO_USER)) == 0)
		card = base_name(address + strlen(VFIO_USER));
	len = without(card, ".sock");
	/* The kind of its wire: what is behind that is no name. */
	if (strncmp(address, SIM, strlen(SIM)) == 0)
		len = strlen(SIM) + strcspn(address + strlen(SIM), ":/,");
	if (len + 1 + strlen(driver) >= sizeof(out->scheme) || len == 0)
		return -EINVAL;
	(void)snprintf(out->card, sizeof(out->card), "%.*s", (int)len, card);
	for (char *c = out->card; *c != '\0'; c++)
		*c = *c == ':' ? '-' : *c;
	(void)snprintf(out->scheme, sizeof(out->scheme), "%.*s_%.*s", (int)len, out->card,
		(int)without(driver, "d"), driver);
	(void)snprintf(url, sizeof(url), "network:%s", out->scheme);
	return scheme_parse(url, name, path);
}
