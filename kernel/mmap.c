// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap: vm_pgoff selects a BAR, a DMA buffer or the statistics. Revocation at removal.
 *
 * remap_pfn_range enters the pages at mmap. The fault handler serves what a revocation took away,
 * and large maps of registers, for which the kernel has larger pages only there.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "internal.h"

/* One virtual memory area, also one that fork or mremap made of another. */
struct userpci_map {
	struct list_head entry; /* in u->maps */
	struct userpci_device *u;
	struct vm_area_struct *vma;
	u32 flags; /* USERPCI_MAP_*; neither _DMA nor _STATS: registers */
	bool wc;   /* write-combining was asked for */
	bool revoked;
	u64 inside;		       /* offset in the buffer or the statistics */
	phys_addr_t phys;	       /* of the registers */
	struct userpci_buffer *buffer; /* with a reference */
};

static bool has_registers(const struct userpci_map *map)
{
	return !(map->flags & (USERPCI_MAP_DMA | USERPCI_MAP_STATS));
}

static void map_add(struct userpci_map *map)
{
	list_add(&map->entry, &map->u->maps);
	WRITE_ONCE(map->u->stats->maps, map->u->stats->maps + 1);
}

/* The copy has its parent's file, and so holds the device. */
static void map_open(struct vm_area_struct *vma)
{
	struct userpci_map *parent = vma->vm_private_data;
	struct userpci_map *map;

	/* A fork cannot be refused here, and a map that nobody knows could not be revoked. */
	map = kmemdup(parent, sizeof(*map), GFP_KERNEL | __GFP_NOFAIL);
	map->vma = vma;
	if (map->buffer)
		kref_get(&map->buffer->ref);
	vma->vm_private_data = map;
	mutex_lock(&map->u->lock);
	map_add(map);
	mutex_unlock(&map->u->lock);
}

static void map_close(struct vm_area_struct *vma)
{
	struct userpci_map *map = vma->vm_private_data;

	mutex_lock(&map->u->lock);
	list_del(&map->entry);
	WRITE_ONCE(map->u->stats->maps, map->u->stats->maps - 1);
	mutex_unlock(&map->u->lock);
	if (map->buffer)
		userpci_buffer_put(map->buffer);
	kfree(map);
}

/*
 * After a revocation a register reads all ones, as an absent device does, and a write lands in a
 * page that nobody but this open file's user sees.
 */
static vm_fault_t insert_ones(struct vm_fault *vmf)
{
	struct userpci_file *uf = vmf->vma->vm_file->private_data;

	if (!uf->ones) {
		uf->ones = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!uf->ones)
			return VM_FAULT_OOM;
		memset(page_address(uf->ones), 0xff, PAGE_SIZE);
	}
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(uf->ones));
}

static vm_fault_t insert(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct userpci_map *map = vma->vm_private_data;
	unsigned long bytes = PAGE_SIZE << order;
	unsigned long address = ALIGN_DOWN(vmf->address, bytes);
	phys_addr_t phys = map->phys + (address - vma->vm_start);
	vm_fault_t result = VM_FAULT_FALLBACK;

	if (!has_registers(map))
		return VM_FAULT_SIGBUS;
	/* With it held no page is entered behind a revocation. */
	mutex_lock(&map->u->lock);
	if (map->u->gone)
		result = order ? VM_FAULT_FALLBACK : insert_ones(vmf);
	else if (address >= vma->vm_start && vma->vm_end - address >= bytes &&
		 IS_ALIGNED(phys, bytes))
		result = userpci_insert_pfn(vmf, address, PHYS_PFN(phys), order);
	if (order && result == VM_FAULT_NOPAGE)
		map->flags |= USERPCI_MAP_HUGE;
	mutex_unlock(&map->u->lock);
	return result;
}

