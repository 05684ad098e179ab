/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The channel between pcid and a daemon: what is sent arrives with its descriptors; what is no
 * message is refused and leaks no descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcid/channel.h"

struct pair {
	int a, b;
};

static int setup(void **state)
{
	static struct pair pair;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return -1;
	pair = (struct pair){fd[0], fd[1]};
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	const struct pair *pair = *state;

	(void)close(pair->a);
	(void)close(pair->b);
	return 0;
}

/* The lowest free descriptor: the same before and after, when nothing leaks. */
static int lowest_fd(void)
{
	int fd = dup(STDERR_FILENO);

	assert_true(fd >= 0);
	(void)close(fd);
	return fd;
}

/* A function of two descriptors, the regions', the state's. */
#define START_FDS (2 + PCID_REGIONS + 1)

static struct pcid_message start_message(void)
{
	struct pcid_message m = {.type = PCID_START, .fds = START_FDS};

	strcpy(m.start.name, "a_ixgbe");
	m.start.function.fds = 2;
	strcpy(m.start.function.address, "vfio-user:/x");
	m.start.region[1].size = 4096;
	m.start.region[1].iova[0] = 0x1234000;
	return m;
}

static void test_start(void **state)
{
	const struct pair *pair = *state;
	struct pcid_message sent = start_message();
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];
	int send[START_FDS];
	int before;

	for (int i = 0; i < START_FDS; i++) {
		send[i] = memfd_create("test", MFD_CLOEXEC);
		assert_int_equal(ftruncate(send[i], i + 1), 0);
	}
	before = lowest_fd();
	assert_int_equal(pcid_send(pair->a, &sent, send), 0);
	assert_int_equal(pcid_receive(pair->b, &got, fds), 1);
	assert_int_equal(got.type, PCID_START);
	assert_int_equal(got.fds, START_FDS);
	assert_memory_equal(&got.start, &sent.start, sizeof(got.start));
	for (int i = 0; i < START_FDS; i++) {
		assert_int_equal(lseek(fds[i], 0, SEEK_END), i + 1);
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		(void)close(fds[i]);
	}
	assert_int_equal(lowest_fd(), before);
	for (int i = 0; i < START_FDS; i++)
		(void)close(send[i]);
}

static void test_both_ways(void **state)
{
	const struct pair *pair = *state;
	struct pcid_message ready = {.type = PCID_READY};
	struct pcid_message failed = {.type = PCID_FAILED};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];

	strcpy(failed.failed.text, "no card");
	assert_int_equal(pcid_receive(pair->a, &got, fds), -EAGAIN);
	assert_int_equal(pcid_send(pair->b, &ready, NULL), 0);
	assert_int_equal(pcid_send(pair->b, &failed, NULL), 0);
	assert_int_equal(pcid_receive(pair->a, &got, fds), 1);
	assert_int_equal(got.type, PCID_READY);
	assert_int_equal(pcid_receive(pair->a, &got, fds), 1);
	assert_int_equal(got.type, PCID_FAILED);
	assert_string_equal(got.failed.text, "no card");
}

/* A function comes back, with its descriptors. */
static void test_stopped(void **state)
{
	const struct pair *pair = *state;
	const struct pcid_message stop = {.type = PCID_STOP};
	struct pcid_message stopped = {.type = PCID_STOPPED, .fds = 1};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];
	int before = lowest_fd();

	assert_int_equal(pcid_send(pair->a, &stop, NULL), 0);
	assert_int_equal(pcid_receive(pair->b, &got, fds), 1);
	assert_int_equal(got.type, PCID_STOP);
	stopped.stopped.function = (struct pci_handover){.kind = 2, .fds = 1, .state = {7, 8}};
	strcpy(stopped.stopped.function.address, "vfio-user:/x");
	assert_int_equal(pcid_send(pair->b, &stopped, (int[]){STDERR_FILENO}), 0);
	assert_int_equal(pcid_receive(pair->a, &got, fds), 1);
	assert_int_equal(got.type, PCID_STOPPED);
	assert_memory_equal(&got.stopped, &stopped.stopped, sizeof(got.stopped));
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(lowest_fd(), before);
}

