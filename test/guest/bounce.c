/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two ends of a conversation: one sends back what it gets, by TCP and UDP, IPv4 and IPv6; the other
 * compares that with what it sent. Beside it a packet socket tells what the system left to the card
 * and what the card did.
 *
 *     bounce serve PORT
 *     bounce INTERFACE ADDRESS PORT BYTES [SIZE...]    a stream, then a datagram of each size
 *
 * It prints one line, "bounced ..." where all came back as it went, and exits with 0 then. `sent`
 * and `got`: the stream's longest frames; `open`: frames whose checksum the card is to fill in;
 * `tagged`: frames into which it is to put a VLAN tag; `checked`: frames that came with a checksum
 * that the card has seen to be right; `burst`: the longest frame of datagrams that the program
 * handed over as one, to be cut; 0 where the system does not take that.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TP_STATUS_CSUM_VALID
#define TP_STATUS_CSUM_VALID (1 << 7)
#endif

enum {
	LIMIT = 60000, /* ms in which something must come */
	CUT = 1000,    /* bytes of a datagram that is handed over with others */
	CUTS = 17,
	DATAGRAM_MAX = 65507,
	STREAM_MAX = 4 << 20,
};

struct seen {
	size_t sent, got;
	unsigned open, tagged, checked;
};

static int fail(const char *what)
{
	printf("bounce: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

/* --- the end that sends back --- */

static void send_back(int fd)
{
	char data[65536];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		for (ssize_t at = 0, done; at < n; at += done) {
			done = write(fd, data + at, (size_t)(n - at));
			if (done < 0)
				return;
		}
	}
}

static int serve(const char *port)
{
	struct sockaddr_in6 here = {
		.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	int udp = socket(AF_INET6, SOCK_DGRAM, 0), tcp = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
	struct pollfd wait[] = {{.fd = udp, .events = POLLIN}, {.fd = tcp, .events = POLLIN}};

	signal(SIGCHLD, SIG_IGN);
	if (setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(udp, (struct sockaddr *)&here, sizeof(here)) < 0 ||
		bind(tcp, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(tcp, 16) < 0)
		return fail("serve");
	puts("bouncing");
	fflush(stdout);
	while (poll(wait, 2, -1) >= 0) {
		static char data[DATAGRAM_MAX];
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);

		if (wait[0].revents) {
			ssize_t n = recvfrom(
				udp, data, sizeof(data), 0, (struct sockaddr *)&from, &size);

			/* What cannot go back is missed at the other end. */
			if (n >= 0)
				(void)sendto(
					udp, data, (size_t)n, 0, (struct sockaddr *)&from, size);
		}
		if (wait[1].revents) {
			int fd = accept(tcp, NULL, NULL);

			if (fd >= 0 && fork() == 0) {
				send_back(fd);
				_exit(0);
			}
			close(fd);
		}
	}
	return fail("poll");
}

/* --- what the system and the card left to each other --- */

static int look(const char *interface)
{
	int on = 1, fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface)};

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return fd;
}

static void take(int fd, struct seen *seen)
{
	char data[64], control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct sockaddr_ll from;
	struct iovec piece = {data, sizeof(data)};
	ssize_t n;

	for (;;) {
		struct msghdr message = {.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		struct tpacket_auxdata about = {0};
		struct cmsghdr *part;

		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0)
			return;
		part = CMSG_FIRSTHDR(&message);
		if (part && part->cmsg_type == PACKET_AUXDATA)
			memcpy(&about, CMSG_DATA(part), sizeof(about));
		if (from.sll_pkttype == PACKET_OUTGOING) {
			seen->sent = (size_t)n > seen->sent ? (size_t)n : seen->sent;
			seen->open += (about.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
			seen->tagged += (about.tp_status & TP_STATUS_VLAN_VALID) != 0;
		} else {
			seen->got = (size_t)n > seen->got ? (size_t)n : seen->got;
			seen->checked += (about.tp_status & TP_STATUS_CSUM_VALID) != 0;
		}
	}
}

/* --- the end that compares --- */

static int stream(const struct addrinfo *to, int packets, size_t bytes, struct seen *seen)
{
	static char out[STREAM_MAX], in[STREAM_MAX];
	int fd = socket(to->ai_family, SOCK_STREAM, 0);
	size_t sent = 0, got = 0;

	if (bytes > STREAM_MAX || getrandom(out, bytes, 0) != (ssize_t)bytes)
		return fail("random bytes");
	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0)
		return fail("connect");
	while (got < bytes) {
		struct pollfd wait[] = {
			{.fd = fd, .events = (short)(sent < bytes ? POLLIN | POLLOUT : POLLIN)},
			{.fd = packets, .events = POLLIN}};
		ssize_t n;

		if (poll(wait, 2, LIMIT) <= 0)
			return fail("nothing moves");
		take(packets, seen);
		if (wait[0].revents & POLLOUT) {
			n = send(fd, out + sent, bytes - sent, MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				return fail("send");
			sent += n > 0 ? (size_t)n : 0;
		}
		if (wait[0].revents & ~POLLOUT) {
			n = recv(fd, in + got, bytes - got, MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN))
				return fail("recv");
			got += n > 0 ? (size_t)n : 0;
		}
	}
	close(fd);
	take(packets, seen);
	if (memcmp(in, out, bytes) != 0) {
		puts("bounce: the stream came back changed");
		return EXIT_FAILURE;
	}
	return 0;
}

