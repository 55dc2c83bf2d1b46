/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "support.h"

TEST_MAIN

int sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static unsigned int sysfs_hex(const char *address, const char *attribute)
{
	char path[PATH_MAX];
	unsigned int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, attribute);
	f = fopen(path, "r");
	CHECK(f);
	CHECK_EQ(fscanf(f, "%x", &value), 1);
	fclose(f);
	return value;
}

const char *device_find(const char *id)
{
	static char found[16];
	unsigned int vendor, device;
	struct dirent *entry;
	DIR *dir;

	CHECK_EQ(sscanf(id, "%x:%x", &vendor, &device), 2);
	dir = opendir("/sys/bus/pci/devices");
	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || sysfs_hex(entry->d_name, "vendor") != vendor ||
		    sysfs_hex(entry->d_name, "device") != device)
			continue;
		snprintf(found, sizeof(found), "%.15s", entry->d_name);
		closedir(dir);
		return found;
	}
	closedir(dir);
	harness_end("not ok", __FILE__, __LINE__, "the guest has no %s", id);
}

const char *device_bind(const char *id)
{
	const char *address = device_find(id);
	char path[PATH_MAX], node[64];

	snprintf(node, sizeof(node), "/dev/userpci/%s", address);
	if (!access(node, F_OK))
		return address;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
	if (!access(path, F_OK))
		CHECK_EQ(sysfs_write(path, address), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	CHECK_EQ(sysfs_write(path, "userpci"), 0);
	CHECK_EQ(sysfs_write("/sys/bus/pci/drivers_probe", address), 0);
	CHECK_EQ(access(node, F_OK), 0);
	return address;
}

void device_unbind(const char *address)
{
	CHECK_EQ(sysfs_write("/sys/bus/pci/drivers/userpci/unbind", address), 0);
}

uint32_t sysfs_config(const char *address, unsigned int offset, unsigned int width)
{
	char path[PATH_MAX];
	uint32_t value = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &value, width, offset), width);
	close(fd);
	return value;
}

uint64_t sysfs_bar(const char *address, int bar, uint64_t *start, uint64_t *flags)
{
	uint64_t end = 0;
	char path[PATH_MAX];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", address);
	f = fopen(path, "r");
	CHECK(f);
	for (i = 0; i <= bar; i++)
		CHECK_EQ(fscanf(f, "%" SCNx64 " %" SCNx64 " %" SCNx64, start, &end, flags), 3);
	fclose(f);
	return end ? end - *start + 1 : 0;
}

int node_open(const char *address, int flags)
{
	char node[64];
	int fd;

	snprintf(node, sizeof(node), "/dev/userpci/%s", address);
	fd = open(node, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int node_own(const char *id)
{
	int fd = node_open(device_bind(id), O_RDWR);

	CHECK(fd >= 0);
	return fd;
}

int call(int fd, unsigned long command, void *argument)
{
	int result = ioctl(fd, command, argument);

	return result < 0 ? -errno : result;
}

struct userpci_uapi_region region_get(int fd, unsigned int index)
{
	struct userpci_uapi_region r = SIZED(userpci_uapi_region);

	r.index = index;
	CHECK_EQ(call(fd, USERPCI_GET_REGION, &r), 0);
	return r;
}

struct userpci_uapi_dma dma_get(int fd, uint64_t bytes)
{
	struct userpci_uapi_dma d = SIZED(userpci_uapi_dma);

	d.bytes = bytes;
	CHECK_EQ(call(fd, USERPCI_DMA_ALLOC, &d), 0);
	return d;
}

int dma_mask(int fd, unsigned int bits)
{
	struct userpci_uapi_dma_mask m = SIZED(userpci_uapi_dma_mask);

	m.bits = bits;
	return call(fd, USERPCI_DMA_SET_MASK, &m);
}

int irq_set(int fd, unsigned int kind, unsigned int count)
{
	struct userpci_uapi_irq i = SIZED(userpci_uapi_irq);

	i.kind = kind;
	i.count = count;
	return call(fd, USERPCI_IRQ_ENABLE, &i);
}

int irq_eventfd(int fd, unsigned int vector, int eventfd)
{
	struct userpci_uapi_irq_eventfd e = SIZED(userpci_uapi_irq_eventfd);

	e.vector = vector;
	e.fd = eventfd;
	return call(fd, USERPCI_IRQ_EVENTFD, &e);
}

int irq_mask(int fd, unsigned int vector, unsigned int masked)
{
	struct userpci_uapi_irq_mask m = SIZED(userpci_uapi_irq_mask);

	m.vector = vector;
	m.masked = masked;
	return call(fd, USERPCI_IRQ_MASK, &m);
}

int bus_master(int fd, unsigned int enable)
{
	struct userpci_uapi_bus_master b = SIZED(userpci_uapi_bus_master);

	b.enable = enable;
	return call(fd, USERPCI_BUS_MASTER, &b);
}

void *map(int fd, uint64_t offset, uint64_t size, int prot)
{
	void *va = mmap(NULL, size, prot, MAP_SHARED, fd, (off_t)offset);

	CHECK(va != MAP_FAILED);
	return va;
}

int map_error(int fd, uint64_t offset, uint64_t size, int prot, int flags)
{
	void *va = mmap(NULL, size, prot, flags, fd, (off_t)offset);

	if (va == MAP_FAILED)
		return -errno;
	munmap(va, size);
	return 0;
}

void edu_dma_start(void *regs, uint64_t source, uint64_t target, uint64_t bytes, int to_host)
{
	wr64(regs, EDU_DMA_SOURCE, source);
	wr64(regs, EDU_DMA_TARGET, target);
	wr64(regs, EDU_DMA_COUNT, bytes);
	wr64(regs, EDU_DMA_COMMAND, to_host ? 3 : 1);
}

void edu_dma_wait(void *regs)
{
	int i;

	/* Not nanosleep(): a kernel may have none for 32-bit programs. */
	for (i = 0; i < PATIENCE_MS && rd32(regs, EDU_DMA_COMMAND) & 1; i++)
		poll(NULL, 0, 1);
	CHECK_EQ(rd32(regs, EDU_DMA_COMMAND) & 1, 0);
}

int readable(int fd, int timeout_ms, short *revents)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	if (revents)
		*revents = p.revents;
	return n;
}
