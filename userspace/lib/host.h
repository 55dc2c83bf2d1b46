/* SPDX-License-Identifier: MIT */
/*
 * What the backends over the kernel's own drivers share: sysfs, accesses through files, and DMA
 * buffers that are memory files.
 */
#ifndef USERPCI_HOST_H
#define USERPCI_HOST_H

#include <pthread.h>
#include <sys/types.h>

#include "backend.h"

#define USERPCI_SYSFS_DEVICES "/sys/bus/pci/devices"
#define USERPCI_SYSFS_DRIVERS "/sys/bus/pci/drivers"

/* The last part of what a link of the function points at; -ENOENT. */
int userpci_sysfs_link(const char *address, const char *name, char *target, size_t size);
/* The first line of an attribute of the function, "" where there is none. */
void userpci_sysfs_line(const char *address, const char *name, char *line, size_t size);
/* The driver that has the function, "": none. */
void userpci_sysfs_driver(const char *address, char *name, size_t size);
/* 0, -ENODEV: no such function, -ENOENT: no such driver, -ENXIO: the driver does not have it. */
int userpci_sysfs_bound(const char *address, const char *driver);
/* Whether the kernel has an IOMMU translate the function's DMA to the driver's own mappings. */
bool userpci_sysfs_translated(const char *address);

/* The default size of huge pages, and whether the machine has any; 0: none. */
uint64_t userpci_huge_page(void);

/* -EINVAL: it is another kind of descriptor. */
int userpci_eventfd_check(int fd);

/* A thread that takes none of the process's signals. */
int userpci_thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

/* A DMA buffer. */
struct userpci_buffer {
	struct userpci_buffer *next; /* by handle */
	uint32_t handle;
	uint32_t kind;
	uint64_t size;
	uint32_t count; /* of chunks, at least 1 */
	struct userpci_dma_chunk *chunks;
	int fd; /* the memory file; -1: PINNED, the caller's memory */
	char name[USERPCI_NAME_BYTES];
};

/* The first member of the backend's state. */
struct userpci_host {
	int config_fd; /* configuration space begins there at config_base */
	uint64_t config_base;
	unsigned int config_size;
	uint64_t reach; /* the last address within the DMA mask */
	uint32_t last_handle;
	struct userpci_buffer *buffers;
};

/* Reads or writes exactly `width` bytes; little-endian. -ERANGE: the file ends before. */
int userpci_file_read(int fd, uint64_t at, unsigned int width, uint64_t *value);
int userpci_file_write(int fd, uint64_t at, unsigned int width, uint64_t value);

/* These are entries of the backend table. */
int userpci_host_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t *value);
int userpci_host_config_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value);
int userpci_host_bus_master(struct userpci_device *device, bool enable);
int userpci_host_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			   struct userpci_dma_chunk *chunk);
int userpci_host_dma_attach(struct userpci_device *device, const char *name,
			    struct userpci_dma *dma);
int userpci_host_dma_next(struct userpci_device *device, uint32_t *cursor,
			  struct userpci_dma_info *info);
int userpci_host_dma_set_mask(struct userpci_device *device, unsigned int bits);
int userpci_host_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second);

/* Changes bits of the byte at `offset`, the guard aside. */
int userpci_host_config_change(const struct userpci_host *host, unsigned int offset, uint8_t clear,
			       uint8_t set);
/* What configuration space and sysfs tell of the function; the address is there already. */
int userpci_host_fill_info(struct userpci_device *device);
/* USERPCI_REGION_* as configuration space tells: _IO, _64, _PREFETCH, _MSIX. */
uint32_t userpci_host_bar_flags(struct userpci_device *device, unsigned int index);
/* Maps the BAR that begins in the file at `offset`, the pages of its MSI-X table read-only. */
int userpci_host_map(struct userpci_device *device, int fd, uint64_t offset,
		     struct userpci_region *region);

/*
 * A buffer in whole `unit`s, zeroed and mapped at *va, not yet in the list. -EEXIST: the name is
 * taken; -ENOMEM. With its chunks known, userpci_buffer_add(); else userpci_buffer_free().
 */
int userpci_buffer_create(const struct userpci_host *host,
			  const struct userpci_dma_options *options, uint64_t unit,
			  unsigned int memfd_flags, struct userpci_buffer **buffer, void **va);
void userpci_buffer_add(struct userpci_host *host, struct userpci_buffer *buffer, void *va,
			struct userpci_dma *dma);
struct userpci_buffer *userpci_buffer_find(const struct userpci_host *host, uint64_t handle);
/* Takes it out of the list, if it is there. The map is the caller's to unmap. */
void userpci_buffer_free(struct userpci_host *host, struct userpci_buffer *buffer);

#endif
