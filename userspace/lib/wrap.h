/* SPDX-License-Identifier: MIT */
/*
 * A backend around another one, for traces and faults. A device that has neither is not wrapped.
 *
 * Every call passes through it, every register access too: the regions that it hands out have no
 * va, and it keeps the maps to itself. An interrupt passes through a thread, from an eventfd of its
 * own to that of the library or the caller.
 */
#ifndef USERPCI_WRAP_H
#define USERPCI_WRAP_H

#include <pthread.h>

#include "backend.h"
#include "trace.h"

/* A register write that is on its way: userpci_faults.delay_dma_us. */
struct userpci_wrap_write {
	struct userpci_wrap_write *next;
	struct userpci_region region;
	uint64_t offset, value;
	unsigned int width;
	int64_t due_us;
};

struct userpci_wrap_map {
	struct userpci_region region; /* as the inner backend gave it */
	unsigned int users;
};

struct userpci_wrap_vector {
	int inner;  /* what the inner backend signals */
	int target; /* what waits outside; -1: not known yet */
};

struct userpci_wrap {
	struct userpci_device *device;
	unsigned int forks; /* of the process that it is used in */
	const struct userpci_backend *inner;
	struct userpci_backend table; /* the wrapping one, by the inner one's name */
	/* Recursive, for an inner backend may use the library's calls; these are not recorded. */
	pthread_mutex_t lock;
	unsigned int depth;
	struct userpci_wrap_map maps[USERPCI_NUM_BARS][2]; /* uncached, write-combining */
	struct userpci_tracer *tracer;			   /* NULL: none */

	struct userpci_faults faults;
	uint64_t accesses, allocations, interrupts; /* since the faults were set */
	bool gone;
	struct userpci_wrap_write *writes, **last_write;

	struct userpci_wrap_vector *vectors;
	unsigned int count;
	unsigned int generation; /* changes with the vectors */
	pthread_t worker;
	int wake; /* an eventfd; -1: there is no thread */
	bool stop;
};

/* Wraps a device that is not yet; -EBUSY: it has maps or interrupts already. */
int userpci_wrap(struct userpci_device *device);

/* Takes the lock, and brings what is on its way to the device; the lock alone. */
struct userpci_wrap *userpci_wrap_enter(struct userpci_device *device);
struct userpci_wrap *userpci_wrap_lock(struct userpci_device *device);
/* Records the call, unless it is NULL or inside another call, and gives the lock back. */
void userpci_wrap_leave(struct userpci_wrap *wrap, const struct userpci_record *record);

#define USERPCI_RECORD(kind_, width_, ...) \
	(&(const struct userpci_record){   \
		.kind = (kind_), .width = (width_), .field = { __VA_ARGS__ } })

/* Of wrap-irq.c: the interrupts' part of the table, and the thread. */
int userpci_wrap_irq_fd(struct userpci_device *device, unsigned int vector);
int userpci_wrap_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count);
void userpci_wrap_irq_disable(struct userpci_device *device);
int userpci_wrap_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd);
int userpci_wrap_irq_mask(struct userpci_device *device, unsigned int vector, bool masked);
int userpci_wrap_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second);
int userpci_wrap_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
			  uint64_t *count);
/* An interrupt goes out, as far as the faults let it. The lock is held. */
void userpci_wrap_signal(struct userpci_wrap *wrap, unsigned int vector, uint64_t count);
int userpci_wrap_worker_start(struct userpci_wrap *wrap);
void userpci_wrap_worker_wake(const struct userpci_wrap *wrap);
void userpci_wrap_worker_stop(struct userpci_wrap *wrap);
int64_t userpci_wrap_now_us(void);
/* A descriptor just made, or -1: one that is no standard stream of a program without, or -errno. */
int userpci_wrap_fd(int fd);

/* Of fault.c. The lock is held. */
int userpci_faults_parse(const char *text, struct userpci_faults *faults);
/* A register access begins: the device may go, or interrupt. */
void userpci_fault_access(struct userpci_wrap *wrap);
bool userpci_fault_alloc(struct userpci_wrap *wrap);
/* How many of @count interrupts are not lost. */
uint64_t userpci_fault_interrupts(struct userpci_wrap *wrap, uint64_t count);
/* Posts a write: false, there is no delay or no memory, make it now. Sends those due by @now_us. */
bool userpci_fault_post(struct userpci_wrap *wrap, const struct userpci_region *region,
			uint64_t offset, unsigned int width, uint64_t value);
void userpci_fault_send(struct userpci_wrap *wrap, int64_t now_us);

/* Of wrap.c: an access as the inner backend makes it. */
int userpci_wrap_raw_read(const struct userpci_wrap *wrap, const struct userpci_region *region,
			  uint64_t offset, unsigned int width, uint64_t *value);
int userpci_wrap_raw_write(const struct userpci_wrap *wrap, const struct userpci_region *region,
			   uint64_t offset, unsigned int width, uint64_t value);

#endif
