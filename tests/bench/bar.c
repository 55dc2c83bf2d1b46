// SPDX-License-Identifier: MIT
/*
 * The benchmark of large BARs, on QEMU's pci-testdev: mapping BAR 2, the first touch of each of its
 * pages, and unmapping it.
 *
 * Usage: bar STACK ADDRESS..., where STACK is userpci, vfio-pci or sysfs. Output as loop.h's.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <userpci/userpci.h>

#include "bench.h"

#define BAR	2
#define PAGE	4096
#define WARM_UP 1
#define ROUNDS	5 /* a round is some ten million instructions, so ticks of the timer are in it */

enum { MAP, TOUCH, UNMAP, STEPS };

static const char *const names[STEPS] = { "map", "touch", "unmap" };

struct subject {
	struct userpci_device *device; /* NULL: sysfs */
	struct userpci_region region;
	uint64_t size;
	int fd;
};

static void open_subject(struct subject *subject, const char *stack, const char *address)
{
	char name[128], text[256];
	struct stat stat;
	int error;

	memset(subject, 0, sizeof(*subject));
	if (!strcmp(stack, "sysfs")) {
		snprintf(name, sizeof(name), "/sys/bus/pci/devices/%s/resource%d", address, BAR);
		subject->fd = open(name, O_RDWR | O_CLOEXEC);
		if (subject->fd < 0 || fstat(subject->fd, &stat))
			err(1, "%s", name);
		subject->size = (uint64_t)stat.st_size;
		return;
	}
	snprintf(name, sizeof(name), "%s:%s", !strcmp(stack, "userpci") ? "stub" : "vfio", address);
	error = userpci_open(name, 0, &subject->device);
	if (error)
		errx(1, "%s", userpci_explain(name, error, text, sizeof(text)));
}

static void map(struct subject *subject)
{
	struct userpci_region *region = &subject->region;
	int error;

	if (!subject->device) {
		region->va = mmap(NULL, subject->size, PROT_READ | PROT_WRITE, MAP_SHARED,
				  subject->fd, 0);
		if (region->va == MAP_FAILED)
			err(1, "mmap");
		return;
	}
	error = userpci_region_map(subject->device, BAR, region);
	if (error)
		errx(1, "region %d: %s", BAR, strerror(-error));
	subject->size = region->size;
}

static void touch(struct subject *subject)
{
	const volatile uint8_t *at = subject->region.va, *end = at + subject->size;

	for (; at < end; at += PAGE)
		(void)*at;
}

static void unmap(struct subject *subject)
{
	if (!subject->device)
		munmap(subject->region.va, subject->size);
	else
		userpci_region_unmap(&subject->region);
}

static void run(struct subject *subject)
{
	static void (*const steps[STEPS])(struct subject *) = { map, touch, unmap };
	struct figure figures[STEPS], *figure;
	double total = 0;
	unsigned int step, i;
	uint64_t mib;

	for (step = 0; step < STEPS; step++)
		figure_init(&figures[step], 0, ROUNDS);
	for (i = 0; i < WARM_UP + ROUNDS; i++) {
		for (step = 0; step < STEPS; step++) {
			settle();
			icount_begin(&figures[step].window);
			steps[step](subject);
			icount_end(&figures[step].window);
			if (i >= WARM_UP)
				figure_keep(&figures[step]);
		}
	}
	mib = subject->size >> 20;
	for (step = 0; step < STEPS; step++) {
		figure = &figures[step];
		total += icount_mean(&figure->window);
		printf("bar-%lluM-%s\t-\tinstructions\t%.0f\t%.2f\tper cycle\n",
		       (unsigned long long)mib, names[step], icount_mean(&figure->window),
		       figure_spread(figure));
	}
	printf("bar-%lluM-all\t-\tinstructions\t%.0f\t0\tper cycle\n", (unsigned long long)mib,
	       total);
}

int main(int argc, char **argv)
{
	struct subject subject;
	int i;

	if (argc < 3)
		errx(2, "usage: bar userpci|vfio-pci|sysfs ADDRESS...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 2; i < argc; i++) {
		open_subject(&subject, argv[1], argv[i]);
		run(&subject);
		userpci_close(subject.device);
	}
	return 0;
}
