// SPDX-License-Identifier: MIT
/* VFIO: a group, its container, the device. Its DMA buffers are the caller's own memory. */
#include <limits.h>
#include <linux/vfio.h>

#include "conformance.h"

static int group_open(const char *address)
{
	char path[PATH_MAX], link[PATH_MAX], node[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	snprintf(node, sizeof(node), "/dev/vfio/%.200s", strrchr(link, '/') + 1);
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fd;
}

static int vfio_open(struct device *d, int flags)
{
	/* A group, and with it the device, is for reading and writing. */
	if (flags == O_RDONLY)
		NOT_OFFERED();
	d->fd = group_open(d->address);
	if (d->fd < 0)
		return d->fd;
	d->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(d->container >= 0);
	CHECK_EQ(call(d->fd, VFIO_GROUP_SET_CONTAINER, &d->container), 0);
	if (ioctl(d->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return -errno;
	d->node = ioctl(d->fd, VFIO_GROUP_GET_DEVICE_FD, d->address);
	return d->node < 0 ? -errno : 0;
}

static struct vfio_region_info region(struct device *d, unsigned int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	CHECK_EQ(call(d->node, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return info;
}

static int vfio_places(struct device *d, struct place *places)
{
	int bar, count = 0;

	for (bar = 0; bar < 6; bar++) {
		struct vfio_region_info info = region(d, (unsigned int)bar);

		if (info.flags & VFIO_REGION_INFO_FLAG_MMAP)
			places[count++] = (struct place){ d->node, bar, info.offset,
							  (info.size + PAGE - 1) & ~(PAGE - 1ull) };
	}
	return count;
}

static int vfio_alloc(struct device *d, enum kind kind, uint64_t bytes, struct buffer *buffer)
{
	struct vfio_iommu_type1_dma_map dma = { .argsz = sizeof(dma) };
	int fd;
	void *va;

	(void)kind; /* the one that it has */
	fd = memfd_create("buffer", MFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
	/* Stays mapped: the device's mapping is of this one. */
	va = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(va != MAP_FAILED);
	dma.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	dma.vaddr = (uintptr_t)va;
	dma.iova = d->memory;
	dma.size = bytes;
	d->memory += bytes;
	if (ioctl(d->container, VFIO_IOMMU_MAP_DMA, &dma) < 0)
		return -errno;
	*buffer = (struct buffer){ { fd, -1, 0, bytes }, dma.iova, 0, 1 };
	return 0;
}

static int vfio_bus_master(struct device *d, int on)
{
	struct vfio_region_info config = region(d, VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t value = (uint16_t)(on ? 6 : 2); /* Command: memory space, bus master */

	return pwrite(d->node, &value, 2, (off_t)config.offset + 4) == 2 ? 0 : -errno;
}

const struct subject subject_vfio = {
	.name = "vfio",
	.driver = "vfio-pci",
	.open = vfio_open,
	.places = vfio_places,
	.alloc = vfio_alloc,
	.bus_master = vfio_bus_master,
	.kinds = 1 << REGISTERS | 1 << SHARED,
};
