/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An SFP+ module at the end of a two-wire bus.
 */
#include <string.h>

#include "fake_module.h"

static void put_name(uint8_t *field, const char *name)
{
	size_t len = strlen(name);

	memset(field, ' ', 16);
	memcpy(field, name, len < 16 ? len : 16);
}

void fake_module_name(
	struct fake_module *module, const char *vendor, uint32_t oui, const char *part)
{
	put_name(module->memory[0] + 20, vendor);
	put_name(module->memory[0] + 40, part);
	for (unsigned i = 0; i < 3; i++)
		module->memory[0][37 + i] = (uint8_t)(oui >> (16 - 8 * i));
}

void fake_module_plug(struct fake_module *module, uint8_t ten_gig, uint8_t one_gig, uint8_t cable)
{
	*module = (struct fake_module){.present = true, .clock = true, .data = true};
	module->memory[0][0] = 0x03;
	module->memory[0][3] = ten_gig;
	module->memory[0][6] = one_gig;
	module->memory[0][8] = cable;
	fake_module_name(module, "Intel Corp", 0x001B21, "PART");
}

/* Whether it takes the byte. */
static bool take(struct fake_module *module)
{
	unsigned address = module->byte >> 1;

	if (module->phase == POINTER) {
		module->pointer[module->chip] = module->byte;
		return true;
	}
	if (!module->present || (address != 0x50 && (address != 0x51 || module->silent_a2))) {
		module->phase = IDLE;
		return false;
	}
	module->chip = address - 0x50;
	module->phase = module->byte & 1 ? SENDING : POINTER;
	return true;
}

static void fall(struct fake_module *module)
{
	static const unsigned all = 8;
	bool received = module->phase != SENDING;

	if (module->rises == 0 || module->phase == IDLE)
		return;
	if (module->rises == all && received) {
		module->pull = take(module);
		module->wanted = true;
		return;
	}
	module->pull = false;
	if (module->rises > all) {
		module->rises = 0;
		if (!module->wanted)
			module->phase = IDLE;
		if (module->phase == SENDING)
			module->byte =
				module->memory[module->chip][module->pointer[module->chip]++];
	}
	if (module->phase == SENDING && module->rises < all)
		module->pull = !(module->byte >> (7 - module->rises) & 1);
}

static void rise(struct fake_module *module)
{
	module->rises++;
	if (module->rises <= 8 && module->phase != SENDING)
		module->byte = (uint8_t)(module->byte << 1 | module->data);
	/* The ninth of an address is the module's own. */
	if (module->rises == 9 && module->phase == SENDING && !module->pull)
		module->wanted = !module->data;
}

void fake_module_lines(struct fake_module *module, bool clock, bool data)
{
	/* While it pulls nobody sees what the driver does. */
	if (clock && module->clock && data != module->data && !module->pull) {
		module->phase = data ? IDLE : ADDRESS;
		module->rises = 0;
		module->pull = false;
	}
	module->data = data;
	if (clock && !module->clock)
		rise(module);
	if (!clock && module->clock)
		fall(module);
	module->clock = clock;
}

bool fake_module_data(const struct fake_module *module)
{
	return module->data && !module->pull;
}
