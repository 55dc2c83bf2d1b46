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

	/* device->info.address is complete; fills in the rest of info, and device->fd. */
	int (*open)(struct userpci_device *device, unsigned int flags);
	/* Interrupts and bus mastering off, reset, then DMA memory freed. */
	void (*close)(struct userpci_device *device);

	/* Fills in all of region but `device`. A va is whole pages; the layer above tracks it. */
	int (*region_map)(struct userpci_device *device, unsigned int index, bool wc,
			  struct userpci_region *region);
	int (*region_read)(const struct userpci_region *region, uint64_t offset, unsigned int width,
			   uint64_t *value);
	int (*region_write)(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t value);

	int (*config_read)(struct userpci_device *device, unsigned int offset, unsigned int width,
			   uint32_t *value);

	int (*config_write)(struct userpci_device *device, unsigned int offset, unsigned int width,
			    uint32_t value);

	/* Fills in all of dma but `device`. */
	int (*dma_alloc)(struct userpci_device *device, uint64_t size, struct userpci_dma *dma);
	/* The map is gone already. */
	void (*dma_free)(struct userpci_dma *dma);
	int (*dma_set_mask)(struct userpci_device *device, unsigned int bits);

	/* Vectors 0 to count - 1, each adding to its eventfd. After an error none is enabled. */
	int (*irq_enable)(struct userpci_device *device, unsigned int kind, unsigned int count,
			  const int *eventfds);
	void (*irq_disable)(struct userpci_device *device);
	int (*irq_mask)(struct userpci_device *device, unsigned int vector, bool masked);

	int (*bus_master)(struct userpci_device *device, bool enable);
	int (*reset)(struct userpci_device *device);
};

/* A map that userpci_close() takes back where the caller has not. */
struct userpci_mapping {
	struct userpci_mapping *next;
	void *va;
	uint64_t size;
};

struct userpci_device {
	const struct userpci_backend *backend;
	struct userpci_info info;
	int fd; /* polls POLLHUP or POLLERR when the device is gone; -1: none */
	struct userpci_mapping *mappings;

	unsigned int irq_kind;
	unsigned int irq_count; /* 0: none enabled */
	int *eventfds;
	bool *masked; /* by userpci_irq_mask() */
};

extern const struct userpci_backend userpci_backend_stub;

/* Completes "DDDD:BB:DD.F" or "BB:DD.F" in address[16]. -EINVAL: it is neither. */
int userpci_address_parse(const char *text, char *address);

/* Notes a map for userpci_close(); -ENOMEM. */
int userpci_mapping_add(struct userpci_device *device, void *va, uint64_t size);
/* Unmaps it and forgets it. */
void userpci_mapping_remove(struct userpci_device *device, void *va);

#endif
