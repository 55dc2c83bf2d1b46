/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between kernels 6.1 and 7.2: the only place that looks at a version. */
#ifndef USERPCI_COMPAT_H
#define USERPCI_COMPAT_H

#include <linux/version.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/shmem_fs.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define USERPCI_DEVNODE_CONST
#else
#define USERPCI_DEVNODE_CONST const
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

static inline void userpci_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* The page tables of a whole VM_PFNMAP area are cleared; mmap_lock is held. */
static inline void userpci_zap_vma(struct vm_area_struct *vma, unsigned long start,
				   unsigned long size)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 1, 0)
	zap_vma_ptes(vma, start, size);
#else
	zap_special_vma_range(vma, start, size);
#endif
}

/* shmem's own mmap, after vma_set_file(). In 7.2 that is an mmap_prepare: f_op->mmap is NULL. */
static inline int userpci_call_mmap(struct file *file, struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return call_mmap(file, vma);
#else
	return vfs_mmap(file, vma);
#endif
}

/* A file of shared memory; its pages are accounted one by one, as they come. */
static inline struct file *userpci_shmem_file(u64 bytes)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	return shmem_file_setup("userpci", bytes, VM_NORESERVE);
#else
	return shmem_file_setup("userpci", bytes, mk_vma_flags(VMA_NORESERVE_BIT));
#endif
}

/*
 * Registers in large pages. From 6.12 on they come by a fault of their own. Before, the kernel has
 * none for a VM_PFNMAP area, but an ordinary fault may enter a large page where it finds no table
 * of small ones. It is marked as a device's (devmap): that is what get_user_pages_fast() knew to
 * keep its hands off, which looks at no area.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define USERPCI_PFN_FLAGS PFN_DEV
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
#define USERPCI_HUGE		     true
#define USERPCI_HUGE_FAULT(function) .huge_fault = function,
#endif
#elif defined(CONFIG_TRANSPARENT_HUGEPAGE) && defined(CONFIG_ARCH_HAS_PTE_DEVMAP)
#define USERPCI_PFN_FLAGS   (PFN_DEV | PFN_MAP)
#define USERPCI_HUGE	    true
#define USERPCI_FAULT_ORDER HPAGE_PMD_ORDER
#endif
#ifndef USERPCI_HUGE
#define USERPCI_HUGE false
#endif
#ifndef USERPCI_HUGE_FAULT
#define USERPCI_HUGE_FAULT(function)
#endif
#ifndef USERPCI_FAULT_ORDER
#define USERPCI_FAULT_ORDER 0 /* what an ordinary fault tries first */
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#define USERPCI_PFN(pfn) __pfn_to_pfn_t(pfn, USERPCI_PFN_FLAGS)
#else
#define USERPCI_PFN(pfn) (pfn)
#endif

static inline vm_fault_t userpci_insert_pfn(struct vm_fault *vmf, unsigned long address,
					    unsigned long pfn, unsigned int order)
{
	if (!order)
		return vmf_insert_pfn(vmf->vma, address, pfn);
#if USERPCI_FAULT_ORDER
	if (!pmd_none(*vmf->pmd) && !pmd_devmap(*vmf->pmd))
		return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, USERPCI_PFN(pfn), vmf->flags & FAULT_FLAG_WRITE);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	if (order == PMD_ORDER)
		return vmf_insert_pfn_pmd(vmf, USERPCI_PFN(pfn), vmf->flags & FAULT_FLAG_WRITE);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	if (order == PUD_ORDER)
		return vmf_insert_pfn_pud(vmf, USERPCI_PFN(pfn), vmf->flags & FAULT_FLAG_WRITE);
#endif
	return VM_FAULT_FALLBACK;
}

/* Whether the first page, just mapped, is write-combining: x86 may choose another type. */
static inline bool userpci_obtained_wc(struct vm_area_struct *vma)
{
#ifdef CONFIG_X86
	pgprot_t prot;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	spinlock_t *lock;
	pte_t *pte;

	if (follow_pte(vma->vm_mm, vma->vm_start, &pte, &lock))
		return false;
	prot = pte_pgprot(*pte);
	__acquire(lock); /* what sparse does not know of follow_pte() */
	pte_unmap_unlock(pte, lock);
#else
	struct follow_pfnmap_args args = { .vma = vma, .address = vma->vm_start };

	if (follow_pfnmap_start(&args))
		return false;
	prot = args.pgprot;
	follow_pfnmap_end(&args);
#endif
	return (pgprot_val(prot) & _PAGE_CACHE_MASK) == cachemode2protval(_PAGE_CACHE_MODE_WC);
#else
	return true;
#endif
}

/* One access of 64 bits. A kernel of 32 bits has none: there no width is above a long's. */
#ifdef CONFIG_64BIT
#define userpci_readq  readq
#define userpci_writeq writeq
#else
#define userpci_readq  readl
#define userpci_writeq writel
#endif

/* The largest order that alloc_pages() serves. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define USERPCI_MAX_ORDER (MAX_ORDER - 1)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define USERPCI_MAX_ORDER MAX_ORDER
#else
#define USERPCI_MAX_ORDER MAX_PAGE_ORDER
#endif

#ifndef PCI_IRQ_INTX
#define PCI_IRQ_INTX PCI_IRQ_LEGACY
#endif

#endif
