/* SPDX-License-Identifier: MIT */
/*
 * The backend over vfio-pci ("vfio:ADDRESS"): a group, a container of type 1, and nothing of ours
 * in the kernel. The IOMMU lets the device reach its DMA buffers and no more.
 *
 * Spec: Linux, Documentation/driver-api/vfio.rst and include/uapi/linux/vfio.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "watch.h"

/* Below lies what a PC has in its first megabyte; and an iova of 0 looks like none. */
#define IOVA_FIRST  (1u << 20)

#define MOST_RANGES 16

#define SIZED(type)                          \
	(struct type)                        \
	{                                    \
		.argsz = sizeof(struct type) \
	}

struct range {
	uint64_t first, last;
};

struct vector {
	int fd; /* a duplicate of what it adds to; -1: nothing yet */
	bool masked;
};

struct vfio_state {
	struct userpci_host host; /* first: host.c finds it there */
	pid_t owner;		  /* not a child of it */
	int container, group, device;
	uint64_t page;			  /* the smallest of the IOMMU */
	struct range ranges[MOST_RANGES]; /* of iovas that it takes */
	unsigned int num_ranges;
	unsigned int irq_kind, irq_count; /* 0: none enabled */
	struct vector *vectors;
	int sink; /* an eventfd for vectors that are masked, but not in the device; -1 */
	struct userpci_watch *watch; /* events; NULL: the kernel tells none */
};

static struct vfio_state *state_of(const struct userpci_device *device)
{
	return device->state;
}

static int call(int fd, unsigned long command, void *argument)
{
	return ioctl(fd, command, argument) < 0 ? -errno : 0;
}

/* A capability in the list that begins at `offset` of an answer of `size` bytes; NULL: none. */
static const void *find_capability(const void *answer, size_t size, uint32_t offset, uint16_t id)
{
	const struct vfio_info_cap_header *header;

	while (offset && offset + sizeof(*header) <= size) {
		header = (const void *)((const char *)answer + offset);
		if (header->id == id)
			return header;
		if (header->next <= offset)
			break;
		offset = header->next;
	}
	return NULL;
}

/* --- Open --- */

static int group_open(const char *address)
{
	struct vfio_group_status status = SIZED(vfio_group_status);
	char number[32], path[64];
	int fd, err;

	if (userpci_sysfs_link(address, "iommu_group", number, sizeof(number)))
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/dev/vfio/%s", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = call(fd, VFIO_GROUP_GET_STATUS, &status);
	/* A neighbour in the group has a driver of the kernel's: it could be reached by DMA. */
	if (!err && !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		err = -EADDRINUSE;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int container_open(int *container)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
		close(fd);
		return -EPROTO;
	}
	*container = fd;
	return 0;
}

/*
 * Without the capability, as before Linux 5.4: what every IOMMU takes, less the window of messages
 * on x86.
 */
static void ranges_default(struct vfio_state *s)
{
	s->ranges[0] = (struct range){ 0, 0xfedfffff };
	s->ranges[1] = (struct range){ 0xfef00000, (1ull << 39) - 1 };
	s->num_ranges = 2;
}

static void ranges_take(struct vfio_state *s, const struct vfio_iommu_type1_info_cap_iova_range *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_iovas && i < MOST_RANGES; i++)
		s->ranges[i] = (struct range){ c->iova_ranges[i].start, c->iova_ranges[i].end };
	s->num_ranges = i;
}

