/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * The contract between userpci.ko and user space.
 *
 * Lifecycle
 *   bind     A function comes to the driver by driver_override only. Its device node appears as
 *            /dev/userpci/DDDD:BB:DD.F (domain, bus, device, function in hex).
 *   open     O_RDWR makes the caller the owner; there is one, a second open gets EBUSY. Where no
 *            IOMMU translates the function's DMA the owner can reach all memory through it, and
 *            where a neighbour in its IOMMU group has another driver, that one's buffers: the
 *            open then needs CAP_SYS_RAWIO, is refused under lockdown and taints the kernel.
 *            O_RDONLY makes an observer: as many as wish; they query, read configuration space,
 *            wait for interrupts and map read-only. O_WRONLY is EACCES.
 *   query    USERPCI_GET_INFO, USERPCI_GET_REGION.
 *   map      mmap(fd, offset): `offset` is opaque, from USERPCI_GET_REGION, USERPCI_DMA_ALLOC or
 *            USERPCI_GET_INFO; a map may begin and end at any page inside what it selects, and is
 *            unmapped whole. EINVAL: not inside anything, or not MAP_SHARED; EACCES: an observer
 *            asks for PROT_WRITE, or anybody for the MSI-X table's pages or the statistics; the
 *            table's pages write-combining; EBUSY: the same registers are mapped with the other
 *            memory type (uncached, write-combining).
 *   irq      USERPCI_IRQ_ENABLE, then an eventfd a vector with USERPCI_IRQ_EVENTFD; or read() of 4
 *            bytes: it blocks until interrupts came and gives their running count; poll() works.
 *   events   USERPCI_IRQ_EVENTFD with USERPCI_EVENTS: an eventfd for what happens to the device;
 *            the records are in the statistics, struct userpci_uapi_stats.
 *   close    The last close of the owner, however it comes (exit, SIGKILL), in this order:
 *            interrupts off, bus mastering off, function reset where it has one, then DMA memory
 *            freed. Maps hold their file open (but not those of SHARED buffers, which are maps of
 *            their own file): a fork child's map keeps the owner's alive. A
 *            function without a reset may remember what it was told to write: its buffers stay
 *            with it, and the next owner gets them; unbinding it frees them.
 *   unbind   Maps of registers are revoked at once: they then read all ones, and what is written
 *            reaches no device, but a page that only maps of this open file see; a DMA buffer keeps
 *            its contents until its last map is gone; calls give ENODEV, poll() gives POLLHUP |
 *            POLLERR.
 *   fork     A child has its parent's maps, registers too, and shares its descriptor.
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
	__u64 stats_offset;  /* of the statistics, for mmap */
	__u32 stats_bytes;   /* in whole pages */
	__u32 reserved;
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
 * USERPCI_DMA_ALLOC - a zeroed buffer that the device reaches, below the mask. Owner.
 * The size is rounded up to pages and `bytes` says the outcome. Kinds:
 *   CONTIGUOUS  one piece at one iova.
 *   CHUNKED     consecutive in a map, for the device in pieces as large as there are.
 *   SHARED      pages of a shared memory file: futexes, O_DIRECT and vmsplice work on a map of it.
 *   PINNED      the caller's own memory at `address` (both in whole pages), held in place until it
 *               is freed; not mapped again by this driver. It may be his map of a DMA buffer, of
 *               this function or another: so several share one.
 * Behind an IOMMU that translates each has one iova. USERPCI_DMA_GET tells the pieces.
 *
 * EINVAL: bytes == 0, kind, an address with another kind than PINNED, a name without an end;
 * ENOMEM: no such memory below the mask (one piece is at most 4 MiB on most kernels), less than a
 * sixteenth of all memory would stay available, or more pinned than RLIMIT_MEMLOCK allows;
 * EOPNOTSUPP: the device reaches it only through a bounce buffer, or not at all (PINNED); EFAULT:
 * PINNED, not memory that the caller may write; EDQUOT: module parameter dma_limit_mb; EEXIST: a
 * buffer has that name; ENOSPC: 1024 buffers exist, those kept of former owners included.
 *
 * USERPCI_DMA_FREE - gives the buffer `handle` back. The device must no longer use it. Its iova is
 * gone at once, its pages when the last map of it goes. Owner. ENOENT: no such handle.
 */
