/* SPDX-License-Identifier: MIT */
/* The wrapping backend: each call goes on to the inner one, and into the trace as it came back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <userpci/mmio.h>

#include "wrap.h"

const struct userpci_backend *userpci_backend_of(const struct userpci_device *device)
{
	return device->wrap ? device->wrap->inner : device->backend;
}

static void lock_create(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

/* How often this process is a forked child. getpid() would cost more than an access. */
static unsigned int forks;
static pthread_once_t watched = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	forks++;
}

static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, count_fork);
}

/*
 * In a forked child: the thread is not here, and may have held the lock at that moment. The trace
 * and the writes on their way are the parent's.
 */
static void begin_in_child(struct userpci_wrap *wrap)
{
	wrap->forks = forks;
	lock_create(&wrap->lock);
	wrap->depth = 0;
	wrap->writes = NULL;
	wrap->last_write = &wrap->writes;
	if (wrap->tracer)
		(void)userpci_tracer_stop(wrap->tracer);
	wrap->tracer = NULL;
	if (wrap->wake >= 0)
		close(wrap->wake);
	wrap->wake = -1;
}

struct userpci_wrap *userpci_wrap_lock(struct userpci_device *device)
{
	struct userpci_wrap *wrap = device->wrap;

	if (wrap->forks != forks)
		begin_in_child(wrap);
	pthread_mutex_lock(&wrap->lock);
	wrap->depth++;
	return wrap;
}

struct userpci_wrap *userpci_wrap_enter(struct userpci_device *device)
{
	struct userpci_wrap *wrap = userpci_wrap_lock(device);

	userpci_fault_send(wrap, INT64_MAX);
	return wrap;
}

void userpci_wrap_leave(struct userpci_wrap *wrap, const struct userpci_record *record)
{
	if (record && wrap->tracer && wrap->depth == 1)
		userpci_tracer_put(wrap->tracer, record);
	wrap->depth--;
	pthread_mutex_unlock(&wrap->lock);
}

static int gone(const struct userpci_wrap *wrap)
{
	return wrap->gone ? -ENODEV : 0;
}

/* --- Regions --- */

/* NULL: a region of an index that is not mapped here. */
static struct userpci_wrap_map *map_of(struct userpci_wrap *wrap,
				       const struct userpci_region *region)
{
	if (region->index >= USERPCI_NUM_BARS)
		return NULL;
	return &wrap->maps[region->index][!!(region->flags & USERPCI_REGION_WC)];
}

static void unmap(const struct userpci_region *region)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (region->va)
		munmap(region->va, (region->size + page - 1) & ~(page - 1));
}

/* Keeps the inner map, of which one for each memory type is enough. */
static void map_keep(struct userpci_wrap *wrap, const struct userpci_region *region)
{
	struct userpci_wrap_map *map = map_of(wrap, region);

	if (map->users++)
		unmap(region);
	else
		map->region = *region;
}

static void map_release(struct userpci_wrap *wrap, struct userpci_wrap_map *map)
{
	unmap(&map->region);
	if (wrap->inner->region_unmap)
		wrap->inner->region_unmap(&map->region);
	memset(map, 0, sizeof(*map));
}

static int wrap_region_map(struct userpci_device *device, unsigned int index, bool wc,
			   struct userpci_region *region)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	struct userpci_region r = *region;
	int err;

	err = index < USERPCI_NUM_BARS ? gone(wrap) : -EINVAL;
	if (!err)
		err = wrap->inner->region_map(device, index, wc, &r);
	r.device = device;
	if (!err) {
		map_keep(wrap, &r);
		r.va = NULL;
		*region = r;
	}
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_MAP, 1, index, wc, (uint64_t)-err,
						err ? 0 : r.size, err ? 0 : r.flags));
	return err;
}

static void wrap_region_unmap(const struct userpci_region *region)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(region->device);
	struct userpci_wrap_map *map = map_of(wrap, region);

	/* One that was mapped before the device was wrapped is not here. */
	if (map && map->users && !--map->users)
		map_release(wrap, map);
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_UNMAP, 1, region->index));
}

/* The region with its va, if there is one. */
static const struct userpci_region *inner_region(struct userpci_wrap *wrap,
						 const struct userpci_region *region)
{
	struct userpci_wrap_map *map = map_of(wrap, region);

	return map && map->region.va ? &map->region : region;
}

int userpci_wrap_raw_read(const struct userpci_wrap *wrap, const struct userpci_region *region,
			  uint64_t offset, unsigned int width, uint64_t *value)
{
	return region->va ? userpci_mapped_read(region, offset, width, value)
			  : wrap->inner->region_read(region, offset, width, value);
}

int userpci_wrap_raw_write(const struct userpci_wrap *wrap, const struct userpci_region *region,
			   uint64_t offset, unsigned int width, uint64_t value)
{
	return region->va ? userpci_mapped_write(region, offset, width, value)
			  : wrap->inner->region_write(region, offset, width, value);
}

