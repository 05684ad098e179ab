/* SPDX-License-Identifier: BSD-3-Clause
 *
 * scheme: what the network schemes of this machine say, for the shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scheme/scheme.h"

#define URL_ROOM (sizeof("network:") + SCHEME_NAME_MAX + SCHEME_PATH_MAX)

enum { FAILED = 1, USAGE = 2 };

static void help(FILE *to)
{
	fputs("usage: scheme ls\n"
	      "       scheme cat [--raw] [--count N] URL\n"
	      "       scheme set URL VALUE\n"
	      "\n"
	      "ls    a line for each card: URL, MAC address, link and Mbit/s, MTU\n"
	      "cat   prints a value; of frames, a line each: length, to, from, type\n"
	      "set   sets network:NAME/mtu or network:NAME/promisc\n"
	      "\n"
	      "  --raw      bytes as they are, also of mac and frames\n"
	      "  --count N  ends after N frames\n"
	      "  --help, --version\n"
	      "\n"
	      "URLs: network:NAME, or network: for the first card, and /mac /link /stats /mtu\n"
	      "/promisc /tap /cage /queue/0 behind it. network:NAME takes frames away from "
	      "whoever\n"
	      "else reads them, network:NAME/tap gives copies.\n",
		to);
}

static int fail(const char *url, int error)
{
	fprintf(stderr, "scheme: %s: %s\n", url, scheme_strerror(error));
	return FAILED;
}

/* The bytes of a value; -errno. */
static ssize_t value(const char *url, void *data, size_t size)
{
	int fd = scheme_open(url, O_RDONLY | O_CLOEXEC, NULL);
	if (fd < 0) {
		return fd;
	}
	ssize_t n = read(fd, data, size);
	if (n < 0) {
		n = -errno;
	}
	close(fd);
	return n;
}

static void print_mac(const uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		printf("%s%02x", i > 0 ? ":" : "", mac[i]);
	}
}

/* --- ls --- */

struct listing {
	int shown;
	int code;
};

static ssize_t text_of(const char *name, const char *path, char *text, size_t size)
{
	char url[URL_ROOM];

	snprintf(url, sizeof(url), "network:%s%s", name, path);
	ssize_t n = value(url, text, size - 1);
	if (n >= 0) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
	}
	return n;
}

static int show(void *ctx, const char *name)
{
	struct listing *l = ctx;
	char mac[64], link[64], mtu[64], url[URL_ROOM];
	ssize_t n = text_of(name, "/mac", mac, sizeof(mac));

	l->shown++;
	if (n >= 0 && n != 6) {
		n = -EPROTO;
	}
	if (n >= 0) {
		n = text_of(name, "/link", link, sizeof(link));
	}
	if (n >= 0) {
		n = text_of(name, "/mtu", mtu, sizeof(mtu));
	}
	snprintf(url, sizeof(url), "network:%s", name);
	if (n < 0) {
		l->code = fail(url, (int)n);
		return 0;
	}
	printf("%s  ", url);
	print_mac((const uint8_t *)mac);
	printf("  %s  mtu %s\n", link, mtu);
	return 0;
}

static int ls(void)
{
	char directory[4096];
	struct listing l = {0};
	int ret = scheme_list(show, &l);

	if (ret < 0) {
		return fail("network:", ret);
	}
	if (l.shown == 0) {
		if (scheme_directory(directory, sizeof(directory)) == -ENAMETOOLONG) {
			return fail("network:", -ENAMETOOLONG);
		}
		fprintf(stderr, "scheme: no card in %s: start pcid, or set SCHEME_ROOT\n",
			directory);
		return FAILED;
	}
	return l.code;
}

/* --- cat --- */

static void print_frame(const uint8_t *frame, size_t len)
{
	printf("%zu ", len);
	print_mac(frame);
	printf(" ");
	print_mac(frame + 6);
	printf(" %02x%02x\n", frame[12], frame[13]);
}

