/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: anything on nicsim's sockets: the stream of a vfio-user client in pieces of any size,
 * with descriptors anywhere in it, replies that nobody reads, clients that come and go; and what is
 * asked on the control socket meanwhile. What comes back is whole replies, each request of the
 * control has its answer, and no descriptor is left over.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nicsim/control.h"
#include "pci/vfio_user.h"
#include "program.h"
#include "turns.h"

#define CARDS   3u
#define FDS_MAX 80u /* more than a message may have */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[CARDS] = {"x540", "82574l", "rtl8168"};

static struct loop *loop;
static struct report reports[CARDS];
static struct control_card cards[CARDS];
static struct control *control;
static char folder[] = "/tmp/fuzz_server.XXXXXX", paths[CARDS][48], asked[48];
static int memory;

struct client {
	struct program *program;
	int fd;
	/* Of the reply that is read: its head so far, what is left of it. */
	struct vfio_user_header head;
	size_t got, left;
};

/* --- a client --- */

static int dial(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0)
		abort();
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd); /* the card was taken out, or others wait */
	return -1;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->got = c->left = 0;
}

static void put(struct client *c, const void *data, size_t size, unsigned fds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control_data;
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fds) {
		control_data.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		for (unsigned i = 0; i < fds; i++)
			memcpy(CMSG_DATA(&control_data.head) + i * sizeof(int), &memory,
				sizeof(int));
		message.msg_control = &control_data;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
	}
	if (c->fd >= 0)
		(void)sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A message with a true head, in two pieces, both with descriptors. */
static void message(struct client *c, uint32_t what)
{
	uint8_t bytes[sizeof(struct vfio_user_header) + 256];
	size_t len = take_bytes(
		c->program, bytes + sizeof(struct vfio_user_header), word(c->program, 1));
	const struct vfio_user_header head = {.command = (uint16_t)(what % 16),
		.size = (uint32_t)(sizeof(head) + len),
		.flags = what & 0x10 ? VFIO_USER_NO_REPLY : 0};
	unsigned fds = what & 0x20 ? 1 + word(c->program, 1) % FDS_MAX : 0;
	size_t cut = what & 0x40 ? word(c->program, 1) % head.size : 0;

	memcpy(bytes, &head, sizeof(head));
	if (cut)
		put(c, bytes, cut, fds);
	if (cut && what & 0x80)
		turn(loop, 2);
	put(c, bytes + cut, head.size - cut, fds);
}

/* Long replies that pile up: of the whole config space. */
static void flood(struct client *c, uint32_t n)
{
	const struct {
		struct vfio_user_header head;
		struct vfio_user_region_access access;
	} request = {{.command = VFIO_USER_REGION_READ, .size = sizeof(request)},
		{.region = VFIO_PCI_CONFIG_REGION_INDEX, .count = PCI_CONFIG_SIZE}};

	for (; n; n--)
		put(c, &request, sizeof(request), 0);
}

static void raw(struct client *c)
{
	uint8_t bytes[256];
	size_t n = take_bytes(c->program, bytes, word(c->program, 1));

	if (n)
		put(c, bytes, n, 0);
}

/* One reply after the other, as far as they came. */
static void read_replies(struct client *c)
{
	static uint8_t bytes[4096];
	ssize_t n = -1;

	while (c->fd >= 0) {
		size_t room = c->left ? c->left : sizeof(c->head) - c->got;

		n = recv(c->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), MSG_DONTWAIT);
		if (n <= 0)
			break;
		if (c->left) {
			c->left -= (size_t)n;
			continue;
		}
		memcpy((uint8_t *)&c->head + c->got, bytes, (size_t)n);
		c->got += (size_t)n;
		if (c->got < sizeof(c->head))
			continue;
		if (c->head.size < sizeof(c->head) || !(c->head.flags & VFIO_USER_REPLY))
			abort();
		c->left = c->head.size - sizeof(c->head);
		c->got = 0;
	}
	if (n == 0)
		hang_up(c);
}

/* --- the control --- */