/* Asked twice: the first answer tells how long the whole is. */
static int iommu_query(struct vfio_state *s)
{
	struct vfio_iommu_type1_info head = SIZED(vfio_iommu_type1_info), *info;
	const void *ranges = NULL;
	int err;

	err = call(s->container, VFIO_IOMMU_GET_INFO, &head);
	if (err)
		return err;
	info = calloc(1, head.argsz);
	if (!info)
		return -ENOMEM;
	info->argsz = head.argsz;
	err = call(s->container, VFIO_IOMMU_GET_INFO, info);
	if (!err) {
		s->page = (uint64_t)sysconf(_SC_PAGESIZE);
		if (info->flags & VFIO_IOMMU_INFO_PGSIZES && info->iova_pgsizes)
			s->page = info->iova_pgsizes & -info->iova_pgsizes;
		if (s->page < (uint64_t)sysconf(_SC_PAGESIZE))
			s->page = (uint64_t)sysconf(_SC_PAGESIZE);
		if (info->flags & VFIO_IOMMU_INFO_CAPS)
			ranges = find_capability(info, head.argsz, info->cap_offset,
						 VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
		if (ranges)
			ranges_take(s, ranges);
		else
			ranges_default(s);
	}
	free(info);
	return err;
}

static int vfio_connect(struct vfio_state *s, const char *address)
{
	int err;

	s->group = group_open(address);
	if (s->group < 0)
		return s->group;
	err = container_open(&s->container);
	if (!err)
		err = call(s->group, VFIO_GROUP_SET_CONTAINER, &s->container);
	if (!err && ioctl(s->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		err = -errno;
	if (!err)
		err = iommu_query(s);
	if (err)
		return err;
	s->device = ioctl(s->group, VFIO_GROUP_GET_DEVICE_FD, address);
	return s->device < 0 ? -errno : 0;
}

static int region_query(const struct vfio_state *s, unsigned int index,
			struct vfio_region_info *info)
{
	*info = SIZED(vfio_region_info);
	info->index = index;
	return call(s->device, VFIO_DEVICE_GET_REGION_INFO, info);
}

static unsigned int irq_vectors(const struct vfio_state *s, unsigned int index)
{
	struct vfio_irq_info info = SIZED(vfio_irq_info);

	info.index = index;
	return call(s->device, VFIO_DEVICE_GET_IRQ_INFO, &info) ? 0 : info.count;
}

/* Bus mastering is off, and the registers are switched on. */
static int config_open(struct vfio_state *s)
{
	struct vfio_region_info config;
	int err = region_query(s, VFIO_PCI_CONFIG_REGION_INDEX, &config);

	if (err)
		return err;
	s->host.config_fd = s->device;
	s->host.config_base = config.offset;
	s->host.config_size = (unsigned int)config.size;
	return userpci_host_config_change(&s->host, PCI_COMMAND, PCI_COMMAND_MASTER,
					  PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}

static int info_fill(struct userpci_device *device)
{
	struct vfio_device_info info = SIZED(vfio_device_info);
	struct vfio_state *s = state_of(device);
	struct userpci_info *i = &device->info;
	int err;

	err = call(s->device, VFIO_DEVICE_GET_INFO, &info);
	if (!err)
		err = userpci_host_fill_info(device);
	if (err)
		return err;
	i->flags = USERPCI_INFO_IOMMU;
	if (info.flags & VFIO_DEVICE_FLAGS_RESET)
		i->flags |= USERPCI_INFO_RESET;
	i->num_intx = irq_vectors(s, VFIO_PCI_INTX_IRQ_INDEX);
	i->num_msi = irq_vectors(s, VFIO_PCI_MSI_IRQ_INDEX);
	i->num_msix = irq_vectors(s, VFIO_PCI_MSIX_IRQ_INDEX);
	return 0;
}

/* --- Interrupts --- */

/* Vectors start to start + count - 1; with `fds`, what each adds to (-1: nothing). */
static int irq_set(const struct vfio_state *s, unsigned int index, unsigned int action,
		   unsigned int start, unsigned int count, const int *fds)
{
	size_t data = fds ? count * sizeof(*fds) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + data);
	int err;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)(sizeof(*set) + data);
	set->flags = (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) | action;
	set->index = index;
	set->start = start;
	set->count = count;
	if (data)
		memcpy(set->data, fds, data);
	err = ioctl(s->device, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	/* A positive number is that of the vectors that the machine has left. */
	if (err > 0)
		return -ENOSPC;
	return err < 0 ? -errno : 0;
}

/* USERPCI_IRQ_* have the numbers of VFIO's indices. */
_Static_assert(USERPCI_IRQ_INTX == VFIO_PCI_INTX_IRQ_INDEX, "the kind is the index");
_Static_assert(USERPCI_IRQ_MSI == VFIO_PCI_MSI_IRQ_INDEX, "the kind is the index");
_Static_assert(USERPCI_IRQ_MSIX == VFIO_PCI_MSIX_IRQ_INDEX, "the kind is the index");

/* All vectors, without eventfds. */
static int vectors_open(struct vfio_state *s, unsigned int kind, unsigned int count)
{
	int *none = malloc(count * sizeof(*none));
	unsigned int i;
	int err;

	if (!none)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		none[i] = -1;
		s->vectors[i].fd = -1;
	}
	err = irq_set(s, kind, VFIO_IRQ_SET_ACTION_TRIGGER, 0, count, none);
	free(none);
	return err;
}

static int vfio_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct vfio_state *s = state_of(device);
	int err;

	s->vectors = calloc(count, sizeof(*s->vectors));
	if (!s->vectors)
		return -ENOMEM;
	err = vectors_open(s, kind, count);
	if (err) {
		free(s->vectors);
		s->vectors = NULL;
		return err;
	}
	s->irq_kind = kind;
	s->irq_count = count;
	userpci_watch_irqs(s->watch, kind, count);
	return 0;
}

static void vfio_irq_disable(struct userpci_device *device)
{
	struct vfio_state *s = state_of(device);
	unsigned int i;

	if (!s->irq_count)
		return;
	(void)irq_set(s, s->irq_kind, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
	for (i = 0; i < s->irq_count; i++)
		if (s->vectors[i].fd >= 0)
			close(s->vectors[i].fd);
	free(s->vectors);
	s->vectors = NULL;
	s->irq_count = 0;
	userpci_watch_irqs(s->watch, s->irq_kind, 0);
}

static int vector_connect(const struct vfio_state *s, unsigned int vector, int fd)
{
	return irq_set(s, s->irq_kind, VFIO_IRQ_SET_ACTION_TRIGGER, vector, 1, &fd);
}

/*
 * The kernel masks a vector in the device while it has no eventfd and while it gets another, and
 * the device remembers what comes then. MSI without mask bits has nothing to mask: the message has
 * no place to go to, so the IOMMU refuses it, and it is lost.
 */
static bool loses_messages(struct userpci_device *device)
{
	unsigned int msi = 0;
	uint32_t flags;

	return state_of(device)->irq_kind == USERPCI_IRQ_MSI &&
	       !userpci_config_find(device, PCI_CAP_ID_MSI, &msi) &&
	       !userpci_host_config_read(device, msi + PCI_MSI_FLAGS, 2, &flags) &&
	       !(flags & PCI_MSI_FLAGS_MASKBIT);
}

/* The driver looks, because it is told so. */
static void tell_missed(struct userpci_device *device, int fd)
{
	if (loses_messages(device))
		(void)eventfd_write(fd, 1);
}

/*
 * The kernel lets the line up before it listens, and an interrupt controller may not look again
 * (QEMU's does not): up once more.
 */
static void lift_line(const struct vfio_state *s)
{
	(void)irq_set(s, USERPCI_IRQ_INTX, VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL);
	(void)irq_set(s, USERPCI_IRQ_INTX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
}

static int vfio_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	const struct vfio_state *s = state_of(device);
	struct vector *v;
	int copy, err;

	if (vector == USERPCI_EVENTS)
		return userpci_watch_eventfd(s->watch, fd);
	v = &s->vectors[vector];
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	/* The kernel would end the old connection first. One of a masked message is made later. */
	err = userpci_eventfd_check(copy);
	if (!err && !v->masked)
		err = vector_connect(s, vector, copy);
	if (err) {
		close(copy);
		return err;
	}
	if (v->fd >= 0) {
		close(v->fd);
		tell_missed(device, copy);
	} else if (s->irq_kind == USERPCI_IRQ_INTX) {
		lift_line(s);
	}
	v->fd = copy;
	return 0;
}

/* What a message's vector adds to while it is masked: nothing, where that masks it. */
static int masked_fd(struct userpci_device *device)
{
	struct vfio_state *s = state_of(device);

	if (!loses_messages(device))
		return -1;
	if (s->sink < 0)
		s->sink = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return s->sink;
}

/* vfio-pci masks INTx only. */
static int vfio_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	const struct vfio_state *s = state_of(device);
	struct vector *v = &s->vectors[vector];
	int err;

	if (s->irq_kind == USERPCI_IRQ_INTX)
		return irq_set(s, s->irq_kind,
			       masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK, 0, 1,
			       NULL);
	if (masked == v->masked)
		return 0;
	err = vector_connect(s, vector, masked ? masked_fd(device) : v->fd);
	if (err)
		return err;
	v->masked = masked;
	if (!masked)
		tell_missed(device, v->fd);
	return 0;
}

/* --- Events --- */

/* The kernel wants the device back (REQ), or has seen a PCI error (ERR). Both may be missing. */
static int events_open(struct userpci_device *device)
{
	struct vfio_state *s = state_of(device);
	int request = -1, error = -1, err;

	if (!irq_vectors(s, VFIO_PCI_REQ_IRQ_INDEX))
		return 0;
	err = userpci_watch_start(&s->watch, &device->fd, &request, &error);
	if (err)
		return err;
	err = irq_set(s, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &request);
	if (!err && irq_vectors(s, VFIO_PCI_ERR_IRQ_INDEX))
		err = irq_set(s, VFIO_PCI_ERR_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &error);
	return err;
}

static int vfio_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	return userpci_watch_map(state_of(device)->watch, va, size);
}

