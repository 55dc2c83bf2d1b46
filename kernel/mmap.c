// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap: vm_pgoff selects a BAR or a DMA buffer, remap_pfn_range maps it. Revocation at removal.
 *
 * The pages are entered at mmap; the fault handler serves only what a revocation took away.
 */
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* One virtual memory area, also one that fork or mremap made of another. */
struct userpci_map {
	struct list_head entry; /* in u->maps */
	struct userpci_device *u;
	struct vm_area_struct *vma;
	struct userpci_buffer *buffer; /* with a reference; NULL: a BAR */
	u64 inside;		       /* offset in the buffer */
	phys_addr_t phys;	       /* of the registers */
	bool wc;		       /* they are mapped write-combining */
	bool revoked;
};

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
	list_add(&map->entry, &map->u->maps);
	mutex_unlock(&map->u->lock);
}

static void map_close(struct vm_area_struct *vma)
{
	struct userpci_map *map = vma->vm_private_data;

	mutex_lock(&map->u->lock);
	list_del(&map->entry);
	mutex_unlock(&map->u->lock);
	if (map->buffer)
		userpci_buffer_put(map->buffer);
	kfree(map);
}

/*
 * Reached after a revocation only. A register then reads all ones, as an absent device does, and a
 * write lands in a page that nobody but this open file's user sees.
 */
static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct userpci_map *map = vmf->vma->vm_private_data;
	struct userpci_file *uf = vmf->vma->vm_file->private_data;

	if (map->buffer || !READ_ONCE(map->u->gone))
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(uf->ones));
}

/* Unmapped whole, as it was mapped: a hole would tear its memory type's range apart (x86 PAT). */
static int map_may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

/* A debugger's access through ptrace or /proc/PID/mem. Of registers: 1, 2, 4 or 8 bytes, aligned.
 */
static int map_access(struct vm_area_struct *vma, unsigned long address, void *data, int width,
		      int write)
{
	struct userpci_map *map = vma->vm_private_data;
	unsigned long inside = address - vma->vm_start;
	u64 value = U64_MAX;
	void __iomem *reg;

	if (map->buffer) {
		void *at = page_address(map->buffer->pages) + map->inside + inside;

		memcpy(write ? at : data, write ? data : at, width);
		return width;
	}
	if (!is_power_of_2(width) || width > sizeof(long) || address & (width - 1))
		return -EINVAL;
	if (write)
		memcpy(&value, data, width);
	mutex_lock(&map->u->lock);
	reg = map->u->gone ? NULL : ioremap(map->phys + inside, width);
	if (reg && write)
		userpci_write_register(reg, width, value);
	else if (reg)
		value = userpci_read_register(reg, width);
	if (reg)
		iounmap(reg);
	mutex_unlock(&map->u->lock);
	if (!write)
		memcpy(data, &value, width);
	return width;
}

static const struct vm_operations_struct map_ops = {
	.open = map_open,
	.close = map_close,
	.fault = map_fault,
	.access = map_access,
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
 * map read-only, and stay so.
 */
static int protect_table(struct userpci_region *r, u64 inside, struct vm_area_struct *vma)
{
	u64 end = inside + (vma->vm_end - vma->vm_start);

	if (!r->table_bytes || end <= r->table_offset || inside >= r->table_offset + r->table_bytes)
		return 0;
	if (vma->vm_flags & VM_WRITE)
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
		if (!m->buffer && m->wc != map->wc &&
		    map->phys < m->phys + vma_pages(m->vma) * PAGE_SIZE &&
		    m->phys < map->phys + bytes)
			return true;
	return false;
}

static int map_region(struct userpci_device *u, struct vm_area_struct *vma, struct userpci_map *map)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 bytes = vma->vm_end - vma->vm_start;
	pgprot_t prot = vma->vm_page_prot;
	struct userpci_region *r;
	unsigned long pfn;
	int err;

	if (u->gone)
		return -ENODEV;
	if (offset < USERPCI_DMA_OFFSET && arch_can_pci_mmap_wc())
		map->wc = offset & USERPCI_WC_OFFSET;
	if (map->wc)
		offset -= USERPCI_WC_OFFSET;
	r = bar_find(u, offset, bytes);
	if (r) {
		u64 inside = offset - r->offset;

		err = protect_table(r, inside, vma);
		if (err)
			return err;
		map->phys = pci_resource_start(u->pdev, r - u->regions) + inside;
		if (other_type(u, map, bytes))
			return -EBUSY;
		pfn = map->phys >> PAGE_SHIFT;
		prot = map->wc ? pgprot_writecombine(prot) : pgprot_device(prot);
	} else {
		map->buffer = userpci_buffer_find(u, offset, bytes, &pfn);
		if (!map->buffer)
			return -EINVAL;
		map->inside = PFN_PHYS(pfn - page_to_pfn(map->buffer->pages));
	}
	vma->vm_page_prot = prot;
	err = remap_pfn_range(vma, vma->vm_start, pfn, bytes, prot);
	if (err)
		return err;
	list_add(&map->entry, &u->maps);
	return 0;
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
	err = map_region(uf->u, vma, map);
	mutex_unlock(&uf->u->lock);
	if (err) {
		if (map->buffer)
			userpci_buffer_put(map->buffer);
		kfree(map);
		return err;
	}
	vma->vm_private_data = map;
	vma->vm_ops = &map_ops;
	return 0;
}

/* A process with BAR maps that are not revoked, held; NULL: no more. Under u->lock. */
static struct mm_struct *next_mm(struct userpci_device *u)
{
	struct userpci_map *map;

	list_for_each_entry (map, &u->maps, entry) {
		if (map->revoked || map->buffer)
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

		if (map->revoked || map->buffer || vma->vm_mm != mm)
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
