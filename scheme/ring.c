/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client's side of shared rings. It remembers its buffers itself: of what the driver can write
 * it takes indices, which are judged, and lengths, which are cut.
 */
#include "scheme/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "scheme/ring_layout.h"
#include "scheme/socket.h"
#include "scheme/wire.h"

/* How long to look before sleeping: about what a sleep and a wake-up cost both sides. */
#define SPIN_NS 30000
#define PAGE    4096u
#define DRAIN   16 /* wake-ups that are received at a time */

/* One direction, as the client has it. */
struct side {
	_Atomic uint64_t *slots;
	_Atomic uint32_t *shared;         /* where `provided` is published */
	const _Atomic uint32_t *returned; /* the driver's */
	uint32_t *offsets;                /* of what is provided, by slot */
	uint32_t size;
	uint32_t provided;
	uint32_t there; /* `returned` as last seen */
	uint32_t taken; /* given back to the caller: taken <= there <= provided */
};

struct scheme_ring {
	int fd;
	const struct scheme_status *status;
	const struct ring_driver *driver;
	struct ring_client *client;
	uint8_t *frames;
	size_t bytes;
	uint32_t access;
	unsigned verbs; /* what is slept for */
	uint64_t woken; /* the driver's sleep that it was last woken from */
	unsigned owed;  /* what it could not be woken for */
	struct side rx, tx;
	uint32_t offsets[];
};

/* --- memory --- */

static size_t pages(size_t bytes)
{
	return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static int make_memory(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)pages(bytes)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int scheme_ring_memory(size_t size)
{
	return size == 0 || size > SCHEME_RING_MEMORY_MAX ? -EINVAL
							  : make_memory("scheme-frames", size);
}

static int map(int fd, size_t bytes, void *where)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED) {
		return -errno;
	}
	memcpy(where, &memory, sizeof(memory));
	return 0;
}

/* Bytes that hold so many buffers. */
static size_t bytes_for(uint32_t buffers)
{
	return buffers == 0
		       ? 0
		       : scheme_ring_buffer(buffers - 1) - SCHEME_RING_HEAD + SCHEME_RING_STRIDE;
}

static int map_frames(struct scheme_ring *ring, int memory)
{
	struct stat st;

	if (fstat(memory, &st) < 0 || st.st_size <= 0 ||
		(uint64_t)st.st_size > SCHEME_RING_MEMORY_MAX) {
		return -EINVAL;
	}
	ring->bytes = (size_t)st.st_size;
	return map(memory, ring->bytes, &ring->frames);
}

/* --- opening --- */

/* The other side of it is in place: both parts of shared memory are there. */
static void set_up(struct scheme_ring *ring, uint32_t rx_size, uint32_t tx_size)
{
	_Atomic uint64_t *slots = (_Atomic uint64_t *)((char *)ring->client + RING_SLOTS);
	const struct ring_driver *driver =
		(const struct ring_driver *)((const char *)ring->status + RING_PAGE);

	ring->driver = driver;
	ring->rx = (struct side){
		.slots = slots,
		.shared = &ring->client->rx_provided,
		.returned = &driver->rx_returned,
		.offsets = ring->offsets,
		.size = rx_size,
	};
	ring->tx = (struct side){
		.slots = slots + rx_size,
		.shared = &ring->client->tx_provided,
		.returned = &driver->tx_done,
		.offsets = ring->offsets + rx_size,
		.size = tx_size,
	};
}

static int open_ring(struct scheme_ring *ring, const char *name,
	const struct scheme_request *request, int memory, int flags)
{
	uint32_t rx_size = 1u << request->rx_order, tx_size = 1u << request->tx_order;
	size_t bytes = pages(ring_bytes(rx_size, tx_size));
	int fds[SCHEME_REQUEST_FDS] = {-1, -1};

	fds[SCHEME_FD_FRAMES] =
		memory >= 0 ? memory : scheme_ring_memory(bytes_for(2 * (rx_size + tx_size)));
	int ret = fds[SCHEME_FD_FRAMES];
	if (ret < 0) {
		goto fail_memory;
	}
	ret = map_frames(ring, fds[SCHEME_FD_FRAMES]);
	if (ret < 0) {
		goto fail_frames;
	}
	fds[SCHEME_FD_RINGS] = make_memory("scheme-rings", bytes);
	ret = fds[SCHEME_FD_RINGS];
	if (ret < 0) {
		goto fail_rings;
	}
	ret = map(fds[SCHEME_FD_RINGS], bytes, &ring->client);
	if (ret < 0) {
		goto fail_map;
	}
	ring->fd = scheme_ask(name, request, fds, SCHEME_REQUEST_FDS, flags, &ring->status);
	ret = ring->fd < 0 ? ring->fd : 0;
	if (ret == 0) {
		set_up(ring, rx_size, tx_size);
	} else {
		munmap(ring->client, bytes);
	}
fail_map:
	close(fds[SCHEME_FD_RINGS]);
fail_rings:
	if (ret < 0) {
		munmap(ring->frames, ring->bytes);
	}
fail_frames:
	if (memory < 0) {
		close(fds[SCHEME_FD_FRAMES]);
	}
fail_memory:
	return ret;
}