static void state_free(struct userpci_device *device)
{
	struct vfio_state *s = state_of(device);

	if (s->sink >= 0)
		close(s->sink);
	/* A child of the owner has not its thread. */
	if (s->watch)
		userpci_watch_stop(s->watch, getpid() == s->owner);
	if (s->device >= 0)
		close(s->device);
	if (s->group >= 0)
		close(s->group);
	free(s->vectors);
	/* With the container go the IOMMU's maps, after the device's last transaction. */
	if (s->container >= 0)
		close(s->container);
	while (s->host.buffers)
		userpci_buffer_free(&s->host, s->host.buffers);
	free(s);
	device->state = NULL;
	device->fd = -1;
}

static int vfio_open(struct userpci_device *device, const char *address, unsigned int flags)
{
	struct vfio_state *s;
	int err = userpci_address_parse(address, device->info.address);

	if (err)
		return err;
	/* A group has one owner, and who has it owns all of it. */
	if (flags & USERPCI_OPEN_OBSERVE)
		return -EOPNOTSUPP;
	err = userpci_sysfs_bound(device->info.address, "vfio-pci");
	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->owner = getpid();
	s->container = s->group = s->device = s->sink = -1;
	s->host.reach = UINT32_MAX;
	device->state = s;
	err = vfio_connect(s, device->info.address);
	if (!err)
		err = config_open(s);
	if (!err)
		err = info_fill(device);
	if (!err)
		err = events_open(device);
	if (err)
		state_free(device);
	return err;
}

