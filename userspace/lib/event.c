/* SPDX-License-Identifier: MIT */
/* The pages that the kernel writes: statistics, and the events of a device. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "backend.h"

static int stats_map(struct userpci_device *device)
{
	uint64_t size;
	void *va;
	int err;

	if (device->stats)
		return 0;
	err = device->backend->stats_map(device, &va, &size);
	if (err)
		return err;
	err = userpci_mapping_add(device, va, size);
	if (err) {
		munmap(va, size);
		return err;
	}
	device->stats = va;
	return 0;
}

const struct userpci_uapi_stats *userpci_stats(struct userpci_device *device)
{
	return stats_map(device) ? NULL : device->stats;
}

static const volatile struct userpci_uapi_vector *vector_of(const struct userpci_uapi_stats *stats,
							    unsigned int vector)
{
	const void *vectors = (const char *)stats + stats->vectors_offset;

	if (vector >= stats->num_vectors)
		return NULL;
	return (const volatile struct userpci_uapi_vector *)vectors + vector;
}

uint64_t userpci_stats_interrupts(const struct userpci_uapi_stats *stats, unsigned int vector)
{
	const volatile struct userpci_uapi_vector *v = vector_of(stats, vector);
	uint64_t count = v ? v->interrupts : 0;

	if (!v || sizeof(long) == sizeof(count))
		return count;
	/* Two loads, between which the upper half can have changed; it does so every 2^32 times. */
	while (count != v->interrupts)
		count = v->interrupts;
	return count;
}

uint32_t userpci_stats_storms(const struct userpci_uapi_stats *stats, unsigned int vector)
{
	const volatile struct userpci_uapi_vector *v = vector_of(stats, vector);

	return v ? v->storms : 0;
}

static uint32_t events_written(const struct userpci_device *device)
{
	return __atomic_load_n(&device->stats->num_events, __ATOMIC_ACQUIRE);
}

static int event_fd_create(struct userpci_device *device)
{
	int fd, err;

	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = device->backend->irq_eventfd(device, USERPCI_EVENTS, fd);
	if (err) {
		close(fd);
		return err;
	}
	device->event_fd = fd;
	return 0;
}

static int events_begin(struct userpci_device *device)
{
	int err;

	if (device->events_begun)
		return 0;
	err = stats_map(device);
	if (err)
		return err;
	/* -EACCES: an observer, who looks without an eventfd. */
	err = event_fd_create(device);
	if (err && err != -EACCES)
		return err;
	/* Behind the eventfd: an event that is still to be read has signalled it. */
	device->next_event = events_written(device);
	device->events_begun = true;
	return 0;
}

void userpci_events_end(struct userpci_device *device)
{
	/* The kernel is not told: a child that closes must not take its parent's events away. */
	if (device->event_fd >= 0)
		close(device->event_fd);
	device->event_fd = -1;
}

int userpci_event_fd(struct userpci_device *device)
{
	int err = events_begin(device);

	if (err)
		return err;
	return device->event_fd < 0 ? -EACCES : device->event_fd;
}

/*
 * Takes the next record, if there is one. The kernel writes a record, then counts it: while it
 * overwrites that of number n it has counted n + USERPCI_NUM_EVENTS. So of what was copied only
 * that is good which is less far behind the count afterwards.
 */
static bool event_take(struct userpci_device *device, struct userpci_event *event)
{
	const uint32_t kept = USERPCI_NUM_EVENTS - 1;
	const volatile struct userpci_uapi_event *record;
	uint32_t written = events_written(device);
	uint32_t next = device->next_event;
	struct userpci_event e;

	if (written == next)
		return false;
	do {
		if (written - next > kept)
			next = written - kept;
		record = &device->stats->events[next % USERPCI_NUM_EVENTS];
		e.type = record->type;
		e.value = record->value;
		e.time_ns = record->time_ns;
		/* The record's loads before the count's; pairs with the kernel's release of it. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		written = events_written(device);
	} while (written - next > kept);
	e.lost = next - device->next_event;
	device->next_event = next + 1;
	*event = e;
	return true;
}

/* Of a device that is gone the last record says so. */
static bool events_ended(const struct userpci_device *device)
{
	uint32_t written = events_written(device);

	return written &&
	       device->stats->events[(written - 1) % USERPCI_NUM_EVENTS].type == USERPCI_EVENT_GONE;
}

/* Until the eventfd is signalled: 0. */
static int event_sleep(const struct userpci_device *device, int64_t timeout_us)
{
	struct timespec timeout = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
	struct pollfd fd = { .fd = device->event_fd, .events = POLLIN };
	int n;

	n = ppoll(&fd, 1, timeout_us < 0 ? NULL : &timeout, NULL);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Empties the eventfd; whether it was signalled since it was emptied last. */
static bool event_signalled(const struct userpci_device *device)
{
	eventfd_t count;

	return device->event_fd >= 0 && !eventfd_read(device->event_fd, &count);
}

int userpci_event_wait(struct userpci_device *device, int64_t timeout_us,
		       struct userpci_event *event)
{
	int64_t begin = now_us(), left = timeout_us;
	int err;

	err = events_begin(device);
	if (!err && device->event_fd < 0 && timeout_us)
		err = -EACCES;
	while (!err) {
		if (event_take(device, event))
			return 0;
		if (events_ended(device))
			return -ENODEV;
		/* Emptied before the next look, or an event between the two would go unnoticed. */
		if (event_signalled(device))
			continue;
		err = event_sleep(device, left);
		if (timeout_us > 0) {
			left = timeout_us - (now_us() - begin);
			left = left < 0 ? 0 : left;
		}
	}
	return err;
}
