/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: any bytes as pcid's configuration.
 */
#include <stdint.h>

#include "pcid/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcid_config config = {0};
	struct config_error why;

	if (config_parse(&config, (const char *)data, size, "fuzz", &why) == 0) {
		const struct pci_id id = {
			.vendor = 0x8086, .device = 0x10fb, .class_code = 0x020000};

		(void)config_match(&config, &id);
	}
	config_free(&config);
	return 0;
}
