/* SPDX-License-Identifier: MIT */
/* What the backends over vfio-pci and uio_pci_generic share. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

static struct userpci_host *host_of(const struct userpci_device *device)
{
	return device->state;
}

/* --- sysfs --- */

int userpci_sysfs_link(const char *address, const char *name, char *target, size_t size)
{
	char path[128], link[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/%s", address, name);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	base = strrchr(link, '/');
	snprintf(target, size, "%s", base ? base + 1 : link);
	return 0;
}

void userpci_sysfs_line(const char *address, const char *name, char *line, size_t size)
{
	char path[128];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/%s", address, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, line, size - 1);
		close(fd);
	}
	line[n < 0 ? 0 : n] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

void userpci_sysfs_driver(const char *address, char *name, size_t size)
{
	if (userpci_sysfs_link(address, "driver", name, size))
		name[0] = '\0';
}

int userpci_sysfs_bound(const char *address, const char *driver)
{
	char path[128], name[64];

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s", address);
	if (access(path, F_OK))
		return -ENODEV;
	snprintf(path, sizeof(path), USERPCI_SYSFS_DRIVERS "/%s", driver);
	if (access(path, F_OK))
		return -ENOENT;
	userpci_sysfs_driver(address, name, sizeof(name));
	return strcmp(name, driver) ? -ENXIO : 0;
}

bool userpci_sysfs_translated(const char *address)
{
	char type[32];

	userpci_sysfs_line(address, "iommu_group/type", type, sizeof(type));
	return !strncmp(type, "DMA", 3); /* DMA or DMA-FQ; else identity */
}

uint64_t userpci_huge_page(void)
{
	unsigned long kilobytes = 0, total = 0;
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "HugePages_Total: %lu", &total);
		sscanf(line, "Hugepagesize: %lu", &kilobytes);
	}
	fclose(file);
	return total ? (uint64_t)kilobytes << 10 : 0;
}

int userpci_eventfd_check(int fd)
{
	static const char name[] = "anon_inode:[eventfd]";
	char path[40], target[sizeof(name)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	if (n < 0)
		return 0; /* /proc is not mounted: it is believed */
	return n == sizeof(name) - 1 && !memcmp(target, name, n) ? 0 : -EINVAL;
}

int userpci_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* --- Accesses --- */

int userpci_file_read(int fd, uint64_t at, unsigned int width, uint64_t *value)
{
	uint64_t raw = 0;
	ssize_t n = pread(fd, &raw, width, (off_t)at);

	if (n < 0)
		return -errno;
	if (n != (ssize_t)width)
		return -ERANGE;
	*value = le64toh(raw); /* the bytes that were read are its first, and the others are 0 */
	return 0;
}

int userpci_file_write(int fd, uint64_t at, unsigned int width, uint64_t value)
{
	uint64_t raw = htole64(value);
	ssize_t n = pwrite(fd, &raw, width, (off_t)at);

	if (n < 0)
		return -errno;
	return n == (ssize_t)width ? 0 : -ERANGE;
}

/* --- Configuration space --- */

/* A function that has left its slot answers with ones. */
static bool is_gone(const struct userpci_host *host)
{
	uint64_t vendor = 0;

	return userpci_file_read(host->config_fd, host->config_base + PCI_VENDOR_ID, 2, &vendor) ||
	       vendor == 0xffff;
}

int userpci_host_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t *value)
{
	const struct userpci_host *host = host_of(device);
	uint32_t ones = UINT32_MAX >> (32 - 8 * width);
	uint64_t v = 0;
	int err;

	if (offset + width > host->config_size)
		return -ERANGE;
	err = userpci_file_read(host->config_fd, host->config_base + offset, width, &v);
	if ((err || v == ones) && is_gone(host))
		return -ENODEV;
	if (!err)
		*value = (uint32_t)v;
	return err;
}

int userpci_host_config_write(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t value)
{
	const struct userpci_host *host = host_of(device);

	if (offset + width > host->config_size)
		return -ERANGE;
	if (!userpci_config_may_write(device, offset, width, value))
		return -EPERM;
	return userpci_file_write(host->config_fd, host->config_base + offset, width, value);
}

int userpci_host_config_change(const struct userpci_host *host, unsigned int offset, uint8_t clear,
			       uint8_t set)
{
	uint64_t at = host->config_base + offset, value = 0;
	int err;

	err = userpci_file_read(host->config_fd, at, 1, &value);
	if (err)
		return err;
	return userpci_file_write(host->config_fd, at, 1, (value & ~(uint64_t)clear) | set);
}

