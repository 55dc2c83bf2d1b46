/* SPDX-License-Identifier: MIT */
/*
 * The backend over uio_pci_generic ("uio:ADDRESS"), for machines on which no module can be built
 * and no IOMMU translates: INTx through /dev/uioN, registers and configuration space through the
 * files of sysfs, DMA memory out of huge pages, whose physical addresses the device uses.
 *
 * Nothing keeps the device inside of its buffers.
 *
 * Spec: Linux, Documentation/driver-api/uio-howto.rst, "Generic PCI UIO driver".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <userpci/mmio.h>

#include "host.h"

/* Buffers beyond the DMA mask that an allocation holds while it looks for one that is not. */
#define MOST_REJECTED 256

struct bar {
	int fd; /* resourceN in sysfs; -1: not open */
	uint64_t first, size;
	uint32_t flags;
	char *page; /* of a BAR that does not begin one: its page, mapped; NULL: not */
};

struct uio_state {
	struct userpci_host host; /* first: host.c finds it there */
	pid_t owner;		  /* not a child of it */
	int uio;
	uint64_t huge; /* the size of huge pages */
	struct bar bars[USERPCI_NUM_BARS];

	pthread_t thread; /* while INTx is enabled */
	bool enabled;
	int stop;	      /* an eventfd that ends it */
	pthread_mutex_t lock; /* of both below */
	int fd;		      /* a duplicate of what the library waits on; -1: none */
	uint64_t pending;     /* interrupts before there was one */
};

static struct uio_state *state_of(const struct userpci_device *device)
{
	return device->state;
}

/* --- Open --- */

/* Opens /dev/uioN of the function, for one owner. */
static int node_open(const char *address)
{
	char path[320];
	struct dirent *entry;
	int fd = -ENXIO;
	DIR *dir;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/uio", address);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)) && strncmp(entry->d_name, "uio", 3))
		;
	if (entry) {
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	closedir(dir);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -EBUSY;
	}
	return fd;
}

/*
 * Each interrupt masks itself: the kernel sets the bit that this clears. Quirk: QEMU (7.2) looks at
 * the line again only after a write that includes the command register's lower byte.
 */
static int intx_mask(const struct uio_state *s, bool masked)
{
	uint64_t command = 0;
	int err;

	err = userpci_file_read(s->host.config_fd, PCI_COMMAND, 2, &command);
	if (err)
		return err;
	command &= ~(uint64_t)PCI_COMMAND_INTX_DISABLE;
	command |= masked ? PCI_COMMAND_INTX_DISABLE : 0;
	return userpci_file_write(s->host.config_fd, PCI_COMMAND, 2, command);
}

static int config_open(struct uio_state *s, const char *address)
{
	char path[64];
	struct stat file;
	int err;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/config", address);
	s->host.config_fd = open(path, O_RDWR | O_CLOEXEC);
	if (s->host.config_fd < 0 || fstat(s->host.config_fd, &file))
		return -errno;
	s->host.config_size = (unsigned int)file.st_size;
	err = userpci_host_config_change(&s->host, PCI_COMMAND, PCI_COMMAND_MASTER,
					 PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	return err ?: intx_mask(s, true);
}

/* Lines of "first last flags", of which the first six are the BARs. */
static int bars_read(struct userpci_device *device)
{
	struct uio_state *s = state_of(device);
	unsigned long long first, last;
	unsigned int i;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/resource", device->info.address);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	for (i = 0; i < USERPCI_NUM_BARS; i++) {
		if (fscanf(file, "%llx %llx %*x", &first, &last) != 2)
			break;
		if (!last)
			continue;
		s->bars[i].first = first;
		s->bars[i].size = last - first + 1;
		s->bars[i].flags = userpci_host_bar_flags(device, i);
	}
	fclose(file);
	return 0;
}

static void reset_path(const struct userpci_device *device, char path[64])
{
	snprintf(path, 64, USERPCI_SYSFS_DEVICES "/%s/reset", device->info.address);
}

static int info_fill(struct userpci_device *device)
{
	char path[64], irq[16];
	int err = userpci_host_fill_info(device);

	if (err)
		return err;
	reset_path(device, path);
	device->info.flags = access(path, W_OK) ? 0 : USERPCI_INFO_RESET;
	userpci_sysfs_line(device->info.address, "irq", irq, sizeof(irq));
	device->info.num_intx = strtol(irq, NULL, 10) > 0;
	return 0;
}

