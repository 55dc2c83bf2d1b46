/* SPDX-License-Identifier: MIT */
/*
 * Writing a trace. The file's end is mapped, and grows ahead of what is written: a process that is
 * killed leaves all that it recorded, with zeros behind, and none of it costs a system call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "wrap.h"

#define WINDOW (256u << 10) /* bytes; more than any page */

struct userpci_tracer {
	int fd;
	uint8_t *window; /* NULL: an error ended it */
	off_t base;	 /* where in the file it is */
	size_t at;	 /* the next byte in it */
	uint64_t page;
	pid_t owner; /* a child that it forks only lets go of it */
	int err;

	uint64_t last_ns;
	struct userpci_record last;
	/* Repetitions of `last` are one record, which is written anew with each. */
	uint64_t repeats, repeats_from_ns;
	size_t repeat_at;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Allocated, not only made longer: a store to a map of a full file system is fatal. */
static int window_map(struct userpci_tracer *t)
{
	void *window;
	int err;

	err = -posix_fallocate(t->fd, t->base, WINDOW);
	if (err)
		return err;
	window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, t->base);
	if (window == MAP_FAILED)
		return -errno;
	t->window = window;
	return 0;
}

/* Makes room for one record. After an error there is no window, and nothing more is recorded. */
static bool room(struct userpci_tracer *t)
{
	size_t done = t->at & ~(size_t)(t->page - 1);

	if (t->window && t->at + USERPCI_RECORD_BYTES > WINDOW) {
		munmap(t->window, WINDOW);
		t->window = NULL;
		t->base += (off_t)done;
		t->at -= done;
		t->err = window_map(t);
	}
	return t->window;
}

int userpci_tracer_start(const struct userpci_info *info, const char *path,
			 struct userpci_tracer **tracer)
{
	struct userpci_tracer *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->page = (uint64_t)sysconf(_SC_PAGESIZE);
	t->owner = getpid();
	t->fd = userpci_wrap_fd(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
	if (t->fd < 0) {
		err = t->fd;
		free(t);
		return err;
	}
	err = window_map(t);
	if (err) {
		(void)userpci_tracer_stop(t);
		return err;
	}
	t->at = userpci_trace_header(info, t->window);
	t->last_ns = now_ns();
	*tracer = t;
	return 0;
}

static bool same_read(const struct userpci_record *a, const struct userpci_record *b)
{
	return a->kind == USERPCI_RECORD_READ && b->kind == a->kind && a->width == b->width &&
	       !memcmp(a->field, b->field, sizeof(a->field));
}

static void put_repeat(struct userpci_tracer *t, uint64_t now)
{
	struct userpci_record repeat = { .kind = USERPCI_RECORD_REPEAT, .width = 1 };

	if (!t->repeats++) {
		t->repeat_at = t->at;
		t->repeats_from_ns = t->last_ns;
	}
	t->at = t->repeat_at;
	if (!room(t))
		return;
	t->repeat_at = t->at;
	repeat.delta_ns = now - t->repeats_from_ns;
	repeat.field[0] = t->repeats;
	t->at += userpci_record_encode(&repeat, t->window + t->at);
	t->last_ns = now;
}

void userpci_tracer_put(struct userpci_tracer *t, const struct userpci_record *record)
{
	uint64_t now = now_ns();

	if (same_read(&t->last, record)) {
		put_repeat(t, now);
		return;
	}
	if (!room(t))
		return;
	t->repeats = 0;
	t->last = *record;
	t->last.delta_ns = now - t->last_ns;
	t->last_ns = now;
	t->at += userpci_record_encode(&t->last, t->window + t->at);
}

int userpci_tracer_stop(struct userpci_tracer *t)
{
	int err = t->err;

	if (t->window)
		munmap(t->window, WINDOW);
	if (t->owner == getpid() && ftruncate(t->fd, t->base + (off_t)t->at) && !err)
		err = -errno;
	close(t->fd);
	free(t);
	return err;
}

int userpci_trace_start(struct userpci_device *device, const char *path)
{
	struct userpci_wrap *wrap;
	int err;

	err = userpci_wrap(device);
	if (err)
		return err;
	wrap = userpci_wrap_enter(device);
	err = wrap->tracer ? -EBUSY : userpci_tracer_start(&device->info, path, &wrap->tracer);
	userpci_wrap_leave(wrap, NULL);
	return err;
}

int userpci_trace_stop(struct userpci_device *device)
{
	struct userpci_wrap *wrap;
	int err = -EINVAL;

	if (!device->wrap)
		return err;
	wrap = userpci_wrap_enter(device);
	if (wrap->tracer)
		err = userpci_tracer_stop(wrap->tracer);
	wrap->tracer = NULL;
	userpci_wrap_leave(wrap, NULL);
	return err;
}