int scheme_open_ring(const char *url, int flags, const struct scheme_ring_options *options,
	struct scheme_ring **out)
{
	static const struct scheme_ring_options defaults = {.memory = -1};
	char name[SCHEME_NAME_MAX], path[SCHEME_PATH_MAX];
	struct scheme_request request;
	int access = scheme_access_of(flags);

	if (options == NULL) {
		options = &defaults;
	}
	uint32_t rx_size = options->rx_size != 0 ? options->rx_size : SCHEME_RING_DEFAULT;
	uint32_t tx_size = options->tx_size != 0 ? options->tx_size : SCHEME_RING_DEFAULT;
	if (access < 0 || (flags & ~(O_ACCMODE | O_CLOEXEC)) != 0 ||
		scheme_parse(url, name, path) < 0 ||
		scheme_request_make_rings(&request, path, (uint32_t)access, rx_size, tx_size) < 0) {
		return -EINVAL;
	}
	struct scheme_ring *ring =
		calloc(1, sizeof(*ring) + ((size_t)rx_size + tx_size) * sizeof(ring->offsets[0]));
	if (ring == NULL) {
		return -ENOMEM;
	}
	ring->access = (uint32_t)access;
	int ret = open_ring(ring, name, &request, options->memory, flags);
	if (ret < 0) {
		free(ring);
		return ret;
	}
	*out = ring;
	return 0;
}

void scheme_ring_close(struct scheme_ring *ring)
{
	if (ring == NULL) {
		return;
	}
	close(ring->fd);
	scheme_unmap_status(ring->status);
	munmap(ring->client, pages(ring_bytes(ring->rx.size, ring->tx.size)));
	munmap(ring->frames, ring->bytes);
	free(ring);
}

uint8_t *scheme_ring_frames(const struct scheme_ring *ring, size_t *size)
{
	if (size != NULL) {
		*size = ring->bytes;
	}
	return ring->frames;
}

const struct scheme_status *scheme_ring_status(const struct scheme_ring *ring)
{
	return ring->status;
}

int scheme_ring_fd(const struct scheme_ring *ring)
{
	return ring->fd;
}

/* --- the verbs --- */

/* Wakes the driver where it sleeps for that; once for each sleep. A full socket has wake-ups that
 * it did not read yet. -ENOBUFS, -ENOMEM: not now.
 */
static int wake_driver(struct scheme_ring *ring, unsigned what)
{
	const char byte = 0;

	/* The index was stored before `sleeps` is loaded; the driver stores `sleeps` before it
	 * loads the index: one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t sleeps = atomic_load_explicit(&ring->driver->sleeps, memory_order_relaxed);
	what |= ring->owed;
	ring->owed = 0;
	if ((sleeps & what) == 0 || sleeps == ring->woken) {
		return 0;
	}
	if (send(ring->fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		(errno == ENOBUFS || errno == ENOMEM || errno == EINTR)) {
		ring->owed = what;
		return -errno;
	}
	ring->woken = sleeps;
	return 0;
}

static size_t room(const struct side *side, size_t n)
{
	size_t free = side->size - (side->provided - side->taken);

	return n < free ? n : free;
}

static void provide(struct side *side, const struct scheme_frame *frame, size_t i)
{
	uint32_t slot = (side->provided + (uint32_t)i) & (side->size - 1);

	side->offsets[slot] = frame->offset;
	ring_store(&side->slots[slot], frame);
}

/* Release, with the driver's acquire: slots and data are there before the index. */
static void publish(struct side *side, size_t n)
{
	side->provided += (uint32_t)n;
	atomic_store_explicit(side->shared, side->provided, memory_order_release);
}

/* How many the driver has returned. Acquire, with its release: slots and data are there. An index
 * that cannot be is as none: its driver has gone mad.
 */
static size_t returned(struct side *side)
{
	if (side->there == side->taken) {
		uint32_t now = atomic_load_explicit(side->returned, memory_order_acquire);
		if (now - side->taken <= side->provided - side->taken) {
			side->there = now;
		}
	}
	return side->there - side->taken;
}

/* Those of n entries that belong to whole frames. */
static size_t whole_frames(const struct scheme_frame *frames, size_t n)
{
	while (n > 0 && (frames[n - 1].flags & SCHEME_FRAME_MORE) != 0) {
		n--;
	}
	return n;
}

size_t scheme_ring_rx_provide(struct scheme_ring *ring, const uint32_t *offsets, size_t n)
{
	n = (ring->access & SCHEME_READ) != 0 ? room(&ring->rx, n) : 0;
	if (n == 0) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		provide(&ring->rx, &(struct scheme_frame){.offset = offsets[i]}, i);
	}
	publish(&ring->rx, n);
	(void)wake_driver(ring, SCHEME_RING_RX);
	return n;
}