static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct userpci_map *map = vmf->vma->vm_private_data;
	vm_fault_t result = VM_FAULT_FALLBACK;

	if (!(map->flags & USERPCI_MAP_STATS)) {
		if (USERPCI_FAULT_ORDER)
			result = insert(vmf, USERPCI_FAULT_ORDER);
		return result == VM_FAULT_FALLBACK ? insert(vmf, 0) : result;
	}
	/* Dropped by madvise(). */
	vmf->page = vmalloc_to_page((u8 *)map->u->stats + map->inside +
				    (vmf->address - vmf->vma->vm_start));
	get_page(vmf->page);
	return 0;
}

/* Unmapped whole, as it was mapped: a hole would tear its memory type's range apart (x86 PAT). */
static int map_may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

/* A debugger's access, by ptrace or /proc/PID/mem; of registers: 1, 2, 4 or 8 bytes, aligned. */
static int map_access(struct vm_area_struct *vma, unsigned long address, void *data, int width,
		      int write)
{
	struct userpci_map *map = vma->vm_private_data;
	u64 inside = map->inside + (address - vma->vm_start);
	u64 value = U64_MAX;
	void __iomem *reg;
	void *at;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (map->flags & USERPCI_MAP_STATS) /* ordinary pages: not reached, but for a mistake */
		return -EFAULT;
	if (map->buffer) {
		at = page_address(map->buffer->pages[inside >> PAGE_SHIFT]) +
		     offset_in_page(inside);
		width = min_t(int, width, PAGE_SIZE - offset_in_page(inside));
		memcpy(write ? at : data, write ? data : at, width);
		return width;
	}
	if (!is_power_of_2(width) || width > sizeof(long) || address & (width - 1))
		return -EINVAL;
	if (write)
		memcpy(&value, data, width);
	mutex_lock(&map->u->lock);
	reg = map->u->gone ? NULL : ioremap(map->phys + inside, width);
	if (reg) {
		userpci_access(reg, width, &value, write);
		iounmap(reg);
	}
	mutex_unlock(&map->u->lock);
	if (!write)
		memcpy(data, &value, width);
	return width;
}

static const struct vm_operations_struct map_ops = {
	.open = map_open,
	.close = map_close,
	.fault = map_fault,
	USERPCI_HUGE_FAULT(insert).access = map_access,
	.may_split = map_may_split,
};

/* The BAR that holds the mmap range [offset, offset + bytes), or NULL. */
static struct userpci_region *bar_find(struct userpci_device *u, u64 offset, u64 bytes)
{
	int bar;

	for (bar = 0; bar < USERPCI_NUM_BARS; bar++) {
		struct userpci_region *r = &u->regions[bar];

		if (offset >= r->offset && offset - r->offset < r->map_bytes)
			return bytes <= r->map_bytes - (offset - r->offset) ? r : NULL;
	}
	return NULL;
}

/*
 * The MSI-X table holds addresses that the function writes to: only the kernel fills it. Its pages
 * map read-only, and stay so; with the kernel's own memory type.
 */
static int protect_table(struct userpci_region *r, u64 inside, struct vm_area_struct *vma, bool wc)
{
	u64 end = inside + (vma->vm_end - vma->vm_start);

	if (!r->table_bytes || end <= r->table_offset || inside >= r->table_offset + r->table_bytes)
		return 0;
	if (vma->vm_flags & VM_WRITE || wc)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYWRITE);
	return 0;
}

/*
 * Whether registers of the range are mapped with the other memory type: the CPU must not see one
 * address with two, and x86 would silently give the second map the type of the first.
 */
static bool other_type(struct userpci_device *u, const struct userpci_map *map, u64 bytes)
{
	struct userpci_map *m;

	list_for_each_entry (m, &u->maps, entry)
		if (has_registers(m) && m->wc != map->wc &&
		    map->phys < m->phys + vma_pages(m->vma) * PAGE_SIZE &&
		    m->phys < map->phys + bytes)
			return true;
	return false;
}

