/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The module in an 82599's SFP+ cage: what it is, by its memory (SFF-8472), and what the card's
 * EEPROM has to be written before it is used. Which modules can be used and how they are told is as
 * in Linux's driver (ixgbe_identify_sfp_module_generic()), but for those of other vendors, which
 * are used.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nic/ixgbe/ixgbe.h"

/* SFF-8472: memories by their address on the bus, bytes in them. */
#define A0                  0xA0u
#define A0_IDENTIFIER       0
#define IDENTIFIER_SFP      0x03u
#define A0_10G              3
#define CODE_10G_SR         0x10u
#define CODE_10G_LR         0x20u
#define A0_1G               6
#define CODE_1G_SX          0x01u
#define CODE_1G_LX          0x02u
#define CODE_1G_T           0x08u
#define A0_CABLE            8
#define CABLE_PASSIVE       0x04u
#define CABLE_ACTIVE        0x08u
#define A0_CODES            9 /* bytes from 0 on that tell the kind */
#define A0_VENDOR           20
#define A0_OUI              37
#define A0_PART             40
#define NAME_BYTES          16u
#define A0_CABLE_SPEC       60
#define CABLE_SPEC_LIMITING 0x04u
#define A2                  0xA2u
#define A2_STATUS           110
#define STATUS_RX_LOS       0x02u

/* EEPROM words (82599 datasheet 6.3). */
#define WORD_CAPS      0x2Cu
#define CAPS_ANY       0x0001u
#define WORD_SFP_LISTS 0x2Bu
#define LISTS_END      0xFFFFu
#define LISTS_MAX      32u  /* ours: there are 15 kinds */
#define LIST_MAX       256u /* words, ours */

static const char *const names[] = {
	[IXGBE_MODULE_UNREAD] = "",
	[IXGBE_MODULE_DA] = "direct attach cable",
	[IXGBE_MODULE_DA_ACTIVE] = "active direct attach cable",
	[IXGBE_MODULE_SR] = "10GBASE-SR",
	[IXGBE_MODULE_LR] = "10GBASE-LR",
	[IXGBE_MODULE_1G_T] = "1000BASE-T",
	[IXGBE_MODULE_1G_SX] = "1000BASE-SX",
	[IXGBE_MODULE_1G_LX] = "1000BASE-LX",
};

bool ixgbe_has_cage(const struct ixgbe *dev)
{
	return dev->model->family == IXGBE_82599 && dev->model->media == IXGBE_SFP;
}

bool ixgbe_sfp_slow(const struct ixgbe_module *module)
{
	return module->kind >= IXGBE_MODULE_1G_T;
}

static uint32_t bus_of(const struct ixgbe *dev)
{
	return dev->port ? SYNC_PHY1 : SYNC_PHY0;
}

/* `spec`: of an active cable. */
static enum ixgbe_module_kind kind_of(const uint8_t code[A0_CODES], uint8_t spec)
{
	if (code[A0_IDENTIFIER] != IDENTIFIER_SFP)
		return IXGBE_MODULE_UNKNOWN;
	if (code[A0_CABLE] & CABLE_PASSIVE)
		return IXGBE_MODULE_DA;
	if (code[A0_CABLE] & CABLE_ACTIVE)
		return spec & CABLE_SPEC_LIMITING ? IXGBE_MODULE_DA_ACTIVE : IXGBE_MODULE_UNKNOWN;
	if (code[A0_10G] & CODE_10G_SR)
		return IXGBE_MODULE_SR;
	if (code[A0_10G] & CODE_10G_LR)
		return IXGBE_MODULE_LR;
	if (code[A0_1G] & CODE_1G_T)
		return IXGBE_MODULE_1G_T;
	if (code[A0_1G] & CODE_1G_SX)
		return IXGBE_MODULE_1G_SX;
	return code[A0_1G] & CODE_1G_LX ? IXGBE_MODULE_1G_LX : IXGBE_MODULE_UNKNOWN;
}

