// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contiguous DMA buffers.
 *
 * The pages are the module's own, within the device's mask, and then mapped for the device. So a
 * buffer outlives the device: at removal its DMA mapping goes, while processes keep reading its
 * contents. Memory of dma_alloc_coherent() would have to be freed before the driver is unbound.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/moduleparam.h>

#include "internal.h"

static unsigned int dma_limit_mb;
module_param(dma_limit_mb, uint, 0644);
MODULE_PARM_DESC(dma_limit_mb, "most DMA memory of one device in MiB (0: no limit)");

static void free_pages_of(struct page *pages, u64 bytes)
{
	u64 i;

	for (i = 0; i < bytes >> PAGE_SHIFT; i++)
		__free_page(pages + i);
}

static void buffer_release(struct kref *ref)
{
	struct userpci_buffer *buffer = container_of(ref, struct userpci_buffer, ref);

	free_pages_of(buffer->pages, buffer->bytes);
	kfree(buffer);
}

void userpci_buffer_put(struct userpci_buffer *buffer)
{
	kref_put(&buffer->ref, buffer_release);
}

/* The owner's buffer of that handle, or NULL. */
static struct userpci_buffer *buffer_get(struct userpci_device *u, unsigned long handle)
{
	struct userpci_buffer *buffer = xa_load(&u->buffers, handle);

	return buffer && !buffer->retained ? buffer : NULL;
}

/*
 * The buffer that holds the mmap range [offset, offset + bytes), with a reference, and the range's
 * first page frame; NULL: none does. Under u->lock.
 */
struct userpci_buffer *userpci_buffer_find(struct userpci_device *u, u64 offset, u64 bytes,
					   unsigned long *pfn)
{
	struct userpci_buffer *buffer;
	u64 inside;

	if (offset < USERPCI_DMA_OFFSET)
		return NULL;
	offset -= USERPCI_DMA_OFFSET;
	if (offset / USERPCI_DMA_WINDOW >= USERPCI_DMA_BUFFERS)
		return NULL;
	inside = offset % USERPCI_DMA_WINDOW;
	buffer = buffer_get(u, offset / USERPCI_DMA_WINDOW);
	if (!buffer || inside >= buffer->bytes || bytes > buffer->bytes - inside)
		return NULL;
	kref_get(&buffer->ref);
	*pfn = page_to_pfn(buffer->pages) + (inside >> PAGE_SHIFT);
	return buffer;
}

/* Contiguous zeroed pages, each with a reference of its own: sizes need not be powers of 2. */
static struct page *alloc_contiguous(struct device *dev, u64 bytes, gfp_t zone)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | zone;
	unsigned int order = get_order(bytes);
	struct page *pages;
	u64 i;

	pages = alloc_pages_node(dev_to_node(dev), gfp, order);
	if (!pages)
		return NULL;
	split_page(pages, order);
	for (i = bytes >> PAGE_SHIFT; i < 1ULL << order; i++)
		__free_page(pages + i);
	return pages;
}

