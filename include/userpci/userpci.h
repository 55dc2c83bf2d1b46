/* SPDX-License-Identifier: MIT */
/*
 * libuserpci: a PCI function driven from a process.
 *
 * A driver opens a function by its address, maps its regions, allocates DMA buffers, enables
 * interrupts, and sets bus mastering; register access is in <userpci/mmio.h>. No call knows by
 * which backend the function is reached.
 *
 * Every call that can fail returns 0 or -errno and writes its results on success only. The library
 * never prints and never exits. Besides the errors that a call names, each can give -ENODEV: the
 * device is gone (unplugged or unbound).
 *
 * Threads: register access, userpci_dma_iova(), reading the statistics, and userpci_irq_wait() on
 * different vectors may run in any number of threads, and userpci_event_wait() in one beside them,
 * when userpci_event_fd() has returned. All other calls on one device take turns, by the caller's
 * care.
 *
 * Modules: a call that the loaded module is too old for gives -EOPNOTSUPP; all others work with it.
 * So does one that another backend than the module cannot serve: doc/backends.md has the list.
 */
#ifndef USERPCI_USERPCI_H
#define USERPCI_USERPCI_H

#include <stddef.h>
#include <stdint.h>

#include <userpci/uapi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USERPCI_VERSION_MAJOR 0
#define USERPCI_VERSION_MINOR 1
#define USERPCI_VERSION_PATCH 0

struct userpci_device;

/* The library's version as "major.minor.patch". */
const char *userpci_version(void);

/* ---- Device ---- */

#define USERPCI_OPEN_OBSERVE (1u << 0) /* look only: maps are read-only, nothing can be changed */

/**
 * userpci_open - opens a PCI function.
 * @address: "DDDD:BB:DD.F", or "BB:DD.F" in domain 0, as lspci prints it: the driver that has the
 * function says by which backend it is reached. "stub:", "vfio:" or "uio:" before it: by this one.
 * "qemu:DEVICE": a device of a private QEMU, described as for its option -device.
 * @flags: 0 to own the function, or USERPCI_OPEN_OBSERVE.
 * @device: receives the device; the caller gives it back with userpci_close().
 *
 * Bus mastering is off, no interrupt is enabled, and the DMA mask is 32 bits.
 *
 * -EINVAL: @address or @flags; -ENODEV: no such function; -ENXIO: it is not bound to userpci,
 * or to the driver of the backend asked for; -ENOENT: that module is not loaded; -EBUSY: another
 * process owns it; -EACCES, -EPERM: no permission; -EPROTO: module and library do not fit together;
 * -EOPNOTSUPP: the backend has no observers, or cannot serve the function on this machine;
 * -EADDRINUSE: vfio, another function of its IOMMU group is the kernel's; -ENOMEM.
 * userpci_explain() turns each into a sentence.
 */
int userpci_open(const char *address, unsigned int flags, struct userpci_device **device);

/**
 * userpci_close - gives the function back: interrupts off, bus mastering off, reset, DMA memory
 * freed.
 * @device: from userpci_open(), or NULL.
 *
 * Regions and DMA buffers of the device that are still mapped are unmapped.
 */
void userpci_close(struct userpci_device *device);

/**
 * userpci_explain - one line that says why userpci_open() failed and what to do.
 * @address: as given to userpci_open().
 * @error: what it returned (negative).
 * @text: receives the line, without a newline, always terminated.
 * @size: of @text in bytes; 256 is enough.
 *
 * Returns @text.
 */
const char *userpci_explain(const char *address, int error, char *text, size_t size);

struct userpci_info {
	char address[16];    /* "DDDD:BB:DD.F", completed */
	const char *backend; /* "stub", "vfio", "uio", "qemu"... */
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_id;
	uint32_t class_code;  /* 24 bits: class, subclass, programming interface */
	uint32_t flags;	      /* USERPCI_INFO_* of <userpci/uapi.h> */
	uint32_t num_regions; /* region indices are below this */
	uint32_t num_intx;    /* vectors that can be enabled, of each kind */
	uint32_t num_msi;
	uint32_t num_msix;
	int32_t numa_node; /* -1: not known */
};

