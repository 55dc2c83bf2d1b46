/* SPDX-License-Identifier: MIT */
/* The backend over the kernel module, by <userpci/uapi.h>. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/uapi.h>
#include <userpci/userpci.h>

#include "backend.h"

#define SIZED(type)                         \
	(struct type)                       \
	{                                   \
		.size = sizeof(struct type) \
	}

static int call(const struct userpci_device *device, unsigned long command, void *argument)
{
	return ioctl(device->fd, command, argument) < 0 ? -errno : 0;
}

/* Why there is no device node. */
static int why_absent(const char *address)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK))
		return -ENODEV;
	return access("/sys/bus/pci/drivers/userpci", F_OK) ? -ENOENT : -ENXIO;
}

static int stub_open(struct userpci_device *device, unsigned int flags)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_info *i = &device->info;
	char path[40];
	int err;

	snprintf(path, sizeof(path), "/dev/userpci/%s", i->address);
	device->fd = open(path, (flags & USERPCI_OPEN_OBSERVE ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (device->fd < 0)
		return errno == ENOENT ? why_absent(i->address) : -errno;
	err = call(device, USERPCI_GET_INFO, &info);
	if (err || info.api_version != USERPCI_API_VERSION) {
		close(device->fd);
		return err == -ENODEV ? err : -EPROTO;
	}
	i->vendor_id = info.vendor_id;
	i->device_id = info.device_id;
	i->subsystem_vendor_id = info.subsystem_vendor_id;
	i->subsystem_id = info.subsystem_id;
	i->class_code = info.class_code;
	i->flags = info.flags;
	i->num_regions = info.num_regions;
	i->num_intx = info.num_intx;
	i->num_msi = info.num_msi;
	i->num_msix = info.num_msix;
	i->numa_node = info.numa_node;
	return 0;
}

static void stub_close(struct userpci_device *device)
{
	close(device->fd);
}

static int writable(const struct userpci_device *device)
{
	return (fcntl(device->fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

/* A piece of a region at a place of the caller's own reservation. */
static int map_piece(const struct userpci_device *device, char *base, uint64_t offset,
		     uint64_t from, uint64_t to, int prot)
{
	if (from == to)
		return 0;
	if (mmap(base + from, to - from, prot, MAP_SHARED | MAP_FIXED, device->fd,
		 (off_t)(offset + from)) == MAP_FAILED)
		return -errno;
	return 0;
}

/* The BAR in one piece, but that the pages of the MSI-X table in it are read-only. */
static int map_around_table(const struct userpci_device *device,
			    const struct userpci_uapi_region *r, uint64_t size, void **va)
{
	uint64_t table = r->table_offset, behind = r->table_offset + r->table_bytes;
	char *base;
	int err;

	base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	err = map_piece(device, base, r->offset, 0, table, PROT_READ | PROT_WRITE);
	if (!err)
		err = map_piece(device, base, r->offset, table, behind, PROT_READ);
	if (!err)
		err = map_piece(device, base, r->offset, behind, size, PROT_READ | PROT_WRITE);
	if (err) {
		munmap(base, size);
		return err;
	}
	*va = base;
	return 0;
}

static int map_whole(const struct userpci_device *device, uint64_t offset, uint64_t size, void **va)
{
	int prot = writable(device) ? PROT_READ | PROT_WRITE : PROT_READ;
	void *base;

	base = mmap(NULL, size, prot, MAP_SHARED, device->fd, (off_t)offset);
	if (base == MAP_FAILED)
		return -errno;
	*va = base;
	return 0;
}

static int stub_region_map(struct userpci_device *device, unsigned int index, bool wc,
			   struct userpci_region *region)
{
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), size;
	int err;

	r.index = index;
	err = call(device, USERPCI_GET_REGION, &r);
	if (err)
		return err;
	if (!r.bytes)
		return -ENOENT;
	region->size = r.bytes;
	wc = wc && (r.flags & USERPCI_REGION_WC);
	region->flags = r.flags & ~(wc ? 0 : USERPCI_REGION_WC);
	if (!(r.flags & USERPCI_REGION_MMAP))
		return r.flags & USERPCI_REGION_CALLS ? 0 : -EOPNOTSUPP;
	size = (r.bytes + page - 1) & ~(page - 1);
	if (wc)
		r.offset = r.wc_offset;
	if (r.table_bytes && writable(device))
		return map_around_table(device, &r, size, &region->va);
	return map_whole(device, r.offset, size, &region->va);
}

static int stub_region_read(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t *value)
{
	struct userpci_uapi_access a = SIZED(userpci_uapi_access);
	int err;

	a.index = region->index;
	a.offset = offset;
	a.width = width;
	err = call(region->device, USERPCI_REGION_READ, &a);
	if (!err)
		*value = a.value;
	return err;
}

static int stub_region_write(const struct userpci_region *region, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	struct userpci_uapi_access a = SIZED(userpci_uapi_access);

	a.index = region->index;
	a.offset = offset;
	a.width = width;
	a.value = value;
	return call(region->device, USERPCI_REGION_WRITE, &a);
}

static int stub_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			    uint32_t *value)
{
	struct userpci_uapi_config c = SIZED(userpci_uapi_config);
	int err;

	c.offset = offset;
	c.width = width;
	err = call(device, USERPCI_CONFIG_READ, &c);
	if (!err)
		*value = c.value;
	return err;
}

static int stub_config_write(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t value)
{
	struct userpci_uapi_config c = SIZED(userpci_uapi_config);

	c.offset = offset;
	c.width = width;
	c.value = value;
	return call(device, USERPCI_CONFIG_WRITE, &c);
}

static int stub_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	struct userpci_uapi_dma_mask m = SIZED(userpci_uapi_dma_mask);

	m.bits = bits;
	return call(device, USERPCI_DMA_SET_MASK, &m);
}

static void stub_dma_free(struct userpci_dma *dma)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);

	d.handle = (uint32_t)dma->handle;
	(void)call(dma->device, USERPCI_DMA_FREE, &d);
}

