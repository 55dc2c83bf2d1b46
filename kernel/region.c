// SPDX-License-Identifier: GPL-2.0-only
/* BARs: what they are, and the access by call for those that cannot be mapped. */
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/nospec.h>

#include "internal.h"

/* A page holds registers of this BAR alone if the BAR begins it and its rest can be claimed. */
static bool owns_its_pages(struct pci_dev *pdev, int bar, struct userpci_region *r)
{
	struct resource *res = &pdev->resource[bar];
	resource_size_t rest = PAGE_ALIGN(r->bytes) - r->bytes;

	if (!PAGE_ALIGNED(res->start))
		return false;
	if (!rest)
		return true;
	if (!res->parent)
		return false;
	r->filler.name = "userpci";
	r->filler.start = res->end + 1;
	r->filler.end = res->end + rest;
	r->filler.flags = res->flags;
	/* The claim stands beside the BAR: whatever may be assigned there later goes elsewhere. */
	if (request_resource(res->parent, &r->filler)) {
		r->filler.parent = NULL;
		return false;
	}
	return true;
}

static void find_msix_table(struct pci_dev *pdev, struct userpci_region *regions)
{
	struct userpci_region *r;
	u64 start, end;
	u32 table;

	if (!pdev->msix_cap)
		return;
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	if ((table & PCI_MSIX_TABLE_BIR) >= USERPCI_NUM_BARS)
		return;
	r = &regions[table & PCI_MSIX_TABLE_BIR];
	start = table & PCI_MSIX_TABLE_OFFSET;
	end = start + (u64)pci_msix_vec_count(pdev) * PCI_MSIX_ENTRY_SIZE;
	if (end > r->bytes)
		return;
	r->flags |= USERPCI_REGION_MSIX;
	r->table_offset = round_down(start, PAGE_SIZE);
	r->table_bytes = round_up(end, PAGE_SIZE) - r->table_offset;
}

/* Called at probe, when the BARs are ours. */
void userpci_regions_init(struct userpci_device *u)
{
	struct pci_dev *pdev = u->pdev;
	u64 offset = 0;
	int bar;

	for (bar = 0; bar < USERPCI_NUM_BARS; bar++) {
		struct userpci_region *r = &u->regions[bar];
		unsigned long flags = pci_resource_flags(pdev, bar);

		r->bytes = pci_resource_len(pdev, bar);
		if (!r->bytes)
			continue;
		/* Large pages need an offset that is aligned as the BAR is. */
		offset = ALIGN(offset, roundup_pow_of_two(max_t(u64, r->bytes, PAGE_SIZE)));
		if (flags & IORESOURCE_IO)
			r->flags |= USERPCI_REGION_IO;
		if (flags & IORESOURCE_MEM_64)
			r->flags |= USERPCI_REGION_64;
		if (flags & IORESOURCE_PREFETCH)
			r->flags |= USERPCI_REGION_PREFETCH;
		if ((flags & IORESOURCE_MEM) && offset + r->bytes <= USERPCI_WC_OFFSET &&
		    owns_its_pages(pdev, bar, r)) {
			r->flags |= USERPCI_REGION_MMAP;
			if (arch_can_pci_mmap_wc())
				r->flags |= USERPCI_REGION_WC;
			r->map_bytes = PAGE_ALIGN(r->bytes);
			r->offset = offset;
			/* A page between two regions is nobody's: an overrun is EINVAL. */
			offset += r->map_bytes + PAGE_SIZE;
			continue;
		}
		/*
		 * Only here: an ioremap of a BAR that is mapped to user space would pin its memory
		 * type on x86, and a later write-combining map would be refused it.
		 */
		r->calls = pci_iomap(pdev, bar, 0);
		if (r->calls)
			r->flags |= USERPCI_REGION_CALLS;
	}
	find_msix_table(pdev, u->regions);
}

void userpci_regions_exit(struct userpci_device *u)
{
	int bar;

	for (bar = 0; bar < USERPCI_NUM_BARS; bar++) {
		struct userpci_region *r = &u->regions[bar];

		if (r->calls)
			pci_iounmap(u->pdev, r->calls);
		r->calls = NULL;
		if (r->filler.parent)
			release_resource(&r->filler);
	}
}

int userpci_get_region(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_region *a = arg;
	struct userpci_region *r;

	if (a->index >= USERPCI_NUM_BARS)
		return -EINVAL;
	r = &uf->u->regions[array_index_nospec(a->index, USERPCI_NUM_BARS)];
	a->flags = r->flags;
	a->offset = r->offset;
	a->wc_offset = r->flags & USERPCI_REGION_WC ? r->offset + USERPCI_WC_OFFSET : 0;
	a->bytes = r->bytes;
	a->table_offset = r->table_offset;
	a->table_bytes = r->table_bytes;
	return 0;
}

/* One access of exactly that width: a power of 2, not above a long's. */
void userpci_access(void __iomem *reg, unsigned int width, u64 *value, bool write)
{
#define ACCESS(read_function, write_function)        \
	do {                                         \
		if (write)                           \
			write_function(*value, reg); \
		else                                 \
			*value = read_function(reg); \
	} while (0)

	switch (width) {
	case 1:
		ACCESS(ioread8, iowrite8);
		break;
	case 2:
		ACCESS(ioread16, iowrite16);
		break;
	case 8:
		ACCESS(userpci_readq, userpci_writeq);
		break;
	default:
		ACCESS(ioread32, iowrite32);
	}
#undef ACCESS
}

static int access_by_call(struct userpci_device *u, struct userpci_uapi_access *a, bool write)
{
	struct userpci_region *r;
	u32 widest;

	if (a->index >= USERPCI_NUM_BARS || a->reserved)
		return -EINVAL;
	r = &u->regions[array_index_nospec(a->index, USERPCI_NUM_BARS)];
	widest = r->flags & USERPCI_REGION_IO ? 4 : sizeof(long);
	if (!is_power_of_2(a->width) || a->width > widest || a->offset & (a->width - 1))
		return -EINVAL;
	if (a->offset >= r->bytes || a->width > r->bytes - a->offset)
		return -ERANGE;
	if (!(r->flags & USERPCI_REGION_CALLS))
		return -EOPNOTSUPP;
	userpci_access(r->calls + a->offset, a->width, &a->value, write);
	return 0;
}

int userpci_region_read(struct userpci_file *uf, void *arg)
{
	return access_by_call(uf->u, arg, false);
}

int userpci_region_write(struct userpci_file *uf, void *arg)
{
	return access_by_call(uf->u, arg, true);
}
