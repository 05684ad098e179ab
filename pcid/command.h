/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An entry's command: its variables and its program. A variable is a whole argument, as in Redox's
 * pcid ("$BAR0" is one, "bar=$BAR0" is text).
 */
#ifndef PCID_COMMAND_H
#define PCID_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/pci.h"

#define COMMAND_BARS      6u
#define COMMAND_VARIABLES "$NAME $BUS $DEV $FUNC $BAR0..5 $BARSIZE0..5 $IRQ $VENID $DEVID $SUBSYSID"

/* What the variables stand for. Formats are those of Redox's pcid. */
struct command_values {
	const char *name; /* $NAME */
	uint8_t bus;      /* two hexadecimal digits; also device and function */
	uint8_t device;
	uint8_t function;
	uint64_t bar[COMMAND_BARS];      /* at least eight hexadecimal digits, empty where 0 */
	uint64_t bar_size[COMMAND_BARS]; /* the same */
	unsigned irq;                    /* decimal */
	struct pci_id id;                /* four hexadecimal digits */
};

/* Whether `argument` is a variable. */
bool command_knows(const char *argument);

/* A copy of the command with its variables replaced, ended by NULL. -ENOMEM. */
int command_expand(char ***out, char *const *command, const struct command_values *values);
void command_free(char **arguments);

/* Finds an executable file. A program with a slash is a path, which must be absolute. Else it is
 * looked for in `folder` (pcid's own, or what --driver-path names), then in $PATH's absolute
 * folders: never in the current one. -ENOENT, -EACCES (found, but not to be run), -EINVAL (a
 * relative path), -ENAMETOOLONG.
 */
int command_find(
	const char *program, const char *folder, const char *path, char *found, size_t size);

#endif
