/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Notes of which process drives which card.
 */
#include "pcid/orphan.h"

#include <fcntl.h>
#include <stdio.h>
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

/* When the process started (proc(5): field 22 of stat, after a name that may hold anything), so
 * that another with its number is told from it. 0: there is none.
 */
static unsigned long long started(pid_t pid)
{
	unsigned long long when = 0;
	char path[32], text[1024];
	const char *at;
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')');
	if (at == NULL || at[1] == '\0' || at[2] == 'Z' || at[2] == 'X' ||
		sscanf(at + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			"%*d %llu",
			&when) != 1)
		return 0;
	return when;
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
	unsigned long long when = 0;
	char path[PATH_MAX];
	int number = 0;
	FILE *file;
	int n;

	if (!note_path(card, path))
		return false;
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	n = fscanf(file, "%d %llu %63s", &number, &when, name);
	(void)fclose(file);
	if (n != 3 || number <= 0 || when == 0 || started(number) != when)
		return false;
	*pid = number;
	return true;
}