/**
 * userpci_wire_fd - the other end of a network device's cable, where QEMU is the hardware.
 *
 * An AF_UNIX datagram socket: send() puts a frame on the wire, recv() takes one that the device has
 * sent, without the frame check sequence. It stays the library's, valid until userpci_close().
 * -EOPNOTSUPP: not opened as "qemu:...", no network device, or one that was given a netdev.
 */
int userpci_wire_fd(const struct userpci_device *device);

/* What the function is. Never NULL; valid until userpci_close(). */
const struct userpci_info *userpci_info(const struct userpci_device *device);

/**
 * userpci_reset - resets the function (FLR, or the best that is known for it).
 *
 * Bus mastering is off afterwards; maps, interrupts and DMA buffers stay. No register may be
 * accessed while the call runs. -EOPNOTSUPP: the function has no reset of its own; -EACCES: an
 * observer.
 */
int userpci_reset(struct userpci_device *device);

/**
 * userpci_bus_master_enable - lets the function start transactions: DMA, and MSI and MSI-X
 * messages. userpci_bus_master_disable - forbids it.
 *
 * -EACCES: an observer.
 */
int userpci_bus_master_enable(struct userpci_device *device);
int userpci_bus_master_disable(struct userpci_device *device);

/* ---- Regions (BARs) ---- */

/* A mapped BAR. The fields are for reading; <userpci/mmio.h> accesses the registers. */
struct userpci_region {
	void *va;      /* where it is mapped; NULL: each access goes through the backend */
	uint64_t size; /* bytes */
	uint32_t index;
	uint32_t flags; /* USERPCI_REGION_* of <userpci/uapi.h>; _WC: this map is write-combining,
			   as the kernel says of it, not only as asked for */
	struct userpci_device *device;
};

/**
 * userpci_region_map - makes a BAR's registers accessible.
 * @index: 0 to 5, the BAR's number.
 * @region: receives the map; the caller keeps the structure and gives it back with
 * userpci_region_unmap().
 *
 * An I/O BAR, and a BAR that shares its page with other registers, has @va NULL: the accessors work
 * on it all the same. The pages that hold the MSI-X table are mapped read-only.
 *
 * -EINVAL: @index; -ENOENT: the function has no such BAR; -EBUSY: it is mapped write-combining;
 * -ENOMEM; -EOPNOTSUPP: it can be reached in no way.
 */
int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region);
void userpci_region_unmap(struct userpci_region *region);

/**
 * userpci_region_map_wc - the same, write-combining: the CPU gathers stores into bursts.
 *
 * For memory of the device, frame buffers and doorbells that take whole descriptors: never for
 * registers where each access has an effect. Reads are slow. userpci_wc_flush() of <userpci/mmio.h>
 * sends what is gathered. @region->flags says what was obtained: USERPCI_REGION_WC is set, or the
 * machine has no such maps and this one is uncached.
 *
 * Besides the errors of userpci_region_map(): -EBUSY: the region is mapped uncached already (the
 * two types exclude each other, page by page).
 */
int userpci_region_map_wc(struct userpci_device *device, unsigned int index,
			  struct userpci_region *region);

/**
 * userpci_region_huge - whether large pages (2 MiB on x86) map a region, at least in part, now.
 *
 * They are entered as the registers are touched, in uncached maps of at least that size; on Linux
 * 6.12 if /sys/kernel/mm/transparent_hugepage/enabled is not "never". They save misses of the TLB,
 * and most of what it costs to map and unmap a large BAR.
 *
 * Returns 1 or 0, or: -EINVAL: the region has no va; -EOPNOTSUPP: the module is too old to tell.
 */
int userpci_region_huge(const struct userpci_region *region);

/*
 * One access of exactly @width bytes (1, 2, 4, 8), checked, in the CPU's byte order. Drivers use
 * the accessors of <userpci/mmio.h>, which come here where a region has no va. A read that fails
 * (outside of the region, device gone) gives all ones, a write that fails is lost: as on the bus.
 */
uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width);
void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value);

/**
 * userpci_region_read_block - copies memory of the device: a frame buffer, its packet or message
 * memory.
 * userpci_region_write_block - the same to the device.
 * @offset: bytes; any.
 * @data: receives the bytes, or has them, in the order of the device's memory.
 * @size: bytes; any.
 *
 * In ascending order, in accesses as wide as they are aligned, or, where a region has no va, in
 * larger ones: never for registers where each access has an effect. A write-combining map may hold
 * the end back until userpci_wc_flush().
 *
 * -ERANGE: not inside the region; -EINVAL: I/O space, which is no memory, or @region is not mapped.
 */
int userpci_region_read_block(const struct userpci_region *region, uint64_t offset, void *data,
			      size_t size);
int userpci_region_write_block(const struct userpci_region *region, uint64_t offset,
			       const void *data, size_t size);

/* ---- DMA memory ---- */

/* A piece of a buffer: its bytes from @offset on are consecutive for the device, too. */
struct userpci_dma_chunk {
	uint64_t offset; /* in the buffer */
	uint64_t iova;	 /* the device's address of that byte */
	uint64_t size;	 /* bytes; whole pages */
};

/* A buffer that the CPU and the device share, coherent. The fields are for reading. */
struct userpci_dma {
	void *va;
	uint64_t iova; /* the device's address of the first byte; of others: userpci_dma_iova() */
	uint64_t size; /* bytes; a multiple of the page size */
	uint64_t handle;
	struct userpci_device *device;
	uint32_t kind;				/* USERPCI_DMA_* of <userpci/uapi.h> */
	uint32_t chunks;			/* pieces, at least 1 */
	uint32_t attached;			/* 1: from userpci_dma_attach() */
	const struct userpci_dma_chunk *pieces; /* the library's; NULL: there is one */
};

/**
 * userpci_dma_set_mask - says how many address bits the device drives. 32 after open.
 * @bits: 24 to 64.
 *
 * -EINVAL: @bits; -EBUSY: DMA buffers exist; -EIO: the platform cannot serve it; -EACCES: an
 * observer.
 */
int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits);

/**
 * userpci_dma_alloc - allocates a contiguous, zeroed buffer within the DMA mask.
 * @size: bytes; rounded up to pages.
 * @dma: receives the buffer; the caller keeps the structure and gives it back with
 * userpci_dma_free(), when the device no longer uses it.
 *
 * -EINVAL: @size is 0; -ENOMEM: no such contiguous piece below the mask (more than 4 MiB at once is
 * beyond most kernels); -EOPNOTSUPP: the device reaches memory through bounce buffers only;
 * -EDQUOT: the module's limit; -ENOSPC: too many buffers; -EACCES: an observer.
 */
int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma);

struct userpci_dma_options {
	uint32_t kind;	  /* USERPCI_DMA_*; 0 is _CONTIGUOUS */
	uint64_t size;	  /* bytes; rounded up to pages, but whole pages for _PINNED */
	const char *name; /* for userpci_dma_attach(), at most 31 bytes; NULL or "": none */
	void *address;	  /* _PINNED: the caller's memory, page aligned; else NULL */
};

