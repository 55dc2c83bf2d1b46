/* SPDX-License-Identifier: MIT */
/*
 * The backend over a trace ("replay:FILE"): a device that is not there. What is asked must be what
 * was asked when it was recorded, in the same order; then the answer is the same, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend.h"
#include "trace.h"

#define PAGE 4096u
#define MOST (1ull << 40) /* bytes of a buffer; a file that says more is damaged */

struct difference {
	bool found, damaged;
	uint64_t number, time_ns;
	struct userpci_record expected, got;
};

struct replay {
	struct userpci_trace *trace;
	pthread_mutex_t lock; /* of all below; registers may be accessed by any thread */
	struct userpci_record next;
	int state;			 /* 1: next is there; 0: the record has ended; else -EIO */
	struct userpci_record last_read; /* still to be repeated so often */
	uint64_t repeats;
	uint64_t number, time_ns; /* of next */
	struct difference difference;
	int *fds; /* of the vectors; -1: not known yet */
	unsigned int count;
};

static _Thread_local struct difference last_closed;
static _Thread_local bool any_closed;

static struct replay *replay_of(const struct userpci_device *device)
{
	return device->state;
}

/* --- The record --- */

/* Interrupts come by themselves, as soon as all that was recorded before them has happened. */
static void advance(struct replay *r)
{
	const uint64_t *f = r->next.field;

	while ((r->state = userpci_trace_next(r->trace, &r->next)) == 1 &&
	       r->next.kind == USERPCI_RECORD_IRQ)
		if (f[0] < r->count && r->fds[f[0]] >= 0)
			(void)eventfd_write(r->fds[f[0]], f[1]);
	r->number = r->trace->number;
	r->time_ns = r->trace->time_ns;
}

static bool same_question(const struct userpci_record *a, const struct userpci_record *b)
{
	const struct userpci_record_shape *shape = &userpci_record_shapes[a->kind];

	return a->kind == b->kind && a->width == b->width &&
	       !memcmp(a->field, b->field, shape->asked * sizeof(a->field[0])) &&
	       (!shape->named || !strcmp(a->name, b->name));
}

static void differ(struct replay *r, const struct userpci_record *expected,
		   const struct userpci_record *got)
{
	r->difference = (struct difference){
		.found = true,
		.damaged = r->state < 0 && !r->repeats,
		.number = r->number,
		.time_ns = r->time_ns,
		.expected = *expected,
		.got = *got,
	};
}

/* Compares what the driver asks with the record, and takes the answer from it. */
static bool ask(struct userpci_device *device, struct userpci_record *record)
{
	struct replay *r = replay_of(device);
	const struct userpci_record *expected;
	bool same;

	pthread_mutex_lock(&r->lock);
	expected = r->repeats ? &r->last_read : &r->next;
	same = !r->difference.found && same_question(expected, record);
	if (!same && !r->difference.found)
		differ(r, expected, record);
	if (same)
		*record = *expected;
	if (same && r->repeats) {
		r->repeats--;
	} else if (same) {
		advance(r);
		if (r->state == 1 && r->next.kind == USERPCI_RECORD_REPEAT &&
		    record->kind == USERPCI_RECORD_READ) {
			r->last_read = *record;
			r->repeats = r->next.field[0];
			advance(r);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return same;
}

/* The same for a call: the field at @at is its error. */
static int ask_call(struct userpci_device *device, struct userpci_record *record, unsigned int at)
{
	if (!ask(device, record))
		return -ENODEV;
	if (record->field[at] > 4095)
		return -EIO;
	return -(int)record->field[at];
}

#define QUESTION(kind_, width_, ...)                                          \
	{                                                                     \
		.kind = (kind_), .width = (width_), .field = { __VA_ARGS__ }, \
	}

/* --- Open and close --- */

static int replay_open(struct userpci_device *device, const char *path, unsigned int flags)
{
	struct replay *r;
	int err;

	if (flags & USERPCI_OPEN_OBSERVE)
		return -EOPNOTSUPP;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = userpci_trace_open(path, &r->trace);
	if (err) {
		free(r);
		return err;
	}
	pthread_mutex_init(&r->lock, NULL);
	device->info = r->trace->info;
	device->state = r;
	advance(r);
	return 0;
}

static void forget_vectors(struct replay *r)
{
	unsigned int i;

	for (i = 0; i < r->count; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	free(r->fds);
	r->fds = NULL;
	r->count = 0;
}

static void replay_close(struct userpci_device *device)
{
	const struct userpci_record end = { .kind = USERPCI_RECORD_END };
	struct replay *r = replay_of(device);

	if (!r->difference.found && (r->repeats || r->state))
		differ(r, r->repeats ? &r->last_read : &r->next, &end);
	last_closed = r->difference;
	any_closed = true;
	forget_vectors(r);
	pthread_mutex_destroy(&r->lock);
	userpci_trace_close(r->trace);
	free(r);
}

/* --- Regions and configuration space --- */

static int replay_region_map(struct userpci_device *device, unsigned int index, bool wc,
			     struct userpci_region *region)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_MAP, 1, index, wc);
	int err = ask_call(device, &record, 2);

	if (err)
		return err;
	region->size = record.field[3];
	region->flags = (uint32_t)record.field[4];
	return 0;
}

static void replay_region_unmap(const struct userpci_region *region)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_UNMAP, 1, region->index);

	(void)ask(region->device, &record);
}

