/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between kernels 6.1 and 7.2: the only place that looks at a version. */
#ifndef USERPCI_COMPAT_H
#define USERPCI_COMPAT_H

#include <linux/version.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/pci.h>

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

static inline struct class *userpci_class_create(const char *name)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	return class_create(THIS_MODULE, name);
#else
	return class_create(name);
#endif
}

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