/* A client's memory: asked for, answered, given back; and named to the next driver. */
static void test_memory(void **state)
{
	const struct pair *pair = *state;
	struct pcid_message sent[] = {
		{.type = PCID_MAP, .memory = {.id = 7, .at = {.size = 8192, .chunks = 1}}},
		{.type = PCID_MAPPED, .mapped = {.id = 7, .error = -EDQUOT, .done = 1}},
		{.type = PCID_UNMAP, .unmap.id = 7},
		{.type = PCID_MEMORY,
			.fds = 1,
			.memory = {.id = 7, .at = {.size = 8192, .chunks = DMA_MAX_CHUNKS}}},
	};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];
	int before = lowest_fd();

	sent[0].memory.at.iova[0] = UINT64_C(0x123400000);
	sent[3].memory.at.iova[DMA_MAX_CHUNKS - 1] = UINT64_C(0x567800000);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		assert_int_equal(pcid_send(pair->a, &sent[i], (int[]){STDERR_FILENO}), 0);
		assert_int_equal(pcid_receive(pair->b, &got, fds), 1);
		assert_memory_equal(&got, &sent[i], sizeof(got));
	}
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(lowest_fd(), before);
}

static void test_ends(void **state)
{
	const struct pair *pair = *state;
	const struct pcid_message ready = {.type = PCID_READY};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];
	int error = 0;

	/* A peer that does not read. */
	for (int i = 0; i < 100000 && error == 0; i++)
		error = pcid_send(pair->a, &ready, NULL);
	assert_int_equal(error, -EAGAIN);
	assert_int_equal(shutdown(pair->b, SHUT_RDWR), 0);
	assert_int_equal(pcid_send(pair->a, &ready, NULL), -EPIPE);
	assert_int_equal(pcid_receive(pair->a, &got, fds), 0);
}

/* A peer that dies with something unread has its last words heard all the same. */
static void test_last_words(void **state)
{
	struct pair *pair = *state;
	const struct pcid_message ready = {.type = PCID_READY};
	struct pcid_message failed = {.type = PCID_FAILED};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];

	strcpy(failed.failed.text, "no card");
	assert_int_equal(pcid_send(pair->a, &ready, NULL), 0);
	assert_int_equal(pcid_send(pair->b, &failed, NULL), 0);
	(void)close(pair->b);
	pair->b = -1;
	assert_int_equal(pcid_receive(pair->a, &got, fds), 1);
	assert_int_equal(got.type, PCID_FAILED);
	assert_string_equal(got.failed.text, "no card");
	assert_int_equal(pcid_receive(pair->a, &got, fds), 0);
}

static void test_send_refuses(void **state)
{
	const struct pair *pair = *state;
	struct pcid_message m = {.type = 0};

	assert_int_equal(pcid_send(pair->a, &m, NULL), -EINVAL);
	m = start_message();
	m.fds = START_FDS + 1;
	assert_int_equal(pcid_send(pair->a, &m, NULL), -EINVAL);
}

/* Sends `len` bytes of a message with n descriptors, as a broken peer might. */
static void send_raw(int fd, const struct pcid_message *m, size_t len, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {0};
	struct pcid_message copy = *m;
	struct iovec data = {.iov_base = &copy, .iov_len = len};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};

	if (n > 0) {
		struct cmsghdr *header;
		int fds[8] = {2, 2, 2, 2, 2, 2, 2, 2};

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, 0), len);
}