/* One datagram back, as one of `count` went of which not all have come: they may overtake each
 * other. `came`: a bit each.
 */
static int compare(int fd, int packets, const char *out, size_t size, unsigned count,
	uint32_t *came, struct seen *seen)
{
	static char in[DATAGRAM_MAX];
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&wait, 1, LIMIT) <= 0) {
		printf("bounce: a datagram of %zu bytes is lost\n", size);
		return EXIT_FAILURE;
	}
	n = recv(fd, in, sizeof(in), 0);
	take(packets, seen);
	for (unsigned i = 0; i < count && n == (ssize_t)size; i++) {
		if (!(*came >> i & 1) && memcmp(in, out + i * size, size) == 0) {
			*came |= 1u << i;
			return 0;
		}
	}
	printf("bounce: a datagram of %zu bytes came back changed, with %zd\n", size, n);
	return EXIT_FAILURE;
}

static int datagrams(
	const struct addrinfo *to, int packets, char **sizes, unsigned count, struct seen *seen)
{
	static char out[DATAGRAM_MAX];
	int fd = socket(to->ai_family, SOCK_DGRAM, 0), cut = CUT, rc = 0;
	uint32_t came = 0;

	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
		getrandom(out, sizeof(out), 0) < 0)
		return fail("connect");
	for (unsigned i = 0; i < count && rc == 0; i++) {
		size_t size = strtoul(sizes[i], NULL, 10);
		uint32_t alone = 0;

		if (size > sizeof(out) || send(fd, out, size, 0) != (ssize_t)size)
			return fail("send");
		rc = compare(fd, packets, out, size, 1, &alone, seen);
	}
	if (rc)
		return rc;
	take(packets, seen);
	seen->sent = 0;
	/* Linux 6.1 refuses this where the card computes no checksums. */
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &cut, sizeof(cut)) < 0)
		return fail("UDP_SEGMENT");
	if (send(fd, out, CUT * CUTS, 0) < 0)
		return errno == EIO ? 0 : fail("send");
	for (unsigned i = 0; i < CUTS && rc == 0; i++)
		rc = compare(fd, packets, out, CUT, CUTS, &came, seen);
	close(fd);
	return rc;
}

int main(int argc, char **argv)
{
	const struct addrinfo hint = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *to;
	struct seen seen = {0};
	size_t sent, got;
	int packets, rc;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc < 5 || getaddrinfo(argv[2], argv[3], &hint, &to) != 0) {
		puts("usage: bounce serve PORT, or bounce INTERFACE ADDRESS PORT BYTES [SIZE...]");
		return EXIT_FAILURE;
	}
	packets = look(argv[1]);
	if (packets < 0)
		return fail(argv[1]);
	rc = stream(to, packets, strtoul(argv[4], NULL, 10), &seen);
	sent = seen.sent;
	got = seen.got;
	if (rc == 0 && argc > 5)
		rc = datagrams(to, packets, argv + 5, (unsigned)argc - 5, &seen);
	if (rc == 0)
		printf("bounced sent:%zu got:%zu open:%u tagged:%u checked:%u burst:%zu\n", sent,
			got, seen.open, seen.tagged, seen.checked, seen.sent);
	freeaddrinfo(to);
	close(packets);
	return rc;
}