#define USERPCI_DMA_ALLOC      _IO(USERPCI_IOC_TYPE, 6)
#define USERPCI_DMA_FREE       _IO(USERPCI_IOC_TYPE, 7)

#define USERPCI_DMA_CONTIGUOUS 0
#define USERPCI_DMA_CHUNKED    1
#define USERPCI_DMA_SHARED     2
#define USERPCI_DMA_PINNED     3

#define USERPCI_NAME_BYTES     32

struct userpci_uapi_dma {
	__u32 size;
	__u32 kind;   /* in: USERPCI_DMA_* */
	__u64 bytes;  /* in and out */
	__u64 iova;   /* out: the device's address of the first byte */
	__u64 offset; /* out: for mmap; 0: PINNED */
	__u32 handle; /* out; in for USERPCI_DMA_FREE */
	__u32 reserved;
	__u64 address;		       /* in: PINNED */
	char name[USERPCI_NAME_BYTES]; /* in: with a 0 at its end; empty: none */
	__u32 chunks;		       /* out: pieces */
	__u32 reserved2;
};

/*
 * USERPCI_DMA_GET - finds a buffer, and tells one of its pieces. Observer.
 * By `handle`; with USERPCI_DMA_NEXT the first whose handle is not below it (to list them all: 0,
 * then one more than what was found); with USERPCI_DMA_NAMED by `name`.
 * EINVAL: flags; ENOENT: there is none (any more); ERANGE: chunk.
 */
#define USERPCI_DMA_GET	  _IO(USERPCI_IOC_TYPE, 14)

#define USERPCI_DMA_NEXT  (1u << 0)
#define USERPCI_DMA_NAMED (1u << 1)

struct userpci_uapi_dma_get {
	__u32 size;
	__u32 flags;	  /* in: USERPCI_DMA_NEXT or _NAMED */
	__u32 handle;	  /* in and out */
	__u32 kind;	  /* out: USERPCI_DMA_* */
	__u64 bytes;	  /* out: of the buffer */
	__u64 offset;	  /* out: for mmap; 0: PINNED */
	__u32 references; /* out: 1 and one for each map */
	__u32 chunks;	  /* out: pieces */
	__u32 chunk;	  /* in: the piece to tell, below `chunks` */
	__u32 reserved;
	__u64 chunk_offset;	       /* out: of the piece in the buffer */
	__u64 chunk_bytes;	       /* out */
	__u64 chunk_iova;	       /* out */
	char name[USERPCI_NAME_BYTES]; /* in with USERPCI_DMA_NAMED; out */
};

/*
 * USERPCI_IRQ_ENABLE - vectors 0..count-1 of one kind; count 0 gives all back. Owner.
 * What was enabled before is given back first, its eventfds too.
 * EINVAL: kind, flags, or count with USERPCI_IRQ_INTX is not 1; ENOSPC: fewer than count are there.
 * INTx arrives masked after each interrupt: USERPCI_IRQ_MASK with masked = 0 lets the next one in;
 * or, with USERPCI_IRQ_READ_UNMASKS, the owner's next read() does, when all before was told.
 */
#define USERPCI_IRQ_ENABLE	 _IO(USERPCI_IOC_TYPE, 8)

#define USERPCI_IRQ_INTX	 0
#define USERPCI_IRQ_MSI		 1
#define USERPCI_IRQ_MSIX	 2

#define USERPCI_IRQ_READ_UNMASKS (1u << 0) /* INTX only */

struct userpci_uapi_irq {
	__u32 size;
	__u32 kind; /* USERPCI_IRQ_INTX, _MSI, _MSIX */
	__u32 count;
	__u32 flags; /* USERPCI_IRQ_READ_UNMASKS */
};

/*
 * USERPCI_IRQ_EVENTFD - the eventfd that a vector adds 1 to; fd -1 takes it away. Other vectors go
 * on. Interrupts that came while it had none add 1 to the next. As vector, USERPCI_EVENTS is the
 * eventfd for the device's events. Owner.
 * EINVAL: vector not enabled, or not an eventfd; EBADF: not a descriptor.
 */
#define USERPCI_IRQ_EVENTFD _IO(USERPCI_IOC_TYPE, 9)

