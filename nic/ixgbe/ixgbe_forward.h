/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Descriptors four at a time for nic_forward(): as in ixgbe_lines.h, whose rules they keep. Each
 * function returns how many it did.
 */
#ifndef NIC_IXGBE_FORWARD_H
#define NIC_IXGBE_FORWARD_H

#include "nic/ixgbe/ixgbe_lines.h"

/* In place, in the legacy formats. */
#define LEGACY_RX_STATUS (LEGACY_RX_DD | LEGACY_RX_EOP | LEGACY_RX_ERRORS)
#define LEGACY_TX_WORD   (TX_EOP | TX_IFCS)

/*
 * swap_fill(): frames, each where a buffer begins that is in order for this region;
 * swap_refill(): such buffers;
 * place_take(), place_give(): frames received, and to be sent from the same slots.
 */

#ifdef IXGBE_VECTORS

/* Whether no half word of `words` is above the same one of `most`. */
static inline bool none_above(words8 words, words8 most)
{
	__m256i above = _mm256_subs_epu16((__m256i)words, (__m256i)most);

	return _mm256_testz_si256(above, above);
}

/* By half words: the differences of each. */
static inline words8 less(words8 words, words8 least)
{
	return (words8)_mm256_sub_epi16((__m256i)words, (__m256i)least);
}

/* Of a line's four the second and the third trade places, which is how write_swapped() wants them.
 */
static inline quads4 load_swapped(const struct frame *frames)
{
	quads4 frame;

	LOAD(frame, frames);
	return __builtin_shufflevector(frame, frame, 0, 2, 1, 3);
}

static inline quads4 widen_swapped(words4 words)
{
	return widen(__builtin_shufflevector(words, words, 0, 2, 1, 3));
}

static inline void write_swapped(dma_word __dma *words, quads4 first, quads4 second)
{
	quads4 *line = (quads4 *)(uintptr_t)words;

	line[0] = __builtin_shufflevector(first, second, 0, 4, 2, 6);
	line[1] = __builtin_shufflevector(first, second, 1, 5, 3, 7);
}

/* The second quadwords of a line, one by one: the addresses between them stay. */
static inline void write_seconds(dma_word __dma *words, quads4 second)
{
	__m128i *slot = (__m128i *)(uintptr_t)(words + 1);
	__m128i low = _mm256_castsi256_si128((__m256i)second);
	__m128i high = _mm256_extracti128_si256((__m256i)second, 1);

	_mm_storel_epi64(slot, low);
	_mm_storeh_pd((double *)(slot + 1), _mm_castsi128_pd(low));
	_mm_storel_epi64(slot + 2, high);
	_mm_storeh_pd((double *)(slot + 3), _mm_castsi128_pd(high));
}

/* The same where the caller has read iova[0] before its loop: it may change for the compiler. */
static inline quads4 addresses_from(
	uint64_t first, const uint64_t *iova, bool one_run, quads4 offset)
{
	return one_run ? offset + first : addresses(iova, false, offset);
}

static always size_t swap_fill(const struct ixgbe_queue *q, struct lines to,
	const struct frame *frames, const uint32_t *buffers, uint32_t range, bool one_run)
{
	const words8 most = pairs(0, range);
	const quads4 least = (quads4)pairs(0, TX_MIN);
	const uint64_t *iova = q->iova;
	uint64_t first = iova[0];
	size_t i;

	for (i = 0; i < to.n; i += RING_LINE) {
		quads4 frame = load_swapped(frames + i);
		quads4 offset, len;
		words4 buffer;

		LOAD(buffer, buffers + i);
		offset = widen_swapped(buffer);
		/* It begins where its buffer does, and has no flags. */
		if (!none_above(less((words8)frame, (words8)(offset | least)), most))
			break;
		STORE(to.buffer + i, buffer);
		len = frame >> 32;
		write_swapped(to.words + 2 * i, addresses_from(first, iova, one_run, offset),
			len | len << TX_PAYLEN_SHIFT | (TX_WORD | TX_EOP));
	}
	return i;
}

static always size_t swap_refill(
	const struct ixgbe_queue *q, struct lines to, const uint32_t *offsets, bool one_run)
{
	const uint64_t *iova = q->iova;
	uint64_t first = iova[0];
	size_t i;

	for (i = 0; i < to.n; i += RING_LINE) {
		words4 offset;

		LOAD(offset, offsets + i);
		STORE(to.buffer + i, offset);
		write_swapped(to.words + 2 * i,
			addresses_from(first, iova, one_run, widen_swapped(offset)), (quads4){0});
	}
	return i;
}