/* Of the lower byte: the INTx disable bit is in the other, and the kernel changes that one. */
int userpci_host_bus_master(struct userpci_device *device, bool enable)
{
	const struct userpci_host *host = host_of(device);

	if (is_gone(host))
		return -ENODEV;
	return userpci_host_config_change(host, PCI_COMMAND, PCI_COMMAND_MASTER,
					  enable ? PCI_COMMAND_MASTER : 0);
}

static uint32_t config_get(struct userpci_device *device, unsigned int offset, unsigned int width)
{
	uint32_t value;

	return userpci_host_config_read(device, offset, width, &value) ? 0 : value;
}

int userpci_host_fill_info(struct userpci_device *device)
{
	struct userpci_info *i = &device->info;
	char node[16];

	i->vendor_id = (uint16_t)config_get(device, PCI_VENDOR_ID, 2);
	if (!i->vendor_id)
		return -ENODEV;
	i->device_id = (uint16_t)config_get(device, PCI_DEVICE_ID, 2);
	i->subsystem_vendor_id = (uint16_t)config_get(device, PCI_SUBSYSTEM_VENDOR_ID, 2);
	i->subsystem_id = (uint16_t)config_get(device, PCI_SUBSYSTEM_ID, 2);
	i->class_code = config_get(device, PCI_CLASS_REVISION, 4) >> 8;
	i->num_regions = USERPCI_NUM_BARS;
	userpci_sysfs_line(i->address, "numa_node", node, sizeof(node));
	i->numa_node = *node ? (int32_t)strtol(node, NULL, 10) : -1;
	return 0;
}

/* --- Regions --- */

