/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tap: a TAP interface of the kernel, which sees the card's link as its carrier. The other way
 * round, the interface being set up or down is the carrier of the card.
 */
#include "nicsim/wire_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct tap {
	struct wire wire;
	struct loop_io io;   /* the interface's frames */
	uint32_t events;     /* watched for; 0: not in the loop */
	struct loop_io news; /* what becomes of the interface: rtnetlink; fd -1: not known */
	int index;
	struct loop_work again; /* after the card had no room */
	bool full;              /* the card has no room */
	bool blocked;           /* the kernel has none */
	size_t len;             /* of the frame that the card did not take; 0: none */
	char name[IFNAMSIZ];
	uint8_t frame[SIM_FRAME_MAX + 1]; /* one more, to know a longer one by */
};

static struct tap *of(struct wire *wire)
{
	return (struct tap *)wire;
}

/* Watches for what is wanted now. */
static int watch(struct tap *it)
{
	uint32_t events =
		(it->full ? 0 : (uint32_t)EPOLLIN) | (it->blocked ? (uint32_t)EPOLLOUT : 0);
	int err = 0;

	if (events == it->events)
		return 0;
	/* Errors are reported even to those who watch for nothing. */
	if (!events)
		loop_remove(it->wire.loop, &it->io);
	else if (!it->events)
		err = loop_add(it->wire.loop, &it->io, events);
	else
		err = loop_modify(it->wire.loop, &it->io, events);
	it->events = err ? it->events : events;
	return err;
}

static void close_news(struct tap *it)
{
	if (it->news.fd < 0)
		return;
	loop_remove(it->wire.loop, &it->news);
	close(it->news.fd);
	it->news.fd = -1;
}

static void gone(struct tap *it, const char *what)
{
	if (it->events)
		loop_remove(it->wire.loop, &it->io);
	it->events = 0;
	it->full = false;
	loop_defer_cancel(it->wire.loop, &it->again);
	close_news(it);
	wire_broken(&it->wire, "wire tap:%s: the interface %s: start again", it->name, what);
}

/* Offers the frame at hand. */
static bool deliver(struct tap *it)
{
	/* A card whose link is down sees nothing, and no card what exceeds a wire's frames. */
	if (it->wire.linked && it->len >= SIM_FRAME_MIN && it->len <= SIM_FRAME_MAX &&
		!wire_receive(&it->wire, it->frame, it->len, true))
		return false;
	it->len = 0;
	return true;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct tap *it = container_of(io, struct tap, io);

	if (events & EPOLLOUT) {
		it->blocked = false;
		it->wire.port.sendable(it->wire.port.ctx);
	}
	for (unsigned int i = 0; i < WIRE_BUDGET && !it->full; i++) {
		ssize_t n = read(io->fd, it->frame, sizeof(it->frame));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			/* EBADFD: it was deleted. */
			gone(it, errno == EBADFD ? "was deleted" : strerror(errno));
			return;
		}
		it->len = (size_t)n;
		it->full = !deliver(it);
	}
	(void)watch(it);
}

static void again(struct loop_work *work)
{
	struct tap *it = container_of(work, struct tap, again);

	it->full = it->len && !deliver(it);
	(void)watch(it);
}

static void tap_resume(struct wire *wire)
{
	if (of(wire)->full)
		loop_defer(wire->loop, &of(wire)->again);
}

/* The kernel may be too old to be told (before Linux 5.0): then its side shows carrier always. */
static void tap_link(struct wire *wire)
{
	int up = wire->linked;

	(void)ioctl(of(wire)->io.fd, TUNSETCARRIER, &up);
	tap_resume(wire);
}

static int tap_send(struct wire *wire, const uint8_t *frame, size_t len)
{
	struct tap *it = of(wire);

	if (write(it->io.fd, frame, len) >= 0 || errno != EAGAIN)
		return 0; /* an interface that is down takes nothing: lost */
	it->blocked = true;
	(void)watch(it);
	return -EAGAIN;
}

static int ask(struct tap *it)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = it->index},
	};

	return send(it->news.fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* One message of rtnetlink. */
static void hear(struct tap *it, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_index != it->index)
		return;
	if (message->nlmsg_type == RTM_NEWLINK) {
		wire_carrier(&it->wire, info->ifi_flags & IFF_UP);
	} else if (message->nlmsg_type == RTM_DELLINK) {
		struct pollfd alive = {.fd = it->io.fd};

		if (poll(&alive, 1, 0) > 0 && (alive.revents & POLLERR)) {
			gone(it, "was deleted");
			return;
		}
		/* Moved to another namespace, where its state is not to be seen from here. */
		close_news(it);
		wire_carrier(&it->wire, true);
	}
}

