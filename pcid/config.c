/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From TOML to driver entries. Every key is known here or refused.
 */
#include "pcid/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcid/command.h"
#include "pcid/toml.h"

struct reading {
	const char *file;
	struct config_error *why;
};

__attribute__((format(printf, 3, 4))) static int refuse(
	const struct reading *r, unsigned line, const char *format, ...)
{
	char what[400];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	(void)snprintf(r->why->text, sizeof(r->why->text), "%s:%u: %s", r->file, line, what);
	return -EINVAL;
}

static int expect(const struct reading *r, const struct toml_value *value, enum toml_type type)
{
	const char *key = value->key != NULL ? value->key : "an element";

	if (value->type == type)
		return 0;
	return refuse(r, value->line, "%.64s is %s; expected %s", key, toml_type_name(value->type),
		toml_type_name(type));
}

static int read_number(
	const struct reading *r, const struct toml_value *value, uint32_t limit, uint32_t *out)
{
	const char *key = value->key != NULL ? value->key : "an id";
	int error = expect(r, value, TOML_INTEGER);

	if (error != 0)
		return error;
	if (value->integer < 0 || value->integer > limit)
		return refuse(r, value->line, "%.64s is %lld; expected 0 to 0x%x", key,
			(long long)value->integer, limit);
	*out = (uint32_t)value->integer;
	return 0;
}

/* A condition that one value fulfils. */
static int read_exact(const struct reading *r, const struct toml_value *value, uint32_t limit,
	struct pcid_range *range)
{
	int error = read_number(r, value, limit, &range->first);

	range->last = range->first;
	range->present = error == 0;
	return error;
}

/* { start, end } is Rust's Range: end is not in it. */
static int read_id_range(
	const struct reading *r, const struct toml_value *value, struct pcid_range *range)
{
	const struct toml_value *start = NULL;
	const struct toml_value *end = NULL;
	uint32_t behind = 0;
	int error = expect(r, value, TOML_TABLE);

	if (error != 0)
		return error;
	for (const struct toml_value *v = value->first; v != NULL; v = v->next) {
		if (strcmp(v->key, "start") == 0)
			start = v;
		else if (strcmp(v->key, "end") == 0)
			end = v;
		else
			return refuse(r, v->line,
				"unknown key '%.64s' in device_id_range; expected start and end",
				v->key);
	}
	if (start == NULL || end == NULL)
		return refuse(r, value->line, "device_id_range lacks %s; expected start and end",
			start == NULL ? "start" : "end");
	error = read_number(r, start, 0xffff, &range->first);
	if (error == 0)
		error = read_number(r, end, 0x10000, &behind);
	if (error != 0)
		return error;
	if (behind <= range->first)
		return refuse(r, value->line,
			"device_id_range is empty; expected end (not in it) above start");
	range->last = behind - 1;
	range->present = true;
	return 0;
}

/* A vendor's key is hexadecimal with or without 0x, as Redox's pcid reads it. */
static bool read_vendor(const char *key, uint16_t *out)
{
	const char *digits = strncmp(key, "0x", 2) == 0 ? key + 2 : key;
	size_t n = strspn(digits, "0123456789abcdefABCDEF");

	if (n < 1 || n > 4 || digits[n] != '\0')
		return false;
	*out = (uint16_t)strtoul(digits, NULL, 16);
	return true;
}

static int read_ids(
	const struct reading *r, const struct toml_value *value, struct pcid_driver *driver)
{
	int error = expect(r, value, TOML_TABLE);

	if (error != 0)
		return error;
	if (value->count == 0)
		return refuse(r, value->line, "ids is empty; expected { 0x8086 = [0x10FB, ...] }");
	driver->ids = calloc(value->count, sizeof(*driver->ids));
	if (driver->ids == NULL)
		return -ENOMEM;
	driver->has_ids = true;
	for (const struct toml_value *v = value->first; v != NULL; v = v->next) {
		struct pcid_ids *ids = &driver->ids[driver->ids_count++];

		if (!read_vendor(v->key, &ids->vendor))
			return refuse(r, v->line,
				"'%.64s' is no vendor's id; expected hexadecimal, as 0x8086",
				v->key);
		error = expect(r, v, TOML_ARRAY);
		if (error != 0)
			return error;
		ids->devices = calloc(v->count + 1, sizeof(*ids->devices));
		if (ids->devices == NULL)
			return -ENOMEM;
		for (const struct toml_value *d = v->first; d != NULL; d = d->next) {
			uint32_t device = 0;

			error = read_number(r, d, 0xffff, &device);
			if (error != 0)
				return error;
			ids->devices[ids->count++] = (uint16_t)device;
		}
	}
	return 0;
}