/* The caller has the bus. */
static int classify(struct ixgbe *dev, struct ixgbe_module *module, uint8_t *identifier)
{
	uint8_t code[A0_CODES] = {0};
	uint8_t spec = 0;
	int rc = ixgbe_i2c_read(dev, A0, 0, code, sizeof code);

	if (!rc && (code[A0_CABLE] & (CABLE_PASSIVE | CABLE_ACTIVE)) == CABLE_ACTIVE)
		rc = ixgbe_i2c_read(dev, A0, A0_CABLE_SPEC, &spec, 1);
	if (rc)
		return rc;
	*identifier = code[A0_IDENTIFIER];
	module->kind = kind_of(code, spec);
	module->dual = (module->kind == IXGBE_MODULE_SR && (code[A0_1G] & CODE_1G_SX)) ||
		       (module->kind == IXGBE_MODULE_LR && (code[A0_1G] & CODE_1G_LX));
	return 0;
}

/* Whether it is of another vendor than the card's, of a kind for which the EEPROM asks for that. */
static int is_foreign(struct ixgbe *dev, const struct ixgbe_module *module, bool *foreign)
{
	static const uint8_t intel[3] = {0x00, 0x1B, 0x21};
	uint8_t oui[3] = {0};
	uint16_t caps = 0;
	int rc;

	*foreign = false;
	if (module->kind != IXGBE_MODULE_SR && module->kind != IXGBE_MODULE_LR)
		return 0;
	rc = ixgbe_i2c_read(dev, A0, A0_OUI, oui, sizeof oui);
	if (rc || memcmp(oui, intel, sizeof oui) == 0)
		return rc;
	rc = ixgbe_eeprom_words(dev, WORD_CAPS, &caps, 1);
	*foreign = !(caps & CAPS_ANY);
	return rc;
}

/* A field of a module is anybody's bytes: what is no plain letter becomes a '?'. */
static void copy_name(char *to, const uint8_t *field)
{
	unsigned len = 0;

	for (unsigned i = 0; i < NAME_BYTES; i++) {
		to[i] = field[i] >= 0x20 && field[i] < 0x7F ? (char)field[i] : '?';
		if (to[i] != ' ')
			len = i + 1;
	}
	to[len] = '\0';
}

static int read_name(struct ixgbe *dev, char name[2 * NAME_BYTES + 2])
{
	uint8_t field[2][NAME_BYTES] = {{0}};
	int rc = ixgbe_i2c_read(dev, A0, A0_VENDOR, field[0], NAME_BYTES);

	if (!rc)
		rc = ixgbe_i2c_read(dev, A0, A0_PART, field[1], NAME_BYTES);
	copy_name(name, field[0]);
	name += strlen(name);
	*name++ = ' ';
	copy_name(name, field[1]);
	return rc;
}

/* What it is, and the text. */
static int identify(struct ixgbe *dev, struct ixgbe_module *module)
{
	const size_t size = sizeof module->text;
	char name[2 * NAME_BYTES + 2];
	uint8_t identifier = 0;
	bool foreign = false;
	int rc = classify(dev, module, &identifier);

	/* Once more, as a single access may fail. */
	if (!rc && module->kind == IXGBE_MODULE_UNKNOWN)
		rc = classify(dev, module, &identifier);
	if (!rc)
		rc = is_foreign(dev, module, &foreign);
	if (!rc && (foreign || module->kind == IXGBE_MODULE_UNKNOWN))
		rc = read_name(dev, name);
	if (rc)
		return rc;
	module->trouble = true;
	if (module->kind == IXGBE_MODULE_UNKNOWN) {
		snprintf(module->text, size,
			"the module %s (identifier 0x%02x) is of no kind that this card can use: "
			"it stays dark; plug another one in",
			name, identifier);
	} else if (foreign) {
		snprintf(module->text, size,
			"the %s module %s is none of those that the card's EEPROM allows: it is "
			"used all the same",
			names[module->kind], name);
	} else {
		snprintf(module->text, size, "%s%s", names[module->kind],
			module->dual ? ", also at 1 Gbit/s" : "");
		module->trouble = false;
	}
	return 0;
}

