/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared rings: the frames of network:NAME without a system call for each. Client and driver share
 * frame memory and two rings of frames; four verbs move them, as nic.h has them between driver and
 * card:
 *
 *     scheme_ring_rx_provide(ring, offsets, n)   empty buffers  -> driver
 *     scheme_ring_rx_return (ring, frames,  n)   received       <- driver
 *     scheme_ring_tx_provide(ring, frames,  n)   to be sent     -> driver
 *     scheme_ring_tx_return (ring, offsets, n)   sent, reusable <- driver
 *
 * All four move what they can and return how many; they do not block and make no system call, but
 * to wake a driver that sleeps. Buffers come back in the order in which they were provided. What is
 * the driver's must not be touched; what came back is the client's. A ring is one thread's.
 *
 * A frame that is longer than a buffer lies in several, one entry each: SCHEME_FRAME_MORE is set in
 * all but the last. Entries of a frame move together or not at all.
 *
 * A driver that dies is followed by another with the same rings: buffers provided for frames stay
 * provided, frames that it had taken and not sent come back as if sent, and scheme_status.lost
 * counts them.
 *
 * A client that breaks the rules (an offset outside the memory, an index too far, a frame of too
 * many entries) is hung up: scheme_ring_wait() is -EPIPE then.
 */
#ifndef SCHEME_RING_H
#define SCHEME_RING_H

#include <stddef.h>
#include <stdint.h>

#include "scheme/scheme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As struct frame of nic.h: offset and length of the data. */
struct scheme_frame {
	uint32_t offset;
	uint16_t len;
	uint16_t flags;
};

#define SCHEME_FRAME_MORE  1u /* the frame goes on in the next entry */
#define SCHEME_FRAME_ERROR 2u /* nothing was received, only the buffer comes back */
#define SCHEME_FRAME_META \
	4u /* of the first entry: a struct scheme_meta lies in front of the data */

/* Metadata, as struct frame_meta of nic.h, right in front of the data (at offset - sizeof). A queue
 * that a client owns has it where its driver was started with --offloads: scheme_status.offloads
 * says so. Others have none, and refuse it.
 */
struct scheme_meta {
	uint16_t flags; /* enum scheme_meta_flags */
	uint16_t vlan;  /* SCHEME_META_VLAN: the tag's priority and VLAN, 16 bits */
	uint32_t hash;  /* SCHEME_META_HASH: of addresses and ports */
	uint16_t type;  /* enum scheme_meta_type */
	uint16_t mss;   /* SCHEME_META_SEGMENT: bytes of payload in each but the last, from 64 on */
	uint16_t l3_len; /* lengths of headers, to be sent: IPv4 20 to 60, IPv6 40 to 511 */
	uint8_t l2_len;  /* 14 to 127, without the tag of SCHEME_META_VLAN */
	uint8_t l4_len;  /* SCHEME_META_SEGMENT: TCP 20 to 60, UDP 8 */
};

enum scheme_meta_flags {
	SCHEME_META_VLAN = 1 << 0, /* to be sent: a tag is to be put in */
	/* Received: what the card found out. Neither good nor bad: not computed, or none. */
	SCHEME_META_HASH = 1 << 1,
	SCHEME_META_IP_GOOD = 1 << 2,
	SCHEME_META_IP_BAD = 1 << 3,
	SCHEME_META_L4_GOOD = 1 << 4, /* of TCP, UDP, SCTP */
	SCHEME_META_L4_BAD = 1 << 5,
	/* To be sent: checksums that the card is to put in. The headers lie in the first entry, the
	 * fields hold 0, but those of TCP and UDP the sum, not inverted, of the pseudo header: with
	 * SCHEME_META_SEGMENT of one whose length is 0.
	 */
	SCHEME_META_IP_SUM = 1 << 8,
	SCHEME_META_L4_SUM = 1 << 9,
	/* TCP or UDP of up to 65,535 bytes, to be sent as several frames of the MTU's size at most,
	 * both checksums with it.
	 */
	SCHEME_META_SEGMENT = 1 << 10,
};

/* What is in a frame; to be sent: one of the two IPs and one of the last three, where flags need
 * it.
 */
enum scheme_meta_type {
	SCHEME_META_IPV4 = 1 << 0,
	SCHEME_META_IPV4_OPTIONS = 1 << 1,
	SCHEME_META_IPV6 = 1 << 2,
	SCHEME_META_IPV6_EXTENSIONS = 1 << 3,
	SCHEME_META_TCP = 1 << 4,
	SCHEME_META_UDP = 1 << 5,
	SCHEME_META_SCTP = 1 << 6,
};

enum scheme_offload {
	SCHEME_RX_CHECKSUM = 1 << 1,
	SCHEME_RX_HASH = 1 << 2,
	SCHEME_RX_TYPE = 1 << 3,
	SCHEME_TX_META = 1 << 4,
};

/* Entries of a frame to be sent, at most: what the cards of nic.h take (one of them for metadata).
 * None is empty. One received
 * has SCHEME_FRAME_MAX / SCHEME_RING_BUFFER at most, rounded up,
 * and waits until as many buffers are provided.
 */
#define SCHEME_RING_CHAIN 40u

/* What a buffer's offset must leave free in the memory: behind it, for data; in front of it. The
 * distance of two buffers is the sum, which spreads their first lines over all cache sets.
 */
