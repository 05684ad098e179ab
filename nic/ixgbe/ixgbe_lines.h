/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Descriptors four, a cache line, at a time: the only code that differs from path to path. It does
 * the common case alone: each function checks its four as the function for a single one checks
 * that, and stops before the first line where one of them is anything else. That line's slots it
 * may have written to; they are software's, and the caller writes them again, one by one.
 *
 * The vectors are the compilers' own type: one text serves AVX2 and AVX-512, whose instructions the
 * compiler chooses. 32 bytes at a time: wider ones slow some processors down.
 */
#ifndef NIC_IXGBE_LINES_H
#define NIC_IXGBE_LINES_H

#include "nic/ixgbe/ixgbe_path.h"

/* A frame as received in one buffer: header at least, one buffer at most. */
#define RX_MIN    14u
#define RX_RANGE  (NIC_BUFFER_SIZE - RX_MIN)
#define RX_STATUS (RX_DD | RX_EOP | RX_RXE)
#define TX_MIN    14u

/* What the descriptors of all frames have: data in the advanced format, the card appends the CRC.
 */
#define TX_WORD (TX_DATA | TX_IFCS | TX_DEXT)

#define WITHIN_CHUNK  (CHUNK - 1)               /* an offset's part */
#define BUFFER_WITHIN (CHUNK - NIC_BUFFER_SIZE) /* the last place in a chunk for a buffer */

/* What frames are held to when a line is filled: a little less than is allowed, so that no bound
 * depends on another frame's length.
 */
struct tx_bounds {
	uint32_t range;  /* of the length, beyond TX_MIN */
	uint32_t offset; /* the last place in the region where the longest frame may begin */
	uint32_t within; /* and in a chunk */
};

static inline struct tx_bounds tx_bounds(const struct ixgbe_queue *q, uint32_t max)
{
	uint32_t len = max < q->region_size ? max : q->region_size;

	return (struct tx_bounds){len - TX_MIN, q->region_size - len, CHUNK - len};
}

/* Each of rx_fill(), rx_take() and tx_fill() below returns how many descriptors it did. */

/* A frame's length. Its flags lie above it: any of them makes it larger than any frame. */
static inline uint32_t tx_len(const struct frame *frame)
{
	return frame->len | (uint32_t)frame->flags << 16;
}

/* Whether a line begins at a free-running index, and is wanted whole. */
static inline bool line_begins(uint32_t at, size_t n)
{
	return at % RING_LINE == 0 && n >= RING_LINE;
}

/* Lines of a ring from an index on, at most n descriptors: up to the ring's end. */
struct lines {
	dma_word __dma *words;
	uint32_t *buffer;
	size_t n;
};

static inline struct lines lines_at(const struct ring *ring, uint32_t at, size_t n)
{
	size_t slot = at & ring->mask;
	size_t run = ring_before_end(ring, at, (uint32_t)n);

	return (struct lines){
		ring->words + 2 * slot, ring->buffer + slot, run & ~(size_t)(RING_LINE - 1)};
}

#ifdef IXGBE_VECTORS

#include <immintrin.h>

typedef uint32_t words4 __attribute__((vector_size(16)));
typedef uint32_t words8 __attribute__((vector_size(32)));
typedef uint64_t quads4 __attribute__((vector_size(32)));

/* Of memory that is aligned to nothing. */
#define LOAD(vector, from) memcpy(&(vector), from, sizeof(vector))
#define STORE(to, vector)  memcpy(to, &(vector), sizeof(vector))

/* The same two words for each of four frames or descriptors. */
static inline words8 pairs(uint32_t even, uint32_t odd)
{
	return (words8){even, odd, even, odd, even, odd, even, odd};
}

/* What a comparison gives: all ones where it holds. */
typedef int32_t truths8 __attribute__((vector_size(32)));

static inline bool all(truths8 truths)
{
	return _mm256_testc_si256((__m256i)truths, _mm256_set1_epi32(-1));
}

static inline quads4 widen(words4 words)
{
	return (quads4)_mm256_cvtepu32_epi64((__m128i)words);
}

/* The bus addresses of four offsets. */
static inline quads4 addresses(const uint64_t *iova, bool one_run, quads4 offset)
{
	quads4 chunk = offset >> DMA_CHUNK_SHIFT;

	if (one_run)
		return offset + iova[0];
	return (offset & WITHIN_CHUNK) +
	       (quads4){iova[chunk[0]], iova[chunk[1]], iova[chunk[2]], iova[chunk[3]]};
}

/* The second quadwords of a line's descriptors. */
static inline quads4 read_line(const dma_word __dma *words)
{
	const quads4 *line = (const quads4 *)(uintptr_t)words;
	quads4 second = __builtin_shufflevector(line[0], line[1], 1, 3, 5, 7);

	/* They are read here and not again: the card may write meanwhile. */
	__asm__ volatile("" : "+x"(second));
	return second;
}

static inline void write_line(dma_word __dma *words, quads4 first, quads4 second)
{
	quads4 *line = (quads4 *)(uintptr_t)words;

	line[0] = __builtin_shufflevector(first, second, 0, 4, 1, 5);
	line[1] = __builtin_shufflevector(first, second, 2, 6, 3, 7);
}

