// SPDX-License-Identifier: MIT
/* What userpci, UIO and sysfs make of the same questions. VFIO has a file of its own. */
#include <dirent.h>
#include <limits.h>

#include "conformance.h"

#define COMMAND	       4 /* in configuration space */
#define COMMAND_MEMORY 2
#define COMMAND_MASTER 4

const struct subject *subject(void)
{
	static const struct subject *const all[] = { &subject_userpci, &subject_uio, &subject_vfio,
						     &subject_sysfs };
	const char *name = getenv("CONFORMANCE_SUBJECT");
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(name ? name : "userpci", all[i]->name))
			return all[i];
	fprintf(stderr, "conformance: there is no subject '%s'\n", name);
	exit(2);
}

int is_userpci(void)
{
	return subject() == &subject_userpci;
}

void require(enum kind kind)
{
	if (!(subject()->kinds & 1 << kind))
		NOT_OFFERED();
}

void require_driver(void)
{
	if (!*subject()->driver)
		NOT_OFFERED();
}

void require_userpci(void)
{
	if (!is_userpci())
		NOT_OFFERED();
}

static void attribute(char *path, const char *address, const char *name)
{
	snprintf(path, PATH_MAX, "/sys/bus/pci/devices/%s/%s", address, name);
}

/* Gives it to the driver of this name; "": to none. */
static void give(const char *address, const char *driver)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	attribute(path, address, "driver");
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = 0;
	if (n > 0 && *driver && !strcmp(strrchr(link, '/') + 1, driver))
		return;
	attribute(path, address, "driver/unbind");
	if (n > 0)
		CHECK_EQ(sysfs_write(path, address), 0);
	attribute(path, address, "driver_override");
	CHECK_EQ(sysfs_write(path, *driver ? driver : "\n"), 0);
	if (*driver)
		CHECK_EQ(sysfs_write("/sys/bus/pci/drivers_probe", address), 0);
}

int device_open(struct device *d, const char *id, int flags)
{
	memset(d, 0, sizeof(*d));
	memset(d->bars, 0xff, sizeof(d->bars));
	d->container = -1;
	d->memory = 1 << 20;
	d->address = device_find(id);
	give(d->address, subject()->driver);
	return subject()->open(d, flags);
}

struct device device_own(const char *id)
{
	struct device d;

	CHECK_EQ(device_open(&d, id, O_RDWR), 0);
	return d;
}

void device_close(struct device *d)
{
	int bar;

	for (bar = 0; bar < 6; bar++)
		if (d->bars[bar] >= 0 && d->bars[bar] != d->fd)
			close(d->bars[bar]);
	if (d->node != d->fd)
		close(d->node);
	close(d->fd);
	if (d->container >= 0)
		close(d->container);
}

int device_release(const struct device *d)
{
	char path[PATH_MAX];

	attribute(path, d->address, "driver/unbind");
	return sysfs_write(path, d->address);
}

struct place device_bar(struct device *d, int bar)
{
	struct place places[MAX_PLACES];
	int i, count = subject()->places(d, places);

	for (i = 0; i < count; i++)
		if (places[i].bar == bar)
			return places[i];
	NOT_OFFERED();
}

int device_is_master(const struct device *d)
{
	return !!(sysfs_config(d->address, COMMAND, 2) & COMMAND_MASTER);
}

void *place_map(const struct place *p, uint64_t bytes, int prot, int flags)
{
	return mmap(NULL, bytes, prot, flags, p->fd, (off_t)p->offset);
}

/* --- userpci */

static int userpci_open(struct device *d, int flags)
{
	d->fd = d->node = node_open(d->address, flags);
	return d->fd < 0 ? d->fd : 0;
}

struct place userpci_statistics(struct device *d)
{
	struct userpci_uapi_info info = SIZED(userpci_uapi_info);
	struct place p = { .fd = d->fd, .bar = -1 };

	require(STATISTICS);
	CHECK_EQ(call(d->fd, USERPCI_GET_INFO, &info), 0);
	p.offset = info.stats_offset;
	p.bytes = info.stats_bytes;
	return p;
}

static int userpci_places(struct device *d, struct place *places)
{
	int bar, count = 0;

	for (bar = 0; bar < 6; bar++) {
		struct userpci_uapi_region r = region_get(d->fd, (unsigned int)bar);
		uint64_t bytes = (r.bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);

		if (r.flags & USERPCI_REGION_MMAP)
			places[count++] = (struct place){ d->fd, bar, r.offset, bytes };
		if (r.flags & USERPCI_REGION_WC)
			places[count++] = (struct place){ d->fd, -1, r.wc_offset, bytes };
	}
	places[count++] = userpci_statistics(d);
	return count;
}

