// SPDX-License-Identifier: GPL-2.0-only
/* DMA buffers: their names, their addresses for the device, and how long they live. */
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "internal.h"

static unsigned int dma_limit_mb;
module_param(dma_limit_mb, uint, 0644);
MODULE_PARM_DESC(dma_limit_mb, "most DMA memory of one device in MiB (0: no limit)");

/* Counts memory as the device's until its last page is free. */
static bool charge(struct userpci_device *u, s64 bytes)
{
	u64 limit = (u64)READ_ONCE(dma_limit_mb) << 20;
	bool fits;

	spin_lock_irq(&u->irq_lock);
	fits = bytes < 0 || !limit || u->stats->dma_bytes + bytes <= limit;
	if (fits)
		WRITE_ONCE(u->stats->dma_bytes, u->stats->dma_bytes + bytes);
	spin_unlock_irq(&u->irq_lock);
	return fits;
}

static void buffer_release(struct kref *ref)
{
	struct userpci_buffer *buffer = container_of(ref, struct userpci_buffer, ref);

	userpci_pages_put(buffer);
	charge(buffer->u, -buffer->bytes);
	put_device(&buffer->u->dev);
	kvfree(buffer->chunks);
	kvfree(buffer->pages);
	kfree(buffer);
}

void userpci_buffer_put(struct userpci_buffer *buffer)
{
	kref_put(&buffer->ref, buffer_release);
}

/* A buffer with its pages, not yet the device's. User memory is pinned: not under u->lock. */
static struct userpci_buffer *buffer_create(struct userpci_device *u,
					    const struct userpci_uapi_dma *a)
{
	struct userpci_buffer *buffer;
	int err;

	if (!charge(u, a->bytes))
		return ERR_PTR(-EDQUOT);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer) {
		charge(u, -a->bytes);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&buffer->ref);
	buffer->u = u;
	get_device(&u->dev);
	buffer->kind = a->kind;
	buffer->bytes = a->bytes;
	strscpy(buffer->name, a->name, sizeof(buffer->name));
	buffer->pages = kvcalloc(a->bytes >> PAGE_SHIFT, sizeof(*buffer->pages),
				 GFP_KERNEL_ACCOUNT);
	err = buffer->pages ? userpci_pages_get(buffer, a->address) : -ENOMEM;
	if (err) {
		userpci_buffer_put(buffer);
		return ERR_PTR(err);
	}
	return buffer;
}

/* The owner's buffer of that handle, or NULL. */
static struct userpci_buffer *buffer_get(struct userpci_device *u, unsigned long handle)
{
	struct userpci_buffer *buffer = xa_load(&u->buffers, handle);

	return buffer && !buffer->retained ? buffer : NULL;
}

/*
 * The buffer that holds the mmap range [offset, offset + bytes), with a reference, and where in it
 * that is; NULL: none does. Under u->lock.
 */
struct userpci_buffer *userpci_buffer_find(struct userpci_device *u, u64 offset, u64 bytes,
					   u64 *inside)
{
	struct userpci_buffer *buffer;

	if (offset < USERPCI_DMA_OFFSET || offset >= USERPCI_STATS_OFFSET)
		return NULL;
	offset -= USERPCI_DMA_OFFSET;
	*inside = offset % USERPCI_DMA_WINDOW;
	buffer = buffer_get(u, offset / USERPCI_DMA_WINDOW);
	if (!buffer || buffer->kind == USERPCI_DMA_PINNED || *inside >= buffer->bytes ||
	    bytes > buffer->bytes - *inside)
		return NULL;
	kref_get(&buffer->ref);
	return buffer;
}

/*
 * Memory that needs cache maintenance is refused, so none is asked for: the caller may have pinned
 * the same page in several buffers.
 */
#define MAP_ATTRS DMA_ATTR_SKIP_CPU_SYNC

/* An IOMMU may forget an address later than the kernel does: the pages wait for it. */
static void buffer_unmap(struct userpci_buffer *buffer)
{
	struct device *dev = &buffer->u->pdev->dev;

	dma_unmap_sgtable(dev, &buffer->sgt, DMA_BIDIRECTIONAL, MAP_ATTRS);
	if (userpci_iommu_translates(buffer->u))
		iommu_flush_iotlb_all(iommu_get_domain_for_dev(dev));
	sg_free_table(&buffer->sgt);
}

/*
 * Notes the pieces, and their end as one more. A bounce buffer would be no memory that both sides
 * share.
 */
