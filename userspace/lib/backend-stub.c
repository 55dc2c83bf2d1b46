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

/* The same for a command that older modules do not have. */
static int call_new(const struct userpci_device *device, unsigned long command, void *argument)
{
	int err = call(device, command, argument);

	return err == -ENOTTY ? -EOPNOTSUPP : err;
}

/* Whether the module is older than statistics, kinds and names of buffers, and events. */
static bool older(const struct userpci_device *device)
{
	return !device->stats_bytes;
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

static int stub_open(struct userpci_device *device, const char *address, unsigned int flags)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct userpci_info *i = &device->info;
	char path[40];
	int err;

	err = userpci_address_parse(address, i->address);
	if (err)
		return err;
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
	device->stats_offset = info.stats_offset;
	device->stats_bytes = info.stats_bytes;
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

/* The BAR in one piece, but that the pages of the MSI-X table in it are read-only, and uncached. */
static int map_around_table(const struct userpci_device *device,
			    const struct userpci_uapi_region *r, uint64_t offset, uint64_t size,
			    void **va)
{
	uint64_t table = r->table_offset, behind = r->table_offset + r->table_bytes;
	int prot = writable(device) ? PROT_READ | PROT_WRITE : PROT_READ;
	char *base;
	int err;

	base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	err = map_piece(device, base, offset, 0, table, prot);
	if (!err)
		err = map_piece(device, base, r->offset, table, behind, PROT_READ);
	if (!err)
		err = map_piece(device, base, offset, behind, size, prot);
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

static int map_region(const struct userpci_device *device, const struct userpci_uapi_region *r,
		      bool wc, void **va)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = (r->bytes + page - 1) & ~(page - 1);
	uint64_t offset = wc ? r->wc_offset : r->offset;
	int err;

	if (r->table_bytes && (wc || writable(device)))
		err = map_around_table(device, r, offset, size, va);
	else
		err = map_whole(device, offset, size, va);
	/* Where the system's default for large pages is "madvise" they must be asked for. */
	if (!err)
		(void)madvise(*va, size, MADV_HUGEPAGE);
	return err;
}

/* USERPCI_MAP_* of all maps that make up a region: of several, where the MSI-X table is in it. */
static int map_flags(const struct userpci_device *device, const void *va, uint64_t size,
		     uint32_t *flags)
{
	uint64_t start = (uintptr_t)va, at;
	uint32_t found = 0;
	int err;

	for (at = start; at < start + size;) {
		struct userpci_uapi_map m = SIZED(userpci_uapi_map);

		m.address = at;
		err = call_new(device, USERPCI_GET_MAP, &m);
		if (err)
			return err;
		found |= m.flags;
		at = m.address + m.bytes;
	}
	*flags = found;
	return 0;
}

static int stub_region_map(struct userpci_device *device, unsigned int index, bool wc,
			   struct userpci_region *region)
{
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);
	uint32_t flags;
	int err;

	r.index = index;
	err = call(device, USERPCI_GET_REGION, &r);
	if (err)
		return err;
	if (!r.bytes)
		return -ENOENT;
	region->size = r.bytes;
	wc = wc && (r.flags & USERPCI_REGION_WC);
	region->flags = r.flags & ~USERPCI_REGION_WC;
	if (!(r.flags & USERPCI_REGION_MMAP))
		return r.flags & USERPCI_REGION_CALLS ? 0 : -EOPNOTSUPP;
	err = map_region(device, &r, wc, &region->va);
	if (err)
		return err;
	/* An older module does not say what was obtained: then it is what was asked for. */
	if (!map_flags(device, region->va, r.bytes, &flags))
		wc = flags & USERPCI_MAP_WC;
	if (wc)
		region->flags |= USERPCI_REGION_WC;
	return 0;
}

static int stub_region_huge(const struct userpci_region *region)
{
	uint32_t flags;
	int err;

	err = map_flags(region->device, region->va, region->size, &flags);
	if (err)
		return err;
	return !!(flags & USERPCI_MAP_HUGE);
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

static int stub_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			  struct userpci_dma *dma)
{
	const char *name = options->name ? options->name : "";
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);
	int err;

	/* It would call the kind an unknown flag, and the name a structure that is too big. */
	if (older(device) && (options->kind || *name))
		return -EOPNOTSUPP;
	d.kind = options->kind;
	d.bytes = options->size;
	d.address = (uintptr_t)options->address;
	snprintf(d.name, sizeof(d.name), "%s", name);
	err = call(device, USERPCI_DMA_ALLOC, &d);
	if (err)
		return err;
	dma->device = device;
	dma->iova = d.iova;
	dma->size = d.bytes;
	dma->handle = d.handle;
	dma->kind = d.kind;
	dma->chunks = older(device) ? 1 : d.chunks;
	dma->va = options->address;
	if (dma->va)
		return 0;
	err = map_whole(device, d.offset, d.bytes, &dma->va);
	if (err)
		stub_dma_free(dma);
	return err;
}

