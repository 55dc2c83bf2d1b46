/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects and locks
 *
 * One struct userpci_device a bound function. It lives until the function is unbound and the last
 * file on it is closed. Every file, map and DMA buffer holds it, directly or through its file.
 *
 * Lock order: device_lock(&pdev->dev), mmap_lock, userpci_device.lock, userpci_device.irq_lock.
 * User memory is never touched under userpci_device.lock (a page fault takes mmap_lock). Whoever
 * resets the function holds device_lock, so that no other driver can have been bound meanwhile.
 */
#ifndef USERPCI_INTERNAL_H
#define USERPCI_INTERNAL_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/rcuwait.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <userpci/uapi.h>

#include "compat.h"

/*
 * The mmap offsets of a device: BARs one after the other from 0, the same from 2^42 for maps that
 * are write-combining, DMA buffers in windows of 4 GiB, the statistics. All are below 2^44, the
 * reach of a 32-bit caller's mmap2 (32-bit count of 4 KiB pages).
 */
#define USERPCI_WC_OFFSET    (1ULL << 42)
#define USERPCI_DMA_OFFSET   (1ULL << 43)
#define USERPCI_DMA_WINDOW   (1ULL << 32)
#define USERPCI_DMA_BUFFERS  1024
#define USERPCI_STATS_OFFSET (USERPCI_DMA_OFFSET + USERPCI_DMA_BUFFERS * USERPCI_DMA_WINDOW)

struct userpci_region {
	u32 flags;	  /* USERPCI_REGION_* */
	u64 offset;	  /* for mmap */
	u64 bytes;	  /* size of the BAR */
	u64 map_bytes;	  /* the same in whole pages; 0: cannot be mapped */
	u64 table_offset; /* pages of the MSI-X table, in the BAR */
	u64 table_bytes;
	void __iomem *calls;	/* for USERPCI_REGION_CALLS */
	struct resource filler; /* claims the rest of a page for a BAR that is smaller */
};

struct userpci_vector {
	struct userpci_device *u;
	struct eventfd_ctx *eventfd;
	struct userpci_uapi_vector *stats;
	u32 limit;	     /* of the storm guard; 0: none */
	u32 recent;	     /* interrupts in the second after `since` */
	unsigned long since; /* jiffies */
	int irq;
	bool masked;
	bool missed; /* interrupts came while there was no eventfd */
	char name[32];
};

struct userpci_device {
	struct device dev;
	struct cdev cdev;
	struct pci_dev *pdev;
	struct pci_saved_state *saved; /* configuration as it was bound */

	struct mutex lock; /* all below */
	bool gone;	   /* set once, at removal */
	bool leaving;	   /* the owner is closing */
	struct userpci_file *owner;
	struct list_head maps;
	struct userpci_region regions[USERPCI_NUM_BARS];
	struct xarray buffers; /* handle -> struct userpci_buffer */
	unsigned int irq_kind;
	unsigned int irq_count; /* enabled vectors */
	bool read_unmasks;	/* USERPCI_IRQ_READ_UNMASKS */
	struct userpci_vector *vectors;

	/* Masked, of vectors that are masked at the interrupt controller; events; DMA bytes. */
	spinlock_t irq_lock;
	struct eventfd_ctx *events;
	struct userpci_uapi_stats *stats; /* what processes map */
	u32 stats_bytes;
	u32 num_vectors; /* that have an entry there */

	atomic_t interrupts; /* since bind, of all vectors */
	wait_queue_head_t wait;
	struct rcuwait reader; /* one that sleeps in read(): woken without a queue, which costs */
	bool reading;	       /* there is one; the others go to the queue */
};

struct userpci_file {
	struct userpci_device *u;
	unsigned int seen; /* interrupts at the last read() */
	struct page *ones; /* what the maps of a removed device's BARs show; made at need */
};

/* A piece that is contiguous for the device. It ends where the next begins. */
struct userpci_chunk {
	u64 offset;
	u64 iova;
};