static int map_registers(struct userpci_map *map, struct userpci_region *r, u64 inside)
{
	struct vm_area_struct *vma = map->vma;
	u64 bytes = vma->vm_end - vma->vm_start;
	int err;

	err = protect_table(r, inside, vma, map->wc);
	if (err)
		return err;
	map->phys = pci_resource_start(map->u->pdev, r - map->u->regions) + inside;
	if (other_type(map->u, map, bytes))
		return -EBUSY;
	vma->vm_page_prot = map->wc ? pgprot_writecombine(vma->vm_page_prot)
				    : pgprot_device(vma->vm_page_prot);
	/* The type of a page that a fault enters is looked up, and only uncached needs no entry. */
	if (USERPCI_HUGE && !map->wc && bytes >= PMD_SIZE) {
		vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
		return 0;
	}
	err = remap_pfn_range(vma, vma->vm_start, PHYS_PFN(map->phys), bytes, vma->vm_page_prot);
	if (!err && map->wc && userpci_obtained_wc(vma))
		map->flags |= USERPCI_MAP_WC;
	return err;
}

/* Each piece of consecutive pages at once. */
static int map_buffer(struct userpci_map *map)
{
	struct vm_area_struct *vma = map->vma;
	struct page **pages = map->buffer->pages + (map->inside >> PAGE_SHIFT);
	unsigned long i, n, count = vma_pages(vma);
	int err = 0;

	map->flags |= USERPCI_MAP_DMA;
	for (i = 0; i < count && !err; i += n) {
		for (n = 1; i + n < count && pages[i + n] == pages[i] + n;)
			n++;
		err = remap_pfn_range(vma, vma->vm_start + i * PAGE_SIZE, page_to_pfn(pages[i]),
				      n * PAGE_SIZE, vma->vm_page_prot);
	}
	return err;
}

static int map_stats(struct userpci_map *map)
{
	if (map->vma->vm_flags & VM_WRITE)
		return -EACCES;
	vm_flags_clear(map->vma, VM_MAYWRITE);
	map->flags |= USERPCI_MAP_STATS;
	return remap_vmalloc_range(map->vma, map->u->stats, map->inside >> PAGE_SHIFT);
}

/* What the offset selects, under u->lock. Sets map->buffer, also when it fails. */
static int map_any(struct userpci_map *map)
{
	struct userpci_device *u = map->u;
	u64 offset = (u64)map->vma->vm_pgoff << PAGE_SHIFT;
	u64 bytes = map->vma->vm_end - map->vma->vm_start;
	struct userpci_region *r;

	if (u->gone)
		return -ENODEV;
	if (offset >= USERPCI_STATS_OFFSET) {
		map->inside = offset - USERPCI_STATS_OFFSET;
		if (map->inside >= u->stats_bytes || bytes > u->stats_bytes - map->inside)
			return -EINVAL;
		return map_stats(map);
	}
	if (offset >= USERPCI_DMA_OFFSET) {
		map->buffer = userpci_buffer_find(u, offset, bytes, &map->inside);
		if (!map->buffer)
			return -EINVAL;
		return map->buffer->file ? 0 : map_buffer(map);
	}
	map->wc = arch_can_pci_mmap_wc() && offset & USERPCI_WC_OFFSET;
	if (map->wc)
		offset -= USERPCI_WC_OFFSET;
	r = bar_find(u, offset, bytes);
	return r ? map_registers(map, r, offset - r->offset) : -EINVAL;
}

/* From here on it is a map of the shared memory file, and none of ours. */
static int map_shared(struct vm_area_struct *vma, struct userpci_map *map)
{
	vma->vm_pgoff = map->inside >> PAGE_SHIFT;
	vma_set_file(vma, map->buffer->file);
	return userpci_call_mmap(map->buffer->file, vma);
}

