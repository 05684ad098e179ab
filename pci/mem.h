/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The only lines that touch raw device memory: accessors for BARs (__iomem) and for descriptor
 * rings
 * (__dma). clang's noderef makes a plain dereference of such a pointer an error, so that the lines
 * that may do it can be counted and stay few. Values are little endian, as on the bus.
 */
#ifndef PCI_MEM_H
#define PCI_MEM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __clang__
#define __iomem __attribute__((noderef))
#define __dma   __attribute__((noderef))
#else
#define __iomem
#define __dma
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "descriptors and registers are little endian; byte swapping is not written"
#endif

/* A quadword of a descriptor ring. One access, never torn. (Relaxed atomics: gcc folds the address
 * into them, as it does not into a volatile access.)
 */
typedef uint64_t dma_word;

static inline uint64_t dma_read(const dma_word __dma *word)
{
	return __atomic_load_n((const uint64_t *)(uintptr_t)word, __ATOMIC_RELAXED);
}

static inline void dma_write(dma_word __dma *word, uint64_t value)
{
	__atomic_store_n((uint64_t *)(uintptr_t)word, value, __ATOMIC_RELAXED);
}

/* Brings the cache line nearer; it need not be memory at all. */
static inline void dma_prefetch(const dma_word __dma *word)
{
	__builtin_prefetch((const void *)(uintptr_t)word);
}

static inline uint32_t mmio_read32(const volatile uint8_t __iomem *address)
{
	return *(const volatile uint32_t *)(uintptr_t)address;
}

static inline void mmio_write32(volatile uint8_t __iomem *address, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)address = value;
}

static inline uint16_t mmio_read16(const volatile uint8_t __iomem *address)
{
	return *(const volatile uint16_t *)(uintptr_t)address;
}

static inline void mmio_write16(volatile uint8_t __iomem *address, uint16_t value)
{
	*(volatile uint16_t *)(uintptr_t)address = value;
}

static inline uint8_t mmio_read8(const volatile uint8_t __iomem *address)
{
	return *(const volatile uint8_t *)(uintptr_t)address;
}

static inline void mmio_write8(volatile uint8_t __iomem *address, uint8_t value)
{
	*(volatile uint8_t *)(uintptr_t)address = value;
}

/* Orders earlier reads of DMA memory before later ones: a descriptor's DD before what DD guards. */
static inline void dma_read_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Orders earlier writes to DMA memory before a later register write: descriptors before their tail.
 * On x86 the store of a tail to uncached memory is ordered by the processor; this stops the
 * compiler.
 */
static inline void dma_write_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