struct userpci_buffer {
	struct kref ref;	  /* the table's and one a map */
	struct userpci_device *u; /* with a reference */
	u32 kind;		  /* USERPCI_DMA_* */
	bool retained;		  /* of a former owner: see userpci_dma_stop() */
	u64 bytes;
	struct page **pages;
	u64 count;		      /* of pages that are there */
	struct file *file;	      /* SHARED: whose pages they are */
	struct mm_struct *mm;	      /* PINNED: whose locked memory they count as */
	struct sg_table sgt;	      /* mapped for the device */
	struct userpci_chunk *chunks; /* and one more: the end */
	u32 num_chunks;
	char name[USERPCI_NAME_BYTES];
};

/* main.c */
bool userpci_iommu_translates(struct userpci_device *u);
int userpci_reset(struct userpci_device *u);
bool userpci_quiesce(struct userpci_device *u);
int userpci_get_info(struct userpci_file *uf, void *arg);

/* file.c */
extern const struct file_operations userpci_fops;
void userpci_wake(struct userpci_device *u);

/* region.c */
void userpci_regions_init(struct userpci_device *u);
void userpci_regions_exit(struct userpci_device *u);
void userpci_access(void __iomem *reg, unsigned int width, u64 *value, bool write);
int userpci_get_region(struct userpci_file *uf, void *arg);
int userpci_region_read(struct userpci_file *uf, void *arg);
int userpci_region_write(struct userpci_file *uf, void *arg);

/* mmap.c */
int userpci_mmap(struct file *file, struct vm_area_struct *vma);
void userpci_revoke(struct userpci_device *u);
int userpci_get_map(struct userpci_file *uf, void *arg);

/* dma.c */
struct userpci_buffer *userpci_buffer_find(struct userpci_device *u, u64 offset, u64 bytes,
					   u64 *inside);
void userpci_buffer_put(struct userpci_buffer *buffer);
void userpci_dma_stop(struct userpci_device *u, bool forgotten);
int userpci_dma_set_mask(struct userpci_file *uf, void *arg);
int userpci_dma_alloc(struct userpci_file *uf, void *arg);
int userpci_dma_free(struct userpci_file *uf, void *arg);
int userpci_dma_get(struct userpci_file *uf, void *arg);

/* pages.c */
u64 userpci_reach(struct userpci_device *u);
bool userpci_in_reach(struct userpci_buffer *buffer);
int userpci_pages_get(struct userpci_buffer *buffer, unsigned long address);
void userpci_pages_put(struct userpci_buffer *buffer);
int userpci_map_pages(unsigned long address, u64 count, struct page **pages);

/* irq.c */
unsigned int userpci_irq_offered(struct pci_dev *pdev, unsigned int kind);
void userpci_irq_stop(struct userpci_device *u);
void userpci_irq_mask_all(struct userpci_device *u, bool masked);
void userpci_irq_let_in(struct userpci_device *u);
int userpci_irq_enable(struct userpci_file *uf, void *arg);
int userpci_irq_eventfd(struct userpci_file *uf, void *arg);
int userpci_irq_mask(struct userpci_file *uf, void *arg);
int userpci_irq_limit(struct userpci_file *uf, void *arg);

/* event.c */
int userpci_stats_init(struct userpci_device *u);
void userpci_state(struct userpci_device *u, u32 bit, bool on);
void userpci_event(struct userpci_device *u, u32 type, u32 value);
void userpci_events_to(struct userpci_device *u, struct eventfd_ctx *eventfd);
extern const struct pci_error_handlers userpci_error_handlers;
extern const struct dev_pm_ops userpci_pm_ops;

/* config.c */
int userpci_config_read(struct userpci_file *uf, void *arg);
int userpci_config_write(struct userpci_file *uf, void *arg);
int userpci_bus_master(struct userpci_file *uf, void *arg);
int userpci_reset_call(struct userpci_file *uf, void *arg);

#endif
