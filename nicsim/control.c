/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The control socket, both sides.
 */
#include "nicsim/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "nicsim/dma.h"
#include "nicsim/place.h"

#define ANSWER_S 10 /* that `nicsim ctl` waits */
#define ASKERS   16u

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

/* Who has connected, and asks; or nobody (io.fd < 0). */
struct asker {
	struct control *control;
	struct loop_io io;
};

struct control {
	struct loop *loop;
	struct loop_io listener;
	struct asker asker[ASKERS];
	unsigned next; /* asker, whose place a new one takes */
	struct sockaddr_un address;
	const struct control_card *cards;
	unsigned count;
};

/* A command, taken apart; `text` is what is answered. */
struct request {
	char *card;
	char *word[CONTROL_WORDS];
	unsigned words;
	char text[CONTROL_MAX - 16];
};

/* --- commands --- */

static int refuse(struct request *request, int rc, const char *text)
{
	snprintf(request->text, sizeof(request->text), "%s", text);
	return rc;
}

static int counters(const struct control_card *card, struct request *request)
{
	const struct dma_counters *dma = dma_counters(card->dma);
	size_t size = sizeof(request->text);
	int n = snprintf(request->text, size,
		"client %d\nrefused %" PRIu64 "\nlast 0x%" PRIx64 "\nlost %" PRIu64 "\n",
		server_has_client(card->server), dma->refused, dma->last, dma->lost);
	size_t used = (size_t)n;

	card->family->counters(card->card, request->text + used, size - used);
	used = strlen(request->text);
	fault_counters(card->family->faults(card->card), request->text + used, size - used);
	return 0;
}

static int perform(const struct control_card *card, struct request *request)
{
	const char *what = request->word[0];
	struct sim_error why;
	int rc;

	if (request->words == 1 && strcmp(what, "counters") == 0)
		return counters(card, request);
	if (request->words == 1 && strcmp(what, "remove") == 0) {
		rc = server_remove(card->server);
		return rc ? refuse(request, rc, "the card is removed already") : 0;
	}
	if (request->words == 1 && strcmp(what, "insert") == 0) {
		rc = server_insert(card->server, &why);
		return rc ? refuse(request, rc, why.text) : 0;
	}
	if (request->words == 2 && strcmp(what, "fault") == 0)
		return fault_command(card->family->faults(card->card), request->word[1],
			request->text, sizeof(request->text));
	return card->family->command(
		card->card, request->word, request->words, request->text, sizeof(request->text));
}

/* Lines into words. False: too many, or none. */
static bool take_apart(struct request *request, char *text)
{
	char *rest = text;

	request->card = strsep(&rest, "\n");
	while (rest && *rest) {
		if (request->words == CONTROL_WORDS)
			return false;
		request->word[request->words++] = strsep(&rest, "\n");
	}
	return request->words > 0;
}

static int run(struct control *control, struct request *request, char *text)
{
	if (!take_apart(request, text))
		return refuse(request, -EINVAL, "no command: see nicsim ctl --help");
	if (request->card[0] == '\0' && control->count > 1)
		return refuse(request, -EINVAL, "which of the cards? say --card SOCKET");
	for (unsigned i = 0; i < control->count; i++) {
		if (request->card[0] == '\0' || strcmp(request->card, control->cards[i].name) == 0)
			return perform(&control->cards[i], request);
	}
	return refuse(request, -ENOENT, "there is no card on that socket");
}

static void forget(struct asker *asker)
{
	if (asker->io.fd < 0)
		return;
	loop_remove(asker->control->loop, &asker->io);
	close(asker->io.fd);
	asker->io.fd = -1;
}