static int state_create(struct userpci_device *device)
{
	struct uio_state *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return -ENOMEM;
	s->owner = getpid();
	s->uio = s->stop = s->fd = s->host.config_fd = -1;
	s->host.reach = UINT32_MAX;
	for (i = 0; i < USERPCI_NUM_BARS; i++)
		s->bars[i].fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	device->state = s;
	return 0;
}

static void state_free(struct userpci_device *device)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct uio_state *s = state_of(device);
	unsigned int i;

	for (i = 0; i < USERPCI_NUM_BARS; i++) {
		if (s->bars[i].page)
			munmap(s->bars[i].page, page);
		if (s->bars[i].fd >= 0)
			close(s->bars[i].fd);
	}
	/* Here the kernel turns bus mastering off, which the process may have been unable to. */
	if (s->uio >= 0)
		close(s->uio);
	if (s->host.config_fd >= 0)
		close(s->host.config_fd);
	while (s->host.buffers)
		userpci_buffer_free(&s->host, s->host.buffers);
	pthread_mutex_destroy(&s->lock);
	free(s);
	device->state = NULL;
	device->fd = -1;
}

/* Told at once, and not by the first buffer, because then userpci_explain() can say why. */
static int check_machine(const char *address)
{
	int err = userpci_sysfs_bound(address, "uio_pci_generic");

	if (err)
		return err;
	return userpci_sysfs_translated(address) || !userpci_huge_page() ? -EOPNOTSUPP : 0;
}

static int uio_open(struct userpci_device *device, const char *address, unsigned int flags)
{
	struct uio_state *s;
	int err = userpci_address_parse(address, device->info.address);

	if (err)
		return err;
	if (flags & USERPCI_OPEN_OBSERVE)
		return -EOPNOTSUPP;
	err = check_machine(device->info.address);
	if (!err)
		err = state_create(device);
	if (err)
		return err;
	s = state_of(device);
	s->huge = userpci_huge_page();
	s->uio = node_open(device->info.address);
	err = s->uio < 0 ? s->uio : config_open(s, device->info.address);
	if (!err)
		err = info_fill(device);
	if (!err)
		err = bars_read(device);
	if (err) {
		state_free(device);
		return err;
	}
	/* Without an interrupt it cannot be polled. */
	device->fd = device->info.num_intx ? s->uio : -1;
	return 0;
}

/* --- Regions --- */

static int resource_open(const struct userpci_device *device, unsigned int index)
{
	struct bar *bar = &state_of(device)->bars[index];
	char path[64];

	if (bar->fd >= 0)
		return 0;
	snprintf(path, sizeof(path), USERPCI_SYSFS_DEVICES "/%s/resource%u", device->info.address,
		 index);
	bar->fd = open(path, O_RDWR | O_CLOEXEC);
	return bar->fd < 0 ? -errno : 0;
}

/* Other registers are on the page: it is mapped for the backend alone, which checks each access. */
static int map_page(struct bar *bar, uint64_t page)
{
	void *base;

	if (bar->page)
		return 0;
	if (bar->first / page != (bar->first + bar->size - 1) / page)
		return -EOPNOTSUPP;
	base = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	bar->page = base;
	return 0;
}

static int uio_region_map(struct userpci_device *device, unsigned int index, bool wc,
			  struct userpci_region *region)
{
	struct bar *bar = &state_of(device)->bars[index];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int err;

	/* sysfs has such maps, but does not tell what was obtained. */
	(void)wc;
	if (!bar->size)
		return -ENOENT;
	err = resource_open(device, index);
	if (err)
		return err;
	region->size = bar->size;
	region->flags = bar->flags;
	if (bar->flags & USERPCI_REGION_IO || bar->first % page) {
		region->flags |= USERPCI_REGION_CALLS;
		return bar->flags & USERPCI_REGION_IO ? 0 : map_page(bar, page);
	}
	region->flags |= USERPCI_REGION_MMAP;
	return userpci_host_map(device, bar->fd, 0, region);
}

/* What the accessors of <userpci/mmio.h> take: it has a va, or there is none to have. */
static struct userpci_region mapped(const struct userpci_region *region, const struct bar *bar)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct userpci_region r = *region;

	if (!r.va && bar->page)
		r.va = bar->page + bar->first % page;
	return r;
}

static int uio_region_read(const struct userpci_region *region, uint64_t offset, unsigned int width,
			   uint64_t *value)
{
	const struct bar *bar = &state_of(region->device)->bars[region->index];
	struct userpci_region r = mapped(region, bar);
	int err = userpci_access_check(region, offset, width);

	if (err || bar->flags & USERPCI_REGION_IO)
		return err ?: userpci_file_read(bar->fd, offset, width, value);
	return r.va ? userpci_mapped_read(&r, offset, width, value) : -EOPNOTSUPP;
}