static int replay_region_read(const struct userpci_region *region, uint64_t offset,
			      unsigned int width, uint64_t *value)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_READ, (uint8_t)width, region->index,
						offset);

	if (!ask(region->device, &record))
		return -ENODEV;
	*value = record.field[2];
	return 0;
}

static int replay_region_write(const struct userpci_region *region, uint64_t offset,
			       unsigned int width, uint64_t value)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_WRITE, (uint8_t)width, region->index,
						offset, value & UINT64_MAX >> (64 - 8 * width));

	return ask(region->device, &record) ? 0 : -ENODEV;
}

static int replay_config_read(struct userpci_device *device, unsigned int offset,
			      unsigned int width, uint32_t *value)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_CONFIG_READ, (uint8_t)width, offset);
	int err = ask_call(device, &record, 1);

	if (!err)
		*value = (uint32_t)record.field[2];
	return err;
}

static int replay_config_write(struct userpci_device *device, unsigned int offset,
			       unsigned int width, uint32_t value)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_CONFIG_WRITE, (uint8_t)width, offset,
						value);

	return ask_call(device, &record, 2);
}

/* --- DMA: memory that no device touches, at the addresses that were recorded --- */

static int replay_dma_set_mask(struct userpci_device *device, unsigned int bits)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_DMA_MASK, 1, bits);

	return ask_call(device, &record, 1);
}

/* @f: size, iova, handle, chunks. */
static int buffer_map(const uint64_t *f, void *address, struct userpci_dma *dma)
{
	void *va = address;

	if (!f[0] || f[0] % PAGE || f[0] > MOST || !f[3] || f[3] > f[0] / PAGE)
		return -EIO;
	if (!va)
		va = mmap(NULL, f[0], PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (va == MAP_FAILED)
		return -errno;
	dma->va = va;
	dma->size = f[0];
	dma->iova = f[1];
	dma->handle = f[2];
	dma->chunks = (uint32_t)f[3];
	return 0;
}

static int replay_dma_alloc(struct userpci_device *device,
			    const struct userpci_dma_options *options, struct userpci_dma *dma)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_DMA_ALLOC, 1, options->size,
						options->kind);
	int err;

	snprintf(record.name, sizeof(record.name), "%s", options->name ? options->name : "");
	err = ask_call(device, &record, 2);
	if (!err)
		err = buffer_map(record.field + 3, options->address, dma);
	if (!err)
		dma->kind = options->kind;
	return err;
}

static void replay_dma_free(struct userpci_dma *dma)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_DMA_FREE, 1, dma->handle);

	(void)ask(dma->device, &record);
}

static int replay_dma_chunk(const struct userpci_dma *dma, unsigned int index,
			    struct userpci_dma_chunk *chunk)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_DMA_CHUNK, 1, dma->handle, index);
	int err = ask_call(dma->device, &record, 2);

	if (err)
		return err;
	chunk->offset = record.field[3];
	chunk->iova = record.field[4];
	chunk->size = record.field[5];
	return 0;
}

static int replay_dma_attach(struct userpci_device *device, const char *name,
			     struct userpci_dma *dma)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_DMA_ATTACH, 1);
	int err;

	snprintf(record.name, sizeof(record.name), "%s", name);
	err = ask_call(device, &record, 0);
	if (!err)
		err = buffer_map(record.field + 1, NULL, dma);
	if (!err)
		dma->kind = (uint32_t)record.field[5];
	return err;
}

static int replay_dma_next(struct userpci_device *device, uint32_t *cursor,
			   struct userpci_dma_info *info)
{
	(void)device, (void)cursor, (void)info;
	return -EOPNOTSUPP;
}

/* --- Interrupts --- */

static int replay_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_IRQ_ENABLE, 1, kind, count);
	struct replay *r = replay_of(device);
	int err = -ENOMEM;
	unsigned int i;
	int *fds;

	fds = malloc(count * sizeof(*fds));
	if (!fds)
		return err;
	for (i = 0; i < count; i++)
		fds[i] = -1;
	/* Before the question: interrupts may follow the answer. */
	pthread_mutex_lock(&r->lock);
	forget_vectors(r);
	r->fds = fds;
	r->count = count;
	pthread_mutex_unlock(&r->lock);
	err = ask_call(device, &record, 2);
	if (err)
		forget_vectors(r);
	return err;
}