static void ask(struct program *p)
{
	static const char *const often[] = {"counters", "remove", "insert", "link\ndown",
		"link\nup", "plug\nnone", "fault\nhelp", "fault\nmessage=1,hangup",
		"fault\nmessage=2,error", "fault\nremoved", "fault\nnone"};
	char text[5000], answer[CONTROL_MAX + 1];
	uint32_t what = word(p, 1), which = word(p, 1);
	size_t len = 0;
	ssize_t n;
	int fd = dial(asked, SOCK_SEQPACKET);

	if (fd < 0)
		return;
	if (what & 1)
		len = (size_t)snprintf(text, sizeof(text), "%s", paths[(what >> 4) % CARDS]);
	if (what & 4)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "\n%s",
			often[which % (sizeof(often) / sizeof(*often))]);
	else
		len += take_bytes(p, text + len, which);
	if (what & 8) {
		memset(text + len, 'x', sizeof(text) - len);
		len = sizeof(text);
	}
	if (len == 0 || send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
		close(fd);
		return;
	}
	turn(loop, 3);
	n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 3 || (size_t)n > CONTROL_MAX ||
		(memcmp(answer, "ok\n", 3) != 0 && (n < 7 || memcmp(answer, "error\n", 6) != 0)))
		abort();
	close(fd);
}

/* --- all of it --- */

static void step(struct client *c)
{
	uint32_t what = word(c->program, 1);
	static const uint8_t version[4];
	const struct vfio_user_header head = {
		.command = VFIO_USER_VERSION, .size = sizeof(head) + sizeof(version)};
	uint8_t hello[sizeof(head) + sizeof(version)] = {0};

	switch (what % 10) {
	case 0:
	case 1:
	case 2: message(c, word(c->program, 1)); break;
	case 3: raw(c); break;
	case 4: turn(loop, 1 + (what >> 4) % 4); break;
	case 5:
		turn(loop, 2);
		read_replies(c);
		break;
	case 6: ask(c->program); break;
	case 7: flood(c, 16u * (what >> 4)); break;
	case 8:
		hang_up(c);
		c->fd = dial(paths[(what >> 4) % CARDS], SOCK_STREAM);
		break;
	default: memcpy(hello, &head, sizeof(head)); put(c, hello, sizeof(hello), 0);
	}
}

static void clean(void)
{
	control_destroy(control);
	for (unsigned i = 0; i < CARDS; i++) {
		server_destroy(cards[i].server);
		cards[i].family->destroy(cards[i].card);
		dma_destroy(cards[i].dma);
	}
	rmdir(folder);
}

static void make_card(unsigned which)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct card_kind kind;
	struct sim_error why = {"card"};
	struct control_card *card = &cards[which];
	struct card_options options = {
		.mac = mac, .wire = "loop", .module = SFP_NONE, .mapped = which == 0};

	if (!card_find_kind(names[which], &kind))
		abort();
	options.model = kind.model;
	snprintf(paths[which], sizeof(paths[which]), "%s/%u", folder, which);
	reports[which].who = paths[which];
	*card = (struct control_card){.name = paths[which], .family = kind.family};
	if (dma_create(&card->dma) ||
		kind.family->create(
			&card->card, &options, loop, card->dma, &reports[which], &why) ||
		server_create(&card->server, loop, paths[which], kind.family->function(card->card),
			NULL, NULL, &why)) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
}

static void make_all(void)
{
	struct sim_error why;

	memory = memfd_create("client", MFD_CLOEXEC);
	if (!mkdtemp(folder) || loop_create(&loop) || dma_survive_sigbus() || memory < 0 ||
		ftruncate(memory, 65536))
		abort();
	for (unsigned i = 0; i < CARDS; i++)
		make_card(i);
	snprintf(asked, sizeof(asked), "%s/control", folder);
	if (control_create(&control, loop, asked, cards, CARDS, &why))
		abort();
	atexit(clean);
}

/* A listener that was closed and opened anew may have got another number. */
static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What was asked for at the control is undone. */
static void restore(void)
{
	struct sim_error why;
	char text[4096];

	for (unsigned i = 0; i < CARDS; i++) {
		char *const up[] = {"link", "up"};

		(void)server_insert(cards[i].server, &why);
		(void)cards[i].family->command(cards[i].card, up, 2, text, sizeof(text));
		fault_end(cards[i].family->faults(cards[i].card));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {data, data + size};
	struct client clients[2] = {{&program, .fd = -1}, {&program, .fd = -1}};
	unsigned before;

	if (!loop)
		make_all();
	before = open_descriptors();
	clients[0].fd = dial(paths[word(&program, 1) % CARDS], SOCK_STREAM);
	while (program.at < program.end)
		step(&clients[*program.at >> 7]);
	for (unsigned i = 0; i < 2; i++)
		hang_up(&clients[i]);
	restore();
	/* One after the other is let in, and found to have left. */
	for (unsigned i = 0, calm = 0; calm < 4; i++) {
		turn(loop, 1);
		calm = open_descriptors() == before ? calm + 1 : 0;
		if (i == 1000)
			abort();
	}
	for (unsigned i = 0; i < CARDS; i++)
		if (server_has_client(cards[i].server))
			abort();
	return 0;
}
