/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A function behind a vfio-user socket: the client's side of the protocol.
 */
#include "pci/vfio_user.h"

#include <errno.h>
#include <jansson.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pci/function.h"
#include "pci/sim.h"
#include "pci/vfio_user_socket.h"

#define MAX_VERSION  4096u    /* of a VERSION reply's payload */
#define MAX_INDICES  64u      /* regions and interrupts that a server may have */
#define MAX_TRANSFER 1048576u /* bytes that one access may have at most; ours have 4 */

/* struct vfio_device_info as the protocol has it: without capabilities. */
struct device_info {
	uint32_t argsz, flags, regions, irqs;
};

struct vfio_user_function {
	struct pci_function fn; /* first */
	pthread_mutex_t lock;   /* one request at a time */
	struct vfio_user_socket socket;
	unsigned max_fds; /* that the server takes in one message */
	bool can_reset;
};

static struct vfio_user_function *self(struct pci_function *fn)
{
	return (struct vfio_user_function *)fn;
}

/* One request. A connection that broke makes the function gone; the text then names it. */
static int call(
	struct pci_function *fn, const struct vfio_user_request *request, struct pci_error *why)
{
	struct vfio_user_function *f = self(fn);
	struct pci_error what = {""};
	bool broken = false;
	int result = -ENODEV;

	pthread_mutex_lock(&f->lock);
	if (!pci_gone(fn)) {
		result = vfio_user_call(&f->socket, request, &broken, &what);
		if (broken)
			pci_set_gone(fn);
	} else {
		pci_fail(&what, -ENODEV, "the card is gone");
	}
	pthread_mutex_unlock(&f->lock);
	if (result < 0)
		return pci_fail(why, result, "%s: %s", fn->address, what.text);
	return result;
}

/* A request whose payload is one structure, and whose reply has at most reply_max bytes. */
static int ask(struct pci_function *fn, uint16_t command, const void *data, size_t size,
	void *reply, size_t reply_min, size_t reply_max, struct pci_error *why)
{
	struct vfio_user_request request = {
		.command = command,
		.parts = size ? 1 : 0,
		.part = {{(void *)(uintptr_t)data, size}},
		.reply = reply,
		.reply_min = reply_min,
		.reply_max = reply_max,
	};

	return call(fn, &request, why);
}

/* --- the connection --- */

/* What a server says of itself in JSON: how many descriptors it takes. */
static int read_capabilities(
	struct vfio_user_function *f, const char *text, size_t size, struct pci_error *why)
{
	json_t *root, *capabilities, *value;
	int error = 0;

	f->max_fds = 1; /* what holds where nothing is said (vfio-user, "Version Data Format") */
	if (size == 0)
		return 0;
	root = text[size - 1] == '\0' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!root)
		return pci_fail(why, -EPROTO, "%s: the server's version data is no JSON object",
			f->fn.address);
	capabilities = json_object_get(root, "capabilities");
	value = json_object_get(capabilities, "max_msg_fds");
	if (value) {
		json_int_t fds = json_is_integer(value) ? json_integer_value(value) : 0;

		if (fds < 1)
			error = pci_fail(why, -EPROTO,
				"%s: the server takes no descriptors (max_msg_fds)", f->fn.address);
		else
			f->max_fds = fds < VFIO_USER_MAX_FDS ? (unsigned)fds : VFIO_USER_MAX_FDS;
	}
	value = json_object_get(capabilities, "max_data_xfer_size");
	if (value && (!json_is_integer(value) || json_integer_value(value) < 4) && !error)
		error = pci_fail(why, -EPROTO,
			"%s: the server takes no registers (max_data_xfer_size)", f->fn.address);
	if ((!json_is_object(root) || (capabilities && !json_is_object(capabilities))) && !error)
		error = pci_fail(why, -EPROTO, "%s: the server's version data is no JSON object",
			f->fn.address);
	json_decref(root);
	return error;
}

static int negotiate(struct vfio_user_function *f, struct pci_error *why)
{
	const struct vfio_user_version ours = {0, 0};
	struct vfio_user_version theirs;
	char text[128];
	uint8_t reply[MAX_VERSION];
	struct pci_error what = {""};
	int size;

	/* One descriptor is the most that a reply brings (GET_REGION_INFO). */
	snprintf(text, sizeof(text),
		"{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":%u,\"pgsizes\":%u}}",
		MAX_TRANSFER, PCI_PAGE);
	size = call(&f->fn,
		&(struct vfio_user_request){
			.command = VFIO_USER_VERSION,
			.parts = 2,
			.part = {{(void *)(uintptr_t)&ours, sizeof(ours)},
				{text, strlen(text) + 1}},
			.reply = reply,
			.reply_min = sizeof(theirs),
			.reply_max = sizeof(reply),
			.timeout_ms = VFIO_USER_CONNECT_MS,
		},
		&what);
	if (size == -ETIMEDOUT)
		return pci_fail(why, size,
			"%s: the server does not answer: is another program using it?",
			f->fn.address);
	if (size == -EPROTO || size == -ENODEV)
		return pci_fail(why, -EPROTO, "%s: what listens there is no vfio-user server",
			f->fn.address);
	if (size < 0)
		return pci_fail(why, size, "%s", what.text);
	memcpy(&theirs, reply, sizeof(theirs));
	if (theirs.major != ours.major || theirs.minor > ours.minor)
		return pci_fail(why, -EPROTO,
			"%s: the server speaks version %u.%u of vfio-user, we speak %u.%u",
			f->fn.address, theirs.major, theirs.minor, ours.major, ours.minor);
	return read_capabilities(
		f, (const char *)reply + sizeof(theirs), (size_t)size - sizeof(theirs), why);
}