static void test_receive_refuses(void **state)
{
	const struct pair *pair = *state;
	const size_t start_len =
		offsetof(struct pcid_message, start) + sizeof((*(struct pcid_message *)NULL).start);
	const size_t client_len = offsetof(struct pcid_message, start) +
				  sizeof((*(struct pcid_message *)NULL).client);
	const size_t failed_len = offsetof(struct pcid_message, start) +
				  sizeof((*(struct pcid_message *)NULL).failed);
	struct pcid_message client = {.type = PCID_CLIENT, .fds = PCID_CLIENT_FDS};
	struct pcid_message failed = {.type = PCID_FAILED};
	struct pcid_message unended = start_message();
	struct pcid_message nameless = start_message();
	struct pcid_message many = start_message();
	struct pcid_message long_path = client;
	struct pcid_message unknown = {.type = 77};
	struct pcid_message ready = {.type = PCID_READY, .fds = 1};
	struct pcid_message good = start_message();
	const size_t opened_len = offsetof(struct pcid_message, start) +
				  sizeof((*(struct pcid_message *)NULL).opened);
	struct pcid_message half = client;
	struct pcid_message no_error = {.type = PCID_OPENED, .opened.error = 1};
	struct pcid_message wild = {.type = PCID_OPENED, .opened.error = -4096};
	struct pcid_message adopt = start_message();
	struct pcid_message stopped = {.type = PCID_STOPPED, .fds = 1};
	struct pcid_message endless = {.type = PCID_STOPPED, .fds = 1};
	const size_t stopped_len = offsetof(struct pcid_message, start) +
				   sizeof((*(struct pcid_message *)NULL).stopped);
	const size_t memory_len = offsetof(struct pcid_message, start) +
				  sizeof((*(struct pcid_message *)NULL).memory);
	struct pcid_message no_adopt = start_message();
	struct pcid_message memories = start_message();
	struct pcid_message map = {.type = PCID_MAP, .memory.at.chunks = 1};
	struct pcid_message large = {.type = PCID_MAP, .memory.at.chunks = DMA_MAX_CHUNKS + 1};
	struct pcid_message memory = {
		.type = PCID_MEMORY, .fds = 1, .memory.at.chunks = DMA_MAX_CHUNKS + 1};
	struct pcid_message mapped = {.type = PCID_MAPPED, .mapped.error = 1};
	struct pcid_message wild_mapped = {.type = PCID_MAPPED, .mapped.error = -4096};
	struct pcid_message undecided = {.type = PCID_MAPPED, .mapped.done = 2};
	const size_t mapped_len = offsetof(struct pcid_message, start) +
				  sizeof((*(struct pcid_message *)NULL).mapped);
	struct pcid_message unmap = {.type = PCID_UNMAP, .fds = 1};
	const struct {
		const struct pcid_message *message;
		size_t len;
		size_t fds;
	} bad[] = {
		{&good, 1, 0},                     /* shorter than a type */
		{&good, 4, 0},                     /* no count */
		{&good, start_len - 1, START_FDS}, /* cut */
		{&good, start_len, START_FDS - 1}, /* a descriptor is missing */
		{&good, start_len, START_FDS + 1}, /* one too many */
		{&good, start_len,
			START_FDS + 2}, /* more than any message has: the padding holds it */
		{&good, start_len, 8},  /* more than there is room for */
		{&good, start_len, 0},
		{&unended, start_len, START_FDS},
		{&nameless, start_len, START_FDS},
		{&many, start_len, PCI_HANDOVER_FDS + 1 + PCID_REGIONS + 1},
		{&client, client_len, 2},
		{&client, start_len, 3}, /* another type's size */
		{&long_path, client_len, 3},
		{&unknown, 8, 0},
		{&ready, 8, 1},
		{&failed, failed_len, 0}, /* text without end */
		{&half, client_len, 3},   /* neither new nor resumed */
		{&no_error, opened_len, 0},
		{&wild, opened_len, 0},
		{&adopt, start_len, START_FDS},
		{&stopped, stopped_len, 1}, /* it says 2 */
		{&endless, stopped_len, 1},
		{&stopped, failed_len, 1},
		{&no_adopt, start_len, START_FDS}, /* clients' memory, of whom? */
		{&memories, start_len, START_FDS}, /* too many */
		{&map, memory_len, 1},
		{&map, memory_len - 1, 0},
		{&large, memory_len, 0},
		{&memory, memory_len, 1},
		{&mapped, mapped_len, 0},
		{&wild_mapped, mapped_len, 0},
		{&undecided, mapped_len, 0},
		{&unmap, 12, 1},
	};
	struct pcid_message got;
	int fds[PCID_CHANNEL_FDS];
	int before = lowest_fd();

	half.client.resumed = 2;
	memset(unended.start.name, 'x', sizeof(unended.start.name));
	memset(nameless.start.name, 0, sizeof(nameless.start.name));
	many.start.function.fds = PCI_HANDOVER_FDS + 1;
	adopt.start.adopt = 2;
	no_adopt.start.memories = 1;
	memories.start.adopt = 1;
	memories.start.memories = PCID_MEMORIES + 1;
	stopped.stopped.function.fds = 2;
	endless.stopped.function.fds = 1;
	memset(endless.stopped.function.address, 'x', sizeof(endless.stopped.function.address));
	many.fds = PCI_HANDOVER_FDS + 1 + PCID_REGIONS + 1;
	long_path.client.request.path_len = SCHEME_PATH_MAX;
	memset(failed.failed.text, 'x', sizeof(failed.failed.text));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_raw(pair->a, bad[i].message, bad[i].len, bad[i].fds);
		if (pcid_receive(pair->b, &got, fds) != -EPROTO)
			fail_msg("message %zu was taken", i);
		if (lowest_fd() != before)
			fail_msg("message %zu leaked a descriptor", i);
	}
	/* The one that all were made from is good. */
	send_raw(pair->a, &good, start_len, START_FDS);
	assert_int_equal(pcid_receive(pair->b, &got, fds), 1);
	for (int i = 0; i < START_FDS; i++)
		(void)close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