static int stub_dma_alloc(struct userpci_device *device, uint64_t size, struct userpci_dma *dma)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	int err;

	d.bytes = size;
	err = call(device, USERPCI_DMA_ALLOC, &d);
	if (err)
		return err;
	dma->device = device;
	dma->iova = d.iova;
	dma->size = d.bytes;
	dma->handle = d.handle;
	err = map_whole(device, d.offset, d.bytes, &dma->va);
	if (err)
		stub_dma_free(dma);
	return err;
}

static int stub_irq_set(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct userpci_uapi_irq i = SIZED(userpci_uapi_irq);

	i.kind = kind;
	i.count = count;
	return call(device, USERPCI_IRQ_ENABLE, &i);
}

static void stub_irq_disable(struct userpci_device *device)
{
	(void)stub_irq_set(device, USERPCI_IRQ_MSI, 0);
}

static int stub_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count,
			   const int *eventfds)
{
	struct userpci_uapi_irq_eventfd e = SIZED(userpci_uapi_irq_eventfd);
	int err;

	err = stub_irq_set(device, kind, count);
	if (err)
		return err;
	for (; e.vector < count; e.vector++) {
		e.fd = eventfds[e.vector];
		err = call(device, USERPCI_IRQ_EVENTFD, &e);
		if (err) {
			stub_irq_disable(device);
			return err;
		}
	}
	return 0;
}

static int stub_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct userpci_uapi_irq_mask m = SIZED(userpci_uapi_irq_mask);

	m.vector = vector;
	m.masked = masked;
	return call(device, USERPCI_IRQ_MASK, &m);
}

static int stub_bus_master(struct userpci_device *device, bool enable)
{
	struct userpci_uapi_bus_master b = SIZED(userpci_uapi_bus_master);

	b.enable = enable;
	return call(device, USERPCI_BUS_MASTER, &b);
}

static int stub_reset(struct userpci_device *device)
{
	struct userpci_uapi_reset r = SIZED(userpci_uapi_reset);

	return call(device, USERPCI_RESET, &r);
}

const struct userpci_backend userpci_backend_stub = {
	.name = "stub",
	.open = stub_open,
	.close = stub_close,
	.region_map = stub_region_map,
	.region_read = stub_region_read,
	.region_write = stub_region_write,
	.config_read = stub_config_read,
	.config_write = stub_config_write,
	.dma_alloc = stub_dma_alloc,
	.dma_free = stub_dma_free,
	.dma_set_mask = stub_dma_set_mask,
	.irq_enable = stub_irq_enable,
	.irq_disable = stub_irq_disable,
	.irq_mask = stub_irq_mask,
	.bus_master = stub_bus_master,
	.reset = stub_reset,
};