static int read_command(
	const struct reading *r, const struct toml_value *value, struct pcid_driver *driver)
{
	size_t n = 0;
	int error = expect(r, value, TOML_ARRAY);

	if (error != 0)
		return error;
	if (value->count == 0 || value->count > PCID_MAX_ARGUMENTS)
		return refuse(r, value->line,
			"command has %u elements; expected a program and its arguments, at most %u",
			value->count, PCID_MAX_ARGUMENTS);
	driver->command = calloc(value->count + 1, sizeof(*driver->command));
	if (driver->command == NULL)
		return -ENOMEM;
	for (const struct toml_value *v = value->first; v != NULL; v = v->next) {
		error = expect(r, v, TOML_STRING);
		if (error != 0)
			return error;
		if (n == 0 && (v->string[0] == '\0' || v->string[0] == '$'))
			return refuse(
				r, v->line, "command runs '%.64s'; expected a program", v->string);
		if (v->string[0] == '$' && !command_knows(v->string))
			return refuse(r, v->line, "unknown variable '%.64s'; expected one of %s",
				v->string, COMMAND_VARIABLES);
		driver->command[n] = strdup(v->string);
		if (driver->command[n] == NULL)
			return -ENOMEM;
		n++;
	}
	return 0;
}

static int read_name(
	const struct reading *r, const struct toml_value *value, struct pcid_driver *driver)
{
	int error = expect(r, value, TOML_STRING);

	if (error != 0)
		return error;
	driver->name = strdup(value->string);
	return driver->name == NULL ? -ENOMEM : 0;
}

static int read_key(
	const struct reading *r, const struct toml_value *value, struct pcid_driver *driver)
{
	const char *key = value->key;

	if (strcmp(key, "name") == 0)
		return read_name(r, value, driver);
	if (strcmp(key, "class") == 0)
		return read_exact(r, value, 0xff, &driver->class);
	if (strcmp(key, "subclass") == 0)
		return read_exact(r, value, 0xff, &driver->subclass);
	if (strcmp(key, "interface") == 0)
		return read_exact(r, value, 0xff, &driver->interface);
	if (strcmp(key, "vendor") == 0)
		return read_exact(r, value, 0xffff, &driver->vendor);
	if (strcmp(key, "device") == 0)
		return read_exact(r, value, 0xffff, &driver->device);
	if (strcmp(key, "device_id_range") == 0)
		return read_id_range(r, value, &driver->device_id_range);
	if (strcmp(key, "ids") == 0)
		return read_ids(r, value, driver);
	if (strcmp(key, "command") == 0)
		return read_command(r, value, driver);
	return refuse(r, value->line,
		"unknown key '%.64s'; expected name, class, subclass, interface, ids, vendor, "
		"device, device_id_range or command",
		key);
}

static int read_driver(
	const struct reading *r, const struct toml_value *table, struct pcid_driver *driver)
{
	driver->line = table->line;
	for (const struct toml_value *v = table->first; v != NULL; v = v->next) {
		int error = read_key(r, v, driver);

		if (error != 0)
			return error;
	}
	if (driver->command == NULL)
		return refuse(r, table->line,
			"[[drivers]] lacks a command; expected command = "
			"[\"PROGRAM\", ...]");
	if (!driver->class.present && !driver->has_ids && !driver->vendor.present)
		return refuse(r, table->line,
			"[[drivers]] fits any function; expected class, vendor or ids");
	return 0;
}

