// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of DMA buffers: where they come from, and where they go.
 *
 * They are the module's own (or the caller's, pinned) and then mapped for the device. So a buffer
 * outlives the device: at removal its DMA mapping goes, while processes keep reading its contents.
 * Memory of dma_alloc_coherent() would have to be freed before the driver is unbound.
 */
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"

#define QUIETLY (__GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* The highest physical address that the function can reach: pages above would bounce. */
u64 userpci_reach(struct userpci_device *u)
{
	struct device *dev = &u->pdev->dev;

	if (userpci_iommu_translates(u))
		return U64_MAX;
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

bool userpci_in_reach(struct userpci_buffer *buffer)
{
	u64 reach = userpci_reach(buffer->u);
	u64 i;

	for (i = 0; i < buffer->count; i++)
		if (page_to_phys(buffer->pages[i]) + PAGE_SIZE - 1 > reach)
			return false;
	return true;
}

/*
 * One piece, or for CHUNKED pieces as large as there are. Each page has a reference of its own, so
 * that sizes need not be powers of 2.
 */
static int alloc_pieces(struct userpci_buffer *buffer, gfp_t zone)
{
	bool chunked = buffer->kind == USERPCI_DMA_CHUNKED;
	unsigned long total = buffer->bytes >> PAGE_SHIFT, want = total, i;
	int node = dev_to_node(&buffer->u->pdev->dev);
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | QUIETLY | zone;

	if (chunked)
		want = min(want, 1UL << USERPCI_MAX_ORDER);
	while (buffer->count < total) {
		struct page *pages = NULL;
		unsigned int order;
		bool divisible;

		if (fatal_signal_pending(current))
			return -EINTR;
		want = min(want, total - buffer->count);
		order = get_order(want << PAGE_SHIFT);
		divisible = chunked && order;
		/* Whoever can do with less does not press the system for much. */
		if (order <= USERPCI_MAX_ORDER)
			pages = alloc_pages_node(node, divisible ? gfp | __GFP_NORETRY : gfp,
						 order);
		if (!pages && !divisible)
			return -ENOMEM;
		if (!pages) {
			want = 1UL << (order - 1);
			continue;
		}
		split_page(pages, order);
		for (i = 0; i < 1UL << order; i++) {
			if (i < want)
				buffer->pages[buffer->count++] = pages + i;
			else
				__free_page(pages + i);
		}
	}
	return 0;
}

static int alloc_shared(struct userpci_buffer *buffer, gfp_t zone)
{
	struct address_space *mapping;
	struct file *file;
	struct page *page;

	file = userpci_shmem_file(buffer->bytes);
	if (IS_ERR(file))
		return PTR_ERR(file);
	buffer->file = file;
	mapping = file->f_mapping;
	/* Without __GFP_ACCOUNT: shmem charges its pages itself, and drops the first charge. */
	mapping_set_gfp_mask(mapping, GFP_KERNEL | QUIETLY | zone);
	mapping_set_unevictable(mapping);
	while (buffer->count < buffer->bytes >> PAGE_SHIFT) {
		if (fatal_signal_pending(current))
			return -EINTR;
		page = shmem_read_mapping_page(mapping, buffer->count);
		if (IS_ERR(page))
			return PTR_ERR(page);
		buffer->pages[buffer->count++] = page;
	}
	return 0;
}

/*
 * A buffer of this function or another, so that several can use one; or the caller's own memory,
 * counted as locked.
 */
static int pin(struct userpci_buffer *buffer, unsigned long address)
{
	unsigned long total = buffer->bytes >> PAGE_SHIFT;
	unsigned long most = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	int got;

	got = userpci_map_pages(address, total, buffer->pages);
	if (!got)
		buffer->count = total;
	if (got != -EFAULT)
		return got ?: userpci_in_reach(buffer) ? 0 : -EOPNOTSUPP;
	buffer->mm = current->mm;
	mmgrab(buffer->mm);
	if (atomic64_add_return(total, &buffer->mm->pinned_vm) > most && !capable(CAP_IPC_LOCK))
		return -ENOMEM;
	while (buffer->count < total) {
		got = pin_user_pages_fast(address + (buffer->count << PAGE_SHIFT),
					  total - buffer->count, FOLL_WRITE | FOLL_LONGTERM,
					  buffer->pages + buffer->count);
		if (got <= 0) /* EOVERFLOW, on some kernels: beyond the process */
			return got && got != -EOVERFLOW ? got : -EFAULT;
		buffer->count += got;
	}
	return userpci_in_reach(buffer) ? 0 : -EOPNOTSUPP;
}

/* Gives back what there is, also after a failure half way. */
void userpci_pages_put(struct userpci_buffer *buffer)
{
	u64 i;

	if (buffer->mm) {
		unpin_user_pages_dirty_lock(buffer->pages, buffer->count, true);
		atomic64_sub(buffer->bytes >> PAGE_SHIFT, &buffer->mm->pinned_vm);
		mmdrop(buffer->mm);
		buffer->count = 0;
	}
	for (i = 0; i < buffer->count; i++) {
		/* What looks clean could be dropped, with what the device wrote. */
		if (buffer->file)
			set_page_dirty(buffer->pages[i]);
		put_page(buffer->pages[i]);
	}
	if (buffer->file)
		fput(buffer->file);
	buffer->mm = NULL;
	buffer->file = NULL;
	buffer->count = 0;
}

/* Fills buffer->pages, within the reach of the device; `address` is for PINNED. */
int userpci_pages_get(struct userpci_buffer *buffer, unsigned long address)
{
	static const gfp_t zones[] = { 0, GFP_DMA32, GFP_DMA };
	u64 reach = userpci_reach(buffer->u);
	/* Pages above 4 GiB would only be allocated, cleared and given back. */
	unsigned int i = reach > DMA_BIT_MASK(32) ? 0 : 1;
	int err;

	if (buffer->kind == USERPCI_DMA_PINNED)
		return pin(buffer, address);
	/* What cannot be swapped, nor had back by killing the owner, must not be all there is. */
	if (si_mem_available() - (long)(buffer->bytes >> PAGE_SHIFT) < (long)totalram_pages() / 16)
		return -ENOMEM;
	/* The lowest zone is scarce: only for those who need it. */
	for (; i < 2 || (i == 2 && reach < DMA_BIT_MASK(32)); i++) {
		err = buffer->kind == USERPCI_DMA_SHARED ? alloc_shared(buffer, zones[i])
							 : alloc_pieces(buffer, zones[i]);
		if (err || userpci_in_reach(buffer))
			return err;
		userpci_pages_put(buffer);
	}
	return -ENOMEM;
}
