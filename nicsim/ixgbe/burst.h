/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The quick way for common frames: bursts between a ring and a wire, while doorbells are mapped.
 * What is not common (rx.c and tx.c know everything) is left to the exact way, frame by
 * frame; both lead to the same descriptors, counters and interrupts.
 */
#ifndef NICSIM_IXGBE_BURST_H
#define NICSIM_IXGBE_BURST_H

#include <string.h>

#include "nicsim/filter.h"
#include "nicsim/ixgbe/card.h"

#define IXGBE_BURST 64u /* frames at most */

/* Sends up to `most` frames from the head of a transmit ring. How many it did: what comes then,
 * if anything, is for the exact way.
 */
unsigned ixgbe_tx_burst(struct ixgbe *card, unsigned queue, unsigned most);
/* wire_port.receive_burst */
size_t ixgbe_rx_burst(void *ctx, const struct wire_frame *frames, size_t n);

/* The first 16 bytes of a frame, which lies in memory that its owner may change: read once, so that
 * all that depends on them agrees.
 */
struct ixgbe_head {
	uint64_t word[2];
};

static inline struct ixgbe_head ixgbe_head(const uint8_t *frame)
{
	struct ixgbe_head head;

	memcpy(&head, frame, sizeof(head));
	/* Keeps the compiler from reading the frame again for it. */
	__asm__ volatile("" : "+r"(head.word[0]), "+r"(head.word[1]));
	return head;
}

static inline bool ixgbe_head_broadcast(const struct ixgbe_head *head)
{
	return (head->word[0] & 0xffffffffffff) == 0xffffffffffff;
}

static inline bool ixgbe_head_group(const struct ixgbe_head *head)
{
	return head->word[0] & 1;
}

/* The EtherType, or a length. */
static inline unsigned ixgbe_head_type(const struct ixgbe_head *head)
{
	return __builtin_bswap16((uint16_t)(head->word[1] >> 32));
}

/* Counts a frame of `len` bytes without CRC. */
static inline void ixgbe_tally(
	struct ixgbe_tally *tally, const struct ixgbe_head *head, uint32_t len)
{
	uint32_t octets = len + 4;

	tally->frames++;
	tally->octets += octets;
	if (octets != tally->last) {
		tally->last = octets;
		tally->bin = sim_size_bin(octets);
	}
	tally->size[tally->bin]++;
	if (ixgbe_head_group(head)) {
		if (ixgbe_head_broadcast(head))
			tally->broadcast++;
		else
			tally->multicast++;
	}
}

/* Frames are mostly short: the library's memcpy() costs more than such a copy. */
static inline void ixgbe_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	struct piece {
		uint64_t word[2];
	} piece[4];

	if (len < 48 || len > 64) {
		memcpy(to, from, len);
		return;
	}
	memcpy(&piece[0], from, 16);
	memcpy(&piece[1], from + 16, 16);
	memcpy(&piece[2], from + 32, 16);
	memcpy(&piece[3], from + len - 16, 16);
	memcpy(to, &piece[0], 16);
	memcpy(to + 16, &piece[1], 16);
	memcpy(to + 32, &piece[2], 16);
	memcpy(to + len - 16, &piece[3], 16);
}

/* A descriptor or a half of one in the client's memory. */
static inline uint64_t ixgbe_load(const uint8_t *at)
{
	return *(const volatile uint64_t *)(const void *)at;
}

/* The lines of the descriptors that a burst needs, all at once: they come from another core. */
static inline void ixgbe_fetch(const uint8_t *ring, uint32_t size, uint32_t head, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 4) {
		uint32_t at = head + i;

		__builtin_prefetch(ring + 16ull * (at >= size ? at - size : at), 1);
	}
}

#endif