static int cat_frames(const char *url, int fd, bool raw, uint64_t count)
{
	static uint8_t frames[SCHEME_BURST][SCHEME_FRAME_MAX];

	while (count > 0) {
		struct iovec iov[SCHEME_BURST];
		unsigned room = count < SCHEME_BURST ? (unsigned)count : SCHEME_BURST;
		for (unsigned i = 0; i < room; i++) {
			iov[i] =
				(struct iovec){.iov_base = frames[i], .iov_len = sizeof(frames[i])};
		}
		int n = scheme_read_burst(fd, iov, room);
		if (n == -EINTR) {
			continue;
		}
		if (n <= 0) {
			return fail(url, n == 0 ? -EPIPE : n);
		}
		for (int i = 0; i < n; i++) {
			if (raw) {
				fwrite(frames[i], 1, iov[i].iov_len, stdout);
			} else if (iov[i].iov_len >= 14) {
				print_frame(frames[i], iov[i].iov_len);
			}
		}
		fflush(stdout);
		count -= (unsigned)n;
	}
	return 0;
}

static int cat(const char *url, bool raw, uint64_t count)
{
	static char text[65536];
	char name[SCHEME_NAME_MAX], path[SCHEME_PATH_MAX];
	const struct scheme_status *status;
	int ret = 0;

	int fd = scheme_open(url, O_RDONLY | O_CLOEXEC, &status);
	if (fd < 0) {
		return fail(url, fd);
	}
	if (atomic_load(&status->value) == 0) {
		ret = cat_frames(url, fd, raw, count);
		goto out;
	}
	ssize_t n = read(fd, text, sizeof(text));
	if (n <= 0) {
		ret = fail(url, n == 0 ? -EPIPE : -errno);
		goto out;
	}
	if (!raw && n == 6 && scheme_parse(url, name, path) == 0 && strcmp(path, "/mac") == 0) {
		print_mac((const uint8_t *)text);
		printf("\n");
	} else {
		fwrite(text, 1, (size_t)n, stdout);
	}
out:
	scheme_unmap_status(status);
	close(fd);
	return ret;
}

/* --- set --- */

static int set(const char *url, const char *text)
{
	const struct scheme_status *status;

	int fd = scheme_open(url, O_WRONLY | O_CLOEXEC, &status);
	if (fd < 0) {
		return fail(url, fd);
	}
	ssize_t n = -EINVAL;
	if (atomic_load(&status->value) != 0) {
		n = scheme_write(fd, status, text, strlen(text));
	}
	scheme_unmap_status(status);
	close(fd);
	if (n == -EINVAL) {
		fprintf(stderr,
			"scheme: %s: does not take '%s': /mtu takes a number that the card can do, "
			"/promisc 0 or 1\n",
			url, text);
		return FAILED;
	}
	return n < 0 ? fail(url, (int)n) : 0;
}

/* --- the command line --- */

static int parse_count(const char *text, uint64_t *count)
{
	char *end;

	errno = 0;
	*count = strtoumax(text, &end, 10);
	return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *count > 0
		       ? 0
		       : -EINVAL;
}

static int wrong(const char *what)
{
	fprintf(stderr, "scheme: %s: see scheme --help\n", what);
	return USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"raw", no_argument, NULL, 'r'},
		{"count", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{0},
	};
	bool raw = false;
	uint64_t count = UINT64_MAX;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'r': raw = true; break;
		case 'c':
			if (parse_count(optarg, &count) < 0) {
				return wrong("--count takes a number above 0");
			}
			break;
		case 'h': help(stdout); return 0;
		case 'v': printf("scheme %s\n", PROJECT_VERSION); return 0;
		default: return wrong("no such option, or one without its value");
		}
	}
	argv += optind;
	argc -= optind;
	const char *command = argc > 0 ? argv[0] : "";
	int code;
	if (strcmp(command, "ls") == 0 && argc == 1) {
		code = ls();
	} else if (strcmp(command, "cat") == 0 && argc == 2) {
		code = cat(argv[1], raw, count);
	} else if (strcmp(command, "set") == 0 && argc == 3) {
		code = set(argv[1], argv[2]);
	} else {
		return wrong("ls, cat URL or set URL VALUE is expected");
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "scheme: standard output: %s\n", strerror(errno));
		return FAILED;
	}
	return code;
}