static int stub_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			  struct userpci_dma_chunk *chunk)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get);
	int err;

	g.handle = (uint32_t)dma->handle;
	g.chunk = index;
	err = call_new(dma->device, USERPCI_DMA_GET, &g);
	if (err)
		return err;
	chunk->offset = g.chunk_offset;
	chunk->iova = g.chunk_iova;
	chunk->size = g.chunk_bytes;
	return 0;
}

static int find_named(const struct userpci_device *device, const char *name,
		      struct userpci_uapi_dma_get *g)
{
	*g = SIZED(userpci_uapi_dma_get);
	g->flags = USERPCI_DMA_NAMED;
	snprintf(g->name, sizeof(g->name), "%s", name);
	return call_new(device, USERPCI_DMA_GET, g);
}

/*
 * Between the question and the map the buffer can have been freed, and its offset given to another
 * one: asked again, the answer must be the same.
 */
static int stub_dma_attach(struct userpci_device *device, const char *name, struct userpci_dma *dma)
{
	struct userpci_uapi_dma_get g, now;
	void *va;
	int err;

	err = find_named(device, name, &g);
	if (err)
		return err;
	if (!g.offset)
		return -EOPNOTSUPP;
	err = map_whole(device, g.offset, g.bytes, &va);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	err = find_named(device, name, &now);
	if (!err && (now.handle != g.handle || now.bytes != g.bytes || now.kind != g.kind ||
		     now.chunk_iova != g.chunk_iova))
		err = -ENOENT;
	if (err) {
		munmap(va, g.bytes);
		return err;
	}
	dma->device = device;
	dma->va = va;
	dma->iova = g.chunk_iova;
	dma->size = g.bytes;
	dma->handle = g.handle;
	dma->kind = g.kind;
	dma->chunks = g.chunks;
	return 0;
}

static int stub_dma_next(struct userpci_device *device, uint32_t *cursor,
			 struct userpci_dma_info *info)
{
	struct userpci_uapi_dma_get g = SIZED(userpci_uapi_dma_get);
	int err;

	g.flags = USERPCI_DMA_NEXT;
	g.handle = *cursor;
	err = call_new(device, USERPCI_DMA_GET, &g);
	if (err)
		return err;
	snprintf(info->name, sizeof(info->name), "%.*s", (int)sizeof(g.name) - 1, g.name);
	info->size = g.bytes;
	info->iova = g.chunk_iova;
	info->handle = g.handle;
	info->kind = g.kind;
	info->chunks = g.chunks;
	info->references = g.references;
	*cursor = g.handle + 1;
	return 0;
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

static int stub_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct userpci_uapi_irq_eventfd e = SIZED(userpci_uapi_irq_eventfd);

	e.vector = vector;
	e.fd = fd;
	return call(device, USERPCI_IRQ_EVENTFD, &e);
}

static int stub_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct userpci_uapi_irq_mask m = SIZED(userpci_uapi_irq_mask);

	m.vector = vector;
	m.masked = masked;
	return call(device, USERPCI_IRQ_MASK, &m);
}

static int stub_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	struct userpci_uapi_irq_limit l = SIZED(userpci_uapi_irq_limit);

	l.vector = vector;
	l.per_second = per_second;
	return call_new(device, USERPCI_IRQ_LIMIT, &l);
}

static int stub_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	void *base;

	if (older(device))
		return -EOPNOTSUPP;
	base = mmap(NULL, device->stats_bytes, PROT_READ, MAP_SHARED, device->fd,
		    (off_t)device->stats_offset);
	if (base == MAP_FAILED)
		return -errno;
	*va = base;
	*size = device->stats_bytes;
	return 0;
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
	.region_huge = stub_region_huge,
	.config_read = stub_config_read,
	.config_write = stub_config_write,
	.dma_alloc = stub_dma_alloc,
	.dma_free = stub_dma_free,
	.dma_chunk = stub_dma_chunk,
	.dma_attach = stub_dma_attach,
	.dma_next = stub_dma_next,
	.dma_set_mask = stub_dma_set_mask,
	.irq_enable = stub_irq_set,
	.irq_disable = stub_irq_disable,
	.irq_eventfd = stub_irq_eventfd,
	.irq_mask = stub_irq_mask,
	.irq_limit = stub_irq_limit,
	.stats_map = stub_stats_map,
	.bus_master = stub_bus_master,
	.reset = stub_reset,
};