static uint64_t all_ones(unsigned int width)
{
	return UINT64_MAX >> (64 - 8 * width);
}

static int wrap_region_read(const struct userpci_region *region, uint64_t offset,
			    unsigned int width, uint64_t *value)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(region->device);
	uint64_t answer;
	int err;

	userpci_fault_access(wrap);
	err = gone(wrap)
		      ?: userpci_wrap_raw_read(wrap, inner_region(wrap, region), offset, width,
					       &answer);
	answer = err ? all_ones(width) : answer & all_ones(width);
	if (!err)
		*value = answer;
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_READ, (uint8_t)width, region->index,
						offset, answer));
	return err;
}

static int wrap_region_write(const struct userpci_region *region, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	struct userpci_wrap *wrap = userpci_wrap_lock(region->device);
	const struct userpci_region *inner = inner_region(wrap, region);
	int err;

	userpci_fault_access(wrap);
	value &= all_ones(width);
	err = gone(wrap);
	if (!err && !userpci_fault_post(wrap, inner, offset, width, value))
		err = userpci_wrap_raw_write(wrap, inner, offset, width, value);
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_WRITE, (uint8_t)width, region->index,
						offset, value));
	return err;
}

static int wrap_region_huge(const struct userpci_region *region)
{
	(void)region; /* none has a va */
	return -EINVAL;
}

/* --- Configuration space --- */

static int wrap_config_read(struct userpci_device *device, unsigned int offset, unsigned int width,
			    uint32_t *value)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->config_read(device, offset, width, value);

	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_CONFIG_READ, (uint8_t)width, offset,
						(uint64_t)-err, err ? 0 : *value));
	return err;
}

static int wrap_config_write(struct userpci_device *device, unsigned int offset, unsigned int width,
			     uint32_t value)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->config_write(device, offset, width, value);

	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_CONFIG_WRITE, (uint8_t)width, offset,
						value, (uint64_t)-err));
	return err;
}

/* --- DMA --- */

static int wrap_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->dma_set_mask(device, bits);

	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_DMA_MASK, 1, bits, (uint64_t)-err));
	return err;
}

static int wrap_dma_alloc(struct userpci_device *device, const struct userpci_dma_options *options,
			  struct userpci_dma *dma)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	struct userpci_record record = { .kind = USERPCI_RECORD_DMA_ALLOC, .width = 1 };
	int err = gone(wrap);

	if (!err && userpci_fault_alloc(wrap))
		err = -ENOMEM;
	if (!err)
		err = wrap->inner->dma_alloc(device, options, dma);
	record.field[0] = options->size;
	record.field[1] = options->kind;
	record.field[2] = (uint64_t)-err;
	if (!err) {
		record.field[3] = dma->size;
		record.field[4] = dma->iova;
		record.field[5] = dma->handle;
		record.field[6] = dma->chunks;
	}
	snprintf(record.name, sizeof(record.name), "%s", options->name ? options->name : "");
	userpci_wrap_leave(wrap, &record);
	return err;
}

static void wrap_dma_free(struct userpci_dma *dma)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(dma->device);
	uint64_t handle = dma->handle;

	wrap->inner->dma_free(dma);
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_DMA_FREE, 1, handle));
}

static int wrap_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			  struct userpci_dma_chunk *chunk)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(dma->device);
	struct userpci_dma_chunk c = { 0 };
	int err = gone(wrap) ?: wrap->inner->dma_chunk(dma, index, &c);

	if (!err)
		*chunk = c;
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_DMA_CHUNK, 1, dma->handle, index,
						(uint64_t)-err, c.offset, c.iova, c.size));
	return err;
}

static int wrap_dma_attach(struct userpci_device *device, const char *name, struct userpci_dma *dma)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	struct userpci_record record = { .kind = USERPCI_RECORD_DMA_ATTACH, .width = 1 };
	int err = gone(wrap) ?: wrap->inner->dma_attach(device, name, dma);

	record.field[0] = (uint64_t)-err;
	if (!err) {
		record.field[1] = dma->size;
		record.field[2] = dma->iova;
		record.field[3] = dma->handle;
		record.field[4] = dma->chunks;
		record.field[5] = dma->kind;
	}
	snprintf(record.name, sizeof(record.name), "%s", name);
	userpci_wrap_leave(wrap, &record);
	return err;
}

/* What only looks at the device from outside is not recorded. */
static int wrap_dma_next(struct userpci_device *device, uint32_t *cursor,
			 struct userpci_dma_info *info)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->dma_next(device, cursor, info);

	userpci_wrap_leave(wrap, NULL);
	return err;
}

static int wrap_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->stats_map(device, va, size);

	userpci_wrap_leave(wrap, NULL);
	return err;
}

