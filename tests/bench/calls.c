// SPDX-License-Identifier: MIT
/*
 * The benchmark of what a driver does when it begins and ends: open, DMA buffers, close.
 *
 * Usage: calls STACK ADDRESS, where STACK is userpci, vfio-pci or uio_pci_generic: the backends of
 * the library. Output as loop.h's.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include <userpci/userpci.h>

#include "bench.h"

#define WARM_UP 20
#define ROUNDS	200

static struct userpci_device *device;
static struct userpci_dma dma;
static char name[64];
static uint64_t size; /* of a buffer */

static void try(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s: %s", name, what, strerror(-error));
}

static void open_device(void)
{
	try(userpci_open(name, 0, &device), "open");
}

static void close_device(void)
{
	userpci_close(device);
}

static void alloc(void)
{
	try(userpci_dma_alloc(device, size, &dma), "dma");
}

static void release(void)
{
	userpci_dma_free(&dma);
}

static void report(const struct figure *figure, const char *workload)
{
	printf("%s\t-\tinstructions\t%.0f\t%.2f\tper cycle\n", workload,
	       icount_mean(&figure->window), figure_spread(figure));
	icount_report();
	printf("report\n");
}

/* Two calls by turns, of which first the one is measured, then the other. */
static void run(void (*first)(void), const char *of_first, void (*second)(void),
		const char *of_second)
{
	struct figure figure;
	unsigned int i, measured;

	for (measured = 0; measured < 2; measured++) {
		figure_init(&figure, 0, ROUNDS);
		for (i = 0; i < WARM_UP + ROUNDS; i++) {
			settle();
			if (!measured)
				icount_begin(&figure.window);
			first();
			if (!measured)
				icount_end(&figure.window);
			settle();
			if (measured)
				icount_begin(&figure.window);
			second();
			if (measured)
				icount_end(&figure.window);
			if (i >= WARM_UP)
				figure_keep(&figure);
		}
		report(&figure, measured ? of_second : of_first);
	}
}

int main(int argc, char **argv)
{
	const char *backend;

	if (argc != 3)
		errx(2, "usage: calls userpci|vfio-pci|uio_pci_generic ADDRESS");
	setvbuf(stdout, NULL, _IOLBF, 0);
	backend = !strcmp(argv[1], "userpci")	 ? "stub"
		  : !strcmp(argv[1], "vfio-pci") ? "vfio"
						 : "uio";
	snprintf(name, sizeof(name), "%s:%s", backend, argv[2]);
	run(open_device, "open", close_device, "close");
	open_device();
	size = 4096;
	run(alloc, "dma-4K-alloc", release, "dma-4K-free");
	size = 2 << 20;
	run(alloc, "dma-2M-alloc", release, "dma-2M-free");
	close_device();
	return 0;
}
