/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client library against servers that lie: nothing they answer may be believed, mapped or
 * leaked.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheme/scheme.h"
#include "scheme/wire.h"

/* What a server answers. */
struct answer {
	bool silent; /* closes without a word */
	struct scheme_reply reply;
	size_t len;
	int fds[3];
	size_t n;
};

struct bench {
	char root[64];
	char path[108];
	int listener;
	struct answer answer;
	bool refused; /* it is not even read: closed with the request unread */
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[80];

	assert_non_null(b);
	snprintf(b->root, sizeof(b->root), "/tmp/scheme-XXXXXX");
	assert_non_null(mkdtemp(b->root));
	snprintf(folder, sizeof(folder), "%s/network", b->root);
	assert_int_equal(mkdir(folder, 0755), 0);
	snprintf(b->path, sizeof(b->path), "%s/x", folder);
	memcpy(addr.sun_path, b->path, sizeof(addr.sun_path));
	b->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(b->listener, 4), 0);
	setenv("SCHEME_ROOT", b->root, 1);
	b->answer =
		(struct answer){.reply = {.magic = SCHEME_MAGIC}, .len = sizeof(b->answer.reply)};
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	close(b->listener);
	unlink(b->path);
	*strrchr(b->path, '/') = '\0';
	assert_int_equal(rmdir(b->path), 0);
	assert_int_equal(rmdir(b->root), 0);
	free(b);
	return 0;
}

static void *answer_thread(void *arg)
{
	struct bench *b = arg;
	struct answer *a = &b->answer;
	struct scheme_request request;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	char bytes[64] = {0};
	struct iovec iov = {bytes, a->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = accept(b->listener, NULL, NULL);

	if (!b->refused) {
		(void)recv(fd, &request, sizeof(request), 0);
	} else {
		(void)recv(fd, &request, sizeof(request), MSG_PEEK); /* it has come */
	}
	memcpy(bytes, &a->reply, sizeof(a->reply));
	if (a->n > 0) {
		control.head.cmsg_len = CMSG_LEN(a->n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), a->fds, a->n * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(a->n * sizeof(int));
	}
	if (!a->silent) {
		(void)sendmsg(fd, &msg, 0);
	}
	close(fd);
	return NULL;
}

/* Opens; the descriptors of the answer are only the client's then. */
static int open_it(struct bench *b, const struct scheme_status **status)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, answer_thread, b), 0);
	int fd = scheme_open("network:x", O_RDWR | O_CLOEXEC, status);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < b->answer.n; i++) {
		close(b->answer.fds[i]);
	}
	b->answer.n = 0;
	return fd;
}

static int make_page(off_t size, int seals)
{
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* How many are open: the same before and after, when none was lost. */
static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}

static void give(struct bench *b, int fd)
{
	b->answer.fds[b->answer.n++] = fd;
}