/* --- Reset, close --- */

static int vfio_reset(struct userpci_device *device)
{
	const struct vfio_state *s = state_of(device);
	int err;

	if (!(device->info.flags & USERPCI_INFO_RESET))
		return -EOPNOTSUPP;
	err = userpci_host_bus_master(device, false);
	if (!err)
		err = call(s->device, VFIO_DEVICE_RESET, NULL);
	if (!err)
		userpci_watch_event(s->watch, USERPCI_EVENT_RESET, 0);
	return err;
}

static void vfio_close(struct userpci_device *device)
{
	/* Not what a child's copy of the descriptors would do to its parent's device. */
	if (getpid() == state_of(device)->owner) {
		(void)userpci_host_bus_master(device, false);
		(void)vfio_reset(device);
	}
	state_free(device);
}

/* --- Regions --- */

/*
 * Whether all of it may be mapped. Where the kernel excepts a part (the MSI-X table, before Linux
 * 4.16) all accesses are calls.
 */
static int may_map(const struct vfio_state *s, const struct vfio_region_info *head)
{
	struct vfio_region_info *info;
	int may = 0, err;

	if (!(head->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (!(head->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return 1;
	info = calloc(1, head->argsz);
	if (!info)
		return -ENOMEM;
	info->argsz = head->argsz;
	info->index = head->index;
	err = call(s->device, VFIO_DEVICE_GET_REGION_INFO, info);
	if (!err)
		may = !find_capability(info, head->argsz, info->cap_offset,
				       VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	free(info);
	return err ?: may;
}

/* vfio-pci has no write-combining maps. */
static int vfio_region_map(struct userpci_device *device, unsigned int index, bool wc,
			   struct userpci_region *region)
{
	const struct vfio_state *s = state_of(device);
	struct vfio_region_info info;
	int err = region_query(s, index, &info);

	(void)wc;
	if (err)
		return err;
	if (!info.size)
		return -ENOENT;
	region->size = info.size;
	region->flags = userpci_host_bar_flags(device, index);
	err = may_map(s, &info);
	if (err < 0)
		return err;
	if (!err) {
		region->flags |= USERPCI_REGION_CALLS;
		return 0;
	}
	region->flags |= USERPCI_REGION_MMAP;
	return userpci_host_map(device, s->device, info.offset, region);
}

static int vfio_region_access(const struct userpci_region *region, uint64_t offset,
			      unsigned int width, struct vfio_region_info *info)
{
	int err = userpci_access_check(region, offset, width);

	return err ?: region_query(state_of(region->device), region->index, info);
}

static int vfio_region_read(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t *value)
{
	struct vfio_region_info info;
	int err = vfio_region_access(region, offset, width, &info);

	return err
		       ?: userpci_file_read(state_of(region->device)->device, info.offset + offset,
					    width, value);
}

static int vfio_region_write(const struct userpci_region *region, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	struct vfio_region_info info;
	int err = vfio_region_access(region, offset, width, &info);

	return err
		       ?: userpci_file_write(state_of(region->device)->device, info.offset + offset,
					     width, value);
}

static int vfio_region_huge(const struct userpci_region *region)
{
	(void)region;
	return -EOPNOTSUPP;
}

/* --- DMA memory --- */

/* The first buffer that has an address of [at, at + size - 1]; NULL: they are free. */
static const struct userpci_buffer *overlap(const struct vfio_state *s, uint64_t at, uint64_t size)
{
	const struct userpci_buffer *b = s->host.buffers;

	while (b && (b->chunks[0].iova > at + (size - 1) || b->chunks[0].iova + (b->size - 1) < at))
		b = b->next;
	return b;
}

static bool fit(const struct vfio_state *s, struct range range, uint64_t size, uint64_t *iova)
{
	uint64_t at = range.first > IOVA_FIRST ? range.first : IOVA_FIRST, last = range.last;
	const struct userpci_buffer *b;

	at = (at + s->page - 1) & ~(s->page - 1);
	if (last > s->host.reach)
		last = s->host.reach;
	while (at >= IOVA_FIRST && at <= last && last - at >= size - 1) {
		b = overlap(s, at, size);
		if (!b) {
			*iova = at;
			return true;
		}
		at = b->chunks[0].iova + b->size;
	}
	return false;
}

static int iova_find(const struct vfio_state *s, uint64_t size, uint64_t *iova)
{
	unsigned int i;

	for (i = 0; i < s->num_ranges; i++)
		if (fit(s, s->ranges[i], size, iova))
			return 0;
	return -ENOMEM;
}

/* Pins the pages. -ENOSPC: the container has too many maps. */
static int iommu_map(const struct vfio_state *s, struct userpci_buffer *buffer, void *va)
{
	struct vfio_iommu_type1_dma_map map = SIZED(vfio_iommu_type1_dma_map);
	int err;

	buffer->chunks = calloc(1, sizeof(*buffer->chunks));
	if (!buffer->chunks)
		return -ENOMEM;
	buffer->chunks->size = buffer->size;
	err = iova_find(s, buffer->size, &buffer->chunks->iova);
	if (err)
		return err;
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (uintptr_t)va;
	map.iova = buffer->chunks->iova;
	map.size = buffer->size;
	return call(s->container, VFIO_IOMMU_MAP_DMA, &map);
}

static int vfio_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			  struct userpci_dma *dma)
{
	struct vfio_state *s = state_of(device);
	struct userpci_buffer *buffer;
	void *va;
	int err;

	err = userpci_buffer_create(&s->host, options, s->page, 0, &buffer, &va);
	if (err)
		return err;
	err = buffer->kind == USERPCI_DMA_PINNED && buffer->size != options->size
		      ? -EINVAL
		      : /* the IOMMU has larger pages than the processor */
		      iommu_map(s, buffer, va);
	if (err) {
		if (buffer->fd >= 0)
			munmap(va, buffer->size);
		userpci_buffer_free(&s->host, buffer);
		return err;
	}
	userpci_buffer_add(&s->host, buffer, va, dma);
	userpci_watch_dma(s->watch, (int64_t)buffer->size);
	return 0;
}

static void vfio_dma_free(struct userpci_dma *dma)
{
	struct vfio_iommu_type1_dma_unmap unmap = SIZED(vfio_iommu_type1_dma_unmap);
	struct vfio_state *s = state_of(dma->device);
	struct userpci_buffer *buffer = userpci_buffer_find(&s->host, dma->handle);

	if (!buffer)
		return;
	unmap.iova = buffer->chunks->iova;
	unmap.size = buffer->size;
	(void)call(s->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	userpci_watch_dma(s->watch, -(int64_t)buffer->size);
	userpci_buffer_free(&s->host, buffer);
}

const struct userpci_backend userpci_backend_vfio = {
	.name = "vfio",
	.open = vfio_open,
	.close = vfio_close,
	.region_map = vfio_region_map,
	.region_read = vfio_region_read,
	.region_write = vfio_region_write,
	.region_huge = vfio_region_huge,
	.config_read = userpci_host_config_read,
	.config_write = userpci_host_config_write,
	.dma_alloc = vfio_dma_alloc,
	.dma_free = vfio_dma_free,
	.dma_chunk = userpci_host_dma_chunk,
	.dma_attach = userpci_host_dma_attach,
	.dma_next = userpci_host_dma_next,
	.dma_set_mask = userpci_host_dma_set_mask,
	.irq_enable = vfio_irq_enable,
	.irq_disable = vfio_irq_disable,
	.irq_eventfd = vfio_irq_eventfd,
	.irq_mask = vfio_irq_mask,
	.irq_limit = userpci_host_irq_limit,
	.stats_map = vfio_stats_map,
	.bus_master = userpci_host_bus_master,
	.reset = vfio_reset,
};
