/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * The contract between userpci.ko and user space.
 *
 * Lifecycle
 *   bind     A function comes to the driver by driver_override only. Its device node appears as
 *            /dev/userpci/DDDD:BB:DD.F (domain, bus, device, function in hex).
 *   open     O_RDWR makes the caller the owner; there is one, a second open gets EBUSY. Where no
 *            IOMMU translates the function's DMA the owner can reach all memory through it: the
 *            open then needs CAP_SYS_RAWIO, is refused under lockdown and taints the kernel.
 *            O_RDONLY makes an observer: as many as wish; they query, read configuration space,
 *            wait for interrupts and map read-only. O_WRONLY is EACCES.
 *   query    USERPCI_GET_INFO, USERPCI_GET_REGION.
 *   map      mmap(fd, offset): `offset` is opaque, from USERPCI_GET_REGION or USERPCI_DMA_ALLOC;
 *            a map may begin and end at any page inside the region, and is unmapped whole.
 *            EINVAL: not inside a region, or not MAP_SHARED; EACCES: an observer asks for
 *            PROT_WRITE, or anybody for the MSI-X table's pages; EBUSY: the same registers are
 * mapped with the other memory type (uncached, write-combining) already. irq USERPCI_IRQ_ENABLE,
 * then an eventfd a vector with USERPCI_IRQ_EVENTFD; or read() of 4 bytes: it blocks until
 * interrupts came and gives their running count; poll() works. close    The last close of the
 * owner, however it comes (exit, SIGKILL), in this order: interrupts off, bus mastering off,
 * function reset where it has one, then DMA memory freed. Maps hold their file open: a fork child's
 * map keeps the owner's alive. A function without a reset may remember what it was told to write:
 * its buffers stay with it, and the next owner gets them; unbinding it frees them. unbind   Maps
 * are revoked at once: a BAR then reads all ones and takes writes nowhere, a DMA buffer keeps its
 * contents until its last map is gone; calls give ENODEV, poll() gives POLLHUP | POLLERR.
 *
 * Every structure begins with `size`, set by the caller to the structure's size as it knows it. A
 * later kernel that knows a longer one treats the missing tail as zero; a longer one of a later
 * caller is E2BIG unless its tail is zero. Reserved fields and unknown flags must be zero: EINVAL.
 *
 * Errors of every call: EFAULT (bad pointer), E2BIG and EINVAL (`size`), ENODEV (the device is
 * gone), ENOTTY (no such command), EACCES (an observer called what is the owner's).
 */
#ifndef USERPCI_UAPI_H
#define USERPCI_UAPI_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define USERPCI_API_VERSION 1
#define USERPCI_NUM_BARS    6

#define USERPCI_IOC_TYPE    0xBC

/*
 * USERPCI_GET_INFO - what the function is and offers. Observer.
 */
#define USERPCI_GET_INFO   _IO(USERPCI_IOC_TYPE, 0)

#define USERPCI_INFO_IOMMU (1u << 0) /* an IOMMU translates: DMA reaches own buffers only */
#define USERPCI_INFO_RESET (1u << 1) /* USERPCI_RESET works on this function */

struct userpci_uapi_info {
	__u32 size;
	__u32 api_version; /* USERPCI_API_VERSION of the module */
	__u32 flags;	   /* USERPCI_INFO_* */
	__u16 vendor_id;
	__u16 device_id;
	__u16 subsystem_vendor_id;
	__u16 subsystem_id;
	__u32 class_code;    /* 24 bits: class, subclass, programming interface */
	__u32 num_regions;   /* region indices are below this */
	__u32 num_intx;	     /* 0 or 1 */
	__u32 num_msi;	     /* vectors the function can be given, 0 without the capability */
	__u32 num_msix;	     /* likewise */
	__u32 dma_mask_bits; /* addresses of DMA buffers fit in so many bits */
	__s32 numa_node;     /* -1: not known */
};

/*
 * USERPCI_GET_REGION - one BAR. Observer.
 * EINVAL: `index` is not below num_regions. A BAR that is absent, or the upper half of a 64-bit
 * one, has bytes == 0 and flags == 0.
 */
#define USERPCI_GET_REGION	_IO(USERPCI_IOC_TYPE, 1)

#define USERPCI_REGION_MMAP	(1u << 0) /* mmap at `offset` works */
#define USERPCI_REGION_CALLS	(1u << 1) /* USERPCI_REGION_READ and _WRITE work */
#define USERPCI_REGION_IO	(1u << 2) /* I/O space */
#define USERPCI_REGION_64	(1u << 3) /* a 64-bit BAR: index + 1 is its upper half */
#define USERPCI_REGION_PREFETCH (1u << 4) /* prefetchable */
#define USERPCI_REGION_MSIX	(1u << 5) /* holds the MSI-X table: see table_offset */
#define USERPCI_REGION_WC	(1u << 6) /* maps at `wc_offset` are write-combining */

struct userpci_uapi_region {
	__u32 size;
	__u32 index;	    /* in */
	__u32 flags;	    /* USERPCI_REGION_* */
	__u32 table_bytes;  /* of the pages that hold the MSI-X table, which map read-only */
	__u64 offset;	    /* for mmap; 0 without USERPCI_REGION_MMAP */
	__u64 bytes;	    /* size of the BAR */
	__u64 table_offset; /* of these pages in the BAR */
	__u64 wc_offset;    /* for mmap; 0 without USERPCI_REGION_WC */
};

/*
 * USERPCI_REGION_READ, USERPCI_REGION_WRITE - one access of exactly `width` bytes (1, 2, 4; 8 for
 * memory), naturally aligned, for regions with USERPCI_REGION_CALLS (I/O BARs; memory BARs that
 * share a page with other registers). Owner: a read may have effects in the device. EINVAL: index,
 * width or alignment; ERANGE: not inside the BAR; EOPNOTSUPP: no USERPCI_REGION_CALLS.
 */
#define USERPCI_REGION_READ  _IO(USERPCI_IOC_TYPE, 2)
#define USERPCI_REGION_WRITE _IO(USERPCI_IOC_TYPE, 3)

struct userpci_uapi_access {
	__u32 size;
	__u32 index;
	__u64 offset; /* bytes from the start of the BAR */
	__u32 width;
	__u32 reserved;
	__u64 value; /* in the CPU's byte order; devices are little-endian */
};

/*
 * USERPCI_CONFIG_READ - configuration space, 1, 2 or 4 bytes, naturally aligned. Observer.
 * EINVAL: width or alignment; ERANGE: beyond the function's configuration space (256 or 4096
 * bytes).
 */
#define USERPCI_CONFIG_READ _IO(USERPCI_IOC_TYPE, 4)

struct userpci_uapi_config {
	__u32 size;
	__u32 offset;
	__u32 width;
	__u32 value; /* out */
};

/*
 * USERPCI_DMA_SET_MASK - how many address bits the device drives; 32 after open. Owner.
 * EINVAL: bits not in 24..64; EIO: the platform cannot serve it; EBUSY: DMA buffers exist.
 */
#define USERPCI_DMA_SET_MASK _IO(USERPCI_IOC_TYPE, 5)

struct userpci_uapi_dma_mask {
	__u32 size;
	__u32 bits;
};

/*
 * USERPCI_DMA_ALLOC - one contiguous, zeroed buffer, at one iova below the mask. Owner.
 * The size is rounded up to pages and `bytes` says the outcome.
 * EINVAL: bytes == 0 or flags; ENOMEM: no such contiguous piece below the mask (the buddy
 * allocator's limit is 4 MiB on most kernels); EOPNOTSUPP: only through a bounce buffer; EDQUOT:
 * module parameter dma_limit_mb; ENOSPC: 1024 buffers exist, those kept of former owners included.
 *
 * USERPCI_DMA_FREE - gives a buffer back. The device must no longer use it. Its iova is gone at
 * once, its pages when the last map of it goes. Owner. ENOENT: no such handle.
 */
#define USERPCI_DMA_ALLOC _IO(USERPCI_IOC_TYPE, 6)
#define USERPCI_DMA_FREE  _IO(USERPCI_IOC_TYPE, 7)

struct userpci_uapi_dma {
	__u32 size;
	__u32 flags;  /* in: 0 */
	__u64 bytes;  /* in and out */
	__u64 iova;   /* out: the device's address of the first byte */
	__u64 offset; /* out: for mmap */
	__u32 handle; /* out; in for USERPCI_DMA_FREE */
	__u32 reserved;
};

/*
 * USERPCI_IRQ_ENABLE - vectors 0..count-1 of one kind; count 0 gives all back. Owner.
 * What was enabled before is given back first, its eventfds too.
 * EINVAL: kind, or count with USERPCI_IRQ_INTX is not 1; ENOSPC: fewer than count are there.
 * INTx arrives masked after each interrupt: USERPCI_IRQ_MASK with masked = 0 lets the next one in.
 */
#define USERPCI_IRQ_ENABLE _IO(USERPCI_IOC_TYPE, 8)

#define USERPCI_IRQ_INTX   0
#define USERPCI_IRQ_MSI	   1
#define USERPCI_IRQ_MSIX   2

struct userpci_uapi_irq {
	__u32 size;
	__u32 kind; /* USERPCI_IRQ_INTX, _MSI, _MSIX */
	__u32 count;
	__u32 reserved;
};

/*
 * USERPCI_IRQ_EVENTFD - the eventfd that a vector adds 1 to; fd -1 takes it away. Owner.
 * EINVAL: vector not enabled, or not an eventfd; EBADF: not a descriptor.
 */
#define USERPCI_IRQ_EVENTFD _IO(USERPCI_IOC_TYPE, 9)

struct userpci_uapi_irq_eventfd {
	__u32 size;
	__u32 vector;
	__s32 fd;
	__u32 reserved;
};

/*
 * USERPCI_IRQ_MASK - masks (1) or unmasks (0) a vector. Owner. EINVAL: vector not enabled, masked
 * above 1. write() of a 4-byte 1 or 0 to the descriptor unmasks or masks all vectors, as UIO's
 * irqcontrol does.
 */
#define USERPCI_IRQ_MASK _IO(USERPCI_IOC_TYPE, 10)

struct userpci_uapi_irq_mask {
	__u32 size;
	__u32 vector;
	__u32 masked;
	__u32 reserved;
};

/*
 * USERPCI_BUS_MASTER - lets the function start transactions (DMA, MSI), or forbids it. Owner.
 * Off after open and after a reset.
 */
#define USERPCI_BUS_MASTER _IO(USERPCI_IOC_TYPE, 11)

struct userpci_uapi_bus_master {
	__u32 size;
	__u32 enable; /* 0 or 1 */
};

/*
 * USERPCI_RESET - FLR, or the best that the kernel knows for this function. Owner.
 * Bus mastering is off afterwards; BARs, interrupts and DMA buffers stay.
 * EOPNOTSUPP: the function has no reset of its own (see USERPCI_INFO_RESET).
 */
#define USERPCI_RESET _IO(USERPCI_IOC_TYPE, 12)

struct userpci_uapi_reset {
	__u32 size;
	__u32 flags; /* 0 */
};

/*
 * USERPCI_CONFIG_WRITE - as USERPCI_CONFIG_READ, with the value to write. Owner.
 * EPERM: what is written there decides where the function's registers are, where its interrupts go,
 * whether it has power, or whom it reaches: of the header all but Status, Cache Line Size and
 * Latency Timer; the capabilities PM, MSI, MSI-X, EA, AF, ACS, ATS, PRI, PASID, Resizable BAR,
 * SR-IOV; and the bit that starts a function level reset.
 */
#define USERPCI_CONFIG_WRITE _IO(USERPCI_IOC_TYPE, 13)

#endif