/* Of the MSI-X table: the BAR that holds it; -1: none. */
static int table_place(struct userpci_device *device, uint64_t *from, uint64_t *to)
{
	unsigned int msix = 0;
	uint32_t place, size;

	if (userpci_config_find(device, PCI_CAP_ID_MSIX, &msix))
		return -1;
	place = config_get(device, msix + PCI_MSIX_TABLE, 4);
	size = (config_get(device, msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	*from = place & PCI_MSIX_TABLE_OFFSET;
	*to = *from + (uint64_t)size * PCI_MSIX_ENTRY_SIZE;
	return (int)(place & PCI_MSIX_TABLE_BIR);
}

uint32_t userpci_host_bar_flags(struct userpci_device *device, unsigned int index)
{
	uint32_t bar = config_get(device, PCI_BASE_ADDRESS_0 + 4 * index, 4), flags = 0;
	uint64_t from, to;

	if (bar & PCI_BASE_ADDRESS_SPACE_IO)
		return USERPCI_REGION_IO;
	if ((bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		flags |= USERPCI_REGION_64;
	if (bar & PCI_BASE_ADDRESS_MEM_PREFETCH)
		flags |= USERPCI_REGION_PREFETCH;
	if (table_place(device, &from, &to) == (int)index)
		flags |= USERPCI_REGION_MSIX;
	return flags;
}

static int map_piece(char *base, uint64_t from, uint64_t to, int prot, int fd, uint64_t offset)
{
	if (from >= to)
		return 0;
	if (mmap(base + from, to - from, prot, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)(offset + from)) == MAP_FAILED)
		return -errno;
	return 0;
}

int userpci_host_map(struct userpci_device *device, int fd, uint64_t offset,
		     struct userpci_region *region)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = 0, to = 0;
	uint64_t size = (region->size + page - 1) & ~(page - 1);
	const int both = PROT_READ | PROT_WRITE;
	char *base;
	int err;

	if (table_place(device, &from, &to) != (int)region->index)
		from = to = 0;
	from &= ~(page - 1);
	to = (to + page - 1) & ~(page - 1);
	if (to > size)
		return -EIO; /* the device contradicts itself */
	base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	err = map_piece(base, 0, from, both, fd, offset);
	if (!err)
		err = map_piece(base, from, to, PROT_READ, fd, offset);
	if (!err)
		err = map_piece(base, to, size, both, fd, offset);
	if (err) {
		munmap(base, size);
		return err;
	}
	region->va = base;
	return 0;
}

/* --- DMA buffers --- */

static struct userpci_buffer *find_named(const struct userpci_host *host, const char *name)
{
	struct userpci_buffer *buffer = host->buffers;

	while (buffer && (!*name || strcmp(buffer->name, name)))
		buffer = buffer->next;
	return buffer;
}

struct userpci_buffer *userpci_buffer_find(const struct userpci_host *host, uint64_t handle)
{
	struct userpci_buffer *buffer = host->buffers;

	while (buffer && buffer->handle != handle)
		buffer = buffer->next;
	return buffer;
}

static int map_file(int fd, uint64_t size, void **va)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	*va = base;
	return 0;
}

static int create_file(struct userpci_buffer *buffer, unsigned int memfd_flags, void **va)
{
	buffer->fd = memfd_create("userpci", MFD_CLOEXEC | memfd_flags);
	if (buffer->fd < 0)
		return -errno;
	/* It says EINVAL or EFBIG of a size that no file has. */
	if (ftruncate(buffer->fd, (off_t)buffer->size))
		return -ENOMEM;
	return map_file(buffer->fd, buffer->size, va);
}

int userpci_buffer_create(const struct userpci_host *host,
			  const struct userpci_dma_options *options, uint64_t unit,
			  unsigned int memfd_flags, struct userpci_buffer **buffer, void **va)
{
	uint64_t size = (options->size + unit - 1) & ~(unit - 1);
	const char *name = options->name ? options->name : "";
	struct userpci_buffer *b;
	int err = 0;

	if (find_named(host, name))
		return -EEXIST;
	if (size < options->size || size > INT64_MAX || size > SIZE_MAX)
		return -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->fd = -1;
	b->kind = options->kind;
	b->size = size;
	b->count = 1;
	snprintf(b->name, sizeof(b->name), "%s", name);
	if (b->kind == USERPCI_DMA_PINNED)
		*va = options->address;
	else
		err = create_file(b, memfd_flags, va);
	if (err) {
		userpci_buffer_free(NULL, b);
		return err;
	}
	*buffer = b;
	return 0;
}

static void tell(const struct userpci_buffer *buffer, void *va, struct userpci_dma *dma)
{
	dma->va = va;
	dma->iova = buffer->chunks[0].iova;
	dma->size = buffer->size;
	dma->handle = buffer->handle;
	dma->kind = buffer->kind;
	dma->chunks = buffer->count;
}

void userpci_buffer_add(struct userpci_host *host, struct userpci_buffer *buffer, void *va,
			struct userpci_dma *dma)
{
	struct userpci_buffer **link = &host->buffers;

	while (*link)
		link = &(*link)->next;
	*link = buffer;
	buffer->handle = ++host->last_handle;
	tell(buffer, va, dma);
}

void userpci_buffer_free(struct userpci_host *host, struct userpci_buffer *buffer)
{
	struct userpci_buffer **link = host ? &host->buffers : NULL;

	while (link && *link && *link != buffer)
		link = &(*link)->next;
	if (link && *link)
		*link = buffer->next;
	if (buffer->fd >= 0)
		close(buffer->fd);
	free(buffer->chunks);
	free(buffer);
}

int userpci_host_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			   struct userpci_dma_chunk *chunk)
{
	const struct userpci_buffer *buffer = userpci_buffer_find(host_of(dma->device),
								  dma->handle);

	if (!buffer)
		return -ENOENT;
	*chunk = buffer->chunks[index];
	return 0;
}

int userpci_host_dma_attach(struct userpci_device *device, const char *name,
			    struct userpci_dma *dma)
{
	const struct userpci_buffer *buffer = find_named(host_of(device), name);
	void *va = NULL;
	int err;

	if (!buffer)
		return -ENOENT;
	if (buffer->fd < 0)
		return -EOPNOTSUPP;
	err = map_file(buffer->fd, buffer->size, &va);
	if (err)
		return err;
	dma->device = device;
	tell(buffer, va, dma);
	return 0;
}

int userpci_host_dma_next(struct userpci_device *device, uint32_t *cursor,
			  struct userpci_dma_info *info)
{
	const struct userpci_buffer *buffer = host_of(device)->buffers;

	while (buffer && buffer->handle < *cursor)
		buffer = buffer->next;
	if (!buffer)
		return -ENOENT;
	memcpy(info->name, buffer->name, sizeof(info->name));
	info->size = buffer->size;
	info->iova = buffer->chunks[0].iova;
	info->handle = buffer->handle;
	info->kind = buffer->kind;
	info->chunks = buffer->count;
	info->references = 1; /* maps are not counted */
	*cursor = buffer->handle + 1;
	return 0;
}

int userpci_host_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	struct userpci_host *host = host_of(device);

	if (host->buffers)
		return -EBUSY;
	host->reach = UINT64_MAX >> (64 - bits);
	return 0;
}

int userpci_host_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	(void)device, (void)vector, (void)per_second;
	return -EOPNOTSUPP;
}
