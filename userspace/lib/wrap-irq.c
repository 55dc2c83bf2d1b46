/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a wrapped device. A thread takes them from the inner backend's eventfds, records
 * them, applies the faults, and passes them on: so it makes no difference how the driver waits. The
 * same thread sends the writes that were delayed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "wrap.h"

int64_t userpci_wrap_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int userpci_wrap_fd(int fd)
{
	int copy;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd < 0 ? -errno : fd;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0)
		copy = -errno;
	close(fd);
	return copy;
}

int userpci_wrap_irq_fd(struct userpci_device *device, unsigned int vector)
{
	(void)device, (void)vector;
	return userpci_wrap_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

void userpci_wrap_signal(struct userpci_wrap *wrap, unsigned int vector, uint64_t count)
{
	if (wrap->tracer)
		userpci_tracer_put(wrap->tracer,
				   USERPCI_RECORD(USERPCI_RECORD_IRQ, 1, vector, count));
	if (wrap->vectors[vector].target >= 0)
		(void)eventfd_write(wrap->vectors[vector].target, count);
}

/* --- The thread --- */

/*
 * What to wait for: the wake-up call, then the vectors. What comes before the library has named its
 * eventfd is kept in the inner one. NULL: no memory.
 */
static struct pollfd *watch_list(const struct userpci_wrap *wrap)
{
	struct pollfd *fds = calloc(wrap->count + 1, sizeof(*fds));
	unsigned int i;

	if (!fds)
		return NULL;
	fds[0] = (struct pollfd){ .fd = wrap->wake, .events = POLLIN };
	for (i = 0; i < wrap->count; i++)
		fds[i + 1] = (struct pollfd){
			.fd = wrap->vectors[i].target < 0 ? -1 : wrap->vectors[i].inner,
			.events = POLLIN,
		};
	return fds;
}

static int until_due_ms(const struct userpci_wrap *wrap)
{
	int64_t left;

	if (!wrap->writes)
		return -1;
	left = wrap->writes->due_us - userpci_wrap_now_us();
	if (left < 0)
		return 0;
	return left < 1000000000 ? (int)((left + 999) / 1000) : 1000000;
}

/* Passes on what has arrived. The lock is held; no inner eventfd blocks. */
static void collect(struct userpci_wrap *wrap)
{
	eventfd_t count;
	unsigned int i;

	for (i = 0; i < wrap->count; i++) {
		if (wrap->vectors[i].target < 0 || eventfd_read(wrap->vectors[i].inner, &count))
			continue;
		count = userpci_fault_interrupts(wrap, count);
		if (count)
			userpci_wrap_signal(wrap, i, count);
	}
}

static void *work(void *context)
{
	struct userpci_wrap *wrap = context;
	struct pollfd *fds = NULL;
	unsigned int generation = 0, count = 0;
	int timeout_ms;
	eventfd_t woken;

	pthread_mutex_lock(&wrap->lock);
	while (!wrap->stop) {
		if (!fds || generation != wrap->generation) {
			free(fds);
			fds = watch_list(wrap);
			generation = wrap->generation;
			count = wrap->count;
		}
		timeout_ms = fds ? until_due_ms(wrap) : 1;
		pthread_mutex_unlock(&wrap->lock);
		(void)poll(fds, fds ? count + 1 : 0, timeout_ms);
		pthread_mutex_lock(&wrap->lock);
		(void)eventfd_read(wrap->wake, &woken);
		collect(wrap);
		userpci_fault_send(wrap, userpci_wrap_now_us());
	}
	pthread_mutex_unlock(&wrap->lock);
	free(fds);
	return NULL;
}

int userpci_wrap_worker_start(struct userpci_wrap *wrap)
{
	int err;

	if (wrap->wake >= 0)
		return 0;
	wrap->wake = userpci_wrap_irq_fd(wrap->device, 0);
	if (wrap->wake < 0)
		return wrap->wake;
	err = userpci_thread_start(&wrap->worker, work, wrap);
	if (err) {
		close(wrap->wake);
		wrap->wake = -1;
	}
	return err;
}

void userpci_wrap_worker_wake(const struct userpci_wrap *wrap)
{
	if (wrap->wake >= 0)
		(void)eventfd_write(wrap->wake, 1);
}

void userpci_wrap_worker_stop(struct userpci_wrap *wrap)
{
	if (wrap->wake < 0)
		return;
	pthread_mutex_lock(&wrap->lock);
	wrap->stop = true;
	pthread_mutex_unlock(&wrap->lock);
	userpci_wrap_worker_wake(wrap);
	pthread_join(wrap->worker, NULL);
	close(wrap->wake);
	wrap->wake = -1;
}

/* --- The table's part --- */

static int inner_fd(struct userpci_wrap *wrap, unsigned int vector)
{
	if (wrap->inner->irq_fd)
		return wrap->inner->irq_fd(wrap->device, vector);
	return userpci_wrap_irq_fd(wrap->device, vector);
}

static void vectors_free(struct userpci_wrap *wrap)
{
	unsigned int i;

	for (i = 0; i < wrap->count; i++) {
		close(wrap->vectors[i].inner);
		if (wrap->vectors[i].target >= 0)
			close(wrap->vectors[i].target);
	}
	free(wrap->vectors);
	wrap->vectors = NULL;
	wrap->count = 0;
	wrap->generation++;
	userpci_wrap_worker_wake(wrap);
}

static int vectors_create(struct userpci_wrap *wrap, unsigned int count)
{
	struct userpci_wrap_vector *v;
	int fd;

	wrap->vectors = calloc(count, sizeof(*wrap->vectors));
	if (!wrap->vectors)
		return -ENOMEM;
	for (; wrap->count < count; wrap->count++) {
		fd = inner_fd(wrap, wrap->count);
		if (fd < 0) {
			vectors_free(wrap);
			return fd;
		}
		v = &wrap->vectors[wrap->count];
		v->inner = fd;
		v->target = -1;
	}
	wrap->generation++;
	userpci_wrap_worker_wake(wrap);
	return 0;
}

static int enable(struct userpci_wrap *wrap, unsigned int kind, unsigned int count)
{
	unsigned int i;
	int err;

	err = userpci_wrap_worker_start(wrap) ?: vectors_create(wrap, count);
	if (err)
		return err;
	err = wrap->inner->irq_enable(wrap->device, kind, count);
	if (err)
		goto free_vectors;
	for (i = 0; i < count && !err; i++)
		err = wrap->inner->irq_eventfd(wrap->device, i, wrap->vectors[i].inner);
	if (!err)
		return 0;
	wrap->inner->irq_disable(wrap->device);
free_vectors:
	vectors_free(wrap);
	return err;
}

int userpci_wrap_irq_enable(struct userpci_device *device, unsigned int kind, unsigned int count)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = wrap->gone ? -ENODEV : enable(wrap, kind, count);

	userpci_wrap_leave(
		wrap, USERPCI_RECORD(USERPCI_RECORD_IRQ_ENABLE, 1, kind, count, (uint64_t)-err));
	return err;
}