static void free_driver(struct pcid_driver *driver)
{
	for (size_t i = 0; i < driver->ids_count; i++)
		free(driver->ids[i].devices);
	free(driver->ids);
	for (char **argument = driver->command; argument != NULL && *argument != NULL; argument++)
		free(*argument);
	free(driver->command);
	free(driver->name);
}

static int read_root(
	const struct reading *r, const struct toml_value *root, struct pcid_config *config)
{
	const struct toml_value *entries = root->first;
	struct pcid_driver *grown;
	size_t count = config->count;
	int error;

	for (const struct toml_value *v = root->first; v != NULL; v = v->next) {
		if (strcmp(v->key, "drivers") != 0)
			return refuse(
				r, v->line, "unknown key '%.64s'; expected [[drivers]]", v->key);
	}
	if (entries == NULL)
		return refuse(r, 1, "no driver; expected [[drivers]]");
	error = expect(r, entries, TOML_ARRAY);
	if (error != 0)
		return error;
	grown = realloc(config->drivers, (count + entries->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	config->drivers = grown;
	for (const struct toml_value *v = entries->first; v != NULL; v = v->next) {
		memset(&grown[count], 0, sizeof(grown[count]));
		error = expect(r, v, TOML_TABLE);
		if (error == 0)
			error = read_driver(r, v, &grown[count]);
		count++;
		if (error != 0)
			goto failed;
	}
	config->count = count;
	return 0;
failed:
	while (count > config->count)
		free_driver(&grown[--count]);
	return error;
}

int config_parse(struct pcid_config *config, const char *text, size_t len, const char *file,
	struct config_error *why)
{
	const struct reading r = {.file = file, .why = why};
	struct toml_error toml;
	struct toml_value *root;
	int error = toml_parse(&root, text, len, &toml);

	if (error == -EINVAL)
		return refuse(&r, toml.line, "%s", toml.text);
	if (error == 0) {
		error = read_root(&r, root, config);
		toml_free(root);
	}
	if (error == -ENOMEM)
		(void)snprintf(why->text, sizeof(why->text), "%s: no memory left", file);
	return error;
}

int config_load(struct pcid_config *config, const char *path, struct config_error *why)
{
	size_t size = TOML_MAX_SIZE + 1;
	size_t len = 0;
	ssize_t n = 0;
	char *text = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error = 0;

	if (text == NULL || fd < 0) {
		error = text == NULL ? -ENOMEM : -errno;
		goto out;
	}
	do {
		n = read(fd, text + len, size - len);
		len += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
	if (n < 0)
		error = -errno;
out:
	if (error != 0)
		(void)snprintf(why->text, sizeof(why->text),
			"%s: cannot be read (%s); give a file with --config", path,
			strerror(-error));
	else
		error = config_parse(config, text, len, path, why);
	if (fd >= 0)
		(void)close(fd);
	free(text);
	return error;
}

void config_free(struct pcid_config *config)
{
	for (size_t i = 0; i < config->count; i++)
		free_driver(&config->drivers[i]);
	free(config->drivers);
	*config = (struct pcid_config){0};
}

static bool in_range(const struct pcid_range *range, uint32_t value)
{
	return !range->present || (value >= range->first && value <= range->last);
}

static bool in_ids(const struct pcid_driver *driver, const struct pci_id *id)
{
	for (size_t i = 0; i < driver->ids_count; i++) {
		const struct pcid_ids *ids = &driver->ids[i];

		for (size_t j = 0; ids->vendor == id->vendor && j < ids->count; j++) {
			if (ids->devices[j] == id->device)
				return true;
		}
	}
	return !driver->has_ids;
}

const struct pcid_driver *config_match(const struct pcid_config *config, const struct pci_id *id)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct pcid_driver *driver = &config->drivers[i];

		if (in_range(&driver->class, id->class_code >> 16 & 0xff) &&
			in_range(&driver->subclass, id->class_code >> 8 & 0xff) &&
			in_range(&driver->interface, id->class_code & 0xff) &&
			in_range(&driver->vendor, id->vendor) &&
			in_range(&driver->device, id->device) &&
			in_range(&driver->device_id_range, id->device) && in_ids(driver, id))
			return driver;
	}
	return NULL;
}