size_t scheme_ring_rx_return(struct scheme_ring *ring, struct scheme_frame *frames, size_t n)
{
	struct side *rx = &ring->rx;
	size_t there = returned(rx);

	if (n > there) {
		n = there;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t slot = (rx->taken + (uint32_t)i) & (rx->size - 1);
		frames[i] = ring_load(&rx->slots[slot]);
		frames[i].offset = rx->offsets[slot];
		if (frames[i].len > SCHEME_RING_BUFFER) {
			frames[i].len = SCHEME_RING_BUFFER;
		}
	}
	/* The driver returns whole frames: if this is none, it is for want of room, or not one. */
	size_t whole = whole_frames(frames, n);
	if (whole > 0) {
		n = whole;
	}
	rx->taken += (uint32_t)n;
	return n;
}

size_t scheme_ring_tx_provide(struct scheme_ring *ring, const struct scheme_frame *frames, size_t n)
{
	n = (ring->access & SCHEME_WRITE) != 0 ? whole_frames(frames, room(&ring->tx, n)) : 0;
	if (n == 0) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		provide(&ring->tx, &frames[i], i);
	}
	publish(&ring->tx, n);
	(void)wake_driver(ring, SCHEME_RING_TX);
	return n;
}

size_t scheme_ring_tx_return(struct scheme_ring *ring, uint32_t *offsets, size_t n)
{
	struct side *tx = &ring->tx;
	size_t there = returned(tx);

	if (n > there) {
		n = there;
	}
	for (size_t i = 0; i < n; i++) {
		offsets[i] = tx->offsets[(tx->taken + i) & (tx->size - 1)];
	}
	tx->taken += (uint32_t)n;
	return n;
}

uint32_t scheme_ring_rx_held(const struct scheme_ring *ring)
{
	return ring->rx.provided - ring->rx.taken;
}

uint32_t scheme_ring_tx_held(const struct scheme_ring *ring)
{
	return ring->tx.provided - ring->tx.taken;
}

/* --- waiting --- */

static bool has(struct scheme_ring *ring, unsigned verbs)
{
	return ((verbs & SCHEME_RING_RX) != 0 && returned(&ring->rx) > 0) ||
	       ((verbs & SCHEME_RING_TX) != 0 && returned(&ring->tx) > 0);
}

int scheme_ring_sleep(struct scheme_ring *ring, unsigned verbs)
{
	ring->verbs = verbs;
	if (has(ring, verbs)) {
		return 1;
	}
	atomic_store_explicit(&ring->client->sleeping, verbs, memory_order_relaxed);
	/* Also for a wake-up that could not be sent before. Its fence serves this, too: `sleeping`
	 * was stored before the indices are loaded; the driver stores an index before it loads
	 * `sleeping`: one of the two sees the other. */
	int ret = wake_driver(ring, 0);
	if (ret == 0 && has(ring, verbs)) {
		ret = 1;
	}
	if (ret != 0) {
		atomic_store_explicit(&ring->client->sleeping, 0, memory_order_relaxed);
	}
	return ret;
}

int scheme_ring_awake(struct scheme_ring *ring)
{
	char byte;
	ssize_t n = 1;

	atomic_store_explicit(&ring->client->sleeping, 0, memory_order_relaxed);
	for (unsigned i = 0; i < DRAIN && n > 0; i++) {
		n = recv(ring->fd, &byte, sizeof(byte), MSG_DONTWAIT);
	}
	if (has(ring, ring->verbs)) {
		return 1; /* also of a driver that left */
	}
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ? -EPIPE : 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int scheme_ring_wait(struct scheme_ring *ring, unsigned verbs, int ms)
{
	struct pollfd fd = {.fd = ring->fd, .events = POLLIN};
	int64_t now = now_ns();
	int64_t end = ms < 0 ? INT64_MAX : now + (int64_t)ms * 1000000;
	int64_t spin = now + SPIN_NS < end ? now + SPIN_NS : end;

	for (; now < spin; now = now_ns()) {
		if (has(ring, verbs)) {
			return 1;
		}
		/* The driver may wait for this very processor. */
		(void)sched_yield();
	}
	for (;;) {
		int ret = scheme_ring_sleep(ring, verbs);
		if (ret != 0) {
			return ret;
		}
		int64_t left = end == INT64_MAX ? -1
			       : end > now      ? (end - now + 999999) / 1000000
						: 0;
		int n = poll(&fd, 1, (int)left);
		int error = n < 0 ? -errno : 0;
		ret = scheme_ring_awake(ring);
		now = now_ns();
		if (ret != 0 || error != 0 || (n == 0 && now >= end)) {
			return ret != 0 ? ret : error;
		}
	}
}