int userpci_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct userpci_file *uf = file->private_data;
	struct userpci_map *map;
	int err;

	/*
	 * A private map would copy a written page, and the write would never reach the device. (A
	 * shared map of a read-only file has VM_MAYSHARE, but not VM_SHARED.)
	 */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->u = uf->u;
	map->vma = vma;

	mutex_lock(&uf->u->lock);
	err = map_any(map);
	if (!err && !(map->buffer && map->buffer->file)) {
		vma->vm_private_data = map;
		vma->vm_ops = &map_ops;
		map_add(map);
		map = NULL;
	}
	mutex_unlock(&uf->u->lock);
	if (!map)
		return 0;
	if (!err)
		err = map_shared(vma, map);
	if (map->buffer)
		userpci_buffer_put(map->buffer);
	kfree(map);
	return err;
}

/* What a map is, by an address in it. */
int userpci_get_map(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_map *a = arg;
	struct userpci_map *map;

	list_for_each_entry (map, &uf->u->maps, entry) {
		struct vm_area_struct *vma = map->vma;

		if (vma->vm_mm != current->mm || a->address < vma->vm_start ||
		    a->address >= vma->vm_end)
			continue;
		a->flags = map->flags;
		a->address = vma->vm_start;
		a->bytes = vma->vm_end - vma->vm_start;
		a->offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
		return 0;
	}
	return -ENOENT;
}

/*
 * The pages of a DMA buffer of whatever function, where the caller maps it for writing; each with a
 * reference, for it may outlive the buffer. -EFAULT: no such map.
 */
int userpci_map_pages(unsigned long address, u64 count, struct page **pages)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	struct userpci_map *map = NULL;
	int err = -EFAULT;
	u64 first, i;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, address);
	if (vma && vma->vm_ops == &map_ops && vma->vm_flags & VM_WRITE &&
	    count <= (vma->vm_end - address) >> PAGE_SHIFT)
		map = vma->vm_private_data;
	if (map && map->buffer) {
		first = (map->inside + address - vma->vm_start) >> PAGE_SHIFT;
		for (i = 0; i < count; i++) {
			pages[i] = map->buffer->pages[first + i];
			get_page(pages[i]);
		}
		err = 0;
	}
	mmap_read_unlock(mm);
	return err;
}

/* A process with BAR maps that are not revoked, held; NULL: no more. Under u->lock. */
static struct mm_struct *next_mm(struct userpci_device *u)
{
	struct userpci_map *map;

	list_for_each_entry (map, &u->maps, entry) {
		if (map->revoked || !has_registers(map))
			continue;
		if (mmget_not_zero(map->vma->vm_mm))
			return map->vma->vm_mm;
		/* Its last thread has ended: nobody can use the map, and the exit takes it away. */
		map->revoked = true;
	}
	return NULL;
}

static void revoke_mm(struct userpci_device *u, struct mm_struct *mm)
{
	struct userpci_map *map;

	list_for_each_entry (map, &u->maps, entry) {
		struct vm_area_struct *vma = map->vma;

		if (map->revoked || !has_registers(map) || vma->vm_mm != mm)
			continue;
		userpci_zap_vma(vma, vma->vm_start, vma->vm_end - vma->vm_start);
		map->revoked = true;
	}
}

/*
 * Takes every BAR map away from every process; u->gone is set, so that no other is made. Under each
 * mmap_lock in turn, for writing: then no mmap or fork of that process is half way through, and no
 * munmap releases the same range's memory type beside us.
 */
void userpci_revoke(struct userpci_device *u)
{
	struct mm_struct *mm;

	for (;;) {
		mutex_lock(&u->lock);
		mm = next_mm(u);
		mutex_unlock(&u->lock);
		if (!mm)
			return;
		mmap_write_lock(mm);
		mutex_lock(&u->lock);
		revoke_mm(u, mm);
		mutex_unlock(&u->lock);
		mmap_write_unlock(mm);
		mmput(mm);
	}
}
