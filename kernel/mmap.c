// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap: vm_pgoff selects a BAR or a DMA buffer, remap_pfn_range maps it. Revocation at removal.
 *
 * All files of a device share the address space of one inode of the device's own, so that one
 * unmap_mapping_range() reaches every process. The pages are entered at mmap; the fault handler
 * serves only what a revocation took away.
 */
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* One mmap call: shared by the maps that fork, mremap and the like make of it. */
struct userpci_map {
	struct kref ref;
	struct list_head entry; /* in u->maps */
	struct userpci_device *u;
	struct mm_struct *mm; /* who called mmap: held as a structure, not as an address space */
	struct userpci_buffer *buffer; /* NULL: a BAR */
};

static struct vfsmount *inodes;

static int inodes_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x75706369) ? 0 : -ENOMEM;
}

/* Not registered and without an owner: nobody else mounts it, and it does not pin the module. */
static struct file_system_type inodes_type = {
	.name = "userpci",
	.init_fs_context = inodes_init_fs_context,
	.kill_sb = kill_anon_super,
};

int userpci_inodes_init(void)
{
	inodes = kern_mount(&inodes_type);
	return PTR_ERR_OR_ZERO(inodes);
}

void userpci_inodes_exit(void)
{
	kern_unmount(inodes);
}

int userpci_inode_create(struct userpci_device *u)
{
	struct inode *inode = alloc_anon_inode(inodes->mnt_sb);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	u->inode = inode;
	return 0;
}

static void map_release(struct kref *ref)
{
	struct userpci_map *map = container_of(ref, struct userpci_map, ref);

	mutex_lock(&map->u->lock);
	list_del(&map->entry);
	mutex_unlock(&map->u->lock);
	if (map->buffer)
		userpci_buffer_put(map->buffer);
	mmdrop(map->mm);
	kfree(map);
}

static void map_open(struct vm_area_struct *vma)
{
	struct userpci_map *map = vma->vm_private_data;

	kref_get(&map->ref);
}

/* The file of the map is still held, and through it the device. */
static void map_close(struct vm_area_struct *vma)
{
	struct userpci_map *map = vma->vm_private_data;

	kref_put(&map->ref, map_release);
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

/* A region is unmapped as it was mapped: a hole would tear its memory type's range apart (x86 PAT).
 */
static int map_may_split(struct vm_area_struct *vma, unsigned long address)
{
	return -EINVAL;
}

static const struct vm_operations_struct map_ops = {
	.open = map_open,
	.close = map_close,
	.fault = map_fault,
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
	r = bar_find(u, offset, bytes);
	if (r) {
		u64 inside = offset - r->offset;

		err = protect_table(r, inside, vma);
		if (err)
			return err;
		pfn = (pci_resource_start(u->pdev, r - u->regions) + inside) >> PAGE_SHIFT;
		prot = pgprot_device(prot);
	} else {
		map->buffer = userpci_buffer_find(u, offset, bytes, &pfn);
		if (!map->buffer)
			return -EINVAL;
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

	/* A private map would copy a written page, and the write would never reach the device. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	kref_init(&map->ref);
	map->u = uf->u;
	map->mm = vma->vm_mm;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);

	mutex_lock(&uf->u->lock);
	err = map_region(uf->u, vma, map);
	mutex_unlock(&uf->u->lock);
	if (err)
		goto free_map;
	mmgrab(map->mm);
	vma->vm_private_data = map;
	vma->vm_ops = &map_ops;
	return 0;

free_map:
	if (map->buffer)
		userpci_buffer_put(map->buffer);
	kfree(map);
	return err;
}

/* The address space of one map that may still be on its way into the inode's tree; NULL: none left.
 */
static struct mm_struct *next_mm(struct userpci_device *u, struct list_head *seen)
{
	struct userpci_map *map;
	struct mm_struct *mm = NULL;

	mutex_lock(&u->lock);
	map = list_first_entry_or_null(&u->maps, struct userpci_map, entry);
	if (map) {
		list_move(&map->entry, seen);
		mm = map->mm;
		mmgrab(mm);
	}
	mutex_unlock(&u->lock);
	return mm;
}

/*
 * Takes every BAR map away from every process. u->gone is set: no map is made any more, but an mmap
 * call that has filled its pages may not have entered its map in the inode's tree yet. Such a call
 * holds its mmap_lock: whoever then gets that lock knows that the map is in the tree.
 */
void userpci_revoke(struct userpci_device *u)
{
	struct address_space *mapping = u->inode->i_mapping;
	struct mm_struct *mm;
	LIST_HEAD(seen);

	/* Nearly always this is all; what follows is for the mmap call in flight. */
	unmap_mapping_range(mapping, 0, USERPCI_DMA_OFFSET, 1);
	while ((mm = next_mm(u, &seen))) {
		mmap_read_lock(mm);
		mmap_read_unlock(mm);
		mmdrop(mm);
	}
	mutex_lock(&u->lock);
	list_splice(&seen, &u->maps);
	mutex_unlock(&u->lock);
	unmap_mapping_range(mapping, 0, USERPCI_DMA_OFFSET, 1);
}
