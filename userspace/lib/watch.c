/* SPDX-License-Identifier: MIT */
/* Events of a device, kept in a page by the process that owns it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <userpci/uapi.h>

#include "host.h"
#include "watch.h"

/* What the kernel does not tell is 0: USERPCI_EVENT_ERROR has no such value of the module's. */
#define ERROR_UNKNOWN 0

struct userpci_watch {
	pthread_t thread;
	int page; /* the memory file */
	uint64_t size;
	struct userpci_uapi_stats *stats;
	int stop, request, error; /* eventfds */
	int end[2];		  /* a pair of sockets: shut down when the device is wanted back */

	pthread_mutex_t lock; /* of all below, and of writing events */
	int fd;		      /* a duplicate of the library's eventfd; -1: none */
};

void userpci_watch_event(struct userpci_watch *watch, uint32_t type, uint32_t value)
{
	struct userpci_uapi_event *event;
	struct timespec now;
	uint32_t number;

	if (!watch)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&watch->lock);
	number = watch->stats->num_events;
	event = &watch->stats->events[number % USERPCI_NUM_EVENTS];
	event->type = type;
	event->value = value;
	event->time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	/* The record before the count; pairs with the acquire in event.c. */
	__atomic_store_n(&watch->stats->num_events, number + 1, __ATOMIC_RELEASE);
	if (watch->fd >= 0)
		(void)eventfd_write(watch->fd, 1);
	pthread_mutex_unlock(&watch->lock);
}

void userpci_watch_irqs(struct userpci_watch *watch, uint32_t kind, uint32_t count)
{
	if (!watch)
		return;
	watch->stats->irq_kind = kind;
	watch->stats->irq_count = count;
}

void userpci_watch_dma(struct userpci_watch *watch, int64_t bytes)
{
	if (watch)
		watch->stats->dma_bytes += (uint64_t)bytes;
}

int userpci_watch_eventfd(struct userpci_watch *watch, int fd)
{
	int copy = -1;

	if (!watch)
		return -EOPNOTSUPP;
	if (fd >= 0) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return -errno;
	}
	pthread_mutex_lock(&watch->lock);
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = copy;
	pthread_mutex_unlock(&watch->lock);
	return 0;
}

int userpci_watch_map(struct userpci_watch *watch, void **va, uint64_t *size)
{
	void *base;

	if (!watch)
		return -EOPNOTSUPP;
	base = mmap(NULL, watch->size, PROT_READ, MAP_SHARED, watch->page, 0);
	if (base == MAP_FAILED)
		return -errno;
	*va = base;
	*size = watch->size;
	return 0;
}

/* Until it is stopped, or the device is wanted back: the kernel repeats that, once is enough. */
static void *watch_run(void *context)
{
	struct userpci_watch *w = context;
	struct pollfd fds[] = {
		{ .fd = w->stop, .events = POLLIN },
		{ .fd = w->request, .events = POLLIN },
		{ .fd = w->error, .events = POLLIN },
	};
	eventfd_t count;

	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		if (fds[2].revents && !eventfd_read(w->error, &count))
			userpci_watch_event(w, USERPCI_EVENT_ERROR, ERROR_UNKNOWN);
		if (fds[1].revents)
			break;
	}
	userpci_watch_event(w, USERPCI_EVENT_REMOVE, 0);
	shutdown(w->end[1], SHUT_RDWR);
	return NULL;
}

static void watch_free(struct userpci_watch *w)
{
	const int fds[] = { w->page, w->stop, w->request, w->error, w->end[0], w->end[1], w->fd };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (w->stats)
		munmap(w->stats, w->size);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static int page_create(struct userpci_watch *w)
{
	void *base;

	w->size = (uint64_t)sysconf(_SC_PAGESIZE);
	w->page = memfd_create("userpci", MFD_CLOEXEC);
	if (w->page < 0 || ftruncate(w->page, (off_t)w->size))
		return -errno;
	base = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, w->page, 0);
	if (base == MAP_FAILED)
		return -errno;
	w->stats = base;
	w->stats->size = w->stats->vectors_offset = sizeof(*w->stats);
	w->stats->state = USERPCI_STATE_OWNED;
	w->stats->owner = getpid();
	return 0;
}

_Static_assert(sizeof(struct userpci_uapi_stats) <= 4096, "they fit into a page");

static int fds_create(struct userpci_watch *w)
{
	int *const fds[] = { &w->stop, &w->request, &w->error };
	unsigned int i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		*fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (*fds[i] < 0)
			return -errno;
	}
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->end) ? -errno : 0;
}

int userpci_watch_start(struct userpci_watch **watch, int *end, int *request, int *error)
{
	struct userpci_watch *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->page = w->stop = w->request = w->error = w->end[0] = w->end[1] = w->fd = -1;
	err = page_create(w);
	if (!err)
		err = fds_create(w);
	if (!err)
		err = userpci_thread_start(&w->thread, watch_run, w);
	if (err) {
		watch_free(w);
		return err;
	}
	*watch = w;
	*end = w->end[0];
	*request = w->request;
	*error = w->error;
	return 0;
}

void userpci_watch_stop(struct userpci_watch *watch, bool join)
{
	if (join) {
		(void)eventfd_write(watch->stop, 1);
		pthread_join(watch->thread, NULL);
	}
	watch_free(watch);
}
