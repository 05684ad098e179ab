/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An SFP+ module at the end of a two-wire bus, for tests of a driver that moves its lines.
 */
#ifndef TEST_FAKE_MODULE_H
#define TEST_FAKE_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct fake_module {
	bool present;
	bool silent_a2;         /* it has no diagnostics */
	uint8_t memory[2][256]; /* A0, A2 */
	/* the bus */
	enum { IDLE, ADDRESS, POINTER, SENDING } phase;
	bool clock, data, pull;
	bool wanted; /* the driver acknowledged what it read */
	unsigned rises, chip;
	uint8_t byte, pointer[2];
};

/* With those codes in bytes 3, 6 and 8 of A0, by Intel. */
void fake_module_plug(struct fake_module *module, uint8_t ten_gig, uint8_t one_gig, uint8_t cable);
/* Its vendor's name and identifier, and its part. */
void fake_module_name(
	struct fake_module *module, const char *vendor, uint32_t oui, const char *part);
/* The lines as the driver drives them. */
void fake_module_lines(struct fake_module *module, bool clock, bool data);
bool fake_module_data(const struct fake_module *module);

#endif