static void a_good_page_is_mapped(void **state)
{
	struct bench *b = *state;
	const struct scheme_status *status = NULL;
	int page = make_page(4096, F_SEAL_SHRINK);
	struct scheme_status written = {.mtu = 1234};

	assert_int_equal(write(page, &written, sizeof(written)), sizeof(written));
	give(b, page);
	int fd = open_it(b, &status);
	assert_true(fd >= 0);
	assert_int_equal(status->mtu, 1234);
	scheme_unmap_status(status);
	close(fd);
	give(b, make_page(4096, F_SEAL_SHRINK));
	fd = open_it(b, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void pages_that_could_fault_are_not(void **state)
{
	struct bench *b = *state;
	const struct scheme_status *status = (const void *)1;
	int before = open_descriptors();
	int pipes[2];

	give(b, make_page(4096, F_SEAL_GROW)); /* may shrink */
	assert_int_equal(open_it(b, &status), -EPROTO);
	give(b, make_page(100, F_SEAL_SHRINK));
	assert_int_equal(open_it(b, &status), -EPROTO);
	give(b, make_page(8192, F_SEAL_SHRINK));
	assert_int_equal(open_it(b, &status), -EPROTO);
	assert_int_equal(pipe(pipes), 0);
	give(b, pipes[0]);
	assert_int_equal(open_it(b, &status), -EPROTO);
	close(pipes[1]);
	assert_int_equal(open_it(b, &status), -EPROTO); /* none at all */
	assert_int_equal(open_it(b, NULL), -EPROTO);
	assert_ptr_equal(status, (const void *)1);
	assert_int_equal(open_descriptors(), before);
}

static void descriptors_too_many_are_closed(void **state)
{
	struct bench *b = *state;
	int before = open_descriptors();

	for (int i = 0; i < 3; i++) {
		give(b, make_page(4096, F_SEAL_SHRINK));
	}
	int fd = open_it(b, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_descriptors(), before);
}

static void replies_are_judged(void **state)
{
	struct bench *b = *state;
	int before = open_descriptors();

	b->answer.reply.error = -ENOENT;
	assert_int_equal(open_it(b, NULL), -ENOENT);
	b->answer.reply.error = ENOENT; /* no errno is positive, or that large */
	assert_int_equal(open_it(b, NULL), -EPROTO);
	b->answer.reply.error = -4096;
	assert_int_equal(open_it(b, NULL), -EPROTO);
	b->answer.reply.error = -ENOENT;
	b->answer.reply.magic++;
	assert_int_equal(open_it(b, NULL), -EPROTO);
	b->answer.reply.magic--;
	b->answer.len = sizeof(b->answer.reply) - 1;
	assert_int_equal(open_it(b, NULL), -EPROTO);
	b->answer.len = sizeof(b->answer.reply) + 1;
	assert_int_equal(open_it(b, NULL), -EPROTO);
	give(b, make_page(4096, F_SEAL_SHRINK)); /* also a good page does not help */
	assert_int_equal(open_it(b, NULL), -EPROTO);
	b->answer.silent = true;
	assert_int_equal(open_it(b, NULL), -ENODEV);
	assert_int_equal(open_descriptors(), before);
}

/* A refusal that does not wait for the request: the reset must not hide it. */
static void early_refusals_are_heard(void **state)
{
	struct bench *b = *state;

	b->refused = true;
	b->answer.reply.error = -EACCES;
	assert_int_equal(open_it(b, NULL), -EACCES);
	b->answer.silent = true;
	assert_int_equal(open_it(b, NULL), -ENODEV);
}

static void errors_have_words(void **state)
{
	(void)state;
	assert_non_null(strstr(scheme_strerror(-EACCES), "not allowed"));
	assert_non_null(strstr(scheme_strerror(-ECONNREFUSED), "pcid"));
	assert_string_equal(scheme_strerror(-EISDIR), "Is a directory");
	assert_string_equal(scheme_strerror(-100000), "an error without a name");
}

static void urls_are_parsed(void **state)
{
	char name[SCHEME_NAME_MAX], path[SCHEME_PATH_MAX], url[512];

	(void)state;
	assert_int_equal(scheme_parse("network:", name, path), 0);
	assert_string_equal(name, "");
	assert_string_equal(path, "");
	assert_int_equal(scheme_parse("network:/mac", name, path), 0);
	assert_string_equal(name, "");
	assert_string_equal(path, "/mac");
	assert_int_equal(scheme_parse("network:a:b.c_d/queue/0", name, path), 0);
	assert_string_equal(name, "a:b.c_d");
	assert_string_equal(path, "/queue/0");
	snprintf(url, sizeof(url), "network:%063d/%0190d", 1, 1); /* the longest */
	assert_int_equal(scheme_parse(url, name, path), 0);
	assert_int_equal(strlen(name), SCHEME_NAME_MAX - 1);
	assert_int_equal(strlen(path), SCHEME_PATH_MAX - 1);
	snprintf(url, sizeof(url), "network:%064d", 1);
	assert_int_equal(scheme_parse(url, name, path), -EINVAL);
	snprintf(url, sizeof(url), "network:/%0191d", 1);
	assert_int_equal(scheme_parse(url, name, path), -EINVAL);
	assert_int_equal(scheme_parse("network:..", name, path), -EINVAL);
	assert_int_equal(scheme_parse("network:a b", name, path), -EINVAL);
	assert_int_equal(scheme_parse("disk:", name, path), -EINVAL);
	assert_int_equal(scheme_parse("", name, path), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_page_is_mapped),
		TEST(pages_that_could_fault_are_not),
		TEST(descriptors_too_many_are_closed),
		TEST(replies_are_judged),
		TEST(early_refusals_are_heard),
		cmocka_unit_test(errors_have_words),
		cmocka_unit_test(urls_are_parsed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