#define USERPCI_EVENTS	    0xffffffffu

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
 * USERPCI_IRQ_LIMIT - the storm guard: a vector on which more than `per_second` interrupts arrive
 * within a second is masked, and USERPCI_EVENT_STORM says so. 0 (after USERPCI_IRQ_ENABLE): no
 * limit. INTx needs none: it is masked with each interrupt. Owner. EINVAL: vector not enabled.
 */
#define USERPCI_IRQ_LIMIT _IO(USERPCI_IOC_TYPE, 15)

struct userpci_uapi_irq_limit {
	__u32 size;
	__u32 vector;
	__u32 per_second;
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

/*
 * USERPCI_GET_MAP - what a map of the caller's really is. Observer.
 * ENOENT: `address` is not in a map of this device (SHARED buffers are maps of their file).
 */
#define USERPCI_GET_MAP	  _IO(USERPCI_IOC_TYPE, 16)

#define USERPCI_MAP_WC	  (1u << 0) /* registers, write-combining: obtained, not only asked for */
#define USERPCI_MAP_HUGE  (1u << 1) /* registers, in large pages at least in part, as touched */
#define USERPCI_MAP_DMA	  (1u << 2) /* a DMA buffer */
#define USERPCI_MAP_STATS (1u << 3) /* the statistics */

struct userpci_uapi_map {
	__u32 size;
	__u32 flags;   /* out: USERPCI_MAP_* */
	__u64 address; /* in: any address in the map; out: its first */
	__u64 bytes;   /* out */
	__u64 offset;  /* out: as given to mmap */
};

/*
 * The statistics: pages that the kernel writes and everybody may map, read-only. They need no call
 * to be read, and stay when the device is gone.
 *
 * An event is read so: wait for the eventfd; for each number n from the last one seen to
 * `num_events` (load with acquire) read events[n % USERPCI_NUM_EVENTS]; if `num_events` is then
 * beyond n + USERPCI_NUM_EVENTS - 1 the record may have been overwritten meanwhile.
 */
#define USERPCI_NUM_EVENTS    64

#define USERPCI_EVENT_REMOVE  1 /* about to be removed: close; see parameter remove_grace_ms */
#define USERPCI_EVENT_GONE    2 /* removed, or unbound; always the last */
#define USERPCI_EVENT_ERROR   3 /* PCI error; value 1: I/O goes on, 2: blocked, 3: for good */
#define USERPCI_EVENT_RESET   4 /* the function was reset, by whomever */
#define USERPCI_EVENT_SUSPEND 5 /* the system goes to sleep; bus mastering is off */
#define USERPCI_EVENT_RESUME  6 /* back: program the function anew */
#define USERPCI_EVENT_STORM   7 /* the storm guard has masked vector `value` */

struct userpci_uapi_event {
	__u32 type; /* USERPCI_EVENT_* */
	__u32 value;
	__u64 time_ns; /* CLOCK_MONOTONIC */
};

#define USERPCI_STATE_GONE   (1u << 0)
#define USERPCI_STATE_OWNED  (1u << 1)
#define USERPCI_STATE_ASLEEP (1u << 2) /* between USERPCI_EVENT_SUSPEND and _RESUME */

struct userpci_uapi_vector {
	__u64 interrupts; /* since bind */
	__u32 storms;	  /* times that the storm guard masked it, since bind */
	__u32 reserved;
};

struct userpci_uapi_stats {
	__u32 size;	      /* of this structure */
	__u32 state;	      /* USERPCI_STATE_* */
	__s32 owner;	      /* process that opened it, in the first PID namespace; 0: none */
	__u32 irq_kind;	      /* USERPCI_IRQ_*, if irq_count is not 0 */
	__u32 irq_count;      /* enabled vectors */
	__u32 maps;	      /* of BARs, DMA buffers and statistics; not of SHARED buffers */
	__u64 dma_bytes;      /* of all buffers */
	__u32 vectors_offset; /* of struct userpci_uapi_vector[], from the start */
	__u32 num_vectors;    /* entries there */
	__u32 reserved;
	__u32 num_events; /* written since bind */
	struct userpci_uapi_event events[USERPCI_NUM_EVENTS];
};

#endif
