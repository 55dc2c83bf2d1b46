/* SPDX-License-Identifier: MIT */
/*
 * Register access, little-endian types and barriers, all inline.
 *
 * A PCI device is little-endian: the accessors convert, so that a driver sees values in the CPU's
 * order. Each makes one access of exactly its width, in program order with the other accesses to
 * the same device. They check no bounds: the offset must lie inside the region.
 */
#ifndef USERPCI_MMIO_H
#define USERPCI_MMIO_H

#include <stdint.h>

#include <userpci/userpci.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Descriptors and other memory that a device reads are declared with these types: sparse then finds
 * an access that forgets to convert.
 */

#ifdef __CHECKER__
#define USERPCI_BITWISE __attribute__((bitwise))
#define USERPCI_FORCE	__attribute__((force))
#else
#define USERPCI_BITWISE
#define USERPCI_FORCE
#endif

typedef uint16_t USERPCI_BITWISE le16_t;
typedef uint32_t USERPCI_BITWISE le32_t;
typedef uint64_t USERPCI_BITWISE le64_t;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define USERPCI_LE16(x) __builtin_bswap16(x)
#define USERPCI_LE32(x) __builtin_bswap32(x)
#define USERPCI_LE64(x) __builtin_bswap64(x)
#else
#define USERPCI_LE16(x) (x)
#define USERPCI_LE32(x) (x)
#define USERPCI_LE64(x) (x)
#endif
#define USERPCI_LE8(x) (x)

static inline le16_t userpci_cpu_to_le16(uint16_t x)
{
	return (USERPCI_FORCE le16_t)USERPCI_LE16(x);
}

static inline le32_t userpci_cpu_to_le32(uint32_t x)
{
	return (USERPCI_FORCE le32_t)USERPCI_LE32(x);
}

static inline le64_t userpci_cpu_to_le64(uint64_t x)
{
	return (USERPCI_FORCE le64_t)USERPCI_LE64(x);
}

static inline uint16_t userpci_le16_to_cpu(le16_t x)
{
	return USERPCI_LE16((USERPCI_FORCE uint16_t)x);
}

static inline uint32_t userpci_le32_to_cpu(le32_t x)
{
	return USERPCI_LE32((USERPCI_FORCE uint32_t)x);
}

static inline uint64_t userpci_le64_to_cpu(le64_t x)
{
	return USERPCI_LE64((USERPCI_FORCE uint64_t)x);
}

/*
 * Barriers between DMA memory and registers.
 *
 * userpci_wmb: stores to DMA memory before it are seen by the device before a register write, or a
 *              store to DMA memory, behind it. Between filling descriptors and moving the tail.
 * userpci_rmb: loads of DMA memory before it happen before those after it. Between reading a
 *              descriptor's done bit and reading what it describes.
 * userpci_wc_flush: stores to a write-combining map before it leave the CPU before what follows.
 * userpci_mb:  both, and stores before it are seen before loads after it happen.
 *
 * x86 keeps stores in order and loads in order, and an uncached register write behind earlier
 * stores (Intel SDM volume 3, section 8.2): only the compiler must be held. userpci_mb() needs an
 * instruction.
 */
#if defined(__x86_64__) || defined(__i386__)
#define userpci_wc_flush() __asm__ volatile("sfence" ::: "memory")
#define userpci_wmb()	   __asm__ volatile("" ::: "memory")
#define userpci_rmb()	   __asm__ volatile("" ::: "memory")
#define userpci_mb()	   __atomic_thread_fence(__ATOMIC_SEQ_CST)
#elif defined(__aarch64__)
#define userpci_wc_flush() __asm__ volatile("dsb st" ::: "memory")
#define userpci_wmb()	   __asm__ volatile("dmb oshst" ::: "memory")
#define userpci_rmb()	   __asm__ volatile("dmb oshld" ::: "memory")
#define userpci_mb()	   __asm__ volatile("dmb osh" ::: "memory")
#else
#define userpci_wc_flush() __sync_synchronize()
#define userpci_wmb()	   __sync_synchronize()
#define userpci_rmb()	   __sync_synchronize()
#define userpci_mb()	   __sync_synchronize()
#endif

#define USERPCI_ACCESSORS(bits, bytes)                                                       \
	static inline uint##bits##_t userpci_read##bits(const struct userpci_region *region, \
							uint64_t offset)                     \
	{                                                                                    \
		const volatile uint##bits##_t *p;                                            \
                                                                                             \
		if (__builtin_expect(!region->va, 0))                                        \
			return (uint##bits##_t)userpci_region_read(region, offset, bytes);   \
		p = (const volatile uint##bits##_t *)((const char *)region->va + offset);    \
		return (uint##bits##_t)USERPCI_LE##bits(*p);                                 \
	}                                                                                    \
                                                                                             \
	static inline void userpci_write##bits(const struct userpci_region *region,          \
					       uint64_t offset, uint##bits##_t value)        \
	{                                                                                    \
		volatile uint##bits##_t *p;                                                  \
                                                                                             \
		if (__builtin_expect(!region->va, 0)) {                                      \
			userpci_region_write(region, offset, bytes, value);                  \
			return;                                                              \
		}                                                                            \
		p = (volatile uint##bits##_t *)((char *)region->va + offset);                \
		*p = (uint##bits##_t)USERPCI_LE##bits(value);                                \
	}

/* userpci_read8(region, offset), userpci_write8(region, offset, value), and so on to 64. */
USERPCI_ACCESSORS(8, 1)
USERPCI_ACCESSORS(16, 2)
USERPCI_ACCESSORS(32, 4)
#if UINTPTR_MAX > 0xffffffff
USERPCI_ACCESSORS(64, 8)
#else
/* A 32-bit program has no access of 64 bits: it makes two, the low half first. */
static inline uint64_t userpci_read64(const struct userpci_region *region, uint64_t offset)
{
	uint64_t low = userpci_read32(region, offset);

	return low | (uint64_t)userpci_read32(region, offset + 4) << 32;
}

static inline void userpci_write64(const struct userpci_region *region, uint64_t offset,
				   uint64_t value)
{
	userpci_write32(region, offset, (uint32_t)value);
	userpci_write32(region, offset + 4, (uint32_t)(value >> 32));
}
#endif
#undef USERPCI_ACCESSORS

#ifdef __cplusplus
}
#endif

#endif