static int note_chunks(struct userpci_buffer *buffer)
{
	/* Asked of an IOMMU's mapping, some kernels always say yes. */
	bool may_bounce = !userpci_iommu_translates(buffer->u);
	struct userpci_chunk *chunk;
	struct scatterlist *sg;
	u64 offset = 0, next = 0;
	u32 n = 0;
	int i;

	chunk = kvcalloc(buffer->sgt.nents + 1, sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	for_each_sgtable_dma_sg (&buffer->sgt, sg, i) {
		if (may_bounce && dma_need_sync(&buffer->u->pdev->dev, sg_dma_address(sg))) {
			kvfree(chunk);
			return -EOPNOTSUPP;
		}
		if (!n || sg_dma_address(sg) != next)
			chunk[n++] = (struct userpci_chunk){ offset, sg_dma_address(sg) };
		next = sg_dma_address(sg) + sg_dma_len(sg);
		offset += sg_dma_len(sg);
	}
	chunk[n].offset = offset;
	buffer->chunks = chunk;
	buffer->num_chunks = n;
	return 0;
}

/* Gives the pages their iova. */
static int buffer_map(struct userpci_buffer *buffer)
{
	struct device *dev = &buffer->u->pdev->dev;
	int err;

	/* The mask may have changed; the DMA API would warn in the log, or take a bounce buffer. */
	if (!userpci_in_reach(buffer))
		return -EOPNOTSUPP;
	err = sg_alloc_table_from_pages(&buffer->sgt, buffer->pages, buffer->count, 0,
					buffer->bytes, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	if (dma_map_sgtable(dev, &buffer->sgt, DMA_BIDIRECTIONAL, MAP_ATTRS)) {
		sg_free_table(&buffer->sgt);
		return -ENOMEM;
	}
	err = note_chunks(buffer);
	if (err)
		buffer_unmap(buffer);
	return err;
}

static struct userpci_buffer *search(struct userpci_device *u, struct userpci_uapi_dma_get *a)
{
	struct userpci_buffer *buffer;
	unsigned long handle;

	if (!a->flags)
		return buffer_get(u, a->handle);
	xa_for_each (&u->buffers, handle, buffer) {
		if (buffer->retained)
			continue;
		if (a->flags == USERPCI_DMA_NEXT ? handle < a->handle
						 : !*a->name || strcmp(buffer->name, a->name))
			continue;
		a->handle = handle;
		return buffer;
	}
	return NULL;
}

static bool name_taken(struct userpci_device *u, const char *name)
{
	struct userpci_uapi_dma_get a = { .flags = USERPCI_DMA_NAMED };

	strscpy(a.name, name, sizeof(a.name));
	return search(u, &a);
}

/* Makes it the device's, under u->lock. */
static int buffer_enter(struct userpci_buffer *buffer, u32 *handle)
{
	struct userpci_device *u = buffer->u;
	int err;

	if (u->gone)
		return -ENODEV;
	if (name_taken(u, buffer->name))
		return -EEXIST;
	err = buffer_map(buffer);
	if (err)
		return err;
	err = xa_alloc(&u->buffers, handle, buffer, XA_LIMIT(0, USERPCI_DMA_BUFFERS - 1),
		       GFP_KERNEL_ACCOUNT);
	if (err)
		buffer_unmap(buffer);
	return err == -EBUSY ? -ENOSPC : err;
}

static void buffer_retire(struct userpci_device *u, unsigned long handle)
{
	struct userpci_buffer *buffer = xa_erase(&u->buffers, handle);

	buffer_unmap(buffer);
	userpci_buffer_put(buffer);
}

int userpci_dma_free(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma *a = arg;

	if (!buffer_get(uf->u, a->handle))
		return -ENOENT;
	buffer_retire(uf->u, a->handle);
	return 0;
}

/*
 * Takes all buffers from the owner; bus mastering is off. If the function has forgotten their
 * addresses they are freed (pages that are mapped: with their last map). If not, they stay with the
 * function, for it may still write them once bus mastering is on again: the next owner gets them
 * for his own.
 */
void userpci_dma_stop(struct userpci_device *u, bool forgotten)
{
	struct userpci_buffer *buffer;
	unsigned long handle;

	xa_for_each (&u->buffers, handle, buffer) {
		if (forgotten)
			buffer_retire(u, handle);
		else
			buffer->retained = true;
	}
}

/* Nobody maps it any more, no other function has its pages, and no page of the file was exchanged
 * (a hole was punched in it). */
static bool may_adopt(struct userpci_buffer *buffer)
{
	struct page *page;
	u64 i;

	if (kref_read(&buffer->ref) != 1 || !userpci_in_reach(buffer))
		return false;
	for (i = 0; i < buffer->count && !buffer->file; i++)
		if (page_count(buffer->pages[i]) != 1)
			return false;
	if (!buffer->file)
		return true;
	for (i = 0; i < buffer->count && file_count(buffer->file) == 1; i++) {
		page = find_get_page(buffer->file->f_mapping, i);
		if (page)
			put_page(page);
		if (page != buffer->pages[i])
			return false;
	}
	return i == buffer->count;
}

/* A retained buffer that serves, cleared; NULL: there is none. */
static struct userpci_buffer *buffer_adopt(struct userpci_device *u, struct userpci_uapi_dma *a)
{
	struct userpci_buffer *buffer;
	unsigned long i;
	u64 page;

	if (u->gone || a->kind == USERPCI_DMA_PINNED || name_taken(u, a->name))
		return NULL;
	xa_for_each (&u->buffers, i, buffer) {
		if (!buffer->retained || buffer->kind != a->kind || buffer->bytes != a->bytes ||
		    !may_adopt(buffer))
			continue;
		for (page = 0; page < buffer->count; page++)
			clear_highpage(buffer->pages[page]);
		strscpy(buffer->name, a->name, sizeof(buffer->name));
		buffer->retained = false;
		a->handle = i;
		return buffer;
	}
	return NULL;
}

static u64 mmap_offset(const struct userpci_buffer *buffer, u32 handle)
{
	if (buffer->kind == USERPCI_DMA_PINNED)
		return 0;
	return USERPCI_DMA_OFFSET + handle * USERPCI_DMA_WINDOW;
}

static int check(const struct userpci_uapi_dma *a)
{
	if (!a->bytes || a->kind > USERPCI_DMA_PINNED || a->reserved || a->reserved2)
		return -EINVAL;
	if (strnlen(a->name, sizeof(a->name)) == sizeof(a->name))
		return -EINVAL;
	if (a->kind == USERPCI_DMA_PINNED ? (a->address | a->bytes) & ~PAGE_MASK : a->address)
		return -EINVAL;
	/* Also keeps the rounding from an overflow. */
	return a->bytes > USERPCI_DMA_WINDOW ? -ENOMEM : 0;
}

/* Takes u->lock itself: see buffer_create(). */
int userpci_dma_alloc(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma *a = arg;
	struct userpci_device *u = uf->u;
	struct userpci_buffer *buffer;
	int err;

	err = check(a);
	if (err)
		return err;
	a->bytes = PAGE_ALIGN(a->bytes);
	mutex_lock(&u->lock);
	buffer = buffer_adopt(u, a);
	if (!buffer) {
		mutex_unlock(&u->lock);
		buffer = buffer_create(u, a);
		if (IS_ERR(buffer))
			return PTR_ERR(buffer);
		mutex_lock(&u->lock);
		err = buffer_enter(buffer, &a->handle);
	}
	if (!err) {
		a->iova = buffer->chunks[0].iova;
		a->offset = mmap_offset(buffer, a->handle);
		a->chunks = buffer->num_chunks;
	}
	mutex_unlock(&u->lock);
	if (err)
		userpci_buffer_put(buffer);
	return err;
}

int userpci_dma_get(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma_get *a = arg;
	struct userpci_chunk *chunk;
	struct userpci_buffer *buffer;

	if (a->flags & (a->flags - 1) || a->flags > USERPCI_DMA_NAMED || a->reserved ||
	    strnlen(a->name, sizeof(a->name)) == sizeof(a->name))
		return -EINVAL;
	buffer = search(uf->u, a);
	if (!buffer)
		return -ENOENT;
	if (a->chunk >= buffer->num_chunks)
		return -ERANGE;
	chunk = &buffer->chunks[array_index_nospec(a->chunk, buffer->num_chunks)];
	a->kind = buffer->kind;
	a->bytes = buffer->bytes;
	a->offset = mmap_offset(buffer, a->handle);
	a->references = buffer->file ? file_count(buffer->file) : kref_read(&buffer->ref);
	a->chunks = buffer->num_chunks;
	a->chunk_offset = chunk->offset;
	a->chunk_bytes = chunk[1].offset - chunk->offset;
	a->chunk_iova = chunk->iova;
	memcpy(a->name, buffer->name, sizeof(a->name));
	return 0;
}

int userpci_dma_set_mask(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma_mask *a = arg;
	struct userpci_uapi_dma_get any = { .flags = USERPCI_DMA_NEXT };

	if (a->bits < 24 || a->bits > 64)
		return -EINVAL;
	if (search(uf->u, &any))
		return -EBUSY;
	return dma_set_mask_and_coherent(&uf->u->pdev->dev, DMA_BIT_MASK(a->bits));
}
