/* SPDX-License-Identifier: MIT */
/* What the library asks of a mechanism. The only place that knows how a function is reached. */
#ifndef USERPCI_BACKEND_H
#define USERPCI_BACKEND_H

#include <stdbool.h>

#include <userpci/userpci.h>

/*
 * Arguments have been checked by the layer above: flags and kinds are known, vectors are enabled,
 * pointers are not NULL. Every call returns 0 or -errno and writes results on success only.
 */
struct userpci_backend {
	const char *name;

	/* `address` is without its prefix. Fills in device->info, but its `backend`, and fd. */
	int (*open)(struct userpci_device *device, const char *address, unsigned int flags);
	/* Interrupts and bus mastering off, reset, then DMA memory freed. */
	void (*close)(struct userpci_device *device);

	/* Fills in all of region but `device`. A va is whole pages; the layer above tracks it. */
	int (*region_map)(struct userpci_device *device, unsigned int index, bool wc,
			  struct userpci_region *region);
	int (*region_read)(const struct userpci_region *region, uint64_t offset, unsigned int width,
			   uint64_t *value);
	int (*region_write)(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t value);
	/* Memory of the device, of a region without a va. NULL: by the two above. */
	int (*region_read_block)(const struct userpci_region *region, uint64_t offset, void *data,
				 size_t size);
	int (*region_write_block)(const struct userpci_region *region, uint64_t offset,
				  const void *data, size_t size);
	/* The layer above has unmapped its va. NULL: nothing is to be done. */
	void (*region_unmap)(const struct userpci_region *region);
	/* Of a region with a va: 1 or 0. */
	int (*region_huge)(const struct userpci_region *region);

	int (*config_read)(struct userpci_device *device, unsigned int offset, unsigned int width,
			   uint32_t *value);

	int (*config_write)(struct userpci_device *device, unsigned int offset, unsigned int width,
			    uint32_t value);

	/* Fills in all of dma but `device` and `pieces`. */
	int (*dma_alloc)(struct userpci_device *device, const struct userpci_dma_options *options,
			 struct userpci_dma *dma);
	/* The map is gone already. */
	void (*dma_free)(struct userpci_dma *dma);
	/* A piece of the buffer; asked only where there are several. */
	int (*dma_chunk)(const struct userpci_dma *dma, unsigned int index,
			 struct userpci_dma_chunk *chunk);
	/* Maps a named buffer and fills in dma, as above. */
	int (*dma_attach)(struct userpci_device *device, const char *name, struct userpci_dma *dma);
	int (*dma_next)(struct userpci_device *device, uint32_t *cursor,
			struct userpci_dma_info *info);
	int (*dma_set_mask)(struct userpci_device *device, unsigned int bits);

	/* A duplicate of an eventfd of the backend's own for the library to wait on; NULL: none. */
	int (*irq_fd)(struct userpci_device *device, unsigned int vector);
	/* Vectors 0 to count - 1, without eventfds. After an error none is enabled. */
	int (*irq_enable)(struct userpci_device *device, unsigned int kind, unsigned int count);
	void (*irq_disable)(struct userpci_device *device);
	/* What the vector adds to, or USERPCI_EVENTS. The caller may close fd afterwards. */
	int (*irq_eventfd)(struct userpci_device *device, unsigned int vector, int fd);
	int (*irq_mask)(struct userpci_device *device, unsigned int vector, bool masked);
	int (*irq_limit)(struct userpci_device *device, unsigned int vector, uint32_t per_second);
	/* NULL: userpci_irq_poll() is all there is to waiting. */
	int (*irq_wait)(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
			uint64_t *count);

	/* Whole pages, read-only: a struct userpci_uapi_stats and what follows it. */
	int (*stats_map)(struct userpci_device *device, void **va, uint64_t *size);

	int (*bus_master)(struct userpci_device *device, bool enable);
	int (*reset)(struct userpci_device *device);
};

/* A map that userpci_close() takes back where the caller has not. */
struct userpci_mapping {
	struct userpci_mapping *next;
	void *va;
	uint64_t size;
};