/**
 * userpci_dma_create - allocates a buffer of any kind, with a name if other processes shall find
 * it.
 * @options: what is wanted; read during the call only.
 * @dma: receives the buffer; the caller keeps the structure and gives it back with
 * userpci_dma_free(), when the device no longer uses it.
 *
 * USERPCI_DMA_CONTIGUOUS: one piece at one iova, as from userpci_dma_alloc().
 * USERPCI_DMA_CHUNKED: of any size; consecutive in the map, in pieces for the device.
 * USERPCI_DMA_SHARED: in pages of a shared memory file: futexes, O_DIRECT and vmsplice work on it.
 * USERPCI_DMA_PINNED: the caller's own memory at @address, held in place until it is freed. @va is
 * that address; nothing is mapped, and the memory stays the caller's. The memory of another
 * buffer, of whatever device, will do: so several devices share it.
 *
 * Behind an IOMMU that translates each has one piece. All but pinned memory is of the device's NUMA
 * node, while that has any.
 *
 * -EINVAL: a size of 0, an unknown kind, a name that is too long, an address that is not NULL with
 * another kind than _PINNED, or not in whole pages with it; -ENOMEM: no such memory below the mask,
 * or more pinned than RLIMIT_MEMLOCK allows; -EFAULT: _PINNED, not memory that the caller may
 * write; -EEXIST: a buffer has that name; -EOPNOTSUPP: the device reaches it through a bounce
 * buffer only, or (_PINNED) not at all, or the module knows neither kinds nor names; -EDQUOT,
 * -ENOSPC, -EACCES: as for userpci_dma_alloc().
 */
int userpci_dma_create(struct userpci_device *device, const struct userpci_dma_options *options,
		       struct userpci_dma *dma);

/* For buffers of both calls above. Does nothing when @dma is zeroed, as it is afterwards. */
void userpci_dma_free(struct userpci_dma *dma);

/**
 * userpci_dma_chunk - tells a piece of a buffer. Pieces follow each other without a gap.
 * @index: below @dma->chunks.
 *
 * -ERANGE: @index.
 */
int userpci_dma_chunk(const struct userpci_dma *dma, unsigned int index,
		      struct userpci_dma_chunk *chunk);

/* What userpci_dma_iova() calls for a buffer of several pieces; @offset is inside. */
uint64_t userpci_dma_iova_search(const struct userpci_dma *dma, uint64_t offset);

/**
 * userpci_dma_iova - the device's address of the byte at @offset.
 *
 * No system call: an addition, or a binary search in the pieces. The bytes behind it are
 * consecutive for the device up to the end of the piece; never rely on it further than to the end
 * of the page. UINT64_MAX: @offset is outside of the buffer.
 */
static inline uint64_t userpci_dma_iova(const struct userpci_dma *dma, uint64_t offset)
{
	if (offset >= dma->size)
		return UINT64_MAX;
	return dma->pieces ? userpci_dma_iova_search(dma, offset) : dma->iova + offset;
}

/**
 * userpci_dma_attach - maps a buffer that another process has created, by its name.
 * @name: as in its struct userpci_dma_options.
 * @dma: receives the buffer; the caller gives it back with userpci_dma_detach().
 *
 * An observer maps it read-only. A process that shares the owner's descriptor (a child after a
 * fork) maps it for reading and writing. The buffer stays its creator's: when he frees it, or the
 * owner closes, the map keeps the memory, but it is the device's no longer.
 *
 * -EINVAL: @name is empty or too long; -ENOENT: there is no such buffer; -ENOMEM; -EOPNOTSUPP: it
 * is _PINNED, the memory of one process, or the module knows no names.
 */
int userpci_dma_attach(struct userpci_device *device, const char *name, struct userpci_dma *dma);
void userpci_dma_detach(struct userpci_dma *dma);

struct userpci_dma_info {
	char name[USERPCI_NAME_BYTES]; /* always terminated; "": none */
	uint64_t size;		       /* bytes */
	uint64_t iova;		       /* of the first byte */
	uint32_t handle;
	uint32_t kind;	     /* USERPCI_DMA_* */
	uint32_t chunks;     /* pieces */
	uint32_t references; /* 1 and one for each map, in whatever process */
};

/**
 * userpci_dma_next - lists the device's buffers, whoever created them.
 * @cursor: 0 for the first; the call sets it for the next.
 * @info: receives what the buffer is.
 *
 * The list may change between two calls: a buffer that was there all the time is told once.
 *
 * -ENOENT: no more; -EOPNOTSUPP: the module is too old to tell.
 */
int userpci_dma_next(struct userpci_device *device, uint32_t *cursor,
		     struct userpci_dma_info *info);

/* ---- Interrupts ---- */

