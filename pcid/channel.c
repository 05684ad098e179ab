/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Messages between pcid and a daemon: sent whole, received whole, judged where they arrive.
 */
#include "pcid/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes on the wire of a message of that type; 0: there is none. */
static size_t wire_size(uint32_t type)
{
	const struct pcid_message *const m = NULL; /* for sizeof alone */
	size_t head = offsetof(struct pcid_message, start);

	switch (type) {
	case PCID_START: return head + sizeof(m->start);
	case PCID_CLIENT: return head + sizeof(m->client);
	case PCID_READY: return head;
	case PCID_FAILED: return head + sizeof(m->failed);
	case PCID_PING:
	case PCID_PONG:
	case PCID_STOP:
	case PCID_KEPT: return head;
	case PCID_STOPPED: return head + sizeof(m->stopped);
	case PCID_OPENED: return head + sizeof(m->opened);
	case PCID_ANSWERED: return head + sizeof(m->answered);
	case PCID_MAP:
	case PCID_MEMORY: return head + sizeof(m->memory);
	case PCID_MAPPED: return head + sizeof(m->mapped);
	case PCID_UNMAP: return head + sizeof(m->unmap);
	default: return 0;
	}
}

static bool terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool plausible(const struct pcid_message *m)
{
	switch (m->type) {
	case PCID_START:
		return m->start.function.fds <= PCI_HANDOVER_FDS &&
		       m->fds == m->start.function.fds + PCID_REGIONS + 1 &&
		       terminated(m->start.name, sizeof(m->start.name)) &&
		       m->start.name[0] != '\0' && m->start.adopt <= 1 &&
		       m->start.memories <= (m->start.adopt != 0 ? PCID_MEMORIES : 0);
	case PCID_STOPPED:
		return m->stopped.function.fds <= PCI_HANDOVER_FDS &&
		       m->fds == m->stopped.function.fds &&
		       terminated(m->stopped.function.address, sizeof(m->stopped.function.address));
	case PCID_CLIENT:
		return m->fds == pcid_client_fds(&m->client.request) &&
		       m->client.request.path_len < SCHEME_PATH_MAX && m->client.resumed <= 1;
	case PCID_READY:
	case PCID_PING:
	case PCID_PONG:
	case PCID_STOP:
	case PCID_KEPT:
	case PCID_ANSWERED:
	case PCID_UNMAP: return m->fds == 0;
	case PCID_MAP: return m->fds == 0 && m->memory.at.chunks <= DMA_MAX_CHUNKS;
	case PCID_MEMORY: return m->fds == 1 && m->memory.at.chunks <= DMA_MAX_CHUNKS;
	case PCID_MAPPED:
		return m->fds == 0 && m->mapped.error <= 0 && m->mapped.error >= -4095 &&
		       m->mapped.done <= 1;
	case PCID_OPENED: return m->fds == 0 && m->opened.error <= 0 && m->opened.error >= -4095;
	case PCID_FAILED: return m->fds == 0 && terminated(m->failed.text, sizeof(m->failed.text));
	default: return false;
	}
}

void pcid_client_pack(struct pcid_message *message, int fds[PCID_CHANNEL_FDS],
	const struct scheme_client *client, bool resumed)
{
	*message = (struct pcid_message){.type = PCID_CLIENT};
	message->fds = pcid_client_fds(&client->request);
	message->client.request = client->request;
	message->client.id = client->id;
	message->client.pid = client->pid;
	message->client.uid = client->uid;
	message->client.gid = client->gid;
	message->client.resumed = resumed;
	fds[0] = client->fd;
	fds[1] = client->status_fd;
	fds[2] = client->reader_fd;
	for (uint32_t i = PCID_CLIENT_FDS; i < message->fds; i++)
		fds[i] = client->ring_fds[i - PCID_CLIENT_FDS];
}

void pcid_client_unpack(
	const struct pcid_message *message, const int *fds, struct scheme_client *client)
{
	*client = (struct scheme_client){
		.request = message->client.request,
		.id = message->client.id,
		.pid = message->client.pid,
		.uid = message->client.uid,
		.gid = message->client.gid,
		.fd = fds[0],
		.status_fd = fds[1],
		.reader_fd = fds[2],
		.resumed = message->client.resumed != 0,
	};
	for (uint32_t i = 0; i < SCHEME_REQUEST_FDS; i++)
		client->ring_fds[i] =
			PCID_CLIENT_FDS + i < message->fds ? fds[PCID_CLIENT_FDS + i] : -1;
}

int pcid_send(int channel, const struct pcid_message *message, const int *fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(PCID_CHANNEL_FDS * sizeof(int))] = {0};
	struct pcid_message copy;
	struct iovec data = {.iov_base = &copy, .iov_len = wire_size(message->type)};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};
	ssize_t n;

	if (data.iov_len == 0 || !plausible(message))
		return -EINVAL;
	memcpy(&copy, message, data.iov_len); /* iov_base is not const */
	if (message->fds > 0) {
		size_t bytes = message->fds * sizeof(int);
		struct cmsghdr *header;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(bytes);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(header), fds, bytes);
	}
	do {
		n = sendmsg(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/* Takes the descriptors out of a message; returns how many. */
static size_t take_fds(struct msghdr *msg, int fds[PCID_CHANNEL_FDS])
{
	size_t count = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h != NULL; h = CMSG_NXTHDR(msg, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (count < PCID_CHANNEL_FDS)
				fds[count++] = fd;
			else /* the padding of the control buffer has room for one more */
				(void)close(fd);
		}
	}
	return count;
}

int pcid_receive(int channel, struct pcid_message *message, int fds[PCID_CHANNEL_FDS])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(PCID_CHANNEL_FDS * sizeof(int))];
	struct iovec data = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr msg = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	size_t count;
	ssize_t n;

	memset(message, 0, sizeof(*message));
	/* A peer that ends with something unread is reported once, by an error, ahead of what it
	 * had still to say.
	 */
	for (unsigned resets = 0;; resets++) {
		n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || resets > 0)))
			break;
	}
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	count = take_fds(&msg, fds);
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
		(size_t)n >= offsetof(struct pcid_message, start) &&
		(size_t)n == wire_size(message->type) && message->fds == count &&
		plausible(message))
		return 1;
	while (count > 0)
		(void)close(fds[--count]);
	return -EPROTO;
}
