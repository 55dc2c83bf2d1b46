/* SPDX-License-Identifier: MIT */
/*
 * A device of a test's own, below the library: BAR 0 is a page of memory with a va, BAR 2 has none,
 * and interrupts come when the test says so.
 */
#ifndef TESTS_UNIT_FAKE_DEVICE_H
#define TESTS_UNIT_FAKE_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/mmio.h>

#include "lib/backend.h"

#define FAKE_BYTES   4096
#define FAKE_VECTORS 2

static struct fake {
	int memory;	       /* BAR 0 */
	volatile uint8_t *bar; /* the same, as the device sees it */
	uint64_t by_call[4];   /* BAR 2 */
	uint64_t next_iova;
	int fds[FAKE_VECTORS];
	unsigned int maps, calls, closed;
	bool bus_master;
} fake;

static int fake_region_map(struct userpci_device *device, unsigned int index, bool wc,
			   struct userpci_region *region)
{
	(void)device;
	if (index != 0 && index != 2)
		return -ENOENT;
	fake.maps++;
	region->flags = wc && !index ? USERPCI_REGION_WC : 0;
	region->size = index ? sizeof(fake.by_call) : FAKE_BYTES;
	if (index)
		return 0;
	region->va = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake.memory, 0);
	return region->va == MAP_FAILED ? -errno : 0;
}

static void fake_region_unmap(const struct userpci_region *region)
{
	(void)region;
	fake.maps--;
}

static int fake_region_read(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t *value)
{
	fake.calls++;
	if (region->index != 2 || width != 8 || offset >= sizeof(fake.by_call))
		return -ERANGE;
	*value = fake.by_call[offset / 8];
	return 0;
}

static int fake_region_write(const struct userpci_region *region, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	fake.calls++;
	if (region->index != 2 || width != 8 || offset >= sizeof(fake.by_call))
		return -ERANGE;
	fake.by_call[offset / 8] = value;
	return 0;
}

static int fake_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			    uint32_t *value)
{
	(void)device, (void)width;
	*value = offset;
	return 0;
}

/* As the backends without a kernel do: it looks into configuration space itself. */
static int fake_config_write(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t value)
{
	uint32_t now;

	(void)value;
	return userpci_config_read(device, offset, width, &now);
}

static int fake_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			  struct userpci_dma *dma)
{
	(void)device;
	dma->size = (options->size + 4095) & ~4095ull;
	dma->va = mmap(NULL, dma->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dma->iova = dma->handle = fake.next_iova;
	dma->kind = options->kind;
	dma->chunks = options->kind == USERPCI_DMA_CHUNKED ? (uint32_t)(dma->size / 4096) : 1;
	fake.next_iova += 2 * dma->size;
	return dma->va == MAP_FAILED ? -errno : 0;
}

static void fake_dma_free(struct userpci_dma *dma)
{
	(void)dma;
}

/* Pages in the reverse order. */
static int fake_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			  struct userpci_dma_chunk *chunk)
{
	chunk->offset = 4096ull * index;
	chunk->iova = dma->iova + dma->size - 4096ull * (index + 1);
	chunk->size = 4096;
	return 0;
}

static int fake_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	(void)device, (void)bits;
	return 0;
}

static int fake_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	(void)device, (void)kind;
	return count > FAKE_VECTORS ? -ENOSPC : 0;
}

static void fake_forget(unsigned int vector)
{
	if (fake.fds[vector] >= 0)
		close(fake.fds[vector]);
	fake.fds[vector] = -1;
}

static void fake_irq_disable(struct userpci_device *device)
{
	(void)device;
	fake_forget(0);
	fake_forget(1);
}

static int fake_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	(void)device;
	fake_forget(vector);
	fake.fds[vector] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

static int fake_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	(void)device, (void)vector, (void)masked;
	return 0;
}

static int fake_bus_master(struct userpci_device *device, bool enable)
{
	(void)device;
	fake.bus_master = enable;
	return 0;
}

static void fake_close(struct userpci_device *device)
{
	(void)device;
	munmap((void *)fake.bar, FAKE_BYTES);
	close(fake.memory);
	fake.closed++;
}

static const struct userpci_backend fake_backend = {
	.name = "fake",
	.close = fake_close,
	.region_map = fake_region_map,
	.region_read = fake_region_read,
	.region_write = fake_region_write,
	.region_unmap = fake_region_unmap,
	.config_read = fake_config_read,
	.config_write = fake_config_write,
	.dma_alloc = fake_dma_alloc,
	.dma_free = fake_dma_free,
	.dma_chunk = fake_dma_chunk,
	.dma_set_mask = fake_dma_set_mask,
	.irq_enable = fake_irq_enable,
	.irq_disable = fake_irq_disable,
	.irq_eventfd = fake_irq_eventfd,
	.irq_mask = fake_irq_mask,
	.bus_master = fake_bus_master,
};

/* An interrupt of the device. */
static inline void fake_raise(unsigned int vector)
{
	(void)eventfd_write(fake.fds[vector], 1);
}

static inline struct userpci_device *fake_open(void)
{
	struct userpci_device *device = calloc(1, sizeof(*device));

	memset(&fake, 0, sizeof(fake));
	fake.memory = memfd_create("bar", MFD_CLOEXEC);
	if (ftruncate(fake.memory, FAKE_BYTES))
		abort();
	fake.bar = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake.memory, 0);
	fake.fds[0] = fake.fds[1] = -1;
	fake.next_iova = 0x123450000000;
	device->backend = &fake_backend;
	device->fd = device->event_fd = -1;
	device->info = (struct userpci_info){ .address = "0000:00:1f.7",
					      .backend = "fake",
					      .vendor_id = 0x1234,
					      .device_id = 0x5678,
					      .num_regions = USERPCI_NUM_BARS,
					      .num_msix = FAKE_VECTORS,
					      .numa_node = -1 };
	return device;
}

#endif