void userpci_wrap_irq_disable(struct userpci_device *device)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);

	wrap->inner->irq_disable(device);
	vectors_free(wrap);
	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_IRQ_DISABLE, 1));
}

static int target_set(struct userpci_wrap *wrap, unsigned int vector, int fd)
{
	struct userpci_wrap_vector *v = &wrap->vectors[vector];
	int copy;

	if (userpci_eventfd_check(fd))
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0)
		return -errno;
	if (v->target >= 0)
		close(v->target);
	v->target = copy;
	wrap->generation++;
	userpci_wrap_worker_wake(wrap);
	return 0;
}

int userpci_wrap_irq_eventfd(struct userpci_device *device, unsigned int vector, int fd)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err;

	if (vector == USERPCI_EVENTS)
		err = wrap->inner->irq_eventfd(device, vector, fd);
	else
		err = target_set(wrap, vector, fd);
	userpci_wrap_leave(wrap, NULL);
	return err;
}

int userpci_wrap_irq_mask(struct userpci_device *device, unsigned int vector, bool masked)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = wrap->gone ? -ENODEV : wrap->inner->irq_mask(device, vector, masked);

	userpci_wrap_leave(
		wrap, USERPCI_RECORD(USERPCI_RECORD_IRQ_MASK, 1, vector, masked, (uint64_t)-err));
	return err;
}

int userpci_wrap_irq_limit(struct userpci_device *device, unsigned int vector, uint32_t per_second)
{
	struct userpci_wrap *wrap = userpci_wrap_enter(device);
	int err = wrap->gone ? -ENODEV : wrap->inner->irq_limit(device, vector, per_second);

	userpci_wrap_leave(wrap, USERPCI_RECORD(USERPCI_RECORD_IRQ_LIMIT, 1, vector, per_second,
						(uint64_t)-err));
	return err;
}

/* Who only looks finds all that has arrived, whether the thread has run or not. */
static int wait_begin(struct userpci_device *device)
{
	struct userpci_wrap *wrap = userpci_wrap_lock(device);
	int err = wrap->gone ? -ENODEV : 0;

	collect(wrap);
	userpci_wrap_leave(wrap, NULL);
	return err;
}

/* Without the lock while it waits. */
int userpci_wrap_irq_wait(struct userpci_device *device, unsigned int vector, int64_t timeout_us,
			  uint64_t *count)
{
	struct userpci_wrap *wrap;
	uint64_t events = 0;
	int err = wait_begin(device);

	if (!err && device->wrap->inner->irq_wait)
		err = device->wrap->inner->irq_wait(device, vector, timeout_us, &events);
	else if (!err)
		err = userpci_irq_poll(device, vector, timeout_us, &events);
	wrap = userpci_wrap_lock(device);
	if (wrap->gone)
		err = -ENODEV;
	if (err)
		events = 0;
	else if (count)
		*count = events;
	userpci_wrap_leave(
		wrap, USERPCI_RECORD(USERPCI_RECORD_IRQ_WAIT, 1, vector, (uint64_t)-err, events));
	return err;
}