static void news(struct loop_io *io, uint32_t events)
{
	struct tap *it = container_of(io, struct tap, news);
	union {
		struct nlmsghdr head;
		char bytes[8192];
	} buffer;
	ssize_t n = recv(io->fd, &buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && errno == ENOBUFS) /* some were lost */
		(void)ask(it);
	for (struct nlmsghdr *m = &buffer.head; n > 0 && NLMSG_OK(m, (size_t)n) && it->news.fd >= 0;
		m = NLMSG_NEXT(m, n))
		hear(it, m);
}

/* Asks for news of all interfaces, and for the state of this one. */
static int open_news(struct tap *it)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int err;

	it->news.ready = news;
	it->news.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (it->news.fd < 0)
		return -errno;
	err = bind(it->news.fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : ask(it);
	if (!err)
		err = loop_add(it->wire.loop, &it->news, EPOLLIN);
	if (err) {
		close(it->news.fd);
		it->news.fd = -1;
	}
	return err;
}

static int attach_failed(const char *name, int error, struct sim_error *why)
{
	switch (error) {
	case EPERM:
		return wire_fail(why, error,
			"wire tap:%s: needs CAP_NET_ADMIN or an existing interface owned by you: "
			"ip tuntap add %s mode tap user $USER",
			name, name);
	case EBUSY:
		return wire_fail(why, error,
			"wire tap:%s: another program is attached to it: end that or take another "
			"name",
			name);
	case EINVAL:
		return wire_fail(why, error,
			"wire tap:%s: not a name for an interface, or one that is no single-queue "
			"TAP: take "
			"another name",
			name);
	default:
		return wire_fail(
			why, error, "wire tap:%s: cannot attach: %s", name, strerror(error));
	}
}

static int attach(struct tap *it, struct sim_error *why)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int off = 0;

	it->io.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (it->io.fd < 0)
		return wire_fail(why, errno,
			"wire tap:%s: /dev/net/tun: %s: load the module (modprobe tun) or ask for "
			"access",
			it->name, strerror(errno));
	memcpy(request.ifr_name, it->name, sizeof(request.ifr_name));
	if (ioctl(it->io.fd, TUNSETIFF, &request))
		return attach_failed(it->name, errno, why);
	/* No link yet. Nor offloads, which another program may have left on. */
	(void)ioctl(it->io.fd, TUNSETCARRIER, &off);
	(void)ioctl(it->io.fd, TUNSETOFFLOAD, 0);
	it->index = (int)if_nametoindex(it->name);
	return 0;
}

static int tap_open(struct wire *wire, const char *args, struct sim_error *why)
{
	struct tap *it = of(wire);
	int err;

	if (strlen(args) >= IFNAMSIZ)
		return wire_fail(why, ENAMETOOLONG,
			"wire tap:%.40s: the name has more than %d characters", args, IFNAMSIZ - 1);
	/* The kernel would put a number for it. */
	if (strchr(args, '%'))
		return wire_fail(why, EINVAL, "wire tap:%s: a name without '%%', please", args);
	memcpy(it->name, args, strlen(args));
	it->news.fd = -1;
	err = attach(it, why);
	if (err)
		goto close_tap;
	it->io.ready = ready;
	it->again.run = again;
	if (watch(it)) {
		err = wire_fail(why, EIO, "wire tap:%s: cannot be watched", it->name);
		goto close_tap;
	}
	/* Without rtnetlink it passes for up. */
	if (open_news(it))
		wire_carrier(wire, true);
	return 0;

close_tap:
	if (it->io.fd >= 0)
		close(it->io.fd);
	return err;
}

static void tap_close(struct wire *wire)
{
	struct tap *it = of(wire);

	if (it->events)
		loop_remove(wire->loop, &it->io);
	loop_defer_cancel(wire->loop, &it->again);
	close_news(it);
	close(it->io.fd);
}

const struct wire_kind wire_tap = {
	.name = "tap",
	.form = "tap:IF",
	.size = sizeof(struct tap),
	.open = tap_open,
	.close = tap_close,
	.send = tap_send,
	.resume = tap_resume,
	.link = tap_link,
};