static always size_t rx_fill(
	const struct ixgbe_queue *q, struct lines to, const uint32_t *offsets, bool one_run)
{
	const words8 part = pairs(UINT32_MAX, WITHIN_CHUNK);
	const words8 least = pairs(NIC_BUFFER_HEAD, 0);
	const words8 range = pairs(q->rx_span, BUFFER_WITHIN);
	const uint64_t *iova = q->iova;
	size_t i;

	for (i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		words4 offset;
		words8 twice; /* each offset: for the region, and for its chunk */
		quads4 wide;

		LOAD(offset, offsets + i);
		wide = widen(offset);
		twice = __builtin_shufflevector((words8)wide, (words8)wide, 0, 0, 2, 2, 4, 4, 6, 6);
		if (!all((twice & part) - least <= range))
			break;
		STORE(to.buffer + i, offset);
		write_line(to.words, addresses(iova, one_run, wide), (quads4){0});
	}
	return i;
}

static always size_t rx_take(const struct ixgbe_queue *q, struct lines from, struct frame *frames)
{
	const words8 seen = pairs(RX_STATUS, 0xFFFF);
	const words8 least = pairs((uint32_t)q->rx_whole, RX_MIN);
	const words8 range = pairs(0, RX_RANGE);
	size_t i;

	for (i = 0; i < from.n; i += RING_LINE, from.words += 2 * RING_LINE) {
		/* Status and length of each. */
		words8 word = (words8)read_line(from.words) & seen;
		words4 offset;
		words8 frame;

		dma_prefetch(from.words + 4 * RING_LINE);
		if (!all(word - least <= range))
			break;
		LOAD(offset, from.buffer + i);
		frame = __builtin_shufflevector(
			(words8)widen(offset), word, 0, 9, 2, 11, 4, 13, 6, 15);
		STORE(frames + i, frame);
	}
	return i;
}

static always size_t tx_fill(const struct ixgbe_queue *q, struct lines to,
	const struct frame *frames, struct tx_bounds bounds, bool one_run)
{
	const words8 least = pairs(0, TX_MIN);
	const words8 range = pairs(bounds.offset, bounds.range);
	const words8 chunk = pairs(WITHIN_CHUNK, 0);
	const words8 within = pairs(bounds.within, 0);
	const uint64_t *iova = q->iova;
	size_t i;

	for (i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		words8 frame;
		words4 offset;
		quads4 len;

		LOAD(frame, frames + i);
		/* Flags are above the length, as in tx_len(). */
		if (!all((frame - least <= range) & ((frame & chunk) <= within)))
			break;
		offset = __builtin_shufflevector(frame, frame, 0, 2, 4, 6);
		STORE(to.buffer + i, offset);
		len = (quads4)frame >> 32;
		write_line(to.words, addresses(iova, one_run, (quads4)frame & UINT32_MAX),
			len | len << TX_PAYLEN_SHIFT | (TX_WORD | TX_EOP));
	}
	return i;
}

#else

/* clang does it by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 4")
#else
#define UNROLLED
#endif

static always size_t rx_fill(
	const struct ixgbe_queue *q, struct lines to, const uint32_t *offsets, bool one_run)
{
	const uint64_t *iova = q->iova;
	uint32_t span = q->rx_span;

	(void)one_run;
	for (size_t i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			uint32_t offset = offsets[i + k];
			uint32_t within = offset & WITHIN_CHUNK;

			if (unlikely(offset - NIC_BUFFER_HEAD > span || within > BUFFER_WITHIN))
				return i;
			to.buffer[i + k] = offset;
			dma_write(to.words + 2 * k, iova[offset >> DMA_CHUNK_SHIFT] + within);
			dma_write(to.words + 2 * k + 1, 0);
		}
	}
	return to.n;
}

static always size_t rx_take(const struct ixgbe_queue *q, struct lines from, struct frame *frames)
{
	uint64_t whole = q->rx_whole;

	for (size_t i = 0; i < from.n; i += RING_LINE, from.words += 2 * RING_LINE) {
		dma_prefetch(from.words + 4 * RING_LINE);
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			uint64_t word = dma_read(from.words + 2 * k + 1);
			uint32_t len = (word >> RX_LENGTH_SHIFT) & 0xFFFF;

			if (unlikely((word & RX_STATUS) != whole || len - RX_MIN > RX_RANGE))
				return i;
			frames[i + k] =
				(struct frame){.offset = from.buffer[i + k], .len = (uint16_t)len};
		}
	}
	return from.n;
}

static always size_t tx_fill(const struct ixgbe_queue *q, struct lines to,
	const struct frame *frames, struct tx_bounds bounds, bool one_run)
{
	const uint64_t *iova = q->iova;

	(void)one_run;
	for (size_t i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			const struct frame *frame = &frames[i + k];
			uint32_t offset = frame->offset;
			uint32_t within = offset & WITHIN_CHUNK;
			uint64_t len = tx_len(frame);

			if (unlikely(len - TX_MIN > bounds.range || offset > bounds.offset ||
				     within > bounds.within))
				return i;
			to.buffer[i + k] = offset;
			dma_write(to.words + 2 * k, iova[offset >> DMA_CHUNK_SHIFT] + within);
			dma_write(to.words + 2 * k + 1,
				len | len << TX_PAYLEN_SHIFT | (TX_WORD | TX_EOP));
		}
	}
	return to.n;
}

#endif

#endif