static int uio_region_write(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t value)
{
	const struct bar *bar = &state_of(region->device)->bars[region->index];
	struct userpci_region r = mapped(region, bar);
	int err = userpci_access_check(region, offset, width);

	if (err || bar->flags & USERPCI_REGION_IO)
		return err ?: userpci_file_write(bar->fd, offset, width, value);
	return r.va ? userpci_mapped_write(&r, offset, width, value) : -EOPNOTSUPP;
}

static int uio_region_huge(const struct userpci_region *region)
{
	(void)region;
	return -EOPNOTSUPP;
}

/* --- DMA memory --- */

/* Spec: Linux, Documentation/admin-guide/mm/pagemap.rst. Bit 63: present; 0 to 54: the frame. */
static int physical(int pagemap, const void *va, uint64_t *address)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entry, frame;
	off_t at = (off_t)((uintptr_t)va / page * sizeof(entry));

	if (pread(pagemap, &entry, sizeof(entry), at) != sizeof(entry) || !(entry >> 63))
		return -EIO;
	frame = entry & ((1ull << 55) - 1);
	if (!frame) /* who may not know is told 0 */
		return -EPERM;
	*address = frame * page;
	return 0;
}

/* Huge pages that follow each other in memory are one piece. */
static int find_chunks(const struct uio_state *s, struct userpci_buffer *b, char *va)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = 0;
	struct userpci_dma_chunk *last;
	uint64_t at, address = 0;

	if (pagemap < 0)
		return -errno;
	b->count = 0;
	for (at = 0; at < b->size && !err; at += s->huge) {
		*(volatile char *)(va + at) = 0; /* the kernel gives the page now, zeroed */
		err = physical(pagemap, va + at, &address);
		last = b->count ? &b->chunks[b->count - 1] : NULL;
		if (err)
			break;
		if (last && last->iova + last->size == address)
			last->size += s->huge;
		else
			b->chunks[b->count++] = (struct userpci_dma_chunk){ at, address, s->huge };
	}
	close(pagemap);
	return err;
}

/* -ERANGE: a piece of it is not within the DMA mask. */
static int place(const struct uio_state *s, struct userpci_buffer *b, void *va)
{
	unsigned int i;
	int err;

	b->chunks = calloc(b->size / s->huge, sizeof(*b->chunks));
	if (!b->chunks)
		return -ENOMEM;
	err = find_chunks(s, b, va);
	if (!err && b->kind == USERPCI_DMA_CONTIGUOUS && b->count > 1)
		return -ENOMEM;
	for (i = 0; !err && i < b->count; i++)
		if (b->chunks[i].iova + (b->chunks[i].size - 1) > s->host.reach)
			err = -ERANGE;
	return err;
}

static int create(const struct uio_state *s, const struct userpci_dma_options *options,
		  struct userpci_buffer **buffer, void **va)
{
	int err = userpci_buffer_create(&s->host, options, s->huge, MFD_HUGETLB, buffer, va);

	if (err)
		return err;
	err = place(s, *buffer, *va);
	if (err && err != -ERANGE) {
		munmap(*va, (*buffer)->size);
		userpci_buffer_free(NULL, *buffer);
	}
	return err;
}

/* Holds what is beyond the mask, so that the kernel gives other pages, until one fits. */
static int create_below(const struct uio_state *s, const struct userpci_dma_options *options,
			struct userpci_buffer **buffer, void **va)
{
	struct userpci_buffer *rejected = NULL, *next;
	unsigned int tries = 0;
	int err;

	do {
		err = create(s, options, buffer, va);
		if (err != -ERANGE)
			break;
		munmap(*va, (*buffer)->size); /* the file holds the pages */
		(*buffer)->next = rejected;
		rejected = *buffer;
	} while (++tries < MOST_REJECTED);
	for (; rejected; rejected = next) {
		next = rejected->next;
		userpci_buffer_free(NULL, rejected);
	}
	return err == -ERANGE ? -ENOMEM : err;
}

static int uio_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			 struct userpci_dma *dma)
{
	struct uio_state *s = state_of(device);
	struct userpci_buffer *buffer;
	void *va;
	int err;

	/* The kernel may move other pages whenever it likes. */
	if (options->kind == USERPCI_DMA_PINNED)
		return -EOPNOTSUPP;
	if (options->kind == USERPCI_DMA_CONTIGUOUS && options->size > s->huge)
		return -ENOMEM;
	err = create_below(s, options, &buffer, &va);
	if (err)
		return err;
	userpci_buffer_add(&s->host, buffer, va, dma);
	return 0;
}