/* MSI-X, else MSI, else INTx: the first that gives `count` vectors. */
#define USERPCI_IRQ_BEST 255

/**
 * userpci_irq_enable - enables vectors 0 to @count - 1, each with an eventfd.
 * @kind: USERPCI_IRQ_INTX, _MSI, _MSIX or _BEST.
 * @count: at least 1; 1 for INTx.
 *
 * Vectors that were enabled before are disabled first. MSI and MSI-X arrive only while bus
 * mastering is on.
 *
 * -EINVAL: @kind or @count; -ENOSPC: the function, or the machine, has fewer vectors; -EMFILE;
 * -EACCES: an observer.
 */
int userpci_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count);
void userpci_irq_disable(struct userpci_device *device);

/* The kind that is enabled (never _BEST), or -EINVAL when none is. */
int userpci_irq_kind(const struct userpci_device *device);

/**
 * userpci_irq_wait - waits for an interrupt.
 * @timeout_us: microseconds; 0: look only; negative: without end.
 * @count: receives how many came since the last wait (may be NULL).
 *
 * An INTx interrupt stays masked until userpci_irq_unmask(), to be called when the device's cause
 * has been served.
 *
 * -ETIMEDOUT; -EINTR: a signal; -EINVAL: @vector is not enabled.
 */
int userpci_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count);

/**
 * userpci_irq_fd - the eventfd of a vector, for a loop of the caller's own.
 *
 * It becomes readable when interrupts came; read() of 8 bytes gives their number. It is
 * non-blocking and stays the library's: valid until the vectors are enabled anew or disabled, or
 * this one is given another.
 * Returns it, or -EINVAL.
 */
int userpci_irq_fd(const struct userpci_device *device, unsigned int vector);

/**
 * userpci_irq_set_fd - lets a vector add to an eventfd of the caller's own.
 * @fd: the eventfd; one may serve several vectors. -1: one of the library's again.
 *
 * Other vectors go on, and no interrupt is lost: what the library's eventfd holds at that time is
 * added to the new one. The library keeps a duplicate of @fd, which userpci_irq_wait() and
 * userpci_irq_fd() use from then on; @fd itself stays the caller's, who may close it. It should be
 * non-blocking where more than one thread reads it. Enabling the vectors anew takes it away.
 *
 * -EINVAL: @vector is not enabled, or @fd is no eventfd; -EBADF: @fd is no descriptor; -EMFILE;
 * -EACCES: an observer.
 */
int userpci_irq_set_fd(struct userpci_device *device, unsigned int vector, int fd);

/**
 * userpci_irq_mask - holds a vector's interrupts back.
 * userpci_irq_unmask - lets them in. After each INTx; costs nothing on a vector that is not masked,
 * if userpci_irq_limit() was not called for it.
 *
 * -EINVAL: @vector is not enabled.
 */
int userpci_irq_mask(struct userpci_device *device, unsigned int vector);
int userpci_irq_unmask(struct userpci_device *device, unsigned int vector);

/**
 * userpci_irq_limit - the storm guard: masks a vector on which too many interrupts arrive.
 * @per_second: the most that may arrive within a second; 0, as after userpci_irq_enable(): any
 * number.
 *
 * When it has masked the vector USERPCI_EVENT_STORM says so, and userpci_irq_unmask() lets
 * interrupts in again.
 *
 * -EINVAL: @vector is not enabled; -EOPNOTSUPP: the module is too old; -EACCES: an observer.
 */
int userpci_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second);

/* ---- Statistics and events ---- */

/**
 * userpci_stats - what the kernel counts for the device, as it counts.
 *
 * The first call maps it; from then on no system call is needed to read it, and it can be read
 * until userpci_close(), also when the device is gone. Observers too. The values change at any
 * time: read each once, as a volatile. <userpci/uapi.h> says what they are.
 *
 * NULL: the module is too old, or there is no memory for the map, or the device was gone before the
 * first call.
 */
const struct userpci_uapi_stats *userpci_stats(struct userpci_device *device);

