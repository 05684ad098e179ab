/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Notes of which process drives which card.
 */
#include "pcid/orphan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ".driver." and the address, in which a slash cannot stay. No scheme's name begins with a dot. */
static bool note_path(const struct card *card, char path[PATH_MAX])
{
	char folder[PATH_MAX - 256];
	char *name;

	if (scheme_directory(folder, sizeof(folder)) != 0)
		return false;
	name = path + snprintf(path, PATH_MAX, "%s/", folder);
	(void)snprintf(name, 256, ".driver.%s", card->address);
	for (; *name != '\0'; name++) {
		if (*name == '/')
			*name = '!';
	}
	return true;
}

/* Reads a small file whole, as text. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* When the process started (proc(5): field 22 of stat, behind a name that may hold anything), so
 * that another with its number is told from it. 0: there is none.
 */
static unsigned long long started(pid_t pid)
{
	char path[32], text[1024];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_text(path, text, sizeof(text)))
		return 0;
	at = strrchr(text, ')'); /* ends field 2 */
	if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
		return 0;
	for (unsigned field = 2; field < 22 && at != NULL; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoull(at, NULL, 10) : 0;
}

void orphan_note(const struct card *card)
{
	char path[PATH_MAX];
	int fd;

	if (!note_path(card, path))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	(void)dprintf(fd, "%d %llu %s\n", (int)card->driver.pid, started(card->driver.pid),
		card->name.scheme);
	(void)close(fd);
}

void orphan_forget(const struct card *card)
{
	char path[PATH_MAX];

	if (note_path(card, path))
		(void)unlink(path);
}

bool orphan_find(const struct card *card, pid_t *pid, char name[SCHEME_NAME_MAX])
{
	char path[PATH_MAX], text[128];
	unsigned long long when;
	char *at;
	long number;

	if (!note_path(card, path) || !read_text(path, text, sizeof(text)))
		return false;
	number = strtol(text, &at, 10);
	when = strtoull(at, &at, 10);
	if (number <= 0 || number > INT32_MAX || when == 0 || *at != ' ' ||
		started((pid_t)number) != when)
		return false;
	at[strcspn(at, "\n")] = '\0';
	(void)snprintf(name, SCHEME_NAME_MAX, "%.63s", at + 1);
	*pid = (pid_t)number;
	return true;
}