/* --- The device --- */

static int wrap_bus_master(struct userpci_device *device, bool enable)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->bus_master(device, enable);

	userpci_wrap_leave(wrap,
			   USERPCI_RECORD(USERPCI_RECORD_BUS_MASTER, 1, enable, (uint64_t)-err));
	return err;
}

static int wrap_reset(struct userpci_device *device)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = gone(wrap) ?: wrap->inner->reset(device);

	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_RESET, 1, (uint64_t)-err));
	return err;
}

static void wrap_free(struct userpci_wrap *wrap)
{
	if (wrap->tracer)
		(void)userpci_tracer_stop(wrap->tracer);
	pthread_mutex_destroy(&wrap->lock);
	free(wrap);
}

static void wrap_close(struct userpci_device *device)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	unsigned int i;

	userpci_wrap_leave(wrap, NULL);
	userpci_wrap_worker_stop(wrap);
	/* A map holds its file open, and the device with it. */
	for (i = 0; i < USERPCI_NUM_BARS; i++) {
		if (wrap->maps[i][0].users)
			map_release(wrap, &wrap->maps[i][0]);
		if (wrap->maps[i][1].users)
			map_release(wrap, &wrap->maps[i][1]);
	}
	wrap->inner->close(device);
	wrap_free(wrap);
}

static const struct userpci_backend wrap_backend = {
	.close = wrap_close,
	.region_map = wrap_region_map,
	.region_read = wrap_region_read,
	.region_write = wrap_region_write,
	.region_unmap = wrap_region_unmap,
	.region_huge = wrap_region_huge,
	.config_read = wrap_config_read,
	.config_write = wrap_config_write,
	.dma_alloc = wrap_dma_alloc,
	.dma_free = wrap_dma_free,
	.dma_chunk = wrap_dma_chunk,
	.dma_attach = wrap_dma_attach,
	.dma_next = wrap_dma_next,
	.dma_set_mask = wrap_dma_set_mask,
	.irq_fd = userpci_wrap_irq_fd,
	.irq_enable = userpci_wrap_irq_enable,
	.irq_disable = userpci_wrap_irq_disable,
	.irq_eventfd = userpci_wrap_irq_eventfd,
	.irq_mask = userpci_wrap_irq_mask,
	.irq_limit = userpci_wrap_irq_limit,
	.irq_wait = userpci_wrap_irq_wait,
	.stats_map = wrap_stats_map,
	.bus_master = wrap_bus_master,
	.reset = wrap_reset,
};

int userpci_wrap(struct userpci_device *device)
{
	struct userpci_wrap *wrap;

	if (device->wrap)
		return 0;
	/* A region that has a va would be accessed behind the wrapper's back. */
	if (device->mappings || device->irq_count)
		return -EBUSY;
	wrap = calloc(1, sizeof(*wrap));
	if (!wrap)
		return -ENOMEM;
	lock_create(&wrap->lock);
	(void)pthread_once(&watched, watch_forks);
	wrap->forks = forks;
	wrap->device = device;
	wrap->inner = device->backend;
	wrap->last_write = &wrap->writes;
	wrap->wake = -1;
	wrap->table = wrap_backend;
	wrap->table.name = wrap->inner->name;
	device->wrap = wrap;
	device->backend = &wrap->table;
	return 0;
}

/* The first device of a process gets the file, each further one has its number behind the name. */
static int trace_from_environment(struct userpci_device *device, const char *file)
{
	static unsigned int devices;
	unsigned int number = __atomic_add_fetch(&devices, 1, __ATOMIC_RELAXED);
	char *path;
	int err;

	if (number == 1)
		return userpci_trace_start(device, file) ? -EIO : 0;
	if (asprintf(&path, "%s.%u", file, number) < 0)
		return -ENOMEM;
	err = userpci_trace_start(device, path) ? -EIO : 0;
	free(path);
	return err;
}

static int wrap_from_environment(struct userpci_device *device, unsigned int flags)
{
	/* A program with raised privileges writes no file that its user names. */
	const char *trace = secure_getenv("USERPCI_TRACE"), *fault = secure_getenv("USERPCI_FAULT");
	struct userpci_faults faults;
	int err = 0;

	if (flags & USERPCI_OPEN_OBSERVE)
		return 0;
	if (fault && *fault)
		err = userpci_faults_parse(fault, &faults) ?: userpci_fault_set(device, &faults);
	if (!err && trace && *trace)
		err = trace_from_environment(device, trace);
	return err;
}

int userpci_wrap_open(struct userpci_device *device, const char *address, unsigned int flags)
{
	int err = device->backend->open(device, address, flags);
	if (err)
		return err;
	device->info.backend = device->backend->name;
	err = wrap_from_environment(device, flags);
	if (err)
		device->backend->close(device);
	return err;
}
