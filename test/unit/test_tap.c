/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tap wire against a kernel, in a network namespace of this process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nicsim/wire_kind.h"
#include "port_double.h"

#define ETHERTYPE 0x88b5

struct fixture {
	struct loop *loop;
	struct port_double port;
	int packet; /* the kernel's end */
};

static void ip(const char *arguments)
{
	char command[128];

	snprintf(command, sizeof(command), "ip %s", arguments);
	assert_int_equal(system(command), 0);
}

static bool carrier_up(void *ctx)
{
	return ((struct fixture *)ctx)->port.carrier;
}

static bool carrier_down(void *ctx)
{
	return !((struct fixture *)ctx)->port.carrier;
}

static bool broken(void *ctx)
{
	return ((struct fixture *)ctx)->port.broken.text[0];
}

/* What the kernel thinks of the link of t0. */
static bool kernel_carrier(void)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
	struct ifreq request = {.ifr_name = "t0", .ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
	return value.data;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->packet = -1;
	assert_int_equal(loop_create(&f->loop), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->packet >= 0)
		close(f->packet);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

/* t0, up, and a socket that sends and receives on it. */
static void plug(struct fixture *f)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE)};

	port_double_open(&f->port, "tap:t0", f->loop);
	ip("link set t0 up");
	assert_true(run_until(f->loop, carrier_up, f));
	f->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(f->packet >= 0);
	address.sll_ifindex = (int)if_nametoindex("t0");
	assert_int_equal(bind(f->packet, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void tap_frame(uint8_t *frame, size_t len, unsigned int n)
{
	static const uint8_t head[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1,
		ETHERTYPE >> 8, ETHERTYPE & 0xff};

	memcpy(frame, head, sizeof(head));
	for (size_t i = 14; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + n * 13);
}

static size_t tap_length(unsigned int n)
{
	return n % 4 == 0 ? SIM_FRAME_MIN : n % 4 == 1 ? 1514 : 60 + n;
}

static void kernel_sends(struct fixture *f, unsigned int from, unsigned int to)
{
	uint8_t frame[1514];

	for (unsigned int i = from; i < to; i++) {
		tap_frame(frame, tap_length(i), i);
		assert_int_equal(send(f->packet, frame, tap_length(i), 0), tap_length(i));
	}
}

static void card_has(struct fixture *f, unsigned int frames)
{
	struct wanted wanted = {.port = &f->port, .frames = frames};
	uint8_t want[1514];

	assert_true(run_until(f->loop, arrived, &wanted));
	assert_int_equal(f->port.frames, frames);
	for (unsigned int i = 0; i < frames; i++) {
		size_t len;
		const uint8_t *frame = port_double_frame(&f->port, i, &len);

		tap_frame(want, tap_length(i), i);
		assert_int_equal(len, tap_length(i));
		assert_memory_equal(frame, want, len);
	}
}

static void test_kernel_to_card(void **state)
{
	struct fixture *f = *state;

	plug(f);
	kernel_sends(f, 0, 300);
	card_has(f, 300);
	port_double_close(&f->port);
	assert_int_equal(if_nametoindex("t0"), 0); /* what it made, went with it */
}

static void test_card_to_kernel(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[1514], got[2048];

	plug(f);
	for (unsigned int i = 0; i < 300; i++) {
		tap_frame(frame, tap_length(i), i);
		assert_int_equal(wire_send(f->port.wire, frame, tap_length(i)), 0);
		assert_int_equal(recv(f->packet, got, sizeof(got), 0), tap_length(i));
		assert_memory_equal(got, frame, tap_length(i));
	}
	port_double_close(&f->port);
}

/* The kernel's queue holds what the card has no room for. */
static void test_backpressure(void **state)
{
	struct fixture *f = *state;

	plug(f);
	f->port.room = 5;
	kernel_sends(f, 0, 200);
	card_has(f, 5);
	run_turns(f->loop, 5);
	assert_int_equal(f->port.frames, 5);
	f->port.room = 10;
	wire_resume(f->port.wire);
	card_has(f, 15);
	/* Also while the interface is down for a moment. */
	ip("link set t0 down");
	assert_true(run_until(f->loop, carrier_down, f));
	wire_resume(f->port.wire);
	f->port.room = SIZE_MAX;
	ip("link set t0 up");
	assert_true(run_until(f->loop, carrier_up, f));
	wire_resume(f->port.wire);
	card_has(f, 200);
	port_double_close(&f->port);
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	struct wanted one = {.port = &f->port, .frames = 1};
	uint8_t frame[60];

	plug(f);
	assert_true(kernel_carrier());
	wire_set_link(f->port.wire, false);
	assert_false(kernel_carrier());
	assert_true(f->port.carrier); /* the interface is up still */
	wire_set_link(f->port.wire, true);
	assert_true(kernel_carrier());
	kernel_sends(f, 2, 3);
	assert_true(run_until(f->loop, arrived, &one));

	ip("link set t0 down");
	assert_true(run_until(f->loop, carrier_down, f));
	tap_frame(frame, sizeof(frame), 0);
	assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
	ip("link set t0 up");
	assert_true(run_until(f->loop, carrier_up, f));
	assert_int_equal(f->port.changes, 3);
	port_double_close(&f->port);
}

static void test_deleted(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60];

	for (unsigned int full = 0; full < 2; full++) {
		plug(f);
		f->port.room = full ? 0 : SIZE_MAX;
		kernel_sends(f, 0, 3);
		run_turns(f->loop, 5);
		ip("link del t0");
		assert_true(run_until(f->loop, broken, f));
		assert_string_equal(
			f->port.broken.text, "wire tap:t0: the interface was deleted: start again");
		assert_false(f->port.carrier);
		tap_frame(frame, sizeof(frame), 0);
		assert_int_equal(wire_send(f->port.wire, frame, sizeof(frame)), 0);
		f->port.frames = f->port.used = 0;
		f->port.room = SIZE_MAX;
		wire_resume(f->port.wire);
		run_turns(f->loop, 5);
		assert_int_equal(f->port.frames, 0);
		wire_set_link(f->port.wire, false);
		run_turns(f->loop, 5);
		port_double_close(&f->port);
		close(f->packet);
		f->packet = -1;
	}
}

/* Where it is moved to another namespace its state is not to be seen: it passes for up. */
static void test_moved(void **state)
{
	struct fixture *f = *state;
	char command[64];
	int ready[2], end[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(end[1]);
		if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit((int)read(end[0], &byte, 1));
	}
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	port_double_open(&f->port, "tap:t0", f->loop);
	run_turns(f->loop, 5);
	assert_false(f->port.carrier);
	snprintf(command, sizeof(command), "link set t0 netns %d", (int)pid);
	ip(command);
	assert_true(run_until(f->loop, carrier_up, f));
	assert_string_equal(f->port.broken.text, "");
	port_double_close(&f->port);
	close(end[1]);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct port_double other;

	port_double_refused(f->loop, "tap:lo", EINVAL,
		"tap:lo: not a name for an interface, or one that is no single-queue TAP");
	port_double_refused(f->loop, "tap:a/b", EINVAL, "not a name for an interface");
	ip("tuntap add t0 mode tap multi_queue");
	port_double_refused(f->loop, "tap:t0", EINVAL, "no single-queue TAP");
	ip("link del t0");
	ip("tuntap add t0 mode tap");
	port_double_open(&other, "tap:t0", f->loop);
	port_double_refused(f->loop, "tap:t0", EBUSY, "another program is attached to it");
	port_double_close(&other);
	assert_true(if_nametoindex("t0") > 0); /* it was there before */
	ip("link del t0");
}

static void test_no_permission(void **state)
{
	struct fixture *f = *state;
	struct sim_error why = {0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct none[2] = {0};

		port_double_init(&f->port);
		if (syscall(SYS_capset, &head, none) ||
			wire_open(&f->port.wire, "tap:t0", f->loop, &f->port.port, &why) != -EPERM)
			_exit(1);
		_exit(strstr(why.text,
			      "needs CAP_NET_ADMIN or an existing interface owned by you: ip "
			      "tuntap add t0 mode tap user $USER")
				? 0
				: 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	if (!file)
		return;
	fputs(text, file);
	fclose(file);
}

/* Without root: in a user namespace, as its root, or ip would lose what this process may do. */
static int own_network(void)
{
	char uids[32], gids[32];

	if (!unshare(CLONE_NEWNET))
		return 0;
	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return -1;
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uids);
	write_file("/proc/self/gid_map", gids);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kernel_to_card, setup, teardown),
		cmocka_unit_test_setup_teardown(test_card_to_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_permission, setup, teardown),
	};

	if (own_network()) {
		perror("no network namespace");
		return 1;
	}
	/* The kernel would talk IPv6 on its own account. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
