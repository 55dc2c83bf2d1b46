/* SPDX-License-Identifier: MIT */
/* Regions: mapping them, and the access by call for those that have no map. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/mmio.h>
#include <userpci/userpci.h>

#include "backend.h"

static int region_map(struct userpci_device *device, unsigned int index, bool wc,
		      struct userpci_region *region)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct userpci_region r = { .index = index };
	uint64_t size;
	int err;

	if (index >= device->info.num_regions)
		return -EINVAL;
	err = device->backend->region_map(device, index, wc, &r);
	if (err)
		return err;
	r.device = device;
	size = (r.size + page - 1) & ~(page - 1);
	if (r.va) {
		err = userpci_mapping_add(device, r.va, size);
		if (err) {
			munmap(r.va, size);
			return err;
		}
	}
	*region = r;
	return 0;
}

int userpci_region_map(struct userpci_device *device, unsigned int index,
		       struct userpci_region *region)
{
	return region_map(device, index, false, region);
}

int userpci_region_map_wc(struct userpci_device *device, unsigned int index,
			  struct userpci_region *region)
{
	return region_map(device, index, true, region);
}

void userpci_region_unmap(struct userpci_region *region)
{
	if (region->va)
		userpci_mapping_remove(region->device, region->va);
	if (region->device && region->device->backend->region_unmap)
		region->device->backend->region_unmap(region);
	memset(region, 0, sizeof(*region));
}

int userpci_region_huge(const struct userpci_region *region)
{
	return region->va ? region->device->backend->region_huge(region) : -EINVAL;
}

/* --- Access by call --- */

int userpci_access_check(const struct userpci_region *region, uint64_t offset, unsigned int width)
{
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return -EINVAL;
	if (offset >= region->size || width > region->size - offset)
		return -ERANGE;
	return offset % width || (region->flags & USERPCI_REGION_IO && width > 4) ? -EINVAL : 0;
}

int userpci_mapped_read(const struct userpci_region *region, uint64_t offset, unsigned int width,
			uint64_t *value)
{
	int err = userpci_access_check(region, offset, width);

	if (err)
		return err;
	switch (width) {
	case 1:
		*value = userpci_read8(region, offset);
		break;
	case 2:
		*value = userpci_read16(region, offset);
		break;
	case 4:
		*value = userpci_read32(region, offset);
		break;
	default:
		*value = userpci_read64(region, offset);
	}
	return 0;
}

int userpci_mapped_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			 uint64_t value)
{
	int err = userpci_access_check(region, offset, width);

	if (err)
		return err;
	switch (width) {
	case 1:
		userpci_write8(region, offset, (uint8_t)value);
		break;
	case 2:
		userpci_write16(region, offset, (uint16_t)value);
		break;
	case 4:
		userpci_write32(region, offset, (uint32_t)value);
		break;
	default:
		userpci_write64(region, offset, value);
	}
	return 0;
}

static int read_word(const struct userpci_region *region, uint64_t offset, unsigned int width,
		     uint64_t *value)
{
	return region->va ? userpci_mapped_read(region, offset, width, value)
			  : region->device->backend->region_read(region, offset, width, value);
}

static int write_word(const struct userpci_region *region, uint64_t offset, unsigned int width,
		      uint64_t value)
{
	return region->va ? userpci_mapped_write(region, offset, width, value)
			  : region->device->backend->region_write(region, offset, width, value);
}

uint64_t userpci_region_read(const struct userpci_region *region, uint64_t offset,
			     unsigned int width)
{
	uint64_t value;

	if (!region->device || read_word(region, offset, width, &value))
		return UINT64_MAX;
	return value;
}

void userpci_region_write(const struct userpci_region *region, uint64_t offset, unsigned int width,
			  uint64_t value)
{
	if (region->device)
		(void)write_word(region, offset, width, value);
}

/* --- Blocks of memory --- */

static int check_block(const struct userpci_region *region, uint64_t offset, size_t size)
{
	if ((!region->va && !region->device) || region->flags & USERPCI_REGION_IO)
		return -EINVAL;
	return offset > region->size || size > region->size - offset ? -ERANGE : 0;
}

/* How wide an access at @offset can be that @size bytes fill. */
static unsigned int widest(uint64_t offset, size_t size)
{
	unsigned int width = 8;

	while (offset % width || width > size)
		width /= 2;
	return width;
}

int userpci_region_read_block(const struct userpci_region *region, uint64_t offset, void *data,
			      size_t size)
{
	int err = check_block(region, offset, size);
	unsigned int width;
	uint64_t value;
	char *to = data;

	if (!err && !region->va && region->device->backend->region_read_block)
		return region->device->backend->region_read_block(region, offset, data, size);
	for (; !err && size; offset += width, to += width, size -= width) {
		le64_t bytes;

		width = widest(offset, size);
		err = read_word(region, offset, width, &value);
		if (err)
			break;
		bytes = userpci_cpu_to_le64(value);
		memcpy(to, &bytes, width);
	}
	return err;
}

int userpci_region_write_block(const struct userpci_region *region, uint64_t offset,
			       const void *data, size_t size)
{
	int err = check_block(region, offset, size);
	const char *from = data;
	unsigned int width;

	if (!err && !region->va && region->device->backend->region_write_block)
		return region->device->backend->region_write_block(region, offset, data, size);
	for (; !err && size; offset += width, from += width, size -= width) {
		le64_t bytes = 0;

		width = widest(offset, size);
		memcpy(&bytes, from, width);
		err = write_word(region, offset, width, userpci_le64_to_cpu(bytes));
	}
	return err;
}
