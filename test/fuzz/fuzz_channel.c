/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: any bytes and any number of descriptors on the channel between pcid and a daemon, as a
 * driver gone mad would send them. What is accepted must be what it claims, what is not must leave
 * no descriptor open. The first byte says how many come along. The second may be a message's type:
 * what follows is then brought to its size, with a true head, which a fuzzer would not soon guess.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcid/channel.h"

#define MOST 20u /* descriptors; more than any message may have */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The lowest free descriptor: it grows when one is leaked. */
static int lowest_free(void)
{
	int fd = dup(STDIN_FILENO);

	if (fd < 0)
		abort();
	(void)close(fd);
	return fd;
}

static void put(int channel, const uint8_t *data, size_t size, unsigned fds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(MOST * sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(fds * sizeof(int))}};
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	for (unsigned i = 0; i < fds; i++) {
		const int fd = STDIN_FILENO;

		memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &fd, sizeof(fd));
	}
	if (fds > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
	}
	if (sendmsg(channel, &message, MSG_DONTWAIT) != (ssize_t)size)
		abort();
}

/* What a receiver takes for granted. */
static void check(const struct pcid_message *m)
{
	switch (m->type) {
	case PCID_START:
		if (memchr(m->start.name, '\0', sizeof(m->start.name)) == NULL ||
			m->start.function.fds > PCI_HANDOVER_FDS ||
			m->fds != m->start.function.fds + PCID_REGIONS + 1 || m->start.adopt > 1 ||
			m->start.memories > PCID_MEMORIES)
			abort();
		break;
	case PCID_STOPPED:
		if (m->stopped.function.fds > PCI_HANDOVER_FDS ||
			m->fds != m->stopped.function.fds ||
			memchr(m->stopped.function.address, '\0',
				sizeof(m->stopped.function.address)) == NULL)
			abort();
		break;
	case PCID_CLIENT:
		if (m->fds != pcid_client_fds(&m->client.request) ||
			m->client.request.path_len >= SCHEME_PATH_MAX || m->client.resumed > 1)
			abort();
		break;
	case PCID_OPENED:
		if (m->opened.error > 0 || m->opened.error < -4095)
			abort();
		break;
	case PCID_MAP:
	case PCID_MEMORY:
		if (m->fds != (m->type == PCID_MEMORY) || m->memory.at.chunks > DMA_MAX_CHUNKS)
			abort();
		break;
	case PCID_MAPPED:
		if (m->mapped.error > 0 || m->mapped.error < -4095 || m->mapped.done > 1)
			abort();
		break;
	case PCID_FAILED:
		if (memchr(m->failed.text, '\0', sizeof(m->failed.text)) == NULL)
			abort();
		break;
	default: break;
	}
	if (m->fds > PCID_CHANNEL_FDS)
		abort();
}

/* What was accepted can be sent again, and comes as it was. */
static void again(int from, int to, const struct pcid_message *message, const int *fds)
{
	struct pcid_message copy;
	int copies[PCID_CHANNEL_FDS];

	if (pcid_send(from, message, fds) != 0 || pcid_receive(to, &copy, copies) != 1 ||
		memcmp(&copy, message, sizeof(copy)) != 0)
		abort();
	while (copy.fds > 0)
		(void)close(copies[--copy.fds]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pcid_message *const m = NULL; /* for sizeof alone */
	const size_t head = offsetof(struct pcid_message, start);
	const size_t sizes[] = {[PCID_START] = head + sizeof(m->start),
		[PCID_CLIENT] = head + sizeof(m->client),
		[PCID_READY] = head,
		[PCID_FAILED] = head + sizeof(m->failed),
		[PCID_PING] = head,
		[PCID_PONG] = head,
		[PCID_OPENED] = head + sizeof(m->opened),
		[PCID_ANSWERED] = head + sizeof(m->answered),
		[PCID_STOP] = head,
		[PCID_STOPPED] = head + sizeof(m->stopped),
		[PCID_KEPT] = head,
		[PCID_MAP] = head + sizeof(m->memory),
		[PCID_MAPPED] = head + sizeof(m->mapped),
		[PCID_UNMAP] = head + sizeof(m->unmap),
		[PCID_MEMORY] = head + sizeof(m->memory)};
	static int ends[2] = {-1, -1};
	struct pcid_message message;
	uint8_t bytes[sizeof(message) + 64] = {0};
	int fds[PCID_CHANNEL_FDS];
	uint32_t type, count;
	size_t len;
	int before;
	int result;

	if (ends[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	if (size < 3 || size - 2 > sizeof(bytes)) /* an empty message is the end of file */
		return 0;
	memcpy(bytes, data + 2, size - 2);
	len = size - 2;
	count = data[0] % (MOST + 1);
	type = data[1];
	if (type < sizeof(sizes) / sizeof(sizes[0]) && sizes[type] > 0) {
		len = sizes[type];
		memcpy(bytes, &type, sizeof(type));
		memcpy(bytes + sizeof(type), &count, sizeof(count));
	}
	before = lowest_free();
	put(ends[0], bytes, len, count);
	result = pcid_receive(ends[1], &message, fds);
	if (result == 1) {
		check(&message);
		again(ends[0], ends[1], &message, fds);
		while (message.fds > 0)
			(void)close(fds[--message.fds]);
	} else if (result != -EPROTO) {
		abort();
	}
	if (lowest_free() != before)
		abort();
	return 0;
}
