/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Variables and programs of commands.
 */
#include "pcid/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_SIZE 80u

/* $BAR0 and the like: the digit behind `prefix`, or -1. */
static int bar_index(const char *argument, const char *prefix)
{
	size_t n = strlen(prefix);
	int index;

	if (strncmp(argument, prefix, n) != 0 || argument[n] == '\0' || argument[n + 1] != '\0')
		return -1;
	index = argument[n] - '0';
	return index >= 0 && index < (int)COMMAND_BARS ? index : -1;
}

static void hexadecimal(char *out, uint64_t value)
{
	if (value == 0)
		out[0] = '\0';
	else
		(void)snprintf(out, VALUE_SIZE, "%08" PRIX64, value);
}

/* Writes what the argument stands for; false: it is no variable. */
static bool expand(const char *argument, const struct command_values *v, char out[VALUE_SIZE])
{
	int bar = bar_index(argument, "$BAR");
	int size = bar_index(argument, "$BARSIZE");

	if (bar >= 0)
		hexadecimal(out, v->bar[bar]);
	else if (size >= 0)
		hexadecimal(out, v->bar_size[size]);
	else if (strcmp(argument, "$NAME") == 0)
		(void)snprintf(out, VALUE_SIZE, "%s", v->name);
	else if (strcmp(argument, "$BUS") == 0)
		(void)snprintf(out, VALUE_SIZE, "%02X", v->bus);
	else if (strcmp(argument, "$DEV") == 0)
		(void)snprintf(out, VALUE_SIZE, "%02X", v->device);
	else if (strcmp(argument, "$FUNC") == 0)
		(void)snprintf(out, VALUE_SIZE, "%02X", v->function);
	else if (strcmp(argument, "$IRQ") == 0)
		(void)snprintf(out, VALUE_SIZE, "%u", v->irq);
	else if (strcmp(argument, "$VENID") == 0)
		(void)snprintf(out, VALUE_SIZE, "%04X", v->id.vendor);
	else if (strcmp(argument, "$DEVID") == 0)
		(void)snprintf(out, VALUE_SIZE, "%04X", v->id.device);
	else if (strcmp(argument, "$SUBSYSID") == 0)
		(void)snprintf(out, VALUE_SIZE, "%04X", v->id.subdevice);
	else
		return false;
	return true;
}

bool command_knows(const char *argument)
{
	const struct command_values none = {.name = ""};
	char value[VALUE_SIZE];

	return expand(argument, &none, value);
}

int command_expand(char ***out, char *const *command, const struct command_values *values)
{
	char value[VALUE_SIZE];
	char **arguments;
	size_t n = 0;

	while (command[n] != NULL)
		n++;
	arguments = calloc(n + 1, sizeof(*arguments));
	if (arguments == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		arguments[i] = strdup(expand(command[i], values, value) ? value : command[i]);
		if (arguments[i] == NULL) {
			command_free(arguments);
			return -ENOMEM;
		}
	}
	*out = arguments;
	return 0;
}

void command_free(char **arguments)
{
	for (char **argument = arguments; argument != NULL && *argument != NULL; argument++)
		free(*argument);
	free(arguments);
}

/* 0: `found` is a file that may be run. */
static int try(const char *folder, size_t folder_len, const char *program, char *found, size_t size)
{
	struct stat st;
	int n = snprintf(found, size, "%.*s/%s", (int)folder_len, folder, program);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	if (stat(found, &st) != 0)
		return -ENOENT;
	return S_ISREG(st.st_mode) && access(found, X_OK) == 0 ? 0 : -EACCES;
}

int command_find(
	const char *program, const char *folder, const char *path, char *found, size_t size)
{
	int result;

	if (program[0] == '/')
		return try("", 0, program + 1, found, size);
	if (strchr(program, '/') != NULL)
		return -EINVAL;
	result = try(folder, strlen(folder), program, found, size);
	while (result != 0 && path != NULL) {
		size_t len = strcspn(path, ":");

		if (path[0] == '/') {
			int here = try(path, len, program, found, size);

			if (here == 0 || result == -ENOENT)
				result = here;
		}
		path = path[len] == ':' ? path + len + 1 : NULL;
	}
	return result;
}
