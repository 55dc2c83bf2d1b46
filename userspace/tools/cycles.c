/* SPDX-License-Identifier: MIT */
/*
 * What running ports publish of their cycles: found, and added up.
 *
 * What another process says is not trusted: neither that its file is what its name says, nor that
 * it stays as long as it is, nor what is in it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cycles.h"
#include "unic-run.h"

#define LINK_BEGIN "/memfd:" UNIC_CYCLES_NAME

static bool is_page(pid_t pid, int fd)
{
	char path[64], target[sizeof(LINK_BEGIN)];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	length = readlink(path, target, sizeof(target));
	return length >= (ssize_t)strlen(LINK_BEGIN) &&
	       !memcmp(target, LINK_BEGIN, strlen(LINK_BEGIN));
}

/* The file may have become another one: O_NONBLOCK, lest it is a FIFO. */
static const struct unic_cycles *page_map(pid_t pid, int fd)
{
	const struct unic_cycles *page = MAP_FAILED;
	struct stat stat;
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return NULL;
	if (!fstat(file, &stat) && stat.st_size == UNIC_CYCLES_SIZE &&
	    fcntl(file, F_GET_SEALS) >= 0 && fcntl(file, F_GET_SEALS) & F_SEAL_SHRINK)
		page = mmap(NULL, UNIC_CYCLES_SIZE, PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (page == MAP_FAILED)
		return NULL;
	if (__atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) == UNIC_CYCLES_MAGIC)
		return page;
	munmap((void *)page, UNIC_CYCLES_SIZE);
	return NULL;
}

/* "00:04.0" is "0000:00:04.0". */
static bool is_of(const struct unic_cycles *page, const char *address)
{
	char text[UNIC_CYCLES_ADDRESS];

	memcpy(text, page->given, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (!strcmp(text, address))
		return true;
	memcpy(text, page->address, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	return !strcasecmp(text, address) ||
	       (!strncmp(text, "0000:", 5) && !strcasecmp(text + 5, address));
}

/* Of one process. Returns -ENOTUNIQ where @view has one already. */
static int find_in(pid_t pid, const char *address, struct cycles_view *view)
{
	const struct unic_cycles *page;
	struct dirent *entry;
	char path[64];
	int fd, err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!err && (entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (!isdigit((unsigned char)entry->d_name[0]) || !is_page(pid, fd))
			continue;
		page = page_map(pid, fd);
		if (!page)
			continue;
		if (is_of(page, address) && !view->page) {
			*view = (struct cycles_view){ pid, fd, page };
			continue;
		}
		if (is_of(page, address))
			err = -ENOTUNIQ;
		munmap((void *)page, UNIC_CYCLES_SIZE);
	}
	closedir(dir);
	return err;
}

static int find_in_all(const char *address, struct cycles_view *view)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = find_in(atoi(entry->d_name), address, view);
	closedir(dir);
	return err;
}

int cycles_find(const char *address, pid_t pid, struct cycles_view *view)
{
	int err;

	*view = (struct cycles_view){ 0 };
	err = pid ? find_in(pid, address, view) : find_in_all(address, view);
	if (err)
		cycles_close(view);
	else if (!view->page)
		err = -ENOENT;
	return err;
}

void cycles_close(struct cycles_view *view)
{
	if (view->page)
		munmap((void *)view->page, UNIC_CYCLES_SIZE);
	view->page = NULL;
}

bool cycles_lives(const struct cycles_view *view)
{
	return is_page(view->pid, view->fd);
}

unsigned int cycles_queues(const struct cycles_view *view)
{
	uint32_t queues = __atomic_load_n(&view->page->queues, __ATOMIC_RELAXED);

	return queues < UNIC_CYCLES_QUEUES ? queues : UNIC_CYCLES_QUEUES;
}

static void read_way(const struct unic_cycles_way *from, struct unic_cycles_way *to)
{
	to->bursts = run_read(&from->bursts);
	to->packets = run_read(&from->packets);
	to->cycles = run_read(&from->cycles);
}

void cycles_read(const struct cycles_view *view, struct cycles_count *count)
{
	unsigned int i;

	memset(count, 0, sizeof(*count));
	for (i = 0; i < cycles_queues(view); i++) {
		read_way(&view->page->queue[i].rx, &count->queue[i].rx);
		read_way(&view->page->queue[i].tx, &count->queue[i].tx);
	}
	count->now = unic_cycles_now();
	count->now_us = run_now_us();
}

static void add_way(struct unic_cycles_way *sum, const struct cycles_count *count,
		    unsigned int queue, bool sent)
{
	const struct unic_cycles_queue *q = &count->queue[queue];
	const struct unic_cycles_way *way = sent ? &q->tx : &q->rx;

	sum->bursts += way->bursts;
	sum->packets += way->packets;
	sum->cycles += way->cycles;
}

struct unic_cycles_way cycles_sum(const struct cycles_count *count, bool sent)
{
	struct unic_cycles_way sum = { 0 };
	unsigned int i;

	for (i = 0; i < UNIC_CYCLES_QUEUES; i++)
		add_way(&sum, count, i, sent);
	return sum;
}

struct cycles_rate cycles_rate(const struct cycles_count *before, const struct cycles_count *count,
			       int queue, bool sent)
{
	struct unic_cycles_way a = { 0 }, b = { 0 };
	double us = (double)(count->now_us - before->now_us);
	double now = (double)(count->now - before->now), packets, cycles;
	struct cycles_rate rate = { 0 };

	if (queue < 0) {
		a = cycles_sum(before, sent);
		b = cycles_sum(count, sent);
	} else {
		add_way(&a, before, (unsigned int)queue, sent);
		add_way(&b, count, (unsigned int)queue, sent);
	}
	packets = (double)(b.packets - a.packets);
	cycles = (double)(b.cycles - a.cycles);
	if (b.packets <= a.packets || b.bursts <= a.bursts || now <= 0 || us <= 0)
		return rate;
	rate.pps = packets * 1e6 / us;
	rate.burst = packets / (double)(b.bursts - a.bursts);
	rate.cycles = cycles / packets;
	rate.ns = rate.cycles * us * 1000 / now;
	rate.busy = cycles / now;
	return rate;
}