/* The pieces of a DMA buffer; freed with it, or by userpci_close(). */
struct userpci_pieces {
	struct userpci_pieces *next;
	struct userpci_dma_chunk chunks[];
};

struct userpci_vector {
	int fd;
	bool borrowed; /* fd is a duplicate of the caller's eventfd */
	bool masked;   /* by userpci_irq_mask() */
	bool limited;  /* userpci_irq_limit() was called: the kernel may have masked it */
};

struct userpci_device {
	const struct userpci_backend *backend;
	struct userpci_info info;
	int fd; /* polls POLLHUP or POLLERR when the device is gone; -1: none */
	struct userpci_mapping *mappings;
	struct userpci_pieces *pieces;

	unsigned int irq_kind;
	unsigned int irq_count; /* 0: none enabled */
	struct userpci_vector *vectors;

	const struct userpci_uapi_stats *stats; /* NULL: not mapped yet */
	bool events_begun;
	int event_fd;	     /* -1: none */
	uint32_t next_event; /* the number of the event to read next */

	void *state;		   /* the backend's own */
	struct userpci_wrap *wrap; /* NULL, or `backend` is wrap.c's around the one that opened */
	/* The stub's: where the statistics are. An older module has none: stats_bytes is 0. */
	uint64_t stats_offset;
	uint32_t stats_bytes;
};

extern const struct userpci_backend userpci_backend_stub;
extern const struct userpci_backend userpci_backend_vfio;
extern const struct userpci_backend userpci_backend_uio;
extern const struct userpci_backend userpci_backend_qtest;
extern const struct userpci_backend userpci_backend_replay;

/* The backend that opened the device, whether it is wrapped or not. */
const struct userpci_backend *userpci_backend_of(const struct userpci_device *device);

/* Opens by device->backend, or a trace; wraps where USERPCI_TRACE or USERPCI_FAULT says so. */
int userpci_wrap_open(struct userpci_device *device, const char *address, unsigned int flags);

/*
 * Divides "PREFIX:ADDRESS": the backend and where its address begins. Without a prefix it is that
 * of the driver that has the function; the stub's, if that is none of ours.
 */
const struct userpci_backend *userpci_backend_choose(const char **address);

/* Whether a process may write there, where no kernel decides it (guard.c). */
bool userpci_config_may_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value);

/* Completes "DDDD:BB:DD.F" or "BB:DD.F" in address[16]. -EINVAL: it is neither. */
int userpci_address_parse(const char *text, char *address);

/* -ERANGE, -EINVAL: not an access of 1, 2, 4 or 8 bytes inside a region. */
int userpci_access_check(const struct userpci_region *region, uint64_t offset, unsigned int width);
/* Such an access to a region with a va. */
int userpci_mapped_read(const struct userpci_region *region, uint64_t offset, unsigned int width,
			uint64_t *value);
int userpci_mapped_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			 uint64_t value);

/* Where the calling thread's memory came from before userpci_near_begin(). */
#define USERPCI_NEAR_WORDS (1024 / 8 / sizeof(unsigned long)) /* as many nodes as Linux can have */
struct userpci_near {
	unsigned long nodes[USERPCI_NEAR_WORDS];
	int mode;
	bool changed;
};

/* Prefers the node for the thread's memory, until the end. -1: nothing. */
void userpci_near_begin(struct userpci_near *near, int node);
void userpci_near_end(const struct userpci_near *near);

/* Notes a map for userpci_close(); -ENOMEM. */
int userpci_mapping_add(struct userpci_device *device, void *va, uint64_t size);
/* Unmaps it and forgets it. */
void userpci_mapping_remove(struct userpci_device *device, void *va);

/* Waits on a vector's eventfd, as userpci_irq_wait() does. */
int userpci_irq_poll(const struct userpci_device *device, unsigned int vector, int64_t timeout_us,
		     uint64_t *count);

/* What userpci_close() takes back of the other files. */
void userpci_pieces_free(struct userpci_device *device, const struct userpci_dma_chunk *chunks);
void userpci_events_end(struct userpci_device *device);

#endif
