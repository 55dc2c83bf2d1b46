/* SPDX-License-Identifier: MIT */
/* DMA memory: buffers, their pieces, and those of other processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "backend.h"

int userpci_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	if (bits < 24 || bits > 64)
		return -EINVAL;
	return device->backend->dma_set_mask(device, bits);
}

void userpci_pieces_free(struct userpci_device *device, const struct userpci_dma_chunk *chunks)
{
	struct userpci_pieces **link = &device->pieces;
	struct userpci_pieces *pieces;

	while (*link && (*link)->chunks != chunks)
		link = &(*link)->next;
	pieces = *link;
	if (!pieces)
		return;
	*link = pieces->next;
	free(pieces);
}

/* Asks once for all pieces, so that no later look-up needs a call. */
static int pieces_fetch(struct userpci_dma *dma)
{
	struct userpci_pieces *pieces;
	unsigned int i;
	int err = 0;

	if (dma->chunks == 1)
		return 0;
	pieces = malloc(sizeof(*pieces) + dma->chunks * sizeof(pieces->chunks[0]));
	if (!pieces)
		return -ENOMEM;
	for (i = 0; i < dma->chunks && !err; i++)
		err = dma->device->backend->dma_chunk(dma, i, &pieces->chunks[i]);
	if (err) {
		free(pieces);
		return err;
	}
	pieces->next = dma->device->pieces;
	dma->device->pieces = pieces;
	dma->pieces = pieces->chunks;
	return 0;
}

/* Notes what userpci_close() has to take back. After an error nothing is mapped. */
static int dma_keep(struct userpci_dma *dma)
{
	bool mapped = dma->kind != USERPCI_DMA_PINNED;
	int err;

	err = pieces_fetch(dma);
	if (err)
		goto unmap;
	if (mapped)
		err = userpci_mapping_add(dma->device, dma->va, dma->size);
	if (err)
		goto free_pieces;
	return 0;

free_pieces:
	userpci_pieces_free(dma->device, dma->pieces);
unmap:
	if (mapped)
		munmap(dma->va, dma->size);
	return err;
}

static void dma_forget(struct userpci_dma *dma)
{
	if (dma->kind != USERPCI_DMA_PINNED)
		userpci_mapping_remove(dma->device, dma->va);
	userpci_pieces_free(dma->device, dma->pieces);
}

static bool name_fits(const char *name)
{
	return strnlen(name, USERPCI_NAME_BYTES) < USERPCI_NAME_BYTES;
}

static bool options_valid(const struct userpci_dma_options *o)
{
	uint64_t inside_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

	if (o->kind > USERPCI_DMA_PINNED || !o->size || (o->name && !name_fits(o->name)))
		return false;
	if (o->kind != USERPCI_DMA_PINNED)
		return !o->address;
	return o->address && !(((uintptr_t)o->address | o->size) & inside_page);
}

int userpci_dma_create(struct userpci_device *device, const struct userpci_dma_options *options,
		       struct userpci_dma *dma)
{
	struct userpci_dma d = { .va = NULL };
	struct userpci_near near;
	int err;

	if (!options_valid(options))
		return -EINVAL;
	userpci_near_begin(&near, device->info.numa_node);
	err = device->backend->dma_alloc(device, options, &d);
	userpci_near_end(&near);
	if (err)
		return err;
	d.device = device;
	err = dma_keep(&d);
	if (err) {
		device->backend->dma_free(&d);
		return err;
	}
	*dma = d;
	return 0;
}

int userpci_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	const struct userpci_dma_options options = { .size = size };

	return userpci_dma_create(device, &options, dma);
}

void userpci_dma_free(struct userpci_dma *dma)
{
	/* One that was attached is another process's to free. */
	if (!dma->va || dma->attached)
		return;
	dma_forget(dma);
	dma->device->backend->dma_free(dma);
	memset(dma, 0, sizeof(*dma));
}

int userpci_dma_attach(struct userpci_device *device, const char *name, struct userpci_dma *dma)
{
	struct userpci_dma d = { .va = NULL };
	int err;

	if (!*name || !name_fits(name))
		return -EINVAL;
	err = device->backend->dma_attach(device, name, &d);
	if (err)
		return err;
	d.device = device;
	d.attached = 1;
	err = dma_keep(&d);
	if (err)
		return err;
	*dma = d;
	return 0;
}

void userpci_dma_detach(struct userpci_dma *dma)
{
	if (!dma->va || !dma->attached)
		return;
	dma_forget(dma);
	memset(dma, 0, sizeof(*dma));
}

int userpci_dma_next(struct userpci_device *device, uint32_t *cursor, struct userpci_dma_info *info)
{
	return device->backend->dma_next(device, cursor, info);
}

int userpci_dma_chunk(const struct userpci_dma *dma, unsigned int index,
		      struct userpci_dma_chunk *chunk)
{
	if (index >= dma->chunks)
		return -ERANGE;
	if (dma->pieces) {
		*chunk = dma->pieces[index];
		return 0;
	}
	chunk->offset = 0;
	chunk->iova = dma->iova;
	chunk->size = dma->size;
	return 0;
}

uint64_t userpci_dma_iova_search(const struct userpci_dma *dma, uint64_t offset)
{
	const struct userpci_dma_chunk *pieces = dma->pieces;
	unsigned int first = 0, behind = dma->chunks;

	/* The last piece that begins at the offset or before it is in [first, behind). */
	while (behind - first > 1) {
		unsigned int middle = first + (behind - first) / 2;

		if (pieces[middle].offset <= offset)
			first = middle;
		else
			behind = middle;
	}
	return pieces[first].iova + (offset - pieces[first].offset);
}