/**
 * userpci_stats_interrupts - interrupts of one vector since the function was bound.
 * userpci_stats_storms - how often the storm guard has masked it since then.
 * @stats: from userpci_stats().
 * @vector: any; 0 comes back for one that the function cannot have.
 */
uint64_t userpci_stats_interrupts(const struct userpci_uapi_stats *stats, unsigned int vector);
uint32_t userpci_stats_storms(const struct userpci_uapi_stats *stats, unsigned int vector);

struct userpci_event {
	uint32_t type;	  /* USERPCI_EVENT_* of <userpci/uapi.h> */
	uint32_t value;	  /* what it means depends on the type: see there */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t lost;	  /* events before this one that were overwritten before they were read */
};

/**
 * userpci_event_wait - waits for something that happens to the device: a reset, an error, a storm
 * of interrupts, the system's sleep, its removal.
 * @timeout_us: microseconds; 0: look only; negative: without end.
 * @event: receives the oldest event that was not read yet.
 *
 * Events are those after the first call of this function or of userpci_event_fd(). The kernel keeps
 * the last 63. An observer may only look: with any other timeout he gets -EACCES.
 *
 * -ETIMEDOUT: there is none; -EINTR: a signal; -ENODEV: the device is gone, and all events are
 * read; -EMFILE; -ENOMEM; -EOPNOTSUPP: the module is too old.
 */
int userpci_event_wait(struct userpci_device *device, int64_t timeout_us,
		       struct userpci_event *event);

/**
 * userpci_event_fd - an eventfd that says when events are there, for a loop of the caller's own.
 *
 * When it is readable, call userpci_event_wait() with a timeout of 0 until it gives -ETIMEDOUT or
 * -ENODEV: which also empties it. It stays the library's, valid until userpci_close(). Returns it,
 * or: -EACCES: an observer; -EMFILE; -ENOMEM; -EOPNOTSUPP: the module is too old.
 */
int userpci_event_fd(struct userpci_device *device);

/* ---- Configuration space ---- */

/**
 * userpci_config_read - reads configuration space.
 * @offset: bytes, a multiple of @width.
 * @width: 1, 2 or 4 bytes.
 * @value: receives the value.
 *
 * -EINVAL: @width or alignment; -ERANGE: beyond the function's configuration space.
 */
int userpci_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			uint32_t *value);

/**
 * userpci_config_write - writes configuration space, where a process may.
 * @offset: bytes, a multiple of @width.
 * @width: 1, 2 or 4 bytes.
 *
 * -EINVAL, -ERANGE: as for reading; -EPERM: BARs, interrupt capabilities, power, and what else the
 * kernel keeps to itself (USERPCI_CONFIG_WRITE of <userpci/uapi.h> has the list); -EACCES: an
 * observer.
 */
int userpci_config_write(struct userpci_device *device, unsigned int offset, unsigned int width,
			 uint32_t value);

/**
 * userpci_config_find - finds a capability in the list at 34h (PCI Local Bus 3.0, section 6.7).
 * @id: the capability's ID.
 * @offset: receives its offset; where *@offset is not 0 before the call, the search begins behind
 * it.
 *
 * -ENOENT: there is none (any more); -EIO: the list runs in a circle.
 */
int userpci_config_find(struct userpci_device *device, unsigned int id, unsigned int *offset);

/* ---- Trace and fault injection ---- */

/*
 * A trace is a file of all that a driver does to its device and of what it answers, with times:
 * register accesses, configuration space, DMA buffers, interrupts. doc/trace.md has its format.
 * What the device reads and writes in DMA memory is not in it.
 *
 * A device that is traced, or has faults, has regions without a va: each access is a call then. A
 * device that has neither pays nothing.
 *
 * Environment: with USERPCI_TRACE=FILE userpci_open() traces the device (others of the process into
 * FILE.2 and so on), with USERPCI_FAULT=NAME=NUMBER,... it sets faults, but neither for an observer
 * nor in a program with raised privileges. It gives -EIO when the file cannot be written, -EINVAL
 * when the faults cannot be read.
 */