#define SCHEME_RING_BUFFER 2048u
#define SCHEME_RING_HEAD   64u
#define SCHEME_RING_STRIDE (SCHEME_RING_BUFFER + SCHEME_RING_HEAD)
/* No buffer lies across a multiple of this: a card may have it in pieces of that size. */
#define SCHEME_RING_CHUNK ((size_t)2 << 20)

#define SCHEME_RING_MIN        64u /* entries; powers of two */
#define SCHEME_RING_MAX        4096u
#define SCHEME_RING_DEFAULT    512u
#define SCHEME_RING_MEMORY_MAX ((size_t)1 << 30)

struct scheme_ring;

struct scheme_ring_options {
	uint32_t rx_size, tx_size; /* 0: SCHEME_RING_DEFAULT */
	/* Frame memory: a memfd, sealed against shrinking and growing, without huge pages, of whole
	 * pages; it stays the caller's, and may serve several rings. Below 0: it is made here, with
	 * room for both rings twice. See scheme_ring_memory(). */
	int memory;
};

/* Opens frames (network: or network:NAME) with rings, or owns a queue of the card
 * (network:NAME/queue/N), which then works on the frame memory itself: no other handle has that
 * queue's frames meanwhile, and what others would send by it is refused (-EBUSY). flags: O_RDONLY,
 * O_WRONLY or O_RDWR, with O_CLOEXEC. NULL: the default options. Errors as scheme_open(), and
 * -EINVAL: such options or memory, or not a path of frames; -EPROTO also: the scheme's owner has no
 * rings. Of a queue: -EBUSY, somebody owns it; -EDQUOT, more memory than a client may bring (pcid
 * --client-mib); -ENOTSUP, a card behind VFIO whose driver was started without pcid.
 */
int scheme_open_ring(const char *url, int flags, const struct scheme_ring_options *options,
	struct scheme_ring **out);
/* Frames provided to be sent still are. Memory made here is gone after it. */
void scheme_ring_close(struct scheme_ring *ring);

/* A memfd that is in order for frames; size is rounded up to pages. -EINVAL: above
 * SCHEME_RING_MEMORY_MAX, or 0; errors of memfd_create(2).
 */
int scheme_ring_memory(size_t size);
/* How many buffers there are in `size` bytes, and the offset of each, across no chunk. */
static inline uint32_t scheme_ring_buffers(size_t size)
{
	const size_t per_chunk = SCHEME_RING_CHUNK / SCHEME_RING_STRIDE;

	return (uint32_t)(size / SCHEME_RING_CHUNK * per_chunk +
			  size % SCHEME_RING_CHUNK / SCHEME_RING_STRIDE);
}
static inline uint32_t scheme_ring_buffer(uint32_t index)
{
	const uint32_t per_chunk = SCHEME_RING_CHUNK / SCHEME_RING_STRIDE;

	return (uint32_t)(index / per_chunk * SCHEME_RING_CHUNK) +
	       index % per_chunk * SCHEME_RING_STRIDE + SCHEME_RING_HEAD;
}

/* A frame will soon be written at `data`: has the cache line fetched, which another processor read
 * last. To be said of a whole burst before it is written; processors that do not know the
 * instruction take it for none.
 */
static inline void scheme_ring_will_write(const uint8_t *data)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" ::"m"(*data));
#else
	__builtin_prefetch(data, 1);
#endif
}

/* The frame memory, as this process has it mapped, and its size. */
uint8_t *scheme_ring_frames(const struct scheme_ring *ring, size_t *size);
const struct scheme_status *scheme_ring_status(const struct scheme_ring *ring);

/* Empty buffers for frames. Stops when the ring is full. */
size_t scheme_ring_rx_provide(struct scheme_ring *ring, const uint32_t *offsets, size_t n);
/* Entries of whole frames; of one of more than n entries that many, and the rest with the next
 * call.
 */
size_t scheme_ring_rx_return(struct scheme_ring *ring, struct scheme_frame *frames, size_t n);
/* Frames to be sent, of 14 bytes to the MTU's size, as long as they fit whole. One that is not of
 * that size is counted as refused, as of write(2), one while the link is down as no_link
 * (scheme_judge() says so before); its buffers come back like the others'.
 */
size_t scheme_ring_tx_provide(
	struct scheme_ring *ring, const struct scheme_frame *frames, size_t n);
size_t scheme_ring_tx_return(struct scheme_ring *ring, uint32_t *offsets, size_t n);
/* Provided and not returned. */
uint32_t scheme_ring_rx_held(const struct scheme_ring *ring);
uint32_t scheme_ring_tx_held(const struct scheme_ring *ring);

/* Waits until one of these verbs has something to return: 1; 0: not within `ms` (-1: for ever);
 * -EPIPE: the driver has left, or has hung up; -EINTR.
 */
#define SCHEME_RING_RX 1u
#define SCHEME_RING_TX 2u
int scheme_ring_wait(struct scheme_ring *ring, unsigned verbs, int ms);

/* The same for a loop that waits for other things, too. scheme_ring_sleep(): 1: there is something,
 * do not wait; 0: poll scheme_ring_fd() for POLLIN; errors as above. After the poll, whatever it
 * came to, scheme_ring_awake(), which returns as scheme_ring_sleep() does.
 */
int scheme_ring_fd(const struct scheme_ring *ring);
int scheme_ring_sleep(struct scheme_ring *ring, unsigned verbs);
int scheme_ring_awake(struct scheme_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
