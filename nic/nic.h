/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nic: the class of network cards, and the only header a user of a driver needs. A driver moves
 * descriptors between the card's rings and its caller by four verbs and owns no packet memory: the
 * caller brings a piece of DMA memory and names frames in it by offset.
 *
 *     nic_rx_provide(queue, offsets, n)   empty buffers  -> card
 *     nic_rx_return (queue, frames,  n)   received       <- card
 *     nic_tx_provide(queue, frames,  n)   to be sent     -> card
 *     nic_tx_return (queue, offsets, n)   sent, reusable <- card
 *
 * All four are non-blocking, take a burst and return how many they did, 0 also when the card is
 * gone (nic_gone()). The arrays are the caller's own memory, which nobody changes meanwhile. A
 * queue is one thread's; different queues may be used by different threads.
 */
#ifndef NIC_NIC_H
#define NIC_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/pci.h"

#ifdef __cplusplus
extern "C" {
#endif

struct frame {
	uint32_t offset; /* of the first byte of data, in its region */
	uint16_t len;    /* bytes, without the CRC */
	uint16_t flags;
};

enum frame_flags {
	FRAME_MORE = 1 << 0,  /* the frame goes on in the next entry */
	FRAME_ERROR = 1 << 1, /* no good frame, only its buffer comes back; rx only */
	FRAME_META = 1 << 2,  /* a struct frame_meta lies in front; on a frame's first entry */
};

/* What is rare, right in front of the data: at offset - sizeof(struct frame_meta), in the host's
 * byte order. It is written by a queue that receives with an offload of nic_config, and read, once,
 * by one that sends with NIC_TX_META. What was received may be sent so: META_VLAN alone does
 * anything then.
 */
struct frame_meta {
	uint16_t flags;  /* enum meta_flags */
	uint16_t vlan;   /* META_VLAN: the tag's priority and VLAN, 16 bits */
	uint32_t hash;   /* META_HASH */
	uint16_t type;   /* enum meta_type */
	uint16_t mss;    /* META_SEGMENT: bytes of payload in each but the last, from 64 on */
	uint16_t l3_len; /* lengths of headers, to be sent: IPv4 20 to 60, IPv6 40 to 511 */
	uint8_t l2_len;  /* 14 to 127, without the tag of META_VLAN; received: 14 */
	uint8_t l4_len;  /* META_SEGMENT: TCP 20 to 60, UDP 8 */
};

enum meta_flags {
	META_VLAN = 1 << 0, /* received: the tag was taken out; to be sent: it is to be put in */
	/* received */
	META_HASH = 1 << 1,
	META_IP_GOOD = 1 << 2, /* the checksum of the IPv4 header */
	META_IP_BAD = 1 << 3,
	META_L4_GOOD = 1 << 4, /* of TCP, UDP, SCTP. Neither of the two: not computed, or none */
	META_L4_BAD = 1 << 5,
	/* To be sent. The headers lie in the first entry, the fields of what the card inserts hold
	 * 0, but those of TCP and UDP the sum, not inverted, of the pseudo header: with
	 * META_SEGMENT of one whose length is 0.
	 */
	META_IP_SUM = 1 << 8,
	META_L4_SUM = 1 << 9,
	/* TCP or UDP, with both checksums, of up to NIC_SEGMENT_MAX bytes, the segments' to the
	 * MTU's size: IP length, IP identification, TCP sequence number and flags, UDP length are
	 * each segment's own.
	 */
	META_SEGMENT = 1 << 10,
};

/* What is in a frame; to be sent: one of META_IPV4 and META_IPV6 and one of the last three, where
 * the flags need it.
 */
enum meta_type {
	META_IPV4 = 1 << 0,
	META_IPV4_OPTIONS = 1 << 1,
	META_IPV6 = 1 << 2,
	META_IPV6_EXTENSIONS = 1 << 3,
	META_TCP = 1 << 4,
	META_UDP = 1 << 5,
	META_SCTP = 1 << 6,
};

/* Of nic_config.offloads and nic_offloads(). */
enum nic_offload {
	NIC_RX_VLAN = 1 << 0,     /* tags (0x8100) are taken out */
	NIC_RX_CHECKSUM = 1 << 1, /* META_IP_*, META_L4_* */
	NIC_RX_HASH = 1 << 2,     /* of addresses and ports, as it spreads over queues */
	NIC_RX_TYPE = 1 << 3,
	NIC_TX_META = 1 << 4, /* without it a frame with FRAME_META is not in order */
};

#define NIC_SEGMENT_MAX 65535u /* bytes of a frame with META_SEGMENT */
#define NIC_MSS_MIN     64u    /* ours, so that one frame is not cut into tens of thousands */

/* Buffers hold 2 KiB of data, as the cards count them; the stride is ours: 64 bytes of headroom in
 * front, for metadata, also spread the frames' first lines over all cache sets.
 */
#define NIC_BUFFER_SIZE   2048u
#define NIC_BUFFER_HEAD   64u
#define NIC_BUFFER_STRIDE (NIC_BUFFER_SIZE + NIC_BUFFER_HEAD)

#define NIC_RING_MIN     64u
#define NIC_RING_MAX     4096u /* rtl8168: 1024 */
#define NIC_RING_DEFAULT 512u
#define NIC_RING_FREE    4u /* descriptors of a ring that no verb fills */
#define NIC_MAX_QUEUES   16u

#define NIC_MTU_MIN     68u /* what IPv4 asks of every link (RFC 791, 3.2) */
#define NIC_MTU_DEFAULT 1500u
#define NIC_MTU_MAX     9710u /* 9,728 bytes with header and CRC, as Linux and DPDK go */
/* Up to here each frame fits in a buffer: with its header, a VLAN tag, and another one, which the
 * 82599 lets pass above its limit (82599 datasheet 8.2.3.22.13).
 */
#define NIC_MTU_ONE_BUFFER (NIC_BUFFER_SIZE - 14u - 4u - 4u)
/* A received frame lies in that many buffers at most. */
#define NIC_FRAME_ENTRIES 5u

struct nic;
struct nic_queue;

/* --- opening --- */

/* Queues for nic_forward() alone, which run in place (nic/forward.h): the receive ring of one is
 * the transmit ring of another. ixgbe has them.
 */
enum nic_in_place {
	NIC_APART,  /* none: each ring is its own */
	NIC_MIRROR, /* each queue sends what it receives */
	/* Two cards with `rings` in common: what the left one's queue n receives the right one's
	 * queue n sends, and the other way round.
	 */
	NIC_LEFT,
	NIC_RIGHT,
};

/* Flow control of the link (IEEE 802.3, annex 31B), which is not negotiated: the other end is to be
 * set up alike.
 */
enum nic_pause {
	NIC_PAUSE_RX = 1 << 0, /* a pause frame that comes holds up what is to be sent */
	NIC_PAUSE_TX = 1 << 1, /* one is sent when the card's buffer fills */
};

/* What becomes of a frame for which its queue has no buffer: dropped at once
 * (nic_stats.rx_dropped), or it waits in the card, and all behind it, of other queues too, until
 * what comes finds no room there (rx_missed). Of e1000's cards the 82576 alone drops.
 */
enum nic_drop { NIC_DROP_AUTO /* with several queues */, NIC_DROP_NEVER, NIC_DROP_ALWAYS };

struct nic_config {
	unsigned queues;  /* queue pairs: 1 to NIC_MAX_QUEUES */
	unsigned rx_ring; /* descriptors, a power of two from NIC_RING_MIN to NIC_RING_MAX */
	unsigned tx_ring;
	const struct dma_region *rings; /* at least nic_ring_bytes(); both stay until nic_close() */
	const struct dma_region *frames; /* what the offsets of queue 0 count in */
	/* The same for queue n, from 1 on; NULL: it stands still. May be one region for several. */
	const struct dma_region *queue_frames[NIC_MAX_QUEUES];
	enum nic_in_place in_place; /* both rings of a size, and no `state` */
	bool promiscuous;
	uint16_t mtu;       /* payload of the largest frame: 68 to NIC_MTU_MAX, or nic_mtu_max() */
	uint32_t offloads;  /* some of nic_offloads(), enum nic_offload; 0 in place */
	unsigned pause;     /* enum nic_pause; rtl8168 has none of it */
	enum nic_drop drop; /* 8254x, 82574: not NIC_DROP_ALWAYS; rtl8168: NIC_DROP_AUTO */
	bool interrupts;    /* have vectors set up; without, the queues are polled only */
	bool pick_irq;      /* take `irq` instead of the best kind the function has */
	enum pci_irq irq;
	void *state; /* nic_state_bytes() of memory that outlives the process, for nic_release()
		      * and nic_adopt(); or NULL */
};

/* Whether a driver here serves that function: its name ("ixgbe"), or NULL. `why` tells of ids that
 * are known and refused (virtual functions).
 */
const char *nic_driver_for(const struct pci_id *id, const char **why);

/* Bytes of ring memory that such a configuration takes; 0 if its queues are not in order. */
size_t nic_ring_bytes(const struct nic_config *config);

/* Resets the card and brings it up: queues with a region run, rings empty, receiving, link coming
 * up by itself. -ENOTSUP: no driver, or a refused id, or it has no queues in place; -EINVAL: the
 * configuration, or memory beyond the card's reach; -ETIMEDOUT, -EIO: the card does not do what its
 * datasheet says (the text names the step); -EBUSY: firmware or another driver holds what is
 * needed; -ENODEV.
 */
int nic_open(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why);
/* Stops the card: no DMA, no interrupt after it. Frames in the rings are forgotten. */
void nic_close(struct nic *nic);

/* --- from one process to the next, while the card runs --- */

/* Bytes that nic_config.state needs for such rings, whatever the driver: for each queue at most
 * 64 KiB. 0 if its queues are not in order.
 */
size_t nic_state_bytes(const struct nic_config *config);
/* Leaves the card as it is, its registers too, and frees this process's side: it goes on receiving
 * into the rings, and sending from them. What the next process must know is in config.state.
 */
void nic_release(struct nic *nic);
/* Takes over a card after nic_release(), with the same configuration, regions and state; the state
 * is used up. A queue that ran then has the region that it ran on in the configuration; one that
 * stood still does so, whatever is there. The card is not reset, no frame in the rings is lost,
 * counters go on. Interrupts are set up again, for this process, and off until nic_irq_arm(): what
 * came in between lies in the rings. -EINVAL with `why`: no state, one that does not check out, or
 * a card that does not run as it says: then nic_open() makes a fresh start. Errors otherwise as
 * nic_open().
 */
int nic_adopt(struct nic **out, struct pci_function *fn, const struct nic_config *config,
	struct pci_error *why);

/* --- queues that come and go --- */

/* Both take up to 20 ms. The queue is in nobody's use meanwhile; the others may be, by their
 * threads, but not by a second start or stop. With several queues configured, what comes is spread
 * by address and port over those that run (Toeplitz hash of IPv4 and IPv6, with TCP and UDP ports;
 * the 82574: TCP's alone); both directions of a connection come to the same queue, and stay there
 * until that one is stopped. Queue 0 gets the rest while it runs; nobody does while it stands
 * still. The 82574 neither receives nor sends while a queue of it is started or stopped, and what
 * comes for one that stands still waits there, before all else.
 */

/* Starts queue `index` with empty rings on that region, which stays until it is stopped. -EINVAL:
 * no such queue, or a region without room for a buffer, or beyond the card's reach (8254x,
 * RTL8168B: the first 4 GiB); -EBUSY: it runs; -ETIMEDOUT; -ENODEV.
 */
int nic_queue_start(struct nic *nic, unsigned index, const struct dma_region *frames);
/* Stops it: the card uses neither rings nor frames of it any more, the rings are empty (nic_held()
 * told before what was in them), and the verbs do nothing. What was queued is sent if the link lets
 * it go within 10 ms; what came and was not returned is lost. Nothing to do if it stands still.
 * -ETIMEDOUT: the card does not let go of it; its memory must stay until nic_close(). -EINVAL,
 * -ENODEV.
 */
int nic_queue_stop(struct nic *nic, unsigned index);
/* The region that it runs on; NULL: it stands still. */
const struct dma_region *nic_queue_frames(const struct nic *nic, unsigned index);

/* --- the four verbs --- */

struct nic_queue *nic_queue(struct nic *nic, unsigned index);

/* An offset is that of the data: at least NIC_BUFFER_HEAD, NIC_BUFFER_SIZE bytes inside the region,
 * and inside one chunk; with rtl8168 a multiple of 8. Stops at the first that is not (counted in
 * nic_stats.bad_offsets).
 */
size_t nic_rx_provide(struct nic_queue *q, const uint32_t *offsets, size_t n);
/* A frame larger than a buffer comes in up to NIC_FRAME_ENTRIES entries, FRAME_MORE on all but the
 * last, whole or not at all: one that has not come whole yet, or that n has no room for, ends the
 * burst. So n must be NIC_FRAME_ENTRIES at least where the MTU is above NIC_MTU_ONE_BUFFER. A
 * frame's first entry has 14 bytes at least, each 1 to NIC_BUFFER_SIZE.
 *
 * No buffer is ever lost: each of a frame that the card reports damaged comes back as FRAME_ERROR,
 * and so does what it cannot have written (a length beyond the buffer, a frame without end), with
 * len 0 and counted in nic_stats.bad_writebacks.
 */
size_t nic_rx_return(struct nic_queue *q, struct frame *frames, size_t n);
/* Frames of 14 bytes to the MTU's size (and 18 for header and VLAN tag), anywhere in the region but
 * across no chunk's boundary; the card pads the short ones. A frame in several entries (FRAME_MORE,
 * at most 40) must be in the burst whole. Stops before a chain that does not fit, and at the first
 * frame that is not in order (counted in nic_stats.bad_offsets). FRAME_META, and
 * with e1000 a frame of less than 17 bytes, may take one descriptor more.
 */
size_t nic_tx_provide(struct nic_queue *q, const struct frame *frames, size_t n);
size_t nic_tx_return(struct nic_queue *q, uint32_t *offsets, size_t n);
/* Publishes what a verb kept back to write whole lines. To be called before sleeping. */
void nic_flush(struct nic_queue *q);

/* Buffers that the card or the ring still hold. */
size_t nic_rx_held(const struct nic_queue *q);
size_t nic_tx_held(const struct nic_queue *q);
/* Which they are, oldest first, the receive ring's before the transmit ring's: as many as both
 * functions above say.
 */
void nic_held(const struct nic_queue *q, uint32_t *offsets);

/* --- events --- */

enum nic_event { NIC_EVENT_QUEUES = 1 << 0, NIC_EVENT_LINK = 1 << 1 };

/* The eventfds to wait on: fd[0 .. n). Up to NIC_MAX_QUEUES + 1. Returns n. Who waits empties them
 * (reads 8 bytes), before nic_irq_ack().
 */
size_t nic_irq_fds(const struct nic *nic, int fd[]);
/* After one fired: what happened (enum nic_event, 0 for nothing), or -ENODEV. The queues' causes
 * are masked, by the card itself where it can, until nic_irq_arm(). A module that was plugged into
 * a cage (82599) is seen to here, which takes some 100 ms.
 */
int nic_irq_ack(struct nic *nic, size_t which);
/* Unmasks all; then look at the queues once more before sleeping. Interrupts are off until the
 * first call.
 */
void nic_irq_arm(struct nic *nic);
/* The same for one queue, where each has a vector of its own: a thread that serves a queue waits on
 * fd[nic_irq_vector()], acknowledges that and arms that, and shares no written memory with others.
 * Where the card has one vector for all (nic_irq_fds() gives 1) this is nic_irq_arm(), and one
 * thread must wait for all.
 */
void nic_irq_arm_queue(struct nic *nic, unsigned index);
/* The place of a queue's vector in nic_irq_fds(); the link's is the last. */
size_t nic_irq_vector(const struct nic *nic, unsigned index);
const char *nic_irq_name(const struct nic *nic);

bool nic_gone(const struct nic *nic);

/* Whether the card does what its registers say that it does; for a program that uses all queues by
 * one thread, about once a second. Where nothing moved since the call before the tails are written
 * again: a write that got lost costs time alone. -EIO with `why`: a head has passed a descriptor
 * that was not written back in NIC_CHECKS calls: nothing behind it will ever be seen, and the card
 * is to be reset, which nic_close() and nic_open() do. -ENODEV.
 *
 * A card with a cage for modules (82599) that has no link is asked what is in there, and set up
 * anew if that is another one, or for its other speed: a call that finds such takes some 100 ms.
 */
#define NIC_CHECKS 3u
int nic_check(struct nic *nic, struct pci_error *why);

/* --- state --- */

struct nic_link {
	bool up;
	uint32_t mbit; /* 0 when down */
};

/* What the cage of a card holds, for people. */
struct nic_module {
	bool trouble;     /* there is none, or not one that the card is meant for */
	const char *text; /* "": the card has no cage, or the module was not asked: a link is up
			   * since before nic_adopt(), or manageability firmware forbids it */
};

struct nic_stats {
	uint64_t rx_frames, rx_bytes; /* good frames, bytes with the CRC */
	uint64_t tx_frames, tx_bytes;
	uint64_t rx_missed;  /* no descriptor and no room in the card */
	uint64_t rx_dropped; /* dropped by the queue */
	uint64_t rx_crc_errors, rx_length_errors, rx_other_errors;
	uint64_t bad_offsets;    /* of the caller: buffers and frames that were refused */
	uint64_t bad_writebacks; /* of the card: lengths and states that cannot be */
};

struct nic_queue_stats {
	/* That reached memory, bytes without the CRC; e1000, whose cards do not count them: that
	 * were returned, and that were provided.
	 */
	uint64_t rx_frames, rx_bytes;
	uint64_t tx_frames, tx_bytes; /* bytes with the CRC */
	uint64_t rx_dropped;          /* for want of buffers */
};

void nic_mac(const struct nic *nic, uint8_t mac[6]);
/* Reads the link from the card (a register read). */
int nic_link(struct nic *nic, struct nic_link *link);
/* As it was found last, which nic_open(), nic_check() and nic_irq_ack() do; the text is good until
 * the next of them.
 */
void nic_module(const struct nic *nic, struct nic_module *module);
/* The counters since nic_open(), read from the card and summed: call it at least every 30 s, since
 * octet counters of the card wrap within a minute at 10 Gbit/s.
 */
int nic_stats(struct nic *nic, struct nic_stats *stats);
/* The same for one queue; both functions' counts are of all time, whoever asked last. -EINVAL: no
 * such queue.
 */
int nic_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats);
/* Off: frames to the card's address, and all of multicast and broadcast. */
int nic_set_promiscuous(struct nic *nic, bool on);
/* Which frames come beside broadcast and those to the card's address, where it is not promiscuous:
 * those to n addresses, of stations (127 exactly, the others by 12 bits of a hash; e1000: 15, with
 * more of them all stations') and of groups (by the hash). NULL: all of multicast again. Meanwhile
 * all come. rtl8168 has 6 bits of a hash for groups, and with one station beside its own all come.
 * -ENOTSUP: the driver has no such filter; -ENODEV.
 */
int nic_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n);
/* Of tagged frames (0x8100) only those of n VLANs come, 0 to 4095, promiscuous or not; NULL: all.
 * -EINVAL, -ENOTSUP (rtl8168), -ENODEV.
 */
int nic_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n);
/* 68 to nic_mtu_max(); -EINVAL. Frames of the former size may come meanwhile, in as many buffers.
 */
int nic_set_mtu(struct nic *nic, uint16_t mtu);
/* What the card can: NIC_MTU_MAX (ixgbe, 8254x), 9194 (82574), 9706 (82576), 4074 (RTL8168B),
 * NIC_MTU_ONE_BUFFER (other RTL8168, and in place).
 */
uint16_t nic_mtu_max(const struct nic *nic);
/* What the card can, enum nic_offload: all (ixgbe), or nothing (e1000, rtl8168). */
uint32_t nic_offloads(const struct nic *nic);
const char *nic_model(const struct nic *nic);

#ifdef __cplusplus
}
#endif

#endif