static void on_request(struct loop_io *io, uint32_t events)
{
	struct asker *asker = (struct asker *)((char *)io - offsetof(struct asker, io));
	char text[CONTROL_MAX + 1], answer[CONTROL_MAX];
	struct request request = {0};
	ssize_t n = recv(io->fd, text, CONTROL_MAX, MSG_DONTWAIT | MSG_TRUNC);
	int rc;

	(void)events;
	if (n <= 0) {
		forget(asker);
		return;
	}
	if (n > (ssize_t)CONTROL_MAX || memchr(text, '\0', (size_t)n)) {
		rc = refuse(&request, -EINVAL, "that is no request");
	} else {
		text[n] = '\0';
		rc = run(asker->control, &request, text);
	}
	n = snprintf(answer, sizeof(answer), "%s\n%s", rc ? "error" : "ok", request.text);
	/* Who does not wait for it does not get it. */
	(void)send(io->fd, answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	forget(asker);
}

/* One request a connection. Who connects and says nothing keeps nobody away: his place is taken. */
static void on_connect(struct loop_io *io, uint32_t events)
{
	struct control *control =
		(struct control *)((char *)io - offsetof(struct control, listener));
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct asker *asker = &control->asker[control->next];

	(void)events;
	if (fd < 0)
		return;
	control->next = (control->next + 1) % ASKERS;
	forget(asker);
	asker->io.fd = fd;
	if (loop_add(control->loop, &asker->io, EPOLLIN) < 0) {
		close(fd);
		asker->io.fd = -1;
	}
}

/* --- the socket --- */

int control_create(struct control **out, struct loop *loop, const char *path,
	const struct control_card *cards, unsigned count, struct sim_error *why)
{
	struct control *control = calloc(1, sizeof(*control));
	mode_t mask;
	int fd, rc;

	if (!control) {
		snprintf(why->text, sizeof(why->text), "socket %s: out of memory", path);
		return -ENOMEM;
	}
	mask = umask(0177);
	fd = place_socket(path, SOCK_SEQPACKET, &control->address, why);
	umask(mask);
	if (fd < 0) {
		free(control);
		return fd;
	}
	control->loop = loop;
	control->cards = cards;
	control->count = count;
	control->listener = (struct loop_io){.ready = on_connect, .fd = fd};
	for (unsigned i = 0; i < ASKERS; i++) {
		control->asker[i].control = control;
		control->asker[i].io = (struct loop_io){.ready = on_request, .fd = -1};
	}
	rc = listen(fd, ASKERS) < 0 ? -errno : loop_add(loop, &control->listener, EPOLLIN);
	if (rc) {
		snprintf(why->text, sizeof(why->text), "socket %s: %s", path, strerror(-rc));
		unlink(path);
		close(fd);
		free(control);
		return rc;
	}
	*out = control;
	return 0;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < ASKERS; i++)
		forget(&control->asker[i]);
	loop_remove(control->loop, &control->listener);
	close(control->listener.fd);
	unlink(control->address.sun_path);
	free(control);
}

/* --- who asks --- */

static const char help[] =
	"usage: nicsim ctl CONTROL [--card SOCKET] COMMAND\n"
	"\n"
	"Asks the nicsim that was started with --control CONTROL for something to happen to a "
	"card:\n"
	"the one on SOCKET, which may be left out where there is only one.\n"
	"\n"
	"  link down|up      its cable is pulled, and plugged in again\n"
	"  plug KIND         another module (nicsim --help: --module) for its cage; none: no "
	"module\n"
	"  remove            it is pulled out of its slot: the connection of its driver ends\n"
	"  insert            and put back, as after power-on\n"
	"  fault SPEC        something goes wrong from here on; none: nothing any more; help: "
	"what\n"
	"                    there is\n"
	"  counters          what happened to it so far: a name and a number a line\n"
	"\n"
	"Exit status: 0 done, 1 refused, or nobody answers, 2 wrong usage.\n";

static int usage(const char *what)
{
	fprintf(stderr, "nicsim ctl: %s; see nicsim ctl --help\n", what);
	return EXIT_USAGE;
}

static int trouble(const char *path, const char *what)
{
	fprintf(stderr, "nicsim ctl: %s: %s\n", path, what);
	return EXIT_REFUSED;
}

/* Sends the request, gets the answer, which is cut into its first line and its text. */
static int ask(const char *path, const char *request, size_t len)
{
	const struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[CONTROL_MAX + 1], *text;
	int fd, rc = EXIT_REFUSED;
	ssize_t n;

	if (strlen(path) >= sizeof(address.sun_path))
		return trouble(path, "the path is too long");
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return trouble(path, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		send(fd, request, len, MSG_NOSIGNAL) < 0) {
		rc = trouble(path, errno == ECONNREFUSED || errno == ENOENT
					   ? "no nicsim listens there (--control PATH)"
					   : strerror(errno));
		goto out;
	}
	n = recv(fd, answer, CONTROL_MAX, 0);
	if (n <= 0) {
		rc = trouble(path, n == 0 || errno == EAGAIN ? "nobody answers" : strerror(errno));
		goto out;
	}
	answer[n] = '\0';
	text = strchr(answer, '\n');
	if (text && strncmp(answer, "ok\n", 3) == 0) {
		fputs(text + 1, stdout);
		rc = EXIT_SUCCESS;
	} else {
		rc = trouble(path, text ? text + 1 : "an answer that makes no sense");
	}
out:
	close(fd);
	return rc;
}

int control_main(int argc, char **argv)
{
	char request[CONTROL_MAX];
	const char *card = "";
	int at = 2, n;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 3 && strcmp(argv[2], "--card") == 0) {
		card = argv[3];
		at = 4;
	}
	if (argc <= at)
		return usage("no command");
	n = snprintf(request, sizeof(request), "%s", card);
	for (; at < argc && n < (int)sizeof(request); at++)
		n += snprintf(request + n, sizeof(request) - (size_t)n, "\n%s", argv[at]);
	if (n >= (int)sizeof(request))
		return usage("too long");
	return ask(argv[1], request, (size_t)n);
}