static int check_device(struct vfio_user_function *f, struct pci_error *why)
{
	struct device_info info = {.argsz = sizeof(info)};
	int size = ask(&f->fn, VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info), &info, sizeof(info),
		sizeof(info), why);

	if (size < 0)
		return size;
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return pci_fail(
			why, -EPROTO, "%s: the server's device is no PCI device", f->fn.address);
	if (info.regions <= VFIO_PCI_CONFIG_REGION_INDEX || info.regions > MAX_INDICES ||
		info.irqs <= VFIO_PCI_MSIX_IRQ_INDEX || info.irqs > MAX_INDICES)
		return pci_fail(why, -EPROTO,
			"%s: the server's device has %u regions and %u kinds of interrupts",
			f->fn.address, info.regions, info.irqs);
	f->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	return 0;
}

/* --- operations --- */

static int access_region(struct pci_function *fn, uint16_t command, unsigned region,
	uint64_t offset, unsigned size, uint32_t *value, bool posted)
{
	const struct vfio_user_region_access head = {offset, region, size};
	struct {
		struct vfio_user_region_access head;
		uint32_t value;
		uint32_t reserved;
	} reply = {0};
	bool write = command == VFIO_USER_REGION_WRITE;
	size_t expected = sizeof(head) + (write ? 0 : size);
	int error = call(fn,
		&(struct vfio_user_request){
			.command = command,
			.posted = posted,
			.parts = write ? 2 : 1,
			.part = {{(void *)(uintptr_t)&head, sizeof(head)}, {value, size}},
			.reply = (uint8_t *)&reply,
			.reply_min = expected,
			.reply_max = expected,
		},
		NULL);

	if (error < 0)
		return error;
	if (posted)
		return 0;
	if (memcmp(&reply.head, &head, sizeof(head)) != 0) {
		pci_set_gone(fn);
		return -EPROTO;
	}
	if (!write)
		*value = reply.value;
	return 0;
}

static int user_read(
	struct pci_function *fn, unsigned region, uint64_t offset, unsigned size, uint32_t *value)
{
	return access_region(fn, VFIO_USER_REGION_READ, region, offset, size, value, false);
}

static int user_write(struct pci_function *fn, unsigned region, uint64_t offset, unsigned size,
	uint32_t value, bool posted)
{
	return access_region(fn, VFIO_USER_REGION_WRITE, region, offset, size, &value, posted);
}

static int user_region(struct pci_function *fn, unsigned index, uint8_t info[PCI_MAX_INFO], int *fd,
	struct pci_error *why)
{
	const struct vfio_region_info wanted = {.argsz = PCI_MAX_INFO, .index = index};
	struct vfio_region_info head;
	int size;

	*fd = -1;
	size = call(fn,
		&(struct vfio_user_request){
			.command = VFIO_USER_DEVICE_GET_REGION_INFO,
			.parts = 1,
			.part = {{(void *)(uintptr_t)&wanted, sizeof(wanted)}},
			.reply = info,
			.reply_min = sizeof(wanted),
			.reply_max = PCI_MAX_INFO,
			.reply_fd = fd,
		},
		why);
	if (size < 0)
		return size;
	memcpy(&head, info, sizeof(head));
	/* argsz above what we have room for: the server has left its capabilities out. */
	if (head.index == index && head.argsz <= PCI_MAX_INFO)
		return size;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return pci_fail(why, -EPROTO, "%s: the server describes region %u as %u, in %u bytes",
		fn->address, index, head.index, head.argsz);
}

static int user_irq_count(struct pci_function *fn, unsigned index)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};
	int size = ask(fn, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &info, sizeof(info),
		sizeof(info), NULL);

	if (size < 0)
		return size;
	if (info.index != index || info.count > INT32_MAX)
		return -EPROTO;
	return info.flags & VFIO_IRQ_INFO_EVENTFD ? (int)info.count : 0;
}

static int user_irq_set(
	struct pci_function *fn, unsigned index, uint32_t flags, unsigned count, const int *fds)
{
	struct vfio_irq_set set = {.argsz = sizeof(set), .flags = flags, .index = index};
	unsigned most = fds ? self(fn)->max_fds : count;

	/* As many vectors in a message as the server takes descriptors. */
	do {
		int error;

		set.count = count - set.start < most ? count - set.start : most;
		error = call(fn,
			&(struct vfio_user_request){
				.command = VFIO_USER_DEVICE_SET_IRQS,
				.parts = 1,
				.part = {{&set, sizeof(set)}},
				.fds = fds ? fds + set.start : NULL,
				.nfds = fds ? set.count : 0,
			},
			NULL);
		if (error < 0)
			return error;
		set.start += set.count;
	} while (set.start < count);
	return 0;
}