static always size_t place_take(
	const struct ixgbe_queue *q, struct lines from, struct frame *frames)
{
	const words8 seen = pairs(0xFFFF, (uint32_t)(LEGACY_RX_STATUS >> 32));
	const words8 least = pairs(RX_MIN, (uint32_t)(q->place.whole >> 32));
	const words8 range = pairs(RX_RANGE, 0);
	size_t i;

	for (i = 0; i < from.n; i += RING_LINE) {
		/* Length and status of each. */
		words8 word = (words8)read_line(from.words + 2 * i) & seen;
		words4 offset;
		words8 frame;

		if (!none_above(less(word, least), range))
			break;
		LOAD(offset, from.buffer + i);
		frame = (words8)(widen(offset) | (quads4)word << 32);
		STORE(frames + i, frame);
	}
	return i;
}

static always size_t place_give(struct lines to, const struct frame *frames, uint32_t range)
{
	const words8 least = pairs(0, TX_MIN);
	const words8 most = pairs(UINT32_MAX, range);
	size_t i;

	for (i = 0; i < to.n; i += RING_LINE) {
		words8 frame;
		quads4 word;

		LOAD(frame, frames + i);
		if (!none_above(less(frame, least), most))
			break;
		word = (quads4)frame >> 32 | LEGACY_TX_WORD;
		write_seconds(to.words + 2 * i, word);
	}
	return i;
}

#else

static always size_t swap_fill(const struct ixgbe_queue *q, struct lines to,
	const struct frame *frames, const uint32_t *buffers, uint32_t range, bool one_run)
{
	const uint64_t *iova = q->iova;

	(void)one_run;
	for (size_t i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			const struct frame *frame = &frames[i + k];
			uint32_t offset = buffers[i + k];
			/* Flags lie above the length: any of them makes it too large. */
			uint64_t len = frame->len | (uint32_t)frame->flags << 16;

			if (unlikely(len - TX_MIN > range || frame->offset != offset))
				return i;
			to.buffer[i + k] = offset;
			dma_write(to.words + 2 * k,
				iova[offset >> DMA_CHUNK_SHIFT] + (offset & WITHIN_CHUNK));
			dma_write(to.words + 2 * k + 1,
				len | len << TX_PAYLEN_SHIFT | (TX_WORD | TX_EOP));
		}
	}
	return to.n;
}

static always size_t swap_refill(
	const struct ixgbe_queue *q, struct lines to, const uint32_t *offsets, bool one_run)
{
	const uint64_t *iova = q->iova;

	(void)one_run;
	for (size_t i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			uint32_t offset = offsets[i + k];

			to.buffer[i + k] = offset;
			dma_write(to.words + 2 * k,
				iova[offset >> DMA_CHUNK_SHIFT] + (offset & WITHIN_CHUNK));
			dma_write(to.words + 2 * k + 1, 0);
		}
	}
	return to.n;
}

static always size_t place_take(
	const struct ixgbe_queue *q, struct lines from, struct frame *frames)
{
	uint64_t whole = q->place.whole;

	for (size_t i = 0; i < from.n; i += RING_LINE, from.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			uint64_t word = dma_read(from.words + 2 * k + 1);
			uint32_t len = word & 0xFFFF;

			if (unlikely((word & LEGACY_RX_STATUS) != whole || len - RX_MIN > RX_RANGE))
				return i;
			frames[i + k] =
				(struct frame){.offset = from.buffer[i + k], .len = (uint16_t)len};
		}
	}
	return from.n;
}

static always size_t place_give(struct lines to, const struct frame *frames, uint32_t range)
{
	for (size_t i = 0; i < to.n; i += RING_LINE, to.words += 2 * RING_LINE) {
		UNROLLED
		for (size_t k = 0; k < RING_LINE; k++) {
			const struct frame *frame = &frames[i + k];
			/* Flags lie above the length: any of them makes it too large. */
			uint32_t len = frame->len | (uint32_t)frame->flags << 16;

			if (unlikely(len - TX_MIN > range))
				return i;
			dma_write(to.words + 2 * k + 1, len | LEGACY_TX_WORD);
		}
	}
	return to.n;
}

#endif

#endif