int ixgbe_sfp_identify(struct ixgbe *dev)
{
	struct ixgbe_module *module = &dev->module;
	int rc = ixgbe_sync_acquire(dev, bus_of(dev) | SYNC_EEPROM);

	if (rc)
		return rc;
	rc = identify(dev, module);
	ixgbe_sync_release(dev, bus_of(dev) | SYNC_EEPROM);
	if (rc == 0 || rc == -ENODEV)
		return rc;
	module->trouble = true;
	module->dual = false;
	if (rc == -ENXIO) {
		module->kind = IXGBE_MODULE_ABSENT;
		snprintf(module->text, sizeof module->text, "no module in the cage: plug one in");
	} else {
		module->kind = IXGBE_MODULE_UNREADABLE;
		snprintf(module->text, sizeof module->text,
			"the module does not say what it is (I2CCTL, 82599 datasheet 8.2.3.1.5): "
			"it is used at 10 Gbit/s; if no link comes, plug another one in");
	}
	return 0;
}

bool ixgbe_sfp_same(struct ixgbe *dev)
{
	uint8_t none;
	int rc;

	if (ixgbe_sync_acquire(dev, bus_of(dev)))
		return true;
	rc = ixgbe_i2c_read(dev, A0, 0, &none, 0);
	ixgbe_sync_release(dev, bus_of(dev));
	switch (rc) {
	case 0: return dev->module.kind > IXGBE_MODULE_UNREADABLE;
	case -ENXIO: return dev->module.kind == IXGBE_MODULE_ABSENT;
	case -EIO: return dev->module.kind == IXGBE_MODULE_UNREADABLE;
	default: return true;
	}
}

bool ixgbe_sfp_lit(struct ixgbe *dev)
{
	uint8_t status = 0;

	if (ixgbe_sync_acquire(dev, bus_of(dev)))
		return false;
	/* One that does not tell may well see light. */
	if (ixgbe_i2c_read(dev, A2, A2_STATUS, &status, 1))
		status = 0;
	ixgbe_sync_release(dev, bus_of(dev));
	return !(status & STATUS_RX_LOS);
}

/* The number under which the lists have it (Linux: enum ixgbe_sfp_type). */
static uint16_t list_number(const struct ixgbe *dev)
{
	return (uint16_t)((dev->module.kind == IXGBE_MODULE_DA ? 3 : 5) + dev->port);
}

/* Where the list for the module begins, or 0: there is none. */
static int find_list(struct ixgbe *dev, uint16_t *list)
{
	uint16_t at = 0;
	int rc = ixgbe_eeprom_words(dev, WORD_SFP_LISTS, &at, 1);

	*list = 0;
	if (rc || at == 0 || at == LISTS_END)
		return rc;
	for (unsigned i = 0; i < LISTS_MAX; i++) {
		uint16_t entry[2] = {LISTS_END, 0};

		rc = ixgbe_eeprom_words(dev, at + 1u + 2 * i, entry, 2);
		if (rc || entry[0] == LISTS_END)
			return rc;
		if (entry[0] == list_number(dev)) {
			*list = entry[1] == LISTS_END ? 0 : entry[1];
			return 0;
		}
	}
	return 0;
}

int ixgbe_sfp_prepare(struct ixgbe *dev)
{
	uint32_t resources = SYNC_EEPROM | SYNC_MAC_CSR;
	uint16_t list = 0;
	int rc = ixgbe_sync_acquire(dev, resources);

	if (rc)
		return rc;
	rc = find_list(dev, &list);
	/* Its first word is its length, which nobody uses; it has an end, too. */
	for (unsigned i = 1; !rc && list && i <= LIST_MAX; i++) {
		uint16_t value = LISTS_END;

		rc = ixgbe_eeprom_words(dev, list + i, &value, 1);
		if (rc || value == LISTS_END)
			break;
		reg_write(&dev->nic.bar, CORECTL, value);
	}
	ixgbe_sync_release(dev, resources);
	return rc;
}
