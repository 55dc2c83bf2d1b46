/* SPDX-License-Identifier: MIT */
/* DMA memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <userpci/userpci.h>

#include "backend.h"

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	if (bits < 24 || bits > 64)
		return -EINVAL;
	return device->backend->dma_set_mask(device, bits);
}

int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	struct userpci_dma d = { .va = NULL };
	int err;

	if (!size)
		return -EINVAL;
	err = device->backend->dma_alloc(device, size, &d);
	if (err)
		return err;
	d.device = device;
	err = userpci_mapping_add(device, d.va, d.size);
	if (err) {
		munmap(d.va, d.size);
		device->backend->dma_free(&d);
		return err;
	}
	*dma = d;
	return 0;
}

void userpci_dma_free(struct userpci_dma *dma)
{
	if (!dma->va)
		return;
	userpci_mapping_remove(dma->device, dma->va);
	dma->device->backend->dma_free(dma);
	memset(dma, 0, sizeof(*dma));
}