/* The highest address that the function can reach without an IOMMU. */
static u64 reach(struct device *dev)
{
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

/* Gives the pages an iova. Fails where they are out of the device's reach: no bounce buffers. */
static int map_for_device(struct userpci_device *u, struct userpci_buffer *buffer)
{
	struct device *dev = &u->pdev->dev;
	u64 last = page_to_phys(buffer->pages) + buffer->bytes - 1;

	/* Checked here because the DMA API would warn in the log, or take a bounce buffer. */
	if (!userpci_iommu_translates(u) && last > reach(dev))
		return -ENOMEM;
	buffer->iova = dma_map_page(dev, buffer->pages, 0, buffer->bytes, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, buffer->iova))
		return -ENOMEM;
	if (dma_need_sync(dev, buffer->iova)) {
		dma_unmap_page(dev, buffer->iova, buffer->bytes, DMA_BIDIRECTIONAL);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int buffer_fill(struct userpci_device *u, struct userpci_buffer *buffer)
{
	static const struct {
		gfp_t zone;
		u64 widest; /* the zone is for masks up to this */
	} zones[] = { { 0, U64_MAX }, { GFP_DMA32, U64_MAX }, { GFP_DMA, DMA_BIT_MASK(32) - 1 } };
	u64 mask = reach(&u->pdev->dev);
	unsigned int i = 0;
	int err = -ENOMEM;

	/* Pages above 4 GiB would only be allocated, cleared and given back. */
	if (!userpci_iommu_translates(u) && mask <= DMA_BIT_MASK(32))
		i = 1;
	for (; i < ARRAY_SIZE(zones) && mask <= zones[i].widest; i++) {
		buffer->pages = alloc_contiguous(&u->pdev->dev, buffer->bytes, zones[i].zone);
		if (!buffer->pages)
			continue;
		err = map_for_device(u, buffer);
		if (!err)
			return 0;
		free_pages_of(buffer->pages, buffer->bytes);
	}
	return err;
}

static bool over_limit(struct userpci_device *u, u64 bytes)
{
	u64 limit = (u64)READ_ONCE(dma_limit_mb) << 20;

	return limit && u->dma_bytes + bytes > limit;
}

static struct userpci_buffer *buffer_create(struct userpci_device *u, u64 bytes, u32 *handle)
{
	struct userpci_buffer *buffer;
	int err;

	if (bytes > PAGE_SIZE << USERPCI_MAX_ORDER)
		return ERR_PTR(-ENOMEM);
	if (over_limit(u, bytes))
		return ERR_PTR(-EDQUOT);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	kref_init(&buffer->ref);
	buffer->bytes = bytes;
	err = buffer_fill(u, buffer);
	if (err)
		goto free_buffer;
	err = xa_alloc(&u->buffers, handle, buffer, XA_LIMIT(0, USERPCI_DMA_BUFFERS - 1),
		       GFP_KERNEL_ACCOUNT);
	if (err)
		goto unmap;
	u->dma_bytes += bytes;
	return buffer;

unmap:
	err = err == -EBUSY ? -ENOSPC : err;
	dma_unmap_page(&u->pdev->dev, buffer->iova, bytes, DMA_BIDIRECTIONAL);
	free_pages_of(buffer->pages, bytes);
free_buffer:
	kfree(buffer);
	return ERR_PTR(err);
}

static void buffer_retire(struct userpci_device *u, unsigned long handle)
{
	struct userpci_buffer *buffer = xa_erase(&u->buffers, handle);

	dma_unmap_page(&u->pdev->dev, buffer->iova, buffer->bytes, DMA_BIDIRECTIONAL);
	u->dma_bytes -= buffer->bytes;
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

/* A retained buffer of this size within the mask, zeroed, and its handle; NULL: there is none. */
static struct userpci_buffer *buffer_adopt(struct userpci_device *u, u64 bytes, u32 *handle)
{
	struct userpci_buffer *buffer;
	unsigned long i;
	u64 page;

	xa_for_each (&u->buffers, i, buffer) {
		if (!buffer->retained || buffer->bytes != bytes ||
		    buffer->iova + bytes - 1 > dma_get_mask(&u->pdev->dev))
			continue;
		for (page = 0; page < bytes >> PAGE_SHIFT; page++)
			clear_highpage(buffer->pages + page);
		buffer->retained = false;
		*handle = i;
		return buffer;
	}
	return NULL;
}

int userpci_dma_alloc(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma *a = arg;
	struct userpci_buffer *buffer;
	u32 handle;

	if (!a->bytes || a->flags || a->reserved)
		return -EINVAL;
	/* Also keeps the rounding from an overflow. */
	if (a->bytes > USERPCI_DMA_WINDOW)
		return -ENOMEM;
	buffer = buffer_adopt(uf->u, PAGE_ALIGN(a->bytes), &handle);
	if (!buffer)
		buffer = buffer_create(uf->u, PAGE_ALIGN(a->bytes), &handle);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	a->bytes = buffer->bytes;
	a->iova = buffer->iova;
	a->offset = USERPCI_DMA_OFFSET + handle * USERPCI_DMA_WINDOW;
	a->handle = handle;
	return 0;
}

int userpci_dma_set_mask(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_dma_mask *a = arg;
	struct userpci_device *u = uf->u;
	unsigned long handle;

	if (a->bits < 24 || a->bits > 64)
		return -EINVAL;
	for (handle = 0; handle < USERPCI_DMA_BUFFERS; handle++)
		if (buffer_get(u, handle))
			return -EBUSY;
	return dma_set_mask_and_coherent(&u->pdev->dev, DMA_BIT_MASK(a->bits));
}
