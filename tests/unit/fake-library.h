/* SPDX-License-Identifier: MIT */
/*
 * In the place of libuserpci, for tests of a driver under the whole NIC layer: one device at
 * 00:04.0, and memory that it reaches while it is bus master. What the two drivers' devices do not
 * have in common, registers above all, each test has of its own.
 */
#ifndef TESTS_UNIT_FAKE_LIBRARY_H
#define TESTS_UNIT_FAKE_LIBRARY_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <unic/driver.h>

#include "harness.h"

#define IOVA 0x1234500000000ull /* device addresses are no pointers, and need 64 bits */

/* What libuserpci hands out: the layer only passes it on. */
struct userpci_device {
	int unused;
};

struct chunk {
	void *va;
	uint64_t iova, size;
	struct chunk *next;
};

static struct fake_library {
	struct userpci_device device;
	struct userpci_info info;
	bool opened, bus_master;
	unsigned int mapped; /* regions */
	struct chunk *chunks;
	uint64_t next_iova, dma_bytes;
	uint64_t largest_dma;	/* of one allocation; 0: any */
	unsigned int dma_fails; /* 1: the next allocation does */
	unsigned int wrong;	/* DMA without bus mastering, or outside of all buffers */
} library;

static inline void library_plug(uint16_t vendor, uint16_t device)
{
	memset(&library, 0, sizeof(library));
	library.info.vendor_id = vendor;
	library.info.device_id = device;
	library.info.num_intx = 1;
	strcpy(library.info.address, "0000:00:04.0");
	library.next_iova = IOVA;
}

/* The device's view of an address, or NULL: such an access is counted as wrong. */
static inline void *reach(uint64_t iova, uint64_t size)
{
	struct chunk *chunk;

	for (chunk = library.chunks; chunk; chunk = chunk->next)
		if (iova >= chunk->iova && iova + size <= chunk->iova + chunk->size)
			break;
	if (!chunk || !library.bus_master) {
		library.wrong++;
		return NULL;
	}
	return (char *)chunk->va + (iova - chunk->iova);
}

int userpci_open(const char *address, unsigned int flags, struct userpci_device **device)
{
	if (strcmp(address, "00:04.0"))
		return -EINVAL;
	if (!flags) {
		if (library.opened)
			return -EBUSY;
		library.opened = true;
	}
	*device = &library.device;
	return 0;
}

void userpci_close(struct userpci_device *device)
{
	(void)device;
	library.opened = false;
	library.bus_master = false;
}

const char *userpci_explain(const char *address, int error, char *text, size_t size)
{
	snprintf(text, size, "%s: error %d", address, -error);
	return text;
}

const struct userpci_info *userpci_info(const struct userpci_device *device)
{
	(void)device;
	return &library.info;
}

int userpci_bus_master_enable(struct userpci_device *device)
{
	(void)device;
	library.bus_master = true;
	return 0;
}

void userpci_region_unmap(struct userpci_region *region)
{
	memset(region, 0, sizeof(*region));
	library.mapped--;
}

int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	struct chunk *chunk;

	size = (size + 4095) & ~4095ull;
	if (library.largest_dma && size > library.largest_dma)
		return -ENOMEM;
	if (library.dma_fails && !--library.dma_fails)
		return -EDQUOT;
	chunk = malloc(sizeof(*chunk));
	chunk->va = aligned_alloc(4096, size);
	memset(chunk->va, 0, size);
	chunk->size = size;
	chunk->iova = library.next_iova;
	chunk->next = library.chunks;
	library.chunks = chunk;
	library.next_iova += size + 0x10000000;
	library.dma_bytes += size;
	*dma = (struct userpci_dma){ .va = chunk->va, .iova = chunk->iova, .size = size };
	dma->device = device;
	return 0;
}

/* No other device's memory is within this one's reach. */
int userpci_dma_create(struct userpci_device *device, const struct userpci_dma_options *options,
		       struct userpci_dma *dma)
{
	(void)device, (void)options, (void)dma;
	return -EOPNOTSUPP;
}

void userpci_dma_free(struct userpci_dma *dma)
{
	struct chunk **link = &library.chunks, *chunk;

	if (!dma->va)
		return;
	while (*link && (*link)->va != dma->va)
		link = &(*link)->next;
	chunk = *link;
	CHECK(chunk);
	library.dma_bytes -= chunk->size;
	*link = chunk->next;
	free(chunk->va);
	free(chunk);
	memset(dma, 0, sizeof(*dma));
}

int userpci_irq_fd(const struct userpci_device *device, unsigned int vector)
{
	(void)device, (void)vector;
	return -EINVAL;
}

#endif