static void replay_irq_disable(struct userpci_device *device)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_IRQ_DISABLE, 1);
	struct replay *r = replay_of(device);

	(void)ask(device, &record);
	pthread_mutex_lock(&r->lock);
	forget_vectors(r);
	pthread_mutex_unlock(&r->lock);
}

static int replay_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct replay *r = replay_of(device);
	int copy;

	if (vector == USERPCI_EVENTS)
		return -EOPNOTSUPP;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	pthread_mutex_lock(&r->lock);
	if (r->fds[vector] >= 0)
		close(r->fds[vector]);
	r->fds[vector] = copy;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int replay_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_IRQ_MASK, 1, vector, masked);

	return ask_call(device, &record, 2);
}

static int replay_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_IRQ_LIMIT, 1, vector, per_second);

	return ask_call(device, &record, 2);
}

/* As it ended when it was recorded, at once: no time passes here. */
static int replay_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
			   uint64_t *count)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_IRQ_WAIT, 1, vector);
	int err = ask_call(device, &record, 1);

	(void)timeout_us;
	if (err)
		return err;
	(void)userpci_irq_poll(device, vector, 0, NULL);
	if (count)
		*count = record.field[2];
	return 0;
}

/* --- The rest --- */

static int replay_stats_map(struct userpci_device *device, void **va, uint64_t *size)
{
	(void)device, (void)va, (void)size;
	return -EOPNOTSUPP;
}

static int replay_region_huge(const struct userpci_region *region)
{
	(void)region; /* none has a va */
	return -EINVAL;
}

static int replay_bus_master(struct userpci_device *device, bool enable)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_BUS_MASTER, 1, enable);

	return ask_call(device, &record, 1);
}

static int replay_reset(struct userpci_device *device)
{
	struct userpci_record record = QUESTION(USERPCI_RECORD_RESET, 1);

	return ask_call(device, &record, 0);
}

/* What was asked: without the answer, for there was none. */
static void question_text(const struct userpci_record *record, const struct userpci_register *names,
			  char *text, size_t size)
{
	static const char *const answers[USERPCI_RECORD_KINDS] = {
		[USERPCI_RECORD_READ] = " = ",	   [USERPCI_RECORD_CONFIG_READ] = " = ",
		[USERPCI_RECORD_MAP] = ":",	   [USERPCI_RECORD_DMA_ALLOC] = " at iova",
		[USERPCI_RECORD_DMA_ATTACH] = ":", [USERPCI_RECORD_DMA_CHUNK] = ":",
		[USERPCI_RECORD_IRQ_WAIT] = ":",
	};
	const char *answer = answers[record->kind];
	char *cut;

	userpci_record_text(record, names, text, size);
	cut = answer ? strstr(text, answer) : NULL;
	if (cut)
		*cut = '\0';
}

int userpci_replay_difference(const struct userpci_device *device,
			      const struct userpci_register *names, char *text, size_t size)
{
	char expected[160], got[160];
	struct difference d;

	if (device ? userpci_backend_of(device) != &userpci_backend_replay : !any_closed)
		return -EINVAL;
	d = device ? replay_of(device)->difference : last_closed;
	if (!d.found) {
		if (size)
			text[0] = '\0';
		return 0;
	}
	if (d.damaged)
		snprintf(expected, sizeof(expected), "what cannot be read: the file is damaged");
	else
		userpci_record_text(&d.expected, names, expected, sizeof(expected));
	question_text(&d.got, names, got, sizeof(got));
	snprintf(text, size, "record %" PRIu64 " (%" PRIu64 ".%06us): expected %s; got %s",
		 d.number, d.time_ns / 1000000000, (unsigned int)(d.time_ns / 1000 % 1000000),
		 expected, got);
	return 1;
}

const struct userpci_backend userpci_backend_replay = {
	.name = "replay",
	.open = replay_open,
	.close = replay_close,
	.region_map = replay_region_map,
	.region_read = replay_region_read,
	.region_write = replay_region_write,
	.region_unmap = replay_region_unmap,
	.region_huge = replay_region_huge,
	.config_read = replay_config_read,
	.config_write = replay_config_write,
	.dma_alloc = replay_dma_alloc,
	.dma_free = replay_dma_free,
	.dma_chunk = replay_dma_chunk,
	.dma_attach = replay_dma_attach,
	.dma_next = replay_dma_next,
	.dma_set_mask = replay_dma_set_mask,
	.irq_enable = replay_irq_enable,
	.irq_disable = replay_irq_disable,
	.irq_eventfd = replay_irq_eventfd,
	.irq_mask = replay_irq_mask,
	.irq_limit = replay_irq_limit,
	.irq_wait = replay_irq_wait,
	.stats_map = replay_stats_map,
	.bus_master = replay_bus_master,
	.reset = replay_reset,
};