static int user_dma_map(struct pci_function *fn, const struct dma_region *region, size_t offset,
	uint64_t iova, size_t size, struct pci_error *why)
{
	const struct vfio_user_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.offset = offset,
		.address = iova,
		.size = size,
	};
	int error = call(fn,
		&(struct vfio_user_request){
			.command = VFIO_USER_DMA_MAP,
			.parts = 1,
			.part = {{(void *)(uintptr_t)&map, sizeof(map)}},
			.fds = &region->memfd,
			.nfds = 1,
		},
		why);

	return error < 0 ? error : 0;
}

static void user_dma_unmap(struct pci_function *fn, uint64_t iova, size_t size)
{
	const struct vfio_user_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.address = iova,
		.size = size,
	};
	uint8_t echo[sizeof(unmap)]; /* some servers send the request back */

	ask(fn, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), echo, 0, sizeof(echo), NULL);
}

static int user_reset(struct pci_function *fn)
{
	if (!self(fn)->can_reset)
		return -ENOTSUP;
	return ask(fn, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0, 0, NULL);
}

static bool user_check(struct pci_function *fn)
{
	struct vfio_user_function *f = self(fn);
	bool gone;

	pthread_mutex_lock(&f->lock);
	gone = vfio_user_idle(&f->socket);
	pthread_mutex_unlock(&f->lock);
	return gone;
}

/* state[0]: the next message's id, so that no late reply is taken for another; state[1]: how many
 * descriptors the server takes.
 */
static void user_export(
	const struct pci_function *fn, struct pci_handover *handover, int fd[PCI_HANDOVER_FDS])
{
	const struct vfio_user_function *f = (const struct vfio_user_function *)fn;

	handover->kind = PCI_KIND_VFIO_USER;
	handover->fds = 1;
	handover->state[0] = f->socket.next_id;
	handover->state[1] = f->max_fds;
	fd[0] = f->socket.fd;
}

static void user_close(struct pci_function *fn)
{
	struct vfio_user_function *f = self(fn);

	/* Who handed a card of its own over leaves it to the next. */
	if (sim_is(fn->address) && !fn->exported)
		sim_end(f->socket.fd);
	if (f->socket.fd >= 0)
		close(f->socket.fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct pci_backend vfio_user_backend = {
	.close = user_close,
	.read = user_read,
	.write = user_write,
	.region = user_region,
	.irq_count = user_irq_count,
	.irq_set = user_irq_set,
	.dma_map = user_dma_map,
	.dma_unmap = user_dma_unmap,
	.reset = user_reset,
	.check = user_check,
	.export = user_export,
};

/* --- opening --- */

static int new_function(struct vfio_user_function **out, const char *address, int socket)
{
	/* The server translates itself: any address will do. Cards and IOMMUs have 48 bits or more.
	 */
	static const struct iova_run all = {0, (UINT64_C(1) << 48) - 1};
	struct vfio_user_function *f = calloc(1, sizeof(*f));
	int error = f ? iova_init(&f->fn.iova, &all, 1) : -ENOMEM;

	if (error) {
		free(f);
		close(socket);
		return error;
	}
	pci_function_init(&f->fn, &vfio_user_backend, address);
	f->fn.gone_fd = f->socket.fd = socket;
	pthread_mutex_init(&f->lock, NULL);
	*out = f;
	return 0;
}

int vfio_user_open(struct pci_function **out, const char *address, struct pci_error *why)
{
	struct vfio_user_function *f = NULL;
	int fd = sim_is(address) ? sim_start(address, why)
				 : vfio_user_connect(address, strchr(address, ':') + 1, why);
	int error;

	if (fd < 0)
		return fd;
	error = new_function(&f, address, fd);
	if (error)
		return pci_fail(why, error, "%s: %s", address, strerror(-error));
	error = negotiate(f, why);
	if (!error)
		error = check_device(f, why);
	if (error) {
		pci_close(&f->fn);
		return error;
	}
	*out = &f->fn;
	return 0;
}

static bool is_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX &&
	       type == SOCK_STREAM;
}

int vfio_user_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why)
{
	struct vfio_user_function *f = NULL;
	int error;

	if (!is_stream(fd[0]) || handover->state[0] > UINT16_MAX || handover->state[1] < 1 ||
		handover->state[1] > VFIO_USER_MAX_FDS) {
		close(fd[0]);
		return pci_fail(why, -EINVAL, "what was handed over is no vfio-user connection");
	}
	error = new_function(&f, handover->address, fd[0]);
	if (error)
		return pci_fail(why, error, "%s: %s", handover->address, strerror(-error));
	f->socket.next_id = (uint16_t)handover->state[0];
	f->max_fds = handover->state[1];
	error = check_device(f, why);
	if (error) {
		pci_close(&f->fn);
		return error;
	}
	*out = &f->fn;
	return 0;
}