static int userpci_alloc(struct device *d, enum kind kind, uint64_t bytes, struct buffer *buffer)
{
	struct userpci_uapi_dma dma = SIZED(userpci_uapi_dma);
	int err;

	dma.kind = kind == SHARED ? USERPCI_DMA_SHARED : USERPCI_DMA_CONTIGUOUS;
	dma.bytes = bytes;
	err = call(d->fd, USERPCI_DMA_ALLOC, &dma);
	if (err)
		return err;
	buffer->place = (struct place){ d->fd, -1, dma.offset, dma.bytes };
	buffer->iova = dma.iova;
	buffer->handle = dma.handle;
	buffer->chunks = dma.chunks;
	return 0;
}

static int userpci_bus_master(struct device *d, int on)
{
	return bus_master(d->fd, (unsigned int)on);
}

const struct subject subject_userpci = {
	.name = "userpci",
	.driver = "userpci",
	.open = userpci_open,
	.places = userpci_places,
	.alloc = userpci_alloc,
	.bus_master = userpci_bus_master,
	.kinds = 1 << REGISTERS | 1 << CONTIGUOUS | 1 << STATISTICS | 1 << SHARED,
};

/* --- sysfs: resourceN, without any driver */

static int resource_open(struct device *d, int bar, int flags)
{
	char path[PATH_MAX], name[16];

	snprintf(name, sizeof(name), "resource%d", bar);
	attribute(path, d->address, name);
	d->bars[bar] = open(path, flags | O_CLOEXEC);
	return d->bars[bar] < 0 ? -errno : 0;
}

static void resources_open(struct device *d, int flags)
{
	uint64_t start, flag;
	int bar;

	for (bar = 0; bar < 6; bar++)
		if (sysfs_bar(d->address, bar, &start, &flag))
			resource_open(d, bar, flags);
}

static int sysfs_open(struct device *d, int flags)
{
	char path[PATH_MAX];

	/* Else the device does not answer: no driver has switched it on. */
	attribute(path, d->address, "enable");
	sysfs_write(path, "1");
	resources_open(d, flags);
	d->fd = d->node = d->bars[0];
	return d->fd < 0 ? -EACCES : 0;
}

static int sysfs_places(struct device *d, struct place *places)
{
	uint64_t start, flags, bytes;
	int bar, count = 0;

	for (bar = 0; bar < 6; bar++) {
		bytes = sysfs_bar(d->address, bar, &start, &flags);
		bytes = (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		if (bytes && d->bars[bar] >= 0 && !(flags & 0x100)) /* I/O ports */
			places[count++] = (struct place){ d->bars[bar], bar, 0, bytes };
	}
	return count;
}

static int sysfs_bus_master(struct device *d, int on)
{
	uint32_t command = sysfs_config(d->address, COMMAND, 2) & ~(uint32_t)COMMAND_MASTER;
	char path[PATH_MAX];
	uint16_t value = (uint16_t)(command | COMMAND_MEMORY | (on ? COMMAND_MASTER : 0));
	int fd, err;

	attribute(path, d->address, "config");
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	err = pwrite(fd, &value, 2, COMMAND) == 2 ? 0 : -errno;
	close(fd);
	return err;
}

const struct subject subject_sysfs = {
	.name = "sysfs",
	.driver = "",
	.open = sysfs_open,
	.places = sysfs_places,
	.bus_master = sysfs_bus_master,
	.kinds = 1 << REGISTERS,
};

/* --- UIO: uio_pci_generic, which has no maps; registers are mapped as with sysfs */

static int uio_open(struct device *d, int flags)
{
	char path[PATH_MAX], node[PATH_MAX] = "";
	struct dirent *entry;
	DIR *dir;

	attribute(path, d->address, "uio");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(node, sizeof(node), "/dev/%s", entry->d_name);
	closedir(dir);
	d->fd = d->node = open(node, flags | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	resources_open(d, flags);
	return 0;
}

const struct subject subject_uio = {
	.name = "uio",
	.driver = "uio_pci_generic",
	.open = uio_open,
	.places = sysfs_places,
	.bus_master = sysfs_bus_master,
	.kinds = 1 << REGISTERS,
};
