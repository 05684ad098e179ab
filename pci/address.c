/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Addresses of functions, "0000:01:00.0", "vfio-user:PATH" and "sim:WIRE", and texts about them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "pci/function.h"
#include "pci/sim.h"

#define VFIO_USER_PREFIX "vfio-user:"

int pci_fail(struct pci_error *why, int error, const char *format, ...)
{
	va_list arguments;

	if (why) {
		va_start(arguments, format);
		vsnprintf(why->text, sizeof(why->text), format, arguments);
		va_end(arguments);
		/* Names and what a server says go into it: one line in any case. */
		for (char *c = why->text; *c; c++) {
			if (iscntrl((unsigned char)*c))
				*c = '?';
		}
	}
	return error;
}

/* Reads `min` to `max` hexadecimal digits that end at `end`; moves *text behind it. */
static bool hex(const char **text, size_t min, size_t max, char end, unsigned long *value)
{
	char digits[9] = "";
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)(*text)[n])) {
		digits[n] = (*text)[n];
		n++;
	}
	if (n < min || (*text)[n] != end)
		return false;
	*text += n + 1;
	*value = strtoul(digits, NULL, 16);
	return true;
}

int pci_parse_address(const char *text, char address[PCI_ADDRESS_SIZE])
{
	const size_t prefix = strlen(VFIO_USER_PREFIX);
	unsigned long domain, bus, device, function;

	if (sim_is(text)) {
		size_t length = strnlen(text, PCI_ADDRESS_SIZE);

		if (length == PCI_ADDRESS_SIZE)
			return -EINVAL;
		memcpy(address, text, length + 1);
		return PCI_KIND_VFIO_USER;
	}
	if (strncmp(text, VFIO_USER_PREFIX, prefix) == 0) {
		/* What is not terminated within the size of an address is too long for a socket. */
		size_t length = strnlen(text, PCI_ADDRESS_SIZE);
		size_t path = length - prefix;

		if (path == 0 || path >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return -EINVAL;
		memcpy(address, text, length + 1);
		return PCI_KIND_VFIO_USER;
	}
	/* A domain has four digits, or more behind some bridges (Linux: VMD). */
	if (!hex(&text, 4, 8, ':', &domain) || !hex(&text, 2, 2, ':', &bus) ||
		!hex(&text, 2, 2, '.', &device) || !hex(&text, 1, 1, '\0', &function) ||
		device > 31 || function > 7)
		return -EINVAL;
	snprintf(address, PCI_ADDRESS_SIZE, "%04lx:%02lx:%02lx.%lx", domain, bus, device, function);
	return PCI_KIND_VFIO;
}