/**
 * userpci_trace_start - records from now on, until userpci_trace_stop() or userpci_close().
 * @path: the file; it is created, or emptied.
 *
 * To be called right after userpci_open(). What is recorded is in the file at once: it is whole up
 * to its last record also when the process is killed.
 *
 * -EBUSY: it is traced already, or has mapped regions, DMA buffers or interrupts; -ENOMEM; -ENOSPC;
 * what open() gives for @path.
 */
int userpci_trace_start(struct userpci_device *device, const char *path);

/* Ends the trace. -EINVAL: there is none; -ENOSPC, -EIO, -ENOMEM: it is not complete. */
int userpci_trace_stop(struct userpci_device *device);

/* A register's name, in a table that ends with a NULL name. */
struct userpci_register {
	uint64_t offset;
	uint32_t width; /* bytes */
	const char *name;
	uint32_t count;	 /* so many follow each other: NAME[0], NAME[1]...; 0: one */
	uint32_t stride; /* from one to the next */
	uint32_t region;
};

struct userpci_trace;

/**
 * userpci_trace_open - opens a trace for reading.
 *
 * -EINVAL: it is no trace; -EPROTO: of another version; -ENOMEM; what open() and read() give.
 */
int userpci_trace_open(const char *path, struct userpci_trace **trace);
void userpci_trace_close(struct userpci_trace *trace);

/* The device that was recorded, as userpci_info() described it; its backend is NULL. */
const struct userpci_info *userpci_trace_info(const struct userpci_trace *trace);

/**
 * userpci_trace_line - the next record in words: "+12.345us  BAR0 CTRL (0x0000) r32 = 0x00140240".
 * @names: the registers' names, or NULL.
 * @text: receives the line, without a newline, always terminated.
 * @size: of @text in bytes; 160 is enough.
 *
 * The time is that since the record before. Returns 1; 0: there are no more; -EIO: the file is
 * damaged here.
 */
int userpci_trace_line(struct userpci_trace *trace, const struct userpci_register *names,
		       char *text, size_t size);

/**
 * userpci_replay_difference - where a driver first departed from the record.
 *
 * userpci_open("replay:FILE") opens a recorded device that is not there. What the driver asks is
 * compared with the record, and answered from it. From the first difference on the device is gone:
 * registers read all ones, calls give -ENODEV.
 *
 * @device: so opened; NULL: the one that was closed last in this thread, which is also compared to
 * the record's end.
 * @names: the registers' names, or NULL.
 * @text: receives a line that says the position in the record, what was expected there, and what
 * the driver did; without a newline, always terminated. Empty when there is no difference.
 * @size: of @text in bytes; 320 is enough.
 *
 * Returns 1: there is one; 0: there is none; -EINVAL: @device is not replayed.
 */
int userpci_replay_difference(const struct userpci_device *device,
			      const struct userpci_register *names, char *text, size_t size);

/* What goes wrong, from when it was set on. 0: not at all. In USERPCI_FAULT: gone-after=8 etc. */
struct userpci_faults {
	uint64_t gone_after;   /* the device vanishes when so many register accesses were made */
	uint64_t lose_irq;     /* every so many-th interrupt is lost */
	uint64_t spurious_irq; /* at every so many-th register access vector 0 gets an interrupt */
	uint64_t delay_dma_us; /* register writes get there so much later, or at the next read */
	uint64_t fail_alloc;   /* DMA allocations fail with -ENOMEM from the so many-th on */
};

/**
 * userpci_fault_set - sets what goes wrong, and begins to count.
 * @faults: all 0: nothing, and a device that was gone is back.
 *
 * The first call for a device must come right after userpci_open(), also when all is 0; later ones
 * may come at any time.
 *
 * -EBUSY: the first call, and it has mapped regions, DMA buffers or interrupts; -ENOMEM; -EAGAIN.
 */
int userpci_fault_set(struct userpci_device *device, const struct userpci_faults *faults);

#ifdef __cplusplus
}
#endif

#endif