static void uio_dma_free(struct userpci_dma *dma)
{
	struct uio_state *s = state_of(dma->device);
	struct userpci_buffer *buffer = userpci_buffer_find(&s->host, dma->handle);

	if (buffer)
		userpci_buffer_free(&s->host, buffer);
}

/* --- INTx --- */

static void intx_deliver(struct uio_state *s, uint32_t count)
{
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0)
		(void)eventfd_write(s->fd, count);
	else
		s->pending += count;
	pthread_mutex_unlock(&s->lock);
}

/* A read gives the number of interrupts since the driver was bound; EAGAIN: no new one. */
static void *intx_watch(void *context)
{
	struct uio_state *s = context;
	struct pollfd fds[] = {
		{ .fd = s->stop, .events = POLLIN },
		{ .fd = s->uio, .events = POLLIN },
	};
	uint32_t count;

	while (poll(fds, 2, -1) < 0 || !(fds[0].revents || fds[1].revents & (POLLERR | POLLHUP)))
		if (read(s->uio, &count, sizeof(count)) == sizeof(count))
			intx_deliver(s, 1);
	return NULL;
}

static void uio_irq_disable(struct userpci_device *device)
{
	struct uio_state *s = state_of(device);

	/* A child of the owner has not its thread, and leaves its device alone. */
	if (!s->enabled || getpid() != s->owner)
		return;
	(void)intx_mask(s, true);
	(void)eventfd_write(s->stop, 1);
	pthread_join(s->thread, NULL);
	close(s->stop);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->enabled = false;
}

static int uio_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct uio_state *s = state_of(device);
	uint32_t old;
	int err;

	(void)kind, (void)count; /* one INTx: others are not offered */
	s->stop = eventfd(0, EFD_CLOEXEC);
	if (s->stop < 0)
		return -errno;
	while (read(s->uio, &old, sizeof(old)) == sizeof(old))
		;
	s->pending = 0;
	err = userpci_thread_start(&s->thread, intx_watch, s);
	if (err) {
		close(s->stop);
		return err;
	}
	s->enabled = true;
	err = intx_mask(s, false);
	if (err)
		uio_irq_disable(device);
	return err;
}

static int uio_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct uio_state *s = state_of(device);
	int copy;

	if (vector == USERPCI_EVENTS)
		return -EOPNOTSUPP;
	if (userpci_eventfd_check(fd))
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	pthread_mutex_lock(&s->lock);
	if (s->pending)
		(void)eventfd_write(copy, s->pending);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = copy;
	s->pending = 0;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int uio_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	(void)vector;
	return intx_mask(state_of(device), masked);
}

static int uio_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	(void)device, (void)va, (void)size;
	return -EOPNOTSUPP;
}

/* --- Reset, close --- */

/* The kernel puts configuration space back to what it was before. */
static int uio_reset(struct userpci_device *device)
{
	char path[64];
	int fd, err;

	if (!(device->info.flags & USERPCI_INFO_RESET))
		return -EOPNOTSUPP;
	err = userpci_host_bus_master(device, false);
	if (err)
		return err;
	reset_path(device, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, "1", 1) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static void uio_close(struct userpci_device *device)
{
	if (getpid() == state_of(device)->owner) {
		uio_irq_disable(device);
		(void)userpci_host_bus_master(device, false);
		(void)uio_reset(device);
	}
	state_free(device);
}

const struct userpci_backend userpci_backend_uio = {
	.name = "uio",
	.open = uio_open,
	.close = uio_close,
	.region_map = uio_region_map,
	.region_read = uio_region_read,
	.region_write = uio_region_write,
	.region_huge = uio_region_huge,
	.config_read = userpci_host_config_read,
	.config_write = userpci_host_config_write,
	.dma_alloc = uio_dma_alloc,
	.dma_free = uio_dma_free,
	.dma_chunk = userpci_host_dma_chunk,
	.dma_attach = userpci_host_dma_attach,
	.dma_next = userpci_host_dma_next,
	.dma_set_mask = userpci_host_dma_set_mask,
	.irq_enable = uio_irq_enable,
	.irq_disable = uio_irq_disable,
	.irq_eventfd = uio_irq_eventfd,
	.irq_mask = uio_irq_mask,
	.irq_limit = userpci_host_irq_limit,
	.stats_map = uio_stats_map,
	.bus_master = userpci_host_bus_master,
	.reset = uio_reset,
};
